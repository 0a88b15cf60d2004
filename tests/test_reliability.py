"""Split-half reliability of sites and of RDMs."""

from __future__ import annotations

import time

import numpy as np
import pytest
import xarray as xr

from neural_data import reliability
from neural_data.cowley2023 import read_cowley2023
from neural_data.errors import RecordingError
from neural_data.recording import recording_from_arrays
from neural_data.reliability import (
    compute_rdm_reliability,
    compute_site_reliability,
    spearman_brown,
)


def make_recording(
    response: np.ndarray, area: str | list[str] = "IT", stimulus: list[str] | None = None
) -> xr.Dataset:
    return recording_from_arrays(
        response,
        stimulus=stimulus or [f"im{k}" for k in range(response.shape[0])],
        site=[f"s{k}" for k in range(response.shape[2])],
        area=area,
        units="spikes/s",
        source="made up",
    )


def draw_responses(
    n_stimuli: int, n_repetitions: int, noise: np.ndarray, seed: int = 0
) -> np.ndarray:
    """Signal of variance 1 for every site, plus noise of the given standard deviations (site)."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(n_stimuli, 1, len(noise)))
    return 10 + signal + noise * rng.normal(size=(n_stimuli, n_repetitions, len(noise)))


def hide_repetitions(response: np.ndarray, seed: int = 0) -> np.ndarray:
    """Leave each stimulus between two and all of its repetitions, at any position."""
    rng = np.random.default_rng(seed)
    response = response.copy()
    for row in response:
        hidden = rng.integers(0, len(row) - 1)
        row[rng.permutation(len(row))[:hidden]] = np.nan
    return response


def loop_over_splits(response, halves):
    """Both reliabilities by plain loops, for given halves of n shown repetitions (split, 2, n)."""
    sites, rdms = [], []
    pairs = np.triu_indices(response.shape[0], 1)
    for split in range(len(next(iter(halves.values())))):
        means = np.empty((2, response.shape[0], response.shape[2]))
        for half in range(2):
            for k, row in enumerate(response):
                shown = row[~np.isnan(row[:, 0])]
                means[half, k] = shown[halves[len(shown)][split, half]].mean(axis=0)
        sites.append([np.corrcoef(a, b)[0, 1] for a, b in np.moveaxis(means, 2, 0)])
        scaled = (means - means.mean(axis=1, keepdims=True)) / means.std(axis=1, keepdims=True)
        first, second = (1 - np.corrcoef(half)[pairs] for half in scaled)
        rdms.append(np.corrcoef(first, second)[0, 1])
    site, rdm = np.mean(sites, axis=0), np.mean(rdms)
    return 2 * site / (1 + site), 2 * rdm / (1 + rdm)


@pytest.mark.parametrize("n_repetitions", [2, 5, 8])
@pytest.mark.parametrize("unequal", [False, True])
def test_reliability_equals_plain_loops_over_the_same_splits(n_repetitions, unequal):
    response = draw_responses(30, n_repetitions, noise=np.linspace(0.2, 3, 7))
    if unequal:
        response = hide_repetitions(response)
    recording = make_recording(response)
    counts = sorted(set((~np.isnan(response[:, :, 0])).sum(axis=1)))
    rng = np.random.default_rng(3)
    halves = {n: reliability._draw_halves(n, 20, rng) for n in counts}
    site, rdm = loop_over_splits(response, halves)
    np.testing.assert_allclose(compute_site_reliability(recording, splits=20, seed=3), site)
    np.testing.assert_allclose(compute_rdm_reliability(recording, splits=20, seed=3), [rdm])


def test_halves_are_equal_disjoint_and_leave_out_one_of_an_odd_number():
    for n in (2, 5, 6):
        halves = reliability._draw_halves(n, 500, np.random.default_rng(0))
        assert (halves.sum(axis=2) == n // 2).all()
        assert not halves.all(axis=1).any()
        np.testing.assert_allclose(halves.mean(axis=0), n // 2 / n, atol=0.1)


def test_site_reliability_finds_the_known_truth():
    """For signal variance 1 and noise variance v, n repetitions have reliability 1 / (1 + v/n)."""
    noise = np.array([0.5, 1.0, 2.0, 4.0])
    recording = make_recording(draw_responses(4000, 10, noise))
    np.testing.assert_allclose(
        compute_site_reliability(recording), 1 / (1 + noise**2 / 10), atol=0.02
    )


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
    for compute in (compute_site_reliability, compute_rdm_reliability):
        np.testing.assert_allclose(
            compute(make_recording(response), splits=20), compute(backwards, splits=20)
        )


def test_scaling_a_site_changes_nothing():
    response = draw_responses(60, 6, noise=np.ones(5))
    scaled = response * [1, 10, 0.1, 5, 1000] + [0, 1, 2, 3, 1e6]
    for compute in (compute_site_reliability, compute_rdm_reliability):
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
    halves = {4: reliability._draw_halves(4, 10, np.random.default_rng(0))}
    _, rdm = loop_over_splits(response, halves)
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
    monkeypatch.setattr(reliability, "BLOCK", 10)
    xr.testing.assert_allclose(compute_site_reliability(recording, splits=25), expected)


def test_a_recording_without_repetitions_is_refused():
    response = draw_responses(10, 3, noise=np.ones(4))
    response[4, 1:] = np.nan
    for compute in (compute_site_reliability, compute_rdm_reliability):
        with pytest.raises(RecordingError, match=r"1 of 10 stimuli were shown only once \('im4'\)"):
            compute(make_recording(response))
    with pytest.raises(RecordingError, match=r"2 of 2 stimuli .*there are 2 stimuli"):
        compute_site_reliability(make_recording(response[:2, :1]))


def test_what_has_no_reliability_is_refused():
    recording = make_recording(
        draw_responses(10, 4, noise=np.ones(4)), area=["V4", "V4", "V4", "IT"]
    )
    with pytest.raises(RecordingError, match="Fewer than 3 sites in 'IT'"):
        compute_rdm_reliability(recording)
    with pytest.raises(ValueError, match="splits is 0"):
        compute_site_reliability(recording, splits=0)
    binned = recording.expand_dims(time_bin=2, axis=-1).assign_coords(area=recording["area"])
    binned = binned.transpose("stimulus", "repetition", "site", "time_bin")
    with pytest.raises(RecordingError, match="has time bins"):
        compute_site_reliability(binned)


def test_spearman_brown_keeps_the_kind_of_its_input():
    assert spearman_brown(0.5) == pytest.approx(2 / 3)
    assert spearman_brown(0.0) == 0
    assert spearman_brown(1.0) == 1
    np.testing.assert_allclose(spearman_brown(np.array([0.5, -0.5])), [2 / 3, -2])
    labelled = xr.DataArray([0.5], dims="site", coords={"site": ["s1"]})
    assert spearman_brown(labelled)["site"].values.tolist() == ["s1"]
    with pytest.raises(ValueError, match="correlation of 2; expected values from -1 to 1"):
        spearman_brown(2.0)
    with pytest.raises(ValueError, match="-1 has no Spearman-Brown"):
        spearman_brown(-1.0)


@pytest.mark.slow
def test_a_thousand_splits_of_a_large_recording_take_about_a_second():
    recording = make_recording(draw_responses(1000, 50, noise=np.ones(300)))
    compute_site_reliability(recording, splits=10)
    start = time.perf_counter()
    compute_site_reliability(recording, splits=1000)
    assert time.perf_counter() - start < 2


@pytest.mark.data
def test_real_v4_is_as_reliable_as_known(shared_data):
    """Session 210325: site median .75, RDM .72 (z-scored sites, 1 - Pearson)."""
    recording, _ = read_cowley2023(shared_data / "cowley2023", "210325", per_repetition=True)
    assert float(compute_site_reliability(recording).median()) == pytest.approx(0.75, abs=0.01)
    assert float(compute_rdm_reliability(recording)[0]) == pytest.approx(0.72, abs=0.01)
