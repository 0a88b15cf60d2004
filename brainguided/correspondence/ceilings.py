"""How similar a model could be at best: noise ceilings of the RDMs of areas."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import xarray as xr

from brainguided.correspondence.bootstrap import draw_times, weigh_similarity
from brainguided.rdms.compare import compare_rdms
from brainguided.rdms.comparisons import find_comparison
from brainguided.rdms.compute import compute_rdms
from brainguided.rdms.conditions import condition_index
from brainguided.rdms.crossnobis import Noise
from brainguided.rdms.measures import find_measure
from neural_data.errors import RecordingError
from neural_data.model.recording import check_structure, select_recording
from neural_data.reliability.estimates import spearman_brown

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

INTERVAL_SPLITS = 10
"""Splits that are taken again for the stimuli of each draw."""


class NoiseCeiling(NamedTuple):
    """Bounds of the mean similarity that the best possible model has to several RDMs."""

    lower: float
    upper: float


def compute_ceiling(
    recording: xr.Dataset,
    *,
    by: str = "stimulus",
    measure: str = "correlation",
    noise: Noise = "shrinkage",
    method: str = "pearson",
    splits: int = 100,
    draws: int = 1000,
    seed: int = 0,
) -> xr.Dataset:
    """Return, for each area, the similarity that a model without error would have to its RDM.

    The repetitions are split into halves at random, and the RDMs of the halves compared. The mean
    over splits, corrected for the halved number of repetitions [1]_, is the reliability of the
    RDM; its root is the expected correlation of the measured RDM with one without noise [2]_.

    Parameters
    ----------
    recording : xr.Dataset
        With repetitions; without time bins.
    by, measure, noise
        As for ``rdm.compute_rdms``.
    method : str, optional
        As for ``comparisons.compare_rdms``.
    splits : int, optional
        Number of random halvings.
    draws : int, optional
        Bootstrap draws over stimuli for the interval, of the first 10 splits; 0 for none.
    seed : int, optional
        The same seed gives the same splits and draws.

    Returns
    -------
    xr.Dataset (area, bound)
        `reliability` (area): Spearman-Brown corrected; `ceiling` (area): its root, NaN where the
        reliability is not above 0 or there are fewer than two repetitions; `ceiling_interval`
        (area, bound); `ceiling_usable` (area): whether the interval of the reliability lies
        above 0. An RDM that is not reliably different from noise has no ceiling to divide by.

    Raises
    ------
    RecordingError
        If an RDM cannot be computed (see ``rdm.compute_rdms``).

    References
    ----------
    .. [1] Spearman (1910), Brown (1910). British Journal of Psychology 3, 271-295, 296-322.
    .. [2] Lage-Castellanos et al. (2019), PLoS Comput. Biol. 15(3):e1006397, section 2.2.
    """
    check_structure(recording)
    areas = list(dict.fromkeys(recording["area"].values.astype(str).tolist()))
    found = []
    for area in areas:
        part = _average_within(select_recording(recording, area=area), by)
        found.append(_ceil_area(part, measure, noise, method, (splits, draws, seed)))
    reliability, ceiling, lower, upper, usable = (np.array(v) for v in zip(*found, strict=True))
    return xr.Dataset(
        {
            "reliability": ("area", reliability),
            "ceiling": ("area", ceiling),
            "ceiling_interval": (("area", "bound"), np.stack([lower, upper], 1)),
            "ceiling_usable": ("area", usable.astype(bool)),
        },
        coords={"area": areas, "bound": ["lower", "upper"]},
        attrs={
            "by": by, "measure": measure, "method": method, "splits": splits, "draws": draws,
            "seed": seed,
        },
    )  # fmt: skip


def compute_noise_ceiling(rdms: RDMs, *, method: str = "cosine") -> NoiseCeiling:
    """Return the bounds of how similar a model can be, on average, to the RDMs of several animals.

    The upper bound is the mean similarity of the RDMs to their own (normalised) mean, which no
    model can exceed; the lower one, of each RDM to the mean of the others [1]_. For Pearson,
    cosine and their whitened kinds both follow from the similarities of all RDMs to each other.

    Parameters
    ----------
    rdms : rsatoolbox.rdm.RDMs
        Two or more, of the same conditions: one an animal or subject.
    method : str, optional
        As for ``comparisons.compare_rdms``. For ranks the mean is that of the ranks, which is only
        nearly the best.

    Returns
    -------
    NoiseCeiling
        ``lower`` and ``upper``.

    Raises
    ------
    ValueError
        If there are fewer than two RDMs, or one cannot be compared.

    References
    ----------
    .. [1] Nili et al. (2014), PLoS Comput. Biol. 10(4):e1003553.
    """
    if rdms.n_rdm < 2:
        raise ValueError(
            f"A noise ceiling needs the RDMs of two animals or more; there is {rdms.n_rdm}. From "
            "repetitions of one recording: compute_ceiling(recording)."
        )
    if find_comparison(method).averages:
        gram = compare_rdms(rdms, rdms, method=method)
        own, total = gram.sum(1), gram.sum()
        own_others = own - np.diag(gram)
        others = total - 2 * own + np.diag(gram)
        lower, upper = np.mean(own_others / np.sqrt(others)), np.mean(own / np.sqrt(total))
        return NoiseCeiling(float(lower), float(upper))
    return _rank_ceiling(rdms, method)


def _rank_ceiling(rdms: RDMs, method: str) -> NoiseCeiling:
    from rsatoolbox.rdm import RDMs as Container
    from scipy.stats import rankdata

    ranks = np.stack([rankdata(v) for v in rdms.dissimilarities])
    total = ranks.sum(0)
    labels = {k: list(v) for k, v in rdms.pattern_descriptors.items() if k != "index"}
    known = dict(rdms.descriptors)

    def mean_similarity(mean: np.ndarray, rows: np.ndarray) -> float:
        sides = [
            Container(v, descriptors=known, pattern_descriptors=dict(labels))
            for v in (mean[np.newaxis], rows)
        ]
        return float(compare_rdms(sides[0], sides[1], method=method).mean())

    rows = np.asarray(rdms.dissimilarities)
    lower = [mean_similarity(total - own, rows[k : k + 1]) for k, own in enumerate(ranks)]
    return NoiseCeiling(float(np.mean(lower)), mean_similarity(total, rows))


def _average_within(recording: xr.Dataset, by: str) -> xr.Dataset:
    """Average the stimuli of each condition within each repetition."""
    if by == "stimulus":
        return recording
    index, labels = condition_index(recording, by)
    response = recording["response"].transpose("stimulus", "repetition", "site", ...)
    values = response.values.astype(float)
    shown = ~np.isnan(values)
    shape = (len(labels), *values.shape[1:])
    sums, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, index, np.where(shown, values, 0.0))
    np.add.at(counts, index, shown)
    with np.errstate(invalid="ignore"):
        means = sums / counts
    coords = {k: v for k, v in recording.coords.items() if "stimulus" not in v.dims}
    grouped = xr.DataArray(means, dims=response.dims, coords=coords, attrs=response.attrs)
    return xr.Dataset({"response": grouped.assign_coords(stimulus=labels)}, attrs=recording.attrs)


def _ceil_area(
    recording: xr.Dataset, measure: str, noise: Noise, method: str, settings: tuple[int, int, int]
) -> tuple[float, float, float, float, bool]:
    """Return reliability, ceiling, its bounds, and whether it may be divided by."""
    splits, draws, seed = settings
    others = set(recording["response"].dims) - {"stimulus", "repetition"}
    shown = recording["response"].notnull().any(others)
    fewest = 2 * find_measure(measure).fewest_repetitions
    if int(shown.sum("repetition").min()) < fewest:
        return np.nan, np.nan, np.nan, np.nan, False
    halves = [
        _halve(recording, np.random.default_rng([seed, k]), measure, noise, fewest // 2)
        for k in range(splits)
    ]
    try:
        r = np.array([compare_rdms(a, b, method=method)[0, 0] for a, b in halves])
    except ValueError as cause:
        raise RecordingError(f"The halves of the repetitions cannot be compared: {cause}") from None
    reliability = float(spearman_brown(max(float(r.mean()), -0.999)))
    lower = upper = np.nan
    draws = draws if find_comparison(method).draws == "weights" else 0
    if draws:
        times = draw_times(recording.sizes["stimulus"], draws, [seed, 1])
        some = halves[:INTERVAL_SPLITS]
        drawn = np.mean(
            [
                weigh_similarity(
                    list(a.dissimilarities), list(b.dissimilarities), times, method=method
                )
                for a, b in some
            ],
            axis=0,
        )[:, 0, 0]
        # about the estimate from all splits
        drawn = np.clip(drawn + r.mean() - r[:INTERVAL_SPLITS].mean(), -0.999, 1)
        lower, upper = np.quantile(spearman_brown(drawn), [0.025, 0.975])
    usable = reliability > 0 and (lower > 0 if draws else True)
    root = [float(np.sqrt(v)) if v > 0 else 0.0 for v in (lower, upper)]
    ceiling = float(np.sqrt(reliability)) if reliability > 0 else np.nan
    bounds = root if np.isfinite(upper) else [np.nan, np.nan]
    return reliability, ceiling, bounds[0], bounds[1], bool(usable)


def _halve(
    recording: xr.Dataset,
    generator: np.random.Generator,
    measure: str,
    noise: Noise,
    fewest: int,
) -> tuple[RDMs, RDMs]:
    """Return the RDMs of two random halves of the repetitions of each stimulus."""
    response = recording["response"].transpose("stimulus", "repetition", "site", ...)
    values = response.values
    shown = ~np.isnan(values).reshape(*values.shape[:2], -1).all(2)
    priority = np.where(shown, generator.random(values.shape[1]), np.inf)
    rank = priority.argsort(1).argsort(1)
    number = shown.sum(1, keepdims=True)
    masks = rank < number // 2, (rank >= number - number // 2) & shown
    rdms = []
    for mask in masks:
        half = np.where(mask.reshape(*mask.shape, *[1] * (values.ndim - 2)), values, np.nan)
        part = recording.assign(response=response.copy(data=half))
        rdms.append(compute_rdms(part, measure=measure, noise=noise))
    return rdms[0], rdms[1]
