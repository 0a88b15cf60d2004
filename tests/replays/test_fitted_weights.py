"""Weights of rewards: planted ones are found, controls get the same fit."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
from made_pools import CONTROLS, make_pool
from scipy.optimize import minimize

from brainguided.guidance.robust import RobustReward
from brainguided.replays.fitted_weights import _solve, fit_weights, save_weights


def test_weights_are_those_of_ridge_regression_with_no_negative_weight() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(50, 4))
    y = x @ [1.0, 0.5, -0.7, 0.0] + generator.normal(size=50)
    found = _solve(x, y, 0.3)

    def loss(w: np.ndarray) -> float:
        return float(np.square(y - x @ w).sum() + 0.3 * 50 * np.square(w[1:]).sum())

    oracle = minimize(loss, np.ones(4), bounds=[(0, None)] * 4, tol=1e-12)
    np.testing.assert_allclose(found, oracle.x, atol=1e-4)
    assert found[2] == 0


def test_a_planted_area_gets_weight_and_its_controls_and_shuffles_do_worse(tmp_path: Path) -> None:
    fitted = fit_weights(make_pool(60, shuffles=5, brain=0.6))
    assert fitted.weights["V4@50"] > 0.5
    assert fitted.weights["V4@50"] > 5 * fitted.weights["IT@50"]
    assert min(fitted.weights.values()) >= 0
    assert fitted.correlation > fitted.of_performance
    assert fitted.correlation > max(*fitted.of_controls.values(), *fitted.of_shuffles)
    assert set(fitted.of_controls) == set(CONTROLS)
    assert len(fitted.of_shuffles) == 5
    path = save_weights(fitted, tmp_path / "weights.toml")
    content = tomllib.loads(path.read_text())
    assert content["weights"] == pytest.approx(dict(fitted.weights), rel=1e-5)
    assert set(RobustReward(content["weights"]).weights or {}) == set(content["weights"])
    assert content["fit"]["candidates"] == 60
    assert set(content["fit"]["controls"]) == set(CONTROLS)


def test_mature_accuracy_that_p_does_not_predict_is_refused() -> None:
    pool = make_pool(24)
    reverse = -np.array([one.value("performance") for one in pool.measurements], dtype=float)
    against = type(pool)(
        pool.candidates, pool.measurements, reverse, pool.statistics, pool.neighbours
    )
    with pytest.raises(ValueError, match="P at the last rung adds nothing"):
        fit_weights(against)
