"""Evaluate candidates here or wherever an executor puts them, each until it ended in some way."""

from __future__ import annotations

import logging
import pickle
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    wait,
)
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from brainguided.engines.attempt import Outcome, run_attempt
from brainguided.engines.contract import Engine, as_engine
from brainguided.engines.output import shorten
from brainguided.journal.attempts import AGAIN, Attempt, Timing
from brainguided.journal.logs import write_log

_log = logging.getLogger(__name__)
_ATTEMPTS = 3  # of a candidate whose worker dies
_LOOK = 0.5  # s between two looks at deadlines
_PATIENCE = 60.0  # s without an end after which is said what is waited for, then again
_NAMED = 3  # attempts that are named then
UNKNOWN_SLOTS = 1_000_000  # of an executor that does not say
Ended = tuple[Attempt, Timing | None]
_NOT_SENT = (pickle.PicklingError, TypeError, AttributeError, ImportError)


class SearchError(RuntimeError):
    """Raised when a search cannot go on."""


class Dispatcher:
    """Attempts that are waiting or running; use it as a context manager.

    Parameters
    ----------
    executor : concurrent.futures.Executor or None
        None evaluates in this process, one by one. Attempts are handed over only as there are
        workers for them, where it says how many. What else is asked of it is in
        `engines.contract`.
    evaluate : callable
    task : Task
    timeout : float, optional
        Seconds that an evaluation may run. Then it has failed and is ended, or, where its machine
        may have been lost, made again as other lost attempts. Needs an executor.
    workers : int, optional
        Attempts handed over at a time; default: what the executor says.
    logs : Path, optional
        Folder of the logs of attempts that failed or said something.

    Raises
    ------
    ValueError
        There is a timeout but no executor.
    """

    def __init__(
        self,
        executor: Executor | None,
        evaluate: Callable[..., Any],
        task: Any,
        *,
        timeout: float | None = None,
        workers: int | None = None,
        logs: Path | None = None,
    ) -> None:
        if executor is None and timeout is not None:
            raise ValueError(
                f"timeout is {timeout:g} s, but evaluations in this process cannot be ended; give "
                "an executor that can, e.g. run_search(..., executor=local_pool(1))."
            )
        self._logs = logs
        self._engine: Engine | None = None
        self._task, self._evaluate = task, evaluate
        if executor is not None:
            self._engine = as_engine(executor)
            self._task, self._evaluate = self._engine.prepare(task, evaluate)
        self._timeout = timeout
        self._workers = workers
        self._waiting: deque[Attempt] = deque()
        self._running: dict[Future[Outcome], Attempt] = {}
        self._quiet = time.monotonic()  # since when nothing ended, or was said

    @property
    def slots(self) -> int:
        """How many evaluations run at a time, as far as is known."""
        if self._engine is None:
            return 1
        count = self._engine.workers or UNKNOWN_SLOTS
        return count if self._workers is None else min(count, self._workers)

    @property
    def n_running(self) -> int:
        """Attempts handed over that have not ended."""
        return len(self._running)

    @property
    def n_waiting(self) -> int:
        """Attempts for which there is no worker yet."""
        return len(self._waiting)

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
        """Return attempts that ended; lost ones are made again, at most twice.

        Returns after a moment, also with nothing, as there may be other workers by then.

        Raises
        ------
        SearchError
            The executor takes no more work.
        """
        if self._engine is None:
            job = self._waiting.popleft()
            try:
                found = run_attempt(
                    self._evaluate, job.architecture, self._task, job.seed, bars=job.bars
                )
            except BrokenExecutor as error:
                return [self._try_again(job, str(error))]
            return [self._finish(job, found)]
        self._hand_over()
        if not self._running:
            time.sleep(_LOOK)
        done, _ = wait(self._running, timeout=_LOOK, return_when=FIRST_COMPLETED)
        ended = [self._conclude(future) for future in done] + self._end_late()
        self._say_wait(bool(ended))
        with suppress(SearchError):  # what has ended comes first; the next call says so again
            self._hand_over()
        return ended

    def _hand_over(self) -> None:
        if self._engine is None:
            return
        while self._waiting and len(self._running) < self.slots:
            try:
                future = self._engine.submit_attempt(
                    self._waiting[0],
                    self._task,
                    self._evaluate,
                    timed=self._timeout is not None,
                )
            except BrokenExecutor as error:
                raise SearchError(
                    "The executor is broken and takes no more work. Start the same search again "
                    "to go on; local_pool survives the death of a worker."
                ) from error
            self._running[future] = self._waiting.popleft()

    def _say_wait(self, something_ended: bool) -> None:
        """Say what is waited for where nothing has ended for long."""
        now = time.monotonic()
        if something_ended:
            self._quiet = now
        if self._engine is None or now - self._quiet < _PATIENCE:
            return
        self._quiet = now
        named = [
            f"candidate {job.candidate} {self._engine.where(future)}"
            for future, job in list(self._running.items())[:_NAMED]
        ]
        more = len(self._running) - len(named)
        if more:
            named.append(f"{more} more")
        if self._waiting:
            named.append(f"{len(self._waiting)} that nobody has taken")
        _log.info(
            "No evaluation has ended for %.0f s. Waiting for %s.", _PATIENCE, ", ".join(named)
        )

    def _conclude(self, future: Future[Outcome]) -> Ended:
        job = self._running.pop(future)
        try:
            return self._finish(job, future.result())
        except MemoryError as error:  # said by the executor: again would end the same
            return self._note(replace(job, outcome="failed", reason="memory"), str(error))
        except _NOT_SENT:  # by mistake of the caller, and so for every candidate
            raise
        except Exception as error:  # of the executor: `evaluate` raises nothing
            return self._try_again(job, f"{type(error).__name__}: {error}")

    def _try_again(self, job: Attempt, why: str) -> Ended:
        """Let an attempt that was lost be made again, unless it was the last."""
        if job.attempt % AGAIN >= _ATTEMPTS:
            return self._note(replace(job, outcome="failed", reason="lost"), why)
        self._waiting.appendleft(replace(job, attempt=job.attempt + 1))
        return self._note(replace(job, outcome="lost", reason="lost"), why)

    def _finish(self, job: Attempt, outcome: Outcome) -> Ended:
        """Return the attempt with its results."""
        if not isinstance(outcome, Outcome):  # of an executor that mixes things up
            return self._try_again(job, f"The executor returned {type(outcome).__name__}")
        return self._note(replace(job, **outcome.to_fields()), outcome.log, outcome.timing)

    def _note(self, attempt: Attempt, text: str, timing: Timing | None = None) -> Ended:
        """Write the log of an attempt that has ended."""
        text = shorten(text)
        if self._logs is not None:
            try:
                write_log(self._logs, attempt, timing, text)
            except OSError as error:  # the journal matters more, and says what is wrong
                _log.warning("The log of candidate %d is lost: %s", attempt.candidate, error)
        return attempt, timing

    def _end_late(self) -> list[Ended]:
        """Give up evaluations that have run too long."""
        if self._timeout is None or self._engine is None:
            return []
        ended: list[Ended] = []
        for future, job in list(self._running.items()):
            began = None if future.done() else self._engine.began(future)
            if began is None or time.monotonic() - began <= self._timeout:
                continue
            del self._running[future]
            ending = self._engine.kill(future)
            if ending == "lost":
                why = f"ended after {self._timeout:g} s; its machine may be lost"
                ended.append(self._try_again(job, why))
                continue
            text = f"ended after {self._timeout:g} s"
            if ending == "left":
                text = f"given up after {self._timeout:g} s; it may still run and keep its worker"
            ended.append(self._note(replace(job, outcome="failed", reason="timeout"), text))
        return ended
