"""The example of the documentation for SLURM by way of submitit: a thread waits for each job."""

from __future__ import annotations

from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from pathlib import Path

import fake_task
import pytest

HERE = Path(__file__).parents[1]


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
