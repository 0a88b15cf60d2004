"""Candidates evaluated again with other seeds before a winner is named."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import fake_task
import numpy as np
import pytest
from fake_task import FakeTask

from brainguided.controllers import RandomSearch
from brainguided.engines.local import local_pool
from brainguided.guidance.rewards import PaperReward, WeightedReward
from brainguided.journal import (
    Journal,
    JournalError,
    Measurement,
    Repeat,
    Rung,
    merge_runs,
    repair_journal,
)
from brainguided.journal.attempts import Attempt
from brainguided.journal.confirmed import find_confirmed, find_winner
from brainguided.journal.means import average_repeats
from brainguided.reports import write_report
from brainguided.reports.summary import describe_winner
from brainguided.search._limits import Limits
from brainguided.search.again import CONFIRM, REPEAT, find_numbers
from brainguided.search.agreement import find_agreement
from brainguided.search.choice import choose_finalists
from brainguided.search.orders import Again, Batch, Index, Schedule
from brainguided.search.run import run_search
from brainguided.search.status import describe_status
from brainguided.spaces import small_space


def search(out, *, evaluate=fake_task.evaluate, task=None, seed=3, candidates=12, **settings):
    settings = {"confirm": 3, "repeat": 4, "order": Index(3)} | settings
    executor = settings.pop("executor", None)
    settings["again"] = Again(
        settings.pop("confirm"), settings.pop("repeat"), settings.pop("failed", False)
    )
    return run_search(
        RandomSearch(small_space(3), seed=seed), FakeTask(failing=9) if task is None else task,
        candidates=candidates, out=out, schedule=Schedule(**settings), evaluate=evaluate,
        executor=executor,
    )  # fmt: skip


def read(folder):
    """Return all that does not depend on time and place."""
    with Journal.read(folder) as journal:
        return journal.events(), journal.attempts(), journal.attempts_again()


def test_the_best_are_evaluated_again_with_new_seeds_and_the_first_once_more(tmp_path):
    search(tmp_path)
    with Journal.read(tmp_path) as journal:
        results, again = journal.results(), journal.again()
        assert journal.n_results == 12
        assert journal.n_examples == 128 * (sum(r.outcome == "done" for r in results) + 13)
    done = sorted((r for r in results if r.outcome == "done"), key=lambda r: -r.reward)
    first = sorted(r.candidate for r in done)[:4]
    wanted = [(c, 1) for c in first] + [(r.candidate, k) for r in done[:3] for k in (2, 3, 4)]
    assert [(one.candidate, one.again) for one in again] == sorted(wanted)
    seeds = {one.seed for one in [*results, *again]}
    assert len(seeds) == len(results) + len(again)
    by_number = {r.candidate: r for r in results}
    assert all(one.architecture == by_number[one.candidate].architecture for one in again)


def test_the_winner_is_the_best_by_the_new_evaluations_alone(tmp_path):
    run = search(tmp_path)
    with Journal.read(tmp_path) as journal:
        results, again = journal.results(), journal.again()
    means = {
        candidate: np.mean(
            [a.reward for a in again if (a.candidate, a.again > 1) == (candidate, True)]
        )
        for candidate in {a.candidate for a in again if a.again > 1}
    }
    winner = json.loads((tmp_path / "winner.json").read_text())
    assert winner["candidate"] == max(means, key=means.get)
    assert winner["candidate"] == find_winner(results, again).candidate
    assert winner["confirmed_reward"] == pytest.approx(max(means.values()))
    said = f"confirmed {max(means.values()):.4f} (mean with other seeds)"
    assert said in describe_winner(tmp_path).splitlines()[0]
    chosen = [one.candidate for one in choose_finalists(results, 4, again)]
    assert chosen[:3] == sorted(means, key=lambda c: -means[c])
    assert chosen[3] == choose_finalists(results, 4)[3].candidate
    assert winner["reward"] == float(run["reward"].sel(candidate=winner["candidate"]))
    known = run["confirmed"].dropna("candidate")
    assert dict(zip(known["candidate"].values.tolist(), known.values)) == pytest.approx(means)
    assert [one["candidate"] for one in winner["confirmed"]] == sorted(
        means, key=lambda c: -float(run["reward"].sel(candidate=c))
    )


def test_what_controllers_are_told_does_not_depend_on_it(tmp_path):
    search(tmp_path / "with")
    search(tmp_path / "without", confirm=0, repeat=0)
    assert read(tmp_path / "with")[:2] == read(tmp_path / "without")[:2]
    assert read(tmp_path / "without")[2] == []


@pytest.mark.parametrize("moment", [13, 17, 22])
def test_a_search_stopped_while_it_confirms_goes_on_to_the_same_journal(tmp_path, moment):
    calls = []

    def some(architecture, task, *, seed):
        calls.append(seed)
        if len(calls) == moment:
            raise KeyboardInterrupt
        return fake_task.evaluate(architecture, task, seed=seed)

    with pytest.raises(KeyboardInterrupt, match="Nothing is lost"):
        search(tmp_path / "stopped", evaluate=some)
    before = len(read(tmp_path / "stopped")[2])
    search(tmp_path / "stopped")
    search(tmp_path / "whole")
    assert read(tmp_path / "stopped") == read(tmp_path / "whole")
    own = sum(one.duplicate_of is None for one in read(tmp_path / "whole")[1])
    assert before == moment - 1 - own < len(read(tmp_path / "whole")[2])
    search(tmp_path / "whole", evaluate=None_left)  # nothing is left to do


def None_left(*arguments, **settings):
    raise AssertionError("everything was evaluated")


def test_two_workers_record_the_same(tmp_path):
    search(tmp_path / "here")
    with local_pool(2) as pool:
        search(tmp_path / "there", executor=pool)
    assert read(tmp_path / "here") == read(tmp_path / "there")


def fail_again(architecture, task, *, seed):
    """Fail with every seed but the candidate's own."""
    if seed not in OWN:
        raise ValueError("not with this seed")
    return fake_task.evaluate(architecture, task, seed=seed)


