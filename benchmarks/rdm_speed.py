"""Distances and comparisons of RDMs against rsatoolbox, in interleaved pairs.

OMP_NUM_THREADS=1 python benchmarks/rdm_speed.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import numpy as np
import xarray as xr
from rsatoolbox.data import Dataset
from rsatoolbox.inference.noise_ceiling import boot_noise_ceiling
from rsatoolbox.rdm import RDMs, calc_rdm, compare

from brainguided.correspondence.ceilings import compute_noise_ceiling
from brainguided.rdms.compare import compare_rdms
from brainguided.rdms.compute import compute_rdms


def main() -> None:
    """Print seconds and ratios, medians of interleaved pairs."""
    generator = np.random.default_rng(0)
    patterns = generator.normal(size=(1000, 10_000))
    labels = [f"im{k}" for k in range(1000)]
    ours = xr.DataArray(patterns, dims=("stimulus", "unit"), coords={"stimulus": labels})
    theirs = Dataset(patterns)
    measure(
        "correlation RDM, 1000 x 10,000",
        lambda: compute_rdms(ours),
        lambda: calc_rdm(theirs, method="correlation"),
        pairs=3,
    )
    shared = generator.random(499_500)
    many = RDMs(
        0.5 * generator.random((50, 499_500)) + shared, pattern_descriptors={"stimulus": labels}
    )
    one = RDMs(generator.random((1, 499_500)) + shared, pattern_descriptors={"stimulus": labels})
    pairs = {"pearson": "corr", "spearman": "spearman", "whitened pearson": "corr_cov",
             "whitened cosine": "cosine_cov"}  # fmt: skip
    for method, other in pairs.items():
        measure(
            f"one RDM with 50 of 1000 stimuli, {method}",
            lambda method=method: compare_rdms(one, many, method=method),
            lambda other=other: compare(one, many, method=other),
            pairs=2 if method == "spearman" else 5,
        )
    measure(
        "noise ceiling over 50 RDMs of 1000 stimuli, cosine",
        lambda: compute_noise_ceiling(many, method="cosine"),
        lambda: boot_noise_ceiling(many, method="cosine"),
        pairs=1,
    )


def measure(name: str, ours: Callable, theirs: Callable, *, pairs: int) -> None:
    """Time two functions in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(pairs):
        for function, record in zip((ours, theirs), times, strict=True):
            start = time.perf_counter()
            function()
            record.append(time.perf_counter() - start)
    a, b = median(times[0]), median(times[1])
    print(f"{name:52} ours {a:8.3f} s  rsatoolbox {b:8.3f} s  ratio {b / a:6.1f}", flush=True)


if __name__ == "__main__":
    main()
