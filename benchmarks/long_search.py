"""A search of 20,000 architectures with a cheap reward: its journal, its resumption, its memory.

    python benchmarks/long_search.py --controller reinforce

The search is made once undisturbed, and once stopped at three quarters and resumed. Prints how
long resuming took, until the first new proposal, and whether both proposed the same.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from brainguided.journal.journal import Journal
from brainguided.search.orders import Batch, Schedule
from brainguided.search.run import run_search
from brainguided.settings.presets import CONTROLLERS
from brainguided.spaces import pnas_space


class Cheap:
    """Describe a task whose reward is read off the architecture."""

    def describe(self) -> dict[str, Any]:
        return {"task": "cheap"}


class Stop:
    """Evaluate, note when the first evaluation began, and stop after so many."""

    def __init__(self, after: int | None = None) -> None:
        self.left, self.first = after, 0.0

    def __call__(self, architecture: Any, task: Cheap, *, seed: int) -> SimpleNamespace:
        self.first = self.first or time.perf_counter()
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
        reward = int(architecture.key[:6], 16) / 16**6
        return SimpleNamespace(
            outcome="done", reason="", performance=reward, guidance=None, reward=reward,
            similarity={}, history=(), n_parameters=1, examples=1,
        )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--controller", default="reinforce", choices=sorted(CONTROLLERS))
    parser.add_argument("--candidates", type=int, default=20_000)
    options = parser.parse_args()
    n = options.candidates

    def run(out: Path, evaluate: Stop) -> None:
        controller = CONTROLLERS[options.controller](pnas_space(), seed=0)
        schedule = Schedule(Batch(20))
        run_search(controller, Cheap(), candidates=n, schedule=schedule, out=out, evaluate=evaluate)

    with tempfile.TemporaryDirectory() as folder:
        whole, parts = Path(folder) / "whole", Path(folder) / "parts"
        started = time.perf_counter()
        run(whole, Stop())
        took = time.perf_counter() - started
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        with suppress(KeyboardInterrupt):
            run(parts, Stop(3 * n // 4))
        again, started = Stop(), time.perf_counter()
        run(parts, again)
        with Journal.read(whole) as one, Journal.read(parts) as other:
            same = one.events() == other.events() and one.results() == other.results()
    print(
        f"{options.controller}: {n} candidates in {took:.0f} s ({1000 * took / n:.2f} ms each), "
        f"{memory:.2f} GiB; resumed in {again.first - started:.1f} s; "
        f"the same proposals and results: {same}"
    )


if __name__ == "__main__":
    main()
