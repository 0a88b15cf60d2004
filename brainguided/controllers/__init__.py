"""Search algorithms: each proposes architectures and learns from their rewards.

One file an algorithm. A controller is a final class with the methods of `Controller`; what it
proposes depends only on its settings, its seed and the rewards it was told, never on the global
random generators, the number of threads or the time. So a search can be resumed by replaying it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from brainguided.controllers.contract import Controller

if TYPE_CHECKING:
    from brainguided.controllers.random_search import RandomSearch as RandomSearch
    from brainguided.controllers.reinforce import Reinforce as Reinforce
    from brainguided.controllers.reinforce import zoph2017_reinforce as zoph2017_reinforce

_HOMES = {
    "RandomSearch": "random_search",
    "Reinforce": "reinforce",
    "zoph2017_reinforce": "reinforce",
}
__all__ = ["Controller", "RandomSearch", "Reinforce", "zoph2017_reinforce"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
