"""Controls: what each keeps of the area, and what it has lost."""

import json
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from brainguided import Teacher, compute_similarity
from brainguided.guidance import controls as c
from brainguided.guidance._controls_of_recordings import draw_gaussian
from brainguided.guidance._images import compute_gabor_energy
from brainguided.guidance.scoring import Copies, Scorer, Shuffles
from brainguided.networks.build import build_network
from brainguided.rdms.compute import compute_rdms, dissimilarities_from_rdms
from brainguided.spaces import small_space
from neural_data import Macaque, simulate_macaque, simulate_objects


@pytest.fixture(scope="module")
def macaque() -> tuple[xr.Dataset, xr.Dataset]:
    recording, stimuli = simulate_macaque(
        simulate_objects(2, seed=0), repetitions=6, n_v4=20, n_it=24, seed=0,
        macaque=Macaque(animals=("tito", "chabo"), sessions=2),
    )  # fmt: skip
    return recording, stimuli


@pytest.fixture(scope="module")
def teacher(macaque) -> Teacher:
    return Teacher.from_recording(*macaque, by="object_name")


@pytest.fixture(scope="module")
def network():
    return build_network(small_space(max_depth=4).sample(3), n_classes=8, seed=0)


def square(target) -> np.ndarray:
    return target.rdm.get_matrices()[0]


def test_shuffles_are_orders_of_all_conditions(teacher) -> None:
    found = c.shuffled_control(teacher, "IT", number=5, seed=3)
    n = teacher.targets[1].rdm.n_cond
    assert found.name == found.target == "IT"
    assert found.orders.shape == (5, n)
    assert (np.sort(found.orders, 1) == np.arange(n)).all()
    again = c.shuffled_control(teacher, "IT", number=5, seed=3)
    assert (again.orders == found.orders).all()


def test_shuffles_within_a_category_leave_categories_in_place(teacher) -> None:
    found = c.shuffled_control(teacher, "IT", within="category")
    groups = _group(teacher.targets[1])
    assert found.name == "IT:shuffled-within-category"
    assert (groups[found.orders] == groups).all()
    assert (found.orders != np.arange(len(groups))).any()


def _group(target) -> np.ndarray:
    from brainguided.guidance._controls_of_recordings import group_conditions

    return group_conditions(target, "category")[0]


def test_categories_are_0_within_and_1_between(teacher) -> None:
    matrix, groups = square(c.categories_control(teacher, "IT")), _group(teacher.targets[1])
    assert ((matrix == 0) == np.equal.outer(groups, groups)).all()
    assert set(np.unique(matrix)) == {0.0, 1.0}


def test_blocks_keep_means_and_have_no_variance_within(teacher) -> None:
    target, found = teacher.targets[1], c.blocks_control(teacher, "IT")
    groups = _group(target)
    off = ~np.eye(len(groups), dtype=bool)
    for a in range(groups.max() + 1):
        for b in range(groups.max() + 1):
            block = np.outer(groups == a, groups == b) & off
            assert np.ptp(square(found)[block]) < 1e-12
            assert square(found)[block].mean() == pytest.approx(square(target)[block].mean())


def test_gaussian_responses_have_the_spectrum_and_nothing_else(teacher) -> None:
    patterns = np.random.default_rng(0).gamma(2.0, 3.0, (40, 12))
    drawn = draw_gaussian(patterns, 1)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(patterns.T), atol=1e-9)
    similar = [
        float(c.gaussian_control(teacher, "IT", seed=k).vector @ teacher.targets[1].vector)
        for k in range(10)
    ]
    assert abs(np.mean(similar)) < 0.1


def test_pixels_are_the_rdm_of_averaged_images(teacher, macaque) -> None:
    stimuli = macaque[1]
    images = stimuli["image"].values.reshape(stimuli.sizes["stimulus"], -1).astype(float)
    names = stimuli["object_name"].values
    means = np.stack([images[names == n].mean(0) for n in teacher.targets[0].conditions])
    expected = 1 - np.corrcoef(means)
    np.testing.assert_allclose(square(c.pixels_control(teacher, "V4")), expected, atol=1e-6)


