"""The recurrent policy that REINFORCE and PPO learn: it writes an architecture step by step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from brainguided.controllers._ascent import Ascent
from brainguided.controllers._packed import pack, unpack
from brainguided.spaces import SearchSpace

_MOST = 3.0  # deviations that an advantage is at most
_FLOOR = 0.1  # of the largest deviation seen, below which it is taken for no smaller


class Policy(nn.Module):
    """LSTM that reads the option taken last and weighs the options of the next decision.

    Illegal options have probability 0; decisions with one option are taken without asking it.
    Softmax weights are the sum of one set for the decision and one for its kind (all kernel
    heights, say), so that what is learnt for one layer is a first guess for the others.

    Parameters
    ----------
    space : SearchSpace
    hidden, layers : int
        Size and number of the LSTM's layers.
    init : float
        Weights start uniform in +-init, the biases of the softmax at 0.
    seed : int
    """

    def __init__(
        self, space: SearchSpace, *, hidden: int, layers: int, init: float, seed: int
    ) -> None:
        super().__init__()
        sizes = [len(decision.options) for decision in space.decisions]
        self.space = space
        self.positions = [place for place, size in enumerate(sizes) if size > 1]
        self.sizes = [sizes[place] for place in self.positions]
        kinds = [space.decisions[place].name.split(".")[-1] for place in self.positions]
        kinds = ["from" if kind.startswith("from") else kind.rstrip("12") for kind in kinds]
        names = sorted(set(kinds))
        self.kinds = [names.index(kind) for kind in kinds]
        # Token 0 begins a sequence; then every option of every decision has one
        self.tokens = np.cumsum([1, *self.sizes])
        n, widest = len(self.sizes), max(self.sizes, default=1)
        self.masked = type(space).legal is not SearchSpace.legal
        self.possible = np.arange(widest) < np.array(self.sizes).reshape(-1, 1)

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
                parameter.uniform_(-init, init, generator=generator)
            self.bias.zero_()
            self.kind_bias.zero_()

    def _head(self) -> tuple[Tensor, Tensor]:
        """Return softmax weights (decision, option, unit) and biases (decision, option)."""
        return self.weight + self.kind_weight[self.kinds], self.bias + self.kind_bias[self.kinds]

    def _legal(self, actions: Sequence[Sequence[int]], place: int) -> np.ndarray:
        """Return what is legal at a place after the actions before it: (n, option)."""
        legal = np.repeat(self.possible[place][None], len(actions), 0)
        if self.masked:
            rows = self.space.legal_rows(actions, self.positions[place])
            legal[:, : self.sizes[place]] = rows
        return legal

    def sample(self, n: int, generator: np.random.Generator) -> tuple[list[list[int]], np.ndarray]:
        """Return actions (n, decision) for `n` architectures and their log-probabilities.

        Step by step and for few rows numpy takes a fraction of the time of torch.
        """
        actions = [[0] * len(self.space.decisions) for _ in range(n)]
        chances = np.zeros((n, len(self.sizes)))
        draws = generator.random((len(self.sizes), n, 1))
        of = {name: parameter.detach().numpy() for name, parameter in self.named_parameters()}
        cells = [_Cell(of, layer, n) for layer in range(self.lstm.num_layers)]
        rows, token = np.arange(n), np.zeros(n, dtype=np.int64)
        for place, position in enumerate(self.positions):
            output = of["embedding"][token]
            for cell in cells:
                output = cell.step(output)
            kind, size = self.kinds[place], self.sizes[place]
            weight = of["weight"][place, :size] + of["kind_weight"][kind, :size]
            bias = of["bias"][place, :size] + of["kind_bias"][kind, :size]
            logits = (output @ weight.T + bias).astype(np.float64)
            if self.masked:
                logits[~self.space.legal_rows(actions, position)] = -np.inf
            best = logits.max(axis=1, keepdims=True)
            cumulative = np.exp(logits - best).cumsum(axis=1)
            total = cumulative[:, -1:]
            # At most the last legal option, whatever the rounding of the sum
            choices = (cumulative <= draws[place] * total).sum(axis=1)
            chances[:, place] = logits[rows, choices] - best[:, 0] - np.log(total[:, 0])
            for row, choice in zip(actions, choices.tolist(), strict=True):
                row[position] = choice
            token = choices + self.tokens[place]
        return actions, chances

    def read(self, actions: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor, Tensor]:
        """Return what `score` needs of these architectures, whatever the weights.

        Returns
        -------
        tuple of Tensor
            The options taken and the tokens read (decision, n), and what of the options is
            illegal (decision, n, option).
        """
        table = np.array(actions, dtype=np.int64)
        taken = torch.from_numpy(np.ascontiguousarray(table[:, self.positions].T))
        legal = np.empty((len(self.sizes), len(actions), self.possible.shape[1]), dtype=bool)
        for place in range(len(self.sizes)):
            legal[place] = self._legal(actions, place)
        starts = torch.from_numpy(self.tokens[:-1])[:, None]
        tokens = torch.cat([torch.zeros_like(taken[:1]), (taken + starts)[:-1]])
        return taken, tokens, torch.from_numpy(~legal)

    def score(self, taken: Tensor, tokens: Tensor, illegal: Tensor) -> tuple[Tensor, Tensor]:
        """Return log-probabilities (decision, n) of what was taken and entropies of the choices.

        The arguments are from `read`.
        """
        if not self.positions:  # a space of one architecture leaves nothing to learn
            nothing = self.bias.sum() * torch.zeros(1, taken.shape[1])
            return nothing, nothing
        output, _ = self.lstm(nn.functional.embedding(tokens, self.embedding))
        weight, bias = self._head()
        logits = torch.einsum("dnh,doh->dno", output, weight) + bias[:, None]
        log_p = torch.log_softmax(logits.masked_fill(illegal, -math.inf), -1)
        chosen = log_p.gather(-1, taken[..., None])[..., 0]
        entropy = -(log_p.exp() * log_p.masked_fill(illegal, 0.0)).sum(-1)
        return chosen, entropy

    def make_ascent(self, learning_rate: float, bias_rate: float) -> Ascent:
        """Return Adam for the weights and, with a `bias_rate`, plain gradient steps for biases."""
        biases = [self.bias, self.kind_bias] if bias_rate else []
        weights = [p for p in self.parameters() if all(p is not bias for bias in biases)]
        return Ascent(weights, learning_rate, biases, bias_rate)

    def save(self) -> list[dict[str, Any]]:
        """Return the weights as plain data."""
        return [pack(parameter.detach().numpy()) for parameter in self.parameters()]

    def restore(self, saved: Sequence[dict[str, Any]]) -> None:
        """Take back what `save` returned."""
        with torch.no_grad():
            for parameter, data in zip(self.parameters(), saved, strict=True):
                parameter.copy_(torch.from_numpy(unpack(data)))


class _Cell:
    """State of one layer of the LSTM, step by step."""

    def __init__(self, of: dict[str, np.ndarray], layer: int, n: int) -> None:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        given, fed, bias, more = (of[f"lstm.{name}_l{layer}"] for name in names)
        self._given, self._fed, self._bias = given.T, fed.T, bias + more
        self._state = self._memory = np.zeros((n, fed.shape[1]), dtype=fed.dtype)

    def step(self, inputs: np.ndarray) -> np.ndarray:
        """Return the output (row, unit) for inputs (row, unit)."""
        gates = inputs @ self._given + self._state @ self._fed + self._bias
        units = self._state.shape[1]
        # In torch's order: take, keep, write, show; sigmoid(x) = (1 + tanh(x / 2)) / 2
        gate = 0.5 + 0.5 * np.tanh(0.5 * gates)
        write = gate[:, :units] * np.tanh(gates[:, 2 * units : 3 * units])
        self._memory = gate[:, units : 2 * units] * self._memory + write
        self._state = gate[:, 3 * units :] * np.tanh(self._memory)
        return self._state


class Baseline:
    """Moving averages of the rewards and of their variance, by which advantages are scaled.

    Where rounds repeat what was found, their variance goes to 0 and one surprise would be an
    advantage of hundreds of deviations, at which a policy unlearns all it knew. So the deviation
    is at least a tenth of the largest seen, and an advantage at most 3 of them.

    Parameters
    ----------
    decay : float
        Weight of the past, 0 to below 1, an update.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.mean: float | None = None
        self.variance = 0.0
        self.largest = 0.0  # deviation

    def compute_advantages(self, rewards: np.ndarray) -> np.ndarray:
        """Return rewards relative to the average, in SD of rewards; then move both averages."""
        if self.mean is None:
            self.mean, self.variance = float(rewards.mean()), float(rewards.var())
        deviations = rewards - self.mean
        scale = math.sqrt(self.variance)
        self.largest = max(self.largest, scale)
        scale = max(scale, _FLOOR * self.largest)
        kept = self.decay
        self.variance = kept * self.variance + (1 - kept) * float((deviations**2).mean())
        self.mean = kept * self.mean + (1 - kept) * float(rewards.mean())
        # Rewards that were all the same so far have no scale, and teach nothing or little
        advantages = deviations / scale if scale > 0 else np.sign(deviations)
        return np.clip(advantages, -_MOST, _MOST)

    def save(self) -> list[float | None]:
        """Return the averages."""
        return [self.mean, self.variance, self.largest]

    def restore(self, saved: list[float | None]) -> None:
        """Take back what `save` returned, also in an earlier version."""
        self.mean, variance, *more = saved
        self.variance = variance or 0.0
        self.largest = (more[0] if more else None) or 0.0
