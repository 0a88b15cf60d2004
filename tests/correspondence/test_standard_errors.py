"""Standard errors over units against leaving out one by one, and against the truth."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from brainguided.correspondence.standard_errors import measure_spread
from brainguided.rdms.compare import compare_rdms
from brainguided.rdms.distances import square_matrix, upper_triangle
from brainguided.rdms.measures import pattern_distances
from brainguided.rdms.units import Units

SINGLE = {n: Units("stimulus", (np.arange(n),)) for n in (16, 24, 60)}
GROUPED = Units("category", (np.repeat(np.arange(8), 3),))


def make_pair(generator, n: int, *, noise: float = 1.0, units: Units | None = None):
    index = np.arange(n) if units is None else units.index
    shared = generator.normal(size=(index.max() + 1, 8))[index]
    return [
        pattern_distances(shared + noise * generator.normal(size=(n, 8)), "correlation")
        for _ in range(2)
    ]


@pytest.mark.parametrize("method", ["pearson", "cosine"])
@pytest.mark.parametrize("units", [SINGLE[24], GROUPED])
def test_the_jackknife_equals_leaving_out_units_one_by_one(method, units) -> None:
    x, y = make_pair(np.random.default_rng(0), 24)
    found = measure_spread([x], y, units, method=method)

    def compare(kept: np.ndarray) -> float:
        a, b = (upper_triangle(square_matrix(v)[np.ix_(kept, kept)]) for v in (x, y))
        if method == "pearson":
            a, b = a - a.mean(), b - b.mean()
        return a @ b / np.sqrt((a @ a) * (b @ b))

    n = units.number
    left = np.arctanh([compare(np.flatnonzero(units.index != unit)) for unit in range(n)])
    oracle = (n - 1) / n * ((left - left.mean()) ** 2).sum()
    assert (found.deviations**2).sum() == pytest.approx(oracle, rel=1e-9)
    assert found.centre[0] == pytest.approx(np.arctanh(compare(np.arange(24))), abs=1e-12)
    assert found.deviations.sum() == pytest.approx(0, abs=1e-12)
    assert np.sqrt(oracle / 2) * (1 - 1e-9) <= found.error[0] <= np.sqrt(oracle)
    draws = found.draw(20000, 0)[:, 0]
    lower, upper = found.interval()[0]
    assert np.quantile(draws, 0.5) == pytest.approx(np.tanh(found.centre[0]), abs=0.02)
    np.testing.assert_allclose(np.quantile(draws, [0.025, 0.975]), [lower, upper], atol=0.05)


def test_the_influence_on_spearmans_correlation_is_the_change_when_pairs_are_left_out() -> None:
    from brainguided.correspondence.standard_errors import _rank_influence

    generator = np.random.default_rng(1)
    x = generator.normal(size=1500)
    y = (x + generator.normal(size=1500)).round(1)  # with ties
    whole = spearmanr(x, y).statistic
    change = [whole - spearmanr(np.delete(x, k), np.delete(y, k)).statistic for k in range(300)]
    assert np.corrcoef(change, _rank_influence(x, y)[:300])[0, 1] > 0.999
    ratio = np.std(change) / np.std(_rank_influence(x, y)[:300])
    assert ratio == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize("method", ["pearson", "spearman"])
@pytest.mark.parametrize("noise", [0.3, 1.0, 30.0])
def test_the_error_over_samples_of_stimuli_is_that_of_simulations(method, noise) -> None:
    generator = np.random.default_rng(0)
    centres, errors = [], []
    for _ in range(150):
        x, y = make_pair(generator, 60, noise=noise)
        found = measure_spread([x], y, SINGLE[60], method=method)
        centres.append(found.centre[0])
        errors.append(found.error[0])
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(centres), rel=0.2)


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_intervals_over_eight_categories_hold_the_truth_where_those_over_stimuli_do_not(
    method,
) -> None:
    generator = np.random.default_rng(0)
    world = generator.normal(size=(6, 20)), generator.normal(size=(6, 20))

    def draw(units: int) -> tuple[np.ndarray, ...]:
        index = np.repeat(np.arange(units), 3)
        points = generator.normal(size=(units, 6))[index] + 0.4 * generator.normal(
            size=(len(index), 6)
        )
        return tuple(pattern_distances(np.maximum(points @ w, 0), "correlation") for w in world)

    everything = np.array([np.corrcoef(draw(8))[0, 1] for _ in range(2000)])
    if method == "spearman":
        everything = np.array([spearmanr(*draw(8)).statistic for _ in range(2000)])
    truth = np.tanh(np.arctanh(everything).mean())
    held = {GROUPED: 0, SINGLE[24]: 0}
    for _ in range(200):
        x, y = draw(8)
        for units in held:
            lower, upper = measure_spread([x], y, units, method=method).interval()[0]
            held[units] += lower <= truth <= upper
    assert 0.9 <= held[GROUPED] / 200 <= 0.995
    assert held[SINGLE[24]] / 200 < 0.85


def test_an_rdm_beside_itself_has_no_spread_and_scale_does_not_matter() -> None:
    x, y = make_pair(np.random.default_rng(0), 24)
    found = measure_spread([y, x, 1e-9 * x + 3e-9], y, GROUPED)
    assert found.interval()[0].tolist() == pytest.approx([1, 1])
    np.testing.assert_allclose(found.interval()[1], found.interval()[2], rtol=1e-6)
    np.testing.assert_allclose(found.draw(5, 0)[:, 1], found.draw(5, 0)[:, 2], rtol=1e-6)
    assert np.isfinite(found.draw(5, 0)).all()


def test_oracle_of_the_similarity() -> None:
    from rsatoolbox.rdm import RDMs

    x, y = make_pair(np.random.default_rng(3), 16)
    labels = {"stimulus": [f"im{k}" for k in range(16)]}
    for method in ("pearson", "cosine", "spearman"):
        found = measure_spread([x], y, SINGLE[16], method=method)
        a, b = (RDMs(v[None], pattern_descriptors=dict(labels)) for v in (x, y))
        assert np.tanh(found.centre[0]) == pytest.approx(
            compare_rdms(a, b, method=method)[0, 0], abs=1e-12
        )
