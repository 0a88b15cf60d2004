"""Validity: which scores of an early search predict how well networks do in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from brainguided.architectures.graph_counts import GRAPH_COUNTS
from brainguided.candidates.ridge import expand_counts, rank_columns
from brainguided.candidates.rivals import FREE
from brainguided.replays._association import (
    concord,
    correlate,
    draw_weights,
    find_interval,
    find_regret,
    rank_among,
)
from brainguided.replays._out_of_fold import predict_out_of_fold
from brainguided.replays._scores import (
    COUNTS,
    GUIDANCE,
    PERFORMANCE,
    list_within,
    read_profiles,
    read_scores,
    read_shuffles,
)
from brainguided.replays.pools import Pool
from neural_data.labels import name_variables

ALPHAS = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
"""Weights of TG, those of figure 2 of Bashivan et al. (2019)."""
_PARTIAL = "partial"
_TESTED = ("pearson", _PARTIAL)


def compute_validity(
    pool: Pool,
    *,
    alphas: Sequence[float] = ALPHAS,
    top: Sequence[int] = (1, 5),
    draws: int = 1000,
    seed: int = 0,
) -> xr.Dataset:
    """Return how well every score at every rung predicts mature accuracy, with intervals.

    Intervals are percentiles of a bootstrap over candidates. They say how much other candidates
    would change a number, and are never evidence for the brain: that is the rank of an area among
    its own shuffles, through the whole pipeline, corrected for all areas, rungs, kinds of layer
    and the two statistics by the largest of them (max-T) [1]_.

    Parameters
    ----------
    pool : Pool
        From `load_pool`.
    alphas : sequence of float, optional
        Weights of TG in P + alpha * TG, as in figure 2 of the paper [2]_.
    top : sequence of int, optional
        Numbers of candidates that a score may choose, for the regret.
    draws : int, optional
        Of the bootstrap.
    seed : int, optional
        Of the draws.

    Returns
    -------
    xarray.Dataset
        ``value``, ``lower``, ``upper`` (score, rung, statistic), where statistic is
        ``pearson``; ``kendall`` (tau b); ``partial``, the correlation between what is left of the
        ranks of score and mature accuracy after P at that rung, parameters, multiply-adds and
        the graph's counts with their squares and products, both predicted by ridge regression on
        candidates that are no neighbours (where there are several seeds of the weights, the score
        with each seed after P of the others, P itself among the scores, and the mean of what is
        left); ``regret@k``, by how much the best of all exceeds the
        best of the k highest scores, in units of the mature accuracy.
        ``difference``, ``difference_lower``, ``difference_upper`` (score, rung, reference):
        Pearson's r less that of P and of each control at the same rung, over the same draws.
        ``gain`` and its interval (alpha, rung): r of P + alpha * TG less that of P.
        ``shuffled`` (score, rung, tested, shuffle), ``p_value`` and ``corrected_p_value`` (score,
        rung, tested): one-sided, a brain score does not count for being unlike the brain.
        ``p_value_within``, ``corrected_p_value_within`` (within, score, rung, tested): the same
        among shuffles within groups of conditions (`within`, as "category"), where there are such
        controls: whether an area has more than what groups have in common.
        ``resemblance`` (area, control): correlation over candidates and layers between similarity
        to an area and to a control at the last rung. ``given`` and its interval (area, control,
        rung): the area's partial correlation with the control given too. ``n`` (score, rung):
        candidates with that score. ``trained`` (score): whether it has rungs at all.

    Raises
    ------
    ValueError
        Fewer than 2 draws, or a number to choose of less than 1.

    References
    ----------
    .. [1] Westfall & Young (1993), Resampling-based multiple testing.
    .. [2] Bashivan, Tensen & DiCarlo (2019), ICCV, section 4.1 and figures 2 and 3.
    """
    if draws < 2 or any(k < 1 for k in top):
        raise ValueError(
            f"draws is {draws} and top {tuple(top)}; expected at least 2 draws, and to choose 1."
        )
    scores = read_scores(pool)
    weights = draw_weights(len(pool.candidates), draws, seed)
    seeds = pool.of_seeds
    seen = [scores] if len(seeds) == 1 else [read_scores(one) for one in seeds]
    left = {rung: _Left(pool, seen, row) for row, rung in enumerate(pool.rungs)}
    found = xr.Dataset(
        coords={
            "score": list(scores),
            "rung": list(pool.rungs),
            "statistic": ["pearson", "kendall", _PARTIAL, *(f"regret@{k}" for k in top)],
            "reference": [PERFORMANCE, *pool.controls],
        },
        attrs={
            "mature": pool.source,
            "candidates": len(pool.candidates),
            "simulated": int(pool.simulated),
            "draws": draws,
            "seed": seed,
        },
    )
    free = {*pool.statistics, *pool.measurements[0].statistics, COUNTS}
    found["trained"] = "score", [name not in free for name in scores]
    _add_statistics(found, pool, scores, left, weights, top)
    _add_differences(found, pool, scores, weights)
    _add_gains(found, pool, scores, weights, alphas)
    _add_shuffles(found, pool, scores, left)
    _add_controls(found, pool, scores, left, weights)
    named: xr.Dataset = name_variables(found, _NAMES)
    return named


_NAMES = {
    "rung": ("training steps", "1"),
    "alpha": ("alpha, weight of TG", "1"),
    "value": ("statistic of a score", "1"),
    "n": ("candidates with that score", "1"),
    "difference": ("Pearson's r less that of the reference", "1"),
    "gain": ("gain in Pearson's r over P", "1"),
    "shuffled": ("statistic of shuffles", "1"),
    "p_value": ("p among shuffles", "1"),
    "corrected_p_value": ("p among shuffles, corrected", "1"),
    "p_value_within": ("p among shuffles within groups", "1"),
    "corrected_p_value_within": ("p among shuffles within groups, corrected", "1"),
    "resemblance": ("correlation of area and control over layers", "1"),
    "given": ("partial correlation given a control", "1"),
}


class _Left:
    """What is left of ranks at one rung after what is known without the score.

    Where there are several seeds of the weights, a score with one seed is given P of the others,
    and what is left is the mean over seeds.
    """

    def __init__(self, pool: Pool, seen: Sequence[Mapping[str, np.ndarray]], row: int) -> None:
        counts = np.column_stack([pool.statistics[name] for name in GRAPH_COUNTS])
        size = np.column_stack([pool.statistics[n] for n in ("parameters", "multiply_adds")])
        self._near, self._seen, self._row = pool.neighbours, seen, row
        self._known = np.hstack([rank_columns(size), expand_counts(counts)])
        own = [scores[PERFORMANCE][row] for scores in seen]
        given = own
        if len(own) > 1:
            given = [np.mean([*own[:k], *own[k + 1 :]], axis=0) for k in range(len(own))]
        self._performance = [rank_columns(_fill(one)[:, None]) for one in given]
        self.mature = self.of_values([pool.mature] * len(own))
        self.mature_of_performance = self.of_values([pool.mature] * len(own), performance=False)

    @property
    def is_of_seeds(self) -> bool:
        """Whether P of other seeds is given, and not that of the same training."""
        return len(self._seen) > 1

    def of(self, names: Sequence[str], *, more: str = "") -> np.ndarray:
        """Return residuals of scores (candidate, score), with another score given too."""
        nothing = np.full(len(self._near), np.nan)
        columns = [
            np.column_stack([scores[n][self._row] if n in scores else nothing for n in names])
            for scores in self._seen
        ]
        return self.of_values(columns, more=more)

    def of_values(
        self, values: Sequence[np.ndarray], *, performance: bool = True, more: str = ""
    ) -> np.ndarray:
        """Return residuals (candidate,) or (candidate, column) of values with each seed."""
        rests = []
        for one, given, scores in zip(values, self._performance, self._seen, strict=True):
            columns = one[:, None] if one.ndim == 1 else one
            known = [self._known]
            known += [rank_columns(_fill(scores[more][self._row])[:, None])] if more else []
            known += [given] if performance else []
            ranks = rank_columns(_fill(columns))
            rest = ranks - predict_out_of_fold(np.hstack(known), ranks, self._near)
            rest = np.where(np.isfinite(columns), rest, np.nan)
            rests.append(rest[:, 0] if one.ndim == 1 else rest)
        return np.asarray(np.mean(rests, axis=0))


def _fill(values: np.ndarray) -> np.ndarray:
    """Return values with NaN as the lowest; they are left out afterwards."""
    if np.isfinite(values).all():
        return values
    known = values[np.isfinite(values)]
    return np.where(np.isfinite(values), values, known.min() if known.size else 0.0)


def _add_statistics(
    found: xr.Dataset,
    pool: Pool,
    scores: Mapping[str, np.ndarray],
    left: Mapping[int, _Left],
    weights: np.ndarray,
    top: Sequence[int],
) -> None:
    shape = (len(scores), len(pool.rungs), found.sizes["statistic"])
    values, lower, upper = (np.full(shape, np.nan) for _ in range(3))
    number = np.zeros(shape[:2], dtype=int)
    for j, rung in enumerate(pool.rungs):
        columns = np.column_stack([table[j] for table in scores.values()])
        rests = left[rung].of(list(scores)).T
        for i, name in enumerate(scores):
            score = columns[:, i]
            number[i, j] = np.isfinite(score).sum()
            if number[i, j] < 3 or np.nanmax(score) == np.nanmin(score):
                continue
            own = name != PERFORMANCE or left[rung].is_of_seeds
            rest = rests[i] if own else left[rung].of_values([score], performance=False)
            if name in (*FREE, COUNTS):  # given already
                rest[:] = np.nan
            mature = left[rung].mature if own else left[rung].mature_of_performance
            drawn = [
                correlate(score, pool.mature, weights),
                concord(score, pool.mature, weights),
                _correlate_rest(rest, mature, weights),
                *(find_regret(score, pool.mature, weights, k) for k in top),
            ]
            for k, one in enumerate(drawn):
                values[i, j, k] = one[0]
                lower[i, j, k], upper[i, j, k] = find_interval(one[1:])
    dims = ("score", "rung", "statistic")
    for name, array in (("value", values), ("lower", lower), ("upper", upper)):
        found[name] = dims, array
    found["n"] = dims[:2], number


def _correlate_rest(rest: np.ndarray, mature: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the correlation of residuals, NaN where next to nothing is left of the score."""
    known = rest[np.isfinite(rest)]
    if known.size < 3 or known.std() < 1e-3:  # of ranks from 0 to 1: it is one of those given
        return np.full(len(weights), np.nan)
    return correlate(rest, mature, weights)


