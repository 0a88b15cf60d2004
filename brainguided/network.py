"""Build the torch network that an architecture describes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from brainguided.architecture import Architecture, ConvLayer


class ConvUnit(nn.Module):
    """One layer of the plain space: convolution, batch norm, ReLU, optional 2 x 2 pooling."""

    def __init__(self, layer: ConvLayer, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels,
            layer.filters,
            (layer.kernel_height, layer.kernel_width),
            stride=layer.stride,
            padding=(layer.kernel_height // 2, layer.kernel_width // 2),
            bias=False,
        )
        self.norm = nn.BatchNorm2d(layer.filters)
        self.pool = layer.pool

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.norm(self.conv(x)), inplace=True)
        if self.pool == "max":
            return functional.max_pool2d(x, 2, ceil_mode=True)
        if self.pool == "avg":
            return functional.avg_pool2d(x, 2, ceil_mode=True)
        return x


class PlainNetwork(nn.Module):
    """A convolutional network of the plain space; its layers are ``layer1`` ... ``layerN``.

    Inputs of a layer are concatenated along channels. Maps of different size are brought to the
    smallest of them by average pooling (where Zoph & Le pad with zeros: a choice of ours, since
    padding would lay maps of different scale over each other).
    """

    def __init__(self, architecture: Architecture, n_classes: int, in_channels: int = 3) -> None:
        super().__init__()
        channels = [in_channels]
        used: set[int] = set()
        self.inputs: list[tuple[int, ...]] = []
        for k, layer in enumerate(architecture.layers, start=1):
            inputs = layer.inputs or (k - 1,)
            self.inputs.append(inputs)
            used.update(inputs)
            self.add_module(f"layer{k}", ConvUnit(layer, sum(channels[i] for i in inputs)))
            channels.append(layer.filters)
        self.outputs = tuple(k for k in range(1, len(channels)) if k not in used)
        self.observed_layers = tuple(f"layer{k}" for k in range(1, len(channels)))
        self.classifier = nn.Linear(sum(channels[k] for k in self.outputs), n_classes)

    def forward(self, x: Tensor) -> Tensor:
        last_use = {i: k for k, inputs in enumerate(self.inputs) for i in inputs}
        maps: dict[int, Tensor] = {0: x}
        for k, inputs in enumerate(self.inputs):
            maps[k + 1] = getattr(self, f"layer{k + 1}")(_concatenate([maps[i] for i in inputs]))
            for done in [i for i in maps if last_use.get(i) == k]:
                del maps[done]
        pooled = [maps[k].mean((2, 3)) for k in self.outputs]
        return self.classifier(torch.cat(pooled, 1))


def _concatenate(maps: list[Tensor]) -> Tensor:
    if len(maps) == 1:
        return maps[0]
    size = (min(m.shape[2] for m in maps), min(m.shape[3] for m in maps))
    return torch.cat(
        [m if m.shape[2:] == size else functional.adaptive_avg_pool2d(m, size) for m in maps], 1
    )


def build_network(architecture: Architecture, *, n_classes: int, seed: int) -> PlainNetwork:
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
        network = PlainNetwork(architecture, n_classes)
    network = network.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(
                module.weight, mode="fan_out", nonlinearity="relu", generator=generator
            )
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
    nn.init.normal_(network.classifier.weight, std=0.01, generator=generator)
    nn.init.zeros_(network.classifier.bias)
    return network


def count_parameters(network: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
