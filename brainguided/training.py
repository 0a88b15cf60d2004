"""The short training of one candidate: stochastic gradient descent on an image set."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

PRECISIONS = ("float32", "bfloat16")


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
    checkpoints : tuple of int
        Steps before the last at which P and TG are measured as well.
    batch_size : int
        Images in a batch.
    learning_rate, weight_decay : float
        Initial learning rate; L2 penalty.
    augment : bool
        Random shift by up to an eighth of the image (zero padding) and random left-right flip.
    precision : {"float32", "bfloat16"}
        Arithmetic of the training passes; weights stay float32. bfloat16 pays on processors
        with matrix units for it.
    """

    steps: int = 200
    checkpoints: tuple[int, ...] = ()
    batch_size: int = 128
    learning_rate: float = 0.05
    weight_decay: float = 1e-4
    augment: bool = True
    precision: str = "float32"

    def __post_init__(self) -> None:
        problems = []
        if self.steps < 0:
            problems.append(f"steps is {self.steps}; expected 0 or more")
        if any(not 0 <= c < self.steps for c in self.checkpoints):
            problems.append(f"checkpoints are {self.checkpoints}; expected steps before the last")
        if list(self.checkpoints) != sorted(set(self.checkpoints)):
            problems.append(f"checkpoints are {self.checkpoints}; expected an ascending sequence")
        if self.batch_size < 2:
            problems.append(f"batch_size is {self.batch_size}; batch norm needs at least 2")
        if not self.learning_rate > 0 or not self.weight_decay >= 0:
            problems.append(
                f"learning_rate is {self.learning_rate} and weight_decay {self.weight_decay}; "
                "expected a positive rate and no negative decay"
            )
        if self.precision not in PRECISIONS:
            problems.append(f"precision is {self.precision!r}; expected one of {PRECISIONS}")
        if problems:
            raise ValueError(
                "Unusable training settings:" + "".join(f"\n  - {p}" for p in problems)
            )


class DivergedError(ArithmeticError):
    """The loss of a network became NaN or infinite."""


def train_network(
    network: nn.Module,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    training: Training,
    seed: int,
    on_checkpoint: Callable[[int], None] | None = None,
) -> np.ndarray:
    """Train a network in place for a fixed number of steps.

    Parameters
    ----------
    network : torch.nn.Module
        Classifier of images (image, channel, y, x) in -1..1.
    images : ndarray (image, y, x, channel) of uint8
        Training images.
    labels : ndarray (image,) of int
        Their classes.
    training : Training
        Settings.
    seed : int
        Seed of the order of the images and of the augmentation.
    on_checkpoint : callable, optional
        Called with the number of steps done at each of ``training.checkpoints``.

    Returns
    -------
    ndarray (step,)
        Cross-entropy of each batch before its step, in nats.

    Raises
    ------
    DivergedError
        If the loss is NaN or infinite.
    ValueError
        If there are fewer images than one batch.
    """
    if len(images) < training.batch_size:
        raise ValueError(
            f"{len(images)} training images are fewer than one batch of {training.batch_size}; "
            "lower batch_size or give more images."
        )
    generator = np.random.default_rng(seed)
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=training.learning_rate,
        momentum=0.9,
        nesterov=True,
        weight_decay=training.weight_decay,
    )
    losses = np.empty(training.steps)
    network.train()
    for step, batch in enumerate(_batches(len(images), training, generator)):
        if step in training.checkpoints and on_checkpoint is not None:
            on_checkpoint(step)
            network.train()
        for group in optimizer.param_groups:
            group["lr"] = (
                training.learning_rate * (1 + math.cos(math.pi * step / training.steps)) / 2
            )
        inputs = _to_inputs(images[batch], generator if training.augment else None)
        with _autocast(training.precision):
            logits = network(inputs)
        loss = nn.functional.cross_entropy(logits.float(), torch.from_numpy(labels[batch]))
        losses[step] = loss.item()
        if not math.isfinite(losses[step]):
            raise DivergedError(f"the loss is {losses[step]} at step {step}")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return losses


def compute_accuracy(
    network: nn.Module, images: np.ndarray, labels: np.ndarray, *, precision: str = "float32"
) -> float:
    """Return the fraction of images that the network classifies correctly, in evaluation mode.

    Parameters
    ----------
    network : torch.nn.Module
        Classifier.
    images : ndarray (image, y, x, channel) of uint8
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
    correct = 0
    was_training = network.training
    network.eval()
    with torch.no_grad(), _autocast(precision):
        for start in range(0, len(images), 250):
            logits = network(_to_inputs(images[start : start + 250], None)).float()
            if not torch.isfinite(logits).all():
                raise DivergedError("outputs of the trained network are not finite")
            truth = torch.from_numpy(labels[start : start + 250])
            correct += int((logits.argmax(1) == truth).sum())
    network.train(was_training)
    return correct / len(images)


@contextmanager
def single_thread() -> Iterator[None]:
    """Run torch on one thread inside the block: sums then come out the same everywhere."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _autocast(precision: str) -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16")


def _batches(n: int, training: Training, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield `steps` batches; every image is seen once before any is seen again."""
    order = np.empty(0, dtype=np.int64)
    for _ in range(training.steps):
        if len(order) < training.batch_size:
            order = generator.permutation(n)
        yield order[: training.batch_size]
        order = order[training.batch_size :]


def _to_inputs(images: np.ndarray, generator: np.random.Generator | None) -> Tensor:
    from brainguided.preprocessing import images_to_tensor

    if generator is None:
        return images_to_tensor(images)
    n, height, width, _ = images.shape
    pad = max(1, height // 8)
    padded = np.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    rows = generator.integers(0, 2 * pad + 1, n)[:, None] + np.arange(height)
    columns = generator.integers(0, 2 * pad + 1, n)[:, None] + np.arange(width)
    flipped = generator.random(n) < 0.5
    columns[flipped] = columns[flipped, ::-1]
    return images_to_tensor(
        padded[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]
    )
