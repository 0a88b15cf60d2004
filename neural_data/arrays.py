"""Reading a recording that a lab keeps as a numpy array and lists of names."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import xarray as xr

from neural_data.errors import RecordingError
from neural_data.recording import recording_from_arrays, validate_recording
from neural_data.tables import read_table


def read_arrays(
    responses: str | os.PathLike[str],
    *,
    stimuli: str | os.PathLike[str],
    sites: str | os.PathLike[str],
    units: str,
    source: str,
    area: str | None = None,
) -> xr.Dataset:
    """Read a recording from a .npy array and the names of its rows and columns.

    Parameters
    ----------
    responses : path
        A .npy file of numbers, (stimulus, site) or (stimulus, repetition, site); NaN where a
        repetition was not shown.
    stimuli, sites : path
        Names in the order of the array: a text file with one name a line, or a .csv with a
        column ``stimulus`` (or ``site``), whose other columns become coordinates, e.g.
        ``object_name`` and ``category`` of the stimuli, ``area`` and ``animal`` of the sites.
    units : str
        Such as "spikes/s".
    source : str
        Where the data come from: lab, paper, file.
    area : str, optional
        The area of all sites; otherwise the sites' table has a column ``area``.

    Returns
    -------
    xarray.Dataset
        A recording, see :func:`neural_data.validate_recording`.

    Raises
    ------
    FileNotFoundError
        A file is missing.
    RecordingError
        A file cannot be read, the names do not fit the array, or the area is not known.
    """
    path = Path(responses)
    if not path.is_file():
        raise FileNotFoundError(f"There is no array {path}. Check the path.")
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as cause:
        raise RecordingError(
            f"{path} cannot be read as an array of numbers ({cause}). Save it with "
            "numpy.save(path, array)."
        ) from cause
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iuf":
        kind = getattr(values, "dtype", "an archive of several arrays")
        raise RecordingError(
            f"{path} holds {kind}; expected one array of numbers, saved with numpy.save."
        )
    rows, columns = _read_names(Path(stimuli), "stimulus"), _read_names(Path(sites), "site")
    if area is None and "area" not in columns:
        raise RecordingError(
            f"The area of the sites is not known: name it, e.g. 'IT', or give {sites} as a .csv "
            "with the columns site and area."
        )
    if area is not None and "area" in columns:
        raise RecordingError(
            f"The area is given as {area!r} and {sites} has a column 'area' as well; give one."
        )
    recording = recording_from_arrays(
        values,
        stimulus=rows.pop("stimulus").tolist(),
        site=columns.pop("site").tolist(),
        area=columns.pop("area").astype(str).tolist() if area is None else area,
        units=units,
        source=source,
    )
    coords = {name: ("stimulus", values) for name, values in rows.items()}
    coords |= {name: ("site", values) for name, values in columns.items()}
    return validate_recording(recording.assign_coords(coords), name=path.name)


def _read_names(path: Path, key: str) -> dict[str, np.ndarray]:
    """Return the names, under `key`, and the other columns if the file is a table."""
    if path.suffix.lower() == ".csv":
        return read_table(path, key=key, aliases=[key])
    if not path.is_file():
        raise FileNotFoundError(f"There is no list of names {path}. Check the path.")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as cause:
        raise RecordingError(f"{path} is not UTF-8 text: {cause}.") from cause
    return {key: np.array([line.strip() for line in lines if line.strip()], dtype=str)}
