"""Whether areas map onto a network in their anatomical order: V4 before IT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from brainguided.correspondence.committed_layers import compare_vectors
from brainguided.correspondence.permutation import permute_vectors
from brainguided.guidance.target import Target
from brainguided.guidance.teacher import Teacher
from brainguided.rdms.conditions import average_conditions
from brainguided.rdms.labels import check_alignment, condition_labels
from brainguided.rdms.measures import find_measure, pattern_distances
from brainguided.rdms.units import UnitName, check_permutations, refuse_few
from brainguided.rdms.variables import name_results
from neural_data.model.recording import average_repetitions
from neural_data.rounding import TOLERANCE

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs


def compute_hierarchy(
    correspondence: xr.Dataset, *, areas: Sequence[str] | None = None
) -> xr.Dataset:
    """Return how much deeper in the network each area maps than the one before it.

    The depth of an area is that of its most similar layer (``best``), from 0 for the first layer
    to 1 for the last; or the mean depth of all layers, weighted by how much their similarity
    exceeds that of the least similar one (``weighted``): ``sum_l w_l d_l / sum_l w_l`` with
    ``w_l = r_l - min r``. The index is the mean difference of successive areas: above 0 where the
    order of the network is that of the areas.

    Parameters
    ----------
    correspondence : xr.Dataset
        As from ``correspondence.compute_correspondence``.
    areas : sequence of str, optional
        From early to late, e.g. ``["V4", "IT"]``; by default as they are in the correspondence.

    Returns
    -------
    xr.Dataset (kind, area, bound)
        `depth` (kind, area); `index` (kind); `index_interval` (kind, bound): 95 % over bootstrap
        draws; `positive_share` (kind): share of draws with an index above 0. Coordinate ``kind``
        is "best", "weighted".

    Raises
    ------
    ValueError
        If there are fewer than two areas, or one is unknown.

    Examples
    --------
    >>> draws = np.array([[[0.5, 0.1], [0.2, 0.6]]] * 10)
    >>> found = compute_hierarchy(
    ...     xr.Dataset(
    ...         {"similarity": (("layer", "area"), draws[0]),
    ...          "similarity_draws": (("bootstrap", "layer", "area"), draws)},
    ...         coords={"layer": ["conv1", "conv2"], "area": ["V4", "IT"]},
    ...     )
    ... )
    >>> found["index"].sel(kind="best").item()
    1.0
    """
    order = _check_areas(areas, [str(a) for a in correspondence["area"].values])
    r = correspondence["similarity"].sel(area=order).transpose("layer", "area").values
    depth = find_depths(r)
    index = np.diff(depth, axis=-1).mean(-1)
    shape = (2, 2)
    interval, share = np.full(shape, np.nan), np.full(2, np.nan)
    if correspondence.sizes.get("bootstrap"):
        draws = correspondence["similarity_draws"].sel(area=order)
        values = draws.transpose("bootstrap", "layer", "area").values
        over = np.diff(find_depths(values), axis=-1).mean(-1)
        # Areas of too few units have no draws.
        over = over if np.isfinite(values).any(1).all() else np.full_like(over, np.nan)
        interval = np.quantile(over, [0.025, 0.975], axis=1).T
        share = ((np.sign(over) + 1) / 2).mean(1)
    return name_results(
        xr.Dataset(
            {
                "depth": (("kind", "area"), depth),
                "index": ("kind", index),
                "index_interval": (("kind", "bound"), interval),
                "positive_share": ("kind", share),
            },
            coords={"kind": ["best", "weighted"], "area": order, "bound": ["lower", "upper"]},
        )
    )


def permute_hierarchy(
    layer_rdms: RDMs,
    teacher: Teacher,
    *,
    areas: Sequence[str] | None = None,
    permutations: int = 1000,
    unit: UnitName = None,
    seed: int = 0,
) -> xr.Dataset:
    """Test whether the index of `compute_hierarchy` is greater than chance.

    Where all areas were recorded with the same stimuli and their recordings are at hand, the
    sites are shared out among the areas at random, as many to each as it has: if areas do not
    differ in what they represent, their labels are exchangeable. Elsewhere the conditions of each
    area are permuted: if no layer has anything in common with any area, every layer is as likely
    to be the best.

    Parameters
    ----------
    layer_rdms : rsatoolbox.rdm.RDMs
        Of the layers in the order of the network, over the conditions of the areas.
    teacher : Teacher
        The areas; of one measure of mean responses.
    areas : sequence of str, optional
        From early to late; by default as in the teacher.
    permutations : int, optional
        How often labels are exchanged.
    unit : str or tuple of str, optional
        The unit of stimuli that was sampled, as for ``Inference``: where conditions are permuted,
        units are exchanged as wholes.
    seed : int, optional
        The same seed gives the same permutations.

    Returns
    -------
    xr.Dataset (kind, permutation)
        `index` (kind), `null_index` (kind, permutation), NaN where an area has no similarity to any
        layer, which counts as large, `p_value` (kind): one-sided.
        ``attrs["exchanged"]`` says what was permuted: "sites" or "conditions".

    Raises
    ------
    AlignmentError
        If the conditions of layers and areas differ.
    ValueError
        If there are fewer than two areas, one is unknown, permutations is no positive number, or
        conditions are permuted and have fewer than 6 units.
    """
    check_permutations(permutations)
    order = _check_areas(areas, list(teacher.areas))
    targets = [next(t for t in teacher if t.area == area) for area in order]
    labels = condition_labels(layer_rdms)
    for target in targets:
        check_alignment(labels, target.conditions, names=("The layers", target.area))
    layers = np.asarray(layer_rdms.dissimilarities, dtype=float)
    vectors = [np.asarray(t.rdm.dissimilarities[0], dtype=float) for t in targets]
    observed = np.stack([compare_vectors(layers, v, "pearson") for v in vectors], axis=1)
    index = np.diff(find_depths(observed), axis=-1).mean(-1)
    patterns = _share_patterns(targets)
    if patterns is not None:
        null = _exchange_sites(layers, patterns, targets[0].measure, permutations, seed)
    else:
        columns = [
            permute_vectors(
                layers,
                np.asarray(t.rdm.dissimilarities[0], dtype=float),
                permutations,
                seed=seed + 7919 * k,
                units=refuse_few(t.units(unit)),
            )
            for k, t in enumerate(targets)
        ]
        null = np.stack(columns, axis=2)
    null_index = np.diff(find_depths(null), axis=-1).mean(-1)
    null_index[:, ~np.isfinite(null).any(1).all(1)] = np.nan  # an area is like no layer
    p = (1 + (~(null_index < index[:, None] - TOLERANCE)).sum(1)) / (1 + permutations)
    return name_results(
        xr.Dataset(
            {
                "index": ("kind", index),
                "null_index": (("kind", "permutation"), null_index),
                "p_value": ("kind", p),
            },
            coords={"kind": ["best", "weighted"]},
            attrs={"exchanged": "conditions" if patterns is None else "sites", "seed": seed},
        )
    )


def find_depths(similarity: np.ndarray) -> np.ndarray:
    """Return depths (kind, ..., area) of similarities (..., layer, area)."""
    n_layers = similarity.shape[-2]
    place = np.linspace(0, 1, n_layers) if n_layers > 1 else np.zeros(1)
    alive = np.isfinite(similarity)
    best = place[np.where(alive, similarity, -np.inf).argmax(-2)]
    lowest = np.where(alive, similarity, np.inf).min(-2, keepdims=True)
    weights = np.where(alive, similarity - lowest, 0.0)
    total = weights.sum(-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (weights * place[:, None]).sum(-2) / total
    weighted = np.where(total > 0, mean, best)
    return np.stack([best, weighted])


def _check_areas(areas: Sequence[str] | None, known: list[str]) -> list[str]:
    order = known if areas is None else [str(a) for a in areas]
    unknown = [a for a in order if a not in known]
    if unknown or len(set(order)) < len(order) or len(order) < 2:
        raise ValueError(
            f"areas are {order}; expected two or more different ones of {known}, early ones first."
        )
    return order


def _share_patterns(targets: list[Target]) -> list[np.ndarray] | None:
    """Return the mean responses (condition, site) of areas whose sites can be exchanged."""
    first = targets[0]
    if find_measure(first.measure).distances is None:
        return None
    patterns = []
    for target in targets:
        if target.recording is None or (target.by, target.measure) != (first.by, first.measure):
            return None
        if not np.array_equal(target.stimuli["stimulus"], first.stimuli["stimulus"]):
            return None
        patterns.append(average_conditions(average_repetitions(target.recording), target.by).values)
    return patterns


def _exchange_sites(
    layers: np.ndarray, patterns: list[np.ndarray], measure: str, permutations: int, seed: int
) -> np.ndarray:
    """Return similarities (permutation, layer, area) with sites shared out at random."""
    generator = np.random.default_rng([seed, 4])
    everything = np.concatenate(patterns, axis=1)
    ends = np.cumsum([p.shape[1] for p in patterns])[:-1]
    result = np.empty((permutations, len(layers), len(patterns)))
    for k in range(permutations):
        parts = np.split(generator.permutation(everything.shape[1]), ends)
        rdms = [pattern_distances(everything[:, part], measure) for part in parts]
        result[k] = np.stack([compare_vectors(layers, rdm, "pearson") for rdm in rdms], axis=1)
    return result
