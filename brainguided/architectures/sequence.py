"""Sequences: layers one after the other, each a convolution or a pooling."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from brainguided.architectures.blueprint import Blueprint, Conv, Draft, Norm, Pool, Relu, Step
from brainguided.architectures.contract import (
    Architecture,
    is_count,
    key_problems,
    read_parts,
    refuse,
)

OPERATIONS = ("conv", "max", "avg")


@dataclass(frozen=True)
class SequenceLayer:
    """Layer of a sequence.

    Parameters
    ----------
    operation : {"conv", "max", "avg"}
        Convolution, with batch normalisation and ReLU; or a pooling of stride 2.
    kernel : int
        Height and width; odd.
    filters : int
        Output channels of a convolution; 0 for a pooling, which keeps those of its input.
    """

    operation: str
    kernel: int
    filters: int = 0

    def __post_init__(self) -> None:
        problems = []
        if self.operation not in OPERATIONS:
            problems.append(f"operation is {self.operation!r}, expected one of {OPERATIONS}")
        if not (is_count(self.kernel) and self.kernel % 2):
            problems.append(f"kernel is {self.kernel!r}, expected an odd positive int")
        if self.operation == "conv" and not is_count(self.filters):
            problems.append(f"filters is {self.filters!r}, expected a positive int")
        elif self.operation != "conv" and (type(self.filters) is not int or self.filters):
            problems.append(f"filters is {self.filters!r}, expected 0 for a pooling")
        refuse(problems, "a layer of a sequence")


@dataclass(frozen=True)
class SequenceArchitecture(Architecture):
    """Layers one after the other, each a convolution or a pooling [1]_.

    Parameters
    ----------
    layers : tuple of SequenceLayer

    References
    ----------
    .. [1] Kuhn, Saba-Sadiya & Roig 2025, Cognitive neural architecture search reveals hierarchical
       entailment, arXiv 2502.11141.
    """

    kind: ClassVar[str] = "sequence"
    layers: tuple[SequenceLayer, ...]

    def __post_init__(self) -> None:
        known = isinstance(self.layers, tuple) and all(
            isinstance(layer, SequenceLayer) for layer in self.layers
        )
        problems = [] if known else [f"layers is {self.layers!r}, expected SequenceLayers"]
        if known and not self.layers:
            problems.append("it has no layers; at least one is needed")
        refuse(problems, "an architecture")

    @property
    def depth(self) -> int:
        """Number of layers."""
        return len(self.layers)

    def to_blueprint(self, n_classes: int, in_channels: int = 3) -> Blueprint:
        """Return the layers ``layer1`` ... ``layerN``: all observed, after ReLU or pooling."""
        draft, last, observed = Draft(in_channels), "image", []
        for number, layer in enumerate(self.layers, 1):
            steps: tuple[tuple[str, Step], ...] = (
                ("pool", Pool(layer.operation, layer.kernel, 2)),
            )
            if layer.operation == "conv":
                steps = (
                    ("conv", Conv(layer.filters, (layer.kernel, layer.kernel))),
                    ("norm", Norm()),
                    ("relu", Relu(alone=True)),
                )
            last = draft.add(f"layer{number}", last, *steps)
            observed.append(last)
        return draft.finish(last, n_classes, observed)

    def to_data(self) -> dict[str, Any]:
        """Return the layers as plain data."""
        return {"layers": [asdict(layer) for layer in self.layers]}

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> SequenceArchitecture:
        """Return the architecture that `to_data` wrote."""
        problems = key_problems(data, ("layers",))
        refuse(problems)
        layers = read_parts(SequenceLayer, data["layers"], "layer", problems)
        refuse(problems)
        return cls(layers)
