"""Permutation tests: calibration and oracles."""

import numpy as np
import pytest
from rsatoolbox.rdm import RDMs

from brainguided.correspondence.permutation import (
    exceed_maximum,
    find_largest,
    permute_similarity,
    permute_vectors,
)
from brainguided.rdms.compare import compare_rdms
from brainguided.rdms.comparisons import COMPARISONS
from brainguided.rdms.distances import square_matrix
from brainguided.rdms.measures import pattern_distances
from brainguided.rdms.units import Units


def make_vectors(generator, number: int, n: int, *, shared: float = 0.0, common=None):
    own = [generator.normal(size=(n, 12)) for _ in range(number)]
    base = 0.0 if common is None else shared * common
    return np.stack([pattern_distances(p + base, "correlation") for p in own])


@pytest.mark.parametrize("method", [row.name for row in COMPARISONS.values() if row.permutes])
def test_permutations_equal_permuting_and_comparing_one_by_one(method) -> None:
    generator = np.random.default_rng(0)
    labels = {"stimulus": [f"im{k}" for k in range(9)]}
    layers = RDMs(make_vectors(generator, 3, 9), pattern_descriptors=labels)
    areas = RDMs(make_vectors(generator, 2, 9), pattern_descriptors=dict(labels))
    found = permute_similarity(layers, areas, permutations=5, method=method, seed=4)
    assert found.dims == ("permutation", "layer", "area")
    again = np.random.default_rng([4, 2])
    for k in range(5):
        order = again.permutation(9)
        matrices = [square_matrix(v)[np.ix_(order, order)] for v in areas.dissimilarities]
        moved = RDMs(np.stack(matrices), pattern_descriptors=dict(labels))
        np.testing.assert_allclose(found[k], compare_rdms(layers, moved, method=method), atol=1e-10)
    with pytest.raises(ValueError, match="would take hours"):
        permute_similarity(layers, areas, method="kendall")


def test_layers_taken_a_few_at_a_time_see_the_same_permutations(monkeypatch) -> None:
    generator = np.random.default_rng(0)
    layers, area = make_vectors(generator, 5, 9), make_vectors(generator, 1, 9)[0]
    expected = permute_vectors(layers, area, 6, seed=1)
    monkeypatch.setattr("brainguided.correspondence.permutation.LAYER_BYTES", 2 * 8 * area.size)
    np.testing.assert_allclose(permute_vectors(layers, area, 6, seed=1), expected, atol=1e-12)


@pytest.mark.parametrize(
    "number",
    [1, *(pytest.param(number, marks=pytest.mark.slow) for number in (4, 10)), 20],
)
def test_without_relation_a_best_layer_is_significant_in_1_of_20_and_unbiased(number) -> None:
    generator = np.random.default_rng(number)
    p, unbiased = [], []
    for _ in range(400):
        layers = make_vectors(generator, number, 14)
        area = make_vectors(generator, 1, 14)[0]
        null = permute_vectors(layers, area, 99, seed=int(generator.integers(1 << 30)))
        similarity = np.array([np.corrcoef(layer, area)[0, 1] for layer in layers])
        p.append(exceed_maximum(similarity, null).min())
        unbiased.append(similarity.max() - null.max(1).mean())
    assert 0.025 <= np.mean(np.array(p) <= 0.05) <= 0.08  # 3 standard errors of 400
    assert abs(np.mean(unbiased)) < 3 * np.std(unbiased) / 20


EIGHT = Units("category", (np.repeat(np.arange(8), 8),))


def make_categories(generator, number: int) -> np.ndarray:
    """Systems that share nothing but which of 64 images belong to one of 8 categories."""
    return np.stack(
        [
            pattern_distances(
                generator.normal(size=(8, 30))[EIGHT.index] + generator.normal(size=(64, 30)),
                "correlation",
            )
            for _ in range(number)
        ]
    )


def test_systems_that_share_categories_alone_are_significant_in_1_of_20_by_categories() -> None:
    generator = np.random.default_rng(0)
    p = {EIGHT: [], None: []}
    for seed in range(120):
        layers, area = make_categories(generator, 3), make_categories(generator, 1)[0]
        similarity = np.array([np.corrcoef(layer, area)[0, 1] for layer in layers])
        for units in p:
            null = permute_vectors(layers, area, 59, seed=seed, units=units)
            p[units].append(exceed_maximum(similarity, null).min())
    assert np.mean(np.array(p[None]) <= 0.05) == 1
    assert 0.005 <= np.mean(np.array(p[EIGHT]) <= 0.05) <= 0.11  # 3 standard errors of 120


