"""Reading spikes and stimulus times from NWB files (Neurodata Without Borders, version 2)."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neural_data.errors import RecordingError, format_names
from neural_data.formats.nwb._tables import (
    find_presentations,
    read_columns,
    read_intervals,
    read_units,
)
from neural_data.model.recording import add_step, validate_recording
from neural_data.model.spikes import bin_spikes, spikes_from_arrays
from neural_data.storage.hdf5_checks import check_hdf5

OURS = ("site", "area", "animal", "array", "stimulus", "repetition", "response", "time_bin")


def read_nwb(
    path: str | os.PathLike[str],
    *,
    bins: Sequence[float],
    table: str | None = None,
    stimulus_column: str | None = None,
    onset_column: str | None = None,
    area: str | None = None,
    units: str = "spikes/s",
) -> xr.Dataset:
    """Read the responses of the units of an NWB file to the stimuli in one of its tables.

    Parameters
    ----------
    path : path
        An ``.nwb`` file with a table of units and their spike times, and a table of trials or
        of other time intervals, one row a presentation.
    bins : sequence of numbers
        Ascending edges of the bins in ms relative to onset, such as (70, 170), see
        `neural_data.model.spikes.bin_spikes`.
    table : str, optional
        The table of presentations, "trials" or another. Without it, the only one that has a
        column of stimuli.
    stimulus_column : str, optional
        The column that names the stimulus. Without it, the only one with a name such as
        ``stimulus``, ``stimulus_id``, ``image_id``.
    onset_column : str, optional
        The column of stimulus onsets, in s on the clock of the file. Without it ``start_time``,
        if there is no other column that may be meant.
    area : str, optional
        The area of all units. Without it, what the units' table says (``area``,
        ``brain_area``, ``region``, ``location``) or the ``location`` of their electrodes, and
        "unknown" where the file says nothing.
    units : "spikes/s" or "spikes"
        Whether counts are divided by the length of their bin.

    Returns
    -------
    xarray.Dataset
        A recording, see :func:`neural_data.validate_recording`. Sites are named by the ids of
        the units, as "unit12". A presentation that is not wholly, from first to last edge, in
        a unit's observation intervals is missing (NaN) for this unit. Rows without onset or
        stimulus, rows that no unit was observed in, and units that were observed in none are
        left out, and counted in the history. Other columns of the tables become coordinates.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    RecordingError
        The file is damaged or no NWB file, has no units or no such table; the columns of
        stimuli or onsets are not clear (they are listed); pynwb is not installed.
    """
    path = Path(path)
    with _open(path) as file:
        spikes, observed_between = _read_spikes(file, path, area)
        name, intervals = find_presentations(file, table, stimulus_column)
        rows = read_intervals(intervals, name, stimulus_column, onset_column)
        steps = [f"{rows.stimulus_column!r} at {rows.onset_column!r} of table {name!r}"]
        others = read_columns(intervals, (rows.stimulus_column, rows.onset_column))
    usable = rows.usable
    if not usable.all():
        steps.append(f"{int((~usable).sum())} of {usable.size} rows without onset or stimulus")
    onset = rows.onset * 1000
    edges = np.asarray(bins, dtype=np.float64)  # checked by bin_spikes
    window = onset[:, np.newaxis] + np.array([edges.min(), edges.max()])
    observed = _find_observed(observed_between, window)
    observed[~usable] = False
    row_seen, site_seen = (np.asarray(observed.any(axis=k)) for k in (1, 0))
    if not row_seen.any():
        raise RecordingError(
            f"{path.name}: no unit was observed in the window of any of the {usable.size} rows of "
            f"{name!r}. Check bins, in ms, and the columns of onsets, in s."
        )
    if (usable & ~row_seen).any():
        steps.append(f"{int((usable & ~row_seen).sum())} rows in which no unit was observed")
    if not site_seen.all():
        unseen = spikes["site"].values[~site_seen]
        steps.append(f"units observed in no row: {format_names(unseen)}")
    recording = bin_spikes(
        _select_sites(spikes, site_seen),
        stimulus=rows.stimulus[row_seen].tolist(),
        onset=onset[row_seen],
        bins=bins,
        units=units,
        observed=observed[np.ix_(row_seen, site_seen)],
        coords={
            (f"presentation_{key}" if key in OURS else key): values[row_seen]
            for key, values in others.items()
        },
    )
    step = f"read_nwb({path.name}): {'; left out: '.join([steps[0], ', '.join(steps[1:])])}"
    if len(steps) == 1:
        step = f"read_nwb({path.name}): {steps[0]}"
    later = recording.attrs["history"]
    recording.attrs["history"] = f"{step}\n{later}"
    return validate_recording(recording, name=path.name)


def read_nwb_spikes(path: str | os.PathLike[str], *, area: str | None = None) -> xr.Dataset:
    """Read the spike times of the units of an NWB file.

    Parameters
    ----------
    path : path
        An ``.nwb`` file with a table of units and their spike times.
    area : str, optional
        The area of all units, see `read_nwb`.

    Returns
    -------
    xarray.Dataset
        Spike times in ms, see `neural_data.model.spikes.validate_spikes`.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    RecordingError
        The file is damaged or no NWB file, or has no units; pynwb is not installed.
    """
    path = Path(path)
    with _open(path) as file:
        spikes, _ = _read_spikes(file, path, area)
    return spikes


def open_nwb(path: Path) -> tuple[str, xr.Dataset]:
    """Open the spike times of a file."""
    return "spikes", read_nwb_spikes(path)


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """Open a file; whatever goes wrong while it is read is told as one of our errors."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is not there"
        raise FileNotFoundError(f"There is no NWB file {path}: it {what}. Check the path.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of older versions and of cached schemas
        try:
            from pynwb import NWBHDF5IO
        except ImportError as cause:
            raise RecordingError(
                f"{path.name} takes the package pynwb to be read: pip install pynwb."
            ) from cause
        try:
            check_hdf5(path)
            with NWBHDF5IO(str(path), mode="r", load_namespaces=True) as io:
                yield io.read()
        except RecordingError:
            raise
        except PermissionError as cause:
            raise PermissionError(f"{path} may not be read: {cause.strerror}.") from cause
        except Exception as cause:
            raise RecordingError(
                f"{path} cannot be read as NWB ({path.stat().st_size} bytes; "
                f"{type(cause).__name__}: {cause}). It is truncated, damaged or of another "
                "format: copy or write it again."
            ) from cause


def _read_spikes(
    file: Any, path: Path, area: str | None
) -> tuple[xr.Dataset, list[np.ndarray | None]]:
    """Read spike times, and the intervals (interval, 2) in ms of each unit, None if unstated."""
    units = read_units(file, path.name, area)
    spikes = spikes_from_arrays(
        np.concatenate([np.zeros(0), *units.times]) * 1000,
        np.repeat(np.arange(len(units.times)), [times.size for times in units.times]),
        site=units.site,
        area=units.area,
        animal=units.animal,
        source=units.source,
    )
    coords = {key if key not in OURS else f"unit_{key}": v for key, v in units.columns.items()}
    spikes = spikes.assign_coords({key: ("site", values) for key, values in coords.items()})
    if units.array is not None:
        spikes = spikes.assign_coords(array=("site", units.array))
    spikes.attrs.update(units.attrs)
    step = (
        f"read_nwb_spikes({path.name}): {spikes.sizes['spike']} spikes of {len(units.site)} units"
    )
    if "unknown" in units.area:
        step += "; area unknown (the file states none)"
    return add_step(spikes, step), units.observed


def _find_observed(between: list[np.ndarray | None], window: np.ndarray) -> np.ndarray:
    """Find which window (row, 2) lies wholly within an interval of which unit."""
    observed = np.zeros((len(window), len(between)), dtype=bool)
    for site, intervals in enumerate(between):
        if intervals is None:
            observed[:, site] = np.isfinite(window).all(axis=1)
            continue
        for start, end in intervals:
            observed[:, site] |= (window[:, 0] >= start) & (window[:, 1] <= end)
    return observed


def _select_sites(spikes: xr.Dataset, keep: np.ndarray) -> xr.Dataset:
    of_kept = np.repeat(keep, spikes["spike_count"].values)
    return spikes.isel(site=np.flatnonzero(keep), spike=np.flatnonzero(of_kept))
