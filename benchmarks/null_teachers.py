"""Is the committed similarity free of the bias that grows with depth? Shuffled teachers tell.

    python benchmarks/null_teachers.py [--networks 200] [--shuffles 20] [--steps 50] [--images 5]

Random plain networks of depth 1 to 10 are trained for a short time. TG, whose layer is chosen and
scored on the same conditions, and committed TG are measured for the simulated macaque and for
shuffled copies of it, of which nothing can be learnt. Prints the means of both over shuffles, their
rank correlations with depth, with intervals over networks and shuffles (all networks meet the same
ones), and by how many standard deviations of shuffles the real teacher exceeds them. Then the
macaque's own network is shown to 100 macaques: how often the layer that guides is the layer that
the sites come from.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from committed_layers import MacaqueNetwork
from scipy.stats import spearmanr

from brainguided import (
    ConvLayer,
    PlainArchitecture,
    Task,
    Teacher,
    Training,
    images_from_stimuli,
    train_candidate,
)
from brainguided.guidance.controls import shuffled_control
from brainguided.guidance.scoring import Scorer, Scores
from brainguided.networks.preprocessing import Preprocessing
from neural_data import simulate_macaque, simulate_objects

DEEPEST = 10


def draw_network(number: int) -> PlainArchitecture:
    """Return a random plain network; depths 1 to 10 are equally frequent."""
    generator = np.random.default_rng([7, number])
    layers = []
    strides = 0
    for _ in range(1 + number % DEEPEST):
        stride = int(strides < 3 and generator.random() < 0.4) + 1
        strides += stride == 2
        kernel, filters = int(generator.choice((3, 5))), int(generator.choice((8, 12, 16)))
        layers.append(ConvLayer(kernel, kernel, filters, stride=stride))
    return PlainArchitecture(tuple(layers))


def mean_guidance(scores: Scores, areas: tuple[str, ...]) -> dict[str, list[float]]:
    """Return TG and committed TG, first of the teacher, then of each shuffle."""
    best = [[max(v for v in scores.similarity[a].values() if v is not None) for a in areas]]
    committed = [[scores.committed[a] for a in areas]]
    for k in range(len(scores.shuffles[areas[0]]["best"])):
        best.append([scores.shuffles[a]["best"][k] for a in areas])
        committed.append([scores.shuffles[a]["committed"][k] for a in areas])
    return {
        "best": np.mean(best, axis=1).tolist(), "committed": np.mean(committed, axis=1).tolist()
    }  # fmt: skip


def describe(name: str, depth: np.ndarray, values: np.ndarray) -> None:
    """Print a score (network, teacher) whose first teacher is the real one."""
    generator = np.random.default_rng(0)
    shuffles = values[:, 1:]  # the same for all networks, so that they are drawn again as well
    null = shuffles.mean(1)
    means, rho = [], []
    for _ in range(2000):
        d = generator.integers(len(depth), size=len(depth))
        drawn = shuffles[np.ix_(d, generator.integers(shuffles.shape[1], size=shuffles.shape[1]))]
        means.append(drawn.mean())
        rho.append(spearmanr(depth[d], drawn.mean(1)).statistic)
    low, high = np.quantile(means, (0.025, 0.975))
    of_depth = np.quantile(rho, (0.025, 0.975))
    over_networks = values.mean(0)
    exceeds = (over_networks[0] - over_networks[1:].mean()) / over_networks[1:].std(ddof=1)
    print(f"{name}: shuffled teachers {null.mean():+.4f} ({low:+.4f} to {high:+.4f})")
    print(
        f"  its rank correlation with depth {spearmanr(depth, null).statistic:+.3f} "
        f"({of_depth[0]:+.3f} to {of_depth[1]:+.3f})"
    )
    print(f"  the macaque {over_networks[0]:+.3f}, {exceeds:.1f} sd of shuffles above", flush=True)


def count_origins(seeds: int) -> int:
    """Return for how many macaques both areas' best layers are those of origin."""
    network, right = MacaqueNetwork().eval(), 0
    for seed in range(seeds):
        recording, stimuli = simulate_macaque(simulate_objects(4, seed=seed), seed=seed)
        scores = Scorer(Teacher.from_recording(recording, stimuli), splits=0).score(
            network, preprocessing=Preprocessing(mean=(0, 0, 0), std=(255, 255, 255))
        )
        good = True
        for area in ("V4", "IT"):
            values = scores.similarity[area]
            best = max(values, key=lambda layer: values[layer] or -1.0)
            origin = recording["origin"].values[recording["area"].values == area][0]
            good &= best == str(origin)
        right += good
    return right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=200)
    parser.add_argument("--shuffles", type=int, default=20)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--images", type=int, default=5, help="of each of 64 objects")
    parser.add_argument("--macaques", type=int, default=100)
    parser.add_argument("--out", type=Path, help="JSON lines, one a network, as they are done")
    options = parser.parse_args()
    torch.set_num_threads(1)
    recording, stimuli = simulate_macaque(simulate_objects(options.images, seed=0), seed=0)
    teacher = Teacher.from_recording(recording, stimuli)
    controls = [shuffled_control(teacher, a, number=options.shuffles) for a in teacher.areas]
    scorer = Scorer(teacher, controls)
    images = images_from_stimuli(simulate_objects(30, seed=1), simulate_objects(5, seed=2))
    task = Task(images, None, Training(steps=options.steps, batch_size=32))
    rows = []
    for number in range(options.networks):
        architecture = draw_network(number)
        network = train_candidate(architecture, task, seed=number).eval()
        rows.append(mean_guidance(scorer.score(network), teacher.areas))
        if options.out is not None:
            with options.out.open("a") as file:
                file.write(json.dumps({"depth": 1 + number % DEEPEST, **rows[-1]}) + "\n")
    depth = np.array([1 + k % DEEPEST for k in range(options.networks)])
    for name, key in (("TG", "best"), ("committed TG", "committed")):
        describe(name, depth, np.array([row[key] for row in rows]))
    if options.macaques:
        found = count_origins(options.macaques)
        print(f"{found} of {options.macaques} macaques: the layers of origin win in both areas")


if __name__ == "__main__":
    main()
