"""Layers of cells, and the two ways in which they are stacked."""

from __future__ import annotations

from brainguided.architectures.block import Block, unused_blocks
from brainguided.architectures.blueprint import Conv, Draft, Norm, Pool, Relu, Shift, Step


def add_cell(
    draft: Draft,
    name: str,
    inputs: tuple[str, str],
    blocks: tuple[Block, ...],
    filters: int,
    halve: bool,
) -> str:
    """Add the nodes of one cell and return the name of its output: the unused blocks."""
    scale = draft.scales[inputs[1]]
    maps = [
        _fit(draft, f"{name}_input{k}", source, filters, scale) for k, source in enumerate(inputs)
    ]
    for number, block in enumerate(blocks, 1):
        halves = []
        for half, source, operation in block.halves:
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


def add_published_cell(
    draft: Draft,
    name: str,
    inputs: tuple[str, str],
    blocks: tuple[Block, ...],
    filters: int,
    *,
    halve: bool,
    alone: bool,
) -> str:
    """Add the nodes of one cell as published and return the name of its output.

    Where it is the only cell of the network (`alone`) all blocks are the output; else the unused
    ones are, and before them the first input where the map is not halved.
    """
    maps = _enter_published(draft, name, inputs, filters)
    for number, block in enumerate(blocks, 1):
        halves = []
        for half, source, operation in block.halves:
            stride = 2 if halve and source < 2 else 1
            if operation == "identity" and draft.channels(maps[source]) != filters:
                steps = _conv_steps("", filters, (1, 1), (stride, stride))
            else:
                width = draft.channels(maps[source])
                steps = operation_steps(operation, filters, stride, width)
            own = draft.add(f"{name}_block{number}_{half}", maps[source], *steps)
            halves.append(_match(draft, f"{own}_fit", own, filters))
        maps.append(draft.add(f"{name}_block{number}", halves, merge=block.combine))
    if alone:
        return draft.add(name, maps[2:])
    unused = unused_blocks(blocks, through_identity=False)
    outputs = [maps[2 + position] for position in unused]
    if not halve:
        outputs.insert(0, _match(draft, f"{name}_output0", maps[0], filters))
    return draft.add(name, outputs)


def _enter_published(draft: Draft, name: str, inputs: tuple[str, str], filters: int) -> list[str]:
    """Bring the outputs of the two cells before to F channels and the size of the later one."""
    before, last = inputs
    if before != last:  # the first cell reads the stem as it is
        if draft.scales[before] < draft.scales[last]:
            before = _reduce_by_halves(draft, f"{name}_input0", before, filters)
        elif draft.channels(before) != filters:
            before = draft.add(f"{name}_input0", before, *_conv_steps("", filters, (1, 1), (1, 1)))
    return [before, draft.add(f"{name}_input1", last, *_conv_steps("", filters, (1, 1), (1, 1)))]


def _reduce_by_halves(draft: Draft, name: str, source: str, filters: int) -> str:
    """Halve a map by two convolutions 1x1, one of them on the pixels that the other leaves out."""
    halves = []
    for half, width, shift in ((1, filters // 2, ()), (2, filters - filters // 2, (Shift(),))):
        steps: list[tuple[str, Step]] = [("relu", Relu())]
        steps += [("shift", step) for step in shift]
        steps += [("conv", Conv(width, (1, 1), (2, 2)))]
        if width:
            halves.append(draft.add(f"{name}_{half}", source, *steps))
    return draft.add(name, halves, ("norm", Norm()))


def _match(draft: Draft, name: str, source: str, filters: int) -> str:
    """Bring a map to a number of channels, where it differs, without a rectification."""
    if draft.channels(source) == filters:
        return source
    return draft.add(name, source, ("conv", Conv(filters, (1, 1))), ("norm", Norm()))


def _fit(draft: Draft, name: str, source: str, filters: int, scale: int) -> str:
    """Bring a map to a number of filters and a scale, where it differs, by a convolution 1x1."""
    stride = scale // draft.scales[source]
    if draft.channels(source) == filters and stride == 1:
        return source
    if name in draft.nodes:
        return name
    conv = Conv(filters, (1, 1), (stride, stride))
    return draft.add(name, source, ("relu", Relu()), ("conv", conv), ("norm", Norm()))


def operation_steps(
    operation: str, filters: int, stride: int, in_channels: int | None = None
) -> tuple[tuple[str, Step], ...]:
    """Return the layers of an operation: convolutions in the order ReLU, convolution, norm.

    Separable convolutions are applied twice, with nothing between the depthwise and the pointwise
    half; the stride is that of the first. An identity of stride 2 is a convolution 1x1. The input
    has as many channels as there are filters unless `in_channels` says otherwise.
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
        for turn, step, width in ((1, stride, in_channels or filters), (2, 1, filters)):
            steps += [
                (f"relu{turn}", Relu(alone=turn > 1)),
                (f"depthwise{turn}", Conv(width, (side, side), (step, step), groups=-1)),
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
