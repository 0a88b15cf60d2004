"""Spike times, and the recordings binned from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from neural_data.errors import RecordingError
from neural_data.model.recording import load_recording, save_recording, validate_recording
from neural_data.model.spikes import (
    bin_spikes,
    count_spikes,
    load_spikes,
    save_spikes,
    spikes_from_arrays,
    validate_spikes,
)

WHAT = {"area": "IT", "source": "made up"}


def simulate(n_spikes: int = 500, n_sites: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    # whole ms among them, so that spikes fall on edges
    return np.round(rng.uniform(-50, 3000, n_spikes), 1) // 0.5 * 0.5, rng.integers(
        0, n_sites, n_spikes
    )


def make(n_sites: int = 4, seed: int = 0) -> xr.Dataset:
    times, owners = simulate(n_sites=n_sites, seed=seed)
    return spikes_from_arrays(times, owners, site=[f"s{k}" for k in range(n_sites)], **WHAT)


def test_spikes_are_sorted_by_site_and_time_and_none_is_lost() -> None:
    times, owners = simulate()
    spikes = make()
    start = 0
    for site, count in enumerate(spikes["spike_count"].values):
        own = spikes["spike_time"].values[start : start + count]
        np.testing.assert_array_equal(own, np.sort(times[owners == site]))
        start += count
    assert start == times.size


def test_names_of_sites_and_their_positions_mean_the_same() -> None:
    times, owners = simulate()
    names = np.array(["s0", "s1", "s2", "s3"])
    xr.testing.assert_identical(
        make(), spikes_from_arrays(times, names[owners], site=names.tolist(), **WHAT)
    )


def test_without_names_of_sites_they_come_as_first_seen() -> None:
    spikes = spikes_from_arrays([3, 2, 1], ["b", "a", "b"], **WHAT)
    assert spikes["site"].values.tolist() == ["b", "a"]
    assert spikes["spike_time"].values.tolist() == [1.0, 3.0, 2.0]


def test_counts_equal_a_naive_loop_over_spikes() -> None:
    times, owners = simulate()
    onsets, edges = [0, 1500.5, 400.0, 2990], [-20, 0, 30, 100, 250.5]
    naive = np.zeros((4, 4, 4), dtype=int)
    for t, site in zip(times, owners, strict=True):
        for p, onset in enumerate(onsets):
            for b in range(4):
                if onset + edges[b] <= t < onset + edges[b + 1]:
                    naive[p, site, b] += 1
    assert naive.sum() > 50
    np.testing.assert_array_equal(count_spikes(make(), onset=onsets, bins=edges), naive)


def test_counts_of_adjacent_bins_add_up_to_the_window() -> None:
    onsets = np.arange(0, 2800, 70)
    fine = count_spikes(make(), onset=onsets, bins=np.arange(70, 171, 10))
    whole = count_spikes(make(), onset=onsets, bins=(70, 170))
    np.testing.assert_array_equal(fine.sum(axis=2), whole[:, :, 0])


def test_rates_do_not_depend_on_the_zero_of_the_clock() -> None:
    times, owners = simulate()
    sites = [f"s{k}" for k in range(4)]
    later = spikes_from_arrays(times + 4096.0, owners, site=sites, **WHAT)
    onsets = np.array([0.0, 500.0, 1000.0])
    np.testing.assert_array_equal(
        count_spikes(make(), onset=onsets, bins=(0, 50, 100)),
        count_spikes(later, onset=onsets + 4096.0, bins=(0, 50, 100)),
    )


def test_a_spike_at_the_start_is_in_and_at_the_end_is_out() -> None:
    spikes = spikes_from_arrays([70, 170], ["a", "a"], **WHAT)
    assert count_spikes(spikes, onset=[0], bins=(70, 170)).tolist() == [[[1]]]
    assert count_spikes(spikes, onset=[0], bins=(170, 270)).tolist() == [[[1]]]


def test_a_site_without_spikes_counts_zero() -> None:
    spikes = spikes_from_arrays([5.0], [1], site=["none", "one", "none after"], **WHAT)
    assert count_spikes(spikes, onset=[0], bins=(0, 10))[0, :, 0].tolist() == [0, 1, 0]
    silent = spikes_from_arrays([], [], site=["none"], **WHAT)
    assert count_spikes(silent, onset=[0], bins=(0, 10)).tolist() == [[[0]]]


def test_presentations_of_a_stimulus_become_its_repetitions() -> None:
    stimulus, onset = ["b", "a", "b"], [0.0, 1000.0, 2000.0]
    counts = count_spikes(make(), onset=onset, bins=(0, 500))[:, :, 0]
    recording = bin_spikes(make(), stimulus=stimulus, onset=onset, bins=(0, 500), units="spikes")
    assert recording["stimulus"].values.tolist() == ["b", "a"]
    response = recording["response"]
    assert response.dims == ("stimulus", "repetition", "site")
    np.testing.assert_array_equal(response.sel(stimulus="b"), counts[[0, 2]])
    np.testing.assert_array_equal(response.sel(stimulus="a")[0], counts[1])
    assert np.isnan(response.sel(stimulus="a")[1]).all()
    assert response.attrs == {"units": "spikes", "window": "0-500 ms"}
    assert "bin_spikes" in recording.attrs["history"]


def test_rates_are_counts_over_the_width_of_each_bin() -> None:
    edges = np.array([0.0, 10.0, 50.0, 250.0])
    onset = np.arange(0, 2500, 250.0)
    counts = count_spikes(make(), onset=onset, bins=edges)
    recording = bin_spikes(make(), stimulus=[f"i{k}" for k in range(10)], onset=onset, bins=edges)
    assert recording["response"].dims == ("stimulus", "repetition", "site", "time_bin")
    assert recording["response"].dtype == np.float32
    np.testing.assert_allclose(
        recording["response"][:, 0], counts / (np.diff(edges) / 1000), rtol=1e-6
    )
    assert recording["time_bin_start"].values.tolist() == [0, 10, 50]
    assert recording["time_bin_end"].values.tolist() == [10, 50, 250]


def test_simulated_rates_are_recovered() -> None:
    rng = np.random.default_rng(3)
    rates = np.array([[5.0, 80.0], [40.0, 10.0]])  # (stimulus, site)
    shown = rng.permutation(np.repeat([0, 1], 400))
    onset = np.arange(800) * 500.0
    times, owners = [], []
    for site in (0, 1):
        for k, t in zip(shown, onset, strict=True):
            n = rng.poisson(rates[k, site] * 0.1)
            times += list(t + rng.uniform(70, 170, n))
            owners += [site] * n
    spikes = spikes_from_arrays(times, owners, site=["s0", "s1"], **WHAT)
    recording = bin_spikes(
        spikes, stimulus=[f"i{k}" for k in shown], onset=onset, bins=(70, 170)
    ).sel(stimulus=["i0", "i1"])
    error = np.sqrt(rates / 0.1 / 400)
    assert (np.abs(recording["response"].mean("repetition") - rates) < 4 * error).all()
    # nothing lies outside the window in which it was made
    other = bin_spikes(spikes, stimulus=[f"i{k}" for k in shown], onset=onset, bins=(170, 500))
    assert not other["response"].any()


def test_what_a_site_was_not_observed_for_is_missing_and_not_zero() -> None:
    observed = np.ones((3, 4), dtype=bool)
    observed[1, 2] = False
    recording = bin_spikes(
        make(), stimulus=list("aab"), onset=[0, 1000, 2000], bins=(0, 9), observed=observed
    )
    missing = np.isnan(recording["response"].values)
    assert missing[0, 1].tolist() == [False, False, True, False]
    assert missing.sum() == 1 + 4  # that, and the second repetition of b
    assert "1 of 12 presentations to a site not observed" in recording.attrs["history"]


def test_coordinates_of_sites_and_attributes_are_kept() -> None:
    spikes = make().assign_coords(depth=("site", [1.0, 2.0, 3.0, 4.0]))
    spikes.attrs.update(session="7", history="read: somewhere")
    recording = bin_spikes(spikes, stimulus=["a"], onset=[0], bins=(0, 9))
    assert recording["depth"].values.tolist() == [1, 2, 3, 4]
    assert recording.attrs["session"] == "7"
    assert recording.attrs["history"].startswith("read: somewhere\nbin_spikes")


def test_spikes_and_their_recording_come_back_from_a_file(tmp_path: Path) -> None:
    spikes = make()
    xr.testing.assert_identical(load_spikes(save_spikes(spikes, tmp_path / "s.nc")), spikes)
    recording = bin_spikes(spikes, stimulus=["a", "b"], onset=[0, 300], bins=(0, 9, 20))
    saved = load_recording(save_recording(recording, tmp_path / "r.nc"))
    xr.testing.assert_identical(saved, validate_recording(recording))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"onset": [0, np.nan]}, "NaN or infinite at 1 presentations"),
        ({"onset": [0, 1, 2]}, "2 stimuli for 3 onsets"),
        ({"onset": ["0", "1"]}, "expected one time in ms"),
        ({"bins": (170, 70)}, "ascending edges"),
        ({"bins": (70,)}, "at least two ascending edges"),
        ({"units": "Hz"}, "expected 'spikes/s', 'spikes'"),
        ({"observed": np.ones((2, 3), bool)}, r"expected bool of shape \(2, 4\)"),
    ],
)
def test_bins_and_onsets_that_make_no_sense_are_refused(arguments: dict, message: str) -> None:
    given = {"stimulus": ["a", "b"], "onset": [0, 1], "bins": (0, 9), **arguments}
    with pytest.raises(RecordingError, match=message):
        bin_spikes(make(), **given)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(RecordingError, match=r"(?s)units are 'Hz'.*onset is.*bins are"):
        bin_spikes(make(), stimulus=["a"], onset=[np.inf], bins=(3,), units="Hz")


@pytest.mark.parametrize(
    ("times", "owners", "site", "message"),
    [
        ([[1.0]], ["a"], None, "expected a flat list of ms"),
        ([1.0, 2.0], ["a"], None, "1 sites of spikes for 2 times"),
        ([1.0], [0], None, "give the names as site="),
        ([1.0], [1], ["a"], "outside 0 to 0"),
        ([1.0], [-1], ["a"], "outside 0 to 0"),
        ([1.0], ["b"], ["a"], "not in site"),
        ([np.nan], ["a"], None, "NaN or infinite at 1"),
        ([1.0], ["a"], ["a", "a"], "repeats 'a'"),
        ([1.0], [0.5], ["a"], "expected names or positions"),
    ],
)
def test_arrays_that_are_no_spike_times_are_refused(times, owners, site, message) -> None:
    with pytest.raises(RecordingError, match=message):
        spikes_from_arrays(times, owners, site=site, **WHAT)


def damaged(**changes) -> xr.Dataset:
    spikes = make()
    for name, values in changes.items():
        spikes[name] = (spikes[name].dims, values, spikes[name].attrs)
    return spikes


@pytest.mark.parametrize(
    ("spikes", "message"),
    [
        (damaged(spike_count=[1, 2, 3, 4]), "adds up to 10; there are 500"),
        (damaged(spike_count=[501, -1, 0, 0]), "below 0 at 1 sites"),
        (damaged(spike_time=make()["spike_time"].values[::-1]), "within a site, first at site"),
        (make().drop_vars("spike_count"), "no variable 'spike_count'"),
        (make().drop_vars("area"), "no coordinate 'area'"),
        (make().drop_attrs(), r"(?s)units'\] None.*no attrs\['source'\]"),
        (3, "is a int"),
    ],
)
def test_datasets_that_are_no_spike_times_are_refused(spikes, message) -> None:
    with pytest.raises(RecordingError, match=message):
        validate_spikes(spikes)


def test_times_may_fall_from_one_site_to_the_next_also_past_silent_sites() -> None:
    spikes = spikes_from_arrays(
        [9.0, 1.0, 5.0, 0.5], [1, 3, 3, 5], site=[f"s{k}" for k in range(7)], **WHAT
    )
    assert validate_spikes(spikes) is spikes


def test_onsets_in_seconds_are_refused_also_where_stimuli_are_far_apart() -> None:
    """Ten minutes with a stimulus every six seconds: in s, the onsets end after 600 ms."""
    times = np.random.default_rng(0).uniform(0, 6e5, 6000)
    spikes = spikes_from_arrays(times, ["s1"] * times.size, **WHAT)
    onset = 1.0 + 6 * np.arange(99)
    stimulus = [f"im{k % 3}" for k in range(99)]
    with pytest.raises(RecordingError, match=r"within 588 ms, of .*are they in s\?"):
        bin_spikes(spikes, stimulus=stimulus, onset=onset, bins=(70, 170))
    recording = bin_spikes(spikes, stimulus=stimulus, onset=1000 * onset, bins=(70, 170))
    assert float(recording["response"].mean()) == pytest.approx(10, rel=0.3)
    fast = 3e5 + 100 * np.arange(99)  # rapid presentation, a part of a session
    assert bin_spikes(spikes, stimulus=stimulus, onset=fast, bins=(70, 170)).sizes["stimulus"] == 3
