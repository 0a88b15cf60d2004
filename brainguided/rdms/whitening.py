"""Inner products of RDMs that allow for the dependence between their entries.

Estimated dissimilarities that share a condition share its noise. If the patterns of the conditions
have errors of covariance S, the covariance of squared distances is to first order proportional to
``V = X * X`` (elementwise) with ``X = C S C'``, C the matrix of differences of pairs [1]_. Weighing
by the inverse of V makes the cosine of two RDMs as reliable as it can be. V has as many rows as
there are pairs, but never needs to be formed: with W the inverse of S within the space of vectors
that sum to 0, and A and B the RDMs as symmetric matrices with a zero diagonal,
``a' V^-1 b = trace(A W B W) / 4``.

References
----------
.. [1] Diedrichsen, Berlot, Mur, Schuett, Shahbazi & Kriegeskorte (2021), Comparing
   representational geometries using whitened unbiased-distance-matrix similarity,
   Neurons, Behavior, Data analysis and Theory 5(3), equations 13 to 16.
"""

from __future__ import annotations

import numpy as np

from brainguided.rdms.distances import count_conditions, square_matrix
from neural_data.rounding import TOLERANCE


def condition_sums(vectors: np.ndarray) -> np.ndarray:
    """Return the sum of the dissimilarities of each condition: (rdm, condition).

    An upper triangle without its diagonal is, to BLAS, the packed symmetric matrix M of all
    conditions but the last (rows) with all but the first (columns). M times 1 sums the pairs of a
    condition with later ones and those of the next condition with earlier ones, of which the pair
    of the two is counted once; its triangle, transposed, times 1 gives the former.
    """
    from scipy.linalg.blas import dspmv, dtpmv

    n = count_conditions(vectors.shape[1])
    sums = np.zeros((len(vectors), n))
    if n < 2:
        return sums
    ones, next_pairs = np.ones(n - 1), np.concatenate([[0], np.cumsum(np.arange(n - 1, 1, -1))])
    for vector, own in zip(vectors, sums, strict=True):
        pairs = np.asarray(vector, dtype=float)
        both = dspmv(n - 1, 1.0, pairs, ones, lower=1)
        later = dtpmv(n - 1, pairs, ones, lower=1, trans=1)
        own[1:] = both - later + pairs[next_pairs]
        own[:-1] += later
    return sums


def whitened_products(products: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Turn inner products of RDMs into those weighed by the inverse of V, up to a factor.

    For patterns with independent errors of equal variance V is 2 I + B B', B saying which
    condition takes part in which pair, and Woodbury's identity gives the inverse in closed form.

    Parameters
    ----------
    products : ndarray (rdm, other_rdm)
        Plain inner products.
    a, b : ndarray (rdm, condition) and (other_rdm, condition)
        As from `condition_sums`.
    """
    n = a.shape[1]
    shared = a @ b.T - np.outer(a.sum(1), b.sum(1)) / (2 * n)
    whitened: np.ndarray = products - shared / n
    return whitened


def whiten_vector(vector: np.ndarray, root: np.ndarray) -> np.ndarray:
    """Return the matrix, flat, whose inner products are those of RDMs weighed by V^-1.

    Parameters
    ----------
    vector : ndarray (pair,)
    root : ndarray (condition, condition)
        As from `contrast_root`.
    """
    whitened: np.ndarray = (root @ square_matrix(vector) @ root).ravel()
    return whitened


def is_symmetric(matrix: np.ndarray) -> bool:
    """Whether a matrix equals its transpose to eight digits of its largest entry, in any unit."""
    difference = np.abs(matrix - matrix.T).max(initial=0.0)
    return bool(difference <= 1e-8 * np.abs(matrix).max(initial=0.0))


def contrast_root(covariance: np.ndarray, n_conditions: int) -> np.ndarray:
    """Return the symmetric root of W, the inverse of a covariance between conditions.

    Parameters
    ----------
    covariance : ndarray (condition, condition)
        Covariance of the errors of the conditions' patterns; only its part that concerns
        differences between conditions matters.

    Raises
    ------
    ValueError
        If it has another shape, or is not positive definite for differences.
    """
    matrix = np.asarray(covariance, dtype=float)
    if matrix.shape != (n_conditions, n_conditions) or not is_symmetric(matrix):
        raise ValueError(
            f"The covariance has shape {matrix.shape} for {n_conditions} conditions; a symmetric "
            f"({n_conditions}, {n_conditions}) was expected, in the order of the conditions."
        )
    basis = np.linalg.svd(np.eye(n_conditions) - 1 / n_conditions)[0][:, :-1]
    values, vectors = np.linalg.eigh(basis.T @ matrix @ basis)
    if values[0] <= TOLERANCE * values[-1]:
        raise ValueError(
            "The covariance between conditions is not positive definite, so that it has no "
            "inverse: estimate it with more data, or leave it out for independent errors."
        )
    half = basis @ vectors
    root: np.ndarray = (half / np.sqrt(values)) @ half.T
    return root
