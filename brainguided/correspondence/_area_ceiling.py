"""The ceiling of the RDM of one area, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from brainguided.correspondence._noise_effect import (
    NoiseEffect,
    correlate_with_truth,
    estimate_effect,
    multiply_halves,
)
from brainguided.correspondence._repetitions import Repetitions, gather_repetitions, halve
from brainguided.correspondence.committed_layers import compare_vectors
from brainguided.correspondence.standard_errors import SumsWithout, deviate, measure_spread
from brainguided.rdms.comparisons import find_comparison
from brainguided.rdms.compute import compute_rdms
from brainguided.rdms.conditions import condition_index
from brainguided.rdms.crossnobis import Noise
from brainguided.rdms.measures import find_measure
from brainguided.rdms.noise import compute_noise_precision
from brainguided.rdms.units import Units
from neural_data.errors import RecordingError
from neural_data.reliability.estimates import spearman_brown

INTERVAL_SPLITS = 10
"""Splits of which the influence of each unit is taken, where no closed form gives it."""


@dataclass(frozen=True, eq=False)
class AreaCeiling:
    """What ``compute_ceiling`` says of one area; by default, of one that has no halves.

    Attributes
    ----------
    reliability, ceiling : float
    interval : ndarray (bound,)
    usable, unbiased : bool
    stimuli : int
        How many have halves.
    deviations : ndarray (unit,) or None
        Of the ceiling, that each unit brings about; their sum of squares is its squared standard
        error. None where it is not known.
    """

    reliability: float = np.nan
    ceiling: float = np.nan
    interval: np.ndarray = field(default_factory=lambda: np.full(2, np.nan))
    usable: bool = False
    unbiased: bool = False
    stimuli: int = 0
    deviations: np.ndarray | None = None


def describe_ceiling(one: AreaCeiling) -> dict[str, Any]:
    """Return what is said of a ceiling, by name of variable."""
    return {
        "reliability": one.reliability, "ceiling": one.ceiling, "ceiling_interval": one.interval,
        "ceiling_usable": one.usable, "ceiling_unbiased": one.unbiased,
        "ceiling_stimuli": one.stimuli,
    }  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Estimate:
    """An estimate, the deviations (unit,) that units bring about, and their degrees of freedom."""

    value: float
    deviations: np.ndarray

    def interval(self) -> np.ndarray:
        """Return 95 % bounds, by Student's t."""
        from scipy.stats import t

        reach = t.ppf(0.975, len(self.deviations) - 1) * np.linalg.norm(self.deviations)
        return np.array([self.value - reach, self.value + reach])


def ceil_area(
    recording: xr.Dataset,
    rdm: dict[str, Any],
    method: str,
    units: Units,
    *,
    splits: int,
    seed: int,
) -> AreaCeiling:
    """Return what ``compute_ceiling`` says of one area, of whose conditions `units` are."""
    fewest = 2 * find_measure(rdm["measure"]).fewest_repetitions
    repetitions = gather_repetitions(recording, fewest)
    if repetitions is None:
        return AreaCeiling()
    rdm = rdm | {"noise": _fix_noise(recording, rdm["measure"], rdm["noise"])}
    halves = [halve(repetitions, np.random.default_rng([seed, k]), rdm) for k in range(splits)]
    r = np.array([compare_vectors(a[np.newaxis], b, method)[0] for a, b in halves])
    if np.isnan(r).any():
        raise RecordingError(
            "The halves of the repetitions cannot be compared: the RDM of one is constant or holds "
            "NaN. Set splits=0 for no ceilings, or leave out sites and stimuli without responses."
        )
    reliability = float(spearman_brown(float(r.mean()), factor=repetitions.factor))
    kept = _find_kept(recording, repetitions.recording, rdm["by"])
    own = units.select(kept)
    drawable = own.enough
    if not drawable:
        own = Units("condition", (np.arange(len(own.index)),))
    kind = find_comparison(method)
    effect = _estimate_effect(repetitions, rdm) if kind.draws == "weights" else None
    if effect is not None:
        measured = compute_rdms(repetitions.recording, **rdm).dissimilarities[0]
        products = multiply_halves(halves, measured, effect)
        ceiling, signal = _estimate_similarity(products, own, centred=kind.centres)
        interval = ceiling.interval()
    elif kind.draws:
        signal = _estimate_reliability(halves, r, (method, repetitions.factor), own, reliability)
        root = np.sqrt(max(reliability, 0.0))
        ceiling = _Estimate(root, signal.deviations / (2 * root if root else 1.0))
        interval = np.sqrt(np.maximum(signal.interval(), 0.0))
    else:
        ceiling = signal = _Estimate(np.sqrt(max(reliability, 0.0)), np.zeros(2))
        drawable = False
    usable = bool(reliability > 0 and ceiling.value > 0 and signal.interval()[0] > 0)
    of_all = np.zeros(units.number)
    if drawable:
        of_all[np.unique(units.index[kept])] = ceiling.deviations
    return AreaCeiling(
        reliability=reliability,
        ceiling=float(min(ceiling.value, 1.0)) if min(reliability, ceiling.value) > 0 else np.nan,
        interval=np.clip(interval, 0, 1) if drawable else np.full(2, np.nan),
        usable=usable,
        unbiased=effect is not None and effect.certain,
        stimuli=repetitions.recording.sizes["stimulus"],
        deviations=of_all if drawable else None,
    )


def may_divide(method: str, measure: str) -> bool:
    """Whether a similarity over a ceiling is one to the RDM without noise.

    By cosine that takes distances without bias: what noise adds resembles every layer.
    """
    return find_comparison(method).centres or find_measure(measure).noise == "none"


def _find_kept(recording: xr.Dataset, kept: xr.Dataset, by: str) -> np.ndarray:
    """Return the numbers of the conditions of which some stimuli are kept."""
    place = {label: k for k, label in enumerate(condition_index(recording, by)[1])}
    return np.array([place[label] for label in condition_index(kept, by)[1]])


def _estimate_similarity(
    products: np.ndarray, units: Units, *, centred: bool
) -> tuple[_Estimate, _Estimate]:
    """Return the similarity of the measured RDM and the true one, and the variance of this."""
    similarity, variance = correlate_with_truth(products.mean(1), centred=centred)
    without = SumsWithout(units)
    left = np.stack([without(row) / without.count for row in products])
    left_similarity, left_variance = correlate_with_truth(left, centred=centred)
    return (
        _Estimate(float(similarity), deviate(left_similarity)),
        _Estimate(float(variance), deviate(left_variance)),
    )


def _estimate_reliability(
    halves: list[tuple[np.ndarray, np.ndarray]],
    r: np.ndarray,
    how: tuple[str, float],
    units: Units,
    reliability: float,
) -> _Estimate:
    """Return the reliability with the deviations of its mean over some of the splits."""
    method, factor = how
    some = [
        measure_spread([a], b, units, method=method).deviations[:, 0] * (1 - similarity**2)
        for (a, b), similarity in zip(halves[:INTERVAL_SPLITS], r, strict=False)
    ]
    slope = factor / (1 + (factor - 1) * abs(r.mean())) ** 2  # of Spearman and Brown's formula
    return _Estimate(reliability, slope * np.mean(some, axis=0))


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
