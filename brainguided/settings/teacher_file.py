"""Teachers described in a file: ``[[teacher]]`` tables of a run file, or of one of their own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import xarray as xr

from brainguided.guidance.teacher import Teacher
from brainguided.rdms.compute import rdms_from_dissimilarities
from brainguided.rdms.measures import DEFAULT, MEASURES
from brainguided.settings.toml import check_keys, read_toml, refuse_file
from neural_data.errors import RecordingError, format_names
from neural_data.model.dissimilarities import load_dissimilarities
from neural_data.model.recording import load_recording
from neural_data.model.stimuli import load_stimuli
from neural_data.simulation.simulate import simulate_macaque

SIMULATED_SEED = 0
KEYS = {
    "recording": "text",
    "rdm": "text",
    "simulated": "truth",
    "stimuli": "text",
    "areas": "texts",
    "by": "text",
    "measure": "text",
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

        Other tables, those of a run file, are not looked at.

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
    tables = read_toml(path, "teacher file").get("teacher")
    problems: list[str] = []
    if not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables) or not tables:
        problems.append("there is no teacher: one or more tables, each begun by a line [[teacher]]")
        tables = []
    for number, entry in enumerate(tables, 1):
        check_teacher(f"[[teacher]] {number}: ", entry, path.parent, problems)
    refuse_file(path, problems)
    return join_teachers(tables, path.parent)


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
    for key in ("recording", "rdm", "stimuli"):
        if isinstance(entry.get(key), str) and not (folder / entry[key]).is_file():
            problems.append(f"{where}{key}: {folder / entry[key]} does not exist")


def _load_teacher(entry: dict[str, Any], folder: Path) -> Teacher:
    areas, by = entry.get("areas"), entry.get("by", "stimulus")
    measure = entry.get("measure", DEFAULT.name)
    if "simulated" in entry:
        recording, stimuli = simulate_macaque(seed=SIMULATED_SEED)
        return Teacher.from_recording(recording, stimuli, areas=areas, by=by, measure=measure)
    stimuli = load_stimuli(folder / entry["stimuli"])
    if "recording" in entry:
        recording = load_recording(folder / entry["recording"])
        return Teacher.from_recording(recording, stimuli, areas=areas, by=by, measure=measure)
    dissimilarities = load_dissimilarities(folder / entry["rdm"])
    if areas is not None:
        dissimilarities = _select_areas(dissimilarities, areas, entry["rdm"])
    return Teacher.from_rdms(rdms_from_dissimilarities(dissimilarities), stimuli, by=by)


def _select_areas(dissimilarities: xr.Dataset, areas: list[str], name: str) -> xr.Dataset:
    known = dissimilarities["area"].values.astype(str).tolist()
    missing = [area for area in areas if area not in known]
    if missing:
        raise RecordingError(
            f"{name} has no area {format_names(missing)}; there are {format_names(known)}."
        )
    return dissimilarities.isel(area=[known.index(area) for area in areas])
