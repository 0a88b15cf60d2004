"""What does early stopping lose, and what does it save? Searches on a journal that has every rung.

    OMP_NUM_THREADS=1 nice python benchmarks/early_stopping.py RUN --mature nasbench201.csv:test_200
    OMP_NUM_THREADS=1 nice python benchmarks/early_stopping.py --made made_run --sign 1

RUN is a search, ended or not, with rungs and without `keep`: every candidate was measured at all of
them. Its distinct candidates are searched again --seeds times, by the search itself with its own
journal, evaluations being read from RUN: once trained to the end, once with --keep, the same seed
and number of candidates. (Trained to the end, candidates in random order need no search.)
Printed are: the rank correlation of the reward at each rung with that at the last, over all
candidates; in how many searches a rung ever stopped somebody, and how many; the training images
processed, as a share of those of the full search; and by how much the network found, the one with
the highest reward, is worse in the mean, with the 95 % interval of Student's t over seeds. Networks
are judged by --mature (as `brainguided validity` reads it, in its units), or by P at the last rung.
By default candidates come in random order; other controllers propose what they like and are
answered by the nearest candidate. --made writes a made-up RUN of 132 candidates first, whose early
rewards go with the last ones (--sign 1), do not (0), or go against them (-1).
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy.stats import spearmanr, t as students_t

from brainguided.architectures import Architecture
from brainguided.controllers import Controller, ListSearch, RandomSearch
from brainguided.guidance.rewards import PaperReward, Reward, parse_reward
from brainguided.journal.attempts import STOPPED
from brainguided.journal.journal import Journal
from brainguided.journal.measurement import Measurement, Rung
from brainguided.replays.pools import load_pool
from brainguided.replays.table import nearest_rows
from brainguided.search.orders import Batch, Schedule
from brainguided.search.run import run_search
from brainguided.settings.presets import CONTROLLERS
from brainguided.spaces import SearchSpace, small_space


class Recorded:
    """The candidates of a journal: the task of a search that trains nothing."""

    def __init__(
        self, out: Path, reward: Reward, mature: str | None, column: str | None = None
    ) -> None:
        with Journal.read(out) as journal:
            config, results = journal.config or {}, journal.results()
        if (config.get("task") or {}).get("keep") is not None:
            raise SystemExit(f"{out} was searched with keep: those stopped lack the later rungs.")
        self.space = SearchSpace.from_description(config["space"])
        results = [r for r in results if r.outcome == "done" and r.duplicate_of is None]
        met: set[str] = set()
        self.architectures, measured, numbers = [], [], []
        for result in results:
            architecture = Architecture.from_json(result.architecture)
            if architecture.canonical_key not in met:
                met.add(architecture.canonical_key)
                self.architectures.append(architecture)
                measured.append(result.measurement)
                numbers.append(result.candidate)
        if not measured:
            raise SystemExit(f"No candidate of {out} has ended.")
        self.rungs = measured[0].steps
        if len(self.rungs) < 2 or any(one.steps != self.rungs for one in measured):
            raise SystemExit(f"Not every candidate of {out} was measured at all of {self.rungs}.")
        self.score = np.array([one.rung().performance for one in measured], dtype=float)
        self.rewards = np.array(
            [[reward(one.up_to(step)) for step in self.rungs] for one in measured]
        )
        # Only what the search looks at: all that was measured would be written again and again
        self.measured = [
            Measurement(
                (),
                tuple(
                    Rung(rung.step, float(value), examples=rung.examples)
                    for rung, value in zip(one.rungs, rewards, strict=True)
                ),
            )
            for one, rewards in zip(measured, self.rewards, strict=True)
        ]
        if mature is not None:
            pool = load_pool(out, mature, architecture=column)
            known = dict(zip(pool.candidates, pool.mature.tolist(), strict=True))
            if missing := [n for n in numbers if n not in known]:
                raise SystemExit(f"{mature} has no accuracy of {len(missing)} candidates.")
            self.score = np.array([known[n] for n in numbers])
        self._actions = np.array([self.space.encode(one) for one in self.architectures])
        self._row = {one.canonical_key: k for k, one in enumerate(self.architectures)}

    def find(self, architecture: Architecture) -> int:
        """Return the candidate that an architecture is, or the nearest one."""
        key = architecture.canonical_key
        if key not in self._row:
            self._row[key] = int(nearest_rows(self._actions, self.space.encode(architecture))[0])
        return self._row[key]


@dataclass(frozen=True)
class Stopping:
    """What `run_search` needs to know of a task with early stopping."""

    recorded: Recorded
    keep: float | None
    reward: PaperReward = field(default_factory=PaperReward)  # of what Recorded made of the reward

    @property
    def training(self) -> SimpleNamespace:
        return SimpleNamespace(measured_at=self.recorded.rungs)

    def describe(self) -> dict[str, Any]:
        return {"keep": self.keep}


def evaluate(
    architecture: Architecture, task: Stopping, *, seed: int, bars: Any = ()
) -> SimpleNamespace:
    """Return what was measured of a candidate, up to the rung at which it would be stopped."""
    measured = task.recorded.measured[task.recorded.find(architecture)]
    for step, bar in bars:
        if not task.reward(part := measured.up_to(step)) > bar:
            measured = part
            break
    whole = measured.steps[-1] == task.recorded.rungs[-1]
    rung = measured.rung()
    return SimpleNamespace(
        outcome="done", reason="", performance=rung.performance, guidance=measured.guidance(),
        reward=task.reward(measured) if whole else None, measurement=measured, n_parameters=1,
        examples=rung.examples,
    )  # fmt: skip


@dataclass(frozen=True)
class Found:
    """Result of one search."""

    winner: int
    examples: int
    stopped: Counter[int]  # by the rung at which
    barred: frozenset[int]  # rungs that had a bar at all


def train_all(recorded: Recorded, options: Any, seed: int) -> Found:
    """Return what a search of a list finds that trains every candidate to the end."""
    controller = make_controller(recorded, options, seed)
    rows = [recorded.find(one) for one in controller.ask(options.candidates)]
    best = max(rows, key=lambda row: recorded.rewards[row, -1])  # the first of equals
    examples = sum(recorded.measured[row].rung().examples for row in rows)
    return Found(best, examples, Counter(), frozenset())


def make_controller(recorded: Recorded, options: Any, seed: int) -> Controller:
    """Return a new controller."""
    if options.controller != "list":
        return CONTROLLERS[options.controller](recorded.space, seed=seed)
    return ListSearch(recorded.space, seed=seed, architectures=recorded.architectures, shuffle=True)


def search(recorded: Recorded, keep: float | None, options: Any, seed: int) -> Found:
    """Search once; the run is thrown away."""
    controller = make_controller(recorded, options, seed)
    with tempfile.TemporaryDirectory() as folder:
        run_search(
            controller, Stopping(recorded, keep), candidates=options.candidates,
            out=folder, schedule=Schedule(Batch(options.batch)), evaluate=evaluate,
        )  # fmt: skip
        with Journal.read(folder) as journal:
            results, asked = journal.results(), journal.payloads("ask")
    own = [r for r in results if r.duplicate_of is None]
    ended = [r for r in own if r.reason != STOPPED]
    best = max(ended, key=lambda r: (r.reward, -r.candidate))
    return Found(
        recorded.find(Architecture.from_json(best.architecture)),
        sum(r.examples or 0 for r in own),
        Counter(r.measurement.steps[-1] for r in own if r.reason == STOPPED),
        frozenset(int(step) for payload in asked for step, _ in payload.get("bars", ())),
    )


def make_run(out: Path, sign: float) -> None:
    """Write a made-up search of 132 candidates."""
    rungs = (25, 50, 100, 200)

    def show(architecture: Architecture, task: Any, *, seed: int) -> SimpleNamespace:
        draw = np.random.default_rng(int(architecture.key[:8], 16))
        quality, noise = draw.normal(), draw.normal(size=4)
        values = [
            0.3 + 0.1 * k + 0.05 * (quality * (sign if step < 200 else 1) + noise[k] / (1 + k))
            for k, step in enumerate(rungs)
        ]
        measured = Measurement(
            (), tuple(Rung(s, v, examples=128 * s) for s, v in zip(rungs, values, strict=True))
        )
        return SimpleNamespace(
            outcome="done", reason="", performance=values[-1], guidance=None, reward=values[-1],
            measurement=measured, n_parameters=1, examples=128 * rungs[-1],
        )  # fmt: skip

    task = SimpleNamespace(describe=lambda: {"made up, sign": sign})
    run_search(RandomSearch(small_space(6), seed=0), task, candidates=132, out=out, evaluate=show)


def say_rungs(recorded: Recorded) -> None:
    """Print whether rewards at each rung go with those at the last."""
    last = recorded.rewards[:, -1]
    for column, step in enumerate(recorded.rungs[:-1]):
        early = recorded.rewards[:, column]
        r = float(spearmanr(early, last)[0])
        print(f"rung {step}: rank correlation of its reward with the last rung's {r:+.2f}, "
              f"with the score {float(spearmanr(early, recorded.score)[0]):+.2f}")  # fmt: skip


def main() -> None:
    """Print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path, nargs="?", help="folder of a run with rungs")
    parser.add_argument("--made", type=Path, help="folder for a made-up run")
    parser.add_argument("--sign", type=float, default=1.0)
    parser.add_argument("--mature", help="finalists, or TABLE.csv:COLUMN; default: P at the end")
    parser.add_argument("--architecture", metavar="COL", help="of the table, e.g. ops")
    parser.add_argument("--reward", default="P", help="as of `brainguided replay`, without rungs")
    parser.add_argument("--keep", type=float, default=0.33)
    parser.add_argument("--candidates", type=int, help="default: as many as RUN has")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--controller", default="list", choices=["list", *sorted(CONTROLLERS)])
    parser.add_argument("--seeds", type=int, default=200)
    options = parser.parse_args()
    if (options.run is None) == (options.made is None):
        parser.error("give RUN or --made FOLDER")
    if options.made is not None:
        make_run(options.made, options.sign)
    recorded = Recorded(
        options.made or options.run, parse_reward(options.reward), options.mature,
        options.architecture,
    )  # fmt: skip
    options.candidates = options.candidates or len(recorded.measured)
    print(f"{len(recorded.measured)} candidates, rungs {recorded.rungs}, reward {options.reward}")
    say_rungs(recorded)
    lost, share, same = [], [], 0
    stopped: Counter[int] = Counter()
    barred: Counter[int] = Counter()
    for seed in range(options.seeds):
        early = search(recorded, options.keep, options, seed)
        if options.controller == "list":
            full = train_all(recorded, options, seed)
        else:
            full = search(recorded, None, options, seed)
        lost.append(float(recorded.score[full.winner] - recorded.score[early.winner]))
        share.append(early.examples / full.examples)
        same += full.winner == early.winner
        stopped += early.stopped
        barred.update(early.barred)
    n = options.seeds
    half = students_t.ppf(0.975, n - 1) * np.std(lost, ddof=1) / np.sqrt(n) if n > 1 else np.nan
    for step in recorded.rungs[:-1]:
        print(f"rung {step}: stopped somebody or could in {barred[step]} of {n} searches, "
              f"{stopped[step] / n:.1f} of {options.candidates} candidates a search")  # fmt: skip
    print(
        f"{options.controller}, {options.candidates} candidates, keep {options.keep:g}, {n} seeds: "
        f"{np.mean(share):.2f} of the training images; the network found is worse by "
        f"{np.mean(lost):.3f} ({np.mean(lost) - half:.3f} to {np.mean(lost) + half:.3f}) in the "
        f"mean, {np.median(lost):.3f} in the median; the same one in {same}"
    )


if __name__ == "__main__":
    main()