def _add_differences(
    found: xr.Dataset, pool: Pool, scores: Mapping[str, np.ndarray], weights: np.ndarray
) -> None:
    dims = ("score", "rung", "reference")
    shape = tuple(found.sizes[dim] for dim in dims)
    values, lower, upper = (np.full(shape, np.nan) for _ in range(3))
    for j in range(len(pool.rungs)):
        drawn = [correlate(table[j], pool.mature, weights) for table in scores.values()]
        place = {name: i for i, name in enumerate(scores)}
        for i in range(len(scores)):
            for k, reference in enumerate(found["reference"].values):
                if place[reference] == i:
                    continue
                one = drawn[i] - drawn[place[reference]]
                values[i, j, k] = one[0]
                lower[i, j, k], upper[i, j, k] = find_interval(one[1:])
    found["difference"] = dims, values
    found["difference_lower"], found["difference_upper"] = (dims, lower), (dims, upper)


def _add_gains(
    found: xr.Dataset,
    pool: Pool,
    scores: Mapping[str, np.ndarray],
    weights: np.ndarray,
    alphas: Sequence[float],
) -> None:
    if GUIDANCE not in scores:
        return
    shape = (len(alphas), len(pool.rungs))
    values, lower, upper = (np.full(shape, np.nan) for _ in range(3))
    for j in range(len(pool.rungs)):
        alone = correlate(scores[PERFORMANCE][j], pool.mature, weights)
        for i, alpha in enumerate(alphas):
            both = scores[PERFORMANCE][j] + alpha * scores[GUIDANCE][j]
            one = correlate(both, pool.mature, weights) - alone
            values[i, j] = one[0]
            lower[i, j], upper[i, j] = find_interval(one[1:])
    dims = ("alpha", "rung")
    found.coords["alpha"] = list(alphas)
    found["gain"], found["gain_lower"], found["gain_upper"] = (
        (dims, values),
        (dims, lower),
        (dims, upper),
    )


