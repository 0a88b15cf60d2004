"""Searches compared: groups by what differs, curves, intervals, tests, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from fake_task import FakeTask, evaluate
from rewritten_runs import rewrite_run
from scipy import stats

from brainguided.__main__ import main
from brainguided.controllers import LocalSearch, RandomSearch
from brainguided.correspondence.multiple_tests import correct_holm
from brainguided.journal.journal import Journal, JournalError
from brainguided.plot import plot_runs
from brainguided.replays.comparison_sentences import describe_comparison, tabulate_differences
from brainguided.replays.run_comparison import compare_groups, compare_runs
from brainguided.replays.run_groups import label_groups
from brainguided.search.orders import Index, Schedule
from brainguided.search.run import run_search
from brainguided.spaces import small_space


def search(out, seed, kind=RandomSearch, candidates=8, depth=3):
    controller = kind(small_space(depth), seed=seed)
    settings = {"schedule": Schedule(Index(3)), "evaluate": evaluate, "candidates": candidates}
    run_search(controller, FakeTask(failing=5), out=out, **settings)
    return out


def change_task(folder, **changes):
    """Write a run beside it as a new journal, with other settings of its task."""
    out = folder.with_name(f"{folder.name}_{len(list(folder.parent.iterdir()))}")
    return rewrite_run(folder, out, config=lambda config: config["task"].update(changes))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three seeds of random search and three of local search, and of it a fourth."""
    folder = tmp_path_factory.mktemp("runs")
    made = [search(folder / f"random_{seed}", seed) for seed in (0, 1, 2)]
    made += [search(folder / f"local_{seed}", seed, LocalSearch, 9) for seed in (0, 1, 2, 3)]
    return made


def test_runs_are_grouped_by_what_differs_but_the_seed_and_their_best_is_followed(runs):
    found = compare_runs(runs)
    assert found["group"].values.tolist() == ["random", "local"]
    assert [name for name in found.variables if "long_name" not in found[name].attrs] == []
    assert found["runs"].values.tolist() == [3, 4]
    assert found["seed"].values.tolist() == [0, 1, 2, 0, 1, 2, 3]
    assert found["quantity"].values.tolist() == ["reward", "P", "V4", "IT"]
    assert found.sizes["candidate"] == 8  # what the shortest has
    assert "after 8 candidates" in found.attrs["said"]
    for run, folder in zip(found["run"].values, runs):
        with Journal.read(folder) as journal:
            results = [r for r in journal.results()[:8] if r.outcome == "done"]
        winner = max(results, key=lambda r: r.reward)
        one = found["final"].sel(run=run)
        expected = [winner.reward, winner.performance]
        expected += [winner.measurement.best(area)[1] for area in ("V4", "IT")]
        np.testing.assert_array_equal(one, expected)
        curve = found["curve"].sel(run=run, quantity="reward").values
        assert (np.diff(curve[np.isfinite(curve)]) >= 0).all()


def test_groups_of_the_same_seeds_are_tested_over_these_in_pairs(runs):
    found = compare_runs([*runs[:3], *runs[5:2:-1]])
    values = found["final"].sel(quantity="P").values
    oracle = stats.ttest_rel(values[:3], values[:2:-1])
    one = found.isel(pair=0).sel(quantity="P")
    assert (str(one["test"].item()), int(one["n_first"])) == ("paired", 3)
    np.testing.assert_allclose(one["p_value"], oracle.pvalue)
    interval = oracle.confidence_interval(0.95)
    np.testing.assert_allclose(
        [one["difference_lower"], one["difference_upper"]], [interval.low, interval.high]
    )
    p = found["p_value"].values
    assert (found["corrected_p_value"].values >= p - 1e-12)[np.isfinite(p)].all()
    low, high = stats.t.interval(0.95, 2, values[:3].mean(), stats.sem(values[:3]))
    mean = found.sel(quantity="P", group="random")
    np.testing.assert_allclose([mean["lower"], mean["upper"]], [low, high])
    np.testing.assert_allclose(mean["curve_upper"].values[-1], high)


