"""What a recording holds, counted in one pass over its responses, however large it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from neural_data.errors import raise_problems
from neural_data.model.schema import add_step
from neural_data.model.site_blocks import iterate_rows, iterate_sites
from neural_data.model.validation import ValueCheck, check_structure

MEMORY_BYTES = 2**30
"""Recordings whose responses take more than this, without time bins, stay in their file."""


@dataclass(frozen=True)
class RecordingFacts:
    """Facts about a recording, gathered in one pass.

    Attributes
    ----------
    counts : array of int (stimulus, site)
        How many repetitions of a stimulus a site saw.
    shown : array of bool (stimulus, repetition)
        Whether any site saw this repetition.
    averaged : xarray.Dataset or None
        The recording without time bins, which are averaged; in memory if it takes at most 1 GiB.
        None if it has time bins and takes more.
    recording : xarray.Dataset or None
        The same without the stimuli that any site saw only once: what reliability can be
        computed of. None where fewer than three stimuli are left.
    recording_says : str
        What was averaged or left out of it, in a few words; empty if nothing was. Where it is
        None, why.
    """

    counts: np.ndarray
    shown: np.ndarray
    averaged: xr.Dataset | None
    recording: xr.Dataset | None
    recording_says: str


def gather_facts(recording: xr.Dataset) -> RecordingFacts:
    """Check a recording, count its repetitions and average its time bins, in one pass.

    Parameters
    ----------
    recording : xarray.Dataset
        In memory or lazily opened.

    Returns
    -------
    RecordingFacts

    Raises
    ------
    RecordingError
        The recording does not follow the schema.
    """
    check_structure(recording)
    response = recording["response"]
    shape = tuple(response.sizes[dim] for dim in ("stimulus", "repetition", "site"))
    n_bins = response.sizes["time_bin"] if "time_bin" in response.dims else 0
    in_memory = isinstance(response.variable._data, np.ndarray)
    fits = int(np.prod(shape)) * response.dtype.itemsize <= MEMORY_BYTES
    kept = np.empty(shape, dtype=response.dtype) if fits and (n_bins or not in_memory) else None
    counts = np.zeros((shape[0], shape[2]), dtype=np.int64)
    shown = np.zeros(shape[:2], dtype=bool)
    check = ValueCheck(recording)
    for sites, block in iterate_sites(recording):
        check.add(sites, block)
        for rows, values in iterate_rows(block):
            seen = ~np.isnan(values[..., 0] if n_bins else values)
            counts[rows, sites] = seen.sum(axis=1)
            shown[rows] |= seen.any(axis=2)
            if kept is not None and not check.n_infinite:
                kept[rows, :, sites] = values.mean(axis=3) if n_bins else values
    raise_problems("The recording does not follow the recording schema", check.list_problems())
    averaged: xr.Dataset | None = recording
    if kept is not None:
        averaged = _replace_response(recording, kept)
    elif n_bins:
        averaged = None
    repeatedly, says = _keep_repeated(averaged, counts)
    if n_bins and repeatedly is not None:
        says = f"mean over {n_bins} time bins" + (f", {says}" if says else "")
    return RecordingFacts(counts, shown, averaged, repeatedly, says)


def _keep_repeated(
    averaged: xr.Dataset | None, counts: np.ndarray
) -> tuple[xr.Dataset | None, str]:
    """Leave out the stimuli that any site saw only once; say what was done, or why it cannot."""
    repeated = np.flatnonzero((counts != 1).all(axis=1))
    if (counts <= 1).all():
        return None, "no stimulus was shown twice"
    if len(repeated) < 3:
        return None, f"{len(repeated)} of {len(counts)} stimuli were shown twice to all sites"
    if averaged is None:
        return None, f"its time bins average to more than {MEMORY_BYTES / 2**30:g} GiB"
    if len(repeated) == len(counts):
        return averaged, ""
    said = f"{len(repeated)} of {len(counts)} stimuli, shown repeatedly"
    return averaged.isel(stimulus=repeated), said


def _replace_response(recording: xr.Dataset, values: np.ndarray) -> xr.Dataset:
    timed = [key for key, coord in recording.coords.items() if "time_bin" in coord.dims]
    replaced = recording.drop_vars(["response", *timed]).assign(
        response=(("stimulus", "repetition", "site"), values, recording["response"].attrs)
    )
    if "time_bin" not in recording["response"].dims:
        return replaced
    return add_step(replaced, f"mean over {recording.sizes['time_bin']} time bins")