@pytest.mark.parametrize("method", ["pearson", "spearman", "whitened cosine"])
def test_units_of_other_sizes_are_exchanged_for_a_part_of_the_larger_one(method) -> None:
    generator = np.random.default_rng(0)
    units = Units("category", (np.repeat(np.arange(6), [2, 3, 4, 2, 3, 4]),))
    layers, area = make_vectors(generator, 2, 18), make_vectors(generator, 1, 18)[0]
    found = permute_vectors(layers, area, 4, method=method, seed=1, units=units)
    again = np.random.default_rng([1, 2])
    for k in range(4):
        places, conditions = units.permute(again)
        labels = {"stimulus": [str(n) for n in range(len(places))]}
        one = [square_matrix(v)[np.ix_(places, places)] for v in layers]
        other = square_matrix(area)[np.ix_(conditions, conditions)][None]
        sides = [RDMs(np.stack(m), pattern_descriptors=dict(labels)) for m in (one, other)]
        np.testing.assert_allclose(found[k], compare_rdms(*sides, method=method)[:, 0], atol=1e-10)


def test_permutations_that_are_not_defined_prove_nothing() -> None:
    similarity, null = np.array([0.9, 0.2, np.nan]), np.zeros((19, 3))
    null[:, 2] = np.nan  # a dead layer is left out
    np.testing.assert_array_equal(exceed_maximum(similarity, null), [0.05, 0.05, np.nan])
    null[:4, 0] = np.nan
    np.testing.assert_array_equal(exceed_maximum(similarity, null), [0.25, 0.25, np.nan])
    assert np.isnan(find_largest(null)).all()
    assert np.isnan(find_largest(null[:, :2])).sum() == 4
    assert np.isnan(exceed_maximum(np.full(3, np.nan), null)).all()


def test_no_permutations_are_refused() -> None:
    layers = make_vectors(np.random.default_rng(0), 2, 9)
    with pytest.raises(ValueError, match="permutations is 0; expected 1 or more"):
        permute_vectors(layers, layers[0], 0)


def test_units_are_those_that_either_side_names_and_both_agree_on() -> None:
    generator = np.random.default_rng(0)
    names = [f"im{k}" for k in range(64)]
    sides = [
        RDMs(make_vectors(generator, 1, 64), pattern_descriptors={"stimulus": list(names)})
        for _ in range(2)
    ]
    sides[0].pattern_descriptors["category"] = [f"c{k}" for k in EIGHT.index]
    assert permute_similarity(*sides, permutations=2).attrs["unit"] == "category"
    assert permute_similarity(*sides[::-1], permutations=2).attrs["unit"] == "category"
    sides[1].pattern_descriptors["category"] = [f"c{k}" for k in EIGHT.index[::-1]]
    with pytest.raises(ValueError, match="'category' has other labels on one side"):
        permute_similarity(*sides, permutations=2)


def test_the_unit_is_that_of_the_descriptors_and_is_said() -> None:
    generator = np.random.default_rng(0)
    labels = {
        "stimulus": [f"im{k}" for k in range(64)],
        "category": [str(k) for k in EIGHT.index],
    }
    common = 2 * generator.normal(size=(8, 12))[EIGHT.index]
    layers = RDMs(
        make_vectors(generator, 2, 64, shared=1, common=common), pattern_descriptors=labels
    )
    areas = RDMs(
        make_vectors(generator, 1, 64, shared=1, common=common), pattern_descriptors=dict(labels)
    )
    found = permute_similarity(layers, areas, permutations=5, seed=4)
    assert found.attrs["unit"] == "category"
    expected = permute_vectors(
        layers.dissimilarities, areas.dissimilarities[0], 5, seed=4, units=EIGHT
    )
    np.testing.assert_allclose(found[:, :, 0], expected)
    within = permute_similarity(layers, areas, permutations=5, within=True)
    assert float(within.mean()) > float(found.mean()) + 0.02
    with pytest.raises(ValueError, match="no coordinate 'object'"):
        permute_similarity(layers, areas, unit="object")
