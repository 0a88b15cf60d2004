"""The simulated macaque: its noise, its truth, and what its two areas represent."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

from neural_data.model.recording import validate_recording
from neural_data.simulation import _network as simulated_network
from neural_data.simulation._network import load_network, run_network
from neural_data.simulation.objects import simulate_objects
from neural_data.simulation.simulate import simulate_macaque, simulate_rates


@pytest.fixture(scope="module")
def simulated():
    return simulate_macaque()


def _split_half(responses, *, splits=20):
    """Naive split-half reliability (site) of (stimulus, repetition, site), Spearman-Brown."""
    rng = np.random.default_rng(0)
    n = responses.shape[1]
    found = []
    for _ in range(splits):
        order = rng.permutation(n)
        halves = [responses[:, order[k::2]].mean(axis=1) for k in (0, 1)]
        a, b = ((h - h.mean(axis=0)) / h.std(axis=0) for h in halves)
        r = (a * b).mean(axis=0)
        found.append(2 * r / (1 + r))
    return np.mean(found, axis=0)


def _object_rdm(values, recording, area):
    sites = recording["area"].values == area
    names = recording["object_name"].values
    means = [values[names == n][:, sites].mean(axis=0) for n in np.unique(names)]
    return (1 - np.corrcoef(means))[np.triu_indices(64, 1)]


def test_the_recording_follows_the_schema_and_says_that_it_is_simulated(simulated):
    recording, stimuli = simulated
    validate_recording(recording)
    assert dict(recording["response"].sizes) == {"stimulus": 640, "repetition": 10, "site": 296}
    assert (recording["area"].values == "V4").sum() == 128
    assert recording["stimulus"].values.tolist() == stimuli["stimulus"].values.tolist()
    assert "simulated" in recording.attrs["source"]
    assert "simulated" in stimuli.attrs["source"]
    truth = json.loads(recording.attrs["truth"])
    assert truth["areas"]["V4"]["convolution"] < truth["areas"]["IT"]["convolution"]
    assert set(recording["animal"].values) == {"sim1", "sim2"}


def test_the_mean_over_many_repetitions_approaches_the_noise_free_rates():
    stimuli = simulate_objects(1, seed=3)
    recording, _ = simulate_macaque(stimuli, repetitions=400, n_v4=8, n_it=8, seed=5)
    rates = simulate_rates(stimuli, n_v4=8, n_it=8, seed=5)
    mean = recording["response"].values.mean(axis=1)
    error = np.sqrt((10 * rates + (0.08 * rates) ** 2) / 400).values
    z = (mean - rates.values) / error
    assert abs(z.mean()) < 0.2
    assert 0.9 < z.std() < 1.1


def test_the_variance_of_counts_is_about_their_mean(simulated):
    counts = simulated[0]["response"].values * 0.1
    assert np.allclose(counts, np.round(counts), atol=1e-4)
    mean, variance = counts.mean(axis=1), counts.var(axis=1, ddof=1)
    assert 1.0 < variance.sum() / mean.sum() < 1.1


def test_repetitions_share_a_gain_within_an_animal_and_not_between():
    stimuli = simulate_objects(1, variation=(0,))
    recording, _ = simulate_macaque(stimuli, repetitions=50, seed=1)
    response = recording["response"].values
    rest = response - response.mean(axis=1, keepdims=True)
    one, two = (recording["animal"].values == a for a in ("sim1", "sim2"))
    sums = [rest[..., s].sum(axis=-1).ravel() for s in (one, two)]
    alone = [(rest[..., s] ** 2).sum(axis=-1).mean() for s in (one, two)]
    assert all(s.var() > 1.3 * v for s, v in zip(sums, alone, strict=True))
    assert abs(np.corrcoef(sums)[0, 1]) < 0.08


def test_reliability_spreads_like_that_of_real_sites_and_as_the_truth_says(simulated):
    recording, _ = simulated
    measured = _split_half(recording["response"].values)
    low, middle, high = np.quantile(measured, (0.05, 0.5, 0.95))
    assert 0.3 < low < 0.5
    assert 0.70 < middle < 0.80
    assert 0.90 < high < 0.98
    truth = recording["true_reliability"].values
    assert np.corrcoef(measured, truth)[0, 1] > 0.95
    assert abs((measured - truth).mean()) < 0.03


def test_rates_are_positive_and_of_a_realistic_size(simulated):
    rates = simulate_rates(simulated[1])
    assert float(rates.min()) > 0
    site_means = rates.mean("stimulus").values
    assert 8 < np.median(site_means) < 25
    assert site_means.max() < 80


def test_it_shows_category_blocks_more_than_v4_and_the_areas_differ(simulated):
    recording, _ = simulated
    mean = recording["response"].values.mean(axis=1)
    v4, it = (_object_rdm(mean, recording, area) for area in ("V4", "IT"))
    category = np.arange(64) // 8
    apart = (category[:, None] != category[None, :])[np.triu_indices(64, 1)]
    v4_blocks, it_blocks = (np.corrcoef(rdm, apart)[0, 1] for rdm in (v4, it))
    assert it_blocks > v4_blocks + 0.2
    assert np.corrcoef(v4, it)[0, 1] < 0.8


def test_the_rate_to_an_image_does_not_depend_on_the_other_images():
    stimuli = simulate_objects(1, seed=2)
    whole = simulate_rates(stimuli, n_v4=5, n_it=5)
    part = simulate_rates(stimuli.isel(stimulus=[40, 3]), n_v4=5, n_it=5)
    np.testing.assert_allclose(part, whole.isel(stimulus=[40, 3]), rtol=1e-4)
    assert part["category"].values.tolist() == ["fruits", "animals"]


def test_the_seed_settles_sites_and_noise():
    stimuli = simulate_objects(1, variation=(0,))
    first, again, other = (
        simulate_macaque(stimuli, repetitions=2, n_v4=3, n_it=3, seed=s)[0] for s in (1, 1, 2)
    )
    xr.testing.assert_identical(first, again)
    assert not np.allclose(first["response"], other["response"])


def test_a_seed_gives_what_it_always_gave():
    stimuli = simulate_objects(1, variation=(0,))
    recording, _ = simulate_macaque(stimuli, repetitions=3, n_v4=4, n_it=5, seed=7)
    counts = np.round(recording["response"].values * 0.1).astype(int)
    assert counts[0].tolist() == [
        [1, 1, 1, 2, 1, 3, 1, 0, 3],
        [1, 0, 1, 1, 2, 5, 1, 0, 3],
        [1, 0, 3, 3, 2, 5, 3, 0, 2],
    ]
    assert counts[2, 0].tolist() == [1, 0, 1, 2, 4, 1, 3, 2, 4]
    assert counts.sum() == 2909
    rates = simulate_rates(stimuli, n_v4=2, n_it=2, seed=7)[0]
    np.testing.assert_allclose(rates, [7.595766, 16.418854, 22.008488, 17.860443], rtol=1e-5)


def test_the_default_recording_is_what_it_always_was(simulated):
    response = simulated[0]["response"].values
    assert response.sum(dtype=np.float64) == pytest.approx(30743560, rel=1e-5)
    assert np.round(response[1, 0, [0, 1, 200]] * 0.1).tolist() == [7, 1, 2]
    assert "history" in simulated[0].attrs


def test_a_range_of_repetitions_only_takes_presentations_away(simulated):
    stimuli = simulated[1].isel(stimulus=slice(200))
    whole, _ = simulate_macaque(stimuli, repetitions=6, n_v4=3, n_it=3)
    part, _ = simulate_macaque(stimuli, repetitions=(2, 6), n_v4=3, n_it=3)
    missing = np.isnan(part["response"].values)
    assert (missing == missing[:, :, :1]).all()
    counts = (~missing[:, :, 0]).sum(axis=1)
    assert set(counts) == {2, 3, 4, 5, 6}
    assert missing[:, 0].any()  # not always the last ones
    assert missing[:, 5].any()
    np.testing.assert_array_equal(
        part["response"].values[~missing], whole["response"].values[~missing]
    )
    assert "2 to 6 repetitions" in part.attrs["history"]


def test_an_enlarged_image_evokes_the_rates_of_the_original():
    stimuli = simulate_objects(1, variation=(0,))
    double = xr.Dataset(
        {"image": stimuli["image"].copy(data=stimuli["image"].values)},
        coords=stimuli.coords,
        attrs=stimuli.attrs,
    )
    pixels = double["image"].values.repeat(3, axis=1).repeat(3, axis=2)
    double = double.drop_vars("image").assign(image=(stimuli["image"].dims, pixels))
    rates = [simulate_rates(s, n_v4=4, n_it=4).values for s in (stimuli, double)]
    np.testing.assert_allclose(*rates, rtol=1e-3)


def test_shrinking_by_a_broken_factor_keeps_the_mean():
    images = np.random.default_rng(0).integers(0, 256, (2, 50, 50, 3), dtype=np.uint8)
    small = simulated_network._shrink(images)
    assert small.shape == (2, 32, 32, 3)
    np.testing.assert_allclose(small.mean(axis=(1, 2)), images.mean(axis=(1, 2)), rtol=1e-4)


def test_the_forward_pass_equals_that_of_torch():
    torch = pytest.importorskip("torch")
    network = load_network()
    images = simulate_objects(1)["image"].values[::9]
    x = torch.tensor(images).permute(0, 3, 1, 2).float() / 255
    x = (x - float(network["pixel_mean"])) / float(network["pixel_std"])
    found = run_network(network, images, (3, 5))
    for k in range(1, 6):
        weight = torch.tensor(network[f"conv{k}_weight"]).permute(3, 2, 0, 1)
        bias = torch.tensor(network[f"conv{k}_bias"])
        x = torch.relu(torch.nn.functional.conv2d(x, weight, bias, padding=1))
        if k in found:
            np.testing.assert_allclose(found[k], x.permute(0, 2, 3, 1), rtol=1e-3, atol=1e-4)
        if k in network["pool_after"]:
            x = torch.nn.functional.max_pool2d(x, 2)


def test_numbers_out_of_range_are_refused_all_at_once():
    with pytest.raises(ValueError, match=r"(?s)repetitions is 0.*n_it is -1.*seed is -2"):
        simulate_macaque(repetitions=0, n_it=-1, seed=-2)
    with pytest.raises(ValueError, match=r"repetitions is \(5, 2\), expected .*fewest, most"):
        simulate_macaque(repetitions=(5, 2))
    with pytest.raises(ValueError, match=r"repetitions is 2\.5"):
        simulate_macaque(repetitions=2.5)
    with pytest.raises(ValueError, match="at least one site"):
        simulate_macaque(n_v4=0, n_it=0)


def test_images_too_small_for_the_network_are_refused():
    stimuli = simulate_objects(1, variation=(0,)).isel(y=slice(16), x=slice(16))
    with pytest.raises(ValueError, match=r"16 x 16 px.*32 px or more"):
        simulate_rates(stimuli)
