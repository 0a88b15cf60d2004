"""Tests of layers and networks against each other: calibration and known truth."""

import numpy as np
import pytest
import xarray as xr

from brainguided.correspondence.differences import compare_layers, compare_networks
from brainguided.correspondence.standard_errors import measure_spread
from brainguided.rdms.measures import pattern_distances
from brainguided.rdms.units import Units


def make_vectors(generator, number: int, n: int, *, shared: float = 0.0, common=None):
    own = [generator.normal(size=(n, 12)) for _ in range(number)]
    base = 0.0 if common is None else shared * common
    return np.stack([pattern_distances(p + base, "correlation") for p in own])


EIGHT = Units("category", (np.repeat(np.arange(8), 8),))


def correspondence_of(layers, area, draws: int, seed: int, units=None) -> xr.Dataset:
    spread = measure_spread(list(layers), area, units or Units("stimulus", (np.arange(40),)))
    names = [f"layer{k}" for k in range(len(layers))]
    return xr.Dataset(
        {
            "similarity": (("layer", "area"), np.tanh(spread.centre)[:, None]),
            "similarity_draws": (
                ("bootstrap", "layer", "area"),
                spread.draw(draws, seed)[:, :, None],
            ),
        },
        coords={"layer": names, "area": ["IT"], "degrees_of_freedom": ("area", [spread.freedom])},
    )


