"""Reading spikes and stimulus times from NWB files (Neurodata Without Borders, version 2)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neural_data.errors import RecordingError, format_names
from neural_data.formats.nwb._opening import open_file
from neural_data.formats.nwb._presentations import Presentations, read_presentations
from neural_data.formats.nwb._tables import (
    read_invalid_times,
    read_units,
    subtract_intervals,
)
from neural_data.model.recording import add_step, validate_recording
from neural_data.model.spikes import bin_spikes, find_observed, spikes_from_arrays, validate_spikes

OURS = ("site", "area", "animal", "array", "stimulus", "repetition", "response", "time_bin")


def read_nwb(
    path: str | os.PathLike[str],
    *,
    bins: Sequence[float],
    table: str | None = None,
    stimulus_column: str | None = None,
    onset_column: str | None = None,
    where: str | None = None,
    area: str | None = None,
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
        The table of presentations, "trials" or another, or a series of image indices. Without
        it, the only one that has a column of stimuli, or the only series.
    stimulus_column : str, optional
        The column that names the stimulus. Without it, the only one with a name such as
        ``stimulus``, ``stimulus_id``, ``image_id``.
    onset_column : str, optional
        The column of stimulus onsets, in s on the clock of the file. Without it ``start_time``,
        if there is no other column that may be meant, by its name or because its values lie
        within their trials. Where a trial has several images, both columns have a list a row.
    where : str, optional
        A column of true and false, such as "fixation_correct", or "COLUMN=VALUE": only these
        rows are presentations.
    area : str, optional
        The area of all units. Without it, what the units' table says (``area``,
        ``brain_area``, ``region``, ``location``) or the ``location`` of their electrodes, and
        "unknown" where the file says nothing.

    Returns
    -------
    xarray.Dataset
        A recording in spikes/s, see :func:`neural_data.validate_recording`; for counts see
        `read_nwb_spikes` and :func:`neural_data.bin_spikes`. Sites are named by the ids of the
        units, as "unit12". A presentation that is not wholly, from first to last edge, in a unit's
        observation intervals, or that touches the file's invalid times, is missing (NaN). Rows
        without onset or stimulus, rows that no unit was observed in, and units that were observed
        in none are left out, and counted in the history. Other columns of the tables become
        coordinates.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    RecordingError
        The file is damaged or no NWB file, has no units or no such table; the columns of
        stimuli or onsets are not clear (they are listed); pynwb is not installed.
    """
    path = Path(path)
    with open_file(path) as file:
        spikes = _read_spikes(file, path, area)
        shown = read_presentations(
            file,
            table=table,
            stimulus_column=stimulus_column,
            onset_column=onset_column,
            where=where,
        )
    steps, onset = list(shown.said), shown.onset * 1000
    row_seen, site_seen = _find_seen(spikes, shown, onset, bins, path.name)
    if (shown.usable & ~row_seen).any():
        steps.append(f"{int((shown.usable & ~row_seen).sum())} rows in which no unit was observed")
    if not site_seen.all():
        unseen = spikes["site"].values[~site_seen]
        steps.append(f"units observed in no row: {format_names(unseen)}")
    recording = bin_spikes(
        _select_sites(spikes, site_seen),
        stimulus=shown.stimulus[row_seen].tolist(),
        onset=onset[row_seen],
        bins=bins,
        coords={
            (f"presentation_{key}" if key in OURS else key): values[row_seen]
            for key, values in shown.columns.items()
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
        Spike times in ms, see `neural_data.model.spikes.validate_spikes`, and when each unit was
        observed, where the file states it or has invalid times.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    RecordingError
        The file is damaged or no NWB file, or has no units; pynwb is not installed.
    """
    path = Path(path)
    with open_file(path) as file:
        return _read_spikes(file, path, area)


def open_nwb(path: Path) -> tuple[str, xr.Dataset]:
    """Open the spike times of a file."""
    return "spikes", read_nwb_spikes(path)


def _read_spikes(file: Any, path: Path, area: str | None) -> xr.Dataset:
    """Read spike times, and when each unit was observed where the file tells."""
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
    invalid = read_invalid_times(file)
    if len(invalid):
        step += f"; {len(invalid)} invalid intervals of {np.diff(invalid).sum() / 1000:g} s in all"
    if len(invalid) or any(own is not None for own in units.observed):
        always = np.array([[-np.inf, np.inf]])
        stated = [always if own is None else own for own in units.observed]
        left = [subtract_intervals(own, invalid) for own in stated]
        bounds = np.concatenate([np.zeros((0, 2)), *left])
        spikes["observed_start"] = ("observation", bounds[:, 0], {"units": "ms"})
        spikes["observed_end"] = ("observation", bounds[:, 1], {"units": "ms"})
        spikes["observation_count"] = ("site", np.array([len(own) for own in left]))
    return validate_spikes(add_step(spikes, step), name=path.name)


def _find_seen(
    spikes: xr.Dataset, shown: Presentations, onset: np.ndarray, bins: Sequence[float], name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Find the rows in which any unit was observed, and the units observed in any usable row."""
    edges = np.asarray(bins, dtype=np.float64)  # checked by bin_spikes
    observed = find_observed(spikes, onset, np.array([edges.min(), edges.max()]))
    if observed is None:
        observed = np.ones((onset.size, spikes.sizes["site"]), dtype=bool)
    observed[~shown.usable] = False
    if not observed.any():
        raise RecordingError(
            f"{name}: no unit was observed in the window of any of the {onset.size} rows of "
            f"{shown.table!r}. Check bins, in ms, and the columns of onsets, in s."
        )
    return np.asarray(observed.any(axis=1)), np.asarray(observed.any(axis=0))


def _select_sites(spikes: xr.Dataset, keep: np.ndarray) -> xr.Dataset:
    picks = {"site": keep, "spike": np.repeat(keep, spikes["spike_count"].values)}
    if "observation_count" in spikes:
        picks["observation"] = np.repeat(keep, spikes["observation_count"].values)
    return spikes.isel({dim: np.flatnonzero(kept) for dim, kept in picks.items()})
