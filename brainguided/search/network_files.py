"""The winner of a run as files that others load: Python and weights, safetensors, a program."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from brainguided.networks.build import BlueprintNetwork
from brainguided.networks.export import export_network
from brainguided.networks.onnx_files import export_onnx, run_onnx
from brainguided.search.saved_winner import WinnerNetwork, load_winner_network
from neural_data.storage.aside import write_whole

FILES = (
    "winner_network.py",
    "winner_network.pt",
    "winner_network.safetensors",
    "winner_network.pt2",
    "agreement.json",
)
"""Names of the files that are written."""

ONNX = "winner_network.onnx"
"""Name of the file that is written if asked for."""

TOLERANCE = 1e-5
"""Largest difference of outputs, as a part of the largest output or of 1."""

_IMAGES = 4


def write_network_files(
    run: str | os.PathLike[str], folder: str | os.PathLike[str], *, onnx: bool = False
) -> dict[str, float]:
    """Write the winner of a run in the forms in which networks are exchanged, and check them.

    The winner of the finalists where there are some, else that of the search.

    Parameters
    ----------
    run : path
        A run folder; it is only read.
    folder : path
        Made if it is missing. Written are ``winner_network.py`` with its weights ``.pt`` (needs
        torch alone), the same weights as ``.safetensors``, ``.pt2``, a program of `torch.export`
        that needs no code (`torch.export.load`; any number of images), and ``agreement.json``.
    onnx : bool, optional
        Write ``winner_network.onnx``, too; needs the extra ``onnx``. Its outputs are those of
        onnxruntime. If it is not asked for, one of an earlier export is removed: it may hold
        another network.

    Returns
    -------
    dict of str to float
        For each file the largest difference of its outputs to those of the network itself, on
        random images of 0 to 255, as a part of the largest output or of 1; agreement.json holds
        the same with the number of images, their size and the tolerance.

    Raises
    ------
    FileNotFoundError
        The folder has no journal, or no weights of a winner.
    JournalError
        No candidate succeeded.
    ImportError
        ONNX is asked for and the extra is not installed.
    RuntimeError
        The network cannot be written as ONNX; or
        A file gives other outputs (by more than 1e-5), or the weights cannot be read back; the
        files are removed.
    """
    folder = Path(folder)
    winner = load_winner_network(Path(run))
    network = BlueprintNetwork(winner.blueprint)
    network.load_state_dict(winner.weights)
    network.eval()
    graph = export_onnx(network, winner.image_size) if onnx else None
    folder.mkdir(parents=True, exist_ok=True)
    script, weights, tensors, program, agreement = (folder / name for name in FILES)
    export_network(
        winner.blueprint,
        winner.weights,
        script,
        classes=winner.classes,
        image_size=winner.image_size,
        about=winner.about,
    )
    state = {name: one.contiguous() for name, one in network.state_dict().items()}
    write_whole(tensors, save(state, metadata={"about": winner.about}))
    _write_program(network, program, winner.image_size)
    compared = [script, tensors, program]
    if graph is not None:
        compared.append(write_whole(folder / ONNX, graph))
    else:
        (folder / ONNX).unlink(missing_ok=True)
    try:
        found = _compare(network, winner, compared)
    except RuntimeError:
        for path in (weights, agreement, *compared):
            path.unlink(missing_ok=True)
        raise
    record = {
        "candidate": winner.candidate,
        "images": _IMAGES,
        "image_size": winner.image_size,
        "tolerance": TOLERANCE,
        "largest_difference": found,
    }
    write_whole(agreement, json.dumps(record, indent=1) + "\n")
    return found


def _write_program(network: nn.Module, path: Path, size: int) -> None:
    images = torch.export.Dim("images", min=1)
    program = torch.export.export(
        network, (torch.zeros(2, 3, size, size),), dynamic_shapes=({0: images},)
    )
    content = io.BytesIO()
    torch.export.save(program, content)
    write_whole(path, content.getvalue())


def _compare(network: nn.Module, winner: WinnerNetwork, paths: Sequence[Path]) -> dict[str, float]:
    """Return by how much the outputs of what was written differ, or refuse what differs."""
    script, tensors, program = paths[:3]
    size = winner.image_size
    pixels = torch.randint(
        0, 256, (_IMAGES, size, size, 3), generator=torch.Generator().manual_seed(0)
    )
    module = _import(script)
    inputs = module.to_input(pixels.to(torch.uint8))
    again = BlueprintNetwork(winner.blueprint)
    again.load_state_dict(_read_weights(tensors))
    made: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        script.name: module.load(),
        tensors.name: again.eval(),
        program.name: torch.export.load(program).module(),
    }
    for path in paths[3:]:
        made[path.name] = partial(run_onnx, path)
    with torch.no_grad():
        expected = network(inputs)
        scale = max(float(expected.abs().max()), 1.0)
        found = {
            name: float((one(inputs) - expected).abs().max()) / scale for name, one in made.items()
        }
    wrong = [f"{name} by {value:.2g}" for name, value in found.items() if not value <= TOLERANCE]
    if wrong:
        raise RuntimeError(
            f"Outputs differ from those of the network: {', '.join(wrong)}; expected at most "
            f"{TOLERANCE:g}. The files were removed."
        )
    return found


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except SafetensorError as cause:
        raise RuntimeError(
            f"{path} is no whole safetensors file ({cause}). The files were removed: see whether "
            "the disk is full, and export again."
        ) from cause


def _import(path: Path) -> Any:
    """Import the file that was just written, under a name of its own."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module
