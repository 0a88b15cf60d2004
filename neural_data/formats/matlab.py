"""Reading MATLAB 5 files (save -v6 and -v7), every length checked before it is believed.

The format is that of "MAT-File Format" (The MathWorks), chapter 1, level 5.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

HEADER = 128
MATRIX, COMPRESSED = 14, 15
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8"}
NUMBERS |= {13: "u8"}
ENCODINGS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
CELL, STRUCT, CHAR = 1, 2, 4
CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8"}
CLASSES |= {15: "u8"}
CLASS_NAMES = {CELL: "cell", STRUCT: "struct", 3: "object", CHAR: "char", 5: "sparse", 6: "double"}
CLASS_NAMES |= {7: "single", 8: "int8", 9: "uint8", 10: "int16", 11: "uint16", 12: "int32"}
CLASS_NAMES |= {13: "uint32", 14: "int64", 15: "uint64", 16: "function", 17: "opaque"}
COMPLEX, LOGICAL = 0x08, 0x02
MAX_DEPTH = 20
MAX_RATIO = 1032  # of what deflate can pack


class MatVariable(NamedTuple):
    """What a MATLAB file says of one of its variables."""

    kind: str
    shape: tuple[int, ...]


class _Head(NamedTuple):
    kind: int
    flags: int
    shape: tuple[int, ...]
    name: str
    rest: memoryview


def is_mat5(path: Path) -> bool:
    """Whether the file begins as MATLAB 5 files do."""
    with path.open("rb") as file:
        head = file.read(HEADER)
    return len(head) == HEADER and head.startswith(b"MATLAB 5.0 MAT-file")


def list_mat5(path: Path) -> dict[str, MatVariable]:
    """List the variables of a MATLAB 5 file; their values are not read.

    Raises
    ------
    ValueError
        The file is damaged or no MATLAB 5 file.
    """
    heads = [_peek(kind, body, order) for kind, body, order in _walk_file(path)]
    return {
        head.name: MatVariable(
            "logical" if head.flags & LOGICAL else CLASS_NAMES.get(head.kind, "unknown"),
            head.shape,
        )
        for head in heads
        if head.name
    }


def read_mat5(path: Path, name: str, *, fields: Sequence[str] = ()) -> Any:
    """Read one variable of a MATLAB 5 file.

    Parameters
    ----------
    path : pathlib.Path
    name : str
        The variable.
    fields : sequence of str
        The field of that struct, the field of the struct in that field, ...; the others are
        not read.

    Returns
    -------
    object
        Numbers and logicals as an array in MATLAB's shape; chars as an array of text, one a
        row, without the blanks at its end; a cell array as an array of objects; a struct as a
        dict, an array of structs as an array of dicts.

    Raises
    ------
    KeyError
        There is no such variable or field; the argument lists those that are there.
    ValueError
        The file is damaged, or the variable is of a kind that cannot be read.
    """
    names = []
    found: memoryview | None = None
    order = "<"
    for kind, body, order in _walk_file(path):
        head = _peek(kind, body, order)
        names.append(head.name)
        if head.name == name:
            if found is not None:
                raise ValueError(f"the variable {name!r} is there twice")
            found = _inflate(body, order) if kind == COMPRESSED else body
    if found is None:
        raise KeyError([name for name in names if name])
    return _decode(found, order, tuple(fields), 0)


def _walk_file(path: Path) -> Iterator[tuple[int, memoryview, str]]:
    """Yield the kind and the bytes of every element, which must fill the file exactly."""
    content = np.memmap(path, dtype=np.uint8, mode="r").data if path.stat().st_size else b""
    if len(content) < HEADER or bytes(content[:19]) != b"MATLAB 5.0 MAT-file":
        raise ValueError("it does not begin as a MATLAB 5 file")
    endian = bytes(content[126:128])
    if endian not in (b"IM", b"MI"):
        raise ValueError(f"its byte order is {endian!r}; expected b'IM' or b'MI'")
    order = "<" if endian == b"IM" else ">"
    if struct.unpack(order + "H", content[124:126])[0] != 0x0100:
        raise ValueError("its version is not 1.0")
    at = HEADER
    while at < len(content):
        if len(content) - at < 8:
            raise ValueError("it ends within the tag of a variable")
        kind, n_bytes = struct.unpack(order + "II", content[at : at + 8])
        if kind not in (MATRIX, COMPRESSED):
            raise ValueError(f"an element of type {kind} stands where a variable should")
        if n_bytes > len(content) - at - 8:
            raise ValueError(
                f"a variable of {n_bytes} bytes begins at byte {at}, and the file ends at "
                f"{len(content)}"
            )
        yield kind, memoryview(content[at + 8 : at + 8 + n_bytes]), order
        at += 8 + n_bytes


def _peek(kind: int, body: memoryview, order: str) -> _Head:
    """Read what comes before the values: class, shape and name."""
    if kind == COMPRESSED:
        start = zlib.decompressobj().decompress(body, 4096)
        if len(start) < 8 or struct.unpack(order + "I", start[:4])[0] != MATRIX:
            raise ValueError("a compressed element holds no variable")
        body = memoryview(start)[8:]
    return _read_head(body, order)


def _inflate(body: memoryview, order: str) -> memoryview:
    stream = zlib.decompressobj()
    start = stream.decompress(body, 8)
    if len(start) < 8:
        raise ValueError("a compressed variable is empty")
    kind, n_bytes = struct.unpack(order + "II", start)
    if kind != MATRIX or n_bytes > MAX_RATIO * len(body):
        raise ValueError(f"{len(body)} compressed bytes cannot hold {n_bytes} of a variable")
    # One byte more than expected makes the stream reach its end, where its checksum is.
    content = stream.decompress(stream.unconsumed_tail, n_bytes + 1)
    if len(content) != n_bytes or not stream.eof or stream.unused_data:
        raise ValueError(f"a compressed variable does not hold the {n_bytes} bytes that it names")
    return memoryview(content)


def _take(body: memoryview, order: str) -> tuple[int, memoryview, memoryview]:
    """Split off the first element: its type, its bytes, and what follows."""
    if len(body) < 8:
        raise ValueError("a variable ends within an element")
    word, n_bytes = struct.unpack(order + "II", body[:8])
    if word >> 16:  # up to four bytes stand in the tag itself
        n_bytes = word >> 16
        if n_bytes > 4:
            raise ValueError(f"a small element names {n_bytes} bytes; expected up to 4")
        return word & 0xFFFF, body[4 : 4 + n_bytes], body[8:]
    end = 8 + n_bytes
    padded = end if word == MATRIX else end + (-n_bytes) % 8
    if padded > len(body):
        raise ValueError(f"an element names {n_bytes} bytes where {len(body) - 8} are left")
    return word, body[8:end], body[padded:]


def _numbers(kind: int, body: memoryview, order: str) -> np.ndarray:
    if kind not in NUMBERS:
        raise ValueError(f"an element of type {kind} stands where numbers should")
    dtype = np.dtype(order + NUMBERS[kind])
    if len(body) % dtype.itemsize:
        raise ValueError(f"{len(body)} bytes are no whole number of {dtype}")
    return np.frombuffer(body, dtype=dtype)


def _read_head(body: memoryview, order: str) -> _Head:
    kind, flags, body = _take(body, order)
    if kind != 6 or len(flags) != 8:
        raise ValueError("a variable does not begin with its class")
    word = struct.unpack(order + "I", flags[:4])[0]
    if word & 0xFF == 17:  # an object of MATLAB's own kind: no shape, then its name
        _, name, rest = _take(body, order)
        return _Head(17, 0, (), bytes(name).decode("latin-1"), rest)
    kind, sizes, body = _take(body, order)
    shape = tuple(int(n) for n in _numbers(kind, sizes, order))
    if not 2 <= len(shape) <= 32 or min(shape) < 0:
        raise ValueError(f"a variable has the shape {shape}")
    _, name, rest = _take(body, order)
    return _Head(word & 0xFF, word >> 8 & 0xFF, shape, bytes(name).decode("latin-1"), rest)


def _decode(body: memoryview, order: str, fields: tuple[str, ...], depth: int) -> Any:
    if not body:
        return np.empty((0, 0))
    if depth > MAX_DEPTH:
        raise ValueError(f"cells or structs are nested more than {MAX_DEPTH} deep")
    head = _read_head(body, order)
    size = _count(head.shape)
    if head.kind == STRUCT:
        return _decode_struct(head, order, fields, depth)
    if fields:
        raise KeyError([])
    if head.kind == CELL:
        if size > len(head.rest) // 8:
            raise ValueError(f"a cell array of shape {head.shape} in {len(head.rest)} bytes")
        cells = np.empty(size, dtype=object)
        rest = head.rest
        for k in range(size):
            cells[k], rest = _decode_next(rest, order, (), depth)
        _check_end(rest)
        return cells.reshape(head.shape, order="F")
    if head.kind == CHAR:
        return _decode_text(head, order, size)
    if head.kind not in CLASSES or head.flags & COMPLEX:
        what = "complex" if head.flags & COMPLEX else CLASS_NAMES.get(head.kind, "unknown")
        raise ValueError(f"it holds a {what} array; expected numbers, text, cells or structs")
    kind, values, rest = _take(head.rest, order)
    _check_end(rest)
    numbers = _numbers(kind, values, order)
    if numbers.size != size:
        raise ValueError(f"an array of shape {head.shape} has {numbers.size} values")
    dtype = np.dtype(bool if head.flags & LOGICAL else CLASSES[head.kind])
    return numbers.astype(dtype).reshape(head.shape, order="F")


def _decode_next(
    body: memoryview, order: str, fields: tuple[str, ...], depth: int
) -> tuple[Any, memoryview]:
    kind, inner, rest = _take(body, order)
    if kind != MATRIX:
        raise ValueError(f"an element of type {kind} stands where an array should")
    return _decode(inner, order, fields, depth + 1), rest


def _decode_struct(head: _Head, order: str, fields: tuple[str, ...], depth: int) -> Any:
    kind, width, rest = _take(head.rest, order)
    lengths = _numbers(kind, width, order)
    _, letters, rest = _take(rest, order)
    length = int(lengths[0]) if lengths.size == 1 else 0
    if length < 1 or len(letters) % length:
        raise ValueError("the names of the fields of a struct cannot be told apart")
    raw = [bytes(letters[k : k + length]) for k in range(0, len(letters), length)]
    names = [name.split(b"\0")[0].decode("latin-1") for name in raw]
    size = _count(head.shape)
    if size * max(len(names), 1) > len(rest) // 8 and names:
        raise ValueError(f"a struct array of shape {head.shape} in {len(rest)} bytes")
    if fields and (size != 1 or fields[0] not in names):
        raise KeyError(names if size == 1 else [])
    if not names:
        return {}
    structs = np.empty(size, dtype=object)
    for k in range(size):
        structs[k] = {}
        for name in names:
            if fields and name != fields[0]:
                kind, _, rest = _take(rest, order)
                if kind != MATRIX:
                    raise ValueError(f"an element of type {kind} stands where a field should")
            else:
                structs[k][name], rest = _decode_next(rest, order, fields[1:], depth)
    _check_end(rest)
    if fields:
        return structs[0][fields[0]]
    return structs[0] if size == 1 else structs.reshape(head.shape, order="F")


def _decode_text(head: _Head, order: str, size: int) -> np.ndarray:
    kind, letters, rest = _take(head.rest, order)
    _check_end(rest)
    if kind not in ENCODINGS:
        raise ValueError(f"text of type {kind}")
    encoding = ENCODINGS[kind]
    if encoding in ("utf-16", "utf-32"):
        encoding += "-le" if order == "<" else "-be"
    text = bytes(letters).decode(encoding)
    if len(head.shape) == 2 and head.shape[0] == 1 and encoding.startswith("utf-16"):
        if len(letters) not in (0, 2 * size):
            raise ValueError(f"text of shape {head.shape} has {len(letters) // 2} letters")
        return np.array([text.rstrip()])  # two letters of MATLAB's may be one of ours
    if len(text) not in (0, size):
        raise ValueError(f"text of shape {head.shape} has {len(text)} letters")
    return rows_of_text(
        np.array(list(text or " " * size), dtype="U1").reshape(head.shape, order="F")
    )


def rows_of_text(letters: np.ndarray) -> np.ndarray:
    """Join an array of letters (row, ..., letter) to rows, without the blanks at their ends."""
    if letters.size == 0:
        return np.array([""])
    return np.array(["".join(row).rstrip() for row in letters.reshape(-1, letters.shape[-1])])


def _count(shape: tuple[int, ...]) -> int:
    size = 1
    for n in shape:
        size *= n
    return size


def _check_end(rest: memoryview) -> None:
    if len(rest):
        raise ValueError(f"{len(rest)} bytes are left over at the end of a variable")
