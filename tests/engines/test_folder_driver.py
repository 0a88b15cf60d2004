"""One search has a folder, and only workers with the same task and versions work for it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import BrokenExecutor

import fake_task
import pytest
from fake_task import FakeTask
from folder_workers import HERE, attempt

from brainguided.engines.folder import jobs as job_folder, worker
from brainguided.engines.folder.executor import folder_executor
from brainguided.engines.folder.jobs import (
    SEARCH,
    claim_job,
    describe_work,
    digest_work,
    list_claims,
    list_jobs,
    make_folder,
    place,
    read_json,
    write_json,
)
from brainguided.engines.versions import list_versions

FIRST = "0000000-1"
ELSEWHERE = {"host": "elsewhere", "namespace": "", "pid": 7, "token": "theirs"}


def until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to this"
        time.sleep(0.02)


def put_driver(folder, beat=0, **more):
    make_folder(folder)
    write_json(folder / "driver.json", {**ELSEWHERE, "beat": beat, **more})


def end_search(folder, task):
    """Let a search end that had nothing to do."""
    with folder_executor(folder) as executor:
        executor.prepare(task, fake_task.evaluate)


# One driver a folder


def test_a_second_search_in_one_folder_is_refused_with_who_has_it(tmp_path):
    with folder_executor(tmp_path) as first:
        future = first.submit_attempt(attempt(0), FakeTask())
        said = rf"Another search leaves .*\(process {os.getpid()} on '"
        with pytest.raises(ValueError, match=said):
            folder_executor(tmp_path)
        assert list_jobs(tmp_path, "waiting") == [FIRST], "nothing of the first is touched"
        future.cancel()
    folder_executor(tmp_path).shutdown()  # it has ended


def test_a_search_on_another_machine_is_heard_of_by_its_signs(tmp_path):
    put_driver(tmp_path)
    over = threading.Event()

    def live():
        beat = 0
        while not over.wait(0.1):
            beat += 1
            put_driver(tmp_path, beat)

    thread = threading.Thread(target=live)
    thread.start()
    try:
        with pytest.raises(ValueError, match="process 7 on 'elsewhere'"):
            folder_executor(tmp_path, silence=60)
    finally:
        over.set()
        thread.join()
    assert read_json(tmp_path / "driver.json")["token"] == "theirs"


@pytest.mark.parametrize("content", [None, "", '{"host": [1]}', "[" * 5000])
def test_the_folder_of_a_search_that_is_silent_is_taken(tmp_path, content):
    put_driver(tmp_path)
    if content is not None:
        (tmp_path / "driver.json").write_text(content)
    started = time.monotonic()
    with folder_executor(tmp_path, silence=1):
        assert time.monotonic() - started >= 1
        assert read_json(tmp_path / "driver.json")["pid"] == os.getpid()
    assert not (tmp_path / "driver.json").exists()


KILLED = """
import os, signal, sys
from brainguided.engines.folder.executor import folder_executor
folder_executor(sys.argv[1]); os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_driver_that_was_killed_on_this_machine_is_not_waited_for(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], env=os.environ | {"PYTHONPATH": str(HERE)}
    )
    assert done.returncode == -9
    assert (tmp_path / "driver.json").exists()
    silence = 600
    started = time.monotonic()
    folder_executor(tmp_path, silence=silence).shutdown()
    assert time.monotonic() - started < silence / 2


def test_a_search_whose_folder_was_taken_ends_and_leaves_it_alone(tmp_path):
    with folder_executor(tmp_path) as executor:
        future = executor.submit_attempt(attempt(0), FakeTask())
        put_driver(tmp_path)
        with pytest.raises(BrokenExecutor, match=r"process 7 on 'elsewhere'\) took"):
            future.result(60)
        with pytest.raises(BrokenExecutor, match="took"):
            executor.submit_attempt(attempt(1), FakeTask())
    assert read_json(tmp_path / "driver.json")["token"] == "theirs"
    assert list_jobs(tmp_path, "waiting") == [FIRST]
    assert not read_json(tmp_path / SEARCH)["ended"]


# Workers of one search


