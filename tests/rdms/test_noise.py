"""Noise of repetitions: against rsatoolbox, against known truth, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from rsatoolbox.data.noise import cov_from_residuals, prec_from_residuals

from brainguided.rdms.noise import compute_noise_precision, shrink_covariance
from neural_data import recording_from_arrays
from neural_data.errors import RecordingError


def make_recording(
    n_stimuli: int, repetitions: int, covariance: np.ndarray, *, seed: int = 0
) -> xr.Dataset:
    """Return responses whose noise has a given covariance, about a mean for every stimulus."""
    generator = np.random.default_rng(seed)
    n_sites = len(covariance)
    noise = generator.multivariate_normal(np.zeros(n_sites), covariance, (n_stimuli, repetitions))
    return recording_from_arrays(
        generator.normal(20.0, 10.0, (n_stimuli, 1, n_sites)) + noise,
        stimulus=[f"im{k}" for k in range(n_stimuli)],
        site=[f"s{k}" for k in range(n_sites)],
        area="IT",
        units="spikes/s",
        source="made up",
    )


def make_covariance(n: int, seed: int = 0) -> np.ndarray:
    root = np.random.default_rng(seed).normal(size=(n, 3 * n))
    return root @ root.T / (3 * n)


def find_residuals(recording: xr.Dataset) -> tuple[np.ndarray, int]:
    values = recording["response"].transpose("repetition", "stimulus", "site").values
    residuals = (values - values.mean(0)).reshape(-1, values.shape[2])
    return residuals, (values.shape[0] - 1) * values.shape[1]


@pytest.mark.parametrize("seed", range(20))
def test_shrunk_and_diagonal_precision_equal_rsatoolbox(seed) -> None:
    generator = np.random.default_rng(seed)
    n_sites, n_stimuli, repetitions = (
        int(generator.integers(*x)) for x in ((2, 40), (3, 30), (2, 6))
    )
    recording = make_recording(n_stimuli, repetitions, make_covariance(n_sites, seed), seed=seed)
    residuals, freedom = find_residuals(recording)
    theirs = prec_from_residuals(residuals, dof=freedom, method="shrinkage_diag")
    ours = compute_noise_precision(recording)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-10 * np.abs(theirs).max())
    variances = np.diag(cov_from_residuals(residuals, dof=freedom, method="diag"))
    diagonal = compute_noise_precision(recording, method="diagonal")
    np.testing.assert_allclose(diagonal, np.diag(1 / variances), rtol=1e-12)
    assert ours.dims == ("site", "other_site")
    assert ours["other_site"].values.tolist() == recording["site"].values.tolist()


def test_with_many_residuals_the_true_precision_comes_out() -> None:
    truth = make_covariance(5)
    found = compute_noise_precision(make_recording(2000, 10, truth))
    np.testing.assert_allclose(found.values @ truth, np.eye(5), atol=0.05)


def test_noise_of_independent_sites_is_shrunk_to_its_variances() -> None:
    recording = make_recording(20, 3, np.diag([1.0, 4.0, 9.0, 16.0] * 25))
    found = compute_noise_precision(recording).values
    outside = found - np.diag(np.diag(found))
    assert np.abs(outside).max() < 0.05 * np.diag(found).max()
    # A hundred sites, forty degrees of freedom: unshrunk, this had no inverse.
    assert np.linalg.eigvalsh(found)[0] > 0


def test_unequal_repetitions_give_the_scatter_of_what_was_shown() -> None:
    recording = make_recording(30, 4, make_covariance(6))
    response = recording["response"].transpose("stimulus", "repetition", "site").copy()
    response.values[:10, 2:] = np.nan
    response.values[10:15, 1:] = np.nan  # shown once: no scatter, no degree of freedom
    found = compute_noise_precision(recording.assign(response=response), method="diagonal")
    scatter = np.concatenate(
        [x[~np.isnan(x[:, 0])] - np.nanmean(x, 0) for x in response.values if x.size]
    )
    freedom = 10 * 1 + 15 * 3
    np.testing.assert_allclose(np.diag(found), freedom / (scatter**2).sum(0), rtol=1e-10)


def test_stimuli_shown_once_say_nothing_of_noise() -> None:
    recording = make_recording(30, 3, make_covariance(6))
    response = recording["response"].transpose("stimulus", "repetition", "site").copy()
    response.values[20:, 1:] = np.nan
    found = compute_noise_precision(recording.assign(response=response))
    expected = compute_noise_precision(recording.isel(stimulus=slice(20)))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_noise_does_not_depend_on_the_mean_responses_nor_on_the_order_of_repetitions() -> None:
    recording = make_recording(12, 4, make_covariance(7))
    expected = compute_noise_precision(recording)
    shift = xr.DataArray(
        np.random.default_rng(1).normal(0, 100, (12, 7)), dims=("stimulus", "site")
    )
    moved = recording.assign(
        response=(recording["response"] + shift).assign_attrs(recording["response"].attrs)
    ).isel(repetition=[2, 0, 3, 1])
    np.testing.assert_allclose(compute_noise_precision(moved), expected, rtol=1e-7, atol=1e-10)


def test_identity_needs_no_repetitions() -> None:
    recording = make_recording(5, 1, make_covariance(4))
    np.testing.assert_array_equal(compute_noise_precision(recording, method="identity"), np.eye(4))


def test_a_site_recorded_twice_has_a_precision_all_the_same() -> None:
    covariance = make_covariance(4)[np.ix_([0, 1, 2, 3, 3], [0, 1, 2, 3, 3])]
    found = compute_noise_precision(make_recording(100, 5, covariance)).values
    assert np.isfinite(found).all()
    assert np.linalg.eigvalsh((found + found.T) / 2)[0] > 0


def test_what_gives_no_noise_is_refused() -> None:
    recording = make_recording(6, 3, make_covariance(4))
    with pytest.raises(RecordingError, match=r"one repetition.*noise='identity'"):
        compute_noise_precision(recording.isel(repetition=[0]))
    with pytest.raises(ValueError, match="noise is 'full'; it is one of 'shrinkage'"):
        compute_noise_precision(recording, method="full")
    response = recording["response"].transpose("stimulus", "repetition", "site").copy()
    response.values[:, :, 2] = 7.0
    with pytest.raises(RecordingError, match=r"1 sites have no noise at all \('s2'\)"):
        compute_noise_precision(recording.assign(response=response))
    response = recording["response"].transpose("stimulus", "repetition", "site").copy()
    response.values[0, 1, 3] = np.nan
    with pytest.raises(RecordingError, match=r"1 of 18 presentations.*'s3'.*select_recording"):
        compute_noise_precision(recording.assign(response=response))
    binned = recording.assign(response=recording["response"].expand_dims(time_bin=2, axis=3))
    with pytest.raises(RecordingError, match=r"2 time bins.*average_window"):
        compute_noise_precision(binned)


def test_shrinkage_stays_between_the_sample_covariance_and_its_diagonal() -> None:
    generator = np.random.default_rng(0)
    for number in (5, 50, 5000):
        residuals = generator.normal(size=(number, 8)) @ generator.normal(size=(8, 8))
        residuals -= residuals.mean(0)
        sample = residuals.T @ residuals / (number - 1)
        shrunk = shrink_covariance(residuals, number - 1, diagonal=False)
        np.testing.assert_allclose(np.diag(shrunk), np.diag(sample))
        off = ~np.eye(8, dtype=bool)
        kept = shrunk[off] / sample[off]
        assert 0 <= kept.min() <= kept.max() <= 1
        np.testing.assert_allclose(kept, kept[0])
