"""How much do 20,000 candidates with rungs and controls ask of the driver and of the disk?

    OMP_NUM_THREADS=1 nice python benchmarks/measured_search.py [--candidates 20000]

Every candidate of a random search is measured, with random numbers, at four rungs: P, the loss, ten
layers against two areas and ten controls, all committed, 20 shuffles of each area, the loss of each
of 200 steps and what is free of an architecture. Nothing is trained. Prints the largest memory of
the driver after the search and after its export, the size of the journal and of run.nc, and the
seconds that `status` takes, in a process of its own and without starting Python.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from brainguided.controllers import RandomSearch
from brainguided.journal.journal import Journal
from brainguided.journal.measurement import Measurement, Rung
from brainguided.search.orders import Batch, Schedule
from brainguided.search.run import run_search
from brainguided.search.status import describe_status
from brainguided.spaces import small_space

RUNGS, AREAS, LAYERS, SHUFFLES = (25, 50, 100, 200), ("V4", "IT"), 10, 20
KINDS = ("categories", "blocks", "gaussian", "pixels", "gabor")
TARGETS = (*AREAS, *(f"{area}:{kind}" for kind in KINDS for area in AREAS))
STATISTICS = ("parameters", "multiply_adds", "depth", "shortest_path", "longest_path", "paths",
              "convolutions", "skips")  # fmt: skip


class Described:
    """A task of which nothing is done."""

    def describe(self) -> dict[str, Any]:
        """Return what identifies it."""
        return {"task": "random numbers"}


def measure(generator: np.random.Generator) -> Measurement:
    """Draw all that is measured of one candidate, as many digits as a real one has."""
    rungs = []
    for step in RUNGS:
        table = generator.random((len(TARGETS), LAYERS)).tolist()
        layers = [f"layer{k}" for k in range(LAYERS)]
        drawn = generator.random((len(AREAS), 2, SHUFFLES)).tolist()
        rungs.append(
            Rung(
                step,
                float(generator.random()),
                float(generator.random()),
                128 * step,
                {
                    t: dict(zip(layers, row, strict=True))
                    for t, row in zip(TARGETS, table, strict=True)
                },
                dict(zip(TARGETS, generator.random(len(TARGETS)).tolist(), strict=True)),
                {
                    area: {"best": best, "committed": committed}
                    for area, (best, committed) in zip(AREAS, drawn, strict=True)
                },
            )
        )
    statistics = dict(
        zip(STATISTICS, generator.integers(1, 10**6, 8).astype(float).tolist(), strict=True)
    )
    return Measurement(AREAS, tuple(rungs), statistics, generator.random(RUNGS[-1]).tolist())


def evaluate(architecture: Any, task: Described, *, seed: int) -> SimpleNamespace:
    """Return random numbers."""
    measured = measure(np.random.default_rng(seed))
    rung = measured.rung()
    return SimpleNamespace(
        outcome="done", reason="", performance=rung.performance, guidance=measured.guidance(),
        reward=rung.performance, measurement=measured, n_parameters=1, examples=rung.examples,
    )  # fmt: skip


def drive(out: Path, candidates: int) -> None:
    """Search, in a process of its own whose memory is told."""
    exported: list[float] = []
    export = Journal.export

    def watch(journal: Journal) -> Any:
        exported.append(peak())
        print(f"driver before the export: {exported[0]:.0f} MiB", flush=True)
        return export(journal)

    Journal.export = watch  # type: ignore[method-assign]
    started = time.perf_counter(), time.process_time()
    run_search(
        RandomSearch(small_space(20), seed=0), Described(), candidates=candidates, out=out,
        schedule=Schedule(Batch(20)), evaluate=evaluate,
    )  # fmt: skip
    print(
        f"driver in all: {peak():.0f} MiB, {time.perf_counter() - started[0]:.0f} s, of processor "
        f"time {time.process_time() - started[1]:.0f} s",
        flush=True,
    )


def ask(out: Path) -> None:
    """Tell the status."""
    started = time.perf_counter(), time.process_time()
    said = describe_status(out)
    print(
        f"status: {time.perf_counter() - started[0]:.2f} s, of processor time "
        f"{time.process_time() - started[1]:.2f} s, {peak():.0f} MiB\n{said}",
        flush=True,
    )


def peak() -> float:
    """Return the largest memory of this process so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def main() -> None:
    """Search, then ask."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--candidates", type=int, default=20_000)
    parser.add_argument("--out", type=Path, help="run folder, kept; default: a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = options.out or Path(folder) / "run"
        for do, given in ((drive, (out, options.candidates)), (ask, (out,))):
            process = multiprocessing.get_context("spawn").Process(target=do, args=given)
            process.start()
            process.join()
        for name in ("journal.db", "run.nc", "run.jsonl"):
            print(f"{name}: {(out / name).stat().st_size / 1e6:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
