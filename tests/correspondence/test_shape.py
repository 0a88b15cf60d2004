"""Procrustes and soft matching: invariances, oracles, planted units, permutations."""

import itertools

import numpy as np
import pytest
import xarray as xr
from scipy.spatial import procrustes

from brainguided.correspondence import (
    compute_cka,
    compute_procrustes,
    compute_soft_matching,
    permute_responses,
)
from neural_data import AlignmentError


def make(values: np.ndarray) -> xr.DataArray:
    names = [f"im{k}" for k in range(len(values))]
    return xr.DataArray(values, dims=("stimulus", "unit"), coords={"stimulus": names})


def test_procrustes_similarity_equals_that_of_scipy() -> None:
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(2, 30, 6))
    disparity = procrustes(x, y)[2]  # 1 - similarity^2 of the standardised matrices
    assert compute_procrustes(make(x), make(y)) == pytest.approx(np.sqrt(1 - disparity), abs=1e-10)


@pytest.mark.parametrize("units", [8, 50])
def test_procrustes_similarity_is_1_after_rotation_scaling_and_shift(units) -> None:
    generator = np.random.default_rng(1)
    x = generator.normal(size=(20, units))
    rotation, _ = np.linalg.qr(generator.normal(size=(units, units)))
    moved = 1e-9 * (x @ rotation) + generator.normal(size=units) * 1e-9
    assert compute_procrustes(make(x), make(moved)) == pytest.approx(1)
    wider = np.concatenate([x, np.zeros((20, 5))], axis=1)
    assert compute_procrustes(make(x), make(wider)) == pytest.approx(1)
    assert compute_procrustes(make(x), make(x * generator.uniform(0.1, 10, units))) < 0.99


def test_the_angle_obeys_the_triangle_inequality() -> None:
    generator = np.random.default_rng(2)
    for _ in range(50):
        sides = [make(generator.normal(size=(12, n))) for n in (3, 5, 20)]
        a, b, c = (np.arccos(compute_procrustes(p, q)) for p, q in itertools.combinations(sides, 2))
        assert a <= b + c + 1e-9
        assert b <= a + c + 1e-9
        assert c <= a + b + 1e-9


def test_soft_matching_of_as_many_units_is_the_best_permutation() -> None:
    generator = np.random.default_rng(3)
    x, y = generator.normal(size=(2, 15, 5))
    correlation = np.corrcoef(x.T, y.T)[:5, 5:]
    best = max(
        np.mean([correlation[i, j] for i, j in enumerate(order)])
        for order in itertools.permutations(range(5))
    )
    assert compute_soft_matching(make(x), make(y)) == pytest.approx(best, abs=1e-10)


def test_soft_matching_of_other_numbers_of_units_solves_the_linear_programme() -> None:
    from scipy.optimize import linprog

    generator = np.random.default_rng(4)
    x, y = generator.normal(size=(15, 4)), generator.normal(size=(15, 7))
    correlation = np.corrcoef(x.T, y.T)[:4, 4:]
    rows = np.kron(np.eye(4), np.ones(7)), np.kron(np.ones(4), np.eye(7))
    solved = linprog(
        -correlation.ravel(), A_eq=np.vstack(rows), b_eq=np.repeat([1 / 4, 1 / 7], [4, 7])
    )
    assert compute_soft_matching(make(x), make(y)) == pytest.approx(-solved.fun, abs=1e-9)


def test_soft_matching_knows_units_and_procrustes_does_not() -> None:
    generator = np.random.default_rng(5)
    x = np.exp(generator.normal(size=(60, 10)))
    shuffled = x[:, generator.permutation(10)] * 3
    rotation, _ = np.linalg.qr(generator.normal(size=(10, 10)))
    assert compute_soft_matching(make(x), make(shuffled)) == pytest.approx(1)
    assert compute_soft_matching(make(x), make(x @ rotation)) < 0.8
    assert compute_procrustes(make(x), make(x @ rotation)) == pytest.approx(1)


