from .rewards import (
    FunctionReward as FunctionReward,
    PaperReward as PaperReward,
    Reward as Reward,
    RobustReward as RobustReward,
    WeightedReward as WeightedReward,
    parse_reward as parse_reward,
)
from .similarity import (
    best_layers as best_layers,
    compute_guidance as compute_guidance,
    compute_similarity as compute_similarity,
)
from .target import Target as Target
from .teacher import Teacher as Teacher
