"""Weights as safetensors: a header of JSON and the bytes of each tensor, nothing that could run."""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Mapping
from pathlib import Path

import torch

from neural_data.storage.aside import write_aside

KINDS = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
"""Types of numbers by their names in a file."""

_NAMES = {kind: name for name, kind in KINDS.items()}
_LONGEST = 100 * 2**20  # bytes of a header, as the format allows


def save_safetensors(
    weights: Mapping[str, torch.Tensor],
    path: str | os.PathLike[str],
    *,
    about: Mapping[str, str] | None = None,
) -> Path:
    """Write tensors as a safetensors file [1]_; it is complete or not there.

    Parameters
    ----------
    weights : mapping of str to Tensor
        For instance a state dict.
    path : path
        The file to write or, in one step, to replace.
    about : mapping of str to str, optional
        Metadata of the file.

    Returns
    -------
    pathlib.Path
        The file written.

    Raises
    ------
    ValueError
        A tensor holds numbers of a type that the format does not have, e.g. complex ones.

    References
    ----------
    .. [1] https://huggingface.co/docs/safetensors, section "Format".
    """
    unknown = [f"{n} ({t.dtype})" for n, t in weights.items() if t.dtype not in _NAMES]
    if unknown:
        raise ValueError(
            f"No type of safetensors holds {', '.join(unknown)}; expected {', '.join(KINDS)}."
        )
    header: dict[str, object] = {"__metadata__": dict(about)} if about else {}
    place, tensors = 0, []
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        end = place + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [place, end],
        }
        tensors.append(tensor)
        place = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path = Path(path)
    with write_aside(path) as aside, aside.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors:
            file.write(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return path


def load_safetensors(path: str | os.PathLike[str]) -> dict[str, torch.Tensor]:
    """Return the tensors of a safetensors file, on the CPU.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    dict of str to Tensor
        By name, in the order in which they lie in the file.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is damaged, or no such file.
    """
    content = Path(path).read_bytes()
    try:
        return _read(content)
    except (ValueError, KeyError, TypeError, struct.error, RecursionError) as cause:
        raise ValueError(
            f"{path} is no whole safetensors file ({cause}). Copy or write it again."
        ) from cause


def _read(content: bytes) -> dict[str, torch.Tensor]:
    (length,) = struct.unpack("<Q", content[:8])
    if length > min(_LONGEST, len(content) - 8):
        raise ValueError(f"its header would have {length} bytes")
    header = json.loads(content[8 : 8 + length])
    if not isinstance(header, dict):
        raise ValueError("its header is no object of JSON")
    data = content[8 + length :]
    found, ends = {}, 0
    for name, one in sorted(
        ((n, o) for n, o in header.items() if n != "__metadata__"),
        key=lambda item: item[1]["data_offsets"],
    ):
        kind, shape = KINDS[one["dtype"]], one["shape"]
        start, end = one["data_offsets"]
        if not isinstance(shape, list) or any(type(n) is not int for n in (*shape, start, end)):
            raise ValueError(f"{name} has a size or place that is no whole number")
        size = math.prod(shape) * torch.empty((), dtype=kind).element_size()
        if start != ends or end - start != size or min(shape, default=0) < 0 or end > len(data):
            raise ValueError(f"{name} does not lie where its header says")
        part = torch.frombuffer(bytearray(data[start:end]), dtype=torch.uint8) if size else None
        found[name] = (
            torch.empty(shape, dtype=kind) if part is None else part.view(kind).view(shape)
        )
        ends = end
    if ends != len(data):
        raise ValueError(f"{len(data) - ends} bytes belong to no tensor")
    return found
