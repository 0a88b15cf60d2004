"""Effective dimensionality: theorem, planted dimensions under noise, refusals."""

import numpy as np
import pytest
import xarray as xr

from brainguided.correspondence import compute_area_dimensionality, compute_dimensionality
from neural_data import RecordingError, recording_from_arrays


def make(values: np.ndarray) -> xr.DataArray:
    names = [f"im{k}" for k in range(len(values))]
    return xr.DataArray(values, dims=("stimulus", "unit"), coords={"stimulus": names})


def test_dimensionality_is_the_participation_ratio_of_covariance_eigenvalues() -> None:
    x = np.random.default_rng(0).normal(size=(40, 6)) * [5, 3, 2, 1, 1, 0.5] + 3
    values = np.linalg.eigvalsh(np.cov(x.T))
    expected = values.sum() ** 2 / np.square(values).sum()
    assert compute_dimensionality(make(x)) == pytest.approx(expected, abs=1e-9)
    assert compute_dimensionality(make(1e-9 * x)) == pytest.approx(expected, abs=1e-9)
    assert compute_dimensionality(make(np.repeat(x, 3, axis=1))) == pytest.approx(expected)


def test_k_even_dimensions_are_k() -> None:
    generator = np.random.default_rng(1)
    latent, _ = np.linalg.qr(generator.normal(size=(50, 4)))
    latent, _ = np.linalg.qr(latent - latent.mean(0))
    mixing, _ = np.linalg.qr(generator.normal(size=(30, 4)))
    assert compute_dimensionality(make(latent @ mixing.T)) == pytest.approx(4)
    assert compute_dimensionality(make(latent[:, :1] @ mixing[:, :1].T)) == pytest.approx(1)


def record(generator, signal: np.ndarray, repetitions: int, noise: float) -> xr.Dataset:
    n_stimuli, n_sites = signal.shape
    response = signal[:, None] + noise * generator.normal(size=(n_stimuli, repetitions, n_sites))
    return recording_from_arrays(
        response,
        stimulus=[f"im{k}" for k in range(n_stimuli)],
        site=[f"s{k}" for k in range(n_sites)],
        area=["V4"] * (n_sites // 2) + ["IT"] * (n_sites - n_sites // 2),
        units="spikes/s",
        source="made up",
    )


@pytest.mark.parametrize("repetitions", [4, 7])
def test_noise_adds_dimensions_to_means_and_none_to_the_signal(repetitions) -> None:
    generator = np.random.default_rng(2)
    found = []
    for _ in range(20):
        latent, _ = np.linalg.qr(generator.normal(size=(60, 3)))
        latent, _ = np.linalg.qr(latent - latent.mean(0))
        mixing = [np.linalg.qr(generator.normal(size=(20, 3)))[0] for _ in range(2)]
        signal = 8 * np.concatenate([latent @ m.T for m in mixing], axis=1)
        recording = record(generator, signal, repetitions, noise=0.5)
        found.append(compute_area_dimensionality(recording, splits=20))
    both = xr.concat(found, "draw")
    assert both["area"].values.tolist() == ["V4", "IT"]
    error = both["dimensionality"].std("draw") / np.sqrt(20)
    assert (abs(both["dimensionality"].mean("draw") - 3) < 4 * error + 0.05).all()
    assert (both["of_means"].mean("draw") > 3.4).all()


def test_pure_noise_has_no_dimensionality_that_is_reliably_above_zero_signal() -> None:
    generator = np.random.default_rng(3)
    traces = [
        compute_area_dimensionality(record(generator, np.zeros((30, 8)), 4, 1.0), splits=10)
        for _ in range(30)
    ]
    both = xr.concat(traces, "draw")["dimensionality"]
    assert np.isnan(both).mean() > 0.25, "about half of the estimates of 0 variance are below 0"


def test_too_few_repetitions_are_refused_with_what_to_do() -> None:
    generator = np.random.default_rng(4)
    with pytest.raises(RecordingError, match="fewer than 4 repetitions"):
        compute_area_dimensionality(record(generator, np.zeros((30, 8)), 3, 1.0))
    with pytest.raises(ValueError, match="do not vary"):
        compute_dimensionality(make(np.ones((5, 3))))
