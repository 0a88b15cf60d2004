"""What a candidate shows with one seed of its weights, or with several, rung by rung."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from brainguided.architectures import Architecture
from brainguided.candidates.kept_weights import describe_kept, keep_state, keep_weights
from brainguided.candidates.rivals import compute_statistics
from brainguided.candidates.rungs import keep_losses, measure_rung
from brainguided.candidates.training import DivergedError, iterate_training, on_device
from brainguided.guidance.rewards import Reward
from brainguided.journal.means import average, average_repeats
from brainguided.journal.measurement import Measurement, Repeat, Rung
from brainguided.networks.build import BlueprintNetwork, build_network

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from brainguided.candidates.evaluation import Task


@dataclass
class Look:
    """What a candidate shows with one seed of its weights, within one evaluation.

    Not the ``SECOND_LOOK`` of `journal.confirmed`, which is an evaluation again.

    Attributes
    ----------
    seed : int
    network : BlueprintNetwork
        Built with that seed.
    key : str
        Of its architecture.
    rungs : list of Rung
        Measured so far.
    losses : ndarray (step,)
        Cross-entropy of the training batches until the last rung that was reached.
    """

    seed: int
    network: BlueprintNetwork
    key: str
    rungs: list[Rung] = field(default_factory=list)
    losses: np.ndarray = field(default_factory=lambda: np.empty(0))


def draw_seeds(seed: int, number: int) -> tuple[int, ...]:
    """Return the seeds of a candidate's weights: its own, and others that follow from it.

    Parameters
    ----------
    seed : int
        The candidate's own.
    number : int
        How many in all.

    Returns
    -------
    tuple of int
    """
    others = (np.random.SeedSequence(seed, spawn_key=(k,)) for k in range(1, number))
    return (seed, *(int(one.generate_state(1)[0]) for one in others))


def build_looks(architecture: Architecture, task: Task, seeds: Sequence[int]) -> list[Look]:
    """Return the untrained networks of a candidate, one for each seed."""
    n_classes = len(task.images.classes)
    return [
        Look(one, build_network(architecture, n_classes=n_classes, seed=one), architecture.key)
        for one in seeds
    ]


def average_statistics(
    looks: Sequence[Look], architecture: Architecture, task: Task
) -> dict[str, float | None]:
    """Return statistics of a candidate's untrained networks; of several seeds the mean."""
    found = [
        compute_statistics(look.network, architecture, task.images, names=task.rivals)
        for look in looks
    ]
    return {name: average([one[name] for one in found]) for name in found[0]}


def train_and_measure(
    looks: Sequence[Look], task: Task, stop: Callable[[Sequence[Look]], bool]
) -> None:
    """Train a candidate with each of its seeds and measure it at each rung.

    All seeds reach a rung before any goes on, so that what is decided there is decided by all.

    Parameters
    ----------
    looks : sequence of Look
        From `build_looks`; what they show is added, and so is there whatever comes after.
    task : Task
    stop : callable
        Of the looks so far: whether training ends at this rung.

    Raises
    ------
    DivergedError
        With one of the seeds; ``steps`` counts those of all.
    RuntimeError
        If torch does not see the device.
    ValueError
        If there are fewer images than one batch.
    """
    images, labels = task.images.train_images, task.images.train_labels
    with ExitStack() as stack:
        for look in looks:
            stack.enter_context(on_device(look.network, task.training.device))
        parts = [
            iterate_training(look.network, images, labels, training=task.training, seed=look.seed)
            for look in looks
        ]
        for step in task.training.measured_at:
            for look, part in zip(looks, parts, strict=True):
                try:
                    _, look.losses, optimizer = next(part)
                    look.rungs.append(measure_rung(look.network, task, step))
                    _keep(look, step, optimizer, task)
                except DivergedError as error:
                    own = step if error.steps is None else error.steps
                    others = (len(other.losses) for other in looks if other is not look)
                    error.steps = own + sum(others)
                    raise
            if stop(looks):
                break


def _keep(look: Look, step: int, optimizer: Optimizer, task: Task) -> None:
    """Write weights, where the task says so."""
    if task.weights is None:
        return
    note = describe_kept(look.key, look.seed, step, task)
    keep_weights(look.network, task.weights, f"{look.seed}_{step}", note=note)
    if task.exact_weights:
        keep_state(look.network, optimizer, task.weights, note=note)


def add_looks(found: Measurement, looks: Sequence[Look]) -> Measurement:
    """Return a measurement with what a candidate showed: of several seeds the mean, and each.

    Parameters
    ----------
    found : Measurement
        What is known beside the rungs.
    looks : sequence of Look
        Of several, only rungs that all have reached are taken.

    Returns
    -------
    Measurement
    """
    if len(looks) == 1:
        return replace(found, rungs=tuple(looks[0].rungs), losses=keep_losses(looks[0].losses))
    common = min((len(look.rungs) for look in looks), default=0)
    repeats = tuple(
        Repeat(look.seed, tuple(look.rungs[:common]), keep_losses(look.losses)) for look in looks
    )
    return average_repeats(replace(found, repeats=repeats))


def is_below(
    reward: Reward, found: Measurement, bars: Mapping[int, float], looks: Sequence[Look]
) -> bool:
    """Return whether a candidate is not above the bar of the rung that it was measured at last.

    Parameters
    ----------
    reward : Reward
    found : Measurement
        What is known of the candidate beside its rungs.
    bars : mapping of int to float
        By step; a rung without one stops nobody.
    looks : sequence of Look
        The means over seeds decide.

    Returns
    -------
    bool
    """
    bar = bars.get(looks[0].rungs[-1].step)
    return bar is not None and not reward(add_looks(found, looks)) > bar
