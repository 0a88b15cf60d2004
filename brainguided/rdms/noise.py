"""Noise of recorded responses: how repetitions of one stimulus scatter, and over which sites."""

from __future__ import annotations

import numpy as np
import xarray as xr

from neural_data.errors import RecordingError, format_names
from neural_data.model.recording import check_structure
from neural_data.rounding import TOLERANCE

NOISES = ("shrinkage", "diagonal", "identity")


def compute_noise_precision(recording: xr.Dataset, *, method: str = "shrinkage") -> xr.DataArray:
    """Return the inverse of the covariance of noise between sites.

    Noise is what is left of a response when the mean over the repetitions of its stimulus is
    subtracted: the residuals have as many degrees of freedom as there are presentations beyond
    the first of each stimulus. They are the same whatever the conditions of an RDM are: stimuli of
    one object evoke different responses, and that is signal. The covariance is shrunk towards its
    diagonal by the amount that minimises the expected squared error [1]_, without which it could
    not be inverted where there are more sites than residuals.

    Parameters
    ----------
    recording : xr.Dataset
        One area or several, taken together; without time bins.
    method : {"shrinkage", "diagonal", "identity"}, optional
        "diagonal" takes the variances alone; "identity" assumes equal, independent noise of
        variance 1, which needs no repetitions.

    Returns
    -------
    xr.DataArray (site, other_site)
        Precision, in 1 / units squared.

    Raises
    ------
    RecordingError
        If no stimulus has two repetitions, repetitions are missing at some sites only, a site
        has no noise at all, or there are several time bins.
    ValueError
        If `method` is unknown.

    References
    ----------
    .. [1] Schaefer & Strimmer (2005), Stat. Appl. Genet. Mol. Biol. 4:32, table 2, target D.

    Examples
    --------
    >>> from neural_data import simulate_macaque
    >>> recording, _ = simulate_macaque(repetitions=3, n_v4=4, n_it=0)
    >>> dict(compute_noise_precision(recording).sizes)
    {'site': 4, 'other_site': 4}
    """
    check_structure(recording)
    if recording.sizes.get("time_bin", 1) > 1:
        raise RecordingError(
            f"The recording has {recording.sizes['time_bin']} time bins; noise is estimated in one "
            "window. Choose it: average_window(recording, start, end)."
        )
    values, shown = read_repetitions(recording)
    precision = estimate_precision(values, shown, method, recording["site"].values)
    names = recording["site"].values
    return xr.DataArray(
        precision,
        dims=("site", "other_site"),
        coords={"site": names, "other_site": names},
        name="noise_precision",
        attrs={"method": method},
    )


def check_noise(method: str) -> str:
    """Return the name of an estimate of noise, or raise ValueError with the known ones."""
    if method not in NOISES:
        raise ValueError(f"noise is {method!r}; it is one of {', '.join(map(repr, NOISES))}.")
    return method


def read_repetitions(recording: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return responses (repetition, stimulus, site) with 0 where not shown, and what was shown.

    Raises
    ------
    RecordingError
        If a repetition is missing at some sites and not at others.
    """
    response = recording["response"].isel(time_bin=0, drop=True, missing_dims="ignore")
    values = response.transpose("repetition", "stimulus", "site").values.astype(float)
    present = ~np.isnan(values)
    shown = present.any(2)
    partly = shown & ~present.all(2)
    if partly.any():
        sites = ~present[partly].all(0)
        names = recording["site"].values[sites]
        raise RecordingError(
            f"{int(partly.sum())} of {int(shown.sum())} presentations are missing at some sites "
            f"only ({format_names(names)}), so that noise shared by sites cannot be estimated. "
            "Leave these sites out with select_recording(recording, site=...), or use a measure "
            "that needs only mean responses."
        )
    values[~shown] = 0.0
    return values, shown


def estimate_precision(
    values: np.ndarray, shown: np.ndarray, method: str, sites: np.ndarray
) -> np.ndarray:
    """Return the precision (site, site) of responses (repetition, stimulus, site)."""
    check_noise(method)
    if method == "identity":
        return np.eye(values.shape[2])
    counts = shown.sum(0)
    if not (counts > 1).any():
        raise RecordingError(
            "Each stimulus has one repetition, so that there is nothing to estimate noise from. "
            "Bring single repetitions, or take noise='identity' or a measure without noise."
        )
    residuals = (values - values.sum(0) / np.maximum(counts, 1)[:, None])[shown & (counts > 1)]
    freedom = int((counts[counts > 1] - 1).sum())
    covariance = shrink_covariance(residuals, freedom, diagonal=method == "diagonal")
    size = (values**2).sum((0, 1)) / shown.sum()
    silent = np.flatnonzero(np.diag(covariance) <= TOLERANCE**2 * size)
    if silent.size:
        raise RecordingError(
            f"{silent.size} sites have no noise at all ({format_names(sites[silent])}): their "
            "response is the same in every repetition. Leave them out, or bring the single "
            "repetitions instead of copies of a mean."
        )
    return np.linalg.inv(covariance)


def shrink_covariance(residuals: np.ndarray, freedom: int, *, diagonal: bool) -> np.ndarray:
    """Return the covariance of residuals (observation, site) with its off-diagonal shrunk.

    Parameters
    ----------
    residuals : ndarray (observation, site)
        With mean 0 over observations.
    freedom : int
        Degrees of freedom of the residuals.
    diagonal : bool
        Shrink all the way: variances alone.
    """
    products = residuals.T @ residuals
    covariance = products / freedom
    variance = np.diag(covariance).copy()
    if diagonal or (variance <= 0).any():
        return np.diag(variance)
    number = len(residuals)
    scale = 1 / np.sqrt(variance)
    squares = residuals**2
    mean = products * np.outer(scale, scale) / (number - 1)
    mean_square = (squares.T @ squares) * np.outer(scale, scale) ** 2 / (number - 1)
    error = number / freedom**2 * (mean_square - mean**2)
    off = ~np.eye(len(variance), dtype=bool)
    spread = float(np.sum(mean[off] ** 2))
    amount = min(max(float(np.sum(error[off])) / spread, 0.0), 1.0) if spread > 0 else 1.0
    shrunk: np.ndarray = covariance * np.where(off, 1 - amount, 1.0)
    return shrunk
