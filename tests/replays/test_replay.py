"""Replays: searches on tables."""

from __future__ import annotations

import gzip
import json
import shutil
from functools import partial

import numpy as np
import pytest
import xarray as xr

from brainguided.__main__ import main
from brainguided.commands.replays import _say_trainings
from brainguided.controllers import LocalSearch, RandomSearch, RegularizedEvolution, nsga2
from brainguided.guidance.rewards import FunctionReward, PaperReward
from brainguided.plot import plot_anytime
from brainguided.replays.replay import replay_search, run_replays, summarize_replays
from brainguided.replays.table import Table, load_table, nearest_rows, read_scores, table_from_run
from brainguided.spaces import PlainSpace, SearchSpace, nasbench201_space, pnas_space

FEW = PlainSpace("few", 1, (1, 3, 5), (1, 3, 5), (8, 16))  # 18 architectures


def make_table(space=FEW, rows=None, seed=0):
    actions = np.array([space.encode(a) for a in space.enumerate()])[:rows]
    generator = np.random.default_rng(seed)
    reward = generator.permutation(len(actions)).astype(float)
    return Table(space, actions, reward, np.full(len(actions), 2.0), 10 * reward)


def test_random_search_on_a_table_is_the_expected_maximum_of_draws():
    """Of n drawn without repeats out of N ranks, the mean maximum is n (N + 1) / (n + 1) - 1."""
    replays = run_replays({"t": make_table()}, {"r": RandomSearch}, budget=8.0, seeds=2000)
    assert set(replays["evaluations"].values.ravel()) == {4}  # 4 x 2 s, repetitions are free
    expected = 10 * (4 * 19 / 5 - 1)
    assert float(replays["score"].mean()) == pytest.approx(expected, abs=2.0)


def test_the_incumbent_is_that_of_the_highest_reward_not_of_the_highest_score():
    table = make_table()
    table = Table(FEW, table.actions, table.reward, table.cost, -table.reward)
    replay = replay_search(RandomSearch(FEW, seed=0), table, budget=1e9)
    assert replay.incumbent[-1] == -17.0
    assert len(replay.spent) == 18
    assert (np.diff(replay.incumbent) <= 0).all()


def test_an_evaluation_that_would_pass_the_budget_is_not_made():
    replay = replay_search(RandomSearch(FEW, seed=0), make_table(), budget=7.9)
    np.testing.assert_array_equal(replay.spent, [2.0, 4.0, 6.0])
    replays = run_replays({"t": make_table()}, {"r": RandomSearch}, budget=1.0, seeds=3)
    assert np.isnan(replays["score"]).all()


def test_the_curve_says_what_was_known_at_each_cost():
    table = make_table()
    replays = run_replays({"t": table}, {"r": RandomSearch}, budget=12.0, seeds=4)
    for seed in range(4):
        replay = replay_search(RandomSearch(FEW, seed=seed), table, budget=12.0)
        for cost in (0.0, 1.9, 2.0, 5.0, 12.0):
            known = replay.incumbent[replay.spent <= cost + 1e-9]
            got = float(replays["curve"].isel(search=0, seed=seed).sel(cost=cost, method="nearest"))
            assert np.isnan(got) if not len(known) else got == known[-1]


def test_replays_and_their_summary_say_what_they_hold():
    replays = run_replays({"t": make_table()}, {"r": RandomSearch}, budget=12.0, seeds=4)
    summary = summarize_replays(replays)
    for found in (replays, summary):
        assert [name for name in found.variables if "long_name" not in found[name].attrs] == []
    assert summary["sd"].attrs["long_name"] == "standard deviation over seeds"
    assert replays["cost"].attrs == {"units": "s", "long_name": "cost"}
    frame = summary[["mean", "lower", "upper"]].to_dataframe()
    assert frame.index.tolist() == replays["search"].values.tolist()


def test_an_executor_and_its_workers_change_nothing():
    from concurrent.futures import ThreadPoolExecutor

    makers = {"evolution": RegularizedEvolution, "local": partial(LocalSearch, initial=3)}
    alone = run_replays({"t": make_table()}, makers, budget=20.0, seeds=9)
    with ThreadPoolExecutor(2) as pool:
        assert run_replays(
            {"t": make_table()}, makers, budget=20.0, seeds=9, executor=pool
        ).identical(alone)


def test_an_architecture_that_is_missing_is_refused_or_replaced_by_the_nearest():
    table = make_table(rows=5)
    with pytest.raises(ValueError, match=r"not in the table \(5 of 18"):
        replay_search(RandomSearch(FEW, seed=0), table, budget=100.0)
    replay = replay_search(RandomSearch(FEW, seed=0), table, budget=100.0, nearest=True)
    assert len(replay.spent) == 5


