"""The winner as a plugin of Brain-Score, in whose place stands what it does with one."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from dataclasses import dataclass, replace
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from rewritten_runs import rewrite_run
from saved_winner import note_of, save_run

from brainguided.__main__ import main
from brainguided.architectures import Architecture
from brainguided.journal.journal import Journal, JournalError
from brainguided.networks.build import build_network
from brainguided.networks.export import export_network
from brainguided.networks.noted_weights import save_noted_weights
from brainguided.reports.brainscore_plugin import name_files, write_brainscore_plugin
from brainguided.settings.model_file import ModelError, load_winner


@dataclass
class Commitment:
    """Keyword arguments of Brain-Score's ModelCommitment."""

    identifier: str
    activations_model: Any
    layers: list[str]
    behavioral_readout_layer: str | None = None
    region_layer_map: dict[str, str] | None = None
    visual_degrees: float = 8


class Wrapper:
    """Hooks as those of Brain-Score's PytorchWrapper: arrays that share memory with the maps."""

    def __init__(self, model, preprocessing, identifier=None):
        self.model, self.preprocessing, self.identifier = model, preprocessing, identifier

    def look(self, x, names):
        found, hooks = {}, []
        for name in names:
            module = self.model
            for part in name.split("."):
                module = module._modules[part]
            hooks.append(module.register_forward_hook(
                lambda _m, _x, out, name=name: found.update({name: out.cpu().data.numpy()})
            ))  # fmt: skip
        with torch.no_grad():
            self.model.eval()(x)
        for hook in hooks:
            hook.remove()
        return found


@pytest.fixture
def brainscore(monkeypatch):
    """Stand-ins for the modules of Brain-Score that a plugin imports; the registry."""
    registry: dict[str, Any] = {}
    top = "brainscore_vision"
    content = {
        top: {"model_registry": registry},
        f"{top}.model_helpers": {},
        f"{top}.model_helpers.brain_transformation": {"ModelCommitment": Commitment},
        f"{top}.model_helpers.activations": {},
        f"{top}.model_helpers.activations.pytorch": {
            "PytorchWrapper": Wrapper,
            "load_preprocess_images": lambda paths, **settings: SimpleNamespace(**settings),
        },
    }
    for name, names in content.items():
        module = ModuleType(name)
        vars(module).update(names)
        monkeypatch.setitem(sys.modules, name, module)
    return registry


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return save_run(tmp_path_factory.mktemp("runs"))


def load(folder, monkeypatch):
    monkeypatch.syspath_prepend(str(folder.parent))
    importlib.invalidate_caches()
    return importlib.import_module(folder.name)


def test_the_plugin_registers_the_winner_with_its_layers_and_areas(
    run, brainscore, tmp_path, monkeypatch, capsys
):
    out, winner, network = run
    folder = tmp_path / "lab_winner"
    words = ["export", "brainscore", str(out), "--out", str(folder), "--identifier", "lab-winner"]
    assert main(words) == 0
    files = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    assert files == sorted(name_files("lab-winner"))
    assert len(capsys.readouterr().out.splitlines()) == len(files)
    text = (folder / "__init__.py").read_text()
    assert "model_registry['lab-winner']" in text  # what Brain-Score looks for in the text
    load(folder, monkeypatch)
    model = brainscore["lab-winner"]()
    assert model.identifier == model.activations_model.identifier == "lab-winner"
    assert (
        model.region_layer_map
        == winner.best_layers
        == json.loads((folder / "region_layer_map" / "lab-winner.json").read_text())
    )
    assert set(model.region_layer_map.values()) <= set(model.layers)
    assert model.layers == list(network.observed_layers)
    assert main(words) == 1
    assert "--overwrite" in capsys.readouterr().err


def test_brain_score_sees_the_activations_that_the_search_compared(
    run, brainscore, tmp_path, monkeypatch
):
    out, _, network = run
    write_brainscore_plugin(out, tmp_path / "seen")
    load(tmp_path / "seen", monkeypatch)
    model = brainscore["seen"]().activations_model
    images = np.random.default_rng(0).integers(0, 256, (4, 21, 21, 3), dtype=np.uint8)
    settings = model.preprocessing([])
    assert settings.image_size == model.image_size == 21
    tensor = torch.as_tensor(images).permute(0, 3, 1, 2).float() / 255
    tensor = (tensor - settings.normalize_mean[0]) / settings.normalize_std[0]
    expected, hooks = {}, []
    for name in network.observed_layers:
        hooks.append(network.get_submodule(name).register_forward_hook(
            lambda _m, _x, result, name=name: expected.update({name: result.clone()})
        ))  # fmt: skip
    with torch.no_grad():
        network(sys.modules["seen.winner_network"].to_input(images))
    for hook in hooks:
        hook.remove()
    found = model.look(tensor, list(network.observed_layers))
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values.numpy(), atol=1e-5)