@pytest.mark.parametrize("measure", [compute_procrustes, compute_soft_matching, compute_cka])
def test_permutations_find_what_is_planted_and_are_calibrated_without(measure) -> None:
    generator = np.random.default_rng(6)
    p = []
    for _ in range(40):
        x, y = generator.normal(size=(12, 5)), generator.normal(size=(12, 7))
        found = permute_responses(
            measure, make(x), make(y), permutations=19, seed=int(generator.integers(1000))
        )
        p.append(found["p_value"].item())
    assert np.mean(np.array(p) <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 40)
    assert 0.3 < np.mean(p) < 0.7
    y = np.concatenate([x[:, :4], x[:, :3]], axis=1) + 0.3 * generator.normal(size=(12, 7))
    found = permute_responses(measure, make(x), make(y), permutations=99)
    assert found["p_value"].item() == 0.01
    assert found["above_null"].item() > 0


def test_what_has_no_similarity_is_refused() -> None:
    generator = np.random.default_rng(7)
    x = make(generator.normal(size=(10, 4)))
    with pytest.raises(AlignmentError, match="another order"):
        compute_procrustes(x, x[::-1])
    with pytest.raises(ValueError, match="do not vary"):
        compute_procrustes(x, make(np.ones((10, 3))))
    silent = x.copy()
    silent[:, 1] = 2.0
    with pytest.raises(ValueError, match="1 of 4 units of the second responses do not vary"):
        compute_soft_matching(x, silent)
    with pytest.raises(ValueError, match="6 or more are needed"):
        permute_responses(compute_procrustes, x[:5], x[:5])


def test_responses_that_share_categories_alone_are_exchanged_by_categories() -> None:
    generator = np.random.default_rng(0)
    category = np.repeat(np.arange(8), 4)

    def respond() -> xr.DataArray:
        own = 2 * generator.normal(size=(8, 30))[category] + generator.normal(size=(32, 30))
        return make(own).assign_coords(category=("stimulus", category.astype(str)))

    p = []
    for seed in range(25):
        a, b = respond(), respond()
        found = permute_responses(compute_procrustes, a, b, permutations=39, seed=seed)
        assert found.attrs["unit"] == "category"
        p.append(found["p_value"].item())
    assert np.mean(np.array(p) <= 0.05) <= 0.2  # 3 standard errors of 25 above 5 %
    with pytest.warns(UserWarning, match="grouped by 'category'"):
        found = permute_responses(compute_procrustes, a, b, permutations=39, unit="stimulus")
    assert found["p_value"].item() == 1 / 40


def test_a_measure_that_is_not_finite_has_no_p_value() -> None:
    generator = np.random.default_rng(3)
    x = make(generator.normal(size=(12, 4)))
    with pytest.raises(ValueError, match=r"not finite for 20 of 20 orders.*do not vary"):
        permute_responses(compute_cka, x, make(np.ones((12, 4))), permutations=19)


def test_units_of_other_sizes_are_exchanged_for_a_part_of_the_larger_one() -> None:
    generator = np.random.default_rng(5)
    category = np.repeat(np.arange(7), [3, 4, 5, 6, 7, 8, 9]).astype(str)
    labels = {"category": ("stimulus", category)}
    seen = []

    def compare(a: xr.DataArray, b: xr.DataArray) -> float:
        seen.append((a["category"].values, b["category"].values))
        return compute_procrustes(a, b)

    a, b = (make(generator.normal(size=(42, 4))) for _ in range(2))
    found = permute_responses(compare, a.assign_coords(labels), b.assign_coords(labels),
                              permutations=19)  # fmt: skip
    assert np.isfinite(found["null"]).all()
    for first, second in seen[1:]:
        assert len(set(zip(first.tolist(), second.tolist(), strict=True))) == 7  # kept together
