"""How alike the dissimilarity matrices (RDMs) of two halves of the repetitions are: numerics.

Patterns are arrays (site, stimulus). The RDM is 1 - Pearson r between the patterns of two
stimuli over sites; it is never formed where there are fewer sites than stimuli.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

from neural_data.model.site_blocks import as_slice
from neural_data.reliability.split_halves import (
    Group,
    average_halves,
    iterate_groups,
    sum_noise,
)
from neural_data.rounding import TOLERANCE

AREA_BYTES = 512 * 2**20
"""Responses of one area in so many time bins are in memory at a time."""
HALVES_BYTES = 64 * 2**20


@dataclass(frozen=True)
class HalfPatterns:
    """Patterns of both halves of the repetitions in one split and one time bin.

    Attributes
    ----------
    time_bin, split : int
    first, second : array (site, stimulus)
        Centred over sites and of length 1, or 0 where they do not vary.
    factor : float
        Variance of noise in a half over that in the mean of all repetitions, averaged over
        stimuli and sites; for `spearman_brown`.
    """

    time_bin: int
    split: int
    first: np.ndarray
    second: np.ndarray
    factor: float


def iterate_half_patterns(
    recording: xr.Dataset, sites: np.ndarray, priorities: np.ndarray, *, zscore: bool
) -> Iterator[HalfPatterns]:
    """Yield the patterns of both halves of every split, in every time bin.

    Parameters
    ----------
    recording : xarray.Dataset
    sites : array of bool (site)
        The sites of the area.
    priorities : array (split, repetition)
        See `draw_priorities`.
    zscore : bool
        Bring the mean of all repetitions at each site to mean 0 and length 1 over stimuli.

    Yields
    ------
    HalfPatterns
    """
    n_sites, n_stimuli = int(sites.sum()), recording.sizes["stimulus"]
    position = np.cumsum(sites) - 1
    n_bins = recording.sizes.get("time_bin", 1)
    bin_bytes = n_sites * n_stimuli * recording.sizes["repetition"] * 8
    bins = max(1, AREA_BYTES // bin_bytes)
    for start in range(0, n_bins, bins):
        part = recording
        if "time_bin" in recording["response"].dims:
            part = recording.isel(time_bin=slice(start, start + bins))
        pieces = [
            (position[members], groups)
            for members, groups in iterate_groups(part, wanted=sites, complete=True)
        ]
        noise = np.sum([len(members) * sum_noise(groups) for members, groups in pieces], axis=0)
        factor = float(noise[0] / noise[1])
        shape = (n_sites, min(bins, n_bins - start), n_stimuli)
        mean = np.empty((shape[1], n_sites, 1))
        for members, groups in pieces:
            mean[:, members, 0] = groups[0].mean.reshape(len(members), -1).T
        centre, scale = _find_scale(pieces, shape) if zscore else (0.0, 1.0)
        step = max(1, HALVES_BYTES // (16 * int(np.prod(shape))))
        for split in range(0, len(priorities), step):
            some = priorities[split : split + step]
            halves = _average_pieces(pieces, shape, some)
            for half in halves:
                if zscore:
                    half -= centre
                    half *= scale
                else:
                    half += mean
            for k in range(len(some)):
                for bin_ in range(shape[1]):
                    first, second = (np.ascontiguousarray(half[k, bin_]) for half in halves)
                    standardise(first, axis=0)
                    standardise(second, axis=0)
                    yield HalfPatterns(start + bin_, split + k, first, second, factor)


def standardise(values: np.ndarray, *, axis: int) -> None:
    """Centre in place along an axis and scale to length 1; what does not vary becomes 0."""
    mean = values.mean(axis=axis, keepdims=True)
    values -= mean
    if axis == values.ndim - 1:
        squares = np.einsum("...i,...i->...", values, values)[..., np.newaxis]
    else:
        squares = np.square(values).sum(axis=axis, keepdims=True)
    varies = squares > TOLERANCE**2 * (squares + values.shape[axis] * mean**2)
    values *= np.where(varies, 1 / np.sqrt(np.where(varies, squares, 1.0)), 0.0)


def correlate_grams(first: np.ndarray, second: np.ndarray) -> float:
    """Correlate the upper triangles of two correlation matrices of patterns, Pearson.

    The sum of products of two Gram matrices is the squared norm of ``first @ second.T``.
    """
    n = first.shape[1] * (first.shape[1] - 1)
    mean_a, mean_b = _sum_entries(first) / n, _sum_entries(second) / n
    covariance = _sum_products(first, second) / n - mean_a * mean_b
    square_a, square_b = _sum_products(first, first) / n, _sum_products(second, second) / n
    variance_a, variance_b = square_a - mean_a**2, square_b - mean_b**2
    if variance_a <= TOLERANCE * square_a or variance_b <= TOLERANCE * square_b:
        return 0.0
    similarity: float = covariance / float(np.sqrt(variance_a * variance_b))
    return similarity


def sum_by_stimulus(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Sum a, b, a a, b b and a b over the pairs of each stimulus with all others.

    a and b are the entries of the correlation matrices of the two halves: (5, stimulus). Half
    the sum over stimuli is that over the upper triangle.
    """
    square_a = np.einsum("sp,sp->p", first, first)
    square_b = np.einsum("sp,sp->p", second, second)
    pairs = ((first, first, square_a**2), (second, second, square_b**2))
    products = [np.einsum("sp,sp->p", (a @ b.T) @ b, a) - own for a, b, own in pairs]
    own = square_a * square_b
    products.append(np.einsum("sp,sp->p", (first @ second.T) @ second, first) - own)
    sums = [first.T @ first.sum(axis=1) - square_a, second.T @ second.sum(axis=1) - square_b]
    return np.stack([*sums, *products])


