"""Rows of a journal: attempts and plain data as SQLite keeps them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from brainguided.journal.attempts import Attempt
from brainguided.journal.earlier import read_earlier
from brainguided.journal.measurement import Measurement

COLUMNS = tuple(column.name for column in fields(Attempt) if column.compare)
_PLACE = COLUMNS.index("measurement")
COLUMNS_EARLIER = (*COLUMNS[:_PLACE], "similarity", "history")


def read_attempt(row: Sequence[Any]) -> Attempt:
    """Return the attempt that a row of the table ``evaluation`` holds, in any format."""
    if len(row) == len(COLUMNS):
        values = dict(zip(COLUMNS, row, strict=True))
        values["measurement"] = Measurement.from_dict(json.loads(values["measurement"]))
        return Attempt(**values)
    values = dict(zip(COLUMNS_EARLIER, row, strict=True))
    similarity, history = (json.loads(values.pop(name)) for name in ("similarity", "history"))
    return Attempt(**values, measurement=read_earlier(values, similarity, history))


def dump(data: Any) -> str:
    """Return plain data as JSON."""
    # Keys keep their order: layers come by depth
    return json.dumps(data, separators=(",", ":"), allow_nan=False)


def find_version(name: str) -> str:
    """Return the version of an installed package, "unknown" for one that is not."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def insert_attempt(connection: sqlite3.Connection, attempt: Attempt) -> None:
    """Add the row of an attempt."""
    values = [getattr(attempt, name) for name in COLUMNS]
    values[_PLACE] = dump(attempt.measurement.to_dict())
    marks = ", ".join("?" * len(COLUMNS))
    names = ", ".join(COLUMNS)
    connection.execute(f"INSERT INTO evaluation ({names}) VALUES ({marks})", values)
