"""Ray behind the interface of `concurrent.futures.Executor`: one machine, or a cluster of many."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from brainguided.engines.attempt import Outcome, run_attempt
from brainguided.engines.contract import Ending
from brainguided.engines.ray._call import Absent, Shared, name_note, pack_call, run_call
from brainguided.engines.ray._nodes import Demand, Nodes
from brainguided.engines.ray.session import (
    STORE,
    import_ray,
    join_cluster,
    say_line,
    say_offers,
    say_refused,
    start_here,
)
from brainguided.engines.versions import list_versions
from brainguided.journal.attempts import Attempt

_T = TypeVar("_T")
_FIRST = 120.0  # s for the first node to say its versions
_COUNT = 1.0  # s between two looks at the nodes of the cluster
_BEGIN = 600.0  # s after which a task counts as begun, whatever it says
_ANSWER = 5.0  # s in which a node has to run nothing at all, or that is said of it
_NOT_TAKEN = 5.0  # s for which one is given nothing that failed to take a task


@dataclass(frozen=True)
class _Task:
    """Task that was submitted, and its node."""

    future: Future[Any]
    node: str | None
    given: tuple[Any, ...]
    shared: tuple[Any, ...]  # sent where a process turns out to lack it
    token: str
    handed: float  # over, by time.monotonic


class RayExecutor(Executor):
    """Executor that runs tasks on Ray; see `ray_executor`."""

    def __init__(self, *, address: str | None, workers: int | None, takes: Demand) -> None:
        self._ray = import_ray(cluster=address is not None)
        self._guard = None
        if address is not None:
            join_cluster(self._ray, address)
        else:
            count = workers or os.cpu_count() or 1
            self._guard = start_here(self._ray, max(1, round(count * takes.cpus)), store=STORE)
        versions = None if address is None else list_versions()
        self._nodes = Nodes(self._ray, self._ray.remote(run_call), takes, versions=versions)
        self._memory = takes.memory
        self._limit = workers if address is not None else None
        self._large: dict[int, tuple[Any, Any]] = {}  # by id: the object and where Ray has it
        self._lock = threading.RLock()  # a task may end while it is handed over, in this thread
        self._open: dict[Any, _Task] = {}  # by Ray's reference
        self._began: dict[str, float] = {}  # by the token of a task
        self._again: list[tuple[_Task, bool]] = []  # to hand over, with what was shared or without
        self._wake = threading.Event()
        self._closed = False
        self._problem: Exception | None = None
        self._nodes.find_places(_FIRST)
        if not self._nodes.places:
            self._leave()
            raise ValueError(
                say_refused(self._nodes.refused, self._nodes.name)
                or say_offers(takes.needs, takes.labels, self._nodes.offers)
            )
        self._thread = threading.Thread(target=self._watch, name="brainguided-ray", daemon=True)
        self._thread.start()

    @property
    def workers(self) -> int:
        """How many tasks can run at a time, in the cluster as it is now."""
        count = sum(self._nodes.list_places().values())
        return max(1, count if self._limit is None else min(count, self._limit))

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """Run a function somewhere in the cluster; large arguments travel once a node."""
        return self._submit("", fn, args, kwargs)

    def _submit(
        self, token: str, fn: Callable[..., _T], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Future[_T]:
        """Run a function that notes its beginning under a token, if there is one."""
        with self._lock:
            if self._problem is not None:
                raise BrokenExecutor(f"Ray is gone: {say_line(self._problem)}")
            if self._closed:
                raise RuntimeError("The executor is shut down and takes no more work.")
            future: Future[_T] = Future()
            piece, large, shared = pack_call(self._ray, fn, args, kwargs)
            future.set_running_or_notify_cancel()
            given = (piece, *map(self._put, large))
            self._hand_over(_Task(future, None, given, tuple(shared), token, 0.0))
        return future

    def _hand_over(self, task: _Task, *, whole: bool = False) -> None:
        """Give a task to the node with most places left; whole, with what was shared."""
        node = self._nodes.choose(other.node for other in self._open.values())
        if node is None and self._nodes.refused:  # anywhere might be there
            self._again.append((task, whole))
            return
        sent = (*task.given, *task.shared) if whole else task.given
        reference = self._nodes.find_call(node).remote(task.token, self._memory, *sent)
        self._open[reference] = replace(task, node=node, handed=time.monotonic())
        reference.future().add_done_callback(partial(self._finish, reference))

    def prepare(self, task: Any, evaluate: Callable[..., Any]) -> tuple[Any, Any]:
        """Send both once to each node; see `engines.contract` for this and what follows."""
        return self.share(task), self.share(evaluate)

    def submit_attempt(
        self, attempt: Attempt, task: Any, evaluate: Callable[..., Any], *, timed: bool = False
    ) -> Future[Outcome]:
        """Run an attempt somewhere in the cluster; that it notes its beginning takes a moment."""
        given = (evaluate, attempt.architecture, task, attempt.seed, True, attempt.bars)
        return self._submit(uuid.uuid4().hex if timed else "", run_attempt, given, {})

    def share(self, value: Any) -> Any:
        """Return a small stand-in for an argument of many tasks.

        The argument travels once to each node and is unpickled once by each process, whose tasks
        are all given the same object.
        """
        return Shared(uuid.uuid4().hex, self._put(value))

    def _put(self, value: Any) -> Any:
        """Return where Ray has an object, putting it there once."""
        if id(value) not in self._large:
            self._large[id(value)] = (value, self._ray.put(value))
        return self._large[id(value)][1]

    def began(self, future: Future[Any]) -> float | None:
        """Return when a task was first seen to run, by `time.monotonic`; None before.

        A node has to start and fill a process first, which may take a minute where it is busy.
        After ten minutes, or where the task notes nothing, it is when the task was handed over.
        """
        now = time.monotonic()
        task = self._find_task(future)
        if task is None or not task.token or now - task.handed > _BEGIN:
            return None if task is None else task.handed
        if task.token not in self._began and self._ray.experimental.internal_kv._internal_kv_exists(
            name_note(task.token)
        ):
            self._began[task.token] = now
        return self._began.get(task.token)

    def kill(self, future: Future[Any]) -> Ending:
        """End a task that runs too long, with its process; the caller no longer waits for it.

        It is "lost" if its node is gone or answers nothing: the task itself may then be as good as
        any. A node that froze looks so before Ray counts it as dead.
        """
        with self._lock:
            found = [(ref, task.node) for ref, task in self._open.items() if task.future is future]
            for reference, _ in found:
                del self._open[reference]
                self._nodes.cancel(reference)
            self._again = [one for one in self._again if one[0].future is not future]
        lost = any(node is not None and not self._nodes.trust(node) for _, node in found)
        return "lost" if lost else "ended"

    def where(self, future: Future[Any]) -> str:
        """Return on which node a task is, and whether that answers."""
        task = self._find_task(future)
        if task is None or task.node is None:
            return "waiting for a node of Ray"
        text = f"on node {self._nodes.name(task.node)} of Ray"
        if not self._nodes.answers(task.node, _ANSWER):
            text += f", which did not answer within {_ANSWER:g} s"
        return text

    def _find_task(self, future: Future[Any]) -> _Task | None:
        with self._lock:
            return next((task for task in self._open.values() if task.future is future), None)

    def _watch(self) -> None:
        """Look after the nodes: give up what is lost with one, place anew what one did not take."""
        while True:
            with self._lock:
                if self._closed and not self._open and not self._again:
                    return
            self._wake.wait(_COUNT)
            self._wake.clear()
            try:
                self._nodes.count()
            except Exception as error:  # the cluster itself is gone
                self._fail_all(error)
                return
            self._give_up_lost()
            with self._lock:
                again, self._again = self._again, []
                for task, whole in again:
                    self._hand_over(task, whole=whole)

    def _give_up_lost(self) -> None:
        """Fail what was on nodes that are gone; Ray itself may wait for a frozen one for ever."""
        places = self._nodes.places
        with self._lock:
            lost = {
                reference: task
                for reference, task in self._open.items()
                if task.node is not None and task.node not in places
            }
            for reference in lost:
                del self._open[reference]
        for reference, task in lost.items():
            self._nodes.cancel(reference)
            task.future.set_exception(BrokenExecutor(f"The Ray node {task.node} was lost."))

    def _finish(self, reference: Any, done: Future[Any]) -> None:
        """Hand a result over, in whatever thread of Ray it comes."""
        errors, error = self._ray.exceptions, done.exception()
        refused = isinstance(error, errors.TaskUnschedulableError)  # the node has come, or gone
        absent = error is None and isinstance(done.result(), Absent)
        with self._lock:
            task = self._open.pop(reference, None)
            self._began.pop("" if task is None else task.token, None)
            if task is not None and (refused or absent):  # it did not begin
                if refused:
                    self._nodes.suspect(task.node, _NOT_TAKEN)
                self._again.append((task, absent))
                task = None
            if self._again or (self._closed and not self._open):
                self._wake.set()
        if task is None:  # to be handed over again; or given up: another attempt counts
            return
        future = task.future
        if error is None:
            future.set_result(done.result())
        elif isinstance(error, errors.OutOfMemoryError):
            future.set_exception(MemoryError(f"Ray ended the task: {say_line(error)}"))
        elif isinstance(error, errors.TaskCancelledError):
            future.set_exception(CancelledError(say_line(error)))
        elif isinstance(error, errors.RayTaskError):
            cause = getattr(error, "cause", None)
            future.set_exception(cause if isinstance(cause, BaseException) else error)
        else:  # worker, node or the way there lost
            if not isinstance(error, errors.WorkerCrashedError):
                self._nodes.suspect(task.node, _NOT_TAKEN)
            future.set_exception(BrokenExecutor(f"{type(error).__name__}: {say_line(error)}"))

    def _fail_all(self, error: Exception) -> None:
        with self._lock:
            left = [*self._open.values(), *(task for task, _ in self._again)]
            self._open, self._again, self._problem = {}, [], error
        for task in left:
            task.future.set_exception(BrokenExecutor(f"Ray is gone: {say_line(error)}"))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for tasks, or with `cancel_futures` end them, and leave the cluster."""
        with self._lock:
            self._closed = True
            left = dict(self._open) if cancel_futures else {}
            again = self._again if cancel_futures else []
            if cancel_futures:
                self._open, self._again = {}, []
        for reference in left:
            self._nodes.cancel(reference)
        for task in [*left.values(), *(task for task, _ in again)]:
            task.future.set_exception(CancelledError("The executor was shut down."))
        self._wake.set()
        if wait:
            self._thread.join()
        self._large.clear()
        self._leave()

    def _leave(self) -> None:
        self._ray.shutdown()
        if self._guard is not None:
            self._guard.communicate()  # closes what it watches

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.shutdown(wait=True, cancel_futures=kind is not None)


