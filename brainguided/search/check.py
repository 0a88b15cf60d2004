"""What can be known of a search before its first candidate is evaluated."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import numpy as np

from brainguided.candidates.evaluation import Task
from brainguided.candidates.training import find_device_problem
from neural_data.errors import raise_problems

_ROOM = 100 * 2**20  # bytes that a run folder should find
_FEW = 10  # conditions, below which an RDM says little
_log = logging.getLogger(__name__)


def check_search(task: Task, *, out: str | os.PathLike[str] | None = None, here: bool) -> None:
    """Refuse a search that cannot succeed; warn of a teacher that says little.

    Parameters
    ----------
    task : Task
        Images, teacher and training.
    out : path, optional
        The run folder, for which there should be room.
    here : bool
        Whether candidates are evaluated on this machine, which then needs their device.

    Raises
    ------
    ValueError
        The device is not there, the images do not fill a batch, classes have no images, or the
        disk is full; every problem is listed.
    """
    images, training = task.images, task.training
    problems = []
    if here and (problem := find_device_problem(training.device)):
        problems.append(problem)
    if training.steps and len(images.train_images) < training.batch_size:
        problems.append(
            f"{len(images.train_images)} training images are fewer than one batch of "
            f"{training.batch_size}; lower batch_size or give more images."
        )
    counts = np.bincount(images.train_labels, minlength=len(images.classes))
    if empty := [images.classes[k] for k in np.flatnonzero(counts == 0)]:
        problems.append(
            f"{len(empty)} of {len(images.classes)} classes have no training images, e.g. "
            f"{', '.join(empty[:3])}; give more images, or leave these classes out."
        )
    place = Path.cwd() if out is None else Path(out).absolute()
    while not place.is_dir():
        place = place.parent
    if (free := shutil.disk_usage(place).free) < _ROOM:
        problems.append(
            f"The disk of {place} has {free / 2**20:.0f} MiB left; a run wants {_ROOM / 2**20:.0f}."
        )
    raise_problems("This search cannot succeed", problems, ValueError)
    for target in task.teacher or ():
        if target.rdm.n_cond < _FEW:
            _log.warning(
                "The RDM of %s has %d conditions; similarity to fewer than %d is mostly chance.",
                target.area,
                target.rdm.n_cond,
                _FEW,
            )
