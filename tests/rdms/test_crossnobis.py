"""Dissimilarities that need repetitions: against rsatoolbox, naive sums and known truth."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from made_responses import calculate_theirs, make_recording
from rsatoolbox.data.noise import prec_from_residuals

from brainguided.rdms.compute import compute_rdms
from brainguided.rdms.noise import compute_noise_precision
from neural_data import recording_from_arrays
from neural_data.errors import AlignmentError

SEEDS = range(20)


@pytest.mark.parametrize("by", ["stimulus", "object_name"])
@pytest.mark.parametrize("measure", ["mahalanobis", "crossnobis"])
@pytest.mark.parametrize("seed", SEEDS)
def test_measures_with_noise_equal_rsatoolbox(seed, measure, by) -> None:
    recording = make_recording(seed)
    precision = estimate_theirs(recording)
    ours = compute_rdms(recording, by=by, measure=measure).dissimilarities[0]
    theirs = calculate_theirs(recording, by, measure, precision)
    np.testing.assert_allclose(ours, theirs, atol=1e-10, rtol=1e-10)
    given = compute_rdms(recording, by=by, measure=measure, noise={"IT": precision})
    np.testing.assert_allclose(given.dissimilarities[0], theirs, atol=1e-10, rtol=1e-10)


def estimate_theirs(recording: xr.Dataset) -> np.ndarray:
    response = recording["response"].transpose("repetition", "stimulus", "site").values
    residuals = (response - response.mean(0)).reshape(-1, response.shape[2])
    freedom = (response.shape[0] - 1) * response.shape[1]
    return prec_from_residuals(residuals, dof=freedom)


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


def test_with_unequal_repetitions_the_stimuli_of_a_condition_still_count_the_same() -> None:
    # Signal alone, a fifth of it not shown: cross-validation must find the distances of the means.
    recording = make_recording(12, repetitions=4)
    response = recording["response"].transpose("stimulus", "repetition", "site").copy()
    generator = np.random.default_rng(1)
    response.values[:] = generator.normal(size=(len(response), 1, response.shape[2]))
    for k in range(0, len(response), 2):
        response.values[k, generator.permutation(4)[: generator.integers(1, 3)]] = np.nan
    recording = recording.assign(response=response)
    for by in ("stimulus", "object_name"):
        ours = compute_rdms(recording, by=by, measure="crossnobis", noise="identity")
        plain = compute_rdms(recording, by=by, measure="squared euclidean")
        np.testing.assert_allclose(ours.dissimilarities, plain.dissimilarities, atol=1e-12)


def test_a_labelled_precision_must_be_of_the_same_sites_in_the_same_order() -> None:
    recording = make_recording(6)
    precision = compute_noise_precision(recording)
    expected = compute_rdms(recording, measure="mahalanobis").dissimilarities
    found = compute_rdms(recording, measure="mahalanobis", noise={"IT": precision})
    np.testing.assert_allclose(found.dissimilarities, expected, rtol=1e-12)
    for by in ("stimulus", "object_name"):
        with pytest.raises(
            AlignmentError, match=r"differ in \d+ of \d+ sites, first at position 0"
        ):
            compute_rdms(
                recording.isel(site=slice(None, None, -1)),
                by=by,
                measure="mahalanobis",
                noise={"IT": precision},
            )


def test_noise_is_estimated_in_every_area_and_time_bin_anew() -> None:
    generator = np.random.default_rng(3)
    recording = recording_from_arrays(
        generator.gamma(2.0, 3.0, (9, 4, 10, 2)),
        stimulus=[f"im{k}" for k in range(9)],
        site=[f"s{k}" for k in range(10)],
        area=["V4"] * 4 + ["IT"] * 6,
        units="spikes/s",
        source="made up",
    )
    for measure in ("mahalanobis", "crossnobis"):
        rdms = compute_rdms(recording, measure=measure)
        assert list(rdms.rdm_descriptors["area"]) == ["V4", "V4", "IT", "IT"]
        for row, (sites, bin_) in enumerate(
            (s, b) for s in (slice(4), slice(4, 10)) for b in (0, 1)
        ):
            alone = compute_rdms(recording.isel(site=sites, time_bin=bin_), measure=measure)
            np.testing.assert_allclose(alone.dissimilarities[0], rdms.dissimilarities[row])
        assert "noise='shrinkage'" in rdms.descriptors["history"]
