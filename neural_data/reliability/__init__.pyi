from .estimates import (
    compute_rdm_reliability as compute_rdm_reliability,
    compute_site_reliability as compute_site_reliability,
    spearman_brown as spearman_brown,
)
from .intervals import (
    bootstrap_rdm_reliability as bootstrap_rdm_reliability,
    bootstrap_site_reliability as bootstrap_site_reliability,
)
from .reliable_sites import select_reliable_sites as select_reliable_sites
