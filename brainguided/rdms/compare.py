"""Compare representational dissimilarity matrices; labels are checked first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from brainguided.rdms.distances import count_conditions, upper_triangle
from brainguided.rdms.labels import check_alignment, condition_labels
from brainguided.rdms.whitening import (
    condition_sums,
    contrast_root,
    whiten_vector,
    whitened_products,
)

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

METHODS = (
    "pearson",
    "cosine",
    "spearman",
    "rho-a",
    "kendall",
    "tau-a",
    "whitened pearson",
    "whitened cosine",
)
BLOCK = 1 << 10
"""Pairs at a time: the block of every RDM stays in the processor's cache."""


@dataclass(frozen=True, eq=False)
class PreparedRDMs:
    """RDMs of which all that does not depend on the other side was computed once.

    Attributes
    ----------
    labels : tuple of str
        Condition labels.
    method : str
        The comparison for which they were prepared.
    vectors : ndarray (rdm, entry)
        Ranked or whitened dissimilarities.
    covariance : ndarray or None
        Between conditions, for whitened comparisons.
    """

    labels: tuple[str, ...]
    method: str
    vectors: np.ndarray
    covariance: np.ndarray | None = None


def compare_rdms(
    a: RDMs | PreparedRDMs,
    b: RDMs | PreparedRDMs,
    *,
    method: str = "pearson",
    covariance: np.ndarray | None = None,
) -> np.ndarray:
    """Return the similarity of every RDM of `a` to every RDM of `b`.

    By default the Pearson correlation between the upper triangles [1]_. Both sides must have the
    same condition labels in the same order; `align_rdms` brings one into the order of the other.

    ================== ============================================================================
    method             similarity of two vectors of dissimilarities
    ================== ============================================================================
    "pearson"          Pearson r [1]_
    "cosine"           cosine of the angle, for distances with a meaningful zero (crossnobis)
    "spearman"         Pearson r of ranks, ties sharing their mean rank
    "rho-a"            Spearman's, expected under random breaking of ties: fair to models that
                       predict ties [2]_
    "kendall"          Kendall's tau-b
    "tau-a"            Kendall's tau-a
    "whitened pearson" Pearson r and cosine that allow for the covariance of dissimilarities which
    "whitened cosine"  share a condition [3]_
    ================== ============================================================================

    Parameters
    ----------
    a, b : rsatoolbox.rdm.RDMs or PreparedRDMs
        RDMs over the same conditions. A side that is compared again and again (a teacher) is
        ranked or whitened only once if given as ``prepare_rdms(rdms, method=...)``.
    method : str, optional
        One of the above. Kendall's take about a second for a pair of RDMs of 1000 stimuli, ranks
        a twentieth, all others a thousandth.
    covariance : ndarray (condition, condition), optional
        For whitened comparisons: covariance of the errors of the conditions' patterns; by default
        independent and equal.

    Returns
    -------
    ndarray (len(a), len(b))
        In [-1, 1].

    Raises
    ------
    AlignmentError
        If the condition labels are absent, repeat, or differ in number, name or order.
    ValueError
        If an RDM holds NaN or (but for cosines) is constant, so that it resembles nothing; if the
        method is unknown, or another than the one a side was prepared for.

    References
    ----------
    .. [1] Bashivan, Tensen & DiCarlo (2019), ICCV, section 3.1.
    .. [2] Schuett, Kipnis, Diedrichsen & Kriegeskorte (2023), eLife 12:e82566, methods.
    .. [3] Diedrichsen et al. (2021), NBDT 5(3), equations 13 to 16.
    """
    check_method(method)
    labels = [
        list(x.labels) if isinstance(x, PreparedRDMs) else condition_labels(x, name=name)
        for x, name in ((a, "The first RDMs"), (b, "The second RDMs"))
    ]
    check_alignment(labels[0], labels[1], names=("The first RDM", "the second"))
    if method in ("kendall", "tau-a"):
        sides = [_get_vectors(side) for side in (a, b)]
        for vectors, which in zip(sides, ("first", "second"), strict=True):
            _refuse_missing(vectors.sum(1), which)
        return _compare_order(sides[0], sides[1], method)
    prepared = isinstance(a, PreparedRDMs) or isinstance(b, PreparedRDMs)
    if _is_ranked(method) or covariance is not None or prepared:
        a = _ensure_prepared(a, method, covariance, "first")
        b = _ensure_prepared(b, method, covariance, "second")
    for side in (a, b):
        if isinstance(side, PreparedRDMs) and side.method != method:
            raise ValueError(f"RDMs prepared for {side.method!r} were compared by {method!r}.")
    first, second = _get_vectors(a), _get_vectors(b)
    # Vectors that were whitened already are simply multiplied.
    whiten = method.startswith("whitened") and covariance is None
    centre = covariance is None and not method.endswith("cosine")
    products, squares = _multiply(first, second, centre=centre, whiten=whiten)
    if method == "rho-a":
        n = first.shape[1]
        correlations: np.ndarray = products * (12 / (float(n) ** 3 - n))
        return correlations
    which = "constant" if centre else "zero throughout"
    for size, name in zip(squares, ("first", "second"), strict=True):
        _refuse_missing(size, name)
        flat = np.flatnonzero(~(size > 0))
        if flat.size:
            raise ValueError(
                f"The {name} RDMs cannot be compared: numbers {flat.tolist()} are {which}. Leave "
                "out layers without responses first."
            )
    return np.clip(products / np.sqrt(np.outer(*squares)), -1.0, 1.0)


