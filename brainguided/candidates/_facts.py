"""What a task holds, in a few words and by fingerprints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from brainguided.candidates.images import ImageSet
from brainguided.candidates.images_on_disk import ImagesOnDisk
from brainguided.guidance.target import fingerprint

if TYPE_CHECKING:
    from brainguided.candidates.evaluation import Task


def list_task_facts(task: Task) -> dict[str, Any]:
    """Return what is said of a task, by topic."""
    images, training = task.images, task.training
    seeds = "" if task.seeds == 1 else f", {task.seeds} seeds"
    return {
        "images": f"{len(images.train_images)} to train, {len(images.validation_images)} to "
        f"validate, {len(images.classes)} classes, {images.image_size} px ({images.source})"
        f"{'' if images.held_bytes else ', read from disk'}",
        "teacher": task.teacher or "none, a search for accuracy alone",
        "training": f"{training.steps} steps of {training.batch_size} images, measured at "
        f"{list(training.measured_at)}, on {training.device}{seeds}",
        "reward": task.reward,
        "controls": len(task.controls),
    }


def describe_images(images: ImageSet) -> dict[str, Any]:
    """Return what identifies the images of a task, ready for JSON."""
    return {
        "source": images.source,
        "classes": len(images.classes),
        "image_size": images.image_size,
        "train": len(images.train_images),
        "validation": len(images.validation_images),
        "sha256": fingerprint(
            np.frombuffer(
                "".join(
                    a.fingerprint if isinstance(a, ImagesOnDisk) else fingerprint(a)
                    for a in (
                        images.train_images,
                        images.train_labels,
                        images.validation_images,
                        images.validation_labels,
                    )
                ).encode(),
                dtype=np.uint8,
            )
        ),
    }