def test_with_other_seeds_the_test_is_welchs_of_all_and_of_one_run_there_is_none(runs):
    found = compare_runs(runs)  # three common seeds, and one that only one group has
    values = found["final"].sel(quantity="reward").values
    oracle = stats.ttest_ind(values[:3], values[3:], equal_var=False)
    one = found.isel(pair=0).sel(quantity="reward")
    assert (str(one["test"].item()), int(one["n_second"])) == ("unpaired", 4)
    np.testing.assert_allclose(one["difference"], values[:3].mean() - values[3:].mean())
    np.testing.assert_allclose(one["p_value"], oracle.pvalue)
    interval = oracle.confidence_interval(0.95)
    np.testing.assert_allclose(one["difference_upper"], interval.high)
    alone = compare_runs([runs[0], runs[3]])
    assert set(alone["test"].values.ravel()) == {"none"}
    assert alone["p_value"].isnull().all()
    assert alone["lower"].isnull().all()
    text = "\n".join(describe_comparison(alone))
    assert "there is one run: without another seed" in text
    assert "p = " not in text
    assert "nothing to compare them with" in "\n".join(describe_comparison(compare_runs(runs[:3])))


def test_tests_of_equal_groups_reject_as_often_as_they_say():
    generator = np.random.default_rng(0)
    p = {"paired": [], "unpaired": []}
    for _ in range(2000):
        shared = generator.normal(size=5)
        a, b = (shared + generator.normal(size=5) for _ in range(2))
        paired = compare_groups(dict(enumerate(a)), dict(enumerate(b)))
        other = compare_groups(dict(enumerate(a)), dict(enumerate(generator.normal(size=4), 10)))
        for one in (paired, other):
            p[one.test].append(one.p_value)
    assert abs(np.mean(np.array(p["paired"]) < 0.05) - 0.05) < 0.015
    assert np.mean(np.array(p["unpaired"]) < 0.05) < 0.065


def test_seeds_that_make_no_difference_have_no_p_value():
    one = compare_groups({0: 1.0, 1: 2.0}, {0: 0.0, 1: 1.0})
    assert (one.test, one.mean, one.lower, one.upper) == ("paired", 1.0, 1.0, 1.0)
    assert np.isnan(one.p_value)
    assert np.isnan(compare_groups({0: 1.0, 1: 1.0}, {2: 1.0, 3: 1.0}).p_value)


def test_what_rounding_alone_tells_apart_has_no_p_value():
    same = compare_groups({0: 0.1 + 0.2, 1: 0.3, 2: 0.3}, {3: 0.1, 4: 0.1, 5: 0.1})
    assert (same.test, np.isnan(same.p_value)) == ("unpaired", True)
    for step in range(1, 60):  # images of 100 that are right
        first = {k: (step + k) / 100 for k in range(4)}
        shifted = compare_groups(first, {k: (step + k + 7) / 100 for k in range(4)})
        assert (shifted.test, np.isnan(shifted.p_value)) == ("paired", True)
        assert shifted.lower == shifted.mean == shifted.upper
    small = compare_groups({0: 1e-6, 1: 2e-6}, {0: 0.0, 1: 0.0})  # small, and no rounding
    np.testing.assert_allclose(small.p_value, stats.ttest_1samp([1, 2], 0).pvalue)


def test_a_run_without_a_number_is_not_left_out_of_a_test(runs, tmp_path):
    one = compare_groups({0: 1.0, 1: 2.0, 2: np.nan}, {0: 0.0, 1: 1.0, 2: 0.5})
    assert (one.test, np.isnan(one.mean)) == ("none", True)
    with Journal.read(runs[0]) as journal:
        last = max(one.candidate for one in journal.results() if one.outcome == "done")
    failed = {"outcome": "failed", "reward": None}
    rewrite_run(
        runs[0],
        tmp_path / "late",
        config=lambda config: config.update(seed=9),
        attempt=lambda one: one if one.candidate == last else replace(one, **failed),
    )
    short = search(tmp_path / "short", 7, LocalSearch, candidates=last)
    found = compare_runs([*runs[:2], tmp_path / "late", short, *runs[3:]])
    assert set(found["test"].values.ravel()) == {"none"}
    assert "random and local are not compared: a run has none" in " ".join(
        describe_comparison(found)
    )


