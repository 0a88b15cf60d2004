"""Candidates evaluated again with other seeds: the best before one is named, some to compare."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

import numpy as np

from brainguided.guidance.rewards import PaperReward
from brainguided.journal.attempts import AGAIN, Attempt
from brainguided.journal.confirmed import SECOND_LOOK, Confirming
from brainguided.journal.journal import Journal
from brainguided.search._state import SearchState
from brainguided.search.dispatch import UNKNOWN_SLOTS, Dispatcher
from brainguided.search.orders import Schedule

CONFIRM = 3
"""Candidates with the highest rewards that are evaluated again unless a schedule says otherwise."""
REPEAT = 8
"""Candidates that are evaluated once more to compare seeds unless a schedule says otherwise."""
SEEDS = 3
"""Fewest new seeds with which each of the best is evaluated again."""
_log = logging.getLogger(__name__)


def evaluate_again(
    search: SearchState, schedule: Schedule, dispatcher: Dispatcher, *, hindered: str = ""
) -> None:
    """Evaluate with other seeds what the end of a search calls for and the journal lacks.

    None of it changes what a candidate earned or a controller learned. A failure is recorded and
    costs that evaluation alone.

    Parameters
    ----------
    search : SearchState
        All candidates told.
    schedule : Schedule
    dispatcher : Dispatcher
        Entered, with nothing to do.
    hindered : str
        Which limit of the search was reached: nothing is evaluated then, but that is noted.
    """
    seeds = int(getattr(search.task, "seeds", 1))
    numbers = find_numbers(schedule, search.task)
    wanted = _list_wanted(search.journal, numbers, seeds)
    made: Counter[tuple[int, int]] = Counter()
    ended: dict[tuple[int, int], str] = {}
    for attempt in search.journal.attempts_again():
        made[attempt.candidate, attempt.again] += 1
        ended[attempt.candidate, attempt.again] = attempt.outcome
    known = ("done",) if schedule.retry_failed else ("done", "failed")
    jobs = [
        _make_job(search.journal.result(candidate), again, made[candidate, again] + 1)
        for candidate, again in wanted
        if ended.get((candidate, again)) not in known
    ]
    noted = Confirming(numbers[0], len(wanted), hindered if jobs else "")
    if wanted or search.journal.confirming() is not None:
        search.journal.note_confirming(noted)
    if not jobs:
        return
    if hindered:
        _log.warning("%s", noted.sentence)
        return
    _log.info("%d evaluations with other seeds, before a winner is named", len(jobs))
    for job in jobs:
        dispatcher.submit(job)
    left = len(jobs)
    while left:
        search.journal.note_progress(
            candidates=search.asked,
            running=dispatcher.n_running,
            waiting=dispatcher.n_waiting,
            workers=dispatcher.slots if dispatcher.slots < UNKNOWN_SLOTS else None,
        )
        for found, timing in dispatcher.wait():
            attempt = search.appraise(found)
            search.journal.record_attempt(attempt, timing)
            left -= attempt.outcome != "lost"
            said = attempt.reason or "done"
            if attempt.reward is not None and attempt.outcome == "done":
                said = f"reward {attempt.reward:.4f}"
            _log.info("candidate %d with another seed: %s, %d left", attempt.candidate, said, left)
    search.journal.note_progress(candidates=search.asked, running=0, waiting=0, workers=None)


def find_numbers(schedule: Schedule, task: Any) -> tuple[int, int]:
    """Return how many candidates are confirmed, and how many evaluated once more to compare.

    Parameters
    ----------
    schedule : Schedule
    task : Task
        Its reward decides where the schedule leaves it open.
    """
    reward = getattr(task, "reward", None)
    plain = reward is None or isinstance(reward, PaperReward)
    given = schedule.again
    confirm = (0 if plain else CONFIRM) if given.confirm is None else given.confirm
    repeat = (0 if plain else REPEAT) if given.repeat is None else given.repeat
    return confirm, repeat


def _list_wanted(journal: Journal, numbers: tuple[int, int], seeds: int) -> list[tuple[int, int]]:
    """Return candidates and which evaluations with other seeds each is to have."""
    confirm, repeat = numbers
    ranked = journal.rank()
    first = sorted(ranked)[: repeat if seeds == 1 else 0]
    wanted = [(candidate, SECOND_LOOK) for candidate in first]
    looks = range(SECOND_LOOK + 1, SECOND_LOOK + 1 + -(-SEEDS // seeds))
    return wanted + [(candidate, look) for candidate in ranked[:confirm] for look in looks]


def _make_job(result: Attempt, again: int, attempt: int) -> Attempt:
    """Return the attempt to make, whose seed follows from the candidate's."""
    # A task with several seeds draws them with one key, see `draw_seeds`
    sequence = np.random.SeedSequence(result.seed, spawn_key=(0, again))
    return Attempt(
        candidate=result.candidate,
        attempt=AGAIN * again + attempt,
        architecture=result.architecture,
        key=result.key,
        seed=int(sequence.generate_state(1)[0]),
        outcome="lost",
    )
