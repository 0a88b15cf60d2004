"""The verbs that choose and join sites: select, pool."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brainguided.commands.options import (
    add_overwrite,
    add_verb,
    refuse_existing,
    refuse_foreign,
    say,
    whole,
)
from neural_data.storage.text_files import read_text

if TYPE_CHECKING:
    import xarray as xr


def add_verbs(verbs: Any) -> None:
    """Add the verbs of this module to the command line."""
    _add_select(verbs)
    _add_pool(verbs)


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
    for dim in ("sites", "stimuli"):
        names: dict[str, Any] = {"type": Path, "metavar": "NAMES.txt"}
        one.add_argument(f"--{dim}", **names, help=f"only these {dim}: a file of one name a line")
    one.add_argument(
        "--drop", action="append", metavar="COORDINATE", help="leave out; may be repeated"
    )
    one.add_argument("--area-from", help="coordinate of the sites that names areas: subregion")
    bounds: dict[str, Any] = {"type": float, "nargs": 2, "metavar": ("FROM", "TO")}
    one.add_argument("--bins", **bounds, help="keep the time bins between these, in ms")
    one.add_argument("--window", **bounds, help="average the time bins between these, in ms")
    which = one.add_mutually_exclusive_group()
    which.add_argument(
        "--complete", action="store_true", help="only sites with a response to every stimulus"
    )
    which.add_argument(
        "--shared", action="store_true", help="only stimuli to which every site has a response"
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
    one.add_argument(
        "--animals", nargs="+", metavar="NAME", help="of each recording, where the files name none"
    )
    one.add_argument("--out", type=Path, required=True, help="netCDF file of all of them")
    add_overwrite(one)


def select(arguments: argparse.Namespace) -> None:
    """Select sites and time windows; what was done is written into the file."""
    from neural_data import (
        average_window,
        open_recording,
        save_recording,
        select_complete,
        select_reliable_sites,
        select_responsive_sites,
        select_window,
    )

    refuse_foreign(arguments.recording)
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
        recording = _choose_sites(opened, arguments)
        if arguments.complete or arguments.shared:
            recording = select_complete(recording, keep="sites" if arguments.shared else "stimuli")
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


def _choose_sites(recording: xr.Dataset, arguments: argparse.Namespace) -> xr.Dataset:
    """Take the sites and stimuli that are named; stimuli that none of these saw are left out."""
    from neural_data import name_areas, select_recording, select_shown

    if arguments.area_from:
        recording = name_areas(recording, by=arguments.area_from)
    absent = [name for name in arguments.drop or [] if name not in recording.coords]
    kept = [name for name in arguments.drop or [] if name in ("stimulus", "site", "area")]
    if absent or kept:
        known = ", ".join(map(str, recording.coords))
        raise ValueError(f"--drop {' '.join(absent + kept)}: expected some of {known}.")
    recording = recording.drop_vars(arguments.drop or [])
    chosen = {
        "area": arguments.area,
        "animal": arguments.animal,
        "site": _read_names(arguments.sites),
        "stimulus": _read_names(arguments.stimuli),
    }
    if all(names is None for names in chosen.values()):
        return recording
    recording = select_recording(recording, **chosen)
    return recording if arguments.shared else select_shown(recording)


def _read_names(path: Path | None) -> list[str] | None:
    """Read one name a line."""
    if path is None:
        return None
    if not path.is_file():
        raise FileNotFoundError(f"There is no list of names {path}. Check the path.")
    return [line.strip() for line in read_text(path).splitlines() if line.strip()]


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

    refuse_foreign(*arguments.files)
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
    if arguments.animals:
        recordings = _name_animals(recordings, arguments.animals)
    pooled = pool_recordings(recordings, stimuli=arguments.stimuli)
    say(str(pooled.attrs.get("history", "")))
    print(save_recording(pooled, arguments.out))


def _name_animals(recordings: dict[str, xr.Dataset], animals: list[str]) -> dict[str, xr.Dataset]:
    """Give each recording its animal, unless it names one itself."""
    known = [name for name, one in recordings.items() if "animal" in one.coords]
    if len(animals) != len(recordings) or known:
        raise ValueError(
            f"--animals names {len(animals)} animals for {len(recordings)} recordings, of which "
            f"{len(known)} name their animals themselves ({', '.join(known) or 'none'}); expected "
            "one for each, in the order of the files, and none known."
        )
    return {
        name: one.assign_coords(animal=("site", [animal] * one.sizes["site"]))
        for (name, one), animal in zip(recordings.items(), animals, strict=True)
    }