def test_gabor_energy_tells_orientation_and_not_phase_or_contrast() -> None:
    y, x = np.mgrid[:64, :64]

    def grate(angle: float, phase: float, contrast: float) -> np.ndarray:
        wave = np.cos(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / 8 + phase)
        return np.repeat((127 + 120 * contrast * wave)[..., None], 3, axis=2).astype(np.uint8)

    images = np.stack([
        grate(0, 0, 1), grate(0, np.pi / 2, 1), grate(0, 0, 0.5), grate(np.pi / 2, 0, 1)
    ])  # fmt: skip
    r = np.corrcoef(compute_gabor_energy(images))
    assert min(r[0, 1], r[0, 2]) > 0.9
    assert r[0, 3] < 0.5


def test_all_sites_are_the_teacher_and_few_are_not(teacher) -> None:
    everything = c.sites_control(teacher, "IT")
    np.testing.assert_allclose(square(everything), square(teacher.targets[1]), atol=1e-12)
    few = c.sites_control(teacher, "IT", number=5)
    assert few.area == "IT:sites-5"
    assert 0 < few.vector @ teacher.targets[1].vector < 0.999
    with pytest.raises(ValueError, match="IT has 24 sites: give 3 to 24"):
        c.sites_control(teacher, "IT", number=25)


def test_one_animal_is_the_teacher_of_its_sites(teacher, macaque) -> None:
    recording = macaque[0]
    kept = recording.isel(
        site=(recording["animal"].values == "tito") & (recording["area"].values == "IT")
    )
    expected = compute_rdms(kept, by="object_name").dissimilarities[0]
    found = c.animal_control(teacher, "IT", animal="tito")
    np.testing.assert_allclose(found.rdm.dissimilarities[0], expected, atol=1e-12)
    with pytest.raises(
        ValueError, match="No animal 'paul' among the sites of IT; there are 'tito'"
    ):
        c.animal_control(teacher, "IT", animal="paul")
    session = str(recording["session"].values[recording["area"].values == "IT"][0])
    assert c.session_control(teacher, "IT", session=session).area == f"IT:session-{session}"


def test_an_untrained_network_is_its_own_control(teacher, network) -> None:
    table = compute_similarity(network, teacher)
    best = str(table["layer"].values[int(np.nanargmax(table.sel(area="V4")))])
    control = c.network_control(teacher, "V4", network)
    assert best in control.source
    scores = Scorer([control], splits=0).score(network)
    assert scores.similarity["V4:network"][best] == pytest.approx(1.0, abs=1e-6)
    untrained = c.untrained_control(teacher, "V4", seed=2)
    assert untrained.area == "V4:untrained-2"


def test_what_is_left_of_a_mixture_is_what_was_mixed_in(teacher) -> None:
    target = teacher.targets[1]
    categories = c.categories_control(teacher, "IT")
    partial = c.partial_control(teacher, "IT", [categories])
    assert partial.area == "IT:partial-categories"
    assert partial.given.shape == (1, len(target.vector))
    assert 0 < partial.rdm.descriptors["reliability"] < c.estimate_reliability(target)
    with pytest.raises(ValueError, match="explain all of its RDM"):
        c.partial_control(teacher, "IT", [target])


def test_matched_noise_gives_values_and_reliability_of_the_area(teacher) -> None:
    target = teacher.targets[1]
    (found,) = c.match_control(teacher, "IT", c.pixels_control(teacher, "IT"), draws=6)
    assert isinstance(found, Copies)
    reliability = c.estimate_reliability(target)
    vectors = np.stack([t.vector for t in found.targets])
    for t in found.targets:
        assert np.sort(t.rdm.dissimilarities[0]) == pytest.approx(
            np.sort(target.rdm.dissimilarities[0])
        )
    # Copies share the signal alone, as two recordings of one area would
    between = (vectors @ vectors.T)[np.triu_indices(6, 1)].mean()
    assert between == pytest.approx(reliability, abs=0.12)


def test_where_reliability_is_unknown_three_are_shown_and_none(teacher) -> None:
    bare = teacher.without_recordings()
    found = c.make_controls(bare, [{"kind": "categories", "area": "IT", "match": True}])
    names = [f.area if not isinstance(f, Copies) else f.name for f in found]
    assert names == [
        "IT:categories", "IT:categories-0.5", "IT:categories-0.7", "IT:categories-0.9"
    ]  # fmt: skip
    vectors = [np.stack([t.vector for t in f.targets]) for f in found[1:]]
    agreement = [(v @ v.T)[np.triu_indices(len(v), 1)].mean() for v in vectors]
    assert agreement == sorted(agreement)


