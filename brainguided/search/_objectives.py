"""Objectives that a controller is told beside the reward, read from what was measured."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from brainguided.engines.output import clean
from brainguided.journal.attempts import Attempt
from brainguided.journal.objectives import read_objectives
from neural_data.errors import raise_problems

Told = list[tuple[float, ...] | None] | None


class ObjectiveReader:
    """Reader of the objectives of a controller.

    Measurements arrive as the journal keeps them, some numbers rounded: so it makes no difference
    whether a search was stopped before they were told.

    Parameters
    ----------
    controller : Controller
        One that learns from rewards alone has no objectives.
    """

    def __init__(self, controller: Any) -> None:
        self.names: tuple[str, ...] = tuple(getattr(controller, "objectives", ()))

    def appraise(self, attempt: Attempt) -> Attempt:
        """Return an attempt, as failed where an objective is missing or not finite."""
        if not self.names or attempt.outcome != "done":
            return attempt
        try:
            finite = all(map(math.isfinite, self._read(attempt)))
            reason = "" if finite else "nan"
        except ValueError as error:
            reason = clean(f"error: {type(error).__name__}: {error}")
        return replace(attempt, outcome="failed", reason=reason, reward=None) if reason else attempt

    def collect(self, results: Iterable[Attempt]) -> Told:
        """Return what to tell of results, None for those that failed; None without objectives."""
        if not self.names:
            return None
        return [self._read(one) if one.outcome == "done" else None for one in results]

    def _read(self, attempt: Attempt) -> tuple[float, ...]:
        return tuple(float(one) for one in read_objectives(attempt.measurement, self.names))


def find_objective_problems(controller: Any, task: Any) -> list[str]:
    """Return why a controller cannot be told its objectives in the search of a task.

    Parameters
    ----------
    controller : Controller
    task : Task
    """
    names = ObjectiveReader(controller).names
    if not names:
        return []
    problems = []
    if getattr(getattr(task, "reward", None), "phase", 0):
        problems.append(
            "the robust reward standardises scores by candidates drawn before the controller "
            "begins, whose objectives it would not be told; choose another reward, which names "
            "the winner alone"
        )
    if getattr(task, "keep", None) is not None:
        problems.append(
            "candidates that are stopped early (keep) have no objectives; leave keep out"
        )
    expected = _expect(task)
    for name in names if expected is not None else ():
        try:
            read_objectives(expected, (name,))
        except ValueError as error:
            problems.append(f"{name}: {error}")
    return problems


def check_objectives(controller: Any, task: Any) -> None:
    """Refuse a search in which objectives will not be measured.

    Raises
    ------
    ValueError
        Every problem is listed.
    """
    problems = find_objective_problems(controller, task)
    raise_problems("The controller cannot be told its objectives", problems, ValueError)


def _expect(task: Any) -> Any:
    """Return made-up numbers of what a task measures; None of one that is made up itself."""
    if not hasattr(task, "training"):
        return None
    from brainguided.candidates.expected import expect_measurement  # torch

    return expect_measurement(task)
