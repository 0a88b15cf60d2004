"""How well a network classifies images it was not trained on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from brainguided.candidates.goal import CLASSIFICATION, Goal, as_labels
from brainguided.candidates.images_on_disk import Images
from brainguided.candidates.training import DivergedError, autocast, find_device
from brainguided.networks.preprocessing import images_to_tensor

_BATCH = 250  # images
_STATISTICS = 512  # training images of which batch normalisation is recomputed
_ORDER_SEED = 20190803  # of which images these are


def compute_accuracy(
    network: nn.Module, images: Images, labels: np.ndarray, *, precision: str = "float32"
) -> float:
    """Return the fraction of images that the network classifies correctly, in evaluation mode.

    Parameters
    ----------
    network : torch.nn.Module
        Classifier; images are moved to where it is.
    images : ndarray (image, y, x, channel) of uint8, or ImagesOnDisk
        Images it was not trained on.
    labels : ndarray (image,) of int
        Their classes.
    precision : {"float32", "bfloat16"}, optional
        Arithmetic of the forward pass.

    Raises
    ------
    DivergedError
        If an output is NaN or infinite.
    """
    return compute_performance(network, images, labels, precision=precision)[0]


def compute_performance(
    network: nn.Module,
    images: Images,
    labels: np.ndarray,
    *,
    precision: str = "float32",
    goal: Goal = CLASSIFICATION,
) -> tuple[float, float]:
    """Return the fraction of images classified correctly and the cross-entropy, in nats.

    Of another goal, its performance and its loss.

    Parameters
    ----------
    network, images, labels, precision
        As of `compute_accuracy`.
    goal : Goal, optional
        Of a task of one's own.

    Returns
    -------
    accuracy, cross_entropy : float

    Raises
    ------
    DivergedError
        If an output, P or the loss is NaN or infinite.
    """
    total, loss = None, 0.0
    was_training = network.training
    network.eval()
    device = find_device(network)
    with torch.no_grad(), autocast(device, precision):
        for start in range(0, len(images), _BATCH):
            part = images_to_tensor(images[start : start + _BATCH])
            outputs = network(part.to(device)).float()
            if not torch.isfinite(outputs).all():
                raise DivergedError("outputs of the trained network are not finite")
            truth = as_labels(labels[start : start + _BATCH], device)
            counted = goal.tally(outputs, truth)
            total = counted if total is None else total + counted
            loss += goal.sum_loss(outputs, truth)
    network.train(was_training)
    performance = float(goal.performance(total))
    if not math.isfinite(performance) or not math.isfinite(loss):
        raise DivergedError(f"the performance is {performance}, the loss {loss / len(images)}")
    return performance, loss / len(images)


def recompute_batch_norm(
    network: nn.Module, images: Images, *, batch_size: int, precision: str = "float32"
) -> None:
    """Replace the running statistics of batch normalisation by those of 512 training images.

    They are the mean over batches of what each batch has; without augmentation, and the same
    images for every network.

    Parameters
    ----------
    network : torch.nn.Module
        Changed in place, its weights are not. Without batch normalisation nothing is done.
    images : ndarray (image, y, x, channel) of uint8, or ImagesOnDisk
        Training images.
    batch_size : int
        Images in a batch; a remainder is left out.
    precision : {"float32", "bfloat16"}, optional
        Arithmetic of the forward pass.
    """
    layers = [
        layer
        for layer in network.modules()
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.track_running_stats
    ]
    if not layers:
        return
    order = np.random.default_rng(_ORDER_SEED).permutation(len(images))
    number = min(len(images), max(_STATISTICS, batch_size)) // batch_size * batch_size
    device = find_device(network)
    was_training = network.training
    network.train()
    with torch.no_grad(), autocast(device, precision), _averaging(layers):
        for start in range(0, number, batch_size):
            network(images_to_tensor(images[order[start : start + batch_size]]).to(device))
    network.train(was_training)


@contextmanager
def _averaging(layers: list[nn.modules.batchnorm._BatchNorm]) -> Iterator[None]:
    """Begin the running statistics anew, and let them be plain means inside."""
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
