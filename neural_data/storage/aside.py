"""Writing files aside and renaming them, so that no half file ever has its name."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_OURS = re.compile(r"\..+\.([0-9a-f]{8})-(\d{1,10})\.[0-9a-f]{8}\.part")
_cleaned: set[Path] = set()  # folders, by this process


@contextmanager
def write_aside(path: Path) -> Iterator[Path]:
    """Yield a path to write to, which is renamed at the end of the block.

    Parameters
    ----------
    path : pathlib.Path
        The file to write or to replace. If the block raises, it stays as it was.

    Yields
    ------
    pathlib.Path
        In the same folder, hidden. What processes of this machine that are gone left there of
        their writing is removed.

    Raises
    ------
    OSError
        The name holds a zero byte, at which libraries of C would end it.
    """
    if "\0" in path.name:
        raise OSError(errno.EINVAL, "A name cannot hold a zero byte", str(path))
    folder = path.parent.absolute()
    if folder not in _cleaned:
        _cleaned.add(folder)
        remove_orphans(folder)
    mark = f"{_say_machine()}-{os.getpid()}.{secrets.token_hex(4)}"
    aside = path.with_name(f".{path.name}.{mark}.part")
    try:
        yield aside
        os.replace(aside, path)
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes | str) -> Path:
    """Write bytes, or text as UTF-8 with newlines as they are, at once; return the path."""
    with write_aside(path) as aside:
        aside.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def remove_orphans(folder: Path) -> None:
    """Remove half-written files whose process was on this machine and is gone."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _OURS.fullmatch(entry.name)
            if found and found[1] == _say_machine() and not _is_alive(int(found[2])):
                with suppress(OSError):
                    os.unlink(entry.path)


def _say_machine() -> str:
    """Return a few letters that stand for this machine and its numbering of processes."""
    try:
        space = os.readlink("/proc/self/ns/pid")  # containers may share the name of a host
    except OSError:
        space = ""
    return hashlib.sha256(f"{platform.node()} {space}".encode()).hexdigest()[:8]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # of another user
        return True
    return True
