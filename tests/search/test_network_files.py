"""The winner in the forms in which networks are exchanged: all of them give its outputs."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
import torch
from saved_winner import save_run

import brainguided.search.network_files
from brainguided.__main__ import main
from brainguided.networks.safetensors_files import load_safetensors, save_safetensors
from brainguided.search.network_files import FILES, TOLERANCE

STRANGE = [
    *("[]", '"a"', "3", "null", '{"a": 3}', '{"a": []}'),
    *(
        f'{{"a": {{"dtype": {kind}, "shape": {shape}, "data_offsets": {place}}}}}'
        for kind, shape, place in (
            *(('"F32"', shape, "[0, 8]") for shape in ("[Infinity]", "[NaN]", '["2"]', "[2.0]")),
            *(('"F32"', shape, "[0, 8]") for shape in ('"2"', "2", "null", "[[2]]", "[-1, -2]")),
            *(('"F32"', "[2]", place) for place in ("[0.0, 8.0]", '["0", "8"]', "[0]", "8")),
            *((kind, "[2]", "[0, 8]") for kind in ("[]", "{}", "null")),
            ('"U8"', "[true, 8]", "[0, 8]"),
        )
    ),
]
"""Headers of JSON that a stranger may write."""


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
    weights = load_safetensors(folder / "winner_network.safetensors")
    assert weights.keys() == network.state_dict().keys()
    assert main(["export", "network", str(out), "--out", str(folder)]) == 1
    assert "--overwrite" in capsys.readouterr().err

    def spoil(weights, path, about=None):
        return save_safetensors({n: w + 1 for n, w in weights.items()}, path)

    monkeypatch.setattr(brainguided.search.network_files, "save_safetensors", spoil)
    assert main(["export", "network", str(out), "--out", str(tmp_path / "bad")]) == 1
    assert "winner_network.safetensors by" in capsys.readouterr().err
    assert not list((tmp_path / "bad").iterdir())


def test_safetensors_are_laid_out_as_the_format_says(tmp_path):
    weights = {"b": torch.tensor([[1.5, -2.0]]), "a": torch.tensor(7), "c": torch.zeros(0, 3)}
    path = save_safetensors(weights, tmp_path / "w.safetensors", about={"made": "here"})
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    assert length % 8 == 0
    assert header["__metadata__"] == {"made": "here"}
    assert header["a"] == {"dtype": "I64", "shape": [], "data_offsets": [0, 8]}
    assert header["b"] == {"dtype": "F32", "shape": [1, 2], "data_offsets": [8, 16]}
    assert np.frombuffer(content[8 + length :], "<i8", 1).tolist() == [7]
    assert np.frombuffer(content[16 + length :], "<f4").tolist() == [1.5, -2.0]


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64, torch.bool])
def test_safetensors_come_back_exactly(tmp_path, kind):
    values = torch.arange(24).reshape(2, 3, 4).to(kind)
    weights = {"w": values, "t": values.transpose(0, 2), "z": torch.tensor(True)}
    back = load_safetensors(save_safetensors(weights, tmp_path / "w.safetensors"))
    assert all(torch.equal(back[name], weights[name]) for name in weights)


def test_damaged_safetensors_are_refused(tmp_path):
    path = save_safetensors({"a": torch.ones(4), "b": torch.ones(2)}, tmp_path / "w.safetensors")
    whole = path.read_bytes()
    header = whole.index(b"[0,16]")
    damaged = [whole[:-1], whole + b"x", whole[:20], b"", whole.replace(b"F32", b"F99")]
    damaged += [whole[:header] + b"[0,12]" + whole[header + 6 :], b"\xff" * 8 + whole[8:]]
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(ValueError, match="no whole safetensors file"):
            load_safetensors(path)
    for header in STRANGE:
        path.write_bytes(struct.pack("<Q", len(header)) + header.encode() + bytes(8))
        with pytest.raises(ValueError, match="no whole safetensors file"):
            load_safetensors(path)
    with pytest.raises(ValueError, match=r"c \(torch.complex64\)"):
        save_safetensors({"c": torch.ones(1, dtype=torch.complex64)}, path)
