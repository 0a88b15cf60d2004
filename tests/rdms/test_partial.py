"""Partial similarity and variance partitioning of RDMs: plain regression, planted parts, nulls."""

import numpy as np
import pytest
from rsatoolbox.rdm import RDMs
from scipy.stats import rankdata
from sklearn.linear_model import LinearRegression

from brainguided.rdms import compare_partial, compare_rdms, partition_variance, permute_partial
from brainguided.rdms.measures import pattern_distances
from neural_data import AlignmentError


def as_rdms(vectors, names=None, labels=None) -> RDMs:
    vectors = np.atleast_2d(vectors)
    n = round((1 + np.sqrt(1 + 8 * vectors.shape[1])) / 2)
    labels = [f"im{k}" for k in range(n)] if labels is None else labels
    names = [f"layer{k}" for k in range(len(vectors))] if names is None else names
    return RDMs(vectors, rdm_descriptors={"layer": names}, pattern_descriptors={"stimulus": labels})


def distances_of(generator, n=20, units=30) -> np.ndarray:
    return pattern_distances(generator.normal(size=(n, units)), "squared euclidean")


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_partial_similarity_equals_the_correlation_of_residuals_of_a_regression(method) -> None:
    generator = np.random.default_rng(0)
    a, b, given = (np.stack([distances_of(generator) for _ in range(k)]) for k in (3, 2, 2))
    b = b + 0.5 * given[:1] + 0.3 * a[:2]
    found = compare_partial(as_rdms(a), as_rdms(b), as_rdms(given), method=method)
    if method == "spearman":
        a, b, given = (rankdata(v, axis=1) for v in (a, b, given))
    rest = [v.T - LinearRegression().fit(given.T, v.T).predict(given.T) for v in (a, b)]
    oracle = np.corrcoef(rest[0].T, rest[1].T)[:3, 3:]
    np.testing.assert_allclose(found, oracle, atol=1e-10)


def test_partial_similarity_ignores_whatever_is_added_of_the_controls_to_either_side() -> None:
    generator = np.random.default_rng(1)
    a, b, one, two = (distances_of(generator) for _ in range(4))
    given = as_rdms(np.stack([one, two]))
    before = compare_partial(as_rdms(a), as_rdms(b), given)
    after = compare_partial(as_rdms(a + 3 * one + 7), as_rdms(5 * b - 2 * two), given)
    np.testing.assert_allclose(before, after, atol=1e-10)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_partial_similarity_does_not_depend_on_units(scale) -> None:
    generator = np.random.default_rng(2)
    a, b, given = (distances_of(generator) for _ in range(3))
    expected = compare_partial(as_rdms(a), as_rdms(b), as_rdms(given))
    found = compare_partial(as_rdms(scale * a), as_rdms(b / scale), as_rdms(scale * given))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_two_systems_that_share_categories_alone_have_no_partial_similarity() -> None:
    generator = np.random.default_rng(3)
    category = np.repeat(np.arange(5), 6)
    labels = pattern_distances(np.eye(5)[category], "squared euclidean")
    plain, partial = [], []
    for _ in range(100):
        sides = [
            pattern_distances(
                generator.normal(size=(5, 20))[category] + generator.normal(size=(30, 20)),
                "squared euclidean",
            )
            for _ in range(2)
        ]
        # what categories are like, beyond being different, is drawn anew on each side
        plain.append(compare_rdms(as_rdms(sides[0]), as_rdms(sides[1])).item())
        partial.append(compare_partial(*map(as_rdms, sides), as_rdms(labels)).item())
    assert np.mean(plain) > 0.2
    assert abs(np.mean(partial)) < 3 * np.std(partial) / 10 + 0.01


def test_parts_of_variance_equal_differences_of_r_squared_and_add_up() -> None:
    generator = np.random.default_rng(4)
    a, given, rest = (distances_of(generator, 30) for _ in range(3))
    b = a + given + 0.5 * rest
    found = partition_variance(as_rdms(a, ["conv1"]), as_rdms(b), as_rdms(given))
    assert found["layer"].values.tolist() == ["conv1"]
    both = np.stack([a, given]).T
    r_squared = [LinearRegression().fit(x, b).score(x, b) for x in (both, both[:, :1], both[:, 1:])]
    assert found["total"].item() == pytest.approx(r_squared[0], abs=1e-9)
    assert found["unique"].item() == pytest.approx(r_squared[0] - r_squared[2], abs=1e-9)
    assert found["unique_given"].item() == pytest.approx(r_squared[0] - r_squared[1], abs=1e-9)
    total = found["unique"] + found["unique_given"] + found["shared"]
    np.testing.assert_allclose(total, found["total"])


