"""A simulated macaque made to order: its sites, animals and sessions, its truth."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from noise_measures import correlate_noise
from scipy.ndimage import gaussian_filter

from neural_data.model.recording import load_recording, save_recording, validate_recording
from neural_data.simulation._network import load_network, run_network
from neural_data.simulation.area import STAGES, SimulatedArea
from neural_data.simulation.macaque import Macaque
from neural_data.simulation.noise import GaussianNoise, PoissonNoise
from neural_data.simulation.objects import simulate_objects
from neural_data.simulation.simulate import simulate_macaque, simulate_rates
from neural_data.simulation.time_course import TimeCourse


@pytest.fixture(scope="module")
def stimuli():
    return simulate_objects(5, seed=4)


@pytest.fixture(scope="module")
def few():
    return simulate_objects(1, variation=(0,))


@pytest.mark.parametrize(
    "macaque",
    [
        Macaque(),
        Macaque(noise=PoissonNoise(correlation=0.2), time=TimeCourse(bin_width=50)),
        Macaque(
            noise=GaussianNoise(fano=1.5),
            it=SimulatedArea(origin=["conv1", "conv4"], reliability=0.7),
            animals=3,
        ),
    ],
)
def test_more_sites_and_repetitions_leave_the_earlier_ones_as_they_were(few, macaque):
    small, _ = simulate_macaque(few, repetitions=3, n_v4=5, n_it=6, seed=2, macaque=macaque)
    large, _ = simulate_macaque(few, repetitions=5, n_v4=40, n_it=70, seed=2, macaque=macaque)
    part = large.isel(repetition=slice(3)).sel(site=small["site"].values)
    xr.testing.assert_identical(part["response"], small["response"])
    for name, coord in small.coords.items():
        assert part[name].values.tolist() == coord.values.tolist()


def test_the_seed_settles_everything(few):
    macaque = Macaque(time=TimeCourse(bin_width=100), sessions=2, left_out=0.2)
    first, again, other = (
        simulate_macaque(few, repetitions=(2, 4), n_v4=4, n_it=4, seed=s, macaque=macaque)[0]
        for s in (1, 1, 2)
    )
    xr.testing.assert_identical(first, again)
    assert not np.allclose(first["response"], other["response"], equal_nan=True)


def test_sites_differ_from_one_another(few):
    rates = simulate_rates(few, n_v4=40, n_it=40, macaque=Macaque()).values
    correlation = np.corrcoef(rates.T)[np.triu_indices(80, 1)]
    assert correlation.max() < 0.999


def test_animals_and_origins_are_dealt_out_in_turn():
    area = SimulatedArea(origin=["conv4", "conv5", "conv5"])
    macaque = Macaque(it=area, animals=["Ada", "Bo"], sessions=2)
    layout = simulate_rates(simulate_objects(1, variation=(0,)), n_v4=1, n_it=12, macaque=macaque)
    assert layout["animal"].values[1:5].tolist() == ["Ada", "Bo", "Ada", "Bo"]
    origin, animal = layout["origin"].values[1:], layout["animal"].values[1:]
    for name in ("Ada", "Bo"):
        assert origin[animal == name].tolist() == ["conv4", "conv5", "conv5"] * 2
    assert layout["origin"].values[0] == "conv3"
    assert layout["session"].values[1:].tolist() == (
        ["Ada_s1", "Bo_s1"] * 3 + ["Ada_s2", "Bo_s2"] * 3
    )
    assert layout["site"].values[2] == "Bo_IT_001"


def test_sites_of_a_stage_represent_images_as_its_pooled_maps_do_and_no_others(stimuli):
    def describe(values):
        flat = values.reshape(len(values), -1)
        return np.corrcoef(flat - flat.mean(axis=0))[np.triu_indices(len(values), 1)]

    maps = run_network(load_network(), stimuli["image"].values, range(1, 6))
    stages = []
    for stage in STAGES.values():
        scaled = maps[stage.convolution] / maps[stage.convolution].std(axis=(0, 1, 2))
        sds = (0, stage.width, stage.width, 0)
        inner = slice(int(stage.margin), scaled.shape[1] - int(stage.margin))
        stages.append(describe(gaussian_filter(scaled, sds, mode="constant")[:, inner, inner]))
    for place, name in enumerate(STAGES):
        macaque = Macaque(it=SimulatedArea(origin=name))
        rates = simulate_rates(stimuli, n_v4=0, n_it=150, macaque=macaque)
        assert set(rates["origin"].values) == {name}
        scaled = (rates.values - rates.values.mean(axis=0)) / rates.values.std(axis=0)
        likeness = [np.corrcoef(describe(scaled), stage)[0, 1] for stage in stages]
        assert likeness[place] > 0.75
        assert max(likeness[:place] + likeness[place + 1 :]) < likeness[place] - 0.1


def test_sites_of_one_session_miss_the_same_presentations_and_others_do_not(stimuli):
    macaque = Macaque(sessions=2, left_out=0.25)
    recording, _ = simulate_macaque(stimuli, repetitions=(2, 5), n_v4=8, n_it=8, macaque=macaque)
    whole, _ = simulate_macaque(stimuli, repetitions=5, n_v4=8, n_it=8, macaque=Macaque(sessions=2))
    response = recording["response"].values
    missing = np.isnan(response)
    np.testing.assert_array_equal(response[~missing], whole["response"].values[~missing])
    session = recording["session"].values
    patterns = {}
    for name in ("sim1_s1", "sim1_s2", "sim2_s1", "sim2_s2"):
        sites = np.flatnonzero(session == name)
        assert len(sites) == 4
        assert (missing[:, :, sites] == missing[:, :, sites[:1]]).all()
        pattern = missing[:, :, sites[0]]
        patterns[name] = pattern.tobytes()
        unseen = pattern.all(axis=1).mean()
        assert 0.2 < unseen <= 0.25
        counts = (~pattern).sum(axis=1)
        assert set(counts) == {0, 2, 3, 4, 5}
    assert len(set(patterns.values())) == 4
    assert not missing.all(axis=(1, 2)).any()


def test_most_stimuli_left_out_leaves_every_stimulus_somewhere(few):
    macaque = Macaque(animals=1, sessions=2, left_out=0.95)
    recording, _ = simulate_macaque(few, repetitions=1, n_v4=2, n_it=2, macaque=macaque)
    shown = ~np.isnan(recording["response"].values)
    assert shown.any(axis=(1, 2)).all()
    assert shown.any(axis=(0, 1)).all()
    assert 0.4 < shown.mean() < 0.6


def test_sessions_share_no_noise(stimuli):
    macaque = Macaque(animals=1, sessions=2, noise=GaussianNoise(sd=2, correlation=0.5))
    recording, _ = simulate_macaque(stimuli, repetitions=20, n_v4=0, n_it=8, macaque=macaque)
    recording = recording.assign_coords(animal=("site", recording["session"].values))
    same, other = correlate_noise(recording)
    assert same.mean() == pytest.approx(0.5, abs=0.02)
    assert abs(other.mean()) < 0.02


def test_the_truth_reproduces_the_noise_free_rates(few):
    macaque = Macaque(
        v4=SimulatedArea(site_reliability=np.array([0.4, 0.8])),
        noise=GaussianNoise(fano=1.2),
        time=TimeCourse(bin_width=40),
        sessions=2,
    )
    recording, _ = simulate_macaque(few, repetitions=(1, 2), n_v4=2, n_it=2, macaque=macaque)
    truth = json.loads(recording.attrs["truth"])
    assert truth["noise"] == {
        "kind": "GaussianNoise",
        "fano": 1.2,
        "sd": None,
        "shared_gain_sd": 0.0,
        "correlation": 0.0,
    }
    assert truth["repetitions"] == [1, 2]
    assert truth["areas"]["V4"]["site_reliability"] == [0.4, 0.8]
    assert truth["areas"]["IT"]["origin"] == ["conv5"]
    assert truth["areas"]["IT"]["latency"] == 90
    assert truth["time"]["bin_width"] == 40
    call = truth["mean_rates"].removeprefix("neural_data.")
    again = eval(call, {**globals(), "stimuli": few})
    assert call.startswith("simulate_rates(")
    xr.testing.assert_identical(again, simulate_rates(few, n_v4=2, n_it=2, macaque=macaque))


def test_a_recording_with_time_and_sessions_follows_the_schema_and_survives_a_file(few, tmp_path):
    macaque = Macaque(time=TimeCourse(bin_width=100), sessions=2, left_out=0.3, animals=["A"])
    recording, _ = simulate_macaque(few, repetitions=(1, 3), n_v4=4, n_it=4, macaque=macaque)
    validate_recording(recording)
    assert recording["response"].dims == ("stimulus", "repetition", "site", "time_bin")
    assert recording["response"].attrs == {"units": "spikes/s"}
    assert "simulated" in recording.attrs["source"]
    path = save_recording(recording, tmp_path / "simulated.nc")
    loaded = load_recording(path)
    np.testing.assert_array_equal(loaded["response"], recording["response"])
    for name, coord in recording.coords.items():
        assert loaded[name].values.tolist() == coord.values.tolist()
    assert loaded.attrs["truth"] == recording.attrs["truth"]


def test_equal_choices_are_equal_and_can_be_keys():
    first, second = (
        Macaque(it=SimulatedArea(origin=["conv4"], site_reliability=np.array([0.5])), animals=1)
        for _ in range(2)
    )
    assert first == second
    assert len({first, second, Macaque()}) == 2


def test_unfit_areas_are_refused_all_at_once():
    with pytest.raises(
        ValueError,
        match=r"(?s)origin is \('conv4', 'conv9'\), expected some of conv1, .*conv5.*"
        r"reliability is 1.*of_repetitions is 0.*latency is -3",
    ):
        SimulatedArea(origin=["conv4", "conv9"], reliability=1, of_repetitions=0, latency=-3)
    for wrong in ((0.9, 0.3), (0.1, 0.2, 0.3), (0.5, None), "high", True):
        with pytest.raises(ValueError, match="reliability is"):
            SimulatedArea(reliability=wrong)
    with pytest.raises(ValueError, match=r"(?s)site_reliability is nan at 1 of 2.*give one"):
        SimulatedArea(reliability=0.5, site_reliability=[0.5, float("nan")])
    with pytest.raises(ValueError, match="origin is"):
        SimulatedArea(origin=[])


def test_unfit_macaques_are_refused_all_at_once():
    with pytest.raises(
        ValueError,
        match=r"(?s)v4 has a latency, but there is no time.*animals is 0.*sessions is 1\.5.*"
        r"left_out is 1",
    ):
        Macaque(v4=SimulatedArea(latency=50), animals=0, sessions=1.5, left_out=1)
    for wrong in ([], ["a", "a"], "Chabo", [1, 2], ["a", ""], True):
        with pytest.raises(ValueError, match="animals is"):
            Macaque(animals=wrong)
    with pytest.raises(ValueError, match=r"(?s)v4 is 0\.5, expected a SimulatedArea.*noise is 'p"):
        Macaque(v4=0.5, noise="poisson")
    with pytest.raises(ValueError, match="left_out is given without sessions"):
        Macaque(left_out=0.1)
    with pytest.raises(ValueError, match=r"latencies of it lie between 20 and 160 ms.*0 to 150"):
        Macaque(it=SimulatedArea(latency_jitter=35), time=TimeCourse())


def test_a_macaque_that_does_not_fit_the_sites_is_refused(few):
    macaque = Macaque(v4=SimulatedArea(site_reliability=[0.5, 0.6]))
    with pytest.raises(ValueError, match=r"site_reliability of v4 has 2 values, but n_v4 is 3"):
        simulate_macaque(few, n_v4=3, n_it=1, macaque=macaque)
    with pytest.raises(ValueError, match=r"(?s)repetitions is 0.*macaque is a str"):
        simulate_macaque(few, repetitions=0, macaque="Chabo")
