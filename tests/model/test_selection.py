"""Sites chosen by what they did, and the record of each choice."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neural_data.errors import RecordingError
from neural_data.model.recording import (
    average_repetitions,
    load_recording,
    open_recording,
    recording_from_arrays,
    save_recording,
    validate_recording,
)
from neural_data.model.selection import (
    compute_responsiveness,
    select_complete,
    select_responsive_sites,
)
from neural_data.model.windows import assign_time_bins, average_window
from neural_data.reliability.estimates import compute_site_reliability
from neural_data.reliability.reliable_sites import select_reliable_sites

EDGES = [-100, -60, 0, 70, 120, 170]


def make_recording(values: np.ndarray) -> xr.Dataset:
    return recording_from_arrays(
        values,
        stimulus=[f"im{i}" for i in range(values.shape[0])],
        site=[f"s{i}" for i in range(values.shape[2])],
        area=["V4", "IT"] * (values.shape[2] // 2),
        units="spikes/s",
        source="made up",
    )


@pytest.fixture
def gappy() -> xr.Dataset:
    """20 stimuli, 4 repetitions, 6 sites; s1 and s4 lack stimuli, all lack some repetitions."""
    rng = np.random.default_rng(0)
    values = rng.normal(10, 2, size=(20, 4, 6)).astype(np.float32)
    values[rng.random(values.shape) < 0.2] = np.nan
    values[:, 0] = 9.0
    values[[3, 7], :, 1] = np.nan
    values[7, :, 4] = np.nan
    return make_recording(values)


@pytest.fixture
def noisy() -> xr.Dataset:
    """Eight sites of which the last four only are driven by the stimuli."""
    rng = np.random.default_rng(1)
    signal = rng.normal(size=(60, 1, 8)) * ([0] * 4 + [2] * 4)
    return make_recording(signal + rng.normal(size=(60, 10, 8)))


@pytest.fixture
def evoked() -> xr.Dataset:
    """Sites with evoked rates 0, 1, 2, ... times the noise above a baseline; some not shown."""
    rng = np.random.default_rng(2)
    values = rng.normal(100.0, 1.0, size=(50, 20, 6, 5))
    values[..., 3:] += np.arange(6)[:, np.newaxis]
    missing = rng.random(values.shape[:3]) < 0.2
    missing[:, 0] = False
    values[missing] = np.nan
    return assign_time_bins(make_recording(values), EDGES)


def test_select_complete_keeps_the_sites_without_gaps(gappy):
    kept = select_complete(gappy)
    assert kept["site"].values.tolist() == ["s0", "s2", "s3", "s5"]
    assert kept.sizes["stimulus"] == 20
    assert (
        kept.attrs["history"] == "select_complete(keep='stimuli'): 4 of 6 sites, 20 of 20 stimuli"
    )
    assert not np.isnan(average_repetitions(kept)).any()


def test_select_complete_keeps_the_stimuli_without_gaps(gappy):
    kept = select_complete(gappy, keep="sites")
    assert kept.sizes == {"stimulus": 18, "repetition": 4, "site": 6}
    assert not {"im3", "im7"} & set(kept["stimulus"].values.tolist())
    assert kept.attrs["history"].endswith("6 of 6 sites, 18 of 20 stimuli")
    assert not np.isnan(average_repetitions(kept)).any()


def test_a_complete_recording_is_kept_whole_and_completing_twice_changes_nothing(gappy):
    for keep in ("stimuli", "sites"):
        once = select_complete(gappy, keep=keep)
        xr.testing.assert_equal(select_complete(once, keep=keep), once)


def test_time_bins_count_as_one_presentation(gappy):
    binned = gappy.assign(response=gappy["response"].expand_dims(time_bin=3, axis=-1))
    binned["response"].attrs["units"] = "spikes/s"
    assert select_complete(binned).sizes["site"] == 4


def test_select_complete_refuses_to_leave_nothing_and_unknown_choices(gappy):
    stimulus_lost = gappy.where(gappy["stimulus"] != "im0")
    with pytest.raises(RecordingError, match=r"Every site has gaps .* Use keep='sites'"):
        select_complete(stimulus_lost)
    assert select_complete(stimulus_lost, keep="sites").sizes["stimulus"] == 17
    with pytest.raises(RecordingError, match=r"Every stimulus has gaps .* Use keep='stimuli'"):
        select_complete(gappy.where(gappy["site"] != "s0"), keep="sites")
    with pytest.raises(ValueError, match="keep is 'all'; expected 'stimuli' or 'sites'"):
        select_complete(gappy, keep="all")


def test_select_reliable_sites_keeps_those_above_the_threshold_and_says_so(noisy, tmp_path):
    kept = select_reliable_sites(noisy, above=0.7, splits=20, seed=3)
    assert kept["site"].values.tolist() == ["s4", "s5", "s6", "s7"]
    oracle = compute_site_reliability(noisy, splits=20, seed=3).values[4:]
    np.testing.assert_array_equal(kept["reliability"].values, oracle)
    assert kept.attrs["history"] == (
        "select_reliable_sites(above=0.7, splits=20, seed=3): 4 of 8 sites, 60 of 60 stimuli"
    )
    xr.testing.assert_identical(load_recording(save_recording(kept, tmp_path / "kept.nc")), kept)


def test_select_reliable_sites_refuses_a_threshold_that_no_site_reaches(noisy):
    with pytest.raises(RecordingError, match=r"None of the 8 sites .* above 1; their median is"):
        select_reliable_sites(noisy, above=1.0, splits=5)


def test_select_reliable_sites_asks_for_one_window(evoked):
    with pytest.raises(RecordingError, match=r"average_window\(recording, start, end\)"):
        select_reliable_sites(evoked, above=0.5, splits=2)


def naive_d_prime(recording: xr.Dataset, site: int) -> float:
    values = recording["response"].values[:, :, site].reshape(-1, len(EDGES) - 1)
    values = values[~np.isnan(values[:, 0])]
    before = (40 * values[:, 0] + 60 * values[:, 1]) / 100
    after = values[:, 3:].mean(axis=1)
    spread = np.sqrt((before.var(ddof=1) + after.var(ddof=1)) / 2)
    return float((after.mean() - before.mean()) / spread)


def test_responsiveness_equals_the_naive_d_prime(evoked):
    d_prime = compute_responsiveness(evoked, baseline=(-100, 0), window=(70, 170))
    oracle = [naive_d_prime(evoked, site) for site in range(6)]
    np.testing.assert_allclose(d_prime.values, oracle, rtol=1e-9)
    np.testing.assert_allclose(d_prime.values, np.arange(6) / np.sqrt(0.51), atol=0.2)
    assert d_prime.attrs["units"] == "d'"
    assert d_prime.attrs["window"] == "70-170 ms"
    assert d_prime["area"].values.tolist() == ["V4", "IT"] * 3


def test_responsiveness_changes_sign_with_the_windows_and_not_with_scale_or_offset(evoked):
    def measure(recording, first=(-100, 0), second=(70, 170)):
        return compute_responsiveness(recording, baseline=first, window=second).values

    def change(function):
        return evoked.assign(response=function(evoked["response"]).assign_attrs(units="x"))

    expected = measure(evoked)
    np.testing.assert_allclose(measure(evoked, (70, 170), (-100, 0)), -expected, rtol=1e-9)
    np.testing.assert_allclose(measure(change(lambda r: 3 * r)), expected, rtol=1e-9)
    np.testing.assert_allclose(measure(change(lambda r: r + 1e5)), expected, rtol=1e-6)


def test_a_silent_site_has_d_prime_zero():
    values = np.zeros((4, 2, 2, 5))
    values[:, :, 1, 3:] = 5.0
    silent = assign_time_bins(make_recording(values), EDGES)
    d_prime = compute_responsiveness(silent, baseline=(-100, 0), window=(70, 170))
    assert d_prime.values.tolist() == [0.0, np.inf]


def test_select_responsive_sites_keeps_those_above_the_threshold_and_says_so(evoked, tmp_path):
    kept = select_responsive_sites(evoked, baseline=(-100, 0), window=(70, 170), above=2.0)
    assert kept["site"].values.tolist() == ["s2", "s3", "s4", "s5"]
    assert (kept["responsiveness"] > 2).all()
    assert kept.attrs["history"].splitlines()[-1] == (
        "select_responsive_sites(above=2, baseline=-100-0 ms, window=70-170 ms): "
        "4 of 6 sites, 50 of 50 stimuli"
    )
    assert validate_recording(kept) is kept
    path = save_recording(evoked, tmp_path / "evoked.nc")
    with open_recording(path) as lazy:
        again = select_responsive_sites(lazy, baseline=(-100, 0), window=(70, 170), above=2.0)
        assert not again["response"].variable._in_memory
        xr.testing.assert_identical(again.load(), kept)


def test_lazily_opened_and_loaded_recordings_are_selected_alike(gappy, noisy, tmp_path):
    for n, (recording, select) in enumerate(
        [
            (gappy, select_complete),
            (gappy, lambda r: select_complete(r, keep="sites")),
            (noisy, lambda r: select_reliable_sites(r, above=0.7, splits=5)),
        ]
    ):
        path = save_recording(recording, tmp_path / f"{n}.nc")
        with open_recording(path) as lazy:
            kept = select(lazy)
            assert not kept["response"].variable._in_memory
            xr.testing.assert_identical(kept.load(), select(load_recording(path)))


def test_responsiveness_refuses_what_it_cannot_measure(evoked):
    with pytest.raises(RecordingError, match="have time bins in common"):
        compute_responsiveness(evoked, baseline=(-100, 70), window=(0, 170))
    with pytest.raises(RecordingError, match="No time bin lies wholly inside -30-0 ms"):
        compute_responsiveness(evoked, baseline=(-30, 0), window=(70, 170))
    with pytest.raises(RecordingError, match="no time bins"):
        compute_responsiveness(
            average_window(evoked, 70, 170), baseline=(-100, 0), window=(70, 170)
        )
    rare = evoked.isel(stimulus=[0], repetition=[0])
    with pytest.raises(RecordingError, match="6 of 6 sites have fewer than two presentations"):
        compute_responsiveness(rare, baseline=(-100, 0), window=(70, 170))
    evoked["response"][0, 0, 0, 2] = np.inf
    with pytest.raises(RecordingError, match="infinite at 1 of"):
        compute_responsiveness(evoked, baseline=(-100, 0), window=(70, 170))
    with pytest.raises(RecordingError, match=r"None of the 6 sites has a responsiveness above 99"):
        select_responsive_sites(
            evoked.fillna(0).where(np.isfinite(evoked["response"]), 1.0),
            baseline=(-100, 0),
            window=(70, 170),
            above=99,
        )
