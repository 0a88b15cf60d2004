"""Similarity of RDMs beyond what other RDMs explain: categories, pixels, another model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from brainguided.rdms.comparisons import find_comparison, list_comparisons
from brainguided.rdms.labels import check_alignment, condition_labels
from brainguided.rdms.ranks import rank_rows
from brainguided.rdms.units import UnitName, check_permutations, find_rdm_units, refuse_few
from brainguided.rdms.variables import name_results
from neural_data.rounding import TOLERANCE, is_flat

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

SINGULAR = 1e-10
"""Share of the variance of a control below which the others explain all of it."""


def compare_partial(a: RDMs, b: RDMs, given: RDMs, *, method: str = "pearson") -> np.ndarray:
    """Return the partial correlation of every RDM of `a` with every RDM of `b`.

    Both sides are regressed on *all* the RDMs of `given` jointly, with an intercept, and their
    residuals are correlated [1]_: what a layer and an area share beyond categories, pixels or
    another model. Entries are the pairs of conditions in the upper triangle.

    Parameters
    ----------
    a, b : rsatoolbox.rdm.RDMs
        Over the same conditions in the same order, e.g. layers and areas.
    given : rsatoolbox.rdm.RDMs
        One or more RDMs to control for, over the same conditions.
    method : {"pearson", "spearman"}
        "spearman" ranks the entries of all RDMs first (ties share their mean rank).

    Returns
    -------
    ndarray (len(a), len(b))
        In [-1, 1]; NaN where a side is constant or `given` explains all of it.

    Raises
    ------
    AlignmentError
        If the conditions differ in number, name or order.
    ValueError
        If an RDM holds NaN, the RDMs of `given` explain one another or leave no degree of freedom,
        or the method is unknown.

    References
    ----------
    .. [1] Fisher (1924), Metron 3, 329-332; for RDMs, Kriegeskorte, Mur & Bandettini (2008),
       Front. Syst. Neurosci. 2:4.

    Examples
    --------
    >>> from neural_data import simulate_macaque
    >>> from brainguided import compute_rdms
    >>> recording, _ = simulate_macaque(seed=0)
    >>> rdms = compute_rdms(recording, by="object_name")
    >>> compare_partial(rdms.subset("area", "V4"), rdms.subset("area", "IT"), rdms[1]).shape
    (1, 1)
    """
    first, second, controls = _read(method, a=a, b=b, given=given)
    basis = span_controls(controls)
    return np.asarray(
        np.clip(leave_residuals(first, basis) @ leave_residuals(second, basis).T, -1.0, 1.0)
    )


def permute_partial(
    a: RDMs,
    b: RDMs,
    given: RDMs,
    *,
    method: str = "pearson",
    permutations: int = 1000,
    unit: UnitName = None,
    seed: int = 0,
) -> xr.Dataset:
    """Test partial correlations of RDMs against permutations of the conditions.

    What `given` does not explain of `b` is put into another order of the conditions, regressed on
    `given` once more and correlated with the residuals of `a`: the permutation of Freedman and
    Lane [1]_, applied to a matrix of dissimilarities as in the partial Mantel test [2]_. Units
    that were sampled (categories, say) change places as wholes, with those of the same size, and
    within them what is nested in them.

    Parameters
    ----------
    a, b, given : rsatoolbox.rdm.RDMs
        As for `compare_partial`; at least 6 units.
    method : {"pearson", "spearman"}
        As for `compare_partial`.
    permutations : int
        Random orders of the conditions.
    unit : str or tuple of str, optional
        Descriptor of the conditions whose values were sampled; by default the coarsest of
        ``session``, ``category`` and ``object_name``.
    seed : int
        Of the permutations.

    Returns
    -------
    xarray.Dataset (a, b, permutation)
        `similarity` (a, b); `p_value` (a, b): one-sided, (1 + number at least as large) / (1 +
        permutations); `p_value_best` (b): of the largest over `a`, corrected for their number;
        `null` (permutation, a, b). NaN where the similarity is not defined: an RDM that is constant
        or that `given` explains.

    Raises
    ------
    AlignmentError, ValueError
        As `compare_partial`; also ValueError if there are fewer than 6 units, or most of them
        differ in size.

    References
    ----------
    .. [1] Freedman & Lane (1983), J. Bus. Econ. Stat. 1, 292-298.
    .. [2] Legendre (2000), J. Stat. Comput. Simul. 67, 37-73.
    """
    first, second, controls = _read(method, a=a, b=b, given=given)
    n = b.n_cond
    units = refuse_few(find_rdm_units(b, a, given, unit=unit))
    check_permutations(permutations)
    basis = span_controls(controls)
    fixed, rest = leave_residuals(first, basis), leave_residuals(second, basis)
    observed = np.clip(fixed @ rest.T, -1.0, 1.0)
    rows, columns = np.triu_indices(n, 1)
    squares = np.zeros((len(rest), n, n))
    squares[:, rows, columns] = squares[:, columns, rows] = rest
    generator = np.random.default_rng([seed, 14])
    null = np.empty((permutations, *observed.shape))
    for k in range(permutations):
        order = units.shuffle(generator)
        null[k] = fixed @ leave_residuals(squares[:, order[rows], order[columns]], basis).T
    p = _share_as_large(null, observed)
    defined = np.isfinite(observed)  # no permutation is as large as NaN, which proves nothing
    best = np.where(defined.any(0), np.where(defined, observed, -np.inf).max(0), np.nan)
    p_best = _share_as_large(np.where(defined, null, -np.inf).max(1), best)
    return name_results(
        xr.Dataset(
            {
                "similarity": (("a", "b"), observed),
                "p_value": (("a", "b"), p),
                "p_value_best": ("b", p_best),
                "null": (("permutation", "a", "b"), null),
            },
            attrs={"method": method, "given": given.n_rdm, "unit": units.name, "seed": seed},
        )
    )


def partition_variance(a: RDMs, b: RDMs, given: RDMs, *, method: str = "pearson") -> xr.Dataset:
    """Partition the variance of the RDM `b` into what `a`, `given` and both explain.

    Each part is a difference of the R squared of linear regressions of `b` on `given`, on an RDM
    of `a`, and on all of them (commonality analysis [1]_). The R squared are those of the fit
    itself: with few conditions or many controls compare them with a permutation of the conditions.

    Parameters
    ----------
    a : rsatoolbox.rdm.RDMs
        RDMs whose contribution is asked for, one at a time, e.g. layers.
    b : rsatoolbox.rdm.RDMs
        One RDM, e.g. of an area.
    given : rsatoolbox.rdm.RDMs
        RDMs of the competing explanation, entered together.
    method : {"pearson", "spearman"}
        As for `compare_partial`.

    Returns
    -------
    xarray.Dataset (rdm)
        `total`: R squared of all; `unique`: of `a` beyond `given`; `unique_given`: of `given`
        beyond `a`; `shared`: the rest, negative where one suppresses noise in the other.
        Coordinate ``layer`` where the RDMs of `a` have that descriptor.

    Raises
    ------
    AlignmentError, ValueError
        As `compare_partial`; also ValueError if `b` is not a single RDM.

    References
    ----------
    .. [1] Hebart, Bankson, Harel, Baker & Cichy (2018), eLife 7:e32816.
    """
    first, target, controls = _read(method, a=a, b=b, given=given)
    if len(target) != 1:
        raise ValueError(
            f"b holds {len(target)} RDMs; expected one, e.g. rdms.subset('area', 'IT')."
        )
    y = target[0] - target[0].mean()
    explained_by_given = _r_squared(y, span_controls(controls))
    alone = np.array([_r_squared(y, span_controls(row[None])) for row in first])
    total = np.array(
        [_r_squared(y, span_controls(np.vstack([row[None], controls]))) for row in first]
    )
    parts = {
        "total": total,
        "unique": total - explained_by_given,
        "unique_given": total - alone,
        "shared": alone + explained_by_given - total,
    }
    result = xr.Dataset({name: ("rdm", values) for name, values in parts.items()})
    for name in parts:
        result[name].attrs = {"long_name": f"{name} variance explained", "units": "R squared"}
    if "layer" in a.rdm_descriptors:
        result = result.assign_coords(layer=("rdm", [str(x) for x in a.rdm_descriptors["layer"]]))
    return result.assign_attrs(method=method, given=given.n_rdm)


def _read(method: str, **sides: RDMs) -> list[np.ndarray]:
    """Return the vectors (rdm, pair) of each side, ranked where asked for."""
    kind = find_comparison(method)
    if not kind.correlates:
        known = list_comparisons(lambda row: row.correlates)
        raise ValueError(f"method is {method!r}; partial similarities are by one of {known}.")
    labels = {
        name: condition_labels(rdms, name=f"The RDMs {name!r}") for name, rdms in sides.items()
    }
    names = list(sides)
    for name in names[1:]:
        check_alignment(labels[names[0]], labels[name], names=(f"{names[0]!r}", f"{name!r}"))
    found = []
    for name, rdms in sides.items():
        vectors = np.asarray(rdms.dissimilarities, dtype=float)
        if not np.isfinite(vectors).all():
            raise ValueError(
                f"{int((~np.isfinite(vectors)).sum())} entries of {name!r} are missing or "
                "infinite; expected RDMs without gaps: leave out the conditions concerned."
            )
        found.append(rank_rows(vectors) if kind.ranks else vectors)
    return found


def _share_as_large(null: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Return one-sided p-values from the null (permutation, ...); NaN where `observed` is."""
    p = (1 + (null >= observed - TOLERANCE).sum(0)) / (1 + len(null))
    return np.where(np.isfinite(observed), p, np.nan)


