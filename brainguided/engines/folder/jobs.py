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
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from brainguided.engines.attempt import MeasurementError, Outcome
from brainguided.engines.output import clean
from brainguided.engines.versions import SAME, list_versions
from brainguided.journal.attempts import Timing
from neural_data.storage.aside import write_whole

SEARCH = "search.json"  # of which task and versions jobs are, and whether the search has ended
PARTS = ("waiting", "claimed", "results", "weights", "starts", "workers")
JOB_KEYS = ("architecture", "seed", "bars", "again", "steps", "validation", "start", "recipe")
LEFT_BY = "left_by"  # key of a job: the process of a search that left it, of no other meaning
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
    for part in ("weights", "starts"):
        for path in (folder / part).glob("*.npz"):
            path.unlink(missing_ok=True)


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
        text = read_bounded(path, _LARGEST).decode("utf-8")
        data = json.loads(text, parse_constant=_refuse_constant)
    except (FileNotFoundError, PermissionError, ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def read_bounded(path: Path, most: int) -> bytes:
    """Return what a regular file of bounded size holds: others can write into the folder.

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
        if not stat.S_ISREG(state.st_mode) or state.st_size > most:
            raise ValueError(f"{path} is no regular file, or larger than {most} bytes")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(most)
    finally:
        os.close(descriptor)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def read_outcome(found: Mapping[str, Any], name: str, job: Mapping[str, Any]) -> Outcome:
    """Return what the result of a job holds; the schema is that of every measurement.

    Raises
    ------
    MeasurementError
        It is that of another job, says that its worker was lost, or is none.
    """
    if is_other(found, job):
        raise MeasurementError(f"The result {name} is that of another job")
    if isinstance(found.get("lost"), str):
        raise MeasurementError(clean(found["lost"]))
    values, timing = found.get("values"), found.get("timing")
    if not isinstance(values, dict) or not isinstance(timing, dict) or set(timing) != _TIMING:
        raise MeasurementError(f"The result {name} is none: it has no values, or no timing")
    try:
        return Outcome(values, Timing(**timing), str(found.get("log", "")))
    except MeasurementError as error:
        raise MeasurementError(f"The result {name} is none: {error}") from error


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write a file aside, then give it its name."""
    write_whole(path, json.dumps(data, allow_nan=False))


def describe_work(task: Any) -> dict[str, Any]:
    """Return what has to be the same for a search and its workers, as JSON would give it back.

    That is the description of the task, with the fingerprints of its data, and the versions of
    this package and of torch.
    """
    versions = {name: list_versions()[name] for name in SAME}
    described: dict[str, Any] = json.loads(
        json.dumps({"task": task.describe(), "versions": versions})
    )
    return described


def digest_work(work: Mapping[str, Any]) -> str:
    """Return a few letters that stand for a task and the versions it is evaluated with."""
    text = json.dumps([work.get("task"), work.get("versions")], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def leave_job(folder: Path, name: str, job: Mapping[str, Any], *, left_by: str) -> None:
    """Write a job, unless a worker has it or has ended it.

    What an earlier search left under the same name is removed. `left_by` tells a job that is left
    anew from a copy of an old one, which no worker takes twice.
    """
    holders = list_claims(folder).get(name, [])
    paths = [place(folder, "results", name), *(place_claim(folder, name, w) for w in holders)]
    for path in paths:
        found = read_json(path)
        if found is not None and is_other(found, job):
            path.unlink(missing_ok=True)
    if not any(path.exists() for path in paths):
        write_json(place(folder, "waiting", name), {**job, LEFT_BY: left_by})


def take_away(folder: Path, name: str) -> None:
    """Remove a job that waits, and take it from whoever has it."""
    place(folder, "waiting", name).unlink(missing_ok=True)
    for worker in list_claims(folder).get(name, []):
        place_claim(folder, name, worker).unlink(missing_ok=True)


def is_other(found: Mapping[str, Any], job: Mapping[str, Any]) -> bool:
    """Return whether a file is that of another job, or of one for another task."""
    return any(found.get(key) != job[key] for key in job)
