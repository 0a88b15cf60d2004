"""How well a score of candidates goes with their mature accuracy, for all bootstrap draws at once.

Every function takes weights (draw, candidate): how often each candidate was drawn. The first draw
is the sample itself, all 1, so that an estimate and its interval come out of the same lines.
Candidates whose score is NaN are left out.
"""

from __future__ import annotations

import numpy as np


def draw_weights(n: int, draws: int, seed: int) -> np.ndarray:
    """Return weights (1 + draws, candidate): once each, then drawn with replacement."""
    generator = np.random.default_rng([seed, 18])
    drawn = generator.multinomial(n, np.full(n, 1 / n), size=draws) if draws else np.empty((0, n))
    return np.vstack([np.ones(n), drawn])


def correlate(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return Pearson's r (draw,); NaN where one of the two does not vary."""
    known = np.isfinite(x) & np.isfinite(y)
    x, y, weights = x[known], y[known], weights[:, known]
    x, y = _standardise(x), _standardise(y)  # differences of large numbers would lose digits
    total = weights.sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_x, mean_y = weights @ x / total, weights @ y / total
        products = weights @ (x * y) / total - mean_x * mean_y
        variances = (weights @ x**2 / total - mean_x**2) * (weights @ y**2 / total - mean_y**2)
        found = products / np.sqrt(variances)
    return np.where(variances > 1e-20, np.clip(found, -1, 1), np.nan)


def concord(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return Kendall's tau b (draw,), which allows for ties as two draws of one candidate."""
    known = np.isfinite(x) & np.isfinite(y)
    x, y, weights = x[known], y[known], weights[:, known]
    signs = [np.sign(values[:, None] - values[None]) for values in (x, y)]

    def sum_pairs(pairs: np.ndarray) -> np.ndarray:
        return np.asarray(((weights @ pairs) * weights).sum(1))

    untied = sum_pairs(np.abs(signs[0])) * sum_pairs(np.abs(signs[1]))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(sum_pairs(signs[0] * signs[1]) / np.sqrt(untied))


def find_regret(x: np.ndarray, y: np.ndarray, weights: np.ndarray, top: int) -> np.ndarray:
    """Return by how much the best of all exceeds the best of the `top` by score (draw,).

    Candidates drawn more than once count once; of equal scores the earlier candidate comes first,
    as in a search.
    """
    known = np.isfinite(x) & np.isfinite(y)
    x, y, weights = x[known], y[known], weights[:, known]
    order = np.argsort(-x, kind="stable")
    drawn = weights[:, order] > 0
    chosen = drawn & (np.cumsum(drawn, axis=1) <= top)
    best = np.where(drawn, y[order], -np.inf).max(1)
    return np.asarray(best - np.where(chosen, y[order], -np.inf).max(1))


def find_interval(draws: np.ndarray) -> tuple[float, float]:
    """Return the 2.5 and 97.5 percentile of the draws that are defined; NaN where too few are."""
    known = draws[np.isfinite(draws)]
    if len(known) < max(2, len(draws) / 2):
        return np.nan, np.nan
    low, high = np.quantile(known, (0.025, 0.975))
    return float(low), float(high)


def rank_among(shuffled: np.ndarray, real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return p-values of real statistics among shuffled ones, alone and corrected.

    Parameters
    ----------
    shuffled : ndarray (shuffle, test)
        One row a shuffle, the same of every area.
    real : ndarray (test,)

    Returns
    -------
    tuple of two ndarrays (test,)
        The part of shuffles, the real one included, that reach it; and the same for the largest
        of all tests [1]_, each standardised by the mean and sd of the real and the shuffled.

    References
    ----------
    .. [1] Westfall & Young (1993), Resampling-based multiple testing.
    """
    rows = np.vstack([real, shuffled])
    alone = (rows >= real - 1e-12).sum(0) / len(rows)
    spread = rows.std(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(spread > 0, (rows - rows.mean(0)) / spread, 0.0)
    largest = z.max(1)
    return alone, (largest[:, None] >= z[0] - 1e-12).sum(0) / len(rows)


def _standardise(values: np.ndarray) -> np.ndarray:
    if len(values) == 0:
        return values
    spread = values.std()
    scale = max(abs(values).max(), np.finfo(float).tiny)
    return (values - values.mean()) / spread if spread > 1e-12 * scale else np.zeros_like(values)
