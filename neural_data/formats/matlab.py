"""Reading MATLAB files up to version 7 by scipy, every length checked before it is believed.

The formats are those of "MAT-File Format" (The MathWorks), chapters 1 and 2, levels 4 and 5.
"""

from __future__ import annotations

import math
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neural_data.errors import RecordingError

HEADER = 128
MATRIX, COMPRESSED = 14, 15
CELL, STRUCT, OBJECT, CHAR, SPARSE, FUNCTION, OPAQUE = 1, 2, 3, 4, 5, 16, 17
NESTED = (CELL, STRUCT, OBJECT, FUNCTION)
ITEM_BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}
LETTER_BYTES = {1: 1, 2: 1, 4: 2, 16: 0, 17: 2, 18: 4}  # UTF-8 has no fixed number
SIZES_OF_4 = (8, 4, 4, 2, 2, 1)
MAX_DEPTH = 20
MAX_RATIO = 1032  # of what deflate can pack
SPARSE_RATIO, FREE = 2000, 2**26
CLASSES: tuple[str, ...] = ("", "cell", "struct", "object", "char", "sparse", "double", "single")
CLASSES += ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
CLASSES += ("function_handle",)
COMPLEX, LOGICAL = 0x0800, 0x0200
PLAIN = {*CLASSES, "logical", "canonical empty"} - {"", "object", "function_handle"}
ADVICE = {
    "function_handle": "it is code: save what it returns",
    "table": "save table2array(x), or table2struct(x, 'ToScalar', true)",
    "timetable": "save table2struct(timetable2table(x), 'ToScalar', true)",
    "string": "save cellstr(x)",
    "categorical": "save cellstr(x)",
    "datetime": "save cellstr(string(x)) or posixtime(x)",
    "containers.Map": "save its keys and values as cells",
}


def is_mat(path: Path) -> bool:
    """Whether the file begins as MATLAB 5 files do, or holds a whole MATLAB 4 file."""
    with path.open("rb") as file:
        head = file.read(HEADER)
    return _find_order(head) is not None or (len(head) > 20 and _is_mat4(path))


