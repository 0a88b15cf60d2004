"""Split-half reliability of sites and of RDMs, and its intervals."""

from __future__ import annotations

import time
from functools import partial

import numpy as np
import pytest
import xarray as xr

from neural_data.errors import RecordingError
from neural_data.formats.cowley2023 import read_cowley2023
from neural_data.model.recording import open_recording, recording_from_arrays, save_recording
from neural_data.reliability import estimates as reliability, rdm_halves, split_halves
from neural_data.reliability.estimates import (
    compute_rdm_reliability,
    compute_site_reliability,
    spearman_brown,
)
from neural_data.reliability.intervals import (
    bootstrap_rdm_reliability,
    bootstrap_site_reliability,
)

BOTH = (compute_site_reliability, compute_rdm_reliability)
ALL = (*BOTH, bootstrap_site_reliability, bootstrap_rdm_reliability)


def make_recording(
    response: np.ndarray, area: str | list[str] = "IT", stimulus: list[str] | None = None
) -> xr.Dataset:
    """Responses (stimulus, repetition, site[, time_bin]) with made-up labels."""
    first = response if response.ndim == 3 else response[..., 0]
    recording = recording_from_arrays(
        first,
        stimulus=stimulus or [f"im{k}" for k in range(response.shape[0])],
        site=[f"s{k}" for k in range(response.shape[2])],
        area=area,
        units="spikes/s",
        source="made up",
    )
    if response.ndim == 3:
        return recording
    starts = 10.0 * np.arange(response.shape[3])
    dims = ("stimulus", "repetition", "site", "time_bin")
    return recording.assign(response=(dims, response, {"units": "spikes/s"})).assign_coords(
        time_bin_start=("time_bin", starts), time_bin_end=("time_bin", starts + 10)
    )


def make_unchecked(response: np.ndarray) -> xr.Dataset:
    """A recording with values that recording_from_arrays would refuse."""
    recording = make_recording(np.zeros_like(response))
    return recording.assign(response=recording["response"].copy(data=response))