def prepare_rdms(
    rdms: RDMs, *, method: str = "pearson", covariance: np.ndarray | None = None
) -> PreparedRDMs:
    """Rank or whiten RDMs once, to be compared with others again and again.

    Parameters
    ----------
    rdms : rsatoolbox.rdm.RDMs
        With condition labels.
    method : str, optional
        As for `compare_rdms`.
    covariance : ndarray (condition, condition), optional
        As for `compare_rdms`.

    Returns
    -------
    PreparedRDMs
        To be given to `compare_rdms` in the place of `rdms`.

    Raises
    ------
    AlignmentError
        If the conditions have no unique labels.
    ValueError
        If an RDM holds NaN, or the method is unknown.
    """
    check_method(method)
    labels = tuple(condition_labels(rdms))
    return _ensure_prepared(rdms, method, covariance, "given", labels)


def align_rdms(rdms: RDMs, to: RDMs) -> RDMs:
    """Return RDMs with their conditions in the order of those of others, by label.

    Parameters
    ----------
    rdms, to : rsatoolbox.rdm.RDMs
        Over the same conditions, in any order.

    Raises
    ------
    AlignmentError
        If labels are absent, repeat, or are not the same on both sides.
    """
    from rsatoolbox.rdm import RDMs as Container

    labels, wanted = condition_labels(rdms), condition_labels(to, name="The other RDMs")
    if sorted(labels) != sorted(wanted):
        check_alignment(labels, wanted, names=("The first RDM", "the second"))
    place = {label: k for k, label in enumerate(labels)}
    order = np.array([place[label] for label in wanted])
    matrices = rdms.get_matrices()[:, order][:, :, order]
    return Container(
        np.stack([upper_triangle(matrix) for matrix in matrices]),
        dissimilarity_measure=rdms.dissimilarity_measure,
        descriptors=dict(rdms.descriptors),
        rdm_descriptors={k: list(v) for k, v in rdms.rdm_descriptors.items() if k != "index"},
        pattern_descriptors={
            k: [v[i] for i in order] for k, v in rdms.pattern_descriptors.items() if k != "index"
        },
    )


def check_method(method: str) -> str:
    """Return the name of a comparison, or raise ValueError with the known ones."""
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; it is one of {', '.join(map(repr, METHODS))}.")
    return method


def prepare_vector(vector: np.ndarray, method: str, root: np.ndarray | None = None) -> np.ndarray:
    """Return dissimilarities (pair,) as the vector whose cosine is the similarity."""
    vector = np.asarray(vector, dtype=float)
    if _is_ranked(method):
        from scipy.stats import rankdata

        ranks: np.ndarray = rankdata(vector)
        centred: np.ndarray = ranks - ranks.mean()
        return centred
    if not method.endswith("cosine"):
        vector = vector - vector.mean()
    return vector if root is None else whiten_vector(vector, root)


def _is_ranked(method: str) -> bool:
    return method in ("spearman", "rho-a")


def _ensure_prepared(
    side: RDMs | PreparedRDMs,
    method: str,
    covariance: np.ndarray | None,
    which: str,
    labels: tuple[str, ...] | None = None,
) -> PreparedRDMs:
    if isinstance(side, PreparedRDMs):
        if not _same(side.covariance, covariance):
            raise ValueError(
                "RDMs were prepared with another covariance than they are compared by."
            )
        return side
    vectors = _get_vectors(side)
    _refuse_missing(vectors.sum(1), which)
    root = None
    if covariance is not None:
        if not method.startswith("whitened"):
            raise ValueError(f"A covariance is for whitened comparisons, not for {method!r}.")
        root = contrast_root(covariance, count_conditions(vectors.shape[1]))
    if _is_ranked(method) or root is not None:
        vectors = np.stack([prepare_vector(vector, method, root) for vector in vectors])
    known = tuple(condition_labels(side)) if labels is None else labels
    return PreparedRDMs(known, method, vectors, covariance)


