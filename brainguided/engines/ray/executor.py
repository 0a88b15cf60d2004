"""Ray behind the interface of `concurrent.futures.Executor`: one machine, or a cluster of many."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from brainguided.engines.ray._call import Absent, Shared, name_note, pack_call, run_call
from brainguided.engines.ray.session import (
    STORE,
    import_ray,
    join_cluster,
    say_line,
    say_offers,
    start_here,
)

_T = TypeVar("_T")
_COUNT = 1.0  # s between two looks at the nodes of the cluster
_BEGIN = 600.0  # s after which a task counts as begun, whatever it says
_PING = 15.0  # s in which a node has to run nothing at all, or it may be lost
_SILENT = 60.0  # s for which a node that did not is given nothing; Ray takes longer to say so
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

    def __init__(
        self,
        *,
        address: str | None,
        workers: int | None,
        cpus: float,
        gpus: float,
        resources: Mapping[str, float],
        labels: Mapping[str, str],
        memory: int | None,
        object_store_memory: int,
    ) -> None:
        self._ray = import_ray(cluster=address is not None)
        self._guard = None
        if address is not None:
            join_cluster(self._ray, address)
        else:
            count = workers or os.cpu_count() or 1
            self._guard = start_here(
                self._ray, max(1, round(count * cpus)), store=object_store_memory
            )
        wanted = {"CPU": cpus, "GPU": gpus, "memory": memory or 0, **resources}
        self._needs = {name: need for name, need in wanted.items() if need > 0}
        self._labels = dict(labels)
        options: dict[str, Any] = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": 0}
        if resources:
            options["resources"] = dict(resources)
        if memory is not None:
            options["memory"] = memory
        self._remote = self._ray.remote(run_call)
        self._options = options
        elsewhere = options | ({"label_selector": self._labels} if labels else {})
        self._anywhere = self._remote.options(**elsewhere)
        self._memory = memory
        self._limit = workers if address is not None else None
        self._large: dict[int, tuple[Any, Any]] = {}  # by id: the object and where Ray has it
        self._lock = threading.RLock()  # a task may end while it is handed over, in this thread
        self._open: dict[Any, _Task] = {}  # by Ray's reference
        self._places: dict[str, int] = {}  # how many tasks each node can run at a time
        self._calls: dict[str, Any] = {}  # how to run on each node
        self._suspects: dict[str, float] = {}  # nodes that are given nothing, until when
        self._noting = False
        self._began: dict[str, float] = {}  # by the token of a task
        self._again: list[tuple[_Task, bool]] = []  # to hand over, with what was shared or without
        self._wake = threading.Event()
        self._closed = False
        self._problem: Exception | None = None
        self._count_places()
        if not self._places:
            self._leave()
            raise ValueError(say_offers(self._needs, self._labels, self._offers))
        self._thread = threading.Thread(target=self._watch, name="brainguided-ray", daemon=True)
        self._thread.start()

    @property
    def workers(self) -> int:
        """How many tasks can run at a time, in the cluster as it is now."""
        count = sum(self._list_places().values())
        return max(1, count if self._limit is None else min(count, self._limit))

    def _list_places(self) -> dict[str, int]:
        """Return how many tasks each node runs at a time, without nodes that do not answer."""
        now = time.monotonic()
        places, suspects = self._places, self._suspects
        return {node: n for node, n in places.items() if now >= suspects.get(node, now)}

    def _count_places(self) -> None:
        """Look which nodes there are."""
        places = {}
        self._offers = [node for node in self._ray.nodes() if node["Alive"]]
        for node in self._offers:
            if not self._labels.items() <= node.get("Labels", {}).items():
                continue
            there = node["Resources"]
            n = min(int(there.get(name, 0) / need + 1e-9) for name, need in self._needs.items())
            if n > 0:
                places[node["NodeID"]] = n
        self._places = places

    def _choose_node(self) -> str | None:
        """Return the node with most places left; None where there is none at all."""
        places = self._list_places()
        taken = Counter(task.node for task in self._open.values())
        return max(places, key=lambda node: places[node] - taken[node], default=None)

    def _find_call(self, node: str | None) -> Any:
        if node is None:
            return self._anywhere
        if node not in self._calls:
            self._calls[node] = self._place_on(node, self._options)
        return self._calls[node]

    def _place_on(self, node: str, options: dict[str, Any]) -> Any:
        # We choose, so as to know what is lost with a node, of which Ray may say nothing
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        strategy = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
        return self._remote.options(**options, scheduling_strategy=strategy)

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """Run a function somewhere in the cluster; large arguments travel once a node."""
        with self._lock:
            if self._problem is not None:
                raise BrokenExecutor(f"Ray is gone: {say_line(self._problem)}")
            if self._closed:
                raise RuntimeError("The executor is shut down and takes no more work.")
            future: Future[_T] = Future()
            piece, large, shared = pack_call(self._ray, fn, args, kwargs)
            future.set_running_or_notify_cancel()
            self._hand_over(future, (piece, *map(self._put, large)), tuple(shared))
        return future

    def _hand_over(
        self,
        future: Future[Any],
        given: tuple[Any, ...],
        shared: tuple[Any, ...],
        *,
        whole: bool = False,
    ) -> None:
        node, token = self._choose_node(), uuid.uuid4().hex if self._noting else ""
        sent = (*given, *shared) if whole else given
        reference = self._find_call(node).remote(token, self._memory, *sent)
        self._open[reference] = _Task(future, node, given, shared, token, time.monotonic())
        reference.future().add_done_callback(partial(self._finish, reference))

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

    def watch_starts(self) -> None:
        """Let tasks handed over from now on say when they begin; which takes a moment of each."""
        self._noting = True

    def began(self, future: Future[Any]) -> float | None:
        """Return when a task was first seen to run, by `time.monotonic`; None before.

        A node has to start and fill a process first, which may take a minute where it is busy.
        Without `watch_starts`, and after ten minutes, it is when the task was handed over.
        """
        now = time.monotonic()
        with self._lock:
            task = next((task for task in self._open.values() if task.future is future), None)
        if task is None or not task.token or now - task.handed > _BEGIN:
            return None if task is None else task.handed
        if task.token not in self._began and self._ray.experimental.internal_kv._internal_kv_exists(
            name_note(task.token)
        ):
            self._began[task.token] = now
        return self._began.get(task.token)

    def kill(self, future: Future[Any]) -> bool:
        """End a task that runs too long, with its process; the caller no longer waits for it.

        Returns
        -------
        bool
            True if its node is gone or answers nothing: the task itself may then be as good as
            any. A node that froze looks so before Ray counts it as dead.
        """
        with self._lock:
            found = [(ref, task.node) for ref, task in self._open.items() if task.future is future]
            for reference, _ in found:
                del self._open[reference]
                self._cancel(reference)
            self._again = [one for one in self._again if one[0].future is not future]
        return any(node is not None and not self._answers(node) for _, node in found)

    def _answers(self, node: str) -> bool:
        """Return whether a node can run anything now; if not, it is given nothing for a while."""
        if node not in self._list_places():
            return False
        try:
            ping = self._place_on(node, {"num_cpus": 0, "max_retries": 0})
            reference = ping.remote("", None, pack_call(self._ray, int, (), {})[0])
            ready, _ = self._ray.wait([reference], timeout=_PING)
            if ready:
                self._ray.get(reference)
                return True
            self._cancel(reference)
        except self._ray.exceptions.RayError:  # the node died meanwhile
            pass
        self._suspect(node, _SILENT)
        return False

    def _suspect(self, node: str | None, seconds: float) -> None:
        """Give a node nothing for a while; it may be gone before Ray says so."""
        if node is not None:
            self._suspects[node] = time.monotonic() + seconds

    def _cancel(self, reference: Any) -> None:
        with suppress(Exception):
            self._ray.cancel(reference, force=True, recursive=True)

    def _watch(self) -> None:
        """Look after the nodes: give up what is lost with one, place anew what one did not take."""
        while True:
            with self._lock:
                if self._closed and not self._open and not self._again:
                    return
            self._wake.wait(_COUNT)
            self._wake.clear()
            try:
                self._count_places()
            except Exception as error:  # the cluster itself is gone
                self._fail_all(error)
                return
            self._give_up_lost()
            with self._lock:
                again, self._again = self._again, []
                for task, whole in again:
                    self._hand_over(task.future, task.given, task.shared, whole=whole)

    def _give_up_lost(self) -> None:
        """Fail what was on nodes that are gone; Ray itself may wait for a frozen one for ever."""
        places = self._places
        with self._lock:
            lost = {
                reference: task
                for reference, task in self._open.items()
                if task.node is not None and task.node not in places
            }
            for reference in lost:
                del self._open[reference]
        for reference, task in lost.items():
            self._cancel(reference)
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
                    self._suspect(task.node, _NOT_TAKEN)
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
                self._suspect(task.node, _NOT_TAKEN)
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
            self._cancel(reference)
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
    object_store_memory: int = STORE,
) -> RayExecutor:
    """Return an executor that runs tasks on Ray. Needs the extra ``ray``.

    Without an address Ray is started on this machine, for this process alone: no dashboard, no
    usage reports, other clusters on it untouched, nothing that listens beyond this machine, and
    what listens answers only those who have the token of this user (``~/.ray/auth_token``, made
    if it is missing). With an address tasks run in that cluster; nodes that join later are used,
    those that are lost, also those that froze, cost what they were at (that future raises
    `concurrent.futures.BrokenExecutor`). Each task is given to the node with most places left, as
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
    object_store_memory : int
        Bytes of shared memory; only without an address.

    Raises
    ------
    ImportError
        Ray is not installed.
    ConnectionError
        There is no cluster at the address.
    ValueError
        A number is out of range, or no node offers what a task takes.
    """
    for name, value, lowest in (("cpus", cpus, 0), ("gpus", gpus, 0), ("workers", workers, 1)):
        if value is not None and not value >= lowest:
            raise ValueError(f"{name} is {value!r}; expected at least {lowest}.")
    if cpus == 0 and gpus == 0 and not resources:
        raise ValueError("A task that takes nothing has no end of places; give cpus, gpus or both.")
    return RayExecutor(
        address=address,
        workers=workers,
        cpus=cpus,
        gpus=gpus,
        resources=resources or {},
        labels=labels or {},
        memory=memory,
        object_store_memory=object_store_memory,
    )
