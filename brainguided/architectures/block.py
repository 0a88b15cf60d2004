"""Blocks, of which cells are made: two inputs, an operation on each, and how they are combined."""

from __future__ import annotations

from dataclasses import dataclass

from brainguided.architectures.contract import count_problems, refuse

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

    @property
    def halves(self) -> tuple[tuple[int, int, str], ...]:
        """Number, input and operation of its two halves."""
        return (1, self.input1, self.operation1), (2, self.input2, self.operation2)


def unused_blocks(blocks: tuple[Block, ...], *, through_identity: bool = True) -> tuple[int, ...]:
    """Return the positions, from 0, of the blocks that feed no other: the output of the cell.

    Without `through_identity` those are among them that feed others only as they are.
    """
    used = {
        source - 2
        for block in blocks
        for _, source, operation in block.halves
        if through_identity or operation != "identity"
    }
    return tuple(number for number in range(len(blocks)) if number not in used)
