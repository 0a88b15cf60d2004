"""Searches whose workers share nothing with them but a folder, from one end to the other."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import BrokenExecutor
from dataclasses import replace

import fake_task
import numpy as np
import pytest
from fake_task import FakeTask
from folder_workers import HERE, attempt, content, start_worker

from brainguided.__main__ import main
from brainguided.candidates.retraining import Retraining
from brainguided.controllers import LocalSearch
from brainguided.engines.attempt import MeasurementError
from brainguided.engines.folder._weights import (
    NotThereYetError,
    describe_retraining,
    goes_on,
    name_retraining,
    read_retraining,
    read_start,
    read_trained,
    write_start,
    write_trained,
)
from brainguided.engines.folder.executor import folder_executor
from brainguided.engines.folder.jobs import (
    leave_job,
    list_claims,
    list_jobs,
    make_folder,
    place_claim,
    read_json,
)
from brainguided.engines.folder.worker import _Served
from brainguided.journal.journal import Journal
from brainguided.search.orders import Index, Schedule
from brainguided.search.run import run_search
from brainguided.spaces import small_space


def until(condition, seconds=60.0):
    """Wait for what has to come, however busy the machine is."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to this"
        time.sleep(0.05)


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


def test_search_and_finalists_by_folder_from_the_command_line(tmp_path, monkeypatch, capsys):
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    labels = np.arange(40) % 4
    parts = {"x_test": images[:20], "y_test": labels[:20]}
    np.savez(tmp_path / "images.npz", x_train=images, y_train=labels, **parts)
    (tmp_path / "run.toml").write_text(
        'candidates = 3\n[space]\nmax_depth = 2\n[task]\nimages = "images.npz"\n'
        'steps = 3\nbatch_size = 8\nweights = "weights"\nexact_weights = true\n'
    )
    monkeypatch.chdir(tmp_path)
    codes = []
    search = tmp_path / "run" / "jobs" / "search.json"

    def serve():
        until(lambda: (read_json(search) or {}).get("ended") is False)
        codes.append(main(["worker", "run", "--workers", "1"]))

    def drive(*command):
        thread = threading.Thread(target=serve)
        thread.start()
        codes.append(main([*command, "--folder"]))
        thread.join()
        return capsys.readouterr()

    printed, said = drive("search", "run.toml", "--out", "run")
    assert codes == [0, 0], said
    assert "brainguided worker run" in said
    assert "4 evaluations ended here" in printed, "three candidates, and the winner again"
    assert (tmp_path / "run" / "report.html").exists()
    (tmp_path / "weights").rename(tmp_path / "brought")  # workers need not see them
    text = (tmp_path / "run.toml").read_text().replace('"weights"', '"brought"')
    (tmp_path / "run.toml").write_text(text)
    printed, said = drive("finalists", "run", "--steps", "4", "--top", "2", "--continue")
    assert codes == [0] * 4, said
    assert "test accuracy" in printed
    assert "3 evaluations ended here" in printed, "two finalists, and the best of them again"
    found = json.loads((tmp_path / "run" / "finalists" / "finalists.json").read_text())
    assert [(one["continued_from"], one["exact"]) for one in found["finalists"]] == [(3, True)] * 2
    for part in ("weights", "starts"):
        assert list((tmp_path / "run" / "jobs" / part).iterdir()) == []


def test_weights_to_go_on_from_lie_beside_their_job(tmp_path):
    make_folder(tmp_path)
    job = replace(AGAIN, start=b"weights")
    name, given = name_retraining(job, 1), {**JOB, **describe_retraining(job)}
    assert goes_on(name)
    assert not goes_on(name_retraining(AGAIN, 1)), "the results of both are not mistaken"
    assert read_start(tmp_path, name, given["start"]) is None, "a copy may bring it later"
    with pytest.raises(ValueError, match="are not there"):
        read_retraining(given, tmp_path, name)
    write_start(tmp_path, name, b"weig")
    assert read_start(tmp_path, name, given["start"]) is None
    leave_job(tmp_path, name, given, left_by="a")
    _Served(tmp_path, "b", None, None, None, "x").claim(1)
    assert list_jobs(tmp_path, "waiting") == [name], "what is not whole is not claimed"
    write_start(tmp_path, name, b"weights")
    assert read_retraining(given, tmp_path, name).start == b"weights"


WEIGHTS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(3)}
AGAIN = Retraining(4, "{}", 7, 5)
JOB = {"architecture": "{}", "seed": 7, "task": "x", **describe_retraining(AGAIN)}


def leave_trained(folder, **more):
    make_folder(folder)
    name = name_retraining(AGAIN, 1)
    return name, {**JOB, **write_trained(folder, name, (0.5, WEIGHTS)), **more}


def test_weights_come_back_as_they_were(tmp_path):
    name, found = leave_trained(tmp_path)
    performance, weights = read_trained(tmp_path, found, name, JOB)
    assert performance == 0.5
    assert weights.keys() == WEIGHTS.keys()
    for key, value in WEIGHTS.items():
        np.testing.assert_array_equal(weights[key], value)
        assert weights[key].dtype == value.dtype
    assert read_retraining(JOB) == Retraining(0, "{}", 7, 5)
    assert read_retraining({"architecture": "{}", "seed": 7}) is None
    for wrong in ({"steps": 0}, {"steps": "5"}, {"validation": 1}, {"seed": None}):
        with pytest.raises(ValueError):
            read_retraining(JOB | wrong)


def test_weights_that_are_not_what_they_should_be_are_never_used(tmp_path):
    name, found = leave_trained(tmp_path)
    for wrong in ({"seed": 8}, {"performance": float("inf")}, {"performance": "x"}, {"sha256": 3}):
        with pytest.raises(MeasurementError):
            read_trained(tmp_path, found | wrong, name, JOB)
    with pytest.raises(MemoryError, match="too large"):
        read_trained(tmp_path, JOB | {"failed": "too large", "kind": "MemoryError"}, name, JOB)
    path = tmp_path / "weights" / f"{name}.npz"
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    with pytest.raises(NotThereYetError):
        read_trained(tmp_path, found, name, JOB)
    path.unlink()
    with pytest.raises(NotThereYetError):
        read_trained(tmp_path, found, name, JOB)

    def put(**arrays):
        stream = io.BytesIO()
        arrays.pop("save", np.savez)(stream, **arrays)
        path.write_bytes(stream.getvalue())
        return found | {"sha256": hashlib.sha256(stream.getvalue()).hexdigest()}

    content = put(a=np.array(["x"]))
    with pytest.raises(MeasurementError, match="are no numbers"):
        read_trained(tmp_path, content, name, JOB)
    content = put(save=np.savez_compressed, a=np.zeros(10**6))
    with pytest.raises(MeasurementError, match="unpack to more"):
        read_trained(tmp_path, content, name, JOB)
    content = put(a=np.array([{}], dtype=object))
    with pytest.raises(MeasurementError, match="cannot be read"):
        read_trained(tmp_path, content, name, JOB)


def test_a_fault_of_the_watch_ends_what_waits_with_its_reason(tmp_path, monkeypatch):
    with folder_executor(tmp_path) as executor:
        monkeypatch.setattr(executor, "_look", lambda now: 1 / 0)
        future = executor.submit_attempt(attempt(0), FakeTask())
        with pytest.raises(BrokenExecutor, match="division by zero"):
            future.result(timeout=30)
