"""The journal: the record of a search on disk, one SQLite file.

What depends only on the search itself (tables ``search``, ``event`` and ``evaluation``) is kept
apart from what depends on time and place (``timing``, ``session``) and from what only saves time
(``snapshot``: what the controller had learnt, now and then). The first three come out of a
plain SELECT the same, row for row, however many workers there were and however often the search
was killed and resumed.
"""

from __future__ import annotations

import os
import platform
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brainguided.journal._chain import append, digest
from brainguided.journal._journal_file import (
    APPLICATION_ID,
    CONFIRMING,
    FILE_NAME,
    FORMAT,
    LARGE,
    JournalError,
    begin_writing,
    cause,
    connect_to_read,
    connect_to_write,
    is_chained,
    is_held,
    one_error,
    pragma,
)
from brainguided.journal._records import Records
from brainguided.journal._rows import dump, find_version, insert_attempt
from brainguided.journal.attempts import AGAIN, Attempt, Timing
from brainguided.journal.confirmed import Confirming
from brainguided.journal.facts import Shown
from brainguided.journal.lock import take_lock

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["APPLICATION_ID", "FILE_NAME", "FORMAT", "Journal", "JournalError"]


class Journal(Records, Shown):
    """Open journal of a search; use it as a context manager.

    `Journal.open` writes (one driver at a time), `Journal.read` only reads, also while a search
    is running.

    Parameters
    ----------
    connection, path, lock
        Given by `open` and `read`, by which a journal is made.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, lock: sqlite3.Connection | None):
        self.path = path
        self._connection = connection
        self._lock = lock
        self.is_chained = is_chained(connection)
        self.is_earlier = pragma(connection, "user_version") < FORMAT

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
            lock = take_lock(folder)
        except (OSError, sqlite3.Error) as error:
            if made:
                with suppress(OSError):
                    folder.rmdir()
            raise JournalError(
                f"A run cannot be written into {folder} ({cause(error)}). "
                "Choose a folder that can be written, with --out or out=."
            ) from error
        path = folder / FILE_NAME
        try:
            with one_error(path):
                return cls(connect_to_write(path), path, lock)
        except BaseException:
            lock.close()
            raise

    @classmethod
    def read(cls, folder: str | os.PathLike[str], *, brief: bool = False) -> Journal:
        """Open the journal of a run folder for reading; a running search is not disturbed.

        Parameters
        ----------
        folder : path
        brief : bool
            Whether a journal above 16 MiB is opened without comparing every row with its digest,
            for a look that has to take less than seconds.

        Raises
        ------
        FileNotFoundError
            The folder has no journal.
        JournalError
            The file is damaged, of a newer format, or not a journal at all.
        """
        path = Path(folder) / FILE_NAME
        if not path.is_file():
            what = "is no file" if path.exists() else "does not exist"
            raise FileNotFoundError(
                f"{path} {what}. Give the folder of a search, as given to --out or out=."
            )
        with one_error(path):
            address = f"{path.resolve().as_uri()}?mode=ro"
            try:
                return cls(connect_to_read(address, path, brief=brief), path, None)
            except sqlite3.OperationalError as error:
                # A folder that cannot be written holds no shared-memory file. Without a log
                # beside it the file itself is complete.
                if is_held(error) or path.with_name(f"{FILE_NAME}-wal").exists():
                    raise
                address += "&immutable=1"
                return cls(connect_to_read(address, path, brief=brief), path, None)

    def close(self) -> None:
        """Close the file and let another driver have it."""
        self._connection.close()
        if self._lock is not None:
            self._lock.close()

    def _list_facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {"folder": self.path.parent}
        try:
            facts["candidates"] = f"{self.n_asked} asked for"
            if self.path.stat().st_size <= LARGE:  # else counting takes a while
                facts |= self.list_outcomes()
        except (sqlite3.Error, OSError) as error:  # closed, or gone
            facts["not read"] = error
        return facts

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def begin(self, config: dict[str, Any]) -> None:
        """Record the settings of the search."""
        with self._transaction():
            self._connection.execute("INSERT INTO search VALUES (1, ?)", (dump(config),))
            self._chain("search", 1)

    def record_earlier(
        self, seq: int, architectures: Sequence[str], rewards: Sequence[float]
    ) -> None:
        """Record as event `seq` what a controller learned of an earlier search before all else."""
        payload = {"architectures": list(architectures), "rewards": list(rewards)}
        with self._transaction():
            self._connection.execute(
                "INSERT INTO event VALUES (?, 'earlier', ?)", (seq, dump(payload))
            )
            self._chain("event", seq)

    def begin_session(self, *, workers: str) -> None:
        """Record that a driver started: when, where and with which versions."""
        names = ("brainguided", "torch", "numpy", "rsatoolbox")
        versions = {"python": platform.python_version()} | {
            name: find_version(name) for name in names
        }
        with self._transaction():
            self._connection.execute(
                "INSERT INTO session (started, workers, host, pid, versions) "
                "VALUES (?, ?, ?, ?, ?)",
                (time.time(), workers, platform.node(), os.getpid(), dump(versions)),
            )
            (number,) = self._connection.execute("SELECT max(id) FROM session").fetchone()
            self._chain("session", number)

    def one_transaction(self) -> AbstractContextManager[None]:
        """Write all that is recorded inside at its end, or with an exception nothing of it."""
        return self._transaction()

    def record_ask(
        self,
        seq: int,
        first: int,
        architectures: Sequence[str],
        *,
        wanted: int | None = None,
        bars: Sequence[tuple[int, float]] = (),
    ) -> None:
        """Record as event `seq` the proposals that begin with candidate `first`.

        `wanted` is how many were asked for, where the space had fewer left; `bars` are the rewards
        at rungs that they have to exceed.
        """
        payload: dict[str, Any] = {"first_candidate": first, "architectures": list(architectures)}
        if wanted is not None and wanted > len(architectures):
            payload["wanted"] = wanted
        if bars:
            payload["bars"] = [list(bar) for bar in bars]
        with self._transaction():
            self._connection.execute("INSERT INTO event VALUES (?, 'ask', ?)", (seq, dump(payload)))
            self._chain("event", seq)

    def record_attempt(self, attempt: Attempt, timing: Timing | None = None) -> None:
        """Record one attempt, with when and where it ran; committed on return."""
        with self._transaction():
            self._insert(attempt)
            if timing is not None:
                spent = (timing.seconds, timing.started, timing.finished, timing.host, timing.pid)
                self._connection.execute(
                    "INSERT INTO timing VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (attempt.candidate, attempt.attempt, *spent),
                )
                self._chain("timing", attempt.candidate, attempt.attempt)

    def record_tell(
        self,
        seq: int,
        rewards: Mapping[int, float | None],
        duplicates: Sequence[Attempt],
        state: dict[str, Any] | None = None,
        objectives: Sequence[Sequence[float] | None] | None = None,
    ) -> None:
        """Record as event `seq` what was told: duplicates, rewards not known before, all at once.

        `state`, of the search after it, replaces the one kept before; `objectives` are what a
        controller that learns from several was told beside the rewards.
        """
        with self._transaction():
            for duplicate in duplicates:
                self._insert(duplicate)
            for candidate, reward in rewards.items():
                changed = self._connection.execute(
                    "UPDATE evaluation SET reward = ? WHERE candidate = ? AND (outcome = 'failed' "
                    "OR outcome = 'done' AND reward IS NULL) AND attempt < ? RETURNING attempt",
                    (reward, candidate, AGAIN),
                ).fetchall()
                for (attempt,) in changed:
                    self._chain("evaluation", candidate, attempt)
            payload: dict[str, Any] = {"candidates": [*rewards], "rewards": [*rewards.values()]}
            if objectives is not None:
                payload["objectives"] = objectives
            self._connection.execute(
                "INSERT INTO event VALUES (?, 'tell', ?)", (seq, dump(payload))
            )
            self._chain("event", seq)
            if state is not None:
                self._connection.execute(
                    "INSERT OR REPLACE INTO snapshot VALUES (1, ?, ?)", (seq + 1, dump(state))
                )
                self._chain("snapshot", 1)

    def record_frozen(self, seq: int, terms: Mapping[str, Sequence[float]]) -> None:
        """Record as event `seq` the values by which a reward standardises from then on."""
        payload = {"terms": {name: list(values) for name, values in terms.items()}}
        with self._transaction():
            self._connection.execute(
                "INSERT INTO event VALUES (?, 'frozen', ?)", (seq, dump(payload))
            )
            self._chain("event", seq)

    def record_correction(
        self, seq: int, rewards: Mapping[int, float], duplicates: Sequence[Attempt]
    ) -> None:
        """Record as event `seq` the rewards of candidates that had failed when they were told."""
        payload = {"candidates": list(rewards), "rewards": list(rewards.values())}
        with self._transaction():
            for duplicate in duplicates:
                self._insert(duplicate)
            self._connection.execute(
                "INSERT INTO event VALUES (?, 'correct', ?)", (seq, dump(payload))
            )
            self._chain("event", seq)

    def note_progress(
        self, *, candidates: int, running: int, waiting: int, workers: int | None
    ) -> None:
        """Note how far the search is, for those who look on."""
        row: tuple[Any, ...] = (1, time.time(), candidates, running, waiting, workers)
        if self.is_chained:
            row += (digest(*row),)
        with self._transaction():
            marks = ", ".join("?" * len(row))
            self._connection.execute(f"INSERT OR REPLACE INTO progress VALUES ({marks})", row)

    def note_confirming(self, noted: Confirming) -> None:
        """Note what is to be evaluated with other seeds."""
        row = (1, noted.number, noted.evaluations, noted.hindered)
        with self._transaction():
            self._connection.execute(CONFIRMING)
            self._connection.execute(
                "INSERT OR REPLACE INTO confirming VALUES (?, ?, ?, ?, ?)", (*row, digest(*row))
            )

    def to_xarray(self) -> xr.Dataset:
        """Return the run so far as a Dataset; see `journal.exports.build_run` for its variables."""
        from brainguided.journal.exports import build_run  # xarray, which `status` does not need

        with self._one_moment():
            return build_run(
                _Stored(self),
                seconds=self.seconds(),
                config=self.config or {},
                again=self.again(),
            )

    def export(self) -> xr.Dataset:
        """Write run.nc, run.csv, run.jsonl and winner.json beside the journal; return the run."""
        from brainguided.journal.exports import export_run

        with self._one_moment():
            run = self.to_xarray()
            export_run(_Stored(self), run, self.path.parent, self.again())
        return run

    @contextmanager
    def _one_moment(self) -> Iterator[None]:
        """See the journal inside as it is at the beginning, also where a search is writing."""
        if self._connection.in_transaction:
            yield
            return
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("COMMIT")

    def _insert(self, attempt: Attempt) -> None:
        insert_attempt(self._connection, attempt)
        self._chain("evaluation", attempt.candidate, attempt.attempt)

    def _chain(self, table: str, *key: int) -> None:
        if self.is_chained:
            append(self._connection, table, *key)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if self._connection.in_transaction:  # of `one_transaction`
            yield
            return
        if not self.path.is_file():
            raise JournalError(
                f"{self.path} is gone: its folder was moved or deleted while the search ran. Put "
                "it back, then start the same search again to resume it."
            )
        try:
            begin_writing(self._connection, self.path)
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


class _Stored:
    """Results that are read again each time they are gone through: they may not fit in memory."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def __iter__(self) -> Iterator[Attempt]:
        return self._records.iterate_results()
