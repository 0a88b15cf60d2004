"""PPO: the recurrent policy of REINFORCE, learnt by proximal policy optimisation.

The algorithm of Schulman et al. 2017 as used by Zoph, Vasudevan, Shlens & Le 2018 ("NASNet"),
to be read against both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from brainguided.architectures import Architecture
from brainguided.candidates.training import single_thread
from brainguided.controllers.contract import Controller, Proposal
from brainguided.controllers.limits import Limits
from brainguided.controllers.policy import Baseline, Policy, say_problems
from brainguided.spaces import SearchSpace


class PPO(Controller):
    """Policy over the decisions of a space, learned by proximal policy optimisation [1]_.

    The policy is that of `Reinforce`. After m architectures with rewards R_k it takes `epochs`
    steps along the gradient of

    .. math:: \\frac{1}{m} \\sum_k \\sum_t \\min(r_{kt} A_k,
              \\mathrm{clip}(r_{kt}, 1 - c, 1 + c) A_k) + w H

    r is the probability of a decision under the present policy over that when it was taken, c
    `clip`, A = (R - b) / s with the moving averages of `Reinforce`, H the summed entropy. The
    ratio r is also what makes results sound that come late, from a policy out of date.

    Parameters
    ----------
    space : SearchSpace
    seed : int
        Seed of the weights and of the draws.
    hidden : int or tuple of int
        Units of the LSTM; a tuple for several layers, all of the same size.
    batch_size : int
        Results an update waits for; where more are told at once, all of them are used.
    epochs : int
        Steps an update.
    clip : float
        c above, 0 to below 1.
    learning_rate, bias_rate, baseline_decay, entropy_weight : float
        As for `Reinforce`.
    init : float
        Weights start uniform in +-init.
    unique, limits
        See `Controller`.

    Raises
    ------
    ValueError
        A setting is out of range; every problem is listed.

    References
    ----------
    .. [1] Schulman et al. 2017, Proximal policy optimization algorithms, equation 7.

    Examples
    --------
    >>> from brainguided.spaces import pnas_space
    >>> controller = PPO(pnas_space(), seed=1)
    >>> proposals = controller.ask(5)
    >>> controller.tell(proposals, [0.1, 0.2, 0.3, 0.2, 0.1])
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        hidden: int | tuple[int, ...] = 24,
        batch_size: int = 8,
        epochs: int = 4,
        clip: float = 0.2,
        learning_rate: float = 0.006,
        bias_rate: float = 1.0,
        baseline_decay: float = 0.8,
        entropy_weight: float = 0.1,
        init: float = 0.1,
        unique: bool = False,
        limits: Limits | None = None,
    ) -> None:
        say_problems(
            "PPO",
            hidden,
            positive={"learning_rate": learning_rate, "init": init},
            natural={"bias_rate": bias_rate, "entropy_weight": entropy_weight},
            fractions={"baseline_decay": baseline_decay, "clip": clip},
            whole={"batch_size": batch_size, "epochs": epochs},
        )
        super().__init__(space, seed=seed, unique=unique, limits=limits)
        self.hidden = hidden
        self.batch_size = batch_size
        self.epochs = epochs
        self.clip = clip
        self.learning_rate = learning_rate
        self.bias_rate = bias_rate
        self.entropy_weight = entropy_weight
        self.init = init
        sizes = hidden if isinstance(hidden, tuple) else (hidden,)
        self._policy = Policy(space, hidden=sizes[0], layers=len(sizes), init=init, seed=seed)
        self._optimizers = self._policy.make_optimizers(learning_rate, bias_rate)
        self._baseline = Baseline(baseline_decay)
        self._told: list[tuple[list[int], list[float] | None, float]] = []  # not learnt yet

    def _propose(self, n: int) -> list[Proposal]:
        with single_thread():
            actions, chances = self._policy.sample(n, self._generator)
        return [
            Proposal(self.space._read(tuple(row)), [row, chance])
            for row, chance in zip(actions, chances.tolist(), strict=True)
        ]

    def _learn(self, results: Sequence[tuple[Proposal, float]]) -> None:
        for proposal, reward in results:
            if proposal.memo is None:
                self._told.append((list(self.space.encode(proposal.architecture)), None, reward))
            else:
                self._told.append((*proposal.memo, reward))
        if len(self._told) >= self.batch_size:
            self._update()
            self._told = []

    def _recall(self, architectures: list[Architecture], rewards: list[float]) -> None:
        for start in range(0, len(rewards), self.batch_size):
            part = slice(start, start + self.batch_size)
            super()._recall(architectures[part], rewards[part])

    def _update(self) -> None:
        """Take the clipped steps on the results."""
        read = self._policy.read([row for row, _, _ in self._told])
        rewards = np.array([reward for _, _, reward in self._told])
        advantages = torch.from_numpy(self._baseline.compute_advantages(rewards)).float()
        then: torch.Tensor | None = None
        with single_thread(), torch.enable_grad():
            for _ in range(self.epochs):
                now, entropies = self._policy.score(*read)
                if then is None:
                    # Where the policy of then is not known, that of now is taken for it
                    then = now.detach().clone()
                    for column, (_, past, _) in enumerate(self._told):
                        if past is not None and len(past) == len(then):
                            then[:, column] = torch.tensor(past)
                ratio = (now - then).exp()
                clipped = ratio.clamp(1 - self.clip, 1 + self.clip)
                gains = torch.minimum(ratio * advantages, clipped * advantages)
                objective = gains.sum(0).mean() + self.entropy_weight * entropies.sum(0).mean()
                self._policy.zero_grad()
                (-objective).backward()
                for optimizer in self._optimizers:
                    optimizer.step()

    def _settings(self) -> dict[str, Any]:
        return {
            "name": "ppo",
            "hidden": list(self.hidden) if isinstance(self.hidden, tuple) else self.hidden,
            "batch_size": self.batch_size,
            "epochs": self.epochs,
            "clip": self.clip,
            "learning_rate": self.learning_rate,
            "bias_rate": self.bias_rate,
            "baseline_decay": self._baseline.decay,
            "entropy_weight": self.entropy_weight,
            "init": self.init,
        }

    def _save(self) -> dict[str, Any]:
        return {
            "policy": self._policy.save(self._optimizers),
            "baseline": [self._baseline.mean, self._baseline.variance],
            "told": [list(result) for result in self._told],
        }

    def _restore(self, own: dict[str, Any]) -> None:
        self._policy.restore(own["policy"], self._optimizers)
        self._baseline.mean, self._baseline.variance = own["baseline"]
        self._told = [tuple(result) for result in own["told"]]


