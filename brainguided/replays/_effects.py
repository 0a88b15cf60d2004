"""Main effects of choices by least squares, and what of them is there by chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_TOGETHER = 32  # permutations at a time
_TINY = 1e-6  # beside the root of the number of candidates: a direction in which nothing varies


@dataclass(frozen=True)
class Choice:
    """Choice whose effect is tested.

    Attributes
    ----------
    name : str
    level : {"kind", "decision"}
    kind : str
        The kind that it is, or belongs to: all others are in the model beside it.
    options : tuple of int or str
    basis : ndarray (option, effect)
        How each option is coded, with mean 0 over options.
    columns, drawn : ndarray (candidate, effect), (draw, effect)
        Of the candidates, and of architectures drawn from the space.
    """

    name: str
    level: str
    kind: str
    options: tuple[int | str, ...]
    basis: np.ndarray
    columns: np.ndarray
    drawn: np.ndarray


@dataclass(frozen=True)
class Spread:
    """What choices explain of several measures.

    Attributes
    ----------
    share : ndarray (choice, measure)
        Of the variance over draws from the space.
    evidence : ndarray (choice, measure)
        -log10 of the p of F, which compares choices of different numbers of effects.
    weights : list of ndarray (effect, measure)
    """

    share: np.ndarray
    evidence: np.ndarray
    weights: list[np.ndarray]


@dataclass(frozen=True)
class _Fit:
    """What a choice adds to the other kinds, as matrices that measures are multiplied with."""

    tested: Choice
    others: np.ndarray  # (candidate, rank): orthonormal, of the other kinds; shared within a kind
    own: np.ndarray  # (candidate, rank): orthonormal, of what the choice adds
    back: np.ndarray  # (effect, rank): from `own` to the weights of its columns
    covariance: np.ndarray  # (effect, effect), over draws

    @property
    def spare(self) -> int:
        return int(len(self.own) - 1 - self.others.shape[1] - self.own.shape[1])


def code(options: Sequence[int | str]) -> np.ndarray:
    """Return columns that tell options apart (option, effect), each with mean 0.

    Numbers by their order, linear and squared; names one by one.
    """
    if all(isinstance(option, int) for option in options):
        place = np.argsort(np.argsort(np.array(options))).astype(float)
        place = 2 * place / max(len(options) - 1, 1) - 1
        columns = np.column_stack([place, place**2][: min(2, len(options) - 1)])
    else:
        columns = np.eye(len(options))[:, 1:]
    return np.asarray(columns - columns.mean(axis=0))


def fit(tested: Sequence[Choice]) -> list[_Fit]:
    """Prepare the least squares of every choice beside all kinds but its own."""
    fitted = []
    kinds = {one.name: one.columns for one in tested if one.level == "kind"}
    others: dict[str, np.ndarray] = {}
    for one in tested:
        if one.kind not in others:
            beside = [columns for name, columns in kinds.items() if name != one.kind]
            rest = np.hstack([np.empty((len(one.columns), 0)), *beside])
            others[one.kind] = _decompose(rest - rest.mean(axis=0))[0]
        base = others[one.kind]
        columns = one.columns - one.columns.mean(axis=0)
        own, back = _decompose(columns - base @ (base.T @ columns))
        covariance = np.atleast_2d(np.cov(one.drawn, rowvar=False))
        fitted.append(_Fit(one, base, own, back, covariance))
    return fitted


def _decompose(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return an orthonormal basis of columns, and what leads from it back to them."""
    left, size, right = np.linalg.svd(columns, full_matrices=False)
    kept = size > _TINY * np.sqrt(len(columns))
    return left[:, kept], right[kept].T / size[kept]


def spread(fitted: Sequence[_Fit], values: np.ndarray) -> Spread:
    """Return what every choice explains of measures (candidate, measure) of mean 0."""
    from scipy.special import fdtrc  # slow to import

    squares = (values**2).sum(axis=0)
    evidence, between, weights = [], [], []
    known: dict[str, np.ndarray] = {}
    total = np.zeros(values.shape[1])
    residual = np.zeros(values.shape[1])
    for one in fitted:
        if one.tested.kind not in known:
            known[one.tested.kind] = ((one.others.T @ values) ** 2).sum(axis=0)
        scores = one.own.T @ values
        added = (scores**2).sum(axis=0)
        left = np.maximum(squares - known[one.tested.kind] - added, 1e-12 * squares)
        weight = one.back @ scores
        variance = np.einsum("ek,ef,fk->k", weight, one.covariance, weight)
        if one.tested.level == "kind":
            total += variance
            residual = left / one.spare
        number = one.own.shape[1]
        if number:
            f = (added / number) / (left / one.spare)
            evidence.append(-np.log10(np.maximum(fdtrc(number, one.spare, f), 1e-300)))
        else:
            evidence.append(np.full(len(squares), np.nan))
            variance = np.full(len(squares), np.nan)
        between.append(variance)
        weights.append(weight)
    return Spread(np.array(between) / (total + residual), np.array(evidence), weights)


def permute(
    fitted: Sequence[_Fit],
    values: np.ndarray,
    real: Spread,
    permutations: int,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return shares expected by chance, and p alone and corrected (choice, measure).

    All measures of a candidate are permuted together. Corrected is the p of the largest evidence
    of all choices and measures of each permutation.
    """
    shares = np.zeros(real.share.shape)
    alone, corrected = np.ones(shares.shape), np.ones(shares.shape)
    for start in range(0, permutations, _TOGETHER):
        number = min(_TOGETHER, permutations - start)
        orders = [generator.permutation(len(values)) for _ in range(number)]
        found = spread(fitted, np.hstack([values[order] for order in orders]))
        evidence = found.evidence.reshape(len(fitted), number, -1)
        shares += found.share.reshape(evidence.shape).sum(axis=1)
        alone += (evidence >= real.evidence[:, None]).sum(axis=1)
        largest = np.fmax.reduce(evidence, axis=(0, 2))
        corrected += (largest[:, None, None] >= real.evidence).sum(axis=0)
    undefined = np.isnan(real.evidence)
    for p in (alone, corrected):
        p /= permutations + 1
        p[undefined] = np.nan
    return shares / permutations, alone, corrected
