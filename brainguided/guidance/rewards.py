"""Rewards: pure functions of what one candidate showed.

A reward is chosen before a search and can be changed on its journal afterwards, at no cost.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from brainguided.guidance.own_code import digest_source, run_source
from brainguided.guidance.robust import RobustReward
from brainguided.journal.attempts import STOPPED, Attempt
from brainguided.journal.measurement import Measurement
from brainguided.journal.objectives import read_value
from neural_data.errors import raise_problems

__all__ = [
    "FunctionReward",
    "NoNumberError",
    "PaperReward",
    "Reward",
    "RobustReward",
    "WeightedReward",
    "check_keep",
    "parse_reward",
    "reward_anew",
    "settle_reward",
]
_NAMES = {"P": "performance"}
_WEIGHT = r"(?:\d+\.?\d*|\.\d+)\s*\*"
_TERM = re.compile(rf"(?P<weight>-?\s*{_WEIGHT})?\s*(?P<name>[^\W\d].*)")


@runtime_checkable
class Reward(Protocol):
    """What a search is told of a candidate: a number, higher is better."""

    def __call__(self, measurement: Measurement) -> float:
        """Return the reward of what was measured."""

    def describe(self) -> dict[str, Any]:
        """Return the settings as plain data fit for JSON."""


@dataclass(frozen=True)
class PaperReward:
    """P + alpha * TG, the reward of Bashivan et al. (2019).

    P is the validation accuracy and TG the mean over areas of the best layer's similarity [1]_.

    Parameters
    ----------
    alpha : float
        Weight of TG; 1 in all searches of the paper. With 0 the similarity is measured but earns
        nothing.
    rung : int, optional
        Training steps after which both are taken; default: the last rung.

    References
    ----------
    .. [1] Bashivan, Tensen & DiCarlo (2019), ICCV, section 3.

    Examples
    --------
    >>> from brainguided.journal.measurement import Measurement, Rung
    >>> rung = Rung(50, performance=0.5, similarity={"IT": {"layer1": 0.25}})
    >>> PaperReward(alpha=2.0)(Measurement(("IT",), (rung,)))
    1.0
    """

    alpha: float = 1.0
    rung: int | None = None

    def __post_init__(self) -> None:
        _check_number("alpha", self.alpha)

    def __call__(self, measurement: Measurement) -> float:
        """Return P + alpha * TG; P alone where there is no teacher."""
        rung = measurement.rung(self.rung)
        performance = rung.performance
        if performance is None:
            raise ValueError(
                f"The candidate has no performance at step {rung.step}; expected a validation "
                "accuracy from the evaluation. Have it measured, or choose a reward without P."
            )
        guidance = measurement.guidance(self.rung)
        if guidance is None or self.alpha == 0:
            return performance
        return performance + self.alpha * guidance

    def describe(self) -> dict[str, Any]:
        """Return the settings."""
        described: dict[str, Any] = {"preset": "paper", "alpha": float(self.alpha)}
        return described if self.rung is None else {**described, "rung": self.rung}


@dataclass(frozen=True)
class WeightedReward:
    """A weighted sum of numbers of the measurement.

    Parameters
    ----------
    terms : mapping of str to float
        Weight of each number, by the names that `Measurement.value` knows: "performance", "V4@50"
        (the best layer at the rung of step 50), "committed IT", "log_parameters". A similarity
        that is undefined, of a dead layer, counts as 0.

    Examples
    --------
    >>> from brainguided.journal.measurement import Measurement, Rung
    >>> rung = Rung(50, performance=0.5, similarity={"IT": {"layer1": 0.25}})
    >>> WeightedReward({"performance": 1.0, "IT@50": 2.0})(Measurement(("IT",), (rung,)))
    1.0
    """

    terms: Mapping[str, float]

    def __post_init__(self) -> None:
        if not self.terms:
            raise ValueError("terms is empty; expected a weight for each, e.g. {performance = 1}.")
        for name, weight in self.terms.items():
            _check_number(f"the weight of {name!r}", weight)

    def __call__(self, measurement: Measurement) -> float:
        """Return the sum."""
        total = 0.0
        for name, weight in self.terms.items():
            total += weight * read_value(measurement, name)
        return total

    def describe(self) -> dict[str, Any]:
        """Return the settings."""
        terms = {name: float(weight) for name, weight in self.terms.items()}
        return {"preset": "weighted", "terms": terms}


class NoNumberError(TypeError):
    """A function returned something else than a number."""


@dataclass(frozen=True)
class FunctionReward:
    """A function of one's own, from a file.

    Parameters
    ----------
    file : str
        Name of the file, for messages.
    name : str
        Name of the function: it is given a `Measurement` and returns a number.
    source : str
        Text of the file. It is run where the reward is computed.
    """

    file: str
    name: str
    source: str = field(repr=False)

    def __post_init__(self) -> None:
        self._load()

    def _load(self) -> Any:
        found = run_source(self.file, self.source).get(self.name)
        if not callable(found):
            raise ValueError(f"{self.file} has no function {self.name!r}; define it there.")
        return found

    def __call__(self, measurement: Measurement) -> float:
        """Return what the function returns."""
        value = self._load()(measurement)
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            raise NoNumberError(
                f"{self.name} of {self.file} returned {type(value).__name__}; expected a number."
            )
        return float(value)

    def describe(self) -> dict[str, Any]:
        """Return the file, the function and the SHA-256 of the file."""
        return {"function": f"{self.file}:{self.name}", "sha256": digest_source(self.source)}


def parse_reward(text: str) -> Reward:
    """Read a reward that is written as a sum.

    Parameters
    ----------
    text : str
        "P+0.5*TG", "P + 0.3*committed IT@50 - 0.05*log_parameters": numbers of the measurement
        with their weights, P being "performance"; or "paper" or "robust".

    Returns
    -------
    Reward
        A `WeightedReward`, or that of the name.

    Raises
    ------
    ValueError
        It cannot be read.
    """
    if text.strip() in _PRESETS:
        return _PRESETS[text.strip()]()
    terms: dict[str, float] = {}
    parts = re.sub(rf"\+?\s*-\s*(?={_WEIGHT})", "+-", text.strip()).removeprefix("+").split("+")
    for part in parts:
        match = _TERM.fullmatch(part.strip())
        name = _NAMES.get(match["name"], match["name"]) if match else ""
        if match is None or name in terms:
            raise ValueError(
                f"The reward {text!r} cannot be read; expected a sum of different numbers, e.g. P, "
                "TG, P+TG, P+0.5*TG@50 or P+0.3*V4+0.3*IT."
            )
        terms[name] = float((match["weight"] or "1").rstrip("* ").replace(" ", ""))
    return WeightedReward(terms)


_PRESETS: dict[str, Callable[[], Reward]] = {"paper": PaperReward, "robust": RobustReward}


def settle_reward(reward: Reward, results: Iterable[Attempt]) -> Reward:
    """Return a reward that can be computed: one that standardises, by the first candidates.

    Parameters
    ----------
    reward : Reward
    results : iterable of Attempt
        Of a search, by candidate; not looked at where nothing is standardised.

    Returns
    -------
    Reward

    Raises
    ------
    ValueError
        Too little was measured.
    """
    if not isinstance(reward, RobustReward) or not reward.phase:
        return reward
    first = [
        result.measurement
        for result in results
        if result.candidate < reward.phase
        and result.outcome == "done"
        and result.duplicate_of is None
    ]
    return reward.freeze(first)


def reward_anew(results: Sequence[Attempt], reward: Reward) -> list[Attempt]:
    """Return the results of a search with what another reward gives for the same measurements.

    Parameters
    ----------
    results : sequence of Attempt
        By candidate.
    reward : Reward

    Returns
    -------
    list of Attempt
        Failed candidates, and those whose training was stopped early, have the lowest reward so
        far, None before there is one.

    Raises
    ------
    ValueError
        A candidate was not measured as the reward asks for, or earns no finite number.
    """
    reward, lowest = settle_reward(reward, results), None
    found = []
    for result in results:
        value = lowest
        if result.outcome == "done" and result.reason != STOPPED:
            value = reward_candidate(reward, result.candidate, result.measurement)
            lowest = value if lowest is None else min(lowest, value)
        found.append(replace(result, reward=value))
    return found


def reward_candidate(reward: Reward, candidate: int, measurement: Measurement) -> float:
    """Return what a measurement earns; what fails names the candidate.

    Raises
    ------
    ValueError
        The candidate was not measured as the reward asks for, or earns no finite number.
    """
    try:
        value = reward(measurement)
    except Exception as error:  # of whatever kind, in a function of one's own
        said = str(error) if isinstance(error, ValueError) else repr(error)
        raise ValueError(f"Candidate {candidate}: {said}") from error
    if not np.isfinite(value):
        raise ValueError(
            f"Candidate {candidate}: the reward is {value}; expected a finite number of every "
            "candidate that succeeded. Correct the reward."
        )
    return value


def check_keep(keep: float | None, rungs: Sequence[int], reward: Reward) -> None:
    """Refuse to stop candidates at rungs where there is nothing to stop them by.

    At each rung a candidate goes on if its reward, as if training ended there, is above the
    ``1 - keep`` quantile of the last 100 candidates; the first 24 and one in ten always do.

    Parameters
    ----------
    keep : float or None
        None stops nobody.
    rungs : sequence of int
        At which candidates are measured.
    reward : Reward

    Raises
    ------
    ValueError
        Every problem is listed.
    """
    if keep is None:
        return
    problems = []
    if isinstance(keep, bool) or not isinstance(keep, int | float) or not 0 < keep < 1:
        problems.append(f"keep is {keep!r}; expected a share between 0 and 1, e.g. 0.33")
    if len(rungs) < 2:
        problems.append(f"rungs are {list(rungs)}; expected at least one before the last step")
    if isinstance(reward, RobustReward):
        problems.append("the robust reward is not known at a rung; choose another, or no keep")
    later = [name for name in getattr(reward, "terms", {}) if "@" in name]
    if later or getattr(reward, "rung", None) is not None:
        problems.append(
            "the reward names rungs of its own, so there is none at the others; leave them out: it "
            "is then that of the rung at hand"
        )
    raise_problems("Candidates cannot be stopped early", problems, ValueError)


def _check_number(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise ValueError(f"{name} is {value!r}; expected a finite number, e.g. 1.0.")
