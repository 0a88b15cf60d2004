"""Spaces of cells: PNAS, NASNet and the micro space of ENAS."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from brainguided.architectures import Architecture, Block, CellArchitecture
from brainguided.architectures.block import COMBINERS, OPERATIONS
from brainguided.architectures.contract import count_problems
from brainguided.spaces.contract import (
    Decision,
    SearchSpace,
    option_index,
    options_problems,
    refuse_foreign,
    refuse_space,
)

_PNAS = (
    "sep_conv_3x3",
    "sep_conv_5x5",
    "sep_conv_7x7",
    "conv_1x7_7x1",
    "identity",
    "avg_pool_3x3",
    "max_pool_3x3",
    "dil_conv_3x3",
)
_ENAS = ("identity", "sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3")


@dataclass(frozen=True, repr=False)
class CellSpace(SearchSpace):
    """Space of cells.

    For every block the decisions are the first input, its operation, the second input, its
    operation, and, where there is more than one, the combiner. Block b chooses among the two
    cells before and the b - 1 earlier blocks.

    Parameters
    ----------
    name : str
    operations, combiners : tuple of str
        Out of `architectures.block.OPERATIONS` and `COMBINERS`.
    n_blocks : int
        B: blocks of a cell, as many as wanted.
    reduction : bool
        Whether a second cell is chosen for the places of stride 2.
    n_cells, filters, stem, stem_cells, stack
        How cells are stacked, see `CellArchitecture`; the same for all architectures.

    Raises
    ------
    ValueError
        Every problem is listed.
    """

    kind: ClassVar[str] = "cell"
    name: str
    operations: tuple[str, ...]
    n_blocks: int = 5
    combiners: tuple[str, ...] = ("add",)
    reduction: bool = False
    n_cells: int = 2
    filters: int = 24
    stem: str = "cifar"
    stem_cells: int = 0
    stack: str = "simple"

    def __post_init__(self) -> None:
        problems = options_problems(self, "operations", "combiners", kind=str)
        problems += count_problems(self, "n_blocks")
        for name, known in (("operations", OPERATIONS), ("combiners", COMBINERS)):
            unknown = [v for v in getattr(self, name) if v not in known]
            if unknown:
                problems.append(f"{name} has {unknown}, expected out of {', '.join(known)}")
        if not problems:
            try:
                self._stack((Block(0, "identity", 1, "identity"),), ())
            except ValueError as error:
                problems += [line.removeprefix("  - ") for line in str(error).split("\n")[1:]]
        refuse_space(problems)

    def _stack(self, normal: tuple[Block, ...], reduction: tuple[Block, ...]) -> CellArchitecture:
        stem = (self.stem, self.stem_cells)
        return CellArchitecture(normal, reduction, self.n_cells, self.filters, *stem, self.stack)

    def describe(self) -> dict[str, Any]:
        """Return the settings as plain data; the stack where it is not the simple one."""
        described = super().describe()
        if self.stack == "simple":
            del described["stack"]
        return described

    @cached_property
    def _cells(self) -> tuple[str, ...]:
        return ("normal", "reduction") if self.reduction else ("normal",)

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """Four or five decisions a block, all blocks of the normal cell first."""
        decisions = []
        for cell in self._cells:
            for block in range(1, self.n_blocks + 1):
                inputs = tuple(range(block + 1))
                for half in (1, 2):
                    decisions.append(Decision(f"{cell}{block}.input{half}", inputs))
                    decisions.append(Decision(f"{cell}{block}.operation{half}", self.operations))
                if len(self.combiners) > 1:
                    decisions.append(Decision(f"{cell}{block}.combine", self.combiners))
        return tuple(decisions)

    def _read(self, actions: tuple[int, ...]) -> CellArchitecture:
        per_block = 4 + (len(self.combiners) > 1)
        blocks = []
        for start in range(0, len(actions), per_block):
            input1, operation1, input2, operation2, *combine = actions[start : start + per_block]
            blocks.append(
                Block(
                    input1,
                    self.operations[operation1],
                    input2,
                    self.operations[operation2],
                    self.combiners[combine[0] if combine else 0],
                )
            )
        return self._stack(tuple(blocks[: self.n_blocks]), tuple(blocks[self.n_blocks :]))

    def encode(self, architecture: Architecture) -> tuple[int, ...]:
        """Return the one sequence of actions that stands for an architecture."""
        problems: list[str] = []
        actions: list[int] = []
        if isinstance(architecture, CellArchitecture):
            for name in ("n_cells", "filters", "stem", "stem_cells", "stack"):
                if getattr(architecture, name) != getattr(self, name):
                    problems.append(
                        f"{name} is {getattr(architecture, name)!r}, "
                        f"{getattr(self, name)!r} in this space"
                    )
            sizes = (self.n_blocks, self.n_blocks if self.reduction else 0)
            found = (len(architecture.normal), len(architecture.reduction))
            if sizes != found:
                problems.append(f"its cells have {found} blocks, {sizes} in this space")
            else:
                actions = self._encode(architecture.normal + architecture.reduction, problems)
        refuse_foreign(architecture, CellArchitecture, self.name, problems)
        return tuple(actions)

    def _encode(self, blocks: tuple[Block, ...], problems: list[str]) -> list[int]:
        values: list[int | str] = []
        for block in blocks:
            values += [block.input1, block.operation1, block.input2, block.operation2]
            if len(self.combiners) > 1:
                values.append(block.combine)
            elif block.combine != self.combiners[0]:
                problems.append(f"a block combines by {block.combine!r}, not {self.combiners[0]!r}")
        return [
            option_index(decision, value, problems)
            for decision, value in zip(self.decisions, values, strict=True)
        ]


def pnas_space(
    *,
    n_blocks: int = 5,
    n_cells: int = 2,
    filters: int = 24,
    stem: str = "cifar",
    stem_cells: int = 0,
    stack: str = "simple",
) -> CellSpace:
    """Return the cell space of Liu et al. 2018 [1]_, that of the searches of Bashivan et al. [2]_.

    One cell of blocks that add two of eight operations; cells of stride 2 are the same cell.
    5.6e14 architectures at B = 5.

    Parameters
    ----------
    n_blocks : int
        B; 5 in both papers.
    n_cells : int
        N; 2 in the searches, so that a network has 8 cells.
    filters : int
        F; 24 in the search of [1]_.
    stem : {"cifar", "imagenet"}
        Layers before the first cell, see `CellArchitecture`.
    stem_cells : int
        Cells of stride 2 after the ImageNet stem: 2 for images of 224 pixels, 0 for 64.
    stack : {"simple", "published"}
        How cells are stacked: with 2 more of stride 2 between 3N cells, as [1]_ draws them and as
        the 8 cells of [2]_ at N = 2 imply; or as the released code of [1]_ does, from which its
        numbers of parameters come. See `CellArchitecture`.

    Returns
    -------
    CellSpace
        For a controller, or to sample from.

    Raises
    ------
    ValueError
        A setting is impossible; every problem is listed.

    References
    ----------
    .. [1] Liu et al. 2018, Progressive neural architecture search, section 3.
    .. [2] Bashivan, Tensen & DiCarlo 2019, ICCV, section 4.3.

    Examples
    --------
    >>> pnas_space(n_blocks=5).n_architectures
    556627761561600
    >>> len({a.canonical for a in pnas_space(n_blocks=1).enumerate()})
    136
    """
    return CellSpace(
        "pnas",
        _PNAS,
        n_blocks,
        n_cells=n_cells,
        filters=filters,
        stem=stem,
        stem_cells=stem_cells,
        stack=stack,
    )


def nasnet_space(
    *,
    n_blocks: int = 5,
    n_cells: int = 2,
    filters: int = 24,
    stem: str = "cifar",
    stem_cells: int = 0,
    stack: str = "simple",
) -> CellSpace:
    """Return the space of Zoph et al. 2018 [1]_: two cells, 13 operations, add or concatenate.

    5.2e36 architectures at B = 5.

    Parameters
    ----------
    n_blocks : int
        B, blocks of each cell.
    n_cells : int
        N, cells between two reductions, see `CellArchitecture`.
    filters : int
        F, filters of every operation in the first N cells.
    stem : {"cifar", "imagenet"}
        Layers before the first cell, see `CellArchitecture`.
    stem_cells : int
        Cells of stride 2 after the ImageNet stem, 0 to 2.
    stack : {"simple", "published"}
        How cells are stacked, see `CellArchitecture`.

    Returns
    -------
    CellSpace
        For a controller, or to sample from.

    Raises
    ------
    ValueError
        A setting is impossible; every problem is listed.

    References
    ----------
    .. [1] Zoph, Vasudevan, Shlens & Le 2018, Learning transferable architectures, section 3.
    """
    return CellSpace(
        "nasnet", OPERATIONS, n_blocks, COMBINERS, True, n_cells, filters, stem, stem_cells, stack
    )


def enas_micro_space(
    *,
    n_blocks: int = 5,
    n_cells: int = 2,
    filters: int = 24,
    stem: str = "cifar",
    stem_cells: int = 0,
    stack: str = "simple",
) -> CellSpace:
    """Return the micro space of Pham et al. 2018 [1]_: two cells, five operations, addition.

    2.6e25 architectures at B = 5.

    Parameters
    ----------
    n_blocks : int
        B, blocks of each cell.
    n_cells : int
        N, cells between two reductions, see `CellArchitecture`.
    filters : int
        F, filters of every operation in the first N cells.
    stem : {"cifar", "imagenet"}
        Layers before the first cell, see `CellArchitecture`.
    stem_cells : int
        Cells of stride 2 after the ImageNet stem, 0 to 2.
    stack : {"simple", "published"}
        How cells are stacked, see `CellArchitecture`.

    Returns
    -------
    CellSpace
        For a controller, or to sample from.

    Raises
    ------
    ValueError
        A setting is impossible; every problem is listed.

    References
    ----------
    .. [1] Pham et al. 2018, Efficient neural architecture search, section 2.3.
    """
    return CellSpace(
        "enas-micro", _ENAS, n_blocks, ("add",), True, n_cells, filters, stem, stem_cells, stack
    )
