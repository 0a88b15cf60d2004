"""Reading a table of names and properties from a CSV file."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from neural_data.errors import RecordingError, format_names


def read_table(
    path: str | os.PathLike[str], *, key: str, aliases: Sequence[str]
) -> dict[str, np.ndarray]:
    """Read the columns of a CSV file, each whole numbers, numbers or text.

    Parameters
    ----------
    path : str or path
        A CSV file, UTF-8, with a header line.
    key : str
        The name to give to the column of row names, which stays text ("001" is not 1).
    aliases : sequence of str
        The names that this column may have in the file; the first that is there is taken.

    Returns
    -------
    dict of str to numpy.ndarray
        The columns, `key` first. An empty cell is "" in a column of text and NaN in a column
        of numbers. ``filename`` stays text.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    RecordingError
        The file is no CSV table, has no rows or no column of row names, lines that are longer or
        shorter than the header, or two columns of one name.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no table {path}. Check the path.")
    try:
        header = read_header(path, encoding="utf-8-sig")
        misfits = count_misfits(path, len(header), encoding="utf-8-sig")
        table = pd.DataFrame()
        if not misfits:
            table = pd.read_csv(
                path, dtype=str, keep_default_na=False, encoding="utf-8-sig", index_col=False
            )
    except (ValueError, pd.errors.ParserError, csv.Error) as cause:
        raise RecordingError(f"{path} cannot be read as a CSV table: {cause}.") from cause
    for separator, name in ((";", "semicolons"), ("\t", "tabs")):
        if len(header) == 1 and separator in header[0]:
            raise RecordingError(
                f"{path.name} has its columns between {name} instead of commas: save it with "
                "commas (and decimal points)."
            )
    refuse_misfits(path, misfits, len(header))
    refuse_twice(path, header)
    named = [alias for alias in aliases if alias in table.columns]
    if not named or table.empty:
        seen = format_names(table.columns, limit=20)
        raise RecordingError(
            f"{path.name} has {len(table)} rows and the columns {seen}; expected at least one "
            f"row and a column {format_names(aliases)}."
        )
    columns = {key: table[named[0]].to_numpy(dtype=str)}
    for column in table.columns:
        if column in named or str(column).startswith("Unnamed:"):
            continue
        cells = table[column].to_numpy(dtype=str)
        columns[str(column)] = cells if column == "filename" else as_numbers(cells)
    return columns


def read_header(path: Path, *, encoding: str, separator: str = ",") -> list[str]:
    """Read the names of the columns as they are; pandas calls a second "rate" "rate.1"."""
    first = pd.read_csv(
        path, sep=separator, encoding=encoding, header=None, nrows=1, dtype=str,
        keep_default_na=False,
    )  # fmt: skip
    return first.iloc[0].tolist()


def count_misfits(path: Path, n_cells: int, *, encoding: str, separator: str = ",") -> int:
    """Count the lines that have more or fewer cells than the header."""
    with path.open(encoding=encoding, newline="") as file:
        return sum(len(row) not in (0, n_cells) for row in csv.reader(file, delimiter=separator))


def refuse_misfits(path: Path, misfits: int, n_cells: int) -> None:
    """Raise RecordingError where lines have more or fewer cells than the header."""
    if misfits:
        raise RecordingError(
            f"{path.name} has {misfits} lines with more or fewer than its {n_cells} cells. It "
            "is truncated or damaged: copy or write it again."
        )


def refuse_twice(path: Path, header: Sequence[str]) -> None:
    """Raise RecordingError where a table has two columns of one name."""
    twice = [name for name, n in Counter(header).items() if n > 1 and name]
    if twice:
        raise RecordingError(
            f"{path.name} has several columns of the name {format_names(twice)}, of which only "
            "one would be read: rename or remove them."
        )


def as_numbers(cells: np.ndarray) -> np.ndarray:
    """Return whole numbers, numbers with NaN where a cell is empty, or the text as it is.

    "2014_07_21" is text, though Python would take it for a number.
    """
    if (np.char.find(cells, "_") >= 0).any():
        return cells
    for kind in (np.int64, np.float64):
        filled = np.where(cells == "", "nan", cells) if kind is np.float64 else cells
        try:
            return filled.astype(kind)
        except (ValueError, OverflowError):
            continue
    return cells
