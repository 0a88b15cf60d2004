"""Random halves of the repetitions, and the means of the halves over stimuli: pure numerics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

from neural_data.errors import format_names, raise_problems
from neural_data.model.site_blocks import as_slice, iterate_sites
from neural_data.model.validation import ValueCheck, check_structure
from neural_data.rounding import TOLERANCE

GROUP_BYTES = 64 * 2**20
"""Responses of so many sites at a time are brought into the order in which they are used."""
CACHE_BYTES = 8 * 2**20
SPLIT_BLOCK = 1000


@dataclass(frozen=True)
class Group:
    """Responses of some channels to all stimuli that were shown to them equally often.

    A channel is a site, or one time bin of it; the bins of a site follow each other.

    Attributes
    ----------
    stimuli : array of int
        Positions of the stimuli in the recording.
    values : array (channel, repetition, stimulus)
        float64; the mean of the channel over everything it saw is removed, which keeps sums of
        products precise and correlations the same.
    mean : array (channel)
        The mean that was removed.
    """

    stimuli: np.ndarray
    values: np.ndarray
    mean: np.ndarray

    @property
    def n_repetitions(self) -> int:
        """How often these stimuli were shown."""
        return int(self.values.shape[1])


@dataclass(frozen=True)
class Moments:
    """Sums over the stimuli of a group: of responses, and of products of repetitions."""

    n_stimuli: int
    totals: np.ndarray
    products: np.ndarray


def draw_priorities(recording: xr.Dataset, splits: int, seed: int) -> np.ndarray:
    """Draw a number for each repetition in each split: (split, repetition), from 0 to 1."""
    if splits < 1:
        raise ValueError(f"splits is {splits}; expected at least 1.")
    check_structure(recording)
    return np.random.default_rng(seed).random((splits, recording.sizes["repetition"]))


def draw_halves(priorities: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Split n repetitions into halves of n // 2 each: two arrays of bool (split, n).

    The lowest priorities make one half, the highest the other; the middle one of an odd number
    is left out. Sites that miss a few of the last repetitions are thus split nearly as the
    others are.
    """
    rank = priorities[:, :n].argsort(axis=1).argsort(axis=1)
    return rank < n // 2, rank >= n - n // 2


