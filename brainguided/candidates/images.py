"""Labelled images that candidates are trained and validated on."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import xarray as xr

from brainguided.candidates._image_binaries import find_binaries, read_binaries
from brainguided.candidates._image_files import (
    IMAGE_SUFFIXES,
    Pool,
    as_rgb,
    check_arrays,
    read_folder,
    read_labels,
    read_npz,
)
from brainguided.candidates.images_on_disk import Images, put_on_disk
from neural_data.errors import raise_problems
from neural_data.model.stimuli import validate_stimuli


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images of a classification task, split into a training and a validation part.

    Test images have no place here: nothing that a search does may read them.

    Attributes
    ----------
    train_images, validation_images : ndarray (image, y, x, channel) of uint8, or `ImagesOnDisk`
        RGB images of one square size.
    train_labels, validation_labels : ndarray (image,) of int64
        Index into `classes`. A task of one's own (`OwnTask`) may have others, for instance a class
        for every pixel.
    classes : tuple of str
        Names of the classes: of the outputs of networks.
    source : str
        Where the images come from.
    """

    train_images: Images
    train_labels: np.ndarray
    validation_images: Images
    validation_labels: np.ndarray
    classes: tuple[str, ...]
    source: str

    def __post_init__(self) -> None:
        problems = []
        for part in ("train", "validation"):
            images = getattr(self, f"{part}_images")
            labels = getattr(self, f"{part}_labels")
            if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
                problems.append(
                    f"{part} images are {images.dtype} {images.shape}; expected uint8 (n, y, x, 3)"
                )
            elif images.shape[1] != images.shape[2]:
                problems.append(f"{part} images are {images.shape[1:3]} pixels; expected squares")
            if len(images) == 0 or labels.shape[:1] != (len(images),):
                problems.append(f"{len(images)} {part} images have labels of shape {labels.shape}")
            elif labels.ndim > 1 or labels.dtype.kind not in "iu":
                continue  # of a task of one's own, which knows what they are
            elif labels.min() < 0 or labels.max() >= len(self.classes):
                problems.append(
                    f"{part} labels run from {labels.min()} to {labels.max()} but there are "
                    f"{len(self.classes)} classes"
                )
        if self.train_images.shape[1:] != self.validation_images.shape[1:]:
            problems.append(
                f"training images have shape {self.train_images.shape[1:]}, validation images "
                f"{self.validation_images.shape[1:]}"
            )
        classified = self.train_labels.ndim == 1 and self.train_labels.dtype.kind in "iu"
        if len(self.classes) < 1 + classified:
            problems.append(
                f"{len(self.classes)} classes; a classification task needs two, another one output"
            )
        raise_problems(f"Not an image set ({self.source})", problems, ValueError)

    @property
    def image_size(self) -> int:
        """Height and width in pixels."""
        return int(self.train_images.shape[1])

    @property
    def held_bytes(self) -> int:
        """Bytes of images that each process holds: none of those on disk."""
        parts = (self.train_images, self.validation_images)
        return sum(part.nbytes for part in parts if isinstance(part, np.ndarray))


