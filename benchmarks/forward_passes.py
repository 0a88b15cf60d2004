"""How often a wide network is run for the RDMs of its layers, in what time and memory.

    OMP_NUM_THREADS=2 python benchmarks/forward_passes.py [--stimuli 1200] [--memory 512]

EfficientNet-Lite0 (extra ``pretrained``) on images of noise: 4 MiB of activations for each of them.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import rsatoolbox.rdm  # noqa: F401  (its import takes seconds that are not of the passes)

from brainguided import Observation, compute_layer_rdms
from brainguided.pretrained import efficientnet_lite0
from neural_data import stimuli_from_arrays


def main() -> None:
    """Print images shown, seconds and the peak of the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stimuli", type=int, default=1200)
    parser.add_argument("--memory", type=float, default=512, help="MiB (%(default)g)")
    options = parser.parse_args()
    n = options.stimuli
    images = np.random.default_rng(0).integers(0, 256, (n, 96, 96, 3), dtype=np.uint8)
    stimuli = stimuli_from_arrays(images, stimulus=[f"im{k}" for k in range(n)], source="noise")
    network, shown_as = efficientnet_lite0()
    shown = []
    network.register_forward_pre_hook(lambda _module, inputs: shown.append(len(inputs[0])))
    start, busy = time.perf_counter(), time.process_time()
    rdms = compute_layer_rdms(
        network, stimuli, layers=Observation(memory=options.memory), preprocessing=shown_as
    )
    wall, busy = time.perf_counter() - start, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{rdms.n_rdm} layers, {n} images: {sum(shown)} images shown, {sum(shown) / n:.2f} passes"
    )
    print(f"{wall:.0f} s, of which the processors worked {busy:.0f} s; peak {peak:.2f} GiB")


if __name__ == "__main__":
    main()
