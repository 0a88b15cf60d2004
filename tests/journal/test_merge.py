"""Runs that were made apart become one."""

from __future__ import annotations

from dataclasses import dataclass

import fake_task
import numpy as np
import pytest
from fake_task import FakeTask, few

from brainguided.__main__ import main
from brainguided.controllers import LocalSearch, RandomSearch
from brainguided.engines.local import local_pool
from brainguided.guidance.rewards import RobustReward
from brainguided.journal import merge
from brainguided.journal.journal import Journal, JournalError
from brainguided.journal.merge import merge_runs
from brainguided.search.finalists import choose_finalists
from brainguided.search.run import run_search
from brainguided.spaces import small_space


def search(out, seed, *, kind=RandomSearch, space=None, note="simulated", **settings):
    task = FakeTask(failing=5, note=note)
    settings = {"evaluate": fake_task.evaluate, "candidates": 10} | settings
    return run_search(
        kind(space or small_space(3), seed=seed, unique=False), task, out=out, **settings
    )


def count_examples(folder):
    with Journal.read(folder) as journal:
        return journal.n_examples


def test_every_candidate_of_every_run_is_in_the_merged_one(tmp_path):
    names = ["a", "b", "c"]
    runs = [search(tmp_path / name, seed) for seed, name in enumerate(names)]
    merged = merge_runs([tmp_path / name for name in names], tmp_path / "all")
    assert merged.sizes["candidate"] == 30
    for variable in ("reward", "performance", "architecture", "seed", "outcome", "seconds"):
        expected = np.concatenate([run[variable].values for run in runs])
        np.testing.assert_array_equal(merged[variable].values, expected)
    with Journal.read(tmp_path / "all") as journal:
        assert [c["seed"] for c in journal.config["merged"]] == [0, 1, 2]
        assert journal.n_examples == sum(count_examples(tmp_path / name) for name in names)
        best = choose_finalists(journal.results(), 3)
    assert best[0].reward == max(float(run["reward"].max()) for run in runs)


def test_duplicates_point_at_their_own_run(tmp_path):
    for seed in (0, 1):
        search(tmp_path / str(seed), seed, space=few(), candidates=30)
    merged = merge_runs([tmp_path / "0", tmp_path / "1"], tmp_path / "all")
    owners = merged["duplicate_of"].values
    assert (owners[30:] >= 30).any()
    for candidate in np.flatnonzero(owners >= 0):
        owner = int(owners[candidate])
        assert (owner < 30) == (candidate < 30)
        assert merged["architecture"].values[owner] == merged["architecture"].values[candidate]


def test_lost_attempts_and_their_times_come_along(tmp_path):
    marks = tmp_path / "marks"
    marks.mkdir()
    with local_pool(2) as pool:
        run_search(
            RandomSearch(small_space(3), seed=0), FakeTask(marks=str(marks)), candidates=10,
            out=tmp_path / "0", executor=pool, evaluate=fake_task.die_once,
        )  # fmt: skip
    search(tmp_path / "1", 1, kind=RandomSearch)
    with pytest.raises(JournalError, match=r"(?s)1 has another task:.*failing: 0 in .*0, 5 in"):
        merge_runs([tmp_path / "0", tmp_path / "1"], tmp_path / "all")
    run_search(
        LocalSearch(small_space(3), seed=0), FakeTask(), candidates=5, out=tmp_path / "2",
        evaluate=fake_task.evaluate,
    )  # fmt: skip
    merge_runs([tmp_path / "0", tmp_path / "2"], tmp_path / "all")
    with Journal.read(tmp_path / "0") as one, Journal.read(tmp_path / "all") as whole:
        assert any(a.outcome == "lost" for a in one.attempts())
        assert whole.attempts()[: len(one.attempts())] == one.attempts()
        assert whole.timings()[: len(one.timings())] == one.timings()


def test_what_cannot_be_merged_is_refused(tmp_path, capsys):
    search(tmp_path / "a", 0)
    search(tmp_path / "again", 0)
    search(tmp_path / "b", 1)
    with pytest.raises(JournalError, match=r"again is the same search as .*a, with the same seed"):
        merge_runs([tmp_path / "a", tmp_path / "again"], tmp_path / "all")
    with pytest.raises(ValueError, match="at least two runs"):
        merge_runs([tmp_path / "a"], tmp_path / "all")
    with pytest.raises(JournalError, match="holds a run already"):
        merge_runs([tmp_path / "a", tmp_path / "b"], tmp_path / "again")
    assert not (tmp_path / "all").exists()
    names = [str(tmp_path / name) for name in ("a", "b")]
    assert main(["merge", *names, "--out", str(tmp_path / "all")]) == 0
    assert "20 candidates of 2 runs" in capsys.readouterr().out
    with pytest.raises(JournalError, match="is itself a merged run"):
        merge_runs([tmp_path / "all", tmp_path / "a"], tmp_path / "more")
    with pytest.raises(JournalError, match="belongs to another search"):
        search(tmp_path / "all", 0, candidates=40)


@dataclass(frozen=True)
class RobustTask(FakeTask):
    def describe(self):
        return {**super().describe(), "reward": RobustReward().describe()}


def test_runs_that_standardise_their_rewards_each_by_itself_are_refused(tmp_path):
    for seed in (0, 1):
        run_search(
            RandomSearch(small_space(3), seed=seed), RobustTask(), candidates=3,
            out=tmp_path / str(seed), evaluate=fake_task.evaluate,
        )  # fmt: skip
    said = r"(?s)/0 standardises its reward by its own first 24 .*/1 standardises .*--reward 'P\+"
    with pytest.raises(JournalError, match=said):
        merge_runs([tmp_path / "0", tmp_path / "1"], tmp_path / "all")
    assert not (tmp_path / "all").exists()


def test_the_report_reads_a_merged_run(tmp_path):
    for seed in (0, 1):
        search(tmp_path / str(seed), seed)
    merge_runs([tmp_path / "0", tmp_path / "1"], tmp_path / "all")
    assert main(["report", str(tmp_path / "all")]) == 0
    assert (tmp_path / "all" / "report.html").exists()


def test_a_merge_that_fails_leaves_nothing(tmp_path, monkeypatch):
    for seed in (0, 1):
        search(tmp_path / str(seed), seed)
    copy = merge._copy

    def fail_at_second(folder, journal, first):
        if first:
            raise JournalError("row 7 is not as it was recorded")
        return copy(folder, journal, first)

    monkeypatch.setattr(merge, "_copy", fail_at_second)
    with pytest.raises(JournalError, match="row 7"):
        merge_runs([tmp_path / "0", tmp_path / "1"], tmp_path / "new" / "all")
    assert not (tmp_path / "new").exists()
    with pytest.raises(JournalError, match="holds a run already"):
        merge_runs([tmp_path / "0", tmp_path / "1"], tmp_path / "1")
    with Journal.read(tmp_path / "1") as journal:
        assert journal.n_results == 10
