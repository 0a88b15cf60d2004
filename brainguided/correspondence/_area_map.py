"""All that is said of the layers and one area: similarity, ceiling, interval, tests."""

from __future__ import annotations

import warnings
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import xarray as xr

from brainguided.correspondence.bootstrap import (
    bootstrap_sites,
    draw_times,
    refuse_undrawn,
    share_of_sum,
    weigh_similarity,
)
from brainguided.correspondence.ceilings import compute_ceiling
from brainguided.correspondence.committed_layers import (
    commit_layer,
    compare_halves,
    compare_vectors,
)
from brainguided.correspondence.permutation import exceed_maximum, permute_vectors
from brainguided.correspondence.population_ceilings import (
    compute_animal_ceiling,
    compute_site_ceiling,
)
from brainguided.correspondence.standard_errors import LARGEST, measure_spread
from brainguided.rdms.compute import compute_rdms
from brainguided.rdms.conditions import average_conditions, stimulus_coords
from brainguided.rdms.crossnobis import select_noise
from brainguided.rdms.distances import count_conditions
from brainguided.rdms.halves import draw_halves
from brainguided.rdms.units import FEWEST_UNITS, UnitName, Units
from neural_data.errors import RecordingError
from neural_data.model.recording import average_repetitions, select_recording

if TYPE_CHECKING:
    from brainguided.guidance.target import Target


SITE_SPLITS = 20
"""Random halves of the sites, at most."""


class Settings(Protocol):
    """Settings that `correspondence.Inference` provides."""

    @property
    def resample(self) -> tuple[str, ...]: ...
    @property
    def draws(self) -> int: ...
    @property
    def permutations(self) -> int: ...
    @property
    def splits(self) -> int: ...
    @property
    def unit(self) -> UnitName: ...


@dataclass(frozen=True, eq=False)
class SiteResponses:
    """Mean responses of an area, for drawing its sites.

    Attributes
    ----------
    patterns : ndarray (condition, site)
    animals : ndarray of str (site,)
        Whose sites they are.
    measure : str
        Of the area's RDM.
    """

    patterns: np.ndarray
    animals: np.ndarray
    measure: str = "correlation"

    def count(self, resample: tuple[str, ...]) -> int:
        """Return how many animals there are where those are drawn, and else how many sites."""
        return len(np.unique(self.animals)) if "animal" in resample else len(self.animals)


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
    similarity = compare_vectors(data.vectors, area, method)
    alive = np.flatnonzero(np.isfinite(similarity))
    vectors = [data.vectors[k] for k in alive]
    n_layers = len(data.layers)
    units = _find_units(target, how)
    able = bool(units.enough and alive.size)
    result: dict[str, Any] = {"layer": data.layers, "similarity": similarity}
    result |= {"unit": units.name, "unit_count": units.number}

    draws, interval = np.full((how.draws, n_layers), np.nan), np.full((n_layers, 2), np.nan)
    if how.draws and alive.size and (units.enough or "stimulus" not in how.resample):
        draws[:, alive], interval[alive] = draw_similarity(
            vectors,
            area,
            how,
            units=units,
            responses=_get_responses(target, how),
            method=method,
            seed=seed,
        )
    result["similarity_draws"], result["similarity_interval"] = draws, interval

    ceiling = _ceil(target, method, how, seed)
    result |= ceiling | _ceil_population(target, method, how, seed)
    divisor = ceiling["ceiling"] if ceiling["ceiling_usable"] else np.nan
    result["corrected_similarity"] = similarity / divisor
    result["corrected_interval"] = interval / divisor

    p, null_best = np.full(n_layers, np.nan), np.nan
    if how.permutations and able:
        null = permute_vectors(
            np.stack(vectors), area, how.permutations, method=method, seed=seed, units=units
        )
        p[alive] = exceed_maximum(similarity[alive], null)
        null_best = float(np.nanmax(null, axis=1).mean())
    best = int(np.nanargmax(similarity)) if alive.size else None
    result["p_value"] = p
    result["best_layer"] = "" if best is None else data.layers[best]
    result["best_similarity"] = np.nan if best is None else float(similarity[best])
    result["null_best"] = null_best
    result["best_above_null"] = result["best_similarity"] - null_best

    halves = np.full((2, how.splits, n_layers), np.nan)
    if how.splits and able:
        first = draw_halves(units, how.splits, seed)
        halves[:, :, alive] = compare_halves(vectors, area, first, method=method)
    committed = commit_layer(halves)
    result["committed_layer"] = "" if committed is None else data.layers[committed.layer]
    result["committed_share"] = np.nan if committed is None else committed.share
    result["committed_similarity"] = np.nan if committed is None else committed.similarity
    result["committed_interval"] = (
        np.full(2, np.nan) if committed is None else interval[committed.layer]
    )
    result["by_animal"] = _compare_animals(data, method)
    return result


