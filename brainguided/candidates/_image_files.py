"""Files of labelled images: archives of arrays or encoded images, and folders of classes."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from neural_data.model.stimuli import decode_images
from neural_data.storage.image_files import check_members
from neural_data.storage.pointers import refuse_pointer

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff")


@dataclass(frozen=True, eq=False)
class Pool:
    """Images as a file holds them, before any is chosen or decoded."""

    labels: np.ndarray
    classes: tuple[str, ...]
    images: Any  # ndarray, or a list of encoded images' (buffer, start, stop) or paths
    validation: Pool | None = None

    def read(self, chosen: np.ndarray, image_size: int | None) -> np.ndarray:
        if isinstance(self.images, np.ndarray) and self.images.ndim == 4:
            images = np.ascontiguousarray(self.images[chosen])
            return images if image_size in (None, images.shape[1]) else _resize(images, image_size)
        encoded = [_encoded(self.images[i]) for i in chosen]
        names = [
            str(self.images[i]) if isinstance(self.images[i], Path) else f"image {i}"
            for i in chosen.tolist()
        ]
        return decode_images(encoded, size=image_size, names=names)


def _encoded(item: Any) -> bytes:
    if isinstance(item, Path):
        return item.read_bytes()
    buffer, start, stop = item
    encoded: bytes = buffer[start:stop].tobytes()
    return encoded


def _resize(images: np.ndarray, image_size: int) -> np.ndarray:
    from brainguided.networks.preprocessing import Preprocessing, images_to_tensor

    scaled = images_to_tensor(images, Preprocessing(size=image_size)).add_(1).mul_(127.5)
    return scaled.round_().clamp_(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()


def read_npz(path: Path) -> Pool:
    refuse_pointer(path)
    try:
        with zipfile.ZipFile(path) as archive:
            check_members(archive, path)
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            names = set(file.files)
            arrays = {k: file[k] for k in names if not k.lower().startswith(("x_test", "test"))}
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not a readable .npz file: {error}") from None
    if {"x_train", "y_train"} <= names:
        labels = read_labels(arrays["y_train"], path, _count_classes(arrays))
        classes = _class_names(arrays, labels)
        if ("x_val" in names) != ("y_val" in names):
            raise ValueError(f"{path} has only one of x_val and y_val; give both or neither.")
        held_out = None
        if "x_val" in names:
            held_out = Pool(
                read_labels(arrays["y_val"], path, len(classes)), classes, as_rgb(arrays["x_val"])
            )
            check_arrays(path, "val", held_out)
        pool = Pool(labels, classes, as_rgb(arrays["x_train"]), held_out)
        check_arrays(path, "train", pool)
        return pool
    if {"train_jpeg", "train_offset", "train_label"} <= names:
        offsets = arrays["train_offset"].tolist()
        encoded = [(arrays["train_jpeg"], a, b) for a, b in pairwise(offsets)]
        if len(encoded) != len(arrays["train_label"]):
            raise ValueError(
                f"{path} holds {len(encoded)} images but {len(arrays['train_label'])} labels."
            )
        labels = read_labels(arrays["train_label"], path, _count_classes(arrays))
        return Pool(labels, _class_names(arrays, labels), encoded)
    raise ValueError(
        f"{path} holds {sorted(names)}; expected x_train and y_train, or train_jpeg, "
        "train_offset and train_label."
    )


def check_arrays(path: Path, part: str, pool: Pool) -> None:
    images = pool.images
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
        raise ValueError(
            f"x_{part} in {path} is {images.dtype} {images.shape}; expected uint8 (n, y, x, 3), or "
            "(n, y, x) or (n, y, x, 1) of grey images."
        )
    if len(images) != len(pool.labels):
        raise ValueError(
            f"{path} holds {len(images)} images in x_{part} but {len(pool.labels)} labels in "
            f"y_{part}."
        )


def as_rgb(images: np.ndarray) -> np.ndarray:
    """Return grey images, (n, y, x) or (n, y, x, 1), with three equal channels; others as given."""
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    if images.ndim != 3:
        return images
    return np.broadcast_to(images[..., np.newaxis], (*images.shape, 3))  # takes no memory


def read_labels(values: np.ndarray, path: Path, n_classes: int | None = None) -> np.ndarray:
    """Check labels, of which there are less than classes or, where these are unknown, images."""
    if not values.size or values.size not in values.shape[:1]:
        raise ValueError(f"Labels in {path} have shape {values.shape}; expected (n,), n > 0.")
    if not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f"Labels in {path} are {values.dtype}; expected integers from 0.")
    labels = values.reshape(-1)
    most = len(labels) if n_classes is None else n_classes
    wrong = (labels < 0) | (labels >= most)
    if wrong.any():
        place = int(np.argmax(wrong))
        raise ValueError(
            f"Labels in {path} run from {labels.min()} to {labels.max()} for {len(labels)} images, "
            f"first {labels[place]} at image {place}; expected 0 to at most {most - 1}. "
            "A value for images without a label cannot stay: leave those images out."
        )
    return labels.astype(np.int64)


def _count_classes(arrays: dict[str, np.ndarray]) -> int | None:
    return len(arrays["classes"]) if "classes" in arrays else None


def _class_names(arrays: dict[str, np.ndarray], labels: np.ndarray) -> tuple[str, ...]:
    if "classes" in arrays:
        return tuple(str(c) for c in arrays["classes"])
    return tuple(f"class{k}" for k in range(int(labels.max()) + 1))


def read_folder(path: Path) -> Pool:
    inner = next((path / n for n in ("train", "training") if (path / n).is_dir()), path)
    held_out = next((path / n for n in ("val", "validation") if (path / n).is_dir()), None)
    classes = tuple(sorted(d.name for d in inner.iterdir() if d.is_dir()))
    if inner is path:
        classes = tuple(c for c in classes if c not in ("test", "val", "validation"))
    if len(classes) < 2:
        raise ValueError(f"{inner} has {len(classes)} subfolders; expected one for each class.")

    def pool(folder: Path, validation: Pool | None) -> Pool:
        found = [
            (file, k)
            for k, name in enumerate(classes)
            for file in sorted((folder / name).glob("*"))
            if file.suffix.lower() in IMAGE_SUFFIXES
        ]
        empty = set(range(len(classes))) - {k for _, k in found}
        if empty:
            raise ValueError(
                f"No images in {[str(folder / classes[k]) for k in sorted(empty)][:5]}; expected "
                f"files ending in {', '.join(IMAGE_SUFFIXES)}."
            )
        return Pool(np.array([k for _, k in found]), classes, [f for f, _ in found], validation)

    return pool(inner, None if held_out is None else pool(held_out, None))