def draw_responses(
    n_stimuli: int, n_repetitions: int, noise: np.ndarray, seed: int = 0
) -> np.ndarray:
    """Signal of variance 1 for every site, plus noise of the given standard deviations (site)."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(n_stimuli, 1, len(noise)))
    return 10 + signal + noise * rng.normal(size=(n_stimuli, n_repetitions, len(noise)))


def hide_repetitions(response: np.ndarray, seed: int = 0, *, by_site: bool = False) -> np.ndarray:
    """Leave each stimulus between two and all of its repetitions, at any position."""
    rng = np.random.default_rng(seed)
    response = response.copy()
    for row in response:
        for sites in range(row.shape[1]) if by_site else (slice(None),):
            hidden = rng.integers(0, len(row) - 1)
            row[rng.permutation(len(row))[:hidden], sites] = np.nan
    return response


def average_by_loop(response: np.ndarray, priorities: np.ndarray) -> np.ndarray:
    """Means of both halves by plain loops (half, stimulus, site); NaN where nothing was seen.

    The lowest priorities make one half, the highest the other.
    """
    means = np.full((2, response.shape[0], response.shape[2]), np.nan)
    for p in range(response.shape[0]):
        for s in range(response.shape[2]):
            shown = response[p, :, s][~np.isnan(response[p, :, s])]
            if shown.size:
                order = np.argsort(priorities[: shown.size])
                half = shown.size // 2
                means[0, p, s] = shown[order[:half]].mean()
                means[1, p, s] = shown[order[-half:]].mean()
    return means


def lengthen(r, counts):
    """Spearman-Brown for numbers of repetitions (stimulus[, site]), 0 where nothing was seen."""
    seen = np.where(counts > 0, counts, np.nan).astype(float)
    k = np.nanmean(1 / (seen // 2), axis=0) / np.nanmean(1 / seen, axis=0)
    return k * r / (1 + (k - 1) * np.abs(r))


def loop_over_splits(response, splits, seed, *, zscore=False):
    """Both reliabilities by plain loops, for (stimulus, repetition, site)."""
    sites, rdms = [], []
    pairs = np.triu_indices(response.shape[0], 1)
    for priorities in np.random.default_rng(seed).random((splits, response.shape[1])):
        means = average_by_loop(response, priorities)
        r = []
        for a, b in np.moveaxis(means, 2, 0):
            seen = ~np.isnan(a)
            r.append(np.corrcoef(a[seen], b[seen])[0, 1])
        sites.append(r)
        if zscore:
            whole = np.nanmean(response, axis=1)
            means = (means - whole.mean(axis=0)) / whole.std(axis=0)
        first, second = (1 - np.corrcoef(half)[pairs] for half in means)
        rdms.append(np.corrcoef(first, second)[0, 1])
    site, rdm = np.mean(sites, axis=0), np.mean(rdms)
    counts = (~np.isnan(response)).sum(axis=1)
    return lengthen(site, counts), lengthen(rdm, counts.ravel())


@pytest.mark.parametrize("n_repetitions", [2, 3, 5, 8])
@pytest.mark.parametrize("gaps", ["none", "of presentations", "of sites"])
def test_reliability_equals_plain_loops_over_the_same_splits(n_repetitions, gaps):
    response = draw_responses(30, n_repetitions, noise=np.linspace(0.2, 3, 7))
    if gaps != "none":
        response = hide_repetitions(response, by_site=gaps == "of sites")
    recording = make_recording(response)
    site, rdm = loop_over_splits(response, 20, 3)
    np.testing.assert_allclose(compute_site_reliability(recording, splits=20, seed=3), site)
    np.testing.assert_allclose(compute_rdm_reliability(recording, splits=20, seed=3), [rdm])
    _, rdm = loop_over_splits(response, 20, 3, zscore=True)
    scored = compute_rdm_reliability(recording, splits=20, seed=3, zscore=True)
    np.testing.assert_allclose(scored, [rdm])


@pytest.mark.parametrize("n_repetitions", [6, 7])
def test_each_split_has_the_correlation_of_a_plain_loop(n_repetitions):
    response = draw_responses(40, n_repetitions, noise=np.linspace(0.2, 3, 4))
    recording = make_recording(response)
    priorities = split_halves.draw_priorities(recording, 15, 1)
    ((_, groups),) = split_halves.iterate_groups(recording)
    r = split_halves.correlate_halves(split_halves.compute_moments(groups), priorities)
    for split, row in enumerate(priorities):
        a, b = average_by_loop(response, row)
        expected = [np.corrcoef(a[:, s], b[:, s])[0, 1] for s in range(4)]
        np.testing.assert_allclose(r[:, split], expected, atol=1e-10)


def test_a_stimulus_that_a_site_never_saw_is_left_out_for_this_site():
    response = draw_responses(40, 6, noise=np.ones(5))
    response[:12, :, 1] = np.nan
    response[30:, :, 3] = np.nan
    result = compute_site_reliability(make_recording(response), splits=20)
    site, _ = loop_over_splits(response, 20, 0)
    np.testing.assert_allclose(result, site)
    alone = compute_site_reliability(make_recording(response[12:, :, 1:2]), splits=20)
    assert float(result[1]) == pytest.approx(float(alone[0]))
    for compute in (compute_rdm_reliability, bootstrap_rdm_reliability):
        with pytest.raises(
            RecordingError,
            match=r"2 of 5 sites \('s1', 's3'\) did not see every stimulus.*select_complete",
        ):
            compute(make_recording(response))


@pytest.mark.parametrize("by_site", [False, True])
def test_time_bins_are_taken_one_by_one(by_site, monkeypatch):
    base = draw_responses(30, 6, noise=np.linspace(0.5, 2, 8))
    response = np.stack([base, base**2, base[:, ::-1] + base], axis=-1)
    hidden = np.isnan(hide_repetitions(base, by_site=by_site))
    response[hidden] = np.nan
    recording = make_recording(response, area=["V4"] * 4 + ["IT"] * 4)
    for compute in ALL:
        whole = compute(recording, splits=5)
        assert whole.dims[-1] == "time_bin"
        assert whole["time_bin_end"].values.tolist() == [10, 20, 30]
        for k in range(3):
            one = compute(recording.isel(time_bin=k), splits=5)
            np.testing.assert_allclose(whole.isel(time_bin=k), one, atol=1e-10)
        with monkeypatch.context() as small:
            small.setattr(rdm_halves, "AREA_BYTES", 1)
            small.setattr(rdm_halves, "HALVES_BYTES", 1)
            small.setattr(split_halves, "GROUP_BYTES", 1)
            small.setattr(split_halves, "CACHE_BYTES", 1)
            xr.testing.assert_allclose(compute(recording, splits=5), whole)


def test_a_file_gives_what_the_recording_in_memory_gives(tmp_path, monkeypatch):
    response = draw_responses(30, 6, noise=np.ones(9)).astype(np.float32)
    response[3, 4:] = np.nan
    areas = ["V4", "IT", "V4"] * 3
    recording = make_recording(response, area=areas)
    with open_recording(save_recording(recording, tmp_path / "r.nc")) as lazy:
        for compute in ALL:
            found = compute(lazy, splits=5)
            xr.testing.assert_allclose(found, compute(recording, splits=5))
            assert isinstance(found.variable._data, np.ndarray)
            assert all(
                isinstance(c.variable._data, np.ndarray) or c.dims for c in found.coords.values()
            )


def test_single_precision_gives_the_same_to_five_digits():
    response = 1000 + draw_responses(60, 6, noise=np.ones(9))
    double, single = make_recording(response), make_recording(response.astype(np.float32))
    for compute in BOTH:
        np.testing.assert_allclose(compute(single, splits=5), compute(double, splits=5), atol=1e-4)


@pytest.mark.parametrize("n", [2, 3, 5, 6])
def test_halves_are_equal_disjoint_and_leave_out_one_of_an_odd_number(n):
    priorities = np.random.default_rng(0).random((2000, 8))
    first, second = split_halves.draw_halves(priorities, n)
    assert (first.sum(axis=1) == n // 2).all()
    assert (second.sum(axis=1) == n // 2).all()
    assert not (first & second).any()
    for half in (first, second):
        np.testing.assert_allclose(half.mean(axis=0), n // 2 / n, atol=0.05)


def test_a_repetition_less_moves_hardly_any_other_to_another_half():
    priorities = np.random.default_rng(0).random((500, 10))
    first, second = split_halves.draw_halves(priorities, 10)
    fewer, others = split_halves.draw_halves(priorities, 9)
    assert not (first[:, :9] & others).any()
    assert not (second[:, :9] & fewer).any()


def test_site_reliability_finds_the_known_truth():
    """For signal variance 1 and noise variance v, n repetitions have reliability 1 / (1 + v/n)."""
    noise = np.array([0.5, 1.0, 2.0, 4.0])
    recording = make_recording(draw_responses(4000, 10, noise))
    np.testing.assert_allclose(
        compute_site_reliability(recording), 1 / (1 + noise**2 / 10), atol=0.02
    )


@pytest.mark.parametrize("n", [2, 3, 4, 5, 7])
def test_site_reliability_is_that_of_all_repetitions_also_of_an_odd_number(n):
    noise = np.array([0.5, 1.0, 2.0])
    truth = 1 / (1 + noise**2 / n)
    recording = make_recording(draw_responses(4000, n, noise))
    np.testing.assert_allclose(compute_site_reliability(recording), truth, atol=0.025)
    drawn = bootstrap_site_reliability(recording, draws=20, splits=10).mean("draw")
    np.testing.assert_allclose(drawn, truth, atol=0.025)


def test_unequal_repetitions_have_the_reliability_of_their_mean_noise():
    """The mean over n repetitions has noise of variance v / n; over stimuli, its mean counts."""
    n = np.arange(4000) % 4 + 2
    response = draw_responses(4000, 5, np.array([1.0, 2.0]))
    response[np.arange(5) >= n[:, np.newaxis]] = np.nan
    truth = 1 / (1 + np.array([1.0, 4.0]) * np.mean(1 / n))
    found = compute_site_reliability(make_recording(response))
    np.testing.assert_allclose(found, truth, atol=0.025)


def test_sites_of_noise_average_to_no_reliability_whatever_the_number_of_repetitions():
    for n in (2, 3, 5):
        noise = np.random.default_rng(n).normal(size=(12, n, 3000))
        found = compute_site_reliability(make_recording(noise), splits=10)
        assert float(found.min()) >= -1
        assert abs(float(found.mean())) < 0.03


def test_noise_has_no_reliability_and_noiseless_responses_have_all():
    rng = np.random.default_rng(0)
    noise = make_recording(rng.normal(size=(500, 6, 20)))
    assert abs(float(compute_site_reliability(noise).mean())) < 0.03
    assert abs(float(compute_rdm_reliability(noise)[0])) < 0.03
    exact = make_recording(np.repeat(rng.normal(size=(50, 1, 5)), 4, axis=1))
    np.testing.assert_allclose(compute_site_reliability(exact), 1)
    np.testing.assert_allclose(compute_rdm_reliability(exact), 1)


def test_the_order_of_stimuli_does_not_matter():
    response = hide_repetitions(draw_responses(300, 8, noise=np.ones(6)))
    names = [f"im{k}" for k in range(300)]
    backwards = make_recording(response[::-1], stimulus=names[::-1])
    for compute in BOTH:
        np.testing.assert_allclose(
            compute(make_recording(response), splits=20), compute(backwards, splits=20)
        )


def test_scaling_a_site_changes_nothing():
    response = draw_responses(60, 6, noise=np.ones(5))
    scaled = response * [1, 10, 0.1, 5, 1000] + [0, 1, 2, 3, 1e6]
    for compute in (compute_site_reliability, partial(compute_rdm_reliability, zscore=True)):
        np.testing.assert_allclose(
            compute(make_recording(response)), compute(make_recording(scaled)), rtol=1e-6
        )


def test_a_silent_site_has_no_reliability_and_does_no_harm():
    response = draw_responses(60, 6, noise=np.ones(5))
    response[:, :, 2] = 0.1
    recording = make_recording(response)
    site = compute_site_reliability(recording)
    assert site[2] == 0
    assert (site[[0, 1, 3, 4]] > 0.5).all()
    without = make_recording(response[:, :, [0, 1, 3, 4]])
    assert float(compute_rdm_reliability(recording)[0]) > 0.3
    assert np.isfinite(compute_rdm_reliability(without)).all()


def test_each_area_has_its_own_rdm_reliability():
    response = draw_responses(80, 6, noise=np.array([0.2] * 6 + [5.0] * 6))
    result = compute_rdm_reliability(make_recording(response, area=["V4"] * 6 + ["IT"] * 6))
    assert result["area"].values.tolist() == ["V4", "IT"]
    alone = compute_rdm_reliability(make_recording(response[:, :, 6:]))
    assert float(result.sel(area="IT")) == pytest.approx(float(alone[0]))
    assert float(result.sel(area="V4")) > 0.9


def test_more_sites_than_stimuli_give_the_same_formula():
    response = draw_responses(12, 4, noise=np.ones(40))
    _, rdm = loop_over_splits(response, 10, 0)
    result = compute_rdm_reliability(make_recording(response), splits=10)
    assert float(result[0]) == pytest.approx(rdm)


def test_the_same_seed_gives_the_same_result_and_labels_travel():
    recording = make_recording(draw_responses(30, 5, noise=np.ones(4)))
    first = compute_site_reliability(recording, splits=7, seed=1)
    xr.testing.assert_identical(first, compute_site_reliability(recording, splits=7, seed=1))
    assert not first.equals(compute_site_reliability(recording, splits=7, seed=2))
    assert set(first.coords) == {"site", "area"}
    assert first.attrs["splits"] == 7
    assert first.attrs["source"] == "made up"


def test_many_splits_are_computed_in_blocks(monkeypatch):
    recording = make_recording(draw_responses(30, 5, noise=np.ones(4)))
    expected = compute_site_reliability(recording, splits=25)
    monkeypatch.setattr(reliability, "SPLIT_BLOCK", 10)
    xr.testing.assert_allclose(compute_site_reliability(recording, splits=25), expected)


def test_a_recording_without_repetitions_is_refused():
    response = draw_responses(10, 3, noise=np.ones(4))
    response[4, 1:] = np.nan
    for compute in ALL:
        with pytest.raises(RecordingError, match=r"1 of 10 stimuli were shown only once \('im4'\)"):
            compute(make_recording(response))
    with pytest.raises(RecordingError, match=r"(?s)2 of 2 stimuli .*there are 2 stimuli"):
        compute_site_reliability(make_recording(response[:2, :1]))


def test_what_has_no_reliability_is_refused():
    recording = make_recording(
        draw_responses(10, 4, noise=np.ones(4)), area=["V4", "V4", "V4", "IT"]
    )
    with pytest.raises(RecordingError, match="Fewer than 3 sites in 'IT'"):
        compute_rdm_reliability(recording)
    with pytest.raises(ValueError, match="splits is 0"):
        compute_site_reliability(recording, splits=0)
    with pytest.raises(ValueError, match="draws is 0"):
        bootstrap_site_reliability(recording, draws=0)
    for compute in (bootstrap_site_reliability, bootstrap_rdm_reliability):
        with pytest.raises(RecordingError, match="too few to draw from again"):
            compute(make_recording(draw_responses(9, 4, noise=np.ones(4))))


def test_values_that_no_recording_may_have_are_refused_with_all_that_is_wrong():
    response = draw_responses(10, 4, noise=np.ones(4))
    response[2, 1, 3] = np.inf
    response[5, 1:, 2] = np.nan
    for compute in ALL:
        with pytest.raises(
            RecordingError, match=r"(?s)infinite at 1 of 160 values.*1 of 10 stimuli.*at 1 of 4"
        ):
            compute(make_unchecked(response))
    binned = np.stack([draw_responses(10, 4, noise=np.ones(4))] * 2, axis=-1)
    binned[1, 2, 0, 1] = np.nan
    for compute in ALL:
        with pytest.raises(RecordingError, match="NaN in some time bins, but not all, of 1 pres"):
            compute(make_recording(binned))
    recording = make_recording(np.ones((3, 2, 3)))
    del recording["response"].attrs["units"]
    for compute in ALL:
        with pytest.raises(RecordingError, match=r"no attrs\['units'\]"):
            compute(recording)


def test_spearman_brown_keeps_the_kind_of_its_input():
    assert spearman_brown(0.5) == pytest.approx(2 / 3)
    assert spearman_brown(0.0) == 0
    assert spearman_brown(1.0) == 1
    np.testing.assert_allclose(spearman_brown(np.array([0.5, -0.5])), [2 / 3, -2 / 3])
    np.testing.assert_allclose(spearman_brown(np.array([0.5, 0.2]), factor=3), [0.75, 3 / 7])
    r = np.linspace(-1, 1, 41)
    for factor in (1, 2, 3, 2.5):
        found = spearman_brown(r, factor=factor)
        assert (np.abs(found) <= 1).all()
        assert (np.diff(found) > 0).all()
        np.testing.assert_allclose(found, -spearman_brown(-r, factor=factor))
    labelled = xr.DataArray([0.5], dims="site", coords={"site": ["s1"]})
    assert spearman_brown(labelled)["site"].values.tolist() == ["s1"]
    with pytest.raises(ValueError, match="correlation of 2; expected values from -1 to 1"):
        spearman_brown(2.0)
    with pytest.raises(ValueError, match=r"factor is 0\.5; expected 1 or more"):
        spearman_brown(0.5, factor=0.5)


def loop_over_draws(response, draws, splits, seed):
    """Reliability of the sites for drawn stimuli by plain loops: (draw, site)."""
    n = response.shape[0]
    rng = np.random.default_rng([seed, 1])
    result = []
    for counts in rng.multinomial(n, np.full(n, 1 / n), size=draws):
        again = np.repeat(np.arange(n), counts)
        r = []
        for priorities in np.random.default_rng(seed).random((splits, response.shape[1])):
            a, b = average_by_loop(response, priorities)[:, again]
            r.append([np.corrcoef(x, y)[0, 1] for x, y in zip(a.T, b.T)])
        result.append(np.mean(r, axis=0))
    return lengthen(np.array(result), (~np.isnan(response)).sum(axis=1))


@pytest.mark.parametrize("by_site", [False, True])
def test_drawn_stimuli_give_what_a_plain_loop_over_them_gives(by_site):
    response = draw_responses(30, 5, noise=np.linspace(0.3, 3, 6))
    response = hide_repetitions(response, by_site=by_site)
    sites = loop_over_draws(response, 20, 4, 2)
    drawn = bootstrap_site_reliability(make_recording(response), draws=20, splits=4, seed=2)
    assert drawn.dims == ("draw", "site")
    np.testing.assert_allclose(drawn, sites)


@pytest.mark.parametrize("rank", [3, 30])
def test_the_reliability_of_an_rdm_varies_between_sets_of_stimuli_as_its_draws_say(rank):
    """Known truth: many recordings of the same sites with other stimuli."""
    estimates, spreads = [], []
    tuning = np.random.default_rng(0).normal(size=(rank, 30))
    for seed in range(60):
        rng = np.random.default_rng([seed, 2])
        signal = rng.normal(size=(100, 1, rank)) @ tuning
        recording = make_recording(signal + 2 * rank**0.5 * rng.normal(size=(100, 8, 30)))
        estimates.append(float(compute_rdm_reliability(recording, splits=5)[0]))
        drawn = bootstrap_rdm_reliability(recording, draws=100, splits=5)
        spreads.append(float(drawn.std()))
        assert float(drawn.mean()) == pytest.approx(estimates[-1], abs=0.02)
    assert np.mean(spreads) == pytest.approx(np.std(estimates), rel=0.3)


def test_the_sums_by_stimulus_are_those_of_the_gram_matrices():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 7, 12))
    for half in (first, second):
        rdm_halves.standardise(half, axis=0)
    first[:, 3] = 0
    a, b = first.T @ first, second.T @ second
    for gram in (a, b):
        np.fill_diagonal(gram, 0)
    expected = [gram.sum(axis=1) for gram in (a, b, a * a, b * b, a * b)]
    np.testing.assert_allclose(rdm_halves.sum_by_stimulus(first, second), expected, atol=1e-12)


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Of many sites whose truth is known, about 95 in 100 intervals hold it."""
    noise = np.full(300, 2.0)
    recording = make_recording(draw_responses(150, 10, noise))
    drawn = bootstrap_site_reliability(recording, draws=400)
    low, high = drawn.quantile([0.025, 0.975], "draw")
    truth = 1 / (1 + 4 / 10)
    assert float(((low < truth) & (truth < high)).mean()) == pytest.approx(0.95, abs=0.04)


