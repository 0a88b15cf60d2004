from .controls import (
    add_controls as add_controls,
    animal_control as animal_control,
    blocks_control as blocks_control,
    categories_control as categories_control,
    describe_controls as describe_controls,
    estimate_reliability as estimate_reliability,
    gabor_control as gabor_control,
    gaussian_control as gaussian_control,
    make_controls as make_controls,
    match_control as match_control,
    network_control as network_control,
    partial_control as partial_control,
    pixels_control as pixels_control,
    rdm_control as rdm_control,
    replace_areas as replace_areas,
    session_control as session_control,
    shuffled_control as shuffled_control,
    sites_control as sites_control,
    untrained_control as untrained_control,
)
from .evidence import (
    Comparison as Comparison,
    Evidence as Evidence,
    weigh_evidence as weigh_evidence,
)
from .heldout import HeldOut as HeldOut, hold_out as hold_out, score_heldout as score_heldout
from .rewards import (
    FunctionReward as FunctionReward,
    PaperReward as PaperReward,
    Reward as Reward,
    RobustReward as RobustReward,
    WeightedReward as WeightedReward,
    parse_reward as parse_reward,
)
from .scoring import (
    Copies as Copies,
    Scorer as Scorer,
    Scores as Scores,
    Shuffles as Shuffles,
)
from .similarity import (
    best_layers as best_layers,
    compute_guidance as compute_guidance,
    compute_similarity as compute_similarity,
)
from .target import Target as Target
from .teacher import Teacher as Teacher