def test_holms_correction_is_that_of_the_textbook():
    given = np.array([[0.01, np.nan], [0.04, 0.03]])  # p.adjust(c(.01, .04, .03), "holm") of R
    np.testing.assert_allclose(correct_holm(given), [[0.03, np.nan], [0.06, 0.06]])
    assert correct_holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]


def test_labels_are_the_fewest_settings_that_tell_groups_apart():
    base = {"controller.name": '"random"', "task.reward.alpha": "0.0", "batch": "8"}
    other = base | {"task.reward.alpha": "1.0", "batch": "16"}
    assert label_groups([base, other, base]) == ["alpha = 0.0", "alpha = 1.0", "alpha = 0.0"]
    third = other | {"controller.name": '"local"', "controller.pairs": "true"}
    assert label_groups([base, other, third]) == [
        "random, alpha = 0.0", "random, alpha = 1.0", "local, alpha = 1.0",
    ]  # fmt: skip
    assert label_groups([base, base | {"task.keep": "0.3"}]) == ["keep = none", "keep = 0.3"]
    assert label_groups([base]) == ["random"]


def test_labels_of_different_groups_differ():
    base = {"controller.name": '"random"'}
    for first, second in (("null", "nothing"), ("0.3", '"0.3"')):
        other = base if second == "nothing" else base | {"k": second}
        assert label_groups([base | {"k": first}, other]) == [f"k = {first}", f"k = {second}"]


def test_what_is_held_out_groups_runs_only_where_they_say_other_things(runs):
    none, same = (change_task(folder, held_out=[]) for folder in runs[:2])
    other = change_task(runs[3], held_out=[{"area": "IT", "rdm_sha256": "a"}])
    found = compare_runs([none, same, runs[2]])  # of a version that said nothing of it
    assert found["group"].values.tolist() == ["random"]
    found = compare_runs([runs[2], same, other], different_tasks=True)
    assert "held_out" in found.attrs["said"]
    with pytest.raises(JournalError, match="held_out"):
        compare_runs([runs[2], same, other])


def test_two_runs_of_a_seed_in_one_group_are_refused(runs, tmp_path):
    other = rewrite_run(
        runs[0], tmp_path / "other", config=lambda c: c["controller"].update(seed=7)
    )
    with pytest.raises(JournalError, match=r"both of the group 'random' and of seed 0; give one"):
        compare_runs([*runs, other])


def test_columns_of_the_table_of_groups_are_apart(runs):
    found = compare_runs(runs)
    for name in ("mean", "lower", "upper"):
        found[name] = found[name] * 0 - 1234.5
    row = describe_comparison(found)[2]
    assert row.count("  -1234.5000 (-1234.5000 to -1234.5000)") == 4


def test_other_settings_that_differ_are_named(runs, tmp_path):
    clocks = ({"clock": {"in_n": 10}, "n": 10}, {"clock": {"in_n": 20}, "n": 20})
    made = [rewrite_run(run, tmp_path / str(k), config=lambda c, k=k: c.update(clocks[k]))
            for k, run in enumerate(runs[:2])]  # fmt: skip
    found = compare_runs(made)
    assert found["group"].values.tolist() == ["n = 10", "n = 20"]
    assert "other settings too: clock.in_n." in found.attrs["said"]
    wider = search(tmp_path / "wider", 5, LocalSearch, depth=4)
    found = compare_runs([*runs[:2], wider])
    assert found["group"].values.tolist() == ["random", "local"]
    assert "differ in other settings too: space.max_depth" in found.attrs["said"]


