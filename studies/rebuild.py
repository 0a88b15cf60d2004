"""Train random rows of the table again and compare every number with it.

    python studies/rebuild.py --rows 2

takes the run file of each row's part and the seed that stands beside it; the data have to be there
(studies/prepare.py). Ends with an error where a number differs by more than 1e-4 (relative to it
where it exceeds 1). The same for a run folder, before it is exported: `brainguided verify`.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import xarray as xr
from run import find_file

from brainguided import evaluate, load_run
from brainguided.journal.measurement import Measurement
from brainguided.replays.benchmark import PUBLISHED, find_space, load_benchmark, read_measurements
from brainguided.search.verify import list_numbers

TOLERANCE = 1e-4
SHOWN = 10


def main() -> None:
    """Compare, and say how many numbers differ."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pool", default="trained", help="(%(default)s)")
    parser.add_argument("--rows", type=int, default=20, help="networks and seeds (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (%(default)s)")
    arguments = parser.parse_args()
    benchmark = load_benchmark(arguments.pool)
    wrong = total = 0
    for network, seed in draw_rows(benchmark, arguments.rows, arguments.seed):
        one = benchmark.isel(network=[network], seed=[seed])
        ((recorded,),) = read_measurements(one)
        assert recorded is not None
        again = train(one)
        found = compare(recorded, again)
        total += found[0]
        wrong += len(found[1])
        name = str(one["network"].item())
        print(f"{name}, weight seed {seed}: {found[0]} numbers, {len(found[1])} differ", flush=True)
        for line in found[1][:SHOWN]:
            print(f"    {line}")
    if wrong:
        raise SystemExit(f"{wrong} of {total} numbers did not come out again to {TOLERANCE:g}.")
    print(f"All {total} numbers came out again to {TOLERANCE:g}.")


def draw_rows(benchmark: xr.Dataset, number: int, seed: int) -> list[tuple[int, int]]:
    """Return rows (network, seed) that were measured, drawn at random."""
    known = np.argwhere(benchmark["weight_seed"].transpose("network", "seed").values >= 0)
    order = np.random.default_rng(seed).permutation(len(known))[:number]
    return [(int(known[k][0]), int(known[k][1])) for k in order]


def train(one: xr.Dataset) -> Measurement:
    """Return what a row's network shows when it is trained again."""
    part = str(one["part"].item())
    task = replace(load_run(find_file(part)).task, weights=None)
    architecture = find_space(one).parse(str(one["network"].item()))
    return evaluate(architecture, task, seed=int(one["weight_seed"].item())).measurement


def compare(recorded: Measurement, again: Measurement) -> tuple[int, list[str]]:
    """Return how many numbers were compared, and a line for each that differs.

    Layers that a network lacks stand in the table as dead.
    """
    found = dict(list_numbers(again))
    compared, lines = 0, []
    for name, value in list_numbers(recorded):
        if name in PUBLISHED or (value is None and name not in found):
            continue
        compared += 1
        other = found.get(name)
        if value is None or other is None:
            same = value is other
        else:
            same = abs(value - other) <= TOLERANCE * max(1.0, abs(value))
        if not same:
            lines.append(f"{name} is {value} in the table and {other} now")
    return compared, lines


if __name__ == "__main__":
    main()
