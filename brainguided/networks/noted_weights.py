"""Weights that say in the file itself whose they are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from neural_data.storage.aside import write_aside

_NOTE = "brainguided"  # among what state dicts hold beside their tensors


def save_noted_weights(
    network: nn.Module, path: str | os.PathLike[str], note: Mapping[str, str | int]
) -> Path:
    """Write the weights of a network and whose they are, in one file and one step.

    Parameters
    ----------
    network : torch.nn.Module
    path : path
        The file to write or to replace, a state dict: ``torch.load(path, weights_only=True)``.
    note : mapping of str to str or int
        For instance the candidate, its seed and its architecture.

    Returns
    -------
    pathlib.Path
        The file written.
    """
    weights: Any = network.state_dict()  # an OrderedDict with an attribute
    path = Path(path)
    weights._metadata[_NOTE] = dict(note)
    with write_aside(path) as aside:
        torch.save(weights, aside)
    return path


def read_note(weights: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Return what `save_noted_weights` noted with loaded weights; empty if nothing.

    Parameters
    ----------
    weights : mapping of str to Tensor
        As ``torch.load(path, weights_only=True)`` returns them.
    """
    note = getattr(weights, "_metadata", {}).get(_NOTE, {})
    return dict(note) if isinstance(note, Mapping) else {}
