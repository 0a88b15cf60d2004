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
    sum_noise,
)

T = TypeVar("T", float, np.ndarray, xr.DataArray)
UNITS = "Spearman-Brown corrected Pearson r"


def spearman_brown(r: T, *, factor: float | np.ndarray = 2.0) -> T:
    """Predict the reliability of more repetitions from the correlation of two equal halves.

    ``k r / (1 + (k - 1) |r|)`` for `k` times as many repetitions as a half has [1]_: the
    correlation to be expected between their mean and the mean of as many new ones. An odd number
    n of repetitions has halves of (n - 1) / 2, so that k is n / (n // 2): 3 for three
    repetitions, 2 for any even number.

    The absolute value in the denominator is a convention [2]_, since the formula is one of
    positive reliabilities: a negative correlation is corrected as a positive one is, and keeps
    its sign. Results lie within -1 and 1, and those of sites without signal average to 0.

    Parameters
    ----------
    r : float, array or DataArray
        Pearson correlation of two halves, from -1 to 1.
    factor : float or array, optional
        k, 1 or more.

    Returns
    -------
    float, array or DataArray
        Of the same kind as `r`; from -1 to 1.

    Raises
    ------
    ValueError
        A correlation lies outside -1 to 1, or a factor below 1.

    References
    ----------
    .. [1] Spearman (1910), Brown (1910). British Journal of Psychology 3, 271-295, 296-322.
    .. [2] Krus & Helmstadter (1993). Educational and Psychological Measurement 53, 643-650.

    Examples
    --------
    >>> spearman_brown(0.5)
    0.6666666666666666
    >>> spearman_brown(0.5, factor=3)
    0.75
    """
    values = np.asarray(r, dtype=float)
    if (np.abs(values) > 1 + 1e-9).any():
        seen = values[np.abs(values) > 1 + 1e-9].flat[0]
        raise ValueError(f"A correlation of {seen:g}; expected values from -1 to 1.")
    if (np.asarray(factor) < 1).any():
        raise ValueError(
            f"factor is {np.min(factor):g}; expected 1 or more, the number of repetitions over "
            "that of a half."
        )
    predicted: T = factor * r / (1 + (factor - 1) * abs(r))  # type: ignore[assignment]
    return predicted


def compute_site_reliability(
    recording: xr.Dataset, *, splits: int = 100, seed: int = 0
) -> xr.DataArray:
    """Compute how reliable the responses of each site are, from 0 (noise) to 1.

    The repetitions are split at random into halves, averaged within each, and correlated over
    stimuli (Pearson). Halves are equal, so each split of an odd number of repetitions leaves one
    of them out, at random. The mean over splits is corrected by `spearman_brown` to all
    repetitions, those left out included: the factor is the variance of noise in a half over that
    in the mean of all, ``mean(1 / (n // 2)) / mean(1 / n)`` over the numbers of repetitions n of
    the stimuli. Stimuli shown equally often are split alike, whatever repetitions they miss. A
    half that does not vary over stimuli counts as correlation 0.

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
    factor = np.full((recording.sizes["site"], 1), 2.0)
    for sites, groups in iterate_groups(recording):
        moments = compute_moments(groups)
        noise = sum_noise(groups)
        factor[sites] = noise[0] / noise[1]
        for start in range(0, splits, SPLIT_BLOCK):
            r = correlate_halves(moments, priorities[start : start + SPLIT_BLOCK])
            correlation[sites] += r.sum(axis=1).reshape(len(sites), n_bins)
    return label_sites(
        recording,
        spearman_brown(correlation / splits, factor=factor),
        {"splits": splits, "seed": seed},
        step="compute_site_reliability",
    )


def compute_rdm_reliability(
    recording: xr.Dataset, *, splits: int = 100, seed: int = 0, zscore: bool = False
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
        Bring the mean over repetitions at each site to mean 0 and standard deviation 1 over
        stimuli, so that sites with high rates do not decide alone: the reliability of RDMs of
        z-scored sites. By default responses stay as they are, in RDMs and ceilings too; see
        `zscore_sites`.

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
    factor = np.full((len(areas), 1), 2.0)
    for i, sites in enumerate(areas.values()):
        for half in iterate_half_patterns(recording, sites, priorities, zscore=zscore):
            correlation[i, half.time_bin] += correlate_grams(half.first, half.second)
            factor[i] = half.factor
    return label_areas(
        recording,
        spearman_brown(correlation / splits, factor=factor),
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
