"""Layer-area correspondence with ceilings, intervals, committed layers and tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from brainguided.correspondence._area_map import AreaData, map_area
from brainguided.guidance.target import Target, fingerprint
from brainguided.guidance.teacher import Teacher, check_teacher
from brainguided.networks.grams import GramMoments, distances_from_moments
from brainguided.networks.layers import Layers
from brainguided.networks.passes import stream_moments
from brainguided.networks.preprocessing import Preprocessing
from brainguided.networks.probe import probe_layers
from brainguided.rdms.comparisons import find_comparison
from brainguided.rdms.conditions import condition_index
from brainguided.rdms.labels import check_alignment, condition_labels
from brainguided.rdms.measures import network_measure
from brainguided.rdms.units import UnitName
from brainguided.rdms.variables import name_results
from neural_data.errors import raise_problems
from neural_data.model.origin import origin_of

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs
    from torch import nn


VARIABLES: dict[str, tuple[str, ...]] = {
    "similarity": ("layer", "area"), "similarity_interval": ("layer", "area", "bound"),
    "similarity_draws": ("bootstrap", "layer", "area"), "ceiling": ("area",),
    "ceiling_interval": ("area", "bound"), "ceiling_usable": ("area",),
    "ceiling_stimuli": ("area",), "ceiling_unbiased": ("area",), "site_ceiling": ("area",),
    "animal_ceiling": ("area", "bound"), "corrected_similarity": ("layer", "area"),
    "corrected_interval": ("layer", "area", "bound"), "p_value": ("layer", "area"),
    "best_layer": ("area",), "best_similarity": ("area",), "null_best": ("area",),
    "best_above_null": ("area",), "committed_layer": ("area",), "committed_share": ("area",),
    "committed_similarity": ("area",), "committed_interval": ("area", "bound"),
    "unit_count": ("area",), "degrees_of_freedom": ("area",),
}  # fmt: skip
"""What a correspondence says of each area, and the dims of it."""


@dataclass(frozen=True)
class Inference:
    """Settings of the bootstrap, permutation tests and split halves.

    Attributes
    ----------
    resample : tuple of {"stimulus", "site", "animal"}
        What bootstrap draws are taken over: units of stimuli (to speak of other ones), sites (of
        other sites of these areas), animals (each with all its sites, or with draws of them), or
        several of these. Of two or three animals intervals are very wide, as Student's t is.
    draws : int
        Bootstrap draws; 0 for no intervals.
    permutations : int
        Of units and what is nested in them, for p-values and for the bias of the best layer; 0 for
        none.
    splits : int
        Random halvings, for ceilings (of repetitions) and committed layers (of units).
    unit : str, tuple of str or None
        The unit of stimuli that was sampled: a coordinate over ``stimulus`` such as "category",
        all whose stimuli are drawn, permuted and halved together, and of which intervals and tests
        then speak; several, the coarsest first, where they are nested; "stimulus" for stimuli (or
        conditions) that were sampled one by one. By default the coarsest of ``session``,
        ``category`` and ``object_name`` that the data name. Of fewer than 6 units nothing is
        drawn, permuted or halved.
    """

    resample: tuple[str, ...] = ("stimulus",)
    draws: int = 1000
    permutations: int = 1000
    splits: int = 100
    unit: UnitName = None

    def __post_init__(self) -> None:
        problems = [
            f"{name} is {getattr(self, name)!r}; expected a whole number, 0 or more"
            for name in ("draws", "permutations", "splits")
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 0
        ]
        known = {"stimulus", "site", "animal"}
        if isinstance(self.resample, str) or not set(self.resample) <= known or not self.resample:
            problems.append(
                f"resample is {self.resample!r}; expected some of 'stimulus', 'site', 'animal', "
                "e.g. ('stimulus', 'site')"
            )
        names = self.unit if isinstance(self.unit, tuple) else (self.unit,)
        if self.unit is not None and not (names and all(isinstance(n, str) and n for n in names)):
            problems.append(f"unit is {self.unit!r}; expected a coordinate, e.g. 'category'")
        raise_problems("Not an inference", problems, ValueError)


def compute_correspondence(
    network: nn.Module,
    teacher: Teacher,
    *,
    layers: Layers = None,
    preprocessing: Preprocessing | None = None,
    method: str = "pearson",
    inference: Inference | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Return how similar every layer of a network is to every area, and how sure that is.

    For each area: the RDM similarity of every layer [1]_ with its interval; the noise ceiling from
    split halves of the repetitions, and the similarity as a part of it; p-values from permuted
    conditions, corrected for the number of layers; what the best of as many layers would reach by
    chance; and the *committed* layer, chosen on one half of the units and scored on the other.
    All of these take the unit that was sampled (``Inference.unit``). Areas that share their
    stimuli share one forward pass.

    Parameters
    ----------
    network : torch.nn.Module
        Maps (stimulus, channel, y, x) images to an output.
    teacher : Teacher
        The areas. Ceilings and draws of sites need their recordings
        (``Teacher.from_recording``).
    layers : str, sequence of str or Observation, optional
        Names or patterns; see ``layers.select_layers``.
    preprocessing : Preprocessing, optional
        What is done to the images; by default they keep their size and are scaled to -1..1.
    method : str, optional
        As for ``comparisons.compare_rdms``. Intervals are computed for "pearson", "cosine" and
        (slowly) "spearman"; for other methods set ``draws=0``.
    inference : Inference, optional
        Numbers of draws, permutations and splits.
    seed : int, optional
        The same seed gives the same result.

    Returns
    -------
    xr.Dataset (layer, area, bound, bootstrap[, animal])
        `similarity` (layer, area), NaN for a layer whose RDM is constant or not finite;
        `similarity_interval` (layer, area, bound): 95 % over samples of units, by the jackknife
        with Student's t on Fisher's z, and NaN with a warning for cosines of biased distances of
        grouped stimuli; `similarity_draws` (bootstrap, layer, area): draws of that spread, joint
        for all layers, for differences of similarities; `ceiling`, `ceiling_usable`,
        `ceiling_unbiased`, `ceiling_stimuli` (area) and `ceiling_interval` (area, bound), see
        ``compute_ceiling``; `site_ceiling` (area), see ``compute_site_ceiling``, and
        `animal_ceiling` (area, bound), see ``compute_animal_ceiling``;
        `corrected_similarity` (layer, area) and `corrected_interval`, divided by the ceiling where
        that is usable and NaN elsewhere, and for cosines of other distances than crossnobis: what
        noise adds to these resembles every layer; `p_value` (layer, area); `best_layer`,
        `best_similarity` (area); `null_best` (area): mean best similarity of permutations;
        `best_above_null` (area): the difference, which is 0 on average where nothing is in common,
        and below the best layer's similarity where it is good; `committed_layer`,
        `committed_share`, `committed_similarity` (area), `committed_interval` (area, bound):
        that of the similarity of the committed layer; `similarity_by_animal` (layer, area,
        animal) where a recording has two animals or more; `unit_count` (area): how many units
        were sampled, named by ``attrs["unit"]``; `degrees_of_freedom` (area) of the standard
        errors of differences, one less than there are units, sites or animals, or those of
        several combined. Of fewer than 6 units intervals, p-values and committed layers are NaN
        (or ""). Coordinate ``depth`` (layer) runs from 0 to 1.

    Raises
    ------
    ValueError
        If a layer does not exist, the method has no intervals, or the unit that is named is no
        coordinate of the stimuli or has fewer than 6 values.

    Warns
    -----
    UserWarning
        If a coordinate that groups the stimuli is ignored, or the data name too few units.

    References
    ----------
    .. [1] Bashivan, Tensen & DiCarlo (2019), ICCV, section 3.2.
    .. [2] Schuett, Kipnis, Diedrichsen & Kriegeskorte (2023), eLife 12:e82566.

    Examples
    --------
    >>> from torch import nn
    >>> from neural_data import simulate_macaque
    >>> teacher = Teacher.from_recording(*simulate_macaque(repetitions=4), by="object_name")
    >>> network = nn.Sequential(nn.Conv2d(3, 8, 5, stride=2), nn.ReLU(), nn.Conv2d(8, 8, 5))
    >>> few = Inference(draws=100, permutations=100, splits=10)
    >>> found = compute_correspondence(network, teacher, inference=few)
    >>> found["similarity"].sizes["layer"], found["ceiling_usable"].values.tolist()
    (2, [True, True])
    """
    check_teacher(teacher)
    how = Inference() if inference is None else inference
    find_comparison(method)
    shared: dict[str, list[Target]] = {}
    for target in teacher:
        shared.setdefault(fingerprint(target.stimuli["image"].values), []).append(target)
    found: dict[str, AreaData] = {}
    for targets in shared.values():
        images = targets[0].stimuli["image"].values
        chosen = probe_layers(network, images, layers, preprocessing=preprocessing)
        plans = [_Plan(target) for target in targets]
        averages = [p.average for p in plans]
        streamed = stream_moments(
            network,
            images,
            chosen,
            preprocessing=preprocessing,
            averages=averages,
        )
        for layer, moments in streamed:
            for one, plan in zip(moments, plans, strict=True):
                plan.add(layer, one)
        found |= {p.target.area: p.finish() for p in plans}
    results = [map_area(found[target.area], method, how, seed) for target in teacher]
    described = (preprocessing or Preprocessing()).describe()
    extra = {"preprocessing": described, "network": type(network).__name__, **chosen.describe()}
    return _assemble(results, teacher, method, how, seed, extra)


