"""What noise does to the expected dissimilarities of an area, and the ceiling that is left.

Distances that are not cross-validated grow with noise, those of noisier stimuli more than others;
correlations shrink with it. Two halves of the repetitions share this, so that their RDMs resemble
each other more than either resembles the RDM without noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from brainguided.rdms.distances import upper_triangle
from brainguided.rdms.measures import find_measure

LEAST_SIGNAL = 0.1
"""Least signal of a condition, in units of the mean over conditions, that is reckoned with."""
MOST_WEAK = 0.1
"""Part of the conditions that may have less before the bias by noise does not count as removed."""


@dataclass(frozen=True)
class NoiseEffect:
    """Expected dissimilarities as linear functions of those without noise, pair by pair.

    Attributes
    ----------
    offset_half, gain_half : ndarray (pair,) or float
        ``E[d] = offset + gain * truth`` of the RDM of one half of the repetitions.
    offset_full, gain_full : ndarray (pair,) or float
        The same of the RDM of all repetitions.
    certain : bool
        Whether nearly all conditions have enough signal to say so.
    """

    offset_half: np.ndarray | float
    gain_half: np.ndarray | float
    offset_full: np.ndarray | float
    gain_full: np.ndarray | float
    certain: bool = True

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
    least = LEAST_SIGNAL * signal.mean()
    certain = bool(np.mean(signal < least) <= MOST_WEAK)
    signal = np.maximum(signal, least)
    gains = [np.sqrt(_pairs(np.multiply, signal / (signal + w))) for w in (half, full)]
    return NoiseEffect(1 - gains[0], gains[0], 1 - gains[1], gains[1], certain)


def multiply_halves(
    halves: list[tuple[np.ndarray, np.ndarray]], measured: np.ndarray, effect: NoiseEffect
) -> np.ndarray:
    """Return what a ceiling is made of, averaged over splits: six vectors (6, pair).

    Estimates of the RDM without noise and of the one to be expected; products of the estimates
    from one half with those from the other, of the RDM without noise with itself and with the one
    to be expected; the measured RDM and its square. Halves and `measured` are vectors (pair,).
    """
    total = np.zeros((4, measured.size))
    for half in halves:
        a, b = (effect.remove(d) for d in half)
        c, d = effect.add(a), effect.add(b)
        total += (a + b) / 2, (c + d) / 2, a * b, (a * d + b * c) / 2
    return np.concatenate([total / len(halves), [measured, measured**2]])


def correlate_with_truth(means: np.ndarray, *, centred: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the expected similarity of the measured RDM and the one without noise.

    ``cov(measured, truth) / sqrt(var(truth) var(measured))``; covariances are of estimates from
    different halves, the noise of which is independent. Mean products take their place where the
    comparison does not centre.

    Parameters
    ----------
    means : ndarray (6, ...)
        Means over pairs of the vectors of `multiply_halves`.
    centred : bool
        Whether means over pairs are subtracted.

    Returns
    -------
    similarity : ndarray (...)
        0 where the variance of the RDM without noise is not above 0. May be above 1 by chance.
    variance : ndarray (...)
        That variance.
    """
    truth, expected, variance, covariance, measured, spread = means
    if centred:
        variance = variance - truth**2
        covariance = covariance - truth * expected
        spread = spread - measured**2
    defined = (variance > 0) & (spread > 0)
    scale = np.sqrt(np.where(defined, variance * spread, 1.0))
    return np.where(defined, covariance / scale, 0.0), variance


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
    return _shrink(signal, chance)


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
