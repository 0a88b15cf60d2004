"""The comparisons of RDMs, one row each.

To add one, write its row in `COMPARISONS` (and its function, where it is no inner product of
vectors), its line in the table of `compare_rdms`, and its oracle in the tests. All that depends on
the comparison is asked of its row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from brainguided.rdms.distances import count_conditions
from brainguided.rdms.ranks import rank_rows
from brainguided.rdms.whitening import condition_sums, whitened_products
from neural_data.rounding import centre

NARROW = 1e-4
"""Variance of an RDM, as a part of its squared mean, below which four digits would cancel."""
FEW, FEW_TILE, MANY_TILE = 3, (4, 1 << 14), (50, 1 << 12)
"""RDMs up to which the first tile (rdm, pair) of others stays in the cache beside them."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """A similarity of two RDMs.

    Attributes
    ----------
    name : str
        As in ``compare_rdms(method=...)``.
    source : str
        Where it is defined.
    label : str
        As written on axes; the name by default.
    ranks : bool
        Whether dissimilarities are replaced by their ranks, ties sharing their mean.
    centres : bool
        Whether the mean over pairs is subtracted: a constant RDM then resembles nothing.
    whitens : bool
        Whether products allow for the covariance of dissimilarities that share a condition.
    divisor : callable or None
        What inner products are divided by, given the number of pairs; by default the lengths of
        the two vectors.
    function : callable or None
        Of vectors (rdm, pair) and (other_rdm, pair) to similarities (rdm, other_rdm), NaN beside
        an RDM that resembles nothing; None where the similarity is an inner product of vectors
        that were ranked, centred and whitened as said above.
    draws : {"weights", "anew", ""}
        How it is taken of conditions drawn with replacement: from sums over pairs weighted by how
        often they were drawn, which gives all draws at once; anew in every draw; or not at all.
    permutes : bool
        Whether it is fast enough for thousands of permutations.
    fewest_conditions : int
        Below which it is undefined.
    missing : bool
        Whether it is defined for RDMs of which some dissimilarities are missing.
    """

    name: str
    source: str
    label: str = ""
    ranks: bool = False
    centres: bool = True
    whitens: bool = False
    divisor: Callable[[int], float] | None = None
    function: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    draws: Literal["weights", "anew", ""] = ""
    permutes: bool = True
    fewest_conditions: int = 3
    missing: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", self.label or self.name)

    @property
    def correlates(self) -> bool:
        """Whether it is the Pearson correlation of vectors, of which others can be partialled."""
        plain = self.function is None and self.divisor is None and not self.whitens
        return plain and self.centres

    @property
    def averages(self) -> bool:
        """Whether no RDM is more similar to several than their normalised mean."""
        return self.function is None and not self.ranks

    def prepare(self, vector: np.ndarray) -> np.ndarray:
        """Return dissimilarities (pair,) ranked and centred, where the comparison does so."""
        prepared: np.ndarray = self.prepare_rows(np.asarray(vector)[np.newaxis])[0]
        return prepared

    def prepare_rows(self, vectors: np.ndarray) -> np.ndarray:
        """Return the dissimilarities (rdm, pair) of several RDMs as `prepare` does."""
        if self.ranks:
            ranks = rank_rows(vectors)
            ranks -= (vectors.shape[1] + 1) / 2
            return ranks
        plain: np.ndarray = np.asarray(vectors, dtype=float)
        return centre(plain) if self.centres else plain

    def similarity(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return the similarity (rdm, other_rdm) of dissimilarities that were ranked already.

        Parameters
        ----------
        a, b : ndarray (rdm, pair) and (other_rdm, pair)

        Returns
        -------
        ndarray (rdm, other_rdm)
            NaN beside an RDM that holds NaN or resembles nothing.
        """
        if self.function is not None:
            return self.function(a, b)
        with np.errstate(invalid="ignore"):  # infinite ones are found afterwards
            products, squares = multiply(a, b, centred=self.centres, whiten=self.whitens)
        if self.divisor is not None:
            return products / self.divisor(a.shape[1])
        return normalise(products, squares)