def nasnet_ppo(
    space: SearchSpace, *, seed: int = 0, unique: bool = False, limits: Limits | None = None
) -> PPO:
    """Return PPO with the settings of Zoph et al. 2018 [1]_, for searches of many thousands.

    One layer of 100 units, weights uniform in +-0.1, Adam with learning rate 3.5e-4, baseline
    with decay 0.95, entropy weight 1e-5, 20 architectures an update. Clip and epochs are not in
    the paper: 0.2 is the value that did best and 3 the number of the Atari runs of PPO's own
    paper [2]_, tables 1 and 5.

    It differs from the paper in these points:

    - Advantages are divided by a running SD of the rewards, so the entropy weight has another
      weight relative to them than in the paper: with rewards of an SD of 0.05, a twentieth.
    - Softmax weights are shared in part by all decisions of a kind.
    - Where more than 20 results are told at once, all of them make one update.
    - Candidates of a warm start, whose policy is not known, count as drawn from the present one.

    References
    ----------
    .. [1] Zoph, Vasudevan, Shlens & Le 2018, Learning transferable architectures, appendix.
    .. [2] Schulman et al. 2017, Proximal policy optimization algorithms.
    """
    return PPO(
        space,
        seed=seed,
        hidden=100,
        batch_size=20,
        epochs=3,
        clip=0.2,
        learning_rate=3.5e-4,
        bias_rate=0.0,
        baseline_decay=0.95,
        entropy_weight=1e-5,
        init=0.1,
        unique=unique,
        limits=limits,
    )
