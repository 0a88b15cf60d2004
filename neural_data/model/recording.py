"""The recording: responses of sites to repeated showings of stimuli, its schema and its file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neural_data.errors import format_names, raise_problems
from neural_data.labels import as_labels, as_names
from neural_data.model._lookup import describe_names, find_positions, report_unknown
from neural_data.model.origin import origin_of
from neural_data.model.schema import DIMS, add_step
from neural_data.model.site_blocks import as_slice, average_block, iterate_sites
from neural_data.model.validation import ValueCheck, check_structure, validate_recording
from neural_data.storage.chunked_reads import find_chunks, read_by_chunks
from neural_data.storage.netcdf import open_netcdf, open_netcdf_lazily, write_netcdf

__all__ = [
    "add_step",
    "average_repetitions",
    "check_structure",
    "iterate_sites",
    "load_recording",
    "open_recording",
    "recording_from_arrays",
    "save_recording",
    "select_recording",
    "validate_recording",
]


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


def open_recording(path: str | os.PathLike[str]) -> xr.Dataset:
    """Open a recording lazily: labels are read, responses only when and where they are needed.

    For files larger than memory. Dims, labels and attributes are checked; the values are not
    (`validate_recording` would read them all). The file stays open until ``recording.close()``;
    close it before the file is replaced::

        with open_recording("hvm.nc") as recording:
            v4 = average_repetitions(select_recording(recording, area="V4"))

    Parameters
    ----------
    path : str or path
        A file written by `save_recording`.

    Returns
    -------
    xarray.Dataset
        A recording whose ``response`` is read from the file, and kept nowhere, at each use.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    RecordingError
        The file is damaged, is no netCDF, or does not follow the schema.
    """
    file = open_netcdf_lazily(path)
    try:
        check_structure(file, name=Path(path).name)
        response = file["response"]
        chunks = find_chunks(path, "response") or response.shape
        recording = file.assign(response=read_by_chunks(response.variable, chunks))
    except BaseException:
        file.close()
        raise
    recording.set_close(file.close)
    return recording


def save_recording(recording: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Save a recording as netCDF4; the file is complete or not there.

    Parameters
    ----------
    recording : xarray.Dataset
        Checked by `validate_recording` before anything is written.
    path : str or path
        The file to write, usually ``*.nc``. An existing file is replaced in one step, also
        while it is open elsewhere.

    Returns
    -------
    pathlib.Path
        The file written.

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
        Not changed.
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
    >>> from neural_data.model.recording import recording_from_arrays, select_recording
    >>> recording = recording_from_arrays([[1.0, 2.0], [3.0, 4.0]], stimulus=["a", "b"],
    ...     site=["s1", "s2"], area=["V4", "IT"], units="spikes/s", source="two made-up sites")
    >>> select_recording(recording, area="IT").site.values.tolist()
    ['s2']
    """
    check_structure(recording)
    problems: list[str] = []
    sites = np.arange(recording.sizes["site"])
    stimuli = np.arange(recording.sizes["stimulus"])
    if site is not None:
        sites = find_positions(recording, "site", as_names(site), problems)
    if stimulus is not None:
        stimuli = find_positions(recording, "stimulus", as_names(stimulus), problems)
    for coord, wanted in (("area", area), ("animal", animal)):
        if wanted is None:
            continue
        if coord not in recording.coords:
            problems.append(f"there is no coordinate {coord!r} to select by")
            continue
        values = recording[coord].values.astype(str)
        names = as_names(wanted)
        report_unknown(coord, names, values, problems)
        sites = sites[np.isin(values[sites], names)]
    if not problems and (sites.size == 0 or stimuli.size == 0):
        problems.append("no site or no stimulus meets all conditions together")
    raise_problems("This selection cannot be made from the recording", problems)
    given = {"area": area, "animal": animal, "site": site, "stimulus": stimulus}
    asked = ", ".join(f"{k}={describe_names(v)}" for k, v in given.items() if v is not None)
    return take(recording, sites, stimuli, step=f"select_recording({asked})")


