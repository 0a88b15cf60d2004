"""The bootstrap of the similarity of RDMs over stimuli and sites.

A draw with replacement gives each stimulus a number of times w that it came up. A pair of stimuli
then counts w_i w_j times, and pairs of a stimulus with itself, whose dissimilarity is 0 by
construction, are left out. All sums over pairs that a Pearson correlation or a cosine needs are
quadratic forms w' X w, which one matrix product gives for all draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from brainguided.rdms.compare import prepare_vector
from brainguided.rdms.comparisons import Comparison, find_comparison, list_comparisons
from brainguided.rdms.distances import square_matrix, upper_triangle
from brainguided.rdms.labels import check_alignment, condition_labels, name_rdms
from brainguided.rdms.measures import find_measure, pattern_distances
from brainguided.rdms.whitening import condition_sums

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs


def bootstrap_similarity(
    layer_rdms: RDMs,
    area_rdms: RDMs,
    *,
    draws: int = 1000,
    method: str = "pearson",
    seed: int = 0,
) -> xr.DataArray:
    """Return the similarity of layers and areas anew for stimuli drawn with replacement.

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
    seed : int, optional
        The same seed gives the same draws.

    Returns
    -------
    xr.DataArray (bootstrap, layer, area)
        Quantiles over ``bootstrap`` make intervals. NaN for an RDM that is constant.

    Raises
    ------
    AlignmentError
        If the conditions differ.
    ValueError
        If the method is another one, or there are fewer than 3 conditions.

    References
    ----------
    .. [1] Schuett, Kipnis, Diedrichsen & Kriegeskorte (2023), eLife 12:e82566.
    """
    labels = condition_labels(area_rdms)
    check_alignment(condition_labels(layer_rdms), labels, names=("The layers", "the areas"))
    times = draw_times(len(labels), draws, seed)
    values = weigh_similarity(
        list(layer_rdms.dissimilarities), list(area_rdms.dissimilarities), times, method=method
    )
    return xr.DataArray(
        values,
        dims=("bootstrap", "layer", "area"),
        coords={
            "layer": name_rdms(layer_rdms, "layer", unnamed="{}"),
            "area": name_rdms(area_rdms, "area", unnamed="{}"),
        },
        name="similarity",
        attrs={"method": method, "draws": draws, "seed": seed, "resampled": "stimulus"},
    )


def draw_times(number: int, draws: int, seed: int | Sequence[int]) -> np.ndarray:
    """Return how often each of `number` things came up in each draw: (draw, thing), float64."""
    if draws < 1:
        raise ValueError(f"draws is {draws}; expected 1 or more.")
    generator = np.random.default_rng(seed)
    return generator.multinomial(number, np.full(number, 1 / number), size=draws).astype(float)


def weigh_similarity(
    layers: Sequence[np.ndarray],
    areas: Sequence[np.ndarray],
    weights: np.ndarray,
    *,
    method: str = "pearson",
) -> np.ndarray:
    """Return the similarity of each layer to each area under weights of the conditions.

    Parameters
    ----------
    layers, areas : sequence of ndarray (pair,)
        Dissimilarities, all over the same conditions.
    weights : ndarray (draw, condition)
        A pair counts as the product of the weights of its conditions. Zeros and ones select a
        part of the conditions; multiplicities are a bootstrap draw.
    method : str
        As for `bootstrap_similarity`.

    Returns
    -------
    ndarray (draw, layer, area)
        NaN where one side does not vary.
    """
    kind = find_comparison(method)
    if kind.draws == "anew":
        return _compare_anew(layers, areas, weights, kind)
    if kind.draws != "weights":
        raise ValueError(
            f"Intervals of {method!r} cannot be computed: whitening is not defined for conditions "
            "drawn repeatedly, and Kendall's tau would take hours. Use one of "
            f"{list_comparisons(lambda row: bool(row.draws))}, or set draws=0."
        )
    count = _form(None, weights)
    ys = [square_matrix(prepare_vector(area, method)) for area in areas]
    sums = [(_form(y, weights), _form(y**2, weights)) for y in ys]
    result = np.empty((len(weights), len(layers), len(areas)))
    for k, layer in enumerate(layers):
        x = square_matrix(prepare_vector(layer, method))
        sum_x, sum_xx = _form(x, weights), _form(x**2, weights)
        for n, (y, (sum_y, sum_yy)) in enumerate(zip(ys, sums, strict=True)):
            sum_xy = _form(x * y, weights)
            result[:, k, n] = _correlate(
                count, sum_x, sum_xx, sum_xy, sum_y, sum_yy, centred=kind.centres
            )
    return result


def bootstrap_sites(
    layers: Sequence[np.ndarray],
    patterns: np.ndarray,
    site_times: np.ndarray,
    condition_times: np.ndarray | None = None,
    *,
    measure: str = "correlation",
    method: str = "pearson",
) -> np.ndarray:
    """Return the similarity of layers to an area whose sites (and stimuli) are drawn.

    Parameters
    ----------
    layers : sequence of ndarray (pair,)
        Dissimilarities of each layer.
    patterns : ndarray (condition, site)
        Mean responses of the area.
    site_times : ndarray (draw, site)
        How often each site came up.
    condition_times : ndarray (draw, condition), optional
        How often each condition came up; once each by default.
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
    result = np.empty((len(site_times), len(layers)))
    for k, times in enumerate(site_times):
        drawn = np.repeat(np.arange(len(times)), times.astype(int))
        y = prepare_vector(pattern_distances(patterns[:, drawn], measure), method)
        weights = np.ones(len(patterns)) if condition_times is None else condition_times[k]
        pairs = upper_triangle(np.outer(weights, weights))
        weighted = pairs * y
        if condition_times is None:
            sum_x, sum_xx = vectors.sum(1), squares.sum(1)
        else:
            sum_x, sum_xx = vectors @ pairs, squares @ pairs
        result[k] = _correlate(
            pairs.sum(), sum_x, sum_xx, vectors @ weighted, weighted.sum(), weighted @ y,
            centred=kind.centres,
        )  # fmt: skip
    return result