OWN: set[int] = set()


def test_failures_while_confirming_lose_no_winner(tmp_path):
    search(tmp_path / "plain", confirm=0, repeat=0)
    with Journal.read(tmp_path / "plain") as journal:
        results = journal.results()
    OWN.update(r.seed for r in results)
    search(tmp_path / "failing", evaluate=fail_again)
    winner = json.loads((tmp_path / "failing" / "winner.json").read_text())
    assert winner["candidate"] == find_winner(results).candidate
    assert {one["failed"] for one in winner["confirmed"]} == {3}
    search(tmp_path / "failing", failed=True)
    with Journal.read(tmp_path / "failing") as journal:
        again, attempts = journal.again(), journal.attempts_again()
    assert {one.outcome for one in again} == {"done"}
    assert len(attempts) == 2 * len(again)


def test_one_that_fails_with_every_new_seed_does_not_win_over_one_that_does_not(tmp_path):
    search(tmp_path)
    with Journal.read(tmp_path) as journal:
        results, again = journal.results(), journal.again()
    first = find_confirmed(results, again)[0]
    kept = [a for a in again if a.candidate != first.result.candidate]
    lost = [a for a in again if a.candidate == first.result.candidate]
    broken = [
        *kept,
        *(SimpleNamespace(**{**vars(a), "again": a.again, "outcome": "failed"}) for a in lost),
    ]
    assert find_winner(results, broken).candidate != first.result.candidate
    assert find_winner(results, kept).candidate == first.result.candidate  # not evaluated yet
    assert find_confirmed(results, kept) == []


@pytest.mark.parametrize("failing", [0, 1])
def test_one_that_fails_with_two_of_three_seeds_does_not_win_by_the_third(tmp_path, failing):
    """As good as ever with the one seed that is left, which is one draw of three."""
    search(tmp_path)
    with Journal.read(tmp_path) as journal:
        results, again = journal.results(), journal.again()
    chosen = [one.result.candidate for one in find_confirmed(results, again)]
    unlucky = chosen[failing]

    def alter(one):
        if one.candidate != unlucky or one.again == 1:
            return one
        if one.again < 4:
            return replace(one, outcome="failed", reward=None)
        return replace(one, reward=100.0)

    broken = [alter(one) for one in again]
    found = {one.result.candidate: one for one in find_confirmed(results, broken)}
    assert (found[unlucky].reward, found[unlucky].failed) == (None, 2)
    assert find_winner(results, broken).candidate != unlucky
    rest = [one for one in broken if one.outcome == "done" or one.candidate == unlucky]
    rest = [replace(one, outcome="failed") if one.again > 1 else one for one in rest]
    assert find_winner(results, rest) == find_winner(results)  # none is confirmed


