"""Searches for several objectives: told, recorded, resumed, refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from brainguided.controllers import RandomSearch, nsga2
from brainguided.journal.journal import Journal
from brainguided.journal.measurement import Measurement, Rung
from brainguided.journal.merge import merge_runs
from brainguided.journal.objectives import select_front
from brainguided.reports.page import write_report
from brainguided.reports.summary import describe_winner
from brainguided.search.orders import Batch, Schedule
from brainguided.search.run import run_search
from brainguided.spaces import small_space
from brainguided.testing import MadeUpTask, evaluate as make_up

pytest.importorskip("optuna")
OBJECTIVES = ("performance", "IT:pixels", "-depth")


def evaluate(architecture, task, *, seed):
    """Show a control, which the journal rounds, and fail or die where the task says so."""
    found = make_up(architecture, replace(task, marks=""), seed=seed)
    number = float(np.random.default_rng(seed).normal())
    rung = Rung(
        5, performance=number, similarity={"IT": {"a": 0.1}, "IT:pixels": {"a": number / 3}}
    )
    if int(architecture.key[:4], 16) % 7 == 0:
        rung = replace(rung, similarity={"IT": {"a": 0.1}})
    found.measurement = Measurement(("IT",), (rung,), {"depth": float(architecture.depth)})
    if task.marks:
        mark = Path(task.marks) / "made"
        with mark.open("a") as file:
            file.write(".")
        if mark.stat().st_size == 23:
            os.kill(os.getpid(), signal.SIGKILL)
    return found


def search(out, marks=""):
    controller = nsga2(small_space(3), objectives=OBJECTIVES, seed=3, population=8)
    return run_search(
        controller, MadeUpTask(failing=11, marks=str(marks)), candidates=40, out=out,
        evaluate=evaluate, schedule=Schedule(Batch(5)),
    )  # fmt: skip


def test_a_killed_search_resumes_to_the_same_front(tmp_path) -> None:
    whole = search(tmp_path / "whole")
    code = "import sys; from test_objectives import search; search(*sys.argv[1:])"
    killed = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "killed"), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
    )
    assert killed.returncode == -signal.SIGKILL
    resumed = search(tmp_path / "killed")
    with Journal.read(tmp_path / "whole") as one, Journal.read(tmp_path / "killed") as other:
        assert one.n_asked == 40
        assert one.events() == other.events()
        assert [a for a in other.attempts() if a.outcome != "lost"] == one.attempts()
        told = one.payloads("tell")
    assert resumed.drop_vars("seconds").equals(whole.drop_vars("seconds"))
    assert whole["objective"].values.tolist() == list(OBJECTIVES)
    front = whole["front"].values
    assert 1 < front.sum() < 20
    values = whole["objectives"].values
    exceeded = ((values[:, None] >= values).all(-1) & (values[:, None] > values).any(-1)).any(0)
    assert (front == (np.isfinite(values[:, 0]) & ~exceeded)).all()
    failed = [k for k, why in enumerate(whole["reason"].values) if "no 'IT:pixels'" in str(why)]
    assert failed, "a candidate without an objective has failed"
    k = failed[0]
    assert told[k // 5]["objectives"][k % 5] is None


def test_objectives_that_cannot_be_told_are_refused(tmp_path) -> None:
    task = MadeUpTask()
    object.__setattr__(task, "keep", 0.5)
    with pytest.raises(ValueError, match=r"stopped early \(keep\) have no objectives"):
        run_search(
            nsga2(small_space(3), objectives=OBJECTIVES), task, candidates=8, out=tmp_path,
            evaluate=make_up,
        )  # fmt: skip
    assert not (tmp_path / "journal.db").exists()


def test_a_merged_run_has_the_front_of_its_searches_objectives(tmp_path) -> None:
    def search_by(controller, name):
        return run_search(
            controller, MadeUpTask(failing=11), candidates=10, out=tmp_path / name,
            evaluate=evaluate, schedule=Schedule(Batch(5)),
        )  # fmt: skip

    turned = OBJECTIVES[::-1]
    first, second = (
        search_by(nsga2(small_space(3), objectives=told, seed=seed, population=4), str(seed))
        for seed, told in ((3, OBJECTIVES), (4, turned))
    )
    search_by(RandomSearch(small_space(3), seed=5), "5")
    merged = merge_runs([tmp_path / "3", tmp_path / "4"], tmp_path / "all")
    values = np.concatenate([first["objectives"], second["objectives"].values[:, ::-1]])
    assert merged["objective"].values.tolist() == list(OBJECTIVES)
    np.testing.assert_array_equal(merged["objectives"], values)
    np.testing.assert_array_equal(merged["front"], select_front(values))
    assert f"on the Pareto front of {', '.join(OBJECTIVES)}:" in describe_winner(tmp_path / "all")

    mixed = merge_runs([tmp_path / "3", tmp_path / "5"], tmp_path / "mixed")
    assert "objectives" not in mixed
    said = f"learned from different objectives ({', '.join(OBJECTIVES)}; rewards alone)"
    assert said in describe_winner(tmp_path / "mixed")
    write_report(tmp_path / "mixed")
    page = (tmp_path / "mixed" / "report.html").read_text(encoding="utf-8")
    assert "learned from different objectives" in page
