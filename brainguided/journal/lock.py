"""The lock of a run folder: one driver at a time."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from brainguided.journal._journal_file import FILE_NAME, JournalError, connect_to_read

_MOMENT = 0.5  # s for which somebody may look whether the lock is taken


def take_lock(folder: Path) -> sqlite3.Connection:
    """Take the lock of a run folder; the operating system frees it when the process dies."""
    connection = sqlite3.connect(folder / "journal.lock", timeout=_MOMENT, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        connection.close()
        if "locked" not in str(error):
            raise
        raise JournalError(
            f"Another search is writing into {folder}{_say_holder(folder)}. "
            "Wait for it to end, or choose another folder."
        ) from error
    return connection


def is_locked(folder: Path) -> bool | None:
    """Return whether a process of this machine holds the lock; None if that cannot be known."""
    path = folder / "journal.lock"
    try:
        address = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=0)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        return True if "locked" in str(error) else None
    except sqlite3.Error:
        return None
    return False


def _say_holder(folder: Path) -> str:
    """Return which process began the last session, where that can be read."""
    path = folder / FILE_NAME
    try:
        with closing(connect_to_read(f"{path.absolute().as_uri()}?mode=ro", path)) as connection:
            query = "SELECT pid, host FROM session ORDER BY id DESC LIMIT 1"
            row = connection.execute(query).fetchone()
    except (sqlite3.Error, ValueError):
        return ""
    return f" (process {row[0]} on {row[1]})" if row else ""
