"""Which controller finds the best architectures, and does any unlearn what it had found?

    python benchmarks/controllers.py table nasbench201_cifar10.csv.gz --reward c10_val_12
    python benchmarks/controllers.py budget nasbench201_cifar10.csv.gz --reward c10_val_12 \
        --cost c10_cost_12 --score c10_test_200 --controller predictor evolution random
    python benchmarks/controllers.py forgets nasbench201_cifar10.csv.gz --reward c10_val_12
    python benchmarks/controllers.py planted
    python benchmarks/controllers.py searches

`table` searches NAS-Bench-201 (a CSV file with a row an architecture; not part of this package) in
rounds of 8, as searches do by default, and prints the best reward found at some numbers of
candidates. `budget` searches it one candidate after the other until a cost is spent, and prints the
score of the best found, with the 95 % interval of the mean, and by how much that of the first
controller exceeds it on the same seeds. `forgets` goes in rounds again, with repetitions allowed,
and counts the seeds whose last six rounds are in the mean more than 5 below their best round.
`planted` takes three rewards of `planted_reward.py`, as deviations of 2,000 random draws.
`searches` trains candidates: two small tasks, the same measurement for the same architecture
whichever controller asked. Every line is a controller with its default settings, and, but in
`budget`, the mean over seeds with the standard error; `planted` and `searches` say by how much it
is above random search on the same seeds, with the 95 % interval. What `--keep` has is not done
again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from planted_reward import REWARDS
from scipy.stats import t as students_t
from sklearn.datasets import load_digits

from brainguided.architectures import Architecture
from brainguided.candidates import ImageSet, Task, Training, evaluate, images_from_stimuli
from brainguided.controllers import Controller
from brainguided.guidance import Teacher
from brainguided.replays import load_table, replay_search
from brainguided.settings.presets import CONTROLLERS
from brainguided.spaces import PlainSpace, SearchSpace, nasbench201_space, zoph2017_space
from neural_data import simulate_macaque, simulate_objects

ROUND = 8
DROP = 5.0  # below the best round, in points of accuracy
LAST = 6  # rounds at the end
PLANTED = ("additive", "interaction", "same_in_all_layers")

# First what others are compared with, and none that learns nothing or of several objectives alone
OTHERS = ("random", "list", "motpe", "nsga2")
NAMES = ["random", *(name for name in CONTROLLERS if name not in OTHERS)]

Reward = Callable[[Architecture], float]


def recall(
    options: argparse.Namespace, key: list[str | int], measure: Callable[[], list[float]]
) -> list[float]:
    """Return the row of numbers that --keep has, or else measure it and keep it.

    Of a table its bytes are part of what was measured, wherever the file lies.
    """
    text = json.dumps([options.verb, *([options.table] if options.table else []), *key])
    if text not in options.kept:
        options.kept[text] = measure()
        if options.keep is not None:
            with options.keep.open("a") as file:
                print(json.dumps([text, options.kept[text]]), file=file)
    row: list[float] = options.kept[text]
    return row


def read_kept(path: Path) -> dict[str, list[float]]:
    """Return what --keep has; a last line that was not written whole is removed from the file."""
    whole, _, cut = path.read_text().rpartition("\n")
    if cut:
        path.write_text(f"{whole}\n" if whole else "")
    kept = {}
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            text, row = json.loads(line)
            kept[text] = [float(value) for value in row]
        except (ValueError, TypeError) as cause:
            raise SystemExit(f"{path}, line {number} is no row that was kept ({cause}).") from cause
    return kept


def run_rounds(controller: Controller, reward: Reward, candidates: int) -> np.ndarray:
    """Return the rewards of all candidates, in the order they were proposed."""
    rewards: list[float] = []
    while len(rewards) < candidates:
        proposals = controller.ask(min(ROUND, candidates - len(rewards)))
        if not proposals:  # the space is used up
            break
        told = [reward(proposal) for proposal in proposals]
        controller.tell(proposals, told)
        rewards += told
    return np.array(rewards)


def best_at(rewards: np.ndarray, marks: list[int]) -> list[float]:
    """Return the highest reward among the first so many candidates."""
    return [float(rewards[:mark].max()) for mark in marks]


def describe(values: np.ndarray, digits: int) -> str:
    """Return means and standard errors (seed, mark) as text."""
    errors = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    pairs = zip(values.mean(axis=0), errors, strict=True)
    return "  ".join(f"{mean:>8.{digits}f} ({error:.{digits}f})" for mean, error in pairs)


def half_width(values: np.ndarray) -> np.ndarray:
    """Return half the 95 % interval of means over the first axis."""
    n = len(values)
    width: np.ndarray = students_t.ppf(0.975, n - 1) * values.std(axis=0, ddof=1) / np.sqrt(n)
    return width


def compare(found: dict[str, np.ndarray], name: str, digits: int) -> str:
    """Return what a controller found, and by how much that is above random search, as text."""
    line = f"{name:<11} {describe(found[name], digits)}"
    if name == "random" or "random" not in found:
        return line
    above = found[name] - found["random"]
    pairs = zip(above.mean(axis=0), half_width(above), strict=True)
    return f"{line}; above random by " + "  ".join(
        f"{mean:.{digits}f} +- {width:.{digits}f}" for mean, width in pairs
    )


def read_rewards(options: argparse.Namespace) -> tuple[SearchSpace, Reward]:
    """Return the space of the table and the reward of each architecture."""
    space = nasbench201_space()
    column = options.reward
    table = load_table(
        options.path, space, architecture="ops", reward=column, cost=column, score=column
    )
    value = dict(zip(map(tuple, table.actions.tolist()), table.reward.tolist(), strict=True))
    return space, lambda architecture: value[space.encode(architecture)]


def search_table(options: argparse.Namespace) -> None:
    space, reward = read_rewards(options)
    highest = max(reward(space.decode(actions)) for actions in np.ndindex(5, 5, 5, 5, 5, 5))
    print(f"NAS-Bench-201, {options.reward}, best {highest}")
    print(f"controller   seeds, best at {options.marks}, seeds that found the optimum, s a seed")
    for name in options.controller:

        def search(seed: int, name: str = name) -> list[float]:
            start = time.process_time()
            rewards = run_rounds(CONTROLLERS[name](space, seed=seed), reward, max(options.marks))
            return [*best_at(rewards, options.marks), time.process_time() - start]

        until = time.monotonic() + 60 * options.minutes
        rows: list[list[float]] = []
        while len(rows) < options.seeds and (len(rows) < 2 or time.monotonic() < until):
            seed = len(rows)
            key = [options.reward, *options.marks, name, seed]
            rows.append(recall(options, key, partial(search, seed)))
        found = np.array(rows)
        optimum = int((found[:, -2] >= highest).sum())
        means = describe(found[:, :-1], 3)
        print(
            f"{name:<11} {len(rows):>3} {means} {optimum:>4} {found[:, -1].mean():>7.1f}",
            flush=True,
        )


def spend_budget(options: argparse.Namespace) -> None:
    table = load_table(
        options.path,
        nasbench201_space(),
        architecture="ops",
        reward=options.reward,
        cost=options.cost,
        score=options.score,
    )

    def search(name: str, seed: int) -> list[float]:
        start = time.process_time()
        controller = CONTROLLERS[name](table.space, seed=seed)
        found = replay_search(controller, table, budget=options.budget)
        return [float(found.incumbent[-1]), time.process_time() - start]

    until = time.monotonic() + 60 * options.minutes
    rows: list[list[list[float]]] = []
    columns = [options.reward, options.cost, options.score, options.budget]
    while len(rows) < options.seeds and (len(rows) < 2 or time.monotonic() < until):
        seed = len(rows)
        rows.append(
            [
                recall(options, [*columns, name, seed], partial(search, name, seed))
                for name in options.controller
            ]
        )
    scores, took = np.moveaxis(np.array(rows), -1, 0)
    print(
        f"{options.reward}, {options.score} of the best for {options.budget:g}, {len(rows)} seeds"
    )
    for place, name in enumerate(options.controller):
        own, less = scores[:, place], scores[:, 0] - scores[:, place]
        print(
            f"{name:<11} {own.mean():.3f} +- {half_width(own):.3f}, at the highest "
            f"{int((own >= table.score.max()).sum())}; {options.controller[0]} is above by "
            f"{less.mean():.3f} +- {half_width(less):.3f}; {took[:, place].mean():.2f} s a seed",
            flush=True,
        )


def count_forgetful(options: argparse.Namespace) -> None:
    space, reward = read_rewards(options)
    print(f"NAS-Bench-201, {options.reward}, repetitions allowed; {options.seeds} seeds")
    print("controller   seeds that end low, worst drop, mean of the last rounds, networks")
    for name in options.controller:
        drops, ends, networks = [], [], []
        for seed in range(options.seeds):
            met: set[str] = set()

            def count(architecture: Architecture, met: set[str] = met) -> float:
                met.add(architecture.canonical_key)
                return reward(architecture)

            controller = CONTROLLERS[name](space, seed=seed, unique=False)
            means = run_rounds(controller, count, max(options.marks)).reshape(-1, ROUND).mean(1)
            ends.append(means[-LAST:].mean())
            drops.append(means.max() - ends[-1])
            networks.append(len(met))
        low = int((np.array(drops) > DROP).sum())
        means = f"{np.mean(ends):>7.2f} {np.mean(networks):>6.0f}"
        print(f"{name:<11} {low:>3} {max(drops):>7.2f} {means}", flush=True)


def search_planted(options: argparse.Namespace) -> None:
    space = zoph2017_space(10)

    def search(kind: str, name: str, seed: int) -> list[float]:
        start = time.process_time()
        reward = REWARDS[kind](space, seed)
        generator = np.random.default_rng((7, seed))
        drawn = [reward(space.sample(generator)) for _ in range(2000)]
        rewards = run_rounds(CONTROLLERS[name](space, seed=seed), reward, max(options.marks))
        best = (np.array(best_at(rewards, options.marks)) - np.mean(drawn)) / np.std(drawn)
        return [*best.tolist(), time.process_time() - start]

    print(f"planted rewards in {space.name}, deviations of random draws; {options.seeds} seeds")
    for kind in options.kind:
        print(f"{kind}: best at {options.marks}")
        found: dict[str, np.ndarray] = {}
        for name in options.controller:
            rows = []
            for seed in range(options.seeds):
                key = [kind, *options.marks, name, seed]
                rows.append(recall(options, key, partial(search, kind, name, seed)))
            found[name] = np.array(rows)[:, :-1]
            seconds = np.mean([row[-1] for row in rows])
            print(f"{compare(found, name, 2)}; {seconds:.1f} s a seed", flush=True)


def make_space(strides: tuple[int, ...]) -> SearchSpace:
    """Return plain networks of one or two layers: 342 with one stride, 1,332 with two."""
    return PlainSpace(
        "two layers", 2, (1, 3, 5), (3,), (4, 8, 16), strides=strides, pools=("none", "max")
    )


def make_trained() -> tuple[SearchSpace, Task]:
    """Return networks that are trained for 20 steps to tell handwritten digits: reward P."""
    digits = load_digits()  # of 8 x 8 pixels
    grey = np.repeat((digits.images * 15).astype(np.uint8)[..., None], 3, -1)
    labels = digits.target.astype(np.int64)
    names = tuple("0123456789")
    images = ImageSet(grey[:500], labels[:500], grey[500:800], labels[500:800], names, "digits")
    task = Task(images, None, Training(steps=20, batch_size=16, augment=False))
    return make_space((1,)), task


def make_untrained() -> tuple[SearchSpace, Task]:
    """Return networks of random weights beside simulated V4 and IT: reward P + TG."""
    recording, stimuli = simulate_macaque(simulate_objects(2, seed=0), seed=0)
    teacher = Teacher.from_recording(recording, stimuli, by="object_name")
    images = images_from_stimuli(simulate_objects(2, seed=1), simulate_objects(1, seed=2))
    return make_space((1, 2)), Task(images, teacher, Training(steps=0))


TASKS = {"trained": make_trained, "untrained": make_untrained}


def measure(architecture: Architecture, task: Task) -> list[float]:
    """Return the reward of an architecture, 0 for a failure, and the seconds that it took."""
    found = evaluate(architecture, task, seed=0)
    return [0.0 if found.reward is None else found.reward, found.seconds]


def search_real(options: argparse.Namespace) -> None:
    """Search with candidates that are built and measured, each architecture once."""
    for kind in options.task:
        space, task = TASKS[kind]()
        known: dict[str, list[float]] = {}

        def reward(
            architecture: Architecture,
            kind: str = kind,
            task: Task = task,
            known: dict[str, list[float]] = known,
        ) -> float:
            key = architecture.canonical_key
            known[key] = recall(options, [kind, key], partial(measure, architecture, task))
            return known[key][0]

        seeds = range(options.seeds)
        print(f"{kind}: best at {options.marks}; {len(seeds)} seeds")
        found: dict[str, np.ndarray] = {}
        for name in options.controller:
            searches = [
                run_rounds(CONTROLLERS[name](space, seed=seed), reward, max(options.marks))
                for seed in seeds
            ]
            found[name] = np.array([best_at(rewards, options.marks) for rewards in searches])
            print(compare(found, name, 3), flush=True)
        rewards, seconds = np.array(list(known.values())).T
        print(
            f"{len(known)} networks measured in {seconds.sum():.0f} s, rewards "
            f"{rewards.mean():.3f} (sd {rewards.std():.3f}), at most {rewards.max():.3f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    verbs = parser.add_subparsers(required=True, metavar="WHAT", dest="verb")
    for run, name, marks, seeds in (
        (search_table, "table", [60, 250, 1000], 50),
        (spend_budget, "budget", [], 500),
        (count_forgetful, "forgets", [1000], 50),
        (search_planted, "planted", [60, 250, 1000], 20),
        (search_real, "searches", [60, 300], 10),
    ):
        verb = verbs.add_parser(name)
        verb.set_defaults(run=run)
        if run is spend_budget:
            verb.add_argument("--cost", required=True, help="column of what an evaluation costs")
            verb.add_argument("--score", required=True, help="column by which the best is judged")
            verb.add_argument("--budget", type=float, default=12_000)
        if run in (search_table, spend_budget):
            verb.add_argument("--minutes", type=float, default=np.inf, help="begin no seed after")
        if run in (search_table, spend_budget, count_forgetful):
            verb.add_argument("path", help="CSV file with a column 'ops'")
            verb.add_argument("--reward", required=True, help="column of the reward")
        if run is search_planted:
            verb.add_argument("--kind", choices=REWARDS, nargs="+", default=list(PLANTED))
        if run is search_real:
            verb.add_argument("--task", choices=TASKS, nargs="+", default=list(TASKS))
        verb.add_argument("--seeds", type=int, default=seeds)
        verb.add_argument("--marks", type=int, nargs="+", default=marks, help="candidates")
        verb.add_argument("--controller", choices=NAMES, nargs="+", default=NAMES)
        if run is not count_forgetful:
            verb.add_argument("--keep", type=Path, help="file of what was measured, to go on from")
    options = parser.parse_args()
    keep, path = getattr(options, "keep", None), getattr(options, "path", None)
    options.kept = read_kept(keep) if keep is not None and keep.exists() else {}
    options.table = hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16] if path else ""
    options.run(options)


if __name__ == "__main__":
    main()
