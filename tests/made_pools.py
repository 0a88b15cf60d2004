"""Pools of made-up measurements with known relations."""

from __future__ import annotations

import numpy as np

from brainguided.architectures import Architecture
from brainguided.candidates.rivals import FREE, count_architecture
from brainguided.journal.measurement import Measurement, Rung
from brainguided.replays._out_of_fold import find_neighbours
from brainguided.replays.pools import Pool
from brainguided.spaces import small_space

RUNGS = (0, 50)
LAYERS = ("layer1", "layer2", "layer3")
CONTROLS = ("V4:categories", "V4:pixels")


def make_pool(
    n: int = 24,
    *,
    shuffles: int = 20,
    brain: float = 1.0,
    copies: dict[str, str] | None = None,
    seed: int = 0,
) -> Pool:
    """Make networks whose maturity goes with depth and a hidden quality.

    V4 sees the quality at rung 50 as far as `brain` says; its shuffles see depth alone. `copies`
    says which target is the same as which control.
    """
    generator = np.random.default_rng(seed)
    space = small_space(10)
    architectures: list[Architecture] = []
    while len(architectures) < n:
        drawn = space.sample(generator)
        if drawn.canonical_key not in {one.canonical_key for one in architectures}:
            architectures.append(drawn)
    free = [count_architecture(one, n_classes=8, image_size=32) for one in architectures]
    columns = {name: np.array([one[name] for one in free]) for name in FREE}
    depth = columns["depth"] / 10
    quality = generator.normal(size=n)
    measurements = []
    for k in range(n):
        rungs = []
        for step in RUNGS:
            seen = brain * quality[k] * (step > 0)
            table = {
                target: dict(zip(LAYERS, (0.2 * generator.normal(size=3)).tolist(), strict=True))
                for target in ("V4", "IT", *CONTROLS)
            }
            table["V4"]["layer2"] = 1 + 0.3 * seen + 0.1 * depth[k] + 0.1 * generator.normal()
            for target, control in (copies or {}).items():
                table[target] = dict(table[control])
            null = 0.3 * depth[k] + 0.2 * generator.normal(size=(2, 2, shuffles))
            rungs.append(
                Rung(
                    step,
                    performance=float(0.3 + 0.1 * quality[k] + 0.1 * generator.normal()),
                    cross_entropy=float(2 - 0.1 * quality[k] + 0.1 * generator.normal()),
                    examples=128 * step,
                    similarity=table,
                    committed={target: max(x.values()) - 0.1 for target, x in table.items()},
                    shuffles={
                        area: {"best": null[i, 0].tolist(), "committed": null[i, 1].tolist()}
                        for i, area in enumerate(("V4", "IT"))
                    },
                )
            )
        losses = tuple(2.3 - 0.01 * quality[k] * s for s in range(RUNGS[-1]))
        measurements.append(Measurement(("V4", "IT"), tuple(rungs), free[k], losses))
    counts = np.column_stack([columns[name] for name in FREE])
    return Pool(
        tuple(range(n)),
        tuple(measurements),
        90 + 2 * depth + quality + 0.2 * generator.normal(size=n),
        columns,
        find_neighbours([space.encode(one) for one in architectures], counts),
        "made up",
    )