def span_controls(vectors: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis of a constant and the given vectors.

    Parameters
    ----------
    vectors : ndarray (control, pair)

    Returns
    -------
    ndarray (pair, 1 + control)

    Raises
    ------
    ValueError
        If one vector is explained by the others.
    """
    n = vectors.shape[1]
    centred = vectors - vectors.mean(1, keepdims=True)
    size = np.linalg.norm(centred, axis=1)
    whole = np.linalg.norm(vectors, axis=1)
    if (size <= SINGULAR * whole).any() or len(vectors) + 2 > n:
        raise ValueError(
            f"{len(vectors)} RDMs of {n} pairs were given to control for; expected RDMs that "
            "vary, and more pairs than RDMs."
        )
    left, strength, _ = np.linalg.svd((centred / size[:, None]).T, full_matrices=False)
    if strength[-1] ** 2 <= SINGULAR:
        raise ValueError(
            "The RDMs to control for explain one another (their correlation matrix is singular); "
            "expected independent ones: leave one of them out."
        )
    return np.column_stack([np.full(n, 1 / np.sqrt(n)), left])


def leave_residuals(vectors: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Return what a basis leaves of vectors, at length 1; NaN where it leaves nothing.

    Parameters
    ----------
    vectors : ndarray (rdm, pair)
    basis : ndarray (pair, number)
        As from `span_controls`.

    Returns
    -------
    ndarray (rdm, pair)
    """
    rest = vectors - (vectors @ basis) @ basis.T
    total = np.square(vectors - vectors.mean(1, keepdims=True)).sum(1)
    left = np.square(rest).sum(1)
    varies = ~is_flat(vectors) & (left > SINGULAR * total)
    size = np.where(varies, np.sqrt(left), np.nan)
    return np.asarray(rest / size[:, None])


def _r_squared(y: np.ndarray, basis: np.ndarray) -> float:
    """Return the share of the variance of the centred `y` that lies in a basis."""
    return float(np.square(basis.T @ y).sum() / np.square(y).sum())
