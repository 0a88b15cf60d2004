"""A driver that is killed at random instants, again and again, loses nothing and leaves nobody."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import fake_task
import pytest
from fake_task import FakeTask
from processes import alive, children, list_shared_memory

from brainguided.controllers import Reinforce
from brainguided.engines.local import local_pool
from brainguided.journal.journal import Journal
from brainguided.search.orders import Batch, Completion, Index, Schedule
from brainguided.search.run import run_search
from brainguided.spaces import small_space

HERE = Path(__file__).parent
N = 200
KILLS = 20
ORDERS = {"index": Index(6), "batch": Batch(8), "completion": Completion()}


def drive(out, engine, order, marks):
    """Run the search; what the processes that are killed do."""
    # With more failures some searches would rightly stop: half of 40 by chance
    task = FakeTask(seconds=0.4, failing=10, marks=marks)
    settings = {
        "candidates": N,
        "out": out,
        "schedule": Schedule(ORDERS[order]),
        "evaluate": fake_task.evaluate,
    }
    controller = Reinforce(small_space(3), seed=3)
    if engine == "ray":
        from brainguided.engines.ray.executor import ray_executor

        with ray_executor(workers=4) as executor:
            run_search(controller, task, executor=executor, **settings)
    else:
        with local_pool(4) as executor:
            run_search(controller, task, executor=executor, **settings)


def count(out):
    try:
        with Journal.read(out) as journal:
            return journal.n_results
    except (OSError, ValueError):
        return 0


def content(folder):
    file = sqlite3.connect(folder / "journal.db")
    tables = ("search", "event", "evaluation")
    found = {table: file.execute(f"SELECT * FROM {table}").fetchall() for table in tables}
    file.close()
    return found


def wait_until_gone(family, seconds):
    deadline = time.monotonic() + seconds
    while any(map(alive, family)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return [pid for pid in family if alive(pid)]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize(
    ("engine", "order"),
    [(engine, order) for engine in ("pool", "ray") for order in ORDERS],
)
def test_twenty_kills_at_random_instants_change_nothing(tmp_path, engine, order):
    if engine == "ray":
        pytest.importorskip("ray")
    out, marks = tmp_path / "out", tmp_path / "marks"
    marks.mkdir()
    shared = list_shared_memory()
    chance = random.Random(f"{engine} {order}")
    code = "import sys, test_killed_drivers as t; t.drive(*sys.argv[1:])"
    command = [sys.executable, "-c", code, str(out), engine, order, str(marks)]
    environment = os.environ | {
        "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parent}",
        "OMP_NUM_THREADS": "1",
    }
    kills = 0
    while kills < KILLS:
        before = count(out)
        driver = subprocess.Popen(command, env=environment)
        # In the middle of the work, or now and then of the start
        wanted = before + (0 if chance.random() < 0.2 else chance.randrange(1, 7))
        deadline = time.monotonic() + 60
        while count(out) < wanted and driver.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(chance.random() * 0.5)
        assert driver.poll() is None, "the search ended before it was killed often enough"
        family = children(driver.pid)
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        kills += 1
        assert wait_until_gone(family, 5) == []
        assert list_shared_memory() <= shared
        if (out / "journal.db").exists():  # not where it was killed at its very beginning
            with Journal.read(out) as journal:
                ended = [a.candidate for a in journal.attempts() if a.outcome != "lost"]
            assert len(ended) == len(set(ended)), "each candidate ends once"
    subprocess.run(command, env=environment, check=True, timeout=300)
    found = content(out)
    if order == "completion":
        # The log replays: the same controller, told the same, proposes the same
        def never(architecture, task, *, seed):
            raise AssertionError("there is nothing left to evaluate")

        run_search(
            Reinforce(small_space(3), seed=3), FakeTask(failing=10), candidates=N, out=out,
            schedule=Schedule(ORDERS[order]), evaluate=never,
        )  # fmt: skip
        assert content(out) == found
        assert sorted(row[0] for row in found["evaluation"] if row[5] != "lost") == list(range(N))
    else:
        run_search(
            Reinforce(small_space(3), seed=3), FakeTask(failing=10), candidates=N,
            out=tmp_path / "whole", schedule=Schedule(ORDERS[order]), evaluate=fake_task.evaluate,
        )  # fmt: skip
        assert found == content(tmp_path / "whole")
