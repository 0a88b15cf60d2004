"""Validity of scores: every number by hand on a small pool, planted relations, refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from made_pools import CONTROLS, RUNGS, make_pool
from scipy.stats import kendalltau, pearsonr, rankdata
from sklearn.linear_model import Ridge

from brainguided.architectures.graph_counts import GRAPH_COUNTS
from brainguided.candidates.ridge import PENALTIES
from brainguided.guidance.robust import RobustReward
from brainguided.journal.means import average_repeats
from brainguided.journal.measurement import Measurement, Repeat, Rung
from brainguided.replays._association import draw_weights
from brainguided.replays._scores import read_scores, read_shuffles
from brainguided.replays.pools import Pool
from brainguided.replays.validity import compute_validity
from brainguided.replays.validity_sentences import describe_validity

DRAWS, SEED = 30, 4


@pytest.fixture(scope="module")
def pool() -> Pool:
    return make_pool(24, shuffles=9)


@pytest.fixture(scope="module")
def found(pool: Pool) -> xr.Dataset:
    return compute_validity(pool, draws=DRAWS, seed=SEED)


def _value(pool: Pool, name: str, rung: int) -> np.ndarray:
    return np.array([one.value(f"{name}@{rung}") for one in pool.measurements], dtype=float)


def _drawn(pool: Pool) -> list[np.ndarray]:
    weights = draw_weights(len(pool.candidates), DRAWS, SEED).astype(int)
    return [np.repeat(np.arange(len(row)), row) for row in weights]


def _rank(values: np.ndarray) -> np.ndarray:
    return (rankdata(values) - 0.5) / len(values)


def _residual(pool: Pool, values: np.ndarray, given: list[np.ndarray]) -> np.ndarray:
    """Ranks less their ridge prediction from others than neighbours, one candidate at a time."""
    counts = np.column_stack([pool.statistics[name] for name in GRAPH_COUNTS])
    z = (counts - counts.mean(0)) / np.where(counts.std(0) > 0, counts.std(0), 1)
    columns = [z[:, a] for a in range(5)]
    columns += [z[:, a] * z[:, b] for a in range(5) for b in range(a, 5)]
    columns += [_rank(one) for one in given]
    x = np.column_stack([one for one in columns if one.std() > 1e-12])
    x = (x - x.mean(0)) / x.std(0)
    y = _rank(values) - 0.5
    rest = np.full(len(y), np.nan)
    for k in range(len(y)):
        same = (pool.neighbours == pool.neighbours[k]).all(1)
        kept = ~pool.neighbours[same].any(0)
        if kept.sum() < 8:
            continue
        scores = []
        for penalty in PENALTIES * kept.sum():
            inner = x[kept].T @ x[kept] + penalty * np.eye(x.shape[1])
            hat = x[kept] @ np.linalg.solve(inner, x[kept].T)
            left = y[kept] - hat @ y[kept]
            scores.append(left @ left / (1 - np.trace(hat) / kept.sum()) ** 2)
        alpha = PENALTIES[np.argmin(scores)] * kept.sum()
        model = Ridge(alpha=alpha, fit_intercept=False).fit(x[kept], y[kept])
        rest[k] = y[k] - x[k] @ model.coef_
    return rest


def _given(pool: Pool, rung: int) -> list[np.ndarray]:
    size = [pool.statistics["parameters"], pool.statistics["multiply_adds"]]
    return [*size, _value(pool, "performance", rung)]


def _partial(pool: Pool, score: np.ndarray, given: list[np.ndarray]) -> float:
    rest, mature = _residual(pool, score, given), _residual(pool, pool.mature, given)
    known = np.isfinite(rest)
    return float(pearsonr(rest[known], mature[known])[0])


@pytest.mark.parametrize("name", ["V4", "committed IT", "TG", "V4:pixels", "cross_entropy"])
@pytest.mark.parametrize("rung", RUNGS)
def test_statistics_and_intervals_by_hand(
    pool: Pool, found: xr.Dataset, name: str, rung: int
) -> None:
    score = _value(pool, name, rung) * (-1 if name == "cross_entropy" else 1)
    one = found.sel(score=name, rung=rung)
    for statistic, function in (("pearson", pearsonr), ("kendall", kendalltau)):
        drawn = [function(score[k], pool.mature[k])[0] for k in _drawn(pool)]
        got = one.sel(statistic=statistic)
        assert float(got["value"]) == pytest.approx(drawn[0], abs=1e-9)
        low, high = np.quantile(drawn[1:], (0.025, 0.975))
        assert (float(got["lower"]), float(got["upper"])) == pytest.approx((low, high), abs=1e-9)
    best = np.argsort(-score)[:5]
    regret = pool.mature.max() - pool.mature[best].max()
    assert float(one["value"].sel(statistic="regret@5")) == pytest.approx(regret)
    by_hand = _partial(pool, score, _given(pool, rung))
    assert float(one["value"].sel(statistic="partial")) == pytest.approx(by_hand, abs=1e-8)


def test_p_itself_is_given_size_and_counts_alone(pool: Pool, found: xr.Dataset) -> None:
    given = _given(pool, 50)
    by_hand = _partial(pool, given[-1], given[:-1])
    got = found["value"].sel(score="P", rung=50, statistic="partial")
    assert float(got) == pytest.approx(by_hand, abs=1e-8)


def _repeat(pool: Pool, seeds: int) -> Pool:
    """Return a pool of several seeds: each has its own noise in P, which IT copies, and in V4."""
    rng = np.random.default_rng(9)

    def one_seed(measurement: Measurement, seed: int) -> Repeat:
        rungs = []
        for rung in measurement.rungs:
            p = float(rung.performance + 0.1 * rng.normal())
            similarity = dict(rung.similarity)
            similarity["IT"] = {"layer1": p, "layer2": None, "layer3": p - 1}
            similarity["V4"] = {n: v + 0.1 * rng.normal() for n, v in rung.similarity["V4"].items()}
            rungs.append(replace(rung, performance=p, similarity=similarity))
        return Repeat(seed, tuple(rungs), measurement.losses)

    repeated = (
        average_repeats(replace(one, repeats=tuple(one_seed(one, k) for k in range(seeds))))
        for one in pool.measurements
    )
    return replace(pool, measurements=tuple(repeated))


@pytest.mark.parametrize("seeds", [2, 3])
def test_of_several_seeds_p_of_the_others_is_given_by_hand(pool: Pool, seeds: int) -> None:
    several = _repeat(pool, seeds)
    found = compute_validity(several, draws=2)["value"].sel(rung=50, statistic="partial")
    seeds_apart = several.of_seeds
    assert len(seeds_apart) == seeds
    performance = [_value(one_seed, "performance", 50) for one_seed in seeds_apart]
    rests: dict[str, list[np.ndarray]] = {"P": [], "V4": [], "mature": []}
    for k, one_seed in enumerate(seeds_apart):
        others = np.mean([p for j, p in enumerate(performance) if j != k], axis=0)
        given = [pool.statistics["parameters"], pool.statistics["multiply_adds"], others]
        values = {"P": performance[k], "V4": _value(one_seed, "V4", 50), "mature": pool.mature}
        for name, kept in rests.items():
            kept.append(_residual(several, values[name], given))
    left = {name: np.mean(kept, axis=0) for name, kept in rests.items()}
    known = np.isfinite(left["mature"])
    for name in ("P", "V4"):
        by_hand = pearsonr(left[name][known], left["mature"][known])[0]
        assert float(found.sel(score=name)) == pytest.approx(by_hand, abs=1e-8)


def test_of_several_seeds_an_area_is_averaged_as_its_shuffles_are(pool: Pool) -> None:
    """A shuffle that is the area itself has the very same score, and p of one of two."""

    rng = np.random.default_rng(5)

    def copy(rung: Rung) -> Rung:
        similarity = {
            name: {layer: rng.normal() for layer in layers}
            for name, layers in rung.similarity.items()
        }
        rung = replace(rung, similarity=similarity)
        drawn = {area: {"best": [rung.best(area)[1]]} for area in pool.areas}
        return replace(rung, shuffles=drawn)

    several = _repeat(pool, 3)
    repeated = (
        average_repeats(
            replace(
                one,
                repeats=tuple(replace(r, rungs=tuple(map(copy, r.rungs))) for r in one.repeats),
            )
        )
        for one in several.measurements
    )
    copied = replace(several, measurements=tuple(repeated))
    scores, shuffles = read_scores(copied), read_shuffles(copied)
    for name in (*pool.areas, "TG"):
        np.testing.assert_allclose(shuffles[name][0], scores[name], atol=1e-12)
    best = np.array([one.guidance(50) for one in copied.measurements])
    row = copied.rungs.index(50)
    assert (scores["TG"][row] > best + 1e-6).any()
    np.testing.assert_allclose(scores["P + TG"][row], scores["P"][row] + best)


def test_a_score_that_copies_p_is_worth_what_a_second_look_at_p_is() -> None:
    """Given P of the same training nothing would be left of it."""
    pool = make_pool(60, shuffles=0)
    one = compute_validity(_repeat(pool, 1), draws=2)["value"]
    two = compute_validity(_repeat(pool, 2), draws=2)["value"]
    place = {"rung": 50, "statistic": "partial"}
    assert bool(one.sel(score="IT", **place).isnull())
    assert float(two.sel(score="IT", **place)) == pytest.approx(float(two.sel(score="P", **place)))
    assert float(two.sel(score="P", **place)) > 0.2


def test_the_robust_reward_is_a_score_where_there_are_enough_shuffles(found: xr.Dataset) -> None:
    pool = make_pool(26, shuffles=20)
    reward = RobustReward().freeze(pool.measurements[:24])
    score = [reward(one) for one in pool.measurements]
    again = compute_validity(pool, draws=2)["value"].sel(score="robust", statistic="pearson")
    assert float(again.sel(rung=50)) == pytest.approx(pearsonr(score, pool.mature)[0])
    assert bool(again.sel(rung=0).isnull())
    assert bool(found["value"].sel(score="robust").isnull().all())  # 9 shuffles


def test_differences_are_over_the_same_draws(pool: Pool, found: xr.Dataset) -> None:
    score, reference = _value(pool, "V4", 50), _value(pool, "V4:pixels", 50)
    drawn = [
        pearsonr(score[k], pool.mature[k])[0] - pearsonr(reference[k], pool.mature[k])[0]
        for k in _drawn(pool)
    ]
    one = found.sel(score="V4", rung=50, reference="V4:pixels")
    assert float(one["difference"]) == pytest.approx(drawn[0])
    low, high = np.quantile(drawn[1:], (0.025, 0.975))
    assert float(one["difference_lower"]) == pytest.approx(low)
    assert float(one["difference_upper"]) == pytest.approx(high)


def test_gains_over_alpha_by_hand(pool: Pool, found: xr.Dataset) -> None:
    p, guidance = _value(pool, "performance", 50), _value(pool, "TG", 50)
    alone = pearsonr(p, pool.mature)[0]
    for alpha in (0.0, 0.5, 5.0):
        by_hand = pearsonr(p + alpha * guidance, pool.mature)[0] - alone
        got = found["gain"].sel(alpha=alpha, rung=50)
        assert float(got) == pytest.approx(by_hand, abs=1e-9)


def test_ranks_among_shuffles_by_hand(pool: Pool, found: xr.Dataset) -> None:
    names = ["V4", "IT", "TG", "committed V4", "committed IT", "committed TG"]
    chosen = found.sel(score=names)
    shuffled = chosen["shuffled"].transpose("shuffle", "score", "rung", "tested").values
    for i, name in enumerate(names):
        area, kind = name.split()[-1], "committed" if name.startswith("committed") else "best"
        areas = ("V4", "IT") if area == "TG" else (area,)
        for k in range(9):
            score = np.array(
                [
                    np.mean([one.rung(50).shuffles[a][kind][k] for a in areas])
                    for one in pool.measurements
                ]
            )
            assert shuffled[k, i, 1, 0] == pytest.approx(pearsonr(score, pool.mature)[0])
    by_hand = _partial(pool, score, _given(pool, 50))  # the last: of TG
    assert shuffled[8, 5, 1, 1] == pytest.approx(by_hand, abs=1e-8)
    real = chosen["value"].sel(statistic=["pearson", "partial"]).values
    table = np.concatenate([real[None], shuffled]).reshape(10, -1)
    z = (table - table.mean(0)) / table.std(0)
    alone = (table >= table[0] - 1e-9).mean(0).reshape(real.shape)
    corrected = (z.max(1)[:, None] >= z[0] - 1e-9).mean(0).reshape(real.shape)
    np.testing.assert_allclose(chosen["p_value"], alone)
    np.testing.assert_allclose(chosen["corrected_p_value"], corrected)
    assert found["p_value"].sel(score=["P", *CONTROLS]).isnull().all()


def test_shuffles_within_categories_are_ranked_as_free_ones_are(
    pool: Pool, found: xr.Dataset
) -> None:
    def add_within(rung: Rung) -> Rung:
        named = {f"{area}:shuffled-within-category": x for area, x in rung.shuffles.items()}
        return replace(rung, shuffles={**rung.shuffles, **named})

    measured = tuple(
        replace(one, rungs=tuple(map(add_within, one.rungs))) for one in pool.measurements
    )
    again = compute_validity(replace(pool, measurements=measured), draws=DRAWS, seed=SEED)
    assert again["within"].values.tolist() == ["category"]
    for name in ("p_value", "corrected_p_value"):
        within = again[f"{name}_within"].sel(within="category")
        np.testing.assert_array_equal(within, again[name])
        np.testing.assert_array_equal(again[name], found[name])
    text = "\n".join(describe_validity(again))
    assert "V4 does not exceed its shuffles within category: at best" in text
    assert "within category" not in "\n".join(describe_validity(found))


def test_controls_by_hand(pool: Pool, found: xr.Dataset) -> None:
    profiles = {
        target: [r for one in pool.measurements for r in one.rungs[-1].similarity[target].values()]
        for target in ("V4", "V4:categories")
    }
    got = found["resemblance"].sel(area="V4", control="V4:categories")
    assert float(got) == pytest.approx(pearsonr(*profiles.values())[0])
    given = [*_given(pool, 50)]
    control = _value(pool, "V4:categories", 50)
    by_hand = _partial(pool, _value(pool, "V4", 50), [*given, control])
    got = found["given"].sel(area="V4", control="V4:categories", rung=50)
    assert float(got) == pytest.approx(by_hand, abs=1e-8)


def test_a_planted_quality_is_found_and_shuffles_do_not_have_it() -> None:
    found = compute_validity(make_pool(60, brain=1.0), draws=50)
    corrected = found["corrected_p_value"].sel(score="V4", tested="partial")
    late, early = (corrected.sel(rung=r) for r in (50, 0))
    assert float(late) == pytest.approx(1 / 21)
    assert float(early) > 0.3
    assert float(found["value"].sel(score="V4", rung=50, statistic="partial")) > 0.6
    text = "\n".join(describe_validity(found))
    assert "V4 exceeds its shuffles" in text
    assert "IT does not exceed its shuffles" in text


def test_without_a_planted_quality_no_area_is_called_guidance() -> None:
    for seed in range(2):
        found = compute_validity(make_pool(30, brain=0.0, seed=seed), draws=10)
        tested = found["corrected_p_value"].sel(score=["V4", "committed V4"], tested="partial")
        assert float(tested.min()) > 0.05


def test_the_control_of_which_a_teacher_is_made_is_named() -> None:
    copied = make_pool(30, copies={"IT": "V4:categories"})
    text = "\n".join(describe_validity(compute_validity(copied, draws=10)))
    assert "IT cannot be told from V4:categories" in text
    assert "V4 resembles none of its controls; nearest is V4:" in text


def test_any_unit_of_mature_accuracy_gives_the_same_correlations(
    pool: Pool, found: xr.Dataset
) -> None:
    other = make_pool(24, shuffles=9)
    scaled = Pool(
        other.candidates,
        other.measurements,
        0.01 * other.mature - 3,
        other.statistics,
        other.neighbours,
    )
    again = compute_validity(scaled, draws=DRAWS, seed=SEED)
    kept = ["pearson", "kendall", "partial"]
    np.testing.assert_allclose(
        again["value"].sel(statistic=kept), found["value"].sel(statistic=kept), atol=1e-9
    )
    np.testing.assert_allclose(
        again["value"].sel(statistic="regret@1"), 0.01 * found["value"].sel(statistic="regret@1")
    )


def test_too_few_candidates_and_draws_are_refused(pool: Pool) -> None:
    with pytest.raises(ValueError, match="9 candidates have a mature accuracy; at least 10"):
        make_pool(9)
    with pytest.raises(ValueError, match="at least 2 draws"):
        compute_validity(pool, draws=1)
