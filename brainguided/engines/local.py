"""A pool of supervised processes behind the interface of `concurrent.futures.Executor`."""

from __future__ import annotations

import atexit
import queue
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import suppress
from typing import Any, TypeVar

from brainguided.engines._pool_worker import (
    PoolWorker,
    Shared,
    UnguardedScriptError as UnguardedScriptError,
    WorkerDied,
    end_unguarded_import as end_unguarded_import,
    pickle_for_workers,
)
from brainguided.engines.attempt import Outcome, run_attempt
from brainguided.engines.contract import Ending
from brainguided.journal.attempts import Attempt

_T = TypeVar("_T")
_Work = tuple["Future[Any]", Callable[..., Any], tuple[Any, ...], dict[str, Any]]
_LEAST = 64 * 2**20  # bytes


def local_pool(workers: int, *, memory: int | None = None) -> LocalPool:
    """Return an executor that runs tasks in processes of this machine, one thread each.

    Unlike `concurrent.futures.ProcessPoolExecutor`, a worker that is killed costs only the task
    it was at: that future raises `concurrent.futures.BrokenExecutor`, a new worker takes the
    place, everything else goes on. If this process dies, whatever way, its workers follow at once,
    also those that have only begun to start.

    Functions and arguments are pickled when a worker is free, not when they are submitted. As
    with every spawned process, a script has to start its work under
    ``if __name__ == "__main__":``; one that does not ends with a line that says so (`SystemExit`).

    Parameters
    ----------
    workers : int
        Number of processes.
    memory : int, optional
        Bytes of data that each process may hold (Linux). What asks for more gets `MemoryError`,
        or torch's RuntimeError, and does not drive other processes out.

    Returns
    -------
    concurrent.futures.Executor
        Best used in a ``with`` block: on an error inside it, or Ctrl-C, tasks that wait are
        cancelled and running workers are killed. ``kill(future)`` ends a task that runs too long:
        its worker is killed and replaced. ``share(value)`` returns what to submit in the place of
        a large argument that many tasks have: each worker is sent it once.

    Raises
    ------
    ValueError
        `workers` is less than 1, `memory` is less than 64 MiB, or this system cannot limit it.
    """
    end_unguarded_import()
    if type(workers) is not int or workers < 1:
        raise ValueError(f"workers is {workers!r}; expected at least 1, e.g. the number of cores.")
    if memory is not None and (type(memory) is not int or memory < _LEAST):
        raise ValueError(f"memory is {memory!r}; expected bytes, at least {_LEAST}.")
    if memory is not None and not sys.platform.startswith("linux"):
        raise ValueError("Only Linux can limit the memory of processes; leave memory out.")
    return LocalPool(workers, memory)


