"""Rows of a journal: attempts and plain data as SQLite keeps them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from brainguided.journal.attempts import Attempt

COLUMNS = tuple(column.name for column in fields(Attempt))
_AS_JSON = ("similarity", "history")


def read_attempt(row: Sequence[Any]) -> Attempt:
    """Return the attempt that a row of the table ``evaluation`` holds."""
    known = dict(zip(COLUMNS, row, strict=True))
    values = known | {name: json.loads(known[name]) for name in _AS_JSON}
    return Attempt(**values | {"history": tuple(values["history"])})


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
    values = [dump(v) if n in _AS_JSON else v for n, v in zip(COLUMNS, values, strict=True)]
    marks = ", ".join("?" * len(COLUMNS))
    names = ", ".join(COLUMNS)
    connection.execute(f"INSERT INTO evaluation ({names}) VALUES ({marks})", values)
