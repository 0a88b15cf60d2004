"""Images that lie decoded in a file, of which a process holds only those that it is at."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from brainguided.candidates._image_files import Pool
from neural_data.storage.aside import write_aside, write_whole
from neural_data.storage.text_files import read_json

_log = logging.getLogger(__name__)
_PART = 8 * 2**20  # bytes that are decoded, or read, at a time
_SAID = 60.0  # s of decoding after which is said how far it is, then again
_VERSION = 1  # of how images are laid out and decoded
Chosen = tuple[Pool, np.ndarray]


@dataclass(frozen=True)
class ImagesOnDisk:
    """Images in a file, an array to read from: ``images[rows]`` and ``images[2:5]`` are ndarrays.

    Nothing is kept, nor mapped into memory: what was read may stay in the cache of the system,
    which all processes share and which gives way where memory is wanted. It is sent to workers as
    the path of the file, which they have to see.

    Attributes
    ----------
    path : Path
        A .npy file (image, y, x, channel) of uint8, as numpy reads it.
    start : int
        Byte at which these images begin.
    shape : tuple of int
        (image, y, x, channel) of these images.
    written : int
        When the file was written, in whole seconds since 1970: one that was written later may
        hold other images, and is not read.
    """

    path: Path
    start: int
    shape: tuple[int, int, int, int]
    written: int
    dtype = np.dtype(np.uint8)
    ndim = 4

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes of these images in the file."""
        return int(np.prod(self.shape, dtype=np.int64))

    def __getitem__(self, chosen: np.ndarray | slice) -> np.ndarray:
        """Return some images, in the order asked for.

        Raises
        ------
        FileNotFoundError
            The file is not on this machine.
        OSError
            It is shorter than it was, or was written later.
        """
        rows = np.arange(len(self))[chosen].tolist()
        images = np.empty((len(rows), *self.shape[1:]), dtype=np.uint8)
        size = self.nbytes // max(1, len(self))
        try:
            with self.path.open("rb", buffering=0) as file:  # any process and thread has its own
                if (written := int(os.fstat(file.fileno()).st_mtime)) != self.written:
                    raise OSError(
                        f"{self.path} was changed since this process began (written at {written}, "
                        f"expected {self.written} s since 1970). Begin again; name a file of its "
                        "own for each set of images. A copy has to keep the time (rsync -a)."
                    )
                for image, row in zip(images, rows, strict=True):
                    file.seek(self.start + row * size)
                    if (got := file.readinto(image.data.cast("B"))) != size:
                        raise OSError(
                            f"{self.path} ends within image {row} ({got} of {size} bytes): it was "
                            "changed since this process began. Begin again."
                        )
        except FileNotFoundError:
            raise FileNotFoundError(
                f"There is no {self.path} here, from where images are read. Name a folder that "
                "all machines share, or have each decode its own by 'brainguided worker'."
            ) from None
        return images

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Refuse to be read whole by accident."""
        raise TypeError(
            f"{len(self)} images of {self.path} are not read at once; take some, as images[:100]."
        )

    @cached_property
    def fingerprint(self) -> str:
        """First 16 hex digits of a SHA-256, as `guidance.target.fingerprint` has for an array."""
        digest = hashlib.sha256(f"{self.dtype} {self.shape}".encode())
        step = max(1, _PART * len(self) // max(1, self.nbytes))
        for start in range(0, len(self), step):
            digest.update(self[start : start + step].data)
        return digest.hexdigest()[:16]

    def __reduce__(self) -> tuple[Any, ...]:
        return ImagesOnDisk, (self.path, self.start, self.shape, self.written)


Images = np.ndarray | ImagesOnDisk
"""Images (image, y, x, channel) of uint8 that rows can be taken of."""


def join_images(first: Images, second: Images) -> Images:
    """Return all images of two parts; of one file where the second follows the first there."""
    if isinstance(first, ImagesOnDisk) and isinstance(second, ImagesOnDisk):
        assert first.path == second.path
        assert second.start == first.start + first.nbytes
        return replace(first, shape=(len(first) + len(second), *first.shape[1:]))
    return np.concatenate([first[:], second[:]])


def put_on_disk(
    path: Path, source: Path, parts: Sequence[Chosen], image_size: int | None
) -> list[ImagesOnDisk]:
    """Return parts of images that lie in a file, decoded into it unless it holds just these.

    Parameters
    ----------
    path : Path
        The file, ``NAME.npy``; beside it ``NAME.json`` says what it was made of.
    source : Path
        Where the images come from.
    parts : sequence of (Pool, ndarray of int)
        Images and which of them, in order.
    image_size : int or None
        Pixels to which images are resized.

    Returns
    -------
    list of ImagesOnDisk
        One for each part, one after the other in the file.

    Raises
    ------
    ValueError
        The name does not end in .npy, the file is another program's or damaged, there is no room,
        or images differ in size.
    """
    if path.suffix != ".npy":
        raise ValueError(f"decoded is {path}; expected the name of a file that ends in .npy.")
    note, made_of = path.with_suffix(".json"), _say_source(path, source, parts, image_size)
    if path.exists() and not note.exists():
        raise ValueError(
            f"{path} is there, but no {note.name} that says of which images: it may be another "
            "program's. Move it away, or name another file."
        )
    known = read_json(note, "made_of", "fingerprint") if note.exists() else {}  # else another's
    if path.exists() and known.get("made_of") == made_of:
        images = _open(path)
        if images.fingerprint != known["fingerprint"]:
            raise ValueError(
                f"{path} was changed since it was written (fingerprint {images.fingerprint}, "
                f"expected {known['fingerprint']}). Remove it: it is then decoded again."
            )
        _log.info("images are read from %s, decoded before", path)
    else:
        if path.exists():
            _log.warning("%s holds other images, or files have changed; decoding again", path)
        path.parent.mkdir(parents=True, exist_ok=True)
        said = {"made_of": made_of, "source": str(source)}
        with write_aside(path) as aside:
            _decode(aside, parts, image_size)
            said["fingerprint"] = _open(aside).fingerprint
            if not path.exists():  # a kill leaves a note without images, never the reverse
                write_whole(note, json.dumps(said, indent=1) + "\n")
        write_whole(note, json.dumps(said, indent=1) + "\n")
        images = _open(path)
    split, row = [], 0
    size = images.nbytes // len(images)
    for _, chosen in parts:
        start = images.start + row * size
        split.append(replace(images, start=start, shape=(len(chosen), *images.shape[1:])))
        row += len(chosen)
    return split


def _say_source(path: Path, source: Path, parts: Sequence[Chosen], image_size: int | None) -> str:
    """Return a SHA-256 of which files are decoded, of what size and time each, and how."""
    digest = hashlib.sha256(f"{_VERSION} {image_size}".encode())
    own = {path.absolute(), path.with_suffix(".json").absolute()}  # may lie beside the images
    if source.is_file():
        digest.update(_say_file(source, source.parent).encode())
    for pool, chosen in parts:
        digest.update(np.ascontiguousarray(chosen, dtype="<i8").data)
        if isinstance(pool.images, list) and isinstance(pool.images[0], Path):
            for row in chosen.tolist():
                digest.update(_say_file(pool.images[row], source).encode())
        elif source.is_dir():
            for file in sorted(source.iterdir()):
                if file.absolute() not in own and not file.name.startswith("."):
                    digest.update(_say_file(file, source).encode())
    return digest.hexdigest()


def _say_file(file: Path, folder: Path) -> str:
    found = file.stat()
    return f"{file.relative_to(folder).as_posix()} {found.st_size} {found.st_mtime_ns}\n"


def _open(path: Path) -> ImagesOnDisk:
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(
            f"{path} cannot be read ({error}). Remove it: it is then decoded again."
        ) from error
    if mapped.dtype != np.uint8 or mapped.ndim != 4:
        raise ValueError(
            f"{path} holds {mapped.dtype} {mapped.shape}; expected uint8 (n, y, x, 3). Remove it: "
            "it is then decoded again."
        )
    written = int(path.stat().st_mtime)
    return ImagesOnDisk(path.absolute(), int(mapped.offset), mapped.shape, written)


def _decode(path: Path, parts: Sequence[Chosen], image_size: int | None) -> None:
    """Write images to a file as they are decoded, by as many threads as there are cores."""
    first = parts[0][0].read(parts[0][1][:1], image_size)
    number = sum(len(chosen) for _, chosen in parts)
    shape = (number, *first.shape[1:])
    if (free := shutil.disk_usage(path.parent).free) < number * first.nbytes:
        raise ValueError(
            f"{path} would take {number * first.nbytes / 2**30:.2f} GiB, and its disk has "
            f"{free / 2**30:.2f} left. Name a file on another disk, or take fewer images."
        )
    _log.info("decoding %d images into %s, %.2f GiB", number, path,
              number * first.nbytes / 2**30)  # fmt: skip
    step = max(1, _PART // first.nbytes)
    jobs = [
        (pool, chosen[start : start + step])
        for pool, chosen in parts
        for start in range(0, len(chosen), step)
    ]
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    began, said, done = time.monotonic(), time.monotonic(), 0
    with (
        path.open("wb") as file,
        ThreadPoolExecutor(threads) as pool_of_threads,
    ):
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        wave = 2 * (threads or 1)
        for start in range(0, len(jobs), wave):  # no more than these are in memory
            now = jobs[start : start + wave]
            for images in pool_of_threads.map(lambda job: job[0].read(job[1], image_size), now):
                if images.shape[1:] != first.shape[1:]:
                    raise ValueError(
                        f"Images differ in size ({images.shape[1:3]} and {first.shape[1:3]} "
                        "pixels); give image_size, to which they are resized."
                    )
                file.write(images.data)
                done += len(images)
            if time.monotonic() - said > _SAID:
                said = time.monotonic()
                left = (said - began) / done * (number - done)
                _log.info("%d of %d images are decoded, %.0f s to go", done, number, left)
