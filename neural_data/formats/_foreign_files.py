"""What a file of arrays or a table holds, without knowing what it means."""

from __future__ import annotations

import csv
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neural_data.errors import RecordingError
from neural_data.formats._hdf5_arrays import is_hdf5, list_hdf5
from neural_data.formats.array_files import load_array, load_cells
from neural_data.formats.described_toml import is_table
from neural_data.formats.matlab import is_mat, list_mat, read_mat
from neural_data.storage.csv_tables import Form, read_cells, read_column

LARGEST_LIST = 2**22  # values of a list that is looked into
MARKS = (",", ";", "\t")
COMMENTS = ("#", "%")
LINES = 1000


@dataclass(frozen=True)
class Held:
    """One array, list or cell array of a file.

    Attributes
    ----------
    name : str
        As `load_array` takes it; "" for the only array of a .npy.
    kind : str
    shape : tuple of int
    file : pathlib.Path
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    file: Path

    @property
    def length(self) -> int | None:
        """Number of values of a flat list, None for other arrays."""
        size = int(np.prod(self.shape))
        flat = self.kind not in ("cell", "struct") and size == max(self.shape, default=0)
        return size if flat and 1 < size <= LARGEST_LIST else None

    def load(self) -> np.ndarray:
        """Load the values of a list."""
        if self.file.suffix.lower() == ".txt":
            lines = self.file.read_text(encoding="utf-8", errors="replace").splitlines()
            return np.array([line.strip() for line in lines if line.strip()])
        if is_table(self.file):
            return read_column(self.file, self.name, form=guess_form(self.file))
        return load_array(self.file, variable=self.name or None).ravel()

    def load_cells(self) -> list[np.ndarray]:
        """Load the cells of a cell array."""
        return load_cells(self.file, variable=self.name)


def list_arrays(path: Path) -> list[Held]:
    """List the arrays of a file; cell arrays of texts are lists.

    Raises
    ------
    RecordingError
        The file is damaged, or of another format.
    """
    return [_look_into(one) for one in _list_arrays(path)]


def _look_into(one: Held) -> Held:
    """Return a cell array that holds one text or number a cell as the list it is."""
    if one.kind != "cell" or not 0 < int(np.prod(one.shape)) <= LARGEST_LIST:
        return one
    try:
        values = load_array(one.file, variable=one.name)
    except RecordingError:
        return one
    kind = "text" if values.dtype.kind == "U" else str(values.dtype)
    return Held(one.name, kind, one.shape, one.file)


def _list_arrays(path: Path) -> list[Held]:
    """List the arrays of a file, those in structs and groups as "struct.field"."""
    ending = path.suffix.lower()
    try:
        if ending == ".npy":
            values = load_array(path)
            return [Held("", str(values.dtype), values.shape, path)]
        if ending == ".npz":
            with zipfile.ZipFile(path) as archive:
                names = [n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")]
            loaded = {name: load_array(path, variable=name) for name in names}
            return [Held(n, str(v.dtype), v.shape, path) for n, v in loaded.items()]
        if is_hdf5(path):
            return [Held(name, *what, path) for name, what in list_hdf5(path).items()]
        if is_mat(path):
            found = list_mat(path)
            return [one for name in found for one in _list_variable(path, name, *found[name])]
    except (KeyError, ValueError, OSError, RuntimeError, zipfile.BadZipFile) as cause:
        if isinstance(cause, RecordingError):
            raise
        raise RecordingError(
            f"{path} cannot be read as arrays ({path.stat().st_size} bytes; {cause}). It is "
            "truncated, damaged or of another kind: copy or save it again."
        ) from cause
    raise RecordingError(
        f"{path.name} holds no arrays that are read here, and no table; expected .npy, .npz, .mat, "
        ".h5, .csv or .tsv."
    )


def _list_variable(path: Path, name: str, kind: str, shape: tuple[int, ...]) -> list[Held]:
    """List a variable of MATLAB, or what a single struct holds."""
    if kind != "struct" or int(np.prod(shape)) != 1:
        return [Held(name, kind, tuple(shape), path)]
    found: list[Held] = []
    waiting: list[tuple[str, Any]] = [(name, read_mat(path, name))]
    while waiting:
        where, value = waiting.pop(0)
        if isinstance(value, dict):
            waiting += [(f"{where}.{key}", item) for key, item in value.items()]
        elif isinstance(value, np.ndarray):
            kind = "cell" if value.dtype.kind == "O" else str(value.dtype)
            found.append(Held(where, kind, value.shape, path))
    return found


def list_beside(path: Path) -> list[Held]:
    """List the flat lists in other small files of the folder: names, a line or column each."""
    found: list[Held] = []
    for file in sorted(path.parent.iterdir())[:200]:
        if file == path or not file.is_file() or file.stat().st_size > LARGEST_LIST:
            continue
        try:
            if file.suffix.lower() == ".npy":
                found += list_arrays(file)
            elif file.suffix.lower() in (".csv", ".tsv"):
                table = read_cells(file, guess_form(file))
                found += [Held(str(name), "column", (len(table),), file) for name in table]
            elif file.suffix.lower() == ".txt":
                n = len(Held("", "lines", (0,), file).load())
                found.append(Held("", "lines", (n,), file))
        except (RecordingError, OSError):
            continue
    return [one for one in found if one.length]


def guess_form(path: Path) -> Form:
    """Guess how a table is written: its encoding, separator, decimal and comments.

    Raises
    ------
    FileNotFoundError, RecordingError
        There is no such file, or it is no text.
    """
    encoding = guess_encoding(path)
    with path.open(encoding=encoding, newline="") as file:
        lines = [line for _, line in zip(range(LINES), file, strict=False) if line.strip()]
    if not lines:
        raise RecordingError(f"{path} is empty; expected a table.")
    plain = [line for line in lines if not line.startswith(COMMENTS)] or lines
    counts = {mark: sorted(line.count(mark) for line in plain) for mark in MARKS}
    # the separator is in every line, most often equally often
    mark = max(
        MARKS,
        key=lambda m: (0 < counts[m][0] == counts[m][-1], counts[m][0] > 0, sum(counts[m])),
    )
    width = plain[0].count(mark)
    notes = [line for line in lines if line.startswith(COMMENTS) and line.count(mark) != width]
    comment = notes[0][0] if notes else ""
    cells = [cell for row in csv.reader(plain[1:], delimiter=mark) for cell in row]
    commas = mark != "," and any(_is_decimal(cell) for cell in cells)
    return Form(mark, "," if commas else ".", encoding, comment).of(path)


def guess_encoding(path: Path) -> str:
    """Guess the encoding of a text: by its first bytes, UTF-8, else Latin-1."""
    content = path.read_bytes()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if b"\0" in content[:LARGEST_LIST]:
        raise RecordingError(f"{path.name} is no text; expected a table.")
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8-sig"


def _is_decimal(cell: str) -> bool:
    whole, comma, part = cell.strip().lstrip("-").partition(",")
    return bool(comma) and whole.isdigit() and part.isdigit()
