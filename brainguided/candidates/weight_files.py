"""Arrays of numbers as one file that says whose they are, read without trust."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


def pack_arrays(arrays: Mapping[str, np.ndarray], note: Mapping[str, Any] | None = None) -> bytes:
    """Return the content of an ``.npz`` file, not compressed.

    Parameters
    ----------
    arrays : mapping of str to ndarray
    note : mapping, optional
        Whose they are, ready for JSON: the comment of the archive, which `numpy.load` passes over.
    """
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    if note is not None:
        with zipfile.ZipFile(stream, "a") as archive:
            archive.comment = json.dumps(note).encode()
    return stream.getvalue()


def unpack_arrays(content: bytes) -> tuple[Arrays, dict[str, Any]]:
    """Return the arrays of a file, and its note; that is empty where there is none.

    Raises
    ------
    ValueError
        It is damaged, holds other than numbers, or unpacks to more than it is.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(member.file_size for member in archive.infolist()) > len(content):
                raise ValueError("they unpack to more than they are")
            comment = archive.comment
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        note = json.loads(comment or b"{}")
    except (
        ValueError, OSError, zipfile.BadZipFile, zlib.error, EOFError, MemoryError, RuntimeError,
        KeyError, SyntaxError, OverflowError,
    ) as error:  # fmt: skip
        raise ValueError(str(error) or type(error).__name__) from error
    if any(getattr(value, "dtype", np.dtype("O")).kind not in "fiub" for value in arrays.values()):
        raise ValueError("some are no numbers")
    return arrays, note if isinstance(note, dict) else {}
