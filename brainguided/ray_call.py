"""A call that runs in a process of Ray: how it is packed, and what it does there."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from inspect import isbuiltin, isfunction
from typing import Any

_SMALL = (str, int, float, bytes, type(None))


def pack_call(
    ray: Any, function: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> tuple[bytes, list[Any]]:
    """Return all that is small of a call as one piece, and the arguments that are not.

    Each piece that travels by itself costs as much as a task.
    """
    large = [k for k, value in enumerate(arguments) if not _is_small(value)]
    small = [None if k in large else value for k, value in enumerate(arguments)]
    piece: bytes = ray.cloudpickle.dumps((function, small, keywords, large))
    return piece, [arguments[k] for k in large]


def _is_small(value: Any) -> bool:
    return isinstance(value, _SMALL) or isfunction(value) or isbuiltin(value)


def name_note(token: str) -> bytes:
    """Return the key under which a call notes that it has begun."""
    return f"brainguided-began-{token}".encode()


def run_call(token: str, memory: int | None, piece: bytes, *large: Any) -> Any:
    """Put the arguments together and call the function.

    Parameters
    ----------
    token : str
        Under which to note that the call has begun; "" for none.
    memory : int or None
        Bytes of data that the process may hold (Linux).
    piece : bytes
        From `pack_call`, made by the driver of this cluster.
    *large
        The other arguments.
    """
    if memory is not None and sys.platform.startswith("linux"):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (memory, hard))
    function, arguments, keywords, places = pickle.loads(piece)
    for place, value in zip(places, large, strict=True):
        arguments[place] = value
    if not token:
        return function(*arguments, **keywords)
    import ray

    notes = ray.experimental.internal_kv
    notes._internal_kv_put(name_note(token), b"")
    try:
        return function(*arguments, **keywords)
    finally:
        notes._internal_kv_del(name_note(token))
