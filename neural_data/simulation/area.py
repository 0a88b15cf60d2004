"""What the sites of a simulated area are like: layer of origin, reliability, latency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from neural_data.simulation.noise import is_number, raise_values

__all__ = ["SimulatedArea"]

HIGHEST_RELIABILITY = 0.99


class Stage(NamedTuple):
    """Stage of the network that sites read."""

    convolution: int  # read after this one, counted from 1, and its rectification
    channels: int  # read by one site
    width: float  # SD of the receptive field, in steps of the stage's map
    margin: float  # receptive field centres keep this far from the map's border, in steps


STAGES = {
    "conv1": Stage(1, 4, 1.2, 4.0),
    "conv2": Stage(2, 4, 1.0, 2.5),
    "conv3": Stage(3, 6, 0.9, 1.5),
    "conv4": Stage(4, 8, 1.2, 1.0),
    "conv5": Stage(5, 10, 1.5, 1.0),
}
USUAL_STAGE = {"V4": "conv3", "IT": "conv5"}
USUAL_LATENCY = {"V4": (65.0, 8.0), "IT": (90.0, 12.0)}  # mean and SD over sites, ms


@dataclass(frozen=True, kw_only=True)
class SimulatedArea:
    """Properties of the sites of an area; whatever is left out takes the area's default.

    Parameters
    ----------
    origin : str or sequence of str, optional
        Stage of the network that sites read, "conv1" to "conv5", or several, which the sites of
        each animal take in turn; name a stage twice for twice as many sites. Usually conv3 for
        V4 and conv5 for IT.
    reliability : float or (low, high), optional
        Expected split-half reliability of the mean over `of_repetitions`, corrected by
        Spearman-Brown, for the images shown and under the noise chosen: the same for all sites,
        or drawn for each from an even distribution. 0 (rates that do not depend on the image)
        to 0.99. Usually spread as in real recordings: median 0.75, from 0.3 to 0.95, and set on
        other simulated objects, so that rates do not depend on the images shown together.
    site_reliability : sequence of float, optional
        As `reliability`, one for each site.
    of_repetitions : int
        Number of repetitions that `reliability` is about.
    latency : float, optional
        Mean over sites, ms. Usually 65 for V4 and 90 for IT. Needs a time course.
    latency_jitter : float, optional
        SD over sites, ms; normal, cut off at 2 SD. Usually 8 for V4 and 12 for IT. Needs a time
        course.

    Raises
    ------
    ValueError
        If a stage is unknown or a number out of range; all are named.

    Examples
    --------
    >>> area = SimulatedArea(origin=["conv4", "conv5"], reliability=(0.5, 0.9))
    >>> area.origin
    ('conv4', 'conv5')
    """

    origin: str | Sequence[str] | None = None
    reliability: float | tuple[float, float] | None = None
    site_reliability: Sequence[float] | None = None
    of_repetitions: int = 10
    latency: float | None = None
    latency_jitter: float | None = None

    def __post_init__(self) -> None:
        problems: list[str] = []
        if self.origin is not None:
            stages = (self.origin,) if isinstance(self.origin, str) else as_tuple(self.origin)
            object.__setattr__(self, "origin", stages)
            unknown = [stage for stage in stages if stage not in STAGES]
            if unknown or not stages:
                problems.append(f"origin is {stages!r}, expected some of {', '.join(STAGES)}")
        problems += self._check_reliability()
        if not is_whole(self.of_repetitions, 1):
            problems.append(
                f"of_repetitions is {self.of_repetitions!r}, expected a whole number of 1 or more"
            )
        problems += [
            f"{name} is {value!r}, expected a number of ms, 0 or more"
            for name, value in (("latency", self.latency), ("latency_jitter", self.latency_jitter))
            if value is not None and not (is_number(value) and value >= 0)
        ]
        raise_values("SimulatedArea", problems)

    def _check_reliability(self) -> list[str]:
        problems = []
        expected = f"0 to {HIGHEST_RELIABILITY}"
        given: Any = self.reliability
        if given is not None and not is_number(given):
            given = as_tuple(given)
            object.__setattr__(self, "reliability", given)
            fit = len(given) == 2 and all(_is_reliability(r) for r in given)
            if not fit or given[0] > given[1]:
                problems.append(f"reliability is {given!r}, expected (low, high) from {expected}")
        elif given is not None and not _is_reliability(given):
            problems.append(f"reliability is {given!r}, expected a number from {expected}")
        if self.site_reliability is not None:
            values = as_tuple(self.site_reliability)
            object.__setattr__(self, "site_reliability", values)
            wrong = [r for r in values if not _is_reliability(r)]
            if wrong:
                problems.append(
                    f"site_reliability is {wrong[0]!r} at {len(wrong)} of {len(values)} sites, "
                    f"expected numbers from {expected}"
                )
            if self.reliability is not None:
                problems.append("both reliability and site_reliability are given: give one")
        return problems


def as_tuple(values: Any) -> tuple[Any, ...]:
    """Return a sequence or array as a tuple of plain values; anything else as a tuple of it."""
    if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray):
        return (values,)
    return tuple(np.asarray(values).tolist()) if isinstance(values, np.ndarray) else tuple(values)


def is_whole(value: object, least: int) -> bool:
    return is_number(value) and int(value) == value and value >= least  # type: ignore[call-overload,operator]


def _is_reliability(value: object) -> bool:
    return is_number(value) and 0 <= value <= HIGHEST_RELIABILITY  # type: ignore[operator]
