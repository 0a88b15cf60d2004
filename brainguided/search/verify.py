"""Candidates of a search trained again, and every number compared with the record."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from brainguided.architectures import Architecture
from brainguided.candidates.evaluation import Evaluation, Task, evaluate
from brainguided.guidance.rewards import Reward, RobustReward
from brainguided.journal.attempts import STOPPED, Attempt
from brainguided.journal.differing_settings import refuse_other_task
from brainguided.journal.journal import Journal
from brainguided.journal.measurement import Measurement, Rung

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Difference:
    """A number that came out otherwise when a candidate was trained again.

    Attributes
    ----------
    name : str
        E.g. "performance@50", "V4@layer2@50" or "loss of step 7".
    recorded, again : float or None
        None for one that is undefined or missing.
    """

    name: str
    recorded: float | None
    again: float | None


@dataclass(frozen=True)
class Verified:
    """A candidate that was trained again.

    Attributes
    ----------
    candidate : int
    compared : int
        Numbers that were compared.
    differences : tuple of Difference
        Those that differ by more than the tolerance.
    """

    candidate: int
    compared: int
    differences: tuple[Difference, ...]


def verify_search(
    out: str | os.PathLike[str],
    task: Task,
    *,
    sample: int = 5,
    tolerance: float = 1e-5,
    seed: int = 0,
) -> list[Verified]:
    """Train some candidates of a run again and compare every number with the record.

    Damage of the record is found when it is opened. This finds what a record cannot say of itself:
    whether its numbers come out again.

    Parameters
    ----------
    out : path
        A run folder; only read.
    task : Task
        The task of that run.
    sample : int, optional
        How many candidates that succeeded are drawn at random.
    tolerance : float, optional
        Largest difference, relative to the recorded number where that exceeds 1.
    seed : int, optional
        Of the draw.

    Returns
    -------
    list of Verified
        One for each, by number. A reward that standardises does so by the values in the record.
        Rungs that a candidate did not reach are not compared, nor what earlier formats did not
        record (the loss on the validation images), nor a reward that was predicted because
        training was stopped, nor one that was not known yet.

    Raises
    ------
    FileNotFoundError
        The folder has no journal.
    JournalError
        The record is damaged, or of another task.
    ValueError
        `sample` is less than 1, or no candidate succeeded.
    """
    if type(sample) is not int or sample < 1:
        raise ValueError(f"sample is {sample!r}; expected a whole number, at least 1.")
    with Journal.read(out) as journal:
        config, results, is_earlier = journal.config or {}, journal.results(), journal.is_earlier
        frozen = journal.payloads("frozen")
    # Earlier formats hold no committed similarity
    refuse_other_task(config, task.describe(), out, measured=not is_earlier)
    done = [r for r in results if r.outcome == "done" and r.duplicate_of is None]
    if not done:
        raise ValueError(f"No candidate of {out} succeeded, so there is nothing to verify.")
    drawn = np.random.default_rng([seed, 5]).permutation(len(done))[:sample]
    reward = task.reward
    if isinstance(reward, RobustReward):
        for payload in frozen:
            reward = reward.thaw(payload["terms"])
    verified = []
    task = task.without_weights()  # those that the search kept stay as they are
    for number, k in enumerate(sorted(drawn.tolist()), 1):
        result = done[k]
        _log.info("training candidate %d again, %d of %d", result.candidate, number, len(drawn))
        again = evaluate(Architecture.from_json(result.architecture), task, seed=result.seed)
        recorded = _list_recorded(result, reward, is_earlier)
        found = _list_again(again, reward)
        differences = [
            Difference(name, value, found.get(name))
            for name, value in recorded.items()
            if not _agree(value, found.get(name), tolerance)
        ]
        verified.append(Verified(result.candidate, len(recorded), tuple(differences)))
    return verified


def _list_recorded(result: Attempt, reward: Reward, is_earlier: bool) -> dict[str, float | None]:
    """Return every recorded number that depends on this candidate alone."""
    recorded = dict(list_numbers(result.measurement))
    if is_earlier:
        for rung in result.measurement.rungs:
            del recorded[f"cross_entropy@{rung.step}"]
            if rung.guidance is not None:
                recorded[f"TG@{rung.step}"] = rung.guidance
    if result.n_parameters is not None:
        recorded["n_parameters"] = float(result.n_parameters)
    if result.reason != STOPPED and not getattr(reward, "phase", 0):
        recorded["reward"] = result.reward
    return recorded


def _list_again(again: Evaluation, reward: Reward) -> dict[str, float | None]:
    """Return every number of a candidate that was trained again."""
    measurement = _store(again.measurement)
    earned = again.reward
    if isinstance(reward, RobustReward) and not reward.phase and again.outcome == "done":
        earned = reward(again.measurement)
    return {
        **dict(list_numbers(measurement)),
        **{f"TG@{step}": measurement.guidance(step) for step in measurement.steps},
        "n_parameters": float(again.n_parameters),
        "reward": earned,
    }


def _store(measurement: Measurement) -> Measurement:
    """Return a measurement as it comes out of a record, rounded where that is."""
    return Measurement.from_dict(measurement.to_dict())


def _agree(first: float | None, second: float | None, tolerance: float) -> bool:
    if first is None or second is None:
        return first is second
    return abs(first - second) <= tolerance * max(1.0, abs(first))


def list_numbers(measurement: Measurement) -> Iterator[tuple[str, float | None]]:
    """Yield every number of a measurement with its name.

    Parameters
    ----------
    measurement : Measurement

    Yields
    ------
    tuple of (str, float or None)
        E.g. "performance@50", "V4@layer2@50" or "loss of step 7"; None for what is undefined.
    """
    yield from measurement.statistics.items()
    for step, loss in enumerate(measurement.losses, 1):
        yield f"loss of step {step}", loss
    for rung in measurement.rungs:
        yield from _list_rung(rung, f"@{rung.step}")
    for one in measurement.repeats:
        for rung in one.rungs:
            yield from _list_rung(rung, f"@{rung.step} with seed {one.seed}")


def _list_rung(rung: Rung, at: str) -> Iterator[tuple[str, float | None]]:
    yield f"performance{at}", rung.performance
    yield f"cross_entropy{at}", rung.cross_entropy
    yield f"examples{at}", float(rung.examples)
    for target, layers in rung.similarity.items():
        for layer, value in layers.items():
            yield f"{target}@{layer}{at}", value
    for target, value in rung.committed.items():
        yield f"committed {target}{at}", value
    for area, kinds in rung.shuffles.items():
        for kind, drawn in kinds.items():
            for number, value in enumerate(drawn):
                yield f"{kind} of shuffle {number} of {area}{at}", value
