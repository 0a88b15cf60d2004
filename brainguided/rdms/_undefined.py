"""Conditions of which a measure is undefined: marked by NaN where others of the RDM are defined."""

from __future__ import annotations

from typing import Any

import numpy as np

from brainguided.rdms.distances import square_matrix, upper_triangle
from brainguided.rdms.measures import Measure, pattern_distances
from neural_data.errors import RecordingError


def distances_with_gaps(patterns: np.ndarray, kind: Measure) -> np.ndarray:
    """Return dissimilarities (pair,), NaN for the pairs of patterns that have none."""
    bad = np.zeros(len(patterns), bool) if kind.undefined is None else kind.undefined(patterns)[0]
    if not bad.any():
        return pattern_distances(patterns, kind.name)
    square = np.full((len(patterns),) * 2, np.nan)
    if (good := np.flatnonzero(~bad)).size > 1:
        square[np.ix_(good, good)] = square_matrix(pattern_distances(patterns[good], kind.name))
    return upper_triangle(square)


def mark_undefined(
    rows: list[np.ndarray], descriptors: dict[str, list[Any]], number: int, measure: str
) -> str:
    """Note how many conditions of each RDM have no dissimilarity, and say so for the history."""
    if not any(np.isnan(row).any() for row in rows):
        return ""
    if not any(np.isfinite(row).any() for row in rows):
        raise RecordingError(
            f"No {measure} RDM can be computed: in every time bin, all conditions but one or less "
            "have responses of which it is undefined. Choose a window with responses: "
            "average_window(recording, start, end)."
        )
    counts = []
    for row in rows:
        known = np.isfinite(square_matrix(row))
        np.fill_diagonal(known, False)
        counts.append(number - int(known.any(1).sum()))
    descriptors["undefined"] = counts
    return f"; NaN for {max(counts)} conditions or fewer in {sum(map(bool, counts))} RDMs"
