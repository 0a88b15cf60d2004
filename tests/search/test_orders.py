"""Orders of asking and telling, alone and in searches with many workers."""

from __future__ import annotations

import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import fake_task
import pytest
from fake_task import FakeTask, few

from brainguided.controllers import PPO, RandomSearch, RegularizedEvolution, Reinforce
from brainguided.engines.contract import ExecutorEngine
from brainguided.engines.local import local_pool
from brainguided.journal.journal import Journal
from brainguided.search.orders import Batch, Completion, Index, Schedule
from brainguided.search.run import run_search
from brainguided.spaces import small_space

COMMON = {"candidates": 40, "evaluate": fake_task.evaluate}


def make(kind=Reinforce, space=None):
    return kind(space or small_space(3), seed=3)


def content(folder):
    file = sqlite3.connect(folder / "journal.db")
    tables = ("search", "event", "evaluation")
    found = {table: file.execute(f"SELECT * FROM {table}").fetchall() for table in tables}
    file.close()
    return found


def events(folder):
    with Journal.read(folder) as journal:
        return journal.events()


def check_each_once(folder, n):
    asked, told = 0, []
    for kind, payload in events(folder):
        if kind == "ask":
            assert payload["first_candidate"] == asked
            asked += len(payload["architectures"])
        else:
            told += payload["candidates"]
            assert max(payload["candidates"]) < asked
    assert sorted(told) == list(range(n))
    assert asked == n


@pytest.mark.parametrize("kind", [Reinforce, PPO, RegularizedEvolution])
@pytest.mark.parametrize("space", [small_space(3), few()], ids=["small", "few"])
def test_index_gives_the_same_journal_whatever_the_workers(tmp_path, kind, space):
    task = FakeTask(seconds=0.01, failing=5)
    folders = []
    for workers in (0, 1, 7):
        out = tmp_path / str(workers)
        folders.append(out)
        settings = COMMON | {"schedule": Schedule(Index(6)), "out": out}
        if workers == 0:
            run_search(make(kind, space), task, **settings)
        else:
            with ThreadPoolExecutor(workers) as pool:
                run_search(make(kind, space), task, executor=pool, **settings)
    assert content(folders[0]) == content(folders[1]) == content(folders[2])


def test_index_asks_for_each_candidate_after_exactly_the_results_before_its_lag(tmp_path):
    with ThreadPoolExecutor(5) as pool:
        task = FakeTask(seconds=0.02)
        run_search(make(), task, executor=pool, schedule=Schedule(Index(6)), out=tmp_path, **COMMON)
    told = 0
    for kind, payload in events(tmp_path):
        if kind == "tell":
            assert payload["candidates"] == [told]
            told += 1
        else:
            assert told == max(0, payload["first_candidate"] - 6)


def test_index_without_lag_is_one_at_a_time(tmp_path):
    run_search(make(), FakeTask(), schedule=Schedule(Index(0)), out=tmp_path, **COMMON)
    assert [kind for kind, _ in events(tmp_path)] == ["ask", "tell"] * 40


def test_completion_keeps_every_worker_busy_and_tells_each_result_once(tmp_path):
    first = iter(range(8))
    all_run = threading.Barrier(8)

    def evaluate(architecture, task, *, seed):
        if next(first, None) is not None:  # ends only if all eight run at once
            all_run.wait(60)
        return fake_task.evaluate(architecture, task, seed=seed)

    settings = COMMON | {"schedule": Schedule(Completion()), "out": tmp_path, "evaluate": evaluate}
    with ThreadPoolExecutor(8) as pool:
        run = run_search(make(RandomSearch), FakeTask(), executor=pool, **settings)
    assert set(run["outcome"].values) == {"done"}
    check_each_once(tmp_path, 40)
    asked = told = 0
    for kind, payload in events(tmp_path):
        if kind == "ask":
            asked += len(payload["architectures"])
            assert asked - told == min(8, 40 - told), "a worker would be idle"
        else:
            told += 1


def test_repetitions_leave_their_workers_to_others_within_bounds():
    """A controller that proposes one architecture for ever still hears of it."""
    asked = 0
    while wanted := Completion().count_to_ask(
        asked=asked, told=0, arrived=0, evaluating=min(asked, 1), slots=8
    ):
        asked += wanted
    assert asked == 9  # one is evaluated, eight wait for it
    assert Completion().count_to_ask(asked=9, told=1, arrived=8, evaluating=0, slots=8) == 0
    assert Completion().count_to_ask(asked=9, told=9, arrived=0, evaluating=0, slots=8) == 8


def test_completion_with_few_architectures_answers_duplicates(tmp_path):
    with ThreadPoolExecutor(6) as pool:
        run = run_search(
            RandomSearch(few(), seed=3, unique=False),
            FakeTask(seconds=0.02, failing=4),
            executor=pool,
            schedule=Schedule(Completion()),
            out=tmp_path,
            **COMMON,
        )
    check_each_once(tmp_path, 40)
    first = {}
    for k, (text, duplicate) in enumerate(
        zip(run["architecture"].values.tolist(), run["duplicate_of"].values.tolist())
    ):
        assert duplicate == first.get(text, -1)
        first.setdefault(text, k)


