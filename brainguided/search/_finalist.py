"""Results of finalists, each in a file of its own."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from brainguided.journal.attempts import Attempt
from brainguided.journal.journal import JournalError

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
