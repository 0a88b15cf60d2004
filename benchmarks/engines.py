"""How much faster is a search on several workers, and how much faster could it be here?

    python benchmarks/engines.py RUN.toml --workers 2

Runs the same search in one process, on the local pool and, where it is installed, on Ray, checks
that the journals agree, and prints how long each took. The last line is what this machine has to
give: the same search made by so many processes at once that know nothing of each other. No engine
can be better than that; cores that share their memory, their cache or their clock are slower
together than alone.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"


def warm_up_for(seconds: float) -> None:
    """Load all, and stay so long that every worker has its turn."""
    from brainguided.candidates.evaluation import warm_up

    start = time.perf_counter()
    warm_up()
    time.sleep(max(0.0, seconds + start - time.perf_counter()))


def run(file: str, out: Path, executor: Any = None) -> float:
    """Return the wall time of the search, once workers are there."""
    import torch

    import brainguided as bg
    from brainguided.candidates.evaluation import warm_up

    torch.set_num_threads(1)
    setup = bg.load_run(file)
    warm_up()
    if executor is not None:
        for _ in executor.map(warm_up_for, [5.0] * executor.workers):
            pass
    start = time.perf_counter()
    bg.run_search(
        setup.controller,
        setup.task,
        candidates=setup.candidates,
        schedule=setup.schedule,
        executor=executor,
        out=out,
    )
    return time.perf_counter() - start


def read_journal(out: Path) -> list[list[tuple[Any, ...]]]:
    """Return all that must not depend on workers."""
    with closing(sqlite3.connect(out / "journal.db")) as file:
        tables = ("search", "event", "evaluation")
        return [file.execute(f"SELECT * FROM {table}").fetchall() for table in tables]


def run_alone(file: str, out: Path, copies: int) -> float:
    """Return the longest time of searches made at once, in processes of their own."""
    calls = [
        subprocess.Popen(
            [sys.executable, __file__, file, "--only", str(out / f"alone{n}")],
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(copies)
    ]
    return max(float(call.communicate()[0].split()[-1]) for call in calls)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", metavar="DIR", help="one process, and print the time")
    options = parser.parse_args()
    if options.only:
        print(run(options.run, Path(options.only)))
        return
    import brainguided as bg

    n = options.workers
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        took = {"one process": run_alone(options.run, out, 1)}
        with bg.local_pool(n) as pool:
            took["local pool"] = run(options.run, out / "pool", pool)
        if find_spec("ray"):
            with bg.ray_executor(workers=n) as ray:
                took["Ray"] = run(options.run, out / "ray", ray)
        journals = [read_journal(path.parent) for path in out.glob("*/journal.db")]
        same = "agree" if all(one == journals[0] for one in journals) else "DIFFER"
        bound = n * took["one process"] / run_alone(options.run, out / "more", n)
    for name, seconds in took.items():
        print(f"{name:<12} {seconds:7.1f} s, {took['one process'] / seconds:.2f} times one process")
    print(f"{len(journals)} journals {same}; {n} processes of their own: {bound:.2f} times")


if __name__ == "__main__":
    main()
