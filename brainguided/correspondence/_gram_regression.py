"""Regression on inner products of stimuli: of any number of units, one matrix is enough."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh

from brainguided.rdms.inner_products import centre_grams

SMALLEST = 1e-12
"""Covariance with the responses, in units of that of the first component, below which none is."""


def predict_pls(
    gram: np.ndarray, train: np.ndarray, test: np.ndarray, responses: np.ndarray, components: int
) -> np.ndarray:
    """Predict responses to test stimuli by partial least squares on inner products of features.

    The components are those of PLS2 regression with deflation of features and responses, which
    scikit-learn's ``PLSRegression(scale=False)`` finds by power iteration: scores of the largest
    covariance with any combination of responses. On inner products they are the leading
    eigenvectors of ``K Y Y'`` [1]_; here these are found exactly, from the small matrix ``Y' K Y``,
    and `K` itself is never deflated, since scores are orthogonal.

    Parameters
    ----------
    gram : ndarray (stimulus, stimulus)
        Inner products of all stimuli, of raw or centred features.
    train, test : ndarray of int
        Positions of stimuli.
    responses : ndarray (training stimulus, site)
    components : int
        Fewer are taken where the features have no more dimensions that covary with responses.

    Returns
    -------
    ndarray (test stimulus, site)

    References
    ----------
    .. [1] Rosipal & Trejo (2001). Journal of Machine Learning Research 2, 97-123, section 3.
    """
    own, cross = centre_grams(gram, train, test)
    offset = responses.mean(0)
    y = responses - offset
    left = y.copy()
    product = own @ y
    scores: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    first = 0.0
    for _ in range(min(components, len(train) - 1)):
        covariance = left.T @ product
        last = len(covariance) - 1
        size, vector = eigh((covariance + covariance.T) / 2, subset_by_index=[last, last])
        first = max(first, float(size[0]))
        if size[0] <= SMALLEST * first:
            break
        score = product @ vector[:, 0]
        score -= _project(scores, score)
        score /= np.linalg.norm(score)
        loading = own @ score
        loading -= _project(scores, loading)
        weights.append(left @ vector[:, 0])
        gain = score @ left
        product -= np.outer(loading, gain)
        product -= np.outer(score, score @ product)
        left -= np.outer(score, gain)
        scores.append(score)
    if not scores:
        return np.broadcast_to(offset, (len(test), len(offset))).copy()
    t, u = np.stack(scores, 1), np.stack(weights, 1)
    inner = np.linalg.solve(t.T @ own @ u, t.T @ y)
    return np.asarray(cross @ (u @ inner) + offset)


def _project(scores: list[np.ndarray], vector: np.ndarray) -> np.ndarray | float:
    """Return the part of a vector that lies in the space of earlier scores."""
    if not scores:
        return 0.0
    earlier = np.stack(scores, 1)
    return np.asarray(earlier @ (earlier.T @ vector))
