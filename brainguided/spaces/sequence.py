"""A space of sequences of convolutions and poolings, for networks with random weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from brainguided.architectures import Architecture, SequenceArchitecture, SequenceLayer
from brainguided.architectures.contract import count_problems
from brainguided.architectures.sequence import OPERATIONS
from brainguided.spaces.contract import (
    Decision,
    SearchSpace,
    option_index,
    options_problems,
    refuse_foreign,
    refuse_space,
)


@dataclass(frozen=True, repr=False)
class SequenceSpace(SearchSpace):
    """Space of sequences of convolutions and poolings.

    The depth first; then for each layer its operation, kernel and, of a convolution, filters, of
    which there are never fewer than before. Layers beyond the depth have only action 0 left.

    Parameters
    ----------
    name : str
    max_depth : int
        Largest number of layers; the smallest is 1.
    kernels : tuple of int
        Odd.
    filters : tuple of int
        Ascending.
    operations : tuple of {"conv", "max", "avg"}
        Beginning with "conv".
    max_pools : int
        Most poolings in a sequence; each halves the map.
    """

    kind: ClassVar[str] = "sequence"
    name: str = "sequence"
    max_depth: int = 10
    kernels: tuple[int, ...] = (3, 5, 7, 9, 11)
    filters: tuple[int, ...] = (64, 128, 256, 512)
    operations: tuple[str, ...] = OPERATIONS
    max_pools: int = 4

    def __post_init__(self) -> None:
        problems = options_problems(self, "kernels", "filters")
        problems += options_problems(self, "operations", kind=str)
        problems += count_problems(self, "max_depth")
        problems += count_problems(self, "max_pools", smallest=0)
        if not problems and any(kernel % 2 == 0 for kernel in self.kernels):
            problems.append(f"kernels is {self.kernels!r}, expected odd ints")
        if not problems and list(self.filters) != sorted(self.filters):
            problems.append(f"filters is {self.filters!r}, expected ascending")
        if not problems and not set(self.operations) <= set(OPERATIONS):
            problems.append(f"operations is {self.operations!r}, expected out of {OPERATIONS}")
        if not problems and self.operations[0] != "conv":
            problems.append(f"operations is {self.operations!r}, expected to begin with 'conv'")
        refuse_space(problems)

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """The depth, then operation, kernel and filters of every layer."""
        decisions = [Decision("depth", tuple(range(1, self.max_depth + 1)))]
        for layer in range(1, self.max_depth + 1):
            decisions.append(Decision(f"layer{layer}.operation", self.operations))
            decisions.append(Decision(f"layer{layer}.kernel", self.kernels))
            decisions.append(Decision(f"layer{layer}.filters", self.filters))
        return tuple(decisions)

    def legal(self, prefix: Sequence[int]) -> tuple[bool, ...]:
        """Return which options of the next decision may be taken after these actions."""
        every = super().legal(prefix)
        if not prefix:
            return every
        layer, kind = divmod(len(prefix) - 1, 3)
        only = (True,) + (False,) * (len(every) - 1)
        if layer > prefix[0] or (kind == 2 and prefix[-2]):  # beyond the depth, or a pooling
            return only
        if kind == 0:
            return only if sum(map(bool, prefix[1::3])) >= self.max_pools else every
        if kind == 1:
            return every
        before = [prefix[k + 2] for k in range(1, len(prefix) - 2, 3) if not prefix[k]]
        least = max(before, default=0)
        return tuple(option >= least for option in range(len(every)))

    def _read(self, actions: tuple[int, ...]) -> SequenceArchitecture:
        layers = []
        for place in range(1, 3 * (actions[0] + 1) + 1, 3):
            operation = self.operations[actions[place]]
            filters = self.filters[actions[place + 2]] if operation == "conv" else 0
            layers.append(SequenceLayer(operation, self.kernels[actions[place + 1]], filters))
        return SequenceArchitecture(tuple(layers))

    def encode(self, architecture: Architecture) -> tuple[int, ...]:
        """Return the one sequence of actions that stands for an architecture."""
        problems: list[str] = []
        actions: list[int] = []
        if isinstance(architecture, SequenceArchitecture):
            if architecture.depth > self.max_depth:
                problems.append(f"it has {architecture.depth} layers, at most {self.max_depth}")
            else:
                actions = [architecture.depth - 1]
                for number, layer in enumerate(architecture.layers):
                    of_layer = self.decisions[3 * number + 1 : 3 * number + 4]
                    filters = layer.filters or self.filters[0]
                    for decision, value in zip(
                        of_layer, (layer.operation, layer.kernel, filters), strict=True
                    ):
                        actions.append(option_index(decision, value, problems))
                actions += [0] * (len(self.decisions) - len(actions))
                problems = problems or self._find_illegal(actions)
        refuse_foreign(architecture, SequenceArchitecture, self.name, problems)
        return tuple(actions)

    def _find_illegal(self, actions: Sequence[int]) -> list[str]:
        for place, action in enumerate(actions):
            if not self.legal(actions[:place])[action]:
                decision = self.decisions[place]
                return [
                    f"{decision.name} is {decision.options[action]!r} after {self.max_pools} "
                    "poolings, or fewer filters than before"
                ]
        return []

    @cached_property
    def n_architectures(self) -> int:
        """Exact number of different architectures in the space."""
        n_kernels, pools = len(self.kernels), len(self.operations) - 1
        total, counts = 0, {(0, 0): 1}  # poolings and fewest filters so far -> number of ways
        for _ in range(self.max_depth):
            grown: dict[tuple[int, int], int] = {}
            for (pooled, least), ways in counts.items():
                for option in range(least, len(self.filters)):
                    grown[pooled, option] = grown.get((pooled, option), 0) + ways * n_kernels
                if pools and pooled < self.max_pools:
                    key = pooled + 1, least
                    grown[key] = grown.get(key, 0) + ways * n_kernels * pools
            counts = grown
            total += sum(counts.values())
        return total


def kuhn2025_space(
    max_depth: int = 10,
    *,
    filters: tuple[int, ...] = (64, 128, 256, 512),
    max_pools: int = 4,
) -> SequenceSpace:
    """Return the space of the search among untrained networks of Kuhn et al. 2025 [1]_.

    1 to 10 layers, each a convolution or a pooling, kernels 3 to 11, 64 to 512 channels that never
    become fewer. Batch normalisation, ReLU, the stride 2 of poolings and their number are choices
    of this package: left free, poolings reduce small images to a pixel.

    Parameters
    ----------
    max_depth : int
        Largest number of layers.
    filters : tuple of int
        Options for the channels, ascending; fewer for a CPU.
    max_pools : int
        Most poolings in a network.

    Returns
    -------
    SequenceSpace
        For a controller, or to sample from.

    Raises
    ------
    ValueError
        A setting is impossible; every problem is listed.

    References
    ----------
    .. [1] Kuhn, Saba-Sadiya & Roig 2025, Cognitive neural architecture search reveals hierarchical
       entailment, arXiv 2502.11141.

    Examples
    --------
    >>> kuhn2025_space(2, filters=(8, 16), max_pools=1).n_architectures
    295
    """
    return SequenceSpace(
        name=f"kuhn2025-{max_depth}",
        max_depth=max_depth,
        filters=tuple(filters),
        max_pools=max_pools,
    )
