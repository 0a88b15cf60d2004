"""The verb export: what was found, in the formats of others."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from brainguided.commands.options import (
    add_overwrite,
    add_verb,
    refuse_existing,
    refuse_foreign,
)

_OF_BRAINIO = ("assembly.nc", "stimulus_set.csv", "stimuli.zip")


def add_verbs(verbs: Any) -> None:
    """Add the verb of this module to the command line."""
    about = "Write a run or a recording in a format of others."
    example = "brainguided export optuna runs/first --out study.db"
    one = add_verb(verbs, "export", None, example=example, about=about)
    formats = one.add_subparsers(metavar="FORMAT", required=True)
    _add_optuna(formats)
    _add_tensorboard(formats)
    _add_network(formats)
    _add_brainscore(formats)
    _add_brainio(formats)


def _add_optuna(formats: Any) -> None:
    one = add_verb(
        formats,
        "optuna",
        export_optuna,
        example="brainguided export optuna runs/first --out study.db",
        more="Shown by: optuna-dashboard sqlite:///study.db\n"
        "Needs the extra: pip install 'brainguided[optuna]'.",
    )
    one.add_argument("run", metavar="RUN", type=Path, help="run folder; only read")
    one.add_argument("--out", type=Path, required=True, help="SQLite file of the study")
    one.add_argument("--name", help="of the study (that of the run folder)")
    add_overwrite(one)


def _add_tensorboard(formats: Any) -> None:
    one = add_verb(
        formats,
        "tensorboard",
        export_tensorboard,
        example="brainguided export tensorboard runs/first --out events",
        more="Needs the extra: pip install 'brainguided[tensorboard]'. Shown by: tensorboard "
        "--logdir events",
    )
    one.add_argument("run", metavar="RUN", type=Path, help="run folder; only read")
    one.add_argument("--out", type=Path, required=True, help="folder for the event file")
    add_overwrite(one)


def _add_network(formats: Any) -> None:
    one = add_verb(
        formats,
        "network",
        export_network,
        example="brainguided export network runs/first --out winner",
    )
    one.add_argument("run", metavar="RUN", type=Path, help="run folder; only read")
    one.add_argument(
        "--out",
        type=Path,
        required=True,
        help="folder: Python file and weights, safetensors, a program of torch.export",
    )
    one.add_argument(
        "--onnx",
        action="store_true",
        help="an ONNX file, too (needs the extra: pip install 'brainguided[onnx]')",
    )
    add_overwrite(one)


def _add_brainscore(formats: Any) -> None:
    one = add_verb(
        formats,
        "brainscore",
        export_brainscore,
        example="brainguided export brainscore runs/first --out mylab_winner",
        more="The folder goes into brainscore_vision/models; nothing of Brain-Score is needed to "
        "write it.",
    )
    one.add_argument("run", metavar="RUN", type=Path, help="run folder; only read")
    one.add_argument("--out", type=Path, required=True, help="folder of the plugin")
    one.add_argument("--identifier", help="of the model (the name of the folder)")
    one.add_argument(
        "--degrees", type=float, default=8.0, help="size of images, visual angle (%(default)g)"
    )
    add_overwrite(one)


def _add_brainio(formats: Any) -> None:
    one = add_verb(
        formats,
        "brainio",
        export_brainio,
        example="brainguided export brainio hvm.nc --stimuli hvm_images.nc --identifier "
        "dicarlo.Mine2026 \\\n      --stimulus-set dicarlo.hvm --out hvm_brainio",
    )
    one.add_argument("recording", type=Path, help="netCDF file of a recording")
    one.add_argument("--identifier", required=True, help="name of the assembly")
    one.add_argument("--stimulus-set", required=True, help="name of its stimulus set")
    one.add_argument("--stimuli", type=Path, help="netCDF file of its images, if they go too")
    one.add_argument("--out", type=Path, required=True, help=f"folder for {', '.join(_OF_BRAINIO)}")
    add_overwrite(one)


def export_optuna(arguments: argparse.Namespace) -> None:
    """Write a run as a study of Optuna, which optuna-dashboard shows."""
    from brainguided.reports.optuna_study import write_optuna_study

    refuse_existing(arguments, arguments.out)
    print(write_optuna_study(arguments.run, arguments.out, name=arguments.name))


def export_tensorboard(arguments: argparse.Namespace) -> None:
    """Write the numbers of every candidate of a run as events of TensorBoard."""
    from brainguided.reports.tensorboard_events import FILE_NAME, write_tensorboard_events

    refuse_existing(arguments, arguments.out / FILE_NAME)
    print(write_tensorboard_events(arguments.run, arguments.out))


def export_network(arguments: argparse.Namespace) -> None:
    """Write the winner of a run as files that others load, and check that outputs agree."""
    from brainguided.search.network_files import FILES, ONNX, TOLERANCE, write_network_files

    names = [*FILES, ONNX] if arguments.onnx else FILES
    refuse_existing(arguments, *(arguments.out / name for name in names))
    found = write_network_files(arguments.run, arguments.out, onnx=arguments.onnx)
    print(*(arguments.out / name for name in names), sep="\n")
    largest = max(found.values())
    print(f"Outputs agree: they differ by {largest:.2g} at most (allowed: {TOLERANCE:g}).")


def export_brainscore(arguments: argparse.Namespace) -> None:
    """Write the winner of a run as a model plugin of Brain-Score."""
    from brainguided.reports.brainscore_plugin import name_files, write_brainscore_plugin

    identifier = arguments.identifier or arguments.out.resolve().name
    refuse_existing(arguments, *(arguments.out / name for name in name_files(identifier)))
    written = write_brainscore_plugin(
        arguments.run,
        arguments.out,
        identifier=identifier,
        visual_degrees=arguments.degrees,
    )
    print(*written, sep="\n")


def export_brainio(arguments: argparse.Namespace) -> None:
    """Write a recording as a BrainIO assembly, and its images as a BrainIO stimulus set."""
    from neural_data import load_stimuli, open_recording, write_brainio
    from neural_data.formats import write_brainio_stimuli

    refuse_foreign(arguments.recording)
    if arguments.stimuli is not None:
        refuse_foreign(arguments.stimuli)
    assembly, table, images = (arguments.out / name for name in _OF_BRAINIO)
    refuse_existing(arguments, assembly, *([] if arguments.stimuli is None else [table, images]))
    stimuli = None if arguments.stimuli is None else load_stimuli(arguments.stimuli)
    with open_recording(arguments.recording) as recording:
        if stimuli is not None:
            _refuse_imageless(recording, stimuli)
        arguments.out.mkdir(parents=True, exist_ok=True)
        names = (arguments.identifier, arguments.stimulus_set)
        if stimuli is not None:
            print(*write_brainio_stimuli(stimuli, table, images), sep="\n")
        print(
            write_brainio(
                recording, assembly, identifier=names[0], stimulus_set_identifier=names[1]
            )
        )


def _refuse_imageless(recording: Any, stimuli: Any) -> None:
    """Refuse images that are not those of a recording."""
    from neural_data.errors import AlignmentError, format_names

    images = set(stimuli["stimulus"].values.astype(str).tolist())
    missing = [name for name in recording["stimulus"].values.astype(str).tolist()
               if name not in images]  # fmt: skip
    if missing:
        raise AlignmentError(
            f"{len(missing)} of the {recording.sizes['stimulus']} stimuli have no image: "
            f"{format_names(missing)}. Give the images that this recording was made with."
        )