class LocalPool(Executor):
    """Pool of worker processes, each fed from one queue by a thread of its own."""

    def __init__(self, workers: int, memory: int | None) -> None:
        self.workers = workers
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._shared: dict[int, bytes] = {}
        self._slots = [_Slot(self._queue, self._shared, memory) for _ in range(workers)]
        atexit.register(self._abandon)  # before the interpreter would wait for our processes

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """Queue a call and return its future, as every executor does."""
        with self._closing:
            if self._closed:
                raise RuntimeError("The pool is shut down and takes no more work; make a new one.")
            future: Future[_T] = Future()
            self._queue.put((future, fn, args, kwargs))
        return future

    def share(self, value: Any) -> Any:
        """Return a small stand-in for an argument of many tasks, pickled now."""
        token = len(self._shared)
        self._shared[token] = pickle_for_workers(value)
        return Shared(token)

    def prepare(self, task: Any, evaluate: Callable[..., Any]) -> tuple[Any, Any]:
        """Send both once to each worker; see `engines.contract` for this and what follows."""
        return self.share(task), self.share(evaluate)

    def submit_attempt(
        self, attempt: Attempt, task: Any, evaluate: Callable[..., Any], *, timed: bool = False
    ) -> Future[Outcome]:
        """Queue an attempt."""
        given = (evaluate, attempt.architecture, task, attempt.seed, True, attempt.bars)
        return self.submit(run_attempt, *given)

    def began(self, future: Future[Any]) -> float | None:
        """Return when a worker began with a task; what starting the worker takes is not in it."""
        slot = self._find_slot(future)
        return None if slot is None else slot.since

    def kill(self, future: Future[Any]) -> Ending:
        """Kill the worker that is at a task, or cancel a task that has not begun."""
        slot = None if future.cancel() else self._find_slot(future)
        if slot is not None:
            slot.end(future)
        return "ended"

    def where(self, future: Future[Any]) -> str:
        """Return which process is at a task."""
        slot = self._find_slot(future)
        return "waiting for a worker process" if slot is None else f"in process {slot.pid}"

    def _find_slot(self, future: Future[Any]) -> _Slot | None:
        return next((slot for slot in self._slots if slot.future is future), None)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the workers once their tasks are done; take no more."""
        with self._closing:
            if cancel_futures:
                self._cancel_waiting()
            if not self._closed:
                self._closed = True
                for _ in self._slots:
                    self._queue.put(None)
        if wait:
            for slot in self._slots:
                slot.thread.join()
            atexit.unregister(self._abandon)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._abandon()
        self.shutdown(wait=True)

    def _abandon(self) -> None:
        """Cancel what waits and end what runs."""
        self.shutdown(wait=False, cancel_futures=True)
        for slot in self._slots:
            slot.stop()
        self.shutdown(wait=True)

    def _cancel_waiting(self) -> None:
        ends = 0
        with suppress(queue.Empty):
            while True:
                work = self._queue.get_nowait()
                if work is None:
                    ends += 1
                else:
                    work[0].cancel()
        for _ in range(ends):
            self._queue.put(None)


class _Slot:
    """Slot of the pool: its thread takes tasks and replaces a worker that died."""

    def __init__(
        self, tasks: queue.SimpleQueue[_Work | None], shared: dict[int, bytes], memory: int | None
    ) -> None:
        self._tasks = tasks
        self._shared = shared
        self._memory = memory
        self._worker: PoolWorker | None = None  # while it can be killed
        self._stopped = False
        self._turn = threading.Lock()  # held while a task is ended, or gives way to the next
        self._ended: Future[Any] | None = None  # whose worker was killed
        self.future: Future[Any] | None = None
        self.since: float | None = None  # by time.monotonic, when it began
        self.thread = threading.Thread(target=self._serve, name="brainguided-slot", daemon=True)
        self.thread.start()

    @property
    def pid(self) -> int | None:
        """Return the number of the process while it can be killed."""
        worker = self._worker
        return None if worker is None else worker.pid

    def stop(self) -> None:
        """Kill the worker if it starts or is at a task, and let it begin no other."""
        self._stopped = True
        self.kill()

    def end(self, future: Future[Any]) -> None:
        """Kill the worker if it is at this task, and not at the next one by now."""
        with self._turn:
            if self.future is future:
                self._ended = future
                self.kill()

    def kill(self) -> None:
        """Kill the worker if it starts or is at a task."""
        worker = self._worker
        if worker is not None:
            worker.kill()

    def _serve(self) -> None:
        worker: PoolWorker | None = None
        while (work := self._tasks.get()) is not None:
            future, function, arguments, keywords = work
            running = False
            try:
                worker = PoolWorker(self._memory) if worker is None else worker
                self._worker = worker
                if self._stopped:  # while the process was made, when it could not be killed
                    worker.kill()
                worker.prepare(function, arguments, self._shared)
                # The worker may be stopped while it starts: first it can be killed, then it begins
                self.future = future
                if self._stopped:
                    future.cancel()
                running = future.set_running_or_notify_cancel()
                if not running:
                    continue
                self.since = time.monotonic()
                result = worker.run(function, arguments, keywords)
            except WorkerDied as error:
                assert worker is not None
                worker.close()
                worker = None
                lost = BrokenExecutor(str(error))
                lost.__cause__ = error
                _fail(future, lost, running)
            except BaseException as error:
                _fail(future, error, running)
            else:
                future.set_result(result)
                del result
            finally:
                with self._turn:
                    self._worker = self.future = self.since = None
                    ended = self._ended is future
                if ended and worker is not None:  # killed when the result had come already
                    worker.close()
                    worker = None
            del future, function, arguments, keywords, work
        if worker is not None:
            worker.close()


def _fail(future: Future[Any], error: BaseException, running: bool) -> None:
    if running or future.set_running_or_notify_cancel():
        future.set_exception(error)
