"""RDMs of recordings with time bins: one an area and bin."""

from __future__ import annotations

import numpy as np
import pytest
from made_responses import make_binned

from brainguided.correspondence.time_courses import compute_similarity_over_time
from brainguided.rdms.compare import compare_rdms
from brainguided.rdms.compute import compute_rdms
from neural_data.errors import RecordingError
from neural_data.model.recording import average_repetitions
from neural_data.model.windows import average_window


def test_a_recording_with_time_bins_gives_one_rdm_an_area_and_bin() -> None:
    recording = make_binned()
    rdms = compute_rdms(recording)
    assert rdms.n_rdm == 8
    assert list(rdms.rdm_descriptors["area"]) == ["V4"] * 4 + ["IT"] * 4
    assert list(rdms.rdm_descriptors["time_bin_start"]) == [-50, 0, 70, 120] * 2
    assert list(rdms.rdm_descriptors["time_bin_end"]) == [0, 70, 120, 170] * 2
    assert list(rdms.rdm_descriptors["n_sites"]) == [8] * 4 + [12] * 4
    means = np.nanmean(recording["response"].values, axis=1)
    oracle = [1 - np.corrcoef(means[:, s, k]) for s in (slice(8), slice(8, 20)) for k in range(4)]
    np.testing.assert_allclose(rdms.get_matrices(), oracle, atol=1e-12)
    assert rdms.descriptors["history"] == (
        "compute_rdms(by='stimulus'): 10 conditions, V4 over 8 sites, IT over 12 sites, "
        "in each of 4 time bins"
    )


def test_the_rdm_of_a_bin_is_that_of_the_recording_of_that_bin_alone() -> None:
    recording = make_binned()
    rdms = compute_rdms(recording)
    for k in range(4):
        alone = compute_rdms(recording.isel(time_bin=k))
        one_bin = compute_rdms(recording.isel(time_bin=[k]))
        assert alone.n_rdm == one_bin.n_rdm == 2
        for other in (alone, one_bin):
            np.testing.assert_allclose(
                other.dissimilarities, rdms.dissimilarities[[k, 4 + k]], atol=1e-12
            )


def test_bins_without_times_are_numbered_and_averages_over_time_note_their_window() -> None:
    recording = make_binned()
    nameless = compute_rdms(recording.drop_vars(["time_bin_start", "time_bin_end"]))
    assert list(nameless.rdm_descriptors["time_bin"]) == [0, 1, 2, 3] * 2
    averaged = compute_rdms(average_window(recording, 70, 170))
    assert averaged.descriptors["window"] == "70-170 ms"
    assert averaged.descriptors["history"].startswith("average_window(70-170 ms): 2 of 4 time bins")
    assert "time_bin_start" not in averaged.rdm_descriptors


def test_responses_with_time_bins_give_the_rdms_of_their_recording() -> None:
    recording = make_binned()
    rdms = compute_rdms(average_repetitions(recording))
    np.testing.assert_allclose(
        rdms.dissimilarities, compute_rdms(recording).dissimilarities, atol=1e-12
    )
    assert "average_repetitions" in rdms.descriptors["history"]


def test_a_silent_stimulus_in_one_bin_is_marked_there_and_nowhere_else() -> None:
    recording = make_binned()
    expected = compute_rdms(recording)
    assert "undefined" not in expected.rdm_descriptors
    recording["response"][2, :, :8, 1] *= 0.0
    recording["response"][..., 8:, 0] = recording["response"][..., 8:, 0] * 0.0
    rdms = compute_rdms(recording)
    assert list(rdms.rdm_descriptors["undefined"]) == [0, 1, 0, 0, 10, 0, 0, 0]
    found, before = rdms.get_matrices(), expected.get_matrices()
    assert np.isnan(found[1, 2, np.arange(10) != 2]).all()
    before[1, 2] = before[1, :, 2] = np.nan
    before[4] = np.nan
    off = ~np.eye(10, dtype=bool)
    np.testing.assert_allclose(found[:, off], before[:, off])
    assert "NaN for 10 conditions or fewer in 2 RDMs" in rdms.descriptors["history"]
    # what needs all of them still refuses
    with pytest.raises(ValueError, match="hold NaN"):
        compare_rdms(rdms, rdms)
    with pytest.raises(RecordingError, match="same response at every site"):
        compute_rdms(recording.isel(time_bin=[1]))
    recording["response"][...] = recording["response"] * 0.0
    with pytest.raises(RecordingError, match=r"in every time bin.*Choose a window"):
        compute_rdms(recording)


def test_similarity_over_time_leaves_out_what_is_silent_in_a_bin() -> None:
    recording = make_binned()
    layers = compute_rdms(recording.isel(time_bin=2, drop=True))
    layers.rdm_descriptors["layer"] = ["a", "b"]
    whole = compute_similarity_over_time(layers, recording)
    assert (whole["conditions"] == 10).all()
    recording["response"][2, :, :8, 1] *= 0.0
    recording["response"][:3, :, :8, 3] *= 0.0
    found = compute_similarity_over_time(layers, recording)
    assert found["conditions"].sel(area="V4").values.tolist() == [10, 9, 10, 0]
    assert np.isnan(found.sel(area="V4").isel(time_bin=3)).all()
    np.testing.assert_allclose(found.sel(area="IT"), whole.sel(area="IT"))
    kept = [k for k in range(10) if k != 2]
    bin_ = recording.isel(time_bin=[1], stimulus=kept)
    oracle = compare_rdms(
        layers.subset_pattern("index", kept), compute_rdms(bin_), method="pearson"
    )[:, 0]
    np.testing.assert_allclose(found.sel(area="V4").isel(time_bin=1), oracle)
