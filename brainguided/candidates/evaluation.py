"""What one candidate shows after a short training, rung by rung, and the reward that earns."""

from __future__ import annotations

import gc
import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
import xarray as xr

from brainguided.architectures import Architecture
from brainguided.candidates._facts import describe_images, list_task_facts
from brainguided.candidates._failures import is_memory, say_error
from brainguided.candidates.expected import check_measured, expect_measurement
from brainguided.candidates.goal import CLASSIFICATION, Goal
from brainguided.candidates.images import ImageSet
from brainguided.candidates.kept_weights import find_trained_by
from brainguided.candidates.own_task import OwnTask, check_own_task
from brainguided.candidates.rivals import check_rivals
from brainguided.candidates.seeds import (
    SeededNetwork,
    add_seeds,
    average_statistics,
    build_networks,
    draw_seeds,
    is_below,
    train_and_measure,
)
from brainguided.candidates.training import DivergedError, Training, free_memory, single_thread
from brainguided.guidance.controls import Measured, describe_controls
from brainguided.guidance.rewards import PaperReward, Reward, check_keep
from brainguided.guidance.scoring import Scorer
from brainguided.guidance.teacher import Teacher
from brainguided.journal.facts import Shown
from brainguided.journal.measurement import Measurement, Values
from brainguided.networks.build import BlueprintNetwork, count_parameters
from neural_data.errors import check_type

BATCH_NORMS = ("recomputed", "running")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False, repr=False)
class Task(Shown):
    """Everything that stays fixed while architectures are searched.

    Attributes
    ----------
    images : ImageSet
        The classification task; P is the accuracy on its validation images.
    teacher : Teacher or None
        The brain; None searches for accuracy alone.
    training : Training
        Settings of the short training.
    reward : Reward
        What a measurement earns: ``P + alpha * TG`` with alpha 1, as in all searches of Bashivan
        et al. (2019), or any function of a `Measurement` with a ``describe()``. It is tried on
        made-up numbers first: one that asks for what will not be measured is refused.
    batch_norm : {"recomputed", "running"}
        Statistics of batch normalisation with which a candidate is measured: those of the same
        512 training images at every rung, the untrained one included, or the running averages
        of its training, which lag behind and at step 0 are a mean of 0 and a variance of 1.
    controls : sequence of Target, Shuffles or Copies
        What is measured beside the areas and earns nothing, see `guidance.controls.make_controls`.
    rivals : sequence of str
        Scores of the untrained network that need no teacher, of `candidates.rivals.RIVALS`.
    keep : float, optional
        Share of candidates that go on at each rung, see `check_keep`; by default all do.
    held_out : sequence of mapping
        What no reward uses and the finalists will be judged by, as `HeldOut.describe` says it:
        recorded with the search, so that it is seen to have been chosen before.
    seeds : int
        Seeds of its weights with which each candidate is trained. It is rewarded, and stopped
        early, by the means over them; with one that fails the candidate has failed.
    layers : sequence of str
        Layers that are compared where a candidate has them; by default those that it observes.
    weights : path, optional
        Folder for the weights of every rung, see `keep_weights`; no part of what the task is.
    exact_weights : bool
        Whether those of the last rung that a candidate reached are kept as float32 too, with the
        momentum of the optimizer: finalists that go on from them are trained as if their training
        had never ended. Of float16 ones this is nearly so.
    own : OwnTask, optional
        Loss and performance of a task that is not classification, from a file of the user's own.
    """

    images: ImageSet
    teacher: Teacher | None
    training: Training = field(default_factory=Training)
    reward: Reward = field(default_factory=PaperReward)
    batch_norm: str = "recomputed"
    controls: Sequence[Measured] = ()
    rivals: Sequence[str] = ()
    keep: float | None = None
    held_out: Sequence[Mapping[str, Any]] = ()
    seeds: int = 1
    layers: Sequence[str] = ()
    weights: str | os.PathLike[str] | None = None
    exact_weights: bool = False
    own: OwnTask | None = None

    def __post_init__(self) -> None:
        if type(self.seeds) is not int or self.seeds < 1:
            raise ValueError(f"seeds is {self.seeds!r}; expected a whole number, at least 1.")
        if self.exact_weights and self.weights is None:
            raise ValueError("exact_weights is true, but there is no folder of weights: name one.")
        check_keep(self.keep, self.training.measured_at, self.reward)
        object.__setattr__(self, "rivals", check_rivals(self.rivals))
        check_own_task(self)
        if self.controls and self.teacher is None:
            raise ValueError("Controls belong to areas; give a teacher, or leave them out.")
        if self.batch_norm not in BATCH_NORMS:
            raise ValueError(f"batch_norm is {self.batch_norm!r}; expected one of {BATCH_NORMS}.")
        check_type(
            isinstance(self.reward, Reward),
            self.reward,
            name="The reward",
            wanted="a reward, e.g. PaperReward(alpha=1.0)",
        )
        object.__setattr__(self, "_recorded", self.teacher)
        if self.teacher is not None:
            object.__setattr__(self, "teacher", self.teacher.without_recordings())
        expected = expect_measurement(self)
        check_measured(self.reward, expected, at_rungs=self.keep is not None)

    def _list_facts(self) -> dict[str, Any]:
        return list_task_facts(self)

    def __getstate__(self) -> dict[str, Any]:
        """Return what workers are sent: no recordings."""
        kept = {name: value for name, value in vars(self).items() if name != "scorer"}
        return {**kept, "_recorded": self.teacher}

    @cached_property
    def scorer(self) -> Scorer | None:
        """What compares networks with areas and controls; made once in each process."""
        return None if self.teacher is None else Scorer(self.teacher, self.controls)

    @cached_property
    def trained_by(self) -> str:
        """A few letters that stand for all on which the weights of a candidate depend."""
        return find_trained_by(self.describe())

    def without_weights(self) -> Task:
        """Return the task that keeps no weights, so that those kept stay as they are."""
        return self if self.weights is None else replace(self, weights=None, exact_weights=False)

    @property
    def goal(self) -> Goal:
        """What networks learn and are judged by."""
        return CLASSIFICATION if self.own is None else self.own.goal

    @property
    def recorded_teacher(self) -> Teacher | None:
        """The teacher with its recordings, for ceilings, in the process where they were given."""
        recorded: Teacher | None = vars(self)["_recorded"]
        return recorded

    def describe(self) -> dict[str, Any]:
        """Return the settings and what identifies the data, ready for JSON."""
        images, training = self.images, self.training.describe()
        if len(images.train_images) % self.training.batch_size:
            training["remainder"] = "kept"  # of each epoch; runs of before left it out
        return {
            "images": describe_images(images),
            **({} if self.own is None else {"own": self.own.describe()}),
            "teacher": None if self.teacher is None else self.teacher.describe(),
            "training": training,
            "batch_norm": self.batch_norm,
            "reward": self.reward.describe(),
            **({"controls": describe_controls(self.controls)} if self.controls else {}),
            **({"rivals": list(self.rivals)} if self.rivals else {}),
            **({} if self.keep is None else {"keep": float(self.keep)}),
            "held_out": list(self.held_out),
            **({} if self.seeds == 1 else {"seeds": self.seeds}),
            **({"layers": list(self.layers)} if self.layers else {}),
        }


