from .similarity import (
    best_layers as best_layers,
    compute_guidance as compute_guidance,
    compute_similarity as compute_similarity,
)
from .teacher import (
    Target as Target,
    Teacher as Teacher,
)
