"""What is held out shares nothing with what guides."""

import json

import numpy as np
import pytest
import torch

from brainguided import ConvLayer, PlainArchitecture, Teacher, compute_similarity
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
