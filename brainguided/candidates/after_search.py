"""Networks of candidates that are trained again after a search, wherever there is a device."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import torch

from brainguided.architectures import Architecture
from brainguided.candidates.accuracy import compute_performance
from brainguided.candidates.evaluation import Task, train_candidate
from brainguided.candidates.images_on_disk import join_images
from brainguided.candidates.kept_weights import load_start
from brainguided.candidates.own_task import build_candidate
from brainguided.candidates.retraining import Retraining
from brainguided.candidates.rungs import settle_batch_norm
from brainguided.candidates.training import (
    find_device_problem,
    iterate_training,
    on_device,
    single_thread,
)
from brainguided.networks.build import BlueprintNetwork

_log = logging.getLogger(__name__)
Weights = dict[str, np.ndarray]


def train_again(job: Retraining, task: Task) -> tuple[float | None, Weights]:
    """Train a candidate again, in whatever process.

    A longer training takes the settings of the search but for the learning rate, which falls to 0
    along a cosine, from new weights or, with ``job.start``, from those that the search kept.
    Batch normalisation has the statistics with which the search measured.

    Parameters
    ----------
    job : Retraining
    task : Task
        That of the search.

    Returns
    -------
    performance : float or None
        P on the validation images; None where these were trained on, or the training was that of
        the search.
    weights : dict of str to ndarray
        State dict of the network.

    Raises
    ------
    ArithmeticError, MemoryError, RuntimeError
        The training failed.
    """
    architecture = Architecture.from_json(job.architecture)
    if job.steps is None:
        network = train_candidate(architecture, task, seed=job.seed)
        return None, {name: value.numpy() for name, value in network.state_dict().items()}
    images, performance = task.images, None
    pictures, labels = images.train_images, images.train_labels
    if job.validation:
        pictures = join_images(pictures, images.validation_images)
        labels = np.concatenate([labels, images.validation_labels])
    # A constant learning rate makes rungs comparable, of which a long training has none
    sgd = replace(task.training.sgd, schedule="cosine", recipe=job.recipe)
    training = replace(task.training, steps=job.steps, rungs=(), sgd=sgd)
    with single_thread():
        network = build_candidate(architecture, task, seed=job.seed)
        start = None
        if job.start is not None:
            start = load_start(job.start, network, len(images.train_images))
        with on_device(network, training.device):
            for _ in iterate_training(
                network,
                pictures,
                labels,
                training=training,
                seed=job.seed,
                start=start,
                goal=task.goal,
            ):
                pass  # there are no rungs
            settle_batch_norm(network, task)
            if not job.validation:
                performance, _ = compute_performance(
                    network,
                    images.validation_images,
                    images.validation_labels,
                    precision=training.precision,
                    goal=task.goal,
                )
    return performance, {name: value.numpy() for name, value in network.state_dict().items()}


def rebuild_network(architecture: str, task: Task, weights: Weights) -> BlueprintNetwork:
    """Return a network that was trained, on the CPU.

    Raises
    ------
    RuntimeError
        The weights are not those of the architecture.
    """
    network = build_candidate(Architecture.from_json(architecture), task, seed=0)
    # Copied, since what an engine hands over may be read-only
    network.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    return network


def find_device(device: str) -> str:
    """Return a device where this machine has it, else the CPU, and say so.

    What is trained elsewhere may be looked at here: that takes a pass over some images.
    """
    if not find_device_problem(device):
        return device
    _log.info("there is no device %r here: what was trained elsewhere runs on the CPU", device)
    return "cpu"
