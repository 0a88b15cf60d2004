"""What noise does to the expected dissimilarities of an area, and the ceiling that is left.

Distances that are not cross-validated grow with noise, those of noisier stimuli more than others;
correlations shrink with it. Two halves of the repetitions share this, so that their RDMs resemble
each other more than either resembles the RDM without noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from brainguided.correspondence.bootstrap import PairSums
from brainguided.rdms.distances import square_matrix, upper_triangle
from brainguided.rdms.measures import find_measure

LEAST_SIGNAL = 0.2
"""Least signal of a condition, in units of the mean over conditions, that is reckoned with."""


@dataclass(frozen=True)
class NoiseEffect:
    """Expected dissimilarities as linear functions of those without noise, pair by pair.

    Attributes
    ----------
    offset_half, gain_half : ndarray (pair,) or float
        ``E[d] = offset + gain * truth`` of the RDM of one half of the repetitions.
    offset_full, gain_full : ndarray (pair,) or float
        The same of the RDM of all repetitions.
    """

    offset_half: np.ndarray | float
    gain_half: np.ndarray | float
    offset_full: np.ndarray | float
    gain_full: np.ndarray | float

    def remove(self, half: np.ndarray) -> np.ndarray:
        """Return an estimate of the dissimilarities without noise from those of a half."""
        return (half - self.offset_half) / self.gain_half

    def add(self, truth: np.ndarray) -> np.ndarray:
        """Return the dissimilarities to be expected of all repetitions."""
        return self.offset_full + self.gain_full * truth


def estimate_effect(
    values: np.ndarray, counts: np.ndarray, groups: np.ndarray, measure: str
) -> NoiseEffect | None:
    """Estimate what noise does to the dissimilarities of an area; None where that is not known.

    Squared Euclidean distances grow by the noise of both mean patterns. For correlations and
    cosines, which become smaller, it is the usual attenuation: by the root of the product of both
    reliabilities, of which each is signal over signal plus noise of the condition's mean pattern.
    Noise of single stimuli, estimated from few repetitions, is drawn towards the mean over stimuli
    by as much as it varies by chance.

    Parameters
    ----------
    values : ndarray (stimulus, repetition, site)
        Responses, whitened where the measure whitens; NaN behind those that there are.
    counts : ndarray of int (stimulus, site)
        Number of repetitions, 2 or more.
    groups : ndarray of int (stimulus,)
        Condition of each stimulus.
    measure : str
        Of the RDM.
    """
    row = find_measure(measure)
    if row.noise == "none":
        return NoiseEffect(0.0, 1.0, 0.0, 1.0)
    if row.noise == "unknown":
        return None
    mean = np.nanmean(values, axis=1)
    residuals = values - mean[:, np.newaxis]
    if row.centres:
        mean = mean - mean.mean(1, keepdims=True)
        present = np.maximum((~np.isnan(residuals)).sum(2, keepdims=True), 1)
        residuals = residuals - np.nansum(residuals, axis=2, keepdims=True) / present
    noise, dimensions = _estimate_noise(residuals, counts)
    half, full = (_average_noise(noise, n, groups) for n in (counts // 2, counts))
    if row.noise == "adds":
        return NoiseEffect(_pairs(np.add, half), 1.0, _pairs(np.add, full), 1.0)
    size = np.bincount(groups)
    patterns = np.zeros((len(size), mean.shape[1]))
    np.add.at(patterns, groups, mean)
    signal = _estimate_signal((patterns / size[:, None]) ** 2, full, dimensions)
    if signal is None:
        return None
    gains = [np.sqrt(_pairs(np.multiply, signal / (signal + w))) for w in (half, full)]
    return NoiseEffect(1 - gains[0], gains[0], 1 - gains[1], gains[1])


@dataclass(frozen=True)
class RdmProducts:
    """Matrices (condition, condition) of which a ceiling is made, averaged over splits.

    Attributes
    ----------
    truth, expected, measured : ndarray
        Estimates of the RDM without noise and of the one to be expected, and the measured one.
    truth_squared, product : ndarray
        Products of the estimate from one half with that from the other half, of the RDM without
        noise, and of the RDM to be expected.
    """

    truth: np.ndarray
    expected: np.ndarray
    measured: np.ndarray
    truth_squared: np.ndarray
    product: np.ndarray


def multiply_halves(
    halves: list[tuple[np.ndarray, np.ndarray]], measured: np.ndarray, effect: NoiseEffect
) -> RdmProducts:
    """Average over splits what a ceiling is made of; halves and `measured` are vectors (pair,)."""
    total = np.zeros((4, measured.size))
    for half in halves:
        a, b = (effect.remove(d) for d in half)
        c, d = effect.add(a), effect.add(b)
        total += (a + b) / 2, (c + d) / 2, a * b, (a * d + b * c) / 2
    truth, expected, squared, product = (square_matrix(v) for v in total / len(halves))
    return RdmProducts(truth, expected, square_matrix(measured), squared, product)


def correlate_with_truth(
    products: RdmProducts, times: np.ndarray, index: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the expected correlation of the measured RDM with that without noise, in each draw.

    ``cov(measured, truth) / sqrt(var(truth) var(measured))``; covariances are of estimates from
    different halves, the noise of which is independent.

    Parameters
    ----------
    products : RdmProducts
    times : ndarray (draw, unit)
        How often each unit counts.
    index : ndarray of int (condition,)
        Unit of each condition.

    Returns
    -------
    correlation : ndarray (draw,)
        0 to 1; 0 where the variance of the RDM without noise is not above 0, or no pair is left.
    variance : ndarray (draw,)
        That variance.
    """
    sums = PairSums(index, times.astype(float))
    pairs = np.maximum(sums(1 - np.eye(len(index))), 1)  # of one condition, drawn alone, are none

    def average(matrix: np.ndarray) -> np.ndarray:
        return np.asarray(sums(matrix) / pairs)

    truth, measured = average(products.truth), average(products.measured)
    variance = average(products.truth_squared) - truth**2
    covariance = average(products.product) - truth * average(products.expected)
    spread = average(products.measured**2) - measured**2
    defined = (variance > 0) & (spread > 0)
    scale = np.sqrt(np.where(defined, variance * spread, 1.0))
    return np.where(defined, np.clip(covariance / scale, 0, 1), 0.0), variance


