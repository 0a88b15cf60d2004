"""REINFORCE: a recurrent policy writes an architecture decision by decision.

The whole algorithm of Zoph & Le 2017, "Neural architecture search with reinforcement learning",
section 3.2, to be read against the paper.
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

_LARGEST_WEIGHT = 2.0  # of a result whose policy is out of date


class Reinforce(Controller):
    """Policy over the decisions of a space, learned by the policy gradient of Williams 1992.

    An LSTM reads the option taken last and gives the probabilities of the options of the next
    decision; illegal options have probability 0. After m architectures with rewards R_k the
    policy follows the gradient of

    .. math:: \\frac{1}{m} \\sum_k w_k \\frac{R_k - b}{s} \\sum_t \\log P(a_t | a_{t-1}, ..., a_1)
              + w H

    b is a moving average of the rewards of earlier updates [1]_ and s that of their standard
    deviation, so that the scale of rewards does not matter (the first update takes its own). H is
    the entropy of the decisions, summed over the sequence, w its weight. w_k is the probability
    of the architecture under the present policy over that when it was proposed, at most 2: 1
    where results come in rounds, and what makes late results count for what they are worth.

    Softmax weights are the sum of one set for the decision and one for its kind (all kernel
    heights, say), so that what is learnt for one layer is a first guess for the others. Adam
    takes steps of one size for decisions that matter and those that do not; the biases follow
    the plain gradient instead, and so learn first what matters most, as the depth.

    The defaults suit searches of some hundred candidates; the settings of the paper
    (`zoph2017_reinforce`) are for many thousands.

    Parameters
    ----------
    space : SearchSpace
    seed : int
        Seed of the weights and of the draws. Nothing else random is used, and always one thread,
        so the same seed and rewards give the same proposals.
    hidden : int or tuple of int
        Units of the LSTM; a tuple for several layers, all of the same size.
    batch_size : int
        Results an update waits for; where more are told at once, all of them are used.
    learning_rate : float
        Of Adam, for all weights.
    bias_rate : float
        Of plain gradient ascent, for the biases of the softmax; 0 leaves them to Adam too.
    baseline_decay : float
        Weight of the past in the moving averages, 0 to below 1, an update.
    entropy_weight : float
        w above; more explores for longer.
    unique, limits
        See `Controller`.

    Raises
    ------
    ValueError
        A setting is out of range; every problem is listed.

    References
    ----------
    .. [1] Zoph & Le 2017, Neural architecture search with reinforcement learning, section 3.2.

    Examples
    --------
    >>> from brainguided.spaces import small_space
    >>> controller = Reinforce(small_space(), seed=1)
    >>> proposals = controller.ask(8)
    >>> controller.tell(proposals, [architecture.depth / 10 for architecture in proposals])
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        hidden: int | tuple[int, ...] = 24,
        batch_size: int = 8,
        learning_rate: float = 0.006,
        bias_rate: float = 1.0,
        baseline_decay: float = 0.8,
        entropy_weight: float = 0.1,
        unique: bool = False,
        limits: Limits | None = None,
    ) -> None:
        say_problems(
            "Reinforce",
            hidden,
            positive={"learning_rate": learning_rate},
            natural={"bias_rate": bias_rate, "entropy_weight": entropy_weight},
            fractions={"baseline_decay": baseline_decay},
            whole={"batch_size": batch_size},
        )
        super().__init__(space, seed=seed, unique=unique, limits=limits)
        self.hidden = hidden
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.bias_rate = bias_rate
        self.entropy_weight = entropy_weight
        sizes = hidden if isinstance(hidden, tuple) else (hidden,)
        # Weights start uniform in +-0.08: the paper, section 4.1
        self._policy = Policy(space, hidden=sizes[0], layers=len(sizes), init=0.08, seed=seed)
        self._optimizers = self._policy.make_optimizers(learning_rate, bias_rate)
        self._baseline = Baseline(baseline_decay)
        self._told: list[tuple[list[int], float | None, float]] = []  # not learnt yet

    def _propose(self, n: int) -> list[Proposal]:
        with single_thread():
            actions, chances = self._policy.sample(n, self._generator)
        totals = chances.sum(axis=1).tolist()
        return [
            Proposal(self.space._read(tuple(row)), [row, total])
            for row, total in zip(actions, totals, strict=True)
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
        """Take one step along the policy gradient of the results."""
        read = self._policy.read([row for row, _, _ in self._told])
        rewards = np.array([reward for _, _, reward in self._told])
        advantages = torch.from_numpy(self._baseline.compute_advantages(rewards)).float()
        with single_thread(), torch.enable_grad():
            log_p, entropies = self._policy.score(*read)
            now = log_p.sum(0)
            # Where the policy of then is not known, that of now is taken for it
            then = [
                present if past is None else past
                for (_, past, _), present in zip(self._told, now.tolist(), strict=True)
            ]
            weights = (now.detach() - torch.tensor(then)).exp().clamp(max=_LARGEST_WEIGHT)
            objective = (weights * advantages * now).mean()
            objective = objective + self.entropy_weight * entropies.sum(0).mean()
            self._policy.zero_grad()
            (-objective).backward()
            for optimizer in self._optimizers:
                optimizer.step()

    def _settings(self) -> dict[str, Any]:
        return {
            "name": "reinforce",
            "hidden": list(self.hidden) if isinstance(self.hidden, tuple) else self.hidden,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "bias_rate": self.bias_rate,
            "baseline_decay": self._baseline.decay,
            "entropy_weight": self.entropy_weight,
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


def zoph2017_reinforce(
    space: SearchSpace, *, seed: int = 0, unique: bool = False, limits: Limits | None = None
) -> Reinforce:
    """Return REINFORCE with the settings of Zoph & Le 2017 [1]_, for searches of many thousands.

    Two layers of 35 units, Adam with learning rate 6e-4, 8 architectures an update, no entropy
    bonus. The decay of the baseline is not in the paper; 0.95 is that of its successor [2]_.

    It differs from the paper in these points:

    - Advantages are divided by a running SD of the rewards, and rewards are not cubed.
    - Softmax weights are shared in part by all decisions of a kind.
    - Skip connections are decisions of yes or no, not the attention of anchor points over the
      states of earlier layers.
    - The depth is a decision, or fixed; it does not grow in the course of the search.
    - A predicted stride is one for both directions of a layer.
    - There is one policy and no parameter server. Where more than 8 results are told at once, all
      of them make one update; late ones are weighted, see `Reinforce`.
    - Candidates of a warm start, whose policy is not known, count as drawn from the present one.

    References
    ----------
    .. [1] Zoph & Le 2017, Neural architecture search with reinforcement learning, section 4.1.
    .. [2] Zoph, Vasudevan, Shlens & Le 2018, Learning transferable architectures, appendix.
    """
    return Reinforce(
        space,
        seed=seed,
        hidden=(35, 35),
        batch_size=8,
        learning_rate=6e-4,
        bias_rate=0.0,
        baseline_decay=0.95,
        entropy_weight=0.0,
        unique=unique,
        limits=limits,
    )
