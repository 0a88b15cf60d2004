"""The repetitions of one area, and random halves of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from brainguided.rdms.compute import compute_rdms
from brainguided.rdms.conditions import average_conditions
from brainguided.rdms.measures import find_measure
from neural_data.reliability.split_halves import draw_halves


@dataclass(frozen=True)
class Repetitions:
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


def gather_repetitions(recording: xr.Dataset, fewest: int) -> Repetitions | None:
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
    return Repetitions(part, counts, float(np.mean(1 / (counts // 2)) / np.mean(1 / counts)))


def halve(
    repetitions: Repetitions, generator: np.random.Generator, rdm: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the dissimilarities (pair,) of two random halves of the repetitions.

    Of each stimulus at each site, whose repetitions are halved whatever their number is.
    """
    response, counts = repetitions.recording["response"], repetitions.counts
    values = response.values
    priorities = generator.random((1, values.shape[1]))
    masks = np.zeros((2, *values.shape[:3]), dtype=bool)
    for n in np.unique(counts).tolist():
        for mask, half in zip(masks, draw_halves(priorities, n), strict=True):
            mask[:, :n] |= half[0][None, :, None] & (counts == n)[:, None]
    masks = masks.reshape(*masks.shape, *[1] * (values.ndim - 3))
    first, second = (_compute_half(repetitions.recording, mask, rdm) for mask in masks)
    return first, second


def _compute_half(recording: xr.Dataset, mask: np.ndarray, rdm: dict[str, Any]) -> np.ndarray:
    """Return the dissimilarities (pair,) of the repetitions that a mask leaves."""
    response = recording["response"]
    kind = find_measure(rdm["measure"])
    if kind.distances is not None:
        total = np.where(mask, response.values, 0.0).sum(1, dtype=float)
        mean = response.isel(repetition=0).copy(data=total / mask.sum(1))
        mean = mean.isel(time_bin=0, drop=True, missing_dims="ignore")
        patterns = average_conditions(mean, rdm["by"]).values
        if kind.undefined is None or not kind.undefined(patterns)[0].any():
            return kind.distances(patterns)
    half = np.where(mask, response.values, np.nan)
    part = recording.assign(response=response.copy(data=half))
    return np.asarray(compute_rdms(part, **rdm).dissimilarities[0])
