"""A folder of jobs that machines share: what lies where, and how it is read and written.

Every file is JSON and gets its name only when it is complete. A job is claimed by renaming its
file, which can succeed for one worker only, where the folder is really shared. Where each site has
a copy of its own that a program merges (rsync, Syncthing), two may claim the same job, and what
was removed may come back: a worker claims no job that it had before, or of which it sees a claim
or a result, and the search lets one of several claims stand. Nothing is ever unpickled: a folder
that others can write may make a search fail, but cannot make it run their code.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import platform
import stat
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from brainguided.engines.attempt import MeasurementError, Outcome
from brainguided.journal.attempts import Timing

_log = logging.getLogger(__name__)
SEARCH = "search.json"  # of which task the jobs are, and whether the search has ended
PARTS = ("waiting", "claimed", "results", "workers")
_LARGEST = 16 * 2**20  # bytes of a file
_TIMING = {field.name for field in fields(Timing)}
_BETWEEN = "@"  # the name of a job and of the worker that claimed it
_CONFLICT = ".sync-conflict-"  # in names of second versions that Syncthing keeps


def make_folder(folder: Path) -> None:
    """Make a folder of jobs, where there is none."""
    for part in PARTS:
        (folder / part).mkdir(parents=True, exist_ok=True)


def clear_folder(folder: Path) -> None:
    """Remove all jobs, in whatever state."""
    for part in ("waiting", "claimed", "results"):
        for name in list_jobs(folder, part):
            place(folder, part, name).unlink(missing_ok=True)


def name_job(candidate: int, attempt: int) -> str:
    """Return the name of an attempt; names sort as candidates do."""
    return f"{candidate:07d}-{attempt}"


def list_jobs(folder: Path, part: str) -> list[str]:
    """Return the names of what lies in a part of the folder, sorted.

    Raises
    ------
    OSError
        It cannot be listed; also where it is gone, which does not mean that it is empty.
    """
    names = os.listdir(folder / part)
    return sorted(
        name.removesuffix(".json")
        for name in names
        if name.endswith(".json") and _CONFLICT not in name
    )


def list_claims(folder: Path) -> dict[str, list[str]]:
    """Return the workers that have claimed each job, sorted; more than one only between copies."""
    claims: dict[str, list[str]] = {}
    for name in list_jobs(folder, "claimed"):
        job, _, worker = name.partition(_BETWEEN)
        claims.setdefault(job, []).append(worker)
    return claims


def order_jobs(jobs: list[str], worker: str) -> list[str]:
    """Return jobs in the order in which a worker tries them: each has its own."""
    return sorted(jobs, key=lambda job: hashlib.sha256(f"{worker} {job}".encode()).digest())


def claim_job(folder: Path, job: str, worker: str) -> bool:
    """Take a job for one worker; False where another was faster."""
    try:
        os.rename(place(folder, "waiting", job), place_claim(folder, job, worker))
    except FileNotFoundError:
        return has_claim(folder, job, worker)  # NFS may rename, lose the answer and ask again
    return True


def has_claim(folder: Path, job: str, worker: str) -> bool:
    """Return whether a worker (still) has a job; raises OSError where that cannot be known."""
    try:
        os.stat(place_claim(folder, job, worker))
    except FileNotFoundError:
        return False
    return True


def give_back(folder: Path, job: str, worker: str) -> None:
    """Let others have a job that was claimed; nothing where the claim was taken away."""
    with suppress(FileNotFoundError):
        os.rename(place_claim(folder, job, worker), place(folder, "waiting", job))


def place(folder: Path, part: str, name: str) -> Path:
    """Return where a file lies."""
    return folder / part / f"{name}.json"


def place_claim(folder: Path, job: str, worker: str) -> Path:
    """Return where a claimed job lies."""
    return place(folder, "claimed", f"{job}{_BETWEEN}{worker}")


def read_json(path: Path) -> dict[str, Any] | None:
    """Return what a file holds; None if it is not there, not for us, or not (yet) complete.

    Raises
    ------
    OSError
        It is there, as far as is known, but cannot be read now.
    """
    try:
        data = json.loads(_read_bounded(path), parse_constant=_refuse_constant)
    except (FileNotFoundError, PermissionError, ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _read_bounded(path: Path) -> str:
    """Return the text of a regular file of bounded size: others can write into the folder.

    Raises
    ------
    ValueError
        It is none: a pipe would never end, a link may lead anywhere.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:
        descriptor = os.open(path, flags | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link, a socket
            raise ValueError(f"{path} is no regular file") from error
        raise
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode) or state.st_size > _LARGEST:
            raise ValueError(f"{path} is no regular file, or larger than {_LARGEST} bytes")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(_LARGEST).decode("utf-8")
    finally:
        os.close(descriptor)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def read_outcome(found: Mapping[str, Any]) -> Outcome:
    """Return what a result file holds; the schema is that of every measurement.

    Raises
    ------
    MeasurementError
        It is none.
    """
    values, timing = found.get("values"), found.get("timing")
    if not isinstance(values, dict) or not isinstance(timing, dict) or set(timing) != _TIMING:
        raise MeasurementError("it has no values, or no timing")
    return Outcome(values, Timing(**timing), str(found.get("log", "")))


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write a file aside, then give it its name."""
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        aside.write_text(json.dumps(data, allow_nan=False), encoding="utf-8")
        os.replace(aside, path)
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def digest_task(described: Any) -> str:
    """Return a few letters that stand for the description of a task."""
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:16]


def list_versions() -> dict[str, str]:
    """Return the versions of what results depend on, in this process."""
    versions = {"python": platform.python_version()}
    for name in ("brainguided", "torch", "numpy"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "unknown"
    return versions


class Signs:
    """Signs of life of workers, judged by changes to files since their clocks may be wrong."""

    def __init__(self, folder: Path, *, silence: float) -> None:
        self._folder = folder
        self._silence = silence
        self._beats: dict[str, tuple[Any, float, int]] = {}  # last beat, seen here at, processes
        self._compared: set[str] = set()  # workers whose versions are known
        self._versions = list_versions()

    def read(self) -> dict[str, dict[str, Any] | None]:
        """Return what each worker has written last."""
        names = list_jobs(self._folder, "workers")
        return {name: read_json(place(self._folder, "workers", name)) for name in names}

    def note(self, signs: Mapping[str, dict[str, Any] | None], now: float, forgiven: float) -> None:
        """Take up what was read, and remove what is left of workers that are long gone.

        No worker gets older by the seconds that are forgiven.
        """
        beats = {
            worker: (beat, min(now, seen + forgiven), count if worker in signs else 0)
            for worker, (beat, seen, count) in self._beats.items()
        }
        for worker, sign in signs.items():
            before = beats.get(worker)
            if sign is not None and (before is None or before[0] != sign.get("beat")):
                count = sign.get("workers")
                beats[worker] = (sign.get("beat"), now, count if type(count) is int else 0)
                self._compare_versions(worker, sign.get("versions"))
        self._beats = beats
        for worker in signs:
            if worker in beats and now - beats[worker][1] > 10 * self._silence:
                place(self._folder, "workers", worker).unlink(missing_ok=True)

    def measure_silence(self, worker: str, now: float) -> float:
        """Return for how many seconds nothing was heard of a worker, counted from now on."""
        _, seen, _ = self._beats.setdefault(worker, (None, now, 0))
        return now - seen

    def is_silent(self, worker: str, now: float) -> bool:
        """Return whether nothing was heard of a worker for too long, counted from now on."""
        return self.measure_silence(worker, now) > self._silence

    def count_processes(self, now: float) -> dict[str, int]:
        """Return the workers heard of lately, and how many processes each has."""
        return {
            worker: count
            for worker, (_, seen, count) in list(self._beats.items())
            if count > 0 and now - seen <= self._silence
        }

    def _compare_versions(self, worker: str, versions: Any) -> None:
        """Warn once of a worker whose results may differ."""
        if worker in self._compared or not isinstance(versions, dict):
            return
        self._compared.add(worker)
        other = [
            f"{name} {versions.get(name)} (here {self._versions[name]})"
            for name in ("brainguided", "torch")
            if versions.get(name) != self._versions[name]
        ]
        if other:
            _log.warning(
                "Worker %s has %s: its results may differ from those of others. Install the same "
                "versions everywhere.",
                worker,
                ", ".join(other),
            )