def ray_executor(
    address: str | None = None,
    *,
    workers: int | None = None,
    cpus: float = 1,
    gpus: float = 0,
    resources: Mapping[str, float] | None = None,
    labels: Mapping[str, str] | None = None,
    memory: int | None = None,
) -> RayExecutor:
    """Return an executor that runs tasks on Ray. Needs the extra ``ray``.

    Without an address Ray is started on this machine, for this process alone: no dashboard, no
    usage reports, other clusters on it untouched, nothing that listens beyond this machine, and
    what listens answers only those who have the token of this user (``~/.ray/auth_token``, made
    if it is missing). With an address tasks run in that cluster; nodes that join later are used,
    those that are lost, also those that froze, cost what they were at (that future raises
    `concurrent.futures.BrokenExecutor`). Nodes with another version of this package or of torch
    are given nothing, and named. Each task is given to the node with most places left, as
    if the cluster were ours alone. Retries are left to the caller.

    Parameters
    ----------
    address : str, optional
        ``HOST:PORT`` of the head of a cluster, or "auto" on one of its nodes. Its token has to be
        on this machine (``ray get-auth-token``).
    workers : int, optional
        Tasks at a time; default: as many as the resources allow, on one machine one a core.
    cpus, gpus : float
        What a task takes; parts of a GPU are shared.
    resources : mapping of str to float, optional
        Custom resources that a task takes, as given to ``ray start --resources``.
    labels : mapping of str to str, optional
        Labels that a node has to have, as given to ``ray start --labels``.
    memory : int, optional
        Bytes of data that a task may hold (Linux): no more tasks run on a node than it has memory
        for, and what asks for more gets `MemoryError`, or torch's RuntimeError.

    Returns
    -------
    RayExecutor
        A `concurrent.futures.Executor`; Ray is released when it is shut down.

    Raises
    ------
    ImportError
        Ray is not installed.
    ConnectionError
        There is no cluster at the address.
    ValueError
        A number is out of range, or no node offers what a task takes, or none that does has the
        versions of this process.
    """
    for name, value, lowest in (("cpus", cpus, 0), ("gpus", gpus, 0), ("workers", workers, 1)):
        if value is not None and not value >= lowest:
            raise ValueError(f"{name} is {value!r}; expected at least {lowest}.")
    if cpus == 0 and gpus == 0 and not resources:
        raise ValueError("A task that takes nothing has no end of places; give cpus, gpus or both.")
    takes = Demand(cpus, gpus, dict(resources or {}), dict(labels or {}), memory)
    return RayExecutor(address=address, workers=workers, takes=takes)
