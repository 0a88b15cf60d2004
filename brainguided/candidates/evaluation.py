"""What one candidate earns: P, TG and the reward P + alpha * TG."""

from __future__ import annotations

import gc
import logging
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import xarray as xr

from brainguided.architectures import Architecture
from brainguided.candidates.images import ImageSet
from brainguided.candidates.training import (
    DivergedError,
    Training,
    compute_accuracy,
    free_memory,
    on_device,
    single_thread,
    train_network,
)
from brainguided.guidance.similarity import best_layers, compute_guidance, compute_similarity
from brainguided.guidance.target import fingerprint
from brainguided.guidance.teacher import Teacher
from brainguided.networks.build import BlueprintNetwork, build_network, count_parameters
from brainguided.networks.preprocessing import Preprocessing

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Task:
    """Everything that stays fixed while architectures are searched.

    Attributes
    ----------
    images : ImageSet
        The classification task; P is the accuracy on its validation images.
    teacher : Teacher or None
        The brain; None searches for accuracy alone.
    training : Training
        Settings of the short training.
    alpha : float
        Weight of TG in the reward ``P + alpha * TG``; 1 in all searches of Bashivan et al.
        (2019). With 0 the similarity is still measured, but earns nothing.
    """

    images: ImageSet
    teacher: Teacher | None
    training: Training = field(default_factory=Training)
    alpha: float = 1.0

    def __post_init__(self) -> None:
        if not np.isfinite(self.alpha):
            raise ValueError(f"alpha is {self.alpha}; expected a finite number, e.g. 1.0.")
        object.__setattr__(self, "_recorded", self.teacher)
        if self.teacher is not None:
            object.__setattr__(self, "teacher", self.teacher.without_recordings())

    def __getstate__(self) -> dict[str, Any]:
        """Return what workers are sent: no recordings."""
        return {**vars(self), "_recorded": self.teacher}

    @property
    def recorded_teacher(self) -> Teacher | None:
        """The teacher with its recordings, for ceilings, in the process where they were given."""
        recorded: Teacher | None = vars(self)["_recorded"]
        return recorded

    def describe(self) -> dict[str, Any]:
        """Return the settings and what identifies the data, ready for JSON."""
        images = self.images
        training = self.training.describe()
        if len(images.train_images) % self.training.batch_size:
            training["remainder"] = "kept"  # of each epoch; runs of before left it out
        return {
            "images": {
                "source": images.source,
                "classes": len(images.classes),
                "image_size": images.image_size,
                "train": len(images.train_images),
                "validation": len(images.validation_images),
                "sha256": fingerprint(
                    np.frombuffer(
                        "".join(
                            fingerprint(a)
                            for a in (
                                images.train_images,
                                images.train_labels,
                                images.validation_images,
                                images.validation_labels,
                            )
                        ).encode(),
                        dtype=np.uint8,
                    )
                ),
            },
            "teacher": None if self.teacher is None else self.teacher.describe(),
            "training": training,
            "alpha": float(self.alpha),
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
    performance : float or None
        P: validation accuracy after the short training, 0 to 1.
    guidance : float or None
        TG, -1 to 1; None without a teacher.
    reward : float or None
        ``P + alpha * TG``.
    similarity : dict of area to dict of layer to (float or None)
        RDM similarity (Pearson r) of every layer; None for a dead layer.
    history : tuple of dict
        P and TG at every checkpoint: "step", "performance", "guidance".
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
    similarity: dict[str, dict[str, float | None]] = field(default_factory=dict)
    history: tuple[dict[str, Any], ...] = ()
    n_parameters: int = 0
    examples: int = 0
    seconds: float = 0.0

    @property
    def best_layers(self) -> dict[str, str]:
        """For each area, the layer whose RDM resembles it most."""
        return {} if not self.similarity else best_layers(self.correspondence())

    def correspondence(self) -> xr.DataArray:
        """Return the similarities as a DataArray (layer, area); NaN for a dead layer."""
        areas = list(self.similarity)
        layers = list(self.similarity[areas[0]]) if areas else []
        values = [
            [np.nan if (r := self.similarity[a][layer]) is None else r for a in areas]
            for layer in layers
        ]
        return xr.DataArray(
            np.array(values, dtype=float).reshape(len(layers), len(areas)),
            dims=("layer", "area"),
            coords={"layer": layers, "area": areas},
            name="similarity",
            attrs={"long_name": "RDM similarity (Pearson r)"},
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        data = {name: getattr(self, name) for name in self.__dataclass_fields__}
        data["architecture"] = self.architecture.to_json()
        data["history"] = [dict(entry) for entry in self.history]
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Evaluation:
        """Return the evaluation that :meth:`to_dict` wrote."""
        architecture = Architecture.from_json(data["architecture"])
        return cls(**{**data, "architecture": architecture, "history": tuple(data["history"])})


def evaluate(architecture: Architecture, task: Task, *, seed: int) -> Evaluation:
    """Build a candidate, train it for a short time, and return what it earned.

    ``reward = P + alpha * TG`` [1]_, P the validation accuracy and TG the similarity to the
    teacher (see ``similarity.compute_guidance``). The result depends on the arguments alone:
    torch runs on one thread and no global generator is used. On a GPU it depends on the device
    too, in the last digits: training, accuracy and RDMs are computed there.

    Parameters
    ----------
    architecture : Architecture
        The candidate.
    task : Task
        Images, teacher and training.
    seed : int
        Seed of the weights, the order of images and the augmentation.

    Returns
    -------
    Evaluation
        A candidate that cannot be built, diverges or runs out of memory is returned as failed,
        with the reason, and so is one where torch does not see ``task.training.device``; it
        raises nothing.

    References
    ----------
    .. [1] Bashivan, Tensen & DiCarlo (2019), ICCV, section 3.
    """
    return _evaluate(architecture, task, seed)[0]


def warm_up() -> None:
    """Load what the first evaluation in a process waits for, several seconds."""
    import rsatoolbox  # noqa: F401  (the RDMs of teachers)

    # At its first optimizer torch imports its compiler
    torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)


def train_candidate(architecture: Architecture, task: Task, *, seed: int) -> BlueprintNetwork:
    """Return the trained network of a candidate, on the CPU: the one that `evaluate` scored.

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
    evaluation, network = _evaluate(architecture, task, seed)
    if network is None:
        raise RuntimeError(f"The candidate failed ({evaluation.reason}); there is no network.")
    return network


def _evaluate(
    architecture: Architecture, task: Task, seed: int
) -> tuple[Evaluation, BlueprintNetwork | None]:
    started = time.perf_counter()
    network = None
    earned: dict[str, Any] = {}
    reason = "build"
    try:
        with single_thread():
            network = build_network(architecture, n_classes=len(task.images.classes), seed=seed)
            earned["n_parameters"] = count_parameters(network)
            reason = ""
            with on_device(network, task.training.device):
                earned |= _train_and_score(network, task, seed)
    except DivergedError as error:
        reason = "nan"
        made = task.training.steps if error.steps is None else error.steps
        earned["examples"] = made * task.training.batch_size
    except (MemoryError, RuntimeError) as error:
        reason = "memory" if _is_memory(error) else reason or _say(error)
        _log.debug("the candidate failed", exc_info=True)
    except Exception as error:  # a candidate must never end a search
        reason = reason or _say(error)
        _log.debug("the candidate failed", exc_info=True)
    if reason == "memory":  # only now that the error is gone nothing holds its tensors
        network = None
        gc.collect()
        free_memory(task.training.device)
    outcome = "failed" if reason else "done"
    evaluation = Evaluation(
        architecture,
        seed,
        outcome,
        reason,
        seconds=time.perf_counter() - started,
        **earned,
    )
    return evaluation, None if reason else network


def _train_and_score(network: BlueprintNetwork, task: Task, seed: int) -> dict[str, Any]:
    images, training = task.images, task.training
    inputs = Preprocessing(size=images.image_size)
    history: list[dict[str, Any]] = []
    similarity: list[xr.DataArray] = []

    def measure(step: int) -> None:
        performance = compute_accuracy(
            network,
            images.validation_images,
            images.validation_labels,
            precision=training.precision,
        )
        guidance = None
        if task.teacher is not None:
            table = compute_similarity(network, task.teacher, preprocessing=inputs)
            similarity.append(table)
            guidance = compute_guidance(table)
        history.append({"step": step, "performance": performance, "guidance": guidance})

    train_network(
        network,
        images.train_images,
        images.train_labels,
        training=training,
        seed=seed,
        on_checkpoint=measure,
    )
    measure(training.steps)
    final = history[-1]
    reward = final["performance"]
    if final["guidance"] is not None and task.alpha != 0:
        reward = reward + task.alpha * final["guidance"]
    if not np.isfinite(reward):
        raise DivergedError(f"the reward is {reward}")
    return {
        "performance": final["performance"],
        "guidance": final["guidance"],
        "reward": reward,
        "similarity": _as_dict(similarity[-1]) if similarity else {},
        "history": tuple(history),
        "examples": training.steps * training.batch_size,
    }


def _as_dict(table: xr.DataArray) -> dict[str, dict[str, float | None]]:
    return {
        str(area): {
            str(layer): None if np.isnan(r) else float(r)
            for layer, r in zip(table["layer"].values, column, strict=True)
        }
        for area, column in zip(table["area"].values, table.values.T, strict=True)
    }


def _is_memory(error: Exception) -> bool:
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(
        words in str(error).lower() for words in ("out of memory", "can't allocate memory")
    )


def _say(error: Exception) -> str:
    return f"error: {type(error).__name__}: {error}"[:500]
