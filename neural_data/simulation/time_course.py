"""The time course of the simulated macaque: baseline, onset, transient and sustained response."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from neural_data.simulation.noise import is_number, raise_values

__all__ = ["TimeCourse"]


@dataclass(frozen=True, kw_only=True)
class TimeCourse:
    """Time course of a site's evoked response, and the time bins of the recording.

    A time t after the site's latency the evoked rate is proportional to

        (1 - exp(-t / `rise`)) (`sustained` + (1 - `sustained`) exp(-t / `decay`)),

    0 before; from `duration` on it falls as exp(-(t - `duration`) / `decay`). Its scale is such
    that its mean from 70 to 170 ms after stimulus onset is the evoked rate of a recording without
    time bins. The baseline, which is there throughout, does not depend on the image.

    Parameters
    ----------
    start, end : float
        Where the first bin begins and the last one ends, ms from stimulus onset.
    bin_width : float
        In ms; a whole number of bins fits between `start` and `end`.
    duration : float
        For how long the stimulus is shown, ms.
    rise, decay : float
        Time constants, ms.
    sustained : float
        Level to which the transient decays, from 0 (only a transient) to 1 (none).

    Raises
    ------
    ValueError
        If a number is out of range; all are named.

    Examples
    --------
    >>> TimeCourse(start=-50, end=250, bin_width=20).n_bins
    15
    """

    start: float = -100.0
    end: float = 300.0
    bin_width: float = 10.0
    duration: float = 100.0
    rise: float = 10.0
    decay: float = 30.0
    sustained: float = 0.4

    def __post_init__(self) -> None:
        problems = [
            f"{name} is {value!r}, expected a number of ms above 0"
            for name, value in (
                ("bin_width", self.bin_width),
                ("duration", self.duration),
                ("rise", self.rise),
                ("decay", self.decay),
            )
            if not (is_number(value) and value > 0)
        ]
        problems += [
            f"{name} is {value!r}, expected a number of ms"
            for name, value in (("start", self.start), ("end", self.end))
            if not is_number(value)
        ]
        if not (is_number(self.sustained) and 0 <= self.sustained <= 1):
            problems.append(f"sustained is {self.sustained!r}, expected a number from 0 to 1")
        if not problems:
            bins = (self.end - self.start) / self.bin_width
            if bins < 0.5 or abs(bins - round(bins)) > 1e-6:
                problems.append(
                    f"from {self.start:g} to {self.end:g} ms there are {bins:g} bins of "
                    f"{self.bin_width:g} ms; expected a whole number, 1 or more"
                )
        raise_values("TimeCourse", problems)

    @property
    def n_bins(self) -> int:
        """Number of time bins."""
        return round((self.end - self.start) / self.bin_width)

    @property
    def edges(self) -> np.ndarray:
        """Edges of the bins in ms from stimulus onset, one more than there are bins."""
        return self.start + self.bin_width * np.arange(self.n_bins + 1)


def compute_course(time: TimeCourse, latency: float, window: tuple[float, float]) -> np.ndarray:
    """Return the evoked rate in each bin over that in the window: (time bin).

    Parameters
    ----------
    time : TimeCourse
    latency : float
        Of the site, ms; before the window ends.
    window : tuple of float
        Start and end in ms.
    """
    area = _integrate(time, time.edges - latency)
    start, end = _integrate(time, np.asarray(window) - latency)
    scale = (window[1] - window[0]) / (end - start)
    return np.asarray(np.diff(area) / time.bin_width * scale)


def _integrate(time: TimeCourse, elapsed: np.ndarray) -> np.ndarray:
    """Integrate the course from the latency to each time after it, in ms."""
    during = np.clip(elapsed, 0, time.duration)
    both = 1 / (1 / time.rise + 1 / time.decay)
    level = time.sustained

    def decay(tau: float, t: np.ndarray) -> np.ndarray:
        return tau * -np.expm1(-t / tau)

    area = (
        level * during
        + (1 - level) * decay(time.decay, during)
        - level * decay(time.rise, during)
        - (1 - level) * decay(both, during)
    )
    last = -math.expm1(-time.duration / time.rise)
    last *= level + (1 - level) * math.exp(-time.duration / time.decay)
    after = np.clip(elapsed - time.duration, 0, None)
    return np.asarray(area + last * decay(time.decay, after))
