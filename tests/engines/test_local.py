"""The local pool survives its workers and does not outlive its driver."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import BrokenExecutor, CancelledError, wait
from pathlib import Path

import pytest
from folder_workers import attempt
from processes import Counted, alive, children, square, use as use_counted, work

from brainguided.engines.folder.executor import folder_executor
from brainguided.engines.local import local_pool
from brainguided.testing import MadeUpTask, evaluate

ROOT = Path(__file__).parents[2]
posix = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")


def fail(number):
    raise KeyError(number)


def die(_):
    os.kill(os.getpid(), signal.SIGKILL)


def settings():
    import torch

    return os.environ["OMP_NUM_THREADS"], torch.get_num_threads()


def test_results_and_exceptions_come_back():
    with local_pool(2) as pool:
        assert list(pool.map(square, range(20))) == [n * n for n in range(20)]
        with pytest.raises(KeyError, match="7"):
            pool.submit(fail, 7).result()
        assert pool.submit(square, 3).result() == 9


def test_work_is_shared_by_as_many_processes_as_asked_for():
    with local_pool(2) as pool:
        pids = {pid for _, pid in pool.map(work, range(10), [0.1] * 10)}
    assert len(pids) == 2
    assert os.getpid() not in pids


@posix
def test_a_killed_worker_costs_only_its_own_task():
    with local_pool(2) as pool:
        futures = [pool.submit(work, number, 0.05) for number in range(8)]
        futures.insert(3, pool.submit(die, 0))
        futures += [pool.submit(work, number, 0.05) for number in range(8, 12)]
        wait(futures)
        with pytest.raises(BrokenExecutor, match=r"The worker process \d+ died"):
            futures.pop(3).result()
        assert [future.result()[0] for future in futures] == list(range(12))


@posix
def test_a_worker_killed_from_outside_is_replaced():
    with local_pool(1) as pool:
        pid = pool.submit(os.getpid).result()
        future = pool.submit(work, 1, 600)
        while not future.running():
            time.sleep(0.01)
        time.sleep(0.2)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(BrokenExecutor):
            future.result(timeout=20)
        assert pool.submit(os.getpid).result() != pid


def test_a_task_that_ends_as_it_is_killed_costs_no_other():
    """The callback of a future runs when its result has come and its worker is not yet free."""
    with local_pool(1) as pool:
        first, second = pool.submit(square, 2), pool.submit(square, 3)
        first.add_done_callback(pool.kill)
        assert [first.result(60), second.result(60)] == [4, 9]


def test_a_slot_that_is_at_the_next_task_ends_it_for_no_earlier_one():
    with local_pool(1) as pool:
        first = pool.submit(square, 2)
        assert first.result(60) == 4
        second = pool.submit(time.sleep, 1)
        while pool.began(second) is None:
            time.sleep(0.01)
        pool._slots[0].end(first)
        assert second.result(60) is None


def test_workers_use_one_thread_and_the_environment_here_is_untouched(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with local_pool(1) as pool:
        assert pool.submit(settings).result() == ("1", 1)
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


def test_a_task_that_cannot_be_pickled_fails_alone():
    with local_pool(1) as pool:
        with pytest.raises(Exception, match="pickle"):
            pool.submit(lambda: 1).result()
        assert pool.submit(square, 2).result() == 4


def test_an_error_in_the_block_cancels_what_waits_and_kills_what_runs():
    start = time.monotonic()
    futures = []

    def use(pool):
        futures.extend(pool.submit(work, number, 600) for number in range(2))
        while not futures[0].running():
            time.sleep(0.01)
        time.sleep(0.5)
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"), local_pool(1) as pool:
        use(pool)
    assert time.monotonic() - start < 20
    assert futures[1].cancelled()
    with pytest.raises((BrokenExecutor, CancelledError)):
        futures[0].result()


def test_a_pool_that_is_shut_down_takes_no_more():
    pool = local_pool(1)
    future = pool.submit(square, 5)
    pool.shutdown()
    pool.shutdown()
    assert future.result() == 25
    with pytest.raises(RuntimeError, match="is shut down"):
        pool.submit(square, 1)


@pytest.mark.parametrize("workers", [0, -1, 1.5, True])
def test_a_number_of_workers_that_is_none_is_refused(workers):
    with pytest.raises(ValueError, match="expected at least 1"):
        local_pool(workers)


BUSY = """
import sys, time; sys.path.insert(0, sys.argv[1]); import processes as t
from brainguided.engines.local import local_pool
pool = local_pool(2); futures = [pool.submit(getattr(t, sys.argv[2]), n, 600) for n in range(6)]
while sum(f.running() for f in futures) < 2: time.sleep(0.01)
time.sleep(1); print('busy', flush=True); time.sleep(600)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc and Linux's prctl")
@pytest.mark.parametrize("what", ["work", "hold_the_interpreter"])
def test_no_process_outlives_a_killed_driver(what):
    """Also where no thread of the worker can run to see it."""
    driver = subprocess.Popen(
        [sys.executable, "-c", BUSY, str(Path(__file__).parents[1]), what],
        stdout=subprocess.PIPE,
        text=True,
    )
    with driver.stdout:
        assert driver.stdout.readline() == "busy\n"
        family = children(driver.pid)
        assert len(family) >= 2
        driver.kill()
        driver.wait()
    deadline = time.monotonic() + 20
    while any(map(alive, family)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [pid for pid in family if alive(pid)] == []


SLOW_TO_IMPORT = """
import sys, time
from pathlib import Path
from brainguided.engines import local_pool
if __name__ != "__main__":
    (Path(__file__).parent / "starts").touch()
    time.sleep(600)
if __name__ == "__main__":
    pool = local_pool(1)
    pool.submit(abs, 1)
    time.sleep(600)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc and Linux's prctl")
def test_no_process_that_starts_outlives_a_killed_driver(tmp_path):
    script = tmp_path / "my_search.py"
    script.write_text(SLOW_TO_IMPORT)
    driver = subprocess.Popen(
        [sys.executable, str(script)], env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    while not (tmp_path / "starts").exists() and driver.poll() is None:
        time.sleep(0.01)
    family = children(driver.pid)
    driver.kill()
    driver.wait()
    deadline = time.monotonic() + 20
    while any(map(alive, family)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert family
    assert [pid for pid in family if alive(pid)] == []


UNGUARDED = """
from pathlib import Path
from brainguided.controllers import RandomSearch
from brainguided.engines import folder_executor, local_pool, serve_folder
from brainguided.search import run_search
from brainguided.spaces import small_space
from brainguided.testing import MadeUpTask, evaluate
HERE = Path(__file__).parent
def search(executor):
    run_search(RandomSearch(small_space(3), seed=0), MadeUpTask(), candidates=6,
               out=HERE / "run", executor=executor, evaluate=evaluate)
"""
UNGUARDED_ENDS = {
    "pool": "with local_pool(2) as pool: search(pool)",
    "worker": """
serve_folder(HERE / "jobs", MadeUpTask(), workers=2, evaluate=evaluate, idle=60)
""",
    "other": """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool: search(pool)
""",
}


def run_unguarded(folder, end):
    """Run a script without a guard; return what it said, on one line each."""
    script = folder / "my_search.py"
    script.write_text(UNGUARDED + UNGUARDED_ENDS[end])
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 1
    return done.stderr.strip().splitlines()


REMEDY = (
    r".*my_search.py starts its work when its own .* under a line 'if __name__ == \"__main__\":'"
)


def test_a_script_without_a_guard_ends_with_one_line_and_the_remedy(tmp_path):
    (said,) = run_unguarded(tmp_path, "pool")
    assert re.match(REMEDY, said)


@pytest.mark.slow
def test_a_worker_without_a_guard_leaves_its_jobs_to_others(tmp_path):
    jobs = tmp_path / "jobs"
    with folder_executor(jobs) as executor:
        executor.prepare(MadeUpTask(), evaluate)
        future = executor.submit_attempt(attempt(0), MadeUpTask())
        (said,) = run_unguarded(tmp_path, "worker")
        assert re.match(REMEDY, said)
        assert not future.done()
        executor.kill(future)


@pytest.mark.slow
def test_a_script_without_a_guard_on_another_pool_names_the_remedy(tmp_path):
    assert any(re.match(REMEDY, line) for line in run_unguarded(tmp_path, "other"))


NOTEBOOK = """
import sys, types
sys.modules["__main__"] = cells = types.ModuleType("__main__")
exec('''
from brainguided.testing import MadeUpTask, evaluate as made_up
def evaluate(architecture, task, *, seed): return made_up(architecture, task, seed=seed)
class Task(MadeUpTask): pass
''', cells.__dict__)
from brainguided.engines import local_pool
with local_pool(1) as pool:
    for given in ((cells.MadeUpTask(), cells.evaluate), (cells.Task(), cells.made_up)):
        try: pool.prepare(*given)
        except TypeError as error: print(error)
"""


def test_what_was_defined_in_a_notebook_is_refused_with_the_remedy():
    done = subprocess.run(
        [sys.executable, "-c", NOTEBOOK], capture_output=True, text=True, timeout=120,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    first, second = done.stdout.splitlines()
    assert first.startswith("'evaluate' was defined in a notebook or at a prompt")
    assert "'%%writefile my_search.py', then 'from my_search import evaluate'" in first
    assert second.startswith("'Task' was defined in a notebook")


def test_what_cannot_be_sent_is_refused_before_anything_begins():
    with local_pool(1) as pool:
        with pytest.raises(TypeError, match=r"cannot be sent to worker processes .* top level of"):
            pool.share(lambda: 1)
        with pytest.raises(TypeError, match="keep open files and locks out of it"):
            pool.share({"lock": threading.Lock()})


def hold(n_bytes):
    return len(bytearray(n_bytes))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux limits memory")
def test_a_process_that_wants_more_than_its_memory_fails_and_lives():
    with local_pool(1, memory=512 * 2**20) as pool:
        first = pool.submit(os.getpid).result(60)
        with pytest.raises(MemoryError):
            pool.submit(hold, 2**30).result(60)
        assert pool.submit(hold, 2**20).result(60) == 2**20
        assert pool.submit(os.getpid).result(60) == first
    with pytest.raises(ValueError, match="memory is 3; expected bytes"):
        local_pool(1, memory=3)


def test_a_shared_argument_is_sent_once_to_each_worker(tmp_path):
    counted = Counted(str(tmp_path / "unpickled"))
    with local_pool(2) as pool:
        stand_in = pool.share(counted)
        futures = [pool.submit(use_counted, stand_in, number) for number in range(12)]
        assert [f.result() for f in futures] == [("Counted", number) for number in range(12)]
        pids = (tmp_path / "unpickled").read_text().split()
        assert len(pids) == len(set(pids)) == 2
        with pytest.raises(BrokenExecutor):
            pool.submit(die, 0).result()
        futures = [pool.submit(use_counted, stand_in, number) for number in range(12)]  # for both
        assert [f.result()[1] for f in futures] == list(range(12))
    assert len((tmp_path / "unpickled").read_text().split()) == 3, "also to the one in its place"


def test_what_a_worker_cannot_import_is_said(tmp_path, monkeypatch):
    (tmp_path / "fleeting.py").write_text("def run():\n    return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import fleeting

    (tmp_path / "fleeting.py").unlink()
    with local_pool(1) as pool:
        with pytest.raises(ModuleNotFoundError, match="fleeting"):
            pool.submit(fleeting.run).result()
        assert pool.submit(square, 2).result() == 4


def test_workers_that_start_can_be_stopped(tmp_path, monkeypatch):
    """What is imported may take long; Ctrl-C does not wait for it."""
    (tmp_path / "slow_to_import.py").write_text(
        "import os, pathlib, time\nif not os.environ.get('FAST'):\n"
        "    pathlib.Path(__file__).with_name('begun').touch()\n    time.sleep(600)\n"
        "def run():\n    return 1\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("FAST", "1")
    import slow_to_import

    monkeypatch.delenv("FAST")
    start = time.monotonic()
    futures = []

    def use(pool):
        futures.append(pool.submit(slow_to_import.run))
        while not (tmp_path / "begun").exists() and time.monotonic() < start + 60:
            time.sleep(0.05)
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"), local_pool(2) as pool:
        use(pool)
    assert (tmp_path / "begun").exists()
    assert time.monotonic() - start < 20
    assert futures[0].done()


def test_a_pool_that_was_not_shut_down_keeps_nobody_waiting(tmp_path):
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[1]); import processes as t\n"
        "from brainguided.engines.local import local_pool\n"
        "if __name__ == '__main__':\n"
        "    pool = local_pool(2); print(pool.submit(t.square, 3).result())\n"
        "    late = [pool.submit(t.work, n, 600) for n in range(2)]; time.sleep(1)\n"
    )
    (tmp_path / "script.py").write_text(code)
    command = [sys.executable, str(tmp_path / "script.py"), str(Path(__file__).parents[1])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (0, "9\n"), done.stderr


class Awkward(Exception):
    """Cannot be unpickled."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


def raise_awkward():
    raise Awkward("this", "that")


def give_what_cannot_be_sent():
    return lambda: 1


def test_what_cannot_travel_back_is_said():
    with local_pool(1) as pool:
        with pytest.raises(RuntimeError, match="Awkward: this and that"):
            pool.submit(raise_awkward).result()
        with pytest.raises(Exception, match=r"pickle|local object"):
            pool.submit(give_what_cannot_be_sent).result()
        with pytest.raises(SystemExit):
            pool.submit(sys.exit, 3).result()
        assert pool.submit(square, 2).result() == 4
