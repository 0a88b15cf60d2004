"""Cross-validated prediction of sites: oracle, known truth, refusals."""

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from brainguided.correspondence._gram_regression import predict_pls
from brainguided.correspondence.predictivity import (
    compute_layer_predictivity,
    compute_predictivity,
    draw_folds,
)
from brainguided.networks.preprocessing import images_to_tensor
from brainguided.rdms.inner_products import PENALTIES, fit_ridge, predict_ridge
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


@pytest.mark.parametrize("components", [1, 3, 25])
@pytest.mark.parametrize(("units", "sites"), [(9, 4), (200, 12), (30, 1)])
def test_pls_by_inner_products_equals_that_of_scikit_learn(units, sites, components) -> None:
    from sklearn.cross_decomposition import PLSRegression

    generator = np.random.default_rng(units)
    x = generator.normal(3, 1, (60, 6)) @ generator.normal(size=(6, units))
    x += generator.normal(size=(60, units))
    y = x[:, :3] @ generator.normal(size=(3, sites)) + generator.normal(5, 2, (60, sites))
    train, test = np.arange(50), np.arange(50, 60)
    number = min(components, units)
    # its own tolerance ends the iteration for a component too early for six digits
    model = PLSRegression(number, scale=False, tol=1e-15, max_iter=100_000)
    expected = model.fit(x[train], y[train]).predict(x[test]).reshape(10, -1)
    found = predict_pls(x @ x.T, train, test, y[train], number)
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())


def test_pls_takes_no_more_components_than_there_are() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(30, 4))
    y = x @ generator.normal(size=(4, 3))
    train, test = np.arange(20), np.arange(20, 30)
    np.testing.assert_allclose(predict_pls(x @ x.T, train, test, y[train], 25), y[test], atol=1e-8)
    flat = predict_pls(x @ x.T, train, test, np.ones((20, 3)), 25)
    np.testing.assert_allclose(flat, 1.0)


def test_images_of_an_object_are_left_out_together() -> None:
    """Sites that know the object alone are predicted from other views of it, and from nothing."""
    generator = np.random.default_rng(0)
    of_object = np.repeat(np.arange(24), 5)
    features = generator.normal(size=(24, 30))[of_object] + 0.3 * generator.normal(size=(120, 30))
    signal = generator.normal(size=(24, 1, 12))[of_object]
    response = signal + 0.3 * generator.normal(size=(120, 4, 12))
    recording = recording_from_arrays(
        response, stimulus=NAMES, site=list("abcdefghijkl"), area="IT", units="z", source="made up"
    ).assign_coords(object_name=("stimulus", [f"o{k}" for k in of_object]))
    x = xr.DataArray(features, dims=("stimulus", "unit"), coords={"stimulus": NAMES})
    folds = draw_folds(recording, 8, seed=3)
    assert np.bincount(folds).tolist() == [15] * 8
    assert all(len(set(folds[of_object == k])) == 1 for k in range(24))
    for method in ("ridge", "pls"):
        apart = compute_predictivity(x, recording, method=method, folds=8)
        assert apart.attrs["kept_together"] == "object_name"
        assert abs(float(apart["correlation"].mean())) < 0.3
        mixed = draw_folds(recording, 8, unit="stimulus")
        leaking = compute_predictivity(x, recording, method=method, folds=mixed)
        assert leaking.attrs["kept_together"] == "as given"
        assert float(leaking["correlation"].mean()) > 0.8
    with pytest.raises(ValueError, match=r"120 stimuli of 24 groups \(object_name\).* 2 to 24"):
        draw_folds(recording, 30, unit="object_name")
    with pytest.raises(ValueError, match=r"folds has shape \(3,\)"):
        compute_predictivity(x, recording, folds=[0, 1, 2])


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


def test_a_fold_of_too_few_stimuli_is_refused_where_groups_differ_in_size() -> None:
    names = ["face"] * 10 + ["chair", "cup"]
    labelled = xr.DataArray(
        np.zeros(12),
        dims="stimulus",
        coords={"stimulus": [f"im{k}" for k in range(12)], "object_name": ("stimulus", names)},
    )
    for seed in range(5):  # whichever groups come together, one fold has 1 or 2 stimuli
        with pytest.raises(ValueError, match=r"a fold holds [12] of 12 stimuli"):
            draw_folds(labelled, 2, seed=seed)
