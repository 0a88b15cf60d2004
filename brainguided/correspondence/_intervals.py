"""Intervals of similarities over units of stimuli, sites and animals, and of what is corrected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from brainguided.correspondence._area_ceiling import AreaCeiling
from brainguided.correspondence.bootstrap import (
    bootstrap_sites,
    draw_times,
    refuse_undrawn,
    share_of_sum,
    weigh_similarity,
)
from brainguided.correspondence.committed_layers import compare_vectors
from brainguided.correspondence.standard_errors import LARGEST, Spread, measure_spread
from brainguided.rdms.distances import count_conditions
from brainguided.rdms.units import UnitName, Units


class Settings(Protocol):
    """Settings that `correspondence.Inference` provides."""

    @property
    def resample(self) -> tuple[str, ...]: ...
    @property
    def draws(self) -> int: ...
    @property
    def permutations(self) -> int: ...
    @property
    def splits(self) -> int: ...
    @property
    def unit(self) -> UnitName: ...


@dataclass(frozen=True, eq=False)
class SiteResponses:
    """Mean responses of an area, for drawing its sites.

    Attributes
    ----------
    patterns : ndarray (condition, site)
    animals : ndarray of str (site,)
        Whose sites they are.
    measure : str
        Of the area's RDM.
    """

    patterns: np.ndarray
    animals: np.ndarray
    measure: str = "correlation"

    def count(self, resample: tuple[str, ...]) -> int:
        """Return how many animals there are where those are drawn, and else how many sites."""
        return len(np.unique(self.animals)) if "animal" in resample else len(self.animals)


class Drawn(NamedTuple):
    """Draws of similarities and what is made of them.

    Attributes
    ----------
    draws : ndarray (draw, layer)
    interval : ndarray (layer, bound)
    spread : Spread or None
        Over units of stimuli; None where these are not drawn.
    freedom : int
        Degrees of freedom of the standard errors of differences between layers, one less than
        there are units, sites or animals; those of several are combined (Satterthwaite).
    """

    draws: np.ndarray
    interval: np.ndarray
    spread: Spread | None
    freedom: int


def draw_similarity(
    vectors: list[np.ndarray],
    area: np.ndarray,
    how: Settings,
    *,
    units: Units | None = None,
    responses: SiteResponses | None = None,
    method: str = "pearson",
    seed: int = 0,
) -> Drawn:
    """Return draws of similarities about their estimates, and 95 % intervals.

    Parameters
    ----------
    vectors : list of ndarray (pair,)
        Dissimilarities of each layer.
    area : ndarray (pair,)
        Dissimilarities of the area.
    how : Inference
        What is drawn (`resample`), and how often (`draws`).
    units : Units, optional
        Of the stimuli; by default single conditions.
    responses : SiteResponses, optional
        Mean responses of the area, where sites or animals are drawn.
    method : str
        Of the comparison.
    seed : int

    Returns
    -------
    Drawn
    """
    refuse_undrawn(method)
    if units is None:
        units = Units("condition", (np.arange(count_conditions(area.size)),))
    spread = None
    if "stimulus" in how.resample:
        spread = measure_spread(vectors, area, units, method=method)
        over_stimuli = spread.draw(how.draws, [seed, 0])
    if responses is None:
        assert spread is not None  # sites are drawn from responses
        return Drawn(over_stimuli, spread.interval(), spread, spread.freedom)
    patterns, measure = responses.patterns, responses.measure
    sites = draw_sites(responses, how.resample, how.draws, seed)
    over_sites = bootstrap_sites(vectors, patterns, sites, measure=measure, method=method)
    estimate = compare_vectors(np.stack(vectors), area, method)
    centre = np.arctanh(np.clip(estimate, -LARGEST, LARGEST))
    over = np.arctanh(np.clip(over_sites, -LARGEST, LARGEST))
    over = over - over.mean(0)
    freedom = responses.count(how.resample) - 1
    moved = over * widen_few(freedom + 1)
    if spread is not None:
        parts = [_sum_differences(spread.deviations), _sum_differences(over) / len(over)]
        freedom = combine_freedom(parts, [spread.freedom, freedom])
        times = draw_times(units.number, how.draws, [seed, 5])
        alone = weigh_similarity(vectors, [area], times, method=method, units=units)[:, :, 0]
        both = bootstrap_sites(
            vectors, patterns, sites, times, units=units, measure=measure, method=method
        )
        variance = (spread.error * (1 - estimate**2)) ** 2
        share = share_of_sum(alone, over_sites, both, variance)
        moved = np.sqrt(share) * (
            moved + np.arctanh(np.clip(over_stimuli, -LARGEST, LARGEST)) - centre
        )
    draws = np.tanh(centre + moved)
    return Drawn(draws, np.quantile(draws, [0.025, 0.975], axis=0).T, spread, max(freedom, 1))


def correct_interval(similarity: np.ndarray, drawn: Drawn, ceiling: AreaCeiling) -> np.ndarray:
    """Return intervals (layer, bound) of similarities (layer,) over a ceiling.

    Both vary over units of stimuli, and together: each unit's deviation of the quotient is that of
    the similarity over the ceiling, less the quotient times that of the ceiling over the ceiling.
    The interval of the similarity is stretched by as much as the standard error is by the ceiling.
    """
    from scipy.stats import t

    if not ceiling.usable:
        return np.full((len(similarity), 2), np.nan)
    reach = np.abs(drawn.interval - similarity[:, np.newaxis])
    stretch = np.ones(len(similarity))
    if drawn.spread is not None and ceiling.deviations is not None:
        own = drawn.spread.deviations * (1 - similarity**2)
        both = own - np.outer(ceiling.deviations / ceiling.ceiling, similarity)
        of_stimuli = (own**2).sum(0)
        # Sites, where they are drawn too, widen the interval beyond that over stimuli
        alone = t.ppf(0.975, drawn.spread.freedom) * np.sqrt(of_stimuli)
        of_all = of_stimuli * np.maximum(reach.mean(1) / np.where(alone > 0, alone, np.inf), 1) ** 2
        added = ((both**2).sum(0) - of_stimuli) / np.where(of_all > 0, of_all, np.inf)
        stretch = np.sqrt(np.maximum(1 + added, 0.0))
    about = stretch[:, np.newaxis] * reach * [-1, 1]
    found: np.ndarray = (similarity[:, np.newaxis] + about) / ceiling.ceiling
    return found


def combine_freedom(variances: list[float], freedom: list[int]) -> int:
    """Return the degrees of freedom of a sum of variances [1]_.

    References
    ----------
    .. [1] Satterthwaite (1946), Biometrics Bulletin 2, 110-114.
    """
    squares = sum(v * v / max(f, 1) for v, f in zip(variances, freedom, strict=True))
    return int(sum(variances) ** 2 / squares) if squares > 0 else min(freedom)


def _sum_differences(values: np.ndarray) -> float:
    """Return the sum of squares of values (..., layer) about the mean layer, or of one layer."""
    about = values - values.mean(-1, keepdims=True) if values.shape[-1] > 1 else values
    return float((about**2).sum())


def widen_few(number: int) -> float:
    """Return by how much draws of sites, or animals, widen as their spread comes from few of them.

    By the root of n / (n - 1), and by Student's t in the place of the normal distribution.
    """
    from scipy.stats import norm, t

    if number < 2:
        return 1.0
    return float(np.sqrt(number / (number - 1)) * t.ppf(0.975, number - 1) / norm.ppf(0.975))


def draw_sites(
    responses: SiteResponses, resample: tuple[str, ...], draws: int, seed: int
) -> np.ndarray:
    """Return how often each site came up: (draw, site).

    Animals are drawn first, with all their sites; sites are then drawn within each animal.
    """
    animals = responses.animals
    if "animal" not in resample:
        return draw_times(len(animals), draws, [seed, 1])
    names, index = np.unique(animals, return_inverse=True)
    times = draw_times(len(names), draws, [seed, 6])[:, index]
    if "site" in resample:
        for k in range(len(names)):
            members = np.flatnonzero(index == k)
            times[:, members] *= draw_times(len(members), draws, [seed, 7, k])
    return times
