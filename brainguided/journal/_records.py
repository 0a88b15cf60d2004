"""What a journal holds, read from its tables."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from brainguided.journal._chain import digest, read_note
from brainguided.journal._journal_file import one_error
from brainguided.journal._rows import COLUMNS, COLUMNS_EARLIER, read_attempt
from brainguided.journal.attempts import AGAIN, Attempt, Timing
from brainguided.journal.confirmed import SECOND_SEED, Confirming, find_place
from brainguided.journal.earlier import read_earlier_config


class Records:
    """Tables of an open journal, to be read."""

    path: Path
    _connection: sqlite3.Connection
    is_chained: bool  # whether rows carry digests
    is_earlier: bool  # whether the format is one of before

    @property
    def config(self) -> dict[str, Any] | None:
        """Settings of the search; None in a journal that was only begun."""
        row = self._connection.execute("SELECT config FROM search").fetchone()
        if row is None:
            return None
        config: dict[str, Any] = json.loads(row[0])
        return read_earlier_config(config) if self.is_earlier else config

    def events(self, since: int = 0) -> list[tuple[str, dict[str, Any]]]:
        """Return what was asked and told, in its order, from event number `since` on.

        An "ask" holds ``first_candidate`` and ``architectures`` (JSON), a "tell" ``candidates``
        and ``rewards``, with ``objectives`` where a controller learns from several. A "correct"
        holds the first two, of those that had failed when they were told, an "earlier"
        ``architectures`` and ``rewards`` of an earlier search, a "frozen" the ``terms`` by which
        a reward standardises from then on.
        """
        return [
            (kind, json.loads(payload))
            for kind, payload in self._connection.execute(
                "SELECT kind, payload FROM event WHERE seq >= ? ORDER BY seq", (since,)
            )
        ]

    def payloads(self, kind: str) -> list[dict[str, Any]]:
        """Return what the events of one kind hold, in their order."""
        rows = self._connection.execute(
            "SELECT payload FROM event WHERE kind = ? ORDER BY seq", (kind,)
        )
        return [json.loads(text) for (text,) in rows]

    def told(self) -> list[int]:
        """Return the candidates whose results were told, in that order."""
        return [candidate for tell in self.payloads("tell") for candidate in tell["candidates"]]

    @property
    def n_asked(self) -> int:
        """Number of candidates proposed so far."""
        row = self._connection.execute(
            "SELECT payload FROM event WHERE kind = 'ask' ORDER BY seq DESC LIMIT 1"
        ).fetchone()
        if row is None:
            return 0
        payload = json.loads(row[0])
        number: int = payload["first_candidate"] + len(payload["architectures"])
        return number

    @property
    def n_results(self) -> int:
        """Number of candidates that have ended."""
        query = (
            "SELECT count(DISTINCT candidate) FROM evaluation "
            f"WHERE outcome != 'lost' AND attempt < {AGAIN}"
        )
        return int(self._connection.execute(query).fetchone()[0])

    def snapshot(self) -> tuple[int, dict[str, Any]] | None:
        """Return the number of events before it and the state that was kept, if one was."""
        row = self._connection.execute("SELECT seq, state FROM snapshot").fetchone()
        return None if row is None else (row[0], json.loads(row[1]))

    def summaries(self) -> dict[int, tuple[str, str, str, float | None, int | None]]:
        """Return key, outcome, reason, reward and `duplicate_of` of every result."""
        rows = self._connection.execute(
            "SELECT candidate, key, outcome, reason, reward, duplicate_of "
            f"FROM evaluation WHERE outcome != 'lost' AND attempt < {AGAIN} "
            "ORDER BY candidate, attempt"
        )
        return {row[0]: tuple(row[1:]) for row in rows}

    def list_outcomes(self) -> dict[str, str]:
        """Return in a few words how many candidates came to what, and the best of them."""
        counts: dict[str, int] = {}
        best: tuple[float, int] | None = None
        for candidate, (_, outcome, _, reward, _) in self.summaries().items():
            counts[outcome] = counts.get(outcome, 0) + 1
            if outcome == "done" and reward is not None:
                best = max(best or (reward, -candidate), (reward, -candidate))
        facts = {"ended": ", ".join(f"{n} {outcome}" for outcome, n in counts.items()) or "none"}
        if best is not None:
            facts["best"] = f"candidate {-best[1]}, reward {best[0]:.4f}"
        return facts

    def results(self) -> list[Attempt]:
        """Return the final attempt of every candidate that has one, by candidate."""
        return list(self.iterate_results())

    def iterate_results(self) -> Iterator[Attempt]:
        """Yield what `results` returns one by one, for searches too large to hold."""
        final: Attempt | None = None
        for attempt in self.iterate_attempts():
            if attempt.outcome == "lost":
                continue
            if final is not None and final.candidate != attempt.candidate:
                yield final
            final = attempt
        if final is not None:
            yield final

    def result(self, candidate: int) -> Attempt:
        """Return the final attempt of one candidate."""
        return [a for a in self.attempts(candidate, 1) if a.outcome != "lost"][-1]

    def corrected(self) -> list[int]:
        """Return the candidates that failed and were then evaluated with success."""
        rows = self._connection.execute(
            "SELECT later.candidate FROM evaluation AS later JOIN evaluation AS before "
            "ON before.candidate = later.candidate AND before.attempt < later.attempt "
            "WHERE later.outcome = 'done' AND before.outcome = 'failed' "
            f"AND before.attempt < {AGAIN} AND later.attempt < {AGAIN} "
            "AND later.duplicate_of IS NULL ORDER BY later.candidate"
        )
        return list(dict.fromkeys(candidate for (candidate,) in rows))

    def attempts(self, since: int = 0, n: int | None = None) -> list[Attempt]:
        """Return every attempt at `n` candidates (default: all) from a candidate on, in order.

        Those with other seeds than the candidates' own are left out, see `attempts_again`.
        """
        return list(self.iterate_attempts(since, n))

    def iterate_attempts(self, since: int = 0, n: int | None = None) -> Iterator[Attempt]:
        """Yield what `attempts` returns one by one."""
        end = 2**62 if n is None else since + n
        return self._select(f"candidate >= {since} AND candidate < {end} AND attempt < {AGAIN}")

    def attempts_again(self) -> list[Attempt]:
        """Return every attempt at evaluations of candidates with other seeds than their own."""
        return list(self._select(f"attempt >= {AGAIN}"))

    def again(self) -> list[Attempt]:
        """Return the final attempt at every evaluation with other seeds, by candidate.

        Without those that confirmed a candidate which is no more among the best that a search is
        to confirm: that a search was extended changes nothing of who competes.
        """
        best = self._best()
        made = [
            attempt
            for attempt in self.attempts_again()
            if attempt.outcome != "lost"
            and (best is None or attempt.again <= SECOND_SEED or attempt.candidate in best)
        ]
        return list({(attempt.candidate, attempt.again): attempt for attempt in made}.values())

    def confirming(self) -> Confirming | None:
        """Return what is to be evaluated with other seeds; None where that was not noted."""
        with one_error(self.path):
            row = read_note(self._connection)
        return None if row is None else Confirming(*row[1:-1])

    def rank(self) -> list[int]:
        """Return the candidates that can be confirmed, those with the highest rewards first."""
        placed = [
            place
            for candidate, (_, outcome, reason, reward, owner) in self.summaries().items()
            if (place := find_place(candidate, outcome, reason, reward, owner)) is not None
        ]
        return [-candidate for _, candidate in sorted(placed, reverse=True)]

    def _best(self) -> set[int] | None:
        noted = self.confirming()
        return None if noted is None else set(self.rank()[: noted.number])

    def _select(self, where: str) -> Iterator[Attempt]:
        names = ", ".join(COLUMNS_EARLIER if self.is_earlier else COLUMNS)
        rows = self._connection.execute(
            f"SELECT {names} FROM evaluation WHERE {where} ORDER BY candidate, attempt"
        )
        return map(read_attempt, rows)

    def timings(self) -> list[Timing]:
        """Return when and where every attempt ran."""
        return list(self.timings_of_attempts().values())

    def timings_of_attempts(self) -> dict[tuple[int, int], Timing]:
        """Return when and where each attempt ran, by its candidate and number."""
        rows = self._connection.execute(
            "SELECT candidate, attempt, seconds, started, finished, host, pid FROM timing"
        )
        return {(row[0], row[1]): Timing(*row[2:]) for row in rows}

    def last_session(self) -> tuple[float, str, str, int] | None:
        """Return start, workers, host and process of the last driver."""
        query = "SELECT started, workers, host, pid FROM session ORDER BY id DESC LIMIT 1"
        row: tuple[float, str, str, int] | None = self._connection.execute(query).fetchone()
        return row

    def sessions(self) -> list[tuple[float, str, str, int, dict[str, str]]]:
        """Return start, workers, host, process and versions of every driver, in their order."""
        query = "SELECT started, workers, host, pid, versions FROM session ORDER BY id"
        return [(*row[:4], json.loads(row[4])) for row in self._connection.execute(query)]

    @property
    def n_examples(self) -> int:
        """Number of training images processed, evaluations with other seeds included."""
        row = self._connection.execute("SELECT sum(examples) FROM evaluation").fetchone()
        return int(row[0] or 0)

    def seconds(self) -> dict[int, float]:
        """Return the time that each candidate took, all attempts together; s.

        Without evaluations with other seeds, see `seconds_again`.
        """
        rows = self._connection.execute(
            f"SELECT candidate, sum(seconds) FROM timing WHERE attempt < {AGAIN} "
            "GROUP BY candidate ORDER BY candidate"
        )
        return {int(candidate): float(seconds) for candidate, seconds in rows}

    def seconds_again(self) -> float:
        """Return the time that all evaluations with other seeds took; s."""
        query = f"SELECT sum(seconds) FROM timing WHERE attempt >= {AGAIN}"
        return float(self._connection.execute(query).fetchone()[0] or 0.0)

    def progress(self) -> tuple[float, int, int, int, int | None] | None:
        """Return what was noted last, None in a journal without.

        That is the time (s since 1970) and the numbers of candidates wanted, running and waiting,
        and of workers.
        """
        names = "SELECT count(*) FROM sqlite_master WHERE name = 'progress'"
        if not self._connection.execute(names).fetchone()[0]:
            return None
        row = self._connection.execute("SELECT * FROM progress").fetchone()
        if row is None or (self.is_chained and row[-1] != digest(*row[:-1])):
            return None
        noted: tuple[float, int, int, int, int | None] = row[1:6]
        return noted
