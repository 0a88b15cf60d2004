"""Networks as users have them: which layers they use, and that observing leaves nothing behind."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
import torch
from noise_stimuli import make_stimuli
from torch import nn

from brainguided import compute_similarity
from brainguided.guidance.teacher import Teacher
from brainguided.networks.layers import Observation, describe_layers, select_layers
from brainguided.networks.preprocessing import Preprocessing, images_to_tensor
from brainguided.networks.streamed import compute_layer_rdms


class Residual(nn.Module):
    """A block of a ResNet."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.downsample = (
            None if inputs == outputs else nn.Sequential(nn.Conv2d(inputs, outputs, 1))
        )

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.conv2(self.relu(self.bn1(self.conv1(x))))
        out += shortcut
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.layer1 = nn.Sequential(Residual(8, 8), Residual(8, 8))
        self.layer2 = nn.Sequential(Residual(8, 12))
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(12, 4)

    def forward(self, x):
        x = self.layer2(self.layer1(torch.relu(self.conv1(x))))
        return self.fc(self.dropout(x.mean((2, 3))))


class ViT(nn.Module):
    """A transformer with a class token, made of torch's own layers."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 8, stride=8)
        self.token = nn.Parameter(torch.zeros(1, 1, 16))
        layer = nn.TransformerEncoderLayer(16, 2, 24, dropout=0.3, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1)
        return self.head(self.encoder(x)[:, 0])


class Cached(nn.Module):
    """Makes a tensor at its first pass, a second one as a buffer, and keeps a count in a third."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(32, 6)
        self.places = None
        self.register_buffer("scale", None)
        self.register_buffer("fixed", torch.linspace(0, 1, 32))

    def forward(self, x):
        if self.places is None:
            self.places = torch.arange(x.shape[-1], dtype=x.dtype, device=x.device)
            self.scale = torch.ones_like(self.places) / 32
        return self.map(x + self.places * self.scale + self.fixed)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.ModuleList(
            [nn.LSTM(96, 7, batch_first=True), nn.GRU(7, 5, batch_first=True)]
        )

    def forward(self, x):
        x = x + 0 * torch.randn_like(x)  # draws, as some models do
        x, _ = self.cells[0](x.permute(0, 2, 1, 3).flatten(2))
        return self.cells[1](x)[0]


class Auxiliary(nn.Module):
    """A head that only training uses, containers, a mapping and a tuple as outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)])
        self.named = Named()
        self.aux = nn.Linear(8, 4)

    def forward(self, x):
        for block in self.blocks:
            x = torch.relu(block(x))
        found = self.named(x)
        return (found["mean"], self.aux(found["mean"])) if self.training else found["mean"]


class Named(nn.Module):
    def forward(self, x):
        return {"word": "x", "size": torch.tensor(3.0), "mean": x.mean((2, 3)), "all": x}


def seeded(network: nn.Module) -> nn.Module:
    """Give a network made-up weights."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in network.parameters():
            p.copy_(torch.randn(p.shape, generator=generator) * 0.3)
    return network


def rdm_layers(network: nn.Module, **how) -> list[str]:
    return list(compute_layer_rdms(network, make_stimuli(8), **how).rdm_descriptors["layer"])


def test_blocks_with_their_residual_sums_are_layers_by_default() -> None:
    network = seeded(ResNet())
    assert select_layers(network) == (
        "conv1", "layer1.0", "layer1.0.conv1", "layer1.0.conv2", "layer1.1", "layer1.1.conv1",
        "layer1.1.conv2", "layer2.0", "layer2.0.conv1", "layer2.0.conv2", "layer2.0.downsample.0",
        "fc",
    )  # fmt: skip
    order = rdm_layers(network)
    assert order[:4] == ["conv1", "layer1.0.conv1", "layer1.0.conv2", "layer1.0"]
    assert order[-2:] == ["layer2.0", "fc"]
    stimuli = make_stimuli(8)
    rdms = compute_layer_rdms(network, stimuli, layers="layer1.0")
    network.eval()
    with torch.no_grad():
        x = torch.relu(network.conv1(images_to_tensor(stimuli["image"].values)))
        patterns = network.layer1[0](x).flatten(1).double().numpy()
    expected = 1 - np.corrcoef(patterns)[np.triu_indices(8, 1)]
    np.testing.assert_allclose(rdms.dissimilarities[0], expected, atol=1e-5)


