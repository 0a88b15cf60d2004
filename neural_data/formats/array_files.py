"""Reading one array from a file: .npy, .npz, .mat, .h5 or .csv."""

from __future__ import annotations

import csv
import os
import re
import warnings
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from neural_data.errors import RecordingError, format_names
from neural_data.formats._hdf5_arrays import is_hdf5, list_hdf5, read_hdf5
from neural_data.formats.matlab import is_mat, list_mat, read_mat
from neural_data.storage.csv_tables import MISSING_CELLS, refuse_workbook
from neural_data.storage.image_files import check_members
from neural_data.storage.pointers import refuse_pointer

ENDINGS = (".npy", ".npz", ".mat", ".h5", ".hdf5", ".csv", ".tsv")
MAX_DEFLATE = 1032  # bytes that one deflated byte can stand for
BLOCK = 2**24
_INDEX = re.compile(r"(\(|\{)(\d+)[)}]")  # of one struct or cell, from 1

_PICKLED = (
    "it holds pickled objects of Python, which could run any code when they are read; expected "
    "numbers or text. Where it was made, save the arrays in it with np.savez."
)


class _OfThisFile(Exception):
    """Raised with a message that already says what to do."""


def load_array(path: str | os.PathLike[str], *, variable: str | None = None) -> np.ndarray:
    """Load one array of numbers or of text from a file of a common format.

    Parameters
    ----------
    path : str or path
        By its ending, ``.npy`` (without pickled objects), ``.npz``, ``.mat`` (MATLAB,
        any version), ``.h5`` or ``.hdf5``, ``.csv`` or ``.tsv``.
    variable : str, optional
        Which array of the file: the name in an ``.npz``; the variable of a ``.mat``, or
        "struct.field"; the dataset of an ``.h5``, "group.dataset" or "group/dataset"; the
        column of a ``.csv`` with a header. It may be left out where there is only one. Of a
        ``.mat`` up to version 7, one cell is "name{2}" and one struct of several "name(2).field",
        counted from 1.

    Returns
    -------
    numpy.ndarray
        Numbers, in the file's own type and in native byte order, or text. An array of MATLAB
        has MATLAB's axes, in both versions; its cell array of texts, or its char array of one
        text a row, is an array of text. A ``.csv`` without a header is float64 (row, column),
        NaN at empty cells.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    RecordingError
        The file is damaged or of another format, or its size does not fit what its header
        says; there is no such variable, or none was named among several (they are listed);
        the variable holds neither numbers nor text.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from neural_data.formats.array_files import load_array
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/lab.npz", rates=np.ones((3, 2)), names=["a", "b", "c"])
    ...     load_array(f"{folder}/lab.npz", variable="names").tolist()
    ['a', 'b', 'c']
    """
    array: np.ndarray = _load(Path(path), variable, _as_array)
    return array


def load_cells(path: str | os.PathLike[str], *, variable: str | None = None) -> list[np.ndarray]:
    """Load a cell array of MATLAB whose cells are arrays, such as spike times of each unit.

    Parameters
    ----------
    path : str or path
        A ``.mat``, any version.
    variable : str, optional
        As in `load_array`.

    Returns
    -------
    list of numpy.ndarray
        Numbers or text of each cell, in MATLAB's order.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    RecordingError
        As in `load_array`; or the variable is no cell array with one axis.
    """
    cells: list[np.ndarray] = _load(Path(path), variable, _as_cells)
    return cells


def _as_cells(values: Any) -> list[np.ndarray]:
    array = np.asarray(values)
    if array.dtype.kind != "O" or array.size != max(array.shape, default=0) or not array.size:
        raise _OfThisFile(
            f"it holds {array.dtype} of shape {array.shape}; expected a cell array, 1 x n, with "
            "one array in each cell."
        )
    cells = [np.asarray(item) for item in array.ravel()]
    if any(cell.dtype.kind not in "biufU" for cell in cells):
        raise _OfThisFile("it has cells in its cells, or structs; expected numbers in each cell.")
    return cells


