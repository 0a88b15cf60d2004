"""Dissimilarities that need single repetitions: Mahalanobis and crossnobis distances."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from brainguided.rdms.conditions import condition_index
from brainguided.rdms.distances import add_products, squared_distances, upper_triangle
from brainguided.rdms.noise import NOISES, check_noise, estimate_precision, read_repetitions
from brainguided.rdms.whitening import is_symmetric
from neural_data.errors import AlignmentError, RecordingError, format_names

Noise = str | Mapping[str, np.ndarray | xr.DataArray]


def mahalanobis_of_recording(
    recording: xr.Dataset | None, mean: xr.DataArray, *, noise: Noise, by: str
) -> np.ndarray:
    """Return Mahalanobis distances of the conditions of one area: (pair,).

    Parameters
    ----------
    recording : xr.Dataset or None
        The area's sites, in one time bin; None if there are only mean responses.
    mean : xr.DataArray (condition, site)
        Mean response to each condition; its name is that of the area.
    noise : str or mapping of area to ndarray (site, site)
        How the precision of the noise is estimated, or the precision.
    by : str
        Coordinate whose values are the conditions. Noise is the scatter of repetitions about the
        mean of their stimulus all the same: that stimuli of one object differ is no noise.

    Raises
    ------
    RecordingError
        If there are no repetitions to take noise from.
    AlignmentError
        If a precision that was given is labelled with other sites, or in another order.
    ValueError
        If a precision that was given is not a symmetric, positive definite (site, site).
    """
    area = str(mean.name)
    given = _find_precision(noise, area)
    if given is not None:
        precision = _check_precision(given, mean)
    elif isinstance(noise, str) and noise == "identity":
        precision = np.eye(mean.shape[1])
    elif recording is None:
        raise RecordingError(_lack_repetitions(area, "noise is taken"))
    else:
        values, shown = read_repetitions(recording)
        precision = estimate_precision(values, shown, str(noise), mean[mean.dims[1]].values)
    centred = mean.values - mean.values.mean(0)
    return squared_distances(centred @ np.linalg.cholesky(precision))


def crossnobis_of_recording(
    recording: xr.Dataset | None, mean: xr.DataArray, *, noise: Noise, by: str
) -> np.ndarray:
    """Return crossnobis distances of the conditions of one area: (pair,).

    Parameters, and what is refused, are those of `mahalanobis_of_recording`; every stimulus needs
    two repetitions.
    """
    area = str(mean.name)
    given = _find_precision(noise, area)
    if recording is None:
        raise RecordingError(_lack_repetitions(area, "distances are cross-validated"))
    values, shown = read_repetitions(recording)
    if given is not None:
        precision = _check_precision(given, mean)
    else:
        precision = estimate_precision(values, shown, str(noise), mean[mean.dims[1]].values)
    few = np.flatnonzero(shown.sum(0) < 2)
    if few.size:
        names = format_names(recording["stimulus"].values[few])
        raise RecordingError(
            f"{few.size} of {shown.shape[1]} stimuli of {area} have fewer than two repetitions "
            f"({names}); cross-validation needs two. Leave them out with "
            "select_recording(recording, stimulus=...)."
        )
    whitening = np.linalg.cholesky(precision)
    values -= values.sum((0, 1)) / shown.sum()
    values[~shown] = 0.0
    if by == "stimulus":
        return crossnobis_distances(values @ whitening, shown)
    groups, labels = condition_index(recording, by)
    if not shown.all():
        return crossnobis_distances(values @ whitening, shown, groups=groups)
    folds = _average_patterns(values, groups, len(labels))
    return crossnobis_distances(folds @ whitening, shown[:, : len(labels)])


def crossnobis_distances(
    patterns: np.ndarray, shown: np.ndarray, *, groups: np.ndarray | None = None
) -> np.ndarray:
    """Return cross-validated squared distances per unit between all pairs of conditions: (pair,).

    The inner product of two mean patterns is estimated by that of one in one repetition with the
    other in another, averaged over all ordered pairs of different repetitions in which they were
    shown; a squared distance is the sum of two such products less twice a third. Noise that is
    independent between repetitions has no part in the expected value, however often each pattern
    was shown [1]_. Where all were shown equally often this is leave-one-repetition-out; elsewhere
    it depends a little on the origin of the patterns (with mean 0 over the noise), so that they
    should have mean 0 over all conditions.

    Parameters
    ----------
    patterns : ndarray (repetition, condition, unit)
        Whitened responses; of a repetition that was not shown, 0.
    shown : ndarray of bool (repetition, condition)
        Each condition at least twice.
    groups : ndarray of int (condition,), optional
        Number of the group of each condition, from 0: distances are then between the mean
        patterns of groups, in which each member counts the same, however often it was shown.

    References
    ----------
    .. [1] Walther et al. (2016), NeuroImage 137, 188-200, equation 5.
    """
    n_units = patterns.shape[2]
    products = np.zeros((patterns.shape[1],) * 2)
    add_products(products, patterns.sum(0), 1.0)
    for repetition in patterns:
        add_products(products, repetition, -1.0)
    # What the same repetition contributes is gone; below the diagonal there is still nothing.
    counts = shown.astype(float)
    number = counts.sum(0)
    products /= np.outer(number, number) - counts.T @ counts
    if groups is not None:
        products = _average_groups(products, groups)
    own = np.diag(products).copy()
    products *= -2
    products += own[:, None]
    products += own[None, :]
    distances: np.ndarray = upper_triangle(products) / n_units
    return distances


def _lack_repetitions(area: str, taken: str) -> str:
    return (
        f"The responses of {area} hold no single repetitions, from which {taken}. Give a "
        "recording with its repetitions, or (for 'mahalanobis') noise={area: precision}."
    )


def _average_patterns(values: np.ndarray, groups: np.ndarray, number: int) -> np.ndarray:
    """Average responses (repetition, stimulus, site) over the stimuli of each condition."""
    sums = np.zeros((len(values), number, values.shape[2]))
    for k, group in enumerate(groups):
        sums[:, group] += values[:, k]
    return sums / np.bincount(groups)[:, None]


def _average_groups(products: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the mean of inner products, given above the diagonal, over the pairs of two groups."""
    products = products + np.triu(products, 1).T
    order = np.argsort(groups, kind="stable")
    counts = np.bincount(groups)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    sums = np.add.reduceat(products[order], starts, axis=0)
    return np.add.reduceat(sums[:, order], starts, axis=1) / np.outer(counts, counts)


