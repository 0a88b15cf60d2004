"""Reading a table of names and properties from a CSV file."""

from __future__ import annotations

import csv
import io
import os
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import pandas as pd

from neural_data.errors import RecordingError, format_names
from neural_data.storage.pointers import refuse_pointer

MISSING_CELLS = ("", "NA", "N/A", "null")


class Form(NamedTuple):
    """How a table is written.

    Attributes
    ----------
    separator : str
        Between cells; "" is that of the ending, a tab in .tsv and a comma in all others.
    decimal : str
        In numbers, "." or ",".
    encoding : str
        As Python names it.
    comment : str
        Lines that begin with it are passed over; "" where there are none.
    """

    separator: str = ""
    decimal: str = "."
    encoding: str = "utf-8-sig"
    comment: str = ""

    def of(self, path: Path) -> Form:
        """Return the form of one file, whose ending may say what its separator is."""
        usual = "\t" if path.suffix.lower() == ".tsv" else ","
        encoding = "utf-8-sig" if self.encoding.lower() in ("utf-8", "utf8") else self.encoding
        return self._replace(separator=self.separator or usual, encoding=encoding)


def read_table(
    path: str | os.PathLike[str], *, key: str, aliases: Sequence[str], form: Form | None = None
) -> dict[str, np.ndarray]:
    """Read the columns of a CSV file, each whole numbers, numbers or text.

    Parameters
    ----------
    path : str or path
        A CSV file with a header line.
    key : str
        The name to give to the column of row names, which stays text ("001" is not 1).
    aliases : sequence of str
        The names that this column may have in the file; the first that is there is taken.
    form : Form, optional
        By default commas, decimal points and UTF-8.

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
    remedy = _COMMAS if form is None else _FORM
    table = read_cells(path, form or Form().of(path), names=[*aliases, "filename"], remedy=remedy)
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


def read_column(path: Path, column: str, *, form: Form) -> np.ndarray:
    """Read one column of a table: numbers, NaN where a cell is empty, or text.

    Raises
    ------
    FileNotFoundError, RecordingError
        As `read_table`; or there is no such column.
    """
    table = read_cells(path, form)
    if column not in table.columns or table.empty:
        raise RecordingError(
            f"{path.name} has {len(table)} rows and no column {column!r}; there are "
            f"{format_names(table.columns, 20)}."
        )
    return as_numbers(table[column].to_numpy(dtype=str))


_COMMAS = "save it with commas (and decimal points)."
_FORM = "give separator = {0!r} in the description, and decimal = ',' if numbers have a comma."


def read_cells(
    path: Path,
    form: Form,
    *,
    numbers: Sequence[str] = (),
    names: Sequence[str] = (),
    remedy: str = _FORM,
) -> pd.DataFrame:
    """Read a table: these columns as numbers, NaN where a cell is empty; all others as text.

    Of text, but not of `names`, whole cells such as "1,5" become "1.5" where that is the decimal.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    RecordingError
        The file is no table, has lines that are longer or shorter than the header, two columns of
        one name, or no number where one should be.
    """
    header = read_header(path, form, remedy=remedy)
    kinds: dict[str, Any] = {name: np.float64 if name in numbers else str for name in header}
    try:
        misfits = _count_misfits(path, len(header), form)
        if misfits:
            raise RecordingError(
                f"{path.name} has {misfits} lines with more or fewer than its {len(header)} "
                "cells. It is truncated or damaged: copy or write it again. Lines that are "
                "comments are passed over with comment = '#' in a description."
            )
        with warnings.catch_warnings(), _open_table(path, form) as lines:
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(
                lines, sep=form.separator, decimal=form.decimal, names=header, header=0,
                dtype=kinds, index_col=False, keep_default_na=False,
                na_values={name: [*MISSING_CELLS, "NaN", "nan"] for name in numbers},
            )  # fmt: skip
    except RecordingError:
        raise
    except (
        ValueError,
        OverflowError,
        csv.Error,
        pd.errors.ParserError,
        pd.errors.ParserWarning,
    ) as cause:
        what = f"a table with numbers in {format_names(numbers)}" if numbers else "a CSV table"
        raise RecordingError(f"{path} cannot be read as {what}: {cause}.") from cause
    if form.decimal == ",":
        for name in header:
            if name not in numbers and name not in names:
                table[name] = table[name].str.replace(r"^(-?\d+),(\d+)$", r"\1.\2", regex=True)
    return table


def read_header(path: Path, form: Form, *, remedy: str = _FORM) -> list[str]:
    """Read the names of the columns, without blanks around them.

    Raises
    ------
    FileNotFoundError, RecordingError
        As `read_cells`.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no table {path}. Check the path.")
    refuse_workbook(path)
    try:
        with _open_table(path, form) as lines:
            rows = csv.reader(lines, delimiter=form.separator)
            header = next((row for row in rows if row), [])
    except UnicodeDecodeError as cause:
        raise RecordingError(
            f"{path} is not text in {form.encoding.removesuffix('-sig')}: {cause}. Give its "
            "encoding in the description, e.g. encoding = 'latin-1'."
        ) from cause
    except (ValueError, csv.Error) as cause:
        raise RecordingError(f"{path} cannot be read as a CSV table: {cause}.") from cause
    if not header:
        raise RecordingError(f"{path} cannot be read as a CSV table: it is empty.")
    for mark, name in ((";", "semicolons"), ("\t", "tabs"), (",", "commas")):
        if len(header) == 1 and mark in header[0] and mark != form.separator:
            raise RecordingError(
                f"{path.name} has its columns between {name} and no {form.separator!r}, and so "
                f"one column, {header[0]!r}: " + remedy.format(mark)
            )
    names = [name.strip() or f"Unnamed: {k}" for k, name in enumerate(header)]
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise RecordingError(
            f"{path.name} has several columns of the name {format_names(twice)}, of which only "
            "one would be read: rename or remove them."
        )
    return names


def _open_table(path: Path, form: Form) -> IO[str]:
    """Open a table as text, without the lines that are comments."""
    if not form.comment:
        return path.open(encoding=form.encoding, newline="")
    with path.open(encoding=form.encoding, newline="") as file:
        return io.StringIO("".join(line for line in file if not line.startswith(form.comment)))


def _count_misfits(path: Path, n_cells: int, form: Form) -> int:
    """Count the lines that have more or fewer cells than the header."""
    with _open_table(path, form) as lines:
        return sum(
            len(row) not in (0, n_cells) for row in csv.reader(lines, delimiter=form.separator)
        )


def refuse_workbook(path: Path, content: bytes | None = None) -> None:
    """Raise RecordingError for the file of a spreadsheet program itself, or its content."""
    if content is None:
        with path.open("rb") as file:
            content = file.read(64)
    refuse_pointer(path, content)
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise RecordingError(
            f"{path.name} is a workbook of a spreadsheet program, or an archive; expected a table "
            "as text: save the sheet as CSV."
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
