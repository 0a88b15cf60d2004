"""Evaluations by workers that share nothing with the search but a folder."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, InvalidStateError
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from brainguided.dispatch import EARNED, Outcome
from brainguided.job_folder import (
    SEARCH,
    list_claims,
    list_jobs,
    make_folder,
    name_job,
    place,
    place_claim,
    read_json,
    write_json,
)
from brainguided.records import Attempt, Timing

_T = TypeVar("_T")
_LOOK = 0.2  # s between two looks into the folder
_TIMING = {field.name for field in fields(Timing)}


class FolderExecutor(Executor):
    """Leave attempts in a folder and wait for their results; see `folder_executor`."""

    def __init__(self, folder: Path, *, silence: float) -> None:
        self.folder = folder
        self._silence = silence
        make_folder(folder)
        self._lock = threading.Lock()
        self._open: dict[str, tuple[Future[Outcome], dict[str, Any]]] = {}
        self._beats: dict[str, tuple[Any, float, int]] = {}  # last beat, seen here at, workers
        self._unreadable: dict[str, float] = {}  # results, since when
        self._described = False
        self._closed = False
        self._problem: Exception | None = None
        self._thread = threading.Thread(target=self._watch, name="brainguided-folder", daemon=True)
        self._thread.start()

    @property
    def workers(self) -> int:
        """How many evaluations run at a time, at least 1: workers that were heard of lately."""
        now = time.monotonic()
        heard = [(seen, count) for _, seen, count in list(self._beats.values())]
        return max(1, sum(count for seen, count in heard if now - seen <= self._silence))

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """Refuse: functions do not travel by way of a folder."""
        raise TypeError(
            "A folder carries candidates of a search, no functions; for those use local_pool or "
            "ray_executor."
        )

    def submit_attempt(self, attempt: Attempt, task: Any) -> Future[Outcome]:
        """Leave an attempt for a worker, unless one has it or has ended it already.

        Raises
        ------
        concurrent.futures.BrokenExecutor
            The folder cannot be read or written any more.
        """
        future: Future[Outcome] = Future()
        job = {"architecture": attempt.architecture, "seed": attempt.seed}
        name = name_job(attempt.candidate, attempt.attempt)
        with self._lock:
            if self._closed:
                raise RuntimeError("The executor is shut down and takes no more work.")
            if self._problem is not None:
                raise BrokenExecutor(f"{self.folder}: {self._problem}") from self._problem
            if not self._described:
                described = json.loads(json.dumps(task.describe()))
                write_json(self.folder / SEARCH, {"task": described, "ended": False})
                self._described = True
            self._forget_other(name, job)
            known = place(self.folder, "results", name).exists()
            if not known and name not in list_claims(self.folder):
                write_json(place(self.folder, "waiting", name), job)
            self._open[name] = (future, job)
        return future

    def kill(self, future: Future[Any]) -> None:
        """Take an attempt away from its worker, which then ends it."""
        with self._lock:
            for name, (known, _) in list(self._open.items()):
                if known is future:
                    del self._open[name]
                    self._take_away(name)

    def _forget_other(self, name: str, job: dict[str, Any]) -> None:
        """Remove what an earlier search left under the same name."""
        worker = list_claims(self.folder).get(name)
        places = [place(self.folder, "results", name)]
        if worker is not None:
            places.append(place_claim(self.folder, name, worker))
        for path in places:
            found = read_json(path)
            if found is not None and {key: found.get(key) for key in job} != job:
                path.unlink(missing_ok=True)

    def _take_away(self, name: str) -> None:
        with suppress(OSError):
            place(self.folder, "waiting", name).unlink(missing_ok=True)
            worker = list_claims(self.folder).get(name)
            if worker is not None:
                place_claim(self.folder, name, worker).unlink(missing_ok=True)

    def _watch(self) -> None:
        """Hand results over as they come, until all are there and no more can come."""
        while True:
            try:
                self._hear()
                self._look()
            except OSError as error:  # the folder is gone
                self._fail_all(error)
                return
            with self._lock:
                if self._closed and not self._open:
                    return
            time.sleep(_LOOK)

    def _hear(self) -> None:
        """Note which workers gave a sign: by what they write, as their clocks may be wrong."""
        now = time.monotonic()
        for worker in list_jobs(self.folder, "workers"):
            beat = read_json(place(self.folder, "workers", worker)) or {}
            before = self._beats.get(worker)
            count = beat.get("workers", 0)
            if before is None or before[0] != beat.get("beat"):
                known = count if type(count) is int else 0
                self._beats[worker] = (beat.get("beat"), now, known)
        for worker in set(self._beats) - set(list_jobs(self.folder, "workers")):
            beat, seen, _ = self._beats[worker]
            self._beats[worker] = (beat, seen, 0)

    def _look(self) -> None:
        now = time.monotonic()
        ended, claims = set(list_jobs(self.folder, "results")), list_claims(self.folder)
        with self._lock:
            opened = list(self._open.items())
        for name, (future, job) in opened:
            if future.cancelled():
                self._close(name)
                self._take_away(name)
            elif name in ended:
                self._conclude(name, future, job)
            elif name in claims:
                if not future.running():
                    _start(future)
                _, seen, _ = self._beats.setdefault(claims[name], (None, now, 0))
                if now - seen > self._silence:
                    self._take_away(name)
                    self._fail(name, future, f"Nothing was heard of worker {claims[name]}")

    def _conclude(self, name: str, future: Future[Outcome], job: dict[str, Any]) -> None:
        """Check a result and hand it over."""
        found = read_json(place(self.folder, "results", name))
        if found is None:
            since = self._unreadable.setdefault(name, time.monotonic())
            if time.monotonic() - since > self._silence:
                self._fail(name, future, f"The result {name} cannot be read")
            return
        values, timing = found.get("values"), found.get("timing")
        if {key: found.get(key) for key in job} != job:
            self._fail(name, future, f"The result {name} is that of another job")
        elif isinstance(found.get("lost"), str):
            self._fail(name, future, found["lost"])
        elif (
            not isinstance(values, dict)
            or not isinstance(timing, dict)
            or not set(values) <= set(EARNED)
            or values.get("outcome") not in ("done", "failed")
            or set(timing) != _TIMING
        ):
            self._fail(name, future, f"The result {name} is none")
        else:
            _start(future)
            self._close(name)
            with suppress(InvalidStateError):
                future.set_result(Outcome(values, Timing(**timing), str(found.get("log", ""))))

    def _fail(self, name: str, future: Future[Outcome], why: str) -> None:
        _start(future)
        self._close(name)
        with suppress(InvalidStateError):
            future.set_exception(BrokenExecutor(why))

    def _close(self, name: str) -> None:
        with self._lock:
            self._open.pop(name, None)

    def _fail_all(self, error: OSError) -> None:
        with self._lock:
            left, self._open, self._problem = dict(self._open), {}, error
        for name, (future, _) in left.items():
            self._fail(name, future, f"{self.folder}: {error}")

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for what is open and let workers go, or with `cancel_futures` leave at once.

        Attempts that run are then ended by their workers, and taken up by a search that goes on.
        """
        with self._lock:
            self._closed = True
            left = dict(self._open) if cancel_futures else {}
            if cancel_futures:
                self._open = {}
        for name, (future, _) in left.items():
            with suppress(OSError):
                place(self.folder, "waiting", name).unlink(missing_ok=True)
            future.cancel()
        if wait:
            self._thread.join()
        if not cancel_futures and self._described and self._problem is None:
            self._end()

    def _end(self) -> None:
        """Tell workers that there will be no more, and remove what has been taken up."""
        known = read_json(self.folder / SEARCH) or {}
        write_json(self.folder / SEARCH, {**known, "ended": True})
        for name in list_jobs(self.folder, "results"):
            place(self.folder, "results", name).unlink(missing_ok=True)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.shutdown(wait=True, cancel_futures=kind is not None)


