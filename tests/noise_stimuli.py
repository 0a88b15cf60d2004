"""Images of noise."""

from __future__ import annotations

import numpy as np

from neural_data.model.stimuli import stimuli_from_arrays


def make_stimuli(n: int = 24, size: int = 32, seed: int = 0):
    images = np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    return stimuli_from_arrays(
        images,
        stimulus=[f"im{k}" for k in range(n)],
        source="noise",
        object_name=[f"object{k % 6}" for k in range(n)],
    )
