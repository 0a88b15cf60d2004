"""Layers of any torch module: chosen, described, streamed in batches and passes, recorded."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from noise_stimuli import make_stimuli
from torch import nn

from brainguided.networks.grams import distances_from_moments
from brainguided.networks.layers import Observation, describe_layers, select_layers
from brainguided.networks.passes import plan_passes, stream_moments
from brainguided.networks.recorded import load_activations, record_activations
from brainguided.networks.streamed import compute_layer_rdms
from brainguided.rdms.compute import compute_rdms


class Branched(nn.Module):
    """Two branches, a module used twice, outputs that are tuples."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(inplace=True))
        self.shared = nn.Conv2d(8, 8, 3, padding=1)
        self.memory = nn.LSTM(8, 5, batch_first=True)
        self.head = nn.Linear(8, 4)
        for p in self.parameters():
            with torch.no_grad():
                p.copy_(torch.randn(p.shape, generator=generator) * 0.3)

    def forward(self, x):
        x = self.shared(torch.relu(self.shared(self.stem(x))))
        flat = x.flatten(2).transpose(1, 2)
        sequence, _ = self.memory(flat)
        return self.head(x.mean((2, 3))), sequence


def test_layers_are_chosen_by_name_pattern_and_use_in_the_order_of_the_network() -> None:
    network = Branched()
    assert select_layers(network, ["head", "stem.*"]) == ("stem.0", "stem.1", "head")
    assert select_layers(network, "s*") == ("stem.0", "stem.1", "shared")
    assert select_layers(network, ["stem", "s*"]) == ("stem", "stem.0", "stem.1", "shared")
    assert select_layers(network, "shared:2") == ("shared:2",)
    assert select_layers(network) == ("stem.0", "shared", "head")
    with pytest.raises(ValueError, match=r"no layers \['sten', 'x\*'\]; it has \['stem'"):
        select_layers(network, ["sten", "stem", "x*"])
    rdms = compute_layer_rdms(network, make_stimuli(8, size=12), layers=["shared:2", "memory"])
    assert list(rdms.rdm_descriptors["layer"]) == ["shared:2", "memory"]
    both = compute_layer_rdms(network, make_stimuli(8, size=12), layers="shared")
    np.testing.assert_array_equal(both.dissimilarities[1], rdms.dissimilarities[0])
    with pytest.raises(ValueError, match=r"did not call the layers \['shared:3'\]"):
        compute_layer_rdms(network, make_stimuli(8, size=12), layers="shared:3")


def test_layers_are_described_from_one_stimulus() -> None:
    network = Branched()
    shown = []
    handle = network.head.register_forward_hook(lambda _m, i, _o: shown.append(len(i[0])))
    table = describe_layers(
        network, make_stimuli(8, size=12), layers=["stem.0", "shared", "memory", "head"]
    )
    handle.remove()
    assert table["layer"].values.tolist() == ["stem.0", "shared", "shared:2", "memory", "head"]
    assert table["units"].values.tolist() == [1152, 1152, 1152, 144 * 5, 4]
    assert table["bytes"].values.tolist() == [u * 4 * 8 for u in table["units"].values.tolist()]
    assert table["shape"].values[0] == "8 x 12 x 12"
    assert shown == [1]

    class Stubborn(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 3)

        def forward(self, x):
            return self.conv(x) * float(x.mean())  # looks at numbers

    assert describe_layers(Stubborn(), make_stimuli(4))["units"].values.tolist() == [2 * 30 * 30]


@pytest.mark.parametrize("measure", ["correlation", "cosine", "squared euclidean", "euclidean"])
@pytest.mark.parametrize("by", ["stimulus", "object_name"])
def test_many_passes_over_batches_give_what_one_pass_gives(tmp_path, monkeypatch, measure, by):
    network, stimuli = Branched(), make_stimuli(30, size=12)
    layers = ["stem", "shared", "memory", "head"]
    settings = {"layers": layers, "measure": measure, "by": by}
    whole = compute_layer_rdms(network, stimuli, **settings)
    monkeypatch.setattr("brainguided.networks.passes.BATCH_BYTES", 7 * 4 * 1152)
    images = stimuli["image"].values
    weights = None
    if by == "object_name":
        weights = np.kron(np.ones((1, 5)), np.eye(6)).astype(np.float32) / 5
    few = Observation(layers, memory=0.1)
    passes = stream_moments(network, images, few, averages=[weights])
    vectors = {layer: distances_from_moments(m[0], measure) for layer, m in passes}
    assert list(vectors) == list(whole.rdm_descriptors["layer"])
    assert len(plan_passes({"stem": 1152}, 873)) == 2
    scale = np.abs(whole.dissimilarities).max(1, keepdims=True)
    np.testing.assert_allclose(
        np.stack(list(vectors.values())) / scale, whole.dissimilarities / scale, atol=2e-5
    )


