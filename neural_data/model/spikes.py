"""Spike times in a file, and the binned responses that are made of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neural_data.errors import format_names, raise_problems
from neural_data.labels import as_labels
from neural_data.model._spikes_schema import spikes_from_arrays, validate_spikes
from neural_data.model.presentations import recording_from_presentations
from neural_data.model.windows import describe_window
from neural_data.storage.netcdf import open_netcdf, write_netcdf

__all__ = [
    "bin_spikes",
    "count_spikes",
    "load_spikes",
    "save_spikes",
    "spikes_from_arrays",
    "validate_spikes",
]

UNITS = ("spikes/s", "spikes")
SHORTEST_GAP_MS = 5.0  # between presentations; screens show a frame in 8 or 16
# Onsets in s that are further apart than that are still a thousandth of the time with spikes
LONGEST_GAP_S, FEWEST, THOUSANDTH = 50.0, 10, 1 / 900


def load_spikes(path: str | os.PathLike[str]) -> xr.Dataset:
    """Load spike times from their netCDF file into memory and check them.

    Parameters
    ----------
    path : str or path
        A file written by `save_spikes`.

    Returns
    -------
    xarray.Dataset
        As `validate_spikes` wants it.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    RecordingError
        The file is damaged, is no netCDF, or does not follow the schema.
    """
    return validate_spikes(open_netcdf(path), name=Path(path).name)


def save_spikes(spikes: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Save spike times as netCDF4; the file is complete or not there.

    Parameters
    ----------
    spikes : xarray.Dataset
        Checked by `validate_spikes` before anything is written.
    path : str or path
        The file to write, usually ``*.nc``. An existing file is replaced in one step.

    Returns
    -------
    pathlib.Path
        The file written.

    Raises
    ------
    RecordingError
        The spike times do not follow the schema.
    OSError
        The folder is missing or cannot be written, or the disk is full.
    """
    validate_spikes(spikes)
    return write_netcdf(spikes, path)


def count_spikes(spikes: xr.Dataset, *, onset: Any, bins: Any) -> np.ndarray:
    """Count the spikes of every site in bins around every onset.

    A spike at time t lies in the bin from edge a to edge b if onset + a <= t < onset + b, so
    that adjacent bins share no spike and miss none.

    Parameters
    ----------
    spikes : xarray.Dataset
        Spike times, see `validate_spikes`.
    onset : array of numbers (presentation,)
        In ms, on the clock of the spikes, in any order.
    bins : array of numbers (edge,)
        Ascending edges of the bins, in ms relative to onset.

    Returns
    -------
    numpy.ndarray
        int32 (presentation, site, bin), one bin fewer than edges.

    Raises
    ------
    RecordingError
        The spike times do not follow the schema, or onsets or bins are not as said above.
    """
    validate_spikes(spikes)
    onsets, edges = _as_times(onset, bins)
    return _count(spikes, onsets, edges, np.int32)