def _same(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)


def _get_vectors(side: RDMs | PreparedRDMs) -> np.ndarray:
    if isinstance(side, PreparedRDMs):
        return side.vectors
    return np.asarray(side.dissimilarities)


def _refuse_missing(totals: np.ndarray, which: str) -> None:
    """Raise ValueError for RDMs whose sum is not finite."""
    missing = np.flatnonzero(~np.isfinite(totals)).tolist()
    if missing:
        raise ValueError(
            f"The {which} RDMs cannot be compared: numbers {missing} hold NaN. Leave out stimuli "
            "or layers without responses first."
        )


def _multiply(
    a: np.ndarray, b: np.ndarray, *, centre: bool, whiten: bool
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Return inner products (rdm, other_rdm), and each side's with itself.

    `b`, the larger side as a rule, is read once: `a` alone is centred before multiplying.
    """
    if len(a) > len(b):
        products, (own_b, own_a) = _multiply(b, a, centre=centre, whiten=whiten)
        return products.T, (own_a, own_b)
    n_pairs = a.shape[1]
    mean_a = a.mean(1, dtype=float, keepdims=True) * centre
    products = np.zeros((len(a) + 1, len(b)))
    own_a, own_b = np.zeros(len(a)), np.zeros(len(b))
    for start in range(0, n_pairs, BLOCK):
        x = np.ones((len(a) + 1, min(BLOCK, n_pairs - start)))
        np.subtract(a[:, start : start + BLOCK], mean_a, out=x[:-1])
        y = b[:, start : start + BLOCK].astype(float, copy=False)
        products += x @ y.T
        own_a += np.einsum("ij,ij->i", x[:-1], x[:-1])
        own_b += np.einsum("ij,ij->i", y, y)
    mean_b = products[-1][:, np.newaxis] / n_pairs * centre
    raw = own_b.copy()
    own_b -= n_pairs * mean_b[:, 0] ** 2
    for k in np.flatnonzero(own_b < 1e-6 * raw):  # where this loses digits, the exact way
        rest = b[k].astype(float) - mean_b[k]
        own_b[k] = rest @ rest - rest.sum() ** 2 / n_pairs
    for own, mean in ((own_a, mean_a), (own_b, mean_b)):
        own[own <= 1e-26 * n_pairs * mean[:, 0] ** 2] = 0.0  # constant but for rounding
    products = products[:-1]
    if whiten:
        n = count_conditions(n_pairs)
        sums_a, sums_b = (condition_sums(x) - m * (n - 1) for x, m in ((a, mean_a), (b, mean_b)))
        products = whitened_products(products, sums_a, sums_b)
        own_a, own_b = (
            np.where(o == 0, 0.0, o - (s * s).sum(1) / n + s.sum(1) ** 2 / (2 * n * n))
            for o, s in ((own_a, sums_a), (own_b, sums_b))
        )
    return products, (own_a, own_b)


def _compare_order(a: np.ndarray, b: np.ndarray, method: str) -> np.ndarray:
    """Return Kendall's tau of every row of `a` with every row of `b`, by scipy."""
    from scipy.stats import kendalltau

    ties = [np.array([_count_ties(row) for row in x]) for x in (a, b)]
    n = a.shape[1]
    total = n * (n - 1) // 2
    for tied, which in zip(ties, ("first", "second"), strict=True):
        flat = np.flatnonzero(tied == total)
        if flat.size:
            raise ValueError(
                f"The {which} RDMs cannot be compared: numbers {flat.tolist()} are constant. Leave "
                "out layers without responses first."
            )
    tau = np.array([[kendalltau(x, y, method="asymptotic").statistic for y in b] for x in a])
    if method == "kendall":
        return tau
    untied = [np.sqrt((total - tied) / total) for tied in ties]
    tau_a: np.ndarray = tau * np.outer(*untied)
    return tau_a


def _count_ties(vector: np.ndarray) -> int:
    counts = np.unique(vector, return_counts=True)[1].astype(np.int64)
    return int((counts * (counts - 1) // 2).sum())
