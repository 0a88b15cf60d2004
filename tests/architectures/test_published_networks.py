"""PNASNet-5 and NASNet-A have the sizes that were published, in the stack that was published."""

from __future__ import annotations

import pytest
import torch

from brainguided.architectures import Architecture, Block, CellArchitecture
from brainguided.networks.build import build_network, count_parameters
from brainguided.spaces import SearchSpace, nasnet_space, pnas_space

# Liu et al. 2018, figure 1 and table 2; input 0 is the cell before the previous one
PNASNET5 = (
    Block(0, "sep_conv_5x5", 0, "max_pool_3x3"),
    Block(1, "sep_conv_7x7", 1, "max_pool_3x3"),
    Block(1, "sep_conv_5x5", 1, "sep_conv_3x3"),
    Block(4, "sep_conv_3x3", 1, "max_pool_3x3"),
    Block(0, "sep_conv_3x3", 1, "identity"),
)
# Zoph et al. 2018, figure 4
NASNET_A = (
    Block(1, "sep_conv_5x5", 0, "sep_conv_3x3"),
    Block(0, "sep_conv_5x5", 0, "sep_conv_3x3"),
    Block(1, "avg_pool_3x3", 0, "identity"),
    Block(0, "avg_pool_3x3", 0, "avg_pool_3x3"),
    Block(1, "sep_conv_3x3", 1, "identity"),
)
NASNET_A_REDUCTION = (
    Block(1, "sep_conv_5x5", 0, "sep_conv_7x7"),
    Block(1, "max_pool_3x3", 0, "sep_conv_7x7"),
    Block(1, "avg_pool_3x3", 0, "sep_conv_5x5"),
    Block(3, "identity", 2, "avg_pool_3x3"),
    Block(2, "sep_conv_3x3", 1, "max_pool_3x3"),
)


def pnasnet5(n_cells, filters, *stem, stack="published"):
    return CellArchitecture(PNASNET5, (), n_cells, filters, *(stem or ("cifar", 0)), stack)


def nasnet_a(n_cells, filters, *stem):
    stem = stem or ("cifar", 0)
    return CellArchitecture(NASNET_A, NASNET_A_REDUCTION, n_cells, filters, *stem, "published")


@pytest.mark.parametrize(
    ("architecture", "classes", "millions"),
    [
        (pnasnet5(3, 48), 10, 3.2),  # Liu et al. 2018, table 3
        (nasnet_a(6, 32), 10, 3.3),  # Zoph et al. 2018, table 1
        (pnasnet5(3, 54, "imagenet", 2), 1000, 5.1),  # Liu et al. 2018, table 4
        (nasnet_a(4, 44, "imagenet", 2), 1000, 5.3),  # Zoph et al. 2018, table 3
    ],
    ids=["PNASNet-5, CIFAR", "NASNet-A, CIFAR", "PNASNet-5, mobile", "NASNet-A, mobile"],
)
def test_published_networks_have_their_numbers_of_parameters(architecture, classes, millions):
    assert round(architecture.count_parameters(classes) / 1e6, 1) == millions


def test_published_mobile_networks_have_their_multiply_adds():
    # 588 M and 564 M in the tables of the two papers
    pnas, nasnet = pnasnet5(3, 54, "imagenet", 2), nasnet_a(4, 44, "imagenet", 2)
    assert round(pnas.count_multiply_adds(224, 1000) / 1e6) == 588
    assert round(nasnet.count_multiply_adds(224, 1000) / 1e6) == 564


def test_nasnet_mobile_has_as_many_parameters_as_in_keras():
    # What keras.applications.NASNetMobile says: 5,326,716, of which 36,738 are running averages
    network = nasnet_a(4, 44, "imagenet", 2)
    assert network.count_parameters(1000) == 5_326_716 - 36_738


def test_the_simple_stack_is_as_it_was():
    assert pnasnet5(3, 48, stack="simple").count_parameters(10) == 3_938_842
    assert "stack" not in pnasnet5(3, 48, stack="simple").to_json()
    assert "stack" not in pnas_space().describe()


@pytest.mark.parametrize(
    ("make", "cells", "sides"),
    [
        (pnasnet5, 6, [16, 16, 8, 8, 4, 4]),
        (nasnet_a, 8, [16, 16, 8, 8, 8, 4, 4, 4]),
    ],
    ids=["PNASNet-5", "NASNet-A"],
)
def test_published_stacks_halve_where_they_should_and_can_be_built(make, cells, sides):
    architecture = make(2, 4)
    network = build_network(architecture, n_classes=3, seed=0)
    assert count_parameters(network) == architecture.count_parameters(3)
    found = []
    for name in network.observed_layers:
        layer = network.get_submodule(name)
        layer.register_forward_hook(lambda _, __, output: found.append(output.shape[-1]))
    assert network(torch.zeros(2, 3, 16, 16)).shape == (2, 3)
    assert found == sides
    assert len(found) == cells


def test_the_two_halves_of_a_published_reduction_see_all_pixels():
    network = build_network(pnasnet5(2, 4), n_classes=3, seed=0)
    # Cell 3 halves; cell 4 halves the output of cell 2 by two convolutions
    shifted = network.get_submodule("cell4_input0_2.shift")
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    together = torch.cat([image[..., ::2, ::2], shifted(image)[..., ::2, ::2]]).flatten()
    assert together.tolist() == [0, 2, 8, 10, 5, 7, 13, 15]
    assert shifted(image)[0, 0, :, -1].tolist() == [0] * 4


@pytest.mark.parametrize("space", [pnas_space, nasnet_space])
def test_published_architectures_survive_json_and_their_space(space):
    published = space(stack="published", filters=4)
    for seed in range(20):
        architecture = published.sample(seed)
        assert Architecture.from_json(architecture.to_json()) == architecture
        assert published.decode(published.encode(architecture)) == architecture
        assert architecture.key != space(filters=4).sample(seed).key
        assert architecture.canonical_key != space(filters=4).sample(seed).canonical_key
    assert SearchSpace.from_description(published.describe()) == published
    with pytest.raises(ValueError, match="stack is 'published', 'simple' in this space"):
        space(filters=4).encode(published.sample(0))


def test_unknown_stacks_are_refused():
    with pytest.raises(ValueError, match="stack is 'tall', expected one of simple, published"):
        CellArchitecture(PNASNET5, stack="tall")
    with pytest.raises(ValueError, match="stack is 'tall'"):
        pnas_space(stack="tall")