@pytest.mark.parametrize(
    "order", [Completion(), Index(6), Batch(5)], ids=lambda o: type(o).__name__
)
def test_a_search_stopped_at_any_moment_goes_on_and_repeats_nothing(tmp_path, order):
    """Interrupted between any two results, again and again."""
    evaluated = Counter()
    generator = random.Random(1)

    def evaluate(architecture, task, *, seed):
        if generator.random() < 0.08:
            raise KeyboardInterrupt
        evaluated[seed] += 1
        return fake_task.evaluate(architecture, task, seed=seed)

    stops = 0
    settings = {"candidates": 40, "out": tmp_path / "parts", "schedule": Schedule(order)}
    for _ in range(60):
        try:
            run_search(make(), FakeTask(), evaluate=evaluate, **settings)
            break
        except KeyboardInterrupt:
            stops += 1
    assert stops >= 2
    assert set(evaluated.values()) == {1}
    check_each_once(tmp_path / "parts", 40)
    run_search(make(), FakeTask(), **settings, evaluate=stop_all)  # replays, and evaluates nothing
    if not isinstance(order, Completion):
        whole = tmp_path / "whole"
        run_search(make(), FakeTask(), schedule=Schedule(order), out=whole, **COMMON)
        assert content(whole) == content(tmp_path / "parts")


def stop_all(architecture, task, *, seed):
    raise KeyboardInterrupt


def test_a_saved_state_with_open_candidates_is_taken_up(tmp_path, monkeypatch):
    from brainguided.search import _state as module

    monkeypatch.setattr(module, "_SNAPSHOT", 7)
    settings = {
        "schedule": Schedule(Index(5)),
        "out": tmp_path / "parts",
        "evaluate": fake_task.evaluate,
    }
    for candidates in (40,):
        count = [0]

        def evaluate(architecture, task, *, seed, count=count):
            count[0] += 1
            if count[0] in (17, 33):
                raise KeyboardInterrupt
            return fake_task.evaluate(architecture, task, seed=seed)

        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                run_search(
                    make(), FakeTask(), candidates=candidates, **settings | {"evaluate": evaluate}
                )
        run_search(make(), FakeTask(), candidates=candidates, **settings)
    monkeypatch.setattr(module, "_SNAPSHOT", 500)
    run_search(make(), FakeTask(), schedule=Schedule(Index(5)), out=tmp_path / "whole", **COMMON)
    assert content(tmp_path / "parts") == content(tmp_path / "whole")


def sleep_long(architecture, task, *, seed):
    if architecture.depth == 1:
        time.sleep(600)
    return fake_task.evaluate(architecture, task, seed=seed)


def freeze(architecture, task, *, seed):
    import os

    if architecture.depth == 1:
        os.kill(os.getpid(), signal.SIGSTOP)
    return fake_task.evaluate(architecture, task, seed=seed)


@pytest.mark.parametrize("evaluate", [sleep_long, freeze])
def test_an_evaluation_beyond_its_deadline_is_killed_and_not_made_again(tmp_path, evaluate):
    started = time.monotonic()
    with local_pool(2) as pool:
        run = run_search(
            RandomSearch(few(), seed=3),
            FakeTask(),
            candidates=12,
            out=tmp_path,
            executor=pool,
            evaluate=evaluate,
            schedule=Schedule(timeout=2),
        )
    assert time.monotonic() - started < 60
    late = run["reason"].values == "timeout"
    depths = [text.count("filters") for text in run["architecture"].values.tolist()]
    assert [depth == 1 for depth in depths] == late.tolist()
    assert late.any()
    with Journal.read(tmp_path) as journal:
        assert {attempt.attempt for attempt in journal.attempts()} == {1}


def test_a_deadline_that_is_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match="timeout is 0"):
        Schedule(timeout=0)
    for wrong in (lambda: Index(-1), lambda: Batch(0), lambda: Index(1.5)):
        with pytest.raises(ValueError, match="expected a whole number"):
            wrong()


class Forgetful(Executor):
    """Never ends the first attempt at a task; where it ran may have been lost."""

    workers = 2

    def __init__(self, lost):
        self.lost = lost
        self.forgotten = set()

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        future.set_running_or_notify_cancel()
        if args[1] in self.forgotten or len(self.forgotten) >= 2:
            future.set_result(fn(*args, **kwargs))
        else:
            self.forgotten.add(args[1])
        return future


class ForgetfulEngine(ExecutorEngine):
    def kill(self, future):
        return "lost" if self.executor.lost else "left"


@pytest.mark.parametrize("lost", [True, False])
def test_a_late_candidate_whose_machine_may_be_lost_is_tried_again(tmp_path, lost):
    run = run_search(
        RandomSearch(small_space(3), seed=3),
        FakeTask(),
        candidates=4,
        out=tmp_path,
        executor=ForgetfulEngine(Forgetful(lost)),
        evaluate=fake_task.evaluate,
        schedule=Schedule(timeout=0.2),
    )
    assert (run["reason"].values == "timeout").sum() == (0 if lost else 2)
    with Journal.read(tmp_path) as journal:
        assert sum(a.outcome == "lost" for a in journal.attempts()) == (2 if lost else 0)
        logs = sorted(path.name for path in (tmp_path / "logs").iterdir())
    assert logs == [f"candidate_000000{k}_attempt_1.log" for k in (0, 1)]
