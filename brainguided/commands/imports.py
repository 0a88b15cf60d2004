"""Turning data of other formats into netCDF files of ours, and the way back: import, export."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from brainguided.commands.options import add_out, add_verb, whole


def add_verbs(verbs: Any) -> None:
    """Add the verbs of this module to the command line."""
    cowley = (
        "brainguided import cowley2023 data/ --session 201025 --out v4.nc --stimuli-out images.nc"
    )
    one = add_verb(
        verbs,
        "import",
        None,
        example=cowley,
        about="Turn data of a foreign format into netCDF files.",
    )
    formats = one.add_subparsers(metavar="FORMAT", required=True)
    _add_labs(formats)

    one = add_verb(
        formats,
        "brainio",
        import_brainio,
        example="brainguided import brainio assy_dicarlo_MajajHong2015_public.nc \\\n"
        "      --table stimulus_hvm-public.csv --out hvm.nc",
    )
    one.add_argument("file", type=Path, help="netCDF assembly, of any BrainIO version")
    one.add_argument("--table", type=Path, help="the stimulus set's .csv, joined by stimulus")
    one.add_argument("--area", help="of all sites, where the file names none")
    one.add_argument("--units", help="of the responses, e.g. spikes/s")
    add_out(one, "recording")

    one = add_verb(
        formats,
        "nwb",
        import_nwb,
        example="brainguided import nwb session.nwb --bins 70 170 --out it.nc",
    )
    one.add_argument("file", type=Path, help="NWB file with units and a table of presentations")
    one.add_argument(
        "--bins",
        type=float,
        nargs="+",
        required=True,
        metavar="MS",
        help="edges in ms after onset: two are one window, more are time bins",
    )
    one.add_argument("--stimulus-column", help="of the presentations; found if it is obvious")
    one.add_argument("--area", help="of all units, where the electrodes name none")
    add_out(one, "recording")

    one = add_verb(formats, "cowley2023", import_cowley2023, example=cowley)
    one.add_argument("folder", type=Path, help="holds responses_SESSION.npy, images_SESSION.zip")
    one.add_argument("--session", required=True, help="six digits, e.g. 201025")
    one.add_argument("--per-repetition", action="store_true", help="keep every repetition")
    add_out(one, "recording", stimuli=True)

    one = add_verb(
        formats,
        "kriegeskorte2008",
        import_kriegeskorte2008,
        example="brainguided import kriegeskorte2008 data/ --out it.nc --stimuli-out it_images.nc",
    )
    one.add_argument("folder", type=Path, help="holds the supplementary .mat file")
    one.add_argument("--species", choices=("monkey", "human"), default="monkey")
    add_out(one, "dissimilarities", stimuli=True)

    one = add_verb(
        verbs,
        "export",
        export_brainio,
        example="brainguided export hvm.nc --identifier dicarlo.Mine2026 "
        "--stimulus-set dicarlo.hvm --out assy.nc",
        about="Write a recording as a BrainIO assembly.",
    )
    one.add_argument("recording", type=Path, help="netCDF file of a recording")
    one.add_argument("--identifier", required=True, help="name of the assembly")
    one.add_argument("--stimulus-set", required=True, help="name of its stimulus set")
    one.add_argument("--out", type=Path, required=True, help="netCDF file in BrainIO's form")


def _add_labs(formats: Any) -> None:
    """Add what labs keep by themselves: arrays and images."""
    one = add_verb(
        formats,
        "arrays",
        import_arrays,
        example="brainguided import arrays responses.npy --stimuli stimuli.csv --sites sites.txt \\"
        "\n      --area IT --units spikes/s --source 'our lab, monkey M' --out it.nc",
    )
    one.add_argument(
        "responses", type=Path, help=".npy: (stimulus, site) or (stimulus, repetition, site)"
    )
    names = "one name a line, or a .csv with a column '{0}'; other columns are kept"
    one.add_argument("--stimuli", type=Path, required=True, help=names.format("stimulus"))
    one.add_argument("--sites", type=Path, required=True, help=names.format("site"))
    one.add_argument("--area", help="of all sites; or a column 'area' in the table of sites")
    one.add_argument("--units", required=True, help="e.g. spikes/s")
    one.add_argument("--source", required=True, help="where the data come from")
    add_out(one, "recording")

    one = add_verb(
        formats,
        "described",
        import_described,
        example="brainguided import described recording.toml --out it.nc",
    )
    one.add_argument(
        "description", type=Path, metavar="FILE.toml", help="names the files, their axes, the area"
    )
    add_out(one, "recording")

    one = add_verb(
        formats,
        "images",
        import_images,
        example="brainguided import images images.zip --table stimuli.csv --size 64 "
        "--source 'our lab' --out images.nc",
    )
    one.add_argument("images", type=Path, help="folder or .zip")
    one.add_argument("--table", type=Path, help=".csv with a column 'stimulus', maybe 'filename'")
    one.add_argument("--size", type=whole, help="scale to this many pixels, square")
    one.add_argument("--source", required=True, help="where the images come from")
    add_out(one, "stimulus set")


def import_brainio(arguments: argparse.Namespace) -> None:
    """Import a BrainIO assembly, as Brain-Score distributes recordings."""
    from neural_data import open_brainio, save_recording

    recording = open_brainio(
        arguments.file, stimuli=arguments.table, area=arguments.area, units=arguments.units
    )
    print(save_recording(recording, arguments.out))


def import_nwb(arguments: argparse.Namespace) -> None:
    """Import the units and presentations of an NWB file."""
    from neural_data import read_nwb, save_recording

    keys = ("bins", "stimulus_column", "area")
    recording = read_nwb(arguments.file, **{key: getattr(arguments, key) for key in keys})
    print(save_recording(recording, arguments.out))


def import_cowley2023(arguments: argparse.Namespace) -> None:
    """Import V4 responses and images of Cowley et al. 2023."""
    from neural_data import read_cowley2023, save_recording, save_stimuli

    recording, stimuli = read_cowley2023(
        arguments.folder, arguments.session, per_repetition=arguments.per_repetition
    )
    print(save_recording(recording, arguments.out))
    print(save_stimuli(stimuli, arguments.stimuli_out))


def import_kriegeskorte2008(arguments: argparse.Namespace) -> None:
    """Import the IT dissimilarities of 92 images of Kriegeskorte et al. 2008."""
    from neural_data import read_kriegeskorte2008, save_dissimilarities, save_stimuli

    dissimilarities, stimuli = read_kriegeskorte2008(arguments.folder, species=arguments.species)
    print(save_dissimilarities(dissimilarities, arguments.out))
    print(save_stimuli(stimuli, arguments.stimuli_out))


def import_arrays(arguments: argparse.Namespace) -> None:
    """Import a .npy array of responses with lists of stimulus and site names."""
    from neural_data import read_arrays, save_recording

    keys = ("stimuli", "sites", "area", "units", "source")
    recording = read_arrays(arguments.responses, **{key: getattr(arguments, key) for key in keys})
    print(save_recording(recording, arguments.out))


def import_described(arguments: argparse.Namespace) -> None:
    """Import arrays or tables (.npy, .npz, .mat, .csv) that a small TOML file describes."""
    from neural_data import read_described, save_recording

    print(save_recording(read_described(arguments.description), arguments.out))


def import_images(arguments: argparse.Namespace) -> None:
    """Import a folder or zip of images as a stimulus set."""
    from neural_data import read_stimuli, save_stimuli

    keys = ("table", "size", "source")
    stimuli = read_stimuli(arguments.images, **{key: getattr(arguments, key) for key in keys})
    print(save_stimuli(stimuli, arguments.out))


def export_brainio(arguments: argparse.Namespace) -> None:
    """Write a recording as a BrainIO assembly."""
    from neural_data import open_recording, write_brainio

    with open_recording(arguments.recording) as recording:
        print(
            write_brainio(
                recording,
                arguments.out,
                identifier=arguments.identifier,
                stimulus_set_identifier=arguments.stimulus_set,
            )
        )
