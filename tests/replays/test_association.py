"""Statistics of validity on arrays, against scipy, scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau, pearsonr, rankdata
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from brainguided.candidates.ridge import PENALTIES, expand_counts, fit_ridge, rank_columns
from brainguided.replays._association import (
    concord,
    correlate,
    draw_weights,
    find_interval,
    find_regret,
    rank_among,
)
from brainguided.replays._out_of_fold import find_neighbours, group_equal, predict_out_of_fold


@pytest.fixture
def pool() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    x = generator.integers(0, 8, 30) + 1e6  # ties, far from 0
    y = 0.3 * x + generator.normal(size=30)
    return x.astype(float), y, draw_weights(30, 50, seed=1)


def test_the_first_draw_is_the_sample_and_the_others_are_as_large() -> None:
    weights = draw_weights(12, 100, seed=0)
    assert (weights[0] == 1).all()
    assert (weights.sum(1) == 12).all()
    assert (draw_weights(12, 100, seed=0) == weights).all()


@pytest.mark.parametrize(("ours", "theirs"), [(correlate, pearsonr), (concord, kendalltau)])
def test_correlations_of_all_draws_agree_with_scipy(ours, theirs, pool) -> None:  # type: ignore[no-untyped-def]
    x, y, weights = pool
    drawn = [np.repeat(np.arange(len(x)), row.astype(int)) for row in weights]
    oracle = [theirs(x[one], y[one])[0] for one in drawn]
    np.testing.assert_allclose(ours(x, y, weights), oracle, atol=1e-9)


def test_candidates_without_a_score_are_left_out(pool) -> None:  # type: ignore[no-untyped-def]
    x, y, weights = pool
    holes = x.copy()
    holes[::5] = np.nan
    kept = np.isfinite(holes)
    for function in (correlate, concord):
        np.testing.assert_allclose(
            function(holes, y, weights), function(x[kept], y[kept], weights[:, kept])
        )


def test_a_constant_score_has_no_correlation(pool) -> None:  # type: ignore[no-untyped-def]
    x, y, weights = pool
    for function in (correlate, concord):
        assert np.isnan(function(np.full_like(x, 0.1), y, weights)).all()


def test_regret_by_hand() -> None:
    score, mature = np.array([3.0, 1, 3, 2]), np.array([90.0, 94, 92, 93])
    weights = np.array([[1.0, 1, 1, 1], [0, 2, 1, 1]])
    assert find_regret(score, mature, weights, 1).tolist() == [4, 2]  # the earlier of equals
    assert find_regret(score, mature, weights, 2).tolist() == [2, 1]
    assert find_regret(score, mature, weights, 4).tolist() == [0, 0]


def test_an_interval_is_of_percentiles_and_undefined_with_few_draws() -> None:
    draws = np.arange(1001.0)
    assert find_interval(draws) == (25.0, 975.0)
    draws[:600] = np.nan
    assert np.isnan(find_interval(draws)).all()


def test_ranks_among_shuffles_by_hand() -> None:
    shuffled = np.array([[0.1, 0.0], [0.3, 5.0], [0.2, 1.0]])
    alone, corrected = rank_among(shuffled, np.array([0.25, 9.0]))
    assert alone.tolist() == [2 / 4, 1 / 4]
    rows = np.array([[0.25, 9.0], *shuffled.tolist()])
    z = (rows - rows.mean(0)) / rows.std(0)
    by_hand = [(z.max(1) >= z[0, test]).mean() for test in (0, 1)]
    assert corrected.tolist() == by_hand
    assert (corrected >= alone).all()


def test_under_the_null_corrected_p_values_are_uniform_or_larger() -> None:
    """Of 20 correlated tests on noise, the smallest corrected p is below .1 in one of ten cases."""
    generator = np.random.default_rng(3)
    smallest = []
    for _ in range(400):
        rows = generator.normal(size=(50, 20)) + generator.normal(size=(50, 1)) + 3.0
        smallest.append(rank_among(rows[1:], rows[0])[1].min())
    assert 0.06 < (np.array(smallest) <= 0.1).mean() < 0.14


def test_ridge_agrees_with_sklearn_and_its_penalty_with_generalised_cross_validation() -> None:
    generator = np.random.default_rng(0)
    x, noise = generator.normal(size=(40, 5)), generator.normal(size=(40, 2))
    y = x @ generator.normal(size=(5, 2)) + noise * [0.5, 5.0]
    x, y = x - x.mean(0), y - y.mean(0)
    found = fit_ridge(x, y)
    for column in range(2):
        scores = []
        for penalty in PENALTIES * len(x):
            hat = x @ np.linalg.inv(x.T @ x + penalty * np.eye(5)) @ x.T
            left = y[:, column] - hat @ y[:, column]
            scores.append(left @ left / (1 - np.trace(hat) / len(x)) ** 2)
        alpha = PENALTIES[np.argmin(scores)] * len(x)
        oracle = Ridge(alpha=alpha, fit_intercept=False).fit(x, y[:, column])
        np.testing.assert_allclose(found[:, column], oracle.coef_, atol=1e-8)


def test_predictions_are_learned_from_others_than_neighbours() -> None:
    """What lies beyond the neighbourhood predicts; changing a neighbour changes nothing."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(30, 3))
    y = x[:, :1] - x[:, 1:2] + 0.1 * generator.normal(size=(30, 1))
    near = np.eye(30, dtype=bool)
    near[0, 1] = near[1, 0] = True
    before = predict_out_of_fold(x, y, near)
    assert np.corrcoef(before[:, 0], y[:, 0])[0, 1] > 0.95
    z = StandardScaler().fit_transform(x)
    rest = [k for k in range(30) if not near[0, k]]
    by_hand = y.mean(0) + z[:1] @ fit_ridge(z[rest], y[rest] - y.mean(0))
    np.testing.assert_allclose(before[:1], by_hand)
    changed = y.copy()
    changed[1] += 100.0
    moved = predict_out_of_fold(x, changed, near) - changed.mean()
    rest_of_fold = fit_ridge(z[rest], changed[rest] - changed.mean())
    np.testing.assert_allclose(moved[0], z[0] @ rest_of_fold)


