"""A task that costs nothing, for tests of searches; in a module, so that workers can import it.

Each worker does so: what only the process of a test needs, torch above all, is imported there.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from brainguided.spaces import PlainSpace, small_space


@dataclass(frozen=True)
class FakeTask:
    """Describe what the fake evaluations do."""

    seconds: float = 0.0  # at most
    failing: int = 0  # one in so many raises
    marks: str = ""  # folder of files that count evaluations
    note: str = "simulated"

    def describe(self):
        return {"failing": self.failing, "note": self.note}


def succeed(architecture, seed, reward):
    areas = {
        area: {
            f"layer{n}": (None if (n + shift) % 5 == 4 else reward / (n + shift))
            for n in range(1, architecture.depth + 1)
        }
        for shift, area in enumerate(("V4", "IT"))
    }
    return SimpleNamespace(
        outcome="done",
        reason="",
        performance=np.float64(reward / 2),
        guidance=np.float32(0.5),
        reward=reward,
        similarity=areas,
        history=({"step": 10, "performance": reward / 2, "guidance": float("nan")},),
        n_parameters=np.int64(architecture.depth),
        examples=128,
        seconds=0.0,
    )


def evaluate(architecture, task, *, seed):
    """Return a reward that depends on the architecture and the seed alone."""
    time.sleep(random.random() * task.seconds)
    if task.marks:
        with open(Path(task.marks) / "evaluated", "a") as file:
            file.write(f"{seed} {os.getpid()}\n")
    number = int(architecture.key[:8], 16)
    if task.failing and number % task.failing == 0:
        raise ValueError(f"a layer of {architecture.depth}\n is too much")
    if task.failing and number % task.failing == 1:
        return succeed(architecture, seed, float("nan"))
    return succeed(architecture, seed, float(np.random.default_rng((number, seed)).normal()))


def die_once(architecture, task, *, seed):
    """Kill the worker at the first attempt of every third architecture."""
    if int(architecture.key[:8], 16) % 3 == 0:
        mark = Path(task.marks) / architecture.key
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return evaluate(architecture, task, seed=seed)


def always_die(architecture, task, *, seed):
    """Kill the worker at every attempt at an architecture of one layer."""
    if architecture.depth == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return evaluate(architecture, task, seed=seed)


def raise_memory(architecture, task, *, seed):
    """Find architectures of one layer too large."""
    if architecture.depth == 1:
        raise MemoryError("too large")
    return evaluate(architecture, task, seed=seed)


def speak(architecture, task, *, seed):
    """Print something."""
    print(f"seed {seed} speaks")
    return evaluate(architecture, task, seed=seed)


def hang(architecture, task, *, seed):
    """Never end at an architecture of one layer, after a mark that it has begun."""
    if architecture.depth == 1:
        (Path(task.marks) / "hangs").touch()
        time.sleep(600)
    return evaluate(architecture, task, seed=seed)


def few():
    """Return a space so small that proposals repeat."""
    return PlainSpace("few", 3, (1, 3), (1,), (8,))


def controller(name="reinforce", seed=3, space=None):
    from brainguided.controllers import RandomSearch, Reinforce

    kind = Reinforce if name == "reinforce" else RandomSearch
    return kind(space or few(), seed=seed)


def run_eight(out, **settings):
    """Run a search of eight candidates."""
    from brainguided.controllers import RandomSearch
    from brainguided.search.orders import Index, Schedule
    from brainguided.search.run import run_search

    return run_search(
        RandomSearch(small_space(3), seed=3), FakeTask(failing=5), candidates=8, out=out,
        **{"schedule": Schedule(Index(3)), "evaluate": evaluate} | settings,
    )  # fmt: skip


def drive(out, workers, candidates, seconds):
    """Run a search, as the driver process of the tests that kill it."""
    from brainguided.controllers import LocalSearch
    from brainguided.engines.local import local_pool
    from brainguided.search.orders import Batch, Schedule
    from brainguided.search.run import run_search

    task = FakeTask(seconds=seconds, failing=5)
    space = few() if out.endswith("few") else small_space(3)
    settings = {"candidates": candidates, "out": out, "evaluate": evaluate}
    settings["schedule"] = Schedule(Batch(5))
    proposer = LocalSearch(space, seed=3, initial=5)  # learns, and needs no torch
    if workers == 0:
        return run_search(proposer, task, **settings)
    with local_pool(workers) as pool:
        return run_search(proposer, task, executor=pool, **settings)


if __name__ == "__main__":
    drive(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
