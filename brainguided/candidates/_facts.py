"""What a task holds, in a few words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
