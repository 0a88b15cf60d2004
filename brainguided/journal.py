"""The journal: the record of a search on disk, one SQLite file.

What depends only on the search itself (tables ``search``, ``event`` and ``evaluation``) is kept
apart from what depends on time and place (``timing``, ``session``). The first three come out of a
plain SELECT the same, row for row, however many workers there were and however often the search
was killed and resumed.
"""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import xarray as xr

from brainguided.records import Attempt, Timing, build_run, export_run

FILE_NAME = "journal.db"
FORMAT = 1
APPLICATION_ID = 0x62674A31  # "bgJ1"
_TABLES = """
CREATE TABLE search (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    config TEXT NOT NULL
);
CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('ask', 'tell')),
    round INTEGER NOT NULL,
    payload TEXT NOT NULL,
    UNIQUE (round, kind)
);
CREATE TABLE evaluation (
    candidate INTEGER NOT NULL, attempt INTEGER NOT NULL,
    architecture TEXT NOT NULL, key TEXT NOT NULL, seed INTEGER NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('done', 'failed', 'lost')),
    reason TEXT NOT NULL,
    performance REAL, guidance REAL, reward REAL,
    similarity TEXT NOT NULL, history TEXT NOT NULL,
    n_parameters INTEGER, examples INTEGER, duplicate_of INTEGER,
    PRIMARY KEY (candidate, attempt)
) WITHOUT ROWID;
CREATE TABLE timing (
    candidate INTEGER NOT NULL, attempt INTEGER NOT NULL,
    seconds REAL NOT NULL, started REAL NOT NULL, finished REAL NOT NULL,
    host TEXT NOT NULL, pid INTEGER NOT NULL,
    PRIMARY KEY (candidate, attempt)
) WITHOUT ROWID;
CREATE TABLE session (
    id INTEGER PRIMARY KEY, started REAL NOT NULL, workers TEXT NOT NULL,
    host TEXT NOT NULL, pid INTEGER NOT NULL, versions TEXT NOT NULL
);
"""
_NAMES = {"search", "event", "evaluation", "timing", "session"}
_COLUMNS = tuple(column.name for column in fields(Attempt))
_JSON = ("similarity", "history")


class JournalError(ValueError):
    """A journal that cannot be read, written or resumed as it is."""


