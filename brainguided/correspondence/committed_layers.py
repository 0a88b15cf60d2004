"""Layers committed to an area: chosen on one half of the data, scored on the other.

The best of several layers is in part the luckiest one. Scored on the data that it was chosen by,
its similarity is too high; scored on other stimuli, it is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from brainguided.correspondence.bootstrap import weigh_similarity
from brainguided.networks.grams import GramMoments, raw_gram
from brainguided.rdms.comparisons import find_comparison
from brainguided.rdms.measures import gram_distances, pattern_distances


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


def draw_condition_halves(number: int, splits: int, seed: int) -> np.ndarray:
    """Return which conditions are in the first half of each split: bool (split, condition)."""
    order = np.random.default_rng([seed, 3]).random((splits, number)).argsort(1)
    return order < number // 2


def draw_stimulus_halves(index: np.ndarray, splits: int, seed: int) -> np.ndarray:
    """Return which stimuli are in the first half, of each condition: bool (split, stimulus)."""
    priority = np.random.default_rng([seed, 3]).random((splits, len(index)))
    first = np.zeros(priority.shape, dtype=bool)
    for condition in range(int(index.max()) + 1):
        members = np.flatnonzero(index == condition)
        rank = priority[:, members].argsort(1).argsort(1)
        first[:, members] = rank < len(members) // 2
    return first


def compare_condition_halves(
    layers: list[np.ndarray], area: np.ndarray, first: np.ndarray, *, method: str
) -> np.ndarray:
    """Return similarities (half, split, layer) over the pairs of conditions within each half."""
    if find_comparison(method).draws == "weights":
        weights = np.concatenate([first, ~first]).astype(float)
        found = weigh_similarity(layers, [area], weights, method=method)[:, :, 0]
        return found.reshape(2, len(first), len(layers))
    return np.array(
        [
            [_compare_part(layers, area, members, method) for members in half]
            for half in (first, ~first)
        ]
    )


def average_half(index: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Return weights (condition, stimulus) that average the members of each condition."""
    weights = np.zeros((int(index.max()) + 1, len(index)))
    weights[index, np.arange(len(index))] = members
    averaging: np.ndarray = weights / weights.sum(1, keepdims=True)
    return averaging


def half_distances(
    moments: GramMoments, weights: np.ndarray, measure: str, gram: np.ndarray | None = None
) -> np.ndarray:
    """Return dissimilarities (pair,) of condition means from the moments of single stimuli.

    Parameters
    ----------
    moments : GramMoments
        Of single stimuli.
    weights : ndarray (condition, stimulus)
        As from `average_half`.
    measure : str
    gram : ndarray (stimulus, stimulus), optional
        ``raw_gram(moments)``, where it was taken already.
    """
    products = weights @ (raw_gram(moments) if gram is None else gram) @ weights.T
    sums = weights @ (moments.sums + moments.n_units * moments.shift)
    return gram_distances(products, sums, moments.n_units, measure)


def area_half_distances(patterns: np.ndarray, weights: np.ndarray, measure: str) -> np.ndarray:
    """Return dissimilarities (pair,) of an area's condition means over a half of the stimuli."""
    return pattern_distances(weights @ patterns, measure)


def compare_vectors(layers: np.ndarray, area: np.ndarray, method: str) -> np.ndarray:
    """Return the similarity of each row of `layers` (layer, pair) to an area (pair,): (layer,).

    NaN for layers that are constant.
    """
    kind = find_comparison(method)
    alive = np.array([bool(np.isfinite(v.sum()) and np.ptp(v) > 0) for v in layers])
    found = np.full(len(layers), np.nan)
    if alive.any() and np.ptp(area) > 0:
        rows, others = layers if alive.all() else layers[alive], area[np.newaxis]
        if kind.ranks:
            rows, others = (np.stack([kind.prepare(v) for v in side]) for side in (rows, others))
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
    scores = np.take_along_axis(values[::-1], chosen[:, :, None], axis=2)
    votes = np.bincount(chosen.ravel(), minlength=len(numbers))
    # Of layers chosen equally often, the one that is more similar on the whole.
    best = max(range(len(numbers)), key=lambda k: (votes[k], values[:, :, k].mean()))
    return CommittedLayer(
        int(numbers[best]), float(votes[best] / votes.sum()), float(scores.mean())
    )


def _compare_part(
    layers: list[np.ndarray], area: np.ndarray, members: np.ndarray, method: str
) -> np.ndarray:
    n = len(members)
    rows, columns = np.triu_indices(n, 1)
    kept = members[rows] & members[columns]
    return compare_vectors(np.stack(layers)[:, kept], area[kept], method)
