"""The winner in the forms in which networks are exchanged: all of them give its outputs."""

from __future__ import annotations

import json
import sys

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from saved_winner import save_run

import brainguided.networks.onnx_files
import brainguided.search.network_files
from brainguided.__main__ import main
from brainguided.networks.onnx_files import export_onnx
from brainguided.search.network_files import FILES, ONNX, TOLERANCE, write_network_files


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return save_run(tmp_path_factory.mktemp("runs"))


def test_all_files_give_the_outputs_of_the_network_for_any_number_of_images(
    run, tmp_path, capsys, monkeypatch
):
    out, _, network = run
    folder = tmp_path / "net"
    assert main(["export", "network", str(out), "--out", str(folder)]) == 0
    said = capsys.readouterr().out
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert all(name in said for name in FILES)
    record = json.loads((folder / "agreement.json").read_text())
    assert set(record["largest_difference"]) == {*FILES[:1], *FILES[2:4]}
    assert all(0 <= value <= TOLERANCE for value in record["largest_difference"].values())
    images = torch.randn(5, 3, 21, 21, generator=torch.Generator().manual_seed(1))
    program = torch.export.load(folder / "winner_network.pt2").module()
    with torch.no_grad():
        torch.testing.assert_close(program(images), network(images), atol=1e-5, rtol=1e-5)
    weights, expected = load_file(folder / "winner_network.safetensors"), network.state_dict()
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    with safe_open(folder / "winner_network.safetensors", framework="pt") as file:
        assert f"Candidate {run[1].candidate}" in file.metadata()["about"]
    assert main(["export", "network", str(out), "--out", str(folder)]) == 1
    assert "--overwrite" in capsys.readouterr().err

    def spoil(weights, metadata=None):
        return save({n: w + 1 for n, w in weights.items()}, metadata)

    monkeypatch.setattr(brainguided.search.network_files, "save", spoil)
    assert main(["export", "network", str(out), "--out", str(tmp_path / "bad")]) == 1
    assert "winner_network.safetensors by" in capsys.readouterr().err
    assert not list((tmp_path / "bad").iterdir())
    assert main(["export", "network", str(out), "--out", str(folder), "--overwrite"]) == 1
    assert not list(folder.iterdir())  # nor what an earlier export said of them


def test_a_graph_of_an_earlier_winner_does_not_stay_beside_other_files(run, tmp_path):
    (tmp_path / ONNX).write_bytes(b"of another network")
    write_network_files(run[0], tmp_path)
    assert not (tmp_path / ONNX).exists()


def test_onnx_is_written_on_request_with_outputs_that_agree(run, tmp_path, capsys, monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    out, _, network = run
    folder = tmp_path / "net"
    assert main(["export", "network", str(out), "--onnx", "--out", str(folder)]) == 0
    assert ONNX in capsys.readouterr().out
    record = json.loads((folder / "agreement.json").read_text())
    assert 0 <= record["largest_difference"][ONNX] <= TOLERANCE
    session = onnxruntime.InferenceSession(str(folder / ONNX), providers=["CPUExecutionProvider"])
    for number in (1, 5):
        images = torch.randn(number, 3, 21, 21, generator=torch.Generator().manual_seed(1))
        (logits,) = session.run(["logits"], {"images": images.numpy()})
        with torch.no_grad():
            torch.testing.assert_close(torch.from_numpy(logits), network(images), atol=1e-5, rtol=0)
    monkeypatch.setattr(
        brainguided.search.network_files, "run_onnx", lambda path, images: network(images) + 1
    )
    assert main(["export", "network", str(out), "--onnx", "--out", str(tmp_path / "bad")]) == 1
    assert f"{ONNX} by" in capsys.readouterr().err
    assert not list((tmp_path / "bad").iterdir())


def test_what_onnx_lacks_is_said_before_anything_is_written(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    folder = tmp_path / "net"
    assert main(["export", "network", str(run[0]), "--onnx", "--out", str(folder)]) == 1
    said = capsys.readouterr().err
    assert "pip install 'brainguided[onnx]'" in said
    assert "Traceback" not in said
    assert not folder.exists()


def test_a_network_that_onnx_cannot_hold_is_named_with_the_cause(monkeypatch):
    def fail(*arguments, **settings):
        raise KeyError("no such operator: aten::odd")

    monkeypatch.setattr(torch.onnx, "export", fail)
    monkeypatch.setattr(brainguided.networks.onnx_files, "import_onnx", lambda: None)
    with pytest.raises(RuntimeError, match=r"cannot be written as ONNX \(KeyError: .*aten::odd"):
        export_onnx(torch.nn.Identity(), 21)


def test_a_file_of_weights_that_was_not_written_whole_is_refused(
    run, tmp_path, capsys, monkeypatch
):
    def cut(weights, metadata=None):
        return save(weights, metadata)[:-1]

    monkeypatch.setattr(brainguided.search.network_files, "save", cut)
    assert main(["export", "network", str(run[0]), "--out", str(tmp_path / "bad")]) == 1
    said = capsys.readouterr().err
    assert "winner_network.safetensors is no whole safetensors file" in said
    assert not list((tmp_path / "bad").iterdir())
