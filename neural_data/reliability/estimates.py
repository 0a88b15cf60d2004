"""Split-half reliability of sites and of dissimilarity matrices, over repetitions."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import xarray as xr

from neural_data.errors import RecordingError, format_names
from neural_data.model.origin import origin_of
from neural_data.model.schema import add_step
from neural_data.reliability.rdm_halves import correlate_grams, iterate_half_patterns
from neural_data.reliability.split_halves import (
    SPLIT_BLOCK,
    compute_moments,
    correlate_halves,
    draw_priorities,
    iterate_groups,
)

T = TypeVar("T", float, np.ndarray, xr.DataArray)
UNITS = "Spearman-Brown corrected Pearson r"


def spearman_brown(r: T) -> T:
    """Predict the reliability of all repetitions from the correlation of two halves of them.

    ``2 r / (1 + r)`` [1]_: the correlation to be expected between the mean over all repetitions
    and the mean over as many new ones.

    Parameters
    ----------
    r : float, array or DataArray
        Pearson correlation of two halves, from -1 to 1.

    Returns
    -------
    float, array or DataArray
        Of the same kind; up to 1, and below 0 where `r` is.

    Raises
    ------
    ValueError
        A correlation lies outside -1 to 1.

    References
    ----------
    .. [1] Spearman (1910), Brown (1910). British Journal of Psychology 3, 271-295, 296-322.

    Examples
    --------
    >>> spearman_brown(0.5)
    0.6666666666666666
    """
    values = np.asarray(r, dtype=float)
    if (np.abs(values) > 1 + 1e-9).any():
        seen = values[np.abs(values) > 1 + 1e-9].flat[0]
        raise ValueError(f"A correlation of {seen:g}; expected values from -1 to 1.")
    if (values == -1).any():
        raise ValueError(
            "A correlation of -1 has no Spearman-Brown prediction (it is minus infinity)."
        )
    predicted: T = 2 * r / (1 + r)
    return predicted


def compute_site_reliability(
    recording: xr.Dataset, *, splits: int = 100, seed: int = 0
) -> xr.DataArray:
    """Compute how reliable the responses of each site are, from 0 (noise) to 1.

    The repetitions are split at random into halves, averaged within each, and correlated over
    stimuli (Pearson); the mean over splits is corrected by `spearman_brown`. Halves are equal, so
    each split of an odd number of repetitions leaves one of them out, at random. Stimuli shown
    equally often are split alike, whatever repetitions they miss. A half that does not vary over
    stimuli counts as correlation 0.

    Parameters
    ----------
    recording : xarray.Dataset
        With at least two repetitions of every stimulus at every site that saw it; a stimulus
        that a site did not see at all is left out for this site. With time bins, each bin is
        taken by itself. In memory or lazily opened, then read in blocks of sites.
    splits : int
        Number of random splits.
    seed : int
        The same seed gives the same splits.

    Returns
    -------
    xarray.DataArray
        ``reliability (site[, time_bin])``, with the coordinates of the sites and time bins.

    Raises
    ------
    RecordingError
        The recording does not follow the schema, has a stimulus shown only once, or fewer than
        three stimuli at a site.

    Examples
    --------
    >>> from neural_data import compute_site_reliability, simulate_macaque
    >>> recording, _ = simulate_macaque(repetitions=4, n_v4=3, n_it=2)
    >>> compute_site_reliability(recording, splits=10).sizes
    Frozen({'site': 5})
    """
    priorities = draw_priorities(recording, splits, seed)
    n_bins = recording.sizes["time_bin"] if "time_bin" in recording["response"].dims else 1
    correlation = np.zeros((recording.sizes["site"], n_bins))
    for sites, groups in iterate_groups(recording):
        moments = compute_moments(groups)
        for start in range(0, splits, SPLIT_BLOCK):
            r = correlate_halves(moments, priorities[start : start + SPLIT_BLOCK])
            correlation[sites] += r.sum(axis=1).reshape(len(sites), n_bins)
    return label_sites(
        recording,
        spearman_brown(correlation / splits),
        {"splits": splits, "seed": seed},
        step="compute_site_reliability",
    )


def compute_rdm_reliability(
    recording: xr.Dataset, *, splits: int = 100, seed: int = 0, zscore: bool = True
) -> xr.DataArray:
    """Compute how reliable the dissimilarity matrix (RDM) of each area is.

    As for sites, but it is the RDMs of the two halves, 1 - Pearson r between the patterns of
    any two stimuli over the sites of the area, whose upper triangles are correlated (Pearson).

    Parameters
    ----------
    recording : xarray.Dataset
        With at least two repetitions of every stimulus at every site, and three sites an area.
        With time bins, each bin is taken by itself. In memory or lazily opened, then one area
        (and at most 512 MiB of it) is in memory at a time.
    splits : int
        Number of random splits.
    seed : int
        The same seed gives the same splits.
    zscore : bool
        Standardise each site over stimuli, in each half by itself, so that sites with high
        rates do not decide alone. Without it the patterns share the mean response of the sites,
        which alone makes RDMs alike.

    Returns
    -------
    xarray.DataArray
        ``reliability (area[, time_bin])``, areas in the order in which they appear.

    Raises
    ------
    RecordingError
        As for sites, or an area has fewer than three sites, or a site did not see a stimulus.

    Notes
    -----
    Sites that were recorded together share noise. Their halves hold the same repetitions as
    long as they miss the same ones; where each site misses others, a little of the shared noise
    enters both halves and the estimate is somewhat too high.
    """
    priorities = draw_priorities(recording, splits, seed)
    areas = list_areas(recording)
    n_bins = recording.sizes["time_bin"] if "time_bin" in recording["response"].dims else 1
    correlation = np.zeros((len(areas), n_bins))
    for i, sites in enumerate(areas.values()):
        for bin_, _, first, second in iterate_half_patterns(
            recording, sites, priorities, zscore=zscore
        ):
            correlation[i, bin_] += correlate_grams(first, second)
    return label_areas(
        recording,
        spearman_brown(correlation / splits),
        {"splits": splits, "seed": seed, "zscore": int(zscore)},
        step="compute_rdm_reliability",
    )


def list_areas(recording: xr.Dataset) -> dict[str, np.ndarray]:
    """Find the sites of each area, as bool (site), in the order in which the areas appear.

    Raises
    ------
    RecordingError
        An area has fewer than three sites.
    """
    labels = recording["area"].values.astype(str)
    areas = {name: labels == name for name in dict.fromkeys(labels.tolist())}
    small = [name for name, sites in areas.items() if sites.sum() < 3]
    if small:
        raise RecordingError(
            f"Fewer than 3 sites in {format_names(small)}; the patterns of an RDM need at least "
            "3. Select the other areas: select_recording(recording, area=...)."
        )
    return areas


def label_sites(
    recording: xr.Dataset, values: np.ndarray, settings: dict[str, int], *, step: str
) -> xr.DataArray:
    """Label values ([draw, ]site, time_bin) by site and, where there are several, by time bin."""
    coords = _keep_coords(recording, {"site", "time_bin"})
    return _label(recording, values, ("site", coords), settings, step)


def label_areas(
    recording: xr.Dataset, values: np.ndarray, settings: dict[str, int], *, step: str
) -> xr.DataArray:
    """Label values ([draw, ]area, time_bin) by area and, where there are several, by time bin."""
    names = list(dict.fromkeys(recording["area"].values.astype(str).tolist()))
    coords = {"area": ("area", names), **_keep_coords(recording, {"time_bin"})}
    return _label(recording, values, ("area", coords), settings, step)


def _keep_coords(recording: xr.Dataset, dims: set[str]) -> dict[str, Any]:
    return {
        str(name): (coord.dims, coord.values, coord.attrs)
        for name, coord in recording.coords.items()
        if set(coord.dims) <= dims
    }


def _label(
    recording: xr.Dataset,
    values: np.ndarray,
    labels: tuple[str, dict[str, Any]],
    settings: dict[str, int],
    step: str,
) -> xr.DataArray:
    dim, coords = labels
    dims: tuple[str, ...] = (dim, "time_bin")
    if "time_bin" not in recording["response"].dims:
        values, dims = values[..., 0], (dim,)
    if values.ndim > len(dims):
        dims = ("draw", *dims)
    result = xr.DataArray(
        values,
        dims=dims,
        coords=coords,
        name="reliability",
        attrs={"units": UNITS, **origin_of(recording), **settings},
    )
    said = ", ".join(f"{name}={value}" for name, value in settings.items())
    sizes = f"{recording.sizes['site']} sites, {recording.sizes['stimulus']} stimuli"
    return add_step(result, f"{step}({said}): {sizes}")
