"""The images of a run file: built-in objects, or files."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from brainguided.candidates.images import (
    ImageSet,
    check_test_part,
    images_from_stimuli,
    load_images,
    load_test_images,
)
from neural_data.simulation.objects import simulate_objects

OBJECTS = 64
"""Number of the built-in objects."""
IMAGES = {"images": "text", "n_train": "whole", "n_validation": "whole", "image_size": "whole"}
"""Keys of a [task] table, with their types."""
DEFAULTS = {"n_train": 100 * OBJECTS, "n_validation": 10 * OBJECTS}
_TRAIN_SEED, _VALIDATION_SEED, _TEST_SEED = 1, 2, 3


def load_task_images(table: dict[str, Any], folder: Path) -> ImageSet:
    """Return the images of a [task] table that was checked."""
    given: dict[str, Any] = {k: v for k, v in table.items() if k in IMAGES and k != "images"}
    images = table.get("images", "objects")
    if images != "objects":
        return load_images(folder / images, **given)
    size, parts = given.get("image_size", 32), []
    for key, seed in (("n_train", _TRAIN_SEED), ("n_validation", _VALIDATION_SEED)):
        number = given.get(key, DEFAULTS[key]) // OBJECTS
        parts.append(simulate_objects(number, size=size, seed=seed))
    return images_from_stimuli(*parts)


def find_test(
    table: dict[str, Any], folder: Path, images: ImageSet
) -> tuple[Callable[[], tuple[np.ndarray, np.ndarray]], Callable[[], None]]:
    """Return what reads the test images and what checks that there are some."""
    given = table.get("images", "objects")
    if given != "objects":
        path, size = folder / given, images.image_size
        read = partial(load_test_images, path, classes=images.classes, image_size=size)
        return read, partial(check_test_part, path)
    number = table.get("n_validation", DEFAULTS["n_validation"]) // OBJECTS
    return partial(_draw_test_objects, number, images), lambda: None


def _draw_test_objects(number: int, images: ImageSet) -> tuple[np.ndarray, np.ndarray]:
    stimuli = simulate_objects(number, size=images.image_size, seed=_TEST_SEED)
    index = {name: k for k, name in enumerate(images.classes)}
    labels = [index[str(name)] for name in stimuli["category"].values]
    return stimuli["image"].values, np.array(labels, dtype=np.int64)
