"""What a network shows at the rungs of its training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from brainguided.candidates.accuracy import compute_performance, recompute_batch_norm
from brainguided.candidates.training import train_network
from brainguided.guidance.rewards import Reward
from brainguided.journal.measurement import ROUNDED, Measurement, Rung
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
    """Return accuracy, loss and the similarity of every layer to every target.

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
    )
    rung = Rung(step, performance, cross_entropy, examples=step * training.batch_size)
    if task.scorer is None:
        return rung
    scores = task.scorer.score(network, preprocessing=Preprocessing(size=images.image_size))
    return Rung(
        step,
        performance,
        cross_entropy,
        rung.examples,
        scores.similarity,
        scores.committed,
        scores.shuffles,
    )


def train_and_measure(
    network: BlueprintNetwork,
    task: Task,
    seed: int,
    measured: list[Rung],
    stop: Callable[[list[Rung], np.ndarray], bool],
) -> np.ndarray:
    """Train a candidate and measure it at each rung.

    Parameters
    ----------
    network : BlueprintNetwork
    task : Task
    seed : int
    measured : list of Rung
        What it shows at each is appended, so that it is there whatever comes after.
    stop : callable
        Of what was measured and the losses so far: whether training ends there.

    Returns
    -------
    ndarray (step,)
        Losses of the steps made.
    """

    def measure(step: int, losses: np.ndarray) -> bool:
        measured.append(measure_rung(network, task, step))
        return not stop(measured, losses)

    return train_network(
        network,
        task.images.train_images,
        task.images.train_labels,
        training=task.training,
        seed=seed,
        on_rung=measure,
    )


def is_below(
    reward: Reward,
    found: Measurement,
    bars: Mapping[int, float],
    measured: list[Rung],
    losses: np.ndarray,
) -> bool:
    """Return whether a candidate is not above the bar of the rung that it was measured at last.

    Parameters
    ----------
    reward : Reward
    found : Measurement
        What is known of the candidate beside its rungs.
    bars : mapping of int to float
        By step; a rung without one stops nobody.
    measured : list of Rung
    losses : ndarray (step,)

    Returns
    -------
    bool
    """
    bar = bars.get(measured[-1].step)
    if bar is None:
        return False
    return not reward(replace(found, rungs=tuple(measured), losses=keep_losses(losses))) > bar


def keep_losses(losses: np.ndarray) -> tuple[float, ...]:
    """Return losses as a journal keeps them."""
    return tuple(round(loss, ROUNDED) for loss in losses.tolist())
