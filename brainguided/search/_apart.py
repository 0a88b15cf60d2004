"""Trainings after a search, on whatever engine its candidates ran."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from typing import Any

from brainguided.candidates.after_search import Weights, train_again
from brainguided.candidates.evaluation import Task
from brainguided.candidates.retraining import Retraining
from brainguided.engines.contract import as_engine

_log = logging.getLogger(__name__)
_TRIES = 3  # of a training whose worker is lost
_PATIENCE = 60.0  # s without an end after which is said what is waited for, then again
_NAMED = 3  # trainings that are named then
_FAILURES = (ArithmeticError, MemoryError, RuntimeError)  # of a training, not of the program
Trained = tuple[float | None, Weights]


def train_apart(
    jobs: Sequence[Retraining], task: Task, executor: Executor | None
) -> Iterator[tuple[Retraining, Trained | Exception]]:
    """Yield what `train_again` makes of each job as it comes, or the error by which it failed.

    A training whose worker was lost is made again, twice at most.

    Raises
    ------
    concurrent.futures.BrokenExecutor
        The executor takes no more work.
    """
    if executor is None:
        for job in jobs:
            yield job, _train_here(job, task)
        return
    engine = as_engine(executor)
    given, _ = engine.prepare(task, train_again)
    tries: Counter[Retraining] = Counter()

    def submit(job: Retraining) -> Future[Any]:
        tries[job] += 1
        return executor.submit(train_again, job, given)

    running = {submit(job): job for job in jobs}
    while running:
        done, _ = wait(running, timeout=_PATIENCE, return_when=FIRST_COMPLETED)
        if not done:
            named = [f"candidate {job.candidate} {engine.where(f)}" for f, job in running.items()]
            more = [f"{len(named) - _NAMED} more"] if len(named) > _NAMED else []
            said = ", ".join(named[:_NAMED] + more)
            _log.info("No training has ended for %.0f s. Waiting for %s.", _PATIENCE, said)
        for future in done:
            job = running.pop(future)
            found = _read(future)
            if isinstance(found, BrokenExecutor) and tries[job] < _TRIES:
                _log.warning("the training of candidate %d was lost: %s", job.candidate, found)
                running[submit(job)] = job
            else:
                yield job, found


def _train_here(job: Retraining, task: Task) -> Trained | Exception:
    try:
        return train_again(job, task)
    except _FAILURES as error:
        return error


def _read(future: Future[Any]) -> Trained | Exception:
    try:
        found: Trained = future.result()
        return found
    except _FAILURES as error:
        return error