def test_blocks_are_found_behind_wrappers_and_as_attributes() -> None:
    wrapped = nn.Sequential(nn.Identity(), ResNet())
    assert {"1.layer1.0", "1.layer2.0"} <= set(select_layers(wrapped))

    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = Residual(3, 3), Residual(3, 3)

        def forward(self, x):
            return self.second(self.first(x))

    assert {"first", "second"} <= set(select_layers(Flat()))


def test_everything_is_each_layer_once_in_the_order_of_depth() -> None:
    network = seeded(ResNet())
    table = describe_layers(network, make_stimuli(8), layers="*")
    found = table["layer"].values.tolist()
    assert found == [
        "conv1",
        "layer1.0.conv1", "layer1.0.bn1", "layer1.0.relu", "layer1.0.conv2", "layer1.0",
        "layer1.1.conv1", "layer1.1.bn1", "layer1.1.relu", "layer1.1.conv2", "layer1.1",
        "layer2.0.downsample.0",
        "layer2.0.conv1", "layer2.0.bn1", "layer2.0.relu", "layer2.0.conv2", "layer2.0",
        "fc",
    ]  # fmt: skip
    assert "layer1.0.relu:2: same output as layer1.0" in table.attrs["left_out"]
    kinds = set(table["kind"].values.tolist())
    assert not kinds & {"Dropout", "Sequential", "ModuleList"}
    rdms = compute_layer_rdms(network, make_stimuli(8), layers="*").dissimilarities
    alike = np.abs(rdms[:, None] - rdms[None]).max(2) + np.eye(len(rdms))
    assert alike.min() > 1e-6  # no layer stands there twice


def test_transformers_are_observed_and_what_they_do_not_use_is_named() -> None:
    network, stimuli = seeded(ViT()), make_stimuli(8)
    rdms = compute_layer_rdms(network, stimuli)
    assert list(rdms.rdm_descriptors["layer"]) == [
        "patch", "encoder.layers.0.self_attn", "encoder.layers.0.linear1",
        "encoder.layers.0.linear2", "encoder.layers.0", "encoder.layers.1.self_attn",
        "encoder.layers.1.linear1", "encoder.layers.1.linear2", "encoder.layers.1", "head",
    ]  # fmt: skip
    for k in (0, 1):
        attention = f"encoder.layers.{k}.self_attn"
        assert (
            f"{attention}.out_proj: its weights are used by {attention} without calling it, so it "
            f"cannot be observed (take {attention})"
        ) in rdms.descriptors["left_out"]
    layers = rdm_layers(network, layers=["encoder.*", "!*.norm?", "!*.linear*"])
    assert layers == [f"encoder.layers.{k}{part}" for k in (0, 1) for part in (".self_attn", "")]
    assert "encoder" in rdm_layers(network, layers=["encoder", "head"])  # by its name
    with pytest.raises(ValueError, match=r"did not call .*\['encoder.layers.0.self_attn.out_proj'"):
        rdm_layers(network, layers="encoder.layers.0.self_attn.out_proj")


class Attending(nn.Module):
    """A block of a transformer written by hand, around torch's attention."""

    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(16)
        self.attn = nn.MultiheadAttention(16, 2, batch_first=batch_first)
        self.mlp = nn.Sequential(nn.Linear(16, 24), nn.GELU(), nn.Linear(24, 16))

    def forward(self, x):
        y = self.norm(x)
        x = x + self.attn(y, y, y)[0]
        return x + self.mlp(x)


