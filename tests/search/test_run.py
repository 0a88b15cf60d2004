"""A search gives the same journal however it is run, and survives what may happen to it."""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import deque
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from dataclasses import replace
from pathlib import Path

import fake_task
import numpy as np
import pytest
import xarray as xr
from fake_task import FakeTask, controller, few
from halving_task import RUNGS, HalvingTask, measure

from brainguided.controllers import (
    PPO,
    LocalSearch,
    RandomSearch,
    RegularizedEvolution,
    Reinforce,
    tpe,
)
from brainguided.engines.local import local_pool
from brainguided.journal._rows import COLUMNS
from brainguided.journal.journal import Journal, JournalError
from brainguided.search._state import SearchState
from brainguided.search.orders import Again, Batch, Completion, Schedule
from brainguided.search.run import SearchError, run_search
from brainguided.spaces import small_space

HERE = Path(__file__).parents[1]


def rows(folder):
    """Return all that must not depend on workers, time or place, by plain SELECTs."""
    file = sqlite3.connect(Path(folder) / "journal.db")
    tables = ("search", "event", "evaluation")
    found = {table: file.execute(f"SELECT * FROM {table}").fetchall() for table in tables}
    file.close()
    return found


def search(out, candidates=12, *, task=None, proposer=None, **settings):
    settings = {"schedule": Schedule(Batch(5)), "evaluate": fake_task.evaluate} | settings
    task = task or FakeTask()
    return run_search(proposer or controller(), task, candidates=candidates, out=out, **settings)


def start_driver(out, workers, candidates, seconds):
    arguments = [str(value) for value in (out, workers, candidates, seconds)]
    code = "import sys; import fake_task as f; a = sys.argv[1:]; "
    code += "f.drive(a[0], int(a[1]), int(a[2]), float(a[3]))"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | {"PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"},
    )


