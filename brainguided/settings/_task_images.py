"""The images that the [task] of a run file names: built-in objects, files, or a file of code."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from brainguided.candidates.evaluation import Task
from brainguided.candidates.images import (
    ImageSet,
    check_test_part,
    images_from_stimuli,
    load_images,
    load_test_images,
)
from brainguided.candidates.own_task import OwnTask, load_own_task
from neural_data.simulation.objects import simulate_objects

IMAGES = {
    "images": "text",
    "n_train": "whole",
    "n_validation": "whole",
    "image_size": "whole",
    "variation": "wholes",
    "decoded": "text",
    "file": "text",
}
_GIVEN = ("n_train", "n_validation", "image_size")  # to a file of the user's own
_OBJECTS = 64  # in the built-in images
_MOST = 640_000
_LEVELS = (0, 3, 6)  # of their variation
_TRAIN_SEED, _VALIDATION_SEED, _TEST_SEED = 1, 2, 3
_DEFAULTS = {"n_train": 100 * _OBJECTS, "n_validation": 10 * _OBJECTS}


def check_images(where: str, table: dict[str, Any], folder: Path) -> list[str]:
    """Return what is wrong with the keys that name the images."""
    images = table.get("images", "objects")
    levels = table.get("variation", [0])
    if "file" in table:
        return _check_file(where, table, folder)
    if images != "objects":
        problems = []
        named = isinstance(images, str) and len(images) < 4096  # else that is said of its type
        if named and not (folder / images).exists():
            problems.append(f"{where}images: {folder / images} does not exist")
        if "variation" in table:
            problems.append(f"{where}variation is that of the built-in objects; leave it out")
        if isinstance(at := table.get("decoded", ".npy"), str) and not at.endswith(".npy"):
            problems.append(f"{where}decoded is {at!r}, expected the name of a file NAME.npy")
        return problems
    problems = [
        f"{where}{key} is {number}; of the built-in objects, a multiple of {_OBJECTS} "
        f"(one image of every object) up to {_MOST:,} is expected"
        for key in ("n_train", "n_validation")
        if type(number := table.get(key, _OBJECTS)) is int
        and (not 0 < number <= _MOST or number % _OBJECTS)
    ]
    if "decoded" in table:
        problems.append(f"{where}decoded is for images from files, not for the built-in objects")
    if isinstance(levels, list) and all(type(level) is int for level in levels):
        known = set(range(7))
        if not levels or len(set(levels)) < len(levels) or not known.issuperset(levels):
            problems.append(
                f"{where}variation is {levels}; expected different levels from 0 to 6, e.g. "
                f"{list(_LEVELS)}"
            )
    return problems


def _check_file(where: str, table: dict[str, Any], folder: Path) -> list[str]:
    """Return what is wrong with the keys of a task of the user's own."""
    problems = [
        f"{where}file and {key} do not go together: images are those that the file loads"
        for key in ("images", "variation", "decoded")
        if key in table
    ]
    name = table["file"]
    if isinstance(name, str) and len(name) < 4096 and not (folder / name).is_file():
        problems.append(f"{where}file: {folder / name} does not exist")
    return problems


def load_task_images(table: dict[str, Any], folder: Path) -> tuple[OwnTask | None, ImageSet]:
    """Return the images that a [task] names, and the task where it is of the user's own."""
    if "file" in table:
        settings = {key: table[key] for key in _GIVEN if key in table}
        return load_own_task(folder / table["file"], settings=settings, name=table["file"])
    return None, _load_images(table, folder)


def _load_images(table: dict[str, Any], folder: Path) -> ImageSet:
    given: dict[str, Any] = {k: v for k, v in table.items() if k in IMAGES and k != "images"}
    images = table.get("images", "objects")
    if images != "objects":
        if "decoded" in given:
            given["decoded"] = folder / given["decoded"]
        return load_images(folder / images, **given)
    size = given.get("image_size", 32)
    draw = partial(simulate_objects, size=size, variation=given.get("variation", _LEVELS))
    return images_from_stimuli(
        *(
            draw(given.get(key, _DEFAULTS[key]) // _OBJECTS, seed=seed)
            for key, seed in (("n_train", _TRAIN_SEED), ("n_validation", _VALIDATION_SEED))
        )
    )


def find_test(
    table: dict[str, Any], folder: Path, task: Task
) -> tuple[Callable[[], tuple[np.ndarray, np.ndarray]], Callable[[], None]]:
    """Return what reads the test images and what checks that there are some."""
    given, images = table.get("images", "objects"), task.images
    if task.own is not None:
        settings = {key: table[key] for key in _GIVEN if key in table}
        return partial(task.own.load_test_images, settings), task.own.check_test_images
    if given != "objects":
        path, size = folder / given, images.image_size
        read = partial(load_test_images, path, classes=images.classes, image_size=size)
        return read, partial(check_test_part, path)
    number = table.get("n_validation", _DEFAULTS["n_validation"]) // _OBJECTS
    levels = table.get("variation", _LEVELS)
    return partial(_draw_test_objects, number, images, levels), lambda: None


def _draw_test_objects(
    number: int, images: ImageSet, levels: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    stimuli = simulate_objects(number, size=images.image_size, variation=levels, seed=_TEST_SEED)
    index = {name: k for k, name in enumerate(images.classes)}
    labels = [index[str(name)] for name in stimuli["category"].values]
    return stimuli["image"].values, np.array(labels, dtype=np.int64)
