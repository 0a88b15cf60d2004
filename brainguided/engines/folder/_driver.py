"""The sole right of one search to leave candidates in a folder."""

from __future__ import annotations

import json
import logging
import os
import platform
import time
import uuid
from pathlib import Path
from typing import Any

from brainguided.engines.folder.jobs import read_json, write_json

_log = logging.getLogger(__name__)
_FILE = "driver.json"
_LOOK = 0.2  # s between two looks at the sign of another
_BEAT = 2.0  # s between two signs of life
_SAID = 3.0  # s of waiting that are worth a line


class FolderInUseError(ValueError):
    """Raised when another search leaves its candidates in the same folder."""


class Driver:
    """Lock on a folder that says who has it, and lives as long as its signs of life.

    Locks of the operating system do not reach across machines, nor across copies that a program
    keeps the same; a file whose number grows does.

    Parameters
    ----------
    folder : Path
    silence : float
        Seconds without a sign of another search after which the folder is taken from it.

    Raises
    ------
    FolderInUseError
        Another search gives signs of life in it.
    """

    def __init__(self, folder: Path, *, silence: float) -> None:
        self._path = folder / _FILE
        self._folder, self._silence = folder, silence
        self._mine: dict[str, Any] = {**_identify(), "token": uuid.uuid4().hex, "beat": 0}
        self._beaten = time.monotonic()
        while not self._create():
            self._wait_until_silent()

    def _create(self) -> bool:
        """Write our file where there is none."""
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            return False
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(self._mine, file)
        return True

    def _wait_until_silent(self) -> None:
        """Remove the file of a search that is gone; that of one that lives is refused."""
        first, start, said = read_json(self._path), time.monotonic(), False
        while not _is_dead(first):
            now = time.monotonic()
            if not self._path.exists():
                return
            found = read_json(self._path)
            if found is not None and first is not None and found != first:
                raise FolderInUseError(
                    f"Another search leaves its candidates in {self._folder} ({_name(found)}). "
                    "Wait for it to end, or give this one a folder of its own."
                )
            first = first or found
            if now - start > self._silence:
                break
            if not said and now - start > _SAID:
                said = True
                _log.warning(
                    "%s belongs to another search (%s); it is taken where nothing is heard of that "
                    "for %g s",
                    self._folder,
                    _name(first),
                    self._silence,
                )
            time.sleep(_LOOK)
        self._path.unlink(missing_ok=True)

    def beat(self) -> None:
        """Give a sign of life, now and then.

        Raises
        ------
        FolderInUseError
            Another search has taken the folder, as it heard nothing of this one.
        OSError
            The folder cannot be written now.
        """
        now = time.monotonic()
        if now - self._beaten < _BEAT:
            return
        found = read_json(self._path)
        if found is not None and found.get("token") != self._mine["token"]:
            raise FolderInUseError(
                f"Another search ({_name(found)}) took {self._folder}: it heard nothing of this "
                "one for too long."
            )
        self._mine["beat"] += 1
        write_json(self._path, self._mine)
        self._beaten = now

    def is_mine(self) -> bool:
        """Return whether no other search has taken the folder."""
        found = read_json(self._path)
        return found is not None and bool(found.get("token") == self._mine["token"])

    def release(self) -> None:
        """Let another search have the folder."""
        if self.is_mine():
            self._path.unlink(missing_ok=True)


def _identify() -> dict[str, Any]:
    try:
        namespace = os.readlink("/proc/self/ns/pid")  # containers may share the name of a host
    except OSError:
        namespace = ""
    return {"host": platform.node(), "namespace": namespace, "pid": os.getpid()}


def _is_dead(holder: dict[str, Any] | None) -> bool:
    """Return whether the process of a search is known to be gone: it was on this machine."""
    here = _identify()
    if holder is None or any(holder.get(name) != here[name] for name in ("host", "namespace")):
        return False
    pid = holder.get("pid")
    if type(pid) is not int or pid < 1:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # of another user
        return False
    return False


def _name(holder: dict[str, Any] | None) -> str:
    holder = holder or {}
    return f"process {holder.get('pid', 'unknown')!r} on {holder.get('host', 'unknown')!r}"
