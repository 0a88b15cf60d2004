"""Tests of similarities against chance, by permutation of units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from brainguided.correspondence.committed_layers import compare_vectors
from brainguided.rdms.compare import prepare_vector, refuse_missing
from brainguided.rdms.comparisons import find_comparison, list_comparisons
from brainguided.rdms.distances import count_conditions, square_matrix, upper_triangle
from brainguided.rdms.labels import check_alignment, condition_labels, name_rdms
from brainguided.rdms.units import (
    UnitName,
    Units,
    check_permutations,
    find_rdm_units,
    refuse_few,
)
from brainguided.rdms.variables import name_results
from brainguided.rdms.whitening import condition_sums, whitened_products
from neural_data.rounding import TOLERANCE

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

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
        Descriptor of the conditions whose values were sampled; by default the coarsest of
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
        If the method is another one, permutations is no positive number, or there are fewer than 6
        units.

    References
    ----------
    .. [1] Winkler et al. (2015), Multi-level block permutation, NeuroImage 123, 253-268.
    """
    labels = condition_labels(area_rdms)
    check_alignment(condition_labels(layer_rdms), labels, names=("The layers", "the areas"))
    refuse_missing(np.asarray(layer_rdms.dissimilarities), "layers'")
    refuse_missing(np.asarray(area_rdms.dissimilarities), "areas'")
    units = refuse_few(find_rdm_units(area_rdms, layer_rdms, unit=unit))
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
    return name_results(
        xr.DataArray(
            values,
            dims=("permutation", "layer", "area"),
            coords={
                "layer": name_rdms(layer_rdms, "layer", unnamed="{}"),
                "area": name_rdms(area_rdms, "area", unnamed="{}"),
            },
            name="similarity",
            attrs={"method": method, "seed": seed, "unit": units.name, "within": int(within)},
        )
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
    check_permutations(permutations)
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


def find_largest(null: np.ndarray) -> np.ndarray:
    """Return the largest of all layers under each permutation (permutation,).

    NaN where the similarity of a layer is not defined, as that to a part of an area may be.
    """
    undefined = np.isnan(null).any(1)
    largest: np.ndarray = np.where(undefined, np.nan, np.where(undefined[:, None], 0, null).max(1))
    return largest


def exceed_maximum(similarity: np.ndarray, null: np.ndarray) -> np.ndarray:
    """Return p-values of similarities, corrected for the number of layers.

    The probability that the best of all layers is at least as similar to the permuted area [1]_.
    A permutation that is not defined for a layer counts as one that is: it proves nothing.

    Parameters
    ----------
    similarity : ndarray (layer,)
        NaN for layers that are not defined, which are left out.
    null : ndarray (permutation, layer)
        As from `permute_vectors`.

    References
    ----------
    .. [1] Nichols & Holmes (2002), Human Brain Mapping 15, 1-25.
    """
    defined = np.isfinite(similarity)
    if not defined.any():
        return np.full(len(similarity), np.nan)
    best = find_largest(null[:, defined])
    below = best[:, None] < similarity[None, :] - TOLERANCE
    p = (1 + (~below).sum(0)) / (1 + len(null))
    return np.where(defined, p, np.nan)
