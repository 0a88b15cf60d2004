"""Cell architectures: one or two small graphs of operations, stacked (PNAS, NASNet, ENAS micro)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

from brainguided.architectures.blueprint import Blueprint, Conv, Draft, Norm, Pool, Relu, Step
from brainguided.architectures.canonical import canonical_wiring
from brainguided.architectures.contract import (
    Architecture,
    count_problems,
    is_count,
    key_problems,
    read_parts,
    refuse,
)

OPERATIONS = (
    "identity",
    "conv_1x1",
    "conv_3x3",
    "conv_1x3_3x1",
    "conv_1x7_7x1",
    "dil_conv_3x3",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "sep_conv_7x7",
    "avg_pool_3x3",
    "max_pool_3x3",
    "max_pool_5x5",
    "max_pool_7x7",
)
COMBINERS = ("add", "concat")
STEMS = ("cifar", "imagenet")
_FIELDS = ("normal", "reduction", "n_cells", "filters", "stem", "stem_cells")


@dataclass(frozen=True)
class Block:
    """Block of a cell: two inputs, an operation on each, and how they are combined.

    Parameters
    ----------
    input1, input2 : int
        0 is the output of the cell before the previous one, 1 that of the previous cell, 2 the
        first block of this cell, and so on.
    operation1, operation2 : str
        Out of `OPERATIONS`.
    combine : {"add", "concat"}

    Raises
    ------
    ValueError
        A value is not one of those; every problem is listed.
    """

    input1: int
    operation1: str
    input2: int
    operation2: str
    combine: str = "add"

    def __post_init__(self) -> None:
        problems = count_problems(self, "input1", "input2", smallest=0)
        for name in ("operation1", "operation2"):
            if getattr(self, name) not in OPERATIONS:
                known = ", ".join(OPERATIONS)
                problems.append(f"{name} is {getattr(self, name)!r}, expected one of {known}")
        if self.combine not in COMBINERS:
            problems.append(f"combine is {self.combine!r}, expected one of {', '.join(COMBINERS)}")
        refuse(problems, "a block")


@dataclass(frozen=True)
class CellArchitecture(Architecture):
    """Cell and how it is stacked: [cell x N] - stride-2 cell - [cell x N] - ... three times.

    The output of a cell is the concatenation of its blocks that feed no other block. Filters
    double where the map halves. Observed are the outputs of all cells, ``cell1`` ... [1]_; also
    where a cell reads only the one before the previous, so that every other cell does not reach
    the classifier and is not trained (about 4 % of PNAS cells; see `Blueprint.feeding`).

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

    Raises
    ------
    ValueError
        A cell has no block, or a block is fed by itself or a later one; every problem is listed.

    References
    ----------
    .. [1] Liu et al. 2018, Progressive neural architecture search, section 3.
    .. [2] Bashivan, Tensen & DiCarlo 2019, ICCV, section 4.4.

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
        if not is_count(self.stem_cells, 0) or self.stem_cells > 2:
            problems.append(f"stem_cells is {self.stem_cells!r}, expected 0, 1 or 2")
        elif self.stem_cells and self.stem == "cifar":
            problems.append("stem_cells are part of the stem 'imagenet'; expected 0 with 'cifar'")
        refuse(problems, "a cell architecture")

    @cached_property
    def canonical(self) -> str:
        """The cells without regard to the order of blocks and of the two halves of a block."""
        cells = [_canonical_cell(cell) for cell in (self.normal, self.reduction)]
        rest = (self.n_cells, self.filters, self.stem, self.stem_cells)
        return f"cell {cells} {rest}"

    def to_blueprint(self, n_classes: int, in_channels: int = 3) -> Blueprint:
        """Return the stacked cells; outputs of all cells are observed."""
        draft = Draft(in_channels)
        strides = (2, 2) if self.stem == "imagenet" else (1, 1)
        width = max(1, self.filters // 2**self.stem_cells)
        stem = draft.add("stem", "image", ("conv", Conv(width, (3, 3), strides)), ("norm", Norm()))
        plan = [(True, max(1, self.filters // 2**k)) for k in range(self.stem_cells, 0, -1)]
        for stage in range(3):
            plan += [(True, self.filters * 2**stage)] if stage else []
            plan += [(False, self.filters * 2**stage)] * self.n_cells
        before, last, observed = stem, stem, []
        for number, (halve, filters) in enumerate(plan, 1):
            blocks = self.reduction if halve and self.reduction else self.normal
            cell = _add_cell(draft, f"cell{number}", (before, last), blocks, filters, halve)
            before, last = last, cell
            observed.append(cell)
        return draft.finish(draft.add("head", last, ("relu", Relu())), n_classes, observed)

    def to_data(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> CellArchitecture:
        """Return the architecture that `to_data` wrote."""
        problems = key_problems(data, _FIELDS)
        refuse(problems)
        cells = {
            name: read_parts(Block, data[name], name, problems) for name in ("normal", "reduction")
        }
        refuse(problems)
        return cls(**{**data, **cells})


def unused_blocks(blocks: tuple[Block, ...]) -> tuple[int, ...]:
    """Return the positions, from 0, of the blocks that feed no other: the output of the cell."""
    used = {source - 2 for block in blocks for source in (block.input1, block.input2)}
    return tuple(number for number in range(len(blocks)) if number not in used)


def _canonical_cell(blocks: tuple[Block, ...]) -> tuple[Any, ...]:
    edges = [
        [(block.operation1, block.input1 - 2), (block.operation2, block.input2 - 2)]
        for block in blocks
    ]
    return canonical_wiring([block.combine for block in blocks], edges)


def _add_cell(
    draft: Draft,
    name: str,
    inputs: tuple[str, str],
    blocks: tuple[Block, ...],
    filters: int,
    halve: bool,
) -> str:
    """Add the nodes of one cell and return the name of its output."""
    scale = draft.scales[inputs[1]]
    maps = [
        _fit(draft, f"{name}_input{k}", source, filters, scale) for k, source in enumerate(inputs)
    ]
    for number, block in enumerate(blocks, 1):
        halves = []
        for half, source, operation in (
            (1, block.input1, block.operation1),
            (2, block.input2, block.operation2),
        ):
            own = f"{name}_block{number}_{half}"
            stride = 2 if halve and source < 2 else 1
            source_map = _fit(
                draft, f"{name}_fit{source}", maps[source], filters, draft.scales[maps[source]]
            )
            steps = operation_steps(operation, filters, stride)
            halves.append(draft.add(own, source_map, *steps))
        maps.append(draft.add(f"{name}_block{number}", halves, merge=block.combine))
    outputs = [maps[2 + position] for position in unused_blocks(blocks)]
    return draft.add(name, outputs)


def _fit(draft: Draft, name: str, source: str, filters: int, scale: int) -> str:
    """Bring a map to a number of filters and a scale, where it differs, by a convolution 1x1."""
    stride = scale // draft.scales[source]
    if draft.channels(source) == filters and stride == 1:
        return source
    if name in draft.nodes:
        return name
    conv = Conv(filters, (1, 1), (stride, stride))
    return draft.add(name, source, ("relu", Relu()), ("conv", conv), ("norm", Norm()))


def operation_steps(operation: str, filters: int, stride: int) -> tuple[tuple[str, Step], ...]:
    """Return the layers of an operation: convolutions in the order ReLU, convolution, norm.

    Separable convolutions are applied twice, with nothing between the depthwise and the pointwise
    half; the stride is that of the first. An identity of stride 2 is a convolution 1x1.
    """
    kind, _, size = operation.rpartition("_")
    if operation == "identity":
        if stride == 1:
            return ()
        return _conv_steps("", filters, (1, 1), (stride, stride))
    side = int(size[0])
    if kind.endswith("pool"):
        return (("pool", Pool(kind[:3], side, stride)),)
    if kind == "sep_conv":
        steps: list[tuple[str, Step]] = []
        for turn, step in ((1, stride), (2, 1)):
            steps += [
                (f"relu{turn}", Relu(alone=turn > 1)),
                (f"depthwise{turn}", Conv(filters, (side, side), (step, step), groups=-1)),
                (f"pointwise{turn}", Conv(filters, (1, 1))),
                (f"norm{turn}", Norm()),
            ]
        return tuple(steps)
    if kind == "dil_conv":
        return _conv_steps("", filters, (3, 3), (stride, stride), dilation=2)
    if operation in ("conv_1x3_3x1", "conv_1x7_7x1"):
        first = _conv_steps("1", filters, (1, side), (1, stride))
        second = _conv_steps("2", filters, (side, 1), (stride, 1), alone=True)
        return first + second
    return _conv_steps("", filters, (side, side), (stride, stride))


def _conv_steps(
    suffix: str,
    filters: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    *,
    dilation: int = 1,
    alone: bool = False,
) -> tuple[tuple[str, Step], ...]:
    return (
        (f"relu{suffix}", Relu(alone=alone)),
        (f"conv{suffix}", Conv(filters, kernel, stride, dilation=dilation)),
        (f"norm{suffix}", Norm()),
    )
