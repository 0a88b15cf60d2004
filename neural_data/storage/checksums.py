"""A checksum at the end of a file, so that damage is seen before anything is made of its content.

HDF5, and so netCDF, passes over what follows the end of its data, and takes it away when a
program changes the file. The checksum is a line of text that anybody can check::

    head --bytes=SIZE FILE | sha256sum
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import BinaryIO

from neural_data.errors import RecordingError

FORM = re.compile(rb"\nneural_data checksum: sha256 ([0-9a-f]{64}) of the first (\d{16}) bytes\.\n")
LENGTH = 132
BLOCK = 4 << 20
HDF5 = b"\x89HDF\r\n\x1a\n"


def append_checksum(path: str | os.PathLike[str]) -> None:
    """Append the checksum of a file to it."""
    with open(path, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        digest = _digest(file, size)
        file.seek(size)
        file.write(
            f"\nneural_data checksum: sha256 {digest} of the first {size:016d} bytes.\n".encode()
        )


def verify_checksum(path: str | os.PathLike[str]) -> bool:
    """Verify the checksum at the end of a file.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    bool
        True if the file ends in a checksum, which is right. False if it has none: another
        program wrote it, or changed it.

    Raises
    ------
    RecordingError
        The content is not what was written; or there is something after the end of an HDF5
        file, and it is not a checksum.
    """
    path = Path(path)
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - LENGTH, 0))
        line = FORM.fullmatch(file.read(LENGTH))
        if line is None:
            _refuse_remainder(file, path, size)
            return False
        content = size - LENGTH
        if int(line[2]) != content:
            raise RecordingError(
                f"{path} is damaged: {int(line[2])} bytes were written and {content} are there. "
                "Copy it again from where it is whole."
            )
        if _digest(file, content) != line[1].decode():
            raise RecordingError(
                f"{path} is damaged: its content is not what the checksum at its end was made of. "
                "Copy it again from where it is whole. If a program changed it on purpose, load "
                "it with xarray.load_dataset(path), look at it, and save it again."
            )
    return True


def _digest(file: BinaryIO, size: int) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while size > 0:
        block = file.read(min(BLOCK, size))
        if not block:
            break
        digest.update(block)
        size -= len(block)
    return digest.hexdigest()


def _refuse_remainder(file: BinaryIO, path: Path, size: int) -> None:
    """Refuse an HDF5 file that goes on after its end: what is there was once a checksum."""
    file.seek(0)
    head = file.read(48)
    if not head.startswith(HDF5) or len(head) < 48:
        return
    start = {0: 40, 1: 44, 2: 28, 3: 28}.get(head[8])
    if start is None or head[13 if head[8] < 2 else 9] != 8:
        return
    end = int.from_bytes(head[start : start + 8], "little")
    if end < size:
        raise RecordingError(
            f"{path} is damaged: {size - end} bytes follow the end of its data, and they are not "
            "a checksum. Copy it again from where it is whole. If it is as another program wrote "
            "it, load it with xarray.load_dataset(path), look at it, and save it again."
        )