def test_the_permutation_test_is_calibrated_and_finds_a_planted_part() -> None:
    generator = np.random.default_rng(5)
    p = []
    for _ in range(200):
        given = distances_of(generator, 14)
        a, b = (distances_of(generator, 14) + 2 * given for _ in range(2))
        seed = int(generator.integers(1000))
        found = permute_partial(*map(as_rdms, (a, b, given)), permutations=99, seed=seed)
        p.append(found["p_value"].item())
    assert 0.01 <= np.mean(np.array(p) <= 0.05) <= 0.10
    shared = distances_of(generator, 14)
    a, b = (distances_of(generator, 14) + 2 * given + 2 * shared for _ in range(2))
    found = permute_partial(*map(as_rdms, (a, b, given)), permutations=199)
    assert found["p_value"].item() <= 0.01
    assert found["p_value_best"].item() == found["p_value"].item()
    assert found["similarity"].item() == pytest.approx(
        compare_partial(*map(as_rdms, (a, b, given))).item()
    )


def test_the_null_is_that_of_freedman_and_lane() -> None:
    generator = np.random.default_rng(7)
    a, b, given = (distances_of(generator, 9) for _ in range(3))
    found = permute_partial(*map(as_rdms, (a, b, given)), permutations=1, seed=4)
    order = np.random.default_rng([4, 14]).permutation(9)
    model = LinearRegression().fit(given[:, None], b)
    square = np.zeros((9, 9))
    square[np.triu_indices(9, 1)] = b - model.predict(given[:, None])
    square += square.T
    permuted = square[np.ix_(order, order)][np.triu_indices(9, 1)]
    rest = [v - LinearRegression().fit(given[:, None], v).predict(given[:, None])
            for v in (a, model.predict(given[:, None]) + permuted)]  # fmt: skip
    assert found["null"].item() == pytest.approx(np.corrcoef(*rest)[0, 1], abs=1e-10)


def test_what_cannot_be_controlled_for_is_refused() -> None:
    generator = np.random.default_rng(6)
    a, b, given = (as_rdms(distances_of(generator)) for _ in range(3))
    twice = as_rdms(np.vstack([given.dissimilarities, 2 * given.dissimilarities + 1]))
    with pytest.raises(ValueError, match="explain one another"):
        compare_partial(a, b, twice)
    with pytest.raises(ValueError, match="expected RDMs that vary"):
        compare_partial(a, b, as_rdms(np.ones(190)))
    with pytest.raises(ValueError, match="'nonsense'"):
        compare_partial(a, b, given, method="nonsense")
    with pytest.raises(AlignmentError):
        compare_partial(a, as_rdms(b.dissimilarities, labels=list("abcdefghijklmnopqrst")), given)
    gap = b.dissimilarities.copy()
    gap[0, 3] = np.nan
    with pytest.raises(ValueError, match="1 entries of 'b' are missing"):
        compare_partial(a, as_rdms(gap), given)
    few = [as_rdms(distances_of(generator, 5)) for _ in range(3)]
    with pytest.raises(ValueError, match="6 or more are needed"):
        permute_partial(*few)
    assert np.isnan(compare_partial(given, b, given)).all()


def test_systems_that_share_categories_alone_are_exchanged_by_categories() -> None:
    generator = np.random.default_rng(0)
    category = np.repeat(np.arange(8), 4)
    labels = {"stimulus": [f"im{k}" for k in range(32)], "category": category.astype(str).tolist()}

    def make_system() -> RDMs:
        own = 2 * generator.normal(size=(8, 30))[category] + generator.normal(size=(32, 30))
        return RDMs(pattern_distances(own, "correlation")[None], pattern_descriptors=dict(labels))

    p = []
    for seed in range(25):
        a, b = make_system(), make_system()
        given = as_rdms(distances_of(generator, 32), labels=labels["stimulus"])
        found = permute_partial(a, b, given, permutations=39, seed=seed)
        assert found.attrs["unit"] == "category"
        p.append(found["p_value"].item())
    assert np.mean(np.array(p) <= 0.05) <= 0.2  # 3 standard errors of 25 above 5 %
    with pytest.warns(UserWarning, match="grouped by 'category'"):
        found = permute_partial(a, b, given, permutations=39, unit="stimulus")
    assert found["p_value"].item() == 1 / 40


def test_what_is_not_defined_has_no_p_value_and_leaves_the_best_of_the_others() -> None:
    generator = np.random.default_rng(7)
    layers, b, given = (np.stack([distances_of(generator) for _ in range(k)]) for k in (2, 2, 1))
    undefined = np.stack(
        [np.ones_like(given[0]), 2 * given[0] + 1]
    )  # a dead layer, and one explained
    sides = as_rdms(b), as_rdms(given)
    found = permute_partial(as_rdms(np.vstack([layers, undefined])), *sides, permutations=49)
    alone = permute_partial(as_rdms(layers), *sides, permutations=49)
    for name in ("similarity", "p_value"):
        assert np.isnan(found[name].values[2:]).all()
        np.testing.assert_allclose(found[name].values[:2], alone[name].values, atol=1e-12)
    np.testing.assert_array_equal(found["p_value_best"], alone["p_value_best"])
    explained = permute_partial(as_rdms(layers), as_rdms(given), as_rdms(given), permutations=9)
    assert np.isnan(explained["p_value_best"].values).all()
