"""Fitted combinations of layers: scikit-learn, planted weights, nothing under the null."""

import numpy as np
import pytest
import xarray as xr
from rsatoolbox.rdm import RDMs
from sklearn.linear_model import LinearRegression

from brainguided.correspondence import fit_layers
from brainguided.rdms.measures import pattern_distances
from neural_data import AlignmentError

NAMES = [f"im{k}" for k in range(40)]


def as_rdms(vectors, labels=NAMES) -> RDMs:
    vectors = np.atleast_2d(vectors)
    names = [f"layer{k}" for k in range(len(vectors))]
    return RDMs(vectors, rdm_descriptors={"layer": names}, pattern_descriptors={"stimulus": labels})


def make_layers(generator, number=4) -> np.ndarray:
    return np.stack(
        [
            pattern_distances(generator.normal(size=(40, 25)), "squared euclidean")
            for _ in range(number)
        ]
    )


def test_weights_equal_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    layers, rest = make_layers(generator), make_layers(generator, 1)[0]
    area = 2 * layers[1] + 0.5 * layers[3] - 0.5 * layers[0] + rest
    found = fit_layers(as_rdms(layers), as_rdms(area))
    scaled = layers / layers.std(axis=1, keepdims=True)
    oracle = LinearRegression(positive=True).fit(scaled.T, area).coef_
    np.testing.assert_allclose(found["weight"], oracle, atol=1e-6)
    assert found["weight"].sel(layer="layer0").item() == 0


def test_a_planted_combination_is_recovered_and_beats_every_single_layer() -> None:
    generator = np.random.default_rng(1)
    layers = make_layers(generator)
    area = layers[1] + layers[2] + 0.1 * make_layers(generator, 1)[0]
    found = fit_layers(as_rdms(layers), as_rdms(area), seed=3)
    assert found["similarity"].item() > 0.95
    assert found["best_layer_similarity"].item() < 0.85
    assert set(found["best_layer"].values) <= {"layer1", "layer2"}
    tiny = fit_layers(as_rdms(layers * 1e-9), as_rdms(area * 1e9), seed=3)
    assert tiny["similarity"].item() == pytest.approx(found["similarity"].item())


def test_unrelated_layers_predict_nothing_on_conditions_left_out() -> None:
    generator = np.random.default_rng(2)
    found = [
        fit_layers(as_rdms(make_layers(generator, 12)), as_rdms(make_layers(generator, 1)))
        for _ in range(160)
    ]
    for name in ("similarity", "best_layer_similarity"):
        values = np.array([f[name].item() for f in found])
        assert abs(values.mean()) < 3 * values.std() / np.sqrt(160) + 0.005


def test_conditions_of_a_group_stay_in_one_fold() -> None:
    generator = np.random.default_rng(3)
    layers, area = as_rdms(make_layers(generator)), as_rdms(make_layers(generator, 1))
    groups = np.repeat([f"category{k}" for k in range(8)], 5)
    single = fit_layers(layers, area, folds=4)
    assert single.attrs["unit"] == "stimulus"
    layers.pattern_descriptors["category"] = groups.tolist()  # on one side alone
    found = fit_layers(layers, area, folds=4)
    assert found.attrs["unit"] == "category"
    folds = found["fold_of"].groupby(xr.DataArray(groups, dims="condition", name="group"))
    assert (folds.max() == folds.min()).all()
    assert np.bincount(found["fold_of"]).tolist() == [10, 10, 10, 10]
    with pytest.raises(ValueError, match=r"8 units \(category\) cannot be divided into 9 folds"):
        fit_layers(layers, area, folds=9)
    with pytest.warns(UserWarning, match="grouped by 'category'"):
        again = fit_layers(layers, area, folds=4, unit="stimulus")
    assert again["similarity"].item() == single["similarity"].item()
    with pytest.raises(ValueError, match="at least 4 are needed"):
        fit_layers(*(as_rdms(make_layers(generator, 1)) for _ in range(2)), folds=12)


def test_what_cannot_be_fitted_is_refused() -> None:
    generator = np.random.default_rng(4)
    layers = make_layers(generator)
    with pytest.raises(AlignmentError):
        fit_layers(as_rdms(layers), as_rdms(layers[0], NAMES[::-1]))
    with pytest.raises(ValueError, match="area_rdm holds 2 RDMs"):
        fit_layers(as_rdms(layers), as_rdms(layers[:2]))
    with pytest.raises(ValueError, match="does not vary"):
        fit_layers(as_rdms(np.vstack([layers, np.ones(780)])), as_rdms(layers[0]))
