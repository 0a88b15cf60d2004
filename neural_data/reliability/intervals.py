"""How far the reliability of sites and of RDMs would vary with other stimuli: the bootstrap."""

from __future__ import annotations

import numpy as np
import xarray as xr

from neural_data.errors import RecordingError
from neural_data.reliability.estimates import (
    label_areas,
    label_sites,
    list_areas,
    spearman_brown,
)
from neural_data.reliability.rdm_halves import iterate_half_patterns, sum_by_stimulus
from neural_data.reliability.split_halves import (
    Group,
    average_halves,
    correlate_sums,
    draw_priorities,
    iterate_groups,
    sum_noise,
)

FEWEST_STIMULI = 10
SUMS_BYTES = 64 * 2**20


def bootstrap_site_reliability(
    recording: xr.Dataset, *, draws: int = 1000, splits: int = 20, seed: int = 0
) -> xr.DataArray:
    """Compute the reliability of each site anew for stimuli drawn with replacement.

    The bootstrap [1]_ over stimuli: `compute_site_reliability` of as many stimuli as there are,
    drawn at random, some of them repeatedly. The same stimuli are drawn for all sites, so that
    medians over sites may be taken of each draw. Quantiles over draws make intervals.

    Parameters
    ----------
    recording : xarray.Dataset
        As for `compute_site_reliability`, with at least ten stimuli at every site.
    draws : int
        Number of times that stimuli are drawn.
    splits : int
        Number of random splits of the repetitions, the same for every draw. With the same seed
        these are the first ones of `compute_site_reliability`.
    seed : int
        The same seed gives the same draws.

    Returns
    -------
    xarray.DataArray
        ``reliability (draw, site[, time_bin])``, with the coordinates of the sites.

    Raises
    ------
    RecordingError
        As for `compute_site_reliability`, or a site has fewer than ten stimuli.

    References
    ----------
    .. [1] Efron & Tibshirani (1993). An Introduction to the Bootstrap, chapters 6 and 13.

    Examples
    --------
    >>> from neural_data import bootstrap_site_reliability, simulate_macaque
    >>> recording, _ = simulate_macaque(repetitions=4, n_v4=3, n_it=2)
    >>> drawn = bootstrap_site_reliability(recording, draws=50, splits=5)
    >>> interval = drawn.quantile([0.025, 0.975], "draw")
    >>> dict(interval.sizes)
    {'quantile': 2, 'site': 5}
    """
    priorities = draw_priorities(recording, splits, seed)
    drawn = _draw_stimuli(recording, draws, seed)
    n_bins = recording.sizes["time_bin"] if "time_bin" in recording["response"].dims else 1
    correlation = np.zeros((draws, recording.sizes["site"], n_bins))
    factor = np.full((recording.sizes["site"], 1), 2.0)
    few: list[int] = []
    for sites, groups in iterate_groups(recording):
        if sum(len(group.stimuli) for group in groups) < FEWEST_STIMULI:
            few += sites.tolist()
            continue
        noise = sum_noise(groups)
        factor[sites] = noise[0] / noise[1]
        r = _correlate_draws(groups, priorities, drawn)
        correlation[:, sites] = r.reshape(draws, len(sites), n_bins)
    if few:
        raise RecordingError(
            f"{len(few)} of {recording.sizes['site']} sites saw fewer than {FEWEST_STIMULI} "
            "stimuli, too few to draw from again. Select sites that saw more, or report the "
            "reliability without an interval."
        )
    return label_sites(
        recording,
        spearman_brown(np.clip(correlation / splits, -1, 1), factor=factor),
        {"draws": draws, "splits": splits, "seed": seed},
        step="bootstrap_site_reliability",
    )


