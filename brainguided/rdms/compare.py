"""Compare representational dissimilarity matrices; labels are checked first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from brainguided.rdms.comparisons import (
    Comparison,
    find_comparison,
    list_comparisons,
    multiply,
    normalise,
)
from brainguided.rdms.distances import count_conditions, upper_triangle
from brainguided.rdms.labels import check_alignment, condition_labels
from brainguided.rdms.whitening import contrast_root, whiten_vector

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs


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
    missing: Literal["refuse", "pairwise"] = "refuse",
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
    missing : {"refuse", "pairwise"}, optional
        What is done about dissimilarities that are NaN. "pairwise" compares each two RDMs by the
        pairs of conditions that both have, and ranks these alone; similarities then rest on
        different pairs. Whitened comparisons need all.

    Returns
    -------
    ndarray (len(a), len(b))
        In [-1, 1].

    Raises
    ------
    AlignmentError
        If the condition labels are absent, repeat, or differ in number, name or order.
    ValueError
        If an RDM holds NaN or (but for cosines) is constant, so that it resembles nothing; if
        there are fewer than 3 conditions, or two RDMs share fewer than 3 dissimilarities; if the
        method is unknown, or another than the one a side was prepared for.

    References
    ----------
    .. [1] Bashivan, Tensen & DiCarlo (2019), ICCV, section 3.1.
    .. [2] Schuett, Kipnis, Diedrichsen & Kriegeskorte (2023), eLife 12:e82566, methods.
    .. [3] Diedrichsen et al. (2021), NBDT 5(3), equations 13 to 16.
    """
    kind = find_comparison(method)
    labels = [
        list(x.labels) if isinstance(x, PreparedRDMs) else condition_labels(x, name=name)
        for x, name in ((a, "The first RDMs"), (b, "The second RDMs"))
    ]
    check_alignment(labels[0], labels[1], names=("The first RDM", "the second"))
    if len(labels[0]) < kind.fewest_conditions:
        raise ValueError(
            f"The RDMs have {len(labels[0])} conditions; {method!r} is defined for "
            f"{kind.fewest_conditions} or more."
        )
    if missing not in ("refuse", "pairwise"):
        raise ValueError(f"missing is {missing!r}; it is one of 'refuse', 'pairwise'.")
    if missing == "pairwise":
        return _compare_pairwise(a, b, kind)
    prepared = isinstance(a, PreparedRDMs) or isinstance(b, PreparedRDMs)
    if kind.ranks or covariance is not None or prepared:
        a = _ensure_prepared(a, kind, covariance, "first")
        b = _ensure_prepared(b, kind, covariance, "second")
    for side in (a, b):
        if isinstance(side, PreparedRDMs) and side.method != method:
            raise ValueError(f"RDMs prepared for {side.method!r} were compared by {method!r}.")
    first, second = _get_vectors(a), _get_vectors(b)
    if covariance is None:
        found = kind.similarity(first, second)
    else:  # whitened already: what is left is to multiply
        found = normalise(*multiply(first, second, centred=False, whiten=False))
    if not np.isfinite(found).all():
        for vectors, which in ((first, "first"), (second, "second")):
            refuse_missing(vectors, which)
            _refuse_flat(vectors, which, kind)
    return found


def _compare_pairwise(
    a: RDMs | PreparedRDMs, b: RDMs | PreparedRDMs, kind: Comparison
) -> np.ndarray:
    """Return similarities over the dissimilarities that both of two RDMs have."""
    if not kind.missing or isinstance(a, PreparedRDMs) or isinstance(b, PreparedRDMs):
        known = list_comparisons(lambda row: row.missing)
        raise ValueError(
            "Missing dissimilarities cannot be left out pairwise for "
            f"{'prepared RDMs' if kind.missing else repr(kind.name)}: use RDMs that were not "
            f"prepared, and one of {known}."
        )
    sides = [np.asarray(_get_vectors(side), dtype=float) for side in (a, b)]
    result = np.empty((len(sides[0]), len(sides[1])))
    gaps = [_group_gaps(vectors) for vectors in sides]
    for first, rows in gaps[0]:
        for second, columns in gaps[1]:
            kept = ~(first | second)
            if kept.sum() < 3:
                raise ValueError(
                    f"Numbers {rows} of the first RDMs and {columns} of the second share "
                    f"{int(kept.sum())} dissimilarities; 3 or more are needed."
                )
            parts = [v[which][:, kept] for v, which in zip(sides, (rows, columns), strict=True)]
            if kind.ranks:
                parts = [kind.prepare_rows(part) for part in parts]
            result[np.ix_(rows, columns)] = kind.similarity(*parts)
            if not np.isfinite(result[np.ix_(rows, columns)]).all():
                for part, which in zip(parts, ("first", "second"), strict=True):
                    refuse_missing(part, which)
                    _refuse_flat(part, which, kind)
    return result


