"""Blueprints: the layers of a network as plain data, from which it is counted, built and exported.

Every kind of architecture says once how it is laid out, as a `Blueprint`. Parameters and
multiply-adds are counted on it, `network.build_network` makes torch modules of it, and the export
of a winner writes it down as a Python file; so the three cannot disagree about the wiring.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import prod


@dataclass(frozen=True)
class Conv:
    """Convolution without bias and with "same" padding; `groups=-1` makes one group per channel."""

    filters: int
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    groups: int = 1
    dilation: int = 1


@dataclass(frozen=True)
class Norm:
    """Batch normalisation with a scale and a shift for each channel."""


@dataclass(frozen=True)
class Relu:
    """Rectification; `alone` where nothing else reads its input, which may then be overwritten."""

    alone: bool = False


@dataclass(frozen=True)
class Pool:
    """Pooling, "same" padding for odd sizes, none for even; averages do not count the padding."""

    kind: str  # "max" or "avg"
    size: int
    stride: int


@dataclass(frozen=True)
class Shift:
    """Map moved up and to the left by a pixel, with zeros at the other ends."""


@dataclass(frozen=True)
class Zero:
    """Zero operation: a map of zeros."""


@dataclass(frozen=True)
class GlobalPool:
    """Mean of each channel over the map."""


@dataclass(frozen=True)
class Linear:
    """Linear readout with bias."""

    units: int


Step = Conv | Norm | Relu | Pool | Shift | Zero | GlobalPool | Linear


@dataclass(frozen=True)
class Node:
    """Module of a network: its inputs are merged, then its steps applied in order.

    Attributes
    ----------
    name : str
        Name of the torch module.
    inputs : tuple of str
        Names of earlier nodes, "image" for the input of the network.
    merge : {"add", "concat"}
        How several inputs become one; maps of different size are first brought to the smallest
        by average pooling.
    steps : tuple of pairs of str and Step
        With the names of the submodules; none for a node that only merges.
    shares : str
        The earlier node whose module, weights included, is used again; empty for none.
    in_channels, channels : int
        After the merge; of the output.
    """

    name: str
    inputs: tuple[str, ...]
    merge: str
    steps: tuple[tuple[str, Step], ...]
    shares: str
    in_channels: int
    channels: int


@dataclass(frozen=True)
class Blueprint:
    """Layers of a whole network, in the order of computation.

    Attributes
    ----------
    nodes : tuple of Node
        The last one is the classifier; each is needed for it or for what is observed.
    observed : tuple of str
        Nodes whose outputs are compared with the brain, by depth. They need not all feed the
        classifier, see `feeding`.
    in_channels : int
        Of the images.
    """

    nodes: tuple[Node, ...]
    observed: tuple[str, ...]
    in_channels: int = 3

    @property
    def n_parameters(self) -> int:
        """Number of trainable parameters."""
        return sum(
            sum(count for _, _, count in _walk(node)) for node in self.nodes if not node.shares
        )

    @property
    def feeding(self) -> tuple[str, ...]:
        """The observed layers whose outputs reach the classifier, by depth.

        The others get no gradient and stay as they were initialised, as cells that no later cell
        reads where every cell reads only the one before the previous.
        """
        needed = self._find_feeding()
        return tuple(name for name in self.observed if name in needed)

    @property
    def n_feeding_parameters(self) -> int:
        """Number of parameters that what reaches the classifier depends on: those trained."""
        needed = self._find_feeding()
        owners = {node.shares or node.name for node in self.nodes if node.name in needed}
        return sum(
            sum(count for _, _, count in _walk(node)) for node in self.nodes if node.name in owners
        )

    def _find_feeding(self) -> set[str]:
        """Return the nodes whose outputs reach the classifier, itself included."""
        needed = {self.nodes[-1].name}
        for node in reversed(self.nodes):
            # Nothing passes a map of zeros
            if node.name in needed and not any(isinstance(step, Zero) for _, step in node.steps):
                needed |= set(node.inputs)
        return needed

    def count_multiply_adds(self, image_size: int) -> int:
        """Return the multiply-adds of convolutions and of the classifier, for one image.

        Parameters
        ----------
        image_size : int
            Height and width in pixels.
        """
        sizes = {"image": (image_size, image_size)}
        total = 0
        for node in self.nodes:
            height = min(sizes[name][0] for name in node.inputs)
            width = min(sizes[name][1] for name in node.inputs)
            for step, _, weights in _walk(node):
                if isinstance(step, Conv):
                    height, width = -(-height // step.stride[0]), -(-width // step.stride[1])
                    total += weights * height * width
                elif isinstance(step, Pool):
                    height, width = -(-height // step.stride), -(-width // step.stride)
                elif isinstance(step, Linear):
                    total += weights - step.units
            sizes[node.name] = height, width
        return total


def _walk(node: Node) -> Iterable[tuple[Step, int, int]]:
    """Yield each step with the channels that enter it and its number of parameters."""
    channels = node.in_channels
    for _, step in node.steps:
        count = 0
        if isinstance(step, Conv):
            groups = channels if step.groups < 0 else step.groups
            count = step.filters * (channels // groups) * prod(step.kernel)
        elif isinstance(step, Norm):
            count = 2 * channels
        elif isinstance(step, Linear):
            count = step.units * (channels + 1)
        yield step, channels, count
        if isinstance(step, Conv):
            channels = step.filters
        elif isinstance(step, Linear):
            channels = step.units


@dataclass
class Draft:
    """Blueprint under construction, node by node; channels follow from the wiring.

    `scales` holds by how much each map is smaller than the image.
    """

    in_channels: int = 3
    nodes: dict[str, Node] = field(default_factory=dict)
    scales: dict[str, int] = field(default_factory=lambda: {"image": 1})

    def channels(self, name: str) -> int:
        """Return the number of channels of a node's output."""
        return self.in_channels if name == "image" else self.nodes[name].channels

    def add(
        self,
        name: str,
        inputs: str | Sequence[str],
        *steps: tuple[str, Step],
        merge: str = "concat",
        shares: str = "",
    ) -> str:
        """Add a node and return its name.

        Raises
        ------
        ValueError
            Maps of different numbers of channels are added, or a name comes twice.
        """
        inputs = (inputs,) if isinstance(inputs, str) else tuple(inputs)
        widths = [self.channels(source) for source in inputs]
        if merge == "add" and len(set(widths)) > 1:
            raise ValueError(f"{name} adds maps of {widths} channels; expected equal numbers.")
        if name in self.nodes:
            raise ValueError(f"There are two nodes '{name}'; expected different names.")
        in_channels = widths[0] if merge == "add" else sum(widths)
        channels, scale = in_channels, max(self.scales[source] for source in inputs)
        for _, step in steps:
            if isinstance(step, Conv):
                channels, scale = step.filters, scale * step.stride[1]
            elif isinstance(step, Pool):
                scale *= step.stride
            elif isinstance(step, Linear):
                channels = step.units
        self.nodes[name] = Node(name, inputs, merge, steps, shares, in_channels, channels)
        self.scales[name] = scale
        return name

    def finish(
        self, outputs: str | Sequence[str], n_classes: int, observed: Sequence[str]
    ) -> Blueprint:
        """Add the classifier on the outputs' means and leave out what it does not need."""
        outputs = (outputs,) if isinstance(outputs, str) else tuple(outputs)
        means = [self.add(f"{name}_mean", name, ("mean", GlobalPool())) for name in outputs]
        self.add("classifier", means, ("linear", Linear(n_classes)))
        needed = {"classifier", *observed}
        for name in reversed(self.nodes):
            if name in needed:
                node = self.nodes[name]
                needed |= {*node.inputs, node.shares}
        nodes = tuple(node for name, node in self.nodes.items() if name in needed)
        return Blueprint(nodes, tuple(observed), self.in_channels)
