"""Predictions for candidates from others that are no neighbours of theirs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

PENALTIES = np.logspace(-3, 3, 13)
"""Of ridge regression, for each candidate and predictor in units of its sd."""
_FEWEST = 8  # candidates that a prediction is learned from


def find_neighbours(actions: Sequence[Sequence[int]], counts: np.ndarray) -> np.ndarray:
    """Return which candidates are neighbours (candidate, candidate) of bool, itself included.

    Neighbours differ in one decision, or in a run of decisions that one has and the other lacks,
    or have the same counts (candidate, count).
    """
    n = len(actions)
    near: np.ndarray = (counts[:, None] == counts[None]).all(-1)
    for first in range(n):
        for second in range(first):
            if not near[first, second]:
                near[first, second] = _are_one_edit_apart(actions[first], actions[second])
                near[second, first] = near[first, second]
    return near


def _are_one_edit_apart(first: Sequence[int], second: Sequence[int]) -> bool:
    shorter, longer = sorted((first, second), key=len)
    head = next((k for k, a in enumerate(shorter) if a != longer[k]), len(shorter))
    left = len(shorter) - head
    tail = next((k for k in range(left) if shorter[-1 - k] != longer[-1 - k]), left)
    return bool(left == tail or (len(shorter) == len(longer) and left - tail == 1))


def group_equal(near: np.ndarray) -> list[np.ndarray]:
    """Return the candidates that have the same neighbours, which are predicted together."""
    groups: dict[bytes, list[int]] = defaultdict(list)
    for candidate, row in enumerate(near):
        groups[row.tobytes()].append(candidate)
    return [np.array(group) for group in groups.values()]


def predict_out_of_fold(x: np.ndarray, y: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Predict each candidate by ridge regression on those that are no neighbours of it.

    The penalty is chosen among the latter by generalised cross-validation, for each column of
    `y`. Predictors are standardised. Without an intercept of its own in every fold, which would
    lie the lower the higher the candidates are that it leaves out: the mean is that of all.

    Parameters
    ----------
    x : ndarray (candidate, predictor)
    y : ndarray (candidate, column)
    near : ndarray (candidate, candidate) of bool

    Returns
    -------
    ndarray (candidate, column)
        NaN for candidates with fewer than 8 others to learn from.
    """
    spread = x.std(0)
    x = (x - x.mean(0))[:, spread > 1e-12] / spread[spread > 1e-12]
    centre = y.mean(0)
    predicted = np.full(y.shape, np.nan)
    for group in group_equal(near):
        learned = ~near[group].any(0)
        if learned.sum() >= _FEWEST:
            weights = fit_ridge(x[learned], y[learned] - centre)
            predicted[group] = centre + x[group] @ weights
    return predicted


def fit_ridge(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return weights (predictor, column), with the penalty of each column by GCV."""
    n = len(x)
    u, s, v = np.linalg.svd(x, full_matrices=False)
    projected = u.T @ y
    rest = (y**2).sum(0) - (projected**2).sum(0)
    best, weights = np.full(y.shape[1], np.inf), np.zeros((x.shape[1], y.shape[1]))
    for penalty in PENALTIES * n:
        kept = s**2 / (s**2 + penalty)
        error = (((1 - kept)[:, None] * projected) ** 2).sum(0) + rest
        score = error / (1 - kept.sum() / n) ** 2
        better = score < best
        inverse = s / (s**2 + penalty)
        weights[:, better] = (v.T @ (inverse[:, None] * projected))[:, better]
        best = np.where(better, score, best)
    return weights


def rank_columns(values: np.ndarray) -> np.ndarray:
    """Return ranks along candidates (candidate, column), ties sharing their mean, from 0 to 1."""
    return np.asarray((rankdata(values, axis=0) - 0.5) / len(values))


def expand_counts(counts: np.ndarray) -> np.ndarray:
    """Return columns, their squares and their products (candidate, predictor)."""
    spread = counts.std(0)
    z = (counts - counts.mean(0)) / np.where(spread > 0, spread, 1)
    first, second = np.triu_indices(z.shape[1])
    return np.hstack([z, z[:, first] * z[:, second]])
