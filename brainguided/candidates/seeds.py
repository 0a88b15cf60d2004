"""What a candidate shows with one seed of its weights, or with several, rung by rung."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from brainguided.architectures import Architecture
from brainguided.candidates.kept_weights import describe_kept, keep_state, keep_weights
from brainguided.candidates.own_task import build_candidate
from brainguided.candidates.rivals import compute_statistics
from brainguided.candidates.rungs import keep_losses, measure_rung
from brainguided.candidates.training import DivergedError, iterate_training, on_device
from brainguided.guidance.rewards import Reward
from brainguided.journal.means import average, average_repeats
from brainguided.journal.measurement import Measurement, Repeat, Rung
from brainguided.networks.build import BlueprintNetwork

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from brainguided.candidates.evaluation import Task


@dataclass
class SeededNetwork:
    """A network of a candidate with one seed of its weights, and what it shows, in one evaluation.

    Not the ``SECOND_SEED`` of `journal.confirmed`, which is an evaluation again.

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


def build_networks(
    architecture: Architecture, task: Task, seeds: Sequence[int]
) -> list[SeededNetwork]:
    """Return the untrained networks of a candidate, one for each seed."""
    return [
        SeededNetwork(one, build_candidate(architecture, task, seed=one), architecture.key)
        for one in seeds
    ]


def average_statistics(
    networks: Sequence[SeededNetwork], architecture: Architecture, task: Task
) -> dict[str, float | None]:
    """Return statistics of a candidate's untrained networks; of several seeds the mean."""
    found = [
        compute_statistics(one.network, architecture, task.images, names=task.rivals)
        for one in networks
    ]
    return {name: average([one[name] for one in found]) for name in found[0]}


def train_and_measure(
    networks: Sequence[SeededNetwork], task: Task, stop: Callable[[Sequence[SeededNetwork]], bool]
) -> None:
    """Train a candidate with each of its seeds and measure it at each rung.

    All seeds reach a rung before any goes on, so that what is decided there is decided by all.

    Parameters
    ----------
    networks : sequence of SeededNetwork
        From `build_networks`; what they show is added, and so is there whatever comes after.
    task : Task
    stop : callable
        Of the networks so far: whether training ends at this rung.

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
        for one in networks:
            stack.enter_context(on_device(one.network, task.training.device))
        parts = [
            iterate_training(
                one.network,
                images,
                labels,
                training=task.training,
                seed=one.seed,
                goal=task.goal,
            )
            for one in networks
        ]
        for step in task.training.measured_at:
            for one, part in zip(networks, parts, strict=True):
                try:
                    _, one.losses, optimizer = next(part)
                    one.rungs.append(measure_rung(one.network, task, step))
                    _keep(one, step, optimizer, task)
                except DivergedError as error:
                    own = step if error.steps is None else error.steps
                    others = (len(other.losses) for other in networks if other is not one)
                    error.steps = own + sum(others)
                    raise
            if stop(networks):
                break


def _keep(one: SeededNetwork, step: int, optimizer: Optimizer, task: Task) -> None:
    """Write weights, where the task says so."""
    if task.weights is None:
        return
    note = describe_kept(one.key, one.seed, step, task)
    keep_weights(one.network, task.weights, f"{one.seed}_{step}", note=note)
    if task.exact_weights:
        keep_state(one.network, optimizer, task.weights, note=note)


def add_seeds(found: Measurement, networks: Sequence[SeededNetwork]) -> Measurement:
    """Return a measurement with what a candidate showed: of several seeds the mean, and each.

    Parameters
    ----------
    found : Measurement
        What is known beside the rungs.
    networks : sequence of SeededNetwork
        Of several, only rungs that all have reached are taken.

    Returns
    -------
    Measurement
    """
    if len(networks) == 1:
        (own,) = networks
        return replace(found, rungs=tuple(own.rungs), losses=keep_losses(own.losses))
    common = min((len(one.rungs) for one in networks), default=0)
    repeats = tuple(
        Repeat(one.seed, tuple(one.rungs[:common]), keep_losses(one.losses)) for one in networks
    )
    return average_repeats(replace(found, repeats=repeats))


def is_below(
    reward: Reward, found: Measurement, bars: Mapping[int, float], networks: Sequence[SeededNetwork]
) -> bool:
    """Return whether a candidate is not above the bar of the rung that it was measured at last.

    Parameters
    ----------
    reward : Reward
    found : Measurement
        What is known of the candidate beside its rungs.
    bars : mapping of int to float
        By step; a rung without one stops nobody.
    networks : sequence of SeededNetwork
        The means over seeds decide.

    Returns
    -------
    bool
    """
    bar = bars.get(networks[0].rungs[-1].step)
    return bar is not None and not reward(add_seeds(found, networks)) > bar
