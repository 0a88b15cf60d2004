"""What is left of each area once P, graph counts and its own controls are known: a page section.

    python studies/left.py              # minutes; writes its section of the docs page

Partial rank correlations with mature accuracy, as `compute_validity` defines them, over the live
networks of part b, from the table that ships. No p-values: those of the primary test are made once.
"""

from __future__ import annotations

import argparse

import xarray as xr
from figures import CONTROLS, choose_pool
from page import PAGE, fill, say_value

from brainguided.replays.benchmark import is_partial, load_benchmark, pool_from_benchmark
from brainguided.replays.validity import compute_validity

SHUFFLES = 2  # none is used; they cost time


def main() -> None:
    """Compute, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--draws", type=int, default=1000, help="of the bootstrap (%(default)s)")
    arguments = parser.parse_args()
    section = write_left(load_benchmark(), arguments.draws)
    print(section)
    PAGE.write_text(fill(PAGE.read_text("utf-8"), "left", section), encoding="utf-8")


def write_left(benchmark: xr.Dataset, draws: int) -> str:
    """Return the table of partial correlations, a block of rows for each area."""
    chosen = choose_pool(benchmark)
    is_area = chosen["is_area"].values.astype(bool)
    areas = chosen["target"].values[is_area].tolist()
    known = chosen["target"].values.tolist()
    named = {a: [f"{a}:{kind}" for kind in CONTROLS if f"{a}:{kind}" in known] for a in areas}
    targets = [*areas, *(name for ones in named.values() for name in ones)]
    pool = pool_from_benchmark(
        chosen.sel(target=targets, shuffled=areas).isel(shuffle=slice(SHUFFLES))
    )
    found = compute_validity(pool, draws=draws)
    rungs = found["rung"].values.tolist()
    seeds, partial = chosen.sizes["seed"], ", PARTIAL" if is_partial(benchmark) else ""
    of = "P of the other weight seeds" if seeds > 1 else "P"
    lines = [
        f"Partial rank correlation of the best layer's similarity with mature accuracy given {of}, "
        "parameters, multiply-adds and the graph's counts with their squares and products, out of "
        "fold; indented: given one control of that area as well. In brackets 95 % intervals of a "
        f"bootstrap over networks, which are no evidence for the brain. {chosen.sizes['network']} "
        f"live networks, {seeds} weight seed{'s' * (seeds > 1)}{partial}.",
        "",
        f"| | {' | '.join(f'{rung} steps' for rung in rungs)} |",
        "|---" * (len(rungs) + 1) + "|",
    ]
    for area, controls in named.items():
        own = found.sel(score=area, statistic="partial")
        cells = [
            say_value(*(own[v].sel(rung=r) for v in ("value", "lower", "upper"))) for r in rungs
        ]
        lines.append(f"| {area} | {' | '.join(cells)} |")
        for control in controls:
            one = found.sel(area=area, control=control)
            names = ("given", "given_lower", "given_upper")
            cells = [say_value(*(one[v].sel(rung=r) for v in names)) for r in rungs]
            kind = control.partition(":")[2]
            lines.append(f"| &emsp;and {kind} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
