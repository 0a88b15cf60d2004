"""What every engine keeps to: the local pool, Ray, a folder of jobs, and executors of others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import fake_task
import numpy as np
import pytest
from fake_task import FakeTask, few
from folder_workers import HERE, attempt, content, start_worker

from brainguided.__main__ import main
from brainguided.controllers import LocalSearch, RandomSearch
from brainguided.engines.folder.executor import folder_executor
from brainguided.engines.folder.jobs import list_claims, list_jobs, place_claim
from brainguided.engines.local import local_pool
from brainguided.journal.journal import Journal, JournalError
from brainguided.search.orders import Batch, Completion, Index, Schedule
from brainguided.search.run import run_search
from brainguided.spaces import small_space


def until(condition, seconds=60.0):
    """Wait for what has to come, however busy the machine is."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to this"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def on_ray():
    """Ray, started once: that takes longer than any test that uses it."""
    pytest.importorskip("ray")
    from brainguided.engines.ray.executor import ray_executor

    with ray_executor(workers=2) as executor:
        yield executor


@contextmanager
def make_engine(name, request, out, evaluate, marks):
    """Yield an executor with two workers."""
    if name == "pool":
        with local_pool(2) as executor:
            yield executor
    elif name == "ray":
        yield request.getfixturevalue("on_ray")
    elif name == "dask":
        client_of = pytest.importorskip("distributed").Client
        with client_of(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", set_as_default=False
        ) as client:
            yield client.get_executor(pure=False)
    else:
        worker = start_worker(out / "jobs", evaluate, marks=marks)
        with folder_executor(out / "jobs") as executor:
            yield executor
        assert worker.wait(60) == 0, "the worker ends with the search"


@pytest.fixture
def search(request):
    def search(name, out, evaluate="evaluate", *, schedule=None, candidates=12, space=None):
        marks = out / "marks"
        marks.mkdir(parents=True, exist_ok=True)
        with make_engine(name, request, out, evaluate, marks) as executor:
            return run_search(
                RandomSearch(space or few(), seed=3),
                FakeTask(failing=5, marks=str(marks)),
                candidates=candidates,
                out=out,
                schedule=schedule or Schedule(Batch(6)),
                executor=executor,
                evaluate=getattr(fake_task, evaluate),
            )

    return search


ENGINES = ["pool", "folder", "ray"]


@pytest.mark.parametrize("order", [Batch(6), Index(5)])
@pytest.mark.parametrize("name", [*ENGINES, "dask"])
def test_every_engine_writes_the_same_journal(search, tmp_path, name, order):
    search(name, tmp_path / "there", schedule=Schedule(order), candidates=18, space=small_space(3))
    run_search(
        RandomSearch(small_space(3), seed=3), FakeTask(failing=5), candidates=18,
        out=tmp_path / "here", schedule=Schedule(order), evaluate=fake_task.evaluate,
    )  # fmt: skip
    assert content(tmp_path / "there") == content(tmp_path / "here")


@pytest.mark.parametrize("name", [*ENGINES, "dask"])
def test_an_error_keeps_its_type_and_its_traceback_is_in_the_log(search, tmp_path, name):
    run = search(name, tmp_path, space=small_space(3))
    failed = np.flatnonzero(run["outcome"].values == "failed")
    reasons = [str(run["reason"].values[k]) for k in failed]
    wrong = [k for k, why in zip(failed, reasons, strict=True) if "error: ValueError: a" in why]
    assert wrong
    logs = {path.name: path.read_text() for path in (tmp_path / "logs").iterdir()}
    assert len(logs) == len(failed)
    for k in wrong:
        text = logs[f"candidate_{k:07d}_attempt_1.log"]
        assert "Traceback" in text
        assert "fake_task.py" in text


@pytest.mark.parametrize("name", ENGINES)
def test_what_an_evaluation_prints_is_in_the_log_of_its_attempt(search, tmp_path, name, capsys):
    run = search(name, tmp_path, "speak", candidates=6, space=small_space(3))
    for k, seed in enumerate(run["seed"].values):
        text = (tmp_path / "logs" / f"candidate_{k:07d}_attempt_1.log").read_text()
        assert f"seed {seed} speaks" in text
    assert "speaks" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ENGINES)
def test_a_killed_worker_costs_one_attempt(search, tmp_path, name):
    search(name, tmp_path, "die_once", space=small_space(3))
    with Journal.read(tmp_path) as journal:
        made, results = journal.attempts(), journal.results()
    lost = [attempt.candidate for attempt in made if attempt.outcome == "lost"]
    died = {r.candidate for r in results if int(r.key[:8], 16) % 3 == 0 and r.duplicate_of is None}
    assert died
    assert sorted(lost) == sorted(died)
    assert len(results) == 12


