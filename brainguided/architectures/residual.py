"""Residual architectures: stages of residual blocks with chosen depth and width."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from brainguided.architectures.blueprint import Blueprint, Conv, Draft, Norm, Relu, Step
from brainguided.architectures.contract import (
    Architecture,
    count_problems,
    is_count,
    key_problems,
    read_parts,
    refuse,
)

BLOCKS = ("basic", "bottleneck")
EXPANSION = 4  # of the last convolution of a bottleneck


@dataclass(frozen=True)
class Stage:
    """Stage of a residual network: number, width and kernel size of its blocks.

    Parameters
    ----------
    depth : int
        Number of blocks.
    width : int
        Filters of the convolutions (a bottleneck's output has four times as many).
    kernel : int
        Odd.
    """

    depth: int
    width: int
    kernel: int = 3

    def __post_init__(self) -> None:
        problems = count_problems(self, "depth", "width")
        if not (is_count(self.kernel) and self.kernel % 2):
            problems.append(f"kernel is {self.kernel!r}, expected an odd positive int")
        refuse(problems, "a stage")


@dataclass(frozen=True)
class ResidualArchitecture(Architecture):
    """Residual network [1]_; each stage after the first begins with stride 2.

    Observed are the outputs of all blocks, ``stage1_block1`` ...

    Parameters
    ----------
    stages : tuple of Stage
    block : {"basic", "bottleneck"}
        Two convolutions; or 1x1, the kernel, 1x1 with four times the width.

    References
    ----------
    .. [1] He, Zhang, Ren & Sun 2016, Deep residual learning for image recognition.
    """

    kind: ClassVar[str] = "residual"
    stages: tuple[Stage, ...]
    block: str = "basic"

    def __post_init__(self) -> None:
        problems = []
        if self.block not in BLOCKS:
            problems.append(f"block is {self.block!r}, expected one of {', '.join(BLOCKS)}")
        if not isinstance(self.stages, tuple) or not all(isinstance(s, Stage) for s in self.stages):
            problems.append(f"stages is {self.stages!r}, expected a tuple of Stage")
        elif not self.stages:
            problems.append("it has no stages; at least one is needed")
        refuse(problems, "a residual architecture")

    def to_blueprint(self, n_classes: int, in_channels: int = 3) -> Blueprint:
        """Return a stem of one convolution and the blocks."""
        draft = Draft(in_channels)
        conv = Conv(self.stages[0].width, (3, 3))
        last, observed = draft.add("stem", "image", *_unit("", conv)), []
        for number, stage in enumerate(self.stages, 1):
            for position in range(1, stage.depth + 1):
                stride = 2 if number > 1 and position == 1 else 1
                name = f"stage{number}_block{position}"
                last = self._add_block(draft, name, last, stage, stride)
                observed.append(last)
        return draft.finish(last, n_classes, observed)

    def _add_block(self, draft: Draft, name: str, source: str, stage: Stage, stride: int) -> str:
        kernel, strides = (stage.kernel, stage.kernel), (stride, stride)
        if self.block == "basic":
            channels = stage.width
            convs = [Conv(channels, kernel, strides), Conv(channels, kernel)]
        else:
            channels = stage.width * EXPANSION
            convs = [
                Conv(stage.width, (1, 1)),
                Conv(stage.width, kernel, strides),
                Conv(channels, (1, 1)),
            ]
        steps = [step for k, conv in enumerate(convs, 1) for step in _unit(str(k), conv)][:-1]
        main = draft.add(f"{name}_main", source, *steps)
        if draft.channels(source) != channels or stride > 1:
            source = draft.add(
                f"{name}_shortcut",
                source,
                ("conv", Conv(channels, (1, 1), strides)),
                ("norm", Norm()),
            )
        return draft.add(name, (main, source), ("relu", Relu(alone=True)), merge="add")

    def to_data(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> ResidualArchitecture:
        """Return the architecture that `to_data` wrote."""
        problems = key_problems(data, ("stages", "block"))
        refuse(problems)
        stages = read_parts(Stage, data["stages"], "stage", problems)
        refuse(problems)
        return cls(stages, data["block"])


def _unit(suffix: str, conv: Conv) -> tuple[tuple[str, Step], ...]:
    return (
        (f"conv{suffix}", conv),
        (f"norm{suffix}", Norm()),
        (f"relu{suffix}", Relu(alone=True)),
    )