@dataclass(frozen=True)
class Evaluation:
    """Result of evaluating one candidate.

    Attributes
    ----------
    architecture : Architecture
        The candidate.
    seed : int
        Seed of its weights and of its training.
    outcome : {"done", "failed"}
        Failed candidates have no reward of their own.
    reason : str
        Empty when done; else "nan", "memory", "build", "lost" or "error: ...".
    performance, guidance : float or None
        P, validation accuracy, 0 to 1, and TG, -1 to 1, at the last rung; TG is None without a
        teacher.
    reward : float or None
        What the measurement earned; None where that is known only later, from several candidates.
    measurement : Measurement
        All that it showed at every rung.
    n_parameters : int
        Trainable parameters.
    examples : int
        Training images processed.
    seconds : float
        Time it took.
    """

    architecture: Architecture
    seed: int
    outcome: str
    reason: str = ""
    performance: float | None = None
    guidance: float | None = None
    reward: float | None = None
    measurement: Measurement = field(default_factory=Measurement)
    n_parameters: int = 0
    examples: int = 0
    seconds: float = 0.0

    @property
    def similarity(self) -> Mapping[str, Values]:
        """For each area, the similarity of every layer at the last rung; None for a dead layer."""
        return self.measurement.similarity

    @property
    def best_layers(self) -> dict[str, str]:
        """For each area, the layer whose RDM resembles it most."""
        return self.measurement.best_layers

    def correspondence(self) -> xr.DataArray:
        """Return the last similarities as a DataArray (layer, area); NaN for a dead layer."""
        known = self.similarity
        areas = list(known)
        layers = list(known[areas[0]]) if areas else []
        values = [
            [np.nan if (r := known[a][layer]) is None else r for a in areas] for layer in layers
        ]
        return xr.DataArray(
            np.array(values, dtype=float).reshape(len(layers), len(areas)),
            dims=("layer", "area"),
            coords={"layer": layers, "area": areas},
            name="similarity",
            attrs={"long_name": "similarity of a layer to an area"},
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        data = {name: getattr(self, name) for name in self.__dataclass_fields__}
        data["architecture"] = self.architecture.to_json()
        data["measurement"] = self.measurement.to_dict()
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Evaluation:
        """Return the evaluation that :meth:`to_dict` wrote."""
        architecture = Architecture.from_json(data["architecture"])
        measurement = Measurement.from_dict(data["measurement"])
        return cls(**{**data, "architecture": architecture, "measurement": measurement})


def evaluate(
    architecture: Architecture, task: Task, *, seed: int, bars: Sequence[tuple[int, float]] = ()
) -> Evaluation:
    """Build a candidate, train it for a short time, and return what it showed and earned.

    It is measured at every rung of the training: P, the validation accuracy, and the similarity
    of every layer to every area of the teacher, with each of the task's seeds. The task's reward
    is a function of the means, by default ``P + alpha * TG`` [1]_. The result depends on the
    arguments alone: torch runs on one thread and no global generator is used. On a GPU it depends
    on the device too, in the last digits: training, accuracy and RDMs are computed there.

    Parameters
    ----------
    architecture : Architecture
        The candidate.
    task : Task
        Images, teacher and training.
    seed : int
        Seed of the weights, the order of images and the augmentation; others, where the task has
        several, follow from it.
    bars : sequence of (int, float), optional
        Rungs at which training ends unless the reward there, as if that were the last rung, is
        above the bar.

    Returns
    -------
    Evaluation
        Without a reward where training ended early. A candidate that cannot be built, diverges or
        runs out of memory is returned as failed, with the reason, and so is one where torch does
        not see ``task.training.device``; it raises nothing.

    References
    ----------
    .. [1] Bashivan, Tensen & DiCarlo (2019), ICCV, section 3.
    """
    return _evaluate(architecture, task, draw_seeds(seed, task.seeds), dict(bars))[0]


def warm_up() -> None:
    """Load what the first evaluation in a process waits for, several seconds."""
    import rsatoolbox  # noqa: F401  (the RDMs of teachers)

    # At its first optimizer torch imports its compiler
    torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)


