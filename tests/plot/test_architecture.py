"""Drawings of architectures."""

from __future__ import annotations

import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch

from brainguided.architectures import MacroArchitecture, MacroLayer, NASBench201Architecture
from brainguided.plot import plot_architecture
from brainguided.plot.architecture import build_diagrams
from brainguided.plot.style import COLUMN
from brainguided.spaces import (
    enas_macro_space,
    enas_micro_space,
    kuhn2025_space,
    nasbench201_space,
    nasnet_space,
    pnas_space,
    recurrent_space,
    residual_space,
    small_space,
    zoph2017_space,
)

SPACES = {
    "small": small_space(10),
    "zoph2017": zoph2017_space(10, skips=True),
    "pnas": pnas_space(),
    "pnas 8": pnas_space(n_blocks=8),
    "nasnet": nasnet_space(),
    "enas micro": enas_micro_space(),
    "enas macro": enas_macro_space(),
    "nasbench201": nasbench201_space(),
    "residual": residual_space(),
    "kuhn2025": kuhn2025_space(),
    "recurrent": recurrent_space(),
}
every = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


def boxes(axes):
    found = [patch for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
    return [(b.get_x(), b.get_y(), b.get_width(), b.get_height()) for b in found]


@every
def test_boxes_never_overlap_and_lie_inside_the_axes(space):
    for seed in range(12):
        axes = plot_architecture(space.sample(seed), axes=Figure().add_subplot())
        placed = boxes(axes)
        left, right = axes.get_xlim()
        for k, (x, y, w, h) in enumerate(placed):
            assert left <= x
            assert x + w <= right
            assert axes.get_ylim()[0] <= y
            assert y + h <= 0
            for a, b, c, d in placed[k + 1 :]:
                assert x + w <= a or a + c <= x or y + h <= b or b + d <= y


@every
def test_text_stays_inside_its_box_at_the_size_of_the_figure(space):
    axes = plot_architecture(space.sample(1))
    figure = axes.figure
    figure.canvas.draw()
    inverse = axes.transData.inverted()
    placed = boxes(axes)
    inside = 0
    for text in axes.texts:
        extent = text.get_window_extent().transformed(inverse)
        x, y = text.get_position()
        for a, b, w, h in placed:
            if a <= x <= a + w and b <= y <= b + h:
                inside += 1
                assert a - 0.3 <= extent.x0
                assert extent.x1 <= a + w + 0.3
    assert inside == len(placed)
    pyplot.close(figure)


@every
def test_edges_go_down_between_nodes_that_are_there(space):
    for seed in range(10):
        for diagram in build_diagrams(space.sample(seed)):
            order = list(diagram.nodes)
            for start, end in diagram.edges:
                assert order.index(start) < order.index(end)


def test_a_cell_shows_every_operation_and_every_input():
    architecture = pnas_space().sample(3)
    (diagram,) = build_diagrams(architecture)
    for number, block in enumerate(architecture.normal, 2):
        assert (str(block.input1), f"{number}a") in diagram.edges
        assert (str(block.input2), f"{number}b") in diagram.edges
        assert block.operation1.split("_")[0] in diagram.nodes[f"{number}a"]
        assert block.operation2.rpartition("_")[2] in diagram.nodes[f"{number}b"]


def test_both_cells_of_a_pair_are_drawn_and_edges_of_none_are_not():
    assert len(build_diagrams(nasnet_space().sample(0))) == 2
    (diagram,) = build_diagrams(NASBench201Architecture.from_text("003001"))
    assert set(diagram.nodes) - {"0", "1", "2", "3"} == {"12", "23"}
    assert diagram.nodes["1"] == "node 1: zeros"


def test_a_cell_of_five_blocks_fits_a_column():
    for seed in range(8):
        figure = plot_architecture(pnas_space().sample(seed)).figure
        assert figure.get_size_inches()[0] == pytest.approx(COLUMN)
        pyplot.close(figure)


def test_steps_in_time_are_loops():
    architecture = recurrent_space(n_areas=2).sample(0)
    (diagram,) = build_diagrams(architecture)
    assert diagram.loops == {
        str(k): f"{a.times} steps" for k, a in enumerate(architecture.areas, 1) if a.times > 1
    }


def test_a_skip_from_the_layer_just_before_is_drawn_beside_the_chain():
    """It changes the network, so the drawing has to show it."""
    layers = (MacroLayer("conv_3x3"), MacroLayer("conv_3x3", (1,)), MacroLayer("avg_pool_3x3"))
    plain = MacroArchitecture((layers[0], MacroLayer("conv_3x3"), layers[2]))
    joined = MacroArchitecture(layers)
    assert build_diagrams(joined)[0].edges.count(("1", "2")) == 2
    drawn = [
        patch.get_path().vertices.tolist()
        for patch in plot_architecture(joined).patches
        if type(patch) is PathPatch
    ]
    assert len(drawn) == len({str(path) for path in drawn})
    assert len(drawn) == 1 + sum(type(p) is PathPatch for p in plot_architecture(plain).patches)
