"""Every image is shown once, whatever fits into memory; what is done is kept."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from noise_stimuli import make_stimuli
from torch import nn

from brainguided import Teacher, compute_similarity
from brainguided.networks.grams import distances_from_moments
from brainguided.networks.layers import Observation
from brainguided.networks.passes import stream_moments
from brainguided.networks.streamed import compute_layer_rdms, stream_distances

N = 30
BATCH = 7


class Counting(nn.Module):
    """A network that counts the images it is shown."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.wide = nn.Conv2d(3, 16, 3, padding=1)
        self.deep = nn.Conv2d(16, 8, 3, stride=2)
        self.head = nn.Linear(8, 4)
        for p in self.parameters():
            with torch.no_grad():
                p.copy_(torch.randn(p.shape, generator=generator) * 0.3)
        self.shown = 0
        self.stop_at = float("inf")

    def forward(self, x):
        if self.shown + len(x) > self.stop_at:
            raise KeyboardInterrupt
        self.shown += len(x)
        return self.head(torch.relu(self.deep(torch.relu(self.wide(x)))).mean((2, 3)))


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr("brainguided.networks.passes.BATCH_BYTES", BATCH * 4 * 16 * 144)
    monkeypatch.setattr("brainguided.networks.passes.BLOCK_UNITS", 500)
    monkeypatch.setattr("brainguided.networks._spool.WIDTH", 700)  # wide is 2304 units


@pytest.fixture(scope="module")
def stimuli():
    return make_stimuli(N, size=12)


def expected_rdms(stimuli, by="stimulus") -> np.ndarray:
    return compute_layer_rdms(Counting(), stimuli, by=by).dissimilarities


@pytest.mark.parametrize("memory", [1000.0, 1.0, 0.05])
@pytest.mark.parametrize("by", ["stimulus", "object_name"])
def test_each_image_is_shown_once_with_any_memory(stimuli, memory, by) -> None:
    network = Counting()
    rdms = compute_layer_rdms(network, stimuli, layers=Observation(memory=memory), by=by)
    assert network.shown == N + 1  # the first once more, to see which layers there are
    np.testing.assert_allclose(rdms.dissimilarities, expected_rdms(stimuli, by), atol=2e-6)


def test_groupings_side_by_side_share_the_pass(stimuli) -> None:
    network = Counting()
    groups = [None, np.arange(N) % 6, np.arange(N) % 5]
    few = Observation(memory=0.05)
    images = stimuli["image"].values
    found = stream_distances(network, images, few, groups)
    assert network.shown == N + 1
    for k, by in enumerate(("stimulus", "object_name")):
        rows = np.array([rows[k] for rows in found.values()])
        np.testing.assert_allclose(rows, expected_rdms(stimuli, by), atol=2e-6)
    assert all(len(rows[2]) == 10 for rows in found.values())


@pytest.mark.parametrize("memory", [1000.0, 0.05])
def test_a_teacher_of_categories_takes_one_pass_and_averages_activations(stimuli, memory) -> None:
    for by, size in (("object_name", 10**6), ("stimulus", 10**6), ("object_name", 50)):
        network = Counting()
        teacher = Teacher.from_network(
            network, stimuli, layers=Observation(memory=memory), by=by, subset_size=size
        )
        assert network.shown == N + 1
        rows = np.array([target.rdm.dissimilarities[0] for target in teacher])
        expected = expected_rdms(stimuli, by)
        if size > 1000:
            np.testing.assert_allclose(rows, expected, atol=2e-6)
        else:
            assert 0.001 < np.abs(rows[0] - expected[0]).max() < 0.3
        assert {target.by for target in teacher} == {by}
        similarity = compute_similarity(network, teacher)
        assert network.shown == 2 * (N + 1)
        assert np.diag(similarity).min() > (0.999 if size > 1000 else 0.5)


def test_without_room_on_the_disk_memory_is_kept_by_several_passes(stimuli, monkeypatch) -> None:
    monkeypatch.setattr("brainguided.networks.passes.find_room", lambda _: 0)
    network = Counting()
    rdms = compute_layer_rdms(network, stimuli, layers=Observation(memory=0.1))
    assert 2 * N < network.shown <= 5 * N
    np.testing.assert_allclose(rdms.dissimilarities, expected_rdms(stimuli), atol=2e-6)


