"""REINFORCE: a recurrent policy writes an architecture decision by decision.

The whole algorithm of Zoph & Le 2017, "Neural architecture search with reinforcement learning",
section 3.2, to be read against the paper.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from brainguided.architectures import Architecture
from brainguided.controllers.contract import check_ask, check_seed, check_tell
from brainguided.spaces import SearchSpace
from brainguided.training import single_thread

_INIT = 0.08  # weights start uniform in +-0.08 (the paper, section 4.1), biases here at 0


class Reinforce:
    """Learn a policy over the decisions of a space by the policy gradient of Williams 1992.

    An LSTM reads the option taken last and gives the probabilities of the options of the next
    decision; illegal options have probability 0. After a round of m architectures with rewards
    R_k the policy follows the gradient of

    .. math:: \\frac{1}{m} \\sum_k \\frac{R_k - b}{s} \\sum_t \\log P(a_t | a_{t-1}, ..., a_1)
              + w H

    b is a moving average of the rewards of earlier rounds [1]_ and s that of their standard
    deviation, so that the scale of rewards does not matter (the first round takes its own). H is
    the entropy of the decisions, summed over the sequence, w its weight.

    Softmax weights are the sum of one set for the decision and one for its kind (all kernel
    heights, say), so that what is learnt for one layer is a first guess for the others. Adam
    takes steps of one size for decisions that matter and those that do not; the biases follow
    the plain gradient instead, and so learn first what matters most, as the depth.

    The defaults suit searches of some hundred candidates in rounds of about 8; the settings of
    the paper (`zoph2017_reinforce`) are for many thousands.

    Parameters
    ----------
    space : SearchSpace
    seed : int
        Seed of the weights and of the draws. Nothing else random is used, and always one thread,
        so the same seed and rewards give the same proposals.
    hidden : int or tuple of int
        Units of the LSTM; a tuple for several layers, all of the same size.
    learning_rate : float
        Of Adam, for all weights.
    bias_rate : float
        Of plain gradient ascent, for the biases of the softmax; 0 leaves them to Adam too.
    baseline_decay : float
        Weight of the past in the moving averages, 0 to below 1, a round.
    entropy_weight : float
        w above; more explores for longer.

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
        learning_rate: float = 0.006,
        bias_rate: float = 1.0,
        baseline_decay: float = 0.8,
        entropy_weight: float = 0.1,
    ) -> None:
        sizes = hidden if isinstance(hidden, tuple) else (hidden,)
        _check_settings(sizes, learning_rate, bias_rate, baseline_decay, entropy_weight)
        check_seed(seed)
        self.space = space
        self.seed = seed
        self.hidden = hidden
        self.learning_rate = learning_rate
        self.bias_rate = bias_rate
        self.baseline_decay = baseline_decay
        self.entropy_weight = entropy_weight
        self._generator = np.random.default_rng(seed)
        self._policy = _Policy(space, hidden=sizes[0], layers=len(sizes), seed=seed)
        biases = [self._policy.bias, self._policy.kind_bias] if bias_rate else []
        weights = [
            parameter
            for parameter in self._policy.parameters()
            if all(parameter is not bias for bias in biases)
        ]
        self._optimizers: list[torch.optim.Optimizer] = [
            torch.optim.Adam(weights, lr=learning_rate)
        ]
        if biases:
            self._optimizers.append(torch.optim.SGD(biases, lr=bias_rate))
        self._baseline: float | None = None
        self._variance = 0.0
        self._pending: list[Architecture] = []
        self._rollout: tuple[Tensor, Tensor] | None = None

    def ask(self, n: int) -> list[Architecture]:
        """Return `n` architectures drawn from the policy."""
        check_ask(n, self._pending)
        with single_thread():
            actions, taken, legal = self._policy.sample(n, self._generator)
        self._rollout = taken, legal
        self._pending = [self.space.decode(row) for row in actions]
        return list(self._pending)

    def tell(self, architectures: Sequence[Architecture], rewards: Sequence[float]) -> None:
        """Take one step along the policy gradient of the last proposals."""
        check_tell(self._pending, architectures, rewards)
        assert self._rollout is not None
        advantages = torch.from_numpy(self._advantages(np.array(rewards, float))).float()
        with single_thread(), torch.enable_grad():
            log_probabilities, entropies = self._policy.score(*self._rollout)
            objective = (advantages * log_probabilities).mean()
            objective = objective + self.entropy_weight * entropies.mean()
            self._policy.zero_grad()
            (-objective).backward()
            for optimizer in self._optimizers:
                optimizer.step()
        self._pending, self._rollout = [], None

    def _advantages(self, rewards: np.ndarray) -> np.ndarray:
        """Return rewards relative to the baseline, in SD of rewards; then move both averages."""
        if self._baseline is None:
            self._baseline, self._variance = float(rewards.mean()), float(rewards.var())
        deviations = rewards - self._baseline
        scale = math.sqrt(self._variance)
        kept = self.baseline_decay
        self._variance = kept * self._variance + (1 - kept) * float((deviations**2).mean())
        self._baseline = kept * self._baseline + (1 - kept) * float(rewards.mean())
        # Rewards that were all the same so far have no scale, and teach nothing or little
        return deviations / scale if scale > 0 else np.sign(deviations)

    def describe(self) -> dict[str, Any]:
        """Return the settings as plain data."""
        return {
            "name": "reinforce",
            "seed": self.seed,
            "hidden": list(self.hidden) if isinstance(self.hidden, tuple) else self.hidden,
            "learning_rate": self.learning_rate,
            "bias_rate": self.bias_rate,
            "baseline_decay": self.baseline_decay,
            "entropy_weight": self.entropy_weight,
        }


