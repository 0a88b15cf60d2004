"""Finalists whose training goes on from the weights that their search kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from brainguided.architectures import Architecture
from brainguided.candidates.evaluation import Task
from brainguided.candidates.kept_weights import KeptWeights, describe_kept, read_kept
from brainguided.candidates.own_task import build_candidate
from brainguided.journal.attempts import Attempt

_SHOWN = 3  # candidates that are named
Starts = dict[int, KeptWeights | Exception]  # by candidate


@dataclass(frozen=True)
class Continued:
    """Length of a long training that goes on from the weights that the search kept.

    Each candidate goes on from the last rung that it reached, with the weights of its first seed.
    From there on the learning rate falls from its highest to 0 along a cosine, whatever the
    schedule of the search: after a constant one there is no jump, after a cosine it is a restart
    [1]_. With exact weights (``Task.exact_weights``) the numbers are bit for bit those of a
    training with these learning rates that was never interrupted, on the CPU, and on another
    device as far as that repeats itself. With float16 ones the weights are rounded and the
    momentum begins with 0.

    Parameters
    ----------
    steps : int
        SGD steps in all, those of the search included.

    Raises
    ------
    ValueError
        `steps` is less than 1.

    References
    ----------
    .. [1] Loshchilov & Hutter 2017, SGDR: stochastic gradient descent with warm restarts, ICLR.
    """

    steps: int

    def __post_init__(self) -> None:
        if type(self.steps) is not int or self.steps < 1:
            raise ValueError(f"steps is {self.steps!r}; expected a whole number, at least 1.")


def read_starts(chosen: Sequence[Attempt], task: Task, steps: int) -> Starts:
    """Return the weights from which each candidate goes on, or why there are none.

    Parameters
    ----------
    chosen : sequence of Attempt
        Finalists.
    task : Task
        With the folder of weights.
    steps : int
        Of the long training.

    Raises
    ------
    ValueError
        The search kept no weights, or was as long for one of them.
    """
    if task.weights is None:
        raise ValueError(
            "The task names no folder of weights, so there are none to go on from. Begin anew "
            "(without --continue); searches keep weights with [task] weights = FOLDER, exactly "
            "with exact_weights = true."
        )
    made = {one.candidate: _find_step(one) for one in chosen}
    if long := [k for k, step in made.items() if step >= steps]:
        said = ", ".join(f"candidate {k} {made[k]}" for k in long[:_SHOWN])
        raise ValueError(
            f"steps is {steps}, but the search trained {said}"
            f"{', ...' if len(long) > _SHOWN else ''} already. Steps count from the beginning of "
            f"the search; give more than {max(made.values())}."
        )
    return {one.candidate: _read(one, task, made[one.candidate]) for one in chosen}


def _find_step(attempt: Attempt) -> int:
    """Return the last rung that a candidate reached."""
    return max(attempt.measurement.steps, default=0)


def _read(attempt: Attempt, task: Task, step: int) -> KeptWeights | Exception:
    architecture = Architecture.from_json(attempt.architecture)
    network = build_candidate(architecture, task, seed=attempt.seed)
    try:
        return read_kept(network, task, describe_kept(architecture.key, attempt.seed, step, task))
    except (OSError, ValueError) as error:
        return error
