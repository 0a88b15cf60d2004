"""The noise of the simulated macaque: Poisson or Gaussian, shared gain, noise correlations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from neural_data.errors import raise_problems
from neural_data.simulation.counts import counts_from_normal, find_shares

__all__ = ["GaussianNoise", "PoissonNoise"]

_MOST_CORRELATED = 0.9


@dataclass(frozen=True, kw_only=True)
class PoissonNoise:
    """Poisson counts given a gain that varies from one presentation to the next.

    A count in a window of T seconds has mean rate x T x g, where the gain g is gamma distributed
    with mean 1 and shared by sites recorded together, so that the variance of a count of mean m
    is m + (`shared_gain_sd` m)**2 [1]_.

    Parameters
    ----------
    shared_gain_sd : float
        SD of the gain, 0 (none) to 1.
    correlation : float
        Noise correlation of the counts of any two sites recorded together, 0 to 0.9, besides
        that due to the shared gain. Counts stay Poisson: they are quantiles of normal variables
        with one common factor, whose share is set for each mean count by the correlation that
        discrete counts leave. Met for sites of equal mean count, slightly less for others. With
        time bins it holds within each bin, and bins are independent.

    Raises
    ------
    ValueError
        If a number is out of range; all are named.

    References
    ----------
    .. [1] Goris, Movshon and Simoncelli (2014), Nat. Neurosci. 17, 858-865, equation 3.

    Examples
    --------
    >>> PoissonNoise(correlation=0.1)
    PoissonNoise(shared_gain_sd=0.08, correlation=0.1)
    """

    shared_gain_sd: float = 0.08
    correlation: float = 0.0

    def __post_init__(self) -> None:
        problems = _check_shared(self.shared_gain_sd, self.correlation)
        raise_values("PoissonNoise", problems)


@dataclass(frozen=True, kw_only=True)
class GaussianNoise:
    """Normal noise added to the rate times a gain.

    Noise is added as it is: a response may fall below 0, so that means stay true.

    Parameters
    ----------
    fano : float, optional
        Variance of the count over its mean: the SD of the rate in a window of T seconds is
        sqrt(fano x rate / T). With time bins T is the width of the bin.
    sd : float, optional
        SD of the response in spikes/s, whatever the rate, in the window from 70 to 170 ms. A
        time bin of width w has ``sd * sqrt(100 ms / w)``, so that the mean over the window has
        `sd`. Give either this or `fano`.
    shared_gain_sd : float
        SD of the gain shared by sites recorded together, 0 (none) to 1.
    correlation : float
        Noise correlation of any two sites recorded together, 0 to 0.9, besides that due to the
        shared gain: a common factor with this share of the variance, independent between bins.

    Raises
    ------
    ValueError
        If a number is out of range, or both or neither of `fano` and `sd` are given; all is named.

    Examples
    --------
    >>> GaussianNoise(sd=5.0)
    GaussianNoise(fano=None, sd=5.0, shared_gain_sd=0.0, correlation=0.0)
    """

    fano: float | None = None
    sd: float | None = None
    shared_gain_sd: float = 0.0
    correlation: float = 0.0

    def __post_init__(self) -> None:
        problems = _check_shared(self.shared_gain_sd, self.correlation)
        if (self.fano is None) == (self.sd is None):
            problems.append(
                f"fano is {self.fano!r} and sd is {self.sd!r}; expected exactly one of the two"
            )
        problems += [
            f"{name} is {value!r}, expected a number above 0"
            for name, value in (("fano", self.fano), ("sd", self.sd))
            if value is not None and not (is_number(value) and value > 0)
        ]
        raise_values("GaussianNoise", problems)


Noise = PoissonNoise | GaussianNoise


class SharedNoise(NamedTuple):
    """Noise shared by sites recorded together."""

    gain: np.ndarray  # (repetition, stimulus)
    factor: np.ndarray | None  # standard normal (repetition, stimulus, time bin)


def is_number(value: object) -> bool:
    """Whether this is a finite number, and no truth value."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        return False
    return math.isfinite(value)


def raise_values(what: str, problems: list[str]) -> None:
    """Raise one `ValueError` that lists every problem; return when there is none."""
    raise_problems(f"this {what} cannot be", problems, ValueError)


def find_variance_terms(noise: Noise, seconds: float) -> tuple[float, float, float]:
    """Return a, b and c: noise of a rate r in a window has the variance a + b r + c r**2."""
    square = noise.shared_gain_sd**2
    if isinstance(noise, PoissonNoise):
        return 0.0, 1 / seconds, square
    if noise.fano is not None:
        return 0.0, noise.fano / seconds, square
    assert noise.sd is not None
    return noise.sd**2, 0.0, square


def draw_shared_noise(
    noise: Noise, shape: tuple[int, int, int], rng: np.random.Generator
) -> SharedNoise:
    """Draw what sites recorded together share: shape (repetition, stimulus, time bin)."""
    gain_rng, factor_rng = rng.spawn(2)  # each grows with the repetitions by itself
    square = noise.shared_gain_sd**2
    gain = gain_rng.gamma(1 / square, square, size=shape[:2]) if square else np.ones(shape[:2])
    factor = factor_rng.standard_normal(shape) if noise.correlation else None
    return SharedNoise(gain, factor)


def draw_responses(
    noise: Noise,
    rates: np.ndarray,
    shared: SharedNoise,
    seconds: float,
    *,
    window_seconds: float,
    shares: np.ndarray | None,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw the responses of one site in spikes/s: (repetition, stimulus, time bin).

    Parameters
    ----------
    noise : PoissonNoise or GaussianNoise
    rates : numpy.ndarray (stimulus, time bin)
        Noise-free, in spikes/s.
    shared : SharedNoise
    seconds : float
        Width of a time bin.
    window_seconds : float
        Width of the window to which the SD of `GaussianNoise` refers.
    shares : numpy.ndarray, optional
        What `tabulate_shares` returns, for correlated Poisson counts.
    rng : numpy.random.Generator
        The site's own. More repetitions leave the earlier ones as they were.
    """
    shape = (*shared.gain.shape, rates.shape[1])
    mean = rates * shared.gain[:, :, np.newaxis]
    if isinstance(noise, PoissonNoise) and shared.factor is None:
        return np.asarray(rng.poisson(mean * seconds) / seconds)
    own = rng.standard_normal(shape)
    if isinstance(noise, GaussianNoise):
        own *= math.sqrt(1 - noise.correlation)
        if shared.factor is not None:
            own += math.sqrt(noise.correlation) * shared.factor
        if noise.fano is not None:
            deviation = np.sqrt(noise.fano * rates / seconds)
        else:
            assert noise.sd is not None
            deviation = np.full_like(rates, noise.sd * math.sqrt(window_seconds / seconds))
        return np.asarray(mean + deviation * own)
    assert shares is not None
    assert shared.factor is not None
    share = find_shares(rates * seconds, shares)
    normal = np.sqrt(1 - share) * own + np.sqrt(share) * shared.factor
    return counts_from_normal(normal, mean * seconds) / seconds


def _check_shared(gain_sd: float, correlation: float) -> list[str]:
    problems = []
    if not (is_number(gain_sd) and 0 <= gain_sd <= 1):
        problems.append(f"shared_gain_sd is {gain_sd!r}, expected a number from 0 to 1")
    if not (is_number(correlation) and 0 <= correlation <= _MOST_CORRELATED):
        problems.append(
            f"correlation is {correlation!r}, expected a number from 0 to {_MOST_CORRELATED}"
        )
    return problems
