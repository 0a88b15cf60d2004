"""Poisson counts with a chosen noise correlation, made of normal variables."""

from __future__ import annotations

import math

import numpy as np

_MEANS = np.geomspace(1e-3, 50.0, 40)  # mean counts; correlations hardly fall above
_SHARES = np.append(np.linspace(0.0, 0.95, 39), 0.99)  # of variance, of the normal variables
_LARGE_MEAN = 300.0  # counts above this are inverted by scipy, which is slower


def tabulate_shares(correlation: float) -> np.ndarray:
    """Find what share of normal variance gives Poisson counts this correlation, by mean count.

    With a common factor f of share s, the expected count given f is the sum over k of
    P(count > k | f), and its variance over f divided by the mean count is the correlation of two
    counts of this mean.

    Returns
    -------
    numpy.ndarray
        Share of each of 40 mean counts from 0.001 to 50, 0 to 0.99.
    """
    from scipy.special import ndtr, ndtri, pdtr

    nodes, weights = np.polynomial.hermite_e.hermegauss(64)
    weights = weights / weights.sum()
    own = np.sqrt(1 - _SHARES)[:, np.newaxis, np.newaxis]
    common = np.sqrt(_SHARES)[:, np.newaxis, np.newaxis] * nodes[:, np.newaxis]
    shares = np.empty(len(_MEANS))
    for i, mean in enumerate(_MEANS):
        counts = np.arange(int(mean + 8 * math.sqrt(mean) + 8))
        threshold = ndtri(np.minimum(pdtr(counts, mean), 1 - 1e-15))
        expected = ndtr((common - threshold) / own).sum(axis=2)  # (share, node)
        variance = expected**2 @ weights - (expected @ weights) ** 2
        shares[i] = np.interp(correlation, variance / mean, _SHARES)
    return shares


def find_shares(mean: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Look up the share of normal variance of each mean count in what `tabulate_shares` returns."""
    return np.asarray(np.interp(np.log(np.maximum(mean, 1e-9)), np.log(_MEANS), shares))


def counts_from_normal(normal: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return the count at the same quantile of Poisson as that of each standard normal number.

    Probabilities are added up, from a count of 0 on, until they reach that quantile.
    """
    from scipy.special import ndtr, pdtrik

    uniform = ndtr(normal)
    count = np.zeros(uniform.shape)
    large = mean > _LARGE_MEAN
    if large.any():
        below_1 = np.minimum(uniform[large], 1 - 1e-15)
        count[large] = np.maximum(np.ceil(pdtrik(below_1, mean[large])), 0)
    flat = count.reshape(-1)
    rest = np.flatnonzero(~large)
    wanted, average = uniform.reshape(-1)[rest], mean.reshape(-1)[rest]
    probability = np.exp(-average)
    total = probability.copy()
    k = 0
    while rest.size:
        # Beyond the mean a vanishing probability ends the search: the sum may stay below 1.
        more = (wanted > total) & ((probability > 1e-18) | (k < average))
        rest, wanted, average = rest[more], wanted[more], average[more]
        k += 1
        flat[rest] = k
        probability = probability[more] * average / k
        total = total[more] + probability
    return count
