"""Choosing sites by how reproducible their responses are."""

from __future__ import annotations

import numpy as np
import xarray as xr

from neural_data.errors import RecordingError, format_names
from neural_data.model.selection import select_above
from neural_data.model.site_blocks import average_block, iterate_sites
from neural_data.model.validation import check_structure
from neural_data.reliability.estimates import compute_site_reliability


def find_given(recording: xr.Dataset) -> str | None:
    """Return the coordinate with a given reliability if there are no repetitions to take it from.

    Parameters
    ----------
    recording : xarray.Dataset

    Returns
    -------
    str or None
        "reliability", or None: there are repetitions, or no such coordinate over sites.
    """
    check_structure(recording)
    if "reliability" not in recording.coords or recording["reliability"].dims != ("site",):
        return None
    if recording.sizes["repetition"] == 1:
        return "reliability"
    counts = np.zeros(recording.sizes["stimulus"], dtype=np.int64)
    for _, block in iterate_sites(recording):
        counts = np.maximum(counts, average_block(block)[1].max(axis=1))
    return "reliability" if (counts <= 1).all() else None


def read_given(recording: xr.Dataset, name: str) -> xr.DataArray:
    """Return the reliability of each site that came with a recording.

    Parameters
    ----------
    recording : xarray.Dataset
    name : str
        Coordinate over sites.

    Returns
    -------
    xarray.DataArray
        ``reliability (site)``; NaN, where it is not known, counts as 0.

    Raises
    ------
    RecordingError
        There is no such coordinate over sites, or its values are no numbers from -1 to 1.
    """
    check_structure(recording)
    known = [str(k) for k, c in recording.coords.items() if c.dims == ("site",)]
    if name not in known:
        raise RecordingError(
            f"No coordinate {name!r} over dim 'site' that could be a given reliability; there are "
            f"{format_names(known)}."
        )
    values = recording[name].values
    numbers = values.dtype.kind in "iuf"
    if not numbers or (np.abs(values) > 1).any():
        seen = str(values.dtype)
        if numbers:
            seen = f"values from {np.nanmin(values):g} to {np.nanmax(values):g}"
        raise RecordingError(
            f"The given reliability {name!r} holds {seen}; expected numbers from -1 to 1 "
            "(percent: divide by 100; a correlation of halves: see spearman_brown)."
        )
    return xr.DataArray(
        np.nan_to_num(values.astype(float)),
        dims="site",
        coords={"site": recording["site"].values},
        name="reliability",
        attrs={"units": str(recording[name].attrs.get("units", "as given")), "given": name},
    )


def select_reliable_sites(
    recording: xr.Dataset,
    *,
    above: float,
    splits: int = 100,
    seed: int = 0,
    given: str | None = None,
) -> xr.Dataset:
    """Keep the sites whose reliability is above a threshold: split-half, or as it was published.

    Choosing sites and then measuring their reliability with the same repetitions overstates it
    a little; say in a result which threshold was used: it is in the history.

    Parameters
    ----------
    recording : xarray.Dataset
        Without time bins; every stimulus shown at least twice, or `given`.
    above : float
        Sites with a greater Spearman-Brown corrected reliability are kept.
    splits, seed : int
        As for `neural_data.reliability.estimates.compute_site_reliability`.
    given : str, optional
        Coordinate over sites with the reliability that came with the data, from 0 to 1, such as
        "reliability"; nothing is then split. By default this is the coordinate ``reliability``
        where no stimulus was shown twice.

    Returns
    -------
    xarray.Dataset
        A recording with the coordinate ``reliability (site)``; the history says whether it was
        given.

    Raises
    ------
    RecordingError
        Reliability cannot be computed, or no site is above the threshold; or there is no such
        coordinate, or it is not from -1 to 1.
    """
    given = find_given(recording) if given is None else given
    if given is not None:
        return select_above(
            recording,
            read_given(recording, given),
            above,
            step=f"select_reliable_sites(above={above:g}, given={given!r})",
        )
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
