"""All that is said of the layers and one area: similarity, ceiling, interval, tests."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from brainguided.correspondence._area_ceiling import (
    AreaCeiling,
    ceil_area,
    describe_ceiling,
    may_divide,
)
from brainguided.correspondence._intervals import (
    Settings,
    SiteResponses,
    correct_interval,
    draw_similarity,
)
from brainguided.correspondence.committed_layers import (
    commit_layer,
    compare_halves,
    compare_vectors,
)
from brainguided.correspondence.permutation import exceed_maximum, find_largest, permute_vectors
from brainguided.correspondence.population_ceilings import (
    compute_animal_ceiling,
    compute_site_ceiling,
)
from brainguided.rdms.comparisons import find_comparison
from brainguided.rdms.compute import compute_rdms
from brainguided.rdms.conditions import average_conditions, condition_index
from brainguided.rdms.crossnobis import select_noise
from brainguided.rdms.halves import draw_halves
from brainguided.rdms.measures import find_measure
from brainguided.rdms.partial import leave_residuals, span_controls
from brainguided.rdms.units import FEWEST_UNITS, Units
from neural_data.errors import RecordingError
from neural_data.model.recording import average_repetitions, select_recording

if TYPE_CHECKING:
    from brainguided.guidance.target import Target


SITE_SPLITS = 20
"""Random halves of the sites, at most."""


@dataclass
class AreaData:
    """Area and the layers' dissimilarities on its stimuli.

    Attributes
    ----------
    target : Target
        The area.
    layers : list of str
        Names.
    vectors : ndarray (layer, pair)
        Dissimilarities.
    """

    target: Target
    layers: list[str]
    vectors: np.ndarray


def map_area(data: AreaData, method: str, how: Settings, seed: int) -> dict[str, Any]:
    """Return the correspondence of all layers to one area, by name of variable."""
    target = data.target
    area = np.asarray(target.rdm.dissimilarities[0], dtype=float)
    rows = data.vectors
    if target.given is not None:
        area, rows = _leave_controls(target, rows, method)
    similarity = compare_vectors(rows, area, method)
    alive = np.flatnonzero(np.isfinite(similarity))
    vectors = [rows[k] for k in alive]
    n_layers = len(data.layers)
    units = _find_units(target, how)
    able = bool(units.enough and alive.size)
    result: dict[str, Any] = {"layer": data.layers, "similarity": similarity}
    result |= {"unit": units.name, "unit_count": units.number}

    ceiling = _ceil(target, method, how, units, seed)
    divided = ceiling.usable and may_divide(method, target.measure)
    result["degrees_of_freedom"] = units.number - 1
    draws, interval = np.full((how.draws, n_layers), np.nan), np.full((n_layers, 2), np.nan)
    corrected = interval.copy()
    if how.draws and alive.size and _may_draw(target, method, units, how):
        responses = _get_responses(target, how)
        drawn = draw_similarity(
            vectors, area, how, units=units, responses=responses, method=method, seed=seed
        )
        draws[:, alive], interval[alive] = drawn.draws, drawn.interval
        result["degrees_of_freedom"] = drawn.freedom
        if divided:
            corrected[alive] = correct_interval(similarity[alive], drawn, ceiling)
    result["similarity_draws"], result["similarity_interval"] = draws, interval
    result |= describe_ceiling(ceiling) | _ceil_population(target, method, how, seed)
    result["corrected_similarity"] = similarity / (ceiling.ceiling if divided else np.nan)
    result["corrected_interval"] = corrected

    p, null_best = np.full(n_layers, np.nan), np.nan
    if how.permutations and able:
        null = permute_vectors(
            np.stack(vectors), area, how.permutations, method=method, seed=seed, units=units
        )
        p[alive] = exceed_maximum(similarity[alive], null)
        largest = find_largest(null)
        if np.isfinite(largest).any():
            null_best = float(np.nanmean(largest))
    best = int(np.nanargmax(similarity)) if alive.size else None
    result["p_value"] = p
    result["best_layer"] = "" if best is None else data.layers[best]
    result["best_similarity"] = np.nan if best is None else float(similarity[best])
    result["null_best"] = null_best
    result["best_above_null"] = result["best_similarity"] - null_best

    halves = np.full((2, how.splits, n_layers), np.nan)
    if how.splits and able:
        first = draw_halves(units, how.splits, seed)
        halves[:, :, alive] = compare_halves(vectors, area, first, method=method, units=units)
    committed = commit_layer(halves)
    result["committed_layer"] = "" if committed is None else data.layers[committed.layer]
    result["committed_share"] = np.nan if committed is None else committed.share
    result["committed_similarity"] = np.nan if committed is None else committed.similarity
    result["committed_interval"] = (
        np.full(2, np.nan) if committed is None else interval[committed.layer]
    )
    result["by_animal"] = _compare_animals(data, method)
    return result


def _leave_controls(target: Target, rows: np.ndarray, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Return what controls leave of the area's RDM (pair,) and of the layers' (layer, pair)."""
    if method != "pearson" or target.given is None:
        raise ValueError(
            f"{target.area} is a partial correlation given controls; method is {method!r}, and "
            "there it is 'pearson'."
        )
    basis = span_controls(target.given)
    area = leave_residuals(np.asarray(target.rdm.dissimilarities, dtype=float), basis)[0]
    return area, leave_residuals(np.asarray(rows, dtype=float), basis)


