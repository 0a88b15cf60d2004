"""Where two nested settings differ."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from brainguided.journal._journal_file import JournalError

_AGAIN = "begin again in a new folder, or use the version of then"
_ADVICE = {
    "committed": "earlier versions counted all pairs within halves alike, so the numbers cannot be "
    f"compared: {_AGAIN}",
    "kernel": f"earlier versions predicted rewards under another kernel: {_AGAIN}",
}
_KINDS = ("name", "area", "similarity")  # of what a convention belongs to


def find_differences(
    before: dict[str, Any], now: dict[str, Any], where: tuple[str, str]
) -> list[str]:
    """Return a line for every setting that differs, each beginning with a new line.

    Where data lie ("source") is no part of what they are: their hashes are compared. What is held
    out was not always recorded; where one of both says nothing of it, nothing differs.

    Parameters
    ----------
    before, now : dict
        Plain data.
    where : (str, str)
        What the two are, e.g. "in the journal".
    """
    first, second = dict(flatten_settings(before)), dict(flatten_settings(now))
    if not (any(map(is_held_out, first)) and any(map(is_held_out, second))):
        first, second = _leave_held_out(first), _leave_held_out(second)
    return [
        f"\n  - {n}: {first.get(n, 'nothing')} {where[0]}, {second.get(n, 'nothing')} {where[1]}"
        + _advise(n, first, second)
        for n in sorted({*first, *second})
        if first.get(n) != second.get(n) and n.split(".")[-1] != "source"
    ]


def _leave_conventions(value: Any) -> Any:
    """Return nested settings without what says how similarities are measured."""
    if isinstance(value, dict):
        return {k: _leave_conventions(v) for k, v in value.items() if k not in _ADVICE}
    return [_leave_conventions(one) for one in value] if isinstance(value, list) else value


def is_held_out(name: str) -> bool:
    """Whether a setting, by its dotted name, is of what is held out."""
    return "held_out" in name.split(".")


def _leave_held_out(settings: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in settings.items() if not is_held_out(name)}


def _advise(name: str, first: Mapping[str, str], second: Mapping[str, str]) -> str:
    """Return what to do where a convention is recorded on one side alone, of the same thing."""
    place, _, last = name.rpartition(".")
    if last not in _ADVICE or (name in first) == (name in second):
        return ""
    kinds = [f"{place}.{kind}" for kind in _KINDS]
    if any(first.get(kind) != second.get(kind) for kind in kinds):
        return ""  # another controller or similarity, which has no such convention
    return f" ({_ADVICE[last]})"


def refuse_other_task(
    config: Mapping[str, Any] | None,
    task: dict[str, Any],
    folder: str | os.PathLike[str],
    *,
    measured: bool = False,
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
    measured : bool, optional
        Whether the run's numbers are compared with others: conventions by which they were measured
        must then be the same. Training candidates again does not depend on them.
    """
    known, now = (config or {}).get("task", {}), json.loads(json.dumps(task))
    if not measured:
        known, now = _leave_conventions(known), _leave_conventions(now)
    differences = find_differences(known, now, ("in the journal", "now"))
    if differences:
        raise JournalError(
            f"The run in {folder} was made with another task than the one given; use the run file "
            "and the data it was started with:" + "".join(differences)
        )


def flatten_settings(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of nested settings as JSON, with their dotted names."""
    inner: Any = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        inner = enumerate(value)
    if not inner:
        yield name, json.dumps(value)
    for key, item in inner:
        yield from flatten_settings(item, f"{name}.{key}" if name else str(key))