class Journal:
    """Hold an open journal; use it as a context manager.

    `Journal.open` writes (one driver at a time), `Journal.read` only reads, also while a search
    is running.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, lock: sqlite3.Connection | None):
        self.path = path
        self._connection = connection
        self._lock = lock

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Journal:
        """Open the journal of a run folder for writing, or begin one.

        Parameters
        ----------
        folder : path
            Made if it is missing.

        Raises
        ------
        JournalError
            The folder cannot be written, another search holds the journal, or the file is
            damaged, of a newer format, or not a journal at all.
        """
        folder = Path(folder)
        made = not folder.exists()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = _lock(folder)
        except (OSError, sqlite3.Error) as error:
            if made:
                with suppress(OSError):
                    folder.rmdir()
            raise JournalError(
                f"A run cannot be written into {folder} ({_cause(error)}). "
                "Choose a folder that can be written, with --out or out=."
            ) from error
        path = folder / FILE_NAME
        try:
            with _one_error(path):
                return cls(_connect_to_write(path), path, lock)
        except BaseException:
            lock.close()
            raise

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> Journal:
        """Open the journal of a run folder for reading; a running search is not disturbed.

        Raises
        ------
        FileNotFoundError
            The folder has no journal.
        JournalError
            The file is damaged, of a newer format, or not a journal at all.
        """
        path = Path(folder) / FILE_NAME
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} does not exist. Give the folder of a search, as given to --out or out=."
            )
        with _one_error(path):
            address = f"{path.resolve().as_uri()}?mode=ro"
            try:
                return cls(_connect_to_read(address, path), path, None)
            except sqlite3.OperationalError:
                # A folder that cannot be written holds no shared-memory file. Without a log
                # beside it the file itself is complete.
                if path.with_name(f"{FILE_NAME}-wal").exists():
                    raise
                return cls(_connect_to_read(f"{address}&immutable=1", path), path, None)

    def close(self) -> None:
        """Close the file and let another driver have it."""
        self._connection.close()
        if self._lock is not None:
            self._lock.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def config(self) -> dict[str, Any] | None:
        """Settings of the search; None in a journal that was only begun."""
        row = self._connection.execute("SELECT config FROM search").fetchone()
        return None if row is None else json.loads(row[0])

    def begin(self, config: dict[str, Any]) -> None:
        """Record the settings of the search."""
        with self._transaction():
            self._connection.execute("INSERT INTO search VALUES (1, ?)", (_dump(config),))

    def begin_session(self, *, workers: str) -> None:
        """Record that a driver started: when, where and with which versions."""
        names = ("brainguided", "torch", "numpy", "rsatoolbox")
        versions = {"python": platform.python_version()} | {name: _version(name) for name in names}
        with self._transaction():
            self._connection.execute(
                "INSERT INTO session (started, workers, host, pid, versions) "
                "VALUES (?, ?, ?, ?, ?)",
                (time.time(), workers, platform.node(), os.getpid(), _dump(versions)),
            )

    def rounds(self) -> list[tuple[list[str], list[float] | None]]:
        """Return, for every round, what was proposed (JSON) and the rewards told, if they were."""
        payloads = {
            (number, kind): json.loads(payload)
            for number, kind, payload in self._connection.execute(
                "SELECT round, kind, payload FROM event ORDER BY seq"
            )
        }
        return [
            (payload["architectures"], payloads.get((number, "tell"), {}).get("rewards"))
            for (number, kind), payload in payloads.items()
            if kind == "ask"
        ]

    def record_ask(self, number: int, first: int, architectures: Sequence[str]) -> None:
        """Record the proposals of a round, whose first candidate is `first`."""
        payload = {"first_candidate": first, "architectures": list(architectures)}
        with self._transaction():
            self._connection.execute(
                "INSERT INTO event VALUES (?, 'ask', ?, ?)", (2 * number, number, _dump(payload))
            )

    def record_attempt(self, attempt: Attempt, timing: Timing | None = None) -> None:
        """Record one attempt, with when and where it ran; committed on return."""
        with self._transaction():
            self._insert(attempt)
            if timing is not None:
                self._connection.execute(
                    "INSERT INTO timing VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (attempt.candidate, attempt.attempt, *astuple(timing)),
                )

    def record_tell(
        self,
        number: int,
        first: int,
        rewards: Sequence[float],
        duplicates: Sequence[Attempt],
    ) -> None:
        """Record the end of a round at once: duplicates, rewards of failures, what was told."""
        with self._transaction():
            for duplicate in duplicates:
                self._insert(duplicate)
            for candidate, reward in enumerate(rewards, first):
                self._connection.execute(
                    "UPDATE evaluation SET reward = ? WHERE candidate = ? AND outcome = 'failed'",
                    (reward, candidate),
                )
            payload = {"first_candidate": first, "rewards": list(rewards)}
            self._connection.execute(
                "INSERT INTO event VALUES (?, 'tell', ?, ?)",
                (2 * number + 1, number, _dump(payload)),
            )

    def results(self) -> list[Attempt]:
        """Return the final attempt of every candidate that has one, by candidate."""
        return [attempt for attempt in self.attempts() if attempt.outcome != "lost"]

    def attempts(self) -> list[Attempt]:
        """Return every attempt, by candidate and attempt."""
        names = ", ".join(_COLUMNS)
        rows = self._connection.execute(
            f"SELECT {names} FROM evaluation ORDER BY candidate, attempt"
        )
        return [_attempt(dict(zip(_COLUMNS, row, strict=True))) for row in rows]

    def seconds(self) -> dict[int, float]:
        """Return the time that each candidate took, all attempts together; s."""
        rows = self._connection.execute(
            "SELECT candidate, sum(seconds) FROM timing GROUP BY candidate ORDER BY candidate"
        )
        return {int(candidate): float(seconds) for candidate, seconds in rows}

    def to_xarray(self) -> xr.Dataset:
        """Return the run so far as a Dataset; see `records.build_run` for its variables."""
        return build_run(self.results(), seconds=self.seconds(), config=self.config or {})

    def export(self) -> list[Path]:
        """Write run.nc, run.csv, run.jsonl and winner.json beside the journal."""
        return export_run(self.results(), self.to_xarray(), self.path.parent)

    def _insert(self, attempt: Attempt) -> None:
        values = [getattr(attempt, name) for name in _COLUMNS]
        values = [_dump(v) if n in _JSON else v for n, v in zip(_COLUMNS, values, strict=True)]
        marks = ", ".join("?" * len(_COLUMNS))
        names = ", ".join(_COLUMNS)
        self._connection.execute(f"INSERT INTO evaluation ({names}) VALUES ({marks})", values)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield
            self._connection.execute("COMMIT")
        except BaseException as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if not isinstance(error, sqlite3.Error):
                raise
            raise JournalError(
                f"{self.path} cannot be written ({error}). Nothing before is lost: "
                "make room, then start the same search again to resume it."
            ) from error


def _attempt(row: dict[str, Any]) -> Attempt:
    values = row | {name: json.loads(row[name]) for name in _JSON}
    return Attempt(**values | {"history": tuple(values["history"])})


def _dump(data: Any) -> str:
    # Keys keep their order: layers come by depth
    return json.dumps(data, separators=(",", ":"), allow_nan=False)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def _cause(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _lock(folder: Path) -> sqlite3.Connection:
    """Take the lock of a run folder; the operating system frees it when the process dies."""
    connection = sqlite3.connect(folder / "journal.lock", timeout=0, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        connection.close()
        if "locked" not in str(error):
            raise
        raise JournalError(
            f"Another search is writing into {folder}{_holder(folder)}. "
            "Wait for it to end, or choose another folder."
        ) from error
    return connection


def _holder(folder: Path) -> str:
    try:
        with Journal.read(folder) as journal:
            row = journal._connection.execute(
                "SELECT pid, host FROM session ORDER BY id DESC LIMIT 1"
            ).fetchone()
    except (OSError, ValueError):
        return ""
    return f" (process {row[0]} on {row[1]})" if row else ""


def _connect_to_read(address: str, path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(address, uri=True, isolation_level=None)
    try:
        _check(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_to_write(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        # A driver killed in its first moment leaves an empty file
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        new = tables == 0 and _pragma(connection, "application_id") == 0
        if not new:
            _check(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        if new:
            connection.executescript(
                f"BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION_ID}; "
                f"PRAGMA user_version = {FORMAT}; {_TABLES} COMMIT;"
            )
    except BaseException:
        connection.close()
        raise
    return connection


def _pragma(connection: sqlite3.Connection, name: str) -> Any:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse what is not an intact journal of this format."""
    if _pragma(connection, "application_id") != APPLICATION_ID:
        raise JournalError(
            f"{path} is not the journal of a search but another or an empty SQLite file. "
            "Give the folder of a search, or an empty one."
        )
    found = _pragma(connection, "user_version")
    if found != FORMAT:
        raise JournalError(
            f"{path} has format {found}, this version of brainguided knows format {FORMAT}. "
            "Open it with the version that wrote it (table 'session', column 'versions')."
        )
    verdict = _pragma(connection, "quick_check")
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    if verdict != "ok" or not names >= _NAMES:
        missing = ", ".join(sorted(_NAMES - names))
        raise sqlite3.DatabaseError(f"missing tables: {missing}" if missing else verdict)


@contextmanager
def _one_error(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise JournalError(
            f"{path} cannot be opened as a journal ({error}). "
            "Restore it from a copy, or start the search again in another folder."
        ) from error
