"""Tests that every engine has to pass: run them on an engine of your own, with pytest.

A file of tests for an executor that is made by ``my_cluster()``::

    from contextlib import contextmanager

    from brainguided.testing import EngineTests


    class TestMyCluster(EngineTests):
        @contextmanager
        def open_engine(self, folder, task, evaluate):
            with my_cluster(workers=2) as executor:
                yield executor

``open_engine`` yields an executor with two workers; `folder` is a place for what it may
write. Workers have to be able to import this module. An engine that lacks one of the abilities
below says so, for instance ``survives_killed_workers = False``: what asks for it is skipped.

The evaluations are made up, cost nothing, and are known beforehand: a search on the engine is
compared with the same search in this process.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from brainguided.spaces import PlainSpace, small_space

__all__ = ["EngineTests", "MadeUpTask", "evaluate"]
_LONG = 600.0  # s that an evaluation hangs


@dataclass(frozen=True)
class MadeUpTask:
    """What made-up evaluations do.

    Attributes
    ----------
    seconds : float
        Longest time that an evaluation takes.
    failing : int
        One in so many architectures raises ValueError, and as many have a reward of NaN; 0: none.
    marks : str
        Folder of files that count evaluations; "" for none.
    note : str
        Part of the description, which tells tasks apart.
    """

    seconds: float = 0.0
    failing: int = 0
    marks: str = ""
    note: str = "simulated"

    def describe(self) -> dict[str, Any]:
        """Return what identifies the task."""
        return {"failing": self.failing, "note": self.note}


def make_measurement(architecture: Any, reward: float) -> SimpleNamespace:
    """Return all that is recorded of an evaluation, with numbers of numpy among them."""
    from brainguided.journal.measurement import Measurement, Rung

    areas = {
        area: {
            f"layer{n}": (None if (n + shift) % 5 == 4 else reward / (n + shift))
            for n in range(1, architecture.depth + 1)
        }
        for shift, area in enumerate(("V4", "IT"))
    }
    rungs = (
        Rung(0, performance=0.1, similarity=areas),
        Rung(10, performance=np.float64(reward / 2), examples=128, similarity=areas),
    )
    return SimpleNamespace(
        outcome="done",
        reason="",
        performance=np.float64(reward / 2),
        guidance=np.float32(0.5),
        reward=reward,
        measurement=Measurement(("V4", "IT"), rungs, {"depth": np.float64(architecture.depth)}),
        n_parameters=np.int64(architecture.depth),
        examples=128,
        seconds=0.0,
    )


def evaluate(architecture: Any, task: MadeUpTask, *, seed: int) -> SimpleNamespace:
    """Return a reward that depends on the architecture and the seed alone."""
    time.sleep(random.random() * task.seconds)
    if task.marks:
        with open(Path(task.marks) / "evaluated", "a") as file:
            file.write(f"{seed} {os.getpid()}\n")
    number = int(architecture.key[:8], 16)
    if task.failing and number % task.failing == 0:
        raise ValueError(f"a layer of {architecture.depth}\n is too much")
    if task.failing and number % task.failing == 1:
        return make_measurement(architecture, float("nan"))
    return make_measurement(architecture, float(np.random.default_rng((number, seed)).normal()))


def sum_bars(architecture: Any, task: MadeUpTask, *, seed: int, bars: Any = ()) -> SimpleNamespace:
    """Earn what tells whether it was given its bars."""
    return make_measurement(architecture, float(sum(step * bar for step, bar in bars)))


def die_once(architecture: Any, task: MadeUpTask, *, seed: int) -> SimpleNamespace:
    """Kill the worker at the first attempt of every third architecture."""
    if int(architecture.key[:8], 16) % 3 == 0:
        mark = Path(task.marks) / architecture.key
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return evaluate(architecture, task, seed=seed)


def always_die(architecture: Any, task: MadeUpTask, *, seed: int) -> SimpleNamespace:
    """Kill the worker at every attempt at an architecture of one layer."""
    if architecture.depth == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return evaluate(architecture, task, seed=seed)


def raise_memory(architecture: Any, task: MadeUpTask, *, seed: int) -> SimpleNamespace:
    """Find architectures of one layer too large."""
    if architecture.depth == 1:
        raise MemoryError("too large")
    return evaluate(architecture, task, seed=seed)


def speak(architecture: Any, task: MadeUpTask, *, seed: int) -> SimpleNamespace:
    """Print something."""
    print(f"seed {seed} speaks")
    return evaluate(architecture, task, seed=seed)


def hang(architecture: Any, task: MadeUpTask, *, seed: int) -> SimpleNamespace:
    """Never end at an architecture of one layer, after a mark that it has begun."""
    if architecture.depth == 1:
        (Path(task.marks) / "hangs").touch()
        time.sleep(_LONG)
    return evaluate(architecture, task, seed=seed)


def few() -> PlainSpace:
    """Return a space so small that proposals repeat."""
    return PlainSpace("few", 3, (1, 3), (1,), (8,))


class EngineTests:
    """Tests of one engine: inherit from it and write ``open_engine``; see this module.

    Attributes
    ----------
    survives_killed_workers : bool
        A worker that is killed costs what it was at, and another takes its place.
    ends_what_hangs : bool
        What runs beyond its deadline can be ended.
    captures_output : bool
        Evaluations run in the main thread of a process, where what they print can be collected.
    """

    survives_killed_workers = True
    ends_what_hangs = True
    captures_output = True

    def open_engine(
        self, folder: Path, task: Any, evaluate: Callable[..., Any]
    ) -> AbstractContextManager[Executor]:
        """Yield an executor with two workers.

        Parameters
        ----------
        folder : Path
            For what it may write.
        task, evaluate
            Of the search that follows, for engines whose workers have their own.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has to say how its engine is made: write open_engine."
        )

    def run_search(
        self,
        folder: Path,
        evaluate: Callable[..., Any] = evaluate,
        *,
        candidates: int = 12,
        order: Any = None,
        timeout: float | None = None,
        space: Any = None,
    ) -> Any:
        """Run a search on the engine; the journal lies in ``folder / "there"``."""
        from brainguided.search.orders import Batch, Schedule

        schedule = Schedule(order or Batch(6), timeout, workers=2)
        marks = folder / "marks"
        marks.mkdir(parents=True, exist_ok=True)
        task = MadeUpTask(failing=5, marks=str(marks))
        with self.open_engine(folder / "engine", task, evaluate) as executor:
            return _search(
                folder / "there", task, evaluate, candidates,
                schedule=schedule, executor=executor, space=space,
            )  # fmt: skip

    def test_members_of_the_contract_are_all_there(self, tmp_path: Path) -> None:
        """Ask for every member of `Engine` and run one attempt, which may be stopped early."""
        from brainguided.engines.contract import Engine, as_engine

        task = MadeUpTask()
        with self.open_engine(tmp_path / "engine", task, sum_bars) as executor:
            engine = as_engine(executor)
            assert isinstance(engine, Engine)
            workers = engine.workers
            assert workers is None or (type(workers) is int and workers > 0), workers
            shared = engine.prepare(task, sum_bars)
            assert type(shared) is tuple, "prepare returns what stands for the task and evaluate"
            assert len(shared) == 2
            future = engine.submit_attempt(_make_attempt(), *shared, timed=True)
            assert isinstance(engine.where(future), str)
            outcome = future.result(120)
            assert outcome.values["outcome"] == "done", outcome.values
            assert outcome.values["reward"] == 2 * 0.5 + 5 * 0.25, "evaluate is given the bars"
            began = engine.began(future)
            assert began is None or began <= time.monotonic()
            assert engine.kill(future) in ("ended", "left", "lost")

    def test_rounds_write_the_journal_of_this_process(self, tmp_path: Path) -> None:
        """Compare a search in rounds with the same search in this process."""
        from brainguided.search.orders import Batch

        self.compare_with_here(tmp_path, Batch(6))

    def test_an_order_with_a_lag_writes_the_journal_of_this_process(self, tmp_path: Path) -> None:
        """Compare a search with a lag with the same search in this process."""
        from brainguided.search.orders import Index

        self.compare_with_here(tmp_path, Index(5))

    def compare_with_here(self, folder: Path, order: Any) -> None:
        """Assert that a search on the engine leaves the same events and results as one here."""
        from brainguided.journal.journal import Journal
        from brainguided.search.orders import Schedule

        space, task = small_space(3), MadeUpTask(failing=5)
        self.run_search(folder, candidates=18, order=order, space=space)
        _search(folder / "here", task, evaluate, 18, schedule=Schedule(order), space=space)
        with Journal.read(folder / "there") as there, Journal.read(folder / "here") as here:
            assert there.config == here.config
            assert list(there.events()) == list(here.events())
            assert there.results() == here.results()

    def test_by_completion_no_more_run_than_there_are_workers(self, tmp_path: Path) -> None:
        """Count the candidates that are open at a time: at most two."""
        from brainguided.journal.journal import Journal
        from brainguided.search.orders import Completion

        self.run_search(tmp_path, order=Completion(), space=small_space(3), timeout=300)
        with Journal.read(tmp_path / "there") as journal:
            open_now = 0
            for kind, payload in journal.events():
                open_now += len(payload["architectures"]) if kind == "ask" else -1
                assert open_now <= 2

    def test_an_error_keeps_its_type_and_its_traceback_is_in_the_log(self, tmp_path: Path) -> None:
        """Raise an error in some evaluations."""
        run = self.run_search(tmp_path, space=small_space(3))
        failed = np.flatnonzero(run["outcome"].values == "failed")
        reasons = {int(k): str(run["reason"].values[k]) for k in failed}
        wrong = [k for k, why in reasons.items() if why.startswith("error: ValueError: a layer of")]
        assert wrong, reasons
        logs = _read_logs(tmp_path)
        assert len(logs) == len(failed)
        for k in wrong:
            text = logs[f"candidate_{k:07d}_attempt_1.log"]
            assert "Traceback" in text
            assert Path(__file__).name in text

    def test_what_an_evaluation_prints_is_in_the_log_of_its_attempt(
        self, tmp_path: Path, capsys: Any
    ) -> None:
        """Print something in each evaluation."""
        self.skip_unless("captures_output")
        run = self.run_search(tmp_path, speak, candidates=6, space=small_space(3))
        logs = _read_logs(tmp_path)
        for k, seed in enumerate(run["seed"].values):
            assert f"seed {seed} speaks" in logs[f"candidate_{k:07d}_attempt_1.log"]
        assert "speaks" not in capsys.readouterr().out

    def test_a_killed_worker_costs_one_attempt(self, tmp_path: Path) -> None:
        """Kill the worker of some candidates at their first attempt."""
        self.skip_unless("survives_killed_workers")
        from brainguided.journal.journal import Journal

        self.run_search(tmp_path, die_once, space=small_space(3))
        with Journal.read(tmp_path / "there") as journal:
            made, results = journal.attempts(), journal.results()
        lost = [attempt.candidate for attempt in made if attempt.outcome == "lost"]
        died = {
            r.candidate for r in results if int(r.key[:8], 16) % 3 == 0 and r.duplicate_of is None
        }
        assert died
        assert sorted(lost) == sorted(died)
        assert len(results) == 12

    def test_a_candidate_that_kills_every_worker_ends_after_three(self, tmp_path: Path) -> None:
        """Kill the worker of some candidates at every attempt."""
        self.skip_unless("survives_killed_workers")
        from brainguided.journal.journal import Journal

        run = self.run_search(tmp_path, always_die, candidates=4)
        with Journal.read(tmp_path / "there") as journal:
            made = journal.attempts()
        poison = {a.candidate for a in made if a.outcome == "failed" and a.reason == "lost"}
        assert poison
        assert len(poison) < run.sizes["candidate"]
        first = [a for a in made if a.candidate == min(poison)]
        assert [a.outcome for a in first] == ["lost", "lost", "failed"]

    def test_out_of_memory_is_not_tried_again(self, tmp_path: Path) -> None:
        """Raise MemoryError in some evaluations."""
        from brainguided.journal.journal import Journal

        run = self.run_search(tmp_path, raise_memory, candidates=4)
        assert "memory" in run["reason"].values
        with Journal.read(tmp_path / "there") as journal:
            assert {attempt.attempt for attempt in journal.attempts()} == {1}

    def test_a_deadline_ends_what_hangs(self, tmp_path: Path) -> None:
        """Let some evaluations hang, with a deadline of two seconds."""
        self.skip_unless("ends_what_hangs")
        started = time.monotonic()
        run = self.run_search(tmp_path, hang, candidates=4, timeout=2)
        assert time.monotonic() - started < _LONG / 2, f"it would hang for {_LONG:g} s"
        assert "timeout" in run["reason"].values
        assert "done" in run["outcome"].values

    def skip_unless(self, ability: str) -> None:
        """Skip a test of something that the engine says it cannot."""
        if not getattr(self, ability):
            import pytest

            pytest.skip(f"{ability} is False")


def _search(
    out: Path,
    task: Any,
    evaluate: Callable[..., Any],
    candidates: int,
    *,
    schedule: Any,
    executor: Executor | None = None,
    space: Any = None,
) -> Any:
    from brainguided.controllers import RandomSearch
    from brainguided.search.run import run_search

    return run_search(
        RandomSearch(space or few(), seed=3),
        task,
        candidates=candidates,
        out=out,
        schedule=schedule,
        executor=executor,
        evaluate=evaluate,
    )


def _make_attempt() -> Any:
    from brainguided.controllers import RandomSearch
    from brainguided.journal.attempts import Attempt

    (found,) = RandomSearch(small_space(3), seed=0).ask(1)
    return Attempt(0, 1, found.to_json(), found.key, 7, "lost", bars=((2, 0.5), (5, 0.25)))


def _read_logs(folder: Path) -> dict[str, str]:
    logs = (folder / "there" / "logs").iterdir()
    return {path.name: path.read_text(encoding="utf-8") for path in logs}
