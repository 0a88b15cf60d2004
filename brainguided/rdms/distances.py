"""Dissimilarities between patterns, in plain numpy."""

from __future__ import annotations

import math

import numpy as np

from neural_data.rounding import TOLERANCE, centre

PRIOR_RATE, PRIOR_WEIGHT = 1.0, 0.1
"""Prior of the Poisson measure: a tenth of an observation of one spike."""
ALIKE = 1e-6
"""Squared distance, relative to the patterns, below which inner products cancel too many digits."""
ENTRIES, BLOCK = 1 << 20, 1 << 10
"""Numbers in a block of differences, and units in a block of inner products."""


def angles_from_gram(gram: np.ndarray, n_units: int = 1) -> np.ndarray:
    """Return 1 - cosine of all pairs (pair,) from inner products, which are overwritten.

    That of centred patterns is the correlation distance. 1 beside a pattern of no length.
    """
    return _turn_cosines(upper_triangle(_normalise(gram)))


def squared_from_gram(gram: np.ndarray, n_units: int) -> np.ndarray:
    """Return squared Euclidean distances, a unit, from inner products, which are overwritten."""
    squares = np.diag(gram).copy()
    gram *= -2
    gram += squares[:, None]
    gram += squares[None, :]
    for row, own in zip(gram, np.abs(squares), strict=True):
        row[np.abs(row) <= TOLERANCE * (own + np.abs(squares))] = 0.0
    vector = upper_triangle(gram)
    vector /= n_units
    np.maximum(vector, 0.0, out=vector)
    return vector


def euclidean_from_gram(gram: np.ndarray, n_units: int) -> np.ndarray:
    """Return the roots of `squared_from_gram`."""
    vector = squared_from_gram(gram, n_units)
    np.sqrt(vector, out=vector)
    return vector


def angles(patterns: np.ndarray, *, centred: bool) -> np.ndarray:
    """Return 1 - cosine of all pairs of patterns (condition, unit); of centred ones, 1 - Pearson r.

    Exact to about 1e-15, and never negative; 0 where rounding alone tells two patterns apart.
    """
    centre = patterns.mean(1, keepdims=True) if centred else np.zeros((1, 1))
    gram = _multiply_rows(patterns, centre)
    # Each pattern is scaled by its own length, however faint it is beside the others.
    size = np.diag(gram).copy()
    scale = 1 / np.sqrt(np.where(size > 0, size, np.inf))
    gram *= scale[:, None]
    gram *= scale[None, :]
    return _turn_cosines(upper_triangle(gram))


def squared_distances(patterns: np.ndarray) -> np.ndarray:
    """Return squared Euclidean distances, a unit, of all pairs of patterns (condition, unit).

    They keep ten digits however alike two patterns are: where the inner products cancel, the
    pair's difference is taken instead. None is negative.
    """
    # What all conditions share cancels in differences; without it little precision is lost.
    gram = _multiply_rows(patterns, patterns.mean(0, keepdims=True))
    size = np.diag(gram).copy()
    vector = squared_from_gram(gram, patterns.shape[1])
    _restore_digits(vector, patterns, size)
    return vector


def poisson_divergences(patterns: np.ndarray) -> np.ndarray:
    """Return symmetrised Kullback-Leibler divergences, a unit, of Poisson rates (condition, unit).

    A prior of one spike counts as a tenth of an observation. None is negative.
    """
    rates = (patterns + PRIOR_RATE * PRIOR_WEIGHT) / (1 + PRIOR_WEIGHT)
    kernel = rates @ np.log(rates).T
    kernel += kernel.T.copy()
    kernel /= 2
    return squared_from_gram(kernel, patterns.shape[1])


