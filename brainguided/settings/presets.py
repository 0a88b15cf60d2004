"""The names of spaces and controllers as they stand in run files and on the command line.

They have a meaning there and nowhere else; a program takes the functions and classes themselves.
"""

from __future__ import annotations

from collections.abc import Callable

from brainguided.controllers import (
    PPO,
    Controller,
    ListSearch,
    LocalSearch,
    PredictorSearch,
    RandomSearch,
    RegularizedEvolution,
    Reinforce,
    motpe,
    nasnet_ppo,
    nsga2,
    tpe,
    zoph2017_reinforce,
)
from brainguided.spaces import (
    SearchSpace,
    enas_macro_space,
    enas_micro_space,
    kuhn2025_space,
    nasbench201_space,
    nasnet_space,
    pnas_space,
    recurrent_space,
    residual_space,
    small_space,
    zoph2017_space,
)

SPACES: dict[str, Callable[..., SearchSpace]] = {
    "small": small_space,
    "zoph2017": zoph2017_space,
    "pnas": pnas_space,
    "nasnet": nasnet_space,
    "enas-micro": enas_micro_space,
    "enas-macro": enas_macro_space,
    "nasbench201": nasbench201_space,
    "residual": residual_space,
    "recurrent": recurrent_space,
    "kuhn2025": kuhn2025_space,
}
# The first is that of run files which name none: see "Which controller" in docs/howto/searches.md
CONTROLLERS: dict[str, Callable[..., Controller]] = {
    "predictor": PredictorSearch,
    "reinforce": Reinforce,
    "random": RandomSearch,
    "zoph2017": zoph2017_reinforce,
    "ppo": PPO,
    "nasnet": nasnet_ppo,
    "tpe": tpe,
    "motpe": motpe,
    "nsga2": nsga2,
    "evolution": RegularizedEvolution,
    "local": LocalSearch,
    "list": ListSearch,
}
