"""Every engine keeps to the contract: ours, and the executors of others that we name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import fake_task
import pytest
from fake_task import FakeTask, few
from folder_workers import start_worker

from brainguided.controllers import RandomSearch
from brainguided.engines.contract import Engine, ExecutorEngine, as_engine
from brainguided.engines.folder.executor import folder_executor
from brainguided.engines.local import local_pool
from brainguided.journal.journal import Journal, JournalError
from brainguided.search.run import run_search
from brainguided.testing import EngineTests

HERE = Path(__file__).parents[1]


class TestLocalPool(EngineTests):
    @contextmanager
    def open_engine(self, folder, task, evaluate):
        with local_pool(2) as executor:
            yield executor


class TestFolder(EngineTests):
    @contextmanager
    def open_engine(self, folder, task, evaluate):
        worker = start_worker(
            folder, evaluate.__name__, marks=task.marks, failing=task.describe()["failing"]
        )
        with folder_executor(folder) as executor:
            yield executor
        assert worker.wait(60) == 0, "the worker ends with the search"


@pytest.fixture(scope="module")
def on_ray():
    """Ray, started once: that takes longer than any test that uses it."""
    pytest.importorskip("ray")
    from brainguided.engines.ray.executor import ray_executor

    with ray_executor(workers=2) as executor:
        yield executor


class TestRay(EngineTests):
    @pytest.fixture(autouse=True)
    def ray(self, on_ray):
        self.executor = on_ray

    @contextmanager
    def open_engine(self, folder, task, evaluate):
        yield self.executor


@pytest.fixture(scope="module")
def on_dask():
    client_of = pytest.importorskip("distributed").Client
    with client_of(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", set_as_default=False
    ) as client:
        yield client


class TestDask(EngineTests):
    survives_killed_workers = False  # it tries again by itself, four times
    ends_what_hangs = False
    captures_output = False  # evaluations run in a thread

    @pytest.fixture(autouse=True)
    def dask(self, on_dask):
        self.client = on_dask

    @contextmanager
    def open_engine(self, folder, task, evaluate):
        yield self.client.get_executor(pure=False)


class OverSubmitit(ThreadPoolExecutor):
    """Each task is a job of submitit, for which a thread waits."""

    def __init__(self, folder, workers):
        import submitit

        super().__init__(workers)
        self.cluster = submitit.AutoExecutor(folder, cluster="local")
        self.cluster.update_parameters(timeout_min=5)

    def submit(self, fn, /, *args, **kwargs):
        return super().submit(self._wait, fn, args, kwargs)

    def _wait(self, fn, args, kwargs):
        from submitit.core.utils import FailedJobError, UncompletedJobError

        try:
            return self.cluster.submit(fn, *args, **kwargs).result()
        except (UncompletedJobError, FailedJobError) as error:
            raise BrokenExecutor(str(error)) from error


@pytest.mark.slow  # each evaluation is a process that starts anew
class TestSubmitit(EngineTests):
    ends_what_hangs = False

    @pytest.fixture(autouse=True)
    def submitit(self, monkeypatch):
        pytest.importorskip("submitit")
        monkeypatch.setenv("PYTHONPATH", str(HERE))  # jobs are processes that start anew

    @contextmanager
    def open_engine(self, folder, task, evaluate):
        with OverSubmitit(folder, 2) as executor:
            yield executor


class TestThreads(EngineTests):
    survives_killed_workers = False
    ends_what_hangs = False
    captures_output = False

    @contextmanager
    def open_engine(self, folder, task, evaluate):
        with ThreadPoolExecutor(2) as executor:
            yield executor


OVER_MPI = """
from contextlib import contextmanager
from mpi4py.futures import MPIPoolExecutor
from brainguided.testing import EngineTests

class TestMPI(EngineTests):
    survives_killed_workers = False  # MPI ends all ranks
    ends_what_hangs = False

    @contextmanager
    def open_engine(self, folder, task, evaluate):
        with MPIPoolExecutor() as executor:
            yield executor
