"""Where two nested settings differ."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from brainguided.journal._journal_file import JournalError


def find_differences(
    before: dict[str, Any], now: dict[str, Any], where: tuple[str, str]
) -> list[str]:
    """Return a line for every setting that differs, each beginning with a new line.

    Where data lie ("source") is no part of what they are: their hashes are compared.

    Parameters
    ----------
    before, now : dict
        Plain data.
    where : (str, str)
        What the two are, e.g. "in the journal".
    """
    first, second = dict(_flatten(before)), dict(_flatten(now))
    return [
        f"\n  - {n}: {first.get(n, 'nothing')} {where[0]}, {second.get(n, 'nothing')} {where[1]}"
        for n in sorted({*first, *second})
        if first.get(n) != second.get(n) and n.split(".")[-1] != "source"
    ]


def refuse_other_task(
    config: Mapping[str, Any] | None, task: dict[str, Any], folder: str | os.PathLike[str]
) -> None:
    """Raise JournalError with every difference where a run was made with another task.

    Parameters
    ----------
    config : mapping or None
        Settings of the run.
    task : dict
        ``describe()`` of the task at hand.
    folder : path
        Of the run.
    """
    known, now = (config or {}).get("task", {}), json.loads(json.dumps(task))
    differences = find_differences(known, now, ("in the journal", "now"))
    if differences:
        raise JournalError(
            f"The run in {folder} was made with another task than the one given; use the run file "
            "and the data it was started with:" + "".join(differences)
        )


def _flatten(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested settings with their dotted names."""
    inner: Any = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        inner = enumerate(value)
    if not inner:
        yield name, json.dumps(value)
    for key, item in inner:
        yield from _flatten(item, f"{name}.{key}" if name else str(key))
