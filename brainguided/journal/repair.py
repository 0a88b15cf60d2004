"""What can be recovered of a journal that was damaged."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from brainguided.journal._chain import (
    Chain,
    append,
    follow,
    read_note,
    read_row,
    say_place,
    without_reward,
)
from brainguided.journal._journal_file import (
    APPLICATION_ID,
    CONFIRMING,
    FILE_NAME,
    JournalError,
    connect_to_write,
    is_chained,
    one_error,
    pragma,
)
from brainguided.journal.lock import take_lock

_LATER = ("snapshot",)  # is left out where it was replaced behind the damage


def repair_journal(out: str | os.PathLike[str]) -> tuple[int, str]:
    """Recover all rows of a journal that were recorded before the first bad one.

    The damaged file stays beside it, as ``journal.damaged.db``. The search goes on from what was
    recovered: it evaluates again what is missing.

    Parameters
    ----------
    out : path
        A run folder; no search may be writing into it.

    Returns
    -------
    number : int
        Candidates that were recovered.
    problem : str
        The first bad row, and the note on evaluations with other seeds if it is bad too, which is
        not recovered; empty where nothing is wrong, and then nothing was done.

    Raises
    ------
    FileNotFoundError
        The folder has no journal.
    JournalError
        The journal has no digests (format 2 and earlier), nothing of it can be read, an earlier
        damaged file is still there, or a search holds it.
    """
    folder = Path(out)
    path, aside = folder / FILE_NAME, folder / "journal.damaged.db"
    new = folder / f".journal.{os.getpid()}.db"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} has no {FILE_NAME}; give the folder of a search.")
    with closing(take_lock(folder)), one_error(path):
        with closing(sqlite3.connect(path, isolation_level=None)) as damaged:
            if pragma(damaged, "application_id") != APPLICATION_ID or not is_chained(damaged):
                raise JournalError(
                    f"{path} carries no digests, so nothing says which of its rows are right. "
                    "Restore it from a copy."
                )
            chain = follow(damaged)
            if not chain.problem and pragma(damaged, "quick_check") == "ok":
                return 0, ""
            if not chain.places:
                raise JournalError(
                    f"Nothing of {path} can be recovered. Restore it from a copy, or start the "
                    "search again in another folder."
                )
            if aside.exists():
                raise JournalError(f"{aside} is there already; move it away first.")
            try:
                number = _copy(damaged, chain, new)
            except BaseException:
                new.unlink(missing_ok=True)
                raise
        os.replace(path, aside)
        log = path.with_name(f"{path.name}-wal")
        if log.exists():  # what it holds belongs to the damaged file
            os.replace(log, aside.with_name(f"{aside.name}-wal"))
        path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
        os.replace(new, path)
    return number, chain.problem or "a page of the file"


def _copy(damaged: sqlite3.Connection, chain: Chain, new: Path) -> int:
    """Write the rows of a chain into a new journal; return the number of candidates."""
    candidates, told = set(), _find_told(damaged, chain)
    columns = [name for _, name, *_ in damaged.execute("PRAGMA table_info(evaluation)")]
    place_of_owner = columns.index("duplicate_of")
    kept = pragma(damaged, "user_version")
    with closing(connect_to_write(new, new_format=kept)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for place in chain.places:
            table, *key = json.loads(place)
            row = read_row(damaged, place)
            if row is None:
                raise JournalError(f"{say_place(place)} cannot be read.")
            if place in chain.later:
                if table in _LATER:
                    continue
                if table == "evaluation":  # told behind the damage: its reward is not known yet
                    row = without_reward(row)
            if table == "evaluation" and row[place_of_owner] is not None and key[0] not in told:
                continue  # a duplicate, which is recorded when it is told
            marks = ", ".join("?" * len(row))
            connection.execute(f"INSERT INTO {table} VALUES ({marks})", row)
            append(connection, table, *key)
            if table == "evaluation":
                candidates.add(key[0])
        _copy_note(damaged, connection)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = DELETE")
    return len(candidates)


def _copy_note(damaged: sqlite3.Connection, connection: sqlite3.Connection) -> None:
    """Copy what is noted of evaluations with other seeds, unless it is what was damaged."""
    try:
        note = read_note(damaged)
    except (sqlite3.Error, UnicodeError):
        return
    if note is not None:
        connection.execute(CONFIRMING)
        connection.execute("INSERT INTO confirming VALUES (?, ?, ?, ?, ?)", note)


def _find_told(damaged: sqlite3.Connection, chain: Chain) -> set[int]:
    rows = (read_row(damaged, place) for place in chain.places if place.startswith('["event"'))
    return {
        candidate
        for row in rows
        if row is not None and row[1] == "tell"
        for candidate in json.loads(row[2])["candidates"]
    }
