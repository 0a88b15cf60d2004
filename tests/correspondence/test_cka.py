"""Centred kernel alignment: invariances, plain numpy, bias."""

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from brainguided.correspondence.cka import compute_cka, compute_layer_cka
from brainguided.rdms.inner_products import cka_from_grams
from neural_data import simulate_macaque, simulate_objects
from neural_data.errors import AlignmentError, RecordingError


def make(values: np.ndarray, names=None) -> xr.DataArray:
    names = [f"im{k}" for k in range(len(values))] if names is None else names
    return xr.DataArray(values, dims=("stimulus", "unit"), coords={"stimulus": names})


def test_cka_equals_its_definition_by_centred_features() -> None:
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(20, 7)), generator.normal(2, 1, size=(20, 11))
    xc, yc = x - x.mean(0), y - y.mean(0)
    cross = np.linalg.norm(yc.T @ xc) ** 2
    expected = cross / (np.linalg.norm(xc.T @ xc) * np.linalg.norm(yc.T @ yc))
    assert compute_cka(make(x), make(y)) == pytest.approx(expected, abs=1e-12)
    assert compute_cka(make(y), make(x)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("debiased", [False, True])
def test_cka_is_1_after_rotation_scaling_and_shift(debiased) -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(30, 8))
    rotation, _ = np.linalg.qr(generator.normal(size=(8, 8)))
    moved = 3.0 * x @ rotation + generator.normal(size=8)
    assert compute_cka(make(x), make(moved), debiased=debiased) == pytest.approx(1)
    stretched = x * generator.uniform(0.1, 10, 8)
    assert compute_cka(make(x), make(stretched), debiased=debiased) < 0.99


def test_unrelated_responses_have_a_debiased_cka_of_0_on_average() -> None:
    generator = np.random.default_rng(0)
    found = {True: [], False: []}
    for _ in range(200):
        x, y = (make(generator.normal(size=(25, 40))) for _ in range(2))
        for debiased, values in found.items():
            values.append(compute_cka(x, y, debiased=debiased))
    assert abs(np.mean(found[True])) < 3 * np.std(found[True]) / np.sqrt(200) + 1e-3
    assert np.mean(found[False]) > 0.4


def test_layers_are_aligned_with_areas_through_their_grams() -> None:
    stimuli = simulate_objects(1, seed=0)
    recording, _ = simulate_macaque(stimuli, repetitions=3, n_v4=10, n_it=12, seed=0)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 5, stride=3), nn.ReLU(), nn.Flatten())
    shuffled = stimuli.isel(stimulus=np.random.default_rng(0).permutation(64))
    found = compute_layer_cka(network, shuffled, recording, layers=["0", "2"], debiased=False)
    from brainguided.networks.preprocessing import images_to_tensor

    with torch.no_grad():
        x = network(images_to_tensor(stimuli["image"].values)).numpy()
    it = recording["response"].values.mean(1)[:, recording["area"].values == "IT"]
    expected = compute_cka(make(x), make(it))
    assert found.sel(layer="2", area="IT").item() == pytest.approx(expected, abs=1e-5)
    assert found.dims == ("layer", "area")


def test_responses_that_cannot_be_aligned_are_refused() -> None:
    x = make(np.random.default_rng(0).normal(size=(6, 4)))
    with pytest.raises(AlignmentError, match="another order"):
        compute_cka(x, x[::-1])
    gap = x.copy()
    gap[0, 0] = np.nan
    with pytest.raises(RecordingError, match="missing or infinite"):
        compute_cka(gap, x)
    assert np.isnan(cka_from_grams(np.ones((5, 5)), np.eye(5)))
