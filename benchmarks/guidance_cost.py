"""What the brain costs: evaluating P + TG against evaluating P alone, in one process, in turns.

    python benchmarks/guidance_cost.py [--steps 200] [--stimuli 500] [--repeats 5]
    python benchmarks/guidance_cost.py --controls 10 --steps 500

Prints, for several architectures, the median seconds of both and the median of the ratios. With
``--controls``, what 4 rungs cost at which two areas and so many controls with 20 shuffles each, and
committed similarity, are measured, beside one training of ten layers without any scoring: seconds
of the processor, which other work on the machine does not change much.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace

import numpy as np
import torch

from brainguided import (
    ConvLayer,
    PlainArchitecture,
    Task,
    Teacher,
    Training,
    evaluate,
    images_from_stimuli,
    small_space,
    zoph2017_space,
)
from brainguided.candidates.training import train_network
from brainguided.guidance.controls import shuffled_control
from brainguided.guidance.scoring import Scorer, Shuffles
from brainguided.networks.build import build_network
from brainguided.networks.preprocessing import Preprocessing
from neural_data import recording_from_arrays, simulate_objects


def make_task(n_stimuli: int, steps: int) -> Task:
    """Objects to classify, and two areas that share `n_stimuli` images."""
    stimuli = simulate_objects(10, seed=3).isel(stimulus=slice(0, n_stimuli))
    names = stimuli["stimulus"].values.tolist()
    recording = recording_from_arrays(
        np.random.default_rng(0).gamma(2.0, 5.0, (n_stimuli, 296)),
        stimulus=names,
        site=[f"site{k}" for k in range(296)],
        area=["V4"] * 128 + ["IT"] * 168,
        units="spikes/s",
        source="random numbers: their values do not change the cost",
    )
    return Task(
        images_from_stimuli(simulate_objects(60, seed=1), simulate_objects(15, seed=2)),
        Teacher.from_recording(recording, stimuli),
        Training(steps=steps),
    )


def score_controls(task: Task, number: int, layers: PlainArchitecture, repeats: int) -> None:
    """Print what scoring all targets costs, beside a training."""
    assert task.teacher is not None
    network = build_network(layers, n_classes=8, seed=0)
    areas = list(task.teacher)
    controls = [
        replace(areas[k % 2], area=f"{areas[k % 2].area}:{k}") for k in range(number)
    ]  # fmt: skip
    orders = shuffled_control(task.teacher, areas[0].area).orders
    shuffles = [Shuffles(t.area, t.area, orders) for t in (*areas, *controls)]
    inputs = Preprocessing(size=task.images.image_size)
    costs = {}
    for label, kept in (("none", []), ("all", controls)):
        names = [t.area for t in (*areas, *kept)]
        scorer = Scorer(task.teacher, [*kept, *(s for s in shuffles if s.target in names)])
        times = []
        for _ in range(repeats):
            started = time.process_time()
            scorer.score(network, preprocessing=inputs)
            times.append(time.process_time() - started)
        costs[label] = min(times)
    started = time.process_time()
    images = task.images
    steps = max(1, task.training.steps // 10)
    training = replace(task.training, steps=steps)
    train_network(network, images.train_images, images.train_labels, training=training, seed=0)
    trained = (time.process_time() - started) / steps * task.training.steps
    more = 4 * (costs["all"] - costs["none"]) / number
    print(
        f"training {trained:.1f} s ({steps} of {task.training.steps} steps timed); a rung "
        f"{costs['all']:.2f} s; with 4 rungs {1 + 4 * costs['all'] / trained:.3f} times the "
        f"training; each control {more / trained:.2%}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--stimuli", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--controls", type=int, default=0)
    options = parser.parse_args()
    both = make_task(options.stimuli, options.steps)
    alone = replace(both, teacher=None)
    ten_layers = tuple(ConvLayer(3, 3, 24, stride=2 if k in (3, 6) else 1) for k in range(10))
    if options.controls:
        torch.set_num_threads(1)
        score_controls(both, options.controls, PlainArchitecture(ten_layers), options.repeats)
        return
    candidates = {
        "ten layers of 24 filters": PlainArchitecture(ten_layers),
        "small space, sample 0": small_space(max_depth=10).sample(0),
        "small space, sample 1": small_space(max_depth=10).sample(1),
        "one layer, 8 filters": PlainArchitecture((ConvLayer(3, 3, 8),)),
        "zoph2017 space, strided, sample 3": zoph2017_space(10, strides=(1, 2, 3)).sample(3),
    }
    for name, architecture in candidates.items():
        times: dict[str, list[float]] = {"P + TG": [], "P": []}
        for _ in range(options.repeats):
            for label, task in (("P + TG", both), ("P", alone)):
                times[label].append(evaluate(architecture, task, seed=0).seconds)
        ratios = [a / b for a, b in zip(times["P + TG"], times["P"], strict=True)]
        print(
            f"{name}: P + TG {statistics.median(times['P + TG']):.2f} s, "
            f"P {statistics.median(times['P']):.2f} s, ratio {statistics.median(ratios):.3f} "
            f"({min(ratios):.3f} to {max(ratios):.3f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
