"""Layer-area correspondence and teacher guidance: the theorems of the method."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from torch import nn

from brainguided.guidance.similarity import best_layers, compute_guidance, compute_similarity
from brainguided.guidance.teacher import Teacher
from brainguided.networks.build import build_network
from brainguided.networks.streamed import compute_layer_rdms
from brainguided.rdms.compare import compare_rdms
from brainguided.spaces import small_space
from neural_data.simulation.objects import simulate_objects
from neural_data.simulation.simulate import simulate_macaque


@pytest.fixture(scope="module")
def stimuli():
    return simulate_objects(1, size=32, seed=5)


@pytest.fixture(scope="module")
def network():
    return build_network(small_space(max_depth=6).sample(4), n_classes=8, seed=0)


@pytest.fixture(scope="module")
def macaque():
    recording, stimuli = simulate_macaque(seed=0)
    return Teacher.from_recording(recording, stimuli, by="object_name")


def test_correspondence_equals_compare_rdms(network, macaque) -> None:
    table = compute_similarity(network, macaque)
    layers = compute_layer_rdms(network, macaque.targets[0].stimuli, by="object_name")
    for area, target in zip(("V4", "IT"), macaque):
        oracle = compare_rdms(layers, target.rdm)[:, 0]
        np.testing.assert_allclose(table.sel(area=area), oracle, atol=1e-10)


def test_a_network_that_contains_the_teachers_layers_scores_one(network, stimuli) -> None:
    teacher = Teacher.from_network(network, stimuli, layers=["layer1", "layer2"], subset_size=10**6)
    table = compute_similarity(network, teacher)
    assert compute_guidance(table) == pytest.approx(1, abs=1e-5)
    assert best_layers(table) == {"layer1": "layer1", "layer2": "layer2"}


def test_guidance_does_not_change_when_units_are_permuted_or_scaled(network, macaque) -> None:
    expected = compute_similarity(network, macaque, layers=["layer1"])

    class Permuted(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network
            self.out = nn.Identity()

        def forward(self, x):
            layer = self.network.layer1(x)
            return self.out(2.5 * layer[:, list(range(layer.shape[1]))[::-1]] + 1.0)

    changed = compute_similarity(Permuted(), macaque, layers=["out"])
    np.testing.assert_allclose(changed.values, expected.values, atol=1e-5)


def test_more_layers_never_lower_guidance(network, macaque) -> None:
    full = compute_similarity(network, macaque)
    scores = [compute_guidance(full.isel(layer=slice(0, k))) for k in range(1, len(full) + 1)]
    assert np.all(np.diff(scores) >= 0)


@pytest.mark.filterwarnings("ignore:Conditions are grouped:UserWarning")
def test_shuffled_conditions_bring_guidance_to_its_null(network, macaque) -> None:
    real = compute_guidance(compute_similarity(network, macaque))
    null = {
        unit: [
            compute_guidance(compute_similarity(network, macaque.shuffled(seed=s, unit=unit)))
            for s in range(20)
        ]
        for unit in ("stimulus", None)
    }
    assert abs(np.mean(null["stimulus"])) < 0.06
    assert np.std(null["stimulus"]) < 0.06
    assert real > np.mean(null["stimulus"]) + 3 * np.std(null["stimulus"])
    # what any network has in common with any area, since both tell categories apart
    assert np.mean(null["stimulus"]) + 0.05 < np.mean(null[None]) < real


def test_areas_with_stimuli_of_their_own_get_the_rdm_of_their_own_stimuli(network) -> None:
    first, second = (simulate_objects(1, size=32, seed=s) for s in (1, 2))
    teachers = [
        Teacher.from_network(network, images, layers=[layer], subset_size=10**6)
        for images, layer in ((first, "layer1"), (second.isel(stimulus=slice(0, 40)), "layer2"))
    ]
    table = compute_similarity(network, teachers[0] + teachers[1])
    assert float(table.sel(layer="layer1", area="layer1")) == pytest.approx(1, abs=1e-5)
    assert float(table.sel(layer="layer2", area="layer2")) == pytest.approx(1, abs=1e-5)


def test_a_dead_layer_has_no_similarity_and_never_wins(stimuli, macaque) -> None:
    dead = build_network(small_space(max_depth=3).sample(2), n_classes=8, seed=0)
    last = dead.observed_layers[-1]
    nn.init.constant_(dead.get_submodule(last).norm.bias, -100.0)
    table = compute_similarity(dead, macaque)
    assert table.sel(layer=last).isnull().all()
    assert last not in best_layers(table).values()


def test_guidance_is_the_mean_over_areas_of_the_best_layer() -> None:
    table = xr.DataArray(
        [[0.1, 0.4], [0.5, np.nan], [0.2, 0.3]],
        dims=("layer", "area"),
        coords={"layer": ["a", "b", "c"], "area": ["V4", "IT"]},
    )
    assert compute_guidance(table) == pytest.approx((0.5 + 0.4) / 2)
    assert best_layers(table) == {"V4": "b", "IT": "a"}
    nothing = xr.full_like(table, np.nan)
    assert compute_guidance(nothing) == 0
    assert best_layers(nothing) == {}
