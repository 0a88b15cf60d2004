"""Standard errors of similarities over the units that were sampled, and draws of that spread.

A similarity of RDMs is a smooth function of sums over pairs of conditions. Leaving out one unit at
a time, with all its conditions, gives its standard error over samples of units [1]_. What belongs
to pairs of units and to no unit alone enters that error twice [2]_; it is taken out again, by a
part that grows with the number of units (chosen with benchmarks/inference.py). All is done on
Fisher's z, with Student's t of one degree of freedom less than there are units.

References
----------
.. [1] Efron & Stein (1981), Annals of Statistics 9, 586-596.
.. [2] van der Vaart (1998), Asymptotic Statistics, chapter 12 (U-statistics).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from brainguided.rdms.compare import prepare_vector
from brainguided.rdms.comparisons import find_comparison
from brainguided.rdms.distances import square_matrix
from brainguided.rdms.units import Units

IN_INTERVALS, IN_DRAWS = 6, 3
"""Units of which nothing is taken out of a standard error; chosen with benchmarks/inference.py."""
LARGEST = 1 - 1e-15
"""Similarities of more than this are those of one RDM with itself: Fisher's z is not finite."""


@dataclass(frozen=True, eq=False)
class Spread:
    """Deviations of similarities, on Fisher's z, that each unit brings about.

    Attributes
    ----------
    centre : ndarray (layer,)
        Fisher's z of the similarities.
    deviations : ndarray (unit, layer)
        Their sum of squares is the squared standard error of the jackknife, their sum 0.
    error : ndarray (layer,)
        Standard error without what pairs of units add to that of the jackknife.
    factors : tuple of float
        By which the deviations of the mean layer, and those of all layers from it, shrink in draws
        for the same reason. They are common to all layers: a factor for every difference would be
        too small for the very differences that are large by chance.
    """

    centre: np.ndarray
    deviations: np.ndarray
    error: np.ndarray
    factors: tuple[float, float]

    @property
    def freedom(self) -> int:
        """Degrees of freedom: one less than there are units."""
        return len(self.deviations) - 1

    def interval(self, level: float = 0.95) -> np.ndarray:
        """Return the interval of each similarity: (layer, bound)."""
        from scipy.stats import t

        reach = t.ppf((1 + level) / 2, self.freedom) * self.error
        bounds: np.ndarray = np.tanh(np.stack([self.centre - reach, self.centre + reach], axis=-1))
        return bounds

    def draw(self, draws: int, seed: int | Sequence[int]) -> np.ndarray:
        """Return similarities (draw, layer) about the estimates, joint for all layers.

        Each unit's deviations are multiplied by a normal deviate, the same for all layers, and a
        draw as a whole by that of Student's t: differences of layers thus have the spread that
        they have over samples of units. Where there are many more draws than units, the deviates
        are made to have no more or less spread than they should by chance.
        """
        generator = np.random.default_rng(seed)
        deviates = generator.normal(size=(draws, len(self.deviations)))
        if draws >= 2 * len(self.deviations):
            deviates = np.sqrt(draws) * np.linalg.qr(deviates - deviates.mean(0))[0]
        chi = generator.chisquare(self.freedom, size=(draws, 1)) / self.freedom
        mean = self.deviations.mean(1, keepdims=True)
        of_mean, of_others = self.factors
        deviations = of_mean * mean + of_others * (self.deviations - mean)
        drawn: np.ndarray = np.tanh(self.centre + deviates @ deviations / np.sqrt(chi))
        return drawn


def measure_spread(
    layers: Sequence[np.ndarray], area: np.ndarray, units: Units, *, method: str = "pearson"
) -> Spread:
    """Return the spread of the similarities of layers to an area over samples of units.

    Parameters
    ----------
    layers : sequence of ndarray (pair,)
        Dissimilarities of each layer, none of them constant.
    area : ndarray (pair,)
        Dissimilarities of the area.
    units : Units
        What was sampled; three or more.
    method : {"pearson", "cosine", "spearman"}
        The comparison.

    Returns
    -------
    Spread
    """
    number, many = units.number, len(layers)
    centre, error = np.empty(many), np.empty(many)
    deviations, firsts = np.empty((number, many)), np.empty((number, many))
    rests, seconds = np.zeros((number, number)), 0.0
    kind = find_comparison(method)
    y = _scale(area, method)
    kept = SumsWithout(units)
    sums_y = (kept(y), kept(y**2))
    for k, layer in enumerate(layers):
        x = _scale(layer, method)
        first, rest = _decompose(
            _rank_influence(layer, area) if kind.ranks else _influence(x, y), units
        )
        r = float(np.clip(x @ y, -LARGEST, LARGEST))
        centre[k] = np.arctanh(r)
        slope = 1 / (1 - r * r) if abs(r) < 1 - 1e-9 else 0.0  # of Fisher's z
        firsts[:, k], rest = slope * first, slope * rest
        if kind.ranks:
            deviations[:, k] = firsts[:, k]
        else:
            left = _correlate_rest(kept, x, y, sums_y, centred=kind.centres)
            deviations[:, k] = deviate(np.arctanh(np.clip(left, -LARGEST, LARGEST)))
        rests += rest / many
        second = _sum_pairs(rest)
        seconds += second
        error[k] = np.linalg.norm(deviations[:, k]) * _shrink(
            firsts[:, k], second, number, IN_INTERVALS
        )
    mean = firsts.mean(1, keepdims=True)
    of_mean = _sum_pairs(rests)
    of_others = max(seconds - many * of_mean, 0.0)
    factors = (
        _shrink(mean, of_mean, number, IN_DRAWS),
        _shrink(firsts - mean, of_others, number, IN_DRAWS),
    )
    return Spread(centre, deviations, error, factors)


