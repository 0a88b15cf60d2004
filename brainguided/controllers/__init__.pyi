from .contract import Controller as Controller
from .evolution import RegularizedEvolution as RegularizedEvolution
from .limits import Limits as Limits
from .list_search import ListSearch as ListSearch
from .local_search import LocalSearch as LocalSearch
from .optuna_search import (
    OptunaSearch as OptunaSearch,
    motpe as motpe,
    nsga2 as nsga2,
    tpe as tpe,
)
from .policy_search import Learning as Learning
from .ppo import (
    PPO as PPO,
    nasnet_ppo as nasnet_ppo,
)
from .predictor import PredictorSearch as PredictorSearch
from .random_search import RandomSearch as RandomSearch
from .reinforce import (
    Reinforce as Reinforce,
    zoph2017_reinforce as zoph2017_reinforce,
)
from .screen import Screen as Screen