def test_the_summary_is_mean_sd_and_interval():
    replays = run_replays({"t": make_table()}, {"r": RandomSearch}, budget=8.0, seeds=50)
    one = summarize_replays(replays).isel(search=0)
    scores = replays["score"].values[0]
    assert float(one["mean"]) == pytest.approx(scores.mean())
    assert float(one["sd"]) == pytest.approx(scores.std(ddof=1))
    half = 2.0096 * scores.std(ddof=1) / np.sqrt(50)  # Student's t with 49 degrees
    assert float(one["upper"] - one["mean"]) == pytest.approx(half, rel=1e-4)
    assert np.isnan(summarize_replays(replays.isel(seed=[0]))["lower"]).all()  # one says nothing


def test_the_figure_has_a_line_for_every_search():
    replays = run_replays(
        {"t": make_table()}, {"r": RandomSearch, "l": LocalSearch}, budget=20.0, seeds=5
    )
    axes = plot_anytime(summarize_replays(replays))
    assert len(axes.lines) == 2
    assert axes.get_xlabel() == "cost (s)"


def test_tables_with_problems_are_refused(tmp_path):
    path = tmp_path / "t.csv"
    space = nasbench201_space()
    path.write_text("ops,r,c,s\n000000,1,1,1\n00000x,2,1,1\n000001,nan,1,1\n")
    columns = {"architecture": "ops", "reward": "r", "cost": "c", "score": "s"}
    with pytest.raises(ValueError) as caught:
        load_table(path, space, **columns)
    for part in ("'r' is no number in 1 rows", "1 architectures are not of 'nasbench201': row 1"):
        assert part in str(caught.value)
    with pytest.raises(ValueError, match="no column 'q'; it has 'ops', 'r'"):
        load_table(path, space, **{**columns, "reward": "q"})
    path.write_text("ops,r,c,s\n000000,1,-1,1\n000000,2,1,1\n")
    with pytest.raises(ValueError, match="cost is negative") as caught:
        load_table(path, space, **columns)
    assert "row 1 row 0, {" in str(caught.value)


def test_leading_zeros_of_architectures_are_kept(tmp_path):
    path = tmp_path / "t.csv.gz"
    with gzip.open(path, "wt") as file:
        file.write("ops,r,c,s\n000012,1,1,1\n")
    table = load_table(
        path, nasbench201_space(), architecture="ops", reward="r", cost="c", score="s"
    )
    np.testing.assert_array_equal(table.actions, [[0, 0, 0, 0, 1, 2]])


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    from fake_task import FakeTask, controller, evaluate

    from brainguided.search.run import run_search

    out = tmp_path_factory.mktemp("run")
    run_search(controller("random"), FakeTask(), candidates=30, out=out, evaluate=evaluate)
    return out


def test_a_journal_is_replayed_with_any_weight_of_the_brain(run_folder):
    from brainguided.journal.journal import Journal

    with Journal.read(run_folder) as journal:
        space = SearchSpace.from_description(journal.config["space"])
        first = journal.results()[0]
    p, tg = first.performance, first.measurement.guidance()
    for reward, expected in (("P", p), ("TG", tg), ("P+TG", p + tg), ("P+0.5*TG", p + tg / 2)):
        table = table_from_run(run_folder, space, reward=reward)
        assert table.reward[0] == pytest.approx(expected)
        assert table.score[0] == pytest.approx(p)
        assert table.units == "images"
    with pytest.raises(ValueError, match="There is no 'P-TG' in what was measured"):
        table_from_run(run_folder, space, reward="P-TG")
    with pytest.raises(ValueError, match=r"at step 7, only at \[0, 10\]"):
        table_from_run(run_folder, space, step=7)
    for text, said in (("1 / 0", "ZeroDivisionError"), ("float('nan')", "the reward is nan")):
        own = FunctionReward("mine.py", "score", f"def score(m):\n    return {text}\n")
        with pytest.raises(ValueError, match=rf"Candidate \d+: {said}"):
            table_from_run(run_folder, space, reward=own)
    assert table_from_run(run_folder, space, reward="P", step=10).cost[0] == 128
    early = table_from_run(run_folder, space, reward="P+V4", step=0)
    assert early.cost.tolist() == [0] * len(early.cost)
    assert early.reward[0] == pytest.approx(0.1 + first.measurement.value("V4@0"))
    assert table_from_run(run_folder, space, reward=PaperReward(0)).reward[0] == p