def test_a_search_that_goes_on_names_the_winner_of_a_whole_one(tmp_path):
    differ = 0
    for seed in range(12):
        run, whole = tmp_path / f"run{seed}", tmp_path / f"whole{seed}"
        for out, numbers in ((run, (12, 24)), (whole, (24,))):
            for candidates in numbers:
                search(
                    out, evaluate=evaluate_noisily, task=NoisyTask(), seed=seed, order=Batch(4),
                    candidates=candidates, repeat=2,
                )  # fmt: skip
        events, attempts, again = read(run)
        expected = read(whole)
        assert (events, attempts) == expected[:2]
        assert [one for one in again if one in expected[2]] == expected[2]
        winners = [json.loads((out / "winner.json").read_text()) for out in (run, whole)]
        assert winners[0] == winners[1]
        with Journal.read(run) as journal:
            results = journal.results()
            assert journal.again() == expected[2]
        differ += find_winner(results, again) != find_winner(results, expected[2])
    assert differ  # where those confirmed earlier competed still


def test_nothing_is_confirmed_after_a_limit(tmp_path, monkeypatch):
    with_limit = {"order": Batch(4), "candidates": 24, "examples": 128 * 10}
    for _ in range(2):  # started again it says the same
        search(tmp_path / "run", **with_limit)
        _, attempts, again = read(tmp_path / "run")
        assert len(attempts) == 12
        assert again == []
        said = "Not all evaluations with other seeds were made: limit reached, 1280 training images"
        assert said in describe_status(tmp_path / "run")
        assert said in describe_winner(tmp_path / "run")
    search(tmp_path / "run", order=Batch(4), candidates=24)
    search(tmp_path / "whole", order=Batch(4), candidates=24)
    assert read(tmp_path / "run") == read(tmp_path / "whole")
    assert "not confirmed" not in describe_status(tmp_path / "run")
    looks = iter(range(100))
    monkeypatch.setattr(Limits, "say_late", lambda self: "2 hours have passed" * (next(looks) > 9))
    search(tmp_path / "late", hours=2.0)
    assert "limit reached, 2 hours have passed" in describe_status(tmp_path / "late")
    assert read(tmp_path / "late")[2] == []
    monkeypatch.undo()
    search(tmp_path / "last", order=Batch(4), candidates=12, examples=128 * 10)
    search(tmp_path / "last", order=Batch(4), candidates=12, examples=128 * 10)
    assert read(tmp_path / "last")[2] == []


def test_a_limit_that_is_reached_while_confirming_ends_it(tmp_path):
    search(tmp_path / "plain", confirm=0, repeat=0)
    with Journal.read(tmp_path / "plain") as journal:
        spent = journal.n_examples
    search(tmp_path / "run", examples=spent + 128 * 6)
    again = read(tmp_path / "run")[2]
    assert len(again) == 6  # four with a second seed, and two of three that would confirm the first
    said = f"limit reached, {spent + 128 * 6} training images were processed"
    assert said in describe_status(tmp_path / "run")
    with Journal.read(tmp_path / "run") as journal:
        (first,) = find_confirmed(journal.results(), journal.again())
        assert (first.reward, len(first.rewards), first.wanted) == (None, 2, 3)
        assert find_winner(journal.results(), journal.again()) == first.result
    search(tmp_path / "run")
    search(tmp_path / "whole")
    assert read(tmp_path / "run") == read(tmp_path / "whole")
    assert "limit reached" not in describe_status(tmp_path / "run")
    late = Limits(Schedule(hours=2.0), start=time.monotonic() - 2 * 3600)
    assert late.say_reached(0) == "2 hours have passed"
    assert Limits(Schedule(hours=2.0)).say_reached(0) == ""


def test_two_evaluations_of_two_seeds_each_are_the_three_that_are_wanted():
    def show(candidate, again, reward):
        seeds = tuple(Repeat(k, (Rung(1, reward),)) for k in range(2))
        measured = average_repeats(Measurement((), repeats=seeds))
        return Attempt(candidate, 1000 * again + 1, "", str(candidate), again, "done",
                       reward=reward, measurement=measured)  # fmt: skip

    own, evaluations = show(0, 0, 0.9), [show(0, 2, 0.5), show(0, 3, 0.7)]
    (whole,) = find_confirmed([own], evaluations)
    assert (whole.wanted, whole.reward) == (2, pytest.approx(0.6))
    assert find_confirmed([own], evaluations[:1])[0].reward is None


def test_a_candidate_that_was_stopped_competes_nowhere(tmp_path):
    search(tmp_path)
    with Journal.read(tmp_path) as journal:
        results, again, ranked = journal.results(), journal.again(), journal.rank()
    best = next(one for one in results if one.candidate == ranked[0])
    stopped = replace(best, candidate=99, reason="stopped", reward=best.reward + 1)
    assert find_confirmed([*results, stopped], again) == find_confirmed(results, again)
    assert find_winner([*results, stopped]) == find_winner(results) == best