def bin_spikes(
    spikes: xr.Dataset,
    *,
    stimulus: Sequence[str],
    onset: Any,
    bins: Sequence[float],
    units: str = "spikes/s",
    observed: Any | None = None,
    coords: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Make a recording of spike times: counts or rates in bins relative to stimulus onset.

    Parameters
    ----------
    spikes : xarray.Dataset
        Spike times, see `validate_spikes`.
    stimulus : sequence of str (presentation,)
        The stimulus of each presentation. Presentations of one stimulus become its repetitions,
        in the order given.
    onset : sequence of numbers (presentation,)
        When each stimulus came on, in ms, on the clock of the spikes.
    bins : sequence of numbers
        Ascending edges of the bins, in ms relative to onset; each bin includes its start and
        not its end, see `count_spikes`. Two edges, such as (70, 170), are one window, and the
        recording has no dim ``time_bin``; more make it one longer than their time bins.
    units : "spikes/s" or "spikes"
        Counts divided by the width of their bin, or counts.
    observed : array of bool (presentation, site), optional
        False where a site was not recorded during a presentation, which then is missing (NaN)
        rather than zero. So are presentations whose bins do not lie wholly within a time in which
        the site was observed, where the spikes say so.
    coords : mapping of str to array (presentation,), optional
        What else is known of each presentation, such as ``repetition``, by which repetitions
        are ordered, or properties of its stimulus; see
        `neural_data.model.presentations.recording_from_presentations`.

    Returns
    -------
    xarray.Dataset
        A recording, float32, see `neural_data.validate_recording`, with the coordinates of the
        sites. ``response.attrs["window"]`` or the time bins say what was counted.

    Raises
    ------
    RecordingError
        One message with a line for every problem found.

    Examples
    --------
    >>> from neural_data.model.spikes import bin_spikes, spikes_from_arrays
    >>> spikes = spikes_from_arrays([80.0, 169.9, 170.0, 1075.0], ["s1"] * 4, area="IT",
    ...     source="made up")
    >>> recording = bin_spikes(spikes, stimulus=["face", "car"], onset=[0, 1000], bins=(70, 170))
    >>> recording["response"].squeeze().values.tolist(), recording["response"].attrs["units"]
    ([20.0, 10.0], 'spikes/s')
    """
    validate_spikes(spikes)
    names = as_labels(stimulus)
    problems = []
    if units not in UNITS:
        problems.append(f"units are {units!r}; expected {format_names(UNITS)}")
    onsets, edges = _as_times(onset, bins, problems)
    if names.shape != onsets.shape:
        problems.append(f"{names.size} stimuli for {onsets.size} onsets")
    seen = None if observed is None else np.asarray(observed)
    if not problems:
        problems += _find_wrong_clock(spikes, onsets, edges)
    more = {str(name): np.asarray(given) for name, given in (coords or {}).items()}
    problems += _find_wrong_properties(spikes, onsets, seen, more)
    raise_problems("These spikes cannot be binned", problems)
    within = find_observed(spikes, onsets, edges)
    if within is not None:
        seen = within if seen is None else seen & within
    values = _count(spikes, onsets, edges, np.float32)
    n_counted = int(values.sum(dtype=np.float64))
    if units == "spikes/s":
        values /= np.diff(edges).astype(np.float32) / np.float32(1000)
    if seen is not None:
        values[~seen] = np.nan
    labels = {str(name): coord.variable for name, coord in spikes.coords.items()}
    for name, given in {"stimulus": names, **more}.items():
        labels[name] = xr.Variable("presentation", given)
    response = xr.DataArray(values, dims=("presentation", "site", "time_bin"), coords=labels)
    if edges.size == 2:
        response = response.isel(time_bin=0)
        response.attrs["window"] = describe_window(*edges.tolist())
    else:
        response = response.assign_coords(
            time_bin_start=("time_bin", edges[:-1]), time_bin_end=("time_bin", edges[1:])
        )
    recording = recording_from_presentations(response, units=units, source=spikes.attrs["source"])
    binned = "one window" if edges.size == 2 else f"{edges.size - 1} bins"
    step = (
        f"bin_spikes: {n_counted} of {spikes.sizes['spike']} spikes in {binned} of "
        f"{edges[0]:g} to {edges[-1]:g} ms around {onsets.size} onsets, as {units}"
    )
    if seen is not None and not seen.all():
        step += f"; {int((~seen).sum())} of {seen.size} presentations to a site not observed"
    history = [spikes.attrs.get("history"), step, recording.attrs.get("history")]
    recording.attrs = {
        **spikes.attrs,
        **recording.attrs,
        "history": "\n".join(str(part) for part in history if part),
    }
    return recording


def _find_wrong_properties(
    spikes: xr.Dataset,
    onsets: np.ndarray,
    observed: np.ndarray | None,
    coords: Mapping[str, np.ndarray],
) -> list[str]:
    """Say where `observed` or a coordinate does not fit the presentations and the sites."""
    problems = []
    shape = (onsets.size, spikes.sizes["site"])
    if observed is not None and (observed.shape != shape or observed.dtype != bool):
        problems.append(
            f"observed is {observed.dtype} of shape {observed.shape}; expected bool of shape "
            f"{shape}, (presentation, site)"
        )
    for name, given in coords.items():
        if name in spikes.coords or name == "stimulus":
            problems.append(f"coordinate {name!r} is there already: rename it")
        if given.shape != onsets.shape:
            problems.append(f"coordinate {name!r} has shape {given.shape}, onset {onsets.shape}")
    return problems


def find_observed(spikes: xr.Dataset, onsets: np.ndarray, edges: np.ndarray) -> np.ndarray | None:
    """Find which presentation lies wholly within an observation of which site.

    Returns
    -------
    array of bool (presentation, site), or None
        None where the spikes do not say when their sites were observed.
    """
    if "observation_count" not in spikes:
        return None
    counts = spikes["observation_count"].values
    of_site = np.repeat(np.arange(counts.size), counts)
    start, end = spikes["observed_start"].values, spikes["observed_end"].values
    observed = np.zeros((onsets.size, counts.size), dtype=bool)
    for k, site in enumerate(of_site.tolist()):
        observed[:, site] |= (onsets + edges[0] >= start[k]) & (onsets + edges[-1] <= end[k])
    return observed


def _find_wrong_clock(spikes: xr.Dataset, onsets: np.ndarray, edges: np.ndarray) -> list[str]:
    """Say where onsets or spikes cannot be in ms on one clock."""
    problems = []
    different = np.unique(onsets)
    gap = np.median(np.diff(different)) if different.size > 2 else np.inf
    if onsets.size > 1 and different.size == 1:
        problems.append(f"all {onsets.size} onsets are {onsets[0]:g} ms: they were lost or rounded")
    elif gap < SHORTEST_GAP_MS:
        problems.append(
            f"presentations follow each other after {gap:g} ms (median); expected onsets in ms: "
            "are they in s?"
        )
    times = spikes["spike_time"].values
    span, whole = float(np.ptp(different)), float(np.ptp(times)) if times.size else 0.0
    if (
        SHORTEST_GAP_MS <= gap < LONGEST_GAP_S
        and different.size >= FEWEST
        and span < whole * THOUSANDTH
    ):
        problems.append(
            f"{different.size} onsets lie within {span:g} ms, of {whole:g} ms with spikes, {gap:g} "
            "ms apart (median); expected onsets in ms: are they in s? If they are right, give the "
            "spikes of that time alone"
        )
    first, last = different[0] + edges[0], different[-1] + edges[-1]
    if times.size and (times.max() < first or times.min() >= last):
        problems.append(
            f"the spikes, at {times.min():g} to {times.max():g} ms, all lie outside the bins, "
            f"which run from {first:g} to {last:g} ms; expected one clock: are the spikes in s?"
        )
    return problems


def _as_times(
    onset: Any, bins: Any, problems: list[str] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    found: list[str] = [] if problems is None else problems
    onsets, edges = np.asarray(onset), np.asarray(bins)
    if onsets.ndim != 1 or onsets.size == 0 or onsets.dtype.kind not in "iuf":
        found.append(
            f"onset is {onsets.dtype} of shape {onsets.shape}; expected one time in ms for each "
            "presentation"
        )
    elif not np.isfinite(onsets).all():
        n_wrong = int((~np.isfinite(onsets)).sum())
        found.append(f"onset is NaN or infinite at {n_wrong} presentations: leave them out")
    if (
        edges.ndim != 1
        or edges.size < 2
        or edges.dtype.kind not in "iuf"
        or not np.isfinite(edges).all()
        or not (np.diff(edges) > 0).all()
    ):
        found.append(
            f"bins are {edges.tolist()}; expected at least two ascending edges in ms relative to "
            "onset, such as (70, 170)"
        )
    if problems is None:
        raise_problems("These spikes cannot be counted", found)
    if found:
        return onsets, edges
    return onsets.astype(np.float64), edges.astype(np.float64)


def _count(
    spikes: xr.Dataset, onsets: np.ndarray, edges: np.ndarray, dtype: type[np.number[Any]]
) -> np.ndarray:
    order = np.argsort(onsets, kind="stable")  # neighbours in time are neighbours in memory
    moments = onsets[order, np.newaxis] + edges
    counts = np.empty((onsets.size, spikes.sizes["site"], edges.size - 1), dtype=dtype)
    times = spikes["spike_time"].values
    start = 0
    for site, n_spikes in enumerate(spikes["spike_count"].values.tolist()):
        before = np.searchsorted(times[start : start + n_spikes], moments, side="left")
        counts[order, site] = np.diff(before, axis=1)
        start += n_spikes
    return counts
