"""Ray behind the interface of `concurrent.futures.Executor`: one machine, or a cluster of many."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from contextlib import suppress
from typing import Any, TypeVar

_T = TypeVar("_T")
ENVIRONMENT = {  # read by Ray when it is imported
    "RAY_USAGE_STATS_ENABLED": "0",  # no reports to anyone
    "RAY_task_oom_retries": "0",  # running out of memory is a result, not to be repeated for ever
    "RAY_worker_niceness": "0",  # as every other process, not behind them
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
STORE = 256 * 2**20  # bytes of shared memory on one machine
_COUNT = 2.0  # s between two looks at the size of the cluster
_SMALL = (str, int, float, bytes, type(None))


class RayExecutor(Executor):
    """Run tasks on Ray; see `ray_executor`."""

    def __init__(
        self,
        *,
        address: str | None,
        workers: int | None,
        cpus: float,
        gpus: float,
        resources: Mapping[str, float],
        labels: Mapping[str, str],
        object_store_memory: int,
    ) -> None:
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        if address is not None:  # on one machine Ray makes a token by itself
            os.environ.setdefault("RAY_AUTH_MODE", "token")
        self._ray = _import_ray()
        before = signal.getsignal(signal.SIGTERM)
        _start(self._ray, address, workers, cpus, gpus, object_store_memory)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)  # Ray's own leaves at once, in the middle
        self._needs = {"CPU": cpus, "GPU": gpus, **resources}
        options: dict[str, Any] = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": 0}
        if resources:
            options["resources"] = dict(resources)
        if labels:
            options["label_selector"] = dict(labels)
        self._labels = dict(labels)
        self._call = self._ray.remote(_call).options(**options)
        self._limit = workers if address is not None else None
        self._shared: dict[int, tuple[Any, Any]] = {}  # by id: the object and where Ray has it
        self._lock = threading.Lock()
        self._open: dict[Any, Future[Any]] = {}
        self._dead = 0  # nodes that were lost, when last counted
        self._dead_before: dict[Any, int] = {}  # when each task was handed over
        self._closed = False
        self._counted = (-_COUNT, 1)
        self._thread = threading.Thread(target=self._watch, name="brainguided-ray", daemon=True)
        self._thread.start()

    @property
    def workers(self) -> int:
        """How many tasks can run at a time, in the cluster as it is now."""
        when, count = self._counted
        if time.monotonic() - when >= _COUNT:
            count, nodes = 0, self._ray.nodes()
            self._dead = sum(not node["Alive"] for node in nodes)
            for node in nodes:
                if not node["Alive"] or not _fits(node.get("Labels", {}), self._labels):
                    continue
                there = node["Resources"]
                wanted = {name: need for name, need in self._needs.items() if need > 0}
                count += min((int(there.get(n, 0) / need + 1e-9) for n, need in wanted.items()))
            count = max(1, count if self._limit is None else min(count, self._limit))
            self._counted = (time.monotonic(), count)
        return count

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """Run a function somewhere in the cluster; large arguments travel once a node."""
        with self._lock:
            if self._closed:
                raise RuntimeError("The executor is shut down and takes no more work.")
            future: Future[_T] = Future()
            given = [self._share(argument) for argument in (fn, *args)]
            reference = self._call.remote(kwargs, *given)
            future.set_running_or_notify_cancel()
            self._open[reference] = future
            self._dead_before[reference] = self._dead
        return future

    def _share(self, value: Any) -> Any:
        """Return where Ray has an object, putting it there once."""
        if isinstance(value, _SMALL):
            return value
        if id(value) not in self._shared:
            self._shared[id(value)] = (value, self._ray.put(value))
        return self._shared[id(value)][1]

    def kill(self, future: Future[Any]) -> bool:
        """End a task that runs too long, with its process; the caller no longer waits for it.

        Returns
        -------
        bool
            True if a node was lost since the task was handed over. Ray may wait for a node that
            froze for ever; the task itself may then be as good as any.
        """
        dead = sum(not node["Alive"] for node in self._ray.nodes())
        lost = False
        with self._lock:
            for reference, known in list(self._open.items()):
                if known is future:
                    del self._open[reference]
                    lost = dead > self._dead_before.pop(reference)
                    self._cancel(reference)
        return lost

    def _cancel(self, reference: Any) -> None:
        with suppress(Exception):
            self._ray.cancel(reference, force=True, recursive=True)

    def _watch(self) -> None:
        """Hand results over as they come."""
        while True:
            with self._lock:
                references = list(self._open)
                if self._closed and not references:
                    return
            if not references:
                time.sleep(0.005)
                continue
            try:
                ready, _ = self._ray.wait(
                    references, num_returns=len(references), timeout=0, fetch_local=False
                )
                if not ready:
                    ready, _ = self._ray.wait(references, num_returns=1, timeout=0.2)
            except Exception as error:  # the cluster itself is gone
                self._fail_all(error)
                return
            for reference in ready:
                with self._lock:
                    future = self._open.pop(reference, None)
                    self._dead_before.pop(reference, None)
                if future is not None:
                    self._finish(reference, future)

    def _finish(self, reference: Any, future: Future[Any]) -> None:
        errors = self._ray.exceptions
        try:
            result = self._ray.get(reference)
        except errors.OutOfMemoryError as error:
            future.set_exception(MemoryError(f"Ray ended the task: {_line(error)}"))
        except errors.TaskCancelledError as error:
            future.set_exception(CancelledError(_line(error)))
        except errors.RayTaskError as error:
            cause = error.cause if isinstance(error.cause, BaseException) else error
            future.set_exception(cause)
        except Exception as error:  # worker, node or the way there lost
            future.set_exception(BrokenExecutor(f"{type(error).__name__}: {_line(error)}"))
        else:
            future.set_result(result)

    def _fail_all(self, error: Exception) -> None:
        with self._lock:
            left, self._open, self._closed = dict(self._open), {}, True
        for future in left.values():
            future.set_exception(BrokenExecutor(f"Ray is gone: {_line(error)}"))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for tasks, or with `cancel_futures` end them, and leave the cluster."""
        with self._lock:
            self._closed = True
            references = list(self._open)
            if cancel_futures:
                left, self._open = dict(self._open), {}
        if cancel_futures:
            for reference in references:
                self._cancel(reference)
            for future in left.values():
                future.set_exception(CancelledError("The executor was shut down."))
        if wait:
            self._thread.join()
        self._shared.clear()
        self._ray.shutdown()

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
    object_store_memory: int = STORE,
) -> RayExecutor:
    """Return an executor that runs tasks on Ray. Needs the extra ``ray``.

    Without an address Ray is started on this machine, for this process alone: no dashboard, no
    usage reports, other clusters on it untouched. Ray's own ports are open to the network, but
    answer only those who have the token of this user (``~/.ray/auth_token``, made if it is
    missing). With an address tasks run in that cluster; nodes that join later are used, those that
    are lost cost what they were at (that future raises `concurrent.futures.BrokenExecutor`).
    Retries are left to the caller.

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
    object_store_memory : int
        Bytes of shared memory; only without an address.

    Raises
    ------
    ImportError
        Ray is not installed.
    ConnectionError
        There is no cluster at the address.
    ValueError
        A number is out of range.
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
        object_store_memory=object_store_memory,
    )


def _call(keywords: dict[str, Any], function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments, **keywords)


def _import_ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise ImportError("Ray is not installed: pip install 'brainguided[ray]'.") from error
    return ray


def _start(
    ray: Any, address: str | None, workers: int | None, cpus: float, gpus: float, store: int
) -> None:
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is not None:
        try:
            ray.init(address=address, **quiet)
        except Exception as error:
            raise ConnectionError(
                f"There is no Ray cluster at {address}, or its token is not on this machine "
                f"({_line(error)}). Start one with 'ray start --head', and see "
                "'ray get-auth-token'."
            ) from error
        return
    count = workers or os.cpu_count() or 1
    settings: dict[str, Any] = {"num_cpus": max(1, round(count * cpus))}
    if gpus:
        settings["num_gpus"] = None
    before = os.environ.get("PYTHONPATH")
    # Workers find what this process can import, as those of multiprocessing do
    os.environ["PYTHONPATH"] = os.pathsep.join(place for place in sys.path if place)
    try:
        ray.init(
            address="local",
            include_dashboard=False,
            object_store_memory=store,
            **settings,
            **quiet,
        )
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _fits(there: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(there.get(name) == value for name, value in wanted.items())


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
