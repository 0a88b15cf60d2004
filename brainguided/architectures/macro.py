"""Architectures of the ENAS macro space: a chain of operations with skip connections."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from brainguided.architectures.blueprint import Blueprint, Conv, Draft, Norm, Pool, Relu, Step
from brainguided.architectures.contract import (
    Architecture,
    count_problems,
    key_problems,
    read_parts,
    refuse,
)

OPERATIONS = (
    "conv_3x3",
    "conv_5x5",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "avg_pool_3x3",
    "max_pool_3x3",
)


@dataclass(frozen=True)
class MacroLayer:
    """Layer of a chain: its operation, and the earlier layers joined to its output.

    Parameters
    ----------
    operation : str
        Out of `OPERATIONS`.
    skips : tuple of int
        Earlier layers, from 1, ascending.
    """

    operation: str
    skips: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        problems = []
        if self.operation not in OPERATIONS:
            problems.append(
                f"operation is {self.operation!r}, expected one of {', '.join(OPERATIONS)}"
            )
        skips = self.skips
        if not isinstance(skips, tuple) or any(type(skip) is not int or skip < 1 for skip in skips):
            problems.append(f"skips is {skips!r}, expected layers counted from 1")
        elif list(skips) != sorted(set(skips)):
            problems.append(f"skips is {skips!r}, expected ascending without repeats")
        refuse(problems, "a layer")


@dataclass(frozen=True)
class MacroArchitecture(Architecture):
    """Chain of operations, each with skip connections from earlier layers [1]_.

    A layer applies its operation to the output of the layer before; with skips, the outputs of
    those layers are concatenated to it and brought back to `filters` by a convolution 1x1. The
    map halves after each third of the layers; earlier maps are averaged to the smaller size
    where they are joined. Observed are all layers.

    Parameters
    ----------
    layers : tuple of MacroLayer
    filters : int

    References
    ----------
    .. [1] Pham et al. 2018, Efficient neural architecture search, section 2.2.
    """

    kind: ClassVar[str] = "macro"
    layers: tuple[MacroLayer, ...]
    filters: int = 24

    def __post_init__(self) -> None:
        problems = count_problems(self, "filters")
        layers = self.layers
        if not isinstance(layers, tuple) or not all(isinstance(x, MacroLayer) for x in layers):
            problems.append(f"layers is {layers!r}, expected a tuple of MacroLayer")
        elif not layers:
            problems.append("it has no layers; at least one is needed")
        else:
            problems += [
                f"layer {number}: joined to layer {layer.skips[-1]}, expected earlier ones"
                for number, layer in enumerate(layers, 1)
                if layer.skips and layer.skips[-1] >= number
            ]
        refuse(problems, "a macro architecture")

    def to_blueprint(self, n_classes: int, in_channels: int = 3) -> Blueprint:
        """Return the layers ``layer1`` ... ``layerN``, all observed."""
        draft = Draft(in_channels)
        conv = Conv(self.filters, (3, 3))
        names = [draft.add("stem", "image", ("conv", conv), ("norm", Norm()))]
        third = max(1, len(self.layers) // 3)
        last = names[0]
        for number, layer in enumerate(self.layers, 1):
            own = f"layer{number}"
            steps = _steps(layer.operation, self.filters)
            if layer.skips:
                joined = [draft.add(f"{own}_operation", last, *steps)]
                joined += [names[skip] for skip in layer.skips]
                steps = (
                    ("conv", Conv(self.filters, (1, 1))),
                    ("norm", Norm()),
                    ("relu", Relu(alone=True)),
                )
                last = draft.add(own, joined, *steps)
            else:
                last = draft.add(own, last, *steps)
            names.append(last)
            if number in (third, 2 * third) and number < len(self.layers):
                last = draft.add(f"{own}_half", last, ("pool", Pool("avg", 2, 2)))
        return draft.finish(names[-1], n_classes, names[1:])

    def to_data(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> MacroArchitecture:
        """Return the architecture that `to_data` wrote."""
        problems = key_problems(data, ("layers", "filters"))
        refuse(problems)
        layers = read_parts(MacroLayer, data["layers"], "layer", problems)
        refuse(problems)
        return cls(layers, data["filters"])


def _steps(operation: str, filters: int) -> tuple[tuple[str, Step], ...]:
    """Return an operation: a convolution 1x1 first, then its own, each with norm and ReLU."""
    kind, _, size = operation.rpartition("_")
    side = int(size[0])
    first: tuple[tuple[str, Step], ...] = (
        ("conv1", Conv(filters, (1, 1))),
        ("norm1", Norm()),
        ("relu1", Relu(alone=True)),
    )
    if kind.endswith("pool"):
        return (*first, ("pool", Pool(kind[:3], side, 1)))
    if kind == "sep_conv":
        own: tuple[tuple[str, Step], ...] = (
            ("depthwise", Conv(filters, (side, side), groups=-1)),
            ("pointwise", Conv(filters, (1, 1))),
        )
    else:
        own = (("conv2", Conv(filters, (side, side))),)
    return (*first, *own, ("norm2", Norm()), ("relu2", Relu(alone=True)))
