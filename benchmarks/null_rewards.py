"""Does the robust reward leave a search alone where the teacher holds nothing, and only there?

    OMP_NUM_THREADS=1 nice python benchmarks/null_rewards.py --out runs/null [--networks 64]

Random networks are trained for a short time, measured at several rungs against the simulated
macaque and many shuffled copies of it, and kept as a run in --out, which the script takes up again.
Then the run is replayed as often as asked for, each time with its candidates in another order (the
first 24 standardise the reward) and another shuffled copy of each area as the teacher, 20 others
being its shuffles. The same search is told the robust reward, and P alone; counted is how often
both end with the same winner, and how often any score of the teacher has a weight at all. The same
is done with the macaque itself, and with planted teachers: a copy to which so many standard
deviations of a hidden quality of the candidates are added. --old also counts, from the same draws,
in how many the mean variance of shuffles as v0 would have let a score count.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from statistics import fmean, pvariance
from typing import Any

import numpy as np
import torch
from scipy.stats import beta

from brainguided import Task, Teacher, Training, images_from_stimuli
from brainguided.architectures import Architecture
from brainguided.controllers import RandomSearch
from brainguided.guidance.controls import shuffled_control
from brainguided.guidance.rewards import PaperReward, RobustReward, reward_anew
from brainguided.journal.attempts import Attempt
from brainguided.journal.journal import Journal
from brainguided.journal.measurement import Measurement
from brainguided.replays.replay import replay_search
from brainguided.replays.table import Table
from brainguided.search.orders import Batch, Schedule
from brainguided.search.run import run_search
from brainguided.settings.presets import CONTROLLERS
from brainguided.spaces import small_space
from neural_data import simulate_macaque, simulate_objects

RUNGS, SHUFFLES, SPACE = (0, 10, 25, 50), 20, small_space(8)


def measure(out: Path, networks: int, shuffles: int) -> list[Attempt]:
    """Search at random, unless such a search has got so far; return the distinct candidates."""
    if not (out / "journal.db").exists() or count(out) < networks:
        search(out, networks, shuffles)
    with Journal.read(out) as journal:
        return [r for r in journal.results() if r.outcome == "done" and r.duplicate_of is None]


def count(out: Path) -> int:
    with Journal.read(out) as journal:
        return journal.n_results


def search(out: Path, networks: int, shuffles: int) -> None:
    teacher = Teacher.from_recording(
        *simulate_macaque(simulate_objects(5, seed=0), seed=0), by="object_name"
    )
    task = Task(
        images_from_stimuli(simulate_objects(30, seed=1), simulate_objects(8, seed=2)),
        teacher,
        Training(steps=RUNGS[-1], rungs=RUNGS, batch_size=32),
        reward=PaperReward(alpha=0),
        controls=[
            shuffled_control(teacher, area, number=shuffles, seed=k)
            for k, area in enumerate(teacher.areas)
        ],
    )
    run_search(
        RandomSearch(SPACE, seed=0), task, candidates=networks, out=out, schedule=Schedule(Batch(8))
    )


class Null:
    """A shuffled copy of each area in the place of the area, and others as its shuffles."""

    def __init__(self, generator: np.random.Generator, example: Measurement) -> None:
        known = example.rungs[-1].shuffles
        self.columns = {
            area: generator.choice(len(known[area]["committed"]), 1 + SHUFFLES, replace=False)
            for area in example.areas
        }

    def __call__(self, measured: Measurement, *, real: bool, planted: float = 0.0) -> Measurement:
        rungs = []
        for rung in measured.rungs:
            drawn = {
                area: [rung.shuffles[area]["committed"][k] or 0.0 for k in columns]
                for area, columns in self.columns.items()
            }
            teacher = rung.committed if real else {a: v[0] + planted for a, v in drawn.items()}
            shuffles = {a: {"best": v[1:], "committed": v[1:]} for a, v in drawn.items()}
            rungs.append(replace(rung, committed=teacher, shuffles=shuffles))
        return replace(measured, rungs=tuple(rungs))


def draw_teacher(results: list[Attempt], seed: int, kind: float | None) -> list[Attempt]:
    """Return candidates in random order, as they look to a teacher.

    `kind` is None for the macaque; else the standard deviation of the planted quality, in units of
    that which shuffled areas have over candidates.
    """
    generator = np.random.default_rng([seed, 11])
    order = generator.permutation(len(results))
    null = Null(generator, results[0].measurement)
    spread = np.std([r.measurement.rung().shuffles[a]["committed"][c[0]] or 0.0
                     for r in results for a, c in null.columns.items()])  # fmt: skip
    quality = generator.normal(size=len(results)) * spread * (kind or 0.0)
    return [
        replace(
            results[k],
            candidate=place,
            measurement=null(results[k].measurement, real=kind is None, planted=quality[k]),
        )
        for place, k in enumerate(order)
    ]


def tabulate(results: list[Attempt], reward: Any) -> Table:
    """Make the table of a replay: scores are numbers of candidates, so that winners have names."""
    told = [r.reward for r in reward_anew(results, reward)]
    rows = [SPACE.encode(Architecture.from_json(r.architecture)) for r in results]
    return Table(
        SPACE, np.array(rows), np.array(told, dtype=float), np.ones(len(results)),
        np.arange(len(results), dtype=float), units="candidates",
    )  # fmt: skip


def counts_by_mean(results: list[Attempt]) -> bool:
    """Return whether any score varies more than that of shuffles does in the mean."""
    first = [r.measurement for r in results if r.candidate < 24]
    for area in first[0].areas:
        for step in first[0].steps:
            own = pvariance([m.rung(step).committed[area] or 0.0 for m in first])
            every = zip(*(m.rung(step).shuffles[area]["committed"] for m in first), strict=True)
            if own > fmean(pvariance(values) for values in every):
                return True
    return False


def say_share(number: int, of: int) -> str:
    """Return a count with the 95 % interval of its share (Clopper & Pearson)."""
    low = beta.ppf(0.025, number, of - number + 1) if number else 0.0
    high = beta.ppf(0.975, number + 1, of - number) if number < of else 1.0
    return f"{number} of {of} ({low:.1%} to {high:.1%})"


def main() -> None:
    """Print a line for each teacher and controller."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="run folder, made or taken up")
    parser.add_argument("--networks", type=int, default=64)
    parser.add_argument("--shuffles", type=int, default=1000, help="of each area, to draw from")
    parser.add_argument("--replays", type=int, default=100)
    parser.add_argument("--budget", type=int, default=40, help="candidates of a replayed search")
    parser.add_argument("--controller", nargs="+", default=["random", "evolution"])
    parser.add_argument("--planted", type=float, nargs="*", default=[0.5, 1.0, 2.0, 3.0])
    parser.add_argument("--old", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = measure(options.out, options.networks, options.shuffles)
    teachers: dict[str, float | None] = {"shuffled": 0.0, "the macaque": None}
    teachers |= {f"planted, {size:g} sd": size for size in options.planted}
    for name, kind in teachers.items():
        same = dict.fromkeys(options.controller, 0)
        counted = before = 0
        shares: list[float] = []
        for seed in range(options.replays):
            drawn = draw_teacher(results, seed, kind)
            reward = RobustReward().freeze([r.measurement for r in drawn if r.candidate < 24])
            terms = [t.weight for n, t in (reward.frozen or {}).items() if n != "performance"]
            shares.append(sum(terms))
            counted += any(terms)
            before += options.old and counts_by_mean(drawn)
            tables = [tabulate(drawn, one) for one in (RobustReward(), PaperReward(alpha=0))]
            for controller in options.controller:
                ends = [
                    replay_search(
                        CONTROLLERS[controller](SPACE, seed=seed), table,
                        budget=options.budget, nearest=True,
                    ).incumbent[-1]
                    for table in tables
                ]  # fmt: skip
                same[controller] += ends[0] == ends[1]
        print(f"{name}: some score counts in {say_share(counted, options.replays)}, "
              f"mean share of the weights {np.mean(shares):.2f}")  # fmt: skip
        if options.old:
            print(f"  by the mean of shuffles in {say_share(before, options.replays)}")
        for controller, number in same.items():
            print(f"  {controller}: the winner of P alone in {say_share(number, options.replays)}",
                  flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