def _get_responses(target: Target, how: Settings) -> SiteResponses | None:
    """Return the mean responses of an area if its sites or animals are to be drawn."""
    if set(how.resample) == {"stimulus"}:
        return None
    if target.recording is None:
        raise RecordingError(
            f"Sites of {target.area} cannot be drawn: the teacher holds its RDM only. Draw stimuli "
            "(resample=('stimulus',)), or make the teacher from the recording."
        )
    mean = average_conditions(average_repetitions(target.recording), target.by)
    animals = np.full(mean.shape[1], "")
    if "animal" in how.resample:
        known = target.recording.coords.get("animal")
        names = [] if known is None else np.unique(known.values.astype(str)).tolist()
        if known is None or len(names) < 2:
            raise RecordingError(
                f"Animals of {target.area} cannot be drawn: its recording names "
                f"{names or 'none'} (coordinate 'animal' over sites), and two are needed. Draw "
                "sites instead."
            )
        animals = known.values.astype(str)
    return SiteResponses(mean.values, animals, target.measure)


def _find_units(target: Target, how: Settings) -> Units:
    """Return the units of an area's conditions; warn where there are too few to infer from."""
    units = target.units(how.unit)
    if not units.enough and (how.draws or how.permutations):
        finer = (
            " To speak of other stimuli of these units, set Inference(unit='stimulus') or a finer "
            "coordinate."
            if len(units.index) > units.number
            else ""
        )
        warnings.warn(
            f"{target.area} has {units.number} units ({units.name}); of fewer than {FEWEST_UNITS} "
            f"no interval, test or half holds what it promises, and none is given.{finer}",
            stacklevel=2,
        )
    return units


def _may_draw(target: Target, method: str, units: Units, how: Settings) -> bool:
    """Return whether intervals over units hold what they promise; warn where they do not.

    Cosines of biased distances do not where stimuli of a unit are alike: what noise adds to all
    pairs resembles every layer, and its share differs from unit to unit.
    """
    if not units.enough or "stimulus" not in how.resample:
        return "stimulus" not in how.resample
    biased = find_measure(target.measure).noise == "adds"
    if len(units.index) == units.number or find_comparison(method).centres or not biased:
        return True
    warnings.warn(
        f"{target.area}: 95 % intervals of the {method} of {target.measure} distances hold the "
        f"truth in 87 of 100 cases where stimuli come in units ({units.name}), and none is "
        "given. Compare by Pearson correlation, or take a measure without bias, such as "
        "crossnobis.",
        stacklevel=2,
    )
    return False


def _ceil(target: Target, method: str, how: Settings, units: Units, seed: int) -> AreaCeiling:
    if target.recording is None or not how.splits:
        return AreaCeiling()
    place = {label: k for k, label in enumerate(target.conditions)}
    order = [place[label] for label in condition_index(target.recording, target.by)[1]]
    rdm = {"by": target.by, "measure": target.measure, "noise": target.noise}
    return ceil_area(
        target.recording, rdm, method, units.select(order), splits=how.splits, seed=seed
    )


def _ceil_population(target: Target, method: str, how: Settings, seed: int) -> dict[str, Any]:
    """Return the ceilings over other sites and other animals, NaN where there are none."""
    found: dict[str, Any] = {"site_ceiling": np.nan, "animal_ceiling": np.full(2, np.nan)}
    if target.recording is None:
        return found
    rdm: dict[str, Any] = {
        "by": target.by, "measure": target.measure, "noise": target.noise, "method": method,
    }  # fmt: skip
    # An RDM may be undefined for a part of the sites, such as one silent stimulus, and not for all
    refused = "{} has no ceiling over other {}: {}"
    if how.splits:
        try:
            splits = min(how.splits, SITE_SPLITS)
            ceiling = compute_site_ceiling(target.recording, splits=splits, seed=seed, **rdm)
            found["site_ceiling"] = float(ceiling[0])
        except ValueError as cause:
            warnings.warn(refused.format(target.area, "sites", cause), stacklevel=2)
    if "animal" in target.recording.coords:
        try:
            found["animal_ceiling"] = compute_animal_ceiling(target.recording, **rdm).values[0]
        except ValueError as cause:
            warnings.warn(refused.format(target.area, "animals", cause), stacklevel=2)
    return found


def _compare_animals(data: AreaData, method: str) -> dict[str, np.ndarray]:
    """Return the similarity of each layer to the RDM of each animal's sites."""
    recording = data.target.recording
    if recording is None or "animal" not in recording.coords:
        return {}
    names, counts = np.unique(recording["animal"].values.astype(str), return_counts=True)
    enough = names[counts >= 3].tolist()
    if len(names) < 2:
        return {}
    found = {}
    for animal in enough:
        part = select_recording(recording, animal=animal)
        target = data.target
        noise = select_noise(target.noise, target.area, recording["animal"].values == animal)
        try:
            rdm = compute_rdms(part, by=target.by, measure=target.measure, noise=noise)
        except RecordingError as cause:
            said = f"No layer is compared with {animal!r} alone: {cause}"
            warnings.warn(said, stacklevel=2)
            continue
        found[str(animal)] = compare_vectors(data.vectors, rdm.dissimilarities[0], method)
    return found
