"""Predictions for candidates from others that are no neighbours of theirs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from brainguided.candidates.ridge import fit_ridge

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