class OwnViT(nn.Module):
    def __init__(self, batch_first: bool = True) -> None:
        super().__init__()
        self.batch_first = batch_first
        self.patch = nn.Conv2d(3, 16, 8, stride=8)
        self.blocks = nn.Sequential(Attending(batch_first), Attending(batch_first))
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        if self.batch_first:
            return self.head(self.blocks(x).mean(1))
        return self.head(self.blocks(x.transpose(0, 1)).mean(0))


def test_attention_is_a_layer_by_default_and_stands_for_its_own_output_map() -> None:
    network, stimuli = seeded(OwnViT()).eval(), make_stimuli(8)
    table = describe_layers(network, stimuli)
    assert table["layer"].values.tolist() == [
        "patch", "blocks.0.attn", "blocks.0.mlp.0", "blocks.0.mlp.2", "blocks.0",
        "blocks.1.attn", "blocks.1.mlp.0", "blocks.1.mlp.2", "blocks.1", "head",
    ]  # fmt: skip
    assert table.attrs["left_out"].split("; ") == [
        f"blocks.{k}.attn.out_proj: its weights are used by blocks.{k}.attn without calling it, so "
        f"it cannot be observed (take blocks.{k}.attn)"
        for k in (0, 1)
    ]
    rdms = compute_layer_rdms(network, stimuli, layers="blocks.0.attn")
    with torch.no_grad():
        x = network.patch(images_to_tensor(stimuli["image"].values)).flatten(2).transpose(1, 2)
        block = network.blocks[0]
        patterns = block.attn(*[block.norm(x)] * 3)[0].flatten(1).double().numpy()
    expected = 1 - np.corrcoef(patterns)[np.triu_indices(8, 1)]
    np.testing.assert_allclose(rdms.dissimilarities[0], expected, atol=1e-5)
    with pytest.raises(
        ValueError,
        match=r"did not call the layers \['blocks.0.attn.out_proj'\]; leave them out, or take the "
        r"attention that uses their weights: \['blocks.0.attn'\]",
    ):
        describe_layers(network, stimuli, layers="blocks.0.attn.out_proj")


def test_a_network_of_one_layer_alone_is_to_be_wrapped() -> None:
    stimuli = make_stimuli(8)
    with pytest.raises(ValueError, match=r"is a single Conv2d, .*Sequential\(network\)"):
        describe_layers(nn.Conv2d(3, 4, 3), stimuli)
    assert describe_layers(nn.Sequential(nn.Conv2d(3, 4, 3)), stimuli)["layer"].values == ["0"]


def test_weights_of_attention_are_never_taken_for_its_output() -> None:
    network, stimuli = seeded(OwnViT(batch_first=False)), make_stimuli(16)  # 16 tokens too
    table = describe_layers(network, stimuli)
    assert not [n for n in table["layer"].values.tolist() if n.endswith("attn")]
    assert "blocks.0.attn: returns a tensor of shape (16, 1, 16)" in table.attrs["left_out"]
    with pytest.raises(ValueError, match=r"'blocks.0.attn' returns .*\(16, 1, 16\).*batch_first"):
        compute_layer_rdms(network, stimuli, layers="blocks.0.attn")


def test_all_tokens_the_class_token_or_their_mean_are_taken_and_said() -> None:
    network, stimuli = seeded(ViT()), make_stimuli(8)
    network.eval()
    kept = []
    handle = network.encoder.layers[1].register_forward_hook(lambda _m, _i, out: kept.append(out))
    with torch.no_grad():
        network(images_to_tensor(stimuli["image"].values))
    handle.remove()
    every = kept[0].double().numpy()
    for tokens, patterns in (
        ("all", every.reshape(8, -1)), ("class", every[:, 0]), ("mean", every.mean(1)),
    ):  # fmt: skip
        how = Observation(["encoder.layers.1", "patch"], tokens=tokens)
        rdms = compute_layer_rdms(network, stimuli, layers=how)
        expected = 1 - np.corrcoef(patterns)[np.triu_indices(8, 1)]
        np.testing.assert_allclose(rdms.dissimilarities[1], expected, atol=2e-4)
        assert rdms.descriptors["tokens"] == tokens
        table = describe_layers(network, stimuli, layers=how)
        assert table["units"].values.tolist() == [16 * 16, patterns.shape[1]]
        assert table.attrs["tokens"] == tokens
    teacher = Teacher.from_network(network, stimuli, layers="head")
    found = compute_similarity(network, teacher, layers=Observation("head", tokens="class"))
    assert found.attrs["tokens"] == "class"
    with pytest.raises(ValueError, match="tokens is 'cls'; it is one of 'all', 'class', 'mean'"):
        Observation(tokens="cls")


