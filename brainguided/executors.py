"""A pool of supervised processes behind the interface of `concurrent.futures.Executor`."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

_T = TypeVar("_T")
_Work = tuple["Future[Any]", Callable[..., Any], tuple[Any, ...], dict[str, Any]]
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_LEAST = 64 * 2**20  # bytes
_environment_lock = threading.Lock()
_kept: dict[int, Any] = {}  # in a worker: what was shared with it


@dataclass(frozen=True)
class _Shared:
    """Stand for an object that each worker is sent once."""

    token: int


def local_pool(workers: int, *, memory: int | None = None) -> LocalPool:
    """Return an executor that runs tasks in processes of this machine, one thread each.

    Unlike `concurrent.futures.ProcessPoolExecutor`, a worker that is killed costs only the task
    it was at: that future raises `concurrent.futures.BrokenExecutor`, a new worker takes the
    place, everything else goes on. If this process dies, whatever way, its workers follow at once.

    Functions and arguments are pickled when a worker is free, not when they are submitted. As
    with every spawned process, a script has to start its work under
    ``if __name__ == "__main__":``.

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
    if type(workers) is not int or workers < 1:
        raise ValueError(f"workers is {workers!r}; expected at least 1, e.g. the number of cores.")
    if memory is not None and (type(memory) is not int or memory < _LEAST):
        raise ValueError(f"memory is {memory!r}; expected bytes, at least {_LEAST}.")
    if memory is not None and not sys.platform.startswith("linux"):
        raise ValueError("Only Linux can limit the memory of processes; leave memory out.")
    return LocalPool(workers, memory)


class LocalPool(Executor):
    """Hold one queue and, for each worker, a thread that feeds it one task after the other."""

    def __init__(self, workers: int, memory: int | None) -> None:
        self.workers = workers
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._shared: dict[int, bytes] = {}
        self._slots = [_Slot(self._queue, self._shared, memory) for _ in range(workers)]

    def submit(
        self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any
    ) -> Future[_T]:  # the interface of Executor
        with self._closing:
            if self._closed:
                raise RuntimeError("The pool is shut down and takes no more work; make a new one.")
            future: Future[_T] = Future()
            self._queue.put((future, fn, args, kwargs))
        return future

    def share(self, value: Any) -> Any:
        """Return a small stand-in for an argument of many tasks, pickled now."""
        token = len(self._shared)
        self._shared[token] = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
        return _Shared(token)

    def kill(self, future: Future[Any]) -> None:
        """Kill the worker that is at a task, or cancel a task that has not begun."""
        if future.cancel():
            return
        for slot in self._slots:
            if slot.future is future:
                slot.kill()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
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

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
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
    """Hold one place for a worker: its thread takes tasks and replaces a worker that died."""

    def __init__(
        self, tasks: queue.SimpleQueue[_Work | None], shared: dict[int, bytes], memory: int | None
    ) -> None:
        self._tasks = tasks
        self._shared = shared
        self._memory = memory
        self._pid: int | None = None
        self._stopped = False
        self.future: Future[Any] | None = None
        self.thread = threading.Thread(target=self._serve, name="brainguided-slot", daemon=True)
        self.thread.start()

    def stop(self) -> None:
        """Kill the worker if it starts or is at a task, and let it begin no other."""
        self._stopped = True
        self.kill()

    def kill(self) -> None:
        """Kill the worker if it is at a task."""
        pid = self._pid
        if pid is not None:
            with suppress(OSError):
                os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))

    def _serve(self) -> None:
        worker: ProcessPoolExecutor | None = None
        pid = 0
        while (work := self._tasks.get()) is not None:
            future, function, arguments, keywords = work
            running = False
            try:
                if worker is None:
                    known: set[int] = set()
                    loaded: set[tuple[str, str]] = set()
                    worker = _start_worker(self._memory)
                    pid = self._pid = _find_pid(worker)
                    if self._stopped:  # while the process was made, when it could not be killed
                        self.kill()
                    worker.submit(os.getpid).result()
                # What a task has to load belongs to the start of the worker, not to its time
                for token in {a.token for a in arguments if isinstance(a, _Shared)} - known:
                    worker.submit(_keep, token, self._shared[token]).result()
                    known.add(token)
                functions = [x for x in (function, *arguments) if callable(x)]
                names = {
                    (getattr(x, "__module__", ""), getattr(x, "__qualname__", ""))
                    for x in functions
                }
                if not names <= loaded:
                    worker.submit(_run, pickle.dumps((_load, (functions,), {}))).result()
                    loaded |= names
                # The worker may be stopped while it starts: first it can be killed, then it begins
                self._pid, self.future = pid, future
                if self._stopped:
                    future.cancel()
                running = future.set_running_or_notify_cancel()
                if not running:
                    continue
                payload = pickle.dumps((function, arguments, keywords))
                result = worker.submit(_run, payload).result()
            except BrokenExecutor as error:
                if worker is not None:
                    worker.shutdown(wait=False)
                worker = None
                lost = BrokenExecutor(f"The worker process {pid or ''} died: killed, or no memory.")
                lost.__cause__ = error
                _fail(future, lost, running)
            except BaseException as error:
                _fail(future, error, running)
            else:
                future.set_result(result)
                del result
            finally:
                self._pid = self.future = None
            del future, function, arguments, keywords, work
        if worker is not None:
            worker.shutdown(wait=True)


def _fail(future: Future[Any], error: BaseException, running: bool) -> None:
    if running or future.set_running_or_notify_cancel():
        future.set_exception(error)


def _load(functions: list[Callable[..., Any]]) -> None:
    """Unpickling the functions was all."""


def _keep(token: int, payload: bytes) -> None:
    """Hold a shared object in this worker."""
    _kept[token] = pickle.loads(payload)


def _run(payload: bytes) -> Any:
    """Run a task in this worker; one that cannot be unpickled fails as any other."""
    function, arguments, keywords = pickle.loads(payload)
    given = (_kept[a.token] if isinstance(a, _Shared) else a for a in arguments)
    return function(*given, **keywords)


def _start_worker(memory: int | None) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    worker = ProcessPoolExecutor(
        1, mp_context=context, initializer=_begin_worker, initargs=(memory,)
    )
    with _one_thread():
        # The process is made by the first submit and inherits the environment of this moment
        worker.submit(os.getpid)
    return worker


def _find_pid(worker: ProcessPoolExecutor) -> int:
    """Return the process of a pool of one, without waiting until it can answer."""
    processes = getattr(worker, "_processes", None)
    if not processes:
        return worker.submit(os.getpid).result()
    return next(iter(processes))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let processes that start meanwhile use one thread each; numeric libraries look only once."""
    with _environment_lock:
        before = {name: os.environ.get(name) for name in _THREADS}
        os.environ.update(dict.fromkeys(_THREADS, "1"))
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def _begin_worker(memory: int | None) -> None:
    """Prepare a worker: one thread, Ctrl-C left to the driver, an end when the driver ends."""
    if memory is not None:
        import resource  # not on every system

        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
    threading.Thread(target=_follow_parent, name="brainguided-follow", daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
