"""Cell architectures: one or two small graphs of operations, stacked (PNAS, NASNet, ENAS micro)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

from brainguided.architectures._cell_stacks import add_cell, add_published_cell
from brainguided.architectures.block import Block
from brainguided.architectures.blueprint import Blueprint, Conv, Draft, Norm, Relu
from brainguided.architectures.canonical import canonical_wiring
from brainguided.architectures.contract import (
    Architecture,
    count_problems,
    is_count,
    key_problems,
    read_parts,
    refuse,
)

STEMS = ("cifar", "imagenet")
STACKS = ("simple", "published")
_IMAGENET_STEM = 32  # filters of the published mobile networks
_CIFAR_STEM = 3  # times F
_FIELDS = ("normal", "reduction", "n_cells", "filters", "stem", "stem_cells")


@dataclass(frozen=True)
class CellArchitecture(Architecture):
    """Cell and how it is stacked: [cell x N] - stride-2 cell - [cell x N] - ... three times.

    The output of a cell is the concatenation of its blocks that feed no other block. Filters
    double where the map halves. Observed are the outputs of all cells, ``cell1`` ... [1]_; also
    where a cell reads only the one before the previous, so that every other cell does not reach
    the classifier and is not trained (about 4 % of PNAS cells; see `Blueprint.feeding`).

    That is the "simple" stack, as papers draw it. The "published" one is that of the networks
    whose numbers of parameters the papers give, as their released code [4]_ builds them:

    - Without a reduction cell, as PNASNet-5, there are 3N cells, and those of number N + 1 and
      2N + 1 have stride 2; all blocks are the output of a cell.
    - With one, as NASNet-A [3]_, there are 3N + 2 cells; the output are the blocks that no other
      reads, or only as they are, and in normal cells the first input too. The code lists the
      outputs of NASNet-A one by one; this is the rule that gives them.
    - The stem has 3F filters, or 32 for ImageNet. The first cell reads it as it is in place of
      the cell before the previous one.
    - A map of the cell before the previous one that is too large is halved by two convolutions
      1x1 of stride 2, of which the second sees the pixels that the first leaves out.

    Bashivan et al. compared 8 cells with N = 2 [2]_: the simple stack. PNASNet-5 (N = 3, F = 48)
    has 3.9 M parameters for 10 classes in it, and 3.2 M as published, the number that their
    table 2 repeats.

    Parameters
    ----------
    normal : tuple of Block
        The cell; a block may be fed by the two cells before and by earlier blocks.
    reduction : tuple of Block
        The cell of stride 2; empty if it is the normal one with stride 2 (PNAS).
    n_cells : int
        N above.
    filters : int
        F: of every operation in the first N cells.
    stem : {"cifar", "imagenet"}
        A convolution 3x3 of stride 1; of stride 2 with `stem_cells` cells of stride 2 after it.
    stem_cells : int
        0 to 2; Bashivan et al. took both away for images of 64 pixels [2]_.
    stack : {"simple", "published"}
        See above.

    Raises
    ------
    ValueError
        A cell has no block, or a block is fed by itself or a later one; every problem is listed.

    References
    ----------
    .. [1] Liu et al. 2018, Progressive neural architecture search, section 3.
    .. [2] Bashivan, Tensen & DiCarlo 2019, ICCV, sections 4.3 and 4.4.
    .. [3] Zoph, Vasudevan, Shlens & Le 2018, Learning transferable architectures, section 3.
    .. [4] github.com/tensorflow/models, research/slim/nets/nasnet.

    Examples
    --------
    >>> block = Block(0, "sep_conv_3x3", 1, "identity")
    >>> architecture = CellArchitecture(normal=(block,), n_cells=2, filters=8)
    >>> len(architecture.to_blueprint(n_classes=10).observed)
    8
    """

    kind: ClassVar[str] = "cell"
    normal: tuple[Block, ...]
    reduction: tuple[Block, ...] = ()
    n_cells: int = 2
    filters: int = 24
    stem: str = "cifar"
    stem_cells: int = 0
    stack: str = "simple"

    def __post_init__(self) -> None:
        problems = count_problems(self, "n_cells", "filters")
        for name in ("normal", "reduction"):
            blocks = getattr(self, name)
            if not isinstance(blocks, tuple) or not all(isinstance(b, Block) for b in blocks):
                problems.append(f"{name} is {blocks!r}, expected a tuple of Block")
                continue
            if not blocks and name == "normal":
                problems.append("normal has no block; at least one is needed")
            for number, block in enumerate(blocks):
                latest = number + 1
                if max(block.input1, block.input2) > latest:
                    problems.append(
                        f"{name} block {number + 1}: fed by {block.input1} and {block.input2}, "
                        f"expected 0 to {latest}"
                    )
        if self.stem not in STEMS:
            problems.append(f"stem is {self.stem!r}, expected one of {', '.join(STEMS)}")
        if self.stack not in STACKS:
            problems.append(f"stack is {self.stack!r}, expected one of {', '.join(STACKS)}")
        if not is_count(self.stem_cells, 0) or self.stem_cells > 2:
            problems.append(f"stem_cells is {self.stem_cells!r}, expected 0, 1 or 2")
        elif self.stem_cells and self.stem == "cifar":
            problems.append("stem_cells are part of the stem 'imagenet'; expected 0 with 'cifar'")
        refuse(problems, "a cell architecture")

    @cached_property
    def canonical(self) -> str:
        """The cells without regard to the order of blocks and of the two halves of a block."""
        cells = [_canonical_cell(cell) for cell in (self.normal, self.reduction)]
        rest: tuple[Any, ...] = (self.n_cells, self.filters, self.stem, self.stem_cells)
        if self.stack != "simple":
            rest += (self.stack,)
        return f"cell {cells} {rest}"

    def to_blueprint(self, n_classes: int, in_channels: int = 3) -> Blueprint:
        """Return the stacked cells; outputs of all cells are observed."""
        draft = Draft(in_channels)
        strides = (2, 2) if self.stem == "imagenet" else (1, 1)
        stem = Conv(self._stem_filters, (3, 3), strides)
        before = last = draft.add("stem", "image", ("conv", stem), ("norm", Norm()))
        observed = []
        for number, (halve, filters) in enumerate(self._plan(), 1):
            name, inputs = f"cell{number}", (before, last)
            blocks = self.reduction if halve and self.reduction else self.normal
            if self.stack == "published":
                alone = not self.reduction
                cell = add_published_cell(
                    draft, name, inputs, blocks, filters, halve=halve, alone=alone
                )
            else:
                cell = add_cell(draft, name, inputs, blocks, filters, halve)
            before, last = last, cell
            observed.append(cell)
        return draft.finish(draft.add("head", last, ("relu", Relu())), n_classes, observed)

    @property
    def _stem_filters(self) -> int:
        if self.stack == "published":
            return _IMAGENET_STEM if self.stem == "imagenet" else _CIFAR_STEM * self.filters
        return max(1, self.filters >> self.stem_cells)

    def _plan(self) -> list[tuple[bool, int]]:
        """Return for every cell whether it halves the map, and its filters."""
        plan = [(True, max(1, self.filters // 2**k)) for k in range(self.stem_cells, 0, -1)]
        # Published without a reduction cell, one of the N cells of a stage is that of stride 2
        fewer = self.stack == "published" and not self.reduction
        for stage in range(3):
            filters = self.filters * 2**stage
            plan += [(True, filters)] if stage else []
            plan += [(False, filters)] * (self.n_cells - (1 if stage and fewer else 0))
        return plan

    def to_data(self) -> dict[str, Any]:
        """Return the fields as plain data; the stack where it is not the simple one."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        if self.stack == "simple":
            del plain["stack"]
        return plain

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> CellArchitecture:
        """Return the architecture that `to_data` wrote."""
        stacked = isinstance(data, dict) and "stack" in data
        problems = key_problems(data, (*_FIELDS, "stack") if stacked else _FIELDS)
        refuse(problems)
        cells = {
            name: read_parts(Block, data[name], name, problems) for name in ("normal", "reduction")
        }
        refuse(problems)
        return cls(**{**data, **cells})


def _canonical_cell(blocks: tuple[Block, ...]) -> tuple[Any, ...]:
    edges = [
        [(block.operation1, block.input1 - 2), (block.operation2, block.input2 - 2)]
        for block in blocks
    ]
    return canonical_wiring([block.combine for block in blocks], edges)