def test_copies_are_scored_by_their_mean(teacher, network) -> None:
    (copies,) = c.match_control(teacher, "IT", c.pixels_control(teacher, "IT"), draws=3)
    scores = Scorer(teacher, [copies], splits=2).score(network)
    alone = [Scorer([t], splits=2).score(network) for t in copies.targets]
    for layer, value in scores.similarity["IT:pixels"].items():
        each = [one.similarity["IT:pixels"][layer] for one in alone]
        assert value == pytest.approx(np.mean(each), abs=1e-9)
    assert scores.shuffles["IT:pixels"]["committed"] == pytest.approx(
        [one.committed["IT:pixels"] for one in alone], abs=1e-5
    )


def test_tables_make_all_kinds_for_all_areas(teacher, network) -> None:
    session = str(teacher.targets[0].recording["session"].values[0])
    tables = [
        {"kind": "shuffled", "number": 3}, {"kind": "categories"}, {"kind": "blocks"},
        {"kind": "gaussian"}, {"kind": "pixels"}, {"kind": "gabor"}, {"kind": "untrained"},
        {"kind": "network", "network": network, "area": "V4"}, {"kind": "sites", "number": 10},
        {"kind": "animal", "animal": "tito"}, {"kind": "session", "session": session, "area": "V4"},
        {"kind": "partial", "of": ["categories", "pixels"]},
        {"kind": "rdm", "rdm": dissimilarities_from_rdms(teacher.targets[1].rdm), "name": "model"},
    ]  # fmt: skip
    assert {t["kind"] for t in tables} == set(c.CONTROLS)
    made = c.make_controls(teacher, tables)
    scores = Scorer(teacher.without_recordings(), made, splits=2).score(network)
    assert {"V4", "IT", "V4:pixels", "IT:partial-categories+pixels"} <= set(scores.committed)
    assert scores.committed["IT:model"] == scores.committed["IT"]
    assert set(scores.shuffles) == {"V4", "IT", "V4:network"}
    said = c.describe_controls(made)
    assert len(said) == len(made) == 24
    json.dumps(said)
    assert isinstance(made[0], Shuffles)


def test_an_rdm_from_elsewhere_is_joined_by_its_labels(teacher) -> None:
    area = teacher.targets[1]
    order = np.random.default_rng(0).permutation(area.rdm.n_cond)
    rdm = dissimilarities_from_rdms(area.rdm)
    mixed = rdm.isel(stimulus=order, other_stimulus=order)
    assert (square(c.rdm_control(teacher, "IT", rdm=mixed)) == square(area)).all()
    fewer = mixed.isel(stimulus=order[:9], other_stimulus=order[:9])
    with pytest.raises(ValueError, match=r"1 RDMs over 9 conditions, .* expected one over the 64"):
        c.rdm_control(teacher, "IT", rdm=fewer)


def test_all_problems_of_tables_are_named_at_once(teacher) -> None:
    tables = [
        {"kind": "pixel"}, {"kind": "animal", "animal": "paul", "area": "IT"},
        {"kind": "sites", "area": "V1"}, {"kind": "gaussian", "match": True},
        {"kind": "partial", "of": ["shuffled"]},
    ]  # fmt: skip
    with pytest.raises(ValueError) as caught:
        c.make_controls(teacher, tables)
    said = str(caught.value)
    for part in ("'pixel'", "No animal 'paul'", "No area 'V1'", "noise of its own", "of names"):
        assert part in said


def test_what_needs_sites_is_refused_of_an_rdm_alone(macaque) -> None:
    recording, stimuli = macaque
    bare = Teacher.from_recording(recording, stimuli, by="category").without_recordings()
    with pytest.raises(ValueError, match="an RDM alone, without sites"):
        c.sites_control(bare, "IT", number=5)
    assert c.gaussian_control(bare, "IT").area == "IT:gaussian"
    with pytest.raises(ValueError, match="have no 'kind'"):
        c.categories_control(bare, "IT", by="kind")


def test_controls_are_compared_as_the_area_is(teacher, network) -> None:
    other = teacher.with_similarity("cka")
    found = c.make_controls(other, [{"kind": "pixels"}, {"kind": "sites", "number": 8}])
    assert {f.similarity for f in found} == {"cka"}
    assert np.isfinite(
        list(Scorer(other.without_recordings(), found, splits=0).score(network)
             .similarity["IT:pixels"].values())
    ).all()  # fmt: skip
    assert replace(found[0], similarity="pearson").similarity == "pearson"
