"""Dissimilarities between patterns, in plain numpy."""

from __future__ import annotations

from typing import Any

import numpy as np

MEASURES = (
    "correlation",
    "cosine",
    "squared euclidean",
    "euclidean",
    "mahalanobis",
    "crossnobis",
    "poisson",
)
PRIOR_RATE, PRIOR_WEIGHT = 1.0, 0.1
"""Prior of the Poisson measure: a tenth of an observation of one spike."""
ALIKE = 1e-6
"""Squared distance, relative to the patterns, below which inner products cancel too many digits."""
ENTRIES = 1 << 20
"""Numbers in a block of differences."""


def check_measure(measure: str) -> str:
    """Return the name of a measure, or raise ValueError with the known ones."""
    if measure not in MEASURES:
        raise ValueError(f"measure is {measure!r}; it is one of {', '.join(map(repr, MEASURES))}.")
    return measure


def network_measure(measure: str | None) -> str:
    """Return the measure for layers that are compared with RDMs made by `measure`.

    Networks have no noise between repetitions: beside Mahalanobis, crossnobis and Poisson
    dissimilarities of an area stand squared Euclidean ones of a layer.
    """
    if measure is None or measure == "1 - Pearson r":
        return "correlation"
    same = ("correlation", "cosine", "euclidean")
    return measure if measure in same else "squared euclidean"


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
    distances = 1 - _normalise(np.array(gram, dtype=float))
    np.fill_diagonal(distances, 0.0)
    return np.clip(distances, 0.0, 2.0, out=distances)


def distances_from_gram(gram: np.ndarray, *, measure: str, n_units: int) -> np.ndarray:
    """Return dissimilarities of all pairs (pair,) from inner products of patterns.

    Parameters
    ----------
    gram : ndarray (condition, condition)
        Inner products; overwritten.
    measure : {"cosine", "squared euclidean", "euclidean"}
        "cosine" of centred patterns is the correlation distance. The squared Euclidean distance
        is divided by the number of units.
    n_units : int
        Units that were summed over.
    """
    if measure == "cosine":
        vector = upper_triangle(_normalise(gram))
        np.subtract(1, vector, out=vector)
        return np.clip(vector, 0.0, 2.0, out=vector)
    squares = np.diag(gram).copy()
    gram *= -2
    gram += squares[:, None]
    gram += squares[None, :]
    vector = upper_triangle(gram)
    vector /= n_units
    np.maximum(vector, 0.0, out=vector)
    return np.sqrt(vector, out=vector) if measure == "euclidean" else vector


def pattern_distances(patterns: np.ndarray, measure: str) -> np.ndarray:
    """Return dissimilarities of all pairs of rows of `patterns` (condition, unit): (pair,).

    For every measure that needs nothing but the mean patterns; see ``rdm.compute_rdms``. All come
    from one matrix of inner products. Correlation and cosine distances are thus exact to about
    1e-15. Euclidean ones keep ten digits however alike two patterns are: where the inner products
    cancel, the pair's difference is taken instead. None is negative.
    """
    patterns = np.asarray(patterns, dtype=float)
    n_units = patterns.shape[1]
    if measure == "correlation":
        patterns, measure = patterns - patterns.mean(1, keepdims=True), "cosine"
    elif measure == "poisson":
        rates = (patterns + PRIOR_RATE * PRIOR_WEIGHT) / (1 + PRIOR_WEIGHT)
        kernel = rates @ np.log(rates).T
        kernel += kernel.T.copy()
        kernel /= 2
        vector = distances_from_gram(kernel, measure="squared euclidean", n_units=n_units)
        return np.maximum(vector, 0.0, out=vector)
    elif measure != "cosine":
        # What all conditions share cancels in differences; without it little precision is lost.
        centred = patterns - patterns.mean(0)
        gram = centred @ centred.T
        size = np.diag(gram).copy()
        vector = distances_from_gram(gram, measure="squared euclidean", n_units=n_units)
        _restore_digits(vector, patterns, size)
        return np.sqrt(vector, out=vector) if measure == "euclidean" else vector
    patterns = patterns / _row_norms(patterns)[:, None]
    return distances_from_gram(patterns @ patterns.T, measure="cosine", n_units=n_units)


