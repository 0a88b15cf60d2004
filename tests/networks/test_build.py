"""Networks built from architectures."""

from __future__ import annotations

import pytest
import torch

from brainguided.architectures import ConvLayer, PlainArchitecture
from brainguided.networks.build import build_network, count_parameters
from brainguided.spaces import small_space, zoph2017_space

CHAIN = PlainArchitecture(
    (
        ConvLayer(3, 5, 8, stride=2, pool="max"),
        ConvLayer(1, 7, 12, pool="avg"),
        ConvLayer(5, 3, 16, stride=2),
    )
)


def test_parameters_are_those_of_the_formula() -> None:
    network = build_network(CHAIN, n_classes=10, seed=0)
    convolutions = 3 * 8 * 3 * 5 + 8 * 12 * 1 * 7 + 12 * 16 * 5 * 3
    norms = 2 * (8 + 12 + 16)
    assert count_parameters(network) == convolutions + norms + 16 * 10 + 10


def test_layers_are_named_and_have_the_chosen_shapes() -> None:
    network = build_network(CHAIN, n_classes=10, seed=0)
    assert network.observed_layers == ("layer1", "layer2", "layer3")
    assert network.layer2.conv.kernel_size == (1, 7)
    x = torch.zeros(2, 3, 32, 32)
    sizes = []
    for name in network.observed_layers:
        x = getattr(network, name)(x)
        sizes.append(tuple(x.shape[1:]))
    assert sizes == [(8, 8, 8), (12, 4, 4), (16, 2, 2)]


def test_same_seed_same_weights_and_the_global_generator_is_untouched() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    a, b, c = (build_network(CHAIN, n_classes=4, seed=s).state_dict() for s in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not torch.equal(a["layer1.conv.weight"], c["layer1.conv.weight"])


@pytest.mark.parametrize("size", [32, 33, 64])
@pytest.mark.parametrize(
    "space",
    [
        small_space(max_depth=10),
        zoph2017_space(max_depth=10),
        zoph2017_space(max_depth=10, skips=True, strides=(1, 2, 3)),
    ],
    ids=["small", "zoph2017", "zoph2017 with skips and strides"],
)
def test_random_architectures_build_run_and_train(space, size) -> None:
    for seed in range(6):
        architecture = space.sample(seed)
        network = build_network(architecture, n_classes=5, seed=seed)
        output = network(torch.randn(2, 3, size, size))
        output.sum().backward()
        assert output.shape == (2, 5)
        assert len(network.observed_layers) == architecture.depth
        assert all(p.grad is not None for p in network.parameters())


def test_layers_fed_by_several_are_concatenated_and_unused_outputs_reach_the_classifier() -> None:
    architecture = PlainArchitecture(
        (
            ConvLayer(3, 3, 4, inputs=(0,)),
            ConvLayer(3, 3, 6, stride=2, inputs=(0,)),
            ConvLayer(3, 3, 8, inputs=(0, 1)),
        )
    )
    network = build_network(architecture, n_classes=2, seed=0)
    assert network.layer3.conv.in_channels == 3 + 4
    assert architecture.outputs == (2, 3)
    assert network.classifier.in_features == 6 + 8
    assert network(torch.zeros(2, 3, 16, 16)).shape == (2, 2)


def test_networks_built_in_threads_have_the_weights_of_their_seed() -> None:
    from concurrent.futures import ThreadPoolExecutor

    def weights(seed: int) -> torch.Tensor:
        return build_network(CHAIN, n_classes=4, seed=seed).layer3.conv.weight

    alone = [weights(seed) for seed in range(40)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(weights, range(40)))
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))
