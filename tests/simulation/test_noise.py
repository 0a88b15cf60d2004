"""The noise and the reliability of a simulated macaque are those chosen."""

from __future__ import annotations

import numpy as np
import pytest
from noise_measures import correlate_noise, measure_reliability
from scipy import stats

from neural_data.simulation.area import SimulatedArea
from neural_data.simulation.counts import counts_from_normal, find_shares, tabulate_shares
from neural_data.simulation.macaque import Macaque
from neural_data.simulation.noise import GaussianNoise, PoissonNoise
from neural_data.simulation.objects import simulate_objects
from neural_data.simulation.simulate import simulate_macaque, simulate_rates

QUIET = PoissonNoise(shared_gain_sd=0)


@pytest.fixture(scope="module")
def stimuli():
    return simulate_objects(5, seed=4)


@pytest.fixture(scope="module")
def few():
    return simulate_objects(1, variation=(0,))


@pytest.mark.parametrize(
    "noise",
    [
        PoissonNoise(),
        PoissonNoise(shared_gain_sd=0.3, correlation=0.2),
        GaussianNoise(fano=2.0),
        GaussianNoise(sd=4.0, shared_gain_sd=0.2, correlation=0.3),
    ],
)
def test_the_chosen_reliability_is_met_under_any_noise(stimuli, noise):
    chosen = SimulatedArea(reliability=0.6)
    macaque = Macaque(v4=chosen, it=SimulatedArea(reliability=(0.3, 0.9)), noise=noise)
    recording, _ = simulate_macaque(stimuli, repetitions=100, n_v4=15, n_it=15, macaque=macaque)
    measured = measure_reliability(recording["response"].values)
    truth = recording["true_reliability"].values
    assert np.allclose(truth[:15], 0.6)
    assert truth[15:].min() >= 0.3
    assert truth[15:].max() <= 0.9
    assert truth[15:].std() > 0.1
    assert abs((measured - truth).mean()) < 0.01
    assert np.abs(measured - truth).max() < 0.05


def test_the_reliability_of_each_site_is_met_for_the_repetitions_named(stimuli):
    wanted = np.linspace(0.2, 0.95, 8)
    area = SimulatedArea(site_reliability=wanted, of_repetitions=30)
    macaque = Macaque(it=area, noise=QUIET)
    recording, _ = simulate_macaque(stimuli, repetitions=90, n_v4=0, n_it=8, macaque=macaque)
    measured = measure_reliability(recording["response"].values, of=30)
    np.testing.assert_allclose(measured, wanted, atol=0.06)
    np.testing.assert_allclose(recording["true_reliability"], wanted, rtol=1e-6)


def test_sites_without_reliability_do_not_tell_images_apart(few):
    macaque = Macaque(v4=SimulatedArea(reliability=0), noise=QUIET)
    rates = simulate_rates(few, n_v4=4, n_it=1, macaque=macaque).values
    assert (rates[:, :4] == rates[:1, :4]).all()
    assert (rates[:, :4] > 0).all()
    assert rates[:, 4].std() > 0


def test_usual_reliability_spreads_like_that_of_real_sites_whatever_the_noise(stimuli):
    found = [
        simulate_rates(stimuli, macaque=Macaque(noise=noise))["true_reliability"].values
        for noise in (PoissonNoise(), GaussianNoise(sd=6.0))
    ]
    np.testing.assert_array_equal(*found)
    low, middle, high = np.quantile(found[0], (0.05, 0.5, 0.95))
    assert 0.3 <= low < 0.5
    assert 0.70 < middle < 0.80
    assert 0.90 < high <= 0.95


def test_usual_rates_to_an_image_do_not_depend_on_the_other_images(stimuli):
    whole = simulate_rates(stimuli, n_v4=5, n_it=5, macaque=Macaque())
    part = simulate_rates(stimuli.isel(stimulus=[40, 3]), n_v4=5, n_it=5, macaque=Macaque())
    np.testing.assert_allclose(part, whole.isel(stimulus=[40, 3]), rtol=1e-4)


def test_a_reliability_beyond_the_shared_gain_is_refused(few):
    macaque = Macaque(v4=SimulatedArea(reliability=0.99), noise=PoissonNoise(shared_gain_sd=1.0))
    with pytest.raises(ValueError, match=r"2 of 3 sites cannot.*0\.99 where at most 0\.\d+"):
        simulate_macaque(few, n_v4=2, n_it=1, macaque=macaque)


def test_a_reliability_on_a_single_image_is_refused(few):
    macaque = Macaque(it=SimulatedArea(reliability=0.5))
    with pytest.raises(ValueError, match=r"at most 0 is possible.* 1 images"):
        simulate_rates(few.isel(stimulus=[3]), n_v4=1, n_it=1, macaque=macaque)


