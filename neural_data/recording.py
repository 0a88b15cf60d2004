"""The recording: responses of sites to repeated showings of stimuli, its schema and its file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neural_data.errors import RecordingError, format_names, raise_problems
from neural_data.netcdf import open_netcdf, write_netcdf
from neural_data.schema import (
    DIMS,
    as_labels,
    check_labels,
    check_response,
    check_savable,
    check_source,
    check_time,
    describe_wrong_dims,
)

__all__ = [
    "average_repetitions",
    "load_recording",
    "open_netcdf",
    "recording_from_arrays",
    "save_recording",
    "select_recording",
    "validate_recording",
    "write_netcdf",
]

SITE_COORDS = ("animal", "subregion", "array", "hemisphere")
STIMULUS_COORDS = ("object_name", "category", "variation")


def validate_recording(recording: xr.Dataset, *, name: str = "recording") -> xr.Dataset:
    """Return the recording itself if it follows the schema; otherwise say all that is wrong.

    A recording is a Dataset with the variable ``response (stimulus, repetition, site[,
    time_bin])``. One NaN stands for a repetition that was not shown, and is then NaN at every
    site and in every time bin; every stimulus was shown at least once.

    Parameters
    ----------
    recording : xarray.Dataset
        ``response`` : float, ``attrs["units"]`` such as "spikes/s". Coordinates: ``stimulus``
        and ``site``, unique text; ``area (site)``; where known ``animal``, ``subregion``,
        ``array``, ``hemisphere`` (site), ``object_name``, ``category``, ``variation``
        (stimulus), ``time_bin_start`` and ``time_bin_end`` (time_bin, in ms). The Dataset has
        ``attrs["source"]``, where the data come from.
    name : str
        What to call the recording in the message, for instance its file name.

    Returns
    -------
    xarray.Dataset
        The same object.

    Raises
    ------
    RecordingError
        One message with a line for every problem found.
    """
    if not isinstance(recording, xr.Dataset):
        raise RecordingError(
            f"{name} is a {type(recording).__name__}; a recording is an xarray.Dataset. "
            "From arrays, make one with recording_from_arrays(...)."
        )
    problems = check_response(recording)
    problems += check_source(recording)
    for dim in ("stimulus", "site"):
        problems += check_labels(recording, dim, unique=True)
    problems += check_labels(recording, "area", dim="site", example="'V4' or 'IT'")
    for coord in SITE_COORDS:
        if coord in recording.variables:
            problems += check_labels(recording, coord, dim="site")
    for coord in STIMULUS_COORDS:
        if coord in recording.variables and recording[coord].dims != ("stimulus",):
            problems.append(describe_wrong_dims(recording, coord, "stimulus"))
    problems += check_time(recording)
    problems += check_savable(recording)
    raise_problems(f"{name} does not follow the recording schema", problems)
    return recording


def load_recording(path: str | os.PathLike[str]) -> xr.Dataset:
    """Load a recording from its netCDF file into memory and check it.

    Parameters
    ----------
    path : str or path
        A file written by `save_recording`. The file is closed again before returning.

    Returns
    -------
    xarray.Dataset
        The recording, see `validate_recording`.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    RecordingError
        The file is damaged, is no netCDF, or does not follow the schema.
    """
    return validate_recording(open_netcdf(path), name=Path(path).name)


def save_recording(recording: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Save a recording as netCDF4 and return the path; the file is complete or not there.

    Parameters
    ----------
    recording : xarray.Dataset
        Checked by `validate_recording` before anything is written.
    path : str or path
        The file to write, usually ``*.nc``. An existing file is replaced in one step, also
        while it is open elsewhere.

    Raises
    ------
    RecordingError
        The recording does not follow the schema.
    OSError
        The folder is missing or cannot be written, or the disk is full.
    """
    validate_recording(recording)
    return write_netcdf(recording, path)


def select_recording(
    recording: xr.Dataset,
    *,
    area: str | Sequence[str] | None = None,
    animal: str | Sequence[str] | None = None,
    site: str | Sequence[str] | None = None,
    stimulus: str | Sequence[str] | None = None,
) -> xr.Dataset:
    """Select the sites and stimuli that meet every condition given.

    Parameters
    ----------
    recording : xarray.Dataset
    area, animal : str or sequence of str, optional
        Keep the sites of these areas, of these animals, in the recording's order.
    site, stimulus : str or sequence of str, optional
        Keep these, in the order given.

    Returns
    -------
    xarray.Dataset
        A recording with dims and coordinates as before.

    Raises
    ------
    RecordingError
        A name is unknown (the known ones are listed), is asked for twice, or nothing is left.

    Examples
    --------
    >>> from neural_data.recording import recording_from_arrays, select_recording
    >>> recording = recording_from_arrays([[1.0, 2.0], [3.0, 4.0]], stimulus=["a", "b"],
    ...     site=["s1", "s2"], area=["V4", "IT"], units="spikes/s", source="two made-up sites")
    >>> select_recording(recording, area="IT").site.values.tolist()
    ['s2']
    """
    validate_recording(recording)
    problems: list[str] = []
    sites = np.arange(recording.sizes["site"])
    stimuli = np.arange(recording.sizes["stimulus"])
    if site is not None:
        sites = _find_positions(recording, "site", site, problems)
    if stimulus is not None:
        stimuli = _find_positions(recording, "stimulus", stimulus, problems)
    for coord, wanted in (("area", area), ("animal", animal)):
        if wanted is None:
            continue
        if coord not in recording.coords:
            problems.append(f"there is no coordinate {coord!r} to select by")
            continue
        values = recording[coord].values.astype(str)
        names = _as_names(wanted)
        _report_unknown(coord, names, values, problems)
        sites = sites[np.isin(values[sites], names)]
    if not problems and (sites.size == 0 or stimuli.size == 0):
        problems.append("no site or no stimulus meets all conditions together")
    raise_problems("This selection cannot be made from the recording", problems)
    return recording.isel(site=sites, stimulus=stimuli)


