"""REINFORCE: a recurrent policy writes an architecture decision by decision.

The whole algorithm of Zoph & Le 2017, "Neural architecture search with reinforcement learning",
section 3.2, to be read against the paper.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from brainguided.controllers.limits import Limits
from brainguided.controllers.policy_search import Learning, PolicySearch
from brainguided.spaces import SearchSpace

_LARGEST_WEIGHT = 2.0  # of a result whose policy is out of date


class Reinforce(PolicySearch):
    r"""Policy over the decisions of a space, learned by the policy gradient of Williams 1992.

    An LSTM reads the option taken last and gives the probabilities of the options of the next
    decision; illegal options have probability 0. After m architectures with rewards R_k the
    policy follows the gradient of

    .. math:: \frac{1}{m} \sum_k w_k \frac{R_k - b}{s} \sum_t \log P(a_t | a_{t-1}, ..., a_1)
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
    learning : Learning, optional
        Size of the policy, and how it is learnt.
    unique, limits
        See `Controller`.

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
        learning: Learning | None = None,
        unique: bool = True,
        limits: Limits | None = None,
    ) -> None:
        # Weights start uniform in +-0.08: the paper, section 4.1
        super().__init__(space, learning, seed=seed, init=0.08, unique=unique, limits=limits)

    def _keep(self, chances: np.ndarray) -> list[Any]:
        kept: list[Any] = chances.sum(axis=1).tolist()
        return kept

    def _update(self) -> None:
        """Take one step along the policy gradient of the results."""
        read, advantages = self._read_told()
        log_p, entropies = self._policy.score(*read)
        now = log_p.sum(0)
        # Where the policy of then is not known, that of now is taken for it
        then = [
            present if past is None else past
            for (_, past, _), present in zip(self._told, now.tolist(), strict=True)
        ]
        weights = (now.detach() - torch.tensor(then)).exp().clamp(max=_LARGEST_WEIGHT)
        gains = (weights * advantages * now).mean()
        self._ascent.climb(gains + self.learning.entropy_weight * entropies.sum(0).mean())

    def _settings(self) -> dict[str, Any]:
        return {"name": "reinforce", **self._describe_learning()}


def zoph2017_reinforce(
    space: SearchSpace, *, seed: int = 0, unique: bool = True, limits: Limits | None = None
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

    Parameters
    ----------
    space : SearchSpace
        What may be chosen.
    seed : int
        Of weights and draws.
    unique : bool
        Whether to avoid architectures proposed before.
    limits : Limits, optional
        Sizes that no proposal exceeds.

    Returns
    -------
    Reinforce
        That has proposed nothing yet.

    References
    ----------
    .. [1] Zoph & Le 2017, Neural architecture search with reinforcement learning, section 4.1.
    .. [2] Zoph, Vasudevan, Shlens & Le 2018, Learning transferable architectures, appendix.
    """
    return Reinforce(
        space,
        seed=seed,
        learning=Learning(
            hidden=(35, 35),
            learning_rate=6e-4,
            bias_rate=0.0,
            baseline_decay=0.95,
            entropy_weight=0.0,
        ),
        unique=unique,
        limits=limits,
    )