@pytest.mark.parametrize("make", [Cached, Recurrent, Auxiliary, ViT, ResNet])
def test_a_network_is_after_observing_what_it_was_before(make) -> None:
    network, stimuli = seeded(make()), make_stimuli(8)
    network.train()
    next(network.children()).eval()
    modes = [m.training for m in network.modules()]
    state = copy.deepcopy(network.state_dict())
    torch.manual_seed(5)
    before = torch.get_rng_state()
    describe_layers(network, stimuli, layers="*")
    compute_layer_rdms(network, stimuli, layers="*")
    assert torch.equal(torch.get_rng_state(), before)
    assert [m.training for m in network.modules()] == modes
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())
    assert torch.backends.mha.get_fastpath_enabled()
    assert all(p.grad is None and p.requires_grad for p in network.parameters())
    for name, value in state.items():
        assert torch.equal(network.state_dict()[name], value)
    assert {v.device.type for v in network.state_dict().values()} == {"cpu"}
    output = network(torch.zeros(3, 3, 32, 32))
    output = output[0] if isinstance(output, tuple) else output
    output.sum().backward()  # it still learns
    assert any(p.grad is not None for p in network.parameters())


def test_a_network_that_fails_is_left_as_it_was_and_the_cause_is_told() -> None:
    network, stimuli = seeded(ResNet()).double(), make_stimuli(8)
    network.fc = nn.Linear(13, 4).double()
    network.train()
    flat = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 30 * 30, 2))
    before = torch.get_rng_state()
    for call in (describe_layers, compute_layer_rdms):
        with pytest.raises(
            ValueError, match=r"cannot run on images of 3 x 32 x 32 .*RuntimeError in 'fc' \(Linear"
        ):
            call(network, stimuli)
    small = Preprocessing(size=16)
    with pytest.raises(ValueError, match=r"in '2' \(Linear\).*Preprocessing\(size=..., crop="):
        describe_layers(flat, stimuli, preprocessing=small)
    assert describe_layers(flat, stimuli).sizes["layer"] == 2
    assert network.training
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())
    assert {p.dtype for p in network.parameters()} == {torch.float64}


def test_mappings_and_tuples_give_their_first_tensor_over_stimuli() -> None:
    network, stimuli = seeded(Auxiliary()), make_stimuli(8)
    rdms = compute_layer_rdms(network, stimuli, layers=["blocks.1", "named"])
    with torch.no_grad():
        means = network.eval()(images_to_tensor(stimuli["image"].values)).double().numpy()
    expected = 1 - np.corrcoef(means)[np.triu_indices(8, 1)]
    np.testing.assert_allclose(rdms.dissimilarities[1], expected, atol=1e-4)
    assert rdm_layers(network) == ["blocks.0", "blocks.1"]

    class Wave(nn.Module):
        def forward(self, x):
            return torch.fft.fft(x)

    class Transposed(nn.Module):
        def forward(self, x):
            return x.transpose(0, 1)

    odd = nn.Sequential(nn.Conv2d(3, 4, 3), Wave(), Transposed())
    with pytest.raises(ValueError, match=r"Layer '1' returns complex numbers"):
        rdm_layers(odd, layers="1")
    assert rdm_layers(odd, layers="*") == ["0"]
    left_out = describe_layers(odd, stimuli, layers="*").attrs["left_out"]
    assert left_out == "1: returns complex numbers; 2: returns complex numbers"
    assert (
        describe_layers(network, stimuli).attrs["left_out"] == "aux: not called in the forward pass"
    )
    recurrent = seeded(Recurrent())
    table = describe_layers(recurrent, stimuli, layers="*")
    assert table["shape"].to_series().to_dict() == {"cells.0": "32 x 7", "cells.1": "32 x 5"}