def test_intervals_narrow_with_the_root_of_the_number_of_stimuli():
    width = []
    for n_stimuli in (100, 400):
        recording = make_recording(draw_responses(n_stimuli, 6, noise=np.full(40, 1.5)))
        for compute in (bootstrap_site_reliability, bootstrap_rdm_reliability):
            width.append(float(compute(recording, draws=300, splits=5).std("draw").mean()))
    assert width[0] / width[2] == pytest.approx(2, rel=0.25)
    # Pairs of stimuli that share no structure are nearly independent: up to the number itself.
    assert 1.6 < width[1] / width[3] < 4.4


def test_draws_are_reproducible_and_say_how_they_were_made():
    recording = make_recording(draw_responses(30, 5, noise=np.ones(4)))
    recording.attrs["history"] = "made"
    for compute in (bootstrap_site_reliability, bootstrap_rdm_reliability):
        first = compute(recording, draws=10, splits=3, seed=1)
        xr.testing.assert_identical(first, compute(recording, draws=10, splits=3, seed=1))
        assert not first.equals(compute(recording, draws=10, splits=3, seed=2))
        assert first.attrs["history"].splitlines()[0] == "made"
        assert "draws=10, splits=3, seed=1" in first.attrs["history"].splitlines()[1]


def test_a_thousand_splits_of_a_large_recording_take_less_than_a_second():
    recording = make_recording(draw_responses(1000, 50, noise=np.ones(300)))
    compute_site_reliability(recording, splits=10)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        compute_site_reliability(recording, splits=1000)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 1


@pytest.mark.data
def test_real_v4_is_as_reliable_as_known(shared_data):
    """Session 210325: site median .77; RDM .71 of z-scored sites (1 - Pearson)."""
    recording, _ = read_cowley2023(shared_data / "cowley2023", "210325", per_repetition=True)
    assert float(compute_site_reliability(recording).median()) == pytest.approx(0.765, abs=0.01)
    scored = compute_rdm_reliability(recording, zscore=True)
    assert float(scored[0]) == pytest.approx(0.712, abs=0.01)
