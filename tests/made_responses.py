"""Responses and recordings that tests of dissimilarities share."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr

from brainguided.rdms.distances import upper_triangle
from neural_data import recording_from_arrays
from neural_data.model.windows import assign_time_bins

THEIRS = {"squared euclidean": "euclidean"}
"""Measures that rsatoolbox names otherwise."""


def make_responses(n: int = 12, sites: int = 30, seed: int = 0) -> xr.DataArray:
    values = np.random.default_rng(seed).gamma(2.0, 5.0, (n, sites))
    labels = [f"im{k}" for k in range(n)]
    return xr.DataArray(
        values,
        dims=("stimulus", "site"),
        coords={
            "stimulus": labels,
            "object_name": ("stimulus", [f"object{k // 3}" for k in range(n)]),
            "category": ("stimulus", [f"category{k // 6}" for k in range(n)]),
        },
    )


def make_binned() -> xr.Dataset:
    """Ten stimuli, three repetitions, 8 sites of V4 and 12 of IT, four time bins."""
    rng = np.random.default_rng(9)
    response = rng.gamma(2.0, 5.0, (10, 3, 20, 4))
    response[4, 1, :5] = np.nan
    recording = recording_from_arrays(
        response,
        stimulus=[f"im{k}" for k in range(10)],
        site=[f"s{k}" for k in range(20)],
        area=["V4"] * 8 + ["IT"] * 12,
        units="spikes/s",
        source="made up",
    )
    return assign_time_bins(recording, [-50, 0, 70, 120, 170])


def make_recording(seed: int, *, repetitions: int | None = None) -> xr.Dataset:
    """Counts with ties, stimuli in an order that is not alphabetical, two or more per object."""
    generator = np.random.default_rng(seed)
    n_stimuli = int(generator.integers(6, 40))
    n_sites = int(generator.integers(3, 30))
    n = int(generator.integers(2, 6)) if repetitions is None else repetitions
    rates = generator.gamma(2.0, 3.0, (n_stimuli, 1, n_sites))
    counts = generator.poisson(rates, (n_stimuli, n, n_sites)).astype(float)
    names = [f"im{k}" for k in generator.permutation(n_stimuli)]
    recording = recording_from_arrays(
        counts,
        stimulus=names,
        site=[f"s{k}" for k in range(n_sites)],
        area="IT",
        units="spikes",
        source="made up",
    )
    objects = [f"object{k % max(3, n_stimuli // 3)}" for k in range(n_stimuli)]
    return recording.assign_coords(object_name=("stimulus", objects))


def calculate_theirs(recording: xr.Dataset, by: str, measure: str, noise=None) -> np.ndarray:
    """The same matrix by rsatoolbox, in our order of conditions."""
    response = recording["response"].transpose("repetition", "stimulus", "site").values
    labels = recording[by].values.astype(str).tolist()
    descriptors = {
        "condition": labels * len(response),
        "repetition": np.repeat(np.arange(len(response)), len(labels)).tolist(),
    }
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import calc_rdm

    data = Dataset(response.reshape(-1, response.shape[2]), obs_descriptors=descriptors)
    cross = {"cv_descriptor": "repetition"} if measure == "crossnobis" else {}
    method = THEIRS.get(measure, measure)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # its own, on casting NaN
        rdm = calc_rdm(data, method=method, descriptor="condition", noise=noise, **cross)
    order = [rdm.pattern_descriptors["condition"].index(c) for c in dict.fromkeys(labels)]
    return upper_triangle(rdm.get_matrices()[0][np.ix_(order, order)])
