"""A worker that evaluates what a search leaves in a folder."""

from __future__ import annotations

import json
import logging
import os
import platform
import re
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

from brainguided.differences import find_differences
from brainguided.dispatch import Outcome, plain, run_attempt
from brainguided.executors import local_pool
from brainguided.job_folder import (
    SEARCH,
    claim_job,
    give_back,
    list_jobs,
    make_folder,
    place,
    place_claim,
    read_json,
    write_json,
)

_log = logging.getLogger(__name__)
_LOOK = 0.2  # s between two looks into the folder
_BEAT = 2.0  # s between two signs of life


def serve_folder(
    folder: str | os.PathLike[str],
    task: Any,
    *,
    workers: int = 1,
    evaluate: Callable[..., Any] | None = None,
    idle: float = 3600.0,
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
        compared.
    workers : int
        Processes, one thread each.
    evaluate : callable, optional
        As given to `run_search`; default: `evaluation.evaluate`.
    idle : float
        Seconds without anything to do after which this returns all the same.

    Returns
    -------
    int
        Number of evaluations that ended.

    Raises
    ------
    ValueError
        The task is not that of the search, or `idle` is negative.
    """
    if not idle >= 0:
        raise ValueError(f"idle is {idle!r}; expected a number of seconds.")
    if evaluate is None:
        from brainguided import evaluation  # torch, which workers with their own do not need

        evaluate = evaluation.evaluate
    host = re.sub(r"[^A-Za-z0-9.-]", "-", platform.node())
    name = f"{host}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    folder = Path(folder)
    make_folder(folder)
    described = json.loads(json.dumps(task.describe()))
    with local_pool(workers) as pool, _Heart(folder, name, workers):
        served = _Served(folder, name, pool, task, evaluate)
        active = time.monotonic()
        try:
            while True:
                served.look()
                search = read_json(folder / SEARCH)
                if search is not None:
                    _refuse_other(search.get("task"), described, folder)
                    if search.get("ended") and not served.running:
                        break
                    if not search.get("ended"):
                        served.claim(workers)
                if served.running:
                    active = time.monotonic()
                elif time.monotonic() - active > idle:
                    _log.info("nothing to do for %.0f s", idle)
                    break
                time.sleep(_LOOK)
        except BaseException:
            served.leave()
            raise
    return served.ended


class _Served:
    """Hold the jobs that this worker has claimed."""

    def __init__(
        self, folder: Path, name: str, pool: Any, task: Any, evaluate: Callable[..., Any]
    ) -> None:
        self.running: dict[str, tuple[Future[Outcome], dict[str, Any]]] = {}
        self.ended = 0
        self._folder, self._name, self._pool = folder, name, pool
        self._task, self._evaluate = task, evaluate

    def claim(self, workers: int) -> None:
        """Take jobs, the earliest first, as there are processes for them."""
        if len(self.running) >= workers:
            return
        for job in list_jobs(self._folder, "waiting"):
            if not claim_job(self._folder, job, self._name):
                continue
            given = read_json(place_claim(self._folder, job, self._name)) or {}
            architecture, seed = given.get("architecture"), given.get("seed")
            if not isinstance(architecture, str) or type(seed) is not int:
                self._write(job, {**given, "lost": f"The job {job} cannot be read"})
                continue
            future = self._pool.submit(
                run_attempt, self._evaluate, architecture, self._task, seed, True
            )
            self.running[job] = (future, {"architecture": architecture, "seed": seed})
            if len(self.running) >= workers:
                return

    def look(self) -> None:
        """Write results that are there; end what was taken away."""
        for job, (future, given) in list(self.running.items()):
            if future.done():
                del self.running[job]
                self._write(job, {**given, **_describe_result(future)})
                self.ended += 1
            elif not place_claim(self._folder, job, self._name).exists():
                _log.info("%s was taken away", job)
                del self.running[job]
                self._pool.kill(future)

    def leave(self) -> None:
        """Let others have what is not finished."""
        for job in self.running:
            with suppress(OSError):
                give_back(self._folder, job, self._name)

    def _write(self, job: str, result: dict[str, Any]) -> None:
        claim = place_claim(self._folder, job, self._name)
        if claim.exists():  # else the search no longer waits for it
            write_json(place(self._folder, "results", job), result)
            claim.unlink(missing_ok=True)
            _log.info("%s: %s", job, result.get("values", result).get("outcome", "lost"))


def _describe_result(future: Future[Outcome]) -> dict[str, Any]:
    try:
        outcome = future.result()
    except BaseException as error:  # the process died
        return {"lost": f"{type(error).__name__}: {error}"}
    return {
        "values": plain(outcome.values),
        "timing": vars(outcome.timing),
        "log": outcome.log,
    }


def _refuse_other(task: Any, described: dict[str, Any], folder: Path) -> None:
    differences = find_differences(task or {}, described, ("in the search", "of this worker"))
    if differences:
        raise ValueError(
            f"The search of {folder} has another task than this worker; give both the same run "
            "file and data:" + "".join(differences)
        )


class _Heart:
    """Write a sign of life now and then, from a thread of its own."""

    def __init__(self, folder: Path, name: str, workers: int) -> None:
        self._path = place(folder, "workers", name)
        self._sign = {"host": platform.node(), "pid": os.getpid(), "workers": workers}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="brainguided-heart", daemon=True)

    def __enter__(self) -> _Heart:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()
        self._path.unlink(missing_ok=True)

    def _beat(self) -> None:
        beat = 0
        while True:
            with suppress(OSError):  # of a moment; if it lasts, the search counts us as lost
                write_json(self._path, {**self._sign, "beat": beat})
            beat += 1
            if self._stop.wait(_BEAT):
                return