def test_a_predictor_of_nothing_predicts_nothing_instead_of_the_reverse() -> None:
    """An intercept of each fold would be the lower the higher the one that is left out."""
    generator = np.random.default_rng(1)
    found = []
    for _ in range(20):
        x, y = generator.normal(size=(40, 2)), generator.normal(size=(40, 1))
        predicted = predict_out_of_fold(x, y, np.eye(40, dtype=bool))
        found.append(np.corrcoef(predicted[:, 0], y[:, 0])[0, 1])
    assert abs(np.mean(found)) < 0.35


def test_neighbours_differ_in_one_decision_or_have_the_same_counts() -> None:
    actions = [(0, 1, 2), (0, 1, 3), (0, 2, 3), (0, 1), (4, 4, 4), (0, 1, 1, 2)]
    counts = np.array([[1, 1], [2, 1], [3, 1], [4, 1], [1, 1], [5, 1]])
    near = find_neighbours(actions, counts)
    expected = {(0, 1), (1, 2), (0, 3), (1, 3), (0, 4), (0, 5), (3, 5)}
    found = {(i, j) for i in range(6) for j in range(i + 1, 6) if near[i, j]}
    assert found == expected
    assert near.diagonal().all()
    assert (near == near.T).all()
    assert sorted(np.concatenate(group_equal(near)).tolist()) == list(range(6))


def test_ranks_and_products_by_hand() -> None:
    values = np.array([[3.0, 1.0], [1.0, 1.0], [2.0, 5.0]])
    np.testing.assert_allclose(rank_columns(values)[:, 1], [1 / 3, 1 / 3, 2.5 / 3])
    np.testing.assert_allclose(rank_columns(values)[:, 0], (rankdata(values[:, 0]) - 0.5) / 3)
    expanded = expand_counts(values)
    z = (values - values.mean(0)) / values.std(0)
    np.testing.assert_allclose(expanded[:, 3], z[:, 0] * z[:, 1])
    assert expanded.shape == (3, 5)
