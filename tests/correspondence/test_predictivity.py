"""Cross-validated prediction of sites: oracle, known truth, refusals."""

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from brainguided.correspondence.predictivity import (
    PENALTIES,
    compute_layer_predictivity,
    compute_predictivity,
    fit_ridge,
    predict_ridge,
)
from brainguided.networks.preprocessing import images_to_tensor
from neural_data import recording_from_arrays, simulate_macaque, simulate_objects
from neural_data.errors import AlignmentError

NAMES = [f"im{k}" for k in range(120)]


def make_features(generator, units: int = 30) -> xr.DataArray:
    values = generator.normal(1.0, 1.0, (120, units))
    return xr.DataArray(values, dims=("stimulus", "unit"), coords={"stimulus": NAMES})


def make_recording(generator, features: np.ndarray, noise: float, repetitions: int = 6):
    signal = features @ generator.normal(size=(features.shape[1], 12)) / np.sqrt(len(features[0]))
    response = signal[:, None] + noise * generator.normal(size=(120, repetitions, 12))
    return recording_from_arrays(
        response,
        stimulus=NAMES,
        site=[f"s{k}" for k in range(12)],
        area=["V4"] * 5 + ["IT"] * 7,
        units="z",
        source="made up",
    )


def test_ridge_by_inner_products_equals_ridge_by_features() -> None:
    from sklearn.linear_model import RidgeCV

    generator = np.random.default_rng(0)
    x, y = generator.normal(3, 1, (50, 9)), generator.normal(size=(50, 4))
    train, test = np.arange(40), np.arange(40, 50)
    found = predict_ridge(x @ x.T, train, test, y[train])
    centred = x[train] - x[train].mean(0)
    unit = np.linalg.eigvalsh(centred @ centred.T).clip(0).mean()
    model = RidgeCV(alphas=PENALTIES * unit, alpha_per_target=True).fit(x[train], y[train])
    np.testing.assert_allclose(found, model.predict(x[test]), atol=1e-8)


def test_errors_of_left_out_stimuli_are_those_of_fits_without_them() -> None:
    from sklearn.linear_model import Ridge

    generator = np.random.default_rng(0)
    x, y = generator.normal(3, 1, (12, 5)), generator.normal(size=(12, 2))
    centred = x - x.mean(0)
    gram = centred @ centred.T
    for k, (_, errors) in enumerate(fit_ridge(gram, y - y.mean(0))):
        if k < 4:
            continue  # without a penalty to speak of
        model = Ridge(alpha=PENALTIES[k] * np.trace(gram) / 12)
        for one in range(12):
            rest = np.arange(12) != one
            predicted = model.fit(x[rest], y[rest]).predict(x[one : one + 1])[0]
            np.testing.assert_allclose(errors[one], y[one] - predicted, atol=1e-6)


@pytest.mark.parametrize("method", ["ridge", "pls"])
def test_a_linear_readout_with_noise_reaches_its_ceiling(method) -> None:
    generator = np.random.default_rng(1)
    features = make_features(generator, units=10)
    recording = make_recording(generator, features.values, noise=1.5)
    found = compute_predictivity(features, recording, method=method)
    usable = found["ceiling_usable"].values
    assert usable.mean() > 0.7
    assert np.median(found["corrected"].values[usable]) == pytest.approx(1, abs=0.1)
    assert np.isnan(found["corrected"].values[~usable]).all()
    assert (found["correlation"] < 0.98).all()


@pytest.mark.parametrize("method", ["ridge", "pls"])
def test_shuffled_stimuli_predict_nothing(method) -> None:
    found = []
    for seed in range(6):
        generator = np.random.default_rng(seed)
        features = make_features(generator)
        recording = make_recording(generator, features.values, noise=0.5)
        other = features.copy(data=features.values[generator.permutation(120)])
        result = compute_predictivity(other, recording, method=method, folds=5, seed=seed)
        found.append(result["correlation"].mean().item())
    assert abs(np.mean(found)) < 0.05


def test_layers_are_streamed_into_the_same_predictions() -> None:
    stimuli = simulate_objects(2, seed=0)
    recording, _ = simulate_macaque(stimuli, repetitions=4, n_v4=6, n_it=6, seed=0)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 5, stride=3), nn.ReLU(), nn.Flatten())
    found = compute_layer_predictivity(network, stimuli, recording, layers=["0", "2"], folds=5)
    with torch.no_grad():
        x = network(images_to_tensor(stimuli["image"].values)).numpy()
    names = recording["stimulus"].values
    features = xr.DataArray(x, dims=("stimulus", "unit"), coords={"stimulus": names})
    expected = compute_predictivity(features, recording, folds=5)
    np.testing.assert_allclose(
        found["correlation"].sel(layer="2"), expected["correlation"], atol=1e-4
    )
    assert found["predictivity"].sizes == {"layer": 2, "areas": 2}


def test_what_cannot_be_predicted_is_refused() -> None:
    generator = np.random.default_rng(0)
    features = make_features(generator)
    recording = make_recording(generator, features.values, noise=0.5)
    with pytest.raises(AlignmentError, match="another order"):
        compute_predictivity(features[::-1], recording)
    with pytest.raises(ValueError, match="'ridge', 'pls'"):
        compute_predictivity(features, recording, method="lasso")
    with pytest.raises(ValueError, match="cannot be divided into 50 folds"):
        compute_predictivity(features, recording, folds=50)
