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


def load_weights(path: str | Path) -> dict[str, torch.Tensor]:
    """Load the weights of a network that a search or finalists saved, onto the CPU.

    Parameters
    ----------
    path : path
        A state dict, as ``torch.save`` writes one. Nothing in it is run.

    Returns
    -------
    dict of str to Tensor

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is damaged, or no state dict.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        weights: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        if not all(isinstance(value, torch.Tensor) for value in weights.values()):
            raise TypeError("not all of its values are tensors")
    except (MemoryError, PermissionError):
        raise
    except Exception as cause:  # whatever a damaged or foreign file leads to
        raise ValueError(
            f"{path} cannot be read as the weights of a network ({type(cause).__name__}): it is "
            "damaged, or no search wrote it. Restore it from a copy, or move it away and start "
            "the command that wrote it again."
        ) from cause
    return weights