@pytest.mark.parametrize("name", ENGINES)
def test_a_candidate_that_kills_every_worker_ends_after_three(search, tmp_path, name):
    run = search(name, tmp_path, "always_die", candidates=4)
    with Journal.read(tmp_path) as journal:
        made = journal.attempts()
    poison = {a.candidate for a in made if a.outcome == "failed" and a.reason == "lost"}
    assert poison
    assert len(poison) < run.sizes["candidate"]
    first = [a for a in made if a.candidate == min(poison)]
    assert [a.outcome for a in first] == ["lost", "lost", "failed"]


@pytest.mark.parametrize("name", ENGINES)
def test_out_of_memory_is_not_tried_again(search, tmp_path, name):
    run = search(name, tmp_path, "raise_memory", candidates=4)
    assert "memory" in run["reason"].values
    with Journal.read(tmp_path) as journal:
        assert {attempt.attempt for attempt in journal.attempts()} == {1}


@pytest.mark.parametrize("name", ENGINES)
def test_a_deadline_ends_what_hangs(search, tmp_path, name):
    started = time.monotonic()
    run = search(name, tmp_path, "hang", candidates=4, schedule=Schedule(Batch(6), timeout=2))
    assert time.monotonic() - started < 300, "it would hang for 600 s"
    assert "timeout" in run["reason"].values
    assert "done" in run["outcome"].values


def test_a_second_driver_on_one_run_folder_is_refused(search, tmp_path):
    search("pool", tmp_path, candidates=6)
    with Journal.open(tmp_path), pytest.raises(JournalError, match="Another search is writing"):
        run_search(
            RandomSearch(few(), seed=3), FakeTask(failing=5), candidates=12, out=tmp_path,
            schedule=Schedule(Batch(6)), evaluate=fake_task.evaluate,
        )  # fmt: skip


DRIVE = """
import sys, fake_task
from brainguided.engines.folder.executor import folder_executor
from brainguided.__main__ import main
from brainguided.controllers import LocalSearch
from brainguided.search.orders import Index, Schedule
from brainguided.search.run import run_search
from brainguided.spaces import small_space
out, marks = sys.argv[1:]
with folder_executor(out + "/jobs") as executor:
    run_search(LocalSearch(small_space(3), seed=3, initial=4),
               fake_task.FakeTask(failing=5, marks=marks), candidates=40, out=out,
               schedule=Schedule(Index(6)), executor=executor, evaluate=fake_task.evaluate)
"""


def test_results_that_ended_without_their_driver_are_taken_up(tmp_path):
    """The driver is killed again and again; nothing is evaluated twice."""
    out, marks = tmp_path / "out", tmp_path / "marks"
    marks.mkdir()
    worker = start_worker(out / "jobs", workers=2, marks=marks)
    environment = os.environ | {"PYTHONPATH": str(HERE)}
    for _ in range(3):
        driver = subprocess.Popen(
            [sys.executable, "-c", DRIVE, str(out), str(marks)], env=environment
        )
        wanted = count(out) + 4
        until(lambda wanted=wanted: count(out) >= wanted)
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    subprocess.run(
        [sys.executable, "-c", DRIVE, str(out), str(marks)],
        env=environment,
        check=True,
        timeout=120,
    )
    assert worker.wait(60) == 0
    run_search(
        LocalSearch(small_space(3), seed=3, initial=4), FakeTask(failing=5), candidates=40,
        out=tmp_path / "here", schedule=Schedule(Index(6)), evaluate=fake_task.evaluate,
    )  # fmt: skip
    assert content(out) == content(tmp_path / "here")
    seeds = [line.split()[0] for line in (marks / "evaluated").read_text().splitlines()]
    assert len(seeds) == len(set(seeds))


def count(folder):
    try:
        with Journal.read(folder) as journal:
            return journal.n_results
    except (OSError, ValueError):
        return 0


def test_a_frozen_worker_is_given_up_and_one_that_comes_late_goes_on(tmp_path):
    marks = tmp_path / "marks"
    marks.mkdir()
    frozen = start_worker(tmp_path / "jobs", "hang", workers=1, marks=marks)
    late = None
    try:
        with folder_executor(tmp_path / "jobs") as executor:
            future = executor.submit_attempt(attempt(0), FakeTask(failing=5, marks=str(marks)))
            until(lambda: future.running() and (marks / "hangs").exists())
            frozen.send_signal(signal.SIGSTOP)
            silence = executor._signs._silence
            executor._signs._silence = 2  # while there is nobody else who could be late
            with pytest.raises(Exception, match="Nothing was heard of worker"):
                future.result(60)
            executor._signs._silence = silence
            late = start_worker(tmp_path / "jobs", workers=1, marks=marks)
            again = executor.submit_attempt(attempt(0, 2), FakeTask(failing=5, marks=str(marks)))
            assert again.result(60).values["outcome"] == "done"
            frozen.send_signal(signal.SIGCONT)
        assert late.wait(60) == 0
        assert frozen.wait(60) == 0, "what was taken away is killed, and the worker ends"
    finally:
        for process in (frozen, late):
            if process is not None and process.poll() is None:
                process.kill()
    assert not list_jobs(tmp_path / "jobs", "results")


