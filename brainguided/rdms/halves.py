"""Random halves of the units that were sampled, and scores of what was chosen on the other half."""

from __future__ import annotations

import numpy as np

from brainguided.rdms.units import Units


def draw_halves(units: Units, splits: int, seed: int) -> np.ndarray:
    """Return which conditions are in the first half of each split: bool (split, condition).

    Units are halved as wholes.
    """
    order = np.random.default_rng([seed, 3]).random((splits, units.number)).argsort(1)
    return (order < units.number // 2)[:, units.index]


def choose_halved(units: Units) -> Units:
    """Return the coarsest groups of which there are enough to be halved: units, or parts of them.

    Where there are too few units (four categories, say), the groups nested in them are halved
    (objects), and where these are too few as well, single conditions.
    """
    for level in (*units.levels, np.arange(len(units.index))):
        chosen = Units(units.name, (level,))
        if chosen.enough:
            break
    return chosen


def score_committed(halves: np.ndarray) -> np.ndarray:
    """Return the similarity of layers chosen on one half and scored on the other (column,).

    Parameters
    ----------
    halves : ndarray (half, split, layer, column)
        Similarities on both halves of each split; a layer without a similarity (NaN) in any half
        of a column is not chosen there.

    Returns
    -------
    ndarray (column,)
        Mean over splits and both directions; NaN where no layer can be chosen.
    """
    if 0 in halves.shape[:3]:
        return np.full(halves.shape[3], np.nan)
    alive = np.isfinite(halves).all((0, 1))
    known = np.where(alive, halves, -np.inf)
    chosen = known.argmax(2)[:, :, np.newaxis]
    scores = np.take_along_axis(known[::-1], chosen, axis=2)[:, :, 0].mean((0, 1))
    return np.where(alive.any(0), scores, np.nan)