def _group_gaps(vectors: np.ndarray) -> list[tuple[np.ndarray, list[int]]]:
    """Return the different patterns of missing pairs (pair,), each with the RDMs that have it."""
    groups: dict[bytes, tuple[np.ndarray, list[int]]] = {}
    for k, gap in enumerate(np.isnan(vectors)):
        groups.setdefault(np.packbits(gap).tobytes(), (gap, []))[1].append(k)
    return list(groups.values())


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
    labels = tuple(condition_labels(rdms))
    return _ensure_prepared(rdms, find_comparison(method), covariance, "given", labels)


def align_rdms(rdms: RDMs, to: RDMs) -> RDMs:
    """Return RDMs with their conditions in the order of those of others, by label.

    Parameters
    ----------
    rdms, to : rsatoolbox.rdm.RDMs
        Over the same conditions, in any order.

    Returns
    -------
    rsatoolbox.rdm.RDMs
        `rdms`, with the conditions in the order of `to`.

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


def prepare_vector(vector: np.ndarray, method: str) -> np.ndarray:
    """Return dissimilarities (pair,) as the vector whose cosine is the similarity."""
    return find_comparison(method).prepare(vector)


def _ensure_prepared(
    side: RDMs | PreparedRDMs,
    kind: Comparison,
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
    refuse_missing(vectors, which)
    root = None
    if covariance is not None:
        if not kind.whitens:
            raise ValueError(f"A covariance is for whitened comparisons, not for {kind.name!r}.")
        root = contrast_root(covariance, count_conditions(vectors.shape[1]))
    if root is not None:
        vectors = np.stack([whiten_vector(kind.prepare(vector), root) for vector in vectors])
    elif kind.ranks:
        vectors = kind.prepare_rows(vectors)
    known = tuple(condition_labels(side)) if labels is None else labels
    return PreparedRDMs(known, kind.name, vectors, covariance)


def _same(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)


def _get_vectors(side: RDMs | PreparedRDMs) -> np.ndarray:
    if isinstance(side, PreparedRDMs):
        return side.vectors
    vectors = np.asarray(side.dissimilarities)
    if vectors.dtype.kind not in "biuf":
        raise ValueError(f"The RDMs hold {vectors.dtype}; dissimilarities are real numbers.")
    return vectors


def refuse_missing(vectors: np.ndarray, which: str) -> None:
    """Raise ValueError for RDMs (rdm, pair) that are not finite."""
    missing = np.flatnonzero(~np.isfinite(vectors.sum(1))).tolist()
    if missing:
        raise ValueError(
            f"The {which} RDMs cannot be compared: numbers {missing} hold NaN. Leave out stimuli "
            "or layers without responses first, or compare_rdms(..., missing='pairwise')."
        )


def _refuse_flat(vectors: np.ndarray, which: str, kind: Comparison) -> None:
    """Raise ValueError for RDMs (rdm, pair) that resemble nothing."""
    own = np.array([kind.similarity(row[np.newaxis], row[np.newaxis]).item() for row in vectors])
    flat = np.flatnonzero(~np.isfinite(own)).tolist()
    if flat:
        raise ValueError(
            f"The {which} RDMs cannot be compared: numbers {flat} are "
            f"{'constant' if kind.centres else 'zero throughout'}. Leave out layers without "
            "responses first."
        )
