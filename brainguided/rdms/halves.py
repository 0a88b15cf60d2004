"""Random halves of the units that were sampled, and scores of what was chosen on the other half."""

from __future__ import annotations

import numpy as np

from brainguided.rdms.comparisons import Comparison
from brainguided.rdms.ranks import rank_rows
from brainguided.rdms.units import Units
from neural_data.rounding import is_flat


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


def weigh_pairs(units: Units, members: np.ndarray) -> np.ndarray | None:
    """Return how much each pair of conditions counts within a part of the units.

    Half of the units have half of the pairs within units, but a quarter of those between them.
    Pairs between units therefore count more, so that both have the share that they have among all
    units; without this, what conditions of one unit have in common would make halves more similar
    than the whole.

    Parameters
    ----------
    units : Units
    members : ndarray of bool (condition,)
        Whole units.

    Returns
    -------
    ndarray (pair,) or None
        Of the pairs among members, with mean 1; None where all count alike, because each condition
        is a unit.
    """
    index = units.index[members]
    few = len(np.unique(index))
    if few == len(index):
        return None
    rows, columns = np.triu_indices(len(index), 1)
    weights = np.where(index[rows] == index[columns], 1.0, (units.number - 1) / max(few - 1, 1))
    return np.asarray(weights / weights.mean())


def compare_weighted(
    kind: Comparison, a: np.ndarray, b: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return the similarity of dissimilarities that count unequally.

    Parameters
    ----------
    kind : Comparison
        An inner product of vectors that are ranked or centred: Pearson's, Spearman's or a cosine.
    a, b : ndarray (rdm, pair) and (other_rdm, pair)
    weights : ndarray (pair,)

    Returns
    -------
    ndarray (rdm, other_rdm)
        NaN beside an RDM that is constant but for rounding.
    """
    sides = [np.stack([_scale(kind, row, weights) for row in rows]) for rows in (a, b)]
    return np.asarray(sides[0] @ sides[1].T)


def _scale(kind: Comparison, vector: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return a vector whose inner products with others are their weighted similarities."""
    if (is_flat(vector) and kind.centres) or not np.isfinite(vector).all():
        return np.full(len(vector), np.nan)
    scaled = np.asarray(vector, dtype=float)
    if kind.ranks:
        _, place = np.unique(rank_rows(vector[np.newaxis])[0], return_inverse=True)
        sums = np.bincount(place, weights)
        scaled = (sums.cumsum() - sums / 2)[place]
    if kind.centres:
        scaled = scaled - weights @ scaled / weights.sum()
    scaled = scaled * np.sqrt(weights)
    size = float(np.linalg.norm(scaled))
    return np.asarray(scaled / size) if size > 0 else np.full(len(vector), np.nan)


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
