"""A worker that evaluates what a search leaves in a folder."""

from __future__ import annotations

import logging
import os
import platform
import re
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future
from contextlib import suppress
from pathlib import Path
from typing import Any

from brainguided.engines.attempt import run_attempt
from brainguided.engines.folder._weights import goes_on, read_retraining, read_start, write_trained
from brainguided.engines.folder.jobs import (
    JOB_KEYS,
    LEFT_BY,
    SEARCH,
    claim_job,
    describe_work,
    digest_work,
    give_back,
    has_claim,
    list_claims,
    list_jobs,
    make_folder,
    order_jobs,
    place,
    place_claim,
    read_json,
    write_json,
)
from brainguided.engines.local import UnguardedScriptError, local_pool
from brainguided.engines.output import clean
from brainguided.engines.versions import list_versions
from brainguided.journal.differing_settings import find_differences

_log = logging.getLogger(__name__)
_LOOK = 0.2  # s between two looks into the folder
_BEAT = 2.0  # s between two signs of life
_PATIENCE = 60.0  # s of nothing but errors


def serve_folder(
    folder: str | os.PathLike[str],
    task: Any,
    *,
    workers: int = 1,
    evaluate: Callable[..., Any] | None = None,
    idle: float = 3600.0,
    memory: int | None = None,
) -> int:
    """Evaluate the candidates that a search with `folder_executor` leaves in a folder.

    Returns when that search has ended. Start as many as you like, on any machine that sees the
    folder, before or after the search.

    Parameters
    ----------
    folder : path
        As given to `folder_executor`.
    task : Task
        The same as that of the search: its ``describe()``, with the fingerprints of its data, is
        compared, and so are the versions of this package and of torch.
    workers : int
        Processes, one thread each.
    evaluate : callable, optional
        As given to `run_search`; default: `evaluation.evaluate`.
    idle : float
        Seconds without anything to do after which this returns all the same.
    memory : int, optional
        Bytes of data that each process may hold (Linux), see `local_pool`.

    Returns
    -------
    int
        Number of evaluations that ended.

    Raises
    ------
    ValueError
        The task or the versions are not those of the search, `idle` is negative, or `memory` is
        too small.
    OSError
        For a minute there was nothing but errors when the folder was read.
    """
    if not idle >= 0:
        raise ValueError(f"idle is {idle!r}; expected a number of seconds.")
    if evaluate is None:
        from brainguided.candidates import (
            evaluation,  # torch, which workers with their own do not need
        )

        evaluate = evaluation.evaluate
    host = re.sub(r"[^A-Za-z0-9.-]", "-", platform.node())
    name = f"{host}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    folder = Path(folder)
    make_folder(folder)
    work = describe_work(task)
    with local_pool(workers, memory=memory) as pool, _Heart(folder, name, workers):
        served = _Served(folder, name, pool, pool.share(task), evaluate, digest_work(work))
        active = time.monotonic()
        trouble: float | None = None  # since when there is nothing but errors
        try:
            while True:
                try:
                    served.look()
                    search = read_json(folder / SEARCH) or {}
                    ours = digest_work(search) == served.digest
                    if search.get("ended"):  # another search sends its own workers home
                        if ours and not served.running:
                            break
                    elif ours:
                        served.claim(workers)
                    elif "task" in search:
                        _refuse_other(search, work, folder)
                    trouble = None
                except OSError as error:
                    trouble = _bear(error, trouble, folder)
                if served.running or served.finished:
                    active = time.monotonic()
                elif time.monotonic() - active > idle:
                    _log.info("nothing to do for %.0f s", idle)
                    break
                time.sleep(_LOOK)
        except BaseException:
            served.leave()
            raise
    return served.ended


def _bear(error: OSError, since: float | None, folder: Path) -> float:
    """Return since when there are errors; raise the last one if that is long ago."""
    now = time.monotonic()
    if since is None:
        _log.warning("%s: %s; trying again", folder, error)
        return now
    if now - since > _PATIENCE:
        raise error
    return since


