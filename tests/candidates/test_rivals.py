"""Cheap scores of candidates: each against an oracle of a few lines, and a planted difference."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from brainguided import NASBench201Architecture, images_from_stimuli
from brainguided.architectures import ConvLayer, PlainArchitecture
from brainguided.candidates.images import ImageSet
from brainguided.candidates.rivals import FREE, RIVALS, compute_statistics, count_architecture
from brainguided.correspondence.dimensionality import compute_dimensionality
from brainguided.networks.build import BlueprintNetwork, build_network
from brainguided.networks.preprocessing import images_to_tensor
from neural_data.simulation.objects import simulate_objects

PLAIN = PlainArchitecture((ConvLayer(3, 3, 8), ConvLayer(3, 3, 12), ConvLayer(1, 1, 6)))


@pytest.fixture(scope="module")
def images() -> ImageSet:
    parts = [simulate_objects(1, size=32, seed=seed) for seed in (0, 1)]
    return images_from_stimuli(*parts)


@pytest.fixture
def network(images: ImageSet) -> BlueprintNetwork:
    return build_network(PLAIN, n_classes=len(images.classes), seed=3)


def _batch(images: ImageSet, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    n = len(images.train_images)
    chosen = np.random.default_rng(seed).choice(n, n, replace=False)
    labels = torch.from_numpy(images.train_labels[chosen])
    return images_to_tensor(images.train_images[chosen]), labels


def _compute(name: str, network: BlueprintNetwork, images: ImageSet) -> float | None:
    return compute_statistics(network, PLAIN, images, names=[name])[name]


def _rectified(network: nn.Module, inputs: torch.Tensor) -> list[np.ndarray]:
    found: list[np.ndarray] = []
    copy = deepcopy(network).train()
    for module in copy.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda m, i, o: found.append(o.detach().numpy().copy()))
    copy(inputs)
    return [one.reshape(len(one), -1) for one in found]


def test_free_statistics_come_without_being_asked_for(
    network: BlueprintNetwork, images: ImageSet
) -> None:
    found = compute_statistics(network, PLAIN, images)
    blueprint = PLAIN.to_blueprint(len(images.classes))
    assert tuple(found) == FREE
    assert found["parameters"] == sum(p.numel() for p in network.parameters())
    assert found["multiply_adds"] == blueprint.count_multiply_adds(32)
    assert found["depth"] == found["longest_path"] == 3
    same = count_architecture(PLAIN, n_classes=len(images.classes), image_size=32)
    assert found == same


@pytest.mark.parametrize("name", RIVALS)
def test_rivals_leave_the_network_as_it_was_and_name_their_source(
    name: str, network: BlueprintNetwork, images: ImageSet
) -> None:
    before = deepcopy(network.state_dict())
    first, second = (_compute(name, network, images) for _ in range(2))
    assert first == second is not None
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key])
    assert network.training
    assert all(p.grad is None for p in network.parameters())
    assert "20" in RIVALS[name].source


def test_synflow_is_the_output_times_the_number_of_layers(
    network: BlueprintNetwork, images: ImageSet
) -> None:
    """Euler: the output of ones is homogeneous of degree 1 in the weights of every layer."""
    copy = deepcopy(network).double().eval()
    for parameter in copy.parameters():
        parameter.data.abs_()
    output = float(copy(torch.ones(1, 3, 32, 32, dtype=torch.float64)).sum().detach())
    layers = 3 + 3 + 1  # convolutions, scales of batch norms, classifier; shifts are 0
    assert _compute("synflow", network, images) == pytest.approx(layers * output, rel=1e-9)


def test_naswot_agrees_with_hamming_distances(network: BlueprintNetwork, images: ImageSet) -> None:
    codes = np.concatenate([r > 0 for r in _rectified(network, _batch(images)[0])], axis=1)
    kernel = (codes[:, None] == codes[None]).sum(-1).astype(float)
    oracle = np.linalg.slogdet(kernel)[1]
    assert _compute("naswot", network, images) == pytest.approx(oracle, rel=1e-9)


def test_gradient_norm_agrees_with_small_steps(network: BlueprintNetwork, images: ImageSet) -> None:
    """A step of h along the gradient of one layer changes the loss by h times its length."""
    inputs, labels = _batch(images)
    copy = deepcopy(network).double().train()
    weights = [m.weight for m in copy.modules() if isinstance(m, nn.Conv2d | nn.Linear)]

    def loss() -> torch.Tensor:
        return nn.functional.cross_entropy(copy(inputs.double()), labels)

    gradients = torch.autograd.grad(loss(), weights)
    total, h = 0.0, 1e-5
    with torch.no_grad():
        for weight, gradient in zip(weights, gradients, strict=True):
            step = h * gradient / gradient.norm()
            weight += step
            above = float(loss())
            weight -= 2 * step
            total += (above - float(loss())) / (2 * h)
            weight += step
    assert _compute("gradient_norm", network, images) == pytest.approx(total, rel=1e-4)


def test_response_correlation_agrees_with_corrcoef(
    network: BlueprintNetwork, images: ImageSet
) -> None:
    layers = _rectified(network, _batch(images)[0])
    total = sum(np.abs(np.corrcoef(layer.astype(float))) for layer in layers)
    oracle = np.linalg.slogdet(total)[1]
    assert _compute("response_correlation", network, images) == pytest.approx(oracle, rel=1e-6)


def test_effective_dimensionality_is_the_mean_participation_ratio_of_the_layers(
    network: BlueprintNetwork, images: ImageSet
) -> None:
    inputs, _ = _batch(images)
    maps: dict[str, np.ndarray] = {}
    copy = deepcopy(network).eval()
    for name in copy.observed_layers:
        module = copy.get_submodule(name)
        module.register_forward_hook(
            lambda m, i, o, name=name: maps.update({name: o.detach().numpy().copy()})
        )
    copy(inputs)
    ratios = [
        compute_dimensionality(
            xr.DataArray(
                one.reshape(len(one), -1).astype(float),
                dims=("stimulus", "unit"),
                coords={"stimulus": [f"{k:03}" for k in range(len(one))]},
            )
        )
        for one in maps.values()
    ]
    found = _compute("effective_dimensionality", network, images)
    assert len(ratios) == 3
    assert found == pytest.approx(np.mean(ratios), rel=1e-6)


def test_twin_images_make_determinants_singular_and_scores_undefined(
    network: BlueprintNetwork, images: ImageSet
) -> None:
    twins = images.train_images.copy()
    twins[1:] = twins[0]
    found = compute_statistics(
        network,
        PLAIN,
        replace(images, train_images=twins),
        names=["naswot", "response_correlation", "effective_dimensionality"],
    )
    assert found["naswot"] is found["response_correlation"] is None
    assert found["effective_dimensionality"] is None


def test_planted_redundancy_lowers_dimensionality_and_response_correlation(
    network: BlueprintNetwork, images: ImageSet
) -> None:
    """A first layer whose filters are all the same leaves fewer directions to the others."""
    names = ["effective_dimensionality", "response_correlation"]
    rich = compute_statistics(network, PLAIN, images, names=names)
    with torch.no_grad():
        first = next(m for m in network.modules() if isinstance(m, nn.Conv2d))
        first.weight[:] = first.weight[:1].mean(1, keepdim=True)
    poor = compute_statistics(network, PLAIN, images, names=names)
    for name in names:
        assert poor[name] < rich[name]  # type: ignore[operator]


def test_a_planted_scale_of_weights_multiplies_synflow(
    network: BlueprintNetwork, images: ImageSet
) -> None:
    before = _compute("synflow", network, images)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.weight *= -2
    assert before is not None
    assert _compute("synflow", network, images) == pytest.approx(8 * before, rel=1e-6)


def test_unknown_rivals_are_refused_together(network: BlueprintNetwork, images: ImageSet) -> None:
    with pytest.raises(ValueError, match=r"out of synflow(.|\n)*'zen' is unknown(.|\n)*is free"):
        compute_statistics(network, PLAIN, images, names=["zen", "parameters"])


def test_rivals_work_on_a_network_with_dead_maps(images: ImageSet) -> None:
    dead = NASBench201Architecture.from_text("000000", n_cells=1, filters=4)
    network = build_network(dead, n_classes=len(images.classes), seed=0)
    found = compute_statistics(network, dead, images, names=RIVALS)
    assert found["longest_path"] == found["paths"] == 0
    assert found["naswot"] is None
