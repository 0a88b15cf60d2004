"""Writing files aside and renaming them, so that no half file ever has its name."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


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
        In the same folder, hidden.
    """
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
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