def bootstrap_rdm_reliability(
    recording: xr.Dataset,
    *,
    draws: int = 1000,
    splits: int = 20,
    seed: int = 0,
    zscore: bool = False,
) -> xr.DataArray:
    """Compute the reliability of each area's RDM anew for stimuli drawn with replacement.

    The bootstrap over stimuli of `compute_rdm_reliability`. A pair of stimuli counts as often as
    the product of how often both were drawn; pairs of a stimulus with itself are left out. Sums
    over pairs are taken to first order in how often each stimulus was drawn, around once
    (Hajek's projection [1]_), for sites and patterns standardised over all stimuli: this is as
    if the
    number of stimuli were large, and makes a draw cost next to nothing.

    Sites are not drawn: an RDM is the more reliable the more sites it has, and among sites drawn
    with replacement there are fewer different ones, so that the interval would lie below the
    estimate.

    Parameters
    ----------
    recording : xarray.Dataset
        As for `compute_rdm_reliability`, with at least ten stimuli.
    draws, splits, seed : int
        As for `bootstrap_site_reliability`.
    zscore : bool
        As for `compute_rdm_reliability`.

    Returns
    -------
    xarray.DataArray
        ``reliability (draw, area[, time_bin])``.

    Raises
    ------
    RecordingError
        As for `compute_rdm_reliability`, or there are fewer than ten stimuli.

    References
    ----------
    .. [1] van der Vaart (1998). Asymptotic Statistics, chapters 11 and 12.
    """
    priorities = draw_priorities(recording, splits, seed)
    areas = list_areas(recording)
    n_stimuli = recording.sizes["stimulus"]
    if n_stimuli < FEWEST_STIMULI:
        raise RecordingError(
            f"There are {n_stimuli} stimuli, too few to draw from again: at least "
            f"{FEWEST_STIMULI} are needed. Report the reliability without an interval."
        )
    times = 2.0 * _draw_stimuli(recording, draws, seed) - 1
    n_bins = recording.sizes["time_bin"] if "time_bin" in recording["response"].dims else 1
    correlation = np.zeros((draws, len(areas), n_bins))
    factor = np.full((len(areas), 1), 2.0)
    for i, sites in enumerate(areas.values()):
        for half in iterate_half_patterns(recording, sites, priorities, zscore=zscore):
            factor[i] = half.factor
            sums = times @ sum_by_stimulus(half.first, half.second).T
            n_pairs = np.asarray(float(n_stimuli * (n_stimuli - 1)))
            r = correlate_sums(tuple(sums.T), n_pairs)
            correlation[:, i, half.time_bin] += np.clip(r, -1, 1)
    return label_areas(
        recording,
        spearman_brown(np.clip(correlation / splits, -1, 1), factor=factor),
        {"draws": draws, "splits": splits, "seed": seed, "zscore": int(zscore)},
        step="bootstrap_rdm_reliability",
    )


def _draw_stimuli(recording: xr.Dataset, draws: int, seed: int) -> np.ndarray:
    """Draw with replacement: how often each stimulus came up, float (draw, stimulus)."""
    if draws < 1:
        raise ValueError(f"draws is {draws}; expected at least 1.")
    n = recording.sizes["stimulus"]
    rng = np.random.default_rng([seed, 1])
    return rng.multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float64)


def _correlate_draws(groups: list[Group], priorities: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Correlate two halves over the stimuli of each draw, summed over splits: (draw, channel)."""
    times = drawn[:, np.concatenate([group.stimuli for group in groups])]
    # A site may have seen none of the stimuli drawn; then all its sums are 0.
    n = np.maximum(times.sum(axis=1), 1)[:, np.newaxis]
    n_channels = len(groups[0].values)
    result = np.zeros((len(drawn), n_channels))
    step = max(1, SUMS_BYTES // (16 * n_channels * times.shape[1]))
    for start in range(0, len(priorities), step):
        pairs = [average_halves(group, priorities[start : start + step]) for group in groups]
        first, second = (np.concatenate(half, axis=2) for half in zip(*pairs, strict=True))
        for k in range(first.shape[1]):
            a, b = first[:, k], second[:, k]
            features = np.concatenate([a, b, a * a, b * b, a * b])
            sums = (times @ features.T).reshape(len(drawn), 5, n_channels)
            result += correlate_sums(tuple(sums.swapaxes(0, 1)), n)
    return result