def train_candidate(architecture: Architecture, task: Task, *, seed: int) -> BlueprintNetwork:
    """Return the trained network of a candidate, on the CPU: the one that `evaluate` scored.

    Where the task has several seeds, that of the first of them.

    Parameters
    ----------
    architecture : Architecture
        What is trained.
    task : Task
        As in the search: images, teacher and training.
    seed : int
        The candidate's own, as in the journal.

    Returns
    -------
    BlueprintNetwork
        After the last step of training.

    Raises
    ------
    RuntimeError
        If the candidate fails; the message holds the reason.
    """
    evaluation, network = _evaluate(architecture, task.without_weights(), (seed,), {})
    if network is None:
        raise RuntimeError(f"The candidate failed ({evaluation.reason}); there is no network.")
    return network


def _evaluate(
    architecture: Architecture, task: Task, seeds: Sequence[int], bars: Mapping[int, float]
) -> tuple[Evaluation, BlueprintNetwork | None]:
    started = time.perf_counter()
    networks: list[SeededNetwork] = []
    found = Measurement(() if task.teacher is None else task.teacher.areas)
    earned: dict[str, Any] = {}
    reason = "build"
    try:
        with single_thread():
            networks = build_networks(architecture, task, seeds)
            earned["n_parameters"] = count_parameters(networks[0].network)
            reason = ""
            found = replace(found, statistics=average_statistics(networks, architecture, task))
            train_and_measure(networks, task, partial(is_below, task.reward, found, bars))
        found = add_seeds(found, networks)
        earned |= {"performance": found.rung().performance, "guidance": found.guidance()}
        earned["examples"] = found.rung().examples
        whole = len(networks[0].losses) == task.training.steps
        if whole and not getattr(task.reward, "phase", 0):  # else other candidates are needed
            earned["reward"] = task.reward(found)
            if not np.isfinite(earned["reward"]):
                raise DivergedError(f"the reward is {earned['reward']}")
    except DivergedError as error:
        reason = "nan"
        made = task.training.steps * len(seeds) if error.steps is None else error.steps
        earned["examples"] = made * task.training.batch_size
    except (MemoryError, RuntimeError) as error:
        reason = "memory" if is_memory(error) else reason or say_error(error)
        _log.debug("the candidate failed", exc_info=True)
    except Exception as error:  # a candidate must never end a search
        reason = reason or say_error(error)
        _log.debug("the candidate failed", exc_info=True)
    measured = found if found.rungs else replace(add_seeds(found, networks), losses=())
    if reason == "memory":  # only now that the error is gone nothing holds its tensors
        networks.clear()
        gc.collect()
        free_memory(task.training.device)
    if reason:
        earned["reward"] = None
    evaluation = Evaluation(
        architecture,
        seeds[0],
        "failed" if reason else "done",
        reason,
        measurement=measured,
        seconds=time.perf_counter() - started,
        **earned,
    )
    return evaluation, None if reason else networks[0].network