def normalise(products: np.ndarray, squares: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return inner products divided by both lengths; NaN beside a vector of length 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        r = products / np.sqrt(np.outer(*squares))
    return np.where(np.outer(*(own > 0 for own in squares)), np.clip(r, -1.0, 1.0), np.nan)


def multiply(
    a: np.ndarray, b: np.ndarray, *, centred: bool, whiten: bool
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Return inner products (rdm, other_rdm), and each side's with itself.

    `b`, the larger side as a rule, is read once: `a` alone is centred before multiplying. Where the
    mean of an RDM is much larger than its spread, digits would cancel, and it is centred first.
    """
    if len(a) > len(b):
        products, (own_b, own_a) = multiply(b, a, centred=centred, whiten=whiten)
        return products.T, (own_a, own_b)
    n_pairs = a.shape[1]
    mean_a = a.mean(1, dtype=float, keepdims=True) * centred
    products, own_a, own_b = _multiply_tiles(a, b, mean_a)
    mean_b = products[-1][:, np.newaxis] / n_pairs * centred
    own_b -= n_pairs * mean_b[:, 0] ** 2
    sides = ((own_a, mean_a), (own_b, mean_b))
    narrow = [own < NARROW * n_pairs * mean[:, 0] ** 2 for own, mean in sides]
    if any(one.any() for one in narrow):
        a, b = (np.where(k[:, None], centre(x), x) for k, x in zip(narrow, (a, b), strict=True))
        return multiply(a, b, centred=centred, whiten=whiten)
    products = products[:-1]
    if whiten:
        n = count_conditions(n_pairs)
        sums_a, sums_b = (condition_sums(v) - m * (n - 1) for v, m in ((a, mean_a), (b, mean_b)))
        products = whitened_products(products, sums_a, sums_b)
        own_a, own_b = (
            np.where(o == 0, 0.0, o - (s * s).sum(1) / n + s.sum(1) ** 2 / (2 * n * n))
            for o, s in ((own_a, sums_a), (own_b, sums_b))
        )
    return products, (own_a, own_b)


def _multiply_tiles(
    a: np.ndarray, b: np.ndarray, mean_a: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return products of `a` less its mean and of ones, last, with `b`; and of each with itself.

    `b` is read from memory once: its tiles are squared first, and are then in the cache.
    """
    height, width = FEW_TILE if len(a) <= FEW else MANY_TILE
    room = np.ones((len(a) + 1, width))
    products, own_a, own_b = np.zeros((len(b), len(room))), np.zeros(len(a)), np.zeros(len(b))
    part, own = np.empty_like(products), np.empty((len(b), 1, 1))
    tiles = [slice(k, k + height) for k in range(0, len(b), height)]
    parts = [(rows, part[rows], own[rows]) for rows in tiles]
    for start in range(0, a.shape[1], width):
        pairs = slice(start, start + width)
        x = room[:, : a.shape[1] - start]
        np.subtract(a[:, pairs], mean_a, out=x[:-1])
        own_a += np.matmul(x[:-1, None], x[:-1, :, None])[:, 0, 0]
        across = x.T
        for rows, result, squares in parts:
            y = b[rows, pairs].astype(float, copy=False)
            np.matmul(y[:, None], y[:, :, None], out=squares)
            np.matmul(y, across, out=result)
        products += part
        own_b += own[:, 0, 0]
    return products.T, own_a, own_b


def kendall(a: np.ndarray, b: np.ndarray, *, ties: bool) -> np.ndarray:
    """Return Kendall's tau of every row of `a` with every row of `b`; NaN beside a constant one.

    Parameters
    ----------
    a, b : ndarray (rdm, pair) and (other_rdm, pair)
    ties : bool
        Whether pairs that are tied are left out of the number of pairs (tau-b), or count as
        neither concordant nor discordant (tau-a).
    """
    from scipy.stats import kendalltau

    n = a.shape[1]
    total = n * (n - 1) // 2
    a, b = rank_rows(a), rank_rows(b)
    untied = [np.array([total - _count_ties(row) for row in x]) for x in (a, b)]
    tau = np.full((len(a), len(b)), np.nan)
    for i in np.flatnonzero(untied[0]).tolist():
        for k in np.flatnonzero(untied[1]).tolist():
            tau[i, k] = kendalltau(a[i], b[k], method="asymptotic").statistic
    return tau if ties else tau * np.sqrt(np.outer(*untied)) / total


def _count_ties(vector: np.ndarray) -> int:
    counts = np.unique(vector, return_counts=True, equal_nan=False)[1].astype(np.int64)
    return int((counts * (counts - 1) // 2).sum())


_KENDALL = "Kendall (1945), Biometrika 33, 239-251"
_WHITENED = "Diedrichsen et al. (2021), NBDT 5(3), equations 13 to 16"
ROWS = (
    Comparison(
        "pearson",
        "Bashivan, Tensen & DiCarlo (2019), ICCV, section 3.1",
        label="Pearson r",
        draws="weights",
    ),
    Comparison(
        "cosine",
        "Walther et al. (2016), NeuroImage 137, 188-200",
        centres=False,
        draws="weights",
    ),
    Comparison("spearman", "Spearman (1904), Am. J. Psychol. 15, 72-101", ranks=True, draws="anew"),
    Comparison(
        "rho-a",
        "Schuett et al. (2023), eLife 12:e82566, methods",
        ranks=True,
        divisor=lambda n: (float(n) ** 3 - n) / 12,
    ),
    Comparison("kendall", _KENDALL, function=partial(kendall, ties=True), permutes=False),
    Comparison("tau-a", _KENDALL, function=partial(kendall, ties=False), permutes=False),
    Comparison("whitened pearson", _WHITENED, whitens=True, missing=False),
    Comparison("whitened cosine", _WHITENED, centres=False, whitens=True, missing=False),
)
COMPARISONS = {row.name: row for row in ROWS}


def find_comparison(method: str) -> Comparison:
    """Return the comparison of this name, or raise ValueError with the known ones."""
    if method not in COMPARISONS:
        known = ", ".join(map(repr, COMPARISONS))
        raise ValueError(f"method is {method!r}; it is one of {known}.")
    return COMPARISONS[method]


def list_comparisons(have: Callable[[Comparison], bool]) -> str:
    """Return the names of the comparisons that have a property, for a message."""
    return ", ".join(repr(row.name) for row in COMPARISONS.values() if have(row))
