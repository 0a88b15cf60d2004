"""Are untrained networks that were evolved to predict an area better than random ones?

    python benchmarks/untrained_search.py --recording v4.nc --stimuli v4_images.nc --workers 2
    python benchmarks/untrained_search.py --candidates 40 --random 40 --filters 8 16

The question of Kuhn, Saba-Sadiya & Roig (2025, arXiv 2502.11141), put to sites of a macaque, or to
a simulated one where no recording is named, with what they did not have: images that the search did
not use, and random networks of the same space within the same limits beside its winner.

Evolution by mutation and crossover; nothing is trained; the reward is the ridge predictivity of the
best layer, mean over three seeds of the weights. Then the winner and the random networks are given
three other seeds. Of each network the layer that predicts the images of the search best is asked
how well it predicts each site on the other images (whole objects apart, where they are known).

Printed are the share of random networks that the winner exceeds in the mean over sites, with its
exact binomial interval over networks, and by how much it is above their mean, with the interval of
a bootstrap over sites and over random networks. Both are of one search and one division of images.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import xarray as xr
from scipy.stats import binomtest

from brainguided import (
    Limits,
    Preprocessing,
    RegularizedEvolution,
    Schedule,
    Task,
    Teacher,
    Training,
    WeightedReward,
    build_network,
    evaluate,
    images_from_stimuli,
    local_pool,
    run_search,
)
from brainguided.architectures import Architecture
from brainguided.correspondence import compute_layer_predictivity
from brainguided.search.orders import Again
from brainguided.spaces import SearchSpace, kuhn2025_space
from neural_data import load_recording, load_stimuli, simulate_macaque, simulate_objects

SEEDS = 3
FOLDS = 5
DRAWS = 2000
TRIES = 1000  # to draw one random network


def divide(recording: xr.Dataset, share: float, seed: int) -> tuple[list[str], list[str]]:
    """Return the stimuli of the search and the others, whole objects on one side."""
    named = "object_name" in recording.coords
    groups = recording["object_name" if named else "stimulus"].values.astype(str)
    names = np.random.default_rng((seed, 1)).permutation(np.unique(groups))
    out = np.isin(groups, names[: max(1, round(share * len(names)))])
    stimuli = recording["stimulus"].values.astype(str)
    return stimuli[~out].tolist(), stimuli[out].tolist()


def make_task(recording: xr.Dataset, stimuli: xr.Dataset, area: str, size: int) -> Task:
    """Return the task of predicting an area, whose images to classify do not matter."""
    teacher = Teacher.from_recording(recording, stimuli, areas=area).with_similarity("ridge")
    pictures = [simulate_objects(1, size=size, variation=(0,), seed=seed) for seed in (1, 2)]
    return Task(
        images_from_stimuli(*pictures),
        teacher,
        Training(steps=0, batch_size=32),
        WeightedReward({area: 1.0}),
        batch_norm="running",  # the network as it is drawn, which is scored below
        seeds=SEEDS,
    )


class Judge:
    """Predictivity of networks on images that the search did not use, with seeds of their own."""

    def __init__(self, task: Task, area: str, recording: xr.Dataset, stimuli: xr.Dataset) -> None:
        self.task, self.area = task, area
        self.recording = recording.isel(site=np.flatnonzero(recording["area"].values == area))
        self.stimuli = stimuli

    def score(self, architecture: Architecture, seed: int) -> np.ndarray:
        """Return the correlation of predictions and responses (site,), mean over seeds."""
        shown = evaluate(architecture, self.task, seed=seed)
        layer = shown.best_layers[self.area]
        found = [
            compute_layer_predictivity(
                build_network(architecture, n_classes=8, seed=seed + k),
                self.stimuli,
                self.recording,
                layers=[layer],
                preprocessing=Preprocessing(size=self.task.images.image_size),
                folds=FOLDS,
            )["correlation"].values[0]
            for k in range(1, SEEDS + 1)
        ]
        return np.mean(found, axis=0)


def draw_random(
    space: SearchSpace, limits: Limits, number: int, seed: int, without: str
) -> list[Architecture]:
    """Return different random networks within the limits, none of them the winner."""
    generator = np.random.default_rng((seed, 2))
    found: dict[str, Architecture] = {}
    for _ in range(TRIES * number):
        one = space.sample(generator)
        if limits.admit(one) and one.key != without:
            found[one.key] = one
        if len(found) == number:
            return list(found.values())
    raise ValueError(
        f"Among {TRIES * number} random networks {len(found)} are different, within the limits and "
        f"not the winner; expected {number}. Ask for fewer (--random), or allow more (--filters, "
        "--max-depth, --max-multiply-adds)."
    )


def compare(winner: np.ndarray, others: np.ndarray, seed: int) -> dict[str, float]:
    """Return how a network stands among random ones (network, site), with 95 % intervals."""
    below = int((others.mean(1) < winner.mean()).sum())
    exact = binomtest(below, len(others)).proportion_ci()
    generator = np.random.default_rng((seed, 3))
    differences = []
    for _ in range(DRAWS):
        sites = generator.integers(len(winner), size=len(winner))
        networks = generator.integers(len(others), size=len(others))
        differences.append(winner[sites].mean() - others[np.ix_(networks, sites)].mean())
    low, high = np.quantile(differences, [0.025, 0.975])
    return {
        "share": below / len(others), "share_low": exact.low, "share_high": exact.high,
        "winner": winner.mean(), "random": others.mean(), "best": others.mean(1).max(),
        "above": winner.mean() - others.mean(), "above_low": low, "above_high": high,
    }  # fmt: skip


def run(
    recording: xr.Dataset, stimuli: xr.Dataset, area: str, given: argparse.Namespace
) -> dict[str, float]:
    """Search, and compare the winner with random networks on the other images."""
    used, others = divide(recording, given.share, given.seed)
    parts = [
        (recording.sel(stimulus=names), stimuli.sel(stimulus=names)) for names in (used, others)
    ]
    task = make_task(*parts[0], area, given.size)
    space = kuhn2025_space(given.max_depth, filters=tuple(given.filters))
    limits = Limits(max_multiply_adds=given.max_multiply_adds, n_classes=8, image_size=given.size)
    controller = RegularizedEvolution(space, seed=given.seed, limits=limits, crossover=0.5)
    with (
        tempfile.TemporaryDirectory() as scratch,
        local_pool(given.workers) if given.workers else nullcontext() as pool,
    ):
        out = Path(scratch) if given.out is None else given.out
        found = run_search(
            controller, task, candidates=given.candidates, out=out, executor=pool,
            schedule=Schedule(again=Again(confirm=0, repeat=0)),
        )  # fmt: skip
    best = int(np.nanargmax(np.where(found["outcome"] == "done", found["reward"], np.nan)))
    winner = Architecture.from_json(str(found["architecture"].values[best]))
    judge = Judge(task, area, *parts[1])
    base = 10_000 * (given.seed + 1)  # of weights that the search did not have
    drawn = draw_random(space, limits, given.random, given.seed, winner.key)
    scores = np.array([judge.score(one, base + 10 * k) for k, one in enumerate(drawn, 1)])
    said = compare(judge.score(winner, base), scores, given.seed)
    print(
        f"{len(used)} images searched on, {len(others)} others, {scores.shape[1]} sites of {area}"
    )
    print(f"winner: {winner.to_json()}")
    print(
        "predictivity (Pearson r) on the other images: winner {winner:.3f}, random networks "
        "{random:.3f}, the best of them {best:.3f}".format(**said)
    )
    print(
        "the winner exceeds {share:.0%} of the random networks ({share_low:.0%} to "
        "{share_high:.0%}), and their mean by {above:.3f} ({above_low:.3f} to "
        "{above_high:.3f})".format(**said)
    )
    return said


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the settings."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--recording", type=Path, help="default: a simulated macaque")
    parser.add_argument("--stimuli", type=Path)
    parser.add_argument("--area", default="V4")
    parser.add_argument("--candidates", type=int, default=120)
    parser.add_argument("--random", type=int, default=60)
    parser.add_argument("--filters", type=int, nargs="+", default=[64, 128, 256, 512])
    parser.add_argument("--max-depth", type=int, default=10)
    parser.add_argument("--max-multiply-adds", type=int, default=500_000_000)
    parser.add_argument("--size", type=int, default=32, help="pixels, 32 or more")
    parser.add_argument("--share", type=float, default=0.5, help="of images, not searched on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--out", type=Path, help="run folder, which resumes")
    given = parser.parse_args(arguments)
    if (given.recording is None) != (given.stimuli is None):
        parser.error("--recording and --stimuli belong together")
    return given


def main() -> None:
    given = parse()
    if given.recording is None:
        recording, stimuli = simulate_macaque(seed=given.seed)
    else:
        recording, stimuli = load_recording(given.recording), load_stimuli(given.stimuli)
    run(recording, stimuli, given.area, given)


if __name__ == "__main__":
    main()
