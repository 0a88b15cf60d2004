"""Plain spaces: convolutional layers one after the other, with or without skip connections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, ClassVar

import numpy as np

from brainguided.architectures import Architecture, ConvLayer, PlainArchitecture
from brainguided.architectures.plain import POOLS
from brainguided.spaces.contract import Decision, SearchSpace, refuse_foreign, refuse_space

_CHOICES = ("kernel_height", "kernel_width", "filters", "stride", "pool")


@dataclass(frozen=True, repr=False)
class PlainSpace(SearchSpace):
    """Space of plain convolutional architectures as a sequence of decisions.

    The sequence has a fixed length: the depth first; then for each of `max_depth` layers the
    kernel height, kernel width, filters, stride and pooling, and with `skips` one yes-or-no
    decision for each earlier layer. An *action* is the position of the chosen option. Layers
    beyond the chosen depth have only action 0 left. So every architecture of the space has
    exactly one sequence of actions, and every legal sequence is one architecture.

    Without skips each layer is fed by the layer before it. With skips the inputs of a layer are
    chosen freely among all earlier layers, and a layer with none of them is fed by the image
    [1]_; outputs that feed nothing are read by the classifier (`Architecture.outputs`).

    Parameters
    ----------
    name : str
    max_depth : int
        Largest number of layers; the smallest is 1.
    kernel_heights, kernel_widths, filters, strides : tuple of int
    pools : tuple of {"none", "max", "avg"}
    skips : bool
    max_downsampling : int, optional
        Largest product of all strides, a pooling counting 2. Options that would pass it are
        masked. For images of n pixels no layer is then smaller than n / max_downsampling.

    Raises
    ------
    ValueError
        Empty, repeated or impossible options; every problem is listed.

    References
    ----------
    .. [1] Zoph & Le 2017, Neural architecture search with reinforcement learning, section 3.3.
    """

    kind: ClassVar[str] = "plain"
    name: str
    max_depth: int
    kernel_heights: tuple[int, ...]
    kernel_widths: tuple[int, ...]
    filters: tuple[int, ...]
    strides: tuple[int, ...] = (1,)
    pools: tuple[str, ...] = ("none",)
    skips: bool = False
    max_downsampling: int | None = None

    def __post_init__(self) -> None:
        refuse_space(_space_problems(self))

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """All decisions in the order in which they are taken; their number is fixed."""
        options: tuple[tuple[int | str, ...], ...] = (
            self.kernel_heights,
            self.kernel_widths,
            self.filters,
            self.strides,
            self.pools,
        )
        decisions = [Decision("depth", tuple(range(1, self.max_depth + 1)))]
        for layer in range(1, self.max_depth + 1):
            for choice, values in zip(_CHOICES, options, strict=True):
                decisions.append(Decision(f"layer{layer}.{choice}", values))
            if self.skips:
                for source in range(1, layer):
                    decisions.append(Decision(f"layer{layer}.from_layer{source}", (0, 1)))
        return tuple(decisions)

    @cached_property
    def _places(self) -> tuple[tuple[int, str], ...]:
        """Layer (0 for the depth) and kind of every decision."""
        places = [(0, "depth")]
        for decision in self.decisions[1:]:
            layer, kind = decision.name.split(".")
            places.append((int(layer.removeprefix("layer")), kind))
        return tuple(places)

    def legal(self, prefix: Sequence[int]) -> tuple[bool, ...]:
        """Return which options of the next decision may be taken after these actions."""
        position = len(prefix)
        if position >= len(self.decisions):
            raise ValueError(
                f"{position} actions were given, but the space has {len(self.decisions)} "
                "decisions: none is left."
            )
        n_options = len(self.decisions[position].options)
        layer, kind = self._places[position]
        if layer == 0:
            return (True,) * n_options
        if layer > prefix[0] + 1:
            return (True,) + (False,) * (n_options - 1)
        if self.max_downsampling is None or kind not in ("stride", "pool"):
            return (True,) * n_options
        # Masking needs only the product so far; the neutral option is always there.
        room = self.max_downsampling // self._downsampling(prefix)
        return tuple(_factor(option) <= room for option in self.decisions[position].options)

    def legal_rows(self, taken: Sequence[Sequence[int]], place: int) -> np.ndarray:
        """Return `legal` for the decision at `place` after each of several sequences."""
        layer, kind = self._places[place]
        if layer == 0 or (self.max_downsampling is not None and kind in ("stride", "pool")):
            return super().legal_rows(taken, place)
        # Only the depth matters
        legal = np.ones((len(taken), len(self.decisions[place].options)), dtype=bool)
        legal[:, 1:] = [[layer <= actions[0] + 1] for actions in taken]
        return legal

    def _downsampling(self, prefix: Sequence[int]) -> int:
        """Return the product of the strides and poolings among these actions."""
        return prod(
            _factor(self.decisions[position].options[action])
            for position, action in enumerate(prefix)
            if self._places[position][1] in ("stride", "pool") and action
        )

    def _read(self, actions: tuple[int, ...]) -> PlainArchitecture:
        values: list[dict[str, Any]] = [{} for _ in range(self.max_depth)]
        sources: list[list[int]] = [[] for _ in range(self.max_depth)]
        for action, decision, (layer, kind) in zip(
            actions, self.decisions, self._places, strict=True
        ):
            if kind in _CHOICES:
                values[layer - 1][kind] = decision.options[action]
            elif layer and action:
                sources[layer - 1].append(int(kind.removeprefix("from_layer")))
        layers = []
        for number in range(1, actions[0] + 2):
            inputs = tuple(sources[number - 1]) or (0,) if self.skips else (number - 1,)
            layers.append(ConvLayer(**values[number - 1], inputs=inputs))
        return PlainArchitecture(tuple(layers))

    def encode(self, architecture: Architecture) -> tuple[int, ...]:
        """Return the one sequence of actions that stands for an architecture."""
        problems: list[str] = []
        if not isinstance(architecture, PlainArchitecture):
            refuse_foreign(architecture, PlainArchitecture, self.name, problems)
        assert isinstance(architecture, PlainArchitecture)
        if architecture.depth > self.max_depth:
            problems.append(f"it has {architecture.depth} layers, at most {self.max_depth} here")
        actions: list[int] = [architecture.depth - 1]
        for decision, (number, kind) in zip(self.decisions[1:], self._places[1:], strict=True):
            if number > architecture.depth:
                actions.append(0)
                continue
            layer = architecture.layers[number - 1]
            if kind in _CHOICES:
                value = getattr(layer, kind)
                if value not in decision.options:
                    problems.append(f"{decision.name} is {value!r}, options are {decision.options}")
                    continue
                actions.append(decision.options.index(value))
            else:
                actions.append(int(int(kind.removeprefix("from_layer")) in layer.inputs))
        for number, layer in enumerate(architecture.layers, 1):
            if not self.skips and layer.inputs != (number - 1,):
                problems.append(
                    f"layer {number} is fed by {layer.inputs}, only by ({number - 1},) here"
                )
            elif self.skips and 0 in layer.inputs and layer.inputs != (0,):
                problems.append(
                    f"layer {number} is fed by {layer.inputs}; the image feeds only layers "
                    "with no other input here"
                )
        if not problems and self.max_downsampling is not None:
            reached = self._downsampling(actions)
            if reached > self.max_downsampling:
                problems.append(f"it downsamples by {reached}, at most {self.max_downsampling}")
        refuse_foreign(architecture, PlainArchitecture, self.name, problems)
        return tuple(actions)

    @cached_property
    def n_architectures(self) -> int:
        """Exact number of different architectures in the space."""
        free = len(self.kernel_heights) * len(self.kernel_widths) * len(self.filters)
        steps = [_factor(stride) * _factor(pool) for stride in self.strides for pool in self.pools]
        total, counts = 0, {1: 1}  # downsampling so far -> number of ways
        for layer in range(1, self.max_depth + 1):
            wirings = 2 ** (layer - 1) if self.skips else 1
            grown: dict[int, int] = {}
            for factor, ways in counts.items():
                for step in steps:
                    reached = factor * step
                    if self.max_downsampling is not None and reached > self.max_downsampling:
                        continue
                    grown[reached] = grown.get(reached, 0) + ways * free * wirings
            counts = grown
            total += sum(counts.values())
        return total


def _factor(option: int | str) -> int:
    """Return by what a stride or a pooling divides the size of the image."""
    if isinstance(option, str):
        return 1 if option == "none" else 2
    return option


def _space_problems(space: PlainSpace) -> list[str]:
    problems = []
    if type(space.max_depth) is not int or space.max_depth < 1:
        problems.append(f"max_depth is {space.max_depth!r}, expected a positive int")
    for name in ("kernel_heights", "kernel_widths", "filters", "strides"):
        values = getattr(space, name)
        odd = name.startswith("kernel")
        if (
            not isinstance(values, tuple)
            or not values
            or any(type(value) is not int or value < 1 for value in values)
            or (odd and any(value % 2 == 0 for value in values))
        ):
            wanted = "odd positive ints" if odd else "positive ints"
            problems.append(f"{name} is {values!r}, expected a tuple of {wanted}")
        elif len(set(values)) != len(values):
            problems.append(f"{name} is {values!r}, which repeats an option")
    pools = space.pools
    if not isinstance(pools, tuple) or not pools or any(pool not in POOLS for pool in pools):
        problems.append(f"pools is {pools!r}, expected a tuple out of {POOLS}")
    elif len(set(pools)) != len(pools):
        problems.append(f"pools is {pools!r}, which repeats an option")
    if type(space.skips) is not bool:
        problems.append(f"skips is {space.skips!r}, expected True or False")
    if space.max_downsampling is not None:
        if type(space.max_downsampling) is not int or space.max_downsampling < 1:
            problems.append(
                f"max_downsampling is {space.max_downsampling!r}, expected a positive int or None"
            )
        if isinstance(space.strides, tuple) and space.strides[:1] != (1,):
            problems.append(f"strides is {space.strides!r}, has to begin with 1 to limit it")
        if isinstance(pools, tuple) and pools[:1] != ("none",):
            problems.append(f"pools is {pools!r}, has to begin with 'none' to limit it")
    return problems


def small_space(max_depth: int = 10) -> PlainSpace:
    """Return a space fit for a CPU: kernels 1-5, 8-32 filters, strides 1-2, optional pooling.

    Strides and poolings together divide the image by at most 8, so that 32 pixels never become
    less than 4 x 4. Left free, a random stack reaches a single pixel after about four layers and
    spends the rest of its depth there. 1.6e19 architectures of at most 10 layers.

    Parameters
    ----------
    max_depth : int
        Largest number of layers.

    Returns
    -------
    PlainSpace
        For a controller, or to sample from.

    Raises
    ------
    ValueError
        A setting is impossible; every problem is listed.

    Examples
    --------
    >>> space = small_space(max_depth=2)
    >>> [decision.name for decision in space.decisions[:4]]
    ['depth', 'layer1.kernel_height', 'layer1.kernel_width', 'layer1.filters']
    >>> space.n_architectures
    41688
    """
    return PlainSpace(
        name=f"small-{max_depth}",
        max_depth=max_depth,
        kernel_heights=(1, 3, 5),
        kernel_widths=(1, 3, 5),
        filters=(8, 16, 24, 32),
        strides=(1, 2),
        pools=("none", "max", "avg"),
        max_downsampling=8,
    )


def zoph2017_space(
    max_depth: int = 10, *, skips: bool = False, strides: tuple[int, ...] = (1,)
) -> PlainSpace:
    """Return the plain convolutional space of Zoph & Le 2017 [1]_.

    Filter height and width in {1, 3, 5, 7}, number of filters in {24, 36, 48, 64}, no pooling.
    1.2e18 architectures of at most 10 layers, 2.1e93 of at most 20 with skips.

    Parameters
    ----------
    max_depth : int
        Largest number of layers.
    skips : bool
        Whether the inputs of a layer are chosen among all earlier layers.
    strides : tuple of int
        (1,) for the fixed stride of the paper, (1, 2, 3) for its predicted one.

    Returns
    -------
    PlainSpace
        For a controller, or to sample from.

    Raises
    ------
    ValueError
        A setting is impossible; every problem is listed.

    References
    ----------
    .. [1] Zoph & Le 2017, Neural architecture search with reinforcement learning, section 4.1.
    """
    return PlainSpace(
        name=f"zoph2017-{max_depth}",
        max_depth=max_depth,
        kernel_heights=(1, 3, 5, 7),
        kernel_widths=(1, 3, 5, 7),
        filters=(24, 36, 48, 64),
        strides=strides,
        skips=skips,
    )