def test_other_rewards_are_not_compared_and_other_tasks_are_refused(runs, tmp_path):
    folder = tmp_path / "a"
    search(folder, 0)
    other = change_task(folder, reward={"preset": "paper", "alpha": 0.0})
    same = change_task(folder, reward={"preset": "paper", "alpha": 1.0})
    found = compare_runs([other, same])
    assert found["quantity"].values.tolist() == ["P", "V4", "IT"]
    assert found["group"].values.tolist() == ["alpha = 0.0", "alpha = 1.0"]
    assert "Rewards are not compared: the runs have different rewards" in found.attrs["said"]
    robust = [change_task(folder, reward={"preset": "robust", "first": 24}, keep=k) for k in (0, 1)]
    assert "by its own first 24" in compare_runs(robust).attrs["said"]

    teachers = change_task(folder, teacher=[{"area": "IT", "rdm_sha256": "a"}])
    images = change_task(folder, images={"sha256": "b"})
    with pytest.raises(JournalError, match="tasks differ") as refused:
        compare_runs([same, teachers, images, folder])
    for name in ("teacher.0.rdm_sha256", "images.sha256", "different_tasks=True"):
        assert name in str(refused.value)
    allowed = compare_runs([same, teachers, images], different_tasks=True)
    assert "teacher.0.rdm_sha256" in allowed.attrs["said"]
    assert allowed["quantity"].values.tolist() == ["P", "V4", "IT"]


def test_what_is_no_run_of_its_own_is_refused_all_at_once(runs, tmp_path):
    with pytest.raises(JournalError, match=r"both of the group .* and of seed 0; give one"):
        compare_runs([runs[0], runs[0]])
    with Journal.open(tmp_path / "begun") as journal:
        journal.begin({"merged": []})
    with Journal.open(tmp_path / "empty") as journal:
        journal.begin({"task": {}, "seed": 0, "controller": {"name": "random"}})
    with pytest.raises(JournalError) as refused:
        compare_runs([runs[0], tmp_path / "begun", tmp_path / "empty"])
    assert "was merged of several" in str(refused.value)
    assert "has no candidate that succeeded" in str(refused.value)
    with pytest.raises(ValueError, match="No run is given"):
        compare_runs([])
    with pytest.raises(FileNotFoundError, match=r"journal\.db"):
        compare_runs([tmp_path / "none"])


def test_a_gap_ends_what_is_compared(runs, tmp_path):
    rewrite_run(
        runs[0],
        tmp_path / "gap",
        config=lambda config: config.update(seed=9),
        attempt=lambda one: None if one.candidate == 5 else one,
    )
    assert compare_runs([runs[0], tmp_path / "gap"]).sizes["candidate"] == 5


def test_the_command_writes_tables_and_figure_and_says_it_as_json(runs, tmp_path, capsys):
    words = ["compare", *map(str, runs[:6]), "--out", str(tmp_path / "out")]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "reward: random less local is" in said
    assert "paired over 3 seeds: p = " in said
    for name in ("compare.nc", "groups.csv", "differences.csv", "compare.png"):
        assert (tmp_path / "out" / name).stat().st_size > 100
    assert main(words) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert main([*words[:-2], "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["groups"]) == 8
    assert found["differences"][0]["test"] == "paired"
    words = ["compare", str(runs[0]), str(runs[3]), "--json", "--out", str(tmp_path / "b")]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["differences"][0]["p_value"] is None


def test_the_figure_has_a_panel_for_each_quantity_and_refuses_fewer_axes(runs):
    from matplotlib import pyplot

    pyplot.switch_backend("Agg")
    found = compare_runs(runs)
    panels = plot_runs(found)
    assert panels[0].get_ylabel() == "reward of the best"
    assert len(panels[0].get_lines()) == 2
    with pytest.raises(ValueError, match="4 quantities and 1 axes"):
        plot_runs(found, axes=panels[0])
    assert len(tabulate_differences(found)) == 4
    pyplot.close("all")