class _Served:
    """Jobs that this worker has claimed."""

    def __init__(
        self,
        folder: Path,
        name: str,
        pool: Any,
        task: Any,
        evaluate: Callable[..., Any],
        digest: str,
    ) -> None:
        self.running: dict[str, tuple[Future[Any], dict[str, Any]]] = {}
        self.finished: dict[str, dict[str, Any]] = {}  # results that are not yet written
        self.ended = 0
        self.digest = digest  # of the task and the versions here
        self._had: dict[str, Any] = {}  # all jobs ever begun here, and who had left them
        self._failing = False  # writing
        self._folder, self._name, self._pool = folder, name, pool
        self._task, self._evaluate = task, evaluate

    def claim(self, workers: int) -> None:
        """Take jobs as there are processes for them; none that anyone has or had here."""
        if len(self.running) >= workers or self.finished:
            return
        waiting = list_jobs(self._folder, "waiting")
        claims = list_claims(self._folder)
        ended = set(list_jobs(self._folder, "results")) if waiting else set()
        # What we have, but did not begin: an error came in between
        ours = [job for job, holders in claims.items() if self._name in holders]
        free = [job for job in waiting if job not in claims and job not in ended]
        for job in [*ours, *order_jobs(free, self._name)]:
            if len(self.running) >= workers:
                return
            if job in self._had and not self._is_new(job, claimed=job in ours):
                continue
            if goes_on(job) and job not in ours and not self._has_start(job):
                continue
            if job in ours or claim_job(self._folder, job, self._name):
                self._begin(job)

    def _has_start(self, job: str) -> bool:
        """Return whether the weights are there that a job goes on from."""
        given = read_json(place(self._folder, "waiting", job)) or {}
        return read_start(self._folder, job, given.get("start")) is not None

    def _is_new(self, job: str, *, claimed: bool) -> bool:
        """Return whether a search has left a job since it was begun here."""
        name = place_claim(self._folder, job, self._name)
        found = read_json(name if claimed else place(self._folder, "waiting", job)) or {}
        return bool(found.get(LEFT_BY, self._had[job]) != self._had[job])

    def _begin(self, job: str) -> None:
        given = read_json(place_claim(self._folder, job, self._name)) or {}
        self._had[job] = given.get(LEFT_BY)
        if "task" in given and given["task"] != self.digest:
            _log.warning("%s is of another search and given back", job)
            give_back(self._folder, job, self._name)
            return
        given = {key: given[key] for key in JOB_KEYS if key in given} | {"task": self.digest}
        architecture, seed = given.get("architecture"), given.get("seed")
        try:
            again = read_retraining(given, self._folder, job)
        except ValueError:
            architecture = None
        bars = given.get("bars", [])
        if not isinstance(architecture, str) or type(seed) is not int or not _are_bars(bars):
            self.finished[job] = {**given, "lost": f"The job {job} cannot be read"}
            return
        if again is not None:
            from brainguided.candidates.after_search import train_again  # torch

            future: Future[Any] = self._pool.submit(train_again, again, self._task)
        else:
            future = self._pool.submit(
                run_attempt, self._evaluate, architecture, self._task, seed, True, bars
            )
        self.running[job] = (future, given)

    def look(self) -> None:
        """Write results that are there; end what was taken away."""
        for job, (future, given) in list(self.running.items()):
            if future.done():
                self.finished[job] = given | _describe_result(future, again="again" in given)
                del self.running[job]
                self.ended += 1
            elif not has_claim(self._folder, job, self._name):
                _log.info("%s was taken away", job)
                del self.running[job]
                self._pool.kill(future)
        self._write_finished()

    def leave(self) -> None:
        """Write what has ended, and let others have what has not."""
        for job, (future, given) in self.running.items():
            if future.done() and not future.cancelled() and future.exception() is None:
                self.finished[job] = given | _describe_result(future, again="again" in given)
        self._write_finished()
        for job in {**self.running, **self.finished}:  # nothing where the result is written
            with suppress(OSError):
                give_back(self._folder, job, self._name)

    def _write_finished(self) -> None:
        """Write results; what cannot be written is kept for the next look."""
        failed = None
        for job in list(self.finished):
            try:
                self._write(job)
            except OSError as error:
                failed = error
        if failed is not None and not self._failing:
            _log.warning("A result cannot be written: %s; trying again", failed)
        self._failing = failed is not None

    def _write(self, job: str) -> None:
        """Write a result, unless the search no longer waits for it."""
        result = self.finished[job]
        if has_claim(self._folder, job, self._name):
            told = {key: value for key, value in result.items() if key != "trained"}
            if "trained" in result:  # first, since who sees the result looks for them
                told |= write_trained(self._folder, job, result["trained"])
            write_json(place(self._folder, "results", job), told)
            place_claim(self._folder, job, self._name).unlink(missing_ok=True)
            _log.info("%s: %s", job, _say_result(result))
        del self.finished[job]


def _are_bars(value: Any) -> bool:
    """Return whether a job says properly at which rungs it may end."""
    return isinstance(value, list) and all(
        isinstance(one, list)
        and len(one) == 2
        and type(one[0]) is int
        and isinstance(one[1], int | float)
        for one in value
    )


def _describe_result(future: Future[Any], *, again: bool) -> dict[str, Any]:
    """Return what is written of a result; weights themselves under "trained"."""
    try:
        found = future.result()
    except UnguardedScriptError:  # of this worker; the candidates are another's to evaluate
        raise
    except BaseException as error:
        if again and isinstance(error, Exception) and not isinstance(error, BrokenExecutor):
            kind = "MemoryError" if isinstance(error, MemoryError) else "ArithmeticError"
            kind = kind if isinstance(error, MemoryError | ArithmeticError) else "RuntimeError"
            return {"failed": clean(f"{error}"), "kind": kind}
        return {"lost": f"{type(error).__name__}: {error}"}  # the process died
    if again:
        return {"trained": found}
    return {"values": found.values, "timing": vars(found.timing), "log": found.log}


def _say_result(result: dict[str, Any]) -> str:
    if "trained" in result:
        return "trained again"
    return str(result.get("failed") or result.get("values", result).get("outcome", "lost"))


def _refuse_other(search: dict[str, Any], work: dict[str, Any], folder: Path) -> None:
    theirs = {name: search.get(name) for name in work}
    differences = find_differences(theirs, work, ("in the search", "of this worker"))
    if differences:
        raise ValueError(
            f"The search of {folder} has another task or other versions than this worker; give "
            "both the same run file and data, and install the same versions everywhere:"
            + "".join(differences)
        )


class _Heart:
    """Thread that writes a sign of life at regular intervals."""

    def __init__(self, folder: Path, name: str, workers: int) -> None:
        self._path = place(folder, "workers", name)
        self._sign = {
            "host": platform.node(),
            "pid": os.getpid(),
            "workers": workers,
            "versions": list_versions(),
        }
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="brainguided-heart", daemon=True)

    def __enter__(self) -> _Heart:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _beat(self) -> None:
        beat = 0
        while True:
            with suppress(OSError):  # of a moment; if it lasts, the search counts us as lost
                write_json(self._path, {**self._sign, "beat": beat})
            beat += 1
            if self._stop.wait(_BEAT):
                return
