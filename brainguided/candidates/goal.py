"""What networks learn: a loss that training lowers, and how well they do in the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Augment = Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Goal:
    """Functions by which networks are trained and judged; see `CLASSIFICATION`.

    Attributes
    ----------
    loss : callable
        Of outputs and labels of a batch to a scalar, the mean over images.
    tally : callable
        Of outputs and labels of a batch to a number or ndarray; those of all batches are added.
    performance : callable
        Of that sum to P, higher is better.
    augment : callable, optional
        Of images (image, y, x, channel) uint8, their labels and a numpy generator to both, shown
        differently; by default images are shifted and flipped and labels stay.
    """

    loss: Callable[[Tensor, Tensor], Tensor]
    tally: Callable[[Tensor, Tensor], Any]
    performance: Callable[[Any], float]
    augment: Augment | None = None

    def smooth(self, smoothing: float) -> Goal:
        """Return the goal with smoothed labels, where the loss is that of classification."""
        if not smoothing or self.loss is not nn.functional.cross_entropy:
            return self
        return replace(self, loss=partial(nn.functional.cross_entropy, label_smoothing=smoothing))

    def sum_loss(self, outputs: Tensor, labels: Tensor) -> float:
        """Return the loss of a batch, summed over its images.

        Cross-entropy of one class for each image is in double precision. Another loss is given
        float32, as in training: its labels and weights of classes may fit no other type.
        """
        if self.loss is nn.functional.cross_entropy and labels.ndim == 1:
            return nn.functional.cross_entropy(outputs.double(), labels, reduction="sum").item()
        return float(self.loss(outputs, labels)) * len(labels)


def _count_correct(outputs: Tensor, labels: Tensor) -> np.ndarray:
    return np.array([int((outputs.argmax(1) == labels).sum()), len(labels)])


def _divide(counts: np.ndarray) -> float:
    return float(counts[0] / counts[1])


CLASSIFICATION = Goal(nn.functional.cross_entropy, _count_correct, _divide)
"""One class for each image: cross-entropy in nats, and the fraction that is correct."""


def count_among_best(number: int) -> Goal:
    """Return the goal whose performance is how often the class is among the best so many."""

    def count(outputs: Tensor, labels: Tensor) -> np.ndarray:
        best = outputs.topk(number, dim=1).indices
        return np.array([int((best == labels[:, None]).sum()), len(labels)])

    return replace(CLASSIFICATION, tally=count)


def as_labels(labels: np.ndarray, device: torch.device) -> Tensor:
    """Return labels as a tensor on a device; whole numbers as int64, which losses expect."""
    labels = np.ascontiguousarray(labels)
    if labels.dtype.kind in "iu":
        labels = labels.astype(np.int64, copy=False)
    return torch.from_numpy(labels).to(device)
