"""What is rounding: the one tolerance by which numbers are told from none, in any unit."""

from __future__ import annotations

import numpy as np

TOLERANCE = 1e-12
"""Part of the numbers it was computed from below which a difference of them is rounding.

Relative, so that no result depends on the unit of the data. Ten thousand times the spacing of
double precision: sums over ten thousand sites or stimuli stay below it.
"""
SINGLE = 1e-6
"""The same part for numbers of files, which others may have computed in single precision."""


def centre(values: np.ndarray, *, axis: int = -1) -> np.ndarray:
    """Return values less their mean along an axis; exactly 0 where they differ by rounding alone.

    Parameters
    ----------
    values : ndarray
    axis : int, optional

    Returns
    -------
    ndarray
        Float64.
    """
    values = np.asarray(values, dtype=float)
    centred: np.ndarray = values - values.mean(axis=axis, keepdims=True)
    flat = is_flat(values, axis=axis)
    if flat.any():
        centred[np.broadcast_to(np.expand_dims(flat, axis), centred.shape)] = 0.0
    return centred


def is_flat(values: np.ndarray, *, axis: int = -1) -> np.ndarray:
    """Return where values differ along an axis by rounding alone; False where one is NaN."""
    low, high = values.min(axis=axis), values.max(axis=axis)
    flat: np.ndarray = np.asarray(
        high - low <= TOLERANCE * np.maximum(np.abs(low), np.abs(high)), dtype=bool
    )
    return flat
