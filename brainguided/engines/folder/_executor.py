"""The executor behind a folder: what is left there, followed, and handed over."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, InvalidStateError
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from brainguided.candidates.retraining import Retraining
from brainguided.engines.attempt import MeasurementError, Outcome
from brainguided.engines.contract import Ending
from brainguided.engines.folder._driver import Driver
from brainguided.engines.folder._open import OpenAttempt
from brainguided.engines.folder._signs import Signs
from brainguided.engines.folder._weights import (
    NotThereYetError,
    describe_retraining,
    name_retraining,
    read_trained,
    remove_weights,
    write_start,
)
from brainguided.engines.folder.jobs import (
    SEARCH,
    clear_folder,
    describe_work,
    digest_work,
    give_back,
    leave_job,
    list_claims,
    list_jobs,
    make_folder,
    name_job,
    place,
    place_claim,
    read_json,
    read_outcome,
    take_away,
    write_json,
)
from brainguided.journal.attempts import Attempt

_T = TypeVar("_T")
_log = logging.getLogger(__name__)
_LOOK = 0.2  # s between two looks into the folder
_KEEP = 60.0  # s for which a result stays after it was handed over: the journal has it then
_WORTH = 5.0  # s of standing still that are worth a line


class FolderExecutor(Executor):
    """Executor that leaves attempts in a folder and waits for results; see `folder_executor`."""

    def __init__(self, folder: Path, *, silence: float) -> None:
        self.folder = folder
        self._silence = silence
        make_folder(folder)
        self._driver = Driver(folder, silence=silence)
        self._lock = threading.Lock()
        self._open: dict[str, OpenAttempt] = {}
        self._entries: dict[Future[Any], OpenAttempt] = {}  # the same
        self._done: set[str] = set()  # what of these comes (back) is to be removed
        self._handed: dict[str, float] = {}  # results that can be removed, known since
        self._signs = Signs(folder, silence=silence)
        self._name = uuid.uuid4().hex  # of this process, in the jobs that it leaves
        self._retrained: Counter[Retraining] = Counter()  # attempts
        self._work: dict[str, Any] | None = None  # of which task jobs are
        self._described = False
        self._closed = self._cancelled = False
        self._problem: Exception | None = None
        self._looked = time.monotonic()
        self._thread = threading.Thread(target=self._watch, name="brainguided-folder", daemon=True)
        self._thread.start()

    @property
    def workers(self) -> int:
        """How many evaluations run at a time, at least 1: workers that were heard of lately."""
        return max(1, sum(self._signs.count_processes(time.monotonic()).values()))

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """Leave a candidate to be trained again, given as a `Retraining` and its task.

        Other functions do not travel by way of a folder: they are refused.
        """
        if len(args) != 2 or kwargs or not isinstance(args[0], Retraining):
            raise TypeError(
                "A folder carries candidates of a search, no functions; for those use local_pool "
                "or ray_executor."
            )
        again, task = args
        self._retrained[again] += 1
        name = name_retraining(again, self._retrained[again])
        job = {"architecture": again.architecture, "seed": again.seed, **describe_retraining(again)}
        return self._open_job(name, job, task, again.start)

    def prepare(self, task: Any, evaluate: Callable[..., Any]) -> tuple[Any, Any]:
        """Say in the folder what workers have to have; return both as they are."""
        self._note_work(task)
        with self._lock, suppress(OSError):  # of a moment: then it is said with the first job
            self._describe()
        return task, evaluate

    def _note_work(self, task: Any) -> dict[str, Any]:
        work = describe_work(task)
        self._described = self._described and work == self._work
        self._work = work
        return work

    def submit_attempt(
        self,
        attempt: Attempt,
        task: Any,
        evaluate: Callable[..., Any] | None = None,
        *,
        timed: bool = False,
    ) -> Future[Outcome]:
        """Leave an attempt for a worker, unless one has it or has ended it already.

        Raises
        ------
        concurrent.futures.BrokenExecutor
            The folder cannot be read or written any more.
        """
        name = name_job(attempt.candidate, attempt.attempt)
        job: dict[str, Any] = {"architecture": attempt.architecture, "seed": attempt.seed}
        if attempt.bars:
            job["bars"] = [list(bar) for bar in attempt.bars]
        return self._open_job(name, job, task)

    def _open_job(
        self, name: str, job: dict[str, Any], task: Any, start: bytes | None = None
    ) -> Future[Any]:
        work = self._work or self._note_work(task)
        future: Future[Any] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("The executor is shut down and takes no more work.")
            if self._problem is not None:
                raise BrokenExecutor(f"{self.folder}: {self._problem}") from self._problem
            entry = OpenAttempt(name, future, {**job, "task": digest_work(work)}, start)
            self._open[name] = self._entries[future] = entry
            self._done.discard(name)
            self._handed.pop(name, None)
            with suppress(OSError):  # of a moment: then it is left at the next look
                self._leave(entry)
        return future

    def began(self, future: Future[Any]) -> float | None:
        """Return when the worker that has an attempt was first seen to; None while none has.

        The time is that of `time.monotonic`, later by what this process stood still meanwhile. An
        attempt that was given back waits again, and begins anew with the next worker.
        """
        with self._lock:
            entry = self._entries.get(future)
            if entry is None or entry.worker is None:
                return None
            return entry.since + self._measure_gap(time.monotonic())

    def kill(self, future: Future[Any]) -> Ending:
        """Take an attempt away from its worker, which then ends it."""
        with self._lock:
            entry = self._entries.get(future)
        if entry is not None:
            self._close(entry)
            with suppress(OSError):  # of a moment: then it is taken away at the next look
                take_away(self.folder, entry.name)
        return "ended"

    def where(self, future: Future[Any]) -> str:
        """Return which worker has an attempt, and when it was last heard of."""
        with self._lock:
            entry = self._entries.get(future)
            worker = None if entry is None else entry.worker
        return self._signs.say_where(worker, time.monotonic())

    def _leave(self, entry: OpenAttempt) -> None:
        """Write a job, unless a worker has it or has ended it."""
        self._describe()
        if entry.content is not None:  # first, since who sees the job looks for them
            write_start(self.folder, entry.name, entry.content)
        leave_job(self.folder, entry.name, entry.job, left_by=self._name)
        entry.written = True

    def _describe(self) -> None:
        """Say for which task jobs are; what is there for another one is removed."""
        if self._described or self._work is None:
            return
        known = read_json(self.folder / SEARCH)
        if known is None or digest_work(known) != digest_work(self._work):
            clear_folder(self.folder)
        write_json(self.folder / SEARCH, {**self._work, "ended": False})
        self._described = True

    def _watch(self) -> None:
        """Hand results over as they come, until all are there and no more can come."""
        trouble: float | None = None  # since when nothing can be read
        while True:
            try:
                self._driver.beat()
                self._look(self._hear())
                trouble = None
            except OSError as error:
                now = time.monotonic()
                if trouble is None:
                    trouble = now
                    _log.warning("%s: %s; trying again", self.folder, error)
                if now - trouble > self._silence:
                    self._fail_all(
                        error, f"{self.folder}: {self._silence:g} s of nothing but {error}"
                    )
                    return
            except Exception as error:  # another search has the folder; or a fault of ours
                self._fail_all(error, str(error) or type(error).__name__)
                return
            with self._lock:
                ended = self._closed and not self._open
            if ended:
                self._end()
                return
            time.sleep(_LOOK)

    def _hear(self) -> float:
        """Note which workers gave a sign, and return the time after reading.

        A folder that is slow makes no worker older, nor does this process where it stood still.
        """
        signs = self._signs.read()
        now = time.monotonic()
        with self._lock:
            gap = self._measure_gap(now)
            self._looked = now
            if gap > 0:
                for entry in self._open.values():
                    entry.stand_still(gap)
        if gap > _WORTH:
            _log.info("%s was not read for %.0f s; no worker is blamed", self.folder, gap)
        self._signs.note(signs, now, gap)
        return now

    def _measure_gap(self, now: float) -> float:
        """Return for how long, beyond what is usual, nothing was read here."""
        return max(0.0, now - self._looked - min(2.0, max(2 * _LOOK, self._silence / 4)))

    def _look(self, now: float) -> None:
        """See what has become of each attempt: they go from waiting to claimed to results."""
        waiting = set(list_jobs(self.folder, "waiting"))
        claims = list_claims(self.folder)
        ended = set(list_jobs(self.folder, "results"))
        with self._lock:
            opened = list(self._open.values())
        for entry in opened:
            if entry.future.cancelled():
                self._close(entry, again=True)
                take_away(self.folder, entry.name)
            elif not entry.written:
                with self._lock:
                    self._leave(entry)
            elif entry.name in ended:
                self._conclude(entry, now)
            else:
                self._follow(entry, claims.get(entry.name, []), entry.name in waiting, now)
        for name in self._done & (waiting | set(claims)):  # copies of the folder bring it back
            take_away(self.folder, name)
        for name in self._done & ended:
            if now - self._handed.setdefault(name, now) > _KEEP:
                place(self.folder, "results", name).unlink(missing_ok=True)
                remove_weights(self.folder, name)
                del self._handed[name]

    def _follow(self, entry: OpenAttempt, holders: list[str], waiting: bool, now: float) -> None:
        """Let one worker have an attempt, and see whether it is still there."""
        for worker in self._signs.refused.intersection(holders):  # it does not refuse by itself
            give_back(self.folder, entry.name, worker)
        holders = [worker for worker in holders if worker not in self._signs.refused]
        chosen = entry.choose(holders, waiting)
        for worker in holders:
            if worker != chosen:
                place_claim(self.folder, entry.name, worker).unlink(missing_ok=True)
        if chosen is None:
            self._wait_for_worker(entry, waiting, now)
            return
        entry.missing = None
        if entry.worker is None:
            entry.worker, entry.since = chosen, now
            entry.start()
        if self._signs.is_silent(chosen, now):
            self._fail(entry, f"Nothing was heard of worker {chosen}")

    def _wait_for_worker(self, entry: OpenAttempt, waiting: bool, now: float) -> None:
        """Give up an attempt that no worker can claim any more."""
        if waiting:
            entry.missing = None
            heard = set(self._signs.count_processes(now))
            if heard and heard <= entry.withdrawn:
                self._fail(entry, "It was given back, and the workers left had claimed it before")
        elif entry.missing is None:
            entry.missing = now
        elif now - entry.missing > self._silence:
            self._fail(entry, f"The job {entry.name} is no longer in the folder")

    def _conclude(self, entry: OpenAttempt, now: float) -> None:
        """Check a result and hand it over."""
        found = read_json(place(self.folder, "results", entry.name))
        try:
            if found is None:
                raise NotThereYetError(f"The result {entry.name} cannot be read")
            if "again" in entry.job:
                given: Any = read_trained(self.folder, found, entry.name, entry.job)
            else:
                given = read_outcome(found, entry.name, entry.job)
        except NotThereYetError as error:
            entry.unreadable = now if entry.unreadable is None else entry.unreadable
            if now - entry.unreadable > self._silence:
                self._fail(entry, str(error))
            return
        except MeasurementError as error:
            self._fail(entry, str(error))
            return
        except (ArithmeticError, MemoryError, RuntimeError) as error:
            given = error
        entry.start()
        self._close(entry)
        with suppress(InvalidStateError):
            if isinstance(given, Exception):
                entry.future.set_exception(given)
            else:
                entry.future.set_result(given)

    def _fail(self, entry: OpenAttempt, why: str) -> None:
        with suppress(OSError):  # of a moment: then it is taken away at the next look
            take_away(self.folder, entry.name)
        self._give_up(entry, why)

    def _give_up(self, entry: OpenAttempt, why: str) -> None:
        entry.start()
        self._close(entry)
        with suppress(InvalidStateError):
            entry.future.set_exception(BrokenExecutor(why))

    def _close(self, entry: OpenAttempt, *, again: bool = False) -> None:
        """Take nothing more for an attempt, unless it comes again in another search."""
        with self._lock:
            self._open.pop(entry.name, None)
            self._entries.pop(entry.future, None)
            if not again:
                self._done.add(entry.name)

    def _fail_all(self, error: Exception, text: str) -> None:
        with self._lock:
            left, self._problem = list(self._open.values()), error
        for entry in left:
            self._give_up(entry, text)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for what is open and let workers go, or with `cancel_futures` leave at once.

        Attempts that run are then ended by their workers, and taken up by a search that goes on.
        """
        with self._lock:
            self._closed = True
            self._cancelled = self._cancelled or cancel_futures
            left = list(self._open.values()) if cancel_futures else []
            for entry in left:
                del self._open[entry.name], self._entries[entry.future]
        for entry in left:
            with suppress(OSError):
                place(self.folder, "waiting", entry.name).unlink(missing_ok=True)
            entry.future.cancel()
        if wait:
            self._thread.join()

    def _end(self) -> None:
        """Tell workers that there will be no more, and remove what was left of jobs.

        A search that was stopped only lets another have the folder.
        """
        try:
            if self._work is not None and not self._cancelled and self._driver.is_mine():
                write_json(self.folder / SEARCH, {**self._work, "ended": True})
                clear_folder(self.folder)
            self._driver.release()
        except OSError as error:
            _log.warning("%s: workers do not know that the search ended: %s", self.folder, error)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.shutdown(wait=True, cancel_futures=kind is not None)