def zoph2017_reinforce(space: SearchSpace, *, seed: int = 0) -> Reinforce:
    """Return REINFORCE with the settings of Zoph & Le 2017 [1]_, for searches of many thousands.

    Two layers of 35 units, Adam with learning rate 6e-4, no entropy bonus. The decay of the
    baseline is not in the paper; 0.95 is that of its successor [2]_. The paper takes rounds of 8.

    References
    ----------
    .. [1] Zoph & Le 2017, Neural architecture search with reinforcement learning, section 4.1.
    .. [2] Zoph, Vasudevan, Shlens & Le 2018, Learning transferable architectures, appendix.
    """
    return Reinforce(
        space,
        seed=seed,
        hidden=(35, 35),
        learning_rate=6e-4,
        bias_rate=0.0,
        baseline_decay=0.95,
        entropy_weight=0.0,
    )


class _Policy(nn.Module):
    """Hold the LSTM; decisions with one option are taken without asking it."""

    def __init__(self, space: SearchSpace, *, hidden: int, layers: int, seed: int) -> None:
        super().__init__()
        sizes = [len(decision.options) for decision in space.decisions]
        self.space = space
        self.positions = [place for place, size in enumerate(sizes) if size > 1]
        self.sizes = [sizes[place] for place in self.positions]
        kinds = [space.decisions[place].name.split(".")[-1] for place in self.positions]
        kinds = ["from" if kind.startswith("from") else kind for kind in kinds]
        names = sorted(set(kinds))
        self.kinds = [names.index(kind) for kind in kinds]
        # Token 0 begins a sequence; then every option of every decision has one
        self.tokens = np.cumsum([1, *self.sizes])
        n, widest = len(self.sizes), max(self.sizes, default=1)

        def weights(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(*shape))

        self.embedding = weights(int(self.tokens[-1]), hidden)
        # Its own initialisation would draw from the global generator
        self.lstm = nn.LSTM(hidden, hidden, layers, device="meta").to_empty(device="cpu")
        self.weight = weights(n, widest, hidden)
        self.kind_weight = weights(len(names), widest, hidden)
        self.bias = weights(n, widest)
        self.kind_bias = weights(len(names), widest)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-_INIT, _INIT, generator=generator)
            self.bias.zero_()
            self.kind_bias.zero_()

    def _head(self) -> tuple[Tensor, Tensor]:
        """Return softmax weights (decision, option, unit) and biases (decision, option)."""
        return self.weight + self.kind_weight[self.kinds], self.bias + self.kind_bias[self.kinds]

    @torch.no_grad()
    def sample(
        self, n: int, generator: np.random.Generator
    ) -> tuple[list[list[int]], Tensor, Tensor]:
        """Return actions of all decisions and, for `score`, those taken here and what was legal.

        Returns
        -------
        actions : list of n lists, one int a decision of the space
        taken : Tensor (decision, n), of int
        legal : Tensor (decision, n, option), of bool
        """
        actions = [[0] * len(self.space.decisions) for _ in range(n)]
        taken = torch.zeros(len(self.sizes), n, dtype=torch.int64)
        legal = torch.zeros(len(self.sizes), n, max(self.sizes, default=1), dtype=torch.bool)
        draws = generator.random((len(self.sizes), n, 1))
        weight, bias = self._head()
        token, state = torch.zeros(n, dtype=torch.int64), None
        for place, position in enumerate(self.positions):
            output, state = self.lstm(self.embedding[token][None], state)
            logits = output[0] @ weight[place].T + bias[place]
            masks = [self.space.legal(row[:position]) for row in actions]
            legal[place, :, : len(masks[0])] = torch.tensor(masks)
            logits = logits.masked_fill(~legal[place], -math.inf)
            cumulative = torch.softmax(logits.double(), -1).numpy().cumsum(axis=1)
            # At most the last legal option, whatever the rounding of the sum
            choices = (cumulative <= draws[place] * cumulative[:, -1:]).sum(axis=1)
            taken[place] = torch.from_numpy(choices)
            for row, choice in zip(actions, choices.tolist(), strict=True):
                row[position] = choice
            token = taken[place] + int(self.tokens[place])
        return actions, taken, legal

    def score(self, taken: Tensor, legal: Tensor) -> tuple[Tensor, Tensor]:
        """Return log-probability (n) of what was taken and entropy (n), summed over decisions."""
        if not self.positions:  # a space of one architecture leaves nothing to learn
            nothing = self.bias.sum() * torch.zeros(taken.shape[1])
            return nothing, nothing
        starts = torch.from_numpy(self.tokens[:-1])[:, None]
        tokens = torch.cat([torch.zeros_like(taken[:1]), (taken + starts)[:-1]])
        output, _ = self.lstm(self.embedding[tokens])
        weight, bias = self._head()
        logits = torch.einsum("dnh,doh->dno", output, weight) + bias[:, None]
        log_p = torch.log_softmax(logits.masked_fill(~legal, -math.inf), -1)
        chosen = log_p.gather(-1, taken[..., None])[..., 0]
        entropy = -(log_p.exp() * log_p.masked_fill(~legal, 0.0)).sum(-1)
        return chosen.sum(0), entropy.sum(0)


def _check_settings(
    sizes: tuple[int, ...],
    learning_rate: float,
    bias_rate: float,
    baseline_decay: float,
    entropy_weight: float,
) -> None:
    problems = []
    if not sizes or any(type(size) is not int or size < 1 for size in sizes):
        problems.append(f"hidden is {sizes!r}, expected whole numbers, at least 1")
    elif len(set(sizes)) > 1:
        problems.append(f"hidden is {sizes!r}, expected layers of the same size")
    if not (math.isfinite(learning_rate) and learning_rate > 0):
        problems.append(f"learning_rate is {learning_rate!r}, expected a positive number")
    if not 0 <= baseline_decay < 1:
        problems.append(f"baseline_decay is {baseline_decay!r}, expected 0 to below 1")
    for name, value in (("bias_rate", bias_rate), ("entropy_weight", entropy_weight)):
        if not (math.isfinite(value) and value >= 0):
            problems.append(f"{name} is {value!r}, expected 0 or a positive number")
    if problems:
        raise ValueError("Reinforce:" + "".join(f"\n  - {problem}" for problem in problems))
