"""Evaluate candidates here or wherever an executor puts them, each until it ended in some way."""

from __future__ import annotations

import math
import os
import platform
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    wait,
)
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from brainguided.architectures import Architecture
from brainguided.records import Attempt, Timing

_ATTEMPTS = 3  # of a candidate whose worker dies
_LOOK = 0.5  # s between two looks at deadlines
_EARNED = (  # what is recorded of an Evaluation
    "outcome",
    "reason",
    "performance",
    "guidance",
    "reward",
    "similarity",
    "history",
    "n_parameters",
    "examples",
)
Ended = tuple[Attempt, Timing | None]


class SearchError(RuntimeError):
    """A search that cannot go on."""


@dataclass(frozen=True)
class _Outcome:
    """What comes back from a worker: plain data that every process can unpickle."""

    values: dict[str, Any]
    timing: Timing


class Dispatcher:
    """Hold the attempts that wait or run; use it as a context manager.

    Parameters
    ----------
    executor : concurrent.futures.Executor or None
        None evaluates in this process, one by one. Attempts are handed over only as there are
        workers for them, where it says how many (``workers``).
    evaluate : callable
    task : Task
    timeout : float, optional
        Seconds that an evaluation may run. Then it has failed, and the executor is asked to end
        it (``kill(future)``), where it can.
    """

    def __init__(
        self,
        executor: Executor | None,
        evaluate: Callable[..., Any],
        task: Any,
        *,
        timeout: float | None = None,
    ) -> None:
        self._executor = executor
        self._evaluate = evaluate
        self._task = task
        self._timeout = timeout
        self._waiting: deque[Attempt] = deque()
        self._running: dict[Future[_Outcome], Attempt] = {}
        self._since: dict[Future[_Outcome], float] = {}  # seen running

    @property
    def slots(self) -> int:
        """How many evaluations run at a time, as far as is known."""
        if self._executor is None:
            return 1
        count = getattr(self._executor, "workers", getattr(self._executor, "_max_workers", None))
        return count if isinstance(count, int) and count > 0 else 1_000_000

    def __enter__(self) -> Dispatcher:
        return self

    def __exit__(self, *exception: object) -> None:
        for future in self._running:
            future.cancel()

    def submit(self, job: Attempt) -> None:
        """Add an attempt, to run when its turn comes."""
        self._waiting.append(job)
        self._hand_over()

    def wait(self) -> list[Ended]:
        """Return attempts that ended, at least one; lost ones are made again, at most twice.

        Raises
        ------
        SearchError
            The executor takes no more work.
        """
        if self._executor is None:
            job = self._waiting.popleft()
            return [_finish(job, _run_one(self._evaluate, job.architecture, self._task, job.seed))]
        ended: list[Ended] = []
        while not ended:
            self._hand_over()
            look = None if self._timeout is None else _LOOK
            done, _ = wait(self._running, timeout=look, return_when=FIRST_COMPLETED)
            for future in done:
                ended.append(self._conclude(future))
            ended += self._end_late()
        return ended

    def _hand_over(self) -> None:
        if self._executor is None:
            return
        while self._waiting and len(self._running) < self.slots:
            job = self._waiting.popleft()
            try:
                future = self._executor.submit(
                    _run_one, self._evaluate, job.architecture, self._task, job.seed
                )
            except BrokenExecutor as error:
                raise SearchError(
                    "The executor is broken and takes no more work. Start the same search again "
                    "to go on; local_pool survives the death of a worker."
                ) from error
            self._running[future] = job

    def _conclude(self, future: Future[_Outcome]) -> Ended:
        job = self._running.pop(future)
        self._since.pop(future, None)
        try:
            return _finish(job, future.result())
        except MemoryError:  # said by the executor: again would end the same
            return replace(job, outcome="failed", reason="memory"), None
        except (BrokenExecutor, CancelledError):
            if job.attempt >= _ATTEMPTS:
                return replace(job, outcome="failed", reason="lost"), None
            self._waiting.appendleft(replace(job, attempt=job.attempt + 1))
            return replace(job, outcome="lost", reason="lost"), None

    def _end_late(self) -> list[Ended]:
        """Give up evaluations that have run too long."""
        if self._timeout is None:
            return []
        ended: list[Ended] = []
        now = time.monotonic()
        for future, job in list(self._running.items()):
            if future.done() or not future.running():
                continue
            if now - self._since.setdefault(future, now) <= self._timeout:
                continue
            del self._running[future], self._since[future]
            kill = getattr(self._executor, "kill", None)
            if kill is not None:
                kill(future)
            ended.append((replace(job, outcome="failed", reason="timeout"), None))
        return ended


def _run_one(evaluate: Callable[..., Any], architecture: str, task: Any, seed: int) -> _Outcome:
    """Evaluate one candidate, in whatever process; an exception becomes a failed outcome."""
    started, clock = time.time(), time.perf_counter()
    try:
        evaluation = evaluate(Architecture.from_json(architecture), task, seed=seed)
        values = {name: getattr(evaluation, name) for name in _EARNED}
    except Exception as error:
        text = " ".join(str(error).split())
        values = {"outcome": "failed", "reason": f"error: {type(error).__name__}: {text}"}
    seconds = time.perf_counter() - clock
    return _Outcome(values, Timing(seconds, started, time.time(), platform.node(), os.getpid()))


def _finish(job: Attempt, outcome: _Outcome) -> Ended:
    """Return the attempt with its results as plain finite numbers."""
    values = _plain(outcome.values)
    if values["outcome"] == "done" and values["reward"] is None:
        values |= {"outcome": "failed", "reason": "nan"}
    if values["outcome"] == "failed":
        values["reward"] = None
    return replace(job, **values), outcome.timing


def _plain(value: Any) -> Any:
    """Return the same as JSON would give it back, with None for numbers that are not finite."""
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
