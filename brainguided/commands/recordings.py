"""The verbs of recordings: datasets, fetch, cite, inspect, select, pool, rdms."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brainguided.commands.options import add_overwrite, add_verb, refuse_existing, say, whole

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs


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
    add_overwrite(one)

    _add_select(verbs)
    _add_pool(verbs)

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


def _add_select(verbs: Any) -> None:
    one = add_verb(
        verbs,
        "select",
        select,
        example="brainguided select hvm.nc --area IT --window 70 170 --reliability 0.3 --out it.nc",
    )
    one.add_argument("recording", type=Path, help="netCDF file of a recording")
    one.add_argument("--area", action="append", help="only this area; may be repeated")
    one.add_argument("--animal", action="append", help="only this animal; may be repeated")
    one.add_argument("--area-from", help="coordinate of the sites that names areas: subregion")
    bounds: dict[str, Any] = {"type": float, "nargs": 2, "metavar": ("FROM", "TO")}
    one.add_argument("--bins", **bounds, help="keep the time bins between these, in ms")
    one.add_argument("--window", **bounds, help="average the time bins between these, in ms")
    one.add_argument(
        "--complete", action="store_true", help="only sites with a response to every stimulus"
    )
    one.add_argument(
        "--responsive",
        type=float,
        metavar="D",
        help="only sites whose response exceeds the baseline by D standard deviations (d')",
    )
    one.add_argument("--baseline", **bounds, help="for --responsive, in ms, e.g. -50 0")
    one.add_argument("--evoked", **bounds, help="for --responsive, in ms, e.g. 70 170")
    one.add_argument(
        "--reliability", type=float, metavar="R", help="only sites more reliable than this"
    )
    one.add_argument(
        "--given",
        metavar="COORDINATE",
        help="for --reliability: take what came with the sites, nothing is split",
    )
    one.add_argument("--splits", type=whole, default=100, help="for --reliability (%(default)s)")
    one.add_argument("--out", type=Path, required=True, help="netCDF file of the selection")
    add_overwrite(one)


def _add_pool(verbs: Any) -> None:
    one = add_verb(
        verbs,
        "pool",
        pool,
        example="brainguided pool monkey_a.nc monkey_b.nc --stimuli shared --out v4.nc\n"
        "  brainguided pool a_images.nc b_images.nc --out images.nc",
    )
    one.add_argument(
        "files", type=Path, nargs="+", help="netCDF files of recordings, or of stimulus sets"
    )
    one.add_argument(
        "--stimuli",
        choices=("same", "shared", "all", "apart"),
        default="same",
        help="what only some recordings have: refuse it (same), leave it out (shared), keep it "
        "with gaps (all), or keep each recording as an area of its own (apart)",
    )
    one.add_argument("--out", type=Path, required=True, help="netCDF file of all of them")
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
    refuse_existing(arguments, arguments.plot)
    for name, value in describe_file(arguments.file).items():
        first, *rest = value.splitlines() or [""]
        print(f"{name:18} {first}", *(f"{'':18} {line}" for line in rest), sep="\n")
    if arguments.plot is not None:
        _plot_summary(arguments.file, arguments.plot)


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


def select(arguments: argparse.Namespace) -> None:
    """Select sites and time windows; what was done is written into the file."""
    from neural_data import (
        average_window,
        name_areas,
        open_recording,
        save_recording,
        select_complete,
        select_recording,
        select_reliable_sites,
        select_responsive_sites,
        select_window,
    )

    refuse_existing(arguments, arguments.out)
    timed = (arguments.responsive, arguments.baseline, arguments.evoked)
    if any(a is not None for a in timed) and any(a is None for a in timed):
        raise ValueError("--responsive, --baseline and --evoked go together; give all three.")
    if arguments.given and arguments.reliability is None:
        raise ValueError(
            f"--given {arguments.given} selects nothing by itself; say above which value sites are "
            "kept, e.g. --reliability 0.3."
        )
    with open_recording(arguments.recording) as opened:
        recording = opened
        if arguments.area_from:
            recording = name_areas(recording, by=arguments.area_from)
        if arguments.area or arguments.animal:
            recording = select_recording(recording, area=arguments.area, animal=arguments.animal)
        if arguments.complete:
            recording = select_complete(recording)
        if arguments.responsive is not None:
            recording = select_responsive_sites(
                recording,
                baseline=tuple(arguments.baseline),
                window=tuple(arguments.evoked),
                above=arguments.responsive,
            )
        if arguments.bins:
            recording = select_window(recording, *arguments.bins)
        if arguments.window:
            recording = average_window(recording, *arguments.window)
        if arguments.reliability is not None:
            recording = select_reliable_sites(
                recording,
                above=arguments.reliability,
                splits=arguments.splits,
                given=arguments.given,
            )
        say(str(recording.attrs.get("history", "")))
        print(save_recording(recording, arguments.out))


def pool(arguments: argparse.Namespace) -> None:
    """Put the sites of several recordings side by side, or join their images."""
    from neural_data import (
        load_recording,
        load_stimuli,
        pool_recordings,
        pool_stimuli,
        save_recording,
        save_stimuli,
    )
    from neural_data.storage.netcdf import open_netcdf

    refuse_existing(arguments, arguments.out)
    files: list[Path] = arguments.files
    stems = [file.stem for file in files]
    names = [f.stem if stems.count(f.stem) == 1 else str(f) for f in files]
    if len(set(names)) < len(names):
        raise ValueError("A file is named twice; name each recording once.")
    images = ["image" in open_netcdf(file) for file in files]
    if any(images) and not all(images):
        raise ValueError("Some files hold images, others responses: pool each kind by itself.")
    if all(images):
        sets = {name: load_stimuli(file) for name, file in zip(names, files, strict=True)}
        print(save_stimuli(pool_stimuli(sets), arguments.out))
        return
    recordings = {name: load_recording(file) for name, file in zip(names, files, strict=True)}
    pooled = pool_recordings(recordings, stimuli=arguments.stimuli)
    say(str(pooled.attrs.get("history", "")))
    print(save_recording(pooled, arguments.out))


def rdms(arguments: argparse.Namespace) -> None:
    """Draw the RDM of every area, and save the dissimilarities if asked for."""
    import matplotlib

    refuse_existing(arguments, arguments.out, arguments.save)
    matplotlib.use("Agg")
    from brainguided.plot import plot_rdms
    from brainguided.rdms.compute import dissimilarities_from_rdms
    from neural_data import save_dissimilarities

    computed = _load_rdms(arguments.recording, arguments.area, arguments.by, arguments.zscore)
    figure = plot_rdms(computed)[0].figure
    figure.savefig(arguments.out, dpi=200)
    print(arguments.out)
    if arguments.save:
        print(save_dissimilarities(dissimilarities_from_rdms(computed), arguments.save))


def _load_rdms(path: Path, areas: list[str] | None, by: str, zscore: bool) -> RDMs:
    """Return the RDMs of a recording, or those of a file of dissimilarities as they are."""
    from brainguided.rdms.compute import compute_rdms, rdms_from_dissimilarities
    from neural_data import load_recording, select_recording
    from neural_data.storage.netcdf import open_netcdf

    if (
        "dissimilarity" in (data := open_netcdf(path))
        and areas is None
        and by == "stimulus"
        and not zscore
    ):
        return rdms_from_dissimilarities(data)
    if "image" in data:
        raise ValueError(
            f"{path} holds images, which have no RDM of their own: give the recording of the "
            "responses to them."
        )
    recording = select_recording(load_recording(path), area=areas)
    return compute_rdms(recording, by=by, zscore=zscore)


def format_table(rows: list[dict[str, str]]) -> str:
    """Return rows of text as a table with aligned columns."""
    columns = list(rows[0])
    width = {c: max(len(c), *(len(str(row[c])) for row in rows)) for c in columns}
    lines = [columns, *([str(row[c]) for c in columns] for row in rows)]
    return "\n".join(
        "  ".join(cell.ljust(width[c]) for c, cell in zip(columns, line, strict=True)).rstrip()
        for line in lines
    )
