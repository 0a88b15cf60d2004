"""Streaming of layers into RDMs, for candidates and for any torch module."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from noise_stimuli import make_stimuli
from torch import nn

from brainguided import Teacher, compute_rdms, compute_similarity
from brainguided.networks.build import build_network
from brainguided.networks.preprocessing import Preprocessing, images_to_tensor
from brainguided.networks.streamed import compute_layer_rdms
from brainguided.spaces import small_space


def stored_activations(network, stimuli) -> dict[str, np.ndarray]:
    stored = {}

    def keep(name):
        return lambda _m, _i, output: stored.__setitem__(name, output.flatten(1).numpy())

    for name in network.observed_layers:
        network.get_submodule(name).register_forward_hook(keep(name))
    with torch.no_grad():
        network.eval()(images_to_tensor(stimuli["image"].values))
    return stored


def test_streamed_rdms_equal_rsatoolbox_on_stored_activations() -> None:
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import calc_rdm

    stimuli = make_stimuli()
    for seed in range(3):
        network = build_network(small_space(max_depth=10).sample(seed), n_classes=4, seed=seed)
        rdms = compute_layer_rdms(network, stimuli)
        stored = stored_activations(network, stimuli)
        assert list(rdms.rdm_descriptors["layer"]) == list(stored)
        for row, activations in zip(rdms.dissimilarities, stored.values()):
            oracle = calc_rdm(Dataset(activations.astype(float)), method="correlation")
            np.testing.assert_allclose(row, oracle.dissimilarities[0], atol=1e-5)


def test_grouped_conditions_equal_the_rdm_of_mean_activations() -> None:
    stimuli = make_stimuli()
    network = build_network(small_space(max_depth=4).sample(1), n_classes=4, seed=0)
    rdms = compute_layer_rdms(network, stimuli, by="object_name")
    assert rdms.pattern_descriptors["object_name"] == [f"object{k}" for k in range(6)]
    for matrix, activations in zip(
        rdms.get_matrices(), stored_activations(network, stimuli).values()
    ):
        means = activations.reshape(4, 6, -1).mean(0).astype(float)
        np.testing.assert_allclose(matrix, 1 - np.corrcoef(means), atol=1e-5)


def test_a_module_used_twice_is_observed_twice() -> None:
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x):
            return self.conv(self.conv(x))

    rdms = compute_layer_rdms(Twice(), make_stimuli())
    assert list(rdms.rdm_descriptors["layer"]) == ["conv", "conv:2"]
    assert not np.allclose(rdms.dissimilarities[0], rdms.dissimilarities[1])


def test_observing_changes_neither_the_output_nor_the_mode_nor_leaves_hooks() -> None:
    network = build_network(small_space(max_depth=4).sample(3), n_classes=4, seed=0)
    network.eval()
    inputs = images_to_tensor(make_stimuli()["image"].values)
    with torch.no_grad():
        expected = network(inputs)
        network.train()
        compute_layer_rdms(network, make_stimuli())
        assert network.training
        assert not any(m._forward_hooks for m in network.modules())
        assert torch.equal(network.eval()(inputs), expected)


def test_unknown_and_unused_layers_are_refused() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3))
    network.spare = None
    stimuli = make_stimuli()
    with pytest.raises(ValueError, match=r"no layers \['7'\]; it has \['0'"):
        compute_layer_rdms(network, stimuli, layers=["7"])

    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return self.used(x)

    with pytest.raises(ValueError, match=r"did not call the layers \['idle'\]"):
        compute_layer_rdms(Idle(), stimuli, layers=["used", "idle"])


def test_activations_that_are_not_finite_are_refused() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3))
    nn.init.constant_(network[0].weight, float("nan"))
    with pytest.raises(ValueError, match=r"Activations of \['0'\] hold NaN"):
        compute_layer_rdms(network, make_stimuli())


def test_images_are_scaled_to_plus_minus_one_and_resized() -> None:
    images = np.zeros((1, 8, 8, 3), dtype=np.uint8)
    images[..., 0] = 255
    tensor = images_to_tensor(images, Preprocessing(size=4))
    assert tensor.shape == (1, 3, 4, 4)
    assert tensor[0, 0].min() == pytest.approx(1)
    assert tensor[0, 1].max() == pytest.approx(-1)


class Faint(nn.Module):
    """Responses that differ little between stimuli, beside what they have in common."""

    def __init__(self, part: float) -> None:
        super().__init__()
        self.part = part
        self.conv = nn.Conv2d(3, 6, 5)
        self.out = nn.Identity()
        generator = torch.Generator().manual_seed(0)
        self.common = torch.randn(6, 28, 28, generator=generator)
        nn.init.normal_(self.conv.weight, std=0.1, generator=generator)

    def forward(self, x):
        return self.out(self.common + self.part * self.conv(x).to(self.common))


@pytest.mark.parametrize("measure", ["correlation", "cosine", "squared euclidean"])
def test_layers_that_hardly_differ_between_stimuli_keep_their_digits(measure) -> None:
    stimuli = make_stimuli()
    network = Faint(1e-3)
    rows = compute_layer_rdms(network, stimuli, layers="out", measure=measure).dissimilarities[0]
    with torch.no_grad():
        inputs = images_to_tensor(stimuli["image"].values)
        patterns = network.eval()(inputs).flatten(1).double().numpy()
    expected = compute_rdms(
        xr.DataArray(patterns, dims=("stimulus", "unit"), coords=dict(stimuli.coords)),
        measure=measure,
    ).dissimilarities[0]
    assert expected.max() < 1e-5
    np.testing.assert_allclose(rows, expected, rtol=1e-3)


def test_rounding_of_a_constant_layer_resembles_nothing() -> None:
    stimuli = make_stimuli()
    teacher = Teacher.from_network(Faint(1.0), stimuli, layers="conv")
    for part in (0.0, 1e-9):
        found = compute_similarity(Faint(part), teacher, layers="out")
        assert np.isnan(found.item())
    assert compute_similarity(Faint(1e-4), teacher, layers="out").item() > 0.5
