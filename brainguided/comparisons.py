"""Compare representational dissimilarity matrices; labels are checked first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from brainguided.alignment import check_alignment, condition_labels
from brainguided.distances import standardise

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs


def compare_rdms(a: RDMs, b: RDMs) -> np.ndarray:
    """Return the Pearson correlation between the dissimilarities of every RDM of `a` and of `b`.

    The similarity of two representations [1]_: Pearson r between the upper triangles. Both sides
    must have the same condition labels in the same order.

    Parameters
    ----------
    a, b : rsatoolbox.rdm.RDMs
        RDMs over the same conditions.

    Returns
    -------
    ndarray (len(a), len(b))
        Pearson r in [-1, 1].

    Raises
    ------
    AlignmentError
        If the condition labels are absent, repeat, or differ in number, name or order.
    ValueError
        If an RDM holds NaN or is constant, so that its correlation is undefined.

    References
    ----------
    .. [1] Bashivan, Tensen & DiCarlo (2019), ICCV, section 3.1.
    """
    check_alignment(
        condition_labels(a, name="The first RDMs"),
        condition_labels(b, name="The second RDMs"),
        names=("The first RDM", "the second"),
    )
    sides = []
    for rdms, which in ((a, "first"), (b, "second")):
        vectors = np.array(rdms.dissimilarities, dtype=float)
        missing = np.flatnonzero(~np.isfinite(vectors).all(1))
        flat = np.flatnonzero(np.ptp(vectors, axis=1) == 0)
        problems = [f"numbers {missing.tolist()} hold NaN"] if missing.size else []
        problems += [f"numbers {flat.tolist()} are constant"] if flat.size else []
        if problems:
            raise ValueError(
                f"The {which} RDMs cannot be compared: {' and '.join(problems)}. Leave out stimuli "
                "or layers without responses first."
            )
        sides.append(standardise(vectors))
    return sides[0] @ sides[1].T
