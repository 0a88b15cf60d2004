"""The similarities of a layer and a target, one row each.

To add one, write its function and its row in `ROWS`, and its oracle in the tests. Each comparison
of RDMs is a row by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from brainguided.rdms.comparisons import COMPARISONS, Comparison
from brainguided.rdms.halves import compare_weighted
from brainguided.rdms.inner_products import cka_from_grams, cross_validate, predict_ridge
from brainguided.rdms.partial import leave_residuals, span_controls
from neural_data.errors import raise_problems
from neural_data.rounding import is_flat

if TYPE_CHECKING:
    from brainguided.guidance.target import Target

FOLDS = 5
"""Of ridge predictivity: fewer than for one network, since half of the stimuli must do."""


@dataclass(frozen=True, eq=False)
class Similarity:
    """A similarity of the responses of a layer and of an area to the same conditions.

    Attributes
    ----------
    name : str
        As in ``Target.similarity``.
    source : str
        Where it is defined.
    label : str
        As written on axes.
    layer : {"rdm", "gram"}
        What it needs of a layer: dissimilarities by the target's measure, or inner products of
        patterns.
    target : {"rdm", "gram", "patterns"}
        What it needs of the target.
    compare : callable
        Of one layer, (pair,) or (condition, condition), and several targets, each (pair,),
        (condition, condition) or (condition, site), to similarities (target,); NaN where there is
        none. For those of RDMs, also of weights of the pairs or None.
    """

    name: str
    source: str
    label: str
    layer: Literal["rdm", "gram"]
    target: Literal["rdm", "gram", "patterns"]
    compare: Callable[..., np.ndarray]

    @property
    def weighs(self) -> bool:
        """Whether it is one of RDMs in which pairs of conditions may count unequally."""
        return self.target == "rdm" and bool(COMPARISONS[self.name].draws)

    def read(self, target: Target) -> np.ndarray:
        """Return the target's side: (condition, condition), or patterns (condition, site)."""
        if self.target == "rdm":
            square: np.ndarray = target.rdm.get_matrices()[0]
            return square
        assert target.patterns is not None
        patterns = np.asarray(target.patterns, dtype=float)
        return np.asarray(patterns @ patterns.T) if self.target == "gram" else patterns

    def take(self, side: np.ndarray, members: np.ndarray) -> np.ndarray:
        """Return a target's side for some conditions, in this order, as `compare` wants it."""
        if self.target == "patterns":
            return np.asarray(side[members])
        part = np.asarray(side[np.ix_(members, members)])
        return part[np.triu_indices(len(part), 1)] if self.target == "rdm" else part


def _compare_rdms(
    row: Comparison,
    layer: np.ndarray,
    targets: Sequence[np.ndarray],
    weights: np.ndarray | None = None,
) -> np.ndarray:
    if is_flat(layer) or not np.isfinite(layer).all():
        return np.full(len(targets), np.nan)
    if weights is not None and row.draws:  # the others do without, as in correspondences
        return np.asarray(compare_weighted(row, layer[np.newaxis], np.stack(targets), weights)[0])
    a, b = row.prepare_rows(layer[np.newaxis]), row.prepare_rows(np.stack(targets))
    return np.asarray(row.similarity(a, b)[0])


def _compare_grams(layer: np.ndarray, targets: Sequence[np.ndarray]) -> np.ndarray:
    if len(layer) < 4 or not np.isfinite(layer).all():
        return np.full(len(targets), np.nan)
    return np.array([cka_from_grams(layer, one, debiased=True) for one in targets])


def _predict(layer: np.ndarray, targets: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean over sites of the correlation of predictions and responses, by target."""
    n = len(layer)
    flat = np.ptp(np.diag(layer)) == 0 and np.ptp(layer) == 0
    if n < 3 * FOLDS or flat or not np.isfinite(layer).all():
        return np.full(len(targets), np.nan)
    folds = np.arange(n) * FOLDS // n  # neighbours, of one object as a rule, together
    found = cross_validate(partial(predict_ridge, layer), np.concatenate(targets, axis=1), folds)
    sites = np.cumsum([one.shape[1] for one in targets])[:-1]
    return np.array([np.nanmean(part) for part in np.split(found, sites)])


ROWS = (
    *(
        Similarity(row.name, row.source, row.label, "rdm", "rdm", partial(_compare_rdms, row))
        for row in COMPARISONS.values()
    ),
    Similarity(
        "cka",
        "Kornblith, Norouzi, Lee & Hinton (2019), ICML, equation 3, by the unbiased estimator of "
        "Song et al. (2012), JMLR 13, 1393-1434, equation 4",
        "linear CKA (debiased)",
        "gram",
        "gram",
        _compare_grams,
    ),
    Similarity(
        "ridge",
        "Schrimpf et al. (2018), bioRxiv 407007, with ridge regression in the place of PLS",
        "ridge predictivity (Pearson r)",
        "gram",
        "patterns",
        _predict,
    ),
)
SIMILARITIES = {row.name: row for row in ROWS}


def find_similarity(name: str) -> Similarity:
    """Return the similarity of this name, or raise ValueError with the known ones."""
    if name not in SIMILARITIES:
        known = ", ".join(map(repr, SIMILARITIES))
        raise ValueError(f"similarity is {name!r}; it is one of {known}.")
    return SIMILARITIES[name]


def check_similarity(target: Any) -> None:
    """Raise ValueError unless a target has all that its similarity needs."""
    row = find_similarity(target.similarity)
    problems = []
    if row.target != "rdm" and target.patterns is None:
        problems.append(
            f"similarity {row.name!r} needs responses, and there is an RDM alone: make the teacher "
            "from a recording"
        )
    if target.patterns is not None and len(target.patterns) != target.rdm.n_cond:
        problems.append(
            f"{len(target.patterns)} patterns and {target.rdm.n_cond} conditions of the RDM"
        )
    if target.given is not None:
        if row.name != "pearson":
            problems.append(f"similarity is {row.name!r}; a partial correlation is of 'pearson'")
        n = target.rdm.dissimilarities.shape[1]
        if target.given.ndim != 2 or target.given.shape[1] != n or not len(target.given):
            problems.append(f"given has shape {target.given.shape}; expected (control, {n})")
        else:
            rest = leave_residuals(target.rdm.dissimilarities, span_controls(target.given))
            if not np.isfinite(rest).all():
                problems.append("the controls explain all of its RDM: nothing is left to compare")
    raise_problems(f"{target.area} cannot be compared with layers", problems, ValueError)