def test_what_is_noted_of_confirming_survives_a_repair_and_is_named_where_damaged(tmp_path):
    search(tmp_path / "run", examples=128 * 10, order=Batch(4))
    with Journal.read(tmp_path / "run") as journal:
        noted = journal.confirming()
        last = journal.attempts()[-1].candidate
    assert noted.hindered.startswith("1280 training images")

    def change(out, said):
        shutil.copytree(tmp_path / "run", tmp_path / out)
        with closing(sqlite3.connect(tmp_path / out / "journal.db")) as file, file:
            file.execute(said)
        return tmp_path / out

    row = change("row", f"UPDATE evaluation SET seed = 1 WHERE candidate = {last}")
    assert repair_journal(row)[0] > 0
    with Journal.read(row) as journal:
        assert journal.confirming() == noted
    for name, said in (
        ("note", "UPDATE confirming SET number = 5"),
        ("gone", "DELETE FROM confirming"),
        ("kind", "UPDATE confirming SET hindered = x'ff'"),
    ):
        out = change(name, said)
        with pytest.raises(JournalError, match="damaged: the note on evaluations with other seeds"):
            Journal.read(out)
        number, problem = repair_journal(out)
        assert (number, problem) == (12, "the note on evaluations with other seeds")
        with Journal.read(out) as journal:
            assert journal.confirming() is None
        search(out, order=Batch(4))
        assert describe_status(out).count("13 evaluations with other seeds") == 1


def test_a_damaged_note_is_named_beside_a_damaged_row(tmp_path):
    search(tmp_path / "run", examples=128 * 10, order=Batch(4))
    with closing(sqlite3.connect(tmp_path / "run" / "journal.db")) as file, file:
        file.execute("UPDATE evaluation SET seed = 1 WHERE candidate = 3")
        file.execute("UPDATE confirming SET number = 5")
    both = r"candidate 3.*, and beside it the note on evaluations with other seeds"
    with pytest.raises(JournalError, match=both):
        Journal.read(tmp_path / "run")
    _, problem = repair_journal(tmp_path / "run")
    assert re.search(both, problem)
    with Journal.read(tmp_path / "run") as journal:
        assert journal.confirming() is None


def test_status_says_how_far_confirming_is(tmp_path):
    seen = []

    def look(architecture, task, *, seed):
        seen.append(describe_status(tmp_path))
        if len(seen) == 18:
            raise KeyboardInterrupt
        return fake_task.evaluate(architecture, task, seed=seed)

    with pytest.raises(KeyboardInterrupt, match="Nothing is lost"):
        search(tmp_path, evaluate=look)
    done = 17 - sum(one.duplicate_of is None for one in read(tmp_path)[1])
    assert f"{done} of 13 evaluations with other seeds" in seen[-1]
    assert f"waiting {13 - done}" in seen[-1]
    assert "the same command goes on" not in seen[-1]
    text = f"{done} of 13 evaluations with other seeds (no search is running; the same command"
    assert text in describe_status(tmp_path)
    search(tmp_path)
    assert "\n13 evaluations with other seeds" in describe_status(tmp_path)
    with Journal.read(tmp_path) as journal:
        spent = journal.timings_of_attempts()
        own = {c: s.seconds for (c, attempt), s in spent.items() if attempt < 1000}
        assert journal.seconds() == pytest.approx(own)
        assert journal.seconds_again() == pytest.approx(
            sum(s.seconds for (_, attempt), s in spent.items() if attempt > 1000)
        )


def test_merged_runs_keep_what_was_confirmed(tmp_path):
    for seed in (3, 4):
        search(tmp_path / str(seed), seed=seed)
    merge_runs([tmp_path / "3", tmp_path / "4"], tmp_path / "all")
    with Journal.read(tmp_path / "all") as journal:
        again, noted = journal.again(), journal.confirming()
        results, ranked = journal.results(), journal.rank()
        assert len(journal.attempts_again()) == 26
    confirmed = {one.candidate for one in again if one.again > 1}
    assert confirmed <= set(ranked[:6])
    assert (noted.number, noted.evaluations, noted.hindered) == (6, len(again), "")
    assert find_winner(results, again).candidate in confirmed
    search(tmp_path / "5", seed=5, examples=128 * 10, order=Batch(4))
    merge_runs([tmp_path / "3", tmp_path / "5"], tmp_path / "hindered")
    said = describe_status(tmp_path / "hindered")
    assert f"limit reached, 1280 training images were processed in {tmp_path / '5'}" in said
    with Journal.read(tmp_path / "hindered") as journal:
        assert journal.confirming().evaluations == len(journal.again()) + 13


