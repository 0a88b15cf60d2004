"""What must hold in an HDF5 file before the HDF5 library may be let loose on it.

A damaged file can keep the library busy for ever: it walks the blocks that hold text of variable
length ("global heaps") from object to object, and an object without size leads to itself.

And a file may name other files, which the library then reads as if they were part of it.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neural_data.errors import RecordingError

if TYPE_CHECKING:
    import h5py

HEAP = b"GCOL\x01\x00\x00\x00"
_OUTSIDE = (
    "{} is refused: the values of {!r} lie in another file, which would be read as if it were "
    "part of it. Copy them into the file, for instance with h5repack."
)
HEADER = 16  # bytes: both of a heap and of an object in it


def check_hdf5(path: str | os.PathLike[str], *, verified: bool = False) -> None:
    """Check that an HDF5 file can be opened: its blocks of text end, and it names no other file.

    To be called before a file is opened whose origin is not known, with netCDF4, h5py or
    whatever builds on the HDF5 library. A file of another format passes.

    Parameters
    ----------
    path : str or path
    verified : bool
        Its checksum holds, so that it is not damaged; anyone can write a checksum, though.

    Raises
    ------
    RecordingError
        A block is damaged in such a way that the HDF5 library would never return; or data lie in
        other files, by an external link, external storage or a virtual dataset.
    """
    path = Path(path)
    if path.stat().st_size < HEADER:
        return
    if not verified:
        _check_heaps(path)
    _refuse_other_files(path)


def refuse_outside(item: h5py.Dataset) -> None:
    """Raise RecordingError for a dataset whose values lie in other files."""
    import h5py

    plan = item.id.get_create_plist()
    virtual = plan.get_layout() == h5py.h5d.VIRTUAL
    if virtual or (plan.get_layout() == h5py.h5d.CONTIGUOUS and plan.get_external_count()):
        raise RecordingError(_OUTSIDE.format(item.file.filename, item.name))


def _refuse_other_files(path: Path) -> None:
    import h5py

    if not h5py.is_hdf5(path):
        return
    with h5py.File(path, "r") as file:
        seen, waiting = set(), [file["/"]]
        while waiting:
            group = waiting.pop()
            for name in group:
                link = group.get(name, getlink=True)
                if isinstance(link, h5py.ExternalLink):
                    raise RecordingError(_OUTSIDE.format(path, f"{group.name}/{name}"))
                item = group.get(name) if isinstance(link, h5py.HardLink) else None
                if isinstance(item, h5py.Dataset):
                    refuse_outside(item)
                elif isinstance(item, h5py.Group) and item.id.__hash__() not in seen:
                    seen.add(item.id.__hash__())
                    waiting.append(item)


def _check_heaps(path: Path) -> None:
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        damaged = _find_endless_heap(content)
    if damaged is not None:
        raise RecordingError(
            f"{path} is damaged: the block of text at byte {damaged} never ends. Copy the file "
            "again from where it is whole."
        )


def _find_endless_heap(content: mmap.mmap) -> int | None:
    """Find a heap whose objects do not lead to its end; all heaps are walked side by side."""
    starts = []
    place = content.find(HEAP)
    while place >= 0:
        starts.append(place)
        place = content.find(HEAP, place + len(HEAP))
    if not starts:
        return None
    array = np.frombuffer(content, dtype=np.uint8)
    try:
        return _walk(array, np.array(starts))
    finally:
        del array  # or the map cannot be closed


def _walk(content: np.ndarray, starts: np.ndarray) -> int | None:
    starts = starts[starts <= content.size - HEADER]
    size = _numbers(content, starts + 8)
    known = (size >= HEADER) & (size <= (content.size - starts).astype(np.uint64))
    starts = starts[known]  # the library itself refuses the others
    ends = starts + size[known].astype(np.int64)
    places = starts + HEADER
    while places.size:
        inside = places + HEADER <= ends  # a rest too small for an object is free space
        starts, ends, places = starts[inside], ends[inside], places[inside]
        index = content[places].astype(np.int64) + 256 * content[places + 1].astype(np.int64)
        size = _numbers(content, places + 8)
        rest = (ends - places).astype(np.uint64)
        endless = (size > rest) | ((index == 0) & (size == 0))
        if endless.any():
            return int(starts[endless][0])
        padded = HEADER + (size.astype(np.int64) + 7) // 8 * 8
        places = places + np.where(index == 0, size.astype(np.int64), padded)
    return None


def _numbers(content: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Read the 8-byte number at each place."""
    return content[places[:, np.newaxis] + np.arange(8)].view("<u8")[:, 0]
