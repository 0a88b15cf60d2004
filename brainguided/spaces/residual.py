"""A space of residual networks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from brainguided.architectures import Architecture, ResidualArchitecture, Stage
from brainguided.architectures.contract import count_problems
from brainguided.architectures.residual import BLOCKS
from brainguided.spaces.contract import (
    Decision,
    SearchSpace,
    option_index,
    options_problems,
    refuse_foreign,
    refuse_space,
)


@dataclass(frozen=True, repr=False)
class ResidualSpace(SearchSpace):
    """Space of residual networks: the kind of block, then the settings of each stage.

    Parameters
    ----------
    name : str
    n_stages : int
        Each after the first halves the map.
    depths, widths, kernels : tuple of int
        Options for the blocks of a stage, their filters and their (odd) kernels.
    blocks : tuple of {"basic", "bottleneck"}
    """

    kind: ClassVar[str] = "residual"
    name: str = "residual"
    n_stages: int = 3
    depths: tuple[int, ...] = (1, 2, 3)
    widths: tuple[int, ...] = (8, 16, 24, 32, 48, 64)
    kernels: tuple[int, ...] = (3, 5)
    blocks: tuple[str, ...] = BLOCKS

    def __post_init__(self) -> None:
        problems = options_problems(self, "depths", "widths", "kernels")
        problems += options_problems(self, "blocks", kind=str)
        problems += count_problems(self, "n_stages")
        if not problems and any(kernel % 2 == 0 for kernel in self.kernels):
            problems.append(f"kernels is {self.kernels!r}, expected odd ints")
        if not problems and not set(self.blocks) <= set(BLOCKS):
            problems.append(f"blocks is {self.blocks!r}, expected out of {BLOCKS}")
        refuse_space(problems)

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """The block, then depth, width and kernel of every stage."""
        decisions = [Decision("block", self.blocks)]
        for stage in range(1, self.n_stages + 1):
            decisions.append(Decision(f"stage{stage}.depth", self.depths))
            decisions.append(Decision(f"stage{stage}.width", self.widths))
            decisions.append(Decision(f"stage{stage}.kernel", self.kernels))
        return tuple(decisions)

    def _read(self, actions: tuple[int, ...]) -> ResidualArchitecture:
        stages = tuple(
            Stage(
                self.depths[actions[place]],
                self.widths[actions[place + 1]],
                self.kernels[actions[place + 2]],
            )
            for place in range(1, len(actions), 3)
        )
        return ResidualArchitecture(stages, self.blocks[actions[0]])

    def encode(self, architecture: Architecture) -> tuple[int, ...]:
        """Return the one sequence of actions that stands for an architecture."""
        problems: list[str] = []
        actions: list[int] = []
        if isinstance(architecture, ResidualArchitecture):
            if len(architecture.stages) != self.n_stages:
                problems.append(f"it has {len(architecture.stages)} stages, {self.n_stages} here")
            else:
                values: list[int | str] = [architecture.block]
                for stage in architecture.stages:
                    values += [stage.depth, stage.width, stage.kernel]
                actions = [
                    option_index(decision, value, problems)
                    for decision, value in zip(self.decisions, values, strict=True)
                ]
        refuse_foreign(architecture, ResidualArchitecture, self.name, problems)
        return tuple(actions)


def residual_space(
    *, n_stages: int = 3, max_depth: int = 3, widths: tuple[int, ...] = (8, 16, 24, 32, 48, 64)
) -> ResidualSpace:
    """Return a space of residual networks: basic or bottleneck blocks, 1 to `max_depth` a stage.

    Parameters
    ----------
    n_stages : int
        Each after the first halves the map.
    max_depth : int
        Largest number of blocks of a stage.
    widths : tuple of int
        Options for the filters of a stage.

    Returns
    -------
    ResidualSpace
        For a controller, or to sample from.

    Raises
    ------
    ValueError
        A setting is impossible; every problem is listed.

    Examples
    --------
    >>> residual_space(n_stages=2).n_architectures
    2592
    """
    return ResidualSpace(
        n_stages=n_stages, depths=tuple(range(1, max_depth + 1)), widths=tuple(widths)
    )