def deviate(left: np.ndarray) -> np.ndarray:
    """Return deviations (unit,) that units bring about, from values without each of them.

    Their sum of squares is the squared standard error of the jackknife.
    """
    number = len(left)
    found: np.ndarray = np.sqrt((number - 1) / number) * (left.mean() - left)
    return found


def _shrink(first: np.ndarray, second: float, number: int, units: int) -> float:
    """Return by how much a standard error shrinks when pairs of units count once.

    Of `units` units nothing is taken out, of very many all that pairs add.
    """
    total = (first**2).sum()
    share = second / total if total > 0 else 0.0
    part = share * (1 - units / number) * number / (number - 2)
    return float(np.sqrt(np.clip(1 - part, 0.5, 1.0)))


def _sum_pairs(rest: np.ndarray) -> float:
    """Return the variance that comes from pairs of units, of what units alone leave over."""
    number = len(rest)
    return float((rest**2).sum() / 2 * (number - 1) / (number - 3))


class SumsWithout:
    """Sums over the pairs that are left when one unit is left out, for each unit."""

    def __init__(self, units: Units) -> None:
        self.index, self.number = units.index, units.number
        self.same = self.index[:, None] == self.index[None, :]
        self.count = self(np.ones(len(self.index) * (len(self.index) - 1) // 2))

    def __call__(self, vector: np.ndarray) -> np.ndarray:
        """Return the sums (unit,) of entries `vector` (pair,)."""
        matrix = square_matrix(vector)
        rows, own = matrix.sum(1), (matrix * self.same).sum(1)
        # A pair within the unit is in the rows of both of its conditions.
        gone = np.bincount(self.index, rows - own / 2, minlength=self.number)
        left: np.ndarray = vector.sum() - gone
        return left


def _correlate_rest(
    kept: SumsWithout,
    x: np.ndarray,
    y: np.ndarray,
    sums_y: tuple[np.ndarray, np.ndarray],
    *,
    centred: bool,
) -> np.ndarray:
    """Return the similarity without each unit in turn (unit,)."""
    xx, xy = kept(x**2), kept(x * y)
    sum_y, yy = sums_y
    if centred:
        sum_x, count = kept(x), kept.count
        xx, yy, xy = xx - sum_x**2 / count, yy - sum_y**2 / count, xy - sum_x * sum_y / count
    with np.errstate(invalid="ignore", divide="ignore"):
        r: np.ndarray = xy / np.sqrt(xx * yy)
    return r


def _decompose(influence: np.ndarray, units: Units) -> tuple[np.ndarray, np.ndarray]:
    """Split influences (pair,) into those of units and what is left of pairs of units.

    Returns
    -------
    first : ndarray (unit,)
        Deviations, with mean 0; their sum of squares is the variance of the jackknife.
    rest : ndarray (unit, unit)
        Influence of pairs of units that is not the sum of those of the two units.
    """
    matrix = square_matrix(influence)
    number, index = units.number, units.index
    if len(units.index) > number:
        members = np.zeros((len(index), number))
        members[np.arange(len(index)), index] = 1.0
        matrix = members.T @ matrix @ members
    within = np.diag(matrix) / 2
    off = ~np.eye(number, dtype=bool)
    between = np.where(off, matrix - matrix[off].mean(), 0.0)
    rows = between.sum(1)
    rest = np.where(off, between - (rows[:, None] + rows[None, :]) / (number - 2), 0.0)
    first = (number - 1) / (number - 2) * rows + within
    return np.sqrt(number / (number - 1)) * (first - first.mean()), rest


def _scale(vector: np.ndarray, method: str) -> np.ndarray:
    prepared = prepare_vector(vector, method)
    scaled: np.ndarray = prepared / np.linalg.norm(prepared)
    return scaled


def _influence(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the influence of each pair on the cosine of two vectors of length 1."""
    found: np.ndarray = x * y - (x @ y) / 2 * (x**2 + y**2)
    return found


def _rank_influence(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the influence of each pair on Spearman's correlation.

    A pair also moves the ranks of all others: Croux & Dehon (2010), Statistical Methods &
    Applications 19, 497-515.
    """
    from scipy.stats import rankdata

    number = x.size
    u, v = ((rankdata(side) - 0.5) / number - 0.5 for side in (x, y))

    def sum_above(values: np.ndarray, of: np.ndarray) -> np.ndarray:
        _, place = np.unique(values, return_inverse=True)
        sums = np.bincount(place, of)
        above: np.ndarray = (sums[::-1].cumsum()[::-1] - sums / 2) / number
        return above[place]

    found: np.ndarray = u * v + sum_above(x, v) + sum_above(y, u)
    found -= found.mean()
    found /= number * np.sqrt(u.var() * v.var())
    return found
