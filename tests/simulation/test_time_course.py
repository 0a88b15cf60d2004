"""The time course of a simulated macaque."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from noise_measures import measure_reliability

from neural_data.simulation.area import SimulatedArea
from neural_data.simulation.macaque import Macaque
from neural_data.simulation.noise import GaussianNoise, PoissonNoise
from neural_data.simulation.objects import simulate_objects
from neural_data.simulation.simulate import simulate_macaque, simulate_rates
from neural_data.simulation.time_course import TimeCourse, compute_course

QUIET = PoissonNoise(shared_gain_sd=0)


@pytest.fixture(scope="module")
def stimuli():
    return simulate_objects(5, seed=4)


@pytest.fixture(scope="module")
def few():
    return simulate_objects(1, variation=(0,))


def test_the_course_equals_its_integral_and_averages_to_one_in_the_window():
    time = TimeCourse(
        start=-20, end=340, bin_width=4, duration=120, rise=7, decay=45, sustained=0.3
    )
    course = compute_course(time, 63.5, (70, 170))
    fine = np.arange(-20, 340, 0.01) + 0.005 - 63.5
    during = np.clip(fine, 0, 120)
    naive = (1 - np.exp(-during / 7)) * (0.3 + 0.7 * np.exp(-during / 45))
    naive *= np.exp(-np.clip(fine - 120, 0, None) / 45) * (fine > 0)
    window = (fine + 63.5 > 70) & (fine + 63.5 < 170)
    np.testing.assert_allclose(
        course, naive.reshape(90, 400).mean(axis=1) / naive[window].mean(), atol=2e-4
    )
    aligned = TimeCourse(start=-30, end=250, bin_width=10)
    inside = slice(10, 20)
    assert compute_course(aligned, 90.0, (70, 170))[inside].mean() == pytest.approx(1)


def test_rates_over_the_window_equal_those_without_time(few):
    still = simulate_rates(few, n_v4=6, n_it=6, macaque=Macaque())
    moving = simulate_rates(few, n_v4=6, n_it=6, macaque=Macaque(time=TimeCourse()))
    inside = (moving["time_bin_start"] >= 70) & (moving["time_bin_end"] <= 170)
    window = moving.isel(time_bin=np.flatnonzero(inside))
    assert window.sizes["time_bin"] == 10
    np.testing.assert_allclose(window.mean("time_bin"), still, rtol=1e-5)


def test_before_its_latency_a_site_does_not_tell_images_apart(few):
    rates = simulate_rates(few, macaque=Macaque(time=TimeCourse(bin_width=5)))
    latency = rates["true_latency"].values
    ends, starts = rates["time_bin_end"].values, rates["time_bin_start"].values
    spread = rates.values.std(axis=0)
    early = ends[None, :] <= latency[:, None]
    late = starts[None, :] >= latency[:, None]
    assert (spread[early] < 1e-5).all()
    assert (spread[late & (ends <= 200)[None, :]] > 0).all()
    area = rates["area"].values
    assert latency[area == "V4"].mean() == pytest.approx(65, abs=2)
    assert latency[area == "IT"].mean() == pytest.approx(90, abs=3)
    assert latency[area == "IT"].std() == pytest.approx(12, rel=0.2)
    assert latency[area == "IT"].max() <= 90 + 2 * 12
    peak = rates.values.mean(axis=0)
    first = peak[area == "V4"].mean(axis=0).argmax() < peak[area == "IT"].mean(axis=0).argmax()
    assert first


def test_a_transient_decays_to_the_sustained_level(few):
    time = TimeCourse(end=600, duration=400, sustained=0.25, decay=20, rise=2)
    area = SimulatedArea(latency=50, latency_jitter=0)
    rates = simulate_rates(few, n_v4=3, n_it=0, macaque=Macaque(v4=area, time=time))
    evoked = rates.values - rates.values[:, :, :1]
    start = rates["time_bin_start"].values
    sustained = evoked[:, :, start == 400]
    transient = evoked[:, :, start == 50]
    np.testing.assert_allclose(evoked[:, :, start == 300], sustained, rtol=1e-3)
    assert (sustained < 0.45 * transient).all()


@pytest.mark.parametrize("noise", [QUIET, GaussianNoise(sd=5.0)])
def test_noise_and_reliability_in_the_window_are_those_chosen(stimuli, noise):
    macaque = Macaque(
        v4=SimulatedArea(reliability=0.7),
        it=SimulatedArea(reliability=0.5),
        noise=noise,
        time=TimeCourse(start=70, end=170, bin_width=10),
    )
    recording, _ = simulate_macaque(stimuli, repetitions=60, n_v4=6, n_it=6, macaque=macaque)
    window = recording["response"].values.mean(axis=-1, dtype=float)
    measured = measure_reliability(window)
    np.testing.assert_allclose(measured, recording["true_reliability"], atol=0.05)
    rates = simulate_rates(stimuli, n_v4=6, n_it=6, macaque=macaque).values.mean(axis=-1)
    rest = window - rates[:, None, :]
    if isinstance(noise, GaussianNoise):
        assert rest.std() == pytest.approx(5, rel=0.02)
    else:
        fano = (rest * 0.1).var(axis=1, ddof=1) / (rates * 0.1)
        assert fano.mean() == pytest.approx(1, rel=0.03)


def test_a_time_course_at_default_size_stays_below_one_gibibyte():
    tracemalloc.start()
    recording, _ = simulate_macaque(macaque=Macaque(time=TimeCourse()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert recording["response"].dtype == np.float32
    assert recording["response"].shape == (640, 10, 296, 40)
    assert peak < 2**30


def test_unfit_time_courses_are_refused_all_at_once():
    with pytest.raises(ValueError, match=r"(?s)rise is 0.*end is '5'.*sustained is 2"):
        TimeCourse(rise=0, end="5", sustained=2)
    with pytest.raises(ValueError, match=r"from -100 to 300 ms there are 13\.3333 bins of 30 ms"):
        TimeCourse(bin_width=30)
    with pytest.raises(ValueError, match="0 bins of 10 ms"):
        TimeCourse(start=300)
