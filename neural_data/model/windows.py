"""Windows of time: naming, selecting and averaging the time bins of a recording."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neural_data.errors import RecordingError, raise_problems
from neural_data.model.schema import TIME_COORDS, add_step
from neural_data.model.site_blocks import as_slice, iterate_rows, iterate_sites
from neural_data.model.validation import ValueCheck, check_structure

TOLERANCE = 1e-6  # ms: seconds times 1000 are not exact


def assign_time_bins(recording: xr.Dataset, edges: Any) -> xr.Dataset:
    """Say when the time bins of a recording begin and end.

    Parameters
    ----------
    recording : xarray.Dataset
        With dim ``time_bin``.
    edges : array of numbers (time_bin + 1,) or (time_bin, 2)
        ms from stimulus onset: the edges of adjoining bins, or the start and end of each bin,
        which may overlap or leave gaps.

    Returns
    -------
    xarray.Dataset
        The recording with the coordinates ``time_bin_start`` and ``time_bin_end`` (time_bin).

    Raises
    ------
    RecordingError
        The recording has no time bins, the number of edges does not fit, or a bin does not end
        after its start.

    Examples
    --------
    >>> import numpy as np
    >>> from neural_data.model.recording import recording_from_arrays
    >>> from neural_data import assign_time_bins
    >>> recording = recording_from_arrays(np.ones((3, 1, 2, 4)), stimulus=["a", "b", "c"],
    ...     site=["s1", "s2"], area="V4", units="spikes/s", source="made up")
    >>> assign_time_bins(recording, [0, 50, 100, 150, 200]).time_bin_end.values.tolist()
    [50, 100, 150, 200]
    """
    check_structure(recording)
    _require_time_bins(recording)
    values = np.asarray(edges)
    n_bins = recording.sizes["time_bin"]
    if values.dtype.kind not in "iuf" or values.shape not in ((n_bins + 1,), (n_bins, 2)):
        raise RecordingError(
            f"The edges have shape {values.shape} and hold {values.dtype}; expected numbers in "
            f"ms for {n_bins} time bins: {n_bins + 1} edges, or start and end of each bin."
        )
    start, end = (values[:-1], values[1:]) if values.ndim == 1 else (values[:, 0], values[:, 1])
    labelled = recording.assign_coords(
        time_bin_start=("time_bin", start), time_bin_end=("time_bin", end)
    )
    return check_structure(labelled, name="the recording with these edges")


def select_window(recording: xr.Dataset, start: float, end: float) -> xr.Dataset:
    """Keep the time bins that lie wholly inside a window of time.

    Parameters
    ----------
    recording : xarray.Dataset
        With ``time_bin_start`` and ``time_bin_end``.
    start, end : float
        ms from stimulus onset.

    Returns
    -------
    xarray.Dataset
        A recording, lazily backed if the given one is, with dim ``time_bin`` also where a single
        bin is left. The history says how many bins were kept.

    Raises
    ------
    RecordingError
        There are no time bins, their times are unknown, or none lies inside the window.

    Examples
    --------
    >>> import numpy as np
    >>> from neural_data.model.recording import recording_from_arrays
    >>> from neural_data import assign_time_bins, select_window
    >>> recording = assign_time_bins(recording_from_arrays(np.ones((3, 1, 2, 4)),
    ...     stimulus=["a", "b", "c"], site=["s1", "s2"], area="V4", units="spikes/s",
    ...     source="made up"), [0, 50, 100, 150, 200])
    >>> select_window(recording, 50, 170).time_bin_start.values.tolist()
    [50, 100]
    """
    check_structure(recording)
    inside = find_time_bins(recording, start, end)
    kept = recording.isel(time_bin=as_slice(inside))
    n_bins = recording.sizes["time_bin"]
    window = describe_window(start, end)
    return add_step(kept, f"select_window({window}): {len(inside)} of {n_bins} time bins")


def average_window(recording: xr.Dataset, start: float, end: float) -> xr.Dataset:
    """Average the responses over a window of time.

    The mean of the time bins that lie wholly inside the window, each weighted by its width:
    for rates and other levels, the mean level in the window. (Counts per bin are levels only
    where all bins are equally wide; the mean is then that of one bin.)

    Parameters
    ----------
    recording : xarray.Dataset
        With ``time_bin_start`` and ``time_bin_end``; read block by block if lazily backed.
    start, end : float
        ms from stimulus onset. Both must be limits of bins, so that no bin is cut, and the bins
        between must leave no gap. They may overlap.

    Returns
    -------
    xarray.Dataset
        A recording without dim ``time_bin``, in memory, in the float type of the given one. The
        window is in ``response.attrs["window"]``, such as "70-170 ms", and in the history.

    Raises
    ------
    RecordingError
        There are no time bins, their times are unknown, those inside do not fill the window, or
        they hold infinities or NaN in some bins only.

    Examples
    --------
    >>> import numpy as np
    >>> from neural_data.model.recording import recording_from_arrays
    >>> from neural_data import assign_time_bins, average_window
    >>> recording = assign_time_bins(recording_from_arrays([[[[1.0, 2.0, 3.0]]]],
    ...     stimulus=["a"], site=["s1"], area="V4", units="spikes/s",
    ...     source="made up"), [0, 70, 120, 170])
    >>> response = average_window(recording, 70, 170).response
    >>> response.values.item(), response.attrs["window"]
    (2.5, '70-170 ms')
    """
    check_structure(recording)
    inside = find_time_bins(recording, start, end)
    _refuse_unfilled(recording, inside, start, end)
    response = recording["response"]
    dims = tuple(dim for dim in response.dims if dim != "time_bin")
    mean = np.empty(tuple(response.sizes[dim] for dim in dims), dtype=response.dtype)
    weights = weigh_time_bins(recording, inside)
    chosen = recording.isel(time_bin=as_slice(inside))
    check = ValueCheck(chosen)
    for sites, block in iterate_sites(chosen):
        check.add(sites, block)
        for rows, values in iterate_rows(block):
            with np.errstate(invalid="ignore"):  # infinities are refused afterwards
                mean[rows, :, sites] = values @ weights
    raise_problems("The time bins cannot be averaged", check.list_wrong_values())
    window = describe_window(start, end)
    averaged = recording.drop_vars(
        ["response", *(key for key, c in recording.coords.items() if "time_bin" in c.dims)]
    ).assign(response=(dims, mean, {**response.attrs, "window": window}))
    n_bins = recording.sizes["time_bin"]
    return add_step(averaged, f"average_window({window}): {len(inside)} of {n_bins} time bins")


def find_time_bins(recording: xr.Dataset, start: float, end: float) -> np.ndarray:
    """Return the positions of the time bins that lie wholly inside a window in ms.

    Raises
    ------
    RecordingError
        There are no time bins, their times are unknown, or none lies inside the window.
    """
    _require_time_bins(recording)
    missing = [coord for coord in TIME_COORDS if coord not in recording.coords]
    if missing:
        raise RecordingError(
            f"The {recording.sizes['time_bin']} time bins have no {' and no '.join(missing)}, so "
            "it is unknown when they are: neural_data.assign_time_bins(recording, edges) says it."
        )
    starts, ends = (recording[coord].values.astype(float) for coord in TIME_COORDS)
    inside = np.flatnonzero((starts >= start - TOLERANCE) & (ends <= end + TOLERANCE))
    if not inside.size:
        raise RecordingError(
            f"No time bin lies wholly inside {describe_window(start, end)}; the {len(starts)} "
            f"bins lie between {starts.min():g} and {ends.max():g} ms, the first "
            f"{describe_window(starts[0], ends[0])}."
        )
    return inside


def weigh_time_bins(recording: xr.Dataset, bins: np.ndarray) -> np.ndarray:
    """Return the weight of each of these bins in their mean: its share of their total width."""
    starts, ends = (recording[coord].values[bins].astype(float) for coord in TIME_COORDS)
    widths = ends - starts
    return np.asarray(widths / widths.sum())


def describe_window(start: float, end: float) -> str:
    """Write a window of time as text, such as "70-170 ms"."""
    return f"{float(start):.10g}-{float(end):.10g} ms"


def _require_time_bins(recording: xr.Dataset) -> None:
    response = recording["response"]
    if "time_bin" not in response.dims:
        window = response.attrs.get("window")
        known = f" They were reduced to {window} already." if window else ""
        raise RecordingError(
            f"The responses have no time bins (dims {response.dims}); expected a recording with "
            f"dim 'time_bin'.{known}"
        )


def _refuse_unfilled(recording: xr.Dataset, inside: np.ndarray, start: float, end: float) -> None:
    """Raise unless the bins inside cover the window from its start to its end."""
    starts, ends = (recording[coord].values[inside].astype(float) for coord in TIME_COORDS)
    problems = []
    if starts.min() > start + TOLERANCE or ends.max() < end - TOLERANCE:
        problems.append(
            f"the bins inside it lie from {starts.min():g} to {ends.max():g} ms: choose that "
            "window, or other limits of bins"
        )
    order = np.argsort(starts)
    reached = np.maximum.accumulate(ends[order])[:-1]
    gaps = np.flatnonzero(starts[order][1:] > reached + TOLERANCE)
    if gaps.size:
        listed = ", ".join(
            describe_window(reached[gap], starts[order][gap + 1]) for gap in gaps[:3].tolist()
        )
        problems.append(f"no bin covers {listed}: average each side by itself")
    raise_problems(f"The time bins do not fill the window {describe_window(start, end)}", problems)
