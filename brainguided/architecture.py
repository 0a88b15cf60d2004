"""Architectures: one choice out of a search space, as frozen data and one line of JSON."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

POOLS = ("none", "max", "avg")
_FIELDS = ("filters", "inputs", "kernel_height", "kernel_width", "pool", "stride")
_LARGEST = 100_000  # beyond this a size is a typing error, not an architecture


@dataclass(frozen=True)
class ConvLayer:
    """Hold one convolutional layer: convolution, then an optional 2 x 2 pooling of stride 2.

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
        if problems:
            raise ValueError("Not a convolutional layer:" + _listed(problems))


@dataclass(frozen=True)
class Architecture:
    """Hold a feed-forward convolutional architecture: what was chosen, nothing of how it is built.

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
    >>> architecture = Architecture((ConvLayer(3, 3, 16), ConvLayer(5, 5, 32, stride=2)))
    >>> architecture.depth, architecture.layers[1].inputs, architecture.outputs
    (2, (1,), (2,))
    >>> Architecture.from_json(architecture.to_json()) == architecture
    True
    """

    layers: tuple[ConvLayer, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.layers, tuple) or not all(
            isinstance(layer, ConvLayer) for layer in self.layers
        ):
            raise ValueError("Architecture expects a tuple of ConvLayer: (layer, layer, ...).")
        layers = tuple(
            layer if layer.inputs else replace(layer, inputs=(number - 1,))
            for number, layer in enumerate(self.layers, 1)
        )
        problems = [] if layers else ["it has no layers; at least one is needed"]
        for number, layer in enumerate(layers, 1):
            problems += _wiring_problems(number, layer.inputs)
        if problems:
            raise ValueError("Not an architecture:" + _listed(problems))
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

    @property
    def key(self) -> str:
        """SHA-256 of the JSON in hexadecimal: equal for equal architectures only."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """Return the canonical JSON: one line, keys sorted, no spaces."""
        layers = [{name: getattr(layer, name) for name in _FIELDS} for layer in self.layers]
        return json.dumps(
            {"kind": "plain", "layers": layers}, sort_keys=True, separators=(",", ":")
        )

    @classmethod
    def from_json(cls, text: str) -> Architecture:
        """Read an architecture from its JSON, refusing whatever is not exactly one.

        Parameters
        ----------
        text : str
            As `to_json` writes it; spaces and the order of keys do not matter. Every key of a
            layer has to be there: a file says what was evaluated, not what a default is today.

        Raises
        ------
        ValueError
            Not JSON, unknown or missing keys, bad values; every problem is listed.
        """
        try:
            data = json.loads(text, object_pairs_hook=_refuse_repeated_keys)
        except (TypeError, ValueError) as error:
            raise ValueError(f"Not the JSON of an architecture: {error}.") from error
        problems = _document_problems(data)
        if problems:
            raise ValueError("Not the JSON of an architecture:" + _listed(problems))
        return cls(
            tuple(
                ConvLayer(**{**layer, "inputs": tuple(layer["inputs"])}) for layer in data["layers"]
            )
        )


def _refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"repeated key {', '.join(map(repr, repeated))}")
    return dict(pairs)


def _document_problems(data: Any) -> list[str]:
    if not isinstance(data, dict):
        return [f"it is a {type(data).__name__}, expected an object with 'kind' and 'layers'"]
    problems = _key_problems(data, ("kind", "layers"), "")
    if "kind" in data and data["kind"] != "plain":
        problems.append(f"kind is {data['kind']!r}, expected 'plain'")
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
        problems += _key_problems(layer, _FIELDS, f"layer {number}: ")
        known = {name: value for name, value in layer.items() if name in _FIELDS}
        if isinstance(known.get("inputs"), list):
            known["inputs"] = tuple(known["inputs"])
        found = _layer_problems(known)
        problems += [f"layer {number}: {problem}" for problem in found]
        if not any(problem.startswith("inputs") for problem in found):
            problems += _wiring_problems(number, known.get("inputs", (number - 1,)))
    return problems


def _key_problems(data: dict[str, Any], expected: tuple[str, ...], where: str) -> list[str]:
    unknown = sorted(set(data) - set(expected))
    missing = sorted(set(expected) - set(data))
    problems = []
    if unknown:
        names = ", ".join(map(repr, unknown))
        problems.append(f"{where}unknown key {names}; known: {', '.join(sorted(expected))}")
    if missing:
        problems.append(f"{where}missing key {', '.join(map(repr, missing))}")
    return problems


def _is_count(value: Any, smallest: int) -> bool:
    # bool is a subclass of int, and numpy integers would not survive the JSON
    return type(value) is int and smallest <= value <= _LARGEST


def _layer_problems(values: dict[str, Any]) -> list[str]:
    problems = []
    for name in ("kernel_height", "kernel_width"):
        if name in values and not (_is_count(values[name], 1) and values[name] % 2):
            problems.append(f"{name} is {values[name]!r}, expected an odd positive int")
    for name in ("filters", "stride"):
        if name in values and not _is_count(values[name], 1):
            problems.append(f"{name} is {values[name]!r}, expected a positive int")
    if "pool" in values and values["pool"] not in POOLS:
        problems.append(f"pool is {values['pool']!r}, expected one of {', '.join(POOLS)}")
    inputs = values.get("inputs", ())
    if not isinstance(inputs, tuple) or not all(_is_count(source, 0) for source in inputs):
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


def _listed(problems: list[str]) -> str:
    return "".join(f"\n  - {problem}" for problem in problems)
