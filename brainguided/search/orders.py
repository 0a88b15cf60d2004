"""When a search asks for candidates and when it tells their results.

An order is plain logic without time: what it decides depends on counts and on which results have
arrived. The driver of a search and its simulation ask the same one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Protocol

from brainguided.controllers.contract import Controller
from brainguided.journal.attempts import Attempt
from neural_data.errors import raise_problems


class Order(Protocol):
    """Order of a search: how many candidates to ask for next, which results to tell next."""

    def count_to_ask(
        self, *, asked: int, told: int, arrived: int, evaluating: int, slots: int
    ) -> int:
        """Return how many candidates to ask for at once; 0 to wait.

        Parameters
        ----------
        asked, told, arrived : int
            Candidates so far; those arrived have a result and were not told.
        evaluating : int
            Evaluations that run or wait for a worker. Candidates that repeat one of them have
            none of their own.
        slots : int
            Evaluations that can run at a time.
        """

    def choose_to_tell(self, arrived: Collection[int], *, asked: int, told: int) -> list[int]:
        """Return which of the arrived candidates are told next, together.

        `arrived` holds those not yet told, in the order in which they came.
        """

    def describe(self) -> dict[str, Any]:
        """Return the settings as plain data fit for JSON."""


def _check(name: str, value: Any, lowest: int) -> None:
    if type(value) is not int or value < lowest:
        raise ValueError(f"{name} is {value!r}; expected a whole number, at least {lowest}.")


@dataclass(frozen=True)
class Batch:
    """Rounds: each is told once all of its results have arrived.

    The journal is the same whatever the workers; workers wait for the slowest of a round.

    Parameters
    ----------
    round_size : int
        Candidates between two lessons of the controller.
    """

    round_size: int = 8

    def __post_init__(self) -> None:
        _check("round_size", self.round_size, 1)

    def count_to_ask(
        self, *, asked: int, told: int, arrived: int, evaluating: int, slots: int
    ) -> int:
        """Return a round where none is open."""
        return self.round_size if asked == told else 0

    def choose_to_tell(self, arrived: Collection[int], *, asked: int, told: int) -> list[int]:
        """Return the whole round, once it is there."""
        return sorted(arrived) if asked > told and len(arrived) == asked - told else []

    def describe(self) -> dict[str, Any]:
        """Return the settings as plain data."""
        return {"round_size": self.round_size}


@dataclass(frozen=True)
class Completion:
    """As completed: ask whenever a worker is free, tell each result as it arrives.

    No worker waits. The order of results is logged, so a journal replays and resumes exactly; but
    another run of the same search has another order, and so other candidates.
    """

    def count_to_ask(
        self, *, asked: int, told: int, arrived: int, evaluating: int, slots: int
    ) -> int:
        """Return the number of free workers, once every result that is there was told.

        Repetitions of what is being evaluated leave their workers free, but no more are asked for
        than there are workers: a controller that repeats itself has to hear of results first.
        """
        repetitions = asked - told - arrived - evaluating
        return max(0, slots - max(evaluating, repetitions)) if not arrived else 0

    def choose_to_tell(self, arrived: Collection[int], *, asked: int, told: int) -> list[int]:
        """Return the result that came first."""
        return [next(iter(arrived))] if arrived else []

    def describe(self) -> dict[str, Any]:
        """Return the settings as plain data."""
        return {"order": "completion"}


@dataclass(frozen=True)
class Index:
    """By index: ask for candidate k after exactly the results of candidates 0 to k - lag - 1.

    The journal is the same whatever the workers, their speed and restarts, and workers seldom
    wait where the lag is about three times their number.

    Parameters
    ----------
    lag : int
        0 evaluates one candidate at a time.
    """

    lag: int

    def __post_init__(self) -> None:
        _check("lag", self.lag, 0)

    def count_to_ask(
        self, *, asked: int, told: int, arrived: int, evaluating: int, slots: int
    ) -> int:
        """Return 1 while the next candidate may be asked for: always single ones."""
        return int(asked <= told + self.lag)

    def choose_to_tell(self, arrived: Collection[int], *, asked: int, told: int) -> list[int]:
        """Return the next candidate by number, once it is there and no other may be asked for."""
        return [told] if told in arrived else []

    def describe(self) -> dict[str, Any]:
        """Return the settings as plain data."""
        return {"order": "index", "lag": self.lag}


@dataclass(frozen=True)
class Again:
    """Candidates that are evaluated again with other seeds, after the last one.

    None begin once a limit of the schedule, hours or examples, is reached. They are other
    evaluations; the seeds of one evaluation (``Task.seeds``) are `Measurement.repeats`.

    Attributes
    ----------
    confirm : int, optional
        Those with the highest rewards, each with at least three new seeds; the best of them by
        these evaluations alone wins. Default: 3; 0 with the paper's reward, and where evaluations
        bring rewards of their own.
    repeat : int, optional
        The first that succeeded, once more, only to say how far two seeds agree; none where the
        task has several seeds. Default: 8; 0 as above.
    failed : bool
        Whether candidates that failed before are evaluated again first, with their own seeds: for
        when what made them fail was mended.

    Raises
    ------
    ValueError
        A number is negative; every problem is listed.
    """

    confirm: int | None = None
    repeat: int | None = None
    failed: bool = False

    def __post_init__(self) -> None:
        problems = [
            f"{name} is {number!r}; expected a whole number, 0 or more"
            for name, number in (("confirm", self.confirm), ("repeat", self.repeat))
            if number is not None and (type(number) is not int or number < 0)
        ]
        raise_problems("Nothing can be evaluated again", problems, ValueError)


@dataclass(frozen=True)
class Schedule:
    """Settings of how evaluations are scheduled, and of when no more of them begin.

    Attributes
    ----------
    order : Order
        When candidates are asked for and told: `Batch` rounds, the same whatever the workers;
        `Completion` keeps all workers busy and tells each result as it comes; `Index` nearly so,
        with the same result whatever the workers.
    timeout : float, optional
        Seconds that an evaluation may run; one that takes longer has failed. Needs an executor.
    workers : int, optional
        Evaluations that are handed over at a time. The executors of this package and the pools of
        `concurrent.futures` say themselves how many they run; others, as Dask's, do not.
    hours : float, optional
        Time since the start after which no more candidates are asked for, nor evaluated again
        (`Again`) in that call; those that run end.
    examples : int, optional
        Training images, of all candidates told, from which on no more candidates are asked for.
        Evaluations again end where these and their own images together come to so many.
    again : Again
        Candidates that are evaluated again: those that failed, first, and some with other seeds,
        after the last one.
    progress : bool or callable
        Whether a bar says how far the search is, where nobody listens to the log: in notebooks and
        scripts, unless ``logging.basicConfig(level="INFO")`` has each evaluation in a line, as on
        the command line. Or a function that is called with each attempt that ended, the number of
        candidates that have ended and that of all.

    Raises
    ------
    ValueError
        A setting is out of range; every problem is listed.
    """

    order: Order = Batch()
    timeout: float | None = None
    workers: int | None = None
    hours: float | None = None
    examples: int | None = None
    again: Again = Again()
    progress: bool | Callable[[Attempt, int, int], None] = True

    def __post_init__(self) -> None:
        problems = []
        if type(self.progress) is not bool and not callable(self.progress):
            problems.append(f"progress is {self.progress!r}; expected True, False or a function")
        if self.timeout is not None and not self.timeout > 0:
            problems.append(f"timeout is {self.timeout!r}; expected a positive number of seconds")
        if self.hours is not None and not self.hours > 0:
            problems.append(f"hours is {self.hours!r}; expected a positive number")
        for name, number in (("workers", self.workers), ("examples", self.examples)):
            if number is not None and (type(number) is not int or number < 1):
                problems.append(f"{name} is {number!r}; expected a whole number, at least 1")
        raise_problems("Not a schedule", problems, ValueError)


def describe_search(controller: Controller, task: Any, order: Order) -> dict[str, Any]:
    """Return what identifies a search, as JSON gives it back."""
    description = {
        "controller": controller.describe(),
        "space": controller.space.describe(),
        "task": task.describe(),
        "seed": controller.seed,
        **order.describe(),
    }
    found: dict[str, Any] = json.loads(json.dumps(description))
    return found
