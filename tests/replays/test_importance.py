"""Importance of choices: planted effects are found, and nothing where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest
from made_runs import HOSTILE, make_run

from brainguided import Table, nasbench201_space, small_space
from brainguided.journal.attempts import Attempt
from brainguided.journal.measurement import Measurement, Rung
from brainguided.plot import plot_importance
from brainguided.replays._effects import fit, permute, spread
from brainguided.replays.importance import (
    _code_choices,
    compute_importance,
    describe_importance,
    importance_of_results,
)
from brainguided.reports._importance import describe_choices
from brainguided.spaces import nasnet_space

SPACE = nasbench201_space()


def draw(space, n: int, generator) -> np.ndarray:
    met: dict[tuple[int, ...], None] = {}
    while len(met) < n:
        met[space.sample_actions(generator)] = None
    return np.array(list(met))


def make_table(n: int, seed: int, effect: float = 0.0, space=SPACE, place: int = 0) -> Table:
    """Make a table whose reward goes with one decision and whose score goes with nothing."""
    generator = np.random.default_rng(seed)
    actions = draw(space, n, generator)
    reward = effect * (actions[:, place] == 1) + generator.normal(size=n)
    return Table(space, actions, reward, np.ones(n), generator.normal(size=n))


def test_a_planted_effect_of_one_decision_is_found_and_no_other() -> None:
    found = compute_importance(make_table(200, 0, effect=2.0), permutations=199)
    found = found.sel(choice=found["level"] == "decision")
    there = found["corrected_p_value"] <= 0.05
    names = found["choice"].values[there.sel(measure="reward").values]
    assert names.tolist() == ["edge01.operation"]
    assert not there.sel(measure="score").any()
    # 2 * (one of five options): variance 4 * 0.2 * 0.8 beside noise of 1
    share = float(found["importance"].sel(measure="reward", choice="edge01.operation"))
    assert share == pytest.approx(0.64 / 1.64, abs=0.12)


def test_candidates_are_drawn_once_and_of_a_table_like_of_a_run() -> None:
    table, most = make_table(120, 4), 60
    found = compute_importance(table, permutations=5, most=most, seed=3)
    rows = np.sort(np.random.default_rng(3).permutation(120)[:most])
    part = Table(
        SPACE, table.actions[rows], table.reward[rows], table.cost[rows], table.score[rows]
    )
    alone = compute_importance(part, permutations=5, seed=3)
    assert found.attrs["candidates"] == most
    np.testing.assert_array_equal(found["importance"], alone["importance"])
    np.testing.assert_array_equal(found["p_value"], alone["p_value"])


def test_a_kind_of_decisions_is_found_with_its_direction() -> None:
    generator, space = np.random.default_rng(1), small_space(6)
    actions = draw(space, 150, generator)
    filters = [
        np.mean([layer.filters for layer in space.decode(row).layers]) for row in actions.tolist()
    ]
    reward = np.array(filters) / 8 + 0.3 * actions[:, 0] + 0.5 * generator.normal(size=150)
    found = compute_importance(
        Table(space, actions, reward, np.ones(150), generator.normal(size=150)), permutations=199
    )
    p = found["corrected_p_value"].sel(measure="reward")
    assert float(p.sel(choice="depth")) <= 0.05
    assert float(p.sel(choice="layer*.filters")) <= 0.05
    assert float(p.sel(choice="layer*.kernel_width")) > 0.05
    effect = found["effect"].sel(measure="reward")
    assert float(effect.sel(option="layer*.filters=32") - effect.sel(option="layer*.filters=8")) > 1
    assert "depth" in describe_importance(found)[0]
    assert "highest with 6" in describe_importance(found)[0]
    assert describe_importance(found)[1] == "score goes with no choice that was found."


def test_effects_are_those_of_ordinary_least_squares() -> None:
    """An oracle: the F of one decision beside the others' kinds, by numpy's own least squares."""
    from scipy.stats import f

    table = make_table(60, 3, effect=1.0)
    found = compute_importance(table, permutations=9)
    one_hot = np.eye(5)[table.actions]  # (candidate, edge, option)
    kind = np.column_stack([np.ones(60), one_hot.mean(axis=1)])
    y = table.reward

    def rest(columns: np.ndarray) -> float:
        return float(((y - columns @ np.linalg.lstsq(columns, y, rcond=None)[0]) ** 2).sum())

    without, within = rest(np.ones((60, 1))), rest(kind)
    p = f.sf(((without - within) / 4) / (within / 55), 4, 55)
    tested = list(_code_choices(SPACE, table.actions, table.actions))
    seen = spread(fit(tested), (y - y.mean())[:, None])
    assert 10 ** -seen.evidence[0, 0] == pytest.approx(p, rel=1e-6)
    assert found.sizes == {"measure": 2, "choice": 7, "option": 5}


def test_where_there_is_nothing_it_is_found_in_5_of_100_draws() -> None:
    """Permutations are exact: 2,000 draws come within three standard errors of 5 %."""
    generator, wrong = np.random.default_rng(1), 0
    actions = draw(SPACE, 60, generator)
    fitted = fit(list(_code_choices(SPACE, actions, actions)))
    for _ in range(2000):
        y = generator.normal(size=(60, 2))
        y = (y - y.mean(axis=0)) / y.std(axis=0)
        wrong += bool((permute(fitted, y, spread(fitted, y), 19, generator)[2] <= 0.05).any())
    assert abs(wrong / 2000 - 0.05) < 0.015


def test_measures_of_a_run_are_those_of_its_candidates() -> None:
    generator = np.random.default_rng(5)
    results = []
    for k, row in enumerate(draw(SPACE, 80, generator).tolist()):
        architecture = SPACE.decode(row)
        p, v4 = 0.2 * (row[1] == 2) + 0.02 * generator.normal(size=2)
        table = {"IT:pixels": {"a": None}, "V4": {"a": v4 + 0.3, "b": v4}}
        rung = Rung(9, float(p), similarity=table, committed={"V4": float(v4)})
        results.append(
            Attempt(k, 1, architecture.to_json(), architecture.key, k, "done",
                    performance=float(p), measurement=Measurement(("V4",), (rung,)))
        )  # fmt: skip
    config = {"space": SPACE.describe(), "task": {"teacher": [{"source": "simulated macaque"}]}}
    found = importance_of_results(results, config, permutations=99, most=2000)
    assert found["measure"].values.tolist() == ["P", "V4"]  # a control that never varies is none
    assert found["similarity"].values.tolist() == ["", "committed"]
    assert found["kind"].values.tolist() == ["performance", "area"]
    assert (found["corrected_p_value"].sel(choice="edge02.operation") <= 0.05).all()
    again = importance_of_results(results, config, permutations=99, most=2000)
    assert found.identical(again)
    assert plot_importance(found).get_xlabel()
    with pytest.raises(ValueError, match="5 different candidates succeeded; at least 20"):
        importance_of_results(results[:5] * 2, config, permutations=9, most=2000)
    repeated = importance_of_results(results * 3, config, permutations=9, most=60)
    assert repeated.attrs["candidates"] == 60  # different ones


def test_the_reward_of_several_trainings_is_their_mean() -> None:
    table = make_table(60, 3, effect=2.0)
    apart = np.where(np.arange(60) % 2, 0.5, np.nan)  # half of them were trained once
    both = np.stack([np.where(np.isnan(apart), table.reward, table.reward - apart),
                     table.reward + apart])  # fmt: skip
    several = Table(SPACE, table.actions, both, table.cost, table.score)
    found = compute_importance(several, permutations=9)
    np.testing.assert_allclose(found["importance"],
                               compute_importance(table, permutations=9)["importance"])  # fmt: skip


def test_importance_refuses_what_cannot_be_said() -> None:
    with pytest.raises(ValueError, match="21 candidates are too few for"):
        compute_importance(make_table(21, 0, space=nasnet_space()), permutations=9)
    with pytest.raises(ValueError, match="permutations is 0"):
        compute_importance(make_table(30, 0), permutations=0)
    flat = make_table(30, 0)
    flat = Table(SPACE, flat.actions, np.ones(30), np.ones(30), np.zeros(30))
    with pytest.raises(ValueError, match="Nothing that was measured differs"):
        compute_importance(flat)


def test_the_section_of_a_page_says_it_with_nothing_of_a_file_taken_for_markup() -> None:
    said = describe_choices(make_run(60))
    assert HOSTILE not in said
    assert "goes with" in said
    assert "<img alt=" in said
    assert "p is approximate" in said  # its controller learned
    assert "at least 20 are needed" in describe_choices(make_run(10))
