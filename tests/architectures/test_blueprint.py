"""Blueprints: what is counted on them is what torch builds from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from brainguided.architectures import (
    Block,
    CellArchitecture,
    NASBench201Architecture,
    RecurrentArchitecture,
    RecurrentArea,
    ResidualArchitecture,
    Stage,
)
from brainguided.architectures.blueprint import Conv, Draft
from brainguided.networks.build import build_network, count_parameters
from brainguided.networks.hooks import observe_layers
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
    "zoph2017": zoph2017_space(6, skips=True, strides=(1, 2, 3)),
    "pnas": pnas_space(filters=4, n_cells=1),
    "nasnet": nasnet_space(filters=4, n_cells=1, stem="imagenet", stem_cells=2),
    "pnas published": pnas_space(filters=4, n_cells=1, stack="published"),
    "nasnet published": nasnet_space(filters=4, n_cells=1, stack="published"),
    "enas micro": enas_micro_space(filters=4, n_cells=1),
    "enas macro": enas_macro_space(filters=4),
    "nasbench201": nasbench201_space(n_cells=1, filters=4),
    "residual": residual_space(widths=(4, 8)),
    "kuhn2025": kuhn2025_space(4, filters=(4, 8)),
    "recurrent": recurrent_space(widths=(4, 8)),
}
every = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


def count_with_hooks(network, size):
    """Return multiply-adds by watching a forward pass."""
    counts = []

    def count(module, inputs, output):
        if isinstance(module, nn.Conv2d | nn.Linear):
            counts.append(module.weight.numel() * output[0].numel() // output.shape[1])

    handles = [module.register_forward_hook(count) for module in network.modules()]
    network.eval()(torch.zeros(1, 3, size, size))
    for handle in handles:
        handle.remove()
    return sum(counts)


def feeds_the_classifier(architecture):
    """Return the nodes that the classifier needs; a cell that no later one reads is not."""
    needed = {"classifier"}
    for node in reversed(architecture.to_blueprint(5).nodes):
        if node.name in needed:
            needed |= {*node.inputs, node.shares}
    return needed


def check(space, seed, sizes):
    architecture = space.sample(seed)
    network = build_network(architecture, n_classes=5, seed=seed)
    assert architecture.count_parameters(5) == count_parameters(network)
    for size in sizes:
        with torch.no_grad():
            assert architecture.count_multiply_adds(size, 5) == count_with_hooks(network, size)
        met = {}
        with observe_layers(
            network,
            network.observed_layers,
            lambda n, x, met=met: met.setdefault(n, x.shape),
            n_stimuli=2,
        ):
            network(torch.zeros(2, 3, size, size))
        assert tuple(met) == network.observed_layers
        network.train()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
        generator = torch.Generator().manual_seed(seed)
        for _ in range(2):
            x = torch.randn(4, 3, size, size, generator=generator)
            loss = nn.functional.cross_entropy(network(x), torch.tensor([0, 1, 2, 3]))
            optimizer.zero_grad()
            loss.backward()
            assert torch.isfinite(loss)
            idle = {n.split(".")[0] for n, p in network.named_parameters() if p.grad is None}
            assert not idle & feeds_the_classifier(architecture)
            optimizer.step()


@every
def test_counts_are_those_of_torch_and_networks_train_and_show_their_layers(space):
    for seed in range(3):
        check(space, seed, (32,))


@every
def test_odd_and_tiny_images_are_taken_and_counted(space):
    architecture = space.sample(7)
    network = build_network(architecture, n_classes=5, seed=0)
    for size in (7, 33):
        assert architecture.count_multiply_adds(size, 5) == count_with_hooks(network, size)


@pytest.mark.slow
@every
def test_two_hundred_random_networks_train_at_32_and_64_pixels(space):
    for seed in range(200):
        check(space, seed, (32, 64))


def test_a_residual_network_has_the_parameters_of_the_formula():
    architecture = ResidualArchitecture((Stage(1, 8), Stage(1, 16)))
    stem = 3 * 8 * 9 + 16
    first = 2 * (8 * 8 * 9 + 16)
    second = (8 * 16 * 9 + 32) + (16 * 16 * 9 + 32) + (8 * 16 + 32)
    assert architecture.count_parameters(10) == stem + first + second + 16 * 10 + 10
    adds = 32**2 * (3 * 8 * 9 + 2 * 8 * 8 * 9) + 16**2 * (8 * 16 * 9 + 16 * 16 * 9 + 8 * 16)
    assert architecture.count_multiply_adds(32, 10) == adds + 160


def test_a_cell_of_one_block_has_the_layers_of_the_paper():
    block = Block(0, "identity", 1, "sep_conv_5x5")
    network = build_network(CellArchitecture((block,), (), 1, 8), n_classes=10, seed=0)
    assert network.observed_layers == tuple(f"cell{k}" for k in range(1, 6))  # N, 2, N, 2, N
    separable = 2 * (8 * 25 + 8 * 8 + 16)
    assert count_parameters(network.cell1_block1_2) == separable
    assert isinstance(network.cell1_block1_1, nn.Identity)
    assert network.cell2_block1_2.depthwise1.stride == (2, 2)
    assert network.cell2_block1_2.depthwise1.in_channels == 16
    x = torch.zeros(2, 3, 32, 32)
    shapes = {}
    names = network.observed_layers
    with observe_layers(network, names, lambda n, x: shapes.update({n: x.shape[1:]}), n_stimuli=2):
        network(x)
    assert [tuple(shape) for shape in shapes.values()] == [
        (8, 32, 32), (16, 16, 16), (16, 16, 16), (32, 8, 8), (32, 8, 8),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["pnas", "enas micro"])
def test_a_cell_of_stride_two_halves_the_map_once_whatever_its_wiring(name):
    for seed in range(6):
        network = build_network(SPACES[name].sample(seed), n_classes=5, seed=0)
        sides = []
        with observe_layers(
            network,
            network.observed_layers,
            lambda n, x, sides=sides: sides.append(x.shape[-1]),
            n_stimuli=1,
        ):
            network(torch.zeros(1, 3, 32, 32))
        assert sorted(sides, reverse=True) == [32, 16, 16, 8, 8]


def test_pnas_networks_of_two_repeats_show_eight_cells():
    architecture = pnas_space(filters=4).sample(0)
    assert len(architecture.to_blueprint(10).observed) == 8
    with_stem = pnas_space(filters=4, stem="imagenet", stem_cells=2).sample(0)
    assert len(with_stem.to_blueprint(10).observed) == 10


def test_what_feeds_nothing_is_left_out():
    block = Block(1, "identity", 1, "identity")  # the cell before the previous is not read
    names = [node.name for node in CellArchitecture((block,), (), 1, 4).to_blueprint(10).nodes]
    assert not [name for name in names if name.endswith("_input0")]


def test_weights_of_a_recurrent_area_are_shared_over_time_and_norms_are_not():
    counts = {}
    for kind in ("additive", "bottleneck"):
        for times in (1, 3):
            area = RecurrentArea(8, 3, times, kind)
            architecture = RecurrentArchitecture((area,))
            network = build_network(architecture, n_classes=2, seed=0)
            assert architecture.count_parameters(2) == count_parameters(network)
            counts[kind, times] = count_parameters(network)
    assert counts["additive", 3] - counts["additive", 1] == 2 * 2 * 8
    assert counts["bottleneck", 3] - counts["bottleneck", 1] == 2 * 2 * (32 + 32 + 8)
    more = RecurrentArchitecture((RecurrentArea(8, 3, 3),)).count_multiply_adds(32, 2)
    assert more > 2 * RecurrentArchitecture((RecurrentArea(8, 3, 1),)).count_multiply_adds(32, 2)


def test_a_cell_of_nothing_is_built_and_is_silent():
    architecture = NASBench201Architecture(("none",) * 6, 1, 4)
    network = build_network(architecture, n_classes=3, seed=0).eval()
    assert torch.equal(network.cell1(torch.ones(1, 4, 8, 8)), torch.zeros(1, 4, 8, 8))
    assert torch.isfinite(network(torch.randn(2, 3, 16, 16))).all()


def test_adding_maps_of_different_channels_or_a_name_twice_is_refused():
    draft = Draft()
    draft.add("a", "image", ("conv", Conv(4, (1, 1))))
    draft.add("b", "image", ("conv", Conv(5, (1, 1))))
    with pytest.raises(ValueError, match=r"adds maps of \[4, 5\] channels"):
        draft.add("c", ("a", "b"), merge="add")
    with pytest.raises(ValueError, match="two nodes 'a'"):
        draft.add("a", "image")


def test_initial_maps_neither_vanish_nor_explode():
    """He's initialisation keeps the scale through depthwise and dense convolutions alike."""
    network = build_network(pnas_space(filters=8, n_cells=1).sample(3), n_classes=10, seed=0)
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 200:
            fan = np.prod(module.kernel_size) * module.out_channels / module.groups
            assert float(module.weight.detach().std()) == pytest.approx((2 / fan) ** 0.5, rel=0.25)