def add_products(products: np.ndarray, patterns: np.ndarray, factor: float) -> None:
    """Add `factor` times the inner products of rows (row, unit) to `products` (row, row), in place.

    Only on and above the diagonal. `products` is float64 in C order, `patterns` float64.
    """
    from scipy.linalg.blas import dsyrk

    rows = np.ascontiguousarray(patterns).T
    # BLAS counts columns first: what is its lower triangle is our upper one.
    dsyrk(factor, rows, beta=1.0, c=products.T, trans=1, lower=1, overwrite_c=1)


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
    fill_square(matrix, vector)
    return matrix


def fill_square(matrix: np.ndarray, vector: np.ndarray) -> None:
    """Write what `square_matrix` returns, its diagonal apart, into a matrix that is there."""
    start = 0
    for row in range(len(matrix) - 1):
        stop = start + len(matrix) - 1 - row
        matrix[row, row + 1 :] = matrix[row + 1 :, row] = vector[start:stop]
        start = stop


def read_row(vector: np.ndarray, number: int, n: int) -> np.ndarray:
    """Return one row (n,) of the matrix whose upper triangle is `vector`, without the others."""
    row = np.zeros(n, dtype=vector.dtype)
    before = np.arange(number)
    row[:number] = vector[before * n - before * (before + 1) // 2 + number - before - 1]
    start = number * n - number * (number + 1) // 2
    row[number + 1 :] = vector[start : start + n - 1 - number]
    return row


def count_conditions(n_pairs: int) -> int:
    """Return how many conditions have so many pairs."""
    return round((1 + math.sqrt(1 + 8 * n_pairs)) / 2)


def standardise(vectors: np.ndarray) -> np.ndarray:
    """Return rows with mean 0 and length 1, so that an inner product is a Pearson r.

    A row that is constant but for rounding becomes NaN.
    """
    centred = centre(vectors)
    norm = np.linalg.norm(centred, axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(norm > 0, centred / norm, np.nan)


def _turn_cosines(vector: np.ndarray) -> np.ndarray:
    """Return 1 - cosine, in place; 0 where that is rounding beside the 1."""
    np.subtract(1, vector, out=vector)
    vector[vector <= TOLERANCE] = 0.0
    np.minimum(vector, 2.0, out=vector)
    return vector


def _restore_digits(vector: np.ndarray, patterns: np.ndarray, size: np.ndarray) -> None:
    """Take anew, from differences, squared distances (pair,) too small beside the patterns' `size`.

    `size` holds the squared lengths of the centred patterns (condition,); `vector` is changed.
    """
    n, n_units = patterns.shape
    step = max(1, ENTRIES // n_units)
    rounding = TOLERANCE**2 * np.einsum("ij,ij->i", patterns, patterns) / n_units
    start = 0
    for row in range(n - 1):
        part = vector[start : start + n - 1 - row]
        start += len(part)
        alike = np.flatnonzero(part * n_units <= ALIKE * (size[row] + size[row + 1 :]))
        for first in range(0, len(alike), step):
            pairs = alike[first : first + step]
            difference = patterns[pairs + row + 1] - patterns[row]
            square = np.einsum("ij,ij->i", difference, difference) / n_units
            square[square <= rounding[row] + rounding[pairs + row + 1]] = 0.0
            part[pairs] = square


def _multiply_rows(patterns: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Return inner products of rows less `centre`, on and above the diagonal; a block at a time."""
    gram = np.zeros((len(patterns), len(patterns)))
    whole = centre.shape[1] == 1
    for start in range(0, patterns.shape[1], BLOCK):
        units = slice(start, start + BLOCK)
        add_products(gram, patterns[:, units] - (centre if whole else centre[:, units]), 1.0)
    return gram


def _normalise(gram: np.ndarray) -> np.ndarray:
    """Divide inner products, in place, by the lengths of the patterns; 0 where there is none."""
    variance = np.diag(gram).copy()
    scale = np.zeros_like(variance)
    alive = variance > TOLERANCE * variance.max(initial=0.0)
    scale[alive] = 1 / np.sqrt(variance[alive])
    gram *= scale[:, None]
    gram *= scale[None, :]
    return gram
