"""Seconds of every dissimilarity against rsatoolbox, and seconds and memory at full size.

OMP_NUM_THREADS=1 python benchmarks/rdm_measures.py
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from statistics import median

import numpy as np
import xarray as xr
from rsatoolbox.data import Dataset
from rsatoolbox.data.noise import prec_from_residuals
from rsatoolbox.rdm import calc_rdm

from brainguided.rdms.compute import compute_rdms
from brainguided.rdms.measures import MEASURES
from brainguided.rdms.noise import compute_noise_precision
from neural_data import recording_from_arrays

GIB = 1024**2
"""Kibibytes, in which the peak is counted, in one of these."""


def main() -> None:
    """Print one table of ratios, and one of full-size recordings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full-size", nargs=2, metavar=("MEASURE", "BY"), help="one row alone")
    options = parser.parse_args()
    if options.full_size:
        measure_full_size(*options.full_size)
        return
    compare_matrices()
    compare_recordings()
    print("\n5760 stimuli x 30 repetitions x 168 sites: peak of the whole process", flush=True)
    rows = [(measure, "stimulus") for measure in MEASURES]
    for row in [*rows, ("correlation", "object_name"), ("crossnobis", "object_name")]:
        subprocess.run([sys.executable, __file__, "--full-size", *row], check=True)


def compare_matrices() -> None:
    """Time the RDM of one wide layer."""
    patterns = np.random.default_rng(0).normal(size=(1000, 10_000))
    ours = xr.DataArray(
        patterns,
        dims=("stimulus", "unit"),
        coords={"stimulus": [f"im{k}" for k in range(1000)]},
    )
    theirs = Dataset(patterns)
    run_pairs(
        "correlation, 1000 stimuli x 10,000 units",
        lambda: compute_rdms(ours).dissimilarities,
        lambda: calc_rdm(theirs, method="correlation").dissimilarities,
        pairs=5,
    )


def compare_recordings() -> None:
    """Time every measure that both have on the same single repetitions."""
    n_stimuli, repetitions, n_sites = 500, 10, 168
    recording = make_recording(n_stimuli, repetitions, n_sites)
    values = recording["response"].values.transpose(1, 0, 2).astype(float)
    labels = [f"im{k:05}" for k in range(n_stimuli)]
    data = Dataset(
        values.reshape(-1, n_sites),
        obs_descriptors={
            "stimulus": labels * repetitions,
            "repetition": np.repeat(np.arange(repetitions), n_stimuli).tolist(),
        },
    )
    residuals = (values - values.mean(0)).reshape(-1, n_sites)
    freedom = n_stimuli * (repetitions - 1)
    precision = compute_noise_precision(recording)
    size = f"{n_stimuli} x {repetitions} x {n_sites}"
    run_pairs(
        f"shrunk noise precision, {size}",
        lambda: compute_noise_precision(recording).values,
        lambda: prec_from_residuals(residuals, dof=freedom),
        pairs=1,
    )
    for measure in ("correlation", "squared euclidean", "mahalanobis", "crossnobis", "poisson"):
        method = "euclidean" if measure == "squared euclidean" else measure
        cross = {"cv_descriptor": "repetition"} if measure == "crossnobis" else {}
        noise = precision.values if measure in ("mahalanobis", "crossnobis") else None
        run_pairs(
            f"{measure}, {size}{', noise given' if noise is not None else ''}",
            lambda measure=measure: (
                compute_rdms(recording, measure=measure, noise={"IT": precision}).dissimilarities
            ),
            lambda method=method, cross=cross, noise=noise: (
                calc_rdm(
                    data, method=method, descriptor="stimulus", noise=noise, **cross
                ).dissimilarities
            ),
            pairs=3,
        )


def run_pairs(name: str, ours: Callable, theirs: Callable, *, pairs: int) -> None:
    """Time two functions in turn; their results must be the same."""
    times: tuple[list[float], list[float]] = ([], [])
    results: list[np.ndarray] = []
    for _ in range(pairs):
        results = []
        for function, record in zip((ours, theirs), times, strict=True):
            start = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # theirs, on casting NaN
                results.append(function())
            record.append(time.perf_counter() - start)
    a, b = (median(record) for record in times)
    error = np.abs(results[0] - results[1]).max()
    print(
        f"{name:55} ours {a:7.3f} s  rsatoolbox {b:7.3f} s  ratio {b / a:6.1f}  "
        f"difference {error:.0e}",
        flush=True,
    )


def measure_full_size(measure: str, by: str) -> None:
    """Print the time, and the peak memory of this process, of one RDM at full size."""
    recording = make_recording(5760, 30, 168)
    before = find_peak()
    start = time.perf_counter()
    compute_rdms(recording, measure=measure, by=by)
    seconds = time.perf_counter() - start
    print(
        f"{measure:20} by {by:12} {seconds:6.2f} s  peak {find_peak():5.2f} GiB, "
        f"of which {before:.2f} before",
        flush=True,
    )


def make_recording(n_stimuli: int, repetitions: int, n_sites: int) -> xr.Dataset:
    """Return counts in single precision, stimuli in groups of as good as 64 objects."""
    generator = np.random.default_rng(0)
    rates = generator.gamma(2.0, 2.0, (n_stimuli, 1, n_sites))
    counts = np.empty((n_stimuli, repetitions, n_sites), dtype=np.float32)
    for k in range(repetitions):
        counts[:, k] = generator.poisson(rates[:, 0])
    recording = recording_from_arrays(
        counts,
        stimulus=[f"im{k:05}" for k in range(n_stimuli)],
        site=[f"s{k}" for k in range(n_sites)],
        area="IT",
        units="spikes",
        source="made up",
    )
    return recording.assign_coords(
        object_name=("stimulus", [f"object{k % 64}" for k in range(n_stimuli)])
    )


def find_peak() -> float:
    """Return the largest memory that this process has held, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / GIB


if __name__ == "__main__":
    main()
