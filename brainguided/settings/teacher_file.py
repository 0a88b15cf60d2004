"""Teachers described in a file: ``[[teacher]]`` tables of a run file, or of one of their own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import xarray as xr

from brainguided.guidance.controls import add_controls, replace_areas
from brainguided.guidance.similarities import SIMILARITIES
from brainguided.guidance.teacher import Teacher
from brainguided.rdms.compute import rdms_from_dissimilarities
from brainguided.rdms.measures import DEFAULT, MEASURES
from brainguided.settings._controls import check_controls, load_controls, load_parts
from brainguided.settings.toml import RunFileError, check_keys, read_toml, refuse_file
from neural_data.errors import RecordingError, format_names
from neural_data.model.areas import name_areas, split_areas
from neural_data.model.dissimilarities import load_dissimilarities
from neural_data.model.pooling import KEPT, pool_recordings, pool_stimuli
from neural_data.model.recording import load_recording
from neural_data.model.stimuli import load_stimuli
from neural_data.model.windows import average_window
from neural_data.simulation.simulate import simulate_macaque

SIMULATED_SEED = 0
KEYS = {
    "recording": "files",
    "pool": "text",
    "split": "text",
    "area_from": "text",
    "window": "window",
    "name": "text",
    "rdm": "text",
    "simulated": "truth",
    "stimuli": "files",
    "areas": "texts",
    "by": "text",
    "measure": "text",
    "zscore": "truth",
    "similarity": "text",
    "kind": "choice",
}


def load_teacher(path: str | os.PathLike[str]) -> Teacher:
    """Read a teacher file, or a whole run file, and load the recordings that it names.

    Parameters
    ----------
    path : path
        A TOML file with one table for each source of recordings; paths are relative to it::

            [[teacher]]
            recording = "v4.nc"          # or rdm = "it.nc", or simulated = true
            stimuli = "v4_images.nc"
            areas = ["V4"]               # all by default
            by = "object_name"           # "stimulus" by default
            measure = "crossnobis"       # "correlation" by default; see compute_rdms
            zscore = true                # sites, over stimuli; false by default
            name = "V4 (WE)"             # of the only area; its own by default
            area_from = "subregion"      # a coordinate of the sites that names their areas
            window = [70, 170]           # ms, of a recording with time bins: see average_window
            similarity = "cka"           # "pearson" of RDMs by default; or another comparison,
                                         # "ridge": see Teacher.with_similarity
            kind = "pixels"              # a control in the place of the areas, or with settings
                                         # {name = "sites", number = 30}: see guidance.controls

            [[teacher]]                  # several animals or sessions, see pool_recordings
            recording = ["a.nc", "b.nc"]
            stimuli = ["a_images.nc", "b_images.nc"]
            pool = "shared"              # "same" by default, or "all", "apart"
            split = "animal"             # areas of their own, of the sites of each animal

        Other tables, those of a run file, are not looked at; for ``[[control]]`` see
        `load_controlled_teacher`.

    Returns
    -------
    Teacher
        With its recordings, so that ceilings and intervals can be computed.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    RunFileError
        The file is no TOML, describes no teacher, or has unknown keys, values of a wrong type, or
        names files that are missing; every problem is listed.
    RecordingError, AlignmentError, ValueError
        The data it names are not what they should be.
    """
    path = Path(path)
    if path.is_file() and _is_netcdf(path):
        raise RunFileError(
            f"{path} holds data, a recording or the like, and is no teacher file. Name it in a "
            f"TOML file and give that: a line [[teacher]], then recording = '{path.name}' (or rdm) "
            "and stimuli = 'IMAGES.nc'."
        )
    tables = read_toml(path, "teacher file").get("teacher")
    problems: list[str] = []
    if not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables) or not tables:
        problems.append("there is no teacher: one or more tables, each begun by a line [[teacher]]")
        tables = []
    for number, entry in enumerate(tables, 1):
        check_teacher(f"[[teacher]] {number}: ", entry, path.parent, problems)
    refuse_file(path, problems)
    return join_teachers(tables, path.parent)


def load_controlled_teacher(path: str | os.PathLike[str]) -> Teacher:
    """Read a teacher file with the controls that it names, as further areas of the teacher.

    Parameters
    ----------
    path : path
        As for `load_teacher`, with any number of tables ``[[control]]``, such as
        ``kind = "categories"``; see ``guidance.controls``.

    Returns
    -------
    Teacher
        Areas, then controls, named "V4:categories" and so on.

    Raises
    ------
    FileNotFoundError, RunFileError, RecordingError, AlignmentError, ValueError
        As `load_teacher`.
    """
    teacher = load_teacher(path)
    tables = read_toml(path, "teacher file").get("control", [])
    problems: list[str] = []
    if not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
        problems.append("control: expected tables, each begun by a line [[control]]")
    else:
        check_controls(tables, Path(path).parent, problems, guided=True)
    refuse_file(path, problems)
    return add_controls(teacher, load_controls(tables, teacher, Path(path).parent))


def _is_netcdf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4).startswith((b"\x89HDF", b"CDF"))


def join_teachers(tables: list[dict[str, Any]], folder: Path) -> Teacher:
    """Load the teachers of tables that were checked, and put their areas side by side."""
    first, *others = (_load_teacher(entry, folder) for entry in tables)
    for more in others:
        first = first + more
    return first


def check_teacher(where: str, entry: dict[str, Any], folder: Path, problems: list[str]) -> None:
    """Add to `problems` what is wrong with one table."""
    problems += check_keys(where, entry, KEYS)
    kinds = [key for key in ("recording", "rdm", "simulated") if key in entry]
    if len(kinds) != 1:
        problems.append(
            f"{where}has {' and '.join(kinds) or 'no source'}; expected one of recording = "
            "'FILE', rdm = 'FILE', simulated = true"
        )
    if entry.get("simulated") is False:
        problems.append(f"{where}simulated is false; leave the whole table out instead")
    if entry.get("simulated") and "stimuli" in entry:
        problems.append(f"{where}stimuli are given, but the simulated teacher has its own")
    if kinds in (["recording"], ["rdm"]) and "stimuli" not in entry:
        problems.append(f"{where}stimuli is missing: the file of the images that were shown")
    if isinstance(measure := entry.get("measure"), str):
        if measure not in MEASURES:
            known = ", ".join(map(repr, MEASURES))
            problems.append(f"{where}measure is {measure!r}; it is one of {known}")
        if "rdm" in entry:
            problems.append(f"{where}measure is given, but an RDM was made by its own already")
    if isinstance(named := entry.get("similarity"), str):
        if named not in SIMILARITIES:
            known = ", ".join(map(repr, SIMILARITIES))
            problems.append(f"{where}similarity is {named!r}; it is one of {known}")
        elif "rdm" in entry and SIMILARITIES[named].target != "rdm":
            problems.append(f"{where}similarity {named!r} needs responses, not an RDM alone")
    problems += _check_kind(where, entry.get("kind"), folder)
    if "zscore" in entry and "rdm" in entry:
        problems.append(f"{where}zscore is given, but an RDM has no sites any more")
    if isinstance(pool := entry.get("pool"), str) and pool not in KEPT:
        problems.append(f"{where}pool is {pool!r}; it is one of {', '.join(map(repr, KEPT))}")
    if "pool" in entry and len(_list_files(entry.get("recording", ""))) < 2:
        problems.append(f"{where}pool is given, but no list of several recordings")
    if "split" in entry and "recording" not in entry:
        problems.append(f"{where}split is given, but only sites of a recording can be split")
    if "area_from" in entry and "recording" not in entry:
        problems.append(f"{where}area_from is given, but only a recording has sites")
    if "window" in entry and "recording" not in entry:
        problems.append(f"{where}window is given, but only a recording has time bins")
    for key in ("recording", "rdm", "stimuli"):
        files = _list_files(entry.get(key, []))
        if len(set(files)) < len(files):
            problems.append(f"{where}{key} names a file twice")
        for file in files:
            if not (folder / file).is_file():
                problems.append(f"{where}{key}: {folder / file} does not exist")


def _list_files(value: Any) -> list[str]:
    listed = value if isinstance(value, list) else [value]
    return [file for file in listed if isinstance(file, str)]


def _read_kind(kind: Any) -> dict[str, Any]:
    """Return the kind of control that takes the place of the areas as a table [[control]]."""
    if not isinstance(kind, dict):
        return {"kind": kind}
    return {"kind": kind.get("name"), **{k: v for k, v in kind.items() if k != "name"}}


def _check_kind(where: str, kind: Any, folder: Path) -> list[str]:
    if not isinstance(kind, str | dict):
        return []
    problems: list[str] = []
    table = _read_kind(kind)
    check_controls([table], folder, problems, guided=True)
    problems += [f"{key} is no setting of a teacher" for key in ("area", "match") if key in table]
    return [where + problem.replace("[[control]] 1: ", "kind: ") for problem in problems]


def _load_teacher(entry: dict[str, Any], folder: Path) -> Teacher:
    teacher = _load_areas(entry, folder)
    if "similarity" in entry:
        teacher = teacher.with_similarity(entry["similarity"])
    if "kind" in entry:
        table = load_parts(_read_kind(entry["kind"]), folder)
        kind = table.pop("kind")
        teacher = replace_areas(teacher, kind, table)
    if "name" not in entry:
        return teacher
    if len(teacher.areas) > 1:
        raise RecordingError(
            f"name = {entry['name']!r} is for one area, but there are "
            f"{format_names(teacher.areas)}: choose one with areas = [...]."
        )
    return teacher.rename({teacher.areas[0]: entry["name"]})


def _load_areas(entry: dict[str, Any], folder: Path) -> Teacher:
    areas, by = entry.get("areas"), entry.get("by", "stimulus")
    measure, zscore = entry.get("measure", DEFAULT.name), entry.get("zscore", False)
    settings = {"areas": areas, "by": by, "measure": measure, "zscore": zscore}
    if "simulated" in entry:
        recording, stimuli = simulate_macaque(seed=SIMULATED_SEED)
        return Teacher.from_recording(recording, stimuli, **settings)
    files = _list_files(entry["stimuli"])
    sets = {_name_file(file, files): load_stimuli(folder / file) for file in files}
    stimuli = pool_stimuli(sets) if len(sets) > 1 else next(iter(sets.values()))
    if "recording" in entry:
        files = _list_files(entry["recording"])
        loaded = {_name_file(file, files): load_recording(folder / file) for file in files}
        recording = next(iter(loaded.values()))
        if len(loaded) > 1:
            recording = _pool(loaded, entry.get("pool", "same"))
            names = recording["stimulus"].values.tolist()
            stimuli = stimuli.sel(stimulus=[n for n in stimuli["stimulus"].values if n in names])
        if "window" in entry:
            recording = average_window(recording, *entry["window"])
        if "area_from" in entry:
            recording = name_areas(recording, by=entry["area_from"])
        if "split" in entry:
            recording = split_areas(recording, by=entry["split"])
        return Teacher.from_recording(recording, stimuli, **settings)
    dissimilarities = load_dissimilarities(folder / entry["rdm"])
    if areas is not None:
        dissimilarities = _select_areas(dissimilarities, areas, entry["rdm"])
    return Teacher.from_rdms(rdms_from_dissimilarities(dissimilarities), stimuli, by=by)


def _pool(loaded: dict[str, xr.Dataset], pool: Any) -> xr.Dataset:
    """Pool recordings; what is refused is said in the words of a table, whose key is `pool`."""
    try:
        return pool_recordings(loaded, stimuli=pool)
    except RecordingError as cause:
        raise RecordingError(str(cause).replace("stimuli='", "pool = '")) from cause


def _name_file(file: str, files: list[str]) -> str:
    """Return the name of a file without folder and ending, or all of it if two share that."""
    stems = [Path(one).stem for one in files]
    return Path(file).stem if stems.count(Path(file).stem) == 1 else file


def _select_areas(dissimilarities: xr.Dataset, areas: list[str], name: str) -> xr.Dataset:
    known = dissimilarities["area"].values.astype(str).tolist()
    missing = [area for area in areas if area not in known]
    if missing:
        raise RecordingError(
            f"{name} has no area {format_names(missing)}; there are {format_names(known)}."
        )
    return dissimilarities.isel(area=[known.index(area) for area in areas])