def _estimate_noise(residuals: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the variance of one response (stimulus, site), and over how many dimensions."""
    squares = np.nansum(residuals**2, axis=1)
    freedom = counts - 1
    own = squares.sum(1) / freedom.sum(1)
    by_site = squares.sum(0) / freedom.sum(0)
    rows = np.nan_to_num(residuals).reshape(-1, residuals.shape[2])
    covariance = rows.T @ rows
    total = np.vdot(covariance, covariance)
    inverse = total / np.trace(covariance) ** 2 if total > 0 else 1.0
    inverse = max(inverse - 1 / freedom.mean(1).sum(), 1 / len(by_site))
    chance = 2 * inverse * np.mean(1 / freedom.mean(1)) * own.mean() ** 2
    own = _shrink(own, chance)
    return own[:, None] / max(own.mean(), np.finfo(float).tiny) * by_site, 1 / inverse


def _estimate_signal(
    squares: np.ndarray, noise: np.ndarray, dimensions: float
) -> np.ndarray | None:
    """Return the mean square over sites of each condition's pattern without noise."""
    signal = squares.mean(1) - noise
    if signal.mean() <= 0:
        return None
    chance = np.mean(4 * signal.mean() * noise + 2 * noise**2) / dimensions
    return np.asarray(np.maximum(_shrink(signal, chance), LEAST_SIGNAL * signal.mean()))


def _shrink(values: np.ndarray, chance: float) -> np.ndarray:
    """Draw values towards their mean, by the part of their variance that is chance."""
    variance = values.var(ddof=1)
    kept = max(0.0, 1 - chance / variance) if variance > 0 else 0.0
    return np.asarray(values.mean() + kept * (values - values.mean()))


def _average_noise(noise: np.ndarray, number: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the noise in the mean pattern of each condition, averaged over sites."""
    own = (noise / number).mean(1)
    return np.bincount(groups, own) / np.bincount(groups) ** 2


def _pairs(combine: np.ufunc, values: np.ndarray) -> np.ndarray:
    return upper_triangle(combine.outer(values, values))
