"""Steps uphill on the weights of a policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam

from brainguided.controllers._packed import pack, unpack

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


class Ascent:
    """Adam for some weights, and plain gradient steps for others.

    Torch's function of Adam, for the first optimizer that is made loads a compiler that is not
    used here: 35 MiB of memory, and seconds.

    Parameters
    ----------
    weights, plain : sequence of Tensor
        What Adam learns, and what follows the gradient itself.
    rate, plain_rate : float
        Learning rates of both.
    """

    def __init__(
        self, weights: Sequence[Tensor], rate: float, plain: Sequence[Tensor], plain_rate: float
    ) -> None:
        self._weights, self._rate = list(weights), rate
        self._plain, self._plain_rate = list(plain), plain_rate
        # Of those that have had a gradient, by their place: number of steps and moving averages
        self._moments: dict[int, dict[str, Tensor]] = {}

    @torch.no_grad()
    def climb(self, objective: Tensor) -> None:
        """Take one step along the gradient of an objective."""
        for parameter in (*self._weights, *self._plain):
            parameter.grad = None
        with torch.enable_grad():
            (-objective).backward()
        known = [k for k, parameter in enumerate(self._weights) if parameter.grad is not None]
        for k in known:
            if k not in self._moments:
                zeros = (torch.zeros_like(self._weights[k]) for _ in range(2))
                values = (torch.zeros((), dtype=torch.float32), *zeros)
                self._moments[k] = dict(zip(_MOMENTS, values, strict=True))
        steps, means, squares = ([self._moments[k][name] for k in known] for name in _MOMENTS)
        weights = [self._weights[k] for k in known]
        adam(
            weights, [weight.grad for weight in weights if weight.grad is not None],
            means, squares, [], steps,
            fused=True, amsgrad=False, beta1=0.9, beta2=0.999, lr=self._rate,
            weight_decay=0.0, eps=1e-8, maximize=False,
        )  # fmt: skip
        for parameter in self._plain:
            if parameter.grad is not None:
                parameter.add_(parameter.grad, alpha=-self._plain_rate)

    def save(self) -> list[dict[str, Any]]:
        """Return the moving averages as plain data, one item for each weight, empty if none."""
        return [
            {name: pack(value.numpy()) for name, value in self._moments.get(k, {}).items()}
            for k in range(len(self._weights) + len(self._plain))
        ]

    def restore(self, saved: Sequence[dict[str, Any]]) -> None:
        """Take back what `save` returned."""
        self._moments = {
            k: {name: torch.from_numpy(unpack(found[name])) for name in _MOMENTS}
            for k, found in enumerate(saved[: len(self._weights)])
            if found
        }
