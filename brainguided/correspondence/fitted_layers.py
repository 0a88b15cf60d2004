"""Combinations of layers fitted to an area, and scored on conditions left out of the fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from scipy.optimize import nnls

from brainguided.rdms.labels import check_alignment, condition_labels
from brainguided.rdms.units import UnitName, Units, find_rdm_units
from brainguided.rdms.variables import name_results
from neural_data.errors import raise_problems
from neural_data.rounding import is_flat

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

FEWEST = 4
"""Conditions of a fold: six pairs, so that a correlation over them means something."""


def fit_layers(
    layer_rdms: RDMs,
    area_rdm: RDMs,
    *,
    unit: UnitName = None,
    folds: int = 5,
    seed: int = 0,
) -> xr.Dataset:
    """Fit a non-negative combination of layers to an area and score it on other conditions.

    Squared distances of concatenated, reweighted features add, so that an RDM of the reweighted
    layers is a sum of the layers' RDMs with weights of at least 0, plus a constant [1]_. Weights
    are fitted by non-negative least squares to the pairs of conditions outside a fold and scored,
    by Pearson correlation, on the pairs within it. Pairs across the two belong to neither.
    Beside it stands the single layer that is chosen outside the fold and scored within it.

    Parameters
    ----------
    layer_rdms : rsatoolbox.rdm.RDMs
        One RDM a layer; squared distances (squared Euclidean, or correlation distances, which are
        squared distances of standardised patterns) for the combination to be an RDM.
    area_rdm : rsatoolbox.rdm.RDMs
        One RDM over the same conditions in the same order.
    unit : str or tuple of str, optional
        Descriptor of the conditions whose groups stay in one fold, such as "object_name"; by
        default the coarsest of ``session``, ``category`` and ``object_name``, ``"stimulus"`` for
        single conditions.
    folds : int
        Of at least four conditions each.
    seed : int
        Of the folds.

    Returns
    -------
    xarray.Dataset (layer, fold)
        `similarity`, `best_layer_similarity`: means over folds, in [-1, 1]; the same of every fold
        as `fold_similarity`, `fold_best_layer_similarity` (fold); `best_layer` (fold); `weight`
        (layer): fitted to all conditions, each layer's RDM scaled to a standard deviation of 1;
        `fold_of` (condition).

    Raises
    ------
    AlignmentError
        If the conditions differ in number, name or order.
    ValueError
        If an RDM has gaps or does not vary, if `area_rdm` is not a single RDM, if conditions or
        units are too few for the folds, or the unit is unknown.

    References
    ----------
    .. [1] Khaligh-Razavi & Kriegeskorte (2014), PLoS Comput. Biol. 10(11):e1003915; Jozwik,
       Kriegeskorte & Mur (2016), Neuropsychologia 83, 201-226.
    """
    labels = condition_labels(layer_rdms, name="The layers")
    check_alignment(labels, condition_labels(area_rdm, name="The area"),
                    names=("The layers", "the area"))  # fmt: skip
    layers = np.asarray(layer_rdms.dissimilarities, dtype=float)
    area = np.asarray(area_rdm.dissimilarities, dtype=float)
    problems = []
    if len(area) != 1:
        problems.append(f"area_rdm holds {len(area)} RDMs; expected one")
    if not (np.isfinite(layers).all() and np.isfinite(area).all()):
        problems.append("some dissimilarities are missing or infinite; leave those conditions out")
    raise_problems("Layers cannot be fitted", problems, ValueError)
    spread = layers.std(axis=1)
    if is_flat(layers).any() or is_flat(area).any():
        raise ValueError("A layer or the area has an RDM that does not vary; leave it out.")
    layers = layers / spread[:, None]
    units = find_rdm_units(area_rdm, layer_rdms, unit=unit)
    fold_of = _assign_folds(units, folds, seed)
    rows, columns = np.triu_indices(len(labels), 1)
    fitted, single, best = np.zeros(folds), np.zeros(folds), np.zeros(folds, dtype=int)
    for k in range(folds):
        within = (fold_of[rows] == k) & (fold_of[columns] == k)
        outside = (fold_of[rows] != k) & (fold_of[columns] != k)
        weights = _fit(layers[:, outside], area[0, outside])
        fitted[k] = _correlate(weights @ layers[:, within], area[0, within])
        chosen = [_correlate(row, area[0, outside]) for row in layers[:, outside]]
        best[k] = int(np.argmax(chosen))
        single[k] = _correlate(layers[best[k], within], area[0, within])
    names = [str(x) for x in layer_rdms.rdm_descriptors.get("layer", range(len(layers)))]
    return name_results(
        xr.Dataset(
            {
                "similarity": fitted.mean(),
                "best_layer_similarity": single.mean(),
                "fold_similarity": ("fold", fitted),
                "fold_best_layer_similarity": ("fold", single),
                "best_layer": ("fold", [names[k] for k in best]),
                "weight": ("layer", _fit(layers, area[0])),
                "fold_of": ("condition", fold_of),
            },
            coords={"layer": names, "condition": labels},
            attrs={
                "folds": folds,
                "seed": seed,
                "unit": units.name,
            },
        )
    )


def _assign_folds(units: Units, folds: int, seed: int) -> np.ndarray:
    """Return the fold of every condition: whole units, as equal in size as they allow."""
    counts = np.bincount(units.index)
    if folds < 2 or units.number < folds:
        raise ValueError(
            f"{units.number} units ({units.name}) cannot be divided into {folds} folds; give 2 to "
            f"{units.number}, or name a finer unit."
        )
    order = np.random.default_rng([seed, 13]).permutation(units.number)
    order = order[np.argsort(-counts[order], kind="stable")]
    sizes, fold = np.zeros(folds, dtype=int), np.zeros(units.number, dtype=int)
    for group in order:
        fold[group] = int(sizes.argmin())
        sizes[fold[group]] += counts[group]
    if sizes.min() < FEWEST:
        raise ValueError(
            f"The smallest of {folds} folds would hold {sizes.min()} conditions; at least {FEWEST} "
            "are needed: give fewer folds."
        )
    return np.asarray(fold[units.index])


def _fit(layers: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Return weights (layer,) of non-negative least squares with a free intercept."""
    centred = layers - layers.mean(axis=1, keepdims=True)
    weights, _ = nnls(centred.T, area - area.mean())
    return np.asarray(weights)


def _correlate(a: np.ndarray, b: np.ndarray) -> float:
    """Return Pearson's r, 0 where a side is constant: weights of 0 predict nothing."""
    a, b = a - a.mean(), b - b.mean()
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / size if size > 0 else 0.0