def _add_shuffles(
    found: xr.Dataset,
    pool: Pool,
    scores: Mapping[str, np.ndarray],
    left: Mapping[int, _Left],
) -> None:
    dims = ("score", "rung", "tested")
    if shuffles := read_shuffles(pool):
        null, alone, corrected = _rank_among_shuffles(found, pool, scores, left)
        found["shuffled"] = (*dims, "shuffle"), null
        found["p_value"], found["corrected_p_value"] = (dims, alone), (dims, corrected)
    if groups := list_within(pool):
        every = [_rank_among_shuffles(found, pool, scores, left, one)[1:] for one in groups]
        alone, corrected = (np.stack(part) for part in zip(*every, strict=True))
        found.coords["within"] = groups
        found["p_value_within"] = ("within", *dims), alone
        found["corrected_p_value_within"] = ("within", *dims), corrected
    if shuffles or groups:
        found.coords["tested"] = list(_TESTED)


def _rank_among_shuffles(
    found: xr.Dataset,
    pool: Pool,
    scores: Mapping[str, np.ndarray],
    left: Mapping[int, _Left],
    within: str | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the statistics of shuffles (score, rung, tested, shuffle), and p alone and corrected.

    NaN for scores without shuffles.
    """
    shuffles = {n: x for n, x in read_shuffles(pool, within).items() if n in scores}
    alone_seen = [read_shuffles(one, within) for one in pool.of_seeds]
    number = min((len(one) for one in shuffles.values()), default=0)
    shape = (len(scores), len(pool.rungs), len(_TESTED))
    null = np.full((*shape, number), np.nan)
    once = np.ones((1, len(pool.candidates)))
    for i, name in enumerate(scores):
        if name not in shuffles:
            continue
        for j, rung in enumerate(pool.rungs):
            drawn = shuffles[name][:number, j]
            rest = left[rung].of_values([one[name][:number, j].T for one in alone_seen]).T
            for k in range(number):
                null[i, j, 0, k] = correlate(drawn[k], pool.mature, once)[0]
                null[i, j, 1, k] = _correlate_rest(rest[k], left[rung].mature, once)[0]
    real = found["value"].sel(statistic=list(_TESTED)).values
    known = np.isfinite(null).all(-1) & np.isfinite(real)
    alone, corrected = np.full(shape, np.nan), np.full(shape, np.nan)
    if number and known.any():
        alone[known], corrected[known] = rank_among(null[known].T, real[known])
    return null, alone, corrected


def _add_controls(
    found: xr.Dataset,
    pool: Pool,
    scores: Mapping[str, np.ndarray],
    left: Mapping[int, _Left],
    weights: np.ndarray,
) -> None:
    areas, controls = list(pool.areas), list(pool.controls)
    if not areas or not controls:
        return
    profiles, seeds = read_profiles(pool), len(pool.of_seeds)
    resemblance = np.full((len(areas), len(controls)), np.nan)
    shape = (*resemblance.shape, len(pool.rungs))
    values, lower, upper = (np.full(shape, np.nan) for _ in range(3))
    for i, area in enumerate(areas):
        for k, control in enumerate(controls):
            pair = profiles[area], profiles[control]
            if len(pair[0]) == len(pair[1]):
                resemblance[i, k] = correlate(*pair, np.ones((1, len(pair[0]))))[0]
            for j, rung in enumerate(pool.rungs):
                rest = left[rung].of([area], more=control)[:, 0]
                mature = left[rung].of_values([pool.mature] * seeds, more=control)
                drawn = _correlate_rest(rest, mature, weights)
                values[i, k, j] = drawn[0]
                lower[i, k, j], upper[i, k, j] = find_interval(drawn[1:])
    found.coords["area"], found.coords["control"] = areas, controls
    found["resemblance"] = ("area", "control"), resemblance
    dims = ("area", "control", "rung")
    found["given"], found["given_lower"], found["given_upper"] = (
        (dims, values),
        (dims, lower),
        (dims, upper),
    )
