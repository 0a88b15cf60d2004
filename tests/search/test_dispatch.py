"""Handing attempts over, whatever the executor says and does."""

from __future__ import annotations

import logging
import sys
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import fake_task
import pytest
from fake_task import FakeTask

from brainguided.controllers import RandomSearch
from brainguided.engines.attempt import run_attempt
from brainguided.engines.contract import ExecutorEngine
from brainguided.journal.journal import Journal
from brainguided.search import dispatch
from brainguided.search.orders import Completion, Index, Schedule
from brainguided.search.run import run_search
from brainguided.spaces import small_space


def search(out, candidates=6, **settings):
    settings = {"evaluate": fake_task.evaluate, "schedule": Schedule(Index(6))} | settings
    return run_search(
        RandomSearch(small_space(3), seed=3), FakeTask(), candidates=candidates, out=out, **settings
    )


class Growing(Executor):
    """Has one worker at first, and three more once that is busy."""

    def __init__(self, busy):
        self.threads, self.busy = ThreadPoolExecutor(8), busy

    @property
    def workers(self):
        return 4 if self.busy.is_set() else 1

    def submit(self, fn, /, *args, **kwargs):
        return self.threads.submit(fn, *args, **kwargs)


@pytest.mark.parametrize("order", [Index(6), Completion()], ids=["index", "completion"])
def test_workers_that_come_while_all_others_are_busy_are_used_at_once(tmp_path, order):
    busy, all_run = threading.Event(), threading.Barrier(4)

    def evaluate(architecture, task, *, seed):
        busy.set()
        all_run.wait(60)  # raises where not all four begin before the first has ended
        return fake_task.evaluate(architecture, task, seed=seed)

    run = search(tmp_path, 4, schedule=Schedule(order), executor=Growing(busy), evaluate=evaluate)
    assert set(run["outcome"].values) == {"done"}


def leave(architecture, task, *, seed):
    sys.exit(0)


@pytest.mark.parametrize("threads", [0, 2])
def test_an_evaluation_that_exits_has_failed_and_ends_nothing_else(tmp_path, threads):
    def evaluate(architecture, task, *, seed):
        if architecture.depth == 1:
            sys.exit(0)
        return fake_task.evaluate(architecture, task, seed=seed)

    executor = ThreadPoolExecutor(threads) if threads else None
    run = search(tmp_path, 12, executor=executor, evaluate=evaluate)
    assert run.sizes["candidate"] == 12
    assert "error: SystemExit: 0" in run["reason"].values


class KilledWorker(Exception):
    """As executors of others name it when a worker died."""


class Foreign(Executor):
    """Says of nothing that it runs; loses the first task, and never ends the second."""

    def __init__(self):
        self.tasks = 0

    def submit(self, fn, /, *args, **kwargs):
        future, self.tasks = Future(), self.tasks + 1
        if self.tasks == 1:
            future.set_exception(KilledWorker("the task died four times"))
        elif self.tasks != 2:
            future.set_result(fn(*args, **kwargs))
        return future


def test_a_foreign_executor_may_lose_tasks_its_own_way_and_say_nothing(tmp_path):
    run = search(
        tmp_path, 8, executor=Foreign(), schedule=Schedule(Index(6), timeout=1.5, workers=3)
    )
    assert run["reason"].values.tolist().count("timeout") == 1
    assert run["outcome"].values.tolist().count("done") == 7
    with Journal.read(tmp_path) as journal:
        lost = [a.candidate for a in journal.attempts() if a.outcome == "lost"]
    assert lost == [0]
    assert "KilledWorker: the task died" in (
        tmp_path / "logs" / "candidate_0000000_attempt_1.log"
    ).read_text(encoding="utf-8")


class Queueing(Executor):
    """Knows when each task really began: the first has to wait long for it."""

    workers = 2

    def __init__(self):
        self.begun = {}

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        future.set_running_or_notify_cancel()
        wait = 4.0 if not self.begun else 0.0
        self.begun[future] = None

        def run():
            time.sleep(wait)
            self.begun[future] = time.monotonic()
            future.set_result(fn(*args, **kwargs))

        threading.Thread(target=run, daemon=True).start()
        return future


class QueueingEngine(ExecutorEngine):
    def began(self, future):
        return self.executor.begun[future]


def test_the_time_in_a_queue_does_not_count(tmp_path):
    engine = QueueingEngine(Queueing())
    run = search(tmp_path, 4, executor=engine, schedule=Schedule(Index(6), timeout=2.5))
    assert run["outcome"].values.tolist() == ["done"] * 4


def test_a_deadline_without_an_executor_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"timeout is 3 s, but .* executor=local_pool\(1\)"):
        search(tmp_path, 4, schedule=Schedule(timeout=3))


class Frozen(ExecutorEngine):
    """Never ends the second attempt, nor says that it runs, until it was asked where it is."""

    def __init__(self, threads):
        super().__init__(threads)
        self.asked = threading.Event()

    def submit_attempt(self, attempt, task, evaluate, *, timed=False):
        if attempt.candidate == 1:
            return self.executor.submit(self._run, attempt, task, evaluate)
        return super().submit_attempt(attempt, task, evaluate, timed=timed)

    def _run(self, attempt, task, evaluate):
        self.asked.wait(60)
        return run_attempt(evaluate, attempt.architecture, task, attempt.seed)

    def where(self, future):
        self.asked.set()
        return "on node 10.0.0.3, which does not answer"


def test_what_is_waited_for_is_said_where_nothing_ends(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(dispatch, "_PATIENCE", 0.8)
    with ThreadPoolExecutor(3) as threads, caplog.at_level(logging.INFO, "brainguided"):
        run = search(tmp_path, 4, executor=Frozen(threads))
    assert run["outcome"].values.tolist() == ["done"] * 4
    (said,) = [r.getMessage() for r in caplog.records if "No evaluation has ended" in r.message]
    assert said == (
        "No evaluation has ended for 1 s. Waiting for candidate 1 on node 10.0.0.3, which does "
        "not answer."
    )