def test_a_worker_that_is_told_to_stop_gives_back_what_it_has(tmp_path):
    jobs = tmp_path / "jobs"
    first = start_worker(jobs, "hang", workers=1, marks=tmp_path)
    with folder_executor(jobs) as executor:
        future = executor.submit_attempt(attempt(0), FakeTask(failing=5))
        until((tmp_path / "hangs").exists)
        assert list_claims(jobs)
        first.send_signal(signal.SIGINT)
        first.wait(60)
        assert not list_claims(jobs)
        second = start_worker(jobs, workers=1)
        assert future.result(60).values["outcome"] == "done"
    assert second.wait(60) == 0


def test_a_worker_with_another_task_refuses(tmp_path):
    from brainguided.engines.folder.worker import serve_folder

    with folder_executor(tmp_path) as executor:
        future = executor.submit_attempt(attempt(0), FakeTask(failing=5))
        with pytest.raises(ValueError, match=r"failing: 5 in the search, 0 of this worker"):
            serve_folder(tmp_path, FakeTask(), evaluate=fake_task.evaluate)
        assert list_jobs(tmp_path, "waiting") == ["0000000-1"]
        future.cancel()


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ('{"values": {"outcome": "done"}}', "is that of another job"),
        ('{"architecture": %s, "seed": 7, "values": {"outcome": "perfect"}}', "is none"),
        ('{"architecture": %s, "seed": 7, "values": {"outcome": "done", "x": 1}}', "is none"),
        ('{"architecture": %s, "seed": 7, "val', "cannot be read"),
    ],
)
def test_a_result_that_is_none_counts_as_lost(tmp_path, result, said):
    job = attempt(0)
    with folder_executor(tmp_path, silence=1) as executor:
        future = executor.submit_attempt(job, FakeTask())
        text = result.replace("%s", json.dumps(job.architecture))
        (tmp_path / "results" / "0000000-1.json").write_text(text)
        with pytest.raises(Exception, match=said):
            future.result(20)


def test_a_job_is_claimed_by_one_worker_only(tmp_path):
    from brainguided.engines.folder.jobs import claim_job, give_back, make_folder, place, write_json

    make_folder(tmp_path)
    write_json(place(tmp_path, "waiting", "0000001-1"), {"seed": 1})
    assert claim_job(tmp_path, "0000001-1", "a")
    assert not claim_job(tmp_path, "0000001-1", "b")
    assert list_claims(tmp_path) == {"0000001-1": ["a"]}
    assert place_claim(tmp_path, "0000001-1", "a").exists()
    give_back(tmp_path, "0000001-1", "a")
    assert list_jobs(tmp_path, "waiting") == ["0000001-1"]


def test_functions_do_not_travel_by_folder(tmp_path):
    with folder_executor(tmp_path) as executor, pytest.raises(TypeError, match="local_pool"):
        executor.submit(len, [])
    with pytest.raises(ValueError, match="silence"):
        folder_executor(tmp_path, silence=0)


def test_completion_by_folder_tells_each_once(search, tmp_path):
    run = search(
        "folder", tmp_path, schedule=Schedule(Completion()), candidates=15, space=small_space(3)
    )
    assert run.sizes["candidate"] == 15
    assert np.isfinite(run["reward"].values).all()


def test_search_by_folder_from_the_command_line(tmp_path, monkeypatch, capsys):
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", x_train=images, y_train=np.arange(40) % 4)
    (tmp_path / "run.toml").write_text(
        'candidates = 3\n[space]\nmax_depth = 2\n[task]\nimages = "images.npz"\n'
        "steps = 3\nbatch_size = 8\n"
    )
    monkeypatch.chdir(tmp_path)
    codes = []

    def serve():
        until((tmp_path / "run" / "run_file.txt").exists)
        codes.append(main(["worker", "run", "--workers", "1"]))

    thread = threading.Thread(target=serve)
    thread.start()
    codes.append(main(["search", "run.toml", "--out", "run", "--folder"]))
    thread.join()
    printed, said = capsys.readouterr()
    assert codes == [0, 0], said
    assert "brainguided worker run" in said
    assert "3 evaluations ended here" in printed
    assert (tmp_path / "run" / "report.html").exists()
