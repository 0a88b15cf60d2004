"""What REINFORCE and PPO share: a policy, the settings of its learning, and when it learns."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from brainguided.architectures import Architecture
from brainguided.candidates.training import single_thread
from brainguided.controllers.contract import Controller, Proposal
from brainguided.controllers.limits import Limits
from brainguided.controllers.policy import Baseline, Policy
from brainguided.spaces import SearchSpace
from neural_data.errors import raise_problems


@dataclass(frozen=True)
class Learning:
    """Settings of the policy of `Reinforce` and `PPO`, and of how it is learnt.

    Attributes
    ----------
    hidden : int or tuple of int
        Units of the LSTM; a tuple for several layers, all of the same size.
    batch_size : int
        Results an update waits for; where more are told at once, all of them are used.
    learning_rate : float
        Of Adam, for all weights.
    bias_rate : float
        Of plain gradient ascent, for the biases of the softmax; 0 leaves them to Adam too.
    baseline_decay : float
        Weight of the past in the moving averages of the rewards, 0 to below 1, an update.
    entropy_weight : float
        Weight of the entropy of the decisions; more explores for longer.
    init : float, optional
        Weights start uniform in +-init; default: 0.08 for REINFORCE, 0.1 for PPO.

    Raises
    ------
    ValueError
        A setting is out of range; every problem is listed.
    """

    hidden: int | tuple[int, ...] = 24
    batch_size: int = 8
    learning_rate: float = 0.006
    bias_rate: float = 1.0
    baseline_decay: float = 0.8
    entropy_weight: float = 0.1
    init: float | None = None

    def __post_init__(self) -> None:
        problems = []
        sizes = self.layers
        if not sizes or any(type(size) is not int or size < 1 for size in sizes):
            problems.append(f"hidden is {sizes!r}, expected whole numbers, at least 1")
        elif len(set(sizes)) > 1:
            problems.append(f"hidden is {sizes!r}, expected layers of the same size")
        for key in ("learning_rate", "init"):
            value = getattr(self, key)
            if value is not None and not (math.isfinite(value) and value > 0):
                problems.append(f"{key} is {value!r}, expected a positive number")
        for key in ("bias_rate", "entropy_weight"):
            value = getattr(self, key)
            if not (math.isfinite(value) and value >= 0):
                problems.append(f"{key} is {value!r}, expected 0 or a positive number")
        if not 0 <= self.baseline_decay < 1:
            problems.append(f"baseline_decay is {self.baseline_decay!r}, expected 0 to below 1")
        if type(self.batch_size) is not int or self.batch_size < 1:
            problems.append(
                f"batch_size is {self.batch_size!r}, expected a whole number, at least 1"
            )
        raise_problems("Learning cannot have these settings", problems, ValueError)

    @property
    def layers(self) -> tuple[int, ...]:
        """Units of each layer of the LSTM."""
        return self.hidden if isinstance(self.hidden, tuple) else (self.hidden,)

    def describe(self) -> dict[str, Any]:
        """Return the settings as plain data fit for JSON."""
        plain = {**asdict(self), "hidden": self.hidden}
        if isinstance(self.hidden, tuple):
            plain["hidden"] = list(self.hidden)
        if self.init is None:
            del plain["init"]
        return plain


class PolicySearch(Controller):
    """A controller that draws from a policy and updates it once enough results were told."""

    def __init__(
        self,
        space: SearchSpace,
        learning: Learning | None,
        *,
        seed: int,
        init: float,
        unique: bool,
        limits: Limits | None,
    ) -> None:
        super().__init__(space, seed=seed, unique=unique, limits=limits)
        self.learning = learning = Learning() if learning is None else learning
        sizes = learning.layers
        init = init if learning.init is None else learning.init
        self._policy = Policy(space, hidden=sizes[0], layers=len(sizes), init=init, seed=seed)
        self._ascent = self._policy.make_ascent(learning.learning_rate, learning.bias_rate)
        self._baseline = Baseline(learning.baseline_decay)
        # Not learnt yet: actions, what was kept of their log-probabilities, and reward
        self._told: list[tuple[list[int], Any, float]] = []

    @abstractmethod
    def _keep(self, chances: np.ndarray) -> list[Any]:
        """Return what is kept of log-probabilities (n, decision), for each architecture."""

    @abstractmethod
    def _update(self) -> None:
        """Learn from the results that were told."""

    def _propose(self, n: int) -> list[Proposal]:
        with single_thread():
            actions, chances = self._policy.sample(n, self._generator)
        return [
            Proposal(self.space._read(tuple(row)), [row, kept])
            for row, kept in zip(actions, self._keep(chances), strict=True)
        ]

    def _learn(self, results: Sequence[tuple[Proposal, float]]) -> None:
        for proposal, reward in results:
            if proposal.memo is None:
                self._told.append((list(self.space.encode(proposal.architecture)), None, reward))
            else:
                self._told.append((*proposal.memo, reward))
        if len(self._told) >= self.learning.batch_size:
            with single_thread(), torch.enable_grad():
                self._update()
            self._told = []

    def _recall(self, architectures: list[Architecture], rewards: list[float]) -> None:
        for start in range(0, len(rewards), self.learning.batch_size):
            part = slice(start, start + self.learning.batch_size)
            super()._recall(architectures[part], rewards[part])

    def _describe_learning(self) -> dict[str, Any]:
        return {**self.learning.describe(), "advantages": "bounded"}

    def _read_told(self) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
        """Return what `Policy.score` needs of the results, and their advantages."""
        rewards = np.array([reward for _, _, reward in self._told])
        advantages = torch.from_numpy(self._baseline.compute_advantages(rewards)).float()
        return self._policy.read([row for row, _, _ in self._told]), advantages

    def _save(self) -> dict[str, Any]:
        return {
            "policy": {"weights": self._policy.save(), "moments": self._ascent.save()},
            "baseline": self._baseline.save(),
            "told": [list(result) for result in self._told],
        }

    def _restore(self, own: dict[str, Any]) -> None:
        self._policy.restore(own["policy"]["weights"])
        self._ascent.restore(own["policy"]["moments"])
        self._baseline.restore(own["baseline"])
        self._told = [tuple(result) for result in own["told"]]
