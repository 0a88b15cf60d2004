"""Weights that a search keeps: to be looked at later, and for training to go on from."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from brainguided.candidates._batches import Start
from brainguided.candidates.weight_files import Arrays, pack_arrays, unpack_arrays
from brainguided.networks.build import BlueprintNetwork
from neural_data.storage.aside import write_whole

if TYPE_CHECKING:
    from brainguided.candidates.evaluation import Task

_MOMENTUM = "momentum of "  # before the name of a parameter
_LARGEST = 8 * 2**30  # bytes of a file


@dataclass(frozen=True)
class KeptWeights:
    """Weights of a candidate from which training can go on.

    Attributes
    ----------
    content : bytes
        Of the file.
    step : int
        Steps made.
    exact : bool
        Whether these are float32 and the momentum of the optimizer is with them, so that training
        goes on as if it had never ended; else they are float16 and the momentum begins with 0.
    """

    content: bytes
    step: int
    exact: bool


def keep_weights(
    network: BlueprintNetwork,
    folder: str | os.PathLike[str],
    name: str,
    *,
    note: Mapping[str, Any] | None = None,
) -> Path:
    """Write the weights of a network as float16, to be looked at later without training.

    In a search they are written where a candidate is trained: with workers on other machines the
    folder has to be one that all of them share.

    Parameters
    ----------
    network : BlueprintNetwork
    folder : path
        Made if it is missing.
    name : str
        Of the file, in a search "SEED_STEP": the seed of the candidate, and steps of training.
    note : mapping, optional
        Whose they are, from `describe_kept`: the comment of the archive.

    Returns
    -------
    Path
        ``NAME.npz``, an array for each entry of the state dict; running averages of batch
        normalisation stay float32, and so do weights beyond the range of float16, 65,504.
    """
    kept = _list_arrays(network)
    for key, _ in network.named_parameters():
        if not (np.abs(kept[key]) > np.finfo(np.float16).max).any():
            kept[key] = kept[key].astype(np.float16)
    return _write(kept, Path(folder) / f"{name}.npz", note)


def keep_state(
    network: BlueprintNetwork,
    optimizer: torch.optim.Optimizer,
    folder: str | os.PathLike[str],
    *,
    note: Mapping[str, Any],
) -> Path:
    """Write all that training needs to go on: weights as float32, and the momentum.

    The order of images and their augmentation follow from the seed and the number of steps.

    Parameters
    ----------
    network : BlueprintNetwork
    optimizer : torch.optim.Optimizer
        That trains it.
    folder : path
        Made if it is missing.
    note : mapping
        Whose they are, from `describe_kept`.

    Returns
    -------
    Path
        ``SEED_last.npz``, of the last rung so far: that of an earlier one is replaced.
    """
    kept = _list_arrays(network)
    for name, parameter in network.named_parameters():
        buffer = optimizer.state.get(parameter, {}).get("momentum_buffer")
        if buffer is not None:
            kept[_MOMENTUM + name] = buffer.detach().cpu().numpy()
    return _write(kept, Path(folder) / f"{note['seed']}_last.npz", {**note, "exact": True})


def _list_arrays(network: BlueprintNetwork) -> Arrays:
    return {key: value.cpu().numpy() for key, value in network.state_dict().items()}


def _write(arrays: Arrays, path: Path, note: Mapping[str, Any] | None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_whole(path, pack_arrays(arrays, note))


def describe_kept(key: str, seed: int, step: int, task: Task) -> dict[str, Any]:
    """Return what says whose weights are kept, ready for JSON.

    Parameters
    ----------
    key : str
        Of the architecture.
    seed : int
        Of the weights and the order of images.
    step : int
        Steps of training.
    task : Task
        Of its images and settings of training a digest is noted.
    """
    return {"architecture": key, "seed": seed, "step": step, "trained_by": task.trained_by}


def find_trained_by(described: Mapping[str, Any]) -> str:
    """Return a few letters that stand for all of a task on which its weights depend."""
    parts = [described["images"]["sha256"], described["training"], described["batch_norm"]]
    parts += [described["own"]] if "own" in described else []
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def read_kept(network: BlueprintNetwork, task: Task, note: Mapping[str, Any]) -> KeptWeights:
    """Read the weights of a candidate that a search kept, and check them.

    Parameters
    ----------
    network : BlueprintNetwork
        Of its architecture, with any weights.
    task : Task
        With the folder.
    note : mapping
        Whose they have to be, from `describe_kept`.

    Returns
    -------
    KeptWeights
        Exact ones where the folder has a file of them.

    Raises
    ------
    FileNotFoundError
        There are none.
    ValueError
        They are damaged, or of another network, seed, step or task.
    """
    assert task.weights is not None
    folder, seed, step = Path(task.weights), note["seed"], note["step"]
    path, other = folder / f"{seed}_last.npz", folder / f"{seed}_{step}.npz"
    path = path if path.is_file() else other
    if not path.is_file():
        raise FileNotFoundError(
            f"{other} does not exist. Weights are kept by the machine that trained: copy them "
            f"from there into {folder}."
        )
    if path.stat().st_size > _LARGEST:
        raise ValueError(f"{path} is larger than {_LARGEST:,} bytes.")
    content = path.read_bytes()
    try:
        arrays, found = unpack_arrays(content)
    except ValueError as error:
        remedy = "Copy it anew from where it was written"
        if path != other and other.is_file():
            remedy += f", or remove it to go on from {other.name}, which is half precision"
        raise ValueError(f"{path} is damaged: {error}. {remedy}.") from error
    if not found:
        raise ValueError(f"{path} was kept by an earlier version and does not say whose it is.")
    odd = [f"{k} {found.get(k)} in place of {note[k]}" for k in note if found.get(k) != note[k]]
    if odd:
        raise ValueError(f"{path} holds the weights of another training: {'; '.join(odd)}.")
    _check_arrays(arrays, network, path)
    return KeptWeights(content, step, found.get("exact") is True)


def _check_arrays(arrays: Arrays, network: BlueprintNetwork, path: Path) -> None:
    own = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    shapes = own | {_MOMENTUM + name: own[name] for name, _ in network.named_parameters()}
    odd = [key for key in own if key not in arrays]
    odd += [key for key, value in arrays.items() if shapes.get(key) != value.shape]
    if odd:
        raise ValueError(f"{path} holds the weights of another network: {odd[:3]} do not fit.")
    if bad := [key for key, value in arrays.items() if not np.isfinite(value).all()]:
        raise ValueError(f"{path} holds NaN or infinite weights: {bad[:3]}.")


def load_start(content: bytes, network: BlueprintNetwork, n_images: int) -> Start:
    """Give a network the weights from which its training goes on.

    Parameters
    ----------
    content : bytes
        Of a file that `read_kept` has checked.
    network : BlueprintNetwork
        Changed in place.
    n_images : int
        Number of images on which it was trained.

    Returns
    -------
    Start
        For `train_network`.
    """
    arrays, note = unpack_arrays(content)
    tensors = {key: torch.from_numpy(np.array(value)) for key, value in arrays.items()}
    own = network.state_dict()
    network.load_state_dict({key: tensors[key].to(own[key].dtype) for key in own})
    momentum = {
        key.removeprefix(_MOMENTUM): value
        for key, value in tensors.items()
        if key.startswith(_MOMENTUM)
    }
    return Start(int(note["step"]), momentum, n_images)
