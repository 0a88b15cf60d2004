"""Tests of similarities: against chance, of one layer or network against another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from brainguided.correspondence.committed_layers import compare_vectors
from brainguided.rdms.compare import prepare_vector
from brainguided.rdms.comparisons import find_comparison, list_comparisons
from brainguided.rdms.distances import count_conditions, square_matrix, upper_triangle
from brainguided.rdms.labels import check_alignment, condition_labels, name_rdms
from brainguided.rdms.units import UnitName, Units, find_rdm_units
from brainguided.rdms.whitening import condition_sums, whitened_products
from neural_data.errors import raise_problems

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

SHARED = ("method", "measure", "by", "resampled", "unit", "draws", "seed", "source", "history")
"""Attributes that correspondences have in common if their draws are the same."""
LAYER_BYTES = 512 * 2**20
"""Dissimilarities of layers that are multiplied with each permutation at a time."""


def permute_similarity(
    layer_rdms: RDMs,
    area_rdms: RDMs,
    *,
    permutations: int = 1000,
    method: str = "pearson",
    unit: UnitName = None,
    within: bool = False,
    seed: int = 0,
) -> xr.DataArray:
    """Return the similarity of layers to areas whose conditions are permuted at random.

    This is the distribution of similarities if layers and areas had nothing in common but which
    conditions belong to one unit. Units (categories, say) are exchanged as wholes, and within them
    what is nested in them: objects of a category, images of an object. Its maximum over layers is
    that of the best layer's similarity, which grows with their number.

    Parameters
    ----------
    layer_rdms, area_rdms : rsatoolbox.rdm.RDMs
        Over the same conditions, in the same order.
    permutations : int, optional
        How often the conditions are permuted.
    method : {"pearson", "cosine", "spearman", "rho-a", "whitened pearson", "whitened cosine"}
        Kendall's taus would take hours.
    unit : str or tuple of str, optional
        Descriptor of the areas' conditions whose values were sampled; by default the coarsest of
        ``session``, ``category`` and ``object_name``. ``"stimulus"`` permutes all conditions.
        Where units differ in size, a part of the larger one takes the place of the smaller, and
        the test is conservative.
    within : bool, optional
        Exchange conditions within units only: the distribution if layers and areas had nothing in
        common but what they say of whole units.
    seed : int, optional
        The same seed gives the same permutations.

    Returns
    -------
    xr.DataArray (permutation, layer, area)
        Similarity under each permutation, which is the same for all layers and areas.
        ``attrs["unit"]`` says what was permuted.

    Raises
    ------
    AlignmentError
        If the conditions differ.
    ValueError
        If the method is another one, or there are fewer than 6 units.

    References
    ----------
    .. [1] Winkler et al. (2015), Multi-level block permutation, NeuroImage 123, 253-268.
    """
    labels = condition_labels(area_rdms)
    check_alignment(condition_labels(layer_rdms), labels, names=("The layers", "the areas"))
    units = find_rdm_units(area_rdms, unit)
    values = np.stack(
        [
            permute_vectors(
                np.asarray(layer_rdms.dissimilarities),
                area,
                permutations,
                method=method,
                seed=seed,
                units=units,
                within=within,
            )
            for area in area_rdms.dissimilarities
        ],
        axis=2,
    )
    return xr.DataArray(
        values,
        dims=("permutation", "layer", "area"),
        coords={
            "layer": name_rdms(layer_rdms, "layer", unnamed="{}"),
            "area": name_rdms(area_rdms, "area", unnamed="{}"),
        },
        name="similarity",
        attrs={"method": method, "seed": seed, "unit": units.name, "within": int(within)},
    )


def permute_vectors(
    layers: np.ndarray,
    area: np.ndarray,
    permutations: int,
    *,
    method: str = "pearson",
    seed: int = 0,
    units: Units | None = None,
    within: bool = False,
) -> np.ndarray:
    """Return the similarities (permutation, layer) of layers (layer, pair) to a permuted area.

    What is exchanged is told by `units` (by default single conditions); see
    :meth:`~brainguided.rdms.units.Units.permute`.
    """
    if not find_comparison(method).permutes:
        known = list_comparisons(lambda row: row.permutes)
        raise ValueError(f"Permutations of {method!r} would take hours; use one of {known}.")
    number = count_conditions(area.size)
    who = Units("condition", (np.arange(number),)) if units is None else units
    generator = np.random.default_rng([seed, 2])
    matches = [who.permute(generator, within=within) for _ in range(permutations)]
    if any(len(places) < number for places, _ in matches):
        pairs = square_matrix(np.arange(1, area.size + 1)) - 1
        return np.stack([_compare_matched(layers, area, match, pairs, method) for match in matches])
    orders = [conditions[np.argsort(places)] for places, conditions in matches]
    step = max(1, LAYER_BYTES // (8 * area.size))
    parts = [
        _permute_some(layers[start : start + step], area, orders, method)
        for start in range(0, len(layers), step)
    ]
    return np.concatenate(parts, axis=1)


def _compare_matched(
    layers: np.ndarray,
    area: np.ndarray,
    match: tuple[np.ndarray, np.ndarray],
    pairs: np.ndarray,
    method: str,
) -> np.ndarray:
    """Compare layers at some places with the area at the conditions that take them: (layer,).

    `pairs` (condition, condition) holds the numbers of pairs.
    """
    places, conditions = match
    rows, columns = np.triu_indices(len(places), 1)
    kept = layers[:, pairs[places[rows], places[columns]]]
    return compare_vectors(kept, area[pairs[conditions[rows], conditions[columns]]], method)


def _permute_some(
    layers: np.ndarray, area: np.ndarray, orders: list[np.ndarray], method: str
) -> np.ndarray:
    kind = find_comparison(method)
    x = np.stack([prepare_vector(layer, method) for layer in layers])
    matrix = square_matrix(prepare_vector(area, method))
    y = upper_triangle(matrix)
    if kind.whitens:
        sums = condition_sums(x)
        own = matrix.sum(1)
        size_x = np.array(
            [
                float(whitened_products(v @ v, s[None], s[None])[0, 0])
                for v, s in zip(x, sums, strict=True)
            ]
        )
        size_y = float(whitened_products(np.array(y @ y), own[None], own[None])[0, 0])
    else:
        size_x, size_y = np.einsum("ij,ij->i", x, x), float(y @ y)
    scale = np.sqrt(size_x * size_y)
    if kind.divisor is not None:
        scale = np.full(len(x), kind.divisor(y.size))
    result = np.empty((len(orders), len(layers)))
    for k, order in enumerate(orders):
        moved = upper_triangle(matrix[np.ix_(order, order)])
        if kind.function is not None:
            result[k] = kind.function(x, moved[np.newaxis])[:, 0]
            continue
        products = x @ moved
        if kind.whitens:
            products = whitened_products(products[:, None], sums, own[order][None])[:, 0]
        with np.errstate(invalid="ignore", divide="ignore"):
            result[k] = products / scale
    return np.where(np.isfinite(result), result, np.nan)


def exceed_maximum(similarity: np.ndarray, null: np.ndarray) -> np.ndarray:
    """Return p-values of similarities, corrected for the number of layers.

    The probability that the best of all layers is at least as similar to the permuted area [1]_.

    Parameters
    ----------
    similarity : ndarray (layer,)
    null : ndarray (permutation, layer)
        As from `permute_vectors`.

    References
    ----------
    .. [1] Nichols & Holmes (2002), Human Brain Mapping 15, 1-25.
    """
    best = np.nanmax(null, axis=1)
    p = (1 + (best[:, None] >= similarity[None, :] - 1e-12).sum(0)) / (1 + len(null))
    return np.where(np.isfinite(similarity), p, np.nan)


def compare_layers(correspondence: xr.Dataset) -> xr.Dataset:
    """Test whether one layer matches an area better than another does, for all pairs of layers.

    The difference of two similarities, on Fisher's z, is divided by its standard error. The p-value
    is two-sided: the share of draws in which this ratio is as far from that of the estimates; the
    corrected one is the share in which the largest ratio over all pairs of layers is [1]_. Both
    speak of other units of stimuli, those of ``attrs["unit"]``.

    Parameters
    ----------
    correspondence : xr.Dataset
        With ``similarity`` (layer, area) and ``similarity_draws`` (bootstrap, layer, area), as
        from ``correspondence.compute_correspondence``.

    Returns
    -------
    xr.Dataset (area, layer, other_layer, bound)
        `difference`: similarity of ``layer`` minus that of ``other_layer``; `interval` (bound) of
        95 %; `p_value`; `corrected_p_value`.

    Raises
    ------
    ValueError
        If there are no draws.

    References
    ----------
    .. [1] Westfall & Young (1993), Resampling-based multiple testing, section 2.3.
    """
    _refuse_undrawn(correspondence)
    estimate = correspondence["similarity"].transpose("area", "layer").values
    draws = correspondence["similarity_draws"].transpose("area", "bootstrap", "layer").values
    layers = correspondence["layer"].values.tolist()
    areas = correspondence["area"].values.tolist()
    return _tabulate(estimate, draws, areas=areas, names=layers, dim="layer")


def compare_networks(
    correspondences: Mapping[str, xr.Dataset], *, layers: Mapping[str, str] | None = None
) -> xr.Dataset:
    """Test whether one network matches an area better than another does, for all pairs of them.

    As `compare_layers`, of one layer of each network: draws are the same for all networks that
    were compared with one teacher with one seed, so that what is alike in two of them cancels.

    Parameters
    ----------
    correspondences : mapping of str to xr.Dataset
        Of two networks or more (a winner and its control, say) with the same teacher, inference
        and seed, as from ``correspondence.compute_correspondence``; by name.
    layers : mapping of str to str, optional
        Layer of each network, for all areas; by default the committed layer of each area. A layer
        that was chosen by the same responses flatters networks with many layers: name layers that
        were chosen otherwise where the difference is small.

    Returns
    -------
    xr.Dataset (area, network, other_network, bound)
        `difference`: similarity of ``network`` minus that of ``other_network``; `interval` (bound)
        of 95 %; `p_value`; `corrected_p_value`, for all pairs of networks; `similarity` and
        `layer` (area, network): what was compared.

    Raises
    ------
    ValueError
        If there are fewer than two networks, they were not compared with the same areas in the
        same way, one has no draws, or a layer is unknown.
    """
    names = list(correspondences)
    if len(names) < 2:
        raise ValueError(f"There are {len(names)} networks to compare; expected two or more.")
    first = correspondences[names[0]]
    areas = [str(a) for a in first["area"].values]
    for name, one in correspondences.items():
        _refuse_undrawn(one)
        other = [k for k in SHARED if one.attrs.get(k) != first.attrs.get(k)]
        if [str(a) for a in one["area"].values] != areas or other:
            raise ValueError(
                f"{name!r} and {names[0]!r} were not compared with the same areas in the same way; "
                f"they differ in {', '.join(other) or 'areas'}. Compute both with one teacher, "
                "method, inference and seed."
            )
    chosen = [
        [
            str(one["committed_layer"].sel(area=area).item()) if layers is None else layers[name]
            for name, one in correspondences.items()
        ]
        for area in areas
    ]
    lacking = [
        f"{name!r} has no layer {row[k]!r}"
        for row in chosen
        for k, (name, one) in enumerate(correspondences.items())
        if row[k] not in one["layer"].values
    ]
    raise_problems("No networks to compare", list(dict.fromkeys(lacking)), ValueError)

    def gather(variable: str) -> np.ndarray:
        return np.array(
            [
                [
                    correspondences[name][variable].sel(area=area, layer=layer).values
                    for name, layer in zip(names, row, strict=True)
                ]
                for area, row in zip(areas, chosen, strict=True)
            ]
        )

    draws = gather("similarity_draws").transpose(0, 2, 1)
    result = _tabulate(gather("similarity"), draws, areas=areas, names=names, dim="network")
    result["similarity"] = (("area", "network"), gather("similarity"))
    result["layer"] = (("area", "network"), np.array(chosen))
    return result.assign_attrs({k: first.attrs[k] for k in SHARED if k in first.attrs})


def _refuse_undrawn(correspondence: xr.Dataset) -> None:
    if "similarity_draws" not in correspondence or not correspondence.sizes.get("bootstrap"):
        raise ValueError(
            "The correspondence holds no bootstrap draws; compute it with draws of 100 or more."
        )


def _tabulate(
    estimate: np.ndarray, draws: np.ndarray, *, areas: list[str], names: list[str], dim: str
) -> xr.Dataset:
    """Return differences of similarities (area, thing), by their draws (area, draw, thing)."""
    shape = (*estimate.shape, estimate.shape[1])
    difference, p, corrected = (np.full(shape, np.nan) for _ in range(3))
    interval = np.full((*shape, 2), np.nan)
    for k, (r, drawn) in enumerate(zip(estimate, draws, strict=True)):
        difference[k] = r[:, None] - r[None, :]
        p[k], corrected[k] = _test_pairs(r, drawn)
        about = drawn - drawn.mean(0)
        bounds = np.quantile(about[:, :, None] - about[:, None, :], [0.025, 0.975], axis=0)
        interval[k] = np.moveaxis(difference[k] + bounds, 0, -1)
    dims = ("area", dim, f"other_{dim}")
    return xr.Dataset(
        {
            "difference": (dims, difference),
            "interval": ((*dims, "bound"), interval),
            "p_value": (dims, p),
            "corrected_p_value": (dims, corrected),
        },
        coords={"area": areas, dim: names, f"other_{dim}": names, "bound": ["lower", "upper"]},
    )


def _test_pairs(similarity: np.ndarray, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return p-values (layer, layer) of all differences, and those corrected for their number.

    Parameters
    ----------
    similarity : ndarray (layer,)
    draws : ndarray (draw, layer)
    """
    limit = 1 - 1e-12
    z = np.arctanh(np.clip(similarity, -limit, limit))
    about = np.arctanh(np.clip(draws, -limit, limit))
    about = about - about.mean(0)
    spread = np.abs(about[:, :, None] - about[:, None, :])
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.sqrt((spread**2).mean(0))
        ratio = np.abs(z[:, None] - z[None, :]) / error
        spread /= error
    alone = np.isfinite(ratio) & (error > 1e-9)  # two layers may be the same but for rounding
    largest = np.where(alone, spread, -np.inf).max((1, 2))
    number = 1 + len(draws)
    p = (1 + (spread >= ratio).sum(0)) / number
    corrected = (1 + (largest[:, None, None] >= ratio).sum(0)) / number
    return np.where(alone, p, np.nan), np.where(alone, np.maximum(p, corrected), np.nan)
