"""RDMs whose conditions stand in another order."""

from __future__ import annotations

import numpy as np
from rsatoolbox.rdm import RDMs


def reorder(rdms: RDMs, order: np.ndarray) -> RDMs:
    """Return the same RDMs with their conditions, and what is known of them, in another order."""
    matrices = rdms.get_matrices()[:, order][:, :, order]
    place = np.triu_indices(len(order), 1)
    known = {k: [v[i] for i in order] for k, v in rdms.pattern_descriptors.items() if k != "index"}
    return RDMs(
        matrices[:, place[0], place[1]],
        dissimilarity_measure=rdms.dissimilarity_measure,
        descriptors=dict(rdms.descriptors),
        rdm_descriptors={k: list(v) for k, v in rdms.rdm_descriptors.items() if k != "index"},
        pattern_descriptors=known,
    )
