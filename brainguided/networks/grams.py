"""Inner products of activation patterns, added up a few units at a time.

A layer may have millions of units; what its dissimilarities need is one inner product for each
pair of stimuli. Blocks of a few thousand units are multiplied in the precision of the activations,
and summed in float64. Each pattern is shifted towards its own mean first, and the mean pattern of
all stimuli is multiplied apart, so that little precision is lost where activations are large, or
hardly differ between stimuli.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from brainguided.rdms.measures import find_measure, gram_distances

CHUNK = 8192
"""Units whose inner products are taken at a time."""


@dataclass
class GramMoments:
    """Sums over the units of one layer, enough for every measure that layers are compared by.

    Attributes
    ----------
    gram : ndarray (stimulus, stimulus)
        Inner products of the shifted patterns, float64.
    sums : ndarray (stimulus,)
        Sums of the shifted patterns over units.
    shift : ndarray (stimulus,)
        What was subtracted from each pattern: the mean of its first units.
    n_units : int
        Units added so far.
    """

    gram: np.ndarray
    sums: np.ndarray
    shift: np.ndarray
    n_units: int = 0


def start_moments(n_stimuli: int) -> GramMoments:
    """Return the moments of no units at all."""
    return GramMoments(np.zeros((n_stimuli, n_stimuli)), np.zeros(n_stimuli), np.zeros(n_stimuli))


def add_patterns(moments: GramMoments, patterns: Any, *, chunk: int = CHUNK) -> None:
    """Add some units of a layer to its moments.

    Works on numpy arrays and torch tensors alike. Beside its input it holds one block of `chunk`
    units, and one matrix (stimulus, stimulus).

    Parameters
    ----------
    moments : GramMoments
        Changed in place.
    patterns : array or tensor (stimulus, unit)
        Activations, of any floating type of 32 bits or more.
    chunk : int, optional
        Units per block.
    """
    if hasattr(patterns, "detach") and patterns.device.type == "cpu":
        patterns = patterns.detach().numpy()  # its product with itself takes half the time
    if moments.n_units == 0:
        moments.shift = to_numpy(patterns[:, :chunk].mean(1))
    shift = _like(moments.shift, patterns)[:, None]
    cross = np.zeros(len(moments.sums))
    for start in range(0, patterns.shape[1], chunk):
        block = patterns[:, start : start + chunk] - shift
        common = block.mean(0)
        block -= common
        product = block @ block.T
        moments.gram += product if isinstance(product, np.ndarray) else to_numpy(product)
        cross += to_numpy(block @ common) + float(common @ common) / 2
        moments.sums += to_numpy(block.sum(1)) + float(common.sum())
        moments.n_units += block.shape[1]
    moments.gram += cross[:, None]
    moments.gram += cross[None, :]


def raw_gram(moments: GramMoments) -> np.ndarray:
    """Return the inner products of the patterns themselves: (stimulus, stimulus)."""
    cross = np.outer(moments.shift, moments.sums)
    gram = moments.gram + cross + cross.T
    whole: np.ndarray = gram + moments.n_units * np.outer(moments.shift, moments.shift)
    return whole


def distances_from_moments(moments: GramMoments, measure: str = "correlation") -> np.ndarray:
    """Return the dissimilarities of all pairs of stimuli: (pair,), float64.

    Parameters
    ----------
    moments : GramMoments
        Of all units of one layer.
    measure : {"correlation", "cosine", "squared euclidean", "euclidean"}
        As for ``rdm.compute_rdms``.
    """
    if find_measure(measure).centres:  # which any shift leaves alone
        return gram_distances(moments.gram.copy(), moments.sums, moments.n_units, measure)
    sums = moments.sums + moments.n_units * moments.shift
    return gram_distances(raw_gram(moments), sums, moments.n_units, measure)


def to_numpy(values: Any) -> np.ndarray:
    """Return an array or tensor as float64 in numpy."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()  # not all devices have float64
    return np.asarray(values, dtype=float)


def _like(values: np.ndarray, patterns: Any) -> Any:
    """Return numbers as an array or tensor of the type, and on the device, of `patterns`."""
    if hasattr(patterns, "detach"):
        return patterns.new_tensor(values)
    return values.astype(patterns.dtype)
