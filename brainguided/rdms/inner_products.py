"""Alignment and regression from inner products of stimuli: of any number of units, one matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from neural_data.rounding import TOLERANCE, centre

PENALTIES = 10.0 ** np.arange(-6, 7)
"""Of ridge regression, in units of the mean squared length of a pattern."""


def cka_from_grams(k: np.ndarray, other: np.ndarray, *, debiased: bool = False) -> float:
    """Return the centred kernel alignment of two matrices of inner products of stimuli.

    Parameters
    ----------
    k, other : ndarray (stimulus, stimulus)
        Of responses, centred or not.
    debiased : bool, optional
        As for `compute_cka`.

    Returns
    -------
    float
        NaN where one side does not vary.
    """
    sides = [_centre(np.asarray(m, dtype=float)) for m in (k, other)]
    inner = _unbiased_product if debiased else _product
    cross = inner(sides[0], sides[1])
    own = [inner(m, m) for m in sides]
    for matrix, centred, square in zip((k, other), sides, own, strict=True):
        size = float(np.trace(centred))
        if size <= TOLERANCE * float(np.trace(matrix)) or square <= TOLERANCE * size**2:
            return float("nan")
    return float(cross / (np.sqrt(own[0]) * np.sqrt(own[1])))


def centre_grams(
    gram: np.ndarray, train: np.ndarray, test: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return inner products with the training stimuli, features centred over these.

    Returns
    -------
    own : ndarray (training stimulus, training stimulus)
    cross : ndarray (test stimulus, training stimulus)
    """
    own = gram[np.ix_(train, train)]
    means = own.mean(1)
    cross = gram[np.ix_(test, train)]
    cross = cross - cross.mean(1, keepdims=True) - means[None, :] + means.mean()
    return own - means[:, None] - means[None, :] + means.mean(), cross


def cross_validate(
    predict: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    responses: np.ndarray,
    folds: np.ndarray,
) -> np.ndarray:
    """Return the mean over folds of the correlation of predictions and responses: (site,).

    Parameters
    ----------
    predict : callable
        Of training stimuli, test stimuli (positions) and training responses (stimulus, site).
    responses : ndarray (stimulus, site)
    folds : ndarray (stimulus,)
        Which fold each stimulus is of.
    """
    total = np.zeros(responses.shape[1])
    names = np.unique(folds)
    for fold in names:
        test, train = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        predicted = predict(train, test, responses[train])
        total += _correlate_columns(predicted, responses[test])
    return total / len(names)


def predict_ridge(
    gram: np.ndarray, train: np.ndarray, test: np.ndarray, responses: np.ndarray
) -> np.ndarray:
    """Predict responses to test stimuli by ridge regression on inner products of features.

    Parameters
    ----------
    gram : ndarray (stimulus, stimulus)
        Of all stimuli, of raw or centred features.
    train, test : ndarray of int
        Positions of stimuli.
    responses : ndarray (training stimulus, site)

    Returns
    -------
    ndarray (test stimulus, site)
    """
    centred, cross = centre_grams(gram, train, test)
    offset = responses.mean(0)
    y = responses - offset
    best = np.full(y.shape[1], np.inf)
    weights = np.zeros_like(y)
    for dual, left_out in fit_ridge(centred, y):
        error = np.mean(left_out**2, axis=0)
        better = error < best
        best[better] = error[better]
        weights[:, better] = dual[:, better]
    predicted: np.ndarray = cross @ weights + offset
    return predicted


def fit_ridge(gram: np.ndarray, responses: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield, for each penalty, dual weights and the errors of leaving out each stimulus.

    Parameters
    ----------
    gram : ndarray (stimulus, stimulus)
        Inner products of features centred over these stimuli.
    responses : ndarray (stimulus, site)
        Centred over these stimuli.

    Yields
    ------
    dual, left_out : ndarray (stimulus, site)
        The error is that of a fit, its intercept included, to all other stimuli.
    """
    values, vectors = np.linalg.eigh(gram)
    values = np.maximum(values, 0.0)
    turned, squares = vectors.T @ responses, vectors**2
    for penalty in PENALTIES * max(float(values.mean()), 1e-300):
        shrunk = 1 / (values + penalty)
        dual = vectors @ (shrunk[:, None] * turned)
        # 1 - leverage of each stimulus, that of the intercept included
        rest = penalty * (squares @ shrunk) - 1 / len(gram)
        yield dual, penalty * dual / np.maximum(rest, TOLERANCE)[:, None]


def _centre(gram: np.ndarray) -> np.ndarray:
    rows = gram.mean(1, keepdims=True)
    centred: np.ndarray = gram - rows - rows.T + gram.mean()
    return centred


def _product(k: np.ndarray, other: np.ndarray) -> float:
    return float(np.vdot(k, other))


def _unbiased_product(k: np.ndarray, other: np.ndarray) -> float:
    """Return an estimate of HSIC that is not biased by the stimuli's own inner products."""
    n = len(k)
    k, other = (m - np.diag(np.diag(m)) for m in (k, other))
    sums = k.sum(1), other.sum(1)
    total = sums[0].sum() * sums[1].sum() / ((n - 1) * (n - 2))
    return float(np.vdot(k, other) + total - 2 / (n - 2) * (sums[0] @ sums[1])) / (n * (n - 3))


def _correlate_columns(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = centre(a, axis=0), centre(b, axis=0)
    size = np.sqrt((a * a).sum(0) * (b * b).sum(0))
    return np.where(size > 0, (a * b).sum(0) / np.where(size > 0, size, 1.0), 0.0)
