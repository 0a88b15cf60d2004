"""Memory and time of RDMs of a wide network on as many stimuli as Majaj et al. (2015) showed.

    OMP_NUM_THREADS=2 python benchmarks/streamed_rdms.py [--stimuli 5760] [--layers 20] [--size 64]

Twenty convolutions, the first of them with 131,072 units each, whose activations would take tens
of GiB; and, first, the correlation RDM of 168 sites.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import torch
import xarray as xr
from torch import nn

from brainguided import compute_layer_rdms, compute_rdms
from brainguided.networks.layers import describe_layers
from neural_data import stimuli_from_arrays


def main() -> None:
    """Print seconds and the peak of the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stimuli", type=int, default=5760)
    parser.add_argument("--layers", type=int, default=20)
    parser.add_argument("--size", type=int, default=64)
    options = parser.parse_args()
    generator = np.random.default_rng(0)
    names = [f"im{k}" for k in range(options.stimuli)]
    start = time.perf_counter()
    sites = generator.normal(size=(options.stimuli, 168))
    compute_rdms(xr.DataArray(sites, dims=("stimulus", "site"), coords={"stimulus": names}))
    report("168 sites", start)
    images = generator.integers(0, 256, (options.stimuli, options.size, options.size, 3), np.uint8)
    stimuli = stimuli_from_arrays(images, stimulus=names, source="noise")
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for k in range(options.layers):
        stride = 2 if k in (5, 10, 15) else 1
        layers += [nn.Conv2d(32 if k else 3, 32, 3, stride=stride, padding=1), nn.ReLU()]
    network = nn.Sequential(*layers)
    observed = [str(k) for k in range(1, 2 * options.layers, 2)]
    table = describe_layers(network, stimuli, layers=observed)
    print(f"activations: {float(table['bytes'].sum()) / 2**30:.1f} GiB", flush=True)
    start = time.perf_counter()
    rdms = compute_layer_rdms(network, stimuli, layers=observed)
    report(f"{rdms.n_rdm} layers, {rdms.n_cond} stimuli", start)


def report(what: str, start: float) -> None:
    """Print the time since `start` and the peak of memory so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{what}: {time.perf_counter() - start:.1f} s, peak {peak:.2f} GiB", flush=True)


if __name__ == "__main__":
    main()
