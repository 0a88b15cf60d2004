"""The verbs of recordings: datasets, fetch, cite, inspect, rdms."""

from __future__ import annotations

import argparse
import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brainguided.commands.options import (
    add_overwrite,
    add_verb,
    check_figure,
    refuse_existing,
    refuse_foreign,
    say,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rsatoolbox.rdm import RDMs


_OF_RUN = ("run", "journal", "winner")  # files of a run folder, without their endings


def add_verbs(verbs: Any) -> None:
    """Add the verbs of this module to the command line."""
    add_verb(verbs, "datasets", datasets, example="brainguided datasets")

    one = add_verb(
        verbs,
        "fetch",
        fetch,
        example="brainguided fetch MajajHong2015.public --to hvm\n"
        "  brainguided fetch cowley2023 --session 201025 --from /mnt/mirror --to v4",
    )
    one.add_argument("name", help="a name that 'brainguided datasets' lists")
    one.add_argument("--to", type=Path, help="folder, made if need be (default: the name)")
    one.add_argument("--from", dest="mirror", help="a folder or http(s) address with the files")
    one.add_argument("--session", action="append", help="only files of it; may be repeated")
    one.add_argument(
        "--unverified", action="store_true", help="also files without a published checksum"
    )

    one = add_verb(verbs, "cite", cite, example="brainguided cite MajajHong2015.public")
    one.add_argument("name", help="a name that 'brainguided datasets' lists")

    one = add_verb(
        verbs,
        "inspect",
        inspect,
        example="brainguided inspect v4.nc --plot v4.png\n"
        "  brainguided inspect rates.mat --toml > rates.toml",
    )
    one.add_argument("file", type=Path, help="file or folder of any format that is read here")
    which = one.add_mutually_exclusive_group()
    which.add_argument("--plot", type=Path, help="figure of a recording: .png, .pdf or .svg")
    which.add_argument(
        "--toml",
        action="store_true",
        help="propose how arrays or a table may be described for 'import described'",
    )
    which.add_argument("--json", action="store_true", help="print it as JSON")
    add_overwrite(one)

    one = add_verb(
        verbs, "rdms", rdms, example="brainguided rdms v4.nc --by object_name --out rdms.png"
    )
    one.add_argument(
        "recording", type=Path, help="netCDF file of a recording, or of dissimilarities"
    )
    one.add_argument("--area", action="append", help="only this area; may be repeated")
    one.add_argument("--by", default="stimulus", help="what is one condition, e.g. object_name")
    one.add_argument(
        "--zscore", action="store_true", help="bring sites to mean 0 and SD 1 over stimuli first"
    )
    one.add_argument("--out", type=Path, required=True, help="figure: .png, .pdf or .svg")
    one.add_argument("--save", type=Path, help="netCDF file for the dissimilarities")
    add_overwrite(one)


def datasets(arguments: argparse.Namespace) -> None:
    """List the public recordings that can be fetched."""
    from neural_data import describe_datasets

    print(format_table(describe_datasets()))


def fetch(arguments: argparse.Namespace) -> None:
    """Download a public recording, with every file's checksum verified."""
    from neural_data import fetch_dataset

    for path in fetch_dataset(
        arguments.name,
        to=arguments.to,
        mirror=arguments.mirror,
        files=arguments.session,
        unverified=arguments.unverified,
    ):
        print(path)


def cite(arguments: argparse.Namespace) -> None:
    """Print the BibTeX of a public recording."""
    from neural_data.catalog.entries import cite as cite_dataset

    print(cite_dataset(arguments.name))


def inspect(arguments: argparse.Namespace) -> None:
    """Print what a file holds: a recording, a stimulus set, or dissimilarities."""
    from neural_data import describe_file, propose_description

    if arguments.toml:
        print(propose_description(arguments.file), end="")
        return
    check_figure(arguments.plot)
    refuse_existing(arguments, arguments.plot)
    _refuse_run(arguments.file)
    facts = describe_file(arguments.file)
    if arguments.json:
        print(json.dumps(facts))
        facts = {}
    for name, value in facts.items():
        first, *rest = value.splitlines() or [""]
        print(f"{name:18} {first}", *(f"{'':18} {line}" for line in rest), sep="\n")
    if arguments.plot is not None:
        _plot_summary(arguments.file, arguments.plot)


def _refuse_run(path: Path) -> None:
    """Say which verbs are for a search, where a file or folder is of one."""
    from brainguided.journal.journal import FILE_NAME
    from neural_data.storage.netcdf import open_netcdf

    folder = path if path.is_dir() else path.parent
    of_run = (folder / FILE_NAME).is_file() and (path.is_dir() or path.stem in _OF_RUN)
    if not of_run and path.suffix == ".nc" and path.is_file():
        with suppress(ValueError, OSError), open_netcdf(path) as data:
            of_run = data.attrs.get("source") == "brainguided search"
            folder = Path("FOLDER") if of_run else folder
    if of_run:
        raise ValueError(
            f"{path} is of a search, not a recording: 'brainguided status {folder}' says how far "
            f"it is, 'brainguided report {folder}' writes its page, and in Python "
            "xarray.open_dataset opens run.nc."
        )


def _plot_summary(file: Path, out: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from brainguided.plot import plot_recording_summary
    from neural_data import open_source

    kind, data = open_source(file)
    with data:
        if kind != "recording":
            raise ValueError(
                f"--plot draws recordings, and {file} holds {kind}; see 'brainguided rdms'."
            )
        plot_recording_summary(data).savefig(out, dpi=200)
    print(f"{'figure':18} {out}")


def rdms(arguments: argparse.Namespace) -> None:
    """Draw the RDM of every area, and save the dissimilarities if asked for."""
    import matplotlib

    refuse_foreign(arguments.recording)
    check_figure(arguments.out)
    refuse_existing(arguments, arguments.out, arguments.save)
    matplotlib.use("Agg")
    from brainguided.rdms.compute import dissimilarities_from_rdms
    from neural_data import save_dissimilarities

    computed = _load_rdms(
        arguments.recording,
        arguments.area,
        arguments.by,
        zscore=arguments.zscore,
        save=arguments.save is not None,
    )
    if arguments.save and len(computed) > 1:
        areas = "; ".join(", ".join(one.rdm_descriptors["area"]) for one in computed)
        raise ValueError(
            f"--save writes RDMs of the same stimuli, and the areas were shown different ones "
            f"({areas}): save each with --area."
        )
    _draw_rdms(computed).savefig(arguments.out, dpi=200)
    print(arguments.out)
    if arguments.save:
        print(save_dissimilarities(dissimilarities_from_rdms(computed[0]), arguments.save))


def _draw_rdms(computed: list[RDMs]) -> Figure:
    """Draw RDMs in one figure, those of different stimuli beside each other."""
    from matplotlib import pyplot as plt

    from brainguided.plot import plot_rdms

    if len(computed) == 1:
        figure: Figure = plot_rdms(computed[0])[0].figure
        return figure
    number = sum(one.n_rdm for one in computed)
    figure, axes = plt.subplots(1, number, figsize=(3.4 * number, 3.4), layout="constrained")
    start = 0
    for one in computed:
        plot_rdms(one, axes=axes[start : start + one.n_rdm])
        start += one.n_rdm
    return figure


def _load_rdms(
    path: Path, areas: list[str] | None, by: str, *, zscore: bool, save: bool
) -> list[RDMs]:
    """Return the RDMs of a recording, of each set of stimuli, or those of dissimilarities."""
    from brainguided.rdms.compute import compute_rdms, condition_index, rdms_from_dissimilarities
    from brainguided.rdms.memory import say_room
    from neural_data import group_areas, load_dissimilarities, load_recording
    from neural_data.storage.netcdf import open_netcdf

    data = open_netcdf(path)
    if "dissimilarity" in data:
        if by != "stimulus" or zscore:
            raise ValueError(
                f"{path} holds dissimilarities, which have neither sites to z-score nor responses "
                "to average: leave out --by and --zscore, or give the recording."
            )
        data = load_dissimilarities(path)
        known = data["area"].values.astype(str).tolist()
        unknown = [area for area in areas or [] if area not in known]
        if unknown:
            raise ValueError(f"{path} has no area {', '.join(unknown)}; it has {', '.join(known)}.")
        return [rdms_from_dissimilarities(data.sel(area=areas or known))]
    if "image" in data:
        raise ValueError(
            f"{path} holds images, which have no RDM of their own: give the recording of the "
            "responses to them."
        )
    parts = group_areas(load_recording(path), areas)
    for part in parts:
        n_areas, bins = len(set(part["area"].values.tolist())), part.sizes.get("time_bin", 1)
        conditions = len(condition_index(part, by)[1])
        if said := say_room(n_areas * bins, conditions, save=save):
            say(said)
    return [compute_rdms(part, by=by, zscore=zscore) for part in parts]


def format_table(rows: list[dict[str, str]]) -> str:
    """Return rows of text as a table with aligned columns."""
    columns = list(rows[0])
    width = {c: max(len(c), *(len(str(row[c])) for row in rows)) for c in columns}
    lines = [columns, *([str(row[c]) for c in columns] for row in rows)]
    return "\n".join(
        "  ".join(cell.ljust(width[c]) for c, cell in zip(columns, line, strict=True)).rstrip()
        for line in lines
    )