def select_noise(noise: Noise, area: str, sites: np.ndarray) -> Noise:
    """Return the noise of some sites of an area, bool (site,): a precision is marginalised."""
    if isinstance(noise, str):
        return noise
    covariance = np.linalg.inv(np.asarray(noise[area], dtype=float))
    return {area: np.linalg.inv(covariance[np.ix_(sites, sites)])}


def _find_precision(noise: Noise, area: str) -> np.ndarray | xr.DataArray | None:
    """Return the precision that was given for an area, None if it is to be estimated."""
    if isinstance(noise, str):
        check_noise(noise)
        return None
    if not isinstance(noise, Mapping):
        raise ValueError(
            f"noise is a {type(noise).__name__}; it is one of {', '.join(map(repr, NOISES))}, or "
            f"names the precision of each area: noise={{{area!r}: precision}}."
        )
    if area not in noise:
        raise ValueError(f"noise holds {sorted(noise)}; there is no precision for {area!r}.")
    return noise[area]


def _check_precision(precision: np.ndarray | xr.DataArray, mean: xr.DataArray) -> np.ndarray:
    """Return a precision as an array, if it is one and of the sites of `mean`, in their order."""
    area, dim = mean.name, mean.dims[1]
    n_sites = mean.sizes[dim]
    matrix = np.asarray(precision, dtype=float)
    if matrix.shape != (n_sites, n_sites):
        raise ValueError(
            f"The noise precision of {area} has shape {matrix.shape}; expected "
            f"({n_sites}, {n_sites}), one row and column a site, in the recording's order."
        )
    if isinstance(precision, xr.DataArray) and "site" in precision.coords and dim in mean.coords:
        known = precision["site"].values.astype(str), mean[dim].values.astype(str)
        differ = np.flatnonzero(known[0] != known[1])
        if differ.size:
            k = differ[0]
            raise AlignmentError(
                f"The noise precision of {area} and the responses differ in {differ.size} of "
                f"{n_sites} sites, first at position {k} ({known[0][k]!r}, {known[1][k]!r}). "
                "Estimate it from the same recording, or bring both into one order by .sel."
            )
    if not is_symmetric(matrix) or np.linalg.eigvalsh(matrix)[0] <= 0:
        raise ValueError(
            f"The noise precision of {area} is not symmetric and positive definite, as the inverse "
            "of a covariance is. See compute_noise_precision(recording)."
        )
    return matrix