def iterate_groups(
    recording: xr.Dataset, *, wanted: np.ndarray | None = None, complete: bool = False
) -> Iterator[tuple[np.ndarray, list[Group]]]:
    """Yield the responses of a few sites at a time, grouped by number of repetitions.

    Parameters
    ----------
    recording : xarray.Dataset
        Checked while it is read; at most two blocks of it are in memory.
    wanted : array of bool (site), optional
        Only these sites.
    complete : bool
        Whether each site must have seen each stimulus.

    Yields
    ------
    sites : array of int
        Positions of sites that saw and missed the same repetitions.
    groups : list of Group
        One for each number of repetitions, over the same channels.

    Raises
    ------
    RecordingError
        At the end, with all problems of all sites; from the first problem on nothing is yielded.
    """
    chosen = np.arange(recording.sizes["site"])
    if wanted is not None:
        chosen = chosen[wanted]
    offset = int(chosen[0])
    is_chosen = np.zeros(int(chosen[-1]) + 1 - offset, dtype=bool)
    is_chosen[chosen - offset] = True
    # A slice, since a file is read slowly by scattered sites.
    part = recording.isel(site=slice(offset, offset + len(is_chosen)))
    values = ValueCheck(part)
    counted = _CountCheck(part, complete)
    for sites, block in iterate_sites(part):
        values.add(sites, block)
        shown = ~np.isnan(block if block.ndim == 3 else block[..., 0])
        for members in _group_sites(shown, np.flatnonzero(is_chosen[sites])):
            pattern = shown[:, :, members[0]]
            counted.add(members + sites.start, pattern.sum(axis=1))
            if values.n_infinite or values.n_partly or counted.failed:
                continue
            size = pattern.size * (block.shape[3] if block.ndim == 4 else 1) * 8
            step = max(1, GROUP_BYTES // size)
            for start in range(0, len(members), step):
                some = members[start : start + step]
                yield some + sites.start + offset, _make_groups(block, pattern, some)
    problems = values.list_wrong_values() + counted.list_problems()
    raise_problems("Reliability cannot be computed", problems)


def compute_moments(groups: list[Group]) -> list[Moments]:
    """Sum over the stimuli of each group, once for all splits."""
    return [
        Moments(g.values.shape[2], g.values.sum(axis=2), g.values @ g.values.transpose(0, 2, 1))
        for g in groups
    ]


def sum_noise(groups: list[Group]) -> np.ndarray:
    """Sum, over stimuli, the variance of noise in the mean of a half and in that of all: (2,).

    In units of the variance of one repetition. The first over the second is the factor of
    `spearman_brown`.
    """
    total = np.zeros(2)
    for group in groups:
        n = group.n_repetitions
        total += len(group.stimuli) * np.array([1 / (n // 2), 1 / n])
    return total


def correlate_halves(moments: list[Moments], priorities: np.ndarray) -> np.ndarray:
    """Correlate the means of two halves over stimuli, Pearson: (channel, split).

    The means of the halves are half the sum and half the difference of two weightings of the
    repetitions, s + d and s - d: their sums of products over stimuli are quadratic forms of the
    weights with the products of repetitions. That of s needs no sum at all where no repetition
    is left out, for s is then the same in all splits. A half that does not vary gives 0.
    """
    shape = (len(moments[0].totals), len(priorities))
    sum_s, sum_d, ss, sd, dd = (np.zeros(shape) for _ in range(5))
    for group in moments:
        n = group.totals.shape[1]
        first, second = draw_halves(priorities, n)
        weight = 1 / (n // 2)
        d = (first.astype(np.float64) - second) * weight
        rows = group.products.sum(axis=2) * weight
        all_ss = rows.sum(axis=1, keepdims=True) * weight
        all_s = group.totals.sum(axis=1, keepdims=True) * weight
        dd += _weigh_products(group.products, d)
        sum_d += group.totals @ d.T
        sd += rows @ d.T
        if n % 2 == 0:
            ss += all_ss
            sum_s += all_s
            continue
        left_out = (~(first | second)).argmax(axis=1)
        own = np.einsum("cii->ci", group.products)[:, left_out] * weight**2
        ss += all_ss - 2 * weight * rows[:, left_out] + own
        sum_s += all_s - weight * group.totals[:, left_out]
        for k in range(n):
            mine = left_out == k
            sd[:, mine] -= weight * (group.products[:, k] @ d[mine].T)
    n_stimuli = sum(group.n_stimuli for group in moments)
    square_a, square_b = (ss + 2 * sd + dd) / 4, (ss - 2 * sd + dd) / 4
    sum_a, sum_b = (sum_s + sum_d) / 2, (sum_s - sum_d) / 2
    sums = (sum_a, sum_b, square_a, square_b, (ss - dd) / 4)
    return correlate_sums(sums, np.asarray(float(n_stimuli)))


def correlate_sums(sums: tuple[np.ndarray, ...], n: np.ndarray) -> np.ndarray:
    """Correlate a and b from the sums of a, b, a a, b b and a b over n pairs; 0 if one is flat."""
    a, b, aa, bb, ab = sums
    variance_a, variance_b = aa - a * a / n, bb - b * b / n
    varies = np.minimum(variance_a, variance_b) > TOLERANCE * (aa + bb)
    scale = np.sqrt(np.where(varies, variance_a * variance_b, 1.0))
    return np.where(varies, (ab - a * b / n) / scale, 0.0)


def average_halves(group: Group, priorities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average each half of the repetitions: two arrays (channel, split, stimulus)."""
    n = group.n_repetitions
    weights = np.concatenate(draw_halves(priorities, n)) / (n // 2)
    means = weights @ group.values
    return means[:, : len(priorities)], means[:, len(priorities) :]


def _weigh_products(products: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sum products (channel, n, n) by weights (split, n) along both n: (channel, split)."""
    result = np.empty((len(products), len(weights)))
    step = max(1, CACHE_BYTES // weights.nbytes)
    for start in range(0, len(products), step):
        some = slice(start, start + step)
        result[some] = np.einsum("ckn,kn->ck", weights @ products[some], weights)
    return result


def _group_sites(shown: np.ndarray, members: np.ndarray) -> list[np.ndarray]:
    """Group sites (last axis of shown) that saw and missed the same repetitions."""
    if not members.size:
        return []
    flat = shown.reshape(-1, shown.shape[2])
    if flat.all() or (flat == flat[:, members[:1]])[:, members].all():
        return [members]
    packed = np.ascontiguousarray(np.packbits(flat, axis=0).T)
    patterns: dict[bytes, list[int]] = {}
    for member in members.tolist():
        patterns.setdefault(packed[member].tobytes(), []).append(member)
    return [np.array(alike) for alike in patterns.values()]


def _make_groups(block: np.ndarray, pattern: np.ndarray, sites: np.ndarray) -> list[Group]:
    """Bring the responses of sites with one pattern (stimulus, repetition) into groups."""
    columns = as_slice(sites)
    counts = pattern.sum(axis=1)
    kept = np.argsort(~pattern, axis=1, kind="stable")
    parts = []
    for n in np.unique(counts[counts > 0]).tolist():
        stimuli = np.flatnonzero(counts == n)
        if n == pattern.shape[1] and len(stimuli) == len(pattern):
            seen = block[:, :, columns]
        elif isinstance(columns, slice):
            seen = block[stimuli[:, np.newaxis], kept[stimuli, :n], columns]
        else:
            seen = block[:, :, columns][stimuli[:, np.newaxis], kept[stimuli, :n]]
        seen = seen.reshape(*seen.shape[:3], -1).transpose(2, 3, 1, 0)
        values: np.ndarray = np.empty(seen.shape)
        np.copyto(values, seen)
        parts.append((stimuli, values.reshape(-1, n, len(stimuli))))
    mean = np.stack([values.sum(axis=(1, 2)) for _, values in parts]).sum(axis=0) / counts.sum()
    for _, values in parts:
        np.subtract(values, mean[:, np.newaxis, np.newaxis], out=values)
    return [Group(stimuli, values, mean) for stimuli, values in parts]


class _CountCheck:
    """Obstacles to split halves, gathered site by site."""

    def __init__(self, recording: xr.Dataset, complete: bool) -> None:
        self.recording = recording
        self.complete = complete
        self.once = np.zeros(recording.sizes["stimulus"], dtype=bool)
        self.sites_once: list[int] = []
        self.sites_lacking: list[int] = []
        self.sites_few: list[int] = []
        self.fewest = recording.sizes["stimulus"]
        self.failed = False

    def add(self, sites: np.ndarray, counts: np.ndarray) -> None:
        """Look at how often each stimulus was shown to some sites."""
        if (counts == 1).any():
            self.once |= counts == 1
            self.sites_once += sites.tolist()
        if self.complete and not counts.all():
            self.sites_lacking += sites.tolist()
        if (counts > 0).sum() < 3:
            self.fewest = min(self.fewest, int((counts > 0).sum()))
            self.sites_few += sites.tolist()
        self.failed = bool(self.sites_once or self.sites_lacking or self.sites_few)

    def list_problems(self) -> list[str]:
        """List what was found."""
        n_sites = self.recording.sizes["site"]
        problems = []
        if self.sites_once:
            names = self.recording["stimulus"].values[self.once]
            where = "" if len(self.sites_once) == n_sites else f" at {self._name(self.sites_once)}"
            problems.append(
                f"{len(names)} of {len(self.once)} stimuli were shown only once "
                f"({format_names(names)}){where}, and split halves need two repetitions: select "
                "the others with select_recording(recording, stimulus=...), or bring the single "
                "repetitions"
            )
        if self.sites_lacking:
            problems.append(
                f"{self._name(self.sites_lacking)} did not see every stimulus, which an RDM "
                "needs: keep those that did with select_complete(recording)"
            )
        if self.sites_few:
            where = "" if len(self.sites_few) == n_sites else f" at {self._name(self.sites_few)}"
            problems.append(
                f"there are {self.fewest} stimuli{where}; a correlation needs at least 3"
            )
        return problems

    def _name(self, sites: list[int]) -> str:
        names = self.recording["site"].values[sorted(sites)]
        return f"{len(names)} of {self.recording.sizes['site']} sites ({format_names(names)})"
