"""The robust reward: standardised scores, each counted as far as it exceeds what chance does."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import fmean, median, pvariance, variance
from typing import Any

from brainguided.journal.measurement import Measurement

PHASE = 24  # candidates by which scores are standardised
SHUFFLES = 20  # fewest of each area
_FEWEST = 12  # candidates of the phase that have to succeed
_SPREAD = 1.4826  # times the median absolute deviation is the sd of a normal distribution


@dataclass(frozen=True)
class Term:
    """A standardised score: weight * (value - centre) / spread."""

    centre: float
    spread: float
    weight: float


@dataclass(frozen=True)
class RobustReward:
    """Reward of z(P) plus committed similarities, standardised, as far as they are no chance.

    ``z(P) + sum w max(0, 1 - v0/v) z(committed)`` over areas and rungs. v is the variance of the
    committed similarity over candidates and v0 the mean of the same variance over shuffles of the
    area: a score that varies as that of a shuffled area does counts nothing. z are by median and
    median absolute deviation, at least as large as the spread between weight seeds where that is
    known, of the first 24 candidates, which are drawn at random and told together. These values
    are frozen then: they are part of the journal.

    Parameters
    ----------
    weights : mapping of str to float, optional
        w of each area and rung, as "V4@50", at least 0; default: the same for all, of sum 1.
    frozen : mapping of str to Term, optional
        Made by `freeze`.
    """

    weights: Mapping[str, float] | None = None
    frozen: Mapping[str, Term] | None = None

    def __post_init__(self) -> None:
        for name, weight in (self.weights or {}).items():
            if isinstance(weight, bool) or not (math.isfinite(weight) and weight >= 0):
                raise ValueError(
                    f"the weight of {name!r} is {weight!r}; expected 0 or more: a brain score "
                    "never counts for being unlike the brain."
                )

    @property
    def phase(self) -> int:
        """Candidates that have to be measured before there are rewards; 0 once there were."""
        return 0 if self.frozen is not None else PHASE

    def __call__(self, measurement: Measurement) -> float:
        """Return the reward, once scores are standardised."""
        if self.frozen is None:
            raise ValueError(
                f"The robust reward is standardised by {PHASE} candidates; call freeze with their "
                "measurements first."
            )
        total = 0.0
        for name, term in self.frozen.items():
            if term.weight:
                total += term.weight * (_read(measurement, name) - term.centre) / term.spread
        return total

    def freeze(self, measurements: Sequence[Measurement]) -> RobustReward:
        """Return the reward standardised by what the first candidates showed.

        Raises
        ------
        ValueError
            Too few candidates, or less than 20 shuffles of an area, were measured.
        """
        if len(measurements) < _FEWEST:
            raise ValueError(
                f"{len(measurements)} of the first {PHASE} candidates succeeded; at least "
                f"{_FEWEST} are needed to standardise the robust reward. Correct what makes them "
                "fail, then start the same search again and have them evaluated again too "
                "(retry_failed, --retry-failed)."
            )
        frozen = {"performance": _standardise("performance", measurements, 1.0)}
        for name, weight in self._list_terms(measurements[0]).items():
            values = [_read(one, name) for one in measurements]
            spread, chance = pvariance(values), _find_chance(name, measurements)
            share = max(0.0, 1 - chance / spread) if spread > 0 else 0.0
            frozen[name] = _standardise(name, measurements, weight * share)
        return replace(self, frozen=frozen)

    def thaw(self, values: Mapping[str, Sequence[float]]) -> RobustReward:
        """Return the reward with the values that `to_frozen` returned."""
        return replace(self, frozen={name: Term(*value) for name, value in values.items()})

    def to_frozen(self) -> dict[str, list[float]]:
        """Return the frozen values as plain data: centre, spread and weight of each score."""
        known = self.frozen or {}
        return {name: [term.centre, term.spread, term.weight] for name, term in known.items()}

    def describe(self) -> dict[str, Any]:
        """Return the settings; frozen values are no settings."""
        return {
            "preset": "robust",
            "weights": "equal" if self.weights is None else dict(self.weights),
            "first": PHASE,
        }

    def _list_terms(self, measurement: Measurement) -> dict[str, float]:
        """Return the weight of each committed similarity."""
        every = [f"{area}@{step}" for area in measurement.areas for step in measurement.steps]
        if self.weights is None:
            return {f"committed {name}": 1 / len(every) for name in every}
        if unknown := sorted(set(self.weights) - set(every)):
            raise ValueError(f"weights name {unknown}; there are {every}.")
        return {f"committed {name}": weight for name, weight in self.weights.items()}


def _read(measurement: Measurement, name: str) -> float:
    value = measurement.value(name)
    return 0.0 if value is None else value  # of dead layers, which resemble nothing


def _standardise(name: str, measurements: Sequence[Measurement], weight: float) -> Term:
    values = [_read(one, name) for one in measurements]
    centre = median(values)
    spread = _SPREAD * median(abs(value - centre) for value in values)
    between = [
        variance(
            [_read(replace(one, rungs=again.rungs, repeats=()), name) for again in one.repeats]
        )
        for one in measurements
        if len(one.repeats) > 1
    ]
    spread = max(spread, math.sqrt(fmean(between)) if between else 0.0)
    if spread == 0:  # more than half are equal
        spread = math.sqrt(pvariance(values))
    return Term(centre, spread, weight) if spread > 0 else Term(centre, 1.0, 0.0)


def _find_chance(name: str, measurements: Sequence[Measurement]) -> float:
    """Return the variance over candidates of the committed similarity to shuffles, their mean."""
    area, _, step = name.removeprefix("committed ").rpartition("@")
    found = [
        one.rung(int(step)).shuffles.get(area, {}).get("committed", ()) for one in measurements
    ]
    fewest = min(len(values) for values in found)
    if fewest < SHUFFLES or any(len(a) != len(b) for a, b in pairwise(found)):
        raise ValueError(
            f"{fewest} shuffles of {area} were measured; the robust reward needs at least "
            f'{SHUFFLES}: [[control]] with kind = "shuffled" and number = {SHUFFLES}.'
        )
    columns = zip(*found, strict=True)
    return fmean(pvariance([0.0 if v is None else v for v in column]) for column in columns)
