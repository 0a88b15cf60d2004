"""Search algorithms: each proposes architectures and learns from their rewards.

One file an algorithm. What a controller proposes depends only on its settings, its seed and the
rewards it was told, never on the global random generators, the number of threads or the time. So
a search can be resumed by replaying it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from brainguided.controllers.contract import Controller
from brainguided.controllers.limits import Limits

if TYPE_CHECKING:
    from brainguided.controllers.evolution import RegularizedEvolution as RegularizedEvolution
    from brainguided.controllers.local_search import LocalSearch as LocalSearch
    from brainguided.controllers.optuna_search import OptunaSearch as OptunaSearch
    from brainguided.controllers.optuna_search import tpe as tpe
    from brainguided.controllers.ppo import PPO as PPO
    from brainguided.controllers.ppo import nasnet_ppo as nasnet_ppo
    from brainguided.controllers.random_search import RandomSearch as RandomSearch
    from brainguided.controllers.reinforce import Reinforce as Reinforce
    from brainguided.controllers.reinforce import zoph2017_reinforce as zoph2017_reinforce

_HOMES = {
    "LocalSearch": "local_search",
    "OptunaSearch": "optuna_search",
    "PPO": "ppo",
    "RandomSearch": "random_search",
    "RegularizedEvolution": "evolution",
    "Reinforce": "reinforce",
    "nasnet_ppo": "ppo",
    "tpe": "optuna_search",
    "zoph2017_reinforce": "reinforce",
}
__all__ = ["Controller", "Limits", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