def test_gaussian_noise_has_the_chosen_sd_or_fano_factor(stimuli):
    for noise in (GaussianNoise(sd=5.0), GaussianNoise(fano=1.7)):
        macaque = Macaque(noise=noise)
        recording, _ = simulate_macaque(stimuli, repetitions=40, n_v4=3, n_it=3, macaque=macaque)
        rates = simulate_rates(stimuli, n_v4=3, n_it=3, macaque=macaque).values
        rest = recording["response"].values - rates[:, None, :]
        assert abs(rest.mean()) < 0.05
        if noise.sd is not None:
            assert rest.std() == pytest.approx(5.0, rel=0.01)
            assert stats.kstest(rest[::7].ravel() / 5, "norm").pvalue > 1e-3
        else:
            fano = (rest * 0.1).var(axis=1, ddof=1) / (rates * 0.1)
            assert fano.mean() == pytest.approx(1.7, rel=0.02)


def test_poisson_counts_are_poisson_with_and_without_correlation(stimuli):
    for correlation in (0.0, 0.3):
        macaque = Macaque(noise=PoissonNoise(shared_gain_sd=0, correlation=correlation))
        recording, _ = simulate_macaque(stimuli, repetitions=60, n_v4=3, n_it=3, macaque=macaque)
        rates = simulate_rates(stimuli, n_v4=3, n_it=3, macaque=macaque).values
        counts = recording["response"].values * 0.1
        assert np.allclose(counts, np.round(counts), atol=1e-4)
        means = np.broadcast_to(0.1 * rates[:, None, :], counts.shape)
        for k in range(6):
            share = stats.poisson.pmf(k, means).mean()
            assert (np.round(counts) == k).mean() == pytest.approx(share, abs=0.005)


def test_the_chosen_noise_correlation_is_met_within_animals_and_absent_between(stimuli):
    for noise in (
        PoissonNoise(shared_gain_sd=0, correlation=0.2),
        PoissonNoise(shared_gain_sd=0, correlation=0.6),
        GaussianNoise(fano=1.0, correlation=0.4),
        GaussianNoise(sd=3.0, correlation=0.1),
    ):
        recording, _ = simulate_macaque(
            stimuli, repetitions=60, n_v4=8, n_it=8, macaque=Macaque(noise=noise)
        )
        same, other = correlate_noise(recording)
        assert same.mean() == pytest.approx(noise.correlation, abs=0.012)
        assert same.std() < 0.02
        assert abs(other.mean()) < 0.005


def test_a_shared_gain_alone_gives_the_variance_of_its_formula(stimuli):
    macaque = Macaque(noise=PoissonNoise(shared_gain_sd=0.5))
    recording, _ = simulate_macaque(stimuli, repetitions=100, n_v4=6, n_it=6, macaque=macaque)
    mean = simulate_rates(stimuli, n_v4=6, n_it=6, macaque=macaque).values * 0.1
    variance = (recording["response"].values * 0.1).var(axis=1, ddof=1)
    assert variance.sum() / (mean + (0.5 * mean) ** 2).sum() == pytest.approx(1, rel=0.03)
    same, other = correlate_noise(recording)
    assert same.mean() > 0.1
    assert abs(other.mean()) < 0.01


def test_counts_from_normal_numbers_are_the_quantiles_of_poisson():
    rng = np.random.default_rng(0)
    mean = np.geomspace(1e-4, 5000, 4000)
    normal = rng.standard_normal(4000) * 1.5
    expected = stats.poisson.ppf(stats.norm.cdf(normal), mean)
    found = counts_from_normal(normal, mean)
    assert (found == expected).mean() > 0.999
    assert np.abs(found - expected).max() <= 1
    extreme = counts_from_normal(np.array([9.0, -9.0, 40.0]), np.array([3.0, 3.0, 3.0]))
    assert 20 < extreme[0] < 40  # beyond what a float tells from certainty, and still finite
    assert extreme[1] == 0
    assert np.isfinite(extreme[2])


@pytest.mark.parametrize("mean", [0.05, 0.5, 3.0, 30.0])
def test_the_share_tabulated_gives_counts_that_correlation(mean):
    rng = np.random.default_rng(1)
    n = 200_000
    share = find_shares(np.array(mean), tabulate_shares(0.25))
    common = rng.standard_normal(n)
    pair = [
        counts_from_normal(
            np.sqrt(share) * common + np.sqrt(1 - share) * rng.standard_normal(n),
            np.full(n, mean),
        )
        for _ in range(2)
    ]
    assert np.corrcoef(pair)[0, 1] == pytest.approx(0.25, abs=0.015)
    assert share > 0.25


def test_unfit_noise_is_refused_all_at_once():
    with pytest.raises(ValueError, match=r"(?s)shared_gain_sd is -1.*correlation is 0\.95"):
        PoissonNoise(shared_gain_sd=-1, correlation=0.95)
    with pytest.raises(ValueError, match="expected exactly one of the two"):
        GaussianNoise()
    with pytest.raises(ValueError, match=r"(?s)exactly one.*fano is 0.*sd is inf"):
        GaussianNoise(fano=0, sd=float("inf"))
