"""How similar a model could be at best: noise ceilings of the RDMs of areas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray as xr

from brainguided.correspondence.bootstrap import draw_times, weigh_similarity
from brainguided.rdms.compare import compare_rdms
from brainguided.rdms.comparisons import find_comparison
from brainguided.rdms.compute import compute_rdms
from brainguided.rdms.crossnobis import Noise
from brainguided.rdms.measures import find_measure
from brainguided.rdms.noise import compute_noise_precision
from neural_data.errors import RecordingError
from neural_data.model.recording import check_structure, select_recording
from neural_data.reliability.estimates import spearman_brown
from neural_data.reliability.split_halves import draw_halves

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

    The repetitions are split into equal halves at random, and the RDMs of the halves compared. The
    mean over splits, corrected to all repetitions [1]_ (see ``spearman_brown``), is the reliability
    of the RDM; its root is the expected correlation of the measured RDM with one without noise
    [2]_. Each site's repetitions of a stimulus are halved whatever their numbers are, so that
    sessions may be pooled. Stimuli that any site saw only once (for "crossnobis", fewer than four
    times) have no halves: the ceiling is then that of the others, of which `ceiling_stimuli` says
    how many they are.

    Parameters
    ----------
    recording : xr.Dataset
        With repetitions; without time bins.
    by, measure, noise
        As for ``compute_rdms``. Noise is estimated once, from all repetitions, and halves are
        taken by it, as the measured RDM is.
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
        reliability is not above 0 or fewer than three stimuli have halves; `ceiling_interval`
        (area, bound); `ceiling_usable` (area): whether the interval of the reliability lies
        above 0. An RDM that is not reliably different from noise has no ceiling to divide by;
        `ceiling_stimuli` (area): of how many stimuli the ceiling is.

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
    rdm = {"by": by, "measure": measure, "noise": noise}
    for area in areas:
        part = select_recording(recording, area=area)
        found.append(_ceil_area(part, rdm, method, (splits, draws, seed)))
    reliability, ceiling, lower, upper, usable, number = map(np.array, zip(*found, strict=True))
    return xr.Dataset(
        {
            "reliability": ("area", reliability),
            "ceiling": ("area", ceiling),
            "ceiling_interval": (("area", "bound"), np.stack([lower, upper], 1)),
            "ceiling_usable": ("area", usable.astype(bool)),
            "ceiling_stimuli": ("area", number.astype(int)),
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


@dataclass(frozen=True)
class _Repetitions:
    """The responses of one area to the stimuli that were shown often enough, for halving.

    Attributes
    ----------
    recording : xr.Dataset
        In which the repetitions that a site saw of a stimulus come first, whatever their numbers
        were: sessions that were recorded apart have numbers of their own.
    counts : ndarray of int (stimulus, site)
        How many there are.
    factor : float
        Variance of noise in a half over that in the mean of all, for ``spearman_brown``.
    """

    recording: xr.Dataset
    counts: np.ndarray
    factor: float


def _gather_repetitions(recording: xr.Dataset, fewest: int) -> _Repetitions | None:
    """Leave out the stimuli with fewer repetitions at any site; None if fewer than 3 are left."""
    response = recording["response"].transpose("stimulus", "repetition", "site", ...)
    shown = ~np.isnan(response.values).reshape(*response.shape[:3], -1).all(3)
    counts = shown.sum(1)
    kept = np.flatnonzero((counts >= fewest).all(1))
    if len(kept) < 3:
        return None
    order = np.argsort(~shown[kept], axis=1, kind="stable")
    values = response.values[kept]
    packed = np.take_along_axis(values, order.reshape(*order.shape, *[1] * (values.ndim - 3)), 1)
    part = recording.isel(stimulus=kept)
    part = part.assign(response=response[kept].copy(data=packed))
    counts = counts[kept]
    return _Repetitions(part, counts, float(np.mean(1 / (counts // 2)) / np.mean(1 / counts)))


def _ceil_area(
    recording: xr.Dataset, rdm: dict[str, Any], method: str, settings: tuple[int, int, int]
) -> tuple[float, float, float, float, bool, int]:
    """Return reliability, ceiling, its bounds, whether it may be divided by, and of how many."""
    splits, draws, seed = settings
    fewest = 2 * find_measure(rdm["measure"]).fewest_repetitions
    repetitions = _gather_repetitions(recording, fewest)
    if repetitions is None:
        return np.nan, np.nan, np.nan, np.nan, False, 0
    rdm = rdm | {"noise": _fix_noise(recording, rdm["measure"], rdm["noise"])}
    halves = [_halve(repetitions, np.random.default_rng([seed, k]), rdm) for k in range(splits)]
    try:
        r = np.array([compare_rdms(a, b, method=method)[0, 0] for a, b in halves])
    except ValueError as cause:
        raise RecordingError(f"The halves of the repetitions cannot be compared: {cause}") from None
    factor = repetitions.factor
    reliability = float(spearman_brown(float(r.mean()), factor=factor))
    lower = upper = np.nan
    draws = draws if find_comparison(method).draws == "weights" else 0
    if draws:
        times = draw_times(halves[0][0].n_cond, draws, [seed, 1])
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
        drawn = np.clip(drawn + r.mean() - r[:INTERVAL_SPLITS].mean(), -1, 1)
        lower, upper = np.quantile(spearman_brown(drawn, factor=factor), [0.025, 0.975])
    usable = reliability > 0 and (lower > 0 if draws else True)
    root = [float(np.sqrt(v)) if v > 0 else 0.0 for v in (lower, upper)]
    ceiling = float(np.sqrt(reliability)) if reliability > 0 else np.nan
    bounds = root if np.isfinite(upper) else [np.nan, np.nan]
    n_stimuli = repetitions.recording.sizes["stimulus"]
    return reliability, ceiling, bounds[0], bounds[1], bool(usable), n_stimuli


def _fix_noise(recording: xr.Dataset, measure: str, noise: Noise) -> Noise:
    """Return the noise of all repetitions, as the measured RDM has it: halves may hold none."""
    if find_measure(measure).of_recording is None or noise == "identity":
        return noise
    if not isinstance(noise, str):
        return noise
    area = str(recording["area"].values[0])
    return {area: compute_noise_precision(recording, method=noise)}


def _halve(
    repetitions: _Repetitions, generator: np.random.Generator, rdm: dict[str, Any]
) -> tuple[RDMs, RDMs]:
    """Return the RDMs of two random halves of the repetitions of each stimulus at each site."""
    response, counts = repetitions.recording["response"], repetitions.counts
    values = response.values
    priorities = generator.random((1, values.shape[1]))
    masks = np.zeros((2, *values.shape[:3]), dtype=bool)
    for n in np.unique(counts).tolist():
        for mask, half in zip(masks, draw_halves(priorities, n), strict=True):
            mask[:, :n] |= half[0][None, :, None] & (counts == n)[:, None]
    rdms = []
    for mask in masks:
        half = np.where(mask.reshape(*mask.shape, *[1] * (values.ndim - 3)), values, np.nan)
        part = repetitions.recording.assign(response=response.copy(data=half))
        rdms.append(compute_rdms(part, **rdm))
    return rdms[0], rdms[1]
