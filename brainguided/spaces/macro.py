"""The macro space of ENAS."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from brainguided.architectures import Architecture, MacroArchitecture, MacroLayer
from brainguided.architectures.contract import count_problems
from brainguided.architectures.macro import OPERATIONS
from brainguided.spaces.contract import (
    Decision,
    SearchSpace,
    option_index,
    refuse_foreign,
    refuse_space,
)


@dataclass(frozen=True, repr=False)
class MacroSpace(SearchSpace):
    """Space of chains: for every layer its operation, then a yes or no for each skip.

    Parameters
    ----------
    name : str
    n_layers, filters : int
        See `MacroArchitecture`; the same for all architectures.
    """

    kind: ClassVar[str] = "macro"
    name: str = "enas-macro"
    n_layers: int = 12
    filters: int = 24

    def __post_init__(self) -> None:
        refuse_space(count_problems(self, "n_layers", "filters"))

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """For each layer its operation and its skips from earlier layers."""
        decisions = []
        for layer in range(1, self.n_layers + 1):
            decisions.append(Decision(f"layer{layer}.operation", OPERATIONS))
            for source in range(1, layer):
                decisions.append(Decision(f"layer{layer}.from_layer{source}", (0, 1)))
        return tuple(decisions)

    def _read(self, actions: tuple[int, ...]) -> MacroArchitecture:
        layers, place = [], 0
        for layer in range(1, self.n_layers + 1):
            chosen = actions[place + 1 : place + layer]
            skips = tuple(source for source, taken in enumerate(chosen, 1) if taken)
            layers.append(MacroLayer(OPERATIONS[actions[place]], skips))
            place += layer
        return MacroArchitecture(tuple(layers), self.filters)

    def encode(self, architecture: Architecture) -> tuple[int, ...]:
        """Return the one sequence of actions that stands for an architecture."""
        problems: list[str] = []
        actions: list[int] = []
        if isinstance(architecture, MacroArchitecture):
            if architecture.filters != self.filters:
                problems.append(f"filters is {architecture.filters}, {self.filters} here")
            if len(architecture.layers) != self.n_layers:
                problems.append(f"it has {len(architecture.layers)} layers, {self.n_layers} here")
            else:
                for number, layer in enumerate(architecture.layers, 1):
                    decision = self.decisions[len(actions)]
                    actions.append(option_index(decision, layer.operation, problems))
                    actions += [int(source in layer.skips) for source in range(1, number)]
        refuse_foreign(architecture, MacroArchitecture, self.name, problems)
        return tuple(actions)


def enas_macro_space(*, n_layers: int = 12, filters: int = 24) -> MacroSpace:
    """Return the macro space of Pham et al. 2018 [1]_: six operations and skips, 12 layers.

    1.6e29 architectures with 12 layers.

    Parameters
    ----------
    n_layers : int
        Layers of every architecture.
    filters : int
        Filters of the first third of the layers.

    Returns
    -------
    MacroSpace
        For a controller, or to sample from.

    Raises
    ------
    ValueError
        A setting is impossible; every problem is listed.

    References
    ----------
    .. [1] Pham et al. 2018, Efficient neural architecture search, section 2.2.

    Examples
    --------
    >>> enas_macro_space(n_layers=2).n_architectures
    72
    """
    return MacroSpace(n_layers=n_layers, filters=filters)