def test_networks_whose_layers_cannot_be_observed_are_refused_by_name() -> None:
    stimuli = make_stimuli(8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted = torch.jit.trace(seeded(ResNet()).eval(), torch.zeros(1, 3, 32, 32))
    with pytest.raises(ValueError, match=r"The network is TorchScript, .* give the Python module"):
        compute_layer_rdms(scripted, stimuli)
    mixed = nn.Sequential(scripted, nn.Linear(4, 2))
    assert rdm_layers(mixed) == ["1"]
    with pytest.raises(ValueError, match=r"\['0.conv1'\] are inside TorchScript"):
        compute_layer_rdms(mixed, stimuli, layers="0.conv1")
    lazy = nn.Sequential(nn.LazyConv2d(4, 3))
    with pytest.raises(ValueError, match="have no values before the first forward pass"):
        describe_layers(lazy, stimuli)

    class Compiled(nn.Sequential):
        pass

    Compiled.__name__ = "OptimizedModule"
    with pytest.raises(ValueError, match=r"give the module .* network\._orig_mod"):
        describe_layers(Compiled(nn.Conv2d(3, 2, 3)), stimuli)

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.map = nn.Linear(3, 3)

        def forward(self, x, y):
            return self.map(x + y)

    with pytest.raises(ValueError, match=r"a network of several inputs goes into a module of one"):
        describe_layers(Two(), stimuli)


def test_images_are_given_by_the_name_that_a_network_has_for_them() -> None:
    class Clip(nn.Module):
        def __init__(self):
            super().__init__()
            self.vision = nn.Conv2d(3, 4, 5)

        def forward(self, input_ids=None, pixel_values=None):
            assert input_ids is None
            return self.vision(pixel_values)

    assert rdm_layers(Clip()) == ["vision"]


def test_patterns_that_leave_nothing_say_so() -> None:
    network = seeded(ResNet())
    with pytest.raises(ValueError, match=r"leaves no layer of the network \(ResNet\); it has"):
        select_layers(network, ["fc", "!f*"])
    with pytest.raises(ValueError, match=r"no layers \['!nothing'\]"):
        select_layers(network, ["*", "!nothing"])
    assert select_layers(network, ["!layer*"]) == ("conv1", "fc")
    with pytest.raises(ValueError, match="There are no layers to observe"):
        select_layers(nn.ReLU())
    idle = nn.Sequential(nn.Identity())
    with pytest.raises(ValueError, match=r"leaves no layer"):
        describe_layers(idle, make_stimuli(4), layers="*")


def test_a_layer_that_is_constant_resembles_nothing_and_one_of_nan_is_refused() -> None:
    stimuli = make_stimuli(12)
    teacher = Teacher.from_network(seeded(ResNet()), stimuli, layers="layer1.0")
    network = seeded(ResNet())
    nn.init.zeros_(network.fc.weight)
    assert np.isnan(compute_similarity(network, teacher, layers="fc").item())
    nn.init.constant_(network.layer1[1].conv1.weight, float("nan"))
    with pytest.raises(
        ValueError, match=r"'layer1.1.conv1', .* hold NaN .*weights \['layer1.1.conv1.weight'\]"
    ):
        compute_layer_rdms(network, stimuli)

    class Overflow(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3)

        def forward(self, x):
            return self.conv(x / 0)

    with pytest.raises(ValueError, match="though the weights are finite; check the preprocessing"):
        compute_layer_rdms(Overflow(), stimuli)
