"""The bootstrap of the similarity of RDMs over units of stimuli and over sites.

A draw with replacement gives each unit (a stimulus, or all stimuli of an object, a category, a
session) a number of times w that it came up. A pair of stimuli of different units then counts
w_u w_v times, one of the same unit w_u times: once in each copy. Pairs between two copies of a unit
are left out, as are those of a stimulus with itself, whose dissimilarity is 0 by construction. All
sums over pairs that a Pearson correlation or a cosine needs are quadratic forms in w, which one
matrix product gives for all draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from brainguided.rdms.compare import prepare_vector, refuse_missing
from brainguided.rdms.comparisons import Comparison, find_comparison, list_comparisons
from brainguided.rdms.distances import square_matrix, upper_triangle
from brainguided.rdms.labels import check_alignment, condition_labels, name_rdms
from brainguided.rdms.measures import find_measure, pattern_distances
from brainguided.rdms.units import UnitName, Units, find_rdm_units, refuse_few
from brainguided.rdms.variables import name_results
from neural_data.rounding import TOLERANCE

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs


def bootstrap_similarity(
    layer_rdms: RDMs,
    area_rdms: RDMs,
    *,
    draws: int = 1000,
    method: str = "pearson",
    unit: UnitName = None,
    seed: int = 0,
) -> xr.DataArray:
    """Return the similarity of layers and areas anew for units of stimuli drawn with replacement.

    These are plain draws: all lie below the estimate, as drawing leaves fewer different stimuli,
    and of few units their spread is too small. The intervals of ``compute_correspondence`` are
    corrected for both.

    Parameters
    ----------
    layer_rdms, area_rdms : rsatoolbox.rdm.RDMs
        Over the same conditions, in the same order. All draws are shared by all of them, so that
        differences between layers or areas may be taken of each draw.
    draws : int, optional
        How often stimuli are drawn.
    method : {"pearson", "cosine", "spearman"}, optional
        The comparison. The first two are exact quadratic forms, all draws at once; ranks are
        taken anew in every draw, which is some hundred times slower.
    unit : str or tuple of str, optional
        Descriptor of the conditions whose values were sampled, and are drawn; by default
        the coarsest of ``session``, ``category`` and ``object_name``: see ``Inference``.
    seed : int, optional
        The same seed gives the same draws.

    Returns
    -------
    xr.DataArray (bootstrap, layer, area)
        ``attrs["unit"]`` says what was drawn. NaN for an RDM that is constant.

    Raises
    ------
    AlignmentError
        If the conditions differ.
    ValueError
        If the method is another one, or there are fewer than 6 units.

    References
    ----------
    .. [1] Schuett, Kipnis, Diedrichsen & Kriegeskorte (2023), eLife 12:e82566.
    """
    labels = condition_labels(area_rdms)
    check_alignment(condition_labels(layer_rdms), labels, names=("The layers", "the areas"))
    refuse_missing(np.asarray(layer_rdms.dissimilarities), "layers'")
    refuse_missing(np.asarray(area_rdms.dissimilarities), "areas'")
    units = refuse_few(find_rdm_units(area_rdms, layer_rdms, unit=unit))
    times = draw_times(units.number, draws, seed)
    values = weigh_similarity(
        list(layer_rdms.dissimilarities),
        list(area_rdms.dissimilarities),
        times,
        method=method,
        units=units,
    )
    return name_results(
        xr.DataArray(
            values,
            dims=("bootstrap", "layer", "area"),
            coords={
                "layer": name_rdms(layer_rdms, "layer", unnamed="{}"),
                "area": name_rdms(area_rdms, "area", unnamed="{}"),
            },
            name="similarity",
            attrs={
                "method": method,
                "draws": draws,
                "seed": seed,
                "resampled": "stimulus",
                "unit": units.name,
            },
        )
    )


def draw_times(number: int, draws: int, seed: int | Sequence[int]) -> np.ndarray:
    """Return how often each of `number` things came up in each draw: (draw, thing), float64."""
    if draws < 1:
        raise ValueError(f"draws is {draws}; expected 1 or more.")
    generator = np.random.default_rng(seed)
    return generator.multinomial(number, np.full(number, 1 / number), size=draws).astype(float)


def refuse_undrawn(method: str) -> Comparison:
    """Return a comparison, or raise ValueError for one that has no intervals."""
    kind = find_comparison(method)
    if not kind.draws:
        raise ValueError(
            f"Intervals of {method!r} cannot be computed: whitening is not defined for conditions "
            "drawn repeatedly, and Kendall's tau would take hours. Use one of "
            f"{list_comparisons(lambda row: bool(row.draws))}, or set draws=0."
        )
    return kind


def weigh_similarity(
    layers: Sequence[np.ndarray],
    areas: Sequence[np.ndarray],
    weights: np.ndarray,
    *,
    method: str = "pearson",
    units: Units | None = None,
) -> np.ndarray:
    """Return the similarity of each layer to each area under weights of the units.

    Parameters
    ----------
    layers, areas : sequence of ndarray (pair,)
        Dissimilarities, all over the same conditions.
    weights : ndarray (draw, unit)
        A pair counts as the product of the weights of its units, one within a unit as the weight
        of that. Zeros and ones select a part of the units; multiplicities are a bootstrap draw.
    method : str
        As for `bootstrap_similarity`.
    units : Units, optional
        What is weighed; by default single conditions.

    Returns
    -------
    ndarray (draw, layer, area)
        NaN where one side does not vary.
    """
    kind = refuse_undrawn(method)
    index = np.arange(weights.shape[1]) if units is None else units.index
    if kind.draws == "anew":
        return _compare_anew(layers, areas, weights, kind, index)
    form = PairSums(index, weights)
    count = form(np.ones((len(index), len(index))) - np.eye(len(index)))
    ys = [square_matrix(prepare_vector(area, method)) for area in areas]
    sums = [(form(y), form(y * y)) for y in ys]
    result = np.empty((len(weights), len(layers), len(areas)))
    for k, layer in enumerate(layers):
        x = square_matrix(prepare_vector(layer, method))
        sum_x, sum_xx = form(x), form(x * x)
        for n, (y, (sum_y, sum_yy)) in enumerate(zip(ys, sums, strict=True)):
            sum_xy = form(x * y)
            result[:, k, n] = _correlate(
                count, sum_x, sum_xx, sum_xy, sum_y, sum_yy, centred=kind.centres
            )
    return result


def bootstrap_sites(
    layers: Sequence[np.ndarray],
    patterns: np.ndarray,
    site_times: np.ndarray,
    unit_times: np.ndarray | None = None,
    *,
    units: Units | None = None,
    measure: str = "correlation",
    method: str = "pearson",
) -> np.ndarray:
    """Return the similarity of layers to an area whose sites (and units of stimuli) are drawn.

    Parameters
    ----------
    layers : sequence of ndarray (pair,)
        Dissimilarities of each layer.
    patterns : ndarray (condition, site)
        Mean responses of the area.
    site_times : ndarray (draw, site)
        How often each site came up.
    unit_times : ndarray (draw, unit), optional
        How often each unit of stimuli came up; once each by default.
    units : Units, optional
        What the units are; by default single conditions.
    measure : str
        Of the area; one that needs mean responses only.
    method : {"pearson", "cosine"}

    Returns
    -------
    ndarray (draw, layer)
    """
    kind = find_comparison(method)
    if kind.draws != "weights" or find_measure(measure).distances is None:
        known = list_comparisons(lambda row: row.draws == "weights")
        raise ValueError(
            f"Sites cannot be drawn for {measure!r} compared by {method!r}: that needs a measure "
            f"of mean responses, and one of {known}. Draw stimuli only."
        )
    vectors = np.stack([prepare_vector(layer, method) for layer in layers])
    squares = vectors**2
    index = np.arange(len(patterns)) if units is None else units.index
    same = index[:, None] == index[None, :]
    result = np.empty((len(site_times), len(layers)))
    for k, times in enumerate(site_times):
        drawn = np.repeat(np.arange(len(times)), times.astype(int))
        y = prepare_vector(pattern_distances(patterns[:, drawn], measure), method)
        weights = np.ones(len(patterns)) if unit_times is None else unit_times[k][index]
        pairs = np.outer(weights, weights)
        pairs = upper_triangle(np.where(same, weights[:, None], pairs))
        weighted = pairs * y
        if unit_times is None:
            sum_x, sum_xx = vectors.sum(1), squares.sum(1)
        else:
            sum_x, sum_xx = vectors @ pairs, squares @ pairs
        result[k] = _correlate(
            pairs.sum(), sum_x, sum_xx, vectors @ weighted, weighted.sum(), weighted @ y,
            centred=kind.centres,
        )  # fmt: skip
    return result


def share_of_sum(
    stimulus: np.ndarray, site: np.ndarray, both: np.ndarray, variance: np.ndarray
) -> np.ndarray:
    """Return which part of the sum of two variances is that over stimuli and sites at once.

    What belongs to neither factor alone but to both is once in the variance of each factor's own
    draws and three times in that of joint ones; it is to be counted once [1]_.

    Parameters
    ----------
    stimulus, site, both : ndarray (draw, layer)
        Draws of one factor and of both.
    variance : ndarray (layer,)
        Over samples of units of stimuli.

    Returns
    -------
    ndarray (layer,)
        In [0.5, 1].

    References
    ----------
    .. [1] Schuett et al. (2023), eLife 12:e82566, section on the two-factor bootstrap.
    """
    drawn, of_sites, joint = (np.nanvar(d, axis=0) for d in (stimulus, site, both))
    shared = np.clip(joint - drawn - of_sites, 0, np.minimum(variance, of_sites))
    total = variance + of_sites
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, (total - shared) / total, 1.0)


class PairSums:
    """Sums over pairs of conditions, for each row of weights of their units."""

    def __init__(self, index: np.ndarray, weights: np.ndarray) -> None:
        self.weights, self.extra = np.ascontiguousarray(weights), weights / 2 - weights**2
        number = weights.shape[1]
        self.members: np.ndarray | None = None
        if len(index) > number:
            self.members = np.zeros((len(index), number))
            self.members[np.arange(len(index)), index] = 1.0

    def __call__(self, matrix: np.ndarray) -> np.ndarray:
        """Return half the sum of all entries of a symmetric matrix: (draw,)."""
        from scipy.linalg.blas import dtrmm

        if self.members is not None:
            matrix = self.members.T @ matrix @ self.members
        # BLAS counts columns first: what is its lower triangle is our upper one.
        above = dtrmm(1.0, np.ascontiguousarray(matrix).T, self.weights.T, lower=1).T
        products = np.einsum("ij,ij->i", above, self.weights)
        sums: np.ndarray = products + self.extra @ np.diag(matrix)
        return sums


def _correlate(
    count: np.ndarray,
    x: np.ndarray,
    xx: np.ndarray,
    xy: np.ndarray,
    y: np.ndarray,
    yy: np.ndarray,
    *,
    centred: bool,
) -> np.ndarray:
    raw_x, raw_y = xx, yy
    with np.errstate(invalid="ignore", divide="ignore"):
        if centred:
            xx, xy, yy = xx - x * x / count, xy - x * y / count, yy - y * y / count
        r = xy / (np.sqrt(xx) * np.sqrt(yy))
    varies = (xx > TOLERANCE * raw_x) & (yy > TOLERANCE * raw_y)
    return np.where(varies, np.clip(r, -1, 1), np.nan)


def _compare_anew(
    layers: Sequence[np.ndarray],
    areas: Sequence[np.ndarray],
    weights: np.ndarray,
    kind: Comparison,
    index: np.ndarray,
) -> np.ndarray:
    """Compare the pairs of each draw anew."""
    result = np.empty((len(weights), len(layers), len(areas)))
    matrices = [square_matrix(np.asarray(v, dtype=float)) for v in (*layers, *areas)]
    for k, times in enumerate(weights):
        copies = np.repeat(np.arange(len(times)), times.astype(int))
        groups = [np.flatnonzero(index == unit) for unit in copies]
        drawn = np.concatenate(groups)
        copy = np.repeat(np.arange(len(groups)), [len(g) for g in groups])
        apart = index[drawn][:, None] != index[drawn][None, :]
        different = upper_triangle(apart | (copy[:, None] == copy[None, :]))
        rows = np.stack(
            [kind.prepare(upper_triangle(m[np.ix_(drawn, drawn)])[different]) for m in matrices]
        )
        result[k] = kind.similarity(rows[: len(layers)], rows[len(layers) :])
    return result
