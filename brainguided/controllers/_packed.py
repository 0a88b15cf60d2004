"""Arrays as plain data fit for JSON, every bit of them."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np


def pack(array: np.ndarray) -> dict[str, Any]:
    """Return an array as plain data fit for JSON, every bit of it."""
    text = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
    return {"dtype": array.dtype.str, "shape": list(array.shape), "base64": text}


def unpack(data: dict[str, Any]) -> np.ndarray:
    """Return the array that `pack` packed."""
    raw = base64.b64decode(data["base64"])
    return np.frombuffer(raw, dtype=data["dtype"]).reshape(data["shape"]).copy()
