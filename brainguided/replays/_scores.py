"""The scores of a pool: everything measured of each candidate that might predict its maturity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from brainguided.architectures.graph_counts import GRAPH_COUNTS
from brainguided.candidates.ridge import expand_counts, rank_columns
from brainguided.guidance.robust import PHASE, RobustReward
from brainguided.journal.means import average_best
from brainguided.journal.measurement import Measurement
from brainguided.replays._out_of_fold import predict_out_of_fold
from brainguided.replays.pools import Pool

PERFORMANCE, GUIDANCE, PAPER, COUNTS = "P", "TG", "P + TG", "graph counts"
ROBUST = "robust"
WITHIN = ":shuffled-within-"  # between an area and what its conditions were shuffled within
_NEGATIVE = ("cross_entropy", "loss_sum")  # the lower, the better


def read_scores(pool: Pool) -> dict[str, np.ndarray]:
    """Return each score (rung, candidate) of a pool, NaN where it is not defined.

    Undefined similarities, of dead layers, count as 0, as in a reward. Cross-entropy and the sum
    of losses have their sign turned, so that of every score more is better. With several seeds of
    the weights the best layer's similarity is the mean over seeds of each one's best, as that of
    the shuffles is (`average_best`); P + TG is the reward, by the best of the mean layers. Those
    without rungs stand at each; the robust reward, of all rungs, at the last.
    """
    complete = max(pool.measurements, key=lambda one: len(one.rungs))
    scores: dict[str, np.ndarray] = {}
    for name in complete.names():
        values = _read(pool, name, name in complete.statistics)
        if name in _NEGATIVE:
            values = -values
        if np.isfinite(values).any():
            scores[PERFORMANCE if name == "performance" else name] = values
    for name, column in pool.statistics.items():
        scores.setdefault(name, np.tile(column, (len(pool.rungs), 1)))
    if GUIDANCE in scores:
        scores[PAPER] = scores[PERFORMANCE] + _read(pool, GUIDANCE, False, rewarded=True)
        scores[ROBUST] = _reward_robustly(pool)
    scores[COUNTS] = np.tile(predict_by_counts(pool), (len(pool.rungs), 1))
    return {name: scores[name] for name in _order(pool, list(scores))}


def _order(pool: Pool, names: list[str]) -> list[str]:
    """Return P and TG first, then areas, controls, other scores and those without training."""
    brain = [GUIDANCE, *pool.areas, *pool.controls]
    first = [
        PERFORMANCE,
        PAPER,
        ROBUST,
        *(x for name in brain for x in (name, f"committed {name}")),
    ]
    free = {name for one in pool.measurements[:1] for name in one.statistics}
    last = [name for name in names if name in free or name in pool.statistics]
    middle = [name for name in names if name not in {*first, *last}]
    return [name for name in dict.fromkeys([*first, *middle, *last]) if name in names]


def _reward_robustly(pool: Pool) -> np.ndarray:
    """Return the robust reward with equal weights (rung, candidate), which is of the last rung.

    Standardised by the first candidates of the pool, as in a search; NaN where that cannot be,
    for want of shuffles or because candidates stopped early.
    """
    values = np.full((len(pool.rungs), len(pool.measurements)), np.nan)
    try:
        reward = RobustReward().freeze(pool.measurements[:PHASE])
        values[-1] = [reward(one) for one in pool.measurements]
    except ValueError:
        pass
    return values


def predict_by_counts(pool: Pool) -> np.ndarray:
    """Return the rank of the mature accuracy that graph counts predict, out of fold (candidate,).

    By ridge regression on the five counts, their squares and their products.
    """
    counts = np.column_stack([pool.statistics[name] for name in GRAPH_COUNTS])
    ranks = rank_columns(pool.mature[:, None])
    return predict_out_of_fold(expand_counts(counts), ranks, pool.neighbours)[:, 0]


def list_within(pool: Pool) -> list[str]:
    """Return the groups, such as "category", within which conditions of areas were shuffled."""
    starts = [f"{area}{WITHIN}" for area in pool.areas]
    names = [name for one in pool.measurements for rung in one.rungs for name in rung.shuffles]
    found = [n.removeprefix(s) for n in names for s in starts if n.startswith(s)]
    return list(dict.fromkeys(found))


def read_shuffles(pool: Pool, within: str | None = None) -> dict[str, np.ndarray]:
    """Return the scores of shuffled teachers (shuffle, rung, candidate), by the real score's name.

    Of each area, its best layer and the committed one, and of TG over areas: in the kth shuffle of
    TG the kth of every area. Conditions were shuffled freely, or `within` groups of one name.
    """
    end = "" if within is None else f"{WITHIN}{within}"
    found: dict[str, np.ndarray] = {}
    for kind, prefix in (("best", ""), ("committed", "committed ")):
        drawn = {area: _read_shuffled(pool, f"{area}{end}", kind) for area in pool.areas}
        known = {area: one for area, one in drawn.items() if one is not None}
        if not known or (within is None and len(known) < len(drawn)):
            continue
        number = min(len(one) for one in known.values())
        known = {area: one[:number] for area, one in known.items()}
        found |= {f"{prefix}{area}": one for area, one in known.items()}
        if len(known) == len(drawn):
            found[f"{prefix}{GUIDANCE}"] = np.mean(list(known.values()), axis=0)
    return found


def read_profiles(pool: Pool) -> dict[str, np.ndarray]:
    """Return the similarity of every layer of every candidate to each target, at the last rung."""
    return {
        target: np.array(
            [
                np.nan if value is None else value
                for one in pool.measurements
                for value in one.rungs[-1].similarity.get(target, {}).values()
            ]
        )
        for target in (*pool.areas, *pool.controls)
    }


def _read(pool: Pool, name: str, everywhere: bool, *, rewarded: bool = False) -> np.ndarray:
    values = np.full((len(pool.rungs), len(pool.measurements)), np.nan)
    for column, one in enumerate(pool.measurements):
        for row, step in enumerate(pool.rungs):
            if everywhere:
                found = one.statistics.get(name)
            elif step not in one.steps:
                continue
            else:
                by_seed = len(one.repeats) > 1 and not rewarded
                by_seed = by_seed and (name == GUIDANCE or name in one.targets)
                read = f"{name}@{step}"
                found = average_best(one, name, step) if by_seed else one.value(read)
                if found is None and _is_similarity(one, name):
                    found = 0.0
            values[row, column] = np.nan if found is None else found
    return values


def _is_similarity(one: Measurement, name: str) -> bool:
    base = name.removeprefix("committed ")
    return base in one.targets or base == GUIDANCE


def _read_shuffled(pool: Pool, name: str, kind: str) -> np.ndarray | None:
    """Return the shuffles (shuffle, rung, candidate) of one name; None where there are none."""
    values: list[list[Sequence[float | None] | None]] = []
    for step in pool.rungs:
        row = [
            one.rung(step).shuffles.get(name, {}).get(kind) if step in one.steps else None
            for one in pool.measurements
        ]
        values.append(list(row))
    number = min((len(x) for row in values for x in row if x is not None), default=0)
    if not number:
        return None
    filled = [
        [
            [np.nan] * number if x is None else [0.0 if v is None else v for v in x[:number]]
            for x in row
        ]
        for row in values
    ]
    return np.moveaxis(np.array(filled, dtype=float), -1, 0)
