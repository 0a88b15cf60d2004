from .compare import (
    align_rdms as align_rdms,
    compare_rdms as compare_rdms,
    prepare_rdms as prepare_rdms,
)
from .compute import (
    compute_rdms as compute_rdms,
    dissimilarities_from_rdms as dissimilarities_from_rdms,
    rdms_from_dissimilarities as rdms_from_dissimilarities,
)
from .noise import compute_noise_precision as compute_noise_precision
from .partial import (
    compare_partial as compare_partial,
    partition_variance as partition_variance,
    permute_partial as permute_partial,
)
