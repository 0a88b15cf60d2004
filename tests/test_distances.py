"""Every dissimilarity against rsatoolbox or plain numpy, and what theory says of it."""

import warnings

import numpy as np
import pytest
import xarray as xr
from rsatoolbox.data import Dataset
from rsatoolbox.data.noise import prec_from_residuals
from rsatoolbox.rdm import calc_rdm

from brainguided.distances import MEASURES, network_measure, square_matrix, upper_triangle
from brainguided.grams import add_patterns, distances_from_moments, start_moments
from brainguided.noise import compute_noise_precision
from brainguided.rdm import compute_rdms
from neural_data import recording_from_arrays
from neural_data.errors import RecordingError

SEEDS = range(20)
THEIRS = {"squared euclidean": "euclidean"}


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
    data = Dataset(response.reshape(-1, response.shape[2]), obs_descriptors=descriptors)
    cross = {"cv_descriptor": "repetition"} if measure == "crossnobis" else {}
    method = THEIRS.get(measure, measure)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # its own, on casting NaN
        rdm = calc_rdm(data, method=method, descriptor="condition", noise=noise, **cross)
    order = [rdm.pattern_descriptors["condition"].index(c) for c in dict.fromkeys(labels)]
    return upper_triangle(rdm.get_matrices()[0][np.ix_(order, order)])


@pytest.mark.parametrize("by", ["stimulus", "object_name"])
@pytest.mark.parametrize("measure", ["correlation", "squared euclidean", "poisson"])
@pytest.mark.parametrize("seed", SEEDS)
def test_measures_equal_rsatoolbox_with_ties_and_labels_out_of_order(seed, measure, by) -> None:
    recording = make_recording(seed)
    ours = compute_rdms(recording, by=by, measure=measure)
    theirs = calculate_theirs(recording, by, measure)
    np.testing.assert_allclose(ours.dissimilarities[0], theirs, atol=1e-10, rtol=1e-10)
    assert ours.dissimilarity_measure == measure


@pytest.mark.parametrize("by", ["stimulus", "object_name"])
@pytest.mark.parametrize("measure", ["mahalanobis", "crossnobis"])
@pytest.mark.parametrize("seed", SEEDS)
def test_measures_with_noise_equal_rsatoolbox(seed, measure, by) -> None:
    recording = make_recording(seed)
    precision = estimate_theirs(recording)
    np.testing.assert_allclose(compute_noise_precision(recording), precision, rtol=1e-9)
    ours = compute_rdms(recording, by=by, measure=measure).dissimilarities[0]
    theirs = calculate_theirs(recording, by, measure, precision)
    np.testing.assert_allclose(ours, theirs, atol=1e-10, rtol=1e-9)
    given = compute_rdms(recording, by=by, measure=measure, noise={"IT": precision})
    np.testing.assert_allclose(given.dissimilarities[0], theirs, atol=1e-10, rtol=1e-9)


def estimate_theirs(recording: xr.Dataset) -> np.ndarray:
    response = recording["response"].transpose("repetition", "stimulus", "site").values
    residuals = (response - response.mean(0)).reshape(-1, response.shape[2])
    freedom = (response.shape[0] - 1) * response.shape[1]
    return prec_from_residuals(residuals, dof=freedom)


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


def test_mahalanobis_distances_do_not_change_under_any_linear_map_of_the_sites() -> None:
    recording = make_recording(5, repetitions=40)
    n = recording.sizes["site"]
    change = np.random.default_rng(1).normal(size=(n, n)) + 2 * np.eye(n)
    response = recording["response"].transpose("stimulus", "repetition", "site")
    mapped = recording.assign(response=response.copy(data=response.values @ change))
    results = []
    for one in (recording, mapped):
        values = one["response"].transpose("repetition", "stimulus", "site").values
        residuals = (values - values.mean(0)).reshape(-1, n)
        precision = np.linalg.inv(residuals.T @ residuals)
        noise = {"IT": (precision + precision.T) / 2}
        results.append(compute_rdms(one, measure="mahalanobis", noise=noise).dissimilarities)
    np.testing.assert_allclose(results[0], results[1], rtol=1e-6)


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


def test_crossnobis_is_unbiased_where_the_plain_distance_grows_with_noise() -> None:
    generator = np.random.default_rng(0)
    means = np.zeros((6, 1, 20))
    means[3:] = 1.0
    response = means + generator.normal(0, 2.0, (6, 4 * 100, 20))
    found: dict[str, list] = {"crossnobis": [], "mahalanobis": []}
    for k in range(100):
        recording = recording_from_arrays(
            response[:, 4 * k : 4 * k + 4],
            stimulus=list("abcdef"),
            site=[f"s{i}" for i in range(20)],
            area="IT",
            units="z",
            source="noise",
        )
        for measure, draws in found.items():
            rdms = compute_rdms(recording, measure=measure, noise="identity")
            draws.append(rdms.get_matrices()[0])
    cross, plain = (np.mean(found[m], 0) for m in ("crossnobis", "mahalanobis"))
    assert abs(np.mean(cross[:3, 3:]) - 1.0) < 0.1
    assert abs(np.mean(cross[[0, 0, 1], [1, 2, 2]])) < 0.1
    assert plain[0, 1] == pytest.approx(2.0, abs=0.1)  # 2 * variance / repetitions


def test_crossnobis_of_unequal_repetitions_equals_all_pairs_taken_one_by_one() -> None:
    recording = make_recording(11, repetitions=5)
    response = recording["response"].transpose("stimulus", "repetition", "site").copy()
    generator = np.random.default_rng(0)
    shown = np.ones(response.shape[:2], dtype=bool)
    for k in range(len(shown)):
        shown[k, generator.permutation(5)[: generator.integers(0, 4)]] = False
    response.values[~shown] = np.nan
    recording = recording.assign(response=response)
    ours = compute_rdms(recording, measure="crossnobis", noise="identity").get_matrices()[0]
    x = response.values - response.values[shown].mean(0)

    def cross(i: int, j: int) -> float:
        seen = [(a, b) for a in range(5) for b in range(5) if shown[i, a] and shown[j, b]]
        products = [x[i, a] @ x[j, b] for a, b in seen if a != b]
        return float(np.mean(products)) / x.shape[2]

    for i, j in ((0, 1), (1, 4), (2, 5)):
        assert ours[i, j] == pytest.approx(cross(i, i) + cross(j, j) - 2 * cross(i, j), abs=1e-9)


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
    gap = response.copy()
    gap.values[0, 0, 0] = np.nan
    with pytest.raises(RecordingError, match="missing at some sites only"):
        compute_rdms(recording.assign(response=gap), measure="crossnobis")


def test_layers_beside_a_measure_with_noise_are_compared_by_squared_distances() -> None:
    assert network_measure("correlation") == network_measure("1 - Pearson r") == "correlation"
    assert network_measure("crossnobis") == network_measure("poisson") == "squared euclidean"
    vector = np.arange(6.0)
    np.testing.assert_array_equal(upper_triangle(square_matrix(vector)), vector)
