"""The file of a journal: its tables, how it is opened and locked, and what is refused."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from brainguided.journal._chain import TABLE, follow

FILE_NAME = "journal.db"
FORMAT = 4
_CHAINED = 3  # the first with digests
_READ = (2, 3, FORMAT)  # earlier ones hold less of each candidate, and are not gone on with
APPLICATION_ID = 0x62674A31  # "bgJ1"
_TABLES = """
CREATE TABLE search (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    config TEXT NOT NULL
);
CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ({kinds})),
    payload TEXT NOT NULL
);
CREATE TABLE evaluation (
    candidate INTEGER NOT NULL, attempt INTEGER NOT NULL,
    architecture TEXT NOT NULL, key TEXT NOT NULL, seed INTEGER NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('done', 'failed', 'lost')),
    reason TEXT NOT NULL,
    performance REAL, guidance REAL, reward REAL,
    {results},
    PRIMARY KEY (candidate, attempt)
) WITHOUT ROWID;
CREATE TABLE timing (
    candidate INTEGER NOT NULL, attempt INTEGER NOT NULL,
    seconds REAL NOT NULL, started REAL NOT NULL, finished REAL NOT NULL,
    host TEXT NOT NULL, pid INTEGER NOT NULL,
    PRIMARY KEY (candidate, attempt)
) WITHOUT ROWID;
CREATE TABLE snapshot (
    id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL, state TEXT NOT NULL
);
CREATE TABLE session (
    id INTEGER PRIMARY KEY, started REAL NOT NULL, workers TEXT NOT NULL,
    host TEXT NOT NULL, pid INTEGER NOT NULL, versions TEXT NOT NULL
);
"""
# Of no other use than to say how far a search is
_PROGRESS = """
CREATE TABLE IF NOT EXISTS progress (
    id INTEGER PRIMARY KEY CHECK (id = 1), at REAL NOT NULL, candidates INTEGER NOT NULL,
    running INTEGER NOT NULL, waiting INTEGER NOT NULL, workers INTEGER{digest}
);
"""
# Made when it is first needed: journals of format 4 may be without
CONFIRMING = """
CREATE TABLE IF NOT EXISTS confirming (
    id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL, evaluations INTEGER NOT NULL,
    hindered TEXT NOT NULL, digest TEXT NOT NULL
);
"""
_OF_FORMAT = {
    3: {
        "kinds": "'earlier', 'ask', 'tell', 'correct'",
        "results": "similarity TEXT NOT NULL, history TEXT NOT NULL,\n"
        "    n_parameters INTEGER, examples INTEGER, duplicate_of INTEGER",
    },
    4: {
        "kinds": "'earlier', 'ask', 'tell', 'correct', 'frozen'",
        "results": "n_parameters INTEGER, examples INTEGER, duplicate_of INTEGER,\n"
        "    measurement TEXT NOT NULL",  # last: others are read without it
    },
}
_SCHEMAS = {
    number: _TABLES.format(**parts) + TABLE + _PROGRESS.format(digest=", digest TEXT NOT NULL")
    for number, parts in _OF_FORMAT.items()
}
_NAMES = {"search", "event", "evaluation", "timing", "snapshot", "session"}
_KNOWN = _NAMES | {"progress", "confirming", "chain"}


LARGE = 16 * 2**20  # bytes of a journal that is not read whole for a look
_PATIENCE = 1800.0  # s for which another program may hold the journal
_log = logging.getLogger(__name__)


class JournalError(ValueError):
    """Raised when a journal cannot be read, written or resumed as it is."""


def cause(error: Exception) -> str:
    """Return what the operating system says is wrong."""
    return getattr(error, "strerror", None) or str(error)


def connect_to_read(address: str, path: Path, *, brief: bool = False) -> sqlite3.Connection:
    """Open a journal for reading; `brief` leaves out what takes seconds of a large one."""
    connection = sqlite3.connect(address, uri=True, isolation_level=None)
    try:
        connection.execute("BEGIN")  # rows and digests of one moment
        _check(connection, path, brief=brief and path.stat().st_size > LARGE)
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_to_write(path: Path, *, new_format: int = FORMAT) -> sqlite3.Connection:
    """Open a journal for writing, or begin one.

    Raises
    ------
    JournalError
        It is no journal, or one of an earlier format.
    """
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        # A driver killed in its first moment leaves an empty file
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        new = tables == 0 and pragma(connection, "application_id") == 0
        if not new:
            _check(connection, path)
            if (found := pragma(connection, "user_version")) != FORMAT:
                raise JournalError(
                    f"{path} has format {found}, which holds less of each candidate than a search "
                    "records today, so the search cannot go on in it. It can still be reported, "
                    "exported and replayed. To use what it found, start in another folder with "
                    f'warm_start = "{path.parent}" under [controller].'
                )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        if new:
            connection.executescript(
                f"BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION_ID}; "
                f"PRAGMA user_version = {new_format}; {_SCHEMAS[new_format]} COMMIT;"
            )
    except BaseException:
        connection.close()
        raise
    return connection


def is_chained(connection: sqlite3.Connection) -> bool:
    """Return whether the rows of a journal carry digests."""
    return bool(pragma(connection, "user_version") >= _CHAINED)


def begin_writing(connection: sqlite3.Connection, path: Path) -> None:
    """Begin a transaction; while another program holds the journal, wait for it and say so."""
    until = None
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:  # SQLite itself has waited for 5 s
            if not is_held(error):
                raise
            if until is None:
                until = time.monotonic() + _PATIENCE
                _log.warning(
                    "Another program holds %s, perhaps a database browser with an edit that is "
                    "not saved. The search waits; close it there.",
                    path,
                )
            elif time.monotonic() > until:
                raise JournalError(
                    f"Another program has held {path} for {_PATIENCE / 60:.0f} minutes. Close it "
                    "(a database browser, a copy that is being made), then start the same search "
                    "again: nothing that was recorded is lost."
                ) from error


def pragma(connection: sqlite3.Connection, name: str) -> Any:
    """Return a number or text that SQLite keeps of a file."""
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def _check(connection: sqlite3.Connection, path: Path, *, brief: bool = False) -> None:
    """Refuse what is not an intact journal of this format."""
    if pragma(connection, "application_id") != APPLICATION_ID:
        raise JournalError(
            f"{path} is not the journal of a search but another or an empty SQLite file. "
            "Give the folder of a search, or an empty one."
        )
    found = pragma(connection, "user_version")
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    if found not in _READ or (found < _CHAINED and "chain" in names):
        raise JournalError(
            f"{path} has format {found}, this version of brainguided knows format {FORMAT} and "
            "earlier ones. Open it with the version that wrote it (table 'session', column "
            "'versions'), or restore it from a copy."
        )
    verdict = "ok" if brief else pragma(connection, "quick_check")
    if path.stat().st_size % pragma(connection, "page_size"):
        verdict = "the file ends within a page"
    if verdict != "ok" or not names >= _NAMES:
        missing = ", ".join(sorted(_NAMES - names))
        raise sqlite3.DatabaseError(f"missing tables: {missing}" if missing else verdict)
    if foreign := sorted(name for name in names - _KNOWN if not name.startswith("sqlite_")):
        drop = "; ".join(f'DROP TABLE "{name}"' for name in foreign[:3])
        raise JournalError(
            f"{path} holds {len(foreign)} tables of another program: {', '.join(foreign[:3])}. "
            "Let that program work on a copy. To go on here, take its tables out, with "
            f"sqlite3 {path} '{drop}{' ...' if len(foreign) > 3 else ''}'."
        )
    if found >= _CHAINED:
        expected = _EXPECTED[found]
        if _read_schema(connection) not in (expected, expected | _LATER):
            raise sqlite3.DatabaseError("its tables are not those of a journal")
        if not brief and (problem := follow(connection).problem):
            raise JournalError(
                f"{path} is damaged: {problem} is not as it was recorded. Restore it from a copy, "
                f"or recover all that was recorded before: brainguided repair {path.parent}."
            )


def _read_schema(connection: sqlite3.Connection) -> dict[str, str]:
    """Return the definition of each table of ours."""
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
    return {name: sql for name, sql in rows if name in _KNOWN}


def _make_schema(text: str) -> dict[str, str]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(text)
        return _read_schema(connection)


_LATER = _make_schema(CONFIRMING)
_EXPECTED = {number: _make_schema(text) for number, text in _SCHEMAS.items()}


def is_held(error: Exception) -> bool:
    """Return whether an error says that another program has locked the file."""
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)


@contextmanager
def one_error(path: Path) -> Iterator[None]:
    """Turn errors of SQLite into one of ours, with the file."""
    try:
        yield
    except (sqlite3.Error, UnicodeError) as error:
        if is_held(error):
            raise JournalError(
                f"{path} is held by another program, which lets nobody else read it: perhaps a "
                "database browser with an edit that is not saved. Close it there, then try again."
            ) from error
        raise JournalError(
            f"{path} cannot be opened as a journal ({error}). Restore it from a copy, recover what "
            f"can be read (brainguided repair {path.parent}), or start the search again in "
            "another folder."
        ) from error
