"""What the brain costs: evaluating P + TG against evaluating P alone, in one process, in turns.

    python benchmarks/guidance_cost.py [--steps 200] [--stimuli 500] [--repeats 5]

Prints, for several architectures, the median seconds of both and the median of the ratios.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import replace

import numpy as np

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--stimuli", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    both = make_task(options.stimuli, options.steps)
    alone = replace(both, teacher=None)
    ten_layers = tuple(ConvLayer(3, 3, 24, stride=2 if k in (3, 6) else 1) for k in range(10))
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
