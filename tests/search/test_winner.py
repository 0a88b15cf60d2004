"""The winner of a run, trained again."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr

from brainguided.architectures import Architecture
from brainguided.candidates.evaluation import Task
from brainguided.candidates.images import images_from_stimuli
from brainguided.candidates.training import Training
from brainguided.controllers import RandomSearch
from brainguided.guidance.heldout import hold_out
from brainguided.guidance.teacher import Teacher
from brainguided.journal.confirmed import find_winner
from brainguided.journal.journal import Journal, JournalError
from brainguided.networks.build import build_network
from brainguided.networks.noted_weights import read_note
from brainguided.rdms.compare import compare_rdms
from brainguided.rdms.compute import rdms_from_dissimilarities
from brainguided.reports._figures import load_winner_rdms
from brainguided.search import finalists, heldout as search_heldout
from brainguided.search.run import run_search
from brainguided.search.winner import save_winner
from brainguided.spaces import small_space
from neural_data.model.dissimilarities import load_dissimilarities
from neural_data.simulation.objects import simulate_objects
from neural_data.simulation.simulate import simulate_macaque
from neural_data.storage.netcdf import open_netcdf


def make_task(steps: int = 3) -> Task:
    recording, stimuli = simulate_macaque(seed=0)
    return Task(
        images=images_from_stimuli(simulate_objects(4, seed=1), simulate_objects(1, seed=2)),
        teacher=Teacher.from_recording(recording, stimuli, by="object_name"),
        training=Training(steps=steps, batch_size=32),
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    run_search(RandomSearch(small_space(max_depth=3), seed=1), make_task(), candidates=3, out=out)
    return out


def test_saved_rdms_have_the_similarity_that_the_search_found(run) -> None:
    files = save_winner(run, make_task())
    assert [f.name for f in files] == [
        "winner.pt", "teacher.json", "winner_rdms_V4.nc", "winner_rdms_IT.nc"
    ]  # fmt: skip
    v4, _ = json.loads((run / "teacher.json").read_text())["areas"]
    assert (v4["area"], v4["stimuli"], v4["conditions"]) == ("V4", 640, 64)
    assert v4["sites"] == sum(v4["animals"].values()) > 3
    assert v4["ceiling_usable"]
    assert v4["ceiling_interval"][0] < v4["ceiling"] <= 1
    winner = json.loads((run / "winner.json").read_text())
    for area in ("V4", "IT"):
        rdms = rdms_from_dissimilarities(load_dissimilarities(run / f"winner_rdms_{area}.nc"))
        with open_netcdf(run / f"winner_rdms_{area}.nc") as saved:
            said = {name: saved.attrs[name] for name in ("candidate", "architecture")}
        assert said == {
            "candidate": winner["candidate"],
            "architecture": Architecture.from_json(json.dumps(winner["architecture"])).to_json(),
        }
        names = list(rdms.rdm_descriptors["area"])
        assert names == [f"{area} (teacher)", *winner["similarity"][area]]
        found = compare_rdms(rdms, rdms)[0, 1:]
        np.testing.assert_allclose(found, list(winner["similarity"][area].values()), atol=1e-5)
        assert len(rdms.pattern_descriptors["category"]) == 64


def test_saved_weights_load_without_unpickling(run) -> None:
    save_winner(run, make_task())
    winner = json.loads((run / "winner.json").read_text())
    architecture = Architecture.from_json(json.dumps(winner["architecture"]))
    network = build_network(architecture, n_classes=8, seed=99)
    weights = torch.load(run / "winner.pt", weights_only=True)
    network.load_state_dict(weights)
    note = read_note(weights)
    assert (note["candidate"], note["architecture"]) == (
        winner["candidate"],
        architecture.to_json(),
    )


def test_another_task_is_refused(run) -> None:
    with pytest.raises(JournalError, match="another task"):
        save_winner(run, make_task(steps=4))


def test_a_name_of_an_area_never_becomes_a_path(tmp_path) -> None:
    recording, stimuli = simulate_macaque(seed=0)
    areas = np.where(recording["area"].values == "IT", "TEO/TE", "../V4")
    recording = recording.assign_coords(area=("site", areas))
    task = replace(
        make_task(1), teacher=Teacher.from_recording(recording, stimuli, by="object_name")
    )
    out = tmp_path / "run"
    run_search(RandomSearch(small_space(max_depth=2), seed=1), task, candidates=1, out=out)
    files = save_winner(out, task)
    assert {f.name for f in files[2:]} == {"winner_rdms_TEO%2FTE.nc", "winner_rdms_..%2FV4.nc"}
    assert all(f.parent == out for f in files)


def test_the_layers_that_a_task_names_are_those_of_the_report_and_of_the_finalists(
    tmp_path, monkeypatch
) -> None:
    task = replace(make_task(steps=1), layers=["layer1.relu", "layer2.relu", "layer3.relu"])
    run_search(RandomSearch(small_space(max_depth=3), seed=1), task, candidates=2, out=tmp_path)
    save_winner(tmp_path, task)
    with Journal.read(tmp_path) as journal:
        winner = find_winner(journal.results(), journal.again())
    assert winner is not None
    named = set(winner.similarity["V4"])
    assert named
    assert named <= set(task.layers)
    stored, problem = load_winner_rdms(tmp_path, winner, {})
    assert not problem
    assert set(stored["V4"]["area"].values.tolist()) == {"V4 (teacher)", *named}
    asked = []

    def compare(network, teacher, *, layers, preprocessing, inference):
        asked.append(layers)
        return xr.Dataset({"ceiling_usable": True})

    def score(network, heldout, similarity, *, layers, preprocessing):
        asked.append(layers)
        return {}

    def read_test():
        stimuli = simulate_objects(1, seed=3)
        labels = [task.images.classes.index(str(one)) for one in stimuli["category"].values]
        return stimuli["image"].values, np.array(labels)

    monkeypatch.setattr(finalists, "compute_correspondence", compare)
    monkeypatch.setattr(search_heldout, "score_heldout", score)
    finalists.run_finalists(tmp_path, task, read_test, steps=1, top=1)
    _, heldout = hold_out(task.recorded_teacher, similarity="spearman")
    search_heldout.compare_heldout(tmp_path, task, heldout)
    assert [set(one) for one in asked] == [named] * 3
