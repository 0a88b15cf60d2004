"""Layer-area correspondence as a whole: known truth, agreement of its parts, refusals."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from brainguided.candidates.evaluation import Task
from brainguided.candidates.images import images_from_stimuli
from brainguided.commands.correspondences import describe_correspondence
from brainguided.correspondence import compare_layers, compare_networks, compute_hierarchy
from brainguided.correspondence._intervals import (
    SiteResponses,
    combine_freedom,
    draw_similarity,
    draw_sites,
)
from brainguided.correspondence.ceilings import RDMSettings, compute_ceiling
from brainguided.correspondence.committed_layers import (
    commit_layer,
    compare_halves,
    compare_vectors,
)
from brainguided.correspondence.compute import (
    Inference,
    compute_correspondence,
    correspondence_from_rdms,
)
from brainguided.guidance.similarity import compute_similarity
from brainguided.guidance.teacher import Teacher
from brainguided.networks.streamed import compute_layer_rdms
from brainguided.rdms.compare import compare_rdms
from brainguided.rdms.crossnobis import select_noise
from brainguided.rdms.halves import draw_halves
from brainguided.rdms.measures import pattern_distances
from brainguided.rdms.units import Units
from neural_data import simulate_macaque, simulate_objects
from neural_data.errors import AlignmentError, RecordingError

FEW = Inference(draws=60, permutations=60, splits=6)


@pytest.fixture(scope="module")
def macaque():
    stimuli = simulate_objects(4, seed=0)
    return simulate_macaque(stimuli, repetitions=6, n_v4=40, n_it=40, seed=0)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=2), nn.ReLU(), nn.Conv2d(8, 12, 5, stride=2), nn.ReLU()
    )


@pytest.mark.parametrize("by", ["stimulus", "object_name"])
@pytest.mark.parametrize("measure", ["correlation", "squared euclidean"])
def test_its_similarity_is_that_of_a_search_and_of_the_rdms(macaque, network, by, measure) -> None:
    teacher = Teacher.from_recording(*macaque, by=by, measure=measure)
    found = compute_correspondence(network, teacher, inference=FEW)
    search = compute_similarity(network, teacher)
    np.testing.assert_allclose(found["similarity"], search, atol=1e-5)
    layers = compute_layer_rdms(network, macaque[1], by=by, measure=measure)
    for target in teacher:
        oracle = compare_rdms(layers, target.rdm)[:, 0]
        np.testing.assert_allclose(found["similarity"].sel(area=target.area), oracle, atol=1e-5)
    assert found["similarity_interval"].dims == ("layer", "area", "bound")
    lower, upper = (found["similarity_interval"].sel(bound=b) for b in ("lower", "upper"))
    assert ((lower < found["similarity"]) & (found["similarity"] < upper)).all()
    np.testing.assert_allclose(
        found["corrected_similarity"], found["similarity"] / found["ceiling"], atol=1e-12
    )
    assert found["similarity_by_animal"].sizes["animal"] == 2
    assert ((found["site_ceiling"] > 0) & (found["site_ceiling"] < 1)).all()
    lower, upper = (found["animal_ceiling"].sel(bound=b) for b in ("lower", "upper"))
    assert ((lower > 0) & (lower < upper)).all()
    np.testing.assert_allclose(
        found["best_above_null"], found["best_similarity"] - found["null_best"], atol=1e-12
    )
    np.testing.assert_allclose(found["best_similarity"], found["similarity"].max("layer"))
    assert found["depth"].values.tolist() == [0, 1]


def test_rdms_at_hand_give_the_same_as_the_network(macaque, network) -> None:
    teacher = Teacher.from_recording(*macaque)
    found = compute_correspondence(network, teacher, inference=FEW, seed=3)
    layers = compute_layer_rdms(network, macaque[1])
    again = correspondence_from_rdms(layers, teacher, inference=FEW, seed=3)
    for name in ("similarity", "similarity_draws", "p_value", "committed_similarity", "null_best"):
        np.testing.assert_allclose(found[name], again[name], atol=1e-6)
    assert again["committed_layer"].values.tolist() == found["committed_layer"].values.tolist()
    other = correspondence_from_rdms(layers, teacher, inference=FEW, seed=4)
    assert not np.allclose(other["similarity_draws"], again["similarity_draws"])
    with pytest.raises(AlignmentError):
        correspondence_from_rdms(layers.subset_pattern("index", list(range(9))), teacher)


def test_the_coarsest_coordinate_of_the_data_is_the_unit_unless_another_is_named(
    macaque, network
) -> None:
    recording, stimuli = macaque
    teacher = Teacher.from_recording(recording, stimuli, by="object_name")
    layers = compute_layer_rdms(network, stimuli, by="object_name")
    found = correspondence_from_rdms(layers, teacher, inference=FEW)
    assert found.attrs["unit"] == "category"
    assert found["unit_count"].values.tolist() == [8, 8]
    with pytest.warns(UserWarning, match="grouped by 'category'"):
        objects = correspondence_from_rdms(
            layers, teacher, inference=replace(FEW, unit="object_name")
        )
    assert objects.attrs["unit"] == "object_name"
    assert objects["unit_count"].values.tolist() == [64, 64]
    assert (objects["null_best"] < found["null_best"] - 0.02).all()
    width = lambda f: float(np.ptp(f["similarity_interval"].values, axis=2).mean())  # noqa: E731
    assert width(found) > 1.3 * width(objects)
    with pytest.raises(ValueError, match=r"no coordinate 'scene'.*'category'"):
        correspondence_from_rdms(layers, teacher, inference=replace(FEW, unit="scene"))
    with pytest.raises(ValueError, match="unit is 3; expected a coordinate"):
        Inference(unit=3)


def test_of_too_few_units_no_interval_test_or_committed_layer_is_given(macaque, network) -> None:
    recording, stimuli = macaque
    half = np.where(stimuli["category"].isin(sorted(set(stimuli["category"].values))[:4]), "a", "b")
    teacher = Teacher.from_recording(
        recording, stimuli.assign_coords(session=("stimulus", half)), by="object_name"
    )
    layers = compute_layer_rdms(network, stimuli, by="object_name")
    with pytest.warns(UserWarning, match=r"2 units \(session\).*none is given. To speak"):
        found = correspondence_from_rdms(layers, teacher, inference=FEW)
    assert np.isfinite(found["similarity"]).all()
    assert np.isfinite(found["ceiling"]).all()
    for name in ("similarity_interval", "similarity_draws", "p_value", "committed_similarity"):
        assert np.isnan(found[name]).all()
    assert set(found["committed_layer"].values.tolist()) == {""}
    order = compute_hierarchy(found)
    assert np.isnan(order["index_interval"]).all()
    assert np.isnan(order["positive_share"]).all()
    assert np.isnan(compare_layers(found)["corrected_p_value"]).all()
    with pytest.raises(ValueError, match=r"no committed layer in V4, as with .*fewer than 6 units"):
        compare_networks({"one": found, "other": found})
    assert "other units of: session" in describe_correspondence(found)
    with pytest.warns(UserWarning, match="2 units"):
        sites = correspondence_from_rdms(
            layers, teacher, inference=replace(FEW, resample=("site",))
        )
    assert np.isfinite(sites["similarity_interval"]).all()
    with pytest.raises(ValueError, match="'session' has 2 groups"):
        correspondence_from_rdms(layers, teacher, inference=replace(FEW, unit="session"))


def test_committed_layers_are_unbiased_where_objects_have_something_in_common_by_chance() -> None:
    """Neither halves of images nor objects, but halves of units, are independent of the choice."""
    generator = np.random.default_rng(0)
    committed, best = [], []
    units = Units("object_name", (np.arange(32),))
    for seed in range(300):
        vectors = [
            pattern_distances(generator.normal(size=(32, 4)), "correlation") for _ in range(21)
        ]
        halves = compare_halves(
            vectors[1:], vectors[0], draw_halves(units, 6, seed), method="pearson"
        )
        committed.append(commit_layer(halves).similarity)
        best.append(max(np.corrcoef(v, vectors[0])[0, 1] for v in vectors[1:]))
    assert abs(np.mean(committed)) < 3 * np.std(committed) / np.sqrt(300)
    assert np.mean(best) > 0.05


def test_a_layer_that_holds_the_area_itself_reaches_its_ceiling(macaque) -> None:
    """A network whose layer is the rates of the sites: its similarity is the ceiling."""
    recording, stimuli = macaque
    teacher = Teacher.from_recording(recording, stimuli, areas="IT")
    response = recording["response"].values[:, :, recording["area"].values == "IT"]
    rates = torch.from_numpy(response.mean(1))

    class Copy(nn.Module):
        def __init__(self):
            super().__init__()
            self.noise, self.copy = nn.Identity(), nn.Identity()

        def forward(self, x):
            generator = torch.Generator().manual_seed(0)
            self.noise(torch.rand(len(x), 30, generator=generator))
            return self.copy(rates[: len(x)])

    found = compute_correspondence(Copy(), teacher, layers=["noise", "copy"], inference=FEW)
    assert found["similarity"].sel(layer="copy").item() == pytest.approx(1)
    assert found["best_layer"].item() == found["committed_layer"].item() == "copy"
    assert found["committed_share"].item() == 1
    assert found["p_value"].sel(layer="copy").item() == pytest.approx(1 / 61)
    assert found["p_value"].sel(layer="noise").item() > 0.05
    assert abs(found["similarity"].sel(layer="noise").item()) < 0.05


def test_sites_are_drawn_too_and_need_the_recording(macaque, network) -> None:
    teacher = Teacher.from_recording(*macaque, by="object_name")
    widths = {}
    for resample in (("stimulus",), ("site",), ("stimulus", "site")):
        how = Inference(resample, draws=80, permutations=0, splits=0)
        found = compute_correspondence(network, teacher, inference=how)
        bounds = found["similarity_interval"]
        widths[resample] = float((bounds.sel(bound="upper") - bounds.sel(bound="lower")).mean())
        assert np.isnan(found["p_value"]).all()
        assert not found["ceiling_usable"].any()
        assert np.isnan(found["corrected_similarity"]).all()
    assert widths["stimulus", "site"] > max(widths[("stimulus",)], widths[("site",)]) * 0.95
    with pytest.raises(RecordingError, match="holds its RDM only"):
        compute_correspondence(network, teacher.without_recordings(), inference=how)


def test_animals_are_drawn_with_all_their_sites_or_draws_of_them() -> None:
    animals = np.array(["a"] * 5 + ["b"] * 7 + ["c"] * 4)
    responses = SiteResponses(np.zeros((3, 16)), animals)
    whole = draw_sites(responses, ("animal",), 200, 0)
    for name, size in (("a", 5), ("b", 7), ("c", 4)):
        assert (np.ptp(whole[:, animals == name], axis=1) == 0).all()
        assert whole[:, animals == name].mean() == pytest.approx(1, abs=0.25)
        assert size == (animals == name).sum()
    drawn = draw_sites(responses, ("animal", "site"), 200, 0)
    np.testing.assert_array_equal(drawn[:, :5].sum(1), whole[:, :5].sum(1))
    assert np.ptp(drawn[:, :5], axis=1).max() > 1
    assert draw_sites(responses, ("site",), 9, 0).sum(1).tolist() == [16] * 9


def test_intervals_over_three_animals_hold_the_similarity_of_other_animals() -> None:
    points = np.random.default_rng(0).normal(size=(20, 6))
    layer = pattern_distances(points, "correlation")

    def record(generator: np.random.Generator) -> np.ndarray:
        """Sites of three animals, each of which weighs the latent dimensions in its own way."""
        gains = np.exp(generator.normal(size=(3, 6, 1)))
        return np.concatenate([points @ (g * generator.normal(size=(6, 10))) for g in gains], 1)

    areas = [pattern_distances(record(np.random.default_rng([1, k])), "correlation")
             for k in range(300)]  # fmt: skip
    truth = compare_vectors(np.array(areas), layer, "pearson").mean()
    animals, held = np.repeat(["a", "b", "c"], 10), []
    for k in range(60):
        patterns = record(np.random.default_rng([2, k]))
        area = pattern_distances(patterns, "correlation")
        responses, how = SiteResponses(patterns, animals), Inference(("animal",), draws=200)
        interval = draw_similarity([layer], area, how, responses=responses, seed=k).interval
        held.append(interval[0, 0] < truth < interval[0, 1])
    assert np.mean(held) >= 0.9


def test_intervals_over_animals_need_two_of_them(macaque, network) -> None:
    recording, stimuli = macaque
    teacher = Teacher.from_recording(recording, stimuli, by="object_name")
    how = Inference(("animal", "stimulus"), draws=60, permutations=0, splits=0)
    found = compute_correspondence(network, teacher, inference=how)
    assert np.isfinite(found["similarity_interval"]).all()
    assert found.attrs["resampled"] == "animal and stimulus"
    freedom = found["degrees_of_freedom"].values
    assert ((freedom >= 1) & (freedom <= found["unit_count"].values)).all()
    only = compute_correspondence(network, teacher, inference=replace(how, resample=("animal",)))
    assert only["degrees_of_freedom"].values.tolist() == [1, 1]
    one = recording.isel(site=recording["animal"].values == recording["animal"].values[0])
    alone = Teacher.from_recording(one, stimuli, by="object_name")
    with pytest.raises(RecordingError, match="and two are needed"):
        compute_correspondence(network, alone, inference=how)


def test_degrees_of_freedom_of_a_sum_lie_between_those_of_its_parts() -> None:
    assert combine_freedom([1.0, 0.0], [7, 2]) == 7
    assert combine_freedom([0.0, 1.0], [7, 2]) == 2
    assert combine_freedom([1.0, 1.0], [5, 5]) == 10  # of two equal variances, those of both
    assert combine_freedom([0.0, 0.0], [7, 2]) == 2


def test_a_ceiling_over_sites_that_cannot_be_computed_is_named_in_a_warning(
    macaque, network
) -> None:
    recording, stimuli = macaque
    values = recording["response"].transpose("stimulus", "repetition", "site").values.copy()
    values[0, :, 1:] = 0.0  # one site alone responds to this stimulus
    silent = recording.assign(
        response=(("stimulus", "repetition", "site"), values, recording["response"].attrs)
    )
    teacher = Teacher.from_recording(silent, stimuli, areas="V4", measure="cosine")
    said = "(V4 has no ceiling over|No layer is compared with).*: No cosine"
    with pytest.warns(UserWarning, match=said):
        found = compute_correspondence(
            network, teacher, inference=Inference(draws=0, permutations=0, splits=4)
        )
    assert np.isnan(found["site_ceiling"]).all()
    assert len(found["animal"]) == 1


def test_dead_layers_are_undefined_and_never_chosen(macaque) -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 5, stride=2), nn.ReLU(), nn.Conv2d(8, 4, 3))
    nn.init.zeros_(network[2].weight)
    nn.init.ones_(network[2].bias)
    found = compute_correspondence(network, Teacher.from_recording(*macaque), inference=FEW)
    assert np.isnan(found["similarity"].sel(layer="2")).all()
    assert np.isnan(found["similarity_interval"].sel(layer="2")).all()
    assert set(found["best_layer"].values.tolist()) == {"0"}
    assert set(found["committed_layer"].values.tolist()) == {"0"}


@pytest.mark.parametrize("method", ["pearson", "cosine", "spearman"])
def test_a_single_layer_is_as_similar_in_halves_of_categories_as_in_all(method) -> None:
    """Pairs within a category are twice as large a part of the pairs of a half."""
    generator = np.random.default_rng(0)
    units = Units("category", (np.repeat(np.arange(8), 8),))
    first = draw_halves(units, 10, 0)
    found, plain, whole = [], [], []
    for _ in range(30):
        area, layer = (
            pattern_distances(
                generator.normal(size=(8, 40))[units.index] + 2 * generator.normal(size=(64, 40)),
                "correlation",
            )
            for _ in range(2)
        )
        found.append(compare_halves([layer], area, first, method=method, units=units).mean())
        plain.append(compare_halves([layer], area, first, method=method).mean())
        whole.append(compare_vectors(layer[None], area, method)[0])
    assert np.mean(found) == pytest.approx(np.mean(whole), abs=0.01)
    if method != "cosine":
        assert np.mean(plain) > np.mean(whole) + 0.03


def test_weighted_ranks_of_a_half_are_those_of_pairs_that_are_there_more_than_once() -> None:
    generator = np.random.default_rng(1)
    index = np.repeat(np.arange(7), 3)  # of 7 units, halves of 3 and 4: weights of 3 and 2
    first = draw_halves(Units("category", (index,)), 3, 0)
    layer, area = (
        pattern_distances(generator.normal(size=(21, 9)).round(1), "squared euclidean").round(9)
        for _ in range(2)
    )
    found = compare_halves(
        [layer], area, first, method="spearman", units=Units("category", (index,))
    )
    rows, columns = np.triu_indices(21, 1)
    for half, members in enumerate((first, ~first)):
        for k in range(3):
            kept = members[k][rows] & members[k][columns]
            copies = np.where(index[rows] == index[columns], 1, (3, 2)[half])[kept]
            x, y = (np.repeat(v[kept], copies) for v in (layer, area))
            assert found[half, k, 0] == pytest.approx(spearmanr(x, y)[0], abs=1e-9)


def test_a_layer_chosen_and_scored_on_the_same_half_would_be_too_good() -> None:
    generator = np.random.default_rng(0)
    committed, same = [], []
    for _ in range(200):
        halves = generator.normal(0, 0.1, (2, 4, 20))
        committed.append(commit_layer(halves).similarity)
        same.append(halves.max(2).mean())
    assert abs(np.mean(committed)) < 0.01
    assert np.mean(same) > 0.1
    assert commit_layer(np.full((2, 4, 3), np.nan)) is None


def test_halves_keep_every_unit_together() -> None:
    units = Units("object_name", (np.array([0, 1, 0, 1, 2, 3, 3, 4, 5, 5, 6]),))
    for first in draw_halves(units, 20, 0):
        for unit in range(7):
            assert np.ptp(first[units.index == unit].astype(int)) == 0
        assert len(set(units.index[first])) == 3


def test_a_task_sends_no_recordings_to_its_workers(macaque) -> None:
    recording, stimuli = macaque
    teacher = Teacher.from_recording(recording, stimuli, by="object_name")
    images = images_from_stimuli(simulate_objects(2, seed=1), simulate_objects(1, seed=2))
    task = Task(images, teacher)
    assert all(target.recording is None for target in task.teacher)
    assert all(target.recording is not None for target in teacher)
    assert task.teacher.describe() == teacher.describe()
    assert len(pickle.dumps(task.teacher)) < len(pickle.dumps(teacher)) - recording.nbytes / 2


def test_the_measure_is_part_of_what_a_teacher_is_unless_it_is_the_usual_one(macaque) -> None:
    usual = Teacher.from_recording(*macaque).describe()
    other = Teacher.from_recording(*macaque, measure="crossnobis").describe()
    assert "measure" not in usual[0]
    assert other[0]["measure"] == "crossnobis"


def test_crossnobis_areas_are_mapped_and_other_methods_have_no_intervals(macaque, network) -> None:
    teacher = Teacher.from_recording(*macaque, measure="crossnobis")
    found = compute_correspondence(network, teacher, method="cosine", inference=FEW)
    assert found.attrs["measure"] == "crossnobis"
    assert found["ceiling_usable"].all()
    how = Inference(draws=0, permutations=20, splits=4)
    whitened = compute_correspondence(network, teacher, method="whitened cosine", inference=how)
    assert np.isfinite(whitened["similarity"]).all()
    assert np.isfinite(whitened["committed_similarity"]).all()
    with pytest.raises(ValueError, match="whitening is not defined"):
        compute_correspondence(network, teacher, method="whitened cosine", inference=FEW)
    with pytest.raises(ValueError, match=r"draws is -1(?s:.*)resample is 'site'"):
        Inference("site", draws=-1)


def test_the_ceiling_of_a_correspondence_has_the_noise_of_its_teacher(macaque, network) -> None:
    recording, stimuli = macaque
    sites = {a: int((recording["area"] == a).sum()) for a in ("V4", "IT")}
    noise = {area: np.diag(np.geomspace(1e-3, 1e3, n)) for area, n in sites.items()}
    teacher = Teacher.from_recording(recording, stimuli, measure="mahalanobis", noise=noise)
    few = Inference(draws=0, permutations=0, splits=5)
    found = compute_correspondence(network, teacher, inference=few)
    expected = compute_ceiling(
        recording, rdm=RDMSettings(measure="mahalanobis", noise=noise), splits=5
    )
    np.testing.assert_allclose(found["ceiling"], expected["ceiling"].sel(area=found["area"]))
    other = compute_ceiling(recording, rdm=RDMSettings(measure="mahalanobis"), splits=5)
    assert not np.allclose(expected["ceiling"], other["ceiling"], atol=0.01)
    assert found["ceiling_stimuli"].values.tolist() == [stimuli.sizes["stimulus"]] * 2
    animal = recording["animal"].values[recording["area"].values == "V4"] == "A"
    kept = select_noise(noise, "V4", animal)["V4"]
    np.testing.assert_allclose(kept, noise["V4"][np.ix_(animal, animal)])
