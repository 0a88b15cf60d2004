"""A task that costs nothing, for tests of searches; in a module, so that workers can import it.

Each worker does so: what only the process of a test needs, torch above all, is imported there.
"""

from __future__ import annotations

import sys

from brainguided.spaces import small_space
from brainguided.testing import (
    MadeUpTask as FakeTask,
    always_die as always_die,
    die_once as die_once,
    evaluate,
    few,
    hang as hang,
    make_measurement,
    raise_memory as raise_memory,
    speak as speak,
    sum_bars as sum_bars,
)


def succeed(architecture, seed, reward):
    return make_measurement(architecture, reward)


def controller(name="reinforce", seed=3, space=None):
    from brainguided.controllers import RandomSearch, Reinforce

    kind = Reinforce if name == "reinforce" else RandomSearch
    return kind(space or few(), seed=seed, unique=False)


def run_eight(out, controller=None, **settings):
    """Run a search of eight candidates, by default drawn at random."""
    from brainguided.controllers import RandomSearch
    from brainguided.search.orders import Index, Schedule
    from brainguided.search.run import run_search

    return run_search(
        controller or RandomSearch(small_space(3), seed=3), FakeTask(failing=5),
        candidates=8, out=out,
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
    proposer = LocalSearch(space, seed=3, initial=5, unique=False)  # learns, and needs no torch
    if workers == 0:
        return run_search(proposer, task, **settings)
    with local_pool(workers) as pool:
        return run_search(proposer, task, executor=pool, **settings)


if __name__ == "__main__":
    drive(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
