"""Build the torch network that an architecture describes."""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

from brainguided.architectures import Architecture
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
    Zero,
)


class BlueprintNetwork(nn.Module):
    """A network built from a blueprint: one torch module for each node, of the same name.

    Inputs of a module are added or concatenated along channels. Maps of different size are
    brought to the smallest of them by average pooling (where Zoph & Le pad with zeros: a choice
    of ours, since padding would lay maps of different scale over each other).

    Attributes
    ----------
    observed_layers : tuple of str
        Modules whose outputs are compared with the brain, by depth.
    """

    def __init__(self, blueprint: Blueprint) -> None:
        super().__init__()
        self.observed_layers = blueprint.observed
        self._plan: list[tuple[str, str, tuple[str, ...], str, tuple[str, ...]]] = []
        last_use = {name: node.name for node in blueprint.nodes for name in node.inputs}
        for node in blueprint.nodes:
            if not node.shares:
                self.add_module(node.name, _build_node(node))
            done = tuple(name for name in dict.fromkeys(node.inputs) if last_use[name] == node.name)
            self._plan.append((node.name, node.shares or node.name, node.inputs, node.merge, done))

    def forward(self, x: Tensor) -> Tensor:
        """Return the output for images (image, channel, y, x)."""
        maps: dict[str, Tensor] = {"image": x}
        for name, module, inputs, merge, done in self._plan:
            x = _merge([maps[source] for source in inputs], merge)
            for source in done:  # frees the map before the next is made
                del maps[source]
            x = self._modules[module](x)  # type: ignore[misc]
            maps[name] = x
        return x


def _merge(maps: list[Tensor], how: str) -> Tensor:
    if len(maps) == 1:
        return maps[0]
    if maps[0].ndim == 4 and any(m.shape[2:] != maps[0].shape[2:] for m in maps):
        size = (min(m.shape[2] for m in maps), min(m.shape[3] for m in maps))
        maps = [m if m.shape[2:] == size else functional.adaptive_avg_pool2d(m, size) for m in maps]
    if how == "concat":
        return torch.cat(maps, 1)
    total = maps[0] + maps[1]
    for m in maps[2:]:
        total = total + m
    return total


def _build_node(node: Node) -> nn.Module:
    modules = OrderedDict()
    channels = node.in_channels
    for name, step in node.steps:
        modules[name] = _build_step(step, channels)
        if isinstance(step, Conv):
            channels = step.filters
    if not modules:
        return nn.Identity()
    return next(iter(modules.values())) if len(modules) == 1 else nn.Sequential(modules)


class ZeroMap(nn.Module):
    """A map of zeros of the size of the input."""

    def forward(self, x: Tensor) -> Tensor:
        """Return zeros."""
        return x * 0.0


def _build_step(step: Step, channels: int) -> nn.Module:
    if isinstance(step, Conv):
        return nn.Conv2d(
            channels,
            step.filters,
            step.kernel,
            stride=step.stride,
            padding=tuple(step.dilation * (k // 2) for k in step.kernel),  # type: ignore[arg-type]
            dilation=step.dilation,
            groups=channels if step.groups < 0 else step.groups,
            bias=False,
        )
    if isinstance(step, Norm):
        return nn.BatchNorm2d(channels)
    if isinstance(step, Relu):
        return nn.ReLU(inplace=step.alone)
    if isinstance(step, Pool):
        padding = step.size // 2 if step.size % 2 else 0
        if step.kind == "max":
            return nn.MaxPool2d(step.size, step.stride, padding, ceil_mode=padding == 0)
        return nn.AvgPool2d(
            step.size, step.stride, padding, ceil_mode=padding == 0, count_include_pad=False
        )
    if isinstance(step, GlobalPool):
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    if isinstance(step, Linear):
        return nn.Linear(channels, step.units)
    if isinstance(step, Shift):
        return nn.ZeroPad2d((-1, 1, -1, 1))
    assert isinstance(step, Zero)
    return ZeroMap()


def build_network(architecture: Architecture, *, n_classes: int, seed: int) -> BlueprintNetwork:
    """Build the network of an architecture with random weights.

    Convolutions start from He's normal distribution, batch norms as the identity. The input may
    have any size; the state of torch's global generator is left as it was.

    Parameters
    ----------
    architecture : Architecture
        What to build.
    n_classes : int
        Number of outputs of the classifier.
    seed : int
        Seed of the initial weights.

    Returns
    -------
    torch.nn.Module
        In training mode, float32, on the CPU. Its ``observed_layers`` name the layers that are
        compared with the brain. Memory layout is torch's default: channels-last weights corrupt
        memory in the backward pass of torch 2.13's CPU convolutions on some small shapes.
    """
    with torch.device("meta"):  # torch's own initialisation would draw from the global generator
        network = BlueprintNetwork(architecture.to_blueprint(n_classes))
    network = network.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            fan = math.prod(module.kernel_size) * module.out_channels // module.groups
            nn.init.normal_(module.weight, std=math.sqrt(2 / fan), generator=generator)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01, generator=generator)
            nn.init.zeros_(module.bias)
    return network


def count_parameters(network: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
