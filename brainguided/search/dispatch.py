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

from brainguided.engines.attempt import Outcome, plain, run_attempt
from brainguided.journal.attempts import Attempt, Timing
from brainguided.journal.logs import write_log

_log = logging.getLogger(__name__)
_ATTEMPTS = 3  # of a candidate whose worker dies
_LOOK = 0.5  # s between two looks at deadlines
UNKNOWN_SLOTS = 1_000_000  # of an executor that does not say
_SAID_BY = ("workers", "_max_workers", "num_workers")  # ours, the standard library's, mpi4py's
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
        workers for them, where it says how many (``workers``).
    evaluate : callable
    task : Task
    timeout : float, optional
        Seconds that an evaluation may run, since it was seen running, or as the executor says
        (``began(future)``). Then it has failed, and the executor is asked to end it
        (``kill(future)``), where it can. If that returns True, its machine may have been lost:
        then it is made again as other lost attempts.
    workers : int, optional
        Attempts handed over at a time; default: what the executor says.
    logs : Path, optional
        Folder of the logs of attempts that failed or said something.
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
        self._logs = logs
        self._executor = executor
        share = getattr(executor, "share", None)
        self._evaluate = evaluate if share is None else share(evaluate)
        self._task = task if share is None else share(task)
        self._timeout = timeout
        watch_starts = getattr(executor, "watch_starts", None)
        if timeout is not None and watch_starts is not None:
            watch_starts()
        self._workers = workers
        self._waiting: deque[Attempt] = deque()
        self._running: dict[Future[Outcome], Attempt] = {}
        self._since: dict[Future[Outcome], float] = {}  # seen running

    @property
    def slots(self) -> int:
        """How many evaluations run at a time, as far as is known."""
        if self._executor is None:
            return 1
        counts = [getattr(self._executor, name, None) for name in _SAID_BY]
        known = [count for count in counts if isinstance(count, int) and count > 0]
        count = known[0] if known else UNKNOWN_SLOTS
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
        if self._executor is None:
            job = self._waiting.popleft()
            try:
                found = run_attempt(self._evaluate, job.architecture, self._task, job.seed)
            except BrokenExecutor as error:
                return [self._try_again(job, str(error))]
            return [self._finish(job, found)]
        self._hand_over()
        if not self._running:
            time.sleep(_LOOK)
        done, _ = wait(self._running, timeout=_LOOK, return_when=FIRST_COMPLETED)
        ended = [self._conclude(future) for future in done] + self._end_late()
        with suppress(SearchError):  # what has ended comes first; the next call says so again
            self._hand_over()
        return ended

    def _hand_over(self) -> None:
        if self._executor is None:
            return
        while self._waiting and len(self._running) < self.slots:
            job = self._waiting[0]
            try:
                future = self._submit(self._executor, job)
            except BrokenExecutor as error:
                raise SearchError(
                    "The executor is broken and takes no more work. Start the same search again "
                    "to go on; local_pool survives the death of a worker."
                ) from error
            self._waiting.popleft()
            self._running[future] = job

    def _submit(self, executor: Executor, job: Attempt) -> Future[Outcome]:
        """Hand one attempt over; some executors take no functions, but attempts as they are."""
        whole = getattr(executor, "submit_attempt", None)
        if whole is not None:
            future: Future[Outcome] = whole(job, self._task)
            return future
        return executor.submit(
            run_attempt, self._evaluate, job.architecture, self._task, job.seed, True
        )

    def _conclude(self, future: Future[Outcome]) -> Ended:
        job = self._running.pop(future)
        self._since.pop(future, None)
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
        if job.attempt >= _ATTEMPTS:
            return self._note(replace(job, outcome="failed", reason="lost"), why)
        self._waiting.appendleft(replace(job, attempt=job.attempt + 1))
        return self._note(replace(job, outcome="lost", reason="lost"), why)

    def _finish(self, job: Attempt, outcome: Outcome) -> Ended:
        """Return the attempt with its results as plain finite numbers."""
        values = plain(outcome.values)
        if values["outcome"] == "done" and values["reward"] is None:
            values |= {"outcome": "failed", "reason": "nan"}
        if values["outcome"] == "failed":
            values["reward"] = None
        return self._note(replace(job, **values), outcome.log, outcome.timing)

    def _note(self, attempt: Attempt, text: str, timing: Timing | None = None) -> Ended:
        """Write the log of an attempt that has ended."""
        if self._logs is not None:
            try:
                write_log(self._logs, attempt, timing, text)
            except OSError as error:  # the journal matters more, and says what is wrong
                _log.warning("The log of candidate %d is lost: %s", attempt.candidate, error)
        return attempt, timing

    def _end_late(self) -> list[Ended]:
        """Give up evaluations that have run too long."""
        if self._timeout is None:
            return []
        ended: list[Ended] = []
        now = time.monotonic()
        for future, job in list(self._running.items()):
            began = None if future.done() else self._find_beginning(future, now)
            if began is None or now - began <= self._timeout:
                continue
            del self._running[future]
            self._since.pop(future, None)
            kill = getattr(self._executor, "kill", Future.cancel)
            gone = kill(future) is True and kill is not Future.cancel
            text = f"ended after {self._timeout:g} s"
            if gone:
                ended.append(self._try_again(job, f"{text}; its machine may be lost"))
            else:
                ended.append(self._note(replace(job, outcome="failed", reason="timeout"), text))
        return ended

    def _find_beginning(self, future: Future[Outcome], now: float) -> float | None:
        """Return when an evaluation began, on the clock of `time.monotonic`; None if it has not."""
        began = getattr(self._executor, "began", None)
        if began is not None:
            found: float | None = began(future)
            return found
        # Executors that cannot kill often say of nothing that it runs
        if future.running() or not hasattr(self._executor, "kill"):
            return self._since.setdefault(future, now)
        return None
