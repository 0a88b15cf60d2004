"""The dissimilarities of response patterns, one row each.

To add one, write its function and its row in `MEASURES`, its line in the table of `compute_rdms`,
and its oracle in the tests. All that depends on the measure is asked of its row.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from brainguided.rdms.crossnobis import crossnobis_of_recording, mahalanobis_of_recording
from brainguided.rdms.distances import (
    angles,
    angles_from_gram,
    euclidean_from_gram,
    poisson_divergences,
    squared_distances,
    squared_from_gram,
)
from neural_data.rounding import is_flat

Undefined = Callable[[np.ndarray], tuple[np.ndarray, str]]
"""Of patterns (condition, unit): for which the measure has no value (condition,), and why."""


@dataclass(frozen=True, eq=False)
class Measure:
    """A dissimilarity of response patterns.

    Attributes
    ----------
    name : str
        As in ``compute_rdms(measure=...)``.
    source : str
        Where it is defined.
    distances : callable or None
        Of mean patterns (condition, unit) to dissimilarities (pair,); None where single
        repetitions are needed, or the noise between them.
    of_recording : callable or None
        Of single repetitions and the conditions' mean patterns; None where means are enough.
    from_gram : callable or None
        Of inner products (condition, condition), which it may overwrite, and the number of units
        to dissimilarities (pair,): how the RDM of a layer is taken while its units stream by.
        None for a measure of noisy responses, beside which layers are compared by `for_layers`.
    centres : bool
        Whether the mean over units is subtracted from each pattern.
    fewest_sites, fewest_repetitions : int
        Below which the measure is trivial or undefined.
    undefined : callable or None
        Says which patterns have no dissimilarity, and why.
    power : int or None
        Of the unit of the responses: responses times c have dissimilarities times c to this power.
        None where there is no such law.
    spellings : tuple of str
        How others call it; compared without regard to case, spaces and hyphens.
    label : str
        What the numbers are, as written on colour bars and into files.
    noise : {"adds", "attenuates", "none", "unknown"}
        What independent noise in the patterns does to the expected dissimilarity: it adds its own
        mean square, attenuates a correlation, does nothing, or something that is not accounted for.
    for_layers : str
        Measure for layers that are compared with RDMs made by this one; its own by default.
    """

    name: str
    source: str
    distances: Callable[[np.ndarray], np.ndarray] | None = None
    of_recording: Callable[..., np.ndarray] | None = None
    from_gram: Callable[[np.ndarray, int], np.ndarray] | None = None
    centres: bool = False
    fewest_sites: int = 1
    fewest_repetitions: int = 1
    undefined: Undefined | None = None
    power: int | None = None
    spellings: tuple[str, ...] = ()
    label: str = ""
    noise: Literal["adds", "attenuates", "none", "unknown"] = "unknown"
    for_layers: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", self.label or self.name)
        object.__setattr__(self, "for_layers", self.for_layers or self.name)


def _find_constant(patterns: np.ndarray) -> tuple[np.ndarray, str]:
    return is_flat(patterns), (
        "have the same response at every site, so their correlation is undefined{}: leave them out"
    )


def _find_silent(patterns: np.ndarray) -> tuple[np.ndarray, str]:
    said = "have no response at any site, so their angle is undefined{}: leave them out"
    return np.asarray(~patterns.any(1)), said


def _find_negative(patterns: np.ndarray) -> tuple[np.ndarray, str]:
    return np.asarray((patterns < 0).any(1)), (
        "have negative responses, which counts cannot be (a baseline was subtracted, or sites "
        "were z-scored){}: take another measure"
    )


ROWS = (
    Measure(
        "correlation",
        "Bashivan, Tensen & DiCarlo (2019), ICCV, equation 1",
        distances=partial(angles, centred=True),
        from_gram=angles_from_gram,
        centres=True,
        fewest_sites=3,
        undefined=_find_constant,
        power=0,
        spellings=(
            "1 - r", "1 - Pearson r", "1 - Pearson's r", "1 - Pearson", "1 - Pearson correlation",
            "1 - correlation", "1 - corr", "Pearson", "Pearson r", "Pearson correlation",
            "Pearson distance", "Pearson correlation distance", "correlation distance", "corr",
        ),
        label="1 - Pearson r",
        noise="attenuates",
    ),
    Measure(
        "cosine",
        "Walther et al. (2016), NeuroImage 137, 188-200",
        distances=partial(angles, centred=False),
        from_gram=angles_from_gram,
        fewest_sites=2,
        undefined=_find_silent,
        power=0,
        spellings=("1 - cosine", "cosine distance", "1 - cosine similarity"),
        noise="attenuates",
    ),
    Measure(
        "squared euclidean",
        "Walther et al. (2016), NeuroImage 137, 188-200, equation 1",
        distances=squared_distances,
        from_gram=squared_from_gram,
        power=2,
        spellings=("sqeuclidean", "squared euclidean distance", "mean squared difference"),
        noise="adds",
    ),
    Measure(
        "euclidean",
        "Walther et al. (2016), NeuroImage 137, 188-200, equation 1",
        distances=lambda patterns: np.sqrt(squared_distances(patterns)),
        from_gram=euclidean_from_gram,
        power=1,
        spellings=("euclidean distance", "L2", "L2 distance"),
    ),
    Measure(
        "mahalanobis",
        "Walther et al. (2016), NeuroImage 137, 188-200, equation 3",
        of_recording=mahalanobis_of_recording,
        power=0,
        spellings=("squared mahalanobis", "mahalanobis distance"),
        noise="adds",
        for_layers="squared euclidean",
    ),
    Measure(
        "crossnobis",
        "Walther et al. (2016), NeuroImage 137, 188-200, equation 5",
        of_recording=crossnobis_of_recording,
        fewest_repetitions=2,
        power=0,
        spellings=("crossnobis distance", "cross-validated mahalanobis", "LDC"),
        noise="none",
        for_layers="squared euclidean",
    ),
    Measure(
        "poisson",
        "Schuett, Kipnis, Diedrichsen & Kriegeskorte (2023), eLife 12:e82566, methods",
        distances=poisson_divergences,
        undefined=_find_negative,
        spellings=("poisson_cv", "poisson KL", "symmetrised KL"),
        for_layers="squared euclidean",
    ),
)  # fmt: skip
MEASURES = {row.name: row for row in ROWS}
DEFAULT = ROWS[0]


def find_measure(name: str) -> Measure:
    """Return the measure of this name, or raise ValueError with the known ones."""
    if name not in MEASURES:
        raise ValueError(f"measure is {name!r}; it is one of {', '.join(map(repr, MEASURES))}.")
    return MEASURES[name]


def list_measures(have: Callable[[Measure], bool]) -> str:
    """Return the names of the measures that have a property, for a message."""
    return ", ".join(repr(row.name) for row in MEASURES.values() if have(row))


def read_measure(text: str | None) -> Measure:
    """Return the measure that published RDMs call `text`, in any known spelling.

    RDMs that do not say how they were made are taken for correlation distances.

    Raises
    ------
    ValueError
        If none is known by that name.
    """
    if text is None:
        return DEFAULT
    rows = MEASURES.values()
    known = {_fold(s): row for row in rows for s in (row.name, row.label, *row.spellings)}
    if _fold(text) not in known:
        also = "; ".join(f"{row.name!r}" + _say_spellings(row) for row in rows)
        raise ValueError(
            f"The dissimilarity measure {text!r} is unknown, so that layers cannot be compared "
            f"by the same. Set rdms.dissimilarity_measure to one of: {also}."
        )
    return known[_fold(text)]


def pattern_distances(patterns: np.ndarray, measure: str) -> np.ndarray:
    """Return dissimilarities of all pairs of rows of `patterns` (condition, unit): (pair,).

    Raises
    ------
    ValueError
        If the measure is unknown, or needs more than the conditions' mean patterns.
    """
    row = find_measure(measure)
    if row.distances is None:
        known = list_measures(lambda other: other.distances is not None)
        raise ValueError(
            f"measure is {measure!r}, which needs single repetitions; of mean patterns there are "
            f"{known}."
        )
    return row.distances(np.asarray(patterns, dtype=float))


def network_measure(measure: str | None) -> str:
    """Return the measure for layers that are compared with RDMs made by `measure`.

    Networks have no noise between repetitions: beside Mahalanobis, crossnobis and Poisson
    dissimilarities of an area stand squared Euclidean ones of a layer.
    """
    return read_measure(measure).for_layers


def gram_distances(gram: np.ndarray, sums: np.ndarray, n_units: int, measure: str) -> np.ndarray:
    """Return dissimilarities (pair,) from inner products of patterns; `gram` is overwritten.

    Parameters
    ----------
    gram : ndarray (condition, condition)
        Inner products.
    sums : ndarray (condition,)
        Sums over units.
    n_units : int
        Units that were summed over.
    measure : str
        One that layers are compared by.
    """
    row = find_measure(measure)
    if row.from_gram is None:
        known = list_measures(lambda other: other.from_gram is not None)
        raise ValueError(f"measure is {measure!r}; layers are compared by one of {known}.")
    if row.centres:
        gram -= np.outer(sums, sums) / n_units
    return row.from_gram(gram, n_units)


def _fold(text: str) -> str:
    return re.sub(r"[\s_\-\N{MINUS SIGN}\N{EN DASH}'’]+", "", str(text)).lower()


def _say_spellings(row: Measure) -> str:
    return f" (or {', '.join(map(repr, row.spellings[:3]))})" if row.spellings else ""
