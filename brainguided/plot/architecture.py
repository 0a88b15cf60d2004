"""The drawing of an architecture: its cell, or its layers, as a graph."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path

from brainguided.architectures import (
    Architecture,
    Block,
    CellArchitecture,
    MacroArchitecture,
    NASBench201Architecture,
    PlainArchitecture,
    RecurrentArchitecture,
    ResidualArchitecture,
    SequenceArchitecture,
)
from brainguided.architectures.block import unused_blocks
from brainguided.architectures.nasbench201 import EDGES
from brainguided.plot._layout import Layout, place_nodes
from brainguided.plot.style import COLUMN, LABEL, PAGE, TICK, new_figure

_LETTER = 1.25  # width of a letter of the smallest text, mm
_LINE = 2.5  # height of a line of it, mm
_PAD = 1.0
_BESIDE = 4.0  # between two edges that join the same nodes, mm
_RISE = 4.2  # between two ranks, mm
_FILL = {
    "conv": "#CFE4F3",
    "sep": "#D3EEE4",
    "dil": "#D3EEE4",
    "nor": "#CFE4F3",
    "avg": "#FBE3C0",
    "max": "#FBE3C0",
    "identity": "#EEEEEE",
    "skip": "#EEEEEE",
}


@dataclass
class Diagram:
    """Diagram to draw: labelled nodes in topological order, and edges.

    Attributes
    ----------
    title : str
    nodes : dict of str to str
        Labels, lines separated by newlines.
    edges : list of (str, str)
    loops : dict of str to str
        Labels of loops from a node to itself.
    """

    title: str
    nodes: dict[str, str] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    loops: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Box:
    """Box of a drawing.

    Attributes
    ----------
    x, y : float
        Its centre; mm.
    width, height : float
        mm.
    label : str
        Lines separated by newlines.
    """

    x: float
    y: float
    width: float
    height: float
    label: str

    @property
    def colour(self) -> str:
        """Colour of its kind of operation."""
        text = self.label.split(": ")[-1]
        return next((colour for kind, colour in _FILL.items() if text.startswith(kind)), "white")


@dataclass
class Outline:
    """Drawing of an architecture as numbers.

    Attributes
    ----------
    width, height : float
        Of all of it; mm. x is 0 in the middle; y is 0 at the top, and -height at the bottom.
    titles : list of (float, float, str)
        Centre and text.
    boxes : list of Box
    edges : list of list of (float, float)
        Points that a curve joins, all of which it passes vertically; it ends in an arrow.
    loops : list of (Box, str)
        Boxes that feed themselves, and what their loop is called.
    """

    width: float
    height: float = 0.0
    titles: list[tuple[float, float, str]] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    edges: list[list[tuple[float, float]]] = field(default_factory=list)
    loops: list[tuple[Box, str]] = field(default_factory=list)


def plot_architecture(architecture: Architecture, *, axes: Axes | None = None) -> Axes:
    """Draw an architecture: a cell as the graph of its operations, other kinds layer by layer.

    Parameters
    ----------
    architecture : Architecture
        Of any kind.
    axes : Axes, optional
        Lengths are mm; by default a figure of one column, or of two where that is too narrow.

    Returns
    -------
    Axes
        Of the figure drawn.
    """
    outline = outline_architecture(architecture)
    width, total = outline.width, outline.height
    if axes is None:
        page = (COLUMN if width <= COLUMN * 25.4 - 2 else PAGE) * 25.4
        shrink = min(1.0, (page - 2) / width)
        figure = new_figure(page / 25.4, max(total * shrink / 25.4, 0.6))
        figure.set_layout_engine("none")
        axes = figure.add_axes((0, 0, 1, 1))
        half = page / shrink / 2
    else:
        half = width / 2 + 1
    axes.set_xlim(-half, half)
    axes.set_ylim(-total, 0)
    axes.set_aspect("equal", adjustable="box", anchor="N")
    axes.set_axis_off()
    _draw(axes, outline)
    return axes


def outline_architecture(architecture: Architecture) -> Outline:
    """Return where everything stands in the drawing of an architecture.

    Parameters
    ----------
    architecture : Architecture
        Of any kind.

    Returns
    -------
    Outline
        What `plot_architecture` draws, for those who draw it by other means.
    """
    diagrams = build_diagrams(architecture)
    layouts = [_lay_out(diagram) for diagram in diagrams]
    loops = max((len(t) for d in diagrams for t in d.loops.values()), default=0)
    width = max(layout.width for layout in layouts) + 2 * (loops * _LETTER + 4 if loops else 0)
    outline = Outline(width)
    for diagram, layout in zip(diagrams, layouts, strict=True):
        _outline(outline, diagram, layout)
    return outline


def build_diagrams(architecture: Architecture) -> list[Diagram]:
    """Return what `plot_architecture` draws: one diagram, or one for each cell."""
    if isinstance(architecture, CellArchitecture):
        stacked = f"N = {architecture.n_cells}, F = {architecture.filters}"
        if not architecture.reduction:
            return [_cell_diagram(f"cell ({stacked})", architecture.normal)]
        return [
            _cell_diagram(f"normal cell ({stacked})", architecture.normal),
            _cell_diagram("reduction cell", architecture.reduction),
        ]
    if isinstance(architecture, NASBench201Architecture):
        return [_nasbench_diagram(architecture)]
    if isinstance(architecture, PlainArchitecture):
        return [_plain_diagram(architecture)]
    if isinstance(architecture, MacroArchitecture):
        return [_macro_diagram(architecture)]
    if isinstance(architecture, SequenceArchitecture):
        labels = [
            f"{k}: {s.kernel}x{s.kernel}, "
            + (f"{s.filters} filters" if s.filters else f"{s.operation} pool")
            for k, s in enumerate(architecture.layers, 1)
        ]
        return [_chain(Diagram(f"{architecture.depth} layers"), labels)]
    if isinstance(architecture, ResidualArchitecture):
        diagram = Diagram(f"residual network ({architecture.block} blocks)")
        labels = [
            f"stage {k}: {s.depth} block{'s' * (s.depth > 1)}, "
            f"{s.kernel}x{s.kernel}, {s.width} filters"
            for k, s in enumerate(architecture.stages, 1)
        ]
        return [_chain(diagram, labels)]
    assert isinstance(architecture, RecurrentArchitecture)
    diagram = Diagram("recurrent network")
    labels = [
        f"area {k}: {a.recurrence}\n{a.kernel}x{a.kernel}, {a.width} channels"
        for k, a in enumerate(architecture.areas, 1)
    ]
    _chain(diagram, labels)
    diagram.loops = {
        f"{k}": f"{a.times} steps" for k, a in enumerate(architecture.areas, 1) if a.times > 1
    }
    return [diagram]


def _cell_diagram(title: str, blocks: tuple[Block, ...]) -> Diagram:
    diagram = Diagram(title, {"0": "cell before\nthe previous", "1": "previous\ncell"})
    for number, block in enumerate(blocks, 2):
        for half, source, operation in (
            ("a", block.input1, block.operation1),
            ("b", block.input2, block.operation2),
        ):
            diagram.nodes[f"{number}{half}"] = _say_operation(operation)
            diagram.edges += [(str(source), f"{number}{half}"), (f"{number}{half}", str(number))]
        diagram.nodes[str(number)] = "add" if block.combine == "add" else "concat"
    used = {source for source, _ in diagram.edges}
    for name in ("0", "1"):
        if name not in used:
            del diagram.nodes[name]
    diagram.nodes["out"] = "output: concat" if len(unused_blocks(blocks)) > 1 else "output"
    diagram.edges += [(str(k + 2), "out") for k in unused_blocks(blocks)]
    return diagram


def _nasbench_diagram(architecture: NASBench201Architecture) -> Diagram:
    title = f"NAS-Bench-201 cell (N = {architecture.n_cells}, F = {architecture.filters})"
    diagram = Diagram(title, {"0": "input"})
    for target in (1, 2, 3):
        for (source, end), operation in zip(EDGES, architecture.operations, strict=True):
            if end == target and operation != "none":
                own = f"{source}{end}"
                diagram.nodes[own] = _say_operation(operation)
                diagram.edges += [(str(source), own), (own, str(end))]
        label = "output" if target == 3 else f"node {target}"
        fed = any(end == str(target) for _, end in diagram.edges)
        diagram.nodes[str(target)] = label if fed else f"{label}: zeros"
    return diagram


def _plain_diagram(architecture: PlainArchitecture) -> Diagram:
    diagram = Diagram(f"{architecture.depth} layers", {"0": "image"})
    for number, layer in enumerate(architecture.layers, 1):
        text = f"{number}: {layer.kernel_height}x{layer.kernel_width}, {layer.filters} filters"
        text += f", stride {layer.stride}" if layer.stride > 1 else ""
        text += f", {layer.pool} pool" if layer.pool != "none" else ""
        diagram.nodes[str(number)] = text
        diagram.edges += [(str(source), str(number)) for source in layer.inputs]
    diagram.nodes["out"] = "classifier"
    diagram.edges += [(str(number), "out") for number in architecture.outputs]
    return diagram


def _macro_diagram(architecture: MacroArchitecture) -> Diagram:
    title = f"{len(architecture.layers)} layers of {architecture.filters} filters"
    diagram = _chain(
        Diagram(title),
        [
            f"{k}: {_say_operation(layer.operation)}".replace("\n", " ")
            for k, layer in enumerate(architecture.layers, 1)
        ],
    )
    for number, layer in enumerate(architecture.layers, 1):
        # One from the layer just before is an edge beside that of the chain: it adds the input
        # of the operation to its output
        diagram.edges += [(str(skip), str(number)) for skip in layer.skips]
    return diagram


def _chain(diagram: Diagram, labels: list[str]) -> Diagram:
    names = [str(number) for number in range(len(labels) + 1)] + ["out"]
    diagram.nodes = dict(zip(names, ["image", *labels, "classifier"], strict=True))
    diagram.edges = list(itertools.pairwise(names))
    return diagram


def _say_operation(operation: str) -> str:
    """Return an operation in two short lines, e.g. sep conv, 3x3."""
    if operation in ("identity", "skip_connect"):
        return "identity" if operation == "identity" else "skip"
    kind, _, size = operation.rpartition("_")
    if operation in ("conv_1x3_3x1", "conv_1x7_7x1"):
        return f"conv\n{kind[-3:]}, {size}"
    kind = {"nor_conv": "conv"}.get(kind, kind.replace("_", " "))
    return f"{kind}\n{size}"


def _box(label: str) -> tuple[float, float]:
    lines = label.split("\n")
    return max(map(len, lines)) * _LETTER + 2 * _PAD, len(lines) * _LINE + _PAD


def _lay_out(diagram: Diagram) -> Layout:
    return place_nodes({n: _box(t)[0] for n, t in diagram.nodes.items()}, diagram.edges)


def _rank_places(diagram: Diagram, layout: Layout) -> tuple[list[float], list[float]]:
    """Return the height of every rank and how far below the title its middle is, mm."""
    heights = [0.0] * (max(layout.rank.values()) + 1)
    for name, label in diagram.nodes.items():
        heights[layout.rank[name]] = max(heights[layout.rank[name]], _box(label)[1])
    places, below = [], 6.0
    for height in heights:
        places.append(below + height / 2)
        below += height + _RISE
    return heights, places


def _outline(outline: Outline, diagram: Diagram, layout: Layout) -> None:
    """Add a diagram below what there is."""
    top = -outline.height
    heights, places = _rank_places(diagram, layout)
    outline.titles.append((0.0, top - 2.8, diagram.title))
    drawn: set[tuple[str, str]] = set()
    for (start, end), route in zip(diagram.edges, layout.routes, strict=True):
        tall = _box(diagram.nodes[start])[1], _box(diagram.nodes[end])[1]
        points = []
        for k, (x, rank) in enumerate(route):
            middle = top - places[rank]
            if k == 0:
                points.append((x, middle - tall[0] / 2))
            elif k == len(route) - 1:
                points.append((x, middle + tall[1] / 2))
            else:  # straight through the rank it passes
                points += [(x, middle + heights[rank] / 2), (x, middle - heights[rank] / 2)]
        if (start, end) in drawn:  # side by side with the first
            points = [(x + _BESIDE, y) for x, y in points]
        drawn.add((start, end))
        outline.edges.append(points)
    for name, label in diagram.nodes.items():
        width, height = _box(label)
        box = Box(layout.x[name], top - places[layout.rank[name]], width, height, label)
        outline.boxes.append(box)
        if name in diagram.loops:
            outline.loops.append((box, diagram.loops[name]))
    outline.height += places[-1] + heights[-1] / 2 + 2.5


def _draw(axes: Axes, outline: Outline) -> None:
    for x, y, title in outline.titles:
        axes.text(x, y, title, ha="center", va="center", fontsize=LABEL)
    for points in outline.edges:
        axes.add_patch(_smooth(points))
        arrow = np.array([[-0.7, 1.3], [0.7, 1.3], [0, 0]]) + points[-1]
        axes.fill(arrow[:, 0], arrow[:, 1], color="#555555", linewidth=0, zorder=2)
    for box in outline.boxes:
        axes.add_patch(
            FancyBboxPatch(
                (box.x - box.width / 2, box.y - box.height / 2),
                box.width,
                box.height,
                boxstyle="round,pad=0,rounding_size=0.8",
                facecolor=box.colour,
                edgecolor="#444444",
                linewidth=0.5,
                zorder=3,
            )
        )
        axes.text(
            box.x, box.y, box.label, ha="center", va="center", fontsize=TICK, linespacing=1.05,
            zorder=4,
        )  # fmt: skip
    for box, text in outline.loops:
        right, size = box.x + box.width / 2, box.height * 0.3
        loop = [(right, box.y + size), (right + 3.5, box.y + size), (right + 3.5, box.y - size)]
        codes = [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
        path = Path([*loop, (right, box.y - size)], codes)
        axes.add_patch(
            PathPatch(path, facecolor="none", edgecolor="#555555", linewidth=0.6, zorder=2)
        )
        axes.text(right + 3.4, box.y, text, ha="left", va="center", fontsize=TICK)


def _smooth(points: list[tuple[float, float]]) -> PathPatch:
    """Return a line that leaves and reaches every point vertically."""
    vertices, codes = [points[0]], [Path.MOVETO]
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        bend = (y0 + y1) / 2
        vertices += [(x0, bend), (x1, bend), (x1, y1)]
        codes += [Path.CURVE4] * 3
    return PathPatch(
        Path(vertices, codes), facecolor="none", edgecolor="#555555", linewidth=0.6, zorder=1
    )
