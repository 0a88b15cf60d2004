"""Activations of all stimuli, held in memory or on disk and read a block of units at a time."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from brainguided.networks.grams import GramMoments
from neural_data.storage.aside import write_aside

WIDTH = 8192
"""Units in a block."""
EVERY = 20.0
"""Seconds after which what was shown is noted down again."""
ALIKE = 1e-3
"""Difference, beside the largest activation, above which a network is not the same as before."""


class Slice(NamedTuple):
    """Some units of one layer."""

    layer: str
    start: int
    stop: int


class Spool:
    """Activations (stimulus, unit) of some units of layers, float32.

    Each slice is stored block after block of `WIDTH` units, so that a block of all stimuli is
    read in one go: in files that are kept, in files without a name in `folder`, or in memory.
    """

    def __init__(
        self,
        pieces: Sequence[Slice],
        n_stimuli: int,
        *,
        folder: Path | None = None,
        kept: Kept | None = None,
    ) -> None:
        self.pieces = list(pieces)
        self.n_stimuli = n_stimuli
        self._arrays: dict[Slice, np.ndarray] = {}
        self._files: dict[Slice, Any] = {}
        self._kept = kept
        for piece in self.pieces:
            if kept is not None:
                self._files[piece] = kept.open(piece.layer)
            elif folder is not None:
                self._files[piece] = tempfile.TemporaryFile(buffering=0, dir=folder)  # noqa: SIM115
            else:
                size = n_stimuli * (piece.stop - piece.start)
                self._arrays[piece] = np.empty(size, np.float32)

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        for piece in list(self._files):
            self._files.pop(piece).close()
        self._arrays.clear()

    def write(self, piece: Slice, row: int, values: np.ndarray) -> None:
        """Store the activations (stimulus, unit) of some stimuli, the first of them `row`."""
        for place, start, stop in self._blocks(piece):
            part = np.ascontiguousarray(values[:, start:stop], np.float32)
            at = place + row * (stop - start)
            if piece in self._arrays:
                self._arrays[piece][at : at + part.size] = part.ravel()
            else:
                _write_all(self._files[piece], 4 * at, part)

    def read(self, piece: Slice) -> Iterator[np.ndarray]:
        """Yield the blocks (stimulus, unit) of a slice."""
        for place, start, stop in self._blocks(piece):
            size = self.n_stimuli * (stop - start)
            if piece in self._arrays:
                block = self._arrays[piece][place : place + size]
            else:
                block = np.empty(size, np.float32)
                _read_all(self._files[piece], 4 * place, block)
            yield block.reshape(self.n_stimuli, stop - start)

    def drop(self, piece: Slice) -> None:
        """Forget a slice."""
        self._arrays.pop(piece, None)
        if piece in self._files:
            self._files.pop(piece).close()
            if self._kept is not None:
                self._kept.remove(piece.layer)

    def flush(self) -> None:
        """Return once all that was written is on the disk."""
        for file in self._files.values():
            os.fsync(file.fileno())

    def _blocks(self, piece: Slice) -> Iterator[tuple[int, int, int]]:
        """Yield where each block begins, and its units within the slice."""
        number = piece.stop - piece.start
        for start in range(0, number, WIDTH):
            yield self.n_stimuli * start, start, min(start + WIDTH, number)


class Kept:
    """What is done of one observation, in a folder of its own."""

    def __init__(self, folder: Path, layers: Sequence[str]) -> None:
        self.folder = folder
        self._number = {layer: k for k, layer in enumerate(layers)}
        self._noted = time.monotonic()
        self._note = folder / "shown.json"
        self.shown = 0
        if self._note.is_file():
            self.shown = int(json.loads(self._note.read_text())["shown"])

    def open(self, layer: str) -> Any:
        """Return the file of a layer's activations."""
        path = self._path(layer, "f32")
        return path.open("r+b" if path.exists() else "w+b", buffering=0)

    def note(self, shown: int, spool: Spool, *, now: bool = False) -> None:
        """Note down, now and then or now, how many stimuli were shown."""
        now = now or shown == spool.n_stimuli or time.monotonic() - self._noted >= EVERY
        if shown == self.shown or not now:
            return
        spool.flush()
        _replace(self._note, lambda path: path.write_text(json.dumps({"shown": shown})))
        self.shown, self._noted = shown, time.monotonic()

    def is_done(self, layer: str) -> bool:
        """Whether a layer's inner products are there."""
        return self._path(layer, "npz").is_file()

    def save(self, layer: str, moments: Sequence[GramMoments]) -> None:
        """Store the moments of a layer."""
        arrays: dict[str, np.ndarray] = {}
        for k, one in enumerate(moments):
            arrays |= {f"gram{k}": one.gram, f"sums{k}": one.sums, f"shift{k}": one.shift}
            arrays[f"units{k}"] = np.array(one.n_units)
        _replace(self._path(layer, "npz"), lambda path: _save_arrays(path, arrays))

    def load(self, layer: str) -> list[GramMoments]:
        """Return the moments of a layer."""
        with np.load(self._path(layer, "npz")) as found:
            return [
                GramMoments(
                    found[f"gram{k}"],
                    found[f"sums{k}"],
                    found[f"shift{k}"],
                    int(found[f"units{k}"]),
                )
                for k in range(len(found.files) // 4)
            ]

    def remove(self, layer: str) -> None:
        """Remove the file of a layer's activations."""
        self._path(layer, "f32").unlink(missing_ok=True)

    def _path(self, layer: str, ending: str) -> Path:
        return self.folder / f"{self._number[layer]}.{ending}"


@contextmanager
def open_kept(
    folder: Any, said: Sequence[str], arrays: Sequence[np.ndarray], first: dict[str, np.ndarray]
) -> Iterator[Kept]:
    """Open what is kept of one observation: of the same network, images and settings.

    Parameters
    ----------
    folder : Path
        Holds a folder for each observation.
    said : sequence of str
        What else must be the same.
    arrays : sequence of ndarray
        Images and weights that must be the same.
    first : dict of layer to ndarray (unit,)
        Activations to the first stimulus. Where they are not those of before, the network's code
        has changed, and all begins anew.

    Raises
    ------
    BlockingIOError
        If another process is at work in this folder.
    """
    digest = hashlib.sha256(json.dumps(list(said)).encode())
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    place = Path(folder) / digest.hexdigest()[:16]
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        _lock(lock, place)
        reference = place / "first.npz"
        names = [f"layer{k}" for k in range(len(first))]
        if reference.is_file():
            with np.load(reference) as before:
                same = all(
                    np.abs(before[name] - now).max() <= ALIKE * np.abs(now).max()
                    for name, now in zip(names, first.values(), strict=True)
                )
            if not same:
                for path in place.iterdir():
                    if path.name != "lock":
                        path.unlink()
        if not reference.is_file():
            values = dict(zip(names, first.values(), strict=True))
            _replace(reference, lambda path: _save_arrays(path, values))
        yield Kept(place, list(first))


def find_room(folder: Path) -> int:
    """Return the bytes that may be written into a folder: nine tenths of those that are free."""
    return int(shutil.disk_usage(folder).free * 0.9)


def _lock(file: Any, place: Path) -> None:
    with suppress(ImportError):  # not on Windows
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            raise BlockingIOError(
                f"Another process is at work in {place}. Wait for it, or give another folder."
            ) from cause


def _replace(path: Path, write: Any) -> None:
    with write_aside(path) as aside:
        write(aside)


def _save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
        file.flush()
        os.fsync(file.fileno())


def _write_all(file: Any, at: int, values: np.ndarray) -> None:
    file.seek(at)
    rest = values.reshape(-1).view(np.uint8).data
    while len(rest):
        rest = rest[file.write(rest) :]


def _read_all(file: Any, at: int, values: np.ndarray) -> None:
    file.seek(at)
    rest = values.reshape(-1).view(np.uint8).data
    while len(rest):
        count = file.readinto(rest)
        if not count:
            raise OSError(f"{file.name} is shorter than it was written. Remove it and begin anew.")
        rest = rest[count:]
