"""Digests of the rows of a journal, each chained to the one before: damage is seen and named.

Table ``chain`` gains an entry whenever a row is written: the place of the row, the digest of its
content, and the digest of both with that of the entry before. It stands apart because rows come
in another order with other workers, while the tables of the search do not.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

TABLE = """
CREATE TABLE chain (
    seq INTEGER PRIMARY KEY, place TEXT NOT NULL, row TEXT NOT NULL, link TEXT NOT NULL
);
"""
KEYS = {  # of the tables that are chained
    "search": ("id",),
    "event": ("seq",),
    "evaluation": ("candidate", "attempt"),
    "timing": ("candidate", "attempt"),
    "snapshot": ("id",),
    "session": ("id",),
}
_REWARD = 9  # its column in evaluation
_NAMES = {
    "search": "the settings",
    "event": "event {}",
    "evaluation": "candidate {}, attempt {}",
    "timing": "the times of candidate {}, attempt {}",
    "snapshot": "the saved state",
    "session": "start {}",
}


NOTE = "the note on evaluations with other seeds"  # stands apart, with a digest of its own


@dataclass
class Chain:
    """Entries of a chain up to the first that does not hold, and why that does not.

    Attributes
    ----------
    places : dict of str to str
        The digest that the row of each place should have, in the order of the last entries.
    later : set of str
        Those whose row was written again behind the damage: it is of then.
    problem : str
        What is wrong with the first bad row, and with the note that stands apart; empty where
        nothing is.
    """

    places: dict[str, str] = field(default_factory=dict)
    later: set[str] = field(default_factory=set)
    problem: str = ""


def digest(*parts: Any) -> str:
    """Return the digest of plain values."""
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


def append(connection: sqlite3.Connection, table: str, *key: int) -> None:
    """Add the entry of a row that was just written."""
    place = json.dumps([table, *key])
    row = digest(*(read_row(connection, place) or ()))
    last = connection.execute("SELECT link FROM chain ORDER BY seq DESC LIMIT 1").fetchone()
    link = digest(last[0] if last else "", place, row)
    connection.execute("INSERT INTO chain (place, row, link) VALUES (?, ?, ?)", (place, row, link))


def read_row(connection: sqlite3.Connection, place: str) -> tuple[Any, ...] | None:
    """Return the row of a place; None where there is none."""
    table, *key = json.loads(place)
    where = " AND ".join(f"{column} = ?" for column in KEYS[table])
    found: tuple[Any, ...] | None = connection.execute(
        f"SELECT * FROM {table} WHERE {where}", key
    ).fetchone()
    return found


def follow(connection: sqlite3.Connection) -> Chain:
    """Return the chain as far as it holds, whatever is damaged behind."""
    chain, link = Chain(), ""
    entries: list[tuple[str, str]] = []
    behind: set[str] = set()  # places of rows that were written again behind the damage
    try:
        for seq, place, row, found in connection.execute("SELECT * FROM chain ORDER BY seq"):
            if chain.problem:
                behind.add(place)
            elif seq != len(entries) + 1 or found != (link := digest(link, place, row)):
                chain.problem = f"entry {len(entries) + 1} of its chain of digests"
                behind.add(place)
            else:
                entries.append((place, row))
    except (sqlite3.Error, UnicodeError) as error:
        chain.problem = f"entry {len(entries) + 1} of its chain of digests ({error})"
    last = {place: number for number, (place, _) in enumerate(entries)}
    final = dict(entries)
    rows = _read_all(connection, last)
    bad = {
        place
        for place, row in final.items()
        if rows.get(place) != row and not (place in behind and _is_later(connection, place, row))
    }
    for number, (place, row) in enumerate(entries):
        # Of a state only the last is kept; of others that are bad not even their beginning
        if place in bad and (last[place] == number or not place.startswith('["snapshot"')):
            chain.problem = say_place(place)
            break
        chain.places.pop(place, None)
        chain.places[place] = row
    chain.later = {place for place in chain.places if rows.get(place) != chain.places[place]}
    if not chain.problem and (more := sorted(rows.keys() - last.keys())):
        chain.problem = f"{say_place(more[0])}, which nothing recorded"
    try:
        read_note(connection)
    except (sqlite3.Error, UnicodeError):
        chain.problem = f"{chain.problem}, and beside it {NOTE}," if chain.problem else NOTE
    return chain


def read_note(connection: sqlite3.Connection) -> tuple[Any, ...] | None:
    """Return the row of what is noted of evaluations with other seeds; None where there is none.

    Raises
    ------
    sqlite3.DatabaseError
        It is damaged.
    """
    names = "SELECT count(*) FROM sqlite_master WHERE name = 'confirming'"
    if not connection.execute(names).fetchone()[0]:
        return None
    row: tuple[Any, ...] | None = connection.execute("SELECT * FROM confirming").fetchone()
    with suppress(TypeError):  # of what is no number or text
        if row is not None and row[-1] == digest(*row[:-1]):
            return row
    raise sqlite3.DatabaseError(f"{NOTE} is not as it was recorded")


def _read_all(connection: sqlite3.Connection, expected: dict[str, int]) -> dict[str, str]:
    """Return the digest of every row that can be read."""
    rows: dict[str, str] = {}
    try:
        for table, key in KEYS.items():
            for row in connection.execute(f"SELECT * FROM {table}"):
                rows[json.dumps([table, *row[: len(key)]])] = digest(*row)
    except (sqlite3.Error, UnicodeError, TypeError):
        for place in expected:  # those that can be reached one by one
            for row in _try_row(connection, place):
                rows[place] = digest(*row)
    return rows


def without_reward(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the row of a failed evaluation as it was before it was told."""
    return (*row[:_REWARD], None, *row[_REWARD + 1 :])


def _is_later(connection: sqlite3.Connection, place: str, row: str) -> bool:
    """Return whether a row is one that was written again, not one that was damaged."""
    if place.startswith('["snapshot"'):
        return True
    return place.startswith('["evaluation"') and any(
        digest(*without_reward(found)) == row for found in _try_row(connection, place)
    )


def _try_row(connection: sqlite3.Connection, place: str) -> Iterator[tuple[Any, ...]]:
    try:
        row = read_row(connection, place)
    except (sqlite3.Error, UnicodeError):
        return
    if row is not None:
        yield row


def say_place(place: str) -> str:
    """Return what a row holds, in words."""
    table, *key = json.loads(place)
    return _NAMES[table].format(*key)
