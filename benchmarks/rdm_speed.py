"""Distances and comparisons of RDMs against rsatoolbox, in turns within one process.

    OMP_NUM_THREADS=1 python benchmarks/rdm_speed.py [--turns 5] [--only whitened]

Ratios are of the least processor time and of the least time by the clock: other work on the machine
only adds to either. Reading the data once is to add all dissimilarities up.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import xarray as xr
from rsatoolbox.data import Dataset
from rsatoolbox.inference.noise_ceiling import boot_noise_ceiling
from rsatoolbox.rdm import RDMs, calc_rdm, compare

from brainguided.correspondence import bootstrap_similarity
from brainguided.correspondence.ceilings import compute_noise_ceiling
from brainguided.rdms.compare import compare_rdms
from brainguided.rdms.compute import compute_rdms

LABELS = [f"im{k}" for k in range(1000)]
METHODS = {
    "pearson": "corr",
    "spearman": "spearman",
    "whitened pearson": "corr_cov",
    "whitened cosine": "cosine_cov",
}


def main() -> None:
    """Print seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--only", default="", help="rows whose name holds this text")
    options = parser.parse_args()
    for name, (ours, theirs, turns) in list_rows(options.turns).items():
        if options.only in name:
            measure(name, ours, theirs, turns)


def list_rows(turns: int) -> dict[str, tuple[Callable, Callable | None, int]]:
    """Return what is measured: our function, the other one, and how often."""
    generator = np.random.default_rng(0)
    patterns = generator.normal(size=(1000, 10_000))
    ours = xr.DataArray(patterns, dims=("stimulus", "unit"), coords={"stimulus": LABELS})
    theirs = Dataset(patterns)
    shared, labels = generator.random(499_500), {"stimulus": LABELS}
    one, two, many = (
        RDMs(0.5 * generator.random((k, 499_500)) + shared, pattern_descriptors=labels)
        for k in (1, 2, 50)
    )
    rows: dict[str, tuple[Callable, Callable | None, int]] = {
        "correlation RDM, 1000 x 10,000": (
            lambda: compute_rdms(ours),
            lambda: calc_rdm(theirs, method="correlation"),
            min(turns, 3),
        ),
        "pearson of 1 with 50 RDMs of 1000 stimuli, or reading them": (
            lambda: compare_rdms(one, many),
            lambda: many.dissimilarities.sum(),
            10 * turns,
        ),
    }
    for method, other in METHODS.items():
        rows[f"{method} of 1 with 50 RDMs of 1000 stimuli"] = (
            lambda method=method: compare_rdms(one, many, method=method),
            lambda other=other: compare(one, many, method=other),
            turns,
        )
    rows["noise ceiling over 50 RDMs of 1000 stimuli, cosine"] = (
        lambda: compute_noise_ceiling(many, method="cosine"),
        lambda: boot_noise_ceiling(many, method="cosine"),
        1,
    )
    rows["1000 draws of 1000 stimuli, 50 layers x 2 areas"] = (
        lambda: bootstrap_similarity(many, two),
        None,
        1,
    )
    return rows


def measure(name: str, ours: Callable, theirs: Callable | None, turns: int) -> None:
    """Time one function, or two in turn."""
    times: dict[Callable, list[tuple[float, float]]] = {f: [] for f in (ours, theirs) if f}
    for _ in range(turns):
        for function, record in times.items():
            start, busy = time.perf_counter(), time.process_time()
            function()
            record.append((time.process_time() - busy, time.perf_counter() - start))
    a, *others = ([min(column) for column in zip(*found, strict=True)] for found in times.values())
    print(f"{name:60} {a[0]:7.3f} s of processor, {a[1]:7.3f} s by the clock", flush=True)
    for b in others:
        print(f"{'':60} {b[0]:7.3f} s and {b[1]:.3f} s: ratio {b[0] / a[0]:.2f}, {b[1] / a[1]:.2f}")


if __name__ == "__main__":
    main()
