"""How the cost of a candidate grows with the search: asking, telling and the journal.

    OMP_NUM_THREADS=1 nice python benchmarks/growing_cost.py [--controller reinforce] [--to 200000]
    python benchmarks/growing_cost.py --simulate 4000

Evaluations take no time. A search is extended from mark to mark (2,000, 20,000 and 200,000
candidates). At each are printed: processor time a candidate over the last 1,000; the same of a new
search of 2,000 beside it, in turns, and the ratio (about 1 at the first mark); seconds until a
search taken up there proposes again, to write run.nc, run.csv and run.jsonl at the end, and of
`status`, of processor time as well; the size of the journal; the largest memory of the driver that
brought the search there, which does nothing else (needs /proc). --simulate: how busy so many
workers are on a virtual clock, with 20 evaluations of ten minutes each, until the last ones begin.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from brainguided.replays.virtual_clock import Machines, draw_lognormal, simulate_search
from brainguided.search.orders import Completion, Index, Order, Schedule
from brainguided.search.run import run_search
from brainguided.search.status import describe_status
from brainguided.settings.presets import CONTROLLERS
from brainguided.spaces import pnas_space

MARKS, LAST, YOUNG = (2_000, 20_000, 200_000), 1_000, 2_000
CHOSEN = ("random", "evolution", "reinforce")


class Cheap:
    """A task whose reward is read off the architecture."""

    def describe(self) -> dict[str, Any]:
        return {"task": "cheap"}


class Clock:
    """Evaluates at no cost, notes the processor time at each call, and may stop after some."""

    def __init__(self, stop: int | None = None) -> None:
        self.busy: list[float] = []
        self.stop = stop

    def __call__(self, architecture: Any, task: Cheap, *, seed: int) -> SimpleNamespace:
        if len(self.busy) == self.stop:
            raise KeyboardInterrupt
        self.busy.append(time.process_time())
        reward = int(architecture.key[:6], 16) / 16**6
        return SimpleNamespace(
            outcome="done", reason="", performance=reward, guidance=None, reward=reward,
            similarity={}, history=(), n_parameters=1, examples=1,
        )  # fmt: skip

    def milliseconds(self) -> float:
        """Return the processor time a candidate, over the last 1,000."""
        busy = self.busy[-LAST - 1 :]
        return 1000 * (busy[-1] - busy[0]) / (len(busy) - 1)


def main() -> None:
    """Print a table of a row for each controller and mark, or what was simulated."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--controller", choices=sorted(CONTROLLERS), action="append")
    parser.add_argument("--to", type=int, default=MARKS[-1])
    parser.add_argument("--simulate", type=int, metavar="WORKERS")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--drive", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.simulate:
        simulate(options.simulate)
        return
    if options.drive:
        run(options.controller[0], options.drive, options.to)
        # Not of getrusage, which counts what the process had that started this one
        status = Path("/proc/self/status").read_text()
        print(int(status.partition("VmHWM:")[2].split()[0]) / 2**10)
        return
    if options.alone:
        grow(options.controller[0], options.to)
        return
    print(
        "| controller | candidates | ms each | beside 2,000 | ratio | resume, s | export, s "
        "| status, s | journal, MiB | memory, MiB |\n|" + "---|" * 10,
        flush=True,
    )
    for name in options.controller or CHOSEN:
        subprocess.run(
            [sys.executable, __file__, "--alone", "--controller", name, "--to", str(options.to)],
            check=True,
        )


def drive(name: str, out: Path, to: int) -> float:
    """Extend a search by a driver of its own; return the most memory that it had, MiB."""
    command = [sys.executable, __file__, "--drive", str(out), "--controller", name]
    done = subprocess.run([*command, "--to", str(to)], check=True, stdout=subprocess.PIPE)
    return float(done.stdout)


def grow(name: str, to: int) -> None:
    """Extend one search from mark to mark and print a row at each."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "grown"
        for mark in sorted({*(m for m in MARKS if m <= to), to}):
            memory = drive(name, out, mark)
            turns = [measure_turn(name, Path(folder), out, mark + k * LAST) for k in range(1, 4)]
            own, young, resumed, exported = (min(column) for column in zip(*turns, strict=True))
            started = time.process_time()
            describe_status(out)
            status = time.process_time() - started
            size = sum(path.stat().st_size for path in out.glob("journal*")) / 2**20
            print(
                f"| {name} | {mark:,} | {own:.2f} | {young:.2f} | {own / young:.2f} | "
                f"{resumed:.1f} | {exported:.1f} | {status:.2f} | {size:.0f} | {memory:.0f} |",
                flush=True,
            )


def measure_turn(name: str, folder: Path, out: Path, mark: int) -> tuple[float, ...]:
    """Take a search up to a mark, and make a new one beside it; return what each took."""
    clock, started = Clock(), time.process_time()
    run(name, out, mark, clock)
    ended = time.process_time()
    new = Clock(stop=YOUNG)
    with tempfile.TemporaryDirectory(dir=folder) as young, suppress(KeyboardInterrupt):
        run(name, Path(young) / "young", YOUNG + 1, new)
    return clock.milliseconds(), new.milliseconds(), clock.busy[0] - started, ended - clock.busy[-1]


def run(name: str, out: Path, candidates: int, evaluate: Clock | None = None) -> None:
    """Search, or go on."""
    controller = CONTROLLERS[name](pnas_space(), seed=0)
    run_search(
        controller, Cheap(), candidates=candidates, out=out, schedule=Schedule(Index(20)),
        evaluate=evaluate or Clock(),
    )  # fmt: skip


def simulate(workers: int) -> None:
    """Print how busy workers are, and how long evaluations must be for the driver to keep up."""
    orders: dict[str, Order] = {"completion": Completion()}
    orders |= {f"index, lag of {k} times the workers": Index(k * workers) for k in (3, 6, 10)}
    for sigma in (0.3, 0.5):
        for name, order in orders.items():
            found = simulate_search(
                order,
                draw_lognormal(600, sigma),
                Machines(workers, overhead=0.5),
                candidates=20 * workers,
            )
            print(
                f"{workers} workers, 600 s (sigma {sigma:g}), order {name}: busy "
                f"{found.warm_utilisation:.1%}, with start and end {found.utilisation:.1%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