def correspondence_from_rdms(
    layer_rdms: RDMs | Mapping[str, RDMs],
    teacher: Teacher,
    *,
    method: str = "pearson",
    inference: Inference | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Return the correspondence of layers whose RDMs are at hand.

    As :func:`compute_correspondence`.

    Parameters
    ----------
    layer_rdms : rsatoolbox.rdm.RDMs, or mapping of area to them
        The same layers for all areas, over the conditions of each area's RDM.
    teacher : Teacher
        The areas.
    method : str, optional
        As for :func:`compute_correspondence`.
    inference : Inference, optional
        As for :func:`compute_correspondence`.
    seed : int, optional
        As for :func:`compute_correspondence`.

    Returns
    -------
    xr.Dataset (layer, area)
        As of :func:`compute_correspondence`.

    Raises
    ------
    AlignmentError
        If conditions differ between layers and an area.
    ValueError
        If the layers are not the same for all areas, or RDMs are lacking for one.
    """
    check_teacher(teacher)
    how = Inference() if inference is None else inference
    find_comparison(method)
    results = []
    for target in teacher:
        rdms = layer_rdms.get(target.area) if isinstance(layer_rdms, Mapping) else layer_rdms
        if rdms is None:
            raise ValueError(f"There are no RDMs of layers on the stimuli of {target.area!r}.")
        check_alignment(
            condition_labels(rdms), target.conditions, names=("The layers", target.area)
        )
        names = [str(name) for name in rdms.rdm_descriptors.get("layer", range(rdms.n_rdm))]
        data = AreaData(target, names, np.asarray(rdms.dissimilarities))
        results.append(map_area(data, method, how, seed))
    if any(r["layer"] != results[0]["layer"] for r in results):
        raise ValueError("The RDMs of different areas are of different layers.")
    return _assemble(results, teacher, method, how, seed, {})


class _Plan:
    """The dissimilarities gathered for one area while layers stream by."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.measure = network_measure(target.measure)
        self.layers: list[str] = []
        self.rows: list[np.ndarray] = []
        self.average: np.ndarray | None = None
        if target.by != "stimulus":
            index, labels = condition_index(target.stimuli["image"], target.by)
            self.average = (index == np.arange(len(labels))[:, None]) / np.bincount(index)[:, None]

    def add(self, layer: str, moments: GramMoments) -> None:
        self.layers.append(layer)
        self.rows.append(distances_from_moments(moments, self.measure).astype(np.float32))

    def finish(self) -> AreaData:
        vectors = np.empty((len(self.rows), self.rows[0].size), np.float32)
        for k in range(len(self.layers)):
            vectors[k] = self.rows.pop(0)
        return AreaData(self.target, self.layers, vectors)


def _assemble(
    results: list[dict[str, Any]],
    teacher: Teacher,
    method: str,
    how: Inference,
    seed: int,
    extra: dict[str, str],
) -> xr.Dataset:
    """Put the results of all areas side by side."""
    layers = results[0]["layer"]
    areas = list(teacher.areas)
    variables = {name: _join_areas(results, name, dims) for name, dims in VARIABLES.items()}
    depth = np.linspace(0, 1, len(layers)) if len(layers) > 1 else np.zeros(1)
    dataset = xr.Dataset(
        variables,
        coords={
            "layer": layers,
            "area": areas,
            "bound": ["lower", "upper"],
            "depth": ("layer", depth),
        },
        attrs={**_describe(results, teacher, method, how), "seed": seed}
        | origin_of(*(t.rdm for t in teacher))
        | extra,
    )
    animals = list(dict.fromkeys(a for r in results for a in r["by_animal"]))
    if animals:
        empty = np.full(len(layers), np.nan)
        values = [[r["by_animal"].get(a, empty) for a in animals] for r in results]
        dataset = dataset.assign_coords(animal=animals)
        dataset["similarity_by_animal"] = (
            ("layer", "area", "animal"),
            np.moveaxis(np.array(values), -1, 0),
        )
    dataset["similarity"].attrs["long_name"] = f"RDM similarity ({method})"
    return name_results(dataset)


def _join_areas(
    results: list[dict[str, Any]], name: str, dims: tuple[str, ...]
) -> tuple[tuple[str, ...], np.ndarray]:
    """Return one variable of all areas, of which ``area`` is the dim where `dims` has it."""
    values = [np.asarray(r[name]) for r in results]
    return dims, np.stack(values, axis=dims.index("area"))


def _describe(
    results: list[dict[str, Any]], teacher: Teacher, method: str, how: Inference
) -> dict[str, Any]:
    """Return the attributes that say how all areas were compared."""
    measures = {t.area: t.measure for t in teacher}
    return {
        "title": "Layer-area correspondence",
        "method": method,
        "measure": "; ".join(f"{a}: {m}" for a, m in measures.items())
        if len(set(measures.values())) > 1
        else next(iter(measures.values())),
        "by": "; ".join(f"{t.area}: {t.by}" for t in teacher),
        "resampled": " and ".join(how.resample),
        "unit": names.pop()
        if len(names := {r["unit"] for r in results}) == 1
        else "; ".join(f"{t.area}: {r['unit']}" for t, r in zip(teacher, results, strict=True)),
        "draws": how.draws,
        "permutations": how.permutations,
        "splits": how.splits,
    }