def test_the_command_replays_a_journal_and_writes_all(run_folder, tmp_path, capsys):
    command = ["replay", str(run_folder), "--reward", "P", "P+TG", "--budget", "1000"]
    command += ["--controller", "random", "--seeds", "4", "--out", str(tmp_path / "o")]
    assert main([*command, "--workers", "1"]) == 0
    out = capsys.readouterr().out
    assert "random, P+TG" in out
    assert {path.name for path in (tmp_path / "o").iterdir()} == {
        "replay.nc", "replay.csv", "replay.png",
    }  # fmt: skip


def test_searches_of_chosen_seeds_are_those_among_more():
    tables, makers = {"t": make_table()}, {"r": RandomSearch}
    more = run_replays(tables, makers, budget=12.0, seeds=6)
    few = run_replays(tables, makers, budget=12.0, seeds=[4, 1])
    xr.testing.assert_identical(few, more.sel(seed=[4, 1]))
    for wrong in ([], [1, 1], 0, "2"):
        with pytest.raises(ValueError, match=r"seeds (is|are) "):
            run_replays(tables, makers, budget=12.0, seeds=wrong)


def test_a_controller_of_several_objectives_is_refused_before_it_is_asked():
    pytest.importorskip("optuna")
    controller = nsga2(FEW, objectives=("performance", "-parameters"))
    with pytest.raises(ValueError, match="learns from performance, -parameters, and a table has"):
        replay_search(controller, make_table(), budget=8.0)
    assert len(controller.ask(1)) == 1  # none is open


def test_trainings_are_counted_network_by_network():
    gaps = np.array([[0.1, np.nan], [0.2, 0.3], [0.3, np.nan]])
    assert _say_trainings(gaps) == " and 1 to 3 trainings of each network, not over"
    assert _say_trainings(gaps[:, :1]) == " and 3 trainings of each network, not over"
    for once in (gaps[1], np.array([[0.1, np.nan], [np.nan, 0.3]])):
        assert _say_trainings(once) == " only, not over trainings or"


def test_the_command_says_what_is_missing(tmp_path, capsys):
    path = tmp_path / "t.csv"
    path.write_text("ops\n000000\n")
    command = ["replay", str(path), "--reward", "r", "--budget", "1", "--controller", "random"]
    assert main([*command, "--space", "nasbench201"]) == 1
    assert "--architecture, --cost, --score" in capsys.readouterr().err
    assert main([*command, "--space", "nothing"]) == 1
    assert "expected one of small" in capsys.readouterr().err
    assert main(command) == 1
    assert "A CSV table also needs --space: expected one of small" in capsys.readouterr().err
    command[-1] = "genius"
    assert main([*command, "--space", "nasbench201"]) == 1
    assert "genius: expected out of predictor" in capsys.readouterr().err


@pytest.mark.data
def test_random_search_on_nas_bench_201_scores_as_published(shared_data):
    """93.78 with a standard error of .03 for 100 seeds; evolution does better."""
    table = load_table(
        shared_data / "nasbench201" / "nasbench201_cifar10.csv.gz",
        nasbench201_space(),
        architecture="ops",
        reward="c10_val_12",
        cost="c10_cost_12",
        score="c10_test_200",
    )
    assert table.is_complete
    makers = {"random": RandomSearch, "evolution": RegularizedEvolution, "local": LocalSearch}
    replays = run_replays({"nb": table}, makers, budget=12_000, seeds=100)
    mean = summarize_replays(replays)["mean"]
    assert float(mean.sel(search="random")) == pytest.approx(93.78, abs=0.1)
    assert float(mean.sel(search="evolution")) > 94.0
    assert float(mean.sel(search="local")) > 94.1


class Repeats(RandomSearch):
    """Ask for one architecture again and again."""

    def _propose(self, n):
        from brainguided.controllers.contract import Proposal

        return [Proposal(self.space.decode((0, 2, 2, 1, 0, 0)))] * n


def test_an_architecture_has_one_answer_in_a_search_however_often_it_is_asked():
    """Five rows tie as the nearest; the one drawn first is kept, and paid once."""
    table = make_table()
    table = Table(FEW, table.actions[:4:2], *(getattr(table, n)[:4:2] for n in ("reward", "cost")),
                  table.score[:4:2])  # fmt: skip
    assert len(nearest_rows(table.actions, (0, 2, 2, 1, 0, 0))) == 2
    for seed in range(6):
        replay = replay_search(
            Repeats(FEW, seed=seed, unique=False), table, budget=100.0, nearest=True
        )
        assert len(replay.spent) == 1
        assert replay.nearest == replay.asked == 301
    replays = run_replays(
        {"t": table}, {"r": partial(Repeats, unique=False)}, budget=100.0, seeds=2, nearest=True
    )
    assert (replays["nearest"] == replays["asked"]).all()


