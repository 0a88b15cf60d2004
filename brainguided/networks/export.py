"""Write a network down as a Python file that needs torch and nothing else, with its weights."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from brainguided.architectures.blueprint import (
    Blueprint,
    Conv,
    GlobalPool,
    Linear,
    Node,
    Norm,
    Pool,
    Relu,
    Shift,
    Step,
)
from brainguided.networks.build import BlueprintNetwork
from neural_data.errors import raise_problems
from neural_data.storage.aside import write_aside, write_whole

_HEAD = '''"""{about}

Needs torch alone. The weights lie beside this file:

    import {module}
    network = {module}.load()
    logits = network({module}.to_input(images))  # images (n, y, x, 3), uint8, {size} pixels a side
"""

from collections import OrderedDict
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

CLASSES = {classes}
LAYERS = {layers}
IMAGE_SIZE = {size}


def to_input(images):
    """Return uint8 images (n, y, x, 3) as the tensor that the network was trained on: -1 to 1."""
    x = torch.as_tensor(images).permute(0, 3, 1, 2).float()
    return x.div(127.5).sub(1.0).contiguous()


def load(path=None):
    """Return the trained network, ready to be evaluated."""
    network = Network()
    path = Path(__file__).with_suffix(".pt") if path is None else path
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.eval()


def _smallest(maps):
    """Bring maps to the size of the smallest by average pooling."""
    size = min(m.shape[2] for m in maps), min(m.shape[3] for m in maps)
    return [m if m.shape[2:] == size else functional.adaptive_avg_pool2d(m, size) for m in maps]


class Zeros(nn.Module):
    """A map of zeros of the size of the input."""

    def forward(self, x):
        return x * 0.0


def _chain(**modules):
    return nn.Sequential(OrderedDict(modules))


class Network(nn.Module):
    """The network, module by module; outputs of those in LAYERS were compared with the brain."""

    def __init__(self):
        super().__init__()
'''


def export_network(
    blueprint: Blueprint,
    weights: Mapping[str, torch.Tensor],
    path: str | os.PathLike[str],
    *,
    classes: Sequence[str],
    image_size: int,
    about: str = "A network found by an architecture search.",
) -> list[Path]:
    """Write a network as an importable Python file and its weights.

    Parameters
    ----------
    blueprint : Blueprint
        The layers of the network.
    weights : mapping of str to Tensor
        Its state dict.
    path : path
        The Python file, e.g. ``winner_network.py``; its stem has to be a Python name.
    classes : sequence of str
        Names of the outputs.
    image_size : int
        Height and width of the images it was trained on, pixels.
    about : str
        First line of the file's docstring.

    Returns
    -------
    list of Path
        The Python file, and beside it the weights, ending in .pt, which are loaded with
        ``weights_only=True``. The file offers ``load()``, ``Network``, ``to_input``, ``CLASSES``,
        ``LAYERS`` and ``IMAGE_SIZE``.

    Raises
    ------
    ValueError
        The weights are not those of the network, or the name cannot be imported.
    """
    path = Path(path)
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise ValueError(f"{path.name} cannot be imported; expected a name like 'winner.py'.")
    with torch.device("meta"):
        expected = BlueprintNetwork(blueprint).state_dict()
    _check_weights(expected, weights)
    text = _HEAD.format(
        about=_harmless(about),
        module=path.stem,
        size=int(image_size),
        classes=_say_tuple(classes),
        layers=_say_tuple(blueprint.observed),
    )
    text += "".join(_write_module(node) for node in blueprint.nodes if not node.shares)
    text += "\n    def forward(self, image):\n" + _write_forward(blueprint)
    weights_path = path.with_suffix(".pt")
    with write_aside(weights_path) as aside:
        torch.save({name: weights[name].detach().cpu().clone() for name in expected}, aside)
    return [write_whole(path, text), weights_path]


def _check_weights(
    expected: Mapping[str, torch.Tensor], weights: Mapping[str, torch.Tensor]
) -> None:
    problems = []
    for what, names in (
        ("missing", [n for n in expected if n not in weights]),
        ("unexpected", [n for n in weights if n not in expected]),
        (
            "of another shape",
            [n for n in expected if n in weights and expected[n].shape != weights[n].shape],
        ),
    ):
        if names:
            problems.append(f"{len(names)} {what}: {', '.join(names[:3])}")
    raise_problems("The weights are not those of the network", problems, ValueError)


def _harmless(text: str) -> str:
    """Return one line that cannot end a docstring."""
    line = " ".join(text.split()).encode("ascii", "replace").decode()
    return line.replace("\\", "/").replace('"', "'").replace("{", "(").replace("}", ")")


def _say_tuple(names: Sequence[str]) -> str:
    # JSON quotes whatever a class is called, in ASCII
    lines = "".join(f"    {json.dumps(str(name))},\n" for name in names)
    return f"(\n{lines})"


def _write_module(node: Node) -> str:
    channels, parts = node.in_channels, []
    for name, step in node.steps:
        parts.append((name, _write_step(step, channels)))
        if isinstance(step, Conv):
            channels = step.filters
    if not parts:
        return f"        self.{node.name} = nn.Identity()\n"
    if len(parts) == 1:
        return f"        self.{node.name} = {parts[0][1]}\n"
    lines = "".join(f"            {name}={text},\n" for name, text in parts)
    return f"        self.{node.name} = _chain(\n{lines}        )\n"


def _write_step(step: Step, channels: int) -> str:
    if isinstance(step, Conv):
        said: dict[str, Any] = {}
        padding = tuple(step.dilation * (k // 2) for k in step.kernel)
        if step.stride != (1, 1):
            said["stride"] = step.stride
        if padding != (0, 0):
            said["padding"] = padding
        if step.dilation > 1:
            said["dilation"] = step.dilation
        if step.groups != 1:
            said["groups"] = channels if step.groups < 0 else step.groups
        rest = "".join(f", {name}={value}" for name, value in said.items())
        return f"nn.Conv2d({channels}, {step.filters}, {step.kernel}{rest}, bias=False)"
    if isinstance(step, Norm):
        return f"nn.BatchNorm2d({channels})"
    if isinstance(step, Relu):
        return f"nn.ReLU(inplace={step.alone})"
    if isinstance(step, Pool):
        padding_of = step.size // 2 if step.size % 2 else 0
        size = f"{step.size}, {step.stride}, {padding_of}, ceil_mode={padding_of == 0}"
        if step.kind == "max":
            return f"nn.MaxPool2d({size})"
        return f"nn.AvgPool2d({size}, count_include_pad=False)"
    if isinstance(step, GlobalPool):
        return "nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())"
    if isinstance(step, Linear):
        return f"nn.Linear({channels}, {step.units})"
    if isinstance(step, Shift):
        return "nn.ZeroPad2d((-1, 1, -1, 1))"
    return "Zeros()"


def _write_forward(blueprint: Blueprint) -> str:
    lines = []
    flat = {n.name for n in blueprint.nodes if any(isinstance(s, GlobalPool) for _, s in n.steps)}
    for node in blueprint.nodes:
        inputs = ", ".join(node.inputs)
        if len(node.inputs) == 1:
            merged = inputs
        else:
            maps = f"[{inputs}]" if set(node.inputs) <= flat else f"_smallest([{inputs}])"
            merged = f"torch.cat({maps}, 1)" if node.merge == "concat" else f"sum({maps})"
            lines.append(f"x = {merged}")
            merged = "x"
        lines.append(f"{node.name} = self.{node.shares or node.name}({merged})")
    lines.append(f"return {blueprint.nodes[-1].name}")
    return "".join(f"        {line}\n" for line in lines)