def test_the_winner_of_the_finalists_goes_before_that_of_the_search(run, tmp_path):
    out, _, _ = run
    with Journal.read(out) as journal:
        other = next(r for r in journal.results() if r.outcome == "done")
    longer = tmp_path / "longer"
    (longer / "finalists").mkdir(parents=True)
    (longer / "journal.db").write_bytes((out / "journal.db").read_bytes())
    architecture = Architecture.from_json(other.architecture)
    network = build_network(architecture, n_classes=3, seed=2)
    export_network(
        architecture.to_blueprint(3), network.state_dict(),
        longer / "finalists" / "winner_network.py", classes=["cat", "dog", "owl"], image_size=21,
    )  # fmt: skip
    record = {"winner": other.candidate, "finalists": [
        {"candidate": other.candidate, "architecture": other.architecture, "seed": other.seed,
         "performance": 0.5}
    ]}  # fmt: skip
    (longer / "finalists" / "finalists.json").write_text(json.dumps(record))
    write_brainscore_plugin(longer, tmp_path / "plugin")
    text = (tmp_path / "plugin" / "winner_network.py").read_text()
    assert '"owl"' in text
    saved = torch.load(tmp_path / "plugin" / "winner_network.pt", weights_only=True)
    for name, values in network.state_dict().items():
        assert torch.equal(saved[name], values)
    whole = json.dumps(record)
    for damaged in (
        {**record, "winner": 99},
        {"finalists": [{}], "winner": 0},
        {"finalists": {}, "winner": 0},
        {"winner": other.candidate},
    ):
        (longer / "finalists" / "finalists.json").write_text(json.dumps(damaged))
        with pytest.raises(ValueError, match=r"finalists\.json( is damaged| lacks)"):
            write_brainscore_plugin(longer, tmp_path / "other")
    record = json.loads(whole)
    record["finalists"][0]["seed"] += 1
    (longer / "finalists" / "finalists.json").write_text(json.dumps(record))
    with pytest.raises(JournalError, match="finalists of another search"):
        write_brainscore_plugin(longer, tmp_path / "other")


def test_weights_of_an_earlier_winner_are_not_those_of_the_present_one(run, tmp_path):
    out, winner, _ = run
    grown = tmp_path / "grown"
    with Journal.read(out) as journal:
        attempts = journal.attempts()
    found = [one for one in attempts if one.outcome == "done" and one.duplicate_of is None]
    other = next(one for one in found if one.candidate != winner.candidate)
    rewrite_run(  # a run that went on without its winner being saved
        out,
        grown,
        attempt=lambda one: (
            replace(one, reward=winner.reward + 1) if one.candidate == other.candidate else one
        ),
    )
    with Journal.open(grown) as journal:
        journal.export()
    (grown / "winner.pt").write_bytes((out / "winner.pt").read_bytes())
    assert json.loads((grown / "winner.json").read_text())["candidate"] == other.candidate
    with pytest.raises(JournalError, match=f"saved for candidate {winner.candidate}, but"):
        write_brainscore_plugin(grown, tmp_path / "x")
    with pytest.raises(ModelError, match=f"saved for candidate {winner.candidate}, but"):
        load_winner(grown / "winner.json")
    seeds = {**note_of(other), "seed": other.seed + 1}
    network = build_network(Architecture.from_json(other.architecture), n_classes=3, seed=1)
    save_noted_weights(network, grown / "winner.pt", seeds)
    with pytest.raises(JournalError, match="other seed"):
        write_brainscore_plugin(grown, tmp_path / "x")
    save_noted_weights(network, grown / "winner.pt", note_of(other))
    write_brainscore_plugin(grown, tmp_path / "x")
    load_winner(grown / "winner.json")


def test_damaged_files_of_finalists_are_named(run, tmp_path):
    out, winner, _ = run
    longer = tmp_path / "longer"
    shutil.copytree(out, longer)
    (longer / "finalists").mkdir()
    blueprint = Architecture.from_json(winner.architecture).to_blueprint(3)
    weights = torch.load(out / "winner.pt", weights_only=True)
    module = longer / "finalists" / "winner_network.py"
    export_network(blueprint, weights, module, classes=["ant", "bee", "owl"], image_size=8)
    record = {"winner": winner.candidate, "finalists": [
        {"candidate": winner.candidate, "architecture": winner.architecture, "seed": winner.seed,
         "performance": 0.5}
    ]}  # fmt: skip
    (longer / "finalists" / "finalists.json").write_text(json.dumps(record))
    module.write_bytes(b"\xff\x00 = (")
    with pytest.raises(ValueError, match=r"winner_network\.py is no Python file"):
        write_brainscore_plugin(longer, tmp_path / "x")


@pytest.mark.parametrize("content", [b"", b"\x1b[31m", b"<html>", b"PK\x03\x04", b"\x80\x02N."])
def test_damaged_weights_are_named(run, tmp_path, content):
    out, _, _ = run
    damaged = tmp_path / "damaged"
    shutil.copytree(out, damaged)
    (damaged / "winner.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"winner\.pt cannot be read as the weights of a network"):
        write_brainscore_plugin(damaged, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_what_cannot_be_exported_is_refused(run, tmp_path, caplog):
    out, winner, _ = run
    with pytest.raises(ValueError, match="identifier is 'a b'"):
        write_brainscore_plugin(out, tmp_path / "a b")
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "journal.db").write_bytes((out / "journal.db").read_bytes())
    with pytest.raises(FileNotFoundError, match="weights of the winner are saved at the end"):
        write_brainscore_plugin(bare, tmp_path / "x")
    network = build_network(Architecture.from_json(winner.architecture), n_classes=3, seed=1)
    assert not (tmp_path / "x").exists()
    torch.save(dict(network.state_dict()), bare / "winner.pt")  # as earlier versions did
    write_brainscore_plugin(bare, tmp_path / "x")
    assert "does not say of which candidate it is" in caplog.text