def crossnobis_distances(
    patterns: np.ndarray, shown: np.ndarray, *, groups: np.ndarray | None = None
) -> np.ndarray:
    """Return cross-validated squared distances per unit between all pairs of conditions: (pair,).

    The inner product of two mean patterns is estimated by that of one in one repetition with the
    other in another, averaged over all ordered pairs of different repetitions in which they were
    shown; a squared distance is the sum of two such products less twice a third. Noise that is
    independent between repetitions has no part in the expected value, however often each pattern
    was shown [1]_. Where all were shown equally often this is leave-one-repetition-out; elsewhere
    it depends a little on the origin of the patterns (with mean 0 over the noise), so that they
    should have mean 0 over all conditions.

    Parameters
    ----------
    patterns : ndarray (repetition, condition, unit)
        Whitened responses; of a repetition that was not shown, 0.
    shown : ndarray of bool (repetition, condition)
        Each condition at least twice.
    groups : ndarray of int (condition,), optional
        Number of the group of each condition, from 0: distances are then between the mean
        patterns of groups, in which each member counts the same, however often it was shown.

    References
    ----------
    .. [1] Walther et al. (2016), NeuroImage 137, 188-200, equation 5.
    """
    n_units = patterns.shape[2]
    products = np.zeros((patterns.shape[1],) * 2)
    _add_products(products, patterns.sum(0), 1.0)
    for repetition in patterns:
        _add_products(products, repetition, -1.0)
    # What the same repetition contributes is gone; below the diagonal there is still nothing.
    counts = shown.astype(float)
    number = counts.sum(0)
    products /= np.outer(number, number) - counts.T @ counts
    if groups is not None:
        products = _average_groups(products, groups)
    own = np.diag(products).copy()
    products *= -2
    products += own[:, None]
    products += own[None, :]
    return upper_triangle(products) / n_units


def upper_triangle(matrix: np.ndarray) -> np.ndarray:
    """Return the entries above the diagonal, row by row, as rsatoolbox orders them."""
    n = len(matrix)
    vector = np.empty(n * (n - 1) // 2, dtype=matrix.dtype)
    start = 0
    for row in range(n - 1):
        stop = start + n - 1 - row
        vector[start:stop] = matrix[row, row + 1 :]
        start = stop
    return vector


def square_matrix(vector: np.ndarray) -> np.ndarray:
    """Return the symmetric matrix with a zero diagonal whose upper triangle is `vector`."""
    n = count_conditions(vector.shape[-1])
    matrix = np.zeros((n, n), dtype=vector.dtype)
    start = 0
    for row in range(n - 1):
        stop = start + n - 1 - row
        matrix[row, row + 1 :] = matrix[row + 1 :, row] = vector[start:stop]
        start = stop
    return matrix


def count_conditions(n_pairs: int) -> int:
    """Return how many conditions have so many pairs."""
    return round((1 + np.sqrt(1 + 8 * n_pairs)) / 2)


def standardise(vectors: np.ndarray) -> np.ndarray:
    """Return rows with mean 0 and length 1, so that an inner product is a Pearson r.

    A constant row becomes NaN.
    """
    centred = vectors - vectors.mean(-1, keepdims=True)
    norm = np.linalg.norm(centred, axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(norm > 1e-12 * vectors.shape[-1] ** 0.5, centred / norm, np.nan)


def _restore_digits(vector: np.ndarray, patterns: np.ndarray, size: np.ndarray) -> None:
    """Take anew, from differences, squared distances (pair,) too small beside the patterns' `size`.

    `size` holds the squared lengths of the centred patterns (condition,); `vector` is changed.
    """
    n, n_units = patterns.shape
    step = max(1, ENTRIES // n_units)
    start = 0
    for row in range(n - 1):
        part = vector[start : start + n - 1 - row]
        start += len(part)
        alike = np.flatnonzero(part * n_units <= ALIKE * (size[row] + size[row + 1 :]))
        for first in range(0, len(alike), step):
            pairs = alike[first : first + step]
            difference = patterns[pairs + row + 1] - patterns[row]
            part[pairs] = np.einsum("ij,ij->i", difference, difference) / n_units


def _add_products(products: np.ndarray, patterns: np.ndarray, factor: float) -> None:
    """Add `factor` times the inner products of rows to the upper triangle, in place."""
    from scipy.linalg.blas import dsyrk

    rows = np.ascontiguousarray(patterns).T
    # BLAS counts columns first: what is its lower triangle is our upper one.
    dsyrk(factor, rows, beta=1.0, c=products.T, trans=1, lower=1, overwrite_c=1)


def _average_groups(products: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the mean of inner products, given above the diagonal, over the pairs of two groups."""
    products = products + np.triu(products, 1).T
    order = np.argsort(groups, kind="stable")
    counts = np.bincount(groups)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    sums = np.add.reduceat(products[order], starts, axis=0)
    return np.add.reduceat(sums[:, order], starts, axis=1) / np.outer(counts, counts)


def _normalise(gram: np.ndarray) -> np.ndarray:
    """Divide inner products, in place, by the lengths of the patterns; 0 where there is none."""
    variance = np.diag(gram).copy()
    scale = np.zeros_like(variance)
    alive = variance > 1e-12 * variance.max(initial=0.0)
    scale[alive] = 1 / np.sqrt(variance[alive])
    gram *= scale[:, None]
    gram *= scale[None, :]
    return gram


def _row_norms(patterns: np.ndarray) -> np.ndarray:
    norms = np.sqrt(np.einsum("ij,ij->i", patterns, patterns))
    return np.where(norms > 0, norms, 1.0)
