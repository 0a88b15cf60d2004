"""Binary files of labelled images as they are published: idx (MNIST, Fashion-MNIST) and CIFAR."""

from __future__ import annotations

import gzip
import zlib
from math import prod
from pathlib import Path

import numpy as np

from brainguided.candidates._image_files import Pool, as_rgb, read_labels

_IDX = {"train": "train", "test": "t10k"}  # the beginnings of the names
_UNSIGNED = 8  # the code of bytes in an idx file
_RATIO = 1032  # the most that gzip shrinks anything
_SIDE = 32  # pixels of CIFAR
_CIFAR = {  # files of each part, bytes of labels before each image, the file of names
    "CIFAR-10": (
        {"train": [f"data_batch_{k}.bin" for k in range(1, 6)], "test": ["test_batch.bin"]},
        1,
        "batches.meta.txt",
    ),
    "CIFAR-100": ({"train": ["train.bin"], "test": ["test.bin"]}, 2, "fine_label_names.txt"),
}


def find_binaries(folder: Path, part: str) -> str:
    """Return how a part of a folder, "train" or "test", is stored, e.g. "idx"; else ""."""
    if _find_idx(folder, part, "images") is not None:
        return "idx"
    for kind, (parts, _, _) in _CIFAR.items():
        if (folder / parts[part][0]).is_file():
            return kind
    return ""


def read_binaries(folder: Path, part: str) -> Pool:
    """Return the images and labels of a part of a folder.

    Raises
    ------
    ValueError
        A file is missing, of another kind than its name says, or of another size than it says.
    """
    kind = find_binaries(folder, part)
    return _read_idx(folder, part) if kind == "idx" else _read_cifar(folder, part, kind)


def _find_idx(folder: Path, part: str, what: str) -> Path | None:
    ends = {"images": ("-images-idx3-ubyte", "-images.idx3-ubyte"),
            "labels": ("-labels-idx1-ubyte", "-labels.idx1-ubyte")}[what]  # fmt: skip
    named = [folder / f"{_IDX[part]}{end}{more}" for end in ends for more in ("", ".gz")]
    return next((path for path in named if path.is_file()), None)


def _read_idx(folder: Path, part: str) -> Pool:
    paths = [_find_idx(folder, part, what) for what in ("images", "labels")]
    images, labels = (
        None if path is None else _read_array(path, n_dims)
        for path, n_dims in zip(paths, (3, 1), strict=True)
    )
    if images is None or labels is None or len(images) != len(labels):
        have = "none" if labels is None else f"{len(labels)}"
        raise ValueError(
            f"{paths[0]} has {0 if images is None else len(images)} images, and {have} labels are "
            f"beside it; expected {_IDX[part]}-labels-idx1-ubyte with one for each."
        )
    known = read_labels(labels, folder)
    names = tuple(f"class{k}" for k in range(int(known.max()) + 1))
    return Pool(known, names, as_rgb(images))


def _read_array(path: Path, n_dims: int) -> np.ndarray:
    """Return the array of an idx file: two zeros, a type, the number of dimensions, sizes, data."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            start = file.read(4 + 4 * n_dims)
            code = start[2] if len(start) > 3 else -1
            found = start[3] if len(start) > 3 else 0
            if start[:2] != b"\0\0" or code != _UNSIGNED or found != n_dims:
                raise ValueError(
                    f"{path} begins with {start[:4].hex()}; expected 000008{n_dims:02x}, an idx "
                    f"file of bytes with {n_dims} dimensions."
                )
            shape = np.frombuffer(start[4:], dtype=">u4").astype(int).tolist()
            size = prod(shape)
            most = _RATIO * path.stat().st_size
            data = file.read(size + 1) if size <= most else b""
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    if len(data) != size or not size:
        more = "more" if len(data) > size else f"{len(data)}"
        raise ValueError(f"{path} says that it holds {shape}, {size} bytes, and has {more}.")
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def _read_cifar(folder: Path, part: str, kind: str) -> Pool:
    parts, n_labels, names = _CIFAR[kind]
    length = n_labels + 3 * _SIDE * _SIDE
    missing = [name for name in parts[part] if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"{folder} lacks {', '.join(missing)} of {kind}.")
    rows = []
    for name in parts[part]:
        data = np.fromfile(folder / name, dtype=np.uint8)
        if not data.size or data.size % length:
            raise ValueError(
                f"{folder / name} has {data.size} bytes; expected a multiple of {length}, "
                f"{n_labels} for labels and 3 x {_SIDE} x {_SIDE} for pixels."
            )
        rows.append(data.reshape(-1, length))
    table = np.concatenate(rows)
    said = folder / names
    listed = said.read_text(encoding="utf-8").split() if said.is_file() else None
    labels = read_labels(
        table[:, n_labels - 1].astype(np.int64), folder, len(listed) if listed else None
    )
    classes = listed or [f"class{k}" for k in range(int(labels.max()) + 1)]
    planes = table[:, n_labels:].reshape(-1, 3, _SIDE, _SIDE)
    return Pool(labels, tuple(classes), planes.transpose(0, 2, 3, 1))
