"""Windows of time: their bins, their averages, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import neural_data
from neural_data.errors import RecordingError
from neural_data.model.recording import (
    average_repetitions,
    load_recording,
    open_recording,
    recording_from_arrays,
    save_recording,
    select_recording,
    validate_recording,
)
from neural_data.model.windows import assign_time_bins, average_window, select_window

EDGES = [-100, -50, 0, 50, 70, 120, 170, 300]


def make_recording(edges=EDGES, dtype=np.float64) -> xr.Dataset:
    """Five stimuli, three repetitions, some missing at some sites, four sites."""
    n_bins = len(edges) - 1 if np.ndim(edges) == 1 else len(edges)
    rng = np.random.default_rng(3)
    response = rng.gamma(2.0, 5.0, size=(5, 3, 4, n_bins)).astype(dtype)
    response[2, 1] = np.nan
    response[4, 0, 3] = np.nan
    recording = recording_from_arrays(
        response,
        stimulus=list("edcba"),
        site=["s1", "s2", "s3", "s4"],
        area=["V4", "IT", "V4", "IT"],
        units="spikes/s",
        source="made up",
    )
    return assign_time_bins(recording, edges)


@pytest.fixture
def recording() -> xr.Dataset:
    return make_recording()


def test_edges_name_adjoining_bins_and_pairs_name_any():
    recording = make_recording([[0, 20], [10, 30], [40, 50]])
    assert recording["time_bin_start"].values.tolist() == [0, 10, 40]
    assert recording["time_bin_end"].values.tolist() == [20, 30, 50]
    assert make_recording()["time_bin_end"].values.tolist() == EDGES[1:]


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([0, 1, 2], r"shape \(3,\).*for 7 time bins: 8 edges"),
        (["0"] * 8, "hold <U1; expected numbers"),
        ([0, 10, 5, 20, 30, 40, 50, 60], "'time_bin_end' is not after 'time_bin_start'"),
    ],
)
def test_edges_that_do_not_fit_are_refused(recording, edges, message):
    with pytest.raises(RecordingError, match=message):
        assign_time_bins(recording, edges)


def test_a_window_keeps_the_bins_wholly_inside(recording):
    kept = select_window(recording, 60, 175)
    assert kept["time_bin_start"].values.tolist() == [70, 120]
    np.testing.assert_array_equal(kept["response"].values, recording["response"].values[..., 4:6])
    assert kept.attrs["history"] == "select_window(60-175 ms): 2 of 7 time bins"
    assert validate_recording(kept) is kept


def test_a_window_keeps_scattered_bins_in_their_order():
    recording = make_recording([[100, 120], [0, 20], [110, 130], [300, 320]])
    assert select_window(recording, 90, 330)["time_bin_start"].values.tolist() == [100, 110, 300]


def test_the_average_over_equal_bins_is_their_mean():
    recording = make_recording(np.arange(0, 90, 10))
    averaged = average_window(recording, 0, 80)
    xr.testing.assert_allclose(
        averaged["response"], recording["response"].mean("time_bin", skipna=False)
    )


def test_the_average_is_that_of_the_time_course_whatever_its_bins(recording):
    averaged = average_window(recording, 0, 170)["response"].values
    fine = np.repeat(recording["response"].values, np.diff(EDGES), axis=-1)  # one bin a ms
    np.testing.assert_allclose(averaged, fine[..., 100:270].mean(axis=-1), rtol=1e-12)


def test_the_average_of_two_windows_is_that_of_both_weighted_by_duration(recording):
    first, second, both = (
        average_window(recording, *limits)["response"].values
        for limits in ((0, 70), (70, 170), (0, 170))
    )
    np.testing.assert_allclose(both, (70 * first + 100 * second) / 170, rtol=1e-12)


def test_averaging_a_window_commutes_with_selecting_and_with_averaging_repetitions(recording):
    first = select_recording(average_window(recording, 70, 170), area="IT", stimulus=["a", "c"])
    then = average_window(select_recording(recording, area="IT", stimulus=["a", "c"]), 70, 170)
    xr.testing.assert_equal(first, then)
    once = average_repetitions(average_window(recording, 70, 170))
    bins = average_repetitions(select_window(recording, 70, 170))
    np.testing.assert_allclose(once.values, bins.values.mean(axis=-1), rtol=1e-12)


def test_the_window_is_noted_and_carried_on(recording, tmp_path):
    averaged = average_window(select_recording(recording, area="V4"), 70, 170)
    assert averaged["response"].dims == ("stimulus", "repetition", "site")
    assert averaged["response"].attrs == {"units": "spikes/s", "window": "70-170 ms"}
    assert averaged.attrs["source"] == "made up"
    assert averaged.attrs["history"].splitlines() == [
        "select_recording(area='V4'): 2 of 4 sites, 5 of 5 stimuli",
        "average_window(70-170 ms): 2 of 7 time bins",
    ]
    assert not [key for key in averaged.variables if key.startswith("time_bin")]
    assert average_repetitions(averaged).attrs["window"] == "70-170 ms"
    loaded = load_recording(save_recording(averaged, tmp_path / "averaged.nc"))
    xr.testing.assert_identical(loaded, averaged)


def test_single_precision_stays_and_missing_presentations_too():
    recording = make_recording(dtype=np.float32)
    averaged = average_window(recording, -100, 0)["response"]
    assert averaged.dtype == np.float32
    np.testing.assert_array_equal(
        np.isnan(averaged.values), np.isnan(recording["response"].values[..., 0])
    )
    oracle = recording["response"].values[..., :2].astype(float).mean(axis=-1)
    np.testing.assert_allclose(averaged.values, oracle, rtol=1e-6)


def test_lazily_opened_and_loaded_recordings_give_the_same_windows(recording, tmp_path):
    path = save_recording(recording, tmp_path / "binned.nc")
    loaded = load_recording(path)
    with open_recording(path) as lazy:
        window = select_window(lazy, 0, 120)
        assert not window["response"].variable._in_memory
        xr.testing.assert_identical(window.load(), select_window(loaded, 0, 120))
        xr.testing.assert_identical(average_window(lazy, 0, 120), average_window(loaded, 0, 120))


def test_times_that_are_off_by_rounding_still_fill_the_window():
    edges = 0.1 * np.arange(4) * 100  # as seconds in a file may turn out
    assert edges[-1] > 30
    assert average_window(make_recording(edges), 0, 30).sizes["site"] == 4
    assert select_window(make_recording(edges), 0, 30).sizes["time_bin"] == 3


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ((60, 170), r"60-170 ms.*\n.*bins inside it lie from 70 to 170 ms: choose that window"),
        ((0, 200), "bins inside it lie from 0 to 170 ms"),
        ((71, 119), r"No time bin lies wholly inside 71-119 ms; the 7 bins lie between -100"),
        ((170, 70), "No time bin lies wholly inside"),
        ((float("nan"), 70), "No time bin lies wholly inside"),
    ],
)
def test_a_window_that_cuts_bins_is_not_averaged(recording, limits, message):
    with pytest.raises(RecordingError, match=message):
        average_window(recording, *limits)


def test_bins_may_overlap_but_not_leave_gaps():
    overlapping = make_recording([[0, 20], [10, 30], [20, 40]])
    mean = overlapping["response"].values.mean(axis=-1)
    np.testing.assert_allclose(average_window(overlapping, 0, 40)["response"].values, mean)
    with pytest.raises(RecordingError, match="no bin covers 20-30 ms: average each side"):
        average_window(make_recording([[0, 20], [30, 40]]), 0, 40)


def test_infinities_and_half_a_time_course_are_not_averaged_away(recording):
    recording["response"][0, 0, 0, 4] = np.inf
    recording["response"][1, 0, 0, 5] = np.nan
    with pytest.raises(RecordingError, match=r"infinite at 1 of(.|\n)*some time bins"):
        average_window(recording, 70, 170)
    average_window(recording, 0, 70)  # these bins are sound


def test_a_recording_without_bins_or_without_their_times_is_refused(recording):
    once = average_window(recording, 70, 170)
    for function in (select_window, average_window):
        with pytest.raises(RecordingError, match=r"no time bins.*reduced to 70-170 ms already"):
            function(once, 70, 170)
        with pytest.raises(
            RecordingError, match=r"7 time bins have no time_bin_start and no"
        ) as told:
            function(recording.drop_vars(["time_bin_start", "time_bin_end"]), 70, 170)
        assert "neural_data.assign_time_bins(recording, edges)" in str(told.value)
    assert neural_data.assign_time_bins is assign_time_bins
