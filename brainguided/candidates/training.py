"""The short training of one candidate: stochastic gradient descent on an image set."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from brainguided.candidates._averaging import MovingAverage
from brainguided.candidates._batches import Start, cut_out, draw_shifts, iterate_batches, to_inputs
from brainguided.candidates.goal import CLASSIFICATION, Goal, as_labels
from brainguided.candidates.images_on_disk import Images
from brainguided.candidates.sgd import PLAIN, SCHEDULES, SGD as SGD
from neural_data.errors import raise_problems

_WARM_UP = 10  # steps of a constant rate
PRECISIONS = ("float32", "bfloat16")
_DEVICE = re.compile(r"cpu|mps|cuda(:\d{1,3})?")


@dataclass(frozen=True)
class Training:
    """Settings of the short ("premature") training of a candidate.

    The defaults are the open parameters of Bashivan et al. (2019) as closed here: SGD with
    Nesterov momentum 0.9, learning rate falling from 0.05 to 0 along a cosine, weight decay
    1e-4, batches of 128 (the paper's, inferred from its figure 3).

    Attributes
    ----------
    steps : int
        Number of SGD steps; 0 leaves the random weights.
    rungs : tuple of int
        Steps at which a candidate is measured, 0 for the untrained network; the last step always
        is one, named or not.
    batch_size : int
        Images in a batch.
    sgd : SGD
        Learning rate and weight decay.
    augment : bool or "shift"
        Random shift by up to an eighth of the image (zero padding) and random left-right flip;
        "shift" leaves the flip out, which digits and letters do not survive.
    precision : {"float32", "bfloat16"}
        Arithmetic of the training passes; weights stay float32. bfloat16 pays on processors
        with matrix units for it.
    device : str
        Where candidates are trained and scored: "cpu"; "cuda", or one card of several as
        "cuda:1"; "mps". It is looked for when a candidate is evaluated, on the machine that does
        so. Initial weights, order of images and augmentation are the same on every device;
        what sums come to differs in the last digits.
    """

    steps: int = 200
    rungs: tuple[int, ...] = ()
    batch_size: int = 128
    sgd: SGD = PLAIN
    augment: bool | str = True
    precision: str = "float32"
    device: str = "cpu"

    def __post_init__(self) -> None:
        problems = []
        if self.steps < 0:
            problems.append(f"steps is {self.steps}; expected 0 or more")
        if any(not 0 <= step <= self.steps for step in self.rungs):
            problems.append(f"rungs are {self.rungs}; expected steps from 0 to {self.steps}")
        if list(self.rungs) != sorted(set(self.rungs)):
            problems.append(f"rungs are {self.rungs}; expected an ascending sequence")
        if self.sgd.schedule not in SCHEDULES:
            problems.append(f"schedule is {self.sgd.schedule!r}; expected one of {SCHEDULES}")
        if self.batch_size < 2:
            problems.append(f"batch_size is {self.batch_size}; batch norm needs at least 2")
        rate, decay = self.sgd.learning_rate, self.sgd.weight_decay
        if not rate > 0 or not decay >= 0:
            problems.append(
                f"learning_rate is {rate} and weight_decay {decay}; expected a positive rate and "
                "no negative decay"
            )
        if self.augment not in (True, False, "shift"):
            problems.append(f"augment is {self.augment!r}; expected True, False or 'shift'")
        if self.precision not in PRECISIONS:
            problems.append(f"precision is {self.precision!r}; expected one of {PRECISIONS}")
        if not isinstance(self.device, str) or not _DEVICE.fullmatch(self.device):
            problems.append(
                f"device is {self.device!r}; expected 'cpu', 'cuda', one card as 'cuda:1', or 'mps'"
            )
        raise_problems("Unusable training settings", problems, ValueError)

    @property
    def measured_at(self) -> tuple[int, ...]:
        """The rungs, with the last step."""
        return tuple(dict.fromkeys((*self.rungs, self.steps)))

    def describe(self) -> dict[str, Any]:
        """Return the settings, ready for JSON.

        The device stands there if it is not the CPU, and without the number of the card: a run
        may go on on another card, not on another kind of device.
        """
        described = {**asdict(self), "rungs": list(self.measured_at)}
        described |= described.pop("sgd")
        del described["recipe"]
        described |= self.sgd.recipe.describe()
        kind = described.pop("device").partition(":")[0]
        return described if kind == "cpu" else {**described, "device": kind}


class DivergedError(ArithmeticError):
    """The loss of a network became NaN or infinite.

    Attributes
    ----------
    steps : int or None
        SGD steps that were made with all seeds, the last one included; None if all of them were.
    """

    steps: int | None = None


def train_network(
    network: nn.Module,
    images: Images,
    labels: np.ndarray,
    *,
    training: Training,
    seed: int,
    on_rung: Callable[[int, np.ndarray], bool | None] | None = None,
    start: Start | None = None,
) -> np.ndarray:
    """Train a network in place for a fixed number of steps.

    Parameters
    ----------
    network : torch.nn.Module
        Classifier of images (image, channel, y, x) in -1..1. It is trained on
        ``training.device`` and is afterwards where it was before.
    images : ndarray (image, y, x, channel) of uint8, or ImagesOnDisk
        Training images.
    labels : ndarray (image,) of int
        Their classes.
    training : Training
        Settings.
    seed : int
        Seed of the order of the images and of the augmentation.
    on_rung : callable, optional
        Called at each of the rungs, the last step included, with the number of steps done and
        the losses so far. The training ends there if it returns False.
    start : Start, optional
        What a network was trained by before that goes on, with the same seed. The learning rate
        of a cosine then begins at its highest and falls to 0 over the steps that are left [1]_.

    Returns
    -------
    ndarray (step,)
        Cross-entropy of each batch before its step, in nats; of the steps made. NaN for those made
        before `start`.

    Raises
    ------
    DivergedError
        If the loss is NaN or infinite.
    RuntimeError
        If torch does not see the device.
    ValueError
        If there are fewer images than one batch.

    References
    ----------
    .. [1] Loshchilov & Hutter 2017, ICLR: a restart; after a constant learning rate there is no
       jump.
    """
    losses = np.empty(0)
    with on_device(network, training.device):
        parts = iterate_training(network, images, labels, training=training, seed=seed, start=start)
        for step, losses, _ in parts:
            if on_rung is not None and on_rung(step, losses) is False:
                break
    return losses


def iterate_training(
    network: nn.Module,
    images: Images,
    labels: np.ndarray,
    *,
    training: Training,
    seed: int,
    start: Start | None = None,
    goal: Goal = CLASSIFICATION,
) -> Iterator[tuple[int, np.ndarray, torch.optim.Optimizer]]:
    """Train a network in place, where it is, and pause at each of the rungs and at the end.

    Parameters
    ----------
    network, images, labels, training, seed, start
        As of `train_network`.
    goal : Goal, optional
        The loss, by default cross-entropy; its labels may be of any shape.

    Yields
    ------
    step : int
        Steps made.
    losses : ndarray (step,)
        Loss of each batch before its step, cross-entropy in nats by default.
    optimizer : torch.optim.Optimizer
        Not to be changed.

    Raises
    ------
    DivergedError, ValueError
        As of `train_network`.
    """
    if len(images) < training.batch_size:
        raise ValueError(
            f"{len(images)} training images are fewer than one batch of {training.batch_size}; "
            "lower batch_size or give more images."
        )
    generator = np.random.default_rng(seed)
    device = find_device(network)
    optimizer = _make_optimizer(network, training.sgd, start)
    first = 0 if start is None else start.step
    before = (0, 0) if start is None else (start.step, start.n_images)
    losses = np.full(training.steps, np.nan)
    network.train()
    batches = iterate_batches(
        len(images), training.batch_size, training.steps, generator, before=before
    )
    augment, recipe = goal.augment if training.augment else None, training.sgd.recipe
    goal, average = goal.smooth(recipe.label_smoothing), MovingAverage(network, recipe.average)
    for step, batch in enumerate(batches):
        shifts, shown = None, None
        if augment is not None:
            shown = augment(images[batch], labels[batch], generator)
        elif training.augment:
            shifts = draw_shifts(len(batch), images.shape[1], generator)
        if step < first:  # drawn again, so that what is drawn from here on is what would have been
            continue
        if step in training.rungs:
            yield step, losses[:step], optimizer
            network.train()
        for group in optimizer.param_groups:
            group["lr"] = _find_rate(training, step, first)
        pictures, known = (images[batch], labels[batch]) if shown is None else shown
        inputs = to_inputs(pictures, shifts, flip=training.augment != "shift")
        cut_out(inputs, recipe.cutout, generator)
        with autocast(device, training.precision):
            outputs = network(inputs.to(device))
        loss = goal.loss(outputs.float(), as_labels(known, device))
        losses[step] = loss.item()
        if not math.isfinite(losses[step]):
            error = DivergedError(f"the loss is {losses[step]} at step {step}")
            error.steps = step + 1
            raise error
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        average.follow()
    average.put()
    yield training.steps, losses, optimizer


def _make_optimizer(network: nn.Module, sgd: SGD, start: Start | None) -> torch.optim.SGD:
    """Return an optimizer, with the momentum of a training that goes on."""
    settings: Any = {"lr": sgd.learning_rate, "weight_decay": sgd.weight_decay}
    optimizer = torch.optim.SGD(network.parameters(), momentum=0.9, nesterov=True, **settings)
    momentum = {} if start is None else start.momentum
    for name, parameter in network.named_parameters():
        if name in momentum:
            had = {"momentum_buffer": momentum[name].to(parameter, copy=True)}
            optimizer.state[parameter].update(had)
    return optimizer


def _find_rate(training: Training, step: int, first: int = 0) -> float:
    """Return the learning rate of a step of a training that began, or goes on, at the first."""
    if training.sgd.schedule == "constant":
        return training.sgd.learning_rate * min(1.0, (step + 1) / _WARM_UP)
    rise = min(1.0, (step + 1) / (training.sgd.recipe.warm_up or 1))
    angle = math.pi * (step - first) / (training.steps - first)
    return rise * training.sgd.learning_rate * (1 + math.cos(angle)) / 2


@contextmanager
def single_thread() -> Iterator[None]:
    """Run torch on one thread inside the block: sums then come out the same everywhere."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def on_device(network: nn.Module, device: str) -> Iterator[None]:
    """Have a network on a device inside the block, and where it was before after it.

    Inside the block cuDNN takes algorithms that give the same result every time, and float32 is
    float32 (not TF32). At the end memory that torch keeps in reserve is given back to the device,
    which other processes may share.

    Parameters
    ----------
    network : torch.nn.Module
    device : str
        As in :class:`Training`.

    Raises
    ------
    RuntimeError
        If torch does not see the device.
    """
    wanted, before = torch.device(device), find_device(network)
    if wanted.type == before.type and wanted.index in (None, before.index):
        with _exact_cudnn(wanted):
            yield
        return
    if problem := find_device_problem(device):
        raise RuntimeError(problem)
    try:
        with _exact_cudnn(wanted):
            network.to(wanted)
            yield
    finally:
        network.to(before)
        free_memory(device)


def free_memory(device: str) -> None:
    """Give memory that torch keeps in reserve back to a device."""
    kind = torch.device(device).type
    if kind == "cuda":
        torch.cuda.empty_cache()
    elif kind == "mps":
        torch.mps.empty_cache()


def find_device_problem(device: str) -> str:
    """Return what torch sees in place of a device; empty where it sees the device."""
    wanted = torch.device(device)
    if wanted.type == "cuda":
        seen = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (wanted.index or 0) < seen:
            return ""
        what = f"torch {torch.__version__} sees {seen or 'no'} CUDA device{'s' * (seen != 1)}"
        if torch.version.cuda is None:
            what += " (it was built without CUDA)"
        if "CUDA_VISIBLE_DEVICES" in os.environ:
            what += f" (CUDA_VISIBLE_DEVICES is {os.environ['CUDA_VISIBLE_DEVICES']!r})"
    elif wanted.type == "mps":
        if torch.backends.mps.is_available():
            return ""
        what = f"torch {torch.__version__} sees no MPS device"
    else:
        return ""
    return (
        f"The device is {device!r}, but {what} on this machine. Evaluate where there is one (on "
        "Ray: reserve it, e.g. gpus = 1 in [ray]), or set device = 'cpu'."
    )


def _exact_cudnn(device: torch.device) -> AbstractContextManager[None]:
    if device.type != "cuda":
        return nullcontext()
    return torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )


def find_device(network: nn.Module) -> torch.device:
    """Return where the weights of a network are."""
    return next((p.device for p in network.parameters()), torch.device("cpu"))


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """Return the context in which forward passes have a precision."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)