def take(recording: xr.Dataset, sites: np.ndarray, stimuli: np.ndarray, *, step: str) -> xr.Dataset:
    """Take sites and stimuli by position, and note how many of how many were kept.

    Parameters
    ----------
    recording : xarray.Dataset
    sites, stimuli : array of int
        Positions to keep, in this order.
    step : str
        What is done, for the history.

    Returns
    -------
    xarray.Dataset
        A recording; lazily backed if the given one is.
    """
    kept = recording.isel(site=as_slice(sites), stimulus=as_slice(stimuli))
    n_sites, n_stimuli = recording.sizes["site"], recording.sizes["stimulus"]
    return add_step(
        kept, f"{step}: {len(sites)} of {n_sites} sites, {len(stimuli)} of {n_stimuli} stimuli"
    )


def average_repetitions(recording: xr.Dataset) -> xr.DataArray:
    """Average the responses over the repetitions that were shown.

    Each site is averaged over its own repetitions, in float64. The recording may be lazily
    backed: it is read once, block by block, and checked on the way.

    Parameters
    ----------
    recording : xarray.Dataset
        In memory or lazily opened.

    Returns
    -------
    xarray.DataArray
        ``response (stimulus, site[, time_bin])``, float64 without NaN, in memory, with the
        coordinates of the recording, its ``units``, ``source`` and ``history`` (and ``window``,
        the time to which it was reduced).

    Raises
    ------
    RecordingError
        The recording does not follow the schema, or a site has no response at all to a stimulus:
        `neural_data.model.selection.select_complete` leaves such sites, or such stimuli, out.

    Examples
    --------
    >>> from neural_data.model.recording import average_repetitions, recording_from_arrays
    >>> recording = recording_from_arrays([[[1.0], [3.0]], [[5.0], [float("nan")]]],
    ...     stimulus=["a", "b"], site=["s1"], area="V4", units="spikes/s", source="made up")
    >>> average_repetitions(recording).values.tolist()
    [[2.0], [5.0]]
    """
    check_structure(recording)
    response = recording["response"]
    dims = tuple(dim for dim in response.dims if dim != "repetition")
    mean = np.empty(tuple(response.sizes[dim] for dim in dims))
    counts = np.empty(mean.shape[:2], dtype=np.int64)
    check = ValueCheck(recording)
    for sites, block in iterate_sites(recording):
        check.add(sites, block)
        mean[:, sites], counts[:, sites] = average_block(block)
    problems = check.list_problems()
    if (counts == 0).any() and not problems:
        problems = [_describe_gaps(recording, counts == 0)]
    raise_problems("The repetitions cannot be averaged", problems)
    averaged = xr.DataArray(
        mean,
        dims=dims,
        coords={key: c for key, c in recording.coords.items() if "repetition" not in c.dims},
        name="response",
        attrs={key: response.attrs[key] for key in ("units", "window") if key in response.attrs}
        | origin_of(recording),
    )
    low, high = int(counts.min()), int(counts.max())
    return add_step(
        averaged,
        f"average_repetitions: {low if low == high else f'{low} to {high}'} repetitions of each "
        f"of {mean.shape[0]} stimuli at {mean.shape[1]} sites",
    )


def _describe_gaps(recording: xr.Dataset, gaps: np.ndarray) -> str:
    stimuli, sites = np.flatnonzero(gaps.any(axis=1)), np.flatnonzero(gaps.any(axis=0))
    return (
        f"{len(sites)} of {gaps.shape[1]} sites "
        f"({format_names(recording['site'].values[sites])}) have no response to some of "
        f"{len(stimuli)} of {gaps.shape[0]} stimuli "
        f"({format_names(recording['stimulus'].values[stimuli])}): keep the sites without gaps "
        "with select_complete(recording), or the stimuli without gaps with "
        "select_complete(recording, keep='sites')"
    )


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
    response : array of numbers (stimulus, site), (stimulus, repetition, site) or
        (stimulus, repetition, site, time_bin). NaN where a repetition was not shown to a site.
        Integers, such as spike counts, become float64. The limits of time bins are given
        afterwards: `neural_data.assign_time_bins`.
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
    >>> from neural_data.model.recording import recording_from_arrays
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
    elif values.ndim not in (3, 4):
        problems.append(
            f"the response has shape {values.shape}; expected (stimulus, site), (stimulus, "
            "repetition, site) or (stimulus, repetition, site, time_bin)"
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
        expected = values.shape[DIMS.index(dim)] if values.ndim in (3, 4) else None
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
    dims = (*DIMS, "time_bin")[: values.ndim]
    recording = xr.Dataset(
        {"response": (dims, values, {"units": units})}, coords=labels, attrs={"source": source}
    )
    return validate_recording(recording, name="the recording from these arrays")
