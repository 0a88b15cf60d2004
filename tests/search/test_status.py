"""How far a search is, and how it is ended from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from fake_task import FakeTask, controller, evaluate
from rewritten_runs import rewrite_run

from brainguided.__main__ import main
from brainguided.journal.attempts import STOPPED
from brainguided.journal.confirmed import find_winner
from brainguided.journal.journal import Journal
from brainguided.journal.merge import merge_runs
from brainguided.search.run import run_search
from brainguided.search.status import describe_status, gather_status
from brainguided.spaces import small_space


@pytest.fixture
def run(tmp_path):
    task = FakeTask(failing=4)
    run_search(controller(), task, candidates=20, out=tmp_path, evaluate=evaluate)
    return tmp_path


def test_the_status_counts_what_the_journal_holds(run, capsys):
    said = describe_status(run, now=time.time() + 60)
    with Journal.read(run) as journal:
        results = journal.results()
    done = [one.outcome for one in results].count("done")
    assert f"asked for 20 of 20, done {done}, failed" in said
    failed = [one.reason for one in results if one.outcome == "failed"]
    assert f"failed {len(failed)} ({failed.count(failed[0])} error: ValueError" in said
    assert "best reward" in said
    assert "training images" in said
    assert "busy" in said
    assert main(["status", str(run)]) == 0
    assert "asked for 20" in capsys.readouterr().out


def test_the_status_says_p_of_the_best_candidate_beside_chance(tmp_path):
    class Classes(FakeTask):
        def describe(self):
            return {**super().describe(), "images": {"classes": 4, "validation": 400}}

    run = run_search(controller(), Classes(), candidates=8, out=tmp_path, evaluate=evaluate)
    best = int(run["reward"].argmax("candidate"))
    performance = float(run["performance"][best, -1])
    said = describe_status(tmp_path)
    assert f"candidate {best}, P {performance:.4f} (chance 0.25" in said
    assert said.count("best reward") == 1


def test_the_journal_is_read_once_and_a_stopped_candidate_is_not_the_best(run, monkeypatch):
    with Journal.read(run) as journal:
        best = find_winner(journal.results())

    def stop(attempt):
        return replace(attempt, reason=STOPPED) if attempt.candidate == best.candidate else attempt

    opened, read = [], Journal.read
    rewrite_run(run, run / "stopped", attempt=stop)
    for folder, wins in ((run, True), (run / "stopped", False)):
        said = describe_status(folder).splitlines()
        with monkeypatch.context() as patch:
            patch.setattr(Journal, "read", lambda *a, **k: opened.append(a) or read(*a, **k))
            found = gather_status(folder)
        assert (found["best"]["candidate"] == best.candidate) == wins
        assert f"candidate {found['best']['candidate']}" in said[1]
    assert len(opened) == 2


def test_the_status_of_a_search_that_runs_does_not_disturb_it(run):
    with Journal.open(run):
        assert "asked for 20" in describe_status(run)


def test_the_status_says_what_runs_and_waits_and_when_it_ends(tmp_path):
    said = []

    def look(architecture, task, *, seed):
        if len(said) < 30:
            said.append(describe_status(tmp_path))
        time.sleep(0.1)
        return evaluate(architecture, task, seed=seed)

    with ThreadPoolExecutor(2) as threads:
        run_search(
            controller(space=small_space(3)), FakeTask(), candidates=40, out=tmp_path,
            evaluate=look, executor=threads,
        )  # fmt: skip
    running = [text for text in said if "of 40, running 2 of 2 at a time, waiting " in text]
    assert running, said[-1]
    assert "candidates are left, at this pace " in said[-1]


def test_a_search_that_gives_no_sign_is_said_to_be_silent_or_gone(tmp_path, monkeypatch):
    def stop(architecture, task, *, seed):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), ThreadPoolExecutor(2) as threads:
        run_search(
            controller(), FakeTask(), candidates=40, out=tmp_path, evaluate=stop, executor=threads
        )
    said = describe_status(tmp_path)
    assert "of 40, open 8 (no search is running; the same command goes on)" in said
    # Whether a process runs is known of this machine alone
    monkeypatch.setattr("platform.node", lambda: "another")
    said = describe_status(tmp_path, now=time.time() + 7200)
    assert "of 40, open 8 (no sign of the search for 2.0 h)" in said


def test_the_status_of_a_merged_run_counts_its_candidates(tmp_path):
    for seed in (1, 2):
        run_search(
            controller(seed=seed), FakeTask(), candidates=8, out=tmp_path / str(seed),
            evaluate=evaluate,
        )  # fmt: skip
    merge_runs([tmp_path / "1", tmp_path / "2"], tmp_path / "all")
    assert "asked for 16, running or waiting 0, done 16" in describe_status(tmp_path / "all")


def test_the_status_of_nothing_is_refused(tmp_path, capsys):
    assert main(["status", str(tmp_path)]) == 1
    assert "does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_search_within_seconds_and_leaves_no_process(tmp_path, number):
    run_file = tmp_path / "run.toml"
    run_file.write_text(
        'candidates = 400\norder = "completion"\n[space]\nmax_depth = 2\n[task]\nn_train = 128\n'
        "n_validation = 64\nsteps = 10\nbatch_size = 32\n"
    )
    out = tmp_path / "out"
    driver = subprocess.Popen(
        [sys.executable, "-m", "brainguided", "search", str(run_file), "--out", str(out),
         "--workers", "2"],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,
        # tests that were started in the background of a shell ignore it, and so would the driver
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            if "done 0" not in describe_status(out):
                break
        except (OSError, ValueError):
            pass
        time.sleep(0.2)
    assert driver.poll() is None
    driver.send_signal(number)
    _, said = driver.communicate(timeout=15)
    assert driver.returncode == 130
    assert "The same command goes on: brainguided search" in said
    deadline = time.monotonic() + 1
    while processes_of(driver.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not processes_of(driver.pid)


def processes_of(group: int) -> list[str]:
    """Return the command lines of what is left of a process group."""
    left = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(entry.name)) == group:
                line = (entry / "cmdline").read_text().replace("\0", " ")
                left += [line] if line else []  # what has ended and awaits its parent has none
        except (OSError, ProcessLookupError):
            continue
    return left