def draw_similarity(
    vectors: list[np.ndarray],
    area: np.ndarray,
    how: Settings,
    *,
    units: Units | None = None,
    responses: SiteResponses | None = None,
    method: str = "pearson",
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return draws of similarities about their estimates, and 95 % intervals.

    Parameters
    ----------
    vectors : list of ndarray (pair,)
        Dissimilarities of each layer.
    area : ndarray (pair,)
        Dissimilarities of the area.
    how : Inference
        What is drawn (`resample`), and how often (`draws`).
    units : Units, optional
        Of the stimuli; by default single conditions.
    responses : SiteResponses, optional
        Mean responses of the area, where sites or animals are drawn.
    method : str
        Of the comparison.
    seed : int

    Returns
    -------
    draws : ndarray (draw, layer)
    interval : ndarray (layer, bound)
    """
    refuse_undrawn(method)
    if units is None:
        units = Units("condition", (np.arange(count_conditions(area.size)),))
    spread = None
    if "stimulus" in how.resample:
        spread = measure_spread(vectors, area, units, method=method)
        over_stimuli = spread.draw(how.draws, [seed, 0])
    if responses is None:
        assert spread is not None  # sites are drawn from responses
        return over_stimuli, spread.interval()
    patterns, measure = responses.patterns, responses.measure
    sites = draw_sites(responses, how.resample, how.draws, seed)
    over_sites = bootstrap_sites(vectors, patterns, sites, measure=measure, method=method)
    estimate = compare_vectors(np.stack(vectors), area, method)
    centre = np.arctanh(np.clip(estimate, -LARGEST, LARGEST))
    moved = np.arctanh(np.clip(over_sites, -LARGEST, LARGEST))
    moved = (moved - moved.mean(0)) * widen_few(responses.count(how.resample))
    if spread is not None:
        times = draw_times(units.number, how.draws, [seed, 5])
        alone = weigh_similarity(vectors, [area], times, method=method, units=units)[:, :, 0]
        both = bootstrap_sites(
            vectors, patterns, sites, times, units=units, measure=measure, method=method
        )
        variance = (spread.error * (1 - estimate**2)) ** 2
        share = share_of_sum(alone, over_sites, both, variance)
        moved = np.sqrt(share) * (
            moved + np.arctanh(np.clip(over_stimuli, -LARGEST, LARGEST)) - centre
        )
    draws = np.tanh(centre + moved)
    return draws, np.quantile(draws, [0.025, 0.975], axis=0).T


def widen_few(number: int) -> float:
    """Return by how much draws of sites, or animals, widen as their spread comes from few of them.

    By the root of n / (n - 1), and by Student's t in the place of the normal distribution.
    """
    from scipy.stats import norm, t

    if number < 2:
        return 1.0
    return float(np.sqrt(number / (number - 1)) * t.ppf(0.975, number - 1) / norm.ppf(0.975))


def draw_sites(
    responses: SiteResponses, resample: tuple[str, ...], draws: int, seed: int
) -> np.ndarray:
    """Return how often each site came up: (draw, site).

    Animals are drawn first, with all their sites; sites are then drawn within each animal.
    """
    animals = responses.animals
    if "animal" not in resample:
        return draw_times(len(animals), draws, [seed, 1])
    names, index = np.unique(animals, return_inverse=True)
    times = draw_times(len(names), draws, [seed, 6])[:, index]
    if "site" in resample:
        for k in range(len(names)):
            members = np.flatnonzero(index == k)
            times[:, members] *= draw_times(len(members), draws, [seed, 7, k])
    return times


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


def _ceil(target: Target, method: str, how: Settings, seed: int) -> dict[str, Any]:
    unknown = {
        "ceiling": np.nan,
        "ceiling_interval": np.full(2, np.nan),
        "ceiling_usable": False,
        "ceiling_unbiased": False,
        "ceiling_stimuli": 0,
    }
    if target.recording is None or not how.splits:
        return unknown
    found = compute_ceiling(
        _label_stimuli(target.recording, target.stimuli),
        by=target.by,
        measure=target.measure,
        noise=target.noise,
        method=method,
        splits=how.splits,
        draws=how.draws,
        unit=how.unit,
        seed=seed,
    )
    return {name: found[name].values[0] for name in unknown}


def _label_stimuli(recording: xr.Dataset, stimuli: xr.Dataset) -> xr.Dataset:
    """Return a recording with the labels that only the images have, such as their categories."""
    same = stimuli.sel(stimulus=recording["stimulus"].values)
    own = {
        name: ("stimulus", values)
        for name, values in stimulus_coords(same).items()
        if name not in recording.coords
    }
    return recording.assign_coords(own)


def _ceil_population(target: Target, method: str, how: Settings, seed: int) -> dict[str, Any]:
    """Return the ceilings over other sites and other animals, NaN where there are none."""
    found: dict[str, Any] = {"site_ceiling": np.nan, "animal_ceiling": np.full(2, np.nan)}
    if target.recording is None:
        return found
    rdm: dict[str, Any] = {
        "by": target.by, "measure": target.measure, "noise": target.noise, "method": method,
    }  # fmt: skip
    # An RDM may be undefined for a part of the sites, such as one silent stimulus, and not for all
    if how.splits:
        with suppress(ValueError):
            splits = min(how.splits, SITE_SPLITS)
            ceiling = compute_site_ceiling(target.recording, splits=splits, seed=seed, **rdm)
            found["site_ceiling"] = float(ceiling[0])
    if "animal" in target.recording.coords:
        with suppress(ValueError):
            found["animal_ceiling"] = compute_animal_ceiling(target.recording, **rdm).values[0]
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
        rdm = compute_rdms(part, by=target.by, measure=target.measure, noise=noise)
        found[str(animal)] = compare_vectors(data.vectors, rdm.dissimilarities[0], method)
    return found
