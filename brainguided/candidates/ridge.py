"""Ridge regression of what candidates earn on a few numbers of each."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

PENALTIES = np.logspace(-3, 3, 13)
"""Of ridge regression, for each candidate and predictor in units of its sd."""


def fit_ridge(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the weights of a ridge regression, its penalty by generalised cross-validation.

    Parameters
    ----------
    x : ndarray (candidate, predictor)
    y : ndarray (candidate, column)
        Centred; each column has a penalty of its own.

    Returns
    -------
    ndarray (predictor, column)
    """
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
    """Return standardised columns, their squares and their products (candidate, predictor)."""
    spread = counts.std(0)
    z = (counts - counts.mean(0)) / np.where(spread > 0, spread, 1)
    first, second = np.triu_indices(z.shape[1])
    return np.hstack([z, z[:, first] * z[:, second]])
