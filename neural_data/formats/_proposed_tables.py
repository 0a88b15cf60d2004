"""Proposing how a table may be described, from its header and its cells."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neural_data.errors import RecordingError
from neural_data.formats._described_keys import UNKNOWN
from neural_data.formats._foreign_files import guess_form
from neural_data.formats._proposed_words import (
    find_hint,
    is_kind,
    on_one_line,
    quote,
    share_start,
)
from neural_data.storage.csv_tables import Form, as_numbers, read_cells

FEWEST = 3  # columns of one kind that are sites, or time bins


def propose_table(path: Path, name: str) -> list[str]:
    """Propose the columns of a table.

    Raises
    ------
    RecordingError
        The file is no table.
    """
    form = guess_form(path)
    table = read_cells(path, form)
    if table.empty or len(table.columns) < 2:
        raise RecordingError(
            f"{path.name} has {len(table)} rows and the columns {', '.join(table.columns)}; "
            "expected a header, rows, and two columns at least."
        )
    lines = ["#", f"# What {on_one_line(path.name)} holds: {len(table)} rows of"]
    for column in table:
        values = table[column]
        shown = on_one_line(", ".join(map(str, values.unique()[:3])))
        lines.append(
            f"#   {on_one_line(column):28} {values.nunique()} different values: {shown}, ..."
        )
    lines += [f"file = {quote(name)}", *_say_form(form, path)]
    columns, more = _find_columns(table, several="*" in name)
    lines += [
        f'units = "{UNKNOWN}"  # such as "spikes/s"',
        f'source = "{UNKNOWN}"  # lab, animal, paper',
        "",
        "[columns]",
        *(f"{key} = {_say_names(value)}{_note(key)}" for key, value in columns.items()),
        *more,
    ]
    if not {"area"} & set(columns):
        lines += ["", "[site]", f'area = "{UNKNOWN}"  # of all sites']
    return lines


def _say_form(form: Form, path: Path) -> list[str]:
    usual = Form().of(path)
    given = {key: getattr(form, key) for key in Form._fields}
    return [f"{key} = {quote(v)}" for key, v in given.items() if v != getattr(usual, key)]


def _say_names(value: str | list[str]) -> str:
    listed = ", ".join(map(quote, value))
    return quote(value) if isinstance(value, str) else f"[{listed}]"


def _note(key: str) -> str:
    return "  # or remove it: rows then count up" if key == "repetition" else ""


def _find_columns(table: pd.DataFrame, *, several: bool) -> tuple[dict[str, Any], list[str]]:
    """Guess which column is what, and the lines that follow."""
    cells = {str(name): table[name].to_numpy(dtype=str) for name in table}
    numbers = {name: as_numbers(values).dtype.kind in "if" for name, values in cells.items()}
    hints = {name: find_hint(name) for name in cells}
    columns: dict[str, Any] = {}

    def take(key: str, fits: list[str]) -> None:
        left = [name for name in fits if name not in [*columns.values(), *group]]
        if left:
            columns[key] = left[0]

    group: list[str] = []
    take("stimulus", [name for name, hint in hints.items() if hint == "stimulus"])
    columns.setdefault("stimulus", UNKNOWN)
    group, pattern = _find_group([n for n in numbers if numbers[n] and n not in columns.values()])
    fits = [name for name in cells if fnmatchcase(name, pattern)]
    chosen = pattern if fits == group else group
    take("animal", [name for name, hint in hints.items() if hint == "animal"])
    sites = [n for n, hint in hints.items() if hint == "site" and n not in group]
    times = [n for n, hint in hints.items() if hint == "time_bin" and numbers[n] and n not in group]
    repeated = [n for n in hints if is_kind(n, "repetition") and n not in group]
    more: list[str] = []
    bins = bool(group) and (bool(sites) or several or find_hint(pattern) == "time_bin")
    if group and not bins:
        columns.pop("animal", None)
        columns["sites"] = chosen
    elif group:
        columns["time_bins"] = chosen
        more = ["", "[time_bin]", *_find_starts(group)]
    if "sites" not in columns:
        if not several:
            take("site", sites)
            columns.setdefault("site", UNKNOWN)
        take("area", [name for name, hint in hints.items() if hint == "area"])
    take("repetition", repeated)
    if "time_bins" not in columns:
        take("time_bin", times)
        if "time_bin" in columns:
            width = _find_width(table[columns["time_bin"]])
            more = ["", "[time_bin]", f"width = {width}  # ms"]
    if not {"sites", "time_bins"} & set(columns):
        rest = [name for name, number in numbers.items() if number]
        rest = [name for name in rest if name not in columns.values()]
        told = [name for name in rest if is_kind(name, "response")]
        take("response", told or (rest if len(rest) == 1 else []))
        columns.setdefault("response", UNKNOWN)
    return columns, more


def _find_group(names: list[str]) -> tuple[list[str], str]:
    """Find the columns whose names differ in a number only, and a pattern for them."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.rstrip("0123456789.-"), []).append(name)
    best = max(groups.values(), key=len, default=[])
    if len(best) < FEWEST:
        return [], ""
    return best, f"{share_start(best).rstrip('0123456789')}*"


def _find_starts(names: list[str]) -> list[str]:
    """Read when the bins start in the names of their columns, if numbers stand there."""
    numbers = [re.search(r"-?\d+(\.\d+)?$", name) for name in names]
    starts = [float(found.group()) for found in numbers if found]
    steps = set(np.diff(starts).tolist())
    if len(starts) == len(names) and len(steps) == 1 and min(steps) > 0:
        listed = ", ".join(f"{start:g}" for start in starts)
        return [f"start = [{listed}]  # ms, if the names are right", f"width = {steps.pop():g}"]
    return [f'start = "{UNKNOWN}"  # ms, numbers without quotes', f'width = "{UNKNOWN}"']


def _find_width(cells: pd.Series) -> str:
    starts = np.unique(cells.to_numpy(dtype=float))
    steps = np.unique(np.diff(starts).round(6))
    return f"{steps[0]:g}" if steps.size == 1 else quote(UNKNOWN)
