"""What a search asks of an engine: the place where attempts at candidates run."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

from brainguided.engines.attempt import Outcome, run_attempt
from brainguided.journal.attempts import Attempt

_T = TypeVar("_T")
Ending = Literal["ended", "left", "lost"]
_COUNTS = ("workers", "_max_workers", "num_workers")  # common, the standard library's, mpi4py's


@runtime_checkable
class Engine(Protocol):
    """An executor that knows more of its work than `concurrent.futures.Executor` tells.

    Any executor serves a search by way of `ExecutorEngine`, which has a default for all of this.
    An engine of your own either has all five members, or inherits from `ExecutorEngine` and
    overrides what it does better. ``brainguided.testing.EngineTests`` says whether it keeps to
    the contract.

    Attempts whose worker or machine was lost raise `concurrent.futures.BrokenExecutor` and are
    made again; `MemoryError` is a failure that another try would not mend.
    """

    @property
    def workers(self) -> int | None:
        """Attempts that can run at a time, as things are now; None if that is not known."""

    def prepare(self, task: Any, evaluate: Callable[..., Any]) -> tuple[Any, Any]:
        """Take note of what all attempts share, and return what to submit in the place of both.

        Called once, before the first attempt: a large task can be sent once to each worker.
        """

    def submit_attempt(
        self, attempt: Attempt, task: Any, evaluate: Callable[..., Any], *, timed: bool
    ) -> Future[Outcome]:
        """Begin an attempt as soon as there is a place for it.

        Parameters
        ----------
        attempt : Attempt
            The candidate, its seed, the bars at which its training may end, and which attempt
            this is.
        task, evaluate
            As returned by `prepare`.
        timed : bool
            Whether `began` will be asked, because attempts have a deadline.
        """

    def began(self, future: Future[Outcome]) -> float | None:
        """Return when an attempt began to run, on the clock of `time.monotonic`; None before."""

    def kill(self, future: Future[Outcome]) -> Ending:
        """End an attempt that is beyond its deadline; its future is not looked at again.

        Returns
        -------
        {"ended", "left", "lost"}
            "ended": it runs no more, or soon will not. "left": it cannot be ended and may keep its
            worker busy. "lost": its machine answers nothing, so that the delay may not be the
            candidate's fault; it is tried again.
        """

    def where(self, future: Future[Outcome]) -> str:
        """Return in a few words where an attempt is, for a line that says what is waited for.

        For instance "on node 10.0.0.3, which does not answer" or "waiting for a worker".
        """


class ExecutorEngine(Executor):
    """An engine made of any executor, by what `concurrent.futures.Executor` alone can do.

    Parameters
    ----------
    executor : concurrent.futures.Executor
        It says how many workers it has by an attribute ``workers``, ``_max_workers`` (the pools of
        the standard library) or ``num_workers`` (mpi4py), or not at all (Dask).
    """

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self._seen: dict[Future[Any], float] = {}  # that run, since when
        self._reports = False  # whether any future ever said that it runs

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """Submit a function to the executor."""
        return self.executor.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Shut the executor down."""
        self.executor.shutdown(wait, cancel_futures=cancel_futures)

    @property
    def workers(self) -> int | None:
        """What the executor says, if it does."""
        counts = [getattr(self.executor, name, None) for name in _COUNTS]
        return next((n for n in counts if isinstance(n, int) and n > 0), None)

    def prepare(self, task: Any, evaluate: Callable[..., Any]) -> tuple[Any, Any]:
        """Return both as they are: they travel with each attempt."""
        return task, evaluate

    def submit_attempt(
        self, attempt: Attempt, task: Any, evaluate: Callable[..., Any], *, timed: bool = False
    ) -> Future[Outcome]:
        """Submit the evaluation as a function."""
        given = (evaluate, attempt.architecture, task, attempt.seed, True, attempt.bars)
        return self.submit(run_attempt, *given)

    def began(self, future: Future[Any]) -> float | None:
        """Return when an attempt was first asked about while it ran.

        Some executors never say of a future that it runs. No more attempts are handed over than
        there are workers, so until one does say so, all count as begun.
        """
        self._reports = self._reports or future.running()
        if future.done() or (self._reports and not future.running()):
            self._seen.pop(future, None)
            return None
        return self._seen.setdefault(future, time.monotonic())

    def kill(self, future: Future[Any]) -> Ending:
        """Cancel an attempt that has not begun; one that runs cannot be ended."""
        self._seen.pop(future, None)
        return "ended" if future.cancel() else "left"

    def where(self, future: Future[Any]) -> str:
        """Return what the future says."""
        name = type(self.executor).__name__.lstrip("_")
        return f"running in {name}" if future.running() else f"handed over to {name}"


def as_engine(executor: Executor) -> Engine:
    """Return an executor that keeps to the contract as it is, any other as `ExecutorEngine`.

    Raises
    ------
    TypeError
        It takes whole attempts (``submit_attempt``), so it is meant as an engine, but lacks
        another member.
    """
    if isinstance(executor, Engine):
        return executor
    if hasattr(executor, "submit_attempt"):
        members = ("workers", "prepare", "submit_attempt", "began", "kill", "where")
        missing = [name for name in members if not hasattr(executor, name)]
        raise TypeError(
            f"{type(executor).__name__} has 'submit_attempt' but not {', '.join(missing)}, which "
            "an engine has to have (brainguided.engines.contract.Engine). Write them, or inherit "
            "from ExecutorEngine, which has a default for each."
        )
    return ExecutorEngine(executor)
