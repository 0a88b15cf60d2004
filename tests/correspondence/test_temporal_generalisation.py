"""Cross-temporal generalisation: plain numpy, planted dynamics, noise, refusals."""

import numpy as np
import pytest
import xarray as xr

from brainguided.correspondence import compute_temporal_generalisation
from neural_data import RecordingError, recording_from_arrays
from neural_data.model.windows import assign_time_bins


def record(generator, signal: np.ndarray, noise: float, repetitions: int = 6) -> xr.Dataset:
    """Record signal (time_bin, stimulus, site) with independent noise."""
    n_bins, n_stimuli, n_sites = signal.shape
    shape = (n_stimuli, repetitions, n_sites, n_bins)
    response = np.moveaxis(signal, 0, 2)[:, None] + noise * generator.normal(size=shape)
    recording = recording_from_arrays(
        response,
        stimulus=[f"im{k}" for k in range(n_stimuli)],
        site=[f"s{k}" for k in range(n_sites)],
        area="IT",
        units="spikes/s",
        source="made up",
    )
    return assign_time_bins(recording, 10 * np.arange(n_bins + 1))


def test_two_repetitions_equal_plain_numpy() -> None:
    generator = np.random.default_rng(0)
    recording = record(generator, generator.normal(size=(3, 8, 10)), 1.0, repetitions=2)
    found = compute_temporal_generalisation(recording, splits=3)
    halves = np.moveaxis(recording["response"].values, (1, 3), (0, 1))
    rows, columns = np.triu_indices(8, 1)
    rdms = [[1 - np.corrcoef(x)[rows, columns] for x in half] for half in halves]
    oracle = np.corrcoef(rdms[0], rdms[1])[:3, 3:]
    np.testing.assert_allclose(found.sel(area="IT"), (oracle + oracle.T) / 2, atol=1e-12)
    assert found["time_bin_start"].values.tolist() == [0, 10, 20]
    assert found["other_time_bin_end"].values.tolist() == [10, 20, 30]


def test_a_held_representation_generalises_and_one_that_changes_does_not() -> None:
    generator = np.random.default_rng(1)
    first, second = generator.normal(size=(2, 30, 40))
    signal = np.stack([0 * first, first, first, second])
    found = compute_temporal_generalisation(record(generator, signal, 0.5)).sel(area="IT").values
    np.testing.assert_allclose(found, found.T)
    assert found[1, 2] > 0.8
    assert abs(found[1, 3]) < 0.15
    assert abs(found[0]).max() < 0.15, "noise resembles neither itself nor anything else"


def test_noise_that_persists_over_time_is_not_taken_for_signal() -> None:
    generator = np.random.default_rng(2)
    noise = generator.normal(size=(20, 6, 30, 1)) + np.zeros((1, 1, 1, 3))
    recording = record(generator, np.zeros((3, 20, 30)), 0.0).copy()
    recording["response"] = recording["response"].copy(data=noise)
    assert abs(compute_temporal_generalisation(recording)).max() < 0.2


def test_bins_without_a_defined_rdm_are_nan_and_conditions_are_averaged() -> None:
    generator = np.random.default_rng(3)
    signal = np.stack([np.zeros((12, 9)), generator.normal(size=(12, 9))])
    recording = record(generator, signal, 0.0).assign_coords(
        object_name=("stimulus", np.repeat(list("abcdef"), 2))
    )
    found = compute_temporal_generalisation(recording, by="object_name").sel(area="IT")
    assert np.isnan(found[0]).all()
    assert np.isnan(found[:, 0]).all()
    assert found[1, 1].item() == pytest.approx(1)


def test_recordings_without_time_or_repetitions_are_refused() -> None:
    generator = np.random.default_rng(4)
    recording = record(generator, generator.normal(size=(2, 8, 10)), 1.0, repetitions=1)
    with pytest.raises(RecordingError, match="fewer than two repetitions"):
        compute_temporal_generalisation(recording)
    with pytest.raises(RecordingError, match="no time bins"):
        compute_temporal_generalisation(recording.isel(time_bin=0, drop=True))
