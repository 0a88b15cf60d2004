"""Plain architectures: convolutional layers one after the other, with skip connections."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

from brainguided.architectures.blueprint import Blueprint, Conv, Draft, Norm, Pool, Relu, Step
from brainguided.architectures.canonical import canonical_wiring
from brainguided.architectures.contract import Architecture, is_count, key_problems, refuse

POOLS = ("none", "max", "avg")
_FIELDS = ("filters", "inputs", "kernel_height", "kernel_width", "pool", "stride")


@dataclass(frozen=True)
class ConvLayer:
    """Convolutional layer: a convolution, then an optional 2 x 2 pooling of stride 2.

    Parameters
    ----------
    kernel_height, kernel_width : int
        Size of the filters in pixels of the layer's input; odd, so that "same" padding centres.
    filters : int
        Number of output channels.
    stride : int
        Step of the convolution in both directions.
    pool : {"none", "max", "avg"}
        Pooling after the convolution.
    inputs : tuple of int
        What feeds the layer: 0 is the image, k the k-th layer (counted from 1); ascending.
        Empty means "the layer before", which `Architecture` fills in.

    Raises
    ------
    ValueError
        A value is of the wrong type or out of range; every problem is listed.
    """

    kernel_height: int
    kernel_width: int
    filters: int
    stride: int = 1
    pool: str = "none"
    inputs: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        problems = _layer_problems({name: getattr(self, name) for name in _FIELDS})
        refuse(problems, "a convolutional layer")


@dataclass(frozen=True)
class PlainArchitecture(Architecture):
    """Feed-forward convolutional architecture: what was chosen, not how it is built.

    Two architectures are equal exactly when their JSON is.

    Parameters
    ----------
    layers : tuple of ConvLayer
        In the order of computation; the k-th may be fed by the image and layers 1 to k - 1.

    Raises
    ------
    ValueError
        There is no layer, or a layer is fed by itself, by a later one, or twice by the same.

    Examples
    --------
    >>> architecture = PlainArchitecture((ConvLayer(3, 3, 16), ConvLayer(5, 5, 32, stride=2)))
    >>> architecture.depth, architecture.layers[1].inputs, architecture.outputs
    (2, (1,), (2,))
    >>> Architecture.from_json(architecture.to_json()) == architecture
    True
    """

    kind: ClassVar[str] = "plain"
    layers: tuple[ConvLayer, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.layers, tuple) or not all(
            isinstance(layer, ConvLayer) for layer in self.layers
        ):
            raise ValueError("PlainArchitecture expects a tuple of ConvLayer: (layer, layer, ...).")
        layers = tuple(
            layer if layer.inputs else replace(layer, inputs=(number - 1,))
            for number, layer in enumerate(self.layers, 1)
        )
        problems = [] if layers else ["it has no layers; at least one is needed"]
        for number, layer in enumerate(layers, 1):
            problems += _wiring_problems(number, layer.inputs)
        refuse(problems, "an architecture")
        object.__setattr__(self, "layers", layers)

    @property
    def depth(self) -> int:
        """Number of layers."""
        return len(self.layers)

    @property
    def outputs(self) -> tuple[int, ...]:
        """Layers that feed no other layer: the classifier reads them, concatenated."""
        used = {source for layer in self.layers for source in layer.inputs}
        return tuple(number for number in range(1, self.depth + 1) if number not in used)

    @cached_property
    def canonical(self) -> str:
        """The layers in an order that does not depend on how parallel ones are numbered."""
        labels = [
            f"{layer.kernel_height}x{layer.kernel_width},{layer.filters},{layer.stride},{layer.pool}"
            for layer in self.layers
        ]
        edges = [[("", source - 1) for source in layer.inputs] for layer in self.layers]
        return f"plain {canonical_wiring(labels, edges)}"

    def to_blueprint(self, n_classes: int, in_channels: int = 3) -> Blueprint:
        """Return the layers ``layer1`` ... ``layerN``: all observed, after ReLU and pooling."""
        draft = Draft(in_channels)
        names = ["image"]
        for number, layer in enumerate(self.layers, 1):
            kernel = (layer.kernel_height, layer.kernel_width)
            steps: list[tuple[str, Step]] = [
                ("conv", Conv(layer.filters, kernel, (layer.stride, layer.stride))),
                ("norm", Norm()),
                ("relu", Relu(alone=True)),
            ]
            if layer.pool != "none":
                steps.append(("pool", Pool(layer.pool, 2, 2)))
            inputs = [names[source] for source in layer.inputs]
            names.append(draft.add(f"layer{number}", inputs, *steps))
        return draft.finish([names[k] for k in self.outputs], n_classes, names[1:])

    def to_data(self) -> dict[str, Any]:
        """Return the layers as plain data."""
        return {
            "layers": [{name: getattr(layer, name) for name in _FIELDS} for layer in self.layers]
        }

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> PlainArchitecture:
        """Return the architecture that `to_data` wrote."""
        refuse(_document_problems(data))
        return cls(
            tuple(
                ConvLayer(**{**layer, "inputs": tuple(layer["inputs"])}) for layer in data["layers"]
            )
        )


def _document_problems(data: dict[str, Any]) -> list[str]:
    problems = key_problems(data, ("layers",))
    layers = data.get("layers", [])
    if not isinstance(layers, list):
        problems.append(f"layers is a {type(layers).__name__}, expected a list")
        return problems
    if not layers and "layers" in data:
        problems.append("it has no layers; at least one is needed")
    for number, layer in enumerate(layers, 1):
        if not isinstance(layer, dict):
            problems.append(f"layer {number} is a {type(layer).__name__}, expected an object")
            continue
        problems += key_problems(layer, _FIELDS, f"layer {number}: ")
        known = {name: value for name, value in layer.items() if name in _FIELDS}
        if isinstance(known.get("inputs"), list):
            known["inputs"] = tuple(known["inputs"])
        found = _layer_problems(known)
        problems += [f"layer {number}: {problem}" for problem in found]
        if not any(problem.startswith("inputs") for problem in found):
            problems += _wiring_problems(number, known.get("inputs", (number - 1,)))
    return problems


def _layer_problems(values: dict[str, Any]) -> list[str]:
    problems = []
    for name in ("kernel_height", "kernel_width"):
        if name in values and not (is_count(values[name], 1) and values[name] % 2):
            problems.append(f"{name} is {values[name]!r}, expected an odd positive int")
    for name in ("filters", "stride"):
        if name in values and not is_count(values[name], 1):
            problems.append(f"{name} is {values[name]!r}, expected a positive int")
    if "pool" in values and values["pool"] not in POOLS:
        problems.append(f"pool is {values['pool']!r}, expected one of {', '.join(POOLS)}")
    inputs = values.get("inputs", ())
    if not isinstance(inputs, tuple) or not all(is_count(source, 0) for source in inputs):
        problems.append(f"inputs is {inputs!r}, expected whole numbers, 0 for the image")
    elif list(inputs) != sorted(set(inputs)):
        problems.append(f"inputs is {inputs!r}, expected ascending without repeats")
    return problems


def _wiring_problems(number: int, inputs: tuple[int, ...]) -> list[str]:
    if not inputs:
        return [f"layer {number}: inputs is empty, expected 0 (the image) or earlier layers"]
    late = [source for source in inputs if source >= number]
    if late:
        return [f"layer {number}: fed by layer {late[0]}, expected only 0 to {number - 1}"]
    return []
