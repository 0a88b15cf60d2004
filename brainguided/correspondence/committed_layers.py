"""Layers committed to an area: chosen on one half of the units, scored on the other.

The best of several layers is in part the luckiest one. Scored on the data that it was chosen by,
its similarity is too high; scored on other units (objects, categories), it is not. Other images of
the same objects would not do: what is alike by chance in two objects is alike in both halves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from brainguided.correspondence.bootstrap import weigh_similarity
from brainguided.rdms.comparisons import Comparison, find_comparison
from brainguided.rdms.halves import compare_weighted, score_committed, weigh_pairs
from brainguided.rdms.units import Units
from neural_data.rounding import is_flat


@dataclass(frozen=True)
class CommittedLayer:
    """Layer chosen on one half of the data, with its similarity on the other half.

    Attributes
    ----------
    layer : int
        Number of the layer that was chosen most often.
    share : float
        In which part of all choices it was.
    similarity : float
        Mean over splits and swaps of the similarity of the layer chosen, on the other half.
    """

    layer: int
    share: float
    similarity: float


def compare_halves(
    layers: list[np.ndarray],
    area: np.ndarray,
    first: np.ndarray,
    *,
    method: str,
    units: Units | None = None,
) -> np.ndarray:
    """Return similarities (half, split, layer) over the pairs of conditions within each half.

    Pairs between units count as `weigh_pairs` says. Whitened comparisons, Kendall's tau and rho-a
    do without.

    Parameters
    ----------
    layers : list of ndarray (pair,)
    area : ndarray (pair,)
    first : ndarray of bool (split, condition)
        The first half of each split, as from `draw_halves`.
    method : str
        As for ``compare_rdms``.
    units : Units, optional
        By default single conditions.
    """
    kind = find_comparison(method)
    if kind.draws != "weights":
        within = units if kind.draws else None
        return np.array(
            [
                [_compare_part(layers, area, members, kind, within) for members in half]
                for half in (first, ~first)
            ]
        )
    members = np.concatenate([first, ~first]).astype(float)
    if units is not None:
        one = np.unique(units.index, return_index=True)[1]
        members = members[:, one]
        members *= (units.number - 1) / np.maximum(members.sum(1, keepdims=True) - 1, 1)
    found = weigh_similarity(layers, [area], members, method=method, units=units)[:, :, 0]
    return found.reshape(2, len(first), len(layers))


def compare_vectors(layers: np.ndarray, area: np.ndarray, method: str) -> np.ndarray:
    """Return the similarity of each row of `layers` (layer, pair) to an area (pair,): (layer,).

    NaN for layers that are constant but for rounding.
    """
    kind = find_comparison(method)
    alive = np.isfinite(layers).all(1) & ~is_flat(layers)
    found = np.full(len(layers), np.nan)
    if alive.any() and not is_flat(area):
        rows, others = layers if alive.all() else layers[alive], area[np.newaxis]
        if kind.ranks:
            rows, others = kind.prepare_rows(rows), kind.prepare_rows(others)
        found[alive] = kind.similarity(rows, others)[:, 0]
    return found


def commit_layer(halves: np.ndarray) -> CommittedLayer | None:
    """Choose the best layer on each half and score it on the other.

    Parameters
    ----------
    halves : ndarray (half, split, layer)
        Similarities on both halves of each split.

    Returns
    -------
    CommittedLayer or None
        None where no layer has a defined similarity.
    """
    alive = np.isfinite(halves).all((0, 1))
    if not alive.any() or not halves.shape[1]:
        return None
    numbers = np.flatnonzero(alive)
    values = halves[:, :, numbers]
    chosen = values.argmax(2)
    votes = np.bincount(chosen.ravel(), minlength=len(numbers))
    score = float(score_committed(values[..., np.newaxis])[0])
    # Of layers chosen equally often, the one that is more similar on the whole.
    best = max(range(len(numbers)), key=lambda k: (votes[k], values[:, :, k].mean()))
    return CommittedLayer(int(numbers[best]), float(votes[best] / votes.sum()), score)


def _compare_part(
    layers: list[np.ndarray],
    area: np.ndarray,
    members: np.ndarray,
    kind: Comparison,
    units: Units | None,
) -> np.ndarray:
    """Compare layers and an area over the pairs of `members`, weighted by units if there are."""
    rows, columns = np.triu_indices(len(members), 1)
    kept = members[rows] & members[columns]
    parts, other = np.stack(layers)[:, kept], area[kept]
    weights = None if units is None else weigh_pairs(units, members)
    if weights is None:
        return compare_vectors(parts, other, kind.name)
    return compare_weighted(kind, parts, other[np.newaxis], weights)[:, 0]
