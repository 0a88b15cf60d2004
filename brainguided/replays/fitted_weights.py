"""Weights of a reward, fitted to the mature accuracies of a pool, and of every control alike."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.optimize import nnls
from scipy.stats import spearmanr

from brainguided.candidates.ridge import PENALTIES
from brainguided.replays._out_of_fold import group_equal
from brainguided.replays._scores import PERFORMANCE, read_scores, read_shuffles
from brainguided.replays.pools import Pool
from neural_data.storage.aside import write_whole

_FEWEST = 8


@dataclass(frozen=True)
class FittedWeights:
    """Weights of z-scores that predict mature accuracy, and how well controls do by the same fit.

    Attributes
    ----------
    weights : mapping of str to float
        Of the committed similarity to each area at each rung, as "V4@50", beside a weight of 1 of
        P; 0 or more.
    penalty : float
        Of the ridge regression.
    correlation : float
        Rank correlation of the prediction with mature accuracy, out of fold.
    of_performance : float
        The same of P alone.
    of_controls : mapping of str to float
        The same where the controls of a kind stand in place of the areas.
    of_shuffles : sequence of float
        The same where shuffled areas do.
    candidates : int
    source : str
        Where the mature accuracies come from.
    """

    weights: Mapping[str, float]
    penalty: float
    correlation: float
    of_performance: float
    of_controls: Mapping[str, float] = field(default_factory=dict)
    of_shuffles: Sequence[float] = ()
    candidates: int = 0
    source: str = ""


def fit_weights(pool: Pool) -> FittedWeights:
    """Fit the weights of ``z(P) + sum of w * z(committed similarity)`` to mature accuracy.

    Ridge regression with weights of 0 or more: a brain score never counts for being unlike the
    brain; P is not penalised. The penalty has the least squared error on neighbourhoods left out
    (same counts, one decision apart).

    Parameters
    ----------
    pool : Pool
        From `load_pool`, of a run with a teacher.

    Returns
    -------
    FittedWeights
        All its numbers are out of fold but the weights, which are of the whole pool.

    Raises
    ------
    ValueError
        The run had no teacher or no committed similarity, or P adds nothing to the prediction, so
        that no weight can be had relative to it.
    """
    if not pool.areas:
        raise ValueError("The run had no teacher, so there is nothing to be weighted beside P.")
    scores = read_scores(pool)
    if f"committed {pool.areas[0]}" not in scores:
        raise ValueError("The run has no committed similarities; search again with this version.")
    names, columns = [], []
    for area in pool.areas:
        for row, rung in enumerate(pool.rungs):
            names.append(f"{area}@{rung}")
            columns.append(scores[f"committed {area}"][row])
    performance = scores[PERFORMANCE][-1]
    x = _standardise([performance, *columns])
    weights, penalty, correlation = _fit(x, pool)
    if weights[0] <= 0:
        raise ValueError(
            "P at the last rung adds nothing to the prediction of mature accuracy in this pool, so "
            "weights cannot be given relative to it. Take a larger pool or a later last rung, or "
            "write a weighted reward by hand."
        )
    terms = {n: float(w / weights[0]) for n, w in zip(names, weights[1:], strict=True)}
    controls = {}
    for control in pool.controls:
        table = scores.get(f"committed {control}", scores[control])
        controls[control] = _fit(_standardise([performance, *table]), pool)[2]
    shuffles = read_shuffles(pool)
    drawn = [
        shuffles[f"committed {area}"] for area in pool.areas if f"committed {area}" in shuffles
    ]
    null = [
        _fit(_standardise([performance, *(row for one in drawn for row in one[k])]), pool)[2]
        for k in range(len(drawn[0]) if drawn else 0)
    ]
    return FittedWeights(
        terms,
        penalty,
        correlation,
        _fit(x[:, :1], pool)[2],
        controls,
        tuple(null),
        len(pool.candidates),
        pool.source,
    )


def save_weights(fitted: FittedWeights, path: str | os.PathLike[str]) -> Path:
    """Write fitted weights with their provenance as TOML, and return the path.

    Parameters
    ----------
    fitted : FittedWeights
        From `fit_weights`.
    path : path
        Replaced if it exists.

    Returns
    -------
    Path
        A table ``weights``, as the robust reward reads it, and a table ``fit`` that says of what
        they are.
    """
    lines = [
        '# For [reward] preset = "robust": z(P) + sum of weight * z(committed similarity).',
        "[weights]",
        *(f'"{name}" = {weight:.6g}' for name, weight in fitted.weights.items()),
        "",
        "[fit]",
        f"mature = {_quote(fitted.source)}",
        f"candidates = {fitted.candidates}",
        f"penalty = {fitted.penalty:.6g}",
        "# rank correlations with mature accuracy, neighbourhoods left out",
        f"correlation = {fitted.correlation:.6g}",
        f"performance_alone = {fitted.of_performance:.6g}",
    ]
    if fitted.of_shuffles:
        lines.append(f"shuffled = [{', '.join(f'{r:.4g}' for r in fitted.of_shuffles)}]")
    if fitted.of_controls:
        lines += ["", "[fit.controls]"]
        lines += [f"{_quote(name)} = {r:.6g}" for name, r in fitted.of_controls.items()]
    return write_whole(Path(path), "\n".join(lines) + "\n")


def _quote(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=False)


def _standardise(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Return z-scores (candidate, column), 0 where a candidate was not measured."""
    x = np.column_stack(columns)
    with np.errstate(invalid="ignore"):
        z = (x - np.nanmean(x, axis=0)) / np.nanstd(x, axis=0)
    return np.where(np.isfinite(z), z, 0.0)


def _fit(x: np.ndarray, pool: Pool) -> tuple[np.ndarray, float, float]:
    """Return weights, penalty and the rank correlation out of fold."""
    y = (pool.mature - pool.mature.mean()) / pool.mature.std()
    best: tuple[float, float, np.ndarray] | None = None
    for penalty in PENALTIES:
        predicted = np.full(len(y), np.nan)
        for group in group_equal(pool.neighbours):
            learned = ~pool.neighbours[group].any(0)
            if learned.sum() >= _FEWEST:
                predicted[group] = x[group] @ _solve(x[learned], y[learned], penalty)
        known = np.isfinite(predicted)
        error = float(np.square(predicted[known] - y[known]).mean()) if known.any() else np.inf
        if best is None or error < best[0]:
            best = error, float(penalty), predicted
    assert best is not None
    _, penalty, predicted = best
    known = np.isfinite(predicted)
    varies = known.sum() > 2 and np.ptp(predicted[known]) > 0
    r = float(spearmanr(predicted[known], pool.mature[known])[0]) if varies else 0.0
    return _solve(x, y, penalty), penalty, r


def _solve(x: np.ndarray, y: np.ndarray, penalty: float) -> np.ndarray:
    """Return weights of 0 or more; the first, of P, is not penalised."""
    root = np.sqrt(penalty * len(x)) * np.eye(x.shape[1])
    root[0, 0] = 0
    return np.asarray(nnls(np.vstack([x, root]), np.concatenate([y, np.zeros(len(root))]))[0])
