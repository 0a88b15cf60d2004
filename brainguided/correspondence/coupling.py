"""One coupling of all layers with all areas, beside the most similar layer of each area."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from scipy.optimize import linear_sum_assignment

from brainguided.correspondence.committed_layers import compare_vectors
from brainguided.correspondence.permutation import permute_vectors
from brainguided.rdms.labels import check_alignment, condition_labels
from brainguided.rdms.units import UnitName, refuse_few
from brainguided.rdms.variables import name_results
from neural_data.rounding import TOLERANCE

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

    from brainguided.guidance.teacher import Teacher


def couple_layers(similarity: xr.DataArray) -> xr.Dataset:
    """Couple the layers of a network with areas so that the whole is as similar as possible.

    Every layer has the same mass, and every area; the coupling moves the mass of the layers to the
    areas such that ``sum of coupling x similarity`` is largest: the outer level of multi-level
    optimal transport [1]_, with any similarity of a layer and an area in the place of its inner
    level. Unlike the most similar layer of each area, two areas cannot be given the same layers
    only because these are most similar to everything. The score is one number for the whole
    comparison, symmetric in network and brain.

    Parameters
    ----------
    similarity : xr.DataArray (layer, area)
        Such as ``compute_correspondence(...)["similarity"]``, layers in the order of the network.

    Returns
    -------
    xarray.Dataset
        `coupling` (layer, area): shares of the whole mass, 1 in all; `score`: the mean similarity
        under it; `depth` (area): mean depth of the layers coupled with the area, from 0 for the
        first layer to 1 for the last.

    Raises
    ------
    ValueError
        If the dims are others, or a similarity is missing.

    References
    ----------
    .. [1] Shah & Khosla (2025), arXiv 2510.01706, the layer-level transport problem.

    Examples
    --------
    >>> similarity = xr.DataArray(
    ...     [[0.5, 0.4], [0.6, 0.7]], dims=("layer", "area"), coords={"area": ["V4", "IT"]}
    ... )
    >>> couple_layers(similarity)["coupling"].values.tolist()
    [[0.5, 0.0], [0.0, 0.5]]
    """
    if set(similarity.dims) != {"layer", "area"}:
        raise ValueError(f"similarity has dims {similarity.dims}; expected (layer, area).")
    values = similarity.transpose("layer", "area").values.astype(float)
    if not np.isfinite(values).all() or values.size == 0:
        raise ValueError(
            f"{int((~np.isfinite(values)).sum())} of {values.size} similarities are missing; leave "
            "out the layers that have none, e.g. similarity.dropna('layer')."
        )
    coupling = transport(values)
    place = np.linspace(0, 1, len(values)) if len(values) > 1 else np.zeros(1)
    coords = {
        name: c
        for name, c in similarity.coords.items()
        if set(c.dims) <= {"layer", "area"} and name != "depth"  # of layers; here, of areas
    }
    return name_results(
        xr.Dataset(
            {
                "coupling": (("layer", "area"), coupling),
                "score": float((coupling * values).sum()),
                "depth": ("area", (place[:, None] * coupling).sum(0) / coupling.sum(0)),
            },
            coords=coords,
        )
    )


def permute_coupling(
    layer_rdms: RDMs,
    teacher: Teacher,
    *,
    permutations: int = 1000,
    unit: UnitName = None,
    seed: int = 0,
) -> xr.Dataset:
    """Test the score of `couple_layers` against permutations of the conditions of every area.

    Under the null hypothesis no layer has anything in common with any area but which conditions
    belong to one unit, and the units of the areas are exchangeable. Similarities are Pearson
    correlations of RDMs.

    Parameters
    ----------
    layer_rdms : rsatoolbox.rdm.RDMs
        Of the layers in the order of the network, over the conditions of every area.
    teacher : Teacher
        The areas.
    permutations : int
        Random orders of the conditions of each area.
    unit : str or tuple of str, optional
        The unit of stimuli that was sampled, as for ``Inference``.
    seed : int
        Of the permutations.

    Returns
    -------
    xarray.Dataset
        As `couple_layers`; also `null_score` (permutation), NaN where a similarity is not defined,
        which counts as large, and `p_value`: one-sided, (1 + number at least as large) / (1 +
        permutations).

    Raises
    ------
    AlignmentError
        If the conditions of layers and areas differ.
    ValueError
        If there are fewer than 6 units, or permutations is no positive number.
    """
    labels = condition_labels(layer_rdms)
    for target in teacher:
        check_alignment(labels, target.conditions, names=("The layers", target.area))
    layers = np.asarray(layer_rdms.dissimilarities, dtype=float)
    vectors = [np.asarray(target.rdm.dissimilarities[0], dtype=float) for target in teacher]
    observed = np.stack([compare_vectors(layers, v, "pearson") for v in vectors], axis=1)
    names = [str(x) for x in layer_rdms.rdm_descriptors.get("layer", range(len(layers)))]
    found = couple_layers(
        xr.DataArray(
            observed,
            dims=("layer", "area"),
            coords={"layer": names, "area": [target.area for target in teacher]},
        )
    )
    columns = [
        permute_vectors(
            layers, v, permutations, seed=seed + 7919 * k, units=refuse_few(target.units(unit))
        )
        for k, (v, target) in enumerate(zip(vectors, teacher, strict=True))
    ]
    null = np.array([_score(r) for r in np.stack(columns, axis=2)])
    score = found["score"].item()
    p = (1 + int((~(null < score - TOLERANCE)).sum())) / (1 + permutations)
    return found.assign(null_score=("permutation", null), p_value=p).assign_attrs(seed=seed)


def _score(similarity: np.ndarray) -> float:
    """Return the mean similarity (layer, area) under the best coupling; NaN if one is missing."""
    if not np.isfinite(similarity).all():
        return np.nan
    return float((transport(similarity) * similarity).sum())


def transport(similarity: np.ndarray) -> np.ndarray:
    """Return the coupling (layer, area) of uniform masses with the largest mean similarity.

    Exact: with L layers and A areas, L x A equal parts of the mass are assigned one to one.
    """
    layers, areas = similarity.shape
    parts = np.repeat(np.repeat(similarity, areas, axis=0), layers, axis=1)
    rows, columns = linear_sum_assignment(parts, maximize=True)
    coupling = np.zeros(similarity.shape)
    np.add.at(coupling, (rows // areas, columns // layers), 1.0)
    return np.asarray(coupling / coupling.sum())
