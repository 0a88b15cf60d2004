"""Correction of p-values for the number of tests."""

from __future__ import annotations

import numpy as np


def correct_holm(p_values: np.ndarray) -> np.ndarray:
    """Return p-values corrected for their number by the step-down method of Holm [1]_.

    Parameters
    ----------
    p_values : ndarray
        Of any shape; NaN where there is no test, which does not count.

    Returns
    -------
    ndarray
        Of the same shape, at most 1; NaN stay.

    References
    ----------
    .. [1] Holm (1979), Scandinavian Journal of Statistics 6, 65-70.
    """
    flat = np.asarray(p_values, dtype=float).ravel()
    corrected = np.full(flat.size, np.nan)
    known = np.flatnonzero(np.isfinite(flat))
    order = known[np.argsort(flat[known], kind="stable")]
    if order.size:
        steps = flat[order] * np.arange(order.size, 0, -1)
        corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected.reshape(np.shape(p_values))