def test_an_isomorphic_row_comes_before_the_nearest():
    space = pnas_space(n_blocks=1)
    one = space.encode(space.decode((0, 3, 1, 4)))
    swapped, near = (1, 4, 0, 3), (0, 3, 1, 5)
    table = Table(space, np.array([swapped, near]), np.arange(2.0), np.ones(2), np.arange(2.0))

    class Asks(RandomSearch):
        def _propose(self, n):
            from brainguided.controllers.contract import Proposal

            return [Proposal(space.decode(one))] * n

    replay = replay_search(Asks(space, seed=0, unique=False), table, budget=9.0, nearest=True)
    assert (replay.incumbent.tolist(), replay.nearest) == ([0.0], 0)


def space_of(folder):
    from brainguided.journal.journal import Journal

    with Journal.read(folder) as journal:
        return SearchSpace.from_description(journal.config["space"]), journal.results()


def test_a_run_is_judged_by_what_was_measured_later(run_folder, tmp_path, caplog):
    space, results = space_of(run_folder)
    firsts = [r.candidate for r in results if r.outcome == "done" and r.duplicate_of is None]
    path = tmp_path / "scores.csv"
    path.write_text("candidate,score\n" + "".join(f"{c},{c}.5\n" for c in firsts[:4]))
    table = table_from_run(run_folder, space, score=read_scores(path))
    np.testing.assert_array_equal(table.score, [c + 0.5 for c in firsts[:4]])
    assert not caplog.records
    table_from_run(run_folder, space, reward="P+TG")
    assert "Reward P+TG and score 'performance' are the same measurement" in caplog.text
    with pytest.raises(ValueError, match=r"2 of .* have a score; expected at least 3"):
        table_from_run(run_folder, space, score={c: 1.0 for c in firsts[:2]})
    with pytest.raises(ValueError, match=r"\[999\], which are no candidates"):
        table_from_run(run_folder, space, score={999: 1.0})
    with pytest.raises(FileNotFoundError, match="run 'brainguided finalists"):
        table_from_run(run_folder, space, score="finalists")
    path.write_text("candidate,score\n1,nan\n2,3\n2,4\n")
    with pytest.raises(ValueError, match=r"2 rows .*\n  - row 0 .*\n  - row 2 repeats") as caught:
        read_scores(path)
    assert "candidate '1' with score 'nan'" in str(caught.value)


def test_finalists_judge_a_run(run_folder, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run_folder, copy)
    space, results = space_of(copy)
    firsts = [r.candidate for r in results if r.outcome == "done" and r.duplicate_of is None]
    (copy / "finalists").mkdir()
    known = {"architecture": "", "seed": 0}
    finalists = [{**known, "candidate": c, "performance": c / 100} for c in firsts[:3]]
    finalists.append({**known, "candidate": firsts[3], "performance": None})  # it failed
    record = {"finalists": finalists, "winner": firsts[2]}
    (copy / "finalists" / "finalists.json").write_text(json.dumps(record))
    table = table_from_run(copy, space, reward="TG", score="finalists")
    np.testing.assert_array_equal(table.score, [c / 100 for c in firsts[:3]])


def test_of_an_architecture_that_two_searches_evaluated_the_first_counts(tmp_path):
    from fake_task import FakeTask, controller, evaluate

    from brainguided.journal.merge import merge_runs
    from brainguided.search.run import run_search

    for seed in (0, 1):
        run_search(controller("random", seed), FakeTask(), candidates=20,
                   out=tmp_path / str(seed), evaluate=evaluate)  # fmt: skip
    merge_runs([tmp_path / "0", tmp_path / "1"], tmp_path / "all")
    space, results = space_of(tmp_path / "all")
    firsts = {}
    for result in results:
        firsts.setdefault(result.architecture, result.performance)
    table = table_from_run(tmp_path / "all", space, reward="P")
    np.testing.assert_array_equal(table.reward, list(firsts.values()))


def test_settings_of_the_space_have_the_types_of_their_defaults(capsys):
    from brainguided.commands.replays import _read_settings
    from brainguided.spaces import zoph2017_space

    texts = ["max_depth=4", "skips=false", "strides=1,2,3"]
    assert _read_settings(texts, zoph2017_space) == {
        "max_depth": 4, "skips": False, "strides": (1, 2, 3),
    }  # fmt: skip
    with pytest.raises(ValueError) as caught:
        _read_settings(["depth=4", "skips=maybe", "max_depth"], zoph2017_space)
    for part in ("'depth' is unknown; known, with their defaults: max_depth=10, skips=false",
                 "skips is 'maybe', expected a value like false",
                 "max_depth is no setting, expected KEY=VALUE"):  # fmt: skip
        assert part in str(caught.value)
    with pytest.raises(ValueError, match="skips is 'false', expected True or False"):
        zoph2017_space(skips="false")