def _load(path: Path, variable: str | None, finish: Callable[[Any], Any]) -> Any:
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is not there"
        raise FileNotFoundError(f"There is no array {path}: it {what}. Check the path.")
    readers: dict[str, Callable[[Path, str | None], Any]] = {
        ".npy": _load_npy,
        ".npz": _load_npz,
        ".mat": _load_mat,
        ".h5": _load_hdf5,
        ".hdf5": _load_hdf5,
        ".csv": _load_csv,
        ".tsv": _load_csv,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise RecordingError(
            f"{path.name} ends in {path.suffix!r}; expected one of {format_names(ENDINGS, 10)}."
        )
    try:
        _refuse_other(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return finish(reader(path, variable))
    except PermissionError as cause:
        raise PermissionError(f"{path} may not be read: {cause.strerror}.") from cause
    except ModuleNotFoundError as cause:
        raise RecordingError(
            f"{path.name} is an HDF5 file, which takes the package h5py: pip install h5py."
        ) from cause
    except RecordingError:
        raise
    except _OfThisFile as cause:
        raise RecordingError(f"{path.name}: {cause}") from None
    except MemoryError as cause:
        raise RecordingError(
            f"{path} cannot be read as an array of numbers or text: it does not fit into memory."
        ) from cause
    except Exception as cause:
        raise RecordingError(
            f"{path} cannot be read as an array of numbers or text ({path.stat().st_size} bytes; "
            f"{type(cause).__name__}: {cause}). It is truncated, damaged or of another kind: copy "
            "or save it again."
        ) from cause


def _refuse_other(path: Path) -> None:
    """Refuse what is known to be of another kind by its first bytes."""
    with path.open("rb") as file:
        content = file.read(64)
    refuse_pointer(path, content)
    if content[:1] == b"\x80" and content[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        raise _OfThisFile(_PICKLED)
    if content.startswith(b"\x1f\x8b"):
        raise _OfThisFile("it is compressed by gzip: unpack it first.")
    if path.suffix.lower() in (".csv", ".tsv"):
        refuse_workbook(path, content)


def _load_npy(path: Path, variable: str | None) -> np.ndarray:
    if variable is not None:
        raise _OfThisFile(f"a .npy holds one array without a name; leave out {variable!r}.")
    with path.open("rb") as file:
        return _read_npy(file, path.stat().st_size)


def _read_npy(stream: IO[bytes], n_bytes: int) -> np.ndarray:
    """Read an array, after checking that header and values are as long as all there is."""
    formats = np.lib.format
    version = formats.read_magic(stream)
    if version == (1, 0):
        shape, by_column, dtype = formats.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, by_column, dtype = formats.read_array_header_2_0(stream)
    else:
        raise ValueError(f"version {version}; expected (1, 0) or (2, 0)")
    if dtype.hasobject:
        raise _OfThisFile(_PICKLED)
    if dtype.kind not in "biufU":
        raise _OfThisFile(
            f"it holds {dtype}; expected numbers or text. Save its real numbers, or each of its "
            "fields, as an array."
        )
    size = 1
    for n in shape:
        size *= n
    expected = stream.tell() + size * dtype.itemsize
    if min(shape, default=0) < 0 or expected != n_bytes:
        raise ValueError(f"an array {dtype} of shape {shape} takes {expected} bytes")
    values = np.empty(size, dtype=dtype)
    if values.nbytes:
        room = values.view(np.uint8).data
        for start in range(0, len(room), BLOCK):
            block = room[start : start + BLOCK]
            while block:
                n_read = stream.readinto(block)  # type: ignore[attr-defined]
                if not n_read:
                    raise ValueError("it ends before its values do")
                block = block[n_read:]
    if stream.read(1):  # which is where a zip file checks its checksum
        raise ValueError("it goes on after its values")
    return values.reshape(shape, order="F" if by_column else "C")


def _load_npz(path: Path, variable: str | None) -> np.ndarray:
    with zipfile.ZipFile(path) as archive:
        check_members(archive, path)
        members = {
            info.filename.removesuffix(".npy"): info
            for info in archive.infolist()
            if info.filename.endswith(".npy")
        }
        info = members[_choose(variable, members)]
        if info.file_size > MAX_DEFLATE * info.compress_size + BLOCK:
            raise ValueError(f"{info.file_size} bytes cannot be in {info.compress_size}")
        with archive.open(info) as stream:
            return _read_npy(stream, info.file_size)


def _load_mat(path: Path, variable: str | None) -> Any:
    if is_hdf5(path):
        return _load_hdf5(path, variable)
    if not is_mat(path):
        raise _OfThisFile(
            "it is a file of no version of MATLAB, or damaged: save it again with save('-v7', ...)."
        )
    found = {
        name: f"{kind} {'x'.join(map(str, shape))}"
        for name, (kind, shape) in list_mat(path).items()
    }
    return _follow(lambda name, fields: read_mat(path, name, fields=fields), found, variable)


def _load_hdf5(path: Path, variable: str | None) -> Any:
    if not is_hdf5(path):
        raise _OfThisFile("it does not begin as an HDF5 file. It is damaged or of another format.")
    found = {
        name: f"{kind} {'x'.join(map(str, shape))}"
        for name, (kind, shape) in list_hdf5(path).items()
    }
    name = None if variable is None else variable.strip("/").replace("/", ".")
    return _follow(lambda name, fields: read_hdf5(path, name, fields=fields), found, name)


def _follow(
    read: Callable[[str, Sequence[str]], Any], found: dict[str, str], variable: str | None
) -> Any:
    """Read "a.b.c" as field c of field b of variable a."""
    if variable is None:
        variable = _choose(None, found)
    name, *fields = _INDEX.sub(r".\2", variable).split(".")
    try:
        values = read(name, fields)
    except KeyError as cause:
        names = cause.args[0] if cause.args and isinstance(cause.args[0], list) else []
        listed = format_names(names, 20) if names else "nothing to choose from"
        raise _OfThisFile(
            f"there is no {variable!r}; where it should be, there is {listed}."
        ) from (cause)
    if isinstance(values, dict):
        raise _OfThisFile(
            f"{variable!r} has several parts: name one, as "
            f"{format_names([f'{variable}.{key}' for key in values], 20)}."
        )
    return values


def _choose(variable: str | None, names: Any) -> str:
    if variable is None and len(names) == 1:
        return str(next(iter(names)))
    if variable is not None and variable in names:
        return variable
    listed = [
        f"{name} ({what})" if isinstance(names, dict) and isinstance(what, str) else str(name)
        for name, what in (names.items() if isinstance(names, dict) else ((n, n) for n in names))
    ]
    if variable is None:
        raise _OfThisFile(
            f"it holds {len(listed)} arrays; name one as the variable: "
            f"{format_names(listed, 20) or 'none'}."
        )
    raise _OfThisFile(f"there is no {variable!r}; there are {format_names(listed, 20) or 'none'}.")


def _load_csv(path: Path, variable: str | None) -> np.ndarray:
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.reader(file, delimiter=separator, strict=True) if row]
    if not rows:
        raise ValueError("it is empty")
    if separator == "," and all(";" in ",".join(row) for row in rows):
        raise _OfThisFile(
            "it has its columns between semicolons instead of commas: save it with commas (and "
            "decimal points)."
        )
    short = next((k for k, row in enumerate(rows) if len(row) != len(rows[0])), None)
    if short is not None:
        raise ValueError(f"line {short + 1} has {len(rows[short])} cells, the first {len(rows[0])}")
    table = np.array([[cell.strip() for cell in row] for row in rows], dtype=object)
    if parse_numbers(table[0]) is not None:
        numbers = parse_numbers(table)
        if variable is not None:
            raise _OfThisFile(f"its first line is no header, so it has no column {variable!r}.")
        if numbers is None:
            raise ValueError("it has a cell that is no number, and its first line is no header")
        return numbers
    header = [str(name) for name in table[0]]
    if len(set(header)) < len(header):
        raise ValueError("its header names a column twice")
    column = table[1:, header.index(_choose(variable, header))]
    numbers = parse_numbers(column)
    return column.astype(str) if numbers is None else numbers


def parse_numbers(cells: Any) -> np.ndarray | None:
    """Return cells of text as float64, NaN where empty or "NA"; None if any is no number."""
    texts = np.asarray(cells, dtype=object)
    try:
        numbers = np.where(np.isin(texts.astype(str), MISSING_CELLS), "nan", texts)
        return numbers.astype(np.float64)
    except (ValueError, OverflowError):
        return None


def _as_array(values: Any) -> np.ndarray:
    """Return numbers or text; a cell array of single texts or single numbers as one array."""
    array = values if isinstance(values, np.ndarray) else np.asarray(values)
    if array.dtype.kind in "biufU":
        if not array.dtype.isnative:
            array = array.astype(array.dtype.newbyteorder("="))
        return array
    if array.dtype.kind == "O" and array.size:
        items = [np.asarray(item) for item in array.flat]
        single = all(item.size == 1 and item.dtype.kind in "biufU" for item in items)
        kinds = {item.dtype.kind == "U" for item in items}
        if single and len(kinds) == 1:
            return np.array([item.item() for item in items]).reshape(array.shape)
    if array.dtype.kind == "O" and array.size and all(isinstance(i, dict) for i in array.flat):
        raise _OfThisFile(
            f"it is an array of {array.size} structs with the fields "
            f"{format_names(array.flat[0], 10)}: name a field of one of them, as "
            f"'NAME(1).{next(iter(array.flat[0]), 'field')}'."
        )
    if array.dtype.kind == "O" and array.size:
        shapes = dict.fromkeys(str(np.shape(item)) for item in array.flat)
        raise _OfThisFile(
            f"it is a cell array of {array.size} arrays of the shapes "
            f"{', '.join(list(shapes)[:5])}: name one cell, as 'NAME{{1}}', and read them one by "
            "one."
        )
    raise _OfThisFile(
        f"it holds {array.dtype}; expected an array of numbers or of text, or a cell array with "
        "one text or number in each cell."
    )
