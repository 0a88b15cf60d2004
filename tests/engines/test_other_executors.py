"""The examples of the README with executors of others: Dask, submitit, mpi4py."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from pathlib import Path

import fake_task
import pytest

from brainguided.journal.journal import Journal
from brainguided.search.orders import Completion, Schedule

HERE = Path(__file__).parents[1]


def test_dask_takes_as_many_as_it_has_workers(tmp_path):
    client_of = pytest.importorskip("distributed").Client
    with client_of(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", set_as_default=False
    ) as client:
        executor = client.get_executor(pure=False)
        run = fake_task.run_eight(
            tmp_path, executor=executor, schedule=Schedule(Completion(), timeout=60, workers=2)
        )
    assert run.sizes["candidate"] == 8
    with Journal.read(tmp_path) as journal:
        open_now = 0
        for kind, payload in journal.events():
            open_now += len(payload["architectures"]) if kind == "ask" else -1
            assert open_now <= 2


def test_submitit_runs_each_evaluation_as_a_job(tmp_path, monkeypatch):
    submitit = pytest.importorskip("submitit")
    monkeypatch.setenv("PYTHONPATH", str(HERE))  # jobs are processes that start anew
    cluster = submitit.AutoExecutor(tmp_path / "jobs", cluster="local")
    cluster.update_parameters(timeout_min=5)

    def on_cluster(architecture, task, *, seed):
        try:
            return cluster.submit(fake_task.evaluate, architecture, task, seed=seed).result()
        except submitit.core.utils.UncompletedJobError as error:
            raise BrokenExecutor(str(error)) from error

    with ThreadPoolExecutor(2) as threads:
        found = fake_task.run_eight(tmp_path / "there", executor=threads, evaluate=on_cluster)
    expected = fake_task.run_eight(tmp_path / "here")
    assert found["outcome"].values.tolist() == expected["outcome"].values.tolist()
    done = expected["outcome"].values == "done"
    assert found["reward"].values[done].tolist() == expected["reward"].values[done].tolist()


OVER_MPI = """
import sys, fake_task
from brainguided.search import Index, Schedule
from mpi4py.futures import MPIPoolExecutor

if __name__ == "__main__":
    with MPIPoolExecutor() as executor:
        fake_task.run_eight(sys.argv[1], executor=executor,
            schedule=Schedule(Index(3), workers=2))
"""


def test_mpi4py_runs_evaluations_on_its_ranks(tmp_path):
    pytest.importorskip("mpi4py")
    mpiexec = shutil.which("mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent)]))
    mpiexec = mpiexec or shutil.which("mpiexec")
    if mpiexec is None:
        pytest.skip("no mpiexec")
    script = tmp_path / "over_mpi.py"
    script.write_text(OVER_MPI, encoding="utf-8")
    command = [mpiexec, "-n", "3", sys.executable, "-m", "mpi4py.futures", str(script)]
    subprocess.run(
        [*command, str(tmp_path / "there")], check=True, timeout=600,
        env=os.environ | {"PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    fake_task.run_eight(tmp_path / "here")
    with Journal.read(tmp_path / "there") as there, Journal.read(tmp_path / "here") as here:
        assert there.events() == here.events()
        assert there.results() == here.results()
        assert len({timing.pid for timing in there.timings()}) == 2