def recentre_draws(
    draws: np.ndarray, estimate: np.ndarray, scale: np.ndarray | float = 1.0
) -> np.ndarray:
    """Return draws shifted to have the estimate as their mean, and scaled about it.

    Drawing with replacement leaves fewer different sites, so that an RDM is noisier in every draw
    than it is in truth, and all draws lie below the estimate; their spread is right. Parameters
    are arrays (draw, ...), (...) and (...).
    """
    recentred: np.ndarray = estimate + scale * (draws - draws.mean(0))
    return recentred


def stimulus_variance(
    layers: Sequence[np.ndarray], area: np.ndarray, *, method: str = "pearson"
) -> tuple[np.ndarray, np.ndarray]:
    """Return the variance of similarities over samples of stimuli, and that of bootstrap draws.

    To first order a similarity is a sum over pairs of stimuli of influences u_ij [1]_, a
    U-statistic [2]_: its variance has a part V1 that comes from stimuli and a part V2 from pairs.
    Draws with replacement have V1 + 3 V2, since the weight w_i w_j of a pair varies by itself as
    well; without correction intervals are too wide, above all where similarities are near 0.

    Parameters
    ----------
    layers : sequence of ndarray (pair,)
        Dissimilarities of each layer.
    area : ndarray (pair,)
        Dissimilarities of the area.
    method : {"pearson", "cosine"}

    Returns
    -------
    variance, of_draws : ndarray (layer,)
        V1 + V2, and V1 + 3 V2.

    References
    ----------
    .. [1] Hampel (1974), J. Am. Stat. Assoc. 69, 383-393 (of a correlation: Devlin et al. 1975).
    .. [2] van der Vaart (1998), Asymptotic Statistics, chapter 12.
    """
    y = _unit(prepare_vector(area, method))
    variance, of_draws = np.empty(len(layers)), np.empty(len(layers))
    for k, layer in enumerate(layers):
        x = _unit(prepare_vector(layer, method))
        influence = x * y - (x @ y) / 2 * (x**2 + y**2)
        sums = condition_sums(influence[np.newaxis])[0]
        n = len(sums)
        first, squares = float(sums @ sums), float(influence @ influence)
        pairs = max((squares - first / n) / (1 - 2 / n), 0.0) if n > 2 else 0.0
        variance[k] = max(first - pairs, pairs)
        of_draws[k] = first + squares
    return variance, of_draws


def combine_spread(
    stimulus: np.ndarray, site: np.ndarray, both: np.ndarray, variance: np.ndarray
) -> np.ndarray:
    """Return by how much draws of stimuli and sites at once have to be scaled.

    What belongs to neither factor alone but to both is once in the variance of each factor's own
    draws and three times in that of joint ones; it is to be counted once [1]_.

    Parameters
    ----------
    stimulus, site, both : ndarray (draw, layer)
        Draws of one factor and of both.
    variance : ndarray (layer,)
        Of stimuli, as from `stimulus_variance`.

    Returns
    -------
    ndarray (layer,)
        Factor for the joint draws.

    References
    ----------
    .. [1] Schuett et al. (2023), eLife 12:e82566, section on the two-factor bootstrap.
    """
    drawn, of_sites, joint = (np.var(d, axis=0) for d in (stimulus, site, both))
    shared = np.clip(joint - drawn - of_sites, 0, np.minimum(variance, of_sites))
    wanted = variance + of_sites - shared
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(joint > 0, np.sqrt(wanted / joint), 1.0)


def _form(matrix: np.ndarray | None, weights: np.ndarray) -> np.ndarray:
    """Return the sum over pairs of w_i w_j X_ij, for each row of weights."""
    total: np.ndarray
    if matrix is None:
        total = weights.sum(1) ** 2 - (weights**2).sum(1)
    else:
        total = np.einsum("ij,ij->i", weights @ matrix, weights)
    return total / 2


def _unit(vector: np.ndarray) -> np.ndarray:
    unit: np.ndarray = vector / np.sqrt(vector @ vector)
    return unit


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
    if centred:
        with np.errstate(invalid="ignore", divide="ignore"):
            xx, xy, yy = xx - x * x / count, xy - x * y / count, yy - y * y / count
    with np.errstate(invalid="ignore", divide="ignore"):
        r = xy / np.sqrt(xx * yy)
    return np.where((xx > 1e-12) & (yy > 1e-12), np.clip(r, -1, 1), np.nan)


def _compare_anew(
    layers: Sequence[np.ndarray],
    areas: Sequence[np.ndarray],
    weights: np.ndarray,
    kind: Comparison,
) -> np.ndarray:
    """Compare the pairs of each draw anew."""
    result = np.empty((len(weights), len(layers), len(areas)))
    matrices = [square_matrix(np.asarray(v, dtype=float)) for v in (*layers, *areas)]
    for k, times in enumerate(weights):
        drawn = np.repeat(np.arange(len(times)), times.astype(int))
        different = upper_triangle((drawn[:, None] != drawn[None, :]).astype(float)) > 0
        rows = np.stack(
            [kind.prepare(upper_triangle(m[np.ix_(drawn, drawn)])[different]) for m in matrices]
        )
        result[k] = kind.similarity(rows[: len(layers)], rows[len(layers) :])
    return result