def average_repetitions(recording: xr.Dataset) -> xr.DataArray:
    """Average the responses over the repetitions that were shown.

    Parameters
    ----------
    recording : xarray.Dataset

    Returns
    -------
    xarray.DataArray
        ``response (stimulus, site[, time_bin])``, float64 without NaN, with the coordinates of
        the recording, its ``units`` and its ``source``.

    Raises
    ------
    RecordingError
        The recording does not follow the schema.
    """
    validate_recording(recording)
    response = recording["response"]
    order = ("stimulus", "repetition", "site", *(d for d in response.dims if d == "time_bin"))
    mean = response.transpose(*order).mean("repetition", skipna=True, dtype=np.float64)
    mean.name = "response"
    mean.attrs = {"units": response.attrs["units"], "source": recording.attrs["source"]}
    return mean


def recording_from_arrays(
    response: Any,
    *,
    stimulus: Sequence[str],
    site: Sequence[str],
    area: str | Sequence[str],
    units: str,
    source: str,
    animal: str | Sequence[str] | None = None,
) -> xr.Dataset:
    """Make a recording from plain arrays and labels.

    Parameters
    ----------
    response : array of numbers (stimulus, site) or (stimulus, repetition, site)
        NaN where a repetition was not shown. Integers, such as spike counts, become float64.
    stimulus, site : sequence of str
        One unique label for each row and each column. The stimulus labels are what images are
        found by.
    area : str or sequence of str
        The area of all sites, or one for each site, such as "V4".
    units : str
        Such as "spikes/s".
    source : str
        Where the data come from: lab, paper, file.
    animal : str or sequence of str, optional
        The animal of all sites, or one for each site.

    Returns
    -------
    xarray.Dataset
        A recording, see `validate_recording`.

    Raises
    ------
    RecordingError
        One message with a line for every problem found.

    Examples
    --------
    >>> import numpy as np
    >>> from neural_data.recording import recording_from_arrays
    >>> recording = recording_from_arrays(np.ones((3, 2)), stimulus=["a", "b", "c"],
    ...     site=["s1", "s2"], area="V4", units="spikes/s", source="made up")
    >>> dict(recording.sizes)
    {'stimulus': 3, 'repetition': 1, 'site': 2}
    """
    values = np.asarray(response)
    problems: list[str] = []
    if values.dtype.kind in "iu":
        values = values.astype(np.float64)
    if values.ndim == 2:
        values = values[:, np.newaxis, :]
    elif values.ndim != 3:
        problems.append(
            f"the response has shape {values.shape}; expected (stimulus, site) or "
            "(stimulus, repetition, site)"
        )
    labels: dict[str, tuple[str, np.ndarray]] = {}
    given: list[tuple[str, str, Any]] = [
        ("stimulus", "stimulus", stimulus),
        ("site", "site", site),
        ("area", "site", area),
        ("animal", "site", animal),
    ]
    for coord, dim, names in given:
        if names is None:
            continue
        expected = values.shape[DIMS.index(dim)] if values.ndim == 3 else None
        if isinstance(names, str) and coord in ("area", "animal"):
            names = [names] * (expected if expected is not None else len(site))
        labels[coord] = (dim, as_labels(names))
        if labels[coord][1].ndim != 1:
            problems.append(f"{coord!r} is not a flat list of labels")
        elif expected is not None and len(labels[coord][1]) != expected:
            problems.append(
                f"{len(labels[coord][1])} labels for {coord!r}, but the response of shape "
                f"{np.shape(response)} has {expected} along {dim!r}"
            )
    raise_problems("The arrays do not make a recording", problems)
    recording = xr.Dataset(
        {"response": (DIMS, values, {"units": units})}, coords=labels, attrs={"source": source}
    )
    return validate_recording(recording, name="the recording from these arrays")


def _as_names(names: str | Iterable[str]) -> list[str]:
    return [names] if isinstance(names, str) else [str(name) for name in np.asarray(names).ravel()]


def _report_unknown(coord: str, names: list[str], values: np.ndarray, problems: list[str]) -> None:
    known = dict.fromkeys(values.tolist())
    unknown = [name for name in names if name not in known]
    if unknown:
        problems.append(
            f"no {coord} {format_names(unknown)}; there are {format_names(known, limit=10)}"
        )
    if not names:
        problems.append(f"an empty list of {coord} names; leave {coord!r} out to keep all")


def _find_positions(
    recording: xr.Dataset, dim: str, names: str | Sequence[str], problems: list[str]
) -> np.ndarray:
    wanted = _as_names(names)
    values = recording[dim].values.astype(str)
    _report_unknown(dim, wanted, values, problems)
    if len(set(wanted)) < len(wanted):
        twice = dict.fromkeys(name for name in wanted if wanted.count(name) > 1)
        problems.append(f"{dim} {format_names(twice)} asked for more than once")
    position = {name: i for i, name in enumerate(values.tolist())}
    return np.array([position[name] for name in wanted if name in position], dtype=int)
