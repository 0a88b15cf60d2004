"""The table that comes with the package: what it says of itself, and searches on it."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest

from brainguided.__main__ import main
from brainguided.controllers import RandomSearch
from brainguided.replays import benchmark as module
from brainguided.replays.benchmark import (
    is_partial,
    list_pools,
    load_benchmark,
    pool_from_benchmark,
    read_measurements,
    tables_from_benchmark,
)
from brainguided.replays.replay import replay_search
from brainguided.replays.table import Table


@pytest.fixture(scope="module")
def benchmark():
    return load_benchmark()


def test_the_table_says_how_much_of_it_there_is_and_is_small(benchmark, caplog) -> None:
    for pool in list_pools():
        with caplog.at_level(logging.WARNING):
            one = load_benchmark(pool)
        assert is_partial(one) == ("PARTIAL" in caplog.text)
        assert {"counts", "source", "licences", "made_with", "rounding", "extend"} <= set(one.attrs)
        caplog.clear()
    size = sum(module._find(pool).stat().st_size for pool in list_pools())
    assert size < 20 * 2**20
    n = int(np.isfinite(benchmark["performance"]).any("rung").sum())
    assert f"{n} of 528" in benchmark.attrs["counts"]
    assert is_partial(benchmark) == (n < 528)


def test_numbers_of_the_table_are_those_of_the_measurements(benchmark) -> None:
    one = read_measurements(benchmark)[0][0]
    row = benchmark.isel(network=0, seed=0)
    layer = row["similarity"].sel(target="IT", rung=50)
    assert one.value("IT@50") == float(layer.max())
    assert one.value("IT@cell2@50") == float(layer.sel(layer="cell2"))
    assert one.value("committed V4") == float(row["committed"].sel(target="V4", rung=200))
    drawn = one.rung(100).shuffles["IT:shuffled-within-category"]["best"]
    wanted = row["shuffled_best"].sel(rung=100, shuffled="IT:shuffled-within-category")
    np.testing.assert_array_equal(drawn, wanted)
    assert one.value("val_12") == pytest.approx(float(row["val_12"]) / 100)
    assert one.areas == ("V4", "V4-WE", "V4-WE-synthetic", "IT", "IT-human")
    guidance = [float(row["similarity"].sel(target=a, rung=25).max()) for a in one.areas]
    told = tables_from_benchmark(benchmark, ["P+0.5*TG", "robust"], step=25)["P+0.5*TG"]
    performance = float(row["performance"].sel(rung=25))
    assert told.reward[..., 0].max() == pytest.approx(performance + 0.5 * np.mean(guidance))
    assert told.score[0] == float(row["test_200"])


def test_a_search_draws_one_training_of_each_network_by_its_seed(benchmark) -> None:
    table = tables_from_benchmark(benchmark.isel(seed=[0]), ["P"])["P"]
    n = len(table.actions)
    two = np.stack([np.arange(n), np.arange(n) + 1000.0])
    two[1, :5] = np.nan  # five were trained once
    table = replace(table, reward=two)
    drawn = np.array([table.draw_rewards(seed) for seed in range(200)])
    assert (drawn[:, :5] == np.arange(5)).all()
    assert 0.4 < (drawn[:, 5:] >= 1000).mean() < 0.6
    np.testing.assert_array_equal(table.draw_rewards(3), drawn[3])
    replay = replay_search(RandomSearch(table.space, seed=3), table, budget=n, nearest=True)
    assert replay.incumbent[-1] == table.score[np.argmax(drawn[3])]
    with pytest.raises(ValueError, match="reward is not finite in 1 rows"):
        Table(table.space, table.actions[:1], np.full((2, 1), np.nan), np.ones(1), np.ones(1))


def test_a_pool_of_the_table_leaves_dead_networks_out_and_says_where_it_is_from(benchmark) -> None:
    pool = pool_from_benchmark(benchmark)
    alive = int((benchmark["dead"] == 0).sum())
    assert len(pool.candidates) == alive
    assert (pool.mature > 10.5).all()
    assert pool.rungs == (0, 25, 50, 100, 200)
    assert benchmark.attrs["counts"] in pool.source


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda one: load_benchmark("mouse"), "'mouse' is none of the study's"),
        (lambda one: tables_from_benchmark(one, ["P+nonsense"]), "measured of no network.*TG"),
        (lambda one: tables_from_benchmark(one, ["P"], score="rank"), "'rank' is none of.*mature"),
        (lambda one: pool_from_benchmark(one.isel(rung=[])), "no weight seed and rung in common"),
    ],
)
def test_what_the_table_lacks_is_named(benchmark, call, message) -> None:
    with pytest.raises(ValueError, match=message):
        call(benchmark)


def test_a_search_on_the_benchmark_from_the_command_line(capsys) -> None:
    command = ["replay", "benchmark", "--reward", "P", "P+V4:pixels@25", "--controller", "random"]
    more = ["--budget", "6", "--seeds", "4", "--workers", "1"]
    assert main([*command, *more]) == 0
    said = capsys.readouterr()
    assert "random, P+V4:pixels@25" in said.out
    assert "of 528 trainings" in said.err
    assert main([*command, "--budget", "6", "--space", "pnas"]) == 1
    assert "--space: the benchmark has its own" in capsys.readouterr().err


def test_a_folder_named_benchmark_is_not_taken_for_the_table(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    more = ["--reward", "P", "--controller", "random", "--budget", "6", "--seeds", "2"]
    assert main(["replay", "./benchmark", *more]) == 1
    assert "There is no benchmark; expected a CSV table" in capsys.readouterr().err
    (tmp_path / "benchmark").mkdir()
    assert main(["replay", "benchmark", *more]) == 1
    assert "there is a benchmark here too; for that write ./benchmark" in capsys.readouterr().err
    assert main(["replay", "./benchmark", *more]) == 1
    assert "journal" in capsys.readouterr().err
