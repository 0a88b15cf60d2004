"""The hierarchy index: known truth, calibration, refusals."""

import numpy as np
import pytest
import xarray as xr
from rsatoolbox.rdm import RDMs

from brainguided.correspondence.hierarchy import compute_hierarchy, find_depths, permute_hierarchy
from brainguided.guidance.teacher import Teacher
from brainguided.rdms.measures import pattern_distances
from neural_data import recording_from_arrays, stimuli_from_arrays

NAMES = [f"im{k}" for k in range(20)]
IMAGES = stimuli_from_arrays(
    np.random.default_rng(0).integers(0, 255, (20, 4, 4, 3), dtype=np.uint8),
    stimulus=NAMES,
    source="noise",
)


def make_layers(generator, number: int = 6) -> tuple[RDMs, list[np.ndarray]]:
    """Layers that change step by step from one representation to another."""
    first, last = generator.normal(size=(2, 20, 30))
    mixed = [first * (1 - t) + last * t for t in np.linspace(0, 1, number)]
    vectors = np.stack([pattern_distances(m, "correlation") for m in mixed])
    names = [f"layer{k}" for k in range(number)]
    rdms = RDMs(vectors, rdm_descriptors={"layer": names}, pattern_descriptors={"stimulus": NAMES})
    return rdms, mixed


def make_teacher(generator, early: np.ndarray, late: np.ndarray, noise: float = 0.5) -> Teacher:
    sites = [
        p @ generator.normal(size=(30, 15)) / 5 + noise * generator.normal(size=(20, 15))
        for p in (early, late)
    ]
    recording = recording_from_arrays(
        np.concatenate(sites, axis=1),
        stimulus=NAMES,
        site=[f"s{k}" for k in range(30)],
        area=["V4"] * 15 + ["IT"] * 15,
        units="z",
        source="made up",
    )
    return Teacher.from_recording(recording, IMAGES)


def test_areas_that_are_early_and_late_layers_are_in_order_and_exchanged_against_it() -> None:
    generator = np.random.default_rng(1)
    layers, mixed = make_layers(generator)
    teacher = make_teacher(generator, mixed[0], mixed[-1])
    found = permute_hierarchy(layers, teacher, permutations=99)
    assert found.attrs["exchanged"] == "sites"
    assert (found["p_value"] <= 0.05).all()
    assert (found["index"] > 0.3).all()
    against = permute_hierarchy(layers, teacher, areas=["IT", "V4"], permutations=99)
    np.testing.assert_allclose(against["index"], -found["index"])
    assert (against["p_value"] > 0.9).all()
    published = permute_hierarchy(layers, teacher.without_recordings(), permutations=99)
    assert published.attrs["exchanged"] == "conditions"
    assert (published["index"] == found["index"]).all()


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("number", [100, pytest.param(200, marks=pytest.mark.slow)])
def test_areas_that_do_not_differ_are_in_order_significantly_in_1_of_20(recorded, number) -> None:
    generator = np.random.default_rng(3)
    rejected = []
    for k in range(number):
        layers, mixed = make_layers(generator)
        middle = mixed[3] if recorded else generator.normal(size=(20, 30))
        teacher = make_teacher(generator, middle, middle)
        teacher = teacher if recorded else teacher.without_recordings()
        found = permute_hierarchy(layers, teacher, permutations=39, seed=k)
        rejected.append(found["p_value"].sel(kind="weighted").item() <= 0.05)
    error = np.sqrt(0.05 * 0.95 / number)  # standard error: 0.022 of 100, 0.015 of 200
    assert np.mean(rejected) <= 0.05 + 3 * error
    assert np.mean(rejected) >= 0.005


def test_depths_are_those_of_the_best_layer_and_of_the_weighted_mean() -> None:
    r = np.array([[0.1, 0.0], [0.4, 0.1], [0.1, 0.3]])
    best, weighted = find_depths(r)
    assert best.tolist() == [0.5, 1.0]
    np.testing.assert_allclose(weighted, [0.5, (0.1 * 0.5 + 0.3) / 0.4])
    dead = np.array([[np.nan, np.nan], [0.4, np.nan]])
    assert find_depths(dead)[0].tolist()[0] == 1.0


def test_the_interval_holds_the_index_of_draws() -> None:
    generator = np.random.default_rng(0)
    r = np.array([[0.5, 0.1], [0.3, 0.3], [0.1, 0.5]])
    draws = r + 0.05 * generator.normal(size=(200, 3, 2))
    dataset = xr.Dataset(
        {
            "similarity": (("layer", "area"), r),
            "similarity_draws": (("bootstrap", "layer", "area"), draws),
        },
        coords={"layer": list("abc"), "area": ["V4", "IT"]},
    )
    found = compute_hierarchy(dataset)
    assert found["index"].sel(kind="best").item() == 1
    lower, upper = found["index_interval"].sel(kind="weighted").values
    assert lower < found["index"].sel(kind="weighted").item() < upper
    assert found["positive_share"].sel(kind="best").item() == 1
    for areas in (["V4"], ["V4", "V1"], ["V4", "V4"]):
        with pytest.raises(ValueError, match="two or more different ones"):
            compute_hierarchy(dataset, areas=areas)