def list_mat(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """List the variables of a MATLAB file as name: (class, shape).

    Raises
    ------
    ValueError
        The file is damaged, or no MATLAB file up to version 7.
    """
    if _is_mat4(path):
        from scipy.io import whosmat

        return {name: (kind, tuple(shape)) for name, shape, kind in whosmat(path)}
    found: dict[str, tuple[str, tuple[int, ...]]] = {}
    for name, kind, shape in _walk_file(path):
        if name in found:
            raise ValueError(f"the variable {name!r} is there twice")
        if name:
            found[name] = kind, shape
    return found


def read_mat(path: Path, name: str, *, fields: Sequence[str] = ()) -> Any:
    """Read one variable of a MATLAB file.

    Parameters
    ----------
    path : pathlib.Path
    name : str
        The variable.
    fields : sequence of str
        The field of that struct, the field of the struct in that field, ...; a number is that of
        a cell or of one struct of several, from 1.

    Returns
    -------
    object
        Numbers and logicals as an array in MATLAB's shape, sparse ones as full ones; chars as an
        array of text, one a row, without the blanks at its end; a cell array as an array of
        objects; a struct as a dict, an array of structs as an array of dicts.

    Raises
    ------
    KeyError
        There is no such variable or field; the argument lists those that are there.
    ValueError
        The file is damaged, or the variable is of a kind that cannot be read.
    RecordingError
        It holds complex numbers.
    """
    from scipy.io import loadmat

    known = list_mat(path)
    if name not in known:
        raise KeyError(list(known))
    refuse_class(known[name][0])
    try:
        with warnings.catch_warnings(action="error", category=np.exceptions.ComplexWarning):
            value = loadmat(path, variable_names=[name], mat_dtype=True)[name]
    except np.exceptions.ComplexWarning:
        raise RecordingError(
            f"{path.name}: it holds complex numbers: save real(x) and imag(x)."
        ) from None
    for field in fields:
        if field.isdigit():
            value = _pick(value, int(field))
            continue
        names = getattr(getattr(value, "dtype", None), "names", None) or ()
        if field not in names or value.size != 1:
            several = [f"({k}).{field}" for k in range(1, getattr(value, "size", 0) + 1)]
            raise KeyError(several if field in names else list(names))
        value = value[field].item()
    return _as_plain(value)


def _pick(value: Any, number: int) -> Any:
    """Return one cell, or one struct of several, counted from 1 in MATLAB's order."""
    size = getattr(value, "size", 0)
    if not 1 <= number <= size or getattr(value, "dtype", np.dtype(float)).kind not in "OV":
        raise KeyError([str(k) for k in range(1, size + 1)])
    one = value.ravel(order="F")[number - 1 : number]
    return one if one.dtype.names else one.item()


def refuse_class(name: str) -> None:
    """Raise a ValueError for what MATLAB alone can read, with what to save instead."""
    if name not in PLAIN:
        advice = ADVICE.get(name, "save its numbers and texts as arrays or a struct")
        raise ValueError(f"it is MATLAB's own {name!r}, which only MATLAB can read; {advice}")


def join_text(letters: Any) -> np.ndarray:
    """Return rows of text without the blanks at their ends; a single empty text where none is."""
    return np.array([str(row).rstrip() for row in np.asarray(letters).ravel()] or [""])


def fill_sparse(values: Any) -> np.ndarray:
    """Return a sparse matrix as a full one, its places checked.

    Raises
    ------
    ValueError
        Places lie outside the matrix, or it is far too large for what is stored of it.
    """
    values.check_format(full_check=True)
    size = math.prod(values.shape) * values.dtype.itemsize
    if size > SPARSE_RATIO * values.data.nbytes + FREE:
        raise ValueError(f"a sparse matrix of shape {values.shape} takes {size} bytes when full")
    full = np.asarray(values.toarray())
    return full.astype(np.float64) if full.dtype.kind in "biu" else full


def _as_plain(value: Any) -> Any:
    """Turn what scipy gives into arrays of numbers, text and objects, and dicts."""
    from scipy.io.matlab import MatlabFunction, MatlabObject, MatlabOpaque
    from scipy.sparse import csc_array, issparse

    if issparse(value):
        value = fill_sparse(csc_array(value))
    if isinstance(value, MatlabFunction):
        refuse_class("function_handle")
    if isinstance(value, MatlabOpaque):
        refuse_class(bytes(value["s2"].item()).decode("latin-1"))
    if isinstance(value, MatlabObject):
        refuse_class(value.classname)
    if value.dtype.names is None and value.dtype.kind not in "OUbiuf":
        raise ValueError(f"it holds {value.dtype}; expected real numbers, text, cells or structs")
    if value.dtype.kind == "U":
        return join_text(value)
    if value.dtype.names is None and value.dtype.kind != "O":
        return value
    if value.size == 1 and value.item() is None:
        return {}  # a struct without fields
    items = np.empty(value.size, dtype=object)
    for k, item in enumerate(value.ravel()):
        names = value.dtype.names
        items[k] = _as_plain(item) if names is None else {n: _as_plain(item[n]) for n in names}
    return items[0] if value.dtype.names and value.size == 1 else items.reshape(value.shape)


def _find_order(head: bytes) -> str | None:
    return {b"\x00\x01IM": "<", b"\x01\x00MI": ">"}.get(head[124:HEADER])


def _walk_file(path: Path) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """Yield name, class and shape of every variable, unpacked and followed to its last element."""
    content = memoryview(np.memmap(path, dtype=np.uint8, mode="r").data)
    order = _find_order(bytes(content[:HEADER]))
    if order is None:
        raise ValueError("it is no MATLAB file up to version 7")
    at = HEADER
    while at < len(content):
        tag = content[at : at + 8]
        kind, n_bytes = struct.unpack(order + "II", tag) if len(tag) == 8 else (0, 0)
        if kind not in (MATRIX, COMPRESSED) or n_bytes > len(content) - at - 8:
            raise ValueError(
                f"byte {at} begins an element of type {kind} and {n_bytes} bytes, where a "
                f"whole variable should be; the file ends at {len(content)}"
            )
        body = content[at + 8 : at + 8 + n_bytes]
        yield _check_array(body if kind == MATRIX else _inflate(body, order), order, 0)
        at += 8 + n_bytes


def _inflate(body: memoryview, order: str) -> memoryview:
    """Unpack a variable, which must be as long as it says and end with its checksum."""
    stream = zlib.decompressobj()
    start = stream.decompress(body, 8)
    kind, n_bytes = struct.unpack(order + "II", start) if len(start) == 8 else (0, 0)
    if kind != MATRIX or n_bytes > MAX_RATIO * len(body):
        raise ValueError(f"{len(body)} compressed bytes cannot hold {n_bytes} of a variable")
    # One byte more than expected makes the stream reach its end, where its checksum is.
    content = stream.decompress(stream.unconsumed_tail, n_bytes + 1)
    if len(content) != n_bytes or not stream.eof or stream.unused_data:
        raise ValueError(f"a compressed variable does not hold the {n_bytes} bytes that it names")
    return memoryview(content)


def _walk(body: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Yield the type and the bytes of each element, which must fill the body exactly."""
    at = 0
    while at < len(body):
        if len(body) - at < 8:
            raise ValueError("a variable ends within an element")
        kind, n_bytes = struct.unpack(order + "II", body[at : at + 8])
        if kind >> 16:  # up to four bytes stand in the tag itself
            kind, n_bytes, start, end = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        else:
            start, end = at + 8, at + 8 + n_bytes + (0 if kind == MATRIX else -n_bytes % 8)
        if start + n_bytes > end or end > len(body):
            raise ValueError(f"an element names {n_bytes} bytes where {len(body) - start} are left")
        yield kind, body[start : start + n_bytes]
        at = end


def _check_array(body: memoryview, order: str, depth: int) -> tuple[str, str, tuple[int, ...]]:
    """Return name, class and shape of an array that holds the arrays and letters it should."""
    if depth > MAX_DEPTH:
        raise ValueError(f"cells or structs are nested more than {MAX_DEPTH} deep")
    parts = list(_walk(body, order))
    for kind, inner in parts:
        if kind == MATRIX:
            _check_array(inner, order, depth + 1)
    if not parts:
        return "", "double", (0, 0)
    if len(parts) < 3 or parts[0][0] != 6 or len(parts[0][1]) != 8:
        raise ValueError("a variable does not begin with its class, its shape and its name")
    flags = struct.unpack(order + "I", parts[0][1][:4])[0]
    of = flags & 0xFF
    if of == OPAQUE:
        if [kind for kind, _ in parts[1:]] != [1, 1, 1, MATRIX]:
            raise ValueError("an object of MATLAB's own is not as it should be")
        return _as_name(parts[1][1]), _as_name(parts[3][1]), ()
    if not 0 < of < len(CLASSES):
        raise ValueError(f"a variable is of the unknown class {of}")
    shape = tuple(np.frombuffer(parts[1][1], order + "i4").tolist())
    if parts[1][0] not in (5, 6) or not 2 <= len(shape) <= 32 or min(shape) < 0:
        raise ValueError(f"a variable has the shape {shape}")
    size, rest = math.prod(shape), parts[3:]
    if of in (STRUCT, OBJECT):
        size *= _count_fields(rest, order, of)
        rest = rest[3 if of == OBJECT else 2 :]
    if of == FUNCTION:
        size = 1
    if of in NESTED and (len(rest) != size or {k for k, _ in rest} - {MATRIX}):
        raise ValueError(f"a {CLASSES[of]} array of shape {shape} has {len(rest)} parts")
    if of not in NESTED:
        _check_values(of, rest, size, n_parts=2 if flags & COMPLEX else 1)
    return _as_name(parts[2][1]), "logical" if flags & LOGICAL else CLASSES[of], shape


def _count_fields(rest: list[tuple[int, memoryview]], order: str, of: int) -> int:
    """Count the fields of a struct, whose names are all as long."""
    (_, width), (_, names) = rest[1:3] if of == OBJECT else rest[:2]
    length = int.from_bytes(width, "little" if order == "<" else "big")
    if length < 1 or len(names) % length:
        raise ValueError("the names of the fields of a struct cannot be told apart")
    return len(names) // length


def _check_values(of: int, parts: list[tuple[int, memoryview]], size: int, *, n_parts: int) -> None:
    """Check the types and lengths of numbers or letters; scipy trusts them."""
    known = LETTER_BYTES if of == CHAR else ITEM_BYTES
    for number, (kind, values) in enumerate(parts):
        width = known.get(kind)
        if of == SPARSE and number == 2:
            width = width and 1  # MATLAB calls the bytes of logical ones doubles
        if width is None or (width and len(values) % width):
            raise ValueError(f"{len(values)} bytes of type {kind} stand where values should")
        if width and of != SPARSE and len(values) != size * width and (values or of != CHAR):
            raise ValueError(f"an array of {size} values has {len(values) // width}")
    if len(parts) != n_parts + (2 if of == SPARSE else 0):
        raise ValueError(f"an array has {len(parts)} parts")


def _as_name(text: memoryview) -> str:
    return bytes(text).decode("latin-1")


def _is_mat4(path: Path) -> bool:
    """Whether the file is a row of MATLAB 4 variables that fill it exactly."""
    at, end = 0, path.stat().st_size
    with path.open("rb") as file:
        while at < end:
            file.seek(at)
            head = file.read(20)
            order = "<" if len(head) == 20 and struct.unpack("<I", head[:4])[0] < 1000 else ">"
            if len(head) < 20:
                return False
            kind, rows, columns, imaginary, length = struct.unpack(order + "5i", head)
            machine, number, matrix = kind // 1000, kind % 1000 // 10, kind % 10
            name = file.read(length) if 0 < length < 64 else b""
            if (
                machine != "<>".index(order) or number >= len(SIZES_OF_4) or matrix > 2
                or min(rows, columns) < 0 or imaginary not in (0, 1) or not name.endswith(b"\0")
            ):  # fmt: skip
                return False
            at += 20 + length + rows * columns * SIZES_OF_4[number] * (1 + imaginary)
    return at == end > 0
