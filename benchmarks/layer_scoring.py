"""What scoring the layers of a candidate costs: beside the bare forward pass, and rsatoolbox.

    OMP_NUM_THREADS=1 python benchmarks/layer_scoring.py [--filters 24]

Nine layers of a ten-layer network on 500 stimuli at 32 px: streamed into RDMs, or stored and
given to rsatoolbox. Times are medians of turns in one process; memory is the peak of a process of
its own.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from statistics import median

import numpy as np
import torch

from brainguided import ConvLayer, PlainArchitecture, build_network
from brainguided.networks.preprocessing import images_to_tensor
from brainguided.networks.streamed import stream_distances

LAYERS = [f"layer{k}" for k in range(1, 10)]
IMAGES = np.random.default_rng(0).integers(0, 256, (500, 32, 32, 3), dtype=np.uint8)


def main() -> None:
    """Print times, ratios and peaks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--filters", type=int, default=24)
    parser.add_argument("--only", choices=("forward", "score"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    layers = tuple(
        ConvLayer(3, 3, options.filters, stride=2 if k in (3, 6) else 1) for k in range(10)
    )
    network = build_network(PlainArchitecture(layers), n_classes=10, seed=0).eval()

    def forward() -> None:
        with torch.no_grad():
            network(images_to_tensor(IMAGES))

    def score() -> None:
        stream_distances(network, IMAGES, LAYERS, [None])

    def store() -> None:
        from rsatoolbox.data import Dataset
        from rsatoolbox.rdm import calc_rdm

        kept: list[np.ndarray] = []
        handles = [
            getattr(network, name).register_forward_hook(
                lambda _m, _i, output: kept.append(output.flatten(1).numpy())
            )
            for name in LAYERS
        ]
        forward()
        for handle in handles:
            handle.remove()
        for values in kept:
            calc_rdm(Dataset(values), method="correlation")

    if options.only:
        {"forward": forward, "score": score}[options.only]()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    times: dict[str, list[float]] = {"forward": [], "score": [], "store": []}
    for _ in range(5):
        for name, function in (("forward", forward), ("score", score), ("store", store)):
            start = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - start)
    a, b, c = (median(times[name]) for name in ("forward", "score", "store"))
    print(f"forward {a:.2f} s, scored {b:.2f} s ({b / a:.2f} times), rsatoolbox {c:.2f} s")
    print(f"rsatoolbox takes {c / b:.1f} times as long")
    command = [sys.executable, __file__, "--filters", str(options.filters), "--only"]
    peaks = [
        float(subprocess.run([*command, what], capture_output=True, text=True, check=True).stdout)
        for what in ("forward", "score")
    ]
    print(
        f"peak {peaks[0]:.0f} MiB for the forward pass, {peaks[1] - peaks[0]:.0f} MiB more scored"
    )


if __name__ == "__main__":
    main()