"""


def test_mpi4py_keeps_to_the_contract(tmp_path):
    pytest.importorskip("mpi4py")
    mpiexec = shutil.which("mpiexec", path=str(Path(sys.executable).parent))
    mpiexec = mpiexec or shutil.which("mpiexec")
    if mpiexec is None:
        pytest.skip("no mpiexec")
    script = tmp_path / "test_over_mpi.py"
    script.write_text(OVER_MPI, encoding="utf-8")
    done = subprocess.run(
        [mpiexec, "-n", "3", sys.executable, "-m", "mpi4py.futures", "-m", "pytest", "-q",
         "-p", "no:cacheprovider", str(script)],
        capture_output=True, text=True, timeout=120, cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 passed, 3 skipped" in done.stdout


# What the suite finds wrong


class Forgets(ExecutorEngine):
    """Loses what it was given in the second place."""

    def submit_attempt(self, attempt, task, evaluate, *, timed=False):
        second = type(attempt)(**{**vars(attempt), "seed": attempt.seed + attempt.candidate % 2})
        return super().submit_attempt(second, task, evaluate, timed=timed)


@pytest.mark.parametrize("wrong", [Forgets])
def test_an_engine_that_mixes_seeds_up_fails_the_suite(tmp_path, wrong):
    class Suite(EngineTests):
        @contextmanager
        def open_engine(self, folder, task, evaluate):
            with wrong(ThreadPoolExecutor(2)) as executor:
                yield executor

    with pytest.raises(AssertionError):
        Suite().test_rounds_write_the_journal_of_this_process(tmp_path)


def test_an_engine_that_kills_nothing_but_claims_to_fails_the_suite(tmp_path):
    class Claims(EngineTests):
        def run_search(self, folder, evaluate, **settings):
            return fake_task.run_eight(folder / "there")

    with pytest.raises(AssertionError):
        Claims().test_a_deadline_ends_what_hangs(tmp_path)


def test_a_suite_without_an_engine_says_what_to_write(tmp_path):
    with pytest.raises(NotImplementedError, match="EngineTests has to say how its engine is made"):
        EngineTests().test_out_of_memory_is_not_tried_again(tmp_path)


def test_the_suite_costs_nobody_who_does_not_run_it_torch_or_pytest():
    code = "import sys, brainguided.testing; print({'torch', 'pytest', 'ray'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=HERE.parent
    )
    assert done.stdout == "set()\n", done.stderr


# Executors that are no engines


class Half(Executor):
    """Meant as an engine, but half of it."""

    workers = 1

    def submit_attempt(self, attempt, task, evaluate, *, timed):
        return Future()


def test_any_executor_is_adapted_once_and_an_engine_is_left_alone():
    with ThreadPoolExecutor(3) as threads, local_pool(2) as pool:
        adapted = as_engine(threads)
        assert isinstance(adapted, ExecutorEngine)
        assert isinstance(adapted, Engine)
        assert as_engine(adapted) is adapted
        assert adapted.workers == 3
        assert as_engine(pool) is pool
    assert as_engine(Executor()).workers is None


def test_half_an_engine_is_refused_with_what_it_lacks():
    with pytest.raises(TypeError, match="but not prepare, began, kill, where"):
        as_engine(Half())


def test_what_waits_in_a_pool_of_threads_has_not_begun():
    with ThreadPoolExecutor(1) as threads:
        engine = as_engine(threads)
        go = threading.Event()
        first, second = threads.submit(go.wait, 60), threads.submit(go.wait, 60)
        while not first.running():
            pass
        assert engine.began(first) is not None
        assert engine.began(second) is None
        assert engine.kill(second) == "ended"
        assert engine.kill(first) == "left"
        go.set()


def test_a_second_driver_on_one_run_folder_is_refused(tmp_path):
    settings = {"out": tmp_path, "evaluate": fake_task.evaluate}
    run_search(RandomSearch(few(), seed=3), FakeTask(failing=5), candidates=6, **settings)
    with Journal.open(tmp_path), pytest.raises(JournalError, match="Another search is writing"):
        run_search(RandomSearch(few(), seed=3), FakeTask(failing=5), candidates=12, **settings)
