"""The folder of jobs: copies that are merged, trouble with files, the command line."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import shutil
import threading
import time
from concurrent.futures import BrokenExecutor, Future
from types import SimpleNamespace

import fake_task
import pytest
from fake_task import FakeTask, few
from folder_workers import attempt, content, start_worker

from brainguided.__main__ import main
from brainguided.commands import _engines
from brainguided.controllers import RandomSearch
from brainguided.engines.attempt import Outcome
from brainguided.engines.folder import _executor as on_folder, jobs as job_folder, worker
from brainguided.engines.folder.executor import folder_executor
from brainguided.engines.folder.jobs import (
    SEARCH,
    claim_job,
    describe_work,
    digest_work,
    give_back,
    list_claims,
    list_jobs,
    make_folder,
    order_jobs,
    place,
    place_claim,
    read_json,
    write_json,
)
from brainguided.engines.versions import list_versions
from brainguided.journal.attempts import Timing
from brainguided.search.orders import Batch, Schedule
from brainguided.search.run import run_search
from brainguided.spaces import small_space

FIRST = "0000000-1"
VALUES = {"outcome": "failed", "reason": "of this test", "reward": None}
TIMING = {"seconds": 1.0, "started": 1.0, "finished": 2.0, "host": "h", "pid": 1}


DIGEST = digest_work(describe_work(FakeTask()))


class Pool:
    """Take work and do nothing, until the test says what came of it."""

    def __init__(self):
        self.futures, self.killed = [], []

    def submit(self, *_):
        self.futures.append(Future())
        return self.futures[-1]

    def kill(self, future):
        self.killed.append(future)

    def end(self, number):
        self.futures[number].set_result(Outcome(VALUES, Timing(**TIMING), ""))


def make_served(folder, name="me"):
    make_folder(folder)
    pool = Pool()
    return worker._Served(folder, name, pool, FakeTask(), fake_task.evaluate, DIGEST), pool


def put_job(folder, name, **more):
    write_json(
        place(folder, "waiting", name), {"architecture": "{}", "seed": 1, "task": DIGEST, **more}
    )


def put_result(folder, name, given):
    write_json(place(folder, "results", name), {**given, "values": VALUES, "timing": TIMING})


def put_sign(folder, name, beat, **more):
    write_json(place(folder, "workers", name), {"workers": 1, "beat": beat, **more})


def put_claim(folder, worker_name, job=FIRST):
    given = next(
        read_json(path)
        for part in ("waiting", "claimed")
        for path in sorted((folder / part).glob(f"{job}*.json"))
    )
    write_json(place_claim(folder, job, worker_name), given)


def until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to this"
        time.sleep(0.02)


def fail(*_, **__):
    raise OSError(errno.EIO, "Input/output error")


# Copies of a folder that a program merges


def test_a_worker_claims_nothing_that_anyone_has_or_that_it_had(tmp_path):
    served, pool = make_served(tmp_path)
    for name in ("claimed", "ended", "given-back", "free"):
        put_job(tmp_path, name)
    write_json(place_claim(tmp_path, "claimed", "other"), {})
    put_result(tmp_path, "ended", {})
    served._had["given-back"] = None
    served.claim(8)
    assert list(served.running) == ["free"]
    assert list_jobs(tmp_path, "waiting") == ["claimed", "ended", "given-back"]
    pool.end(0)
    served.look()
    put_job(tmp_path, "free")  # brought back by a copy
    place(tmp_path, "results", "free").unlink()
    served.claim(8)
    assert not served.running
    put_job(tmp_path, "free", left_by="the search that went on")
    served.claim(8)
    assert list(served.running) == ["free"]


def test_workers_try_jobs_each_in_an_order_of_its_own():
    jobs = [job_folder.name_job(k, 1) for k in range(50)]
    assert order_jobs(jobs, "a") == order_jobs(jobs[::-1], "a")
    assert len({order_jobs(jobs, name)[0] for name in "abcdefgh"}) > 4


def test_of_two_claims_the_first_stands_also_when_an_earlier_one_comes(tmp_path):
    with folder_executor(tmp_path) as executor:
        future = executor.submit_attempt(attempt(0), FakeTask())
        job = read_json(place(tmp_path, "waiting", FIRST))
        with executor._lock:  # both are seen together
            put_claim(tmp_path, "c")
            put_claim(tmp_path, "b")
        until(lambda: list_claims(tmp_path) == {FIRST: ["b"]})
        for late in ("a", "c"):
            put_claim(tmp_path, late)
            until(lambda: list_claims(tmp_path) == {FIRST: ["b"]})
        put_result(tmp_path, FIRST, job)
        assert future.result(60).values == VALUES
        until(lambda: not list_claims(tmp_path))
        assert not list_jobs(tmp_path, "waiting"), "the copy brought it back"


def test_the_loser_of_two_claims_kills_the_work(tmp_path):
    served, pool = make_served(tmp_path)
    put_job(tmp_path, FIRST)
    served.claim(1)
    place_claim(tmp_path, FIRST, "me").unlink()
    served.look()
    assert pool.killed == pool.futures
    assert not served.running


def test_a_second_result_is_ignored_and_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(on_folder, "_KEEP", 0.5)
    with folder_executor(tmp_path) as executor:
        future = executor.submit_attempt(attempt(0), FakeTask())
        job = read_json(place(tmp_path, "waiting", FIRST))
        put_result(tmp_path, FIRST, job)
        assert future.result(60).values == VALUES
        until(lambda: not list_jobs(tmp_path, "results"))
        put_result(tmp_path, FIRST, {"architecture": "other", "seed": 2})
        until(lambda: not list_jobs(tmp_path, "results"))


def test_what_is_given_back_may_be_had_by_others_but_not_by_an_old_claim(tmp_path):
    with folder_executor(tmp_path) as executor:
        future = executor.submit_attempt(attempt(0), FakeTask())
        assert executor.began(future) is None
        assert claim_job(tmp_path, FIRST, "a")
        until(lambda: executor.began(future) is not None)
        first = executor.began(future)
        assert first <= time.monotonic()
        give_back(tmp_path, FIRST, "a")
        until(lambda: executor.began(future) is None)
        put_claim(tmp_path, "a")  # brought back by a copy
        until(lambda: not list_claims(tmp_path))
        assert executor.began(future) is None
        assert claim_job(tmp_path, FIRST, "b")
        until(lambda: executor.began(future) is not None)
        assert executor.began(future) > first
        assert list_claims(tmp_path) == {FIRST: ["b"]}
        executor.kill(future)
        assert not list_claims(tmp_path)
        assert executor.began(future) is None


def test_a_job_that_only_losers_could_claim_is_made_again(tmp_path):
    with folder_executor(tmp_path) as executor:
        future = executor.submit_attempt(attempt(0), FakeTask())
        put_sign(tmp_path, "loser", 0)
        with executor._lock:
            os.rename(place(tmp_path, "waiting", FIRST), place_claim(tmp_path, FIRST, "first"))
            put_claim(tmp_path, "loser")
        until(lambda: list_claims(tmp_path) == {FIRST: ["first"]})
        give_back(tmp_path, FIRST, "first")
        with pytest.raises(BrokenExecutor, match="given back"):
            future.result(60)


def test_a_job_that_is_nowhere_is_made_again(tmp_path):
    with folder_executor(tmp_path, silence=1) as executor:
        future = executor.submit_attempt(attempt(0), FakeTask())
        place(tmp_path, "waiting", FIRST).unlink()
        with pytest.raises(BrokenExecutor, match="no longer in the folder"):
            future.result(60)


def test_second_versions_of_files_are_no_jobs(tmp_path):
    make_folder(tmp_path)
    put_job(tmp_path, FIRST)
    put_job(tmp_path, f"{FIRST}.sync-conflict-20260101-120000-ABCDEFG")
    assert list_jobs(tmp_path, "waiting") == [FIRST]


def merge(one, other):
    """Copy what is missing or newer, both ways, and remove nothing."""
    for here, there in ((one, other), (other, one)):
        for path in [p for p in here.rglob("*.json") if not p.name.startswith(".")]:
            target = there / path.relative_to(here)
            try:
                new = path.stat().st_mtime_ns
                if target.exists() and target.stat().st_mtime_ns >= new:
                    continue
                aside = target.with_name(f".{target.name}.copied")
                shutil.copy2(path, aside)
                os.replace(aside, target)
            except FileNotFoundError:  # it has moved
                continue


def test_two_sites_with_copies_that_are_merged_write_the_same_journal(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    for site in (here, there):
        make_folder(site)
    marks = {site: tmp_path / f"marks-{site.name}" for site in (here, there)}
    for folder in marks.values():
        folder.mkdir()
    workers = [start_worker(site, workers=1, marks=folder) for site, folder in marks.items()]
    over = threading.Event()

    def sync():
        while not over.wait(0.3):
            merge(here, there)

    thread = threading.Thread(target=sync)
    thread.start()
    settings = {"candidates": 24, "schedule": Schedule(Batch(12))}
    try:
        until(lambda: len(list_jobs(here, "workers")) == 2, 60)
        with folder_executor(here) as executor:
            run_search(
                RandomSearch(small_space(3), seed=3), FakeTask(failing=5),
                out=tmp_path / "out", executor=executor, evaluate=fake_task.evaluate, **settings,
            )  # fmt: skip
        for process in workers:
            assert process.wait(60) == 0
    finally:
        over.set()
        thread.join()
        for process in workers:
            process.kill()
    run_search(
        RandomSearch(small_space(3), seed=3), FakeTask(failing=5),
        out=tmp_path / "local", evaluate=fake_task.evaluate, **settings,
    )  # fmt: skip
    assert content(tmp_path / "out") == content(tmp_path / "local")
    made = [len((folder / "evaluated").read_text().splitlines()) for folder in marks.values()]
    assert min(made) > 0, "both sites work"


# Trouble of the search itself


def test_workers_are_not_blamed_for_the_time_the_search_stood_still(tmp_path, monkeypatch):
    stood, looks = [], []
    clock = SimpleNamespace(sleep=time.sleep, monotonic=lambda: time.monotonic() + sum(stood))
    monkeypatch.setattr(on_folder, "time", clock)
    with folder_executor(tmp_path, silence=60) as executor:
        put_sign(tmp_path, "w", 0)
        future = executor.submit_attempt(attempt(0), FakeTask())
        job = read_json(place(tmp_path, "waiting", FIRST))
        assert claim_job(tmp_path, FIRST, "w")
        until(lambda: executor.began(future) is not None)
        began, read = executor.began(future), executor._signs.read

        def stand_still():
            signs = read()
            if not looks:
                stood.append(1000.0)
            looks.append(len(looks))
            return signs

        executor._signs.read = stand_still
        until(lambda: len(looks) >= 4)
        assert not future.done()
        assert executor.began(future) > began + 900, "nor is the deadline nearer"
        put_result(tmp_path, FIRST, job)
        assert future.result(60).values == VALUES


def test_a_worker_that_is_silent_is_found_however_slow_the_folder(tmp_path):
    with folder_executor(tmp_path, silence=1) as executor:
        read = executor._signs.read
        executor._signs.read = lambda: time.sleep(0.6) or read()
        put_sign(tmp_path, "w", 0)
        future = executor.submit_attempt(attempt(0), FakeTask())
        assert claim_job(tmp_path, FIRST, "w")
        with pytest.raises(BrokenExecutor, match="Nothing was heard of worker w"):
            future.result(60)


def test_errors_of_a_moment_end_nothing(tmp_path, monkeypatch):
    with folder_executor(tmp_path, silence=20) as executor:
        with monkeypatch.context() as patch:
            patch.setattr(on_folder, "write_json", fail)
            patch.setattr(on_folder, "list_jobs", fail)
            future = executor.submit_attempt(attempt(0), FakeTask())
            time.sleep(0.7)
        until(lambda: list_jobs(tmp_path, "waiting") == [FIRST])
        put_result(tmp_path, FIRST, read_json(place(tmp_path, "waiting", FIRST)))
        assert future.result(60).values == VALUES


def test_errors_that_last_end_the_search_with_their_reason(tmp_path, monkeypatch):
    with folder_executor(tmp_path, silence=1) as executor:
        future = executor.submit_attempt(attempt(0), FakeTask())
        monkeypatch.setattr(on_folder, "list_jobs", fail)
        with pytest.raises(BrokenExecutor, match="Input/output error"):
            future.result(60)
        with pytest.raises(BrokenExecutor, match="Input/output error"):
            executor.submit_attempt(attempt(1), FakeTask())


def test_a_folder_that_is_gone_is_no_empty_folder(tmp_path):
    with folder_executor(tmp_path / "jobs", silence=1) as executor:
        future = executor.submit_attempt(attempt(0), FakeTask())
        (tmp_path / "jobs").rename(tmp_path / "unmounted")
        with pytest.raises(BrokenExecutor, match="No such file"):
            future.result(60)


# What lies in the folder


def stop_search(folder, task):
    """Begin a search and stop it; return its job."""
    executor = folder_executor(folder)
    executor.submit_attempt(attempt(0), task)
    job = read_json(place(folder, "waiting", FIRST))
    executor.shutdown(cancel_futures=True)
    return job


def test_what_was_left_by_a_search_for_another_task_is_not_taken(tmp_path):
    old = stop_search(tmp_path, FakeTask(note="first"))
    put_result(tmp_path, FIRST, {"architecture": old["architecture"], "seed": 7})
    put_job(tmp_path, "0000001-1")
    put_job(tmp_path, "0000002-1")
    assert claim_job(tmp_path, "0000002-1", "old")
    with folder_executor(tmp_path) as executor:
        future = executor.submit_attempt(attempt(0), FakeTask(note="second"))
        assert not list_jobs(tmp_path, "results")
        assert not list_claims(tmp_path)
        assert list_jobs(tmp_path, "waiting") == [FIRST]
        put_result(tmp_path, FIRST, old)  # brought back by a copy
        with pytest.raises(BrokenExecutor, match="that of another job"):
            future.result(60)


def test_what_was_left_by_a_search_for_the_same_task_is_taken(tmp_path):
    old = stop_search(tmp_path, FakeTask())
    put_result(tmp_path, FIRST, old)
    with folder_executor(tmp_path) as executor:
        assert executor.submit_attempt(attempt(0), FakeTask()).result(60).values == VALUES


def test_workers_are_released_by_a_search_with_nothing_left_to_do(tmp_path):
    task = FakeTask(failing=5)
    settings = {"candidates": 4, "out": tmp_path / "out", "evaluate": fake_task.evaluate}
    run_search(RandomSearch(few(), seed=3), task, **settings)
    with folder_executor(tmp_path / "jobs") as executor:
        run_search(RandomSearch(few(), seed=3), task, executor=executor, **settings)
    assert read_json(tmp_path / "jobs" / SEARCH)["ended"]
    assert worker.serve_folder(tmp_path / "jobs", task, evaluate=fake_task.evaluate, idle=600) == 0


def test_results_are_removed_some_time_after_they_were_handed_over(tmp_path, monkeypatch):
    with folder_executor(tmp_path) as executor:
        future = executor.submit_attempt(attempt(0), FakeTask())
        job = read_json(place(tmp_path, "waiting", FIRST))
        put_result(tmp_path, "0000005-1", job)  # nobody has asked for it yet
        put_result(tmp_path, FIRST, job)
        future.result(60)
        assert FIRST in list_jobs(tmp_path, "results")
        monkeypatch.setattr(on_folder, "_KEEP", 0.3)
        until(lambda: list_jobs(tmp_path, "results") == ["0000005-1"])
        time.sleep(0.8)
        assert list_jobs(tmp_path, "results") == ["0000005-1"]


def test_signs_of_workers_that_are_long_gone_are_removed(tmp_path):
    with folder_executor(tmp_path, silence=0.2) as executor:
        put_sign(tmp_path, "gone", 0)
        until(lambda: list_jobs(tmp_path, "workers") == [])
        put_sign(tmp_path, "gone", 0)  # brought back by a copy
        time.sleep(0.5)
        assert not executor._signs.count_processes(time.monotonic())


def test_a_worker_with_another_torch_is_named_once(tmp_path, caplog):
    mine = list_versions()
    assert set(mine) == {"python", "torch", "numpy", "brainguided"}
    with caplog.at_level(logging.WARNING, "brainguided"), folder_executor(tmp_path) as executor:
        for beat in range(2):
            put_sign(tmp_path, "old", beat, versions={**mine, "torch": "1.0"})
            put_sign(tmp_path, "same", beat, versions={**mine, "numpy": "1.0"})
            until(lambda beat=beat: executor._signs._beats.get("same", (None,))[0] == beat)
            until(lambda beat=beat: executor._signs._beats.get("old", (None,))[0] == beat)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1
    assert f"Worker old has torch 1.0 (here {mine['torch']})" in said[0]


def test_the_sign_of_a_worker_says_its_versions(tmp_path):
    make_folder(tmp_path)
    with worker._Heart(tmp_path, "w", 2):
        until(lambda: list_jobs(tmp_path, "workers") == ["w"])
        sign = read_json(place(tmp_path, "workers", "w"))
    assert sign["versions"] == list_versions()
    assert not list_jobs(tmp_path, "workers")


def test_a_rename_whose_answer_was_lost_is_a_claim(tmp_path):
    make_folder(tmp_path)
    put_job(tmp_path, FIRST)
    os.rename(place(tmp_path, "waiting", FIRST), place_claim(tmp_path, FIRST, "a"))
    assert claim_job(tmp_path, FIRST, "a")
    assert not claim_job(tmp_path, FIRST, "b")


# Trouble of a worker


def test_a_result_that_cannot_be_written_is_kept(tmp_path, monkeypatch):
    served, pool = make_served(tmp_path)
    put_job(tmp_path, FIRST)
    put_job(tmp_path, "0000001-1")
    served.claim(1)
    done = next(iter(served.running))
    pool.end(0)
    with monkeypatch.context() as patch:
        patch.setattr(worker, "write_json", fail)
        served.look()
        served.claim(1)
    assert not list_jobs(tmp_path, "results")
    assert len(list_jobs(tmp_path, "waiting")) == 1, "nothing more is taken meanwhile"
    served.look()
    assert list_jobs(tmp_path, "results") == [done]
    assert read_json(place(tmp_path, "results", done))["values"] == VALUES
    assert not list_claims(tmp_path)


def test_a_worker_that_leaves_writes_what_ended_and_gives_back_the_rest(tmp_path):
    served, pool = make_served(tmp_path)
    for k in range(3):
        put_job(tmp_path, job_folder.name_job(k, 1))
    served.claim(3)
    done, died, running = served.running
    pool.end(0)
    pool.futures[1].set_exception(BrokenExecutor("its process was told to stop as well"))
    served.leave()
    assert list_jobs(tmp_path, "results") == [done]
    assert list_jobs(tmp_path, "waiting") == sorted([died, running])
    assert not list_claims(tmp_path)


def test_an_error_is_no_sign_that_a_job_was_taken_away(tmp_path, monkeypatch):
    served, pool = make_served(tmp_path)
    put_job(tmp_path, FIRST)
    served.claim(1)
    with monkeypatch.context() as patch:
        patch.setattr(job_folder.os, "stat", fail)
        with pytest.raises(OSError, match="Input/output"):
            served.look()
    assert list(served.running) == [FIRST]
    assert not pool.killed


def test_a_job_that_was_claimed_with_an_error_is_begun_later(tmp_path, monkeypatch):
    served, _ = make_served(tmp_path)
    put_job(tmp_path, FIRST)
    with monkeypatch.context() as patch:
        patch.setattr(worker, "read_json", fail)
        with pytest.raises(OSError, match="Input/output"):
            served.claim(1)
    assert list_claims(tmp_path) == {FIRST: ["me"]}
    served.claim(1)
    assert list(served.running) == [FIRST]


def test_a_worker_bears_errors_of_a_moment(tmp_path, monkeypatch):
    calls = []

    def fail_first(folder, part):
        calls.append(part)
        return fail() if len(calls) < 4 else list_jobs(folder, part)

    monkeypatch.setattr(worker, "list_jobs", fail_first)
    ended = []

    def serve():
        task = FakeTask(failing=5)
        ended.append(worker.serve_folder(tmp_path, task, evaluate=fake_task.evaluate, idle=30))

    thread = threading.Thread(target=serve)
    with folder_executor(tmp_path) as executor:
        future = executor.submit_attempt(attempt(0), FakeTask(failing=5))
        thread.start()
        assert future.result(60).values["outcome"] == "done"
    thread.join(60)
    assert ended == [1]


def test_a_worker_ends_with_the_error_that_lasts(tmp_path, monkeypatch):
    make_folder(tmp_path)
    write_json(tmp_path / SEARCH, {**describe_work(FakeTask()), "ended": False})
    monkeypatch.setattr(worker, "_PATIENCE", 0.5)
    monkeypatch.setattr(worker, "list_jobs", fail)
    with pytest.raises(OSError, match="Input/output"):
        worker.serve_folder(tmp_path, FakeTask(), evaluate=fake_task.evaluate, idle=30)


# The command line


def search_arguments(tmp_path, **given):
    given = {"folder": None, "ray": None, "workers": None, "memory": None, "check": False} | given
    return argparse.Namespace(run_file=tmp_path / "RUN.toml", out=tmp_path / "run", **given)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_worker_finds_the_jobs_from_either_folder(tmp_path, monkeypatch, elsewhere, capsys):
    (tmp_path / "RUN.toml").touch()
    jobs = tmp_path / "shared" if elsewhere else tmp_path / "run" / "jobs"
    arguments = search_arguments(tmp_path, folder=str(jobs) if elsewhere else "")
    with _engines._open_elsewhere(arguments, arguments.run_file, {}, "Searching"):
        pass
    assert f"brainguided worker {jobs}" in capsys.readouterr().err
    served, loaded = [], []

    def serve(folder, task, *, workers, idle, memory):
        served.append((folder.resolve(), workers, memory))
        return 0

    def load(path):
        loaded.append(path.resolve())
        return SimpleNamespace(task=None)

    monkeypatch.setattr("brainguided.engines.folder.worker.serve_folder", serve)
    monkeypatch.setattr("brainguided.settings.run_file.load_run", load)
    for folder in (jobs, tmp_path / "run"):
        assert main(["worker", str(folder), "--workers", "3", "--memory", "2"]) == 0
    assert served == [(jobs.resolve(), 3, 2 * 2**30)] * 2
    assert loaded == [(tmp_path / "RUN.toml").resolve()] * 2


def test_a_worker_refuses_a_folder_without_jobs(tmp_path, capsys):
    assert main(["worker", str(tmp_path)]) == 1
    assert "neither a folder of candidates nor the run folder" in capsys.readouterr().err


def test_options_of_workers_are_refused_with_folder(tmp_path, capsys):
    call = ["search", "RUN.toml", "--out", str(tmp_path), "--folder"]
    assert main([*call, "--memory", "2", "--workers", "3", "--ray"]) == 1
    said = capsys.readouterr().err
    assert "--memory is of the machines that evaluate: give it to 'brainguided worker'" in said
    assert "--workers is of the machines" in said
    assert "--ray and --folder are two ways" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["--ray", "--folder"])
def test_the_run_file_after_an_option_that_takes_it_is_refused(tmp_path, option, capsys):
    settings = tmp_path / "settings"
    settings.touch()
    for run_file in ("RUN.toml", str(settings)):
        with pytest.raises(SystemExit):
            main(["search", option, run_file, "--out", "x"])
        said = capsys.readouterr().err
        assert f"argument {option}: {run_file} looks like the run file; give that first" in said


def test_memory_goes_to_ray_and_to_local_processes(tmp_path, monkeypatch):
    given = []

    def take(*places, **settings):
        given.append((places, settings.get("memory")))
        return SimpleNamespace(workers=2, submit=warm.append)

    warm = []
    monkeypatch.setattr("brainguided.engines.ray.executor.ray_executor", take)
    monkeypatch.setattr("brainguided.engines.local.local_pool", take)
    for address in ("local", "head:6379"):
        arguments = search_arguments(tmp_path, ray=address, memory=0.5)
        _engines._open_elsewhere(arguments, arguments.run_file, {}, "Searching")
        assert _engines._start_pool(search_arguments(tmp_path, ray=address)) is None
    _engines._start_pool(search_arguments(tmp_path, memory=0.5, workers=3))
    _engines._start_pool(search_arguments(tmp_path))
    assert _engines._start_pool(search_arguments(tmp_path, folder="")) is None
    assert len(warm) == 3 + _engines._CORES
    half = 2**29
    default = (_engines._CORES,)
    assert given == [((), half), (("head:6379",), half), ((3,), half), (default, None)]
