"""What is held out shares nothing with what guides."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from brainguided import ConvLayer, PlainArchitecture, Teacher, compute_similarity
from brainguided.guidance._control_parts import replace_vector
from brainguided.guidance.heldout import hold_out, score_heldout, select_conditions
from brainguided.networks.build import build_network
from brainguided.rdms.compute import compute_rdms
from neural_data import Macaque, simulate_macaque, simulate_objects


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    recording, stimuli = simulate_macaque(
        simulate_objects(2, seed=0), repetitions=4, n_v4=20, n_it=24, seed=0,
        macaque=Macaque(animals=("tito", "chabo")),
    )  # fmt: skip
    return Teacher.from_recording(recording, stimuli, by="object_name")


@pytest.fixture(scope="module")
def network():
    layers = tuple(ConvLayer(3, 3, 8, stride=k) for k in (1, 2, 2))
    return build_network(PlainArchitecture(layers), n_classes=8, seed=0).eval()


def as_dict(table):
    return {
        str(a): dict(
            zip(table["layer"].values.tolist(), map(float, table.sel(area=a)), strict=True)
        )
        for a in table["area"].values
    }


def test_no_category_is_on_both_sides_and_none_is_lost(teacher) -> None:
    guiding, heldout = hold_out(teacher, stimuli=0.25, seed=1)
    assert guiding.areas == ("V4", "IT")
    assert heldout.teacher.areas == ("V4:heldout", "IT:heldout")
    sides = [
        set(t.targets[1].stimuli["category"].values.tolist()) for t in (guiding, heldout.teacher)
    ]
    assert not sides[0] & sides[1]
    assert [len(side) for side in sides] == [6, 2]
    everything = set(teacher.targets[1].conditions)
    parts = [set(t.targets[1].conditions) for t in (guiding, heldout.teacher)]
    assert parts[0] | parts[1] == everything


def images_of(teacher) -> set[bytes]:
    return {image.tobytes() for target in teacher for image in target.stimuli["image"].values}


@pytest.fixture(scope="module")
def unequal(teacher) -> Teacher:
    """V4 with all 8 categories, IT without the third."""
    v4, it = teacher.targets
    categories = dict(
        zip(it.stimuli[it.by].values.tolist(), it.stimuli["category"].values.tolist(), strict=True)
    )
    third = list(dict.fromkeys(categories.values()))[2]
    kept = np.array([categories[name] != third for name in it.conditions])
    return Teacher((v4, select_conditions(it, kept)))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("relabel", [False, True])
def test_areas_of_unequal_stimuli_hold_out_the_same(unequal, seed, relabel) -> None:
    """No image of any held-out target guides in any area, known by its category or its pixels."""
    v4, it = unequal.targets
    if relabel:
        coords = {c: ("stimulus", np.char.add("x", it.stimuli[c].values.astype(str)))
                  for c in ("category", "object_name")}  # fmt: skip
        recoded = {c: [f"x{v}" for v in it.rdm.pattern_descriptors[c]] for c in coords}
        rdm = replace_vector(
            it, it.rdm.dissimilarities[0],
            conditions=it.rdm.pattern_descriptors | recoded,
        )  # fmt: skip
        it = replace(it, stimuli=it.stimuli.assign_coords(coords), rdm=rdm, recording=None)
    guiding, heldout = hold_out(Teacher((v4, it)), stimuli=0.25, seed=seed)
    assert not images_of(guiding) & images_of(heldout.teacher)
    assert images_of(guiding) | images_of(heldout.teacher) == images_of(unequal)


def test_categories_of_one_name_are_held_out_together_whatever_the_images(unequal) -> None:
    v4, it = unequal.targets
    other = it.stimuli.assign(image=255 - it.stimuli["image"])
    guiding, heldout = hold_out(Teacher((v4, replace(it, stimuli=other))), stimuli=0.25)
    sides = [
        {c for t in side for c in t.stimuli["category"].values.tolist()}
        for side in (guiding, heldout.teacher)
    ]
    assert not sides[0] & sides[1]


def test_areas_without_common_stimuli_lose_the_same_share_each(teacher) -> None:
    v4, it = teacher.targets
    fine = [np.unique(v4.stimuli["category"].values)[k::2] for k in (0, 1)]
    parts = [
        select_conditions(t, np.isin(t.rdm.pattern_descriptors["category"], own))
        for t, own in zip((v4, it), fine, strict=True)
    ]
    guiding, heldout = hold_out(Teacher(tuple(parts)), stimuli=0.25)
    assert [t.rdm.n_cond for t in heldout.teacher] == [p.rdm.n_cond // 4 for p in parts]
    assert not images_of(guiding) & images_of(heldout.teacher)


def test_stimuli_that_hang_together_cannot_be_divided(teacher) -> None:
    """One image in all categories of V4: nothing of it can be new."""
    v4, it = teacher.targets
    image = v4.stimuli["image"].copy()
    image[:] = image[0]
    with pytest.raises(ValueError, match="drawn as 1 groups") as caught:
        hold_out(Teacher((replace(v4, stimuli=v4.stimuli.assign(image=image)), it)), stimuli=0.25)
    for area in ("of V4", "of IT"):
        assert area in str(caught.value)


def test_selected_conditions_have_the_rdm_of_their_recording(teacher) -> None:
    target = teacher.targets[1]
    kept = np.random.default_rng(0).random(target.rdm.n_cond) < 0.5
    part = select_conditions(target, kept)
    expected = compute_rdms(part.recording, by="object_name")
    np.testing.assert_allclose(part.rdm.dissimilarities, expected.dissimilarities, atol=1e-12)
    assert part.conditions == [str(v) for v in expected.pattern_descriptors["object_name"]]


def test_an_animal_held_out_has_the_sites_that_do_not_guide(teacher) -> None:
    guiding, heldout = hold_out(teacher, animals=["tito"])
    for side, own in ((guiding, "chabo"), (heldout.teacher, "tito")):
        for target in side:
            assert set(target.recording["animal"].values.tolist()) == {own}


def test_the_guiding_area_alone_chooses_the_layer(teacher, network) -> None:
    guiding, heldout = hold_out(teacher, stimuli=0.25, similarity="cka")
    assert heldout.guides == {"V4:heldout-cka": "V4", "IT:heldout-cka": "IT"}
    chosen = {"V4": {"layer1": 0.2, "layer2": None}, "IT": {"layer1": 0.1, "layer2": 0.3}}
    found = score_heldout(network, heldout.without_recordings(), chosen)
    table = as_dict(compute_similarity(network, heldout.teacher))
    assert found["V4:heldout-cka"] == table["V4:heldout-cka"]["layer1"]
    assert found["IT:heldout-cka"] == table["IT:heldout-cka"]["layer2"]
    dead = {area: {"layer1": None} for area in ("V4", "IT")}
    assert set(score_heldout(network, heldout, dead).values()) == {None}
    assert guiding.targets[0].similarity == "pearson"
    json.dumps(heldout.describe())


def test_an_area_that_does_not_guide_is_committed_to_by_itself(teacher, network) -> None:
    guiding, heldout = hold_out(teacher, areas=["IT"])
    assert guiding.areas == ("V4",)
    assert heldout.guides == {"IT:heldout": None}
    found = score_heldout(network, heldout, {})
    assert -1 < found["IT:heldout"] < 1


def test_held_out_noise_is_not_what_chose_the_layer(teacher) -> None:
    """Of many random layers the best on guiding stimuli is no better than others held out."""

    class Layers(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.maps = torch.nn.ModuleList(torch.nn.Conv2d(3, 4, 32) for _ in range(12))

        def forward(self, x):
            return torch.stack([one(x) for one in self.maps])

    network = Layers().eval()
    guiding, heldout = hold_out(teacher, stimuli=0.5)
    table = as_dict(compute_similarity(network, guiding, layers="maps.*"))
    found = score_heldout(network, heldout, table, layers="maps.*")
    whole = as_dict(compute_similarity(network, heldout.teacher, layers="maps.*"))
    assert all(found[n] <= max(whole[n].values()) for n in found)


def test_all_that_cannot_be_held_out_is_said(teacher) -> None:
    with pytest.raises(ValueError, match="nothing is named"):
        hold_out(teacher)
    with pytest.raises(ValueError) as caught:
        hold_out(teacher, stimuli=2.0, areas=["V4", "IT"], similarity="pearson")
    for part in ("expected a share", "none is left to guide", "is the one that guides"):
        assert part in str(caught.value)
    with pytest.raises(ValueError, match="leaves nothing on one side"):
        hold_out(teacher, animals=["paul"])
    with pytest.raises(ValueError, match="2 or more are needed on either side"):
        hold_out(teacher, stimuli=0.1)