@dataclass(frozen=True)
class NoisyTask:
    """A candidate is as good as its key says; one evaluation is off by twice that spread."""

    reward: Any = field(default_factory=lambda: WeightedReward({"performance": 1.0}))

    def describe(self):
        return {"reward": self.reward.describe()}


def is_good(architecture):
    key = architecture if isinstance(architecture, str) else architecture.key
    return np.random.default_rng(int(key[:12], 16)).normal()


def evaluate_noisily(architecture, task, *, seed):
    shown = is_good(architecture) + np.random.default_rng(seed).normal() * 2
    measured = Measurement((), (Rung(5, float(shown)),))
    return SimpleNamespace(
        outcome="done", reason="", performance=shown, guidance=None, reward=None,
        measurement=measured, n_parameters=1, examples=10,
    )  # fmt: skip


def test_confirming_finds_better_candidates_than_the_best_of_noisy_draws(tmp_path):
    """The best of 24 draws with noise is no better than .9, its reward above 4."""
    naive, confirmed, promised, shown = [], [], [], []
    for seed in range(30):
        out = tmp_path / str(seed)
        search(out, evaluate=evaluate_noisily, task=NoisyTask(), seed=seed, candidates=24, repeat=0)
        with Journal.read(out) as journal:
            results, again = journal.results(), journal.again()
        leader, winner = find_winner(results), find_winner(results, again)
        naive.append(is_good(leader.key))
        confirmed.append(is_good(winner.key))
        promised.append(leader.reward - is_good(leader.key))
        shown += [
            np.mean(one.rewards) - is_good(one.result.key) for one in find_confirmed(results, again)
        ]
    assert np.mean(confirmed) > np.mean(naive) + 0.15
    assert np.mean(promised) > 2
    assert abs(np.mean(shown)) < 4 * 2 / np.sqrt(3 * 90)  # unbiased: 90 means of 3


def test_the_first_say_how_far_two_seeds_agree_and_nothing_else_changes(tmp_path):
    run = search(tmp_path, evaluate=evaluate_noisily, task=NoisyTask(), candidates=24, repeat=12)
    with Journal.read(tmp_path) as journal:
        results, again = journal.results(), journal.again()
    second = [one for one in again if one.again == 1]
    assert [one.candidate for one in second] == list(range(12))
    (found,) = find_agreement(results, again, {})
    both = np.array([[results[k].performance, second[k].performance] for k in range(12)])
    assert found.candidates == 12
    assert found.between == pytest.approx(np.sqrt(both.var(1, ddof=1).mean()))
    assert run["reward"].values == pytest.approx([r.performance for r in results])
    assert found.sentence in describe_status(tmp_path)
    said = describe_winner(tmp_path)
    assert found.sentence in said
    assert "Evaluated again with other seeds before a winner was named: candidates" in said
    assert "Agreement of seeds" in write_report(tmp_path)[-1].read_text()


def test_agreement_with_early_stopping_is_over_those_whom_no_reward_chose():
    results = [
        Attempt(
            k, 1, "", str(k), k, "done", reason="stopped" if k == 41 else "", reward=1.0,
            measurement=average_repeats(
                Measurement((), repeats=tuple(
                    Repeat(s, (Rung(0, 0.1), Rung(5, 0.1 * k + 0.01 * s))[: 1 if k == 41 else 2])
                    for s in (1, 2)
                ))
            ),
        )
        for k in range(45)
    ]  # fmt: skip
    assert find_agreement(results, [], {})[0].candidates == 44
    chosen = find_agreement(results, [], {"task": {"keep": 0.3}})
    assert chosen[0].candidates == 24 + 2  # the first, 30 and 40


def test_how_many_depends_on_the_reward_unless_it_is_said(tmp_path):
    assert find_numbers(Schedule(), NoisyTask()) == (CONFIRM, REPEAT) == (3, 8)
    assert find_numbers(Schedule(), NoisyTask(PaperReward())) == (0, 0)
    assert find_numbers(Schedule(), FakeTask()) == (0, 0)
    assert find_numbers(Schedule(again=Again(5, 1)), FakeTask()) == (5, 1)


def test_numbers_that_make_no_sense_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"confirm is -1; .*\n  - repeat is True"):
        Again(confirm=-1, repeat=True)
    with pytest.raises(ValueError, match="confirm is 13, but there are only 12 candidates"):
        search(tmp_path, confirm=13)
