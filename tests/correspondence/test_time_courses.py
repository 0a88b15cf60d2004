"""Intervals of similarities over time: those of correspondences in every bin; coverage."""

import numpy as np
import pytest
import xarray as xr

from brainguided.correspondence import (
    Inference,
    compute_intervals_over_time,
    compute_similarity_over_time,
    correspondence_from_rdms,
)
from brainguided.guidance import Teacher
from brainguided.rdms import compute_rdms
from neural_data import recording_from_arrays
from neural_data.model.windows import assign_time_bins

CATEGORY = np.repeat([f"category{k}" for k in range(8)], 4)
NAMES = [f"im{k}" for k in range(32)]


def make_course(generator: np.random.Generator, *, bins: int = 2) -> tuple[xr.Dataset, object]:
    """A layer, and an area of which each bin sees the same categories by noise of its own."""
    shared = np.repeat(generator.normal(size=(8, 6)), 4, axis=0)

    def respond(noise: float) -> np.ndarray:
        points = shared + noise * generator.normal(size=shared.shape)
        return points @ np.random.default_rng(0).normal(size=(6, 20))

    response = np.stack([respond(0.3 + 0.5 * k) for k in range(bins)], axis=-1)
    made = {"site": [f"s{k}" for k in range(20)], "units": "spikes/s", "source": "made up"}
    recording = recording_from_arrays(response[:, None], stimulus=NAMES, area="IT", **made)
    recording = recording.assign_coords(category=("stimulus", CATEGORY))
    coords = {"stimulus": NAMES, "category": ("stimulus", CATEGORY)}
    layer = xr.DataArray(respond(0.3), dims=("stimulus", "site"), coords=coords)
    layers = compute_rdms(layer)
    layers.rdm_descriptors["layer"] = ["late"]
    return assign_time_bins(recording, 50 * np.arange(bins + 1)), layers


@pytest.mark.filterwarnings("ignore:Conditions are grouped")
@pytest.mark.parametrize("unit", [None, "stimulus"])
@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_intervals_of_a_bin_are_those_of_the_correspondence_of_that_bin(unit, method) -> None:
    course, layers = make_course(np.random.default_rng(0))
    backwards = course.isel(stimulus=slice(None, None, -1))
    found = compute_intervals_over_time(layers, backwards, method=method, unit=unit)
    plain = compute_similarity_over_time(layers, course, method=method)
    np.testing.assert_allclose(found["similarity"], plain)
    assert found["time_bin_end"].values.tolist() == [50, 100]
    assert found.attrs["unit"] == (unit or "category")
    assert (found["unit_count"] == (32 if unit else 8)).all()
    pixels = np.random.default_rng(0).integers(0, 256, (32, 4, 4, 3)).astype("uint8")
    images = xr.Dataset(
        {"image": (("stimulus", "y", "x", "channel"), pixels)},
        coords={"stimulus": NAMES, "category": ("stimulus", CATEGORY)},
        attrs={"source": "made up"},
    )
    how = Inference(draws=10, permutations=0, splits=0, unit=unit)
    for k in range(2):
        teacher = Teacher.from_recording(course.isel(time_bin=[k]), images)
        one = correspondence_from_rdms(layers, teacher, method=method, inference=how)
        np.testing.assert_allclose(
            found["similarity_interval"].sel(area="IT", layer="late").isel(time_bin=k),
            one["similarity_interval"].sel(area="IT", layer="late"),
            atol=1e-9,
        )


@pytest.mark.filterwarnings("ignore:Conditions are grouped")
def test_intervals_over_categories_hold_the_truth_and_those_over_single_stimuli_do_not() -> None:
    generator = np.random.default_rng(1)
    courses = [make_course(generator) for _ in range(60)]
    held = {}
    for unit in ("category", "stimulus"):
        found = [compute_intervals_over_time(r, course, unit=unit) for course, r in courses]
        similarity = np.array([one["similarity"].values[0, 0] for one in found])
        truth = np.tanh(np.arctanh(similarity).mean(0))
        bounds = np.array([one["similarity_interval"].values[0, 0] for one in found])
        held[unit] = ((bounds[..., 0] < truth) & (truth < bounds[..., 1])).mean(0)
    assert (held["category"] >= 0.89).all()
    assert held["stimulus"].mean() < held["category"].mean() - 0.1


def test_a_bin_that_leaves_out_conditions_has_the_units_of_the_others() -> None:
    course, layers = make_course(np.random.default_rng(2), bins=3)
    silent = [0, 1, 2, 3, 9, 14]
    course["response"][silent, ..., 1] = 0.0
    course["response"][..., 2] = 0.0
    found = compute_intervals_over_time(layers, course)
    assert found["unit_count"].sel(area="IT").values.tolist() == [8, 7, 0]
    finite = np.isfinite(found["similarity_interval"].sel(area="IT", layer="late"))
    assert finite.all("bound").values.tolist() == [True, True, False]
    kept = np.delete(np.arange(32), silent)
    alone = compute_intervals_over_time(
        layers.subset_pattern("index", kept.tolist()), course.isel(stimulus=kept, time_bin=[1])
    )
    xr.testing.assert_allclose(found.isel(time_bin=[1]), alone)


def test_what_has_no_intervals_over_time_is_refused() -> None:
    course, layers = make_course(np.random.default_rng(3))
    with pytest.raises(ValueError, match="cannot be computed"):
        compute_intervals_over_time(layers, course, method="whitened pearson")
    few = course.assign_coords(category=("stimulus", np.repeat(list("abcd"), 8)))
    with pytest.raises(ValueError, match="6 or more are needed"):
        compute_intervals_over_time(layers, few)
    with pytest.raises(ValueError, match="no coordinate 'scene'"):
        compute_intervals_over_time(layers, course, unit="scene")
