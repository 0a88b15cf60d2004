"""A folder of jobs that machines share: what lies where, and how it is read and written.

Every file is JSON and gets its name only when it is complete. A job is claimed by renaming its
file, which can succeed for one worker only. Nothing is ever unpickled: a folder that others can
write may make a search fail, but cannot make it run their code.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

SEARCH = "search.json"  # of which task the jobs are, and whether the search has ended
PARTS = ("waiting", "claimed", "results", "workers")
_BETWEEN = "@"  # the name of a job and of the worker that claimed it


def make_folder(folder: Path) -> None:
    """Make a folder of jobs, where there is none."""
    for part in PARTS:
        (folder / part).mkdir(parents=True, exist_ok=True)


def name_job(candidate: int, attempt: int) -> str:
    """Return the name of an attempt; names sort as candidates do."""
    return f"{candidate:07d}-{attempt}"


def list_jobs(folder: Path, part: str) -> list[str]:
    """Return the names of what lies in a part of the folder, sorted."""
    try:
        names = os.listdir(folder / part)
    except FileNotFoundError:
        return []
    return sorted(n.removesuffix(".json") for n in names if n.endswith(".json"))


def list_claims(folder: Path) -> dict[str, str]:
    """Return the worker that has claimed each job."""
    pairs = (name.partition(_BETWEEN) for name in list_jobs(folder, "claimed"))
    return {job: worker for job, _, worker in pairs}


def claim_job(folder: Path, job: str, worker: str) -> bool:
    """Take a job for one worker; False where another was faster."""
    try:
        os.rename(place(folder, "waiting", job), place_claim(folder, job, worker))
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
    """Return what a file holds; None if it is not there or not (yet) readable."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write a file aside, then give it its name."""
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        aside.write_text(json.dumps(data, allow_nan=False), encoding="utf-8")
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