def _find_scale(
    pieces: list[tuple[np.ndarray, list[Group]]], shape: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Find what brings the mean of all repetitions to mean 0 and length 1: (time_bin, site, 1)."""
    n_sites, n_bins, n_stimuli = shape
    centre, scale = np.zeros((2, n_bins, n_sites, 1))
    for members, groups in pieces:
        whole = np.concatenate([group.values.mean(axis=1) for group in groups], axis=1)
        mean = whole.mean(axis=1)
        length = np.sqrt(np.square(whole - mean[:, np.newaxis]).sum(axis=1))
        size = np.abs(groups[0].mean) + np.abs(mean)
        varies = length > TOLERANCE * np.sqrt(length**2 + n_stimuli * size**2)
        inverse = np.where(varies, 1 / np.where(varies, length, 1.0), 0.0)
        centre[:, members, 0] = mean.reshape(len(members), n_bins).T
        scale[:, members, 0] = inverse.reshape(len(members), n_bins).T
    return centre, scale


def _average_pieces(
    pieces: list[tuple[np.ndarray, list[Group]]], shape: tuple[int, int, int], some: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Average each half of the repetitions: two arrays (split, time_bin, site, stimulus)."""
    n_sites, n_bins, n_stimuli = shape
    first = np.empty((len(some), n_bins, n_sites, n_stimuli))
    second = np.empty_like(first)
    for members, groups in pieces:
        for group in groups:
            for half, mean in zip((first, second), average_halves(group, some), strict=True):
                mean = mean.reshape(len(members), n_bins, len(some), -1).transpose(2, 1, 0, 3)
                rows, columns = as_slice(members), as_slice(group.stimuli)
                if isinstance(rows, slice) or isinstance(columns, slice):
                    half[:, :, rows, columns] = mean
                else:
                    half[:, :, rows[:, np.newaxis], columns] = mean
    return first, second


def _sum_products(a: np.ndarray, b: np.ndarray) -> float:
    diagonal = np.einsum("sp,sp->p", a, a) @ np.einsum("sp,sp->p", b, b)
    product = a @ b.T if a.shape[0] <= a.shape[1] else None
    if product is not None:
        return float(np.vdot(product, product) - diagonal)
    return float(np.vdot(a.T @ a, b.T @ b) - diagonal)


def _sum_entries(a: np.ndarray) -> float:
    total = a.sum(axis=1)
    return float(total @ total - np.vdot(a, a))
