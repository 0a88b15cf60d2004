"""A call that runs in a process of Ray: how it is packed, and what it does there."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass
from inspect import isbuiltin, isfunction
from typing import Any

_SMALL = (str, int, float, bytes, type(None))
_FEW = 100  # parts of a small tuple
_kept: dict[str, Any] = {}  # in a process of Ray: what was shared with it


@dataclass(frozen=True)
class Shared:
    """Stand-in for an object that is sent to each Ray process once."""

    name: str
    reference: Any  # of Ray


class Absent:
    """Returned by a process that lacks the shared object: send it and call again."""


def pack_call(
    ray: Any, function: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> tuple[bytes, list[Any], list[Any]]:
    """Return the small parts of a call as one piece, its large arguments and its shared ones.

    Each that travels by itself costs as much as a task.
    """
    shared = {k: value for k, value in enumerate(arguments) if isinstance(value, Shared)}
    large = {k: v for k, v in enumerate(arguments) if k not in shared and not _is_small(v)}
    small = [None if k in large or k in shared else v for k, v in enumerate(arguments)]
    names = {k: value.name for k, value in shared.items()}
    piece: bytes = ray.cloudpickle.dumps((function, small, keywords, list(large), names))
    return piece, list(large.values()), [value.reference for value in shared.values()]


def _is_small(value: Any) -> bool:
    if isinstance(value, tuple):  # bars of early stopping
        return len(value) <= _FEW and all(map(_is_small, value))
    return isinstance(value, _SMALL) or isfunction(value) or isbuiltin(value)


def name_note(token: str) -> bytes:
    """Return the key under which a call notes that it has begun."""
    return f"brainguided-began-{token}".encode()


def run_call(token: str, memory: int | None, piece: bytes, *others: Any) -> Any:
    """Put the arguments together and call the function, or return `Absent`.

    Parameters
    ----------
    token : str
        Under which to note that the call has begun; "" for none.
    memory : int or None
        Bytes of data that the process may hold (Linux).
    piece : bytes
        From `pack_call`, made by the driver of this cluster.
    *others
        The arguments to be sent with it, then those that were shared, unless the process should
        have these from an earlier call.
    """
    if memory is not None and sys.platform.startswith("linux"):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (memory, hard))
    function, arguments, keywords, large, names = pickle.loads(piece)
    _kept.update(zip(names.values(), others[len(large) :], strict=False))
    if not _kept.keys() >= set(names.values()):
        return Absent()
    for place, value in zip(large, others, strict=False):
        arguments[place] = value
    for place, name in names.items():
        arguments[place] = _kept[name]
    if not token:
        return function(*arguments, **keywords)
    import ray

    notes = ray.experimental.internal_kv
    notes._internal_kv_put(name_note(token), b"")
    try:
        return function(*arguments, **keywords)
    finally:
        notes._internal_kv_del(name_note(token))