def test_a_pass_stops_behind_the_last_layer_that_it_is_for(monkeypatch) -> None:
    network, stimuli = Branched(), make_stimuli(30, size=12)
    reached = []
    network.head.register_forward_hook(lambda *_: reached.append(1))
    images = stimuli["image"].values
    list(stream_moments(network, images, Observation(["stem"], memory=0.5)))
    assert len(reached) == 1  # by the one stimulus that shows the layers


def test_every_unit_of_every_layer_is_in_exactly_one_pass() -> None:
    units = {"a": 17, "b": 1, "c": 40}
    parts = plan_passes(units, 10)
    assert all(sum(s.stop - s.start for s in part) <= 10 for part in parts)
    for layer, number in units.items():
        covered = [u for part in parts for s in part if s.layer == layer
                   for u in range(s.start, s.stop)]  # fmt: skip
        assert covered == list(range(number))


def test_reduced_precision_is_close_and_double_precision_is_exact() -> None:
    network, stimuli = Branched(), make_stimuli(20, size=12)
    layers = ["stem", "shared"]
    single = compute_layer_rdms(network, stimuli, layers=layers)
    half = compute_layer_rdms(network, stimuli, layers=layers, precision="bfloat16")
    error = np.abs(half.dissimilarities - single.dissimilarities).max()
    assert 0 < error < 0.02
    double = compute_layer_rdms(network.double(), stimuli, layers=layers)
    np.testing.assert_allclose(single.dissimilarities, double.dissimilarities, atol=2e-6)
    with pytest.raises(ValueError, match="'float32', 'bfloat16'"):
        compute_layer_rdms(network, stimuli, precision="half")


def test_layers_without_a_tensor_over_stimuli_are_refused() -> None:
    class Odd(nn.Module):
        def __init__(self, output):
            super().__init__()
            self.inner = nn.Identity()
            self.output = output
            self.probe = Probe(output)

        def forward(self, x):
            return self.probe(self.inner(x))

    class Probe(nn.Module):
        def __init__(self, output):
            super().__init__()
            self.output = output

        def forward(self, x):
            return self.output(x)

    stimuli = make_stimuli(6)
    with pytest.raises(ValueError, match=r"'probe' returns dict, not a tensor"):
        compute_layer_rdms(Odd(lambda x: {"x": str(x)}), stimuli, layers="probe")
    with pytest.raises(ValueError, match=r"first dimension is expected to be the stimuli"):
        compute_layer_rdms(Odd(lambda x: x.transpose(0, 1)), stimuli, layers="probe")


def test_the_mode_of_every_module_survives_an_error() -> None:
    network = Branched()
    network.train()
    network.stem.eval()
    with pytest.raises(ValueError, match="not call"):
        compute_layer_rdms(network, make_stimuli(6, size=12), layers="shared:9")
    assert network.training
    assert not network.stem[0].training
    assert not any(m._forward_hooks for m in network.modules())


def test_recorded_activations_give_the_streamed_rdms(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("brainguided.networks.recorded.BATCH_BYTES", 7 * 4 * 1152)
    network, stimuli = Branched(), make_stimuli(20, size=12)
    path = record_activations(
        network, stimuli, tmp_path / "a.nc", layers=["stem", "shared", "head"]
    )
    rdms = compute_layer_rdms(network, stimuli, layers=["stem", "shared", "head"])
    for k, layer in enumerate(rdms.rdm_descriptors["layer"]):
        responses = load_activations(path, layer)
        assert responses.dims == ("stimulus", "unit")
        again = compute_rdms(responses)
        assert again.pattern_descriptors["stimulus"] == rdms.pattern_descriptors["stimulus"]
        np.testing.assert_allclose(again.dissimilarities[0], rdms.dissimilarities[k], atol=2e-6)
    with pytest.raises(FileExistsError, match="remove it first"):
        record_activations(network, stimuli, path)
    with pytest.raises(ValueError, match=r"no layer 'x'; it holds \['head', 'shared'"):
        load_activations(path, "x")
    assert [p.name for p in tmp_path.iterdir()] == ["a.nc"]


def test_a_disk_too_small_is_refused_before_the_first_pass(tmp_path, monkeypatch) -> None:
    import shutil

    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(OSError, match=r"GiB free. Choose fewer layers"):
        record_activations(Branched(), make_stimuli(5, size=12), tmp_path / "a.nc")
    assert not list(tmp_path.iterdir())


@pytest.mark.gpu
def test_a_network_on_the_gpu_gives_the_rdms_of_the_cpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    network, stimuli = Branched(), make_stimuli(20)
    expected = compute_layer_rdms(network, stimuli, layers=["stem", "shared"])
    found = compute_layer_rdms(network.cuda(), stimuli, layers=["stem", "shared"])
    np.testing.assert_allclose(found.dissimilarities, expected.dissimilarities, atol=1e-4)