def test_nothing_is_left_on_the_disk_without_a_folder(stimuli, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    network = Counting()
    network.stop_at = 20
    with pytest.raises(KeyboardInterrupt):
        compute_layer_rdms(network, stimuli, layers=Observation(memory=0.05))
    assert not list(tmp_path.iterdir())
    assert not network.wide._forward_hooks


@pytest.mark.parametrize(("stop", "every"), [(3, 0.0), (16, 0.0), (16, 60.0), (27, 60.0)])
def test_an_interrupted_observation_goes_on_where_it_was(
    stimuli, tmp_path, monkeypatch, stop, every
) -> None:
    monkeypatch.setattr("brainguided.networks._spool.EVERY", every)
    said = []
    how = Observation(folder=tmp_path, memory=0.05, progress=lambda *what: said.append(what))
    network = Counting()
    network.stop_at = stop
    with pytest.raises(KeyboardInterrupt):
        compute_layer_rdms(network, stimuli, layers=how)
    again = Counting()
    rdms = compute_layer_rdms(again, stimuli, layers=how)
    kept = max(0, stop - 2) // BATCH * BATCH
    assert again.shown == N - kept + 2  # its layers, and whether it is still the same
    np.testing.assert_allclose(rdms.dissimilarities, expected_rdms(stimuli), atol=2e-6)
    assert ("images shown", N, N) in said
    assert said[-1] == ("units multiplied", 2304 + 200 + 4, 2304 + 200 + 4)
    third = Counting()
    rdms = compute_layer_rdms(third, stimuli, layers=how)
    assert third.shown == 2  # all inner products are there
    np.testing.assert_allclose(rdms.dissimilarities, expected_rdms(stimuli), atol=2e-6)


def test_layers_that_were_multiplied_are_not_multiplied_again(stimuli, tmp_path) -> None:
    said = []
    how = Observation(folder=tmp_path, memory=0.05, progress=lambda *what: said.append(what))
    images = stimuli["image"].values
    streamed = stream_moments(Counting(), images, how)
    assert next(streamed)[0] == "wide"
    streamed.close()
    network = Counting()
    said.clear()
    found = dict(stream_moments(network, images, how))
    assert network.shown == 2
    assert said[-1] == ("units multiplied", 204, 204)
    rows = [distances_from_moments(one[0]) for one in found.values()]
    np.testing.assert_allclose(rows, expected_rdms(stimuli), atol=2e-6)


def test_what_was_kept_of_another_network_or_other_code_is_not_used(stimuli, tmp_path) -> None:
    how = Observation(folder=tmp_path, memory=0.05)
    compute_layer_rdms(Counting(), stimuli, layers=how)
    other = Counting()
    with torch.no_grad():
        other.wide.weight.mul_(-1)
    rdms = compute_layer_rdms(other, stimuli, layers=how)
    assert other.shown == N + 2
    assert np.abs(rdms.dissimilarities - expected_rdms(stimuli)).max() > 0.01

    def without_relu(self, x):
        self.shown += len(x)
        return self.head(self.deep(self.wide(x)).mean((2, 3)))

    changed = Counting()
    changed.forward = without_relu.__get__(changed)
    rdms = compute_layer_rdms(changed, stimuli, layers=how)
    assert changed.shown == N + 2
    assert np.abs(rdms.dissimilarities[1:] - expected_rdms(stimuli)[1:]).max() > 0.01


def test_a_folder_in_which_another_process_works_is_refused(stimuli, tmp_path) -> None:
    pytest.importorskip("fcntl")
    how = Observation(folder=tmp_path, memory=0.05)
    images = stimuli["image"].values
    first = stream_moments(Counting(), images, how)
    next(first)
    with pytest.raises(BlockingIOError, match=r"Another process is at work in .*another folder"):
        next(stream_moments(Counting(), images, how))
    first.close()


def test_a_file_that_was_cut_is_told_not_read(stimuli, tmp_path) -> None:
    how = Observation(folder=tmp_path, memory=0.05)
    images = stimuli["image"].values
    streamed = stream_moments(Counting(), images, how)
    next(streamed)
    streamed.close()
    (folder,) = tmp_path.iterdir()
    assert json.loads((folder / "shown.json").read_text()) == {"shown": N}
    (folder / "1.f32").write_bytes(b"")
    with pytest.raises(OSError, match=r"1.f32 is shorter than it was written"):
        list(stream_moments(Counting(), images, how))
