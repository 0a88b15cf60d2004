"""Every dissimilarity against rsatoolbox or plain numpy, and what theory says of it."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from made_responses import calculate_theirs, make_recording

from brainguided.networks.grams import add_patterns, distances_from_moments, start_moments
from brainguided.rdms.compute import compute_rdms
from brainguided.rdms.distances import square_matrix, upper_triangle
from brainguided.rdms.measures import MEASURES, network_measure
from neural_data.errors import RecordingError

SEEDS = range(20)


@pytest.mark.parametrize("by", ["stimulus", "object_name"])
@pytest.mark.parametrize("measure", ["correlation", "squared euclidean", "poisson"])
@pytest.mark.parametrize("seed", SEEDS)
def test_measures_equal_rsatoolbox_with_ties_and_labels_out_of_order(seed, measure, by) -> None:
    recording = make_recording(seed)
    ours = compute_rdms(recording, by=by, measure=measure)
    theirs = calculate_theirs(recording, by, measure)
    np.testing.assert_allclose(ours.dissimilarities[0], theirs, atol=1e-10, rtol=1e-10)
    assert ours.dissimilarity_measure == measure


@pytest.mark.parametrize("seed", SEEDS)
def test_cosine_and_euclidean_equal_plain_numpy(seed) -> None:
    recording = make_recording(seed)
    x = recording["response"].mean("repetition").transpose("stimulus", "site").values
    length = np.linalg.norm(x, axis=1)
    cosine = 1 - (x @ x.T) / np.outer(length, length)
    difference = np.sqrt(((x[:, None] - x[None]) ** 2).mean(2))
    for measure, expected in (("cosine", cosine), ("euclidean", difference)):
        ours = compute_rdms(recording, measure=measure).dissimilarities[0]
        np.testing.assert_allclose(ours, upper_triangle(expected), atol=1e-10)


@pytest.mark.parametrize("measure", ["correlation", "cosine", "squared euclidean", "euclidean"])
@pytest.mark.parametrize("seed", range(5))
def test_moments_added_in_pieces_give_the_distances_of_whole_patterns(seed, measure) -> None:
    generator = np.random.default_rng(seed)
    patterns = generator.normal(3.0, 1.0, (12, 300))
    moments = start_moments(12)
    for start in (0, 7, 100):
        stop = {0: 7, 7: 100, 100: 300}[start]
        add_patterns(moments, patterns[:, start:stop], chunk=40)
    response = xr.DataArray(
        patterns, dims=("stimulus", "unit"), coords={"stimulus": [f"{k}" for k in range(12)]}
    )
    expected = compute_rdms(response, measure=measure).dissimilarities[0]
    assert moments.n_units == 300
    np.testing.assert_allclose(distances_from_moments(moments, measure), expected, atol=1e-12)


def test_shifted_moments_keep_float32_patterns_with_a_large_mean_precise() -> None:
    patterns = np.random.default_rng(0).normal(1000.0, 1.0, (10, 5000)).astype(np.float32)
    moments = start_moments(10)
    add_patterns(moments, patterns)
    expected = 1 - np.corrcoef(patterns.astype(float))
    np.testing.assert_allclose(distances_from_moments(moments), upper_triangle(expected), atol=1e-5)


@pytest.mark.parametrize("measure", ["squared euclidean", "euclidean", "crossnobis"])
def test_rotating_the_sites_changes_no_euclidean_distance(measure) -> None:
    recording = make_recording(3)
    turned = rotate_sites(recording)
    settings = {"measure": measure, "noise": "identity"}
    before = compute_rdms(recording, **settings).dissimilarities
    np.testing.assert_allclose(compute_rdms(turned, **settings).dissimilarities, before, atol=1e-9)
    other = compute_rdms(turned).dissimilarities
    assert np.abs(other - compute_rdms(recording).dissimilarities).max() > 0.01


def rotate_sites(recording: xr.Dataset) -> xr.Dataset:
    n = recording.sizes["site"]
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(n, n)))
    response = recording["response"].transpose("stimulus", "repetition", "site")
    return recording.assign(response=response.copy(data=response.values @ rotation))


@pytest.mark.parametrize(
    ("measure", "power"),
    [("correlation", 0), ("cosine", 0), ("squared euclidean", 2), ("euclidean", 1)],
)
def test_scaling_responses_scales_distances_by_its_power(measure, power) -> None:
    recording = make_recording(7)
    scaled = recording.assign(response=recording["response"] * 3.0)
    before = compute_rdms(recording, measure=measure).dissimilarities
    after = compute_rdms(scaled.assign(response=scaled["response"].assign_attrs(units="x")),
                         measure=measure).dissimilarities  # fmt: skip
    np.testing.assert_allclose(after, before * 3.0**power, atol=1e-10)


@pytest.mark.parametrize("measure", MEASURES)
def test_permuting_stimuli_and_sites_permutes_the_matrix_and_nothing_else(measure) -> None:
    recording = make_recording(8)
    generator = np.random.default_rng(0)
    order = generator.permutation(recording.sizes["stimulus"])
    sites = generator.permutation(recording.sizes["site"])
    moved = recording.isel(stimulus=order, site=sites)
    matrix = compute_rdms(recording, measure=measure).get_matrices()[0]
    other = compute_rdms(moved, measure=measure).get_matrices()[0]
    np.testing.assert_allclose(other, matrix[np.ix_(order, order)], atol=1e-9)
    np.testing.assert_allclose(matrix, matrix.T)


def test_euclidean_distances_obey_the_triangle_inequality_and_squared_ones_do_not() -> None:
    matrix = compute_rdms(make_recording(9), measure="euclidean").get_matrices()[0]
    through = matrix[:, :, None] + matrix[None, :, :]
    assert (matrix[:, None, :] <= through + 1e-9).all()
    squared = matrix**2
    assert (squared[:, None, :] > squared[:, :, None] + squared[None, :, :] + 1e-9).any()


@pytest.mark.parametrize("measure", ["squared euclidean", "euclidean", "mahalanobis"])
def test_patterns_that_are_all_but_the_same_keep_their_digits(measure) -> None:
    generator = np.random.default_rng(0)
    patterns = generator.normal(50.0, 10.0, (30, 40))
    patterns[11:20] = patterns[10] + 1e-7 * generator.normal(size=(9, 40))
    patterns[20] = patterns[10]
    responses = xr.DataArray(
        patterns, dims=("stimulus", "site"), coords={"stimulus": [f"im{k}" for k in range(30)]}
    )
    matrix = compute_rdms(responses, measure=measure, noise="identity").get_matrices()[0]
    expected = ((patterns[:, None] - patterns[None]) ** 2).mean(2)
    expected = np.sqrt(expected) if measure == "euclidean" else expected
    np.testing.assert_allclose(matrix, expected, rtol=1e-6 if measure == "mahalanobis" else 1e-9)
    assert matrix[10, 20] == 0


@pytest.mark.parametrize("measure", ["correlation", "cosine", "squared euclidean", "euclidean"])
def test_layers_wider_than_a_block_have_the_distances_of_all_their_units(measure) -> None:
    generator = np.random.default_rng(0)
    patterns = generator.normal(1e4 * (measure != "cosine"), 1.0, (8, 2500))
    patterns[:, 2000:] += generator.normal(0, 3.0, (8, 1))
    units = xr.DataArray(
        patterns, dims=("stimulus", "unit"), coords={"stimulus": [f"im{k}" for k in range(8)]}
    )
    length = np.linalg.norm(patterns, axis=1)
    squared = ((patterns[:, None] - patterns[None]) ** 2).mean(2)
    expected = {
        "correlation": lambda: 1 - np.corrcoef(patterns),
        "cosine": lambda: 1 - patterns @ patterns.T / np.outer(length, length),
        "squared euclidean": lambda: squared,
        "euclidean": lambda: np.sqrt(squared),
    }[measure]()
    found = compute_rdms(units, measure=measure).dissimilarities[0]
    np.testing.assert_allclose(found, upper_triangle(expected), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("measure", ["correlation", "cosine"])
def test_a_pattern_of_tiny_responses_beside_large_ones_has_the_angle_it_has(measure) -> None:
    responses = make_recording(4)["response"].mean("repetition").transpose("stimulus", "site")
    faint = responses.copy()
    faint[1] *= 1e-9
    expected = compute_rdms(responses, measure=measure).dissimilarities
    found = compute_rdms(faint, measure=measure).dissimilarities
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_poisson_divergence_is_never_negative() -> None:
    for seed in SEEDS:
        rdms = compute_rdms(make_recording(seed), measure="poisson")
        assert rdms.dissimilarities.min() >= 0


def test_undefined_patterns_are_refused_with_the_measure_and_a_remedy() -> None:
    recording = make_recording(2)
    response = recording["response"].transpose("stimulus", "repetition", "site")
    below = recording.assign(response=response - 5.0)
    below["response"].attrs["units"] = "spikes"
    with pytest.raises(RecordingError, match=r"negative responses.*take another measure"):
        compute_rdms(below, measure="poisson")
    silent = response.copy()
    silent.values[1] = 0.0
    with pytest.raises(RecordingError, match="no response at any site"):
        compute_rdms(recording.assign(response=silent), measure="cosine")
    single = recording.isel(repetition=[0])
    with pytest.raises(RecordingError, match="one repetition"):
        compute_rdms(single, measure="mahalanobis")
    with pytest.raises(RecordingError, match="fewer than two repetitions"):
        compute_rdms(single, measure="crossnobis", noise="identity")
    with pytest.raises(RecordingError, match="no single repetitions"):
        compute_rdms(response.mean("repetition"), measure="crossnobis")
    with pytest.raises(ValueError, match="it is one of 'correlation'"):
        compute_rdms(recording, measure="pearson")
    with pytest.raises(ValueError, match="'shrinkage', 'diagonal', 'identity'"):
        compute_rdms(recording, measure="crossnobis", noise="full")
    with pytest.raises(ValueError, match="not symmetric and positive definite"):
        compute_rdms(
            recording, measure="mahalanobis", noise={"IT": -np.eye(recording.sizes["site"])}
        )
    with pytest.raises(ValueError, match=r"noise is a ndarray.*noise=\{'IT': precision\}"):
        compute_rdms(recording, measure="mahalanobis", noise=np.eye(3))
    with pytest.raises(ValueError, match=r"noise holds \['V4'\]; there is no precision for 'IT'"):
        compute_rdms(recording, measure="mahalanobis", noise={"V4": np.eye(3)})
    with pytest.raises(ValueError, match=r"has shape \(2, 2\); expected"):
        compute_rdms(recording, measure="mahalanobis", noise={"IT": np.eye(2)})
    gap = response.copy()
    gap.values[0, 0, 0] = np.nan
    with pytest.raises(RecordingError, match="missing at some sites only"):
        compute_rdms(recording.assign(response=gap), measure="crossnobis")


def test_layers_beside_a_measure_with_noise_are_compared_by_squared_distances() -> None:
    assert network_measure("correlation") == network_measure("1 - Pearson r") == "correlation"
    assert network_measure("crossnobis") == network_measure("poisson") == "squared euclidean"
    vector = np.arange(6.0)
    np.testing.assert_array_equal(upper_triangle(square_matrix(vector)), vector)
