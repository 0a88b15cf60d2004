"""Similarity of two sets of responses, up to rotation or unit by unit: held-out measures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from brainguided.rdms.conditions import order_patterns, refuse_undefined, stimulus_coords
from brainguided.rdms.labels import check_alignment
from brainguided.rdms.units import UnitName, check_permutations, find_units, join_labels, refuse_few
from brainguided.rdms.variables import name_results
from neural_data.rounding import TOLERANCE

Measure = Callable[[xr.DataArray, xr.DataArray], float]


def compute_procrustes(a: xr.DataArray, b: xr.DataArray) -> float:
    """Return the Procrustes similarity of two sets of responses to the same stimuli.

    The cosine of the angular shape distance [1]_: with the units of X and Y centred over stimuli
    and both scaled to Frobenius norm 1, the largest inner product of X and a rotation or reflection
    of Y, which is the nuclear norm of X'Y. The distance itself, a metric, is its arccos. 1 for
    responses that are rotations and scalings of each other; stricter than CKA about dimensions of
    small variance. Unrelated responses have values well above 0: see `permute_responses`.

    Parameters
    ----------
    a, b : xr.DataArray (stimulus, site) or (stimulus, unit)
        The same stimuli in the same order; the numbers of units may differ.

    Returns
    -------
    float
        0 to 1.

    Raises
    ------
    AlignmentError
        If the stimuli differ in number, name or order.
    RecordingError
        If responses are missing, or there are fewer than 3 stimuli.
    ValueError
        If one side does not vary over stimuli.

    References
    ----------
    .. [1] Williams, Kunz, Kornblith & Linderman (2021), NeurIPS 34, Generalized shape metrics on
       neural representations.

    Examples
    --------
    >>> x = xr.DataArray(
    ...     np.eye(4), dims=("stimulus", "unit"), coords={"stimulus": ["a", "b", "c", "d"]}
    ... )
    >>> round(compute_procrustes(x, 3 * x[:, ::-1]), 12)
    1.0
    """
    x, y = (_reduce(values) for values in _read_sides(a, b))
    return float(np.linalg.norm(x.T @ y, ord="nuc") / (np.linalg.norm(x) * np.linalg.norm(y)))


def compute_soft_matching(a: xr.DataArray, b: xr.DataArray) -> float:
    """Return the soft-matching similarity: units are matched one to one as far as numbers allow.

    The mean correlation of the tuning of matched units under the transport plan that makes it
    largest, every unit of a side having the same mass [1]_. With as many units on both sides it is
    the best permutation. Unlike RDMs, CKA and Procrustes it is sensitive to rotations: it is high
    only if single units are alike. Needs ``pip install "brainguided[transport]"``.

    Parameters
    ----------
    a, b : xr.DataArray (stimulus, site) or (stimulus, unit)
        The same stimuli in the same order; every unit has to vary over stimuli.

    Returns
    -------
    float
        -1 to 1; 1 if the units of one side are those of the other in another order. Unrelated units
        have values above 0, as the best of many matches is taken: see `permute_responses`.

    Raises
    ------
    AlignmentError
        If the stimuli differ in number, name or order.
    RecordingError
        If responses are missing, or there are fewer than 3 stimuli.
    ValueError
        If a unit does not vary over stimuli.
    ModuleNotFoundError
        If POT (Python Optimal Transport) is not installed.

    References
    ----------
    .. [1] Khosla & Williams (2024), Soft matching distance, UniReps, PMLR 243, arXiv 2311.09466.
    """
    try:
        import ot
    except ModuleNotFoundError as cause:
        raise ModuleNotFoundError(
            'Soft matching needs Python Optimal Transport: pip install "brainguided[transport]".'
        ) from cause
    units = []
    for values, which in zip(_read_sides(a, b), ("first", "second"), strict=True):
        size = np.linalg.norm(values, axis=0)
        silent = size <= TOLERANCE * size.max(initial=0.0)
        if silent.any():
            raise ValueError(
                f"{int(silent.sum())} of {len(size)} units of the {which} responses do not vary "
                "over stimuli, so that nothing correlates with them: leave them out."
            )
        units.append(values / size)
    correlation = units[0].T @ units[1]
    masses = [np.full(n, 1 / n) for n in correlation.shape]
    plan = ot.emd(*masses, 1 - correlation, numItermax=10_000_000)
    return float(np.clip(np.vdot(plan, correlation), -1.0, 1.0))


def permute_responses(
    measure: Measure,
    a: xr.DataArray,
    b: xr.DataArray,
    *,
    permutations: int = 1000,
    unit: UnitName = None,
    seed: int = 0,
) -> xr.Dataset:
    """Test a similarity of two sets of responses against permutations of the stimuli.

    Under the null hypothesis the units of stimuli of one side are exchangeable, and within them
    what is nested in them: any category may go with any other, any of its stimuli with any of the
    other's. Where units differ in size, a part of the larger one takes the place of the smaller.

    Parameters
    ----------
    measure : callable
        Of two arrays (stimulus, unit), to a number, such as `compute_procrustes`,
        `compute_soft_matching` or `compute_cka`.
    a, b : xr.DataArray (stimulus, site) or (stimulus, unit)
        The same stimuli in the same order.
    permutations : int
        Random orders of the stimuli of `b`.
    unit : str or tuple of str, optional
        Coordinate of the stimuli whose values were sampled; by default the coarsest of
        ``session``, ``category`` and ``object_name``. ``"stimulus"``: any stimulus may go with any
        other.
    seed : int
        Of the permutations.

    Returns
    -------
    xarray.Dataset (permutation)
        `similarity`; `null` (permutation); `p_value`: one-sided, (1 + number at least as similar) /
        (1 + permutations); `above_null`: similarity less the mean of the null.

    Raises
    ------
    ValueError
        If there are fewer than 6 units, permutations is no positive number, or the measure is not
        finite, as CKA is of responses that do not vary.
    """
    check_permutations(permutations)
    labels = join_labels(stimulus_coords(b), stimulus_coords(a))
    labels = {k: v for k, v in labels.items() if k != "stimulus"}
    units = refuse_few(find_units(labels, b.sizes["stimulus"], unit=unit))
    generator = np.random.default_rng([seed, 11])
    observed = measure(a, b)
    null = np.empty(permutations)
    for k in range(permutations):
        places, taken = units.permute(generator)
        one, other = a.isel(stimulus=places), b.isel(stimulus=taken)
        null[k] = measure(one, other.assign_coords(stimulus=one["stimulus"].values))
    undefined = int((~np.isfinite([observed, *null])).sum())
    if undefined:
        raise ValueError(
            f"The measure is not finite for {undefined} of {1 + permutations} orders of the "
            "stimuli; expected a number for each. Leave out responses that do not vary."
        )
    tolerance = TOLERANCE * max(abs(observed), float(np.abs(null).max()))
    p = (1 + int((null >= observed - tolerance).sum())) / (1 + permutations)
    return name_results(
        xr.Dataset(
            {
                "similarity": observed,
                "null": ("permutation", null),
                "p_value": p,
                "above_null": observed - float(null.mean()),
            },
            attrs={
                "measure": getattr(measure, "__name__", "measure"),
                "unit": units.name,
                "seed": seed,
            },
        )
    )


def _read_sides(a: xr.DataArray, b: xr.DataArray) -> list[np.ndarray]:
    """Return both sides (stimulus, unit) centred over stimuli, their labels checked."""
    sides, labels = [], []
    for responses in (a, b):
        name = str(getattr(responses, "name", None) or "responses")
        ordered = order_patterns(responses, name)
        refuse_undefined(ordered, name, "stimulus", measure="cka")
        values = ordered.values.astype(float)
        centred = values - values.mean(0)
        if np.linalg.norm(centred) <= TOLERANCE * np.linalg.norm(values):
            raise ValueError(f"{name} do not vary over stimuli; they resemble nothing.")
        labels.append([str(v) for v in ordered["stimulus"].values])
        sides.append(centred)
    check_alignment(labels[0], labels[1], names=("The first", "the second"))
    return sides


def _reduce(values: np.ndarray) -> np.ndarray:
    """Return responses with the same inner products of stimuli and at most as many units."""
    if values.shape[1] <= values.shape[0]:
        return values
    return np.asarray(np.linalg.qr(values.T, mode="r")).T
