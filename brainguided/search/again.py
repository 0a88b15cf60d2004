"""Candidates evaluated again with other seeds: the best before one is named, some to compare."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from brainguided.guidance.rewards import PaperReward
from brainguided.journal.attempts import AGAIN, Attempt
from brainguided.journal.confirmed import SECOND_SEED, Confirming, count_evaluations
from brainguided.journal.journal import Journal
from brainguided.search._limits import Limits
from brainguided.search._state import SearchState
from brainguided.search.dispatch import UNKNOWN_SLOTS, Dispatcher
from brainguided.search.orders import Schedule

CONFIRM = 3
"""Candidates with the highest rewards that are evaluated again unless a schedule says otherwise."""
REPEAT = 8
"""Candidates that are evaluated once more to compare seeds unless a schedule says otherwise."""
_log = logging.getLogger(__name__)


def evaluate_again(search: SearchState, limits: Limits, dispatcher: Dispatcher) -> None:
    """Evaluate with other seeds what the end of a search calls for and the journal lacks.

    None of it changes what a candidate earned or a controller learned. A failure is recorded and
    costs that evaluation alone. Where a limit is reached, before or meanwhile, no more begin, and
    that is noted.

    Parameters
    ----------
    search : SearchState
        All candidates told.
    limits : Limits
        Of the schedule.
    dispatcher : Dispatcher
        Entered, with nothing to do.
    """
    schedule = limits.schedule
    numbers = find_numbers(schedule, search.task)
    wanted = _list_wanted(search.journal, numbers, int(getattr(search.task, "seeds", 1)))
    made = search.journal.attempts_again()
    jobs = _list_jobs(search.journal, wanted, made, retry_failed=schedule.again.failed)
    examples = search.examples + sum(attempt.examples or 0 for attempt in made)
    hindered = limits.say_reached(examples) if jobs else ""
    noted = Confirming(numbers[0], len(wanted), hindered)
    if wanted or search.journal.confirming() is not None:
        search.journal.note_confirming(noted)
    if not jobs:
        return
    if not hindered:
        _log.info("%d evaluations with other seeds, before a winner is named", len(jobs))
    while True:
        if jobs and (hindered := limits.say_reached(examples)):
            jobs.clear()  # what runs ends
            noted = replace(noted, hindered=hindered)
            search.journal.note_confirming(noted)
            _log.warning("%s", noted.sentence)
        while jobs and not dispatcher.n_waiting and dispatcher.n_running < dispatcher.slots:
            dispatcher.submit(jobs.popleft())
        search.journal.note_progress(
            candidates=search.asked,
            running=dispatcher.n_running,
            waiting=dispatcher.n_waiting + len(jobs),
            workers=dispatcher.slots if dispatcher.slots < UNKNOWN_SLOTS else None,
        )
        if not dispatcher.n_running + dispatcher.n_waiting:
            break
        for found, timing in dispatcher.wait():
            attempt = search.appraise(found)
            search.journal.record_attempt(attempt, timing)
            examples += attempt.examples or 0
            said = attempt.reason or "done"
            if attempt.reward is not None and attempt.outcome == "done":
                said = f"reward {attempt.reward:.4f}"
            left = len(jobs) + dispatcher.n_running + dispatcher.n_waiting
            _log.info("candidate %d with another seed: %s, %d left", attempt.candidate, said, left)
    search.journal.note_progress(candidates=search.asked, running=0, waiting=0, workers=None)


def _list_jobs(
    journal: Journal,
    wanted: Sequence[tuple[int, int]],
    made: Sequence[Attempt],
    *,
    retry_failed: bool,
) -> deque[Attempt]:
    """Return the attempts to make of evaluations that are wanted and have not been made."""
    number = Counter((attempt.candidate, attempt.again) for attempt in made)
    ended = {(attempt.candidate, attempt.again): attempt.outcome for attempt in made}
    known = ("done",) if retry_failed else ("done", "failed")
    return deque(
        _make_job(journal.result(candidate), again, number[candidate, again] + 1)
        for candidate, again in wanted
        if ended.get((candidate, again)) not in known
    )


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
    wanted = [(candidate, SECOND_SEED) for candidate in first]
    places = range(SECOND_SEED + 1, SECOND_SEED + 1 + count_evaluations(seeds))
    return wanted + [(candidate, place) for candidate in ranked[:confirm] for place in places]


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
