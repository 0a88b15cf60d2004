"""What finalists are trained by, and their results, each in a file of its own."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brainguided.candidates.evaluation import Task
from brainguided.candidates.kept_weights import KeptWeights
from brainguided.candidates.recipe import NOTHING, LongTraining
from brainguided.candidates.retraining import Retraining
from brainguided.journal.attempts import Attempt
from brainguided.journal.journal import JournalError
from brainguided.search.continued import Starts

_TRIES = 3  # of a finalist that failed for a reason that may pass
_PASSING = (
    "MemoryError",
    "out of memory",
    "allocate memory",
    "The device is",
    "BrokenExecutor",
)


@dataclass(frozen=True)
class Finalist:
    """Result of one finalist.

    Attributes
    ----------
    candidate : int
        Its number in the search.
    architecture : str
        JSON.
    seed : int
        Of the weights and the order of the images, that of the search.
    reward : float
        Of the search.
    search_performance : float or None
        P of the search, where it has one.
    performance : float or None
        Validation accuracy after the long training; None if it failed.
    reason : str
        Why it failed.
    n_parameters, examples : int
        Trainable parameters; training images processed in the long training.
    tries : int
        Trainings that were begun.
    continued_from : int or None
        Steps of the search whose weights the training went on from; None for new weights.
    exact : bool or None
        Whether these were exact, with the momentum; False for half precision.
    """

    candidate: int
    architecture: str
    seed: int
    reward: float
    search_performance: float | None
    performance: float | None
    reason: str
    n_parameters: int
    examples: int
    tries: int = 1
    continued_from: int | None = None
    exact: bool | None = None


@dataclass(frozen=True)
class Work:
    """Settings that all trainings of finalists share.

    Attributes
    ----------
    task : Task
    steps : int
        Of a long training, those of the search included where it goes on.
    folder : Path
        Of the finalists.
    executor : Executor or None
    starts : dict of int to KeptWeights or Exception, optional
        For each candidate the weights from which its training goes on, or why it cannot. None
        where all begin with new weights.
    long : LongTraining, optional
        What is added to the settings of the search, and steps of the winner.
    """

    task: Task
    steps: int
    folder: Path
    executor: Executor | None
    starts: Starts | None = None
    long: LongTraining | None = None

    def make_job(self, one: Attempt | Finalist, *, validation: bool = False) -> Retraining:
        """Return the long training of a candidate."""
        start = self._find_start(one.candidate)
        recipe = NOTHING if self.long is None else self.long.recipe
        given = (one.candidate, one.architecture, one.seed, self._count_steps(validation))
        content = None if start is None else start.content
        return Retraining(*given, validation, content, recipe)

    def find_problem(self, one: Attempt | Finalist) -> Exception | None:
        """Return why a training cannot go on; None where it can, or begins anew."""
        start = None if self.starts is None else self.starts[one.candidate]
        if isinstance(start, Exception):
            return start
        had = {"continued_from": None, "exact": None}
        if isinstance(one, Finalist):  # the winner goes on from what it won with
            had = {name: getattr(one, name) for name in had}
            if had != {**dict.fromkeys(had), **self.say_start(one.candidate)}:
                return ValueError(f"they are not those that it went on from as a finalist ({had}).")
        return None

    def say_start(self, candidate: int) -> dict[str, Any]:
        """Return what a result says of the weights that its training went on from."""
        start = self._find_start(candidate)
        return {} if start is None else {"continued_from": start.step, "exact": start.exact}

    def _count_steps(self, validation: bool) -> int:
        return self.long.last_steps if validation and self.long is not None else self.steps

    def count_examples(self, one: Attempt | Finalist, *, validation: bool = False) -> int:
        """Return how many images the long training of a candidate processes."""
        if isinstance(one, Finalist):  # its weights may be gone since
            made = one.continued_from
        else:
            made = self.say_start(one.candidate).get("continued_from")
        return (self._count_steps(validation) - (made or 0)) * self.task.training.batch_size

    def _find_start(self, candidate: int) -> KeptWeights | None:
        start = None if self.starts is None else self.starts[candidate]
        return start if isinstance(start, KeptWeights) else None


def read_trained(
    chosen: list[Attempt], folder: Path, retry_failed: bool
) -> tuple[dict[int, Finalist], Counter[int]]:
    """Return the finalists that need no training, and how often each was tried."""
    known: dict[int, Finalist] = {}
    tries: Counter[int] = Counter()
    tested = (folder / "test.json").exists()
    if tested and retry_failed:
        raise JournalError(
            f"The winner of {folder} was tested already; a finalist that is trained now could make "
            "another one the winner, and it is tested once. Move the folder away to begin anew."
        )
    for result in chosen:
        path = folder / f"finalist_{result.candidate}.json"
        if not path.exists():
            continue
        one = _read(path)
        tries[one.candidate] = one.tries
        passing = any(words in one.reason for words in _PASSING) and one.tries < _TRIES
        if one.performance is not None or tested or not (retry_failed or passing):
            known[one.candidate] = one
    return known, tries


def _read(path: Path) -> Finalist:
    try:
        return Finalist(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise JournalError(
            f"{path} is no result of a finalist ({error}). Remove it to train that one again."
        ) from error
