"""Split-half reliability of sites and of dissimilarity matrices, over repetitions."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import xarray as xr

from neural_data.errors import RecordingError, format_names
from neural_data.recording import validate_recording

T = TypeVar("T", float, np.ndarray, xr.DataArray)
BLOCK = 1000


def spearman_brown(r: T) -> T:
    """Predict the reliability of all repetitions from the correlation of two halves of them.

    ``2 r / (1 + r)`` [1]_: the correlation to be expected between the mean over all repetitions
    and the mean over as many new ones.

    Parameters
    ----------
    r : float, array or DataArray
        Pearson correlation of two halves, from -1 to 1.

    Returns
    -------
    float, array or DataArray
        Of the same kind; up to 1, and below 0 where `r` is.

    Raises
    ------
    ValueError
        A correlation lies outside -1 to 1.

    References
    ----------
    .. [1] Spearman (1910), Brown (1910). British Journal of Psychology 3, 271-295, 296-322.

    Examples
    --------
    >>> spearman_brown(0.5)
    0.6666666666666666
    """
    values = np.asarray(r, dtype=float)
    if (np.abs(values) > 1 + 1e-9).any():
        seen = values[np.abs(values) > 1 + 1e-9].flat[0]
        raise ValueError(f"A correlation of {seen:g}; expected values from -1 to 1.")
    if (values == -1).any():
        raise ValueError(
            "A correlation of -1 has no Spearman-Brown prediction (it is minus infinity)."
        )
    return 2 * r / (1 + r)


def compute_site_reliability(
    recording: xr.Dataset, *, splits: int = 100, seed: int = 0
) -> xr.DataArray:
    """Compute how reliable the responses of each site are, from 0 (noise) to 1.

    The repetitions are split at random into halves, averaged within each, and correlated over
    stimuli (Pearson); the mean over splits is corrected by `spearman_brown`. Halves are equal, so
    each split of an odd number of repetitions leaves one of them out, at random. Stimuli shown
    equally often are split alike, whatever repetitions they miss. A half that does not vary over
    stimuli counts as correlation 0.

    Parameters
    ----------
    recording : xarray.Dataset
        With at least two repetitions of every stimulus, and without time bins.
    splits : int
        Number of random splits.
    seed : int
        The same seed gives the same splits.

    Returns
    -------
    xarray.DataArray
        ``reliability (site)``, with the coordinates of the sites.

    Raises
    ------
    RecordingError
        The recording does not follow the schema, has a stimulus shown only once, fewer than
        three stimuli, or time bins.
    """
    counts, groups = _group_by_repetitions(recording, splits)
    rng = np.random.default_rng(seed)
    halves = {n: _draw_halves(n, splits, rng) for n in counts}
    n_sites = recording.sizes["site"]
    correlation = np.zeros(n_sites)
    for start in range(0, splits, BLOCK):
        block = {n: masks[start : start + BLOCK] for n, masks in halves.items()}
        correlation += _correlate_halves(groups, block).sum(axis=1)
    return xr.DataArray(
        spearman_brown(correlation / splits),
        dims="site",
        coords={k: c for k, c in recording.coords.items() if c.dims == ("site",)},
        name="reliability",
        attrs=_describe(recording, splits, seed),
    )


def compute_rdm_reliability(
    recording: xr.Dataset, *, splits: int = 100, seed: int = 0, zscore: bool = True
) -> xr.DataArray:
    """Compute how reliable the dissimilarity matrix (RDM) of each area is.

    As for sites, but it is the RDMs of the two halves, 1 - Pearson r between the patterns of
    any two stimuli over the sites of the area, whose upper triangles are correlated (Pearson).

    Parameters
    ----------
    recording : xarray.Dataset
        With at least two repetitions of every stimulus, three sites an area, no time bins.
    splits : int
        Number of random splits.
    seed : int
        The same seed gives the same splits.
    zscore : bool
        Standardise each site over stimuli, in each half by itself, so that sites with high
        rates do not decide alone. Without it the patterns share the mean response of the sites,
        which alone makes RDMs alike.

    Returns
    -------
    xarray.DataArray
        ``reliability (area)``, in the order in which the areas appear.

    Raises
    ------
    RecordingError
        As for sites, or an area has fewer than three sites.
    """
    counts, groups = _group_by_repetitions(recording, splits)
    areas = recording["area"].values.astype(str)
    names = list(dict.fromkeys(areas.tolist()))
    small = [area for area in names if (areas == area).sum() < 3]
    if small:
        raise RecordingError(
            f"Fewer than 3 sites in {format_names(small)}; the patterns of an RDM need at least "
            "3. Select the other areas: select_recording(recording, area=...)."
        )
    rng = np.random.default_rng(seed)
    halves = {n: _draw_halves(n, splits, rng) for n in counts}
    correlation = np.zeros(len(names))
    for split in range(splits):
        pair = _average_halves(groups, {n: masks[split] for n, masks in halves.items()})
        if zscore:
            pair = (_standardise(pair[0], axis=0), _standardise(pair[1], axis=0))
        for i, area in enumerate(names):
            first, second = (_standardise(half[:, areas == area], axis=1) for half in pair)
            correlation[i] += _correlate_grams(first, second)
    return xr.DataArray(
        spearman_brown(correlation / splits),
        dims="area",
        coords={"area": names},
        name="reliability",
        attrs=_describe(recording, splits, seed),
    )


def _describe(recording: xr.Dataset, splits: int, seed: int) -> dict[str, str | int]:
    return {
        "units": "Spearman-Brown corrected Pearson r",
        "source": recording.attrs["source"],
        "splits": splits,
        "seed": seed,
    }


def _group_by_repetitions(
    recording: xr.Dataset, splits: int
) -> tuple[list[int], dict[int, np.ndarray]]:
    """Gather the stimuli by their number of repetitions n, as arrays (site, n, stimulus)."""
    validate_recording(recording)
    if splits < 1:
        raise ValueError(f"splits is {splits}; expected at least 1.")
    if "time_bin" in recording["response"].dims:
        raise RecordingError(
            "The recording has time bins; reliability is that of one response. Take one bin, "
            "recording.isel(time_bin=0), or average them first."
        )
    values = recording["response"].values
    shown = ~np.isnan(values[:, :, 0])
    counts = shown.sum(axis=1)
    problems = []
    if (counts < 2).any():
        once = recording["stimulus"].values[counts < 2]
        problems.append(
            f"{len(once)} of {len(counts)} stimuli were shown only once ({format_names(once)}), "
            "and split halves need two repetitions: select the others with "
            "select_recording(recording, stimulus=...), or bring the single repetitions"
        )
    if len(counts) < 3:
        problems.append(f"there are {len(counts)} stimuli; a correlation needs at least 3")
    if problems:
        raise RecordingError(f"Reliability cannot be computed: {'; '.join(problems)}.")
    # Moving the mean of a site to 0 keeps sums of products precise and correlations the same.
    mean = np.asarray(np.nanmean(values, axis=(0, 1), dtype=np.float64))
    groups = {}
    for n in np.unique(counts).tolist():
        members = np.flatnonzero(counts == n)
        if shown.all():
            kept = values
        else:
            kept = values[members][shown[members]].reshape(len(members), n, -1)
        group = np.empty((values.shape[2], n, len(members)))
        np.subtract(kept.transpose(2, 1, 0), mean[:, np.newaxis, np.newaxis], out=group)
        groups[n] = group
    return list(groups), groups


def _draw_halves(n: int, splits: int, rng: np.random.Generator) -> np.ndarray:
    """Draw two halves of n repetitions, n // 2 each: bool (split, half, n)."""
    order = rng.random((splits, n)).argsort(axis=1)
    return np.stack([order < n // 2, (order >= n // 2) & (order < n // 2 * 2)], axis=1)


def _correlate_halves(groups: dict[int, np.ndarray], halves: dict[int, np.ndarray]) -> np.ndarray:
    """Correlate the means of two halves over stimuli: (site, split).

    Sums of products over stimuli are quadratic forms of the weights of the repetitions with
    their second moments (site, n, n), which are computed once for all splits.
    """
    shape = (next(iter(groups.values())).shape[0], next(iter(halves.values())).shape[0])
    n_stimuli = sum(group.shape[2] for group in groups.values())
    sums = np.zeros((2, *shape))
    products = np.zeros((3, *shape))
    for n, group in groups.items():
        weights = halves[n] / (n // 2)
        moments = (group @ group.transpose(0, 2, 1)).reshape(-1, n * n)
        totals = group.sum(axis=2)
        for i in range(2):
            sums[i] += totals @ weights[:, i].T
        for k, (i, j) in enumerate(((0, 0), (1, 1), (0, 1))):
            pairs = weights[:, i, :, np.newaxis] * weights[:, j, np.newaxis, :]
            products[k] += moments @ pairs.reshape(-1, n * n).T
    variance_a = products[0] - sums[0] ** 2 / n_stimuli
    variance_b = products[1] - sums[1] ** 2 / n_stimuli
    covariance = products[2] - sums[0] * sums[1] / n_stimuli
    varies = np.minimum(variance_a, variance_b) > 1e-12 * (products[0] + products[1])
    scale = np.sqrt(np.where(varies, variance_a * variance_b, 1.0))
    return np.where(varies, covariance / scale, 0.0)


def _average_halves(
    groups: dict[int, np.ndarray], halves: dict[int, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Average each half of the repetitions: two arrays (stimulus, site), stimuli by group."""
    first, second = (
        np.concatenate(
            [
                np.einsum("snp,n->ps", group, halves[n][i] / (n // 2), optimize=True)
                for n, group in groups.items()
            ]
        )
        for i in range(2)
    )
    return first, second


def _standardise(values: np.ndarray, *, axis: int) -> np.ndarray:
    """Centre along an axis and scale to length 1; what does not vary becomes 0."""
    centred = values - values.mean(axis=axis, keepdims=True)
    length = np.linalg.norm(centred, axis=axis, keepdims=True)
    size = np.linalg.norm(values, axis=axis, keepdims=True)
    varies = length > 1e-12 * size
    return np.where(varies, centred / np.where(varies, length, 1.0), 0.0)


def _correlate_grams(first: np.ndarray, second: np.ndarray) -> float:
    """Correlate the upper triangles of two correlation matrices, given patterns of length 1.

    ``first @ first.T`` is never formed where there are fewer sites than stimuli: the sum of
    products of two Gram matrices is the squared norm of ``first.T @ second``.
    """

    def sum_products(a: np.ndarray, b: np.ndarray) -> float:
        diagonal = float(((a**2).sum(axis=1) * (b**2).sum(axis=1)).sum())
        if a.shape[1] <= a.shape[0]:
            return float(((a.T @ b) ** 2).sum()) - diagonal
        return float(((a @ a.T) * (b @ b.T)).sum()) - diagonal

    def sum_entries(a: np.ndarray) -> float:
        return float((a.sum(axis=0) ** 2).sum() - (a**2).sum())

    n_pairs = first.shape[0] * (first.shape[0] - 1)
    mean_a, mean_b = sum_entries(first) / n_pairs, sum_entries(second) / n_pairs
    covariance = sum_products(first, second) / n_pairs - mean_a * mean_b
    variance_a = sum_products(first, first) / n_pairs - mean_a**2
    variance_b = sum_products(second, second) / n_pairs - mean_b**2
    if min(variance_a, variance_b) <= 1e-12:
        return 0.0
    return covariance / float(np.sqrt(variance_a * variance_b))
