"""A moving average of the weights of a network."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MovingAverage:
    """Average of weights, and of running averages of batch normalisation, over steps.

    Parameters
    ----------
    network : torch.nn.Module
        Followed from its weights of this moment on.
    decay : float
        Of the average at each step; 0 has none.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._network, self._decay, self._steps = network, decay, 0
        self._kept = [value.detach().clone() for value in self._list()] if decay else []

    def _list(self) -> list[Tensor]:
        return [v for v in self._network.state_dict().values() if v.is_floating_point()]

    @torch.no_grad()
    def follow(self) -> None:
        """Take the weights after a step in."""
        if self._decay:
            self._steps += 1
            decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
            for kept, value in zip(self._kept, self._list(), strict=True):
                kept.lerp_(value, 1 - decay)

    @torch.no_grad()
    def put(self) -> None:
        """Give the network its average weights."""
        for kept, value in zip(self._kept, self._list() if self._decay else [], strict=True):
            value.copy_(kept)