def load_images(
    path: str | Path,
    *,
    n_train: int | None = None,
    n_validation: int | None = None,
    image_size: int | None = None,
    seed: int = 0,
    decoded: str | Path | None = None,
) -> ImageSet:
    """Load a classification task from an .npz file or from a folder with a subfolder a class.

    Only training images are read. If the source has no validation part of its own, validation
    images are drawn from the training images by class.

    Parameters
    ----------
    path : str or Path
        An .npz with ``x_train, y_train`` (images (n, y, x, 3) uint8, or grey ones (n, y, x), which
        get three equal channels, and integer labels; optional ``x_val, y_val``), or with
        ``train_jpeg, train_offset, train_label`` (concatenated encoded images, their n + 1 byte
        offsets, labels); optional ``classes``.
        Or a folder ``CLASS/*.png`` (or .jpg ...), or one with ``train/CLASS`` and ``val/CLASS``.
        Or a folder with the binary files of MNIST and its like (``train-images-idx3-ubyte``,
        ``train-labels-idx1-ubyte``, also .gz), of CIFAR-10 (``data_batch_1.bin`` to ``5``) or of
        CIFAR-100 (``train.bin``, of which the fine labels are taken).
    n_train, n_validation : int, optional
        How many images to use, drawn at random and balanced over classes; by default a tenth
        of the training images (at most 5000) for validation and all others for training.
    image_size : int, optional
        Pixels to which images are resized; required if encoded images differ in size.
    seed : int, optional
        Seed of the draw.
    decoded : path, optional
        File ``NAME.npy`` into which images are decoded, and from which they are then read as they
        are needed, so that no process holds them; beside it ``NAME.json`` says of which files it
        was made. It is used again as long as names, sizes and times of these are the same, and
        its content is checked then. The images are the same, in the same order, as without.

    Returns
    -------
    ImageSet
        Training and validation images with their classes.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    ValueError
        If the content is not one of these layouts or there are too few images; or what is at
        `decoded` cannot be used, or there is no room for it.
    """
    path = Path(path)
    if path.is_dir():
        stored = find_binaries(path, "train")
        pool = read_binaries(path, "train") if stored else read_folder(path)
    elif path.is_file():
        pool = read_npz(path)
    else:
        raise FileNotFoundError(f"No images at {path}: give an .npz file or a folder of classes.")
    generator = np.random.default_rng(seed)
    available = len(pool.labels)
    if pool.validation is None:
        n_validation = min(5000, max(1, available // 10)) if n_validation is None else n_validation
        order = _balanced_order(pool.labels, generator)
        validation, rest = order[:n_validation], order[n_validation:]
        held_out = pool
    else:
        held_out = pool.validation
        order = _balanced_order(held_out.labels, generator)
        n_validation = len(order) if n_validation is None else n_validation
        validation, rest = order[:n_validation], _balanced_order(pool.labels, generator)
    n_train = len(rest) if n_train is None else n_train
    if not 1 <= n_train <= len(rest) or not 1 <= n_validation <= len(held_out.labels):
        raise ValueError(
            f"{path} has {available} training images; {n_train} for training and {n_validation} "
            "for validation were asked for. Lower n_train or n_validation."
        )
    train = rest[:n_train]
    shown: Sequence[Images]
    if decoded is None:
        shown = [pool.read(train, image_size), held_out.read(validation, image_size)]
    else:
        parts = [(pool, train), (held_out, validation)]
        shown = put_on_disk(Path(decoded), path, parts, image_size)
    return ImageSet(
        shown[0],
        pool.labels[train],
        shown[1],
        held_out.labels[validation],
        pool.classes,
        f"{path.name}, {n_train} training and {n_validation} validation images, seed {seed}",
    )


def load_test_images(
    path: str | Path, *, classes: Sequence[str], image_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Load the test part of a classification task, which `load_images` never reads.

    Parameters
    ----------
    path : str or Path
        As for `load_images`, with ``x_test, y_test``, ``test_jpeg ...``, ``test/CLASS/*.png`` or
        ``t10k-images-idx3-ubyte``, ``test_batch.bin``, ``test.bin``.
    classes : sequence of str
        Those of the training part; a folder has to have one of each.
    image_size : int
        Pixels to which they are resized.

    Returns
    -------
    (ndarray (image, y, x, channel) of uint8, ndarray (image,) of int64)
        Images and labels.

    Raises
    ------
    ValueError
        There is no test part, or it does not fit the classes.
    """
    path = Path(path)
    check_test_part(path)
    if path.is_dir() and find_binaries(path, "test"):
        pool = read_binaries(path, "test")
    elif path.is_dir():
        folder = path / "test"
        files = [
            (file, k)
            for k, name in enumerate(classes)
            for file in sorted((folder / name).glob("*"))
            if file.suffix.lower() in IMAGE_SUFFIXES
        ]
        pool = Pool(np.array([k for _, k in files]), tuple(classes), [f for f, _ in files])
    else:
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                arrays = {k: file[k] for k in file.files if k.startswith(("x_test", "y_test"))}
                arrays |= {k: file[k] for k in file.files if k.startswith("test_")}
        except (ValueError, OSError, zipfile.BadZipFile, zlib.error) as error:
            raise ValueError(f"The test images of {path} cannot be read: {error}") from None
        if "x_test" in arrays:
            pool = Pool(
                read_labels(arrays["y_test"], path), tuple(classes), as_rgb(arrays["x_test"])
            )
            check_arrays(path, "test", pool)
        else:
            encoded = [
                (arrays["test_jpeg"], a, b) for a, b in pairwise(arrays["test_offset"].tolist())
            ]
            pool = Pool(read_labels(arrays["test_label"], path), tuple(classes), encoded)
    missing = [name for k, name in enumerate(classes) if k not in set(pool.labels.tolist())]
    if missing or len(pool.labels) != len(pool.images) or pool.labels.max() >= len(classes):
        raise ValueError(
            f"The test part of {path} has {len(pool.images)} images and {len(pool.labels)} labels, "
            f"none of {missing[:5]}; expected some of each of {len(classes)} classes and no others."
        )
    return pool.read(np.arange(len(pool.labels)), image_size), pool.labels


def check_test_part(path: str | Path) -> None:
    """Raise ValueError for images without a test part, of which nothing is read."""
    path = Path(path)
    found = (path / "test").is_dir() or (path.is_dir() and bool(find_binaries(path, "test")))
    if path.is_file():
        with zipfile.ZipFile(path) as archive:
            names = {name.removesuffix(".npy") for name in archive.namelist()}
        found = {"x_test", "y_test"} <= names or {"test_jpeg", "test_offset", "test_label"} <= names
    if not found:
        raise ValueError(
            f"{path} has no test part; add x_test and y_test (or test_jpeg, test_offset and "
            "test_label), or a folder test/ with one folder for each class."
        )


def images_from_stimuli(
    train: xr.Dataset, validation: xr.Dataset, *, label: str = "category"
) -> ImageSet:
    """Make a classification task of two stimulus sets, e.g. from ``simulate_objects``.

    Parameters
    ----------
    train, validation : xr.Dataset
        Stimulus sets without a stimulus in common.
    label : str, optional
        Coordinate over ``stimulus`` that holds the class.

    Returns
    -------
    ImageSet
        Training and validation images with their classes.

    Raises
    ------
    ValueError
        If the sets share stimuli or lack the coordinate, or validation has unknown classes.
    """
    for name, stimuli in (("training", train), ("validation", validation)):
        validate_stimuli(stimuli, name=f"{name} stimuli")
        if label not in stimuli.coords:
            raise ValueError(f"The {name} stimuli have no coordinate {label!r} to classify by.")
    shared = np.intersect1d(train["stimulus"].values, validation["stimulus"].values)
    if shared.size:
        raise ValueError(
            f"{shared.size} stimuli are in both parts, e.g. {shared[:3].tolist()}; validation "
            "images must not be trained on."
        )
    classes = sorted(set(train[label].values.astype(str).tolist()))
    unknown = sorted(set(validation[label].values.astype(str).tolist()) - set(classes))
    if unknown:
        raise ValueError(f"Classes {unknown} occur in the validation stimuli only.")
    number = {name: k for k, name in enumerate(classes)}

    def labels(stimuli: xr.Dataset) -> np.ndarray:
        return np.array([number[str(v)] for v in stimuli[label].values], dtype=np.int64)

    return ImageSet(
        train["image"].values,
        labels(train),
        validation["image"].values,
        labels(validation),
        tuple(classes),
        str(train.attrs.get("source", "unknown")),
    )


def _balanced_order(labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return a random order in which every prefix is as balanced over classes as can be."""
    shuffled = generator.permutation(len(labels))
    turn = np.empty(len(labels), dtype=np.int64)
    for k in np.unique(labels):
        members = np.flatnonzero(labels[shuffled] == k)
        turn[members] = np.arange(len(members))
    return shuffled[np.argsort(turn, kind="stable")]