def test_only_its_own_workers_go_home_when_a_search_ends(tmp_path):
    end_search(tmp_path, FakeTask(note="first"))
    serve = {"evaluate": fake_task.evaluate}
    started = time.monotonic()
    assert worker.serve_folder(tmp_path, FakeTask(note="first"), idle=600, **serve) == 0
    assert time.monotonic() - started < 300
    ended = []

    def wait_for_second():
        ended.append(worker.serve_folder(tmp_path, FakeTask(note="second"), idle=600, **serve))

    thread = threading.Thread(target=wait_for_second)
    thread.start()
    until(lambda: list_jobs(tmp_path, "workers"))
    time.sleep(1)  # a few looks
    assert thread.is_alive(), "the end of another search is none of its business"
    with folder_executor(tmp_path) as executor:
        future = executor.submit_attempt(attempt(0), FakeTask(note="second"))
        assert future.result(60).values["outcome"] == "done"
    thread.join(60)
    assert ended == [1]


def test_a_job_of_another_task_is_given_back(tmp_path, caplog):
    make_folder(tmp_path)
    served = worker._Served(
        tmp_path, "me", None, FakeTask(), fake_task.evaluate, digest_work(describe_work(FakeTask()))
    )
    other = digest_work(describe_work(FakeTask(note="other")))
    write_json(place(tmp_path, "waiting", FIRST), {"architecture": "{}", "seed": 1, "task": other})
    served.claim(1)
    assert not served.running
    assert list_jobs(tmp_path, "waiting") == [FIRST]
    assert not list_claims(tmp_path)
    served.claim(1)  # it is not tried again and again
    assert [r.getMessage() for r in caplog.records].count(
        f"{FIRST} is of another search and given back"
    ) == 1


@pytest.mark.parametrize("name", ["torch", "brainguided"])
def test_a_worker_with_another_version_refuses_and_names_it(tmp_path, monkeypatch, name):
    mine = list_versions()
    with folder_executor(tmp_path) as executor:
        future = executor.submit_attempt(attempt(0), FakeTask())
        monkeypatch.setattr(job_folder, "list_versions", lambda: {**mine, name: "0.0.1"})
        with pytest.raises(ValueError) as refused:
            worker.serve_folder(tmp_path, FakeTask(), evaluate=fake_task.evaluate)
        said = f'versions.{name}: "{mine[name]}" in the search, "0.0.1" of this worker'
        assert said in str(refused.value)
        assert "install the same versions everywhere" in str(refused.value)
        assert list_jobs(tmp_path, "waiting") == [FIRST]
        future.cancel()


def test_another_version_of_numpy_or_python_is_no_other_work(monkeypatch):
    before = digest_work(describe_work(FakeTask()))
    mine = list_versions()
    monkeypatch.setattr(job_folder, "list_versions", lambda: {**mine, "numpy": "0", "python": "0"})
    assert digest_work(describe_work(FakeTask())) == before
    monkeypatch.setattr(job_folder, "list_versions", lambda: {**mine, "torch": "0"})
    assert digest_work(describe_work(FakeTask())) != before


def test_a_worker_that_should_refuse_but_claims_is_refused_by_the_search(tmp_path, caplog):
    sign = {"workers": 4, "beat": 0, "versions": {**list_versions(), "torch": "1.0"}}
    with caplog.at_level(logging.WARNING, "brainguided"), folder_executor(tmp_path) as executor:
        future = executor.submit_attempt(attempt(0), FakeTask())
        write_json(place(tmp_path, "workers", "old"), sign)
        until(lambda: "old" in executor._signs.refused)
        assert executor.workers == 1, "its processes do not count"
        assert claim_job(tmp_path, FIRST, "old")
        until(lambda: list_jobs(tmp_path, "waiting") == [FIRST])
        assert executor.began(future) is None
        future.cancel()
    assert "Worker old has torch 1.0" in caplog.text
    assert "is refused" in caplog.text


def test_results_made_with_other_versions_are_not_taken(tmp_path, monkeypatch):
    with folder_executor(tmp_path) as executor:
        future = executor.submit_attempt(attempt(0), FakeTask())
        job = read_json(place(tmp_path, "waiting", FIRST))
        mine = list_versions()
        monkeypatch.setattr(job_folder, "list_versions", lambda: {**mine, "torch": "1.0"})
        made = {**job, "task": digest_work(describe_work(FakeTask()))}
        timing = {"seconds": 1.0, "started": 1.0, "finished": 2.0, "host": "h", "pid": 1}
        place(tmp_path, "results", FIRST).write_text(
            json.dumps({**made, "values": {"outcome": "failed"}, "timing": timing})
        )
        with pytest.raises(BrokenExecutor, match="that of another job"):
            future.result(60)
