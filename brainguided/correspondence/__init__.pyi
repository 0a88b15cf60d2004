from .bootstrap import bootstrap_similarity as bootstrap_similarity
from .ceilings import (
    RDMSettings as RDMSettings,
    compute_ceiling as compute_ceiling,
    compute_noise_ceiling as compute_noise_ceiling,
)
from .cka import (
    compute_cka as compute_cka,
    compute_layer_cka as compute_layer_cka,
)
from .compute import (
    Inference as Inference,
    compute_correspondence as compute_correspondence,
    correspondence_from_rdms as correspondence_from_rdms,
)
from .coupling import (
    couple_layers as couple_layers,
    permute_coupling as permute_coupling,
)
from .differences import (
    compare_layers as compare_layers,
    compare_networks as compare_networks,
)
from .dimensionality import (
    compute_area_dimensionality as compute_area_dimensionality,
    compute_dimensionality as compute_dimensionality,
)
from .fitted_layers import fit_layers as fit_layers
from .hierarchy import (
    compute_hierarchy as compute_hierarchy,
    permute_hierarchy as permute_hierarchy,
)
from .permutation import permute_similarity as permute_similarity
from .population_ceilings import (
    compute_animal_ceiling as compute_animal_ceiling,
    compute_site_ceiling as compute_site_ceiling,
)
from .predictivity import (
    compute_layer_predictivity as compute_layer_predictivity,
    compute_predictivity as compute_predictivity,
    draw_folds as draw_folds,
)
from .rdm_pairs import compare_rdm_pairs as compare_rdm_pairs
from .shape import (
    compute_procrustes as compute_procrustes,
    compute_soft_matching as compute_soft_matching,
    permute_responses as permute_responses,
)
from .time_courses import (
    compute_intervals_over_time as compute_intervals_over_time,
    compute_similarity_over_time as compute_similarity_over_time,
    compute_temporal_generalisation as compute_temporal_generalisation,
)
