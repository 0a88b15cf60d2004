"""Noise ceilings: known truth, rsatoolbox, and the reliability of real RDMs."""

import inspect
import warnings
from dataclasses import asdict

import numpy as np
import pytest
import xarray as xr
from rsatoolbox.inference.noise_ceiling import boot_noise_ceiling
from rsatoolbox.rdm import RDMs
from scipy.stats import t

from brainguided.correspondence.ceilings import RDMSettings, compute_ceiling, compute_noise_ceiling
from brainguided.correspondence.compute import Inference, correspondence_from_rdms
from brainguided.correspondence.differences import compare_layers
from brainguided.guidance.teacher import Teacher
from brainguided.rdms.compare import compare_rdms
from brainguided.rdms.compute import compute_rdms, rdms_from_dissimilarities
from brainguided.rdms.noise import compute_noise_precision
from neural_data import (
    compute_rdm_reliability,
    describe_recording,
    read_cowley2023,
    read_kriegeskorte2008,
    recording_from_arrays,
    select_recording,
    stimuli_from_arrays,
    zscore_sites,
)


def make_recording(seed: int, *, signal: float, repetitions: int = 8, n: int = 60):
    generator = np.random.default_rng(seed)
    means = signal * generator.normal(size=(n, 1, 25))
    response = 10 + means + generator.normal(size=(n, repetitions, 25))
    recording = recording_from_arrays(
        response,
        stimulus=[f"im{k}" for k in range(n)],
        site=[f"s{k}" for k in range(25)],
        area="IT",
        units="spikes/s",
        source="made up",
    )
    truth = recording_from_arrays(
        10 + means,
        stimulus=[f"im{k}" for k in range(n)],
        site=[f"s{k}" for k in range(25)],
        area="IT",
        units="spikes/s",
        source="made up",
    )
    return recording, truth


@pytest.mark.parametrize("measure", ["correlation", "squared euclidean", "crossnobis"])
def test_the_ceiling_is_the_similarity_of_the_rdm_without_noise(measure) -> None:
    found, reached = [], []
    for seed in range(8):
        recording, truth = make_recording(seed, signal=0.7)
        ceiling = compute_ceiling(
            recording, rdm=RDMSettings(measure=measure, noise="identity"), splits=10, seed=seed
        )
        assert bool(ceiling["ceiling_usable"][0])
        plain = "squared euclidean" if measure == "crossnobis" else measure
        measured = compute_rdms(recording, measure=measure, noise="identity")
        found.append(float(ceiling["ceiling"][0]))
        reached.append(compare_rdms(measured, compute_rdms(truth, measure=plain))[0, 0])
    assert np.mean(found) == pytest.approx(np.mean(reached), abs=0.03)
    assert 0.5 < np.mean(reached) < 0.95


@pytest.mark.parametrize("repetitions", [2, 3, 4, 5, 7])
@pytest.mark.parametrize("measure", ["correlation", "mahalanobis"])
def test_the_ceiling_is_that_of_all_repetitions_also_of_an_odd_number(measure, repetitions) -> None:
    found, reached = [], []
    for seed in range(8):
        recording, truth = make_recording(seed, signal=1.2, repetitions=repetitions)
        settings = {"measure": measure, "noise": "diagonal"}
        ceiling = compute_ceiling(recording, splits=10, seed=seed, rdm=RDMSettings(**settings))
        found.append(float(ceiling["ceiling"][0]))
        noise = {"IT": compute_noise_precision(recording, method="diagonal")}
        true = compute_rdms(truth, measure=measure, noise=noise)
        reached.append(compare_rdms(compute_rdms(recording, **settings), true)[0, 0])
    assert np.mean(found) == pytest.approx(np.mean(reached), abs=0.025)