def _start(future: Future[Any]) -> None:
    with suppress(InvalidStateError, RuntimeError):
        if not future.running() and not future.done():
            future.set_running_or_notify_cancel()


def folder_executor(folder: str | os.PathLike[str], *, silence: float = 60.0) -> FolderExecutor:
    """Return an executor whose workers see nothing of this machine but a folder.

    For machines that cannot reach each other, or that a queue such as SLURM hands out one by one:
    the folder is shared (NFS) or kept the same by a program (rsync, Syncthing). On each machine
    run ``brainguided worker``, or `serve_folder`; workers may come and go at any time. Workers
    have the data of the task themselves, and refuse to work where their task is another.

    Results are there to be taken up when a search that was killed goes on, also those that ended
    meanwhile.

    Parameters
    ----------
    folder : path
        Made if it is missing; of one search. With the command line that is ``jobs`` in the run
        folder.
    silence : float
        Seconds without a sign of a worker after which it is lost, and what it had is tried again.
        Longer than copying the folder to and fro takes, where it is not really shared.

    Raises
    ------
    ValueError
        `silence` is not positive.
    OSError
        The folder cannot be written.
    """
    if not silence > 0:
        raise ValueError(f"silence is {silence!r}; expected a positive number of seconds.")
    return FolderExecutor(Path(folder), silence=silence)
