"""Correlation distances between patterns, in plain numpy."""

from __future__ import annotations

from typing import Any

import numpy as np


def correlation_distances(patterns: np.ndarray) -> np.ndarray:
    """Return 1 - Pearson r between all rows of `patterns` (condition, unit) in float64."""
    gram = np.zeros((len(patterns), len(patterns)))
    accumulate_gram(gram, np.asarray(patterns, dtype=float))
    return gram_to_distances(gram)


def accumulate_gram(gram: Any, patterns: Any, *, chunk: int = 8192) -> None:
    """Add the inner products of centred patterns to `gram`, a chunk of units at a time.

    Works on numpy arrays and torch tensors alike, without a centred copy of the whole matrix:
    beside the input it holds one block of `chunk` units.

    Parameters
    ----------
    gram : array (condition, condition)
        Changed in place.
    patterns : array (condition, unit)
        All units of one layer.
    chunk : int, optional
        Units per block.
    """
    centre = patterns.mean(1)[:, None]
    for start in range(0, patterns.shape[1], chunk):
        block = patterns[:, start : start + chunk] - centre
        gram += block @ block.T


def gram_to_distances(gram: np.ndarray) -> np.ndarray:
    """Return 1 - Pearson r from the Gram matrix of centred patterns (condition, condition).

    A constant pattern (a silent image, a dead layer) has no correlation with anything: its
    correlation is defined as 0, so its dissimilarity from every other condition is 1.
    """
    gram = np.asarray(gram, dtype=float)
    variance = np.diag(gram).copy()
    scale = np.zeros_like(variance)
    alive = variance > 1e-12 * variance.max(initial=0.0)
    scale[alive] = 1 / np.sqrt(variance[alive])
    distances = 1 - gram * scale[:, None] * scale[None, :]
    np.fill_diagonal(distances, 0.0)
    return np.clip(distances, 0.0, 2.0)


def upper_triangle(matrix: np.ndarray) -> np.ndarray:
    """Return the entries above the diagonal, row by row, as rsatoolbox orders them."""
    return matrix[np.triu_indices(len(matrix), 1)]


def standardise(vectors: np.ndarray) -> np.ndarray:
    """Return rows with mean 0 and length 1, so that an inner product is a Pearson r.

    A constant row becomes NaN.
    """
    centred = vectors - vectors.mean(-1, keepdims=True)
    norm = np.linalg.norm(centred, axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(norm > 1e-12 * vectors.shape[-1] ** 0.5, centred / norm, np.nan)
