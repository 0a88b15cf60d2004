"""Similarity to every target at once: whole, committed, and of shuffled copies."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from torch import nn

from brainguided import Teacher, compute_similarity
from brainguided.guidance.controls import describe_controls
from brainguided.guidance.scoring import Scorer, Shuffles
from brainguided.guidance.similarities import SIMILARITIES
from brainguided.guidance.target import Target, find_halved
from brainguided.networks.streamed import compute_layer_rdms
from brainguided.rdms.compute import build_rdms
from brainguided.rdms.distances import standardise
from brainguided.rdms.halves import draw_halves, score_committed
from neural_data import recording_from_arrays, simulate_objects
from neural_data.simulation.simulate import simulate_macaque

OBJECTS = 48


def make_stimuli() -> xr.Dataset:
    """48 images: 8 categories of 3 objects, 2 images each."""
    stimuli = simulate_objects(2, seed=1)
    names = stimuli["object_name"].values
    kept = []
    for category in dict.fromkeys(stimuli["category"].values.tolist()):
        own = list(dict.fromkeys(names[stimuli["category"].values == category].tolist()))[:3]
        kept += [k for k, name in enumerate(names.tolist()) if name in own]
    return stimuli.isel(stimulus=kept)


def make_network(seed: int = 0) -> nn.Module:
    import torch

    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 6, 5, stride=3), nn.ReLU(), nn.Conv2d(6, 8, 3, stride=2), nn.ReLU(),
        nn.Conv2d(8, 8, 3),
    ).eval()  # fmt: skip


@pytest.fixture(scope="module")
def stimuli() -> xr.Dataset:
    return make_stimuli()


@pytest.fixture(scope="module")
def teacher(stimuli: xr.Dataset) -> Teacher:
    generator = np.random.default_rng(0)
    recording = recording_from_arrays(
        generator.gamma(2.0, 5.0, (stimuli.sizes["stimulus"], 30)),
        stimulus=stimuli["stimulus"].values.tolist(),
        site=[f"site{k}" for k in range(30)],
        area=["V4"] * 12 + ["IT"] * 18,
        units="spikes/s",
        source="random numbers",
    )
    return Teacher.from_recording(recording, stimuli)


def make_target(stimuli: xr.Dataset, vector: np.ndarray, name: str = "planted") -> Target:
    rdm = build_rdms(
        vector[np.newaxis], conditions=stimuli, by="stimulus",
        rdm_descriptors={"area": [name]}, origin={"source": "planted"},
    )  # fmt: skip
    return Target(name, stimuli, rdm)


def draw_orders(number: int, n: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return np.stack([generator.permutation(n) for _ in range(number)])


def weigh_correlation(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> float:
    table = np.cov(x, y, aweights=weights)
    return float(table[0, 1] / np.sqrt(table[0, 0] * table[1, 1]))


def test_areas_are_inner_products_of_standardised_rdms_to_the_bit(teacher, stimuli) -> None:
    network = make_network()
    rows = compute_layer_rdms(network, stimuli)
    scores = Scorer(teacher, splits=3).score(network)
    table = compute_similarity(network, teacher)
    for target in teacher:
        assert list(scores.similarity[target.area]) == table["layer"].values.tolist()
        for k, value in enumerate(scores.similarity[target.area].values()):
            assert value == float(table.sel(area=target.area)[k])
            expected = np.corrcoef(rows.dissimilarities[k], target.rdm.dissimilarities[0])[0, 1]
            assert value == pytest.approx(expected, abs=1e-6)


def test_committed_similarity_is_that_of_three_lines_of_numpy(teacher, stimuli) -> None:
    network, target = make_network(), teacher.targets[0]
    rows = np.asarray(compute_layer_rdms(network, stimuli).dissimilarities, dtype=float)
    halves = draw_halves(find_halved(target), 4, 0)
    i, j = np.triu_indices(OBJECTS, 1)
    category = stimuli["category"].values
    total = []
    for first in halves:
        values = []
        for half in (first, ~first):
            kept = half[i] & half[j]
            area = target.rdm.dissimilarities[0][kept]
            # 4 of 8 categories have half of the pairs within, and 3/14 of those between categories
            weights = np.where(category[i] == category[j], 1, 7 / 3)[kept]
            values.append(np.array([weigh_correlation(row[kept], area, weights) for row in rows]))
        total += [values[1][values[0].argmax()], values[0][values[1].argmax()]]
    found = Scorer(teacher, splits=4).score(network).committed["V4"]
    assert found == pytest.approx(np.mean(total), abs=1e-5)


def test_shuffles_are_the_scores_of_shuffled_targets(teacher, stimuli) -> None:
    network, target = make_network(), teacher.targets[1]
    orders = draw_orders(3, OBJECTS)
    found = Scorer(teacher, [Shuffles("IT", "IT", orders)], splits=4).score(network)
    i, j = np.triu_indices(OBJECTS, 1)
    square = target.rdm.get_matrices()[0]
    for k, order in enumerate(orders):
        shuffled = make_target(stimuli, square[order[i], order[j]])
        alone = Scorer([shuffled], splits=4).score(network)
        best = max(alone.similarity["planted"].values())
        assert found.shuffles["IT"]["best"][k] == pytest.approx(best, abs=1e-5)
        committed = alone.committed["planted"]
        assert found.shuffles["IT"]["committed"][k] == pytest.approx(committed, abs=1e-5)


def test_halves_never_split_a_category(teacher, stimuli) -> None:
    units = find_halved(teacher.targets[0])
    categories = stimuli["category"].values
    for half in draw_halves(units, 30, 0):
        assert not set(categories[half]) & set(categories[~half])


@pytest.mark.parametrize("name", ["pearson", "spearman"])
def test_what_categories_have_in_common_makes_halves_no_more_similar_than_the_whole(
    name, stimuli
) -> None:
    """Pairs within categories are twice as frequent within halves; they weigh half as much."""
    rows = np.asarray(compute_layer_rdms(make_network(), stimuli).dissimilarities, dtype=float)[:1]
    i, j = np.triu_indices(OBJECTS, 1)
    category = stimuli["category"].values
    apart = (category[i] != category[j]).astype(float)
    generator = np.random.default_rng(3)
    network, halves, whole = make_network(), [], []
    for _ in range(6):
        planted = standardise(rows[0]) + 0.03 * apart + 0.02 * generator.normal(size=len(apart))
        target = replace(make_target(stimuli, planted), similarity=name)
        scores = Scorer([target], splits=10).score(network)
        whole.append(max(v for v in scores.similarity["planted"].values() if v is not None))
        halves.append(scores.committed["planted"])
    assert np.mean(halves) == pytest.approx(np.mean(whole), abs=0.02)


def test_fewer_than_six_categories_are_halved_by_object(stimuli) -> None:
    few = stimuli.isel(stimulus=np.flatnonzero(np.isin(
        stimuli["category"].values, np.unique(stimuli["category"].values)[:3]
    )))  # fmt: skip
    n = few.sizes["stimulus"]
    target = make_target(few, np.random.default_rng(0).random(n * (n - 1) // 2))
    units = find_halved(target)
    assert units.number == len(set(few["object_name"].values.tolist()))


def test_a_planted_layer_is_committed_to_with_its_own_similarity(stimuli) -> None:
    network = make_network()
    rows = np.asarray(compute_layer_rdms(network, stimuli).dissimilarities, dtype=float)
    generator, found, whole = np.random.default_rng(1), [], []
    for _ in range(12):
        noise = generator.standard_normal(rows.shape[1])
        target = make_target(stimuli, standardise(rows[1]) + noise / np.sqrt(noise.size))
        scores = Scorer([target], splits=6).score(network)
        found.append(scores.committed["planted"])
        whole.append(list(scores.similarity["planted"].values())[1])
    assert np.mean(found) == pytest.approx(np.mean(whole), abs=0.03)


def test_shuffles_have_no_similarity_on_average(stimuli) -> None:
    network = make_network()
    rows = np.asarray(compute_layer_rdms(network, stimuli).dissimilarities, dtype=float)
    target = make_target(stimuli, rows[1])
    shuffles = Shuffles("planted", "planted", draw_orders(100, OBJECTS))
    scores = Scorer([target], [shuffles], splits=4).score(network)
    committed = np.array(scores.shuffles["planted"]["committed"])
    assert abs(committed.mean()) < 3 * committed.std() / np.sqrt(len(committed))
    assert np.mean(scores.shuffles["planted"]["best"]) > committed.mean()
    assert scores.committed["planted"] > 0.99


def test_a_partial_target_equals_the_correlation_of_residuals(teacher, stimuli) -> None:
    network, target = make_network(), teacher.targets[0]
    rows = np.asarray(compute_layer_rdms(network, stimuli).dissimilarities, dtype=float)
    given = np.stack([teacher.targets[1].vector, np.random.default_rng(2).random(rows.shape[1])])
    partial = replace(target, area="V4:partial", given=given)
    shuffles = Shuffles("V4:partial", "V4:partial", draw_orders(2, OBJECTS))
    scores = Scorer(teacher, [partial, shuffles], splits=2).score(network)
    design = np.column_stack([np.ones(rows.shape[1]), *given])

    def leave(v: np.ndarray) -> np.ndarray:
        return v - design @ np.linalg.lstsq(design, v, rcond=None)[0]

    expected = [np.corrcoef(leave(row), leave(target.vector))[0, 1] for row in rows]
    assert list(scores.similarity["V4:partial"].values()) == pytest.approx(expected, abs=1e-6)
    i, j = np.triu_indices(OBJECTS, 1)
    category, total = stimuli["category"].values, []
    root = np.sqrt(np.where(category[i] == category[j], 1, 7 / 3))[:, np.newaxis]
    for first in draw_halves(find_halved(target), 2, 0):
        values = []
        for half in (first, ~first):
            kept = half[i] & half[j]
            given_here = (design * root)[kept]
            both = np.column_stack([*rows, target.vector])[kept] * root[kept]
            both -= given_here @ np.linalg.lstsq(given_here, both, rcond=None)[0]
            both /= np.linalg.norm(both, axis=0)
            values.append(both[:, :-1].T @ both[:, -1])
        total += [values[1][values[0].argmax()], values[0][values[1].argmax()]]
    assert scores.committed["V4:partial"] == pytest.approx(np.mean(total), abs=1e-5)
    assert len(scores.shuffles["V4:partial"]["best"]) == 2


def test_a_layer_that_is_its_own_control_shares_nothing_beyond_it(teacher, stimuli) -> None:
    network, target = make_network(), teacher.targets[0]
    rows = np.asarray(compute_layer_rdms(network, stimuli).dissimilarities, dtype=float)
    partial = replace(target, area="V4:partial", given=rows[:1])
    found = Scorer([partial], splits=2).score(network).similarity["V4:partial"]
    assert next(iter(found.values())) == pytest.approx(0.0, abs=1e-6)
    with pytest.raises(ValueError, match="explain all of its RDM"):
        replace(target, given=target.vector[np.newaxis])


def test_a_dead_layer_is_none_and_never_chosen(teacher) -> None:
    network = make_network()
    network[2].weight.data[:] = 0.0
    network[2].bias.data[:] = 0.0
    orders = draw_orders(2, OBJECTS)
    scores = Scorer(teacher, [Shuffles("V4", "V4", orders)], splits=2).score(network)
    values = list(scores.similarity["V4"].values())
    assert values[0] is not None
    assert values[1] is None
    assert np.isfinite([scores.committed["V4"], *scores.shuffles["V4"]["committed"]]).all()


@pytest.mark.parametrize("name", SIMILARITIES)
def test_every_similarity_finds_the_layer_that_the_responses_come_from(name, stimuli) -> None:
    import torch

    network = make_network()
    with torch.no_grad():
        images = torch.from_numpy(stimuli["image"].values).permute(0, 3, 1, 2) / 127.5 - 1
        patterns = network[:3](images).flatten(1).numpy()
    recording = recording_from_arrays(
        patterns.astype(float),
        stimulus=stimuli["stimulus"].values.tolist(),
        site=[f"site{k}" for k in range(patterns.shape[1])],
        area=["V4"] * patterns.shape[1],
        units="a.u.",
        source="a layer",
    )
    made = Teacher.from_recording(recording, stimuli).with_similarity(name)
    shuffles = Shuffles("V4", "V4", draw_orders(2, OBJECTS))
    kept = made.without_recordings()
    scores = Scorer(kept, [shuffles], splits=2).score(network)
    values = [-1.0 if v is None else v for v in scores.similarity["V4"].values()]
    assert int(np.argmax(values)) == 1
    if name not in ("rho-a", "ridge"):
        assert values[1] == pytest.approx(1.0, abs=1e-4)
    if name != "ridge":  # its halves are too small for folds here
        assert scores.committed["V4"] > max(scores.shuffles["V4"]["committed"])


def test_a_similarity_of_responses_is_refused_where_there_is_an_rdm_alone(stimuli) -> None:
    target = make_target(stimuli, np.random.default_rng(0).random(OBJECTS * (OBJECTS - 1) // 2))
    with pytest.raises(ValueError, match="needs responses, and there is an RDM alone"):
        Teacher((target,)).with_similarity("cka")
    with pytest.raises(ValueError, match="it is one of 'pearson'"):
        Teacher((target,)).with_similarity("cca")


def test_all_that_is_wrong_with_names_is_said_at_once(teacher) -> None:
    bad = Shuffles("V1", "V1", draw_orders(1, OBJECTS))
    with pytest.raises(ValueError, match=r"two targets are named 'IT'[\s\S]*shuffles of 'V1'"):
        Scorer(teacher, [teacher.targets[1], bad])
    short = Shuffles("V4", "V4", draw_orders(1, OBJECTS - 1))
    with pytest.raises(ValueError, match="are none of 48 conditions"):
        Scorer(teacher, [short])


def test_committed_scores_are_of_the_layer_chosen_on_the_other_half() -> None:
    halves = np.array([[[0.9, 0.1]], [[0.2, 0.7]]])[..., np.newaxis]  # (half, split, layer, column)
    assert score_committed(halves)[0] == pytest.approx((0.2 + 0.1) / 2)


def test_what_identifies_an_area_says_where_pairs_are_weighed() -> None:
    recording, stimuli = simulate_macaque(seed=0)
    grouped = Teacher.from_recording(recording, stimuli, areas="V4")
    bare = stimuli.drop_vars([n for n in stimuli.coords if n != "stimulus"])
    alone = Teacher.from_recording(
        recording.drop_vars(set(stimuli.coords) & set(recording.coords) - {"stimulus"}),
        bare, areas="V4",
    )  # fmt: skip
    said = {"committed": "pairs weighed within halves"}
    for teacher, expected in (
        (grouped, said), (grouped.with_similarity("spearman"), said), (alone, {}),
        (grouped.with_similarity("cka"), {}), (grouped.with_similarity("kendall"), {}),
    ):  # fmt: skip
        (area,) = teacher.describe()
        assert {k: v for k, v in area.items() if k == "committed"} == expected
        (control,) = describe_controls([replace(teacher.targets[0], area="control")])
        assert ("committed" in control) == bool(expected)
