"""The tables of a run file, taken apart."""

from __future__ import annotations

from typing import Any

from brainguided.settings.toml import say_unknown

LISTS = ("teacher", "control")
"""Tables of which there may be several."""


def split_tables(
    content: dict[str, Any], known_top: dict[str, str], problems: list[str]
) -> dict[str, Any]:
    """Return the tables of a file, those absent or of a wrong kind as empty ones.

    `known_top` are the keys that stand before the first table.
    """
    tables: dict[str, Any] = {
        "space": {},
        "controller": {},
        "limits": {},
        "screen": {},
        "ray": {},
        "task": {},
        "reward": None,
        "finalists": {},
        "heldout": {},
        "winner": {},
        "teacher": [],
        "control": [],
    }
    top = dict(content)
    for name in tables:
        if name not in top:
            continue
        given = top.pop(name)
        if name in LISTS:
            if not isinstance(given, list) or not all(isinstance(t, dict) for t in given):
                problems.append(f"{name}: expected tables, each begun by a line [[{name}]]")
                continue
        elif not isinstance(given, dict):
            problems.append(f"{name}: expected a table, begun by a line [{name}]")
            continue
        tables[name] = given
    for name in [n for n, v in top.items() if isinstance(v, dict | list) and n not in known_top]:
        known = [*known_top, *(f"[[{t}]]" if t in LISTS else f"[{t}]" for t in tables)]
        problems.append(say_unknown("", name, known))
        del top[name]
    return {**tables, "top": top}
