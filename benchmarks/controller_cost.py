"""What does asking and telling cost, and does a controller's memory grow?

    python benchmarks/controller_cost.py
    python benchmarks/controller_cost.py --controller nasnet --space pnas --evaluations 20000

Rounds of 20. The time is CPU time of ask plus tell an architecture, the median of the rounds after
the first; the reward, a hash, is not in it. With --evaluations the memory of the process is
printed along the way: flat is what it should be, but for controllers that keep every result (TPE
through Optuna) or avoid repetitions. One line a controller and space; nothing is trained.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from brainguided.controllers import Controller
from brainguided.settings.presets import CONTROLLERS
from brainguided.spaces import SearchSpace, pnas_space, zoph2017_space

SPACES: dict[str, SearchSpace] = {
    "pnas": pnas_space(),
    "pnas-10-blocks": pnas_space(n_blocks=10),
    "zoph2017-20": zoph2017_space(20),
    "zoph2017-20-skips": zoph2017_space(20, skips=True),
}
ROUND = 20


def time_rounds(controller: Controller, rounds: int) -> list[float]:
    """Return the CPU time of ask plus tell of each round, in ms an architecture."""
    generator = np.random.default_rng(0)
    times = []
    for _ in range(rounds):
        rewards = generator.random(ROUND).tolist()
        start = time.process_time()
        proposals = controller.ask(ROUND)
        controller.tell(proposals, rewards)
        times.append((time.process_time() - start) / ROUND * 1e3)
    return times


def memory() -> float:
    """Return the resident memory of this process in MiB (Linux)."""
    status = Path("/proc/self/status").read_text()
    line = next(text for text in status.split("\n") if text.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def watch_memory(make: Callable[..., Controller], space: SearchSpace, evaluations: int) -> str:
    """Return the memory after each fifth of the evaluations."""
    controller, seen = make(space, seed=0), []
    for _ in range(5):
        time_rounds(controller, evaluations // 5 // ROUND)
        seen.append(memory())
    return ", ".join(f"{one:.0f}" for one in seen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--controller", choices=CONTROLLERS, action="append", help="default: all")
    parser.add_argument("--space", choices=SPACES, action="append", help="default: all")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--evaluations", type=int, help="watch the memory over so many")
    options = parser.parse_args()
    print("controller    space               decisions  ms  MiB after each fifth")
    for name in options.controller or CONTROLLERS:
        for space_name in options.space or SPACES:
            space = SPACES[space_name]
            took = np.median(time_rounds(CONTROLLERS[name](space, seed=0), options.rounds + 1)[1:])
            grown = ""
            if options.evaluations:
                grown = watch_memory(CONTROLLERS[name], space, options.evaluations)
            print(
                f"{name:<13} {space_name:<19} {len(space.decisions):>6} {took:>7.2f}  {grown}",
                flush=True,
            )


if __name__ == "__main__":
    main()