@pytest.mark.parametrize(
    "architecture",
    [
        CellArchitecture((Block(0, "sep_conv_3x3", 0, "identity"),), n_cells=1, filters=4),
        CellArchitecture((Block(0, "sep_conv_3x3", 1, "identity"),), n_cells=1, filters=4),
        RecurrentArchitecture((RecurrentArea(4, 3, 2), RecurrentArea(4, 3, 2, "additive"))),
    ],
    ids=["every other cell", "all cells", "shared weights"],
)
def test_what_feeds_the_classifier_is_what_is_trained(architecture):
    """Parameters that get a gradient are counted, and layers on the way are named."""
    blueprint = architecture.to_blueprint(5)
    network = build_network(architecture, n_classes=5, seed=0).train()
    generator = torch.Generator().manual_seed(0)
    logits = network(torch.randn(4, 3, 16, 16, generator=generator))
    (logits * torch.randn(4, 5, generator=generator)).sum().backward()
    trained = sum(p.numel() for p in network.parameters() if p.grad is not None and p.grad.any())
    assert blueprint.n_feeding_parameters == trained <= blueprint.n_parameters


def test_cells_that_no_later_cell_reads_do_not_feed_the_classifier():
    block = Block(0, "sep_conv_3x3", 0, "identity")
    blueprint = CellArchitecture((block,), n_cells=2, filters=4).to_blueprint(5)
    assert blueprint.feeding == ("cell2", "cell4", "cell6", "cell8")
    assert blueprint.n_feeding_parameters < blueprint.n_parameters
    zeros = NASBench201Architecture.from_text("300000", n_cells=1, filters=4).to_blueprint(5)
    assert zeros.feeding == ("cell3",)
