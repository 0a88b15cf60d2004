"""Replays on the 132 networks: how far below the best searches end, by budget and reward.

    python studies/replays.py                    # writes its section of the docs page

A budget is a number of different networks. "shuffled" is P + TG with the conditions of every area
permuted, in one of 20 ways in each search. Refused until all 132 networks are in the table;
`--partial` tries it before, prints, and leaves the page as it is.
"""

from __future__ import annotations

import argparse
import time
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import numpy as np
import xarray as xr
from page import PAGE, fill

from brainguided.engines.local import local_pool
from brainguided.replays.benchmark import is_partial, load_benchmark, tables_from_benchmark
from brainguided.replays.replay import run_replays
from brainguided.replays.table import Table
from brainguided.settings.presets import CONTROLLERS

BUDGETS = (5, 10, 20, 40, 60)
REWARDS = ("P", "P+TG", "robust", "TG", "P+V4", "P+IT")
CONTROLS = ("pixels", "gabor", "network", "untrained", "gaussian")
SHUFFLES = 20
WANTED = 132


def main() -> None:
    """Replay, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--controllers", nargs="+", default=["random", "evolution"])
    parser.add_argument("--seeds", type=int, default=500, help="of each search (%(default)s)")
    parser.add_argument("--step", type=int, default=100, help="training steps (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes (%(default)s)")
    parser.add_argument("--partial", action="store_true")
    arguments = parser.parse_args()
    benchmark = load_benchmark()
    benchmark = benchmark.isel(network=(benchmark["part"] == "b").any("seed").values)
    number = benchmark.sizes["network"]
    if number < WANTED and not arguments.partial:
        raise SystemExit(f"{number} of {WANTED} networks were measured; give --partial to try it.")
    tables = make_tables(benchmark, arguments.step)
    started = time.monotonic()
    with nullcontext() if arguments.workers == 1 else local_pool(arguments.workers) as executor:
        regrets = {
            name: find_regrets(tables, name, arguments.seeds, executor)
            for name in arguments.controllers
        }
    taken = time.monotonic() - started
    section = write_section(regrets, benchmark, arguments, taken)
    print(section)
    if not arguments.partial:
        PAGE.write_text(fill(PAGE.read_text("utf-8"), "replays", section), encoding="utf-8")


def make_tables(benchmark: xr.Dataset, step: int) -> dict[str, list[Table]]:
    """Return tables by the name of the reward; of shuffled teachers one a shuffle."""
    areas = benchmark["target"].values[benchmark["is_area"].values.astype(bool)].tolist()
    rewards = dict(zip(REWARDS, REWARDS, strict=True))
    for kind in CONTROLS:
        named = [f"{area}:{kind}" for area in areas]
        if set(named) <= set(benchmark["target"].values.tolist()):
            mean = "+".join(f"{1 / len(named):.6g}*{name}" for name in named)
            rewards[f"P + {kind}"] = f"P+{mean}"
    made = tables_from_benchmark(benchmark, list(rewards.values()), step=step)
    tables = {name: [made[text]] for name, text in rewards.items()}
    at = benchmark.sel(rung=step)
    guidance = at["shuffled_best"].fillna(0.0).sel(shuffled=areas).mean("shuffled")
    performance = at["performance"].transpose("seed", "network").values.astype(float)
    guidance = guidance.transpose("shuffle", "seed", "network").values
    first = made["P"]
    kept = np.isfinite(performance).any(0)
    tables["P + shuffled TG"] = [
        replace(first, reward=(performance + guidance[k])[:, kept]) for k in range(SHUFFLES)
    ]
    return tables


def find_regrets(
    tables: dict[str, list[Table]], controller: str, seeds: int, executor: object
) -> dict[str, np.ndarray]:
    """Return by how much the best network exceeds the incumbent (search, budget), by reward."""
    makers = {controller: partial(CONTROLLERS[controller])}
    found = {}
    for name, ones in tables.items():
        rows = []
        for k, one in enumerate(ones[:seeds]):  # every search once, whatever the number of shuffles
            replays = run_replays(
                {name: one},
                makers,
                budget=max(BUDGETS),
                seeds=range(k, seeds, len(ones)),
                nearest=True,
                executor=executor,
            )
            ends = replays["curve"].isel(search=0).sel(cost=list(BUDGETS), method="nearest").values
            # A search that ran out of new networks keeps what it had
            rows.append(one.score.max() - ends)
        found[name] = np.concatenate(rows)
    return found


def write_section(
    regrets: dict[str, dict[str, np.ndarray]],
    benchmark: xr.Dataset,
    arguments: argparse.Namespace,
    taken: float,
) -> str:
    """Return the table of mean regrets with 95 % intervals."""
    seeds = int((benchmark["weight_seed"] >= 0).sum("seed").min())
    state = " PARTIAL." if is_partial(benchmark) else ""
    lines = [
        f"Mean regret, per cent of accuracy, with 95 % intervals over searches ({arguments.seeds} "
        f"each, {seeds} weight seed{'s' * (seeds > 1)}; {benchmark.sizes['network']} networks; "
        f"rewards at {arguments.step} steps; {SHUFFLES} shuffled teachers, each in a twentieth of "
        f"the same searches).{state} Differences under .3 are noise: isomorphic "
        f"cells differ as much. {taken:.0f} s on {arguments.workers} processes.",
        "",
        f"| search | {' | '.join(f'{b} networks' for b in BUDGETS)} |",
        "|---" * (len(BUDGETS) + 1) + "|",
    ]
    for controller, rows in regrets.items():
        for reward, values in rows.items():
            half = 1.96 * values.std(0, ddof=1) / np.sqrt(len(values))
            cells = [f"{m:.2f} ± {h:.2f}" for m, h in zip(values.mean(0), half, strict=True)]
            lines.append(f"| {controller}, {reward} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
