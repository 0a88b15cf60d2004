"""Choosing sites by how reproducible their responses are."""

from __future__ import annotations

import xarray as xr

from neural_data.errors import RecordingError
from neural_data.model.selection import select_above
from neural_data.reliability.estimates import compute_site_reliability


def select_reliable_sites(
    recording: xr.Dataset, *, above: float, splits: int = 100, seed: int = 0
) -> xr.Dataset:
    """Keep the sites whose split-half reliability is above a threshold.

    Choosing sites and then measuring their reliability with the same repetitions overstates it
    a little; say in a result which threshold was used: it is in the history.

    Parameters
    ----------
    recording : xarray.Dataset
        Without time bins; every stimulus shown at least twice.
    above : float
        Sites with a greater Spearman-Brown corrected reliability are kept.
    splits, seed : int
        As for `neural_data.reliability.estimates.compute_site_reliability`.

    Returns
    -------
    xarray.Dataset
        A recording with the coordinate ``reliability (site)``.

    Raises
    ------
    RecordingError
        Reliability cannot be computed, or no site is above the threshold.
    """
    reliability = compute_site_reliability(recording, splits=splits, seed=seed)
    if reliability.dims != ("site",):
        raise RecordingError(
            "The recording has time bins, and so a reliability in each of them. Choose the "
            "window that is to count: average_window(recording, start, end)."
        )
    return select_above(
        recording,
        reliability,
        above,
        step=f"select_reliable_sites(above={above:g}, splits={splits}, seed={seed})",
    )
