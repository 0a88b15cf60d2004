"""All that is said of the layers and one area: similarity, ceiling, interval, tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from brainguided.correspondence.bootstrap import (
    bootstrap_sites,
    combine_spread,
    draw_times,
    recentre_draws,
    stimulus_variance,
    weigh_similarity,
)
from brainguided.correspondence.ceilings import compute_ceiling
from brainguided.correspondence.committed_layers import (
    commit_layer,
    compare_condition_halves,
    compare_vectors,
    draw_condition_halves,
)
from brainguided.correspondence.permutation import exceed_maximum, permute_vectors
from brainguided.rdms.comparisons import find_comparison
from brainguided.rdms.compute import compute_rdms
from brainguided.rdms.conditions import average_conditions
from brainguided.rdms.crossnobis import select_noise
from brainguided.rdms.distances import count_conditions
from neural_data.errors import RecordingError
from neural_data.model.recording import average_repetitions, select_recording

if TYPE_CHECKING:
    from brainguided.guidance.teacher import Target

FEWEST_CONDITIONS = 6
"""Halves of fewer conditions than this have no RDM worth comparing."""

LOST_FREEDOM = 6


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
    halves : ndarray (half, split, layer) or None
        Similarities on halves of the stimuli within each condition; None where conditions
        themselves are to be halved.
    """

    target: Target
    layers: list[str]
    vectors: np.ndarray
    halves: np.ndarray | None


def map_area(data: AreaData, method: str, how: Settings, seed: int) -> dict[str, Any]:
    """Return the correspondence of all layers to one area, by name of variable."""
    target = data.target
    area = np.asarray(target.rdm.dissimilarities[0], dtype=float)
    similarity = compare_vectors(data.vectors, area, method)
    alive = np.flatnonzero(np.isfinite(similarity))
    vectors = [data.vectors[k] for k in alive]
    n_layers, n_conditions = len(data.layers), target.rdm.n_cond
    result: dict[str, Any] = {"layer": data.layers, "similarity": similarity}

    draws = np.full((how.draws, n_layers), np.nan)
    if how.draws and alive.size:
        draws[:, alive] = draw_similarity(
            vectors,
            area,
            similarity[alive],
            resample=how.resample,
            draws=how.draws,
            seed=seed,
            responses=_get_responses(target, how),
            method=method,
        )
    result["similarity_draws"] = draws
    result["similarity_interval"] = _interval(draws)

    ceiling = _ceil(target, method, how, seed)
    result |= ceiling
    divisor = ceiling["ceiling"] if ceiling["ceiling_usable"] else np.nan
    result["corrected_similarity"] = similarity / divisor
    result["corrected_interval"] = result["similarity_interval"] / divisor

    p, null_best = np.full(n_layers, np.nan), np.nan
    if how.permutations and alive.size:
        null = permute_vectors(np.stack(vectors), area, how.permutations, method=method, seed=seed)
        p[alive] = exceed_maximum(similarity[alive], null)
        null_best = float(null.max(1).mean())
    best = int(np.nanargmax(similarity)) if alive.size else None
    result["p_value"] = p
    result["best_layer"] = "" if best is None else data.layers[best]
    result["best_similarity"] = np.nan if best is None else float(similarity[best])
    result["null_best"] = null_best
    result["unbiased_best"] = result["best_similarity"] - null_best

    halves = data.halves
    if halves is None and n_conditions >= FEWEST_CONDITIONS and alive.size and how.splits:
        first = draw_condition_halves(n_conditions, how.splits, seed)
        halves = np.full((2, how.splits, n_layers), np.nan)
        halves[:, :, alive] = compare_condition_halves(vectors, area, first, method=method)
    committed = None if halves is None else commit_layer(halves)
    result["committed_layer"] = "" if committed is None else data.layers[committed.layer]
    result["committed_share"] = np.nan if committed is None else committed.share
    result["committed_similarity"] = np.nan if committed is None else committed.similarity
    result["committed_interval"] = (
        np.full(2, np.nan) if committed is None else result["similarity_interval"][committed.layer]
    )
    result["by_animal"] = _compare_animals(data, method)
    return result


def draw_similarity(
    vectors: list[np.ndarray],
    area: np.ndarray,
    estimate: np.ndarray,
    *,
    resample: tuple[str, ...],
    draws: int,
    seed: int,
    responses: SiteResponses | None = None,
    method: str = "pearson",
) -> np.ndarray:
    """Return bootstrap draws (draw, layer) about the estimate, of the right spread.

    Parameters
    ----------
    vectors : list of ndarray (pair,)
        Dissimilarities of each layer.
    area : ndarray (pair,)
        Dissimilarities of the area.
    estimate : ndarray (layer,)
        Their similarities.
    resample : tuple of {"stimulus", "site", "animal"}
    draws : int
    seed : int
    responses : SiteResponses, optional
        Mean responses of the area, where sites or animals are drawn.
    method : str
        Of the comparison.
    """
    n_conditions = count_conditions(area.size)
    conditions = draw_times(n_conditions, draws, [seed, 0])
    over_stimuli = None
    scale = variance = np.ones(len(vectors))
    if "stimulus" in resample:
        over_stimuli = weigh_similarity(vectors, [area], conditions, method=method)[:, :, 0]
        over_stimuli = np.where(np.isfinite(over_stimuli), over_stimuli, estimate)
        if find_comparison(method).draws == "weights":
            variance, of_draws = stimulus_variance(vectors, area, method=method)
            scale = np.sqrt(variance / of_draws)
        else:
            variance = over_stimuli.var(0)
    if set(resample) == {"stimulus"} or responses is None:
        assert over_stimuli is not None  # sites are drawn from responses
        return recentre_draws(over_stimuli, estimate, scale * widen_few(n_conditions))
    patterns, measure = responses.patterns, responses.measure
    few = patterns.shape[1] if over_stimuli is None else min(patterns.shape[1], n_conditions)
    sites = draw_sites(responses, resample, draws, seed)
    over_sites = bootstrap_sites(vectors, patterns, sites, measure=measure, method=method)
    if over_stimuli is None:
        return recentre_draws(over_sites, estimate, widen_few(few))
    both = bootstrap_sites(vectors, patterns, sites, conditions, measure=measure, method=method)
    both = np.where(np.isfinite(both), both, estimate)
    spread = combine_spread(over_stimuli, over_sites, both, variance)
    return recentre_draws(both, estimate, spread * widen_few(few))


def widen_few(number: int) -> float:
    """Return by how much intervals widen since their width comes from few stimuli or sites.

    The part of Student's distribution in a mean; the number of degrees of freedom that are lost
    was chosen by simulation (benchmarks/interval_coverage.py).
    """
    return float(np.sqrt(number / max(number - LOST_FREEDOM, number / 2)))


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


def _interval(draws: np.ndarray) -> np.ndarray:
    """Return 95 % intervals (layer, bound)."""
    bounds = np.full((draws.shape[1], 2), np.nan)
    known = np.isfinite(draws).all(0) & (len(draws) > 0)
    if known.any():
        bounds[known] = np.clip(np.quantile(draws[:, known], [0.025, 0.975], axis=0), -1, 1).T
    return bounds


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
        target.recording,
        by=target.by,
        measure=target.measure,
        noise=target.noise,
        method=method,
        splits=how.splits,
        draws=how.draws,
        seed=seed,
    )
    return {name: found[name].values[0] for name in unknown}


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
