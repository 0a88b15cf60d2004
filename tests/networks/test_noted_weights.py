"""Weights that a search saved: what is wrong with a file, and what is not the file's fault."""

from __future__ import annotations

import pytest
import torch

from brainguided.networks.noted_weights import load_weights


def test_damaged_weights_are_named_and_a_lack_of_memory_is_not_their_damage(tmp_path, monkeypatch):
    path = tmp_path / "winner.pt"
    torch.save({"weight": torch.ones(2)}, path)
    assert load_weights(path)["weight"].tolist() == [1, 1]
    for error in (MemoryError("no room"), PermissionError("not yours")):

        def fail(*_, error=error, **__):
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(torch, "load", fail)
            with pytest.raises(type(error), match=str(error)):
                load_weights(path)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ValueError, match="it is damaged, or no search wrote it"):
        load_weights(path)
