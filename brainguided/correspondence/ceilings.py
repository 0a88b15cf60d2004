"""How similar a model could be at best: noise ceilings of the RDMs of areas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, Unpack

import numpy as np
import xarray as xr

from brainguided.correspondence._noise_effect import (
    NoiseEffect,
    correlate_with_truth,
    estimate_effect,
    multiply_halves,
)
from brainguided.correspondence._repetitions import Repetitions, gather_repetitions, halve
from brainguided.correspondence.bootstrap import draw_times, weigh_similarity
from brainguided.rdms.compare import compare_rdms
from brainguided.rdms.comparisons import find_comparison
from brainguided.rdms.compute import compute_rdms
from brainguided.rdms.conditions import condition_index
from brainguided.rdms.crossnobis import Noise
from brainguided.rdms.labels import check_rdms
from brainguided.rdms.measures import find_measure
from brainguided.rdms.noise import compute_noise_precision
from brainguided.rdms.units import UnitName, Units, find_target_units
from neural_data.errors import RecordingError
from neural_data.model.patterns import zscore_sites
from neural_data.model.recording import check_structure, select_recording
from neural_data.reliability.estimates import spearman_brown

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

INTERVAL_SPLITS = 10
"""Splits that are taken again for the stimuli of each draw."""
UNKNOWN: dict[str, Any] = {
    "reliability": np.nan,
    "ceiling": np.nan,
    "ceiling_interval": np.full(2, np.nan),
    "ceiling_usable": False,
    "ceiling_unbiased": False,
    "ceiling_stimuli": 0,
}
"""What is said of an area that has no halves."""


class RDMSettings(TypedDict, total=False):
    """How the RDM was made of which a ceiling is: arguments of ``compute_rdms``."""

    by: str
    measure: str
    noise: Noise
    zscore: bool


DEFAULTS: RDMSettings = {
    "by": "stimulus", "measure": "correlation", "noise": "shrinkage", "zscore": False,
}  # fmt: skip


class NoiseCeiling(NamedTuple):
    """Bounds of the mean similarity that the best possible model has to several RDMs."""

    lower: float
    upper: float


def compute_ceiling(
    recording: xr.Dataset,
    *,
    method: str = "pearson",
    splits: int = 100,
    draws: int = 1000,
    unit: UnitName = None,
    seed: int = 0,
    **rdm: Unpack[RDMSettings],
) -> xr.Dataset:
    """Return, for each area, the similarity that a model without error would have to its RDM.

    The repetitions are split into equal halves at random, and the RDMs of the halves compared. The
    mean over splits, corrected to all repetitions [1]_ (see ``spearman_brown``), is the reliability
    of the RDM: its similarity to one of as many new repetitions.

    The ceiling is the expected correlation of the measured RDM with the one without noise. It is
    less than the root of the reliability where noise has a share in what the halves have in common:
    squared distances grow by the noise of both patterns, and correlations shrink by it, which is no
    matter as long as all stimuli are equally noisy, but rates vary with their mean, and stimuli may
    have been shown unequally often. For Pearson r of correlation, cosine, squared Euclidean and
    Mahalanobis distances the noise of each stimulus is estimated from its repetitions, removed from
    the RDMs of both halves (crossnobis has none), and the ceiling is

        ``cov(measured, truth) / sqrt(var(truth) var(measured))``,

    covariances over pairs of stimuli being taken between halves. Elsewhere (`ceiling_unbiased`
    false) it is the root of the reliability [2]_, and too high if stimuli are unequally noisy:
    prefer crossnobis there. By cosine it is too high even if all are equally noisy, as what noise
    adds to all distances counts as signal; crossnobis adds nothing.

    Drawing few units (8 categories, say) gives intervals that are too narrow: of 40 simulated
    recordings of 48 stimuli, 80 % held the truth for correlation and 68 % for squared Euclidean
    distances; intervals over their single stimuli 53 % and 28 %.

    Each site's repetitions of a stimulus are halved whatever their numbers are, so that sessions
    may be pooled. Stimuli that any site saw only once (for crossnobis, fewer than four times) have
    no halves: the ceiling is then that of the others, of which `ceiling_stimuli` says how many they
    are.

    Parameters
    ----------
    recording : xr.Dataset
        With repetitions; without time bins.
    method : str, optional
        As for ``comparisons.compare_rdms``.
    splits : int, optional
        Number of random halvings.
    draws : int, optional
        Bootstrap draws over units of stimuli for the interval; 0 for none.
    unit : str or tuple of str, optional
        The unit of stimuli that was sampled, a coordinate of the recording; by default the
        coarsest of ``session``, ``category`` and ``object_name``: see ``Inference``.
    seed : int, optional
        The same seed gives the same splits and draws.
    **rdm : optional
        `by`, `measure`, `noise` and `zscore`, as for ``compute_rdms`` and with the same defaults:
        those with which the RDM was made. Noise is estimated once, from all repetitions, and halves
        are taken by it, as the measured RDM is.

    Returns
    -------
    xr.Dataset (area, bound)
        `reliability` (area): Spearman-Brown corrected; `ceiling` (area), NaN where it or the
        reliability is not above 0, or fewer than three stimuli have halves; `ceiling_interval`
        (area, bound): 95 % of the draws, NaN with fewer than 6 units; `ceiling_usable` (area):
        whether what halves have in common, noise removed, is above 0 in 97.5 % of the draws (of
        single conditions, where there are fewer than 6 units). An RDM that is not reliably
        different from noise has no ceiling to divide by. `ceiling_unbiased` (area): whether the
        bias by noise is removed; `ceiling_stimuli` (area): of how many stimuli the ceiling is.

    Raises
    ------
    RecordingError
        If an RDM cannot be computed (see ``rdm.compute_rdms``).
    TypeError
        If `rdm` holds anything else.
    ValueError
        If the unit that is named is no coordinate of the stimuli or has fewer than 6 values.

    Warns
    -----
    UserWarning
        If a coordinate that groups the stimuli is ignored.

    References
    ----------
    .. [1] Spearman (1910), Brown (1910). British Journal of Psychology 3, 271-295, 296-322.
    .. [2] Lage-Castellanos et al. (2019), PLoS Comput. Biol. 15(3):e1006397, section 2.2.
    """
    unknown = sorted(set(rdm) - set(DEFAULTS))
    if unknown:
        raise TypeError(
            f"compute_ceiling() got {', '.join(unknown)}; of the RDM it takes "
            f"{', '.join(DEFAULTS)}."
        )
    made: dict[str, Any] = {**DEFAULTS, **rdm}
    check_structure(recording)
    recording = zscore_sites(recording) if made.pop("zscore") else recording
    areas = list(dict.fromkeys(recording["area"].values.astype(str).tolist()))
    found = []
    sampled = []
    for area in areas:
        part = select_recording(recording, area=area)
        sampled.append(find_target_units(part, made["by"], unit))
        found.append(_ceil_area(part, made, method, (splits, draws, seed), sampled[-1]))
    return xr.Dataset(
        {
            name: (("area", "bound")[: 1 + np.ndim(value)], np.array([one[name] for one in found]))
            for name, value in UNKNOWN.items()
        },
        coords={"area": areas, "bound": ["lower", "upper"]},
        attrs={
            "by": made["by"], "measure": made["measure"], "method": method, "splits": splits,
            "draws": draws, "unit": "; ".join(dict.fromkeys(units.name for units in sampled)),
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
    check_rdms(rdms)
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


def _ceil_area(
    recording: xr.Dataset,
    rdm: dict[str, Any],
    method: str,
    settings: tuple[int, int, int],
    units: Units,
) -> dict[str, Any]:
    """Return what `compute_ceiling` says of one area, of whose conditions `units` are."""
    splits, draws, seed = settings
    fewest = 2 * find_measure(rdm["measure"]).fewest_repetitions
    repetitions = gather_repetitions(recording, fewest)
    if repetitions is None:
        return UNKNOWN
    rdm = rdm | {"noise": _fix_noise(recording, rdm["measure"], rdm["noise"])}
    halves = [halve(repetitions, np.random.default_rng([seed, k]), rdm) for k in range(splits)]
    try:
        r = np.array([compare_rdms(a, b, method=method)[0, 0] for a, b in halves])
    except ValueError as cause:
        raise RecordingError(f"The halves of the repetitions cannot be compared: {cause}") from None
    reliability = float(spearman_brown(float(r.mean()), factor=repetitions.factor))
    kind = find_comparison(method)
    draws = draws if kind.draws == "weights" else 0
    own = _select_units(units, recording, repetitions.recording, rdm["by"])
    drawable = own.enough
    if not drawable:
        own = Units("condition", (np.arange(len(own.index)),))
    times = draw_times(own.number, draws, [seed, 1]) if draws else np.zeros((0, own.number))
    effect = (
        _estimate_effect(repetitions, rdm) if kind.centres and kind.draws == "weights" else None
    )
    if effect is None:
        drawn = _draw_reliability(halves, times, r, (method, repetitions.factor), own)
        ceiling, found, variance = (
            np.sqrt(max(reliability, 0.0)),
            np.sqrt(np.maximum(drawn, 0)),
            drawn,
        )
    else:
        vectors = [(a.dissimilarities[0], b.dissimilarities[0]) for a, b in halves]
        measured = compute_rdms(repetitions.recording, **rdm).dissimilarities[0]
        products = multiply_halves(vectors, measured, effect)
        ceiling = correlate_with_truth(products, np.ones((1, own.number)), own.index)[0][0]
        found, variance = correlate_with_truth(products, times, own.index)
    bounds = draws and drawable
    lower, upper = np.quantile(found, [0.025, 0.975]) if bounds else (np.nan, np.nan)
    usable = reliability > 0 and ceiling > 0
    usable = usable and (not draws or np.quantile(variance, 0.025) > 0)
    return {
        "reliability": reliability,
        "ceiling": float(ceiling) if reliability > 0 and ceiling > 0 else np.nan,
        "ceiling_interval": np.array([lower, upper]),
        "ceiling_usable": bool(usable),
        "ceiling_unbiased": effect is not None,
        "ceiling_stimuli": repetitions.recording.sizes["stimulus"],
    }


def _select_units(units: Units, recording: xr.Dataset, kept: xr.Dataset, by: str) -> Units:
    """Return the units of the conditions of which some stimuli are kept."""
    place = {label: k for k, label in enumerate(condition_index(recording, by)[1])}
    return units.select([place[label] for label in condition_index(kept, by)[1]])


def _draw_reliability(
    halves: list[tuple[RDMs, RDMs]],
    times: np.ndarray,
    r: np.ndarray,
    how: tuple[str, float],
    units: Units,
) -> np.ndarray:
    """Return the reliability for the units of each draw, about the estimate of all splits."""
    method, factor = how
    if not len(times):
        return np.zeros(0)
    some = [(list(a.dissimilarities), list(b.dissimilarities)) for a, b in halves]
    some = some[:INTERVAL_SPLITS]
    found = [weigh_similarity(a, b, times, method=method, units=units) for a, b in some]
    drawn = np.nan_to_num(np.mean(found, axis=0))  # one unit drawn again and again says nothing
    about = drawn[:, 0, 0] + r.mean() - r[:INTERVAL_SPLITS].mean()
    return np.asarray(spearman_brown(np.clip(about, -1, 1), factor=factor))


def _estimate_effect(repetitions: Repetitions, rdm: dict[str, Any]) -> NoiseEffect | None:
    """Return what noise does to the RDM of an area, if that is known of its measure."""
    recording = repetitions.recording
    values = recording["response"].isel(time_bin=0, missing_dims="ignore").values.astype(float)
    if find_measure(rdm["measure"]).of_recording is not None and rdm["noise"] != "identity":
        precision = rdm["noise"][str(recording["area"].values[0])]
        values = values @ np.linalg.cholesky(np.asarray(precision, dtype=float))
    groups = condition_index(recording, rdm["by"])[0]
    return estimate_effect(values, repetitions.counts, groups, rdm["measure"])


def _fix_noise(recording: xr.Dataset, measure: str, noise: Noise) -> Noise:
    """Return the noise of all repetitions, as the measured RDM has it: halves may hold none."""
    if find_measure(measure).of_recording is None or noise == "identity":
        return noise
    if not isinstance(noise, str):
        return noise
    area = str(recording["area"].values[0])
    return {area: compute_noise_precision(recording, method=noise)}
