"""PPO: the recurrent policy of REINFORCE, learnt by proximal policy optimisation.

The algorithm of Schulman et al. 2017 as used by Zoph, Vasudevan, Shlens & Le 2018 ("NASNet"),
to be read against both.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from brainguided.controllers.limits import Limits
from brainguided.controllers.policy_search import Learning, PolicySearch
from brainguided.spaces import SearchSpace
from neural_data.errors import raise_problems

_INIT = 0.1  # weights start uniform in +- this: Zoph et al. 2018, appendix


class PPO(PolicySearch):
    r"""Policy over the decisions of a space, learned by proximal policy optimisation [1]_.

    The policy is that of `Reinforce`. After m architectures with rewards R_k it takes `epochs`
    steps along the gradient of

    .. math:: \frac{1}{m} \sum_k \sum_t \min(r_{kt} A_k,
              \mathrm{clip}(r_{kt}, 1 - c, 1 + c) A_k) + w H

    r is the probability of a decision under the present policy over that when it was taken, c
    `clip`, A = (R - b) / s with the moving averages of `Reinforce`, H the summed entropy. The
    ratio r is also what makes results sound that come late, from a policy out of date.

    Parameters
    ----------
    space : SearchSpace
    seed : int
        Seed of the weights and of the draws.
    learning : Learning, optional
        Size of the policy, and how it is learnt.
    epochs : int
        Steps an update.
    clip : float
        c above, 0 to below 1.
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
        learning: Learning | None = None,
        epochs: int = 4,
        clip: float = 0.2,
        unique: bool = True,
        limits: Limits | None = None,
    ) -> None:
        problems = []
        if not 0 <= clip < 1:
            problems.append(f"clip is {clip!r}, expected 0 to below 1")
        if type(epochs) is not int or epochs < 1:
            problems.append(f"epochs is {epochs!r}, expected a whole number, at least 1")
        raise_problems("PPO", problems, ValueError)
        super().__init__(space, learning, seed=seed, init=_INIT, unique=unique, limits=limits)
        self.epochs = epochs
        self.clip = clip

    def _keep(self, chances: np.ndarray) -> list[Any]:
        kept: list[Any] = chances.tolist()
        return kept

    def _update(self) -> None:
        """Take the clipped steps on the results."""
        read, advantages = self._read_told()
        then: torch.Tensor | None = None
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
            gains = torch.minimum(ratio * advantages, clipped * advantages).sum(0).mean()
            self._ascent.climb(gains + self.learning.entropy_weight * entropies.sum(0).mean())

    def _settings(self) -> dict[str, Any]:
        learning = {"init": _INIT, **self._describe_learning()}
        return {"name": "ppo", "epochs": self.epochs, "clip": self.clip, **learning}


def nasnet_ppo(
    space: SearchSpace, *, seed: int = 0, unique: bool = True, limits: Limits | None = None
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
    PPO
        That has proposed nothing yet.

    References
    ----------
    .. [1] Zoph, Vasudevan, Shlens & Le 2018, Learning transferable architectures, appendix.
    .. [2] Schulman et al. 2017, Proximal policy optimization algorithms.
    """
    return PPO(
        space,
        seed=seed,
        learning=Learning(
            hidden=100,
            batch_size=20,
            learning_rate=3.5e-4,
            bias_rate=0.0,
            baseline_decay=0.95,
            entropy_weight=1e-5,
        ),
        epochs=3,
        clip=0.2,
        unique=unique,
        limits=limits,
    )