@pytest.mark.parametrize("number", [2, 6])
def test_equally_similar_layers_differ_in_1_of_20_tests_of_all_pairs_in_categories(number) -> None:
    """The area treats all layers alike, which are shifts of one another in latent space."""
    generator = np.random.default_rng(number)
    rejected = []
    for seed in range(150):
        points = generator.normal(size=(8, 12))[EIGHT.index] + 0.5 * generator.normal(size=(64, 12))
        one, other = generator.normal(size=(12, 12)), generator.normal(size=(12, 60))
        other *= np.exp(-np.arange(12) / 3)[:, None]
        turned = [
            [np.maximum(points @ np.roll(w, k * 12 // number, 0), 0) for k in range(number)]
            for w in (one, other)
        ]
        area = np.concatenate(turned[0], axis=1)
        area = pattern_distances(area + generator.normal(0, 0.7, area.shape), "correlation")
        layers = np.stack([pattern_distances(p, "correlation") for p in turned[1]])
        tested = compare_layers(correspondence_of(layers, area, 300, seed, EIGHT))
        rejected.append(float(tested["corrected_p_value"].min()) <= 0.05)
    assert np.mean(rejected) <= 0.1  # 3 standard errors of 150 about 5 %


@pytest.mark.parametrize("shared", [0.0, 1.0])
def test_equally_similar_layers_differ_significantly_in_1_of_20(shared) -> None:
    generator = np.random.default_rng(7)
    rejected = []
    for k in range(300):
        common = generator.normal(size=(40, 12))
        layers = make_vectors(generator, 2, 40, shared=shared, common=common)
        area = make_vectors(generator, 1, 40, shared=shared, common=common)[0]
        tested = compare_layers(correspondence_of(layers, area, 100, k))
        rejected.append(float(tested["p_value"][0, 0, 1]) < 0.05)
    assert 0.015 <= np.mean(rejected) <= 0.09  # 3 standard errors of 300 about 3 to 7 %


def test_a_better_layer_is_found_and_the_table_is_antisymmetric() -> None:
    generator = np.random.default_rng(0)
    common = generator.normal(size=(40, 12))
    good = make_vectors(generator, 1, 40, shared=2.0, common=common)
    poor = make_vectors(generator, 2, 40)
    area = make_vectors(generator, 1, 40, shared=2.0, common=common)[0]
    tested = compare_layers(correspondence_of(np.concatenate([good, poor]), area, 400, 0))
    difference = tested["difference"].sel(area="IT").values
    np.testing.assert_allclose(difference, -difference.T, atol=1e-12)
    corrected = tested["corrected_p_value"].sel(area="IT").values
    assert corrected[0, 1] < 0.05
    assert corrected[0, 2] < 0.05
    assert corrected[1, 2] > 0.05
    off = ~np.eye(3, dtype=bool)
    assert (corrected[off] >= tested["p_value"].sel(area="IT").values[off]).all()
    lower, upper = tested["interval"].sel(area="IT", layer="layer0", other_layer="layer1").values
    assert 0 < lower < difference[0, 1] < upper
    with pytest.raises(ValueError, match="no bootstrap draws"):
        compare_layers(tested[["difference"]])


def make_network(area, layers, units, *, seed: int = 0, names=("a", "b")) -> xr.Dataset:
    found = correspondence_of(layers, area, 400, seed, units).assign_coords(layer=list(names))
    found["committed_layer"] = ("area", [names[0]])
    return found.assign_attrs(seed=seed, unit=units.name)


def test_a_better_network_is_found_and_what_two_have_in_common_cancels() -> None:
    generator = np.random.default_rng(0)
    common = generator.normal(size=(64, 12)) + generator.normal(size=(8, 12))[EIGHT.index]
    area = make_vectors(generator, 1, 64, shared=1.0, common=common)[0]
    good, poor = (make_vectors(generator, 2, 64, shared=s, common=common) for s in (2.0, 0.5))
    networks = {
        "winner": make_network(area, good, EIGHT),
        "control": make_network(area, poor, EIGHT),
        "copy": make_network(area, good, EIGHT),
    }
    tested = compare_networks(networks).sel(area="IT")
    assert tested["layer"].values.tolist() == ["a", "a", "a"]
    pair = {"network": "winner", "other_network": "control"}
    assert tested["corrected_p_value"].sel(pair) < 0.05
    lower, upper = tested["interval"].sel(pair).values
    assert 0 < lower < tested["difference"].sel(pair) < upper
    same = {"network": "winner", "other_network": "copy"}
    assert tested["difference"].sel(same) == 0
    assert np.ptp(tested["interval"].sel(same).values) < 1e-9
    assert np.isnan(tested["p_value"].sel(same))
    other = compare_networks(networks, layers={"winner": "b", "control": "a", "copy": "b"})
    assert other["layer"].values.tolist() == [["b", "a", "b"]]


def test_networks_that_were_not_compared_in_the_same_way_are_refused() -> None:
    generator = np.random.default_rng(0)
    area, layers = make_vectors(generator, 1, 64)[0], make_vectors(generator, 2, 64)
    one = make_network(area, layers, EIGHT)
    with pytest.raises(ValueError, match="1 networks to compare"):
        compare_networks({"one": one})
    with pytest.raises(ValueError, match="differ in seed"):
        compare_networks({"one": one, "two": make_network(area, layers, EIGHT, seed=1)})
    with pytest.raises(ValueError, match=r"'two' has no layer 'c'"):
        compare_networks({"one": one, "two": one}, layers={"one": "a", "two": "c"})
    with pytest.raises(ValueError, match="no bootstrap draws"):
        compare_networks({"one": one, "two": one.drop_vars("similarity_draws")})


def test_equally_similar_networks_differ_significantly_in_1_of_20() -> None:
    generator = np.random.default_rng(5)
    rejected = []
    for seed in range(150):
        common = generator.normal(size=(64, 12)) + generator.normal(size=(8, 12))[EIGHT.index]
        area, *layers = make_vectors(generator, 4, 64, shared=1.0, common=common)
        networks = {
            str(k): make_network(area, layer[None], EIGHT, seed=seed, names=("a",))
            for k, layer in enumerate(layers)
        }
        tested = compare_networks(networks)
        rejected.append(float(tested["corrected_p_value"].min()) <= 0.05)
    assert np.mean(rejected) <= 0.1  # 3 standard errors of 150 about 5 %
