"""The robust reward: standardised scores, each counted as far as it exceeds what chance does."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median, pvariance, variance
from typing import Any

from brainguided.journal.measurement import Measurement
from neural_data.errors import raise_problems

PHASE = 24  # candidates by which scores are standardised
SHUFFLES = 20  # fewest of each area
LEVEL = 0.05  # of shuffled teachers, of which some score counts
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
    committed similarity over candidates and v0 the most that it would be by chance: of a shuffled
    teacher no score counts, and the reward is z(P), in 95 of 100 cases. v0 is c times the median
    of the variances for the area and its shuffles, and c, the same for all scores, the 95 %
    quantile over shuffles of the largest such multiple over areas and rungs (max-T [1]_; of 20
    shuffles the largest). The mean over shuffles in place of v0 would let half of the scores of a
    shuffled teacher count. z are by median and median absolute deviation, at least as large as the
    spread between weight seeds where that is known, of the first 24 candidates, which are drawn at
    random and told together. These values are frozen then: they are part of the journal.

    Parameters
    ----------
    weights : mapping of str to float, optional
        w of each area and rung, as "V4@50", at least 0; default: the same for all, of sum 1.
    frozen : mapping of str to Term, optional
        Made by `freeze`.

    References
    ----------
    .. [1] Nichols & Holmes (2002), Human Brain Mapping 15, 1-25.
    """

    weights: Mapping[str, float] | None = None
    frozen: Mapping[str, Term] | None = None

    def __post_init__(self) -> None:
        problems = [
            f"the weight of {name!r} is {weight!r}; expected 0 or more: a brain score never counts "
            "for being unlike the brain"
            for name, weight in (self.weights or {}).items()
            if isinstance(weight, bool) or not (math.isfinite(weight) and weight >= 0)
        ]
        raise_problems("No weights of a robust reward", problems, ValueError)

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
            Too few candidates, or less than 20 shuffles of an area, were measured; every problem is
            listed.
        """
        wanted, problems = self._list_terms(measurements)
        if len(measurements) < _FEWEST:
            problems.insert(
                0,
                f"{len(measurements)} of the first {PHASE} candidates succeeded; at least "
                f"{_FEWEST} are needed to standardise it. Correct what makes them fail, then start "
                "the same search again and have them evaluated again too (Again(failed=True), "
                "--retry-failed)",
            )
        raise_problems("The robust reward cannot be known", problems, ValueError)
        shares = _find_shares([name for name, weight in wanted.items() if weight], measurements)
        frozen = {"performance": _standardise("performance", measurements, 1.0)}
        for name, weight in wanted.items():
            frozen[name] = _standardise(name, measurements, weight * shares.get(name, 0.0))
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

    def _list_terms(
        self, measurements: Sequence[Measurement]
    ) -> tuple[dict[str, float], list[str]]:
        """Return the weight of each committed similarity, and what is wrong with them."""
        if not measurements:
            return {}, []
        areas, steps = measurements[0].areas, measurements[0].steps
        every = [f"{area}@{step}" for area in areas for step in steps]
        chosen = dict.fromkeys(every, 1 / max(len(every), 1))
        chosen = chosen if self.weights is None else dict(self.weights)
        problems = []
        if unknown := sorted(set(chosen) - set(every)):
            problems.append(f"weights name {unknown}; there are {every}")
        for area in areas:
            used = [
                int(name.rpartition("@")[2])
                for name in chosen
                if name in every and name.rpartition("@")[0] == area
            ]
            found = [len(_read_shuffles(one, area, step)) for one in measurements for step in used]
            if found and (min(found) < SHUFFLES or min(found) < max(found)):
                seen = min(found) if min(found) == max(found) else f"{min(found)} to {max(found)}"
                problems.append(
                    f"{seen} shuffles of {area} were measured; expected at least {SHUFFLES}, as "
                    f'many of each candidate: [[control]] with kind = "shuffled" and number = '
                    f"{SHUFFLES}"
                )
        return {f"committed {name}": weight for name, weight in chosen.items()}, problems


def _read(measurement: Measurement, name: str) -> float:
    value = measurement.value(name)
    return 0.0 if value is None else value  # of dead layers, which resemble nothing


def _standardise(name: str, measurements: Sequence[Measurement], weight: float) -> Term:
    values = [_read(one, name) for one in measurements]
    centre = median(values)
    spread = _SPREAD * median(abs(value - centre) for value in values)
    between = [
        variance([_read(again, name) for again in one.of_seeds()])
        for one in measurements
        if len(one.repeats) > 1
    ]
    spread = max(spread, math.sqrt(fmean(between)) if between else 0.0)
    if spread == 0:  # more than half are equal
        spread = math.sqrt(pvariance(values))
    return Term(centre, spread, weight) if spread > 0 else Term(centre, 1.0, 0.0)


def _find_shares(names: Sequence[str], measurements: Sequence[Measurement]) -> dict[str, float]:
    """Return what share of its weight each committed similarity has, 0 to 1.

    The teacher is one of ``shuffles + 1`` that are alike if it holds nothing: all are treated
    alike, and its largest multiple exceeds the 95 % quantile of theirs as seldom as any other's.
    """
    multiples = {}
    for name in names:
        area, _, step = name.removeprefix("committed ").rpartition("@")
        columns = zip(*(_read_shuffles(one, area, int(step)) for one in measurements), strict=True)
        values = [pvariance([_read(one, name) for one in measurements])]
        values += [pvariance([0.0 if v is None else v for v in column]) for column in columns]
        middle = median(values)
        if middle > 0:  # else the layers of most candidates are dead
            multiples[name] = [value / middle for value in values]
    if not multiples:
        return {}
    largest = sorted(max(each) for each in zip(*(m[1:] for m in multiples.values()), strict=False))
    place = math.ceil(round((1 - LEVEL) * (len(largest) + 1), 9))
    return {
        name: max(0.0, 1 - largest[place - 1] / found[0]) if found[0] > 0 else 0.0
        for name, found in multiples.items()
    }


def _read_shuffles(measurement: Measurement, area: str, step: int) -> Sequence[float | None]:
    return measurement.rung(step).shuffles.get(area, {}).get("committed", ())
