"""Dissimilarities that need single repetitions: Mahalanobis and crossnobis distances."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from brainguided.conditions import condition_index
from brainguided.distances import crossnobis_distances, pattern_distances
from brainguided.noise import estimate_precision, read_repetitions
from neural_data.errors import RecordingError, format_names

Noise = str | Mapping[str, np.ndarray]


def noisy_distances(
    recording: xr.Dataset | None, mean: xr.DataArray, *, measure: str, noise: Noise, by: str
) -> np.ndarray:
    """Return Mahalanobis or crossnobis distances of one area: (pair,).

    Parameters
    ----------
    recording : xr.Dataset or None
        The area's sites, in one time bin; None if there are only mean responses.
    mean : xr.DataArray (condition, site)
        Mean response to each condition; its name is that of the area.
    measure : {"mahalanobis", "crossnobis"}
    noise : str or mapping of area to ndarray (site, site)
        How the precision of the noise is estimated, or the precision.
    by : str
        Coordinate whose values are the conditions.

    Raises
    ------
    RecordingError
        If there are no repetitions to take noise, or folds, from.
    ValueError
        If a precision that was given is not a symmetric, positive definite (site, site).
    """
    area, n_sites = str(mean.name), mean.shape[1]
    given = None if isinstance(noise, str) else noise.get(area)
    if not isinstance(noise, str) and given is None:
        raise ValueError(f"noise holds {sorted(noise)}; there is no precision for {area!r}.")
    if recording is None and (measure == "crossnobis" or (given is None and noise != "identity")):
        raise RecordingError(
            f"The responses of {area} hold no single repetitions, from which "
            f"{'distances are cross-validated' if measure == 'crossnobis' else 'noise is taken'}. "
            "Give a recording with its repetitions, or (for 'mahalanobis') noise={area: precision}."
        )
    values = shown = None
    if recording is not None and (measure == "crossnobis" or given is None):
        values, shown = read_repetitions(recording)
    if given is not None:
        precision = _check_precision(given, n_sites, area)
    elif values is None or shown is None:
        precision = np.eye(n_sites)
    else:
        precision = estimate_precision(values, shown, str(noise), mean[mean.dims[1]].values)
    whitening = np.linalg.cholesky(precision)
    if measure == "mahalanobis" or values is None or shown is None:
        return pattern_distances(mean.values @ whitening, "squared euclidean")
    index, labels = condition_index(recording, by)  # type: ignore[arg-type]
    folds, seen = _average_conditions(values, shown, index, len(labels))
    few = np.flatnonzero(seen.sum(0) < 2)
    if few.size:
        names = format_names(np.asarray(labels)[few])
        raise RecordingError(
            f"{few.size} of {len(labels)} conditions of {area} have fewer than two repetitions "
            f"({names}); cross-validation needs two. Leave them out with "
            "select_recording(recording, stimulus=...)."
        )
    centre = folds.sum(0).sum(0) / seen.sum()
    folds = np.where(seen[..., None], folds - centre, 0.0) @ whitening
    return crossnobis_distances(folds, seen)


def _average_conditions(
    values: np.ndarray, shown: np.ndarray, index: np.ndarray, number: int
) -> tuple[np.ndarray, np.ndarray]:
    """Average the stimuli of each condition within each repetition."""
    if number == len(index):
        return values, shown
    sums = np.zeros((len(values), number, values.shape[2]))
    counts = np.zeros((len(values), number))
    for k, condition in enumerate(index):
        sums[:, condition] += values[:, k]
        counts[:, condition] += shown[:, k]
    return sums / np.maximum(counts, 1)[..., None], counts > 0


def _check_precision(precision: np.ndarray, n_sites: int, area: str) -> np.ndarray:
    matrix = np.asarray(precision, dtype=float)
    if matrix.shape != (n_sites, n_sites):
        raise ValueError(
            f"The noise precision of {area} has shape {matrix.shape}; expected "
            f"({n_sites}, {n_sites}), one row and column a site, in the recording's order."
        )
    if not np.allclose(matrix, matrix.T, rtol=1e-8) or np.linalg.eigvalsh(matrix)[0] <= 0:
        raise ValueError(
            f"The noise precision of {area} is not symmetric and positive definite, as the inverse "
            "of a covariance is. See compute_noise_precision(recording)."
        )
    return matrix
