"""Examples until a random search holds a good network: with each reward, from the table that ships.

    python studies/examples.py          # some minutes; writes its section of the docs page

A search draws distinct networks of part b in random order, one weight seed of each, and keeps the
five highest rewards, which would be trained to the end. It has arrived when the best of these five
is less than .5 below the best of all: that of the median search. A training image counts 1, one
that is only looked at (validation, stimuli of the teachers) a third.
"""

from __future__ import annotations

import argparse

import numpy as np
import xarray as xr
from page import PAGE, fill
from replays import CONTROLS, make_tables

from brainguided.replays.benchmark import is_partial, load_benchmark
from brainguided.replays.table import Table

GOAL = 0.5  # per cent of accuracy
FINALISTS = 5
STEPS = (25, 50, 100, 200)
VALIDATION = 5000
STIMULI = {"V4": 400, "V4-WE": 400, "V4-WE-synthetic": 300, "IT": 92}  # the human's are IT's
REWARDS = {  # the areas of each, whose stimuli are shown
    "P": (),
    "P+TG": tuple(STIMULI),
    "P+V4": ("V4",),
    "P+IT": ("IT",),
    **{f"P + {kind}": tuple(STIMULI) for kind in CONTROLS},
    "P + shuffled TG": tuple(STIMULI),
}
LOOK = 1 / 3  # of a training image
LONG = FINALISTS * 200 * 50_000  # the published training of the finalists


def main() -> None:
    """Draw searches, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--searches", type=int, default=500, help="(%(default)s)")
    parser.add_argument("--draws", type=int, default=200, help="of the bootstrap (%(default)s)")
    arguments = parser.parse_args()
    benchmark = load_benchmark()
    benchmark = benchmark.isel(network=(benchmark["part"] == "b").any("seed").values)
    section = write_section(benchmark, arguments.searches, arguments.draws)
    print(section)
    PAGE.write_text(fill(PAGE.read_text("utf-8"), "examples", section), encoding="utf-8")


def draw_regrets(table: Table, searches: int, seed: int = 0) -> np.ndarray:
    """Return by how much the best of the five highest rewards is below the best of all.

    Returns
    -------
    ndarray (search, network)
        After the first, second, ... network, in per cent of accuracy.
    """
    n = len(table.score)
    orders = [np.random.default_rng((seed, k)).permutation(n) for k in range(searches)]
    order = np.array(orders)
    reward = np.array([table.draw_rewards(k)[one] for k, one in enumerate(orders)])
    score = table.score[order]
    found = np.empty((searches, n))
    for number in range(1, n + 1):
        first = np.argsort(-reward[:, :number], axis=1, kind="stable")[:, :FINALISTS]
        found[:, number - 1] = np.take_along_axis(score, first, 1).max(1)
    return table.score.max() - found


def find_arrival(regrets: np.ndarray) -> float:
    """Return the number of networks at which the median regret first falls below the goal."""
    below = np.median(regrets, axis=0) < GOAL
    return float(below.argmax() + 1) if below.any() else np.inf


def count_examples(networks: float, step: int, batch: int, areas: tuple[str, ...]) -> float:
    """Return training images, or as much, that so many networks take, finalists apart."""
    looked = VALIDATION + sum(STIMULI[area] for area in areas)
    return networks * (step * batch + looked * LOOK)


def bootstrap(regrets: np.ndarray, draws: int) -> tuple[float, float]:
    """Return a 95 % interval of the arrival over searches."""
    generator = np.random.default_rng(0)
    drawn = [
        find_arrival(regrets[generator.integers(len(regrets), size=len(regrets))])
        for _ in range(draws)
    ]
    low, high = np.quantile(drawn, (0.025, 0.975), method="inverted_cdf")
    return float(low), float(high)


def write_section(benchmark: xr.Dataset, searches: int, draws: int) -> str:
    """Return the table of networks and examples, and their ratio to P alone at the same step."""
    batch = int(benchmark.attrs["batch"])
    seeds = int((benchmark["weight_seed"] >= 0).sum("seed").min())
    state = " PARTIAL." if is_partial(benchmark) else ""
    lines = [
        f"Networks, and millions of examples (in brackets; long training of the five finalists, "
        f"{LONG / 1e6:.0f} million, apart), until the best of the five highest rewards is in the "
        f"median of {searches} random searches less than {GOAL:g} below the best of "
        f"{benchmark.sizes['network']}; the 95 % interval of networks is one over searches alone, "
        f"{seeds} weight seed{'s' * (seeds > 1)}; *never*: not with all of them. Of 20 shuffled "
        f"teachers the median and the range.{state}",
        "",
        f"| reward | {' | '.join(f'{step} steps' for step in STEPS)} |",
        "|---" * (len(STEPS) + 1) + "|",
    ]
    tables = {step: make_tables(benchmark, step) for step in STEPS}
    for name, areas in REWARDS.items():
        cells = []
        for step in STEPS:
            regrets = [draw_regrets(one, searches) for one in tables[step][name]]
            arrivals = [find_arrival(one) for one in regrets]
            middle = float(np.quantile(arrivals, 0.5, method="inverted_cdf"))
            low, high = min(arrivals), max(arrivals)
            if len(regrets) == 1:
                low, high = bootstrap(regrets[0], draws)
            cost = count_examples(middle, step, batch, areas) / 1e6
            said = f"{_say(middle)} ({_say(low)} to {_say(high)})"
            cells.append(said + (f" [{cost:.2f}]" if np.isfinite(middle) else ""))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _say(networks: float) -> str:
    return f"{networks:.0f}" if np.isfinite(networks) else "never"


if __name__ == "__main__":
    main()