def make_unequal(seed: int, kind: str):
    """Responses of a few dimensions, unequally noisy: by repetitions, by stimulus, by rate."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(60, 1, 8)) @ rng.normal(size=(8, 40)) / 8**0.5
    noise = rng.normal(size=(60, 8, 40))
    if kind == "repetitions":
        noise[rng.random(60) < 0.5, 2:] = np.nan
    elif kind == "stimulus":
        noise *= np.exp(0.5 * rng.normal(size=(60, 1, 1)))
    response = 10 + signal + noise
    if kind == "rate":
        signal = 10 * np.exp(0.3 * signal + 0.5 * rng.normal(size=(60, 1, 1))) - 10
        response = rng.poisson(np.broadcast_to(10 + signal, noise.shape)).astype(float)[:, :4]
    labels = {"stimulus": [f"im{k}" for k in range(60)], "site": [f"s{k}" for k in range(40)]}
    made = {"area": "IT", "units": "spikes/s", "source": "made up"}
    return [recording_from_arrays(v, **labels, **made) for v in (response, 10 + signal)]


@pytest.mark.parametrize("kind", ["repetitions", "stimulus", "rate"])
@pytest.mark.parametrize("measure", ["correlation", "cosine", "squared euclidean", "crossnobis"])
def test_noise_that_differs_between_stimuli_is_not_counted_as_signal(measure, kind) -> None:
    if measure == "crossnobis" and kind == "repetitions":
        pytest.skip("cross-validated halves need four repetitions")
    found, reached, replicated = [], [], []
    for seed in range(6):
        recording, truth = make_unequal(seed, kind)
        settings = {"measure": measure, "noise": "identity"}
        ceiling = compute_ceiling(recording, splits=10, seed=seed, rdm=RDMSettings(**settings))
        assert ceiling["ceiling_unbiased"].all()
        found.append(float(ceiling["ceiling"][0]))
        replicated.append(float(ceiling["reliability"][0]) ** 0.5)
        plain = "squared euclidean" if measure == "crossnobis" else measure
        true = compute_rdms(truth, measure=plain)
        reached.append(compare_rdms(compute_rdms(recording, **settings), true)[0, 0])
    assert np.mean(found) == pytest.approx(np.mean(reached), abs=0.04)
    if measure == "squared euclidean" and kind == "stimulus":
        assert np.mean(replicated) > np.mean(reached) + 0.03


@pytest.mark.parametrize("measure", ["correlation", "squared euclidean", "mahalanobis"])
def test_what_noise_adds_to_all_distances_is_no_signal_by_cosine(measure) -> None:
    found, reached, replicated = [], [], []
    for seed in range(6):
        recording, truth = make_recording(seed, signal=0.7, repetitions=4)
        settings = {"measure": measure, "noise": "diagonal"}
        ceiling = compute_ceiling(
            recording, splits=10, method="cosine", rdm=RDMSettings(**settings)
        )
        assert ceiling["ceiling_unbiased"].all()
        found.append(float(ceiling["ceiling"][0]))
        replicated.append(float(ceiling["reliability"][0]) ** 0.5)
        noise = {"IT": compute_noise_precision(recording, method="diagonal")}
        true = compute_rdms(truth, measure=measure, noise=noise)
        measured = compute_rdms(recording, **settings)
        reached.append(compare_rdms(measured, true, method="cosine")[0, 0])
    assert np.mean(found) == pytest.approx(np.mean(reached), abs=0.003)
    if measure == "mahalanobis":
        assert np.mean(replicated) > np.mean(reached) + 0.01


def test_a_ceiling_that_may_count_noise_as_signal_says_so() -> None:
    recording, _ = make_unequal(0, "rate")
    kinds = {"poisson": "pearson", "euclidean": "pearson", "correlation": "spearman"}
    for measure, method in kinds.items():
        ceiling = compute_ceiling(
            recording, splits=5, method=method, rdm=RDMSettings(measure=measure)
        )
        assert not ceiling["ceiling_unbiased"].any()
        np.testing.assert_allclose(ceiling["ceiling"], ceiling["reliability"] ** 0.5)


@pytest.mark.parametrize("measure", ["correlation", "squared euclidean", "mahalanobis"])
def test_the_ceiling_of_objects_is_that_of_their_mean_patterns(measure) -> None:
    found, reached = [], []
    for seed in range(8):
        recordings = make_unequal(seed, "stimulus")
        names = [f"o{k % 15}" for k in range(60)]
        recording, truth = (r.assign_coords(object_name=("stimulus", names)) for r in recordings)
        settings = {"measure": measure, "noise": "diagonal", "by": "object_name"}
        ceiling = compute_ceiling(recording, splits=10, seed=seed, rdm=RDMSettings(**settings))
        found.append(float(ceiling["ceiling"][0]))
        noise = {"IT": compute_noise_precision(recording, method="diagonal")}
        true = compute_rdms(truth, measure=measure, by="object_name", noise=noise)
        reached.append(compare_rdms(compute_rdms(recording, **settings), true)[0, 0])
    assert np.mean(found) == pytest.approx(np.mean(reached), abs=0.03)


def test_intervals_of_ceilings_hold_the_truth() -> None:
    """Of the expected correlation with the RDM without noise, over recordings of other stimuli."""
    for kind in ("stimulus", "rate"):
        reached, bounds = [], []
        for seed in range(20):
            recording, truth = make_unequal(seed, kind)
            found = compute_ceiling(recording, splits=5, seed=seed)
            bounds.append(found["ceiling_interval"].values[0])
            reached.append(compare_rdms(compute_rdms(recording), compute_rdms(truth))[0, 0])
        lower, upper = np.array(bounds).T
        assert np.mean((lower < np.mean(reached)) & (np.mean(reached) < upper)) >= 0.8


def pool_apart(recording):
    """The same sites in two sessions, whose repetitions have numbers of their own."""
    values = recording["response"].values
    n = values.shape[1]
    apart = np.full((len(values), 2 * n, values.shape[2]), np.nan)
    apart[:, :n, :12], apart[:, n:, 12:] = values[:, :, :12], values[:, :, 12:]
    return recording.drop_vars("response").assign(
        response=(recording["response"].dims, apart, {"units": "spikes/s"})
    )


def test_sessions_whose_repetitions_have_other_numbers_have_the_same_ceiling() -> None:
    recording, _ = make_recording(0, signal=0.7, repetitions=5)
    apart = pool_apart(recording)
    expected = compute_ceiling(recording, splits=10)
    found = compute_ceiling(apart, splits=10)
    # the same data; random numbers of twice as many repetitions make other splits
    np.testing.assert_allclose(found["reliability"], expected["reliability"], atol=0.02)
    assert found["ceiling_usable"].all()
    assert found["ceiling_stimuli"].values.tolist() == [60]


def test_stimuli_shown_once_do_not_cost_the_ceiling_of_the_others() -> None:
    recording, _ = make_recording(0, signal=0.7, repetitions=4)
    values = recording["response"].values.copy()
    values[[3, 8], 1:] = np.nan
    values[20, 2:, :5] = np.nan
    some = recording.assign(response=recording["response"].copy(data=values))
    found = compute_ceiling(some, splits=10)
    assert found["ceiling_stimuli"].values.tolist() == [58]
    rest = [f"im{k}" for k in range(60) if k not in (3, 8)]
    expected = compute_ceiling(select_recording(some, stimulus=rest), splits=10)
    np.testing.assert_allclose(found["reliability"], expected["reliability"])
    once = np.full(values.shape, np.nan)
    once[:, 0], once[:2] = values[:, 0], values[:2]
    few = compute_ceiling(some.assign(response=some["response"].copy(data=once)), splits=5)
    assert np.isnan(few["ceiling"]).all()
    assert few["ceiling_stimuli"].values.tolist() == [0]


def test_a_given_noise_is_that_of_the_halves_too() -> None:
    recording, _ = make_recording(2, signal=0.5, repetitions=4)
    scale = np.diag(np.geomspace(1e-3, 1e3, 25))
    found = [
        compute_ceiling(recording, rdm=RDMSettings(measure="mahalanobis", noise=noise), splits=5)
        for noise in ("identity", {"IT": scale})
    ]
    assert abs(float(found[0]["reliability"][0] - found[1]["reliability"][0])) > 0.05


def test_an_rdm_of_noise_has_no_ceiling_that_may_be_divided_by() -> None:
    usable = []
    for seed in range(6):
        recording, _ = make_recording(seed, signal=0.0, repetitions=4, n=30)
        ceiling = compute_ceiling(recording, splits=10, seed=seed)
        usable.append(bool(ceiling["ceiling_usable"][0]))
    assert sum(usable) <= 1
    single = make_recording(0, signal=1.0)[0].isel(repetition=[0])
    ceiling = compute_ceiling(single)
    assert not ceiling["ceiling_usable"][0]
    assert np.isnan(ceiling["ceiling"][0])


def test_conditions_are_averaged_within_repetitions() -> None:
    recording, _ = make_recording(0, signal=0.5)
    recording = recording.assign_coords(object_name=("stimulus", [f"o{k % 12}" for k in range(60)]))
    grouped = compute_ceiling(recording, rdm=RDMSettings(by="object_name"), splits=20)
    response = recording["response"].transpose("stimulus", "repetition", "site").values
    means = np.stack([response[k::12].mean(0) for k in range(12)])
    by_hand = recording_from_arrays(
        means,
        stimulus=[f"o{k}" for k in range(12)],
        site=recording["site"].values.tolist(),
        area="IT",
        units="spikes/s",
        source="made up",
    )
    expected = compute_ceiling(by_hand, splits=20)
    np.testing.assert_allclose(grouped["reliability"], expected["reliability"], atol=1e-12)


def make_rates(seed: int = 0):
    """Sites of very different rates, of which the fastest alone carry signal."""
    rng = np.random.default_rng(seed)
    gain = np.exp(1.5 * rng.standard_normal(100))
    signal = rng.standard_normal((60, 1, 100)) * np.where(gain > np.quantile(gain, 0.8), 1, 0.15)
    return recording_from_arrays(
        gain * (2 + signal + rng.standard_normal((60, 8, 100))),
        stimulus=[f"im{k}" for k in range(60)],
        site=[f"s{k}" for k in range(100)],
        area="V4",
        units="spikes/s",
        source="made up",
    )


def test_inspection_reliability_and_ceiling_say_one_number_of_a_recording() -> None:
    recording = make_rates()
    ceiling = compute_ceiling(recording)["reliability"].item()
    assert compute_rdm_reliability(recording).item() == pytest.approx(ceiling, abs=0.01)
    said = describe_recording(recording)["reliability V4"]
    assert float(said.split("RDM ")[1]) == pytest.approx(ceiling, abs=0.03)


def test_the_settings_of_rdms_are_those_of_compute_rdms_with_their_defaults() -> None:
    known = list(inspect.signature(compute_rdms).parameters.values())[1:]
    assert {one.name: one.default for one in known} == asdict(RDMSettings())


def test_sites_are_z_scored_in_all_if_asked_for_and_in_none_else() -> None:
    recording = make_rates()
    scored = zscore_sites(recording)
    mean = scored["response"].mean("repetition")
    np.testing.assert_allclose(mean.mean("stimulus"), 0, atol=1e-12)
    np.testing.assert_allclose(mean.std("stimulus"), 1)
    oracle = recording["response"].mean("repetition")
    oracle = (oracle - oracle.mean("stimulus")) / oracle.std("stimulus")
    pairs = np.triu_indices(60, 1)
    rdm = compute_rdms(recording, zscore=True)
    np.testing.assert_allclose(rdm.dissimilarities[0], 1 - np.corrcoef(oracle)[pairs], atol=1e-10)
    assert "zscore_sites: 100 sites" in rdm.descriptors["history"]
    asked = compute_ceiling(recording, rdm=RDMSettings(zscore=True), splits=20)
    by_hand = compute_ceiling(scored, splits=20)
    np.testing.assert_allclose(asked["ceiling"], by_hand["ceiling"])
    bare = compute_ceiling(recording, splits=20)
    assert asked["reliability"].item() < bare["reliability"].item() - 0.1
    reliability = compute_rdm_reliability(recording, zscore=True, splits=20).item()
    assert asked["reliability"].item() == pytest.approx(reliability, abs=0.03)
    images = stimuli_from_arrays(
        np.zeros((60, 4, 4, 3), np.uint8), stimulus=recording["stimulus"].values, source="made up"
    )
    (target,) = Teacher.from_recording(recording, images, zscore=True)
    np.testing.assert_allclose(target.rdm.dissimilarities, rdm.dissimilarities)
    assert target.recording is not None
    assert target.recording["response"].attrs["units"] == "z"
    silent = recording.assign(response=recording["response"].where(np.arange(100) != 3, 7.0))
    assert (zscore_sites(silent)["response"].isel(site=3) == 0).all()
    scale = recording.assign(response=recording["response"] * 1e-12)
    scale["response"].attrs = recording["response"].attrs
    np.testing.assert_allclose(zscore_sites(scale)["response"], scored["response"], rtol=1e-9)


def test_reliability_agrees_with_that_of_the_recordings_wing() -> None:
    recording, _ = make_recording(1, signal=0.5)
    ours = compute_ceiling(recording, splits=60)["reliability"].item()
    theirs = compute_rdm_reliability(recording, splits=60, zscore=False).item()
    assert ours == pytest.approx(theirs, abs=0.02)


@pytest.mark.filterwarnings("ignore:Noise ceiling for tau")
@pytest.mark.parametrize(
    ("method", "theirs"),
    [
        ("pearson", "corr"),
        ("cosine", "cosine"),
        ("spearman", "spearman"),
        ("rho-a", "rho-a"),
        ("tau-a", "tau-a"),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_bounds_over_animals_equal_rsatoolbox(seed, method, theirs) -> None:
    generator = np.random.default_rng(seed)
    vectors = generator.random((5, 66)) + generator.random(66)
    rdms = RDMs(vectors, pattern_descriptors={"stimulus": [f"im{k}" for k in range(12)]})
    found = compute_noise_ceiling(rdms, method=method)
    np.testing.assert_allclose(found, boot_noise_ceiling(rdms, method=theirs), atol=1e-8)


@pytest.mark.parametrize("method", ["pearson", "cosine", "whitened pearson", "whitened cosine"])
def test_no_model_is_more_similar_to_all_animals_than_the_upper_bound(method) -> None:
    generator = np.random.default_rng(0)
    labels = {"stimulus": [f"im{k}" for k in range(10)]}
    animals = RDMs(generator.random((4, 45)) + generator.random(45), pattern_descriptors=labels)
    bounds = compute_noise_ceiling(animals, method=method)
    models = generator.random((300, 45))
    models[:4] = animals.dissimilarities
    models[4] = animals.dissimilarities.mean(0)
    found = compare_rdms(RDMs(models, pattern_descriptors=dict(labels)), animals, method=method)
    assert bounds.lower < bounds.upper
    assert found.mean(1).max() <= bounds.upper + 1e-12
    with pytest.raises(ValueError, match="two animals or more; there is 1"):
        compute_noise_ceiling(RDMs(models[:1], pattern_descriptors=dict(labels)), method=method)


@pytest.mark.data
def test_the_reliability_of_a_real_v4_rdm_is_what_is_known_of_it(shared_data) -> None:
    recording, _ = read_cowley2023(
        shared_data / "cowley2023", session="210325", per_repetition=True
    )
    found = compute_rdm_reliability(recording, splits=100, zscore=True).item()
    assert found == pytest.approx(0.712, abs=0.02)


@pytest.mark.data
def test_two_sessions_with_shared_images_have_the_rdm_correlation_that_is_known(
    shared_data,
) -> None:
    parts = []
    for session in ("210322", "210325"):
        recording, images = read_cowley2023(shared_data / "cowley2023", session=session)
        content = [image.tobytes() for image in images["image"].values]
        parts.append((recording, dict(zip(content, recording["stimulus"].values.tolist()))))
    shared = [image for image in parts[0][1] if image in parts[1][1]]
    assert len(shared) == 600
    rdms = []
    for recording, names in parts:
        part = recording.sel(stimulus=[names[image] for image in shared])
        response = part["response"].mean("repetition")
        scored = (response - response.mean("stimulus")) / response.std("stimulus")
        scored = scored.assign_coords(stimulus=[f"shared{k}" for k in range(600)])
        rdms.append(compute_rdms(scored.transpose("stimulus", "site")))
    assert compare_rdms(*rdms)[0, 0] == pytest.approx(0.567, abs=0.01)


@pytest.mark.data
def test_the_it_of_monkey_and_man_is_as_similar_as_is_known(shared_data) -> None:
    rdms = [
        rdms_from_dissimilarities(
            read_kriegeskorte2008(shared_data / "kriegeskorte2008", species=s)[0]
        )
        for s in ("monkey", "human")
    ]
    assert compare_rdms(*rdms)[0, 0] == pytest.approx(0.49, abs=0.005)


def make_categories(seed: int, *, categories: int = 8, each: int = 6, shape: float = 20.0):
    """A recording of categories that differ in how well they are told apart, and the truth."""
    generator = np.random.default_rng([5, seed])
    strength = generator.gamma(shape, 1 / shape, (categories, 1))
    centres = generator.normal(size=(categories, 6)) * strength
    points = np.repeat(centres, each, axis=0)
    points = points + 0.3 * generator.normal(size=points.shape)
    signal = (points @ np.random.default_rng(1).normal(size=(6, 40)))[:, None]
    response = signal + 5 * generator.normal(size=(len(points), 6, 40))
    labels = {"stimulus": [f"im{k}" for k in range(len(points))], "area": "IT"}
    made = {"site": [f"s{k}" for k in range(40)], "units": "spikes/s", "source": "made up"}
    category = ("stimulus", np.repeat([f"category{k}" for k in range(categories)], each))
    return [
        recording_from_arrays(values, **labels, **made).assign_coords(category=category)
        for values in (response, signal)
    ]


@pytest.mark.filterwarnings("ignore:Conditions are grouped")
def test_intervals_of_ceilings_over_eight_categories_hold_the_truth() -> None:
    truth, bounds = [], {None: [], "stimulus": []}
    for seed in range(40):
        recording, noiseless = make_categories(seed)
        truth.append(compare_rdms(compute_rdms(recording), compute_rdms(noiseless))[0, 0])
        for unit, found in bounds.items():
            one = compute_ceiling(recording, splits=4, seed=seed, unit=unit)
            assert one.attrs["unit"] == (unit or "category")
            found.append(one["ceiling_interval"].values[0])
    held = {}
    for unit, found in bounds.items():
        lower, upper = np.array(found).T
        held[unit] = np.mean((lower < np.mean(truth)) & (np.mean(truth) < upper))
    assert held[None] >= 0.9 > held["stimulus"]


def test_the_ceiling_of_categories_of_very_little_signal_says_that_it_may_be_biased() -> None:
    alike, differing = (
        compute_ceiling(make_categories(0, shape=shape)[0], splits=2) for shape in (20.0, 0.5)
    )
    assert alike["ceiling_unbiased"].all()
    assert not differing["ceiling_unbiased"].any()
    squared = RDMSettings(measure="squared euclidean")
    plain = compute_ceiling(make_categories(0, shape=0.5)[0], splits=2, rdm=squared)
    assert plain["ceiling_unbiased"].all()


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_the_interval_of_a_ceiling_is_a_jackknife_over_units(method) -> None:
    recording = make_categories(3, each=4)[0]
    ceiling = compute_ceiling(recording, splits=6, method=method)
    left = []
    for category in np.unique(recording["category"]):
        rest = recording["stimulus"].values[recording["category"].values != category]
        part = select_recording(recording, stimulus=rest.tolist())
        left.append(float(compute_ceiling(part, splits=6, method=method)["ceiling"][0]))
    reach = t.ppf(0.975, 7) * np.sqrt(7 / 8 * np.sum((np.array(left) - np.mean(left)) ** 2))
    lower, upper = ceiling["ceiling_interval"].values[0]
    # noise is estimated anew from fewer stimuli here
    assert upper - lower == pytest.approx(2 * reach, rel=0.2) or upper == 1
    assert float(ceiling["ceiling"][0]) - lower == pytest.approx(reach, rel=0.3)


def test_corrected_intervals_hold_the_similarity_to_the_rdm_without_noise() -> None:
    weights = np.random.default_rng(2).normal(size=(40, 12))
    truth, bounds, naive = [], [], []
    for seed in range(40):
        recording, noiseless = make_categories(seed)
        patterns = noiseless["response"].values[:, 0] @ weights
        layer = compute_rdms(
            xr.DataArray(
                patterns,
                dims=("stimulus", "unit"),
                coords={"stimulus": recording["stimulus"].values},
            )
        )
        truth.append(compare_rdms(layer, compute_rdms(noiseless))[0, 0])
        how = Inference(draws=2, permutations=0, splits=4)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = correspondence_from_rdms(layer, make_teacher(recording), inference=how)
        bounds.append(found["corrected_interval"].values[0, 0])
        naive.append(found["similarity_interval"].values[0, 0] / found["ceiling"].values)
    lower, upper = np.array(bounds).T
    assert np.mean((lower < np.mean(truth)) & (np.mean(truth) < upper)) >= 0.85
    assert not np.allclose(bounds, naive, atol=0.01)


@pytest.mark.parametrize("method", ["pearson", "cosine"])
def test_units_of_one_condition_are_drawn_as_conditions(method) -> None:
    recording = make_categories(0, categories=20, each=1)[0]
    found = [
        compute_ceiling(recording, splits=3, method=method, unit=unit)
        for unit in ("category", "stimulus")
    ]
    np.testing.assert_allclose(found[0]["ceiling_interval"], found[1]["ceiling_interval"])


@pytest.mark.parametrize("method", ["pearson", "cosine"])
def test_a_ceiling_of_few_units_has_no_interval_and_is_usable(method) -> None:
    recording = make_categories(1, categories=4, each=8)[0]
    found = compute_ceiling(recording, splits=5, method=method)
    assert np.isnan(found["ceiling_interval"]).all()
    assert found["ceiling_usable"].all()
    with pytest.raises(ValueError, match="4 groups of 32"):
        compute_ceiling(recording, splits=5, unit="category")


@pytest.mark.parametrize(("measure", "divided"), [("correlation", False), ("crossnobis", True)])
def test_cosines_are_divided_by_ceilings_of_distances_without_bias_alone(measure, divided) -> None:
    recording = make_categories(0)[0].assign_coords(category=("stimulus", ["one"] * 48))
    teacher = make_teacher(recording, measure)
    how = Inference(draws=20, permutations=0, splits=4)
    layer = compute_rdms(recording, measure="squared euclidean")
    found = correspondence_from_rdms(layer, teacher, method="cosine", inference=how)
    assert found["ceiling_usable"].all()
    for name in ("corrected_similarity", "corrected_interval"):
        assert np.isfinite(found[name]).all() == divided


def test_cosines_of_biased_distances_between_grouped_stimuli_have_no_interval() -> None:
    """They would hold the truth in 87 of 100 cases."""
    recording = make_categories(0)[0]
    layer = compute_rdms(recording, measure="squared euclidean")
    how = Inference(draws=20, permutations=20, splits=4)

    def find(method: str, measure: str) -> xr.Dataset:
        teacher = make_teacher(recording, measure)
        return correspondence_from_rdms(layer, teacher, method=method, inference=how)

    with pytest.warns(UserWarning, match=r"IT: 95 % intervals of the cosine .*none is given"):
        found = find("cosine", "squared euclidean")
    assert np.isfinite(found["similarity"]).all()
    assert np.isfinite(found["p_value"]).all()
    assert np.isnan(found["similarity_interval"]).all()
    assert np.isnan(compare_layers(found)["corrected_p_value"]).all()
    for method, measure in (("pearson", "squared euclidean"), ("cosine", "crossnobis")):
        assert np.isfinite(find(method, measure)["similarity_interval"]).all()


def make_teacher(recording, measure: str = "correlation") -> Teacher:
    """A teacher whose categories only the images name."""
    number = recording.sizes["stimulus"]
    pixels = np.random.default_rng(0).integers(0, 256, (number, 4, 4, 3)).astype("uint8")
    images = stimuli_from_arrays(
        pixels, stimulus=recording["stimulus"].values.tolist(), source="made up"
    ).assign_coords(category=recording["category"])
    return Teacher.from_recording(recording.drop_vars("category"), images, measure=measure)


def test_the_ceiling_of_a_correspondence_takes_the_units_that_only_the_images_name() -> None:
    recording = make_categories(0)[0]
    how = Inference(draws=40, permutations=0, splits=4)
    found = correspondence_from_rdms(
        compute_rdms(recording), make_teacher(recording), inference=how
    )
    expected = compute_ceiling(recording, splits=4)
    np.testing.assert_allclose(found["ceiling_interval"], expected["ceiling_interval"])