def committed(out):
    try:
        with Journal.read(out) as journal:
            return len(journal.attempts())
    except (OSError, ValueError):
        return 0


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Journals of searches run in this process, in a space with and without repeats."""
    folder = tmp_path_factory.mktemp("undisturbed")
    for name in ("few", "many"):
        fake_task.drive(str(folder / name), 0, 33, 0.0)
    return folder


# -- the same journal, whatever happens ---------------------------------------------------------


def test_the_undisturbed_search_has_what_the_comparisons_are_about(undisturbed):
    found = rows(undisturbed / "few")
    copied = COLUMNS.index("duplicate_of")
    outcomes = {(row[5], row[copied] is not None) for row in found["evaluation"]}
    assert {("done", False), ("done", True), ("failed", False)} <= outcomes
    assert len(found["event"]) == 14
    reasons = {row[6][:5] for row in rows(undisturbed / "many")["evaluation"]}
    assert reasons == {"", "error", "nan"}


@pytest.mark.parametrize("name", ["few", "many"])
@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_workers_gives_the_same_journal(undisturbed, tmp_path, name, workers):
    fake_task.drive(str(tmp_path / name), workers, 33, 0.02)
    assert rows(tmp_path / name) == rows(undisturbed / name)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize(("name", "workers"), [("few", 0), ("many", 1), ("many", 2)])
def test_a_search_killed_again_and_again_gives_the_same_journal(
    undisturbed, tmp_path, name, workers
):
    out, chance = tmp_path / name, random.Random(name)
    kills = 0
    for _ in range(3):
        before = committed(out)
        driver = start_driver(out, workers, 33, 0.3)
        while committed(out) == before and driver.poll() is None:
            time.sleep(0.02)
        time.sleep(chance.random() * 0.3)
        kills += driver.poll() is None
        driver.kill()
        driver.wait()
    assert kills >= 2
    assert 0 < committed(out) < 33
    fake_task.drive(str(out), workers, 33, 0.0)
    assert rows(out) == rows(undisturbed / name)


def test_a_resumed_search_repeats_no_finished_evaluation(tmp_path):
    task = FakeTask(marks=str(tmp_path))
    stopped = 0

    def stop(architecture, task, *, seed):
        nonlocal stopped
        stopped += 1
        if stopped == 8:
            raise KeyboardInterrupt
        return fake_task.evaluate(architecture, task, seed=seed)

    proposer = controller(space=small_space(3))
    with pytest.raises(KeyboardInterrupt, match=r"Stopped after 7 of 12.*the same call goes on"):
        search(tmp_path / "run", task=task, proposer=proposer, evaluate=stop)
    search(tmp_path / "run", task=task, proposer=controller(space=small_space(3)))
    seeds = [line.split()[0] for line in (tmp_path / "evaluated").read_text().splitlines()]
    assert len(seeds) == len(set(seeds)) == 12
    search(tmp_path / "plain", proposer=controller(space=small_space(3)))
    assert rows(tmp_path / "run") == rows(tmp_path / "plain")


def test_a_search_can_be_extended_by_whole_rounds(tmp_path):
    search(tmp_path / "extended", 10)
    extended = search(tmp_path / "extended", 25)
    assert extended.sizes["candidate"] == 25
    search(tmp_path / "long", 25)
    assert rows(tmp_path / "extended") == rows(tmp_path / "long")


def test_a_short_last_round_stays_short_when_the_search_is_extended(tmp_path):
    search(tmp_path, 7)
    search(tmp_path, 15)
    with Journal.read(tmp_path) as journal:
        asked = [payload["architectures"] for kind, payload in journal.events() if kind == "ask"]
        assert [len(texts) for texts in asked] == [5, 2, 5, 3]


def test_a_finished_search_run_again_evaluates_nothing(tmp_path):
    first = search(tmp_path / "run")
    again = search(tmp_path / "run", evaluate=None.__class__)
    xr.testing.assert_identical(first, again)


# -- what is recorded ---------------------------------------------------------------------------


def test_the_run_and_its_files_agree_with_the_journal(tmp_path):
    run = search(tmp_path)
    with Journal.read(tmp_path) as journal:
        xr.testing.assert_identical(journal.to_xarray(), run)
        tells = [payload for kind, payload in journal.events() if kind == "tell"]
        told = [reward for payload in tells for reward in payload["rewards"]]
    assert told == run["reward"].values.tolist()
    best = int(np.argmax(run["reward"].values))
    assert json.loads((tmp_path / "winner.json").read_text())["candidate"] == best
    for name in ("run.nc", "run.csv", "run.jsonl"):
        assert (tmp_path / name).stat().st_size > 0


def test_repeated_architectures_are_answered_from_the_journal(tmp_path):
    task = FakeTask(marks=str(tmp_path))
    run = search(tmp_path / "run", 30, task=task, schedule=Schedule(Batch(8)))
    texts = run["architecture"].values.tolist()
    first = [texts.index(text) for text in texts]
    expected = [-1 if k == place else k for place, k in enumerate(first)]
    assert run["duplicate_of"].values.tolist() == expected
    within = [k // 8 == place // 8 for place, k in enumerate(expected) if k >= 0]
    assert True in within
    assert False in within
    np.testing.assert_array_equal(run["reward"], run["reward"][first])
    assert len((tmp_path / "evaluated").read_text().splitlines()) == len(set(texts))


def test_the_seed_of_a_candidate_depends_on_the_search_and_its_number_alone(tmp_path):
    run = search(tmp_path, proposer=controller("random", seed=11, space=small_space()))
    expected = [np.random.SeedSequence((11, k)).generate_state(1)[0] for k in range(12)]
    assert run["seed"].values.tolist() == expected


class Scripted:
    """A controller that remembers what it was told."""

    def __init__(self, space):
        self.space, self.seed, self.told = space, 0, []
        self.place = 0

    def ask(self, n):
        self.place += n
        return [self.space.sample(k) for k in range(self.place - n, self.place)]

    def tell(self, architectures, rewards):
        self.told += rewards

    def describe(self):
        return {"name": "scripted"}


def fail_by_turns(rewards):
    """Return an evaluation that gives these rewards in turn; None raises."""
    left = iter(rewards)

    def evaluate(architecture, task, *, seed):
        reward = next(left)
        if reward is None:
            raise ValueError("not\n  today")
        return fake_task.succeed(architecture, seed, reward)

    return evaluate


def test_failures_are_told_the_lowest_reward_seen_by_the_end_of_the_round(tmp_path):
    proposer = Scripted(small_space())
    inf, nan = float("inf"), float("nan")
    rewards = [None, inf, -3.0, nan, None, -5.0, -1.0, None]
    run = search(
        tmp_path, 8, proposer=proposer, schedule=Schedule(Batch(2)), evaluate=fail_by_turns(rewards)
    )
    assert proposer.told == [None, None, -3.0, -3.0, -5.0, -5.0, -1.0, -5.0]
    np.testing.assert_array_equal(run["reward"], np.array(proposer.told, dtype=float))
    assert run["outcome"].values.tolist() == ["failed"] * 2 + ["done", "failed"] + (
        ["failed", "done", "done", "failed"]
    )
    assert run["reason"].values.tolist()[:4] == ["error: ValueError: not today", "nan", "", "nan"]
    np.testing.assert_array_equal(run["best_so_far"], [np.nan] * 2 + [-3.0] * 4 + [-1.0] * 2)


def test_a_failed_evaluation_is_recorded_with_its_own_reason(tmp_path):
    def run_out(architecture, task, *, seed):
        evaluation = fake_task.succeed(architecture, seed, 1.0)
        if architecture.depth == 1:
            evaluation.outcome, evaluation.reason = "failed", "memory"
        return evaluation

    run = search(tmp_path, evaluate=run_out)
    assert set(run["reason"].values.tolist()) == {"", "memory"}


def test_every_evaluation_is_logged_in_a_line(tmp_path, caplog):
    with caplog.at_level(logging.INFO, "brainguided.search.run"):
        search(tmp_path, 5, proposer=Scripted(small_space()))
    assert len(caplog.messages) == 5
    assert caplog.messages[0].startswith("candidate 0 (attempt 1) done: reward")


# -- workers that die ---------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_an_evaluation_whose_worker_dies_is_tried_again(tmp_path):
    task = FakeTask(marks=str(tmp_path))
    with local_pool(2) as pool:
        run = search(tmp_path / "run", task=task, executor=pool, evaluate=fake_task.die_once)
    assert run["outcome"].values.tolist() == ["done"] * 12
    with Journal.read(tmp_path / "run") as journal:
        attempts = journal.attempts()
    lost = [attempt.candidate for attempt in attempts if attempt.outcome == "lost"]
    assert lost
    assert {a.candidate for a in attempts if a.attempt == 2} == set(lost)
    undisturbed = search(tmp_path / "undisturbed")
    np.testing.assert_array_equal(run["reward"], undisturbed["reward"])


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_an_evaluation_that_always_kills_its_worker_is_lost_after_three_attempts(tmp_path):
    with local_pool(2) as pool:
        run = search(
            tmp_path, 6, executor=pool, schedule=Schedule(Batch(6)), evaluate=fake_task.always_die
        )
    shallow = run["n_parameters"].values == -1
    assert shallow.any()
    assert set(run["reason"].values[shallow]) == {"lost"}
    assert set(run["outcome"].values[~shallow]) == {"done"}
    with Journal.read(tmp_path) as journal:
        made = [(a.attempt, a.outcome) for a in journal.attempts() if a.reason == "lost"]
    assert made[:3] == [(1, "lost"), (2, "lost"), (3, "failed")]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_broken_executor_ends_the_search_with_what_to_do(tmp_path):
    with (
        ProcessPoolExecutor(1) as pool,
        pytest.raises(SearchError, match=r"executor is broken.*local_pool survives"),
    ):
        search(tmp_path, executor=pool, evaluate=fake_task.always_die)
    with Journal.read(tmp_path) as journal:
        assert {attempt.outcome for attempt in journal.attempts()} <= {"lost", "done"}


class Reversed(Executor):
    """Runs in this process; hands tasks back cancelled or broken at first."""

    def __init__(self):
        self.tasks = 0

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        self.tasks += 1
        if self.tasks % 3 == 0:
            future.set_exception(BrokenExecutor("gone"))
        elif self.tasks % 4 == 0:
            future.cancel()
            future.set_running_or_notify_cancel()
        else:
            future.set_result(fn(*args, **kwargs))
        return future


def test_any_executor_will_do(tmp_path):
    run = search(tmp_path / "run", executor=Reversed())
    np.testing.assert_array_equal(run["reward"], search(tmp_path / "plain")["reward"])


def test_an_evaluation_that_says_its_machine_was_lost_is_tried_again(tmp_path):
    met = set()

    def elsewhere(architecture, task, *, seed):
        if seed not in met:
            met.add(seed)
            raise BrokenExecutor("the job was preempted")
        return fake_task.evaluate(architecture, task, seed=seed)

    run = search(tmp_path / "here", evaluate=elsewhere)
    np.testing.assert_array_equal(run["reward"], search(tmp_path / "plain")["reward"])
    met.clear()
    with ThreadPoolExecutor(3) as threads:
        there = search(tmp_path / "there", evaluate=elsewhere, executor=threads)
    np.testing.assert_array_equal(run["reward"], there["reward"])
    with Journal.read(tmp_path / "there") as journal:
        made = journal.attempts()
        assert {a.attempt for a in made if a.outcome == "done" and a.duplicate_of is None} == {2}


class Silent(Executor):
    """Threads of which nobody says how many there are."""

    def __init__(self):
        self.threads, self.lock = ThreadPoolExecutor(20), threading.Lock()
        self.running = self.most = 0

    def submit(self, fn, /, *args, **kwargs):
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
        future = self.threads.submit(fn, *args, **kwargs)
        future.add_done_callback(self.end)
        return future

    def end(self, _):
        with self.lock:
            self.running -= 1


def test_an_executor_of_unknown_size_is_filled_with_as_many_as_the_user_says(tmp_path):
    settings = {"schedule": Schedule(Completion()), "executor": (executor := Silent())}
    with pytest.raises(ValueError, match=r"does not say how many.*workers=40"):
        search(tmp_path / "refused", **settings)
    assert not (tmp_path / "refused").exists()
    first = iter(range(4))  # these wait for one another
    all_run = threading.Barrier(4)

    def together(architecture, task, *, seed):
        if next(first, None) is not None:
            all_run.wait(60)
        return fake_task.evaluate(architecture, task, seed=seed)

    settings["schedule"] = Schedule(Completion(), workers=4)
    run = search(tmp_path / "run", 30, evaluate=together, **settings)
    assert run.sizes["candidate"] == 30
    assert set(run["outcome"].values) == {"done"}
    assert executor.most == 4
    with Journal.read(tmp_path / "run") as journal:
        asked = told = 0
        for kind, payload in journal.events():
            asked += len(payload["architectures"]) if kind == "ask" else 0
            told += len(payload["candidates"]) if kind == "tell" else 0
            # nothing is proposed before it can run, but for repetitions of what runs
            assert asked - told <= 8
    with pytest.raises(ValueError, match="workers is 0; expected a whole number"):
        Schedule(workers=0)


def test_rounds_smaller_than_the_workers_are_pointed_out(tmp_path, caplog):
    for round_size, said in ((5, "rounds hold 5 candidates: the others will be idle"), (6, "")):
        caplog.clear()
        with ThreadPoolExecutor(6) as threads:
            search(
                tmp_path / str(round_size), schedule=Schedule(Batch(round_size)), executor=threads
            )
        warned = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
        assert len(warned) == bool(said)
        assert all(said in text for text in warned)


def test_an_evaluation_that_cannot_be_sent_is_an_error_of_the_caller(tmp_path):
    with local_pool(1) as pool, pytest.raises(Exception, match="pickle"):
        search(tmp_path, executor=pool, evaluate=lambda a, t, *, seed: None)


# -- refusals -----------------------------------------------------------------------------------


def test_a_search_that_mostly_fails_is_stopped_with_the_reason(tmp_path):
    def mostly(architecture, task, *, seed):
        if architecture.depth > 1:
            raise MemoryError("too big")
        return fake_task.succeed(architecture, seed, 1.0)

    message = r"of the last \d+ evaluations failed, .* with 'memory'"
    with pytest.raises(SearchError, match=message):
        search(tmp_path, 200, proposer=Scripted(small_space()), evaluate=mostly)
    with Journal.read(tmp_path) as journal:
        assert len(journal.results()) == 25
    with pytest.raises(SearchError, match=message):
        search(tmp_path, 200, proposer=Scripted(small_space()), evaluate=mostly)


def test_a_search_that_was_stopped_by_failures_goes_on_once_their_cause_is_mended(tmp_path):
    def broken(architecture, task, *, seed):
        raise OSError("the disk of the images is gone")

    settings = {"candidates": 60, "out": tmp_path}
    rewards = fail_by_turns([1.0] * 20)
    search(**settings | {"candidates": 20}, proposer=Scripted(small_space()), evaluate=rewards)
    with pytest.raises(SearchError, match="start the same search again: it goes on after them"):
        search(**settings, proposer=Scripted(small_space()), evaluate=broken)
    run = search(**settings, proposer=Scripted(small_space()), evaluate=fail_by_turns([2.0] * 40))
    failed = run["outcome"].values == "failed"
    assert failed.sum() == 25
    assert not failed[:20].any()
    assert not failed[45:].any()
    assert run["reward"].values[45:].tolist() == [2.0] * 15


def test_failures_of_an_open_round_do_not_stop_a_search_that_is_resumed(tmp_path):
    """Whole rounds are judged: stopped in the middle or not, the search ends the same."""
    rewards = [None] * 25 + [1.0] * 25

    def stopped(architecture, task, *, seed):
        if len(rewards) == 25:
            raise KeyboardInterrupt
        reward = rewards.pop(0)
        return fail_by_turns([reward])(architecture, task, seed=seed)

    with pytest.raises(KeyboardInterrupt):
        search(
            tmp_path,
            50,
            proposer=Scripted(small_space()),
            schedule=Schedule(Batch(50)),
            evaluate=stopped,
        )
    rest = fail_by_turns(rewards)
    run = search(
        tmp_path, 50, proposer=Scripted(small_space()), schedule=Schedule(Batch(50)), evaluate=rest
    )
    assert run["outcome"].values.tolist() == ["failed"] * 25 + ["done"] * 25


def test_a_search_in_which_nothing_succeeds_says_so(tmp_path):
    with pytest.raises(SearchError, match="3 of the last 3 evaluations failed, 3 of them"):
        search(tmp_path, 3, proposer=Scripted(small_space()), evaluate=fail_by_turns([None] * 3))


def test_another_search_in_the_same_folder_is_refused_with_all_differences(tmp_path):
    search(tmp_path, 5)
    before = rows(tmp_path)
    with pytest.raises(JournalError) as caught:
        search(
            tmp_path,
            5,
            task=FakeTask(note="other"),
            proposer=controller(seed=4),
            schedule=Schedule(Batch(6)),
        )
    text = str(caught.value)
    assert 'task.note: "simulated" in the journal, "other" now' in text
    assert "controller.seed: 3 in the journal, 4 now" in text
    assert "round_size: 5 in the journal, 6 now" in text
    assert "space" not in text
    assert rows(tmp_path) == before


def test_a_controller_that_proposes_something_else_is_refused(tmp_path):
    search(tmp_path, 5)
    used = controller()
    used.tell(used.ask(1), [1.0])
    with pytest.raises(JournalError, match=r"in event 0 the controller now proposes another"):
        search(tmp_path, 10, proposer=used)


def test_fewer_candidates_than_there_are_is_refused(tmp_path):
    search(tmp_path, 10)
    with pytest.raises(JournalError, match="already holds 10 candidates, 5 were asked for"):
        search(tmp_path, 5)


@pytest.mark.parametrize("candidates", [0, 2.0])
def test_impossible_numbers_are_refused_before_anything_is_written(tmp_path, candidates):
    with pytest.raises(ValueError, match="expected a whole number, at least 1"):
        search(tmp_path / "run", candidates)
    assert not (tmp_path / "run").exists()


def test_a_second_driver_is_refused_while_one_runs(tmp_path):
    def start_another(architecture, task, *, seed):
        with pytest.raises(JournalError, match="Another search is writing into"):
            search(tmp_path)
        return fake_task.succeed(architecture, seed, 1.0)

    run = search(tmp_path, 3, evaluate=start_another)
    assert set(run["outcome"].values.tolist()) == {"done"}


def test_few_is_few():
    assert few().n_architectures == 14


CONTROLLERS = {
    "reinforce": Reinforce,
    "ppo": PPO,
    "evolution": RegularizedEvolution,
    "local": LocalSearch,
    "random": RandomSearch,
    "tpe": tpe,
}


@pytest.mark.parametrize("name", CONTROLLERS)
def test_a_search_resumed_from_a_saved_state_is_the_undisturbed_one(tmp_path, monkeypatch, name):
    from brainguided.search import _state as module

    make = CONTROLLERS[name]
    search(tmp_path / "whole", 60, proposer=make(small_space(3), seed=2))
    monkeypatch.setattr(module, "_SNAPSHOT", 10)
    for candidates in (25, 40, 60):
        search(tmp_path / "parts", candidates, proposer=make(small_space(3), seed=2))
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")
    with Journal.read(tmp_path / "parts") as journal:
        saved = journal.snapshot()
    assert (saved is None) == (name == "tpe")  # which is rebuilt by replay


def test_a_saved_state_spares_the_replay_of_what_was_before(tmp_path, monkeypatch):
    from brainguided.search import _state as module

    monkeypatch.setattr(module, "_SNAPSHOT", 16)
    asked = []

    class Watched(RandomSearch):
        def ask(self, n):
            asked.append(n)
            return super().ask(n)

    search(tmp_path / "random", 40, proposer=RandomSearch(few(), seed=2, unique=False))
    search(tmp_path / "random", 50, proposer=Watched(few(), seed=2, unique=False))
    assert sum(asked) == 10


def count_kept(thing, met):
    """Return the entries of all containers that belong to an object of this package."""
    if id(thing) in met:
        return 0
    met.add(id(thing))
    if isinstance(thing, dict | list | set | tuple | deque):
        inner = [*thing.values()] if isinstance(thing, dict) else [*thing]
        return len(inner) + sum(count_kept(one, met) for one in inner)
    own = vars(thing).values() if type(thing).__module__.startswith("brainguided") else ()
    return sum(count_kept(one, met) for one in own)


@pytest.mark.parametrize("keep", [None, 0.4])
def test_the_driver_keeps_few_entries_for_each_candidate(tmp_path, keep):
    """Its key, with the number of the candidate, and the key that is not to be proposed again.

    Bytes would tell nothing: tables double now and then. With early stopping, each that finished
    is kept too, with its reward at every rung, and the bars of its round; no more of closed ones.
    """
    with Journal.open(tmp_path) as journal:
        task = None if keep is None else HalvingTask(keep)
        inner = SearchState(RandomSearch(small_space(4), seed=2), journal, task)

        def play(rounds):
            for _ in range(rounds):
                for job in inner.propose(8):
                    measured = measure(job.candidate, 1.0)  # whole: all of them finish
                    done = inner.appraise(replace(job, outcome="done", measurement=measured))
                    journal.record_attempt(done)
                    inner.arrive(done)
                inner.conclude(sorted(inner.arrived))

        play(20)  # what is remembered of the latest only is full then
        before = count_kept(inner, set())
        play(20)
        grown = (count_kept(inner, set()) - before) / 160
        if keep is None:
            assert grown == 2
        else:
            assert any(payload.get("bars") for kind, payload in journal.events() if kind == "ask")
            of_bars = 3 * (len(RUNGS) - 1) / 8  # step and bar at each rung but the last
            assert 2 + 1 + len(RUNGS) < grown <= 2 + 1 + len(RUNGS) + of_bars


def test_a_space_that_is_used_up_ends_the_search_and_says_so(tmp_path, caplog):
    for name, size in (("rounds", 5), ("whole", 14)):
        caplog.clear()
        made = RandomSearch(few(), seed=3)
        schedule = Schedule(Batch(size))
        run = search(tmp_path / name, 40, proposer=made, schedule=schedule)
        assert run.sizes["candidate"] == len(set(run["architecture"].values)) == 14
        assert "14 of 40 candidates: the space is used up" in caplog.text
    caplog.clear()
    again = search(tmp_path / "rounds", 50, proposer=RandomSearch(few(), seed=3))
    assert again.sizes["candidate"] == 14
    assert "used up" in caplog.text


def test_failures_before_the_first_success_are_told_as_unknown(tmp_path):
    def earn(architecture, task, *, seed):
        if len(seen) < 4:
            seen.append(architecture)
            raise ValueError("not yet")
        return fake_task.succeed(architecture, seed, -3.0)

    seen = []
    proposer = RandomSearch(small_space(3), seed=3)
    search(tmp_path, 8, proposer=proposer, schedule=Schedule(Batch(2)), evaluate=earn)
    with Journal.read(tmp_path) as journal:
        told = [p["rewards"] for kind, p in journal.events() if kind == "tell"]
    assert told == [[None, None], [None, None], [-3.0, -3.0], [-3.0, -3.0]]


def test_a_search_ends_at_its_number_of_training_images_and_goes_on_with_more(tmp_path, caplog):
    """Also in the middle of a round of workers: what was asked for is told."""

    def make():
        return RandomSearch(small_space(3), seed=3)

    each = 128
    search(tmp_path / "whole", 15, proposer=make())
    for workers in (1, 2):
        schedule = Schedule(Batch(5), examples=5 * each + 1)
        out = tmp_path / str(workers)
        with ThreadPoolExecutor(workers) as threads:
            run = search(out, 15, proposer=make(), schedule=schedule, executor=threads)
        assert run.sizes["candidate"] == 10
        assert "10 of 15 candidates: 1280 training images were processed" in caplog.text
    schedule = Schedule(Batch(5), examples=2 * each)
    again = search(tmp_path / "1", 15, proposer=make(), schedule=schedule)
    assert again.sizes["candidate"] == 10, "nothing more is asked for"
    search(tmp_path / "1", 15, proposer=make())
    assert rows(tmp_path / "1") == rows(tmp_path / "whole")


def test_a_search_ends_after_its_hours(tmp_path, caplog, monkeypatch):
    clock = iter(range(0, 10**9, 1800))
    monkeypatch.setattr("brainguided.search.run.time.monotonic", lambda: next(clock))
    run = search(
        tmp_path, 1000, proposer=RandomSearch(small_space(), seed=3),
        schedule=Schedule(Batch(5), hours=3.0),
    )  # fmt: skip
    assert 0 < run.sizes["candidate"] < 100
    assert "3 hours have passed" in caplog.text


def test_data_that_were_renamed_are_the_same_data(tmp_path):
    class Renamed(FakeTask):
        def describe(self):
            images = {"source": self.note, "sha256": "abc" if self.note else "other"}
            return {**super().describe(), "note": "", "images": images}

    search(tmp_path, 5, task=Renamed(note="old.npz"))
    run = search(tmp_path, 6, task=Renamed(note="new.npz"))
    assert run.sizes["candidate"] == 6
    with pytest.raises(JournalError, match=r"task.images.sha256: \"abc\" in the journal"):
        search(tmp_path, 7, task=Renamed(note=""))


def test_a_run_folder_that_was_deleted_ends_its_search(tmp_path):
    def remove(architecture, task, *, seed):
        shutil.rmtree(tmp_path / "run")
        return fake_task.evaluate(architecture, task, seed=seed)

    with pytest.raises(JournalError, match="is gone: its folder was moved or deleted"):
        search(tmp_path / "run", evaluate=remove)


def test_candidates_that_failed_are_evaluated_again_once_the_cause_is_mended(tmp_path):
    """In place, duplicates too; what is learned from them is replayed."""

    def broken(architecture, task, *, seed):
        if architecture.depth < 3:
            raise OSError("the disk of the images is gone")
        return fake_task.evaluate(architecture, task, seed=seed)

    first = search(tmp_path, 15, evaluate=broken)
    failed = first["outcome"].values == "failed"
    assert 0 < failed.sum() < 15
    assert (first["duplicate_of"].values[failed] >= 0).any(), "some repeat a failed one"
    again = search(tmp_path, 15)
    np.testing.assert_array_equal(again["outcome"], first["outcome"])
    stop = iter(range(1))

    def stopped(architecture, task, *, seed):
        if next(stop, None) is None:
            raise KeyboardInterrupt
        return fake_task.evaluate(architecture, task, seed=seed)

    retry = Schedule(Batch(5), again=Again(failed=True))
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, 15, schedule=retry, evaluate=stopped)
    search(tmp_path, 15)  # what was mended so far is learned from
    run = search(tmp_path, 20, schedule=retry)
    assert set(run["outcome"].values) == {"done"}
    with Journal.read(tmp_path) as journal:
        kinds = [kind for kind, _ in journal.events()]
        own = journal.corrected()
    assert kinds.count("correct") == 2
    assert own == [k for k in np.flatnonzero(failed) if first["duplicate_of"].values[k] < 0]
    assert search(tmp_path, 25).sizes["candidate"] == 25


def test_a_candidate_that_fails_again_keeps_the_reward_that_was_told(tmp_path):
    def half_broken(architecture, task, *, seed):
        if architecture.depth < 3:
            raise OSError("the disk of the images is gone")
        return fake_task.evaluate(architecture, task, seed=seed)

    first = search(tmp_path, 15, evaluate=half_broken)
    failed = first["outcome"].values == "failed"
    assert failed.any()
    assert np.isfinite(first["reward"].values[failed]).all()
    retry = Schedule(Batch(5), again=Again(failed=True))
    again = search(tmp_path, 15, schedule=retry, evaluate=half_broken)
    xr.testing.assert_identical(again["reward"], first["reward"])
    with Journal.read(tmp_path) as journal:
        assert max(attempt.attempt for attempt in journal.attempts()) == 2


def test_images_of_candidates_that_were_evaluated_again_count_at_once(tmp_path):
    search(tmp_path, 5, evaluate=fail_by_turns([1.0, None, 2.0, 3.0, 4.0]),
           proposer=RandomSearch(small_space(3), seed=3))  # fmt: skip
    with Journal.read(tmp_path) as journal:
        before = journal.n_examples
    enough = Schedule(Batch(5), again=Again(failed=True), examples=before + 1)
    run = search(tmp_path, 10, proposer=RandomSearch(small_space(3), seed=3), schedule=enough)
    with Journal.read(tmp_path) as journal:
        assert journal.n_examples > before
    assert run.sizes["candidate"] == 5
