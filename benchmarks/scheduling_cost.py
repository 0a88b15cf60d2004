"""What does a candidate cost beside its evaluation? Evaluations that do nothing.

    python benchmarks/scheduling_cost.py --engine pool --candidates 1000
    python benchmarks/scheduling_cost.py --engine ray --candidates 20000

Prints wall and processor time of the driver for each candidate, for `RandomSearch`, whose
proposals cost next to nothing, once workers are ready; and the memory of the driver.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from types import SimpleNamespace
from typing import Any

from brainguided.controllers import RandomSearch
from brainguided.engines.local import local_pool
from brainguided.search.orders import Batch, Completion, Index, Schedule
from brainguided.search.run import run_search
from brainguided.spaces import zoph2017_space


class Nothing:
    """Describe a task without content."""

    def describe(self) -> dict[str, Any]:
        return {"task": "nothing"}


def evaluate(architecture: Any, task: Nothing, *, seed: int) -> SimpleNamespace:
    reward = int(architecture.key[:6], 16) / 16**6
    return SimpleNamespace(
        outcome="done", reason="", performance=reward, guidance=None, reward=reward,
        similarity={}, history=(), n_parameters=1, examples=1,
    )  # fmt: skip


def warm_up(seconds: float) -> None:
    import brainguided.search.dispatch  # noqa: F401

    time.sleep(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--engine", choices=("none", "pool", "ray"), default="pool")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--candidates", type=int, default=1000)
    parser.add_argument("--order", choices=("completion", "index", "batch"), default="completion")
    options = parser.parse_args()
    orders = {"completion": Completion(), "index": Index(6), "batch": Batch(8)}
    executor: Any = None
    if options.engine == "pool":
        executor = local_pool(options.workers)
    elif options.engine == "ray":
        from brainguided.engines.ray.executor import ray_executor

        executor = ray_executor(workers=options.workers)
    if executor is not None:
        list(executor.map(warm_up, [1.0] * options.workers))
    with tempfile.TemporaryDirectory() as out:
        wall, cpu = time.perf_counter(), time.process_time()
        run_search(
            RandomSearch(zoph2017_space(max_depth=10), seed=0),
            Nothing(),
            candidates=options.candidates,
            out=os.path.join(out, "run"),
            schedule=Schedule(orders[options.order]),
            executor=executor,
            evaluate=evaluate,
        )
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if executor is not None:
        executor.shutdown()
    n, memory = options.candidates, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{options.engine}, {options.order}, {n} candidates: {1000 * wall / n:.2f} ms each, "
        f"{1000 * cpu / n:.2f} of it of the driver's processor; {memory:.2f} GiB"
    )


if __name__ == "__main__":
    main()
