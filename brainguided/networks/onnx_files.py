"""A network as an ONNX file, which other frameworks and machines run."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

_NEEDED = ("onnxscript", "onnxruntime")


def import_onnx() -> Any:
    """Return `onnxruntime`, which runs ONNX files, where all that ONNX needs is installed.

    Raises
    ------
    ImportError
        Something is not installed.
    """
    try:
        return [importlib.import_module(name) for name in _NEEDED][-1]
    except ImportError as error:
        raise ImportError(
            f"ONNX files are written by onnxscript and checked with onnxruntime ({error}): "
            "pip install 'brainguided[onnx]'."
        ) from error


def export_onnx(network: nn.Module, image_size: int) -> bytes:
    """Return a network as the content of an ONNX file, for any number of images.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode.
    image_size : int
        Height and width of its images, pixels.

    Returns
    -------
    bytes
        Of a graph with the input ``images`` (image, channel, y, x), float32, and the output
        ``logits`` (image, class).

    Raises
    ------
    ImportError
        The extra ``onnx`` is not installed.
    RuntimeError
        The network has operations that ONNX has not.
    """
    import_onnx()
    shown = (torch.zeros(2, 3, image_size, image_size),)
    try:
        with _quiet():
            program = torch.onnx.export(
                network,
                shown,
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("images", min=1)},),
                input_names=["images"],
                output_names=["logits"],
                verbose=False,
            )
            assert program is not None  # only of the exporter before this one
            content: bytes = program.model_proto.SerializeToString()
    except Exception as error:  # the exporter's own errors are many and not public
        cause = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
        raise RuntimeError(
            f"The network cannot be written as ONNX ({type(error).__name__}: {cause}). Nothing was "
            "written; without ONNX the other files are."
        ) from error
    return content


def run_onnx(path: Path, images: Tensor) -> Tensor:
    """Return what an ONNX file with one input and one output makes of images."""
    session = import_onnx().InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (name,) = (one.name for one in session.get_inputs())
    (outputs,) = session.run(None, {name: images.numpy()})
    return torch.from_numpy(outputs)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep to itself what the exporter says of packages that are not needed, and of its future."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
