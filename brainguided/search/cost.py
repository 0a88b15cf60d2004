"""What a search will cost, from a trial of one candidate."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from brainguided.architectures import Architecture
from brainguided.candidates.evaluation import Evaluation, Task, evaluate
from brainguided.controllers.contract import Controller
from brainguided.guidance.rewards import PaperReward
from brainguided.journal.confirmed import count_evaluations
from brainguided.search.again import find_numbers
from brainguided.search.orders import Batch, Schedule
from brainguided.search.progress import say_time

_DRAWS = 64  # architectures, of which that of the mean size is tried
_TRIES = 1000  # draws, at most
_STEPS = 4  # of training that are timed
_MUCH = 512 * 2**20  # bytes of images in each process that are worth a word
_ROW = 1500  # bytes in a journal beside architecture and measurement: keys, digests, timing, pages


@dataclass(frozen=True)
class Cost:
    """What a search will cost.

    Attributes
    ----------
    seconds : float
        Of one candidate of the mean size, on one worker.
    step, look : float
        Of one step of training, and of one rung, of that candidate with all its seeds; s.
    evaluations : int
        Candidates, and evaluations of some of them with other seeds.
    hours : float
        In all, with the workers given; an upper bound where candidates stop early, and where the
        schedule ends the search before.
    workers : int
    memory : int
        Bytes of one process after the trial, at its highest; 0 where that is not known.
    journal : int
        Bytes of the journal in the end.
    weights : int
        Bytes of the weights that are kept.
    n_parameters : int
        Of the candidate tried.
    images : int
        Bytes of images that each process holds.
    """

    seconds: float
    step: float
    look: float
    evaluations: int
    hours: float
    workers: int
    memory: int
    journal: int
    weights: int
    n_parameters: int
    images: int = 0

    def describe(self) -> list[str]:
        """Say it in a few lines."""
        many = "worker" if self.workers == 1 else "workers"
        lines = [
            f"{self.evaluations} evaluations of about {_say_seconds(self.seconds)} "
            f"({_say_seconds(self.step)} a step, {_say_seconds(self.look)} a rung; tried: a "
            f"candidate of the mean size, {self.n_parameters:,} parameters)",
            f"{say_time(3600 * self.hours)} in all with {self.workers} {many}",
        ]
        if self.memory:
            most = (self.workers + 1) * self.memory / 2**30
            lines.append(
                f"memory: about {most:.1f} GiB, {self.memory / 2**30:.2f} a process, and more for "
                "larger candidates"
            )
        if self.images > _MUCH:
            lines[-1] += (
                f'; of which images {self.images / 2**30:.2f} in each (decoded = "NAME.npy" in '
                "[task] has them read from a file)"
            )
        lines.append(f"disk: about {_say_bytes(self.journal)} for the journal")
        if self.weights:
            lines[-1] += f", {_say_bytes(self.weights)} for the weights of every rung"
        return lines


def estimate_cost(
    task: Task,
    controller: Controller,
    *,
    candidates: int,
    schedule: Schedule | None = None,
    workers: int = 1,
) -> Cost:
    """Try one candidate for a few steps, and say from that what a search will cost.

    Of 64 architectures drawn from the space, within the limits, that is tried whose multiply-adds
    are nearest to their mean: trained for a few steps, and measured as at a rung.

    Parameters
    ----------
    task : Task
        Images, teacher and training.
    controller : Controller
        Its space and limits are drawn from; it is not asked.
    candidates : int
        That the search is to have.
    schedule : Schedule, optional
        Rounds that are smaller than the number of workers leave some idle.
    workers : int, optional
        Evaluations that run at a time.

    Returns
    -------
    Cost
        In time, memory and disk.

    Raises
    ------
    ValueError
        No architecture can be tried, or the one that was failed.
    """
    schedule = Schedule() if schedule is None else schedule
    architecture = choose_mean(controller, task)
    tried = _Trial(task, architecture)
    tried.run(1)  # loads what only the first needs
    one = tried.run(1)
    looked = tried.run(1, rungs=(0,))
    step = _time_step(tried, one, task.training.steps)
    look = max(looked.seconds - one.seconds, 0.0)
    base = max(one.seconds - look - step, 0.0)
    rungs, steps = len(task.training.measured_at), task.training.steps
    seconds = base + steps * step + rungs * look
    evaluations = _count_evaluations(task, schedule, candidates)
    busy = float(workers)
    if isinstance(schedule.order, Batch):
        size = schedule.order.round_size
        busy = size / -(-size // workers)
    row = _count_bytes(task, architecture, (one, looked))
    return Cost(
        seconds=seconds,
        step=step,
        look=look,
        evaluations=evaluations,
        hours=seconds * evaluations / min(busy, candidates) / 3600,
        workers=workers,
        memory=_find_memory(),
        journal=row * evaluations,
        weights=0 if task.weights is None
        else (2 * rungs + 8 * task.exact_weights)
        * one.n_parameters
        * task.seeds
        * evaluations,
        n_parameters=one.n_parameters,
        images=task.images.held_bytes,
    )  # fmt: skip


def _time_step(tried: _Trial, one: Evaluation, steps: int) -> float:
    """Return the seconds of a step, given a trial of one step and how many there are to be."""
    if steps == 0:
        return 0.0
    if steps == 1:
        return max(one.seconds - tried.run(0).seconds, 0.0)
    longer = min(1 + _STEPS, steps)
    return max(tried.run(longer).seconds - one.seconds, 0.0) / (longer - 1)


def _count_evaluations(task: Task, schedule: Schedule, candidates: int) -> int:
    """Return how many there are, with those of some candidates with other seeds."""
    confirm, repeat = find_numbers(schedule, task)
    again = min(confirm, candidates) * count_evaluations(task.seeds)
    return candidates + again + (min(repeat, candidates) if task.seeds == 1 else 0)


def _count_bytes(
    task: Task, architecture: Architecture, tried: tuple[Evaluation, Evaluation]
) -> int:
    """Return what one candidate takes in a journal, given trials with one rung and with two."""
    one, two = (len(json.dumps(made.measurement.to_dict())) for made in tried)
    rungs, steps = len(task.training.measured_at), task.training.steps
    losses = 10 * steps * (2 * task.seeds if task.seeds > 1 else 1)
    texts = 2 * len(architecture.to_json())  # as it is asked for, and as it is recorded
    return one + max(two - one, 0) * (rungs - 1) + losses + texts + _ROW


class _Trial:
    """Evaluations of one candidate that leave nothing behind."""

    def __init__(self, task: Task, architecture: Architecture) -> None:
        self._architecture = architecture
        # Of a reward that asks for other rungs nothing can be tried
        self._task = replace(task.without_weights(), reward=PaperReward(), keep=None)

    def run(self, steps: int, rungs: Sequence[int] = ()) -> Evaluation:
        training = replace(
            self._task.training,
            steps=min(steps, self._task.training.steps),
            rungs=tuple(rungs) if self._task.training.steps else (),
        )
        scorer = self._task.scorer
        task = replace(self._task, training=training)
        vars(task)["scorer"] = scorer  # made once, as in each process of a search
        found = evaluate(self._architecture, task, seed=0)
        if found.outcome != "done":
            raise ValueError(
                f"A candidate of the mean size, {found.n_parameters:,} parameters, failed in a "
                f"trial ({found.reason}): so would many of the search."
            )
        return found


def choose_mean(controller: Controller, task: Task) -> Architecture:
    """Return that of several architectures drawn whose multiply-adds are nearest to their mean."""
    space, limits = controller.space, controller.limits
    generator, drawn, adds = np.random.default_rng(0), [], []
    for _ in range(_TRIES):
        architecture = space.sample(generator)
        if limits is not None and not limits.admit(architecture):
            continue
        try:
            adds.append(
                architecture.count_multiply_adds(task.images.image_size, len(task.images.classes))
            )
        except (ValueError, ArithmeticError):  # cannot be laid out for these images
            continue
        drawn.append(architecture)
        if len(drawn) == _DRAWS:
            break
    if not drawn:
        raise ValueError(f"No architecture of the space {space.name!r} could be tried.")
    return drawn[int(np.argmin(np.abs(np.array(adds) - np.mean(adds))))]


def _find_memory() -> int:
    if not sys.platform.startswith("linux"):
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _say_seconds(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else say_time(seconds)


def _say_bytes(number: float) -> str:
    for unit in ("KiB", "MiB"):
        number /= 1024
        if number < 1000:
            return f"{number:.0f} {unit}"
    return f"{number / 1024:.1f} GiB"
