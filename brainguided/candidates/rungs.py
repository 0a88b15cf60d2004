"""What a network shows at the rungs of its training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from brainguided.candidates.accuracy import compute_performance, recompute_batch_norm
from brainguided.journal.measurement import ROUNDED, Rung
from brainguided.networks.build import BlueprintNetwork
from brainguided.networks.preprocessing import Preprocessing

if TYPE_CHECKING:
    from brainguided.candidates.evaluation import Task


def settle_batch_norm(network: BlueprintNetwork, task: Task) -> None:
    """Compute the statistics of batch normalisation anew, where the task says so.

    Parameters
    ----------
    network : BlueprintNetwork
        Changed in place.
    task : Task
        Its training images are passed.
    """
    if task.batch_norm == "recomputed":
        recompute_batch_norm(
            network,
            task.images.train_images,
            batch_size=task.training.batch_size,
            precision=task.training.precision,
        )


def measure_rung(network: BlueprintNetwork, task: Task, step: int) -> Rung:
    """Return performance, loss and the similarity of every layer to every target.

    Parameters
    ----------
    network : BlueprintNetwork
        Trained for `step` steps. Statistics of its batch normalisation are computed anew where
        the task says so.
    task : Task
        Images, teacher and controls.
    step : int

    Returns
    -------
    Rung

    Raises
    ------
    DivergedError
        If an output is NaN or infinite.
    """
    images, training = task.images, task.training
    settle_batch_norm(network, task)
    performance, cross_entropy = compute_performance(
        network,
        images.validation_images,
        images.validation_labels,
        precision=training.precision,
        goal=task.goal,
    )
    rung = Rung(step, performance, cross_entropy, examples=step * training.batch_size)
    if task.scorer is None:
        return rung
    scores = task.scorer.score(
        network,
        layers=find_layers(network, task.layers),
        preprocessing=Preprocessing(size=images.image_size),
    )
    return Rung(
        step,
        performance,
        cross_entropy,
        rung.examples,
        scores.similarity,
        scores.committed,
        scores.shuffles,
    )


def find_layers(network: BlueprintNetwork, names: Sequence[str]) -> list[str] | None:
    """Return those of the layers named that a network has; None where none were named.

    Raises
    ------
    ValueError
        It has none of them.
    """
    known = dict(network.named_modules())
    found = [name for name in names if name in known]
    if names and not found:
        raise ValueError(f"The network has no layer of {list(names)}; it has {list(known)[1:]}.")
    return found or None


def keep_losses(losses: np.ndarray) -> tuple[float, ...]:
    """Return losses as a journal keeps them."""
    return tuple(round(loss, ROUNDED) for loss in losses.tolist())
