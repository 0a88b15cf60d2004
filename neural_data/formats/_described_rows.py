"""Reading the rows of a described table, or of one table a site, and finding its columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neural_data.errors import RecordingError, format_names
from neural_data.storage.csv_tables import Form, read_cells, read_header

SITE, RESPONSE = "name of the file", "response of the column"


def read_rows(
    paths: Sequence[Path], columns: Mapping[str, Any], form: Form
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read all rows, and return the columns that name their site and responses."""
    named = dict(columns)
    frames = []
    for path in paths:
        header = read_header(path, form.of(path))
        wide = {
            key: find_columns(path, header, columns[key], columns)
            for key in ("sites", "time_bins")
            if key in columns
        }
        named.update(wide)
        numbers = [column for some in wide.values() for column in some]
        numbers += [columns[key] for key in ("response", "time_bin") if key in columns]
        frames.append(read_columns(path, form, header, named, numbers))
        if "site" not in columns and "sites" not in columns:
            frames[-1].insert(0, SITE, path.stem)
        if list(frames[-1]) != list(frames[0]):
            raise RecordingError(
                f"{path.name} has other columns than {paths[0].name}: "
                f"{format_names(set(frames[-1]) ^ set(frames[0])) or 'in another order'}."
            )
    table = pd.concat(frames, ignore_index=True)
    if "sites" in named:
        others = [name for name in table if name not in named["sites"]]
        table = table.melt(others, named.pop("sites"), var_name=SITE, value_name=RESPONSE)
        named["response"] = RESPONSE
    return table, {"site": SITE, **named}


def read_columns(
    path: Path,
    form: Form,
    header: Sequence[str],
    columns: Mapping[str, Any],
    numbers: Sequence[str],
) -> pd.DataFrame:
    """Read a table that must have these columns, and a row at least."""
    needed = [*list_columns(columns), *as_list(columns.get("no_axes", []))]
    absent = [name for name in dict.fromkeys(needed) if name not in header]
    if absent:
        raise RecordingError(
            f"{path.name} has no column {format_names(absent)}; there are "
            f"{format_names(header, 20)}."
        )
    table = read_cells(path, form.of(path), numbers=numbers, names=needed)
    if table.empty:
        raise RecordingError(f"{path.name} has a header and no rows; expected one at least.")
    return table


def find_columns(
    path: Path, header: Sequence[str], wanted: str | list[str], columns: Mapping[str, Any]
) -> list[str]:
    """Find the columns of a pattern, those that have another meaning left out, or of a list.

    Raises
    ------
    RecordingError
        No column is like the pattern.
    """
    if not isinstance(wanted, str):
        if len(set(wanted)) < len(wanted):
            raise RecordingError(
                f"A column of {path.name} is listed twice: {format_names(wanted)}."
            )
        return list(wanted)
    named = [
        name
        for key, value in columns.items()
        if key not in ("sites", "time_bins")
        for name in as_list(value)
    ]
    found = [name for name in header if fnmatchcase(name, wanted) and name not in named]
    if not found:
        raise RecordingError(
            f"{path.name} has no column like {wanted!r}; there are {format_names(header, 20)}."
        )
    return found


def list_columns(columns: Mapping[str, Any]) -> list[str]:
    """List the columns that have a meaning in a description."""
    return [name for key, value in columns.items() if key != "no_axes" for name in as_list(value)]


def as_list(value: str | list[str]) -> list[str]:
    """Return one name, or several, as a list."""
    return [value] if isinstance(value, str) else list(value)


def join_columns(table: pd.DataFrame, names: str | list[str]) -> np.ndarray:
    """Return the texts of a column, or of several joined: "face_left"."""
    joined, *others = (table[name].astype(str) for name in as_list(names))
    for other in others:
        joined = joined + "_" + other
    if others and (len(table[as_list(names)].drop_duplicates()) != joined.nunique()):
        raise RecordingError(
            f"Columns {format_names(as_list(names))} name different stimuli alike when they are "
            "joined by '_': rename them."
        )
    return joined.to_numpy(dtype=str)
