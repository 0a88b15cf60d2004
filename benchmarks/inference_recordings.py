"""Cells of `inference.py` that take recordings: ceilings, sites and animals, and time.

`ceiling`: the truth is the similarity of the measured RDM to the one without noise, for very many
stimuli. `corrected`: that of a layer to the RDM without noise. `over animal`: every animal mixes
the latent dimensions in its own way; the truth is the mean over very many samples of as many.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import xarray as xr
from inference_worlds import (
    LATENT,
    WORLDS,
    Design,
    Pair,
    add_noise,
    add_sessions,
    draw_points,
    find_truth,
    make_world,
)
from rsatoolbox.rdm import RDMs

from brainguided.correspondence import Inference, compare_layers, compute_intervals_over_time
from brainguided.correspondence._area_ceiling import AreaCeiling, ceil_area
from brainguided.correspondence._intervals import SiteResponses, correct_interval, draw_similarity
from brainguided.correspondence.committed_layers import compare_vectors
from brainguided.rdms.measures import pattern_distances
from neural_data import recording_from_arrays
from neural_data.model.windows import assign_time_bins

Numbers = tuple[str, str, str]
NOISE, SPLITS, EACH, LARGE = 1.4, 5, 12, (1000, 2)


def list_recordings() -> list[tuple[str, Design, str, Callable[[int], Numbers]]]:
    """Return the cells: name, design, detail and the function that simulates it."""
    cells: list[tuple[str, Design, str, Callable[[int], Numbers]]] = []

    def add(design: Design, said: str) -> None:
        # By cosine, similarities are not divided by ceilings of biased distances
        for number, what in enumerate(("ceiling", "corrected")[: 1 + (design.method != "cosine")]):
            cells.append((what, design, said or "4 repetitions", partial(take, number, design)))

    for kind in ("independent", "8 x 8 objects", "8 sessions", "heavy tails"):
        add(Design(kind), "")
    for kind in ("independent", "heavy tails"):
        for stimuli in (16, 200):
            add(Design(kind, stimuli), "")
    for kind in ("independent", "8 x 8 objects"):
        add(Design(kind, rates=True), "noise grows with the response")
        add(Design(kind, measure="squared euclidean"), "squared euclidean, pearson")
        add(Design(kind, measure="squared euclidean", method="cosine"), "squared euclidean, cosine")
        for repetitions in (2, 3, 5, 7):
            add(Design(kind, repetitions=repetitions), f"{repetitions} repetitions")
    add(Design("8 x 8 objects", method="spearman"), "spearman")
    for kind in ("independent", "8 x 8 objects"):
        for animals in (3, 6):
            for resample in (("animal",), ("stimulus", "animal")):
                said = f"alike, over {' and '.join(resample)}, {animals} animals"
                how = partial(cover_animals, Design(kind), resample, animals)
                cells.append(("interval", Design(kind), said, how))
    for animals in (3, 6):
        for layers in (2, 6):
            said = f"{layers} layers, over stimulus and animal, {animals} animals"
            design = Design()
            cells.append(("layers", design, said, partial(differ_animals, layers, animals)))
    for kind in ("independent", "8 x 8 objects", "8 sessions"):
        for number, said in enumerate(("early", "late")):
            how = partial(cover_time, Design(kind), number)
            cells.append(("interval", Design(kind), f"alike, {said} of two time bins", how))
    return cells


def size_noise(rates: np.ndarray, design: Design) -> np.ndarray:
    """Return the standard deviation of a single response."""
    return NOISE * np.sqrt((rates + 0.3) / 1.2) if design.rates else np.full_like(rates, NOISE)


def make_rates(
    generator: np.random.Generator, design: Design, world: Pair, number: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the patterns of a layer, and those of an area without noise."""
    points = draw_points(generator, design, number)
    layer, rates = (np.maximum(points @ side, 0) for side in world)
    return layer, rates + add_sessions(generator, rates, design)


def make_noisy(generator: np.random.Generator, design: Design, world: Pair, number: int) -> Pair:
    """Return the dissimilarities of the measured RDM, and of the one without noise."""
    rates = make_rates(generator, design, world, number)[1]
    spread = size_noise(np.maximum(rates, 0), design) / np.sqrt(design.repetitions)
    noisy = rates + spread * generator.normal(size=rates.shape)
    return pattern_distances(noisy, design.measure), pattern_distances(rates, design.measure)


def make_true(generator: np.random.Generator, design: Design, world: Pair, number: int) -> Pair:
    """Return the dissimilarities of a layer, and those of the area without noise."""
    layer, rates = make_rates(generator, design, world, number)
    return pattern_distances(layer, design.measure), pattern_distances(rates, design.measure)


def make_ceiling(
    generator: np.random.Generator, design: Design, world: Pair, seed: int
) -> tuple[np.ndarray, np.ndarray, AreaCeiling]:
    """Return the dissimilarities of a layer and of a recorded area, and the ceiling of this."""
    layer, rates = make_rates(generator, design, world, design.stimuli)
    deviates = generator.normal(size=(len(rates), design.repetitions, rates.shape[1]))
    values = rates[:, None] + size_noise(np.maximum(rates, 0), design)[:, None] * deviates
    rdm = {"by": "stimulus", "measure": design.measure, "noise": "identity"}
    ceiling = ceil_area(
        make_recording(values), rdm, design.method, design.units, splits=SPLITS, seed=seed
    )
    found = [pattern_distances(patterns, design.measure) for patterns in (layer, values.mean(1))]
    return found[0], found[1], ceiling


def make_recording(values: np.ndarray) -> xr.Dataset:
    """Return responses (stimulus, repetition, site[, time bin]) as a recording."""
    return recording_from_arrays(
        values,
        stimulus=name_stimuli(len(values)),
        site=[f"s{k}" for k in range(values.shape[2])],
        area="IT",
        units="spikes/s",
        source="simulated",
    )


def name_stimuli(number: int) -> list[str]:
    """Return their labels."""
    return [f"i{k}" for k in range(number)]


@cache
def cover_ceiling(design: Design, simulations: int) -> tuple[Numbers, Numbers]:
    """Return the truth, the mean ceiling, and how often its intervals hold the truth.

    And the same of the similarity of a layer, divided by the ceiling where that is usable.
    """
    rows: tuple[list[tuple[float, float, bool]], ...] = ([], [])
    for number in range(WORLDS):
        world = make_world(number, design.shared)
        truth, of_layer = (
            find_truth(design, world, number, LARGE, make) for make in (make_noisy, make_true)
        )
        for k in range(simulations // WORLDS):
            generator = np.random.default_rng([11, number, k, design.stimuli])
            layer, area, ceiling = make_ceiling(generator, design, world, k)
            lower, upper = ceiling.interval
            rows[0].append((truth, ceiling.ceiling, lower <= truth <= upper))
            if ceiling.usable:
                how = Inference(draws=1)
                drawn = draw_similarity(
                    [layer], area, how, units=design.units, method=design.method, seed=k
                )
                r = compare_vectors(layer[None], area, design.method)
                lower, upper = correct_interval(r, drawn, ceiling)[0]
                rows[1].append((of_layer, r[0] / ceiling.ceiling, lower <= of_layer <= upper))
    first, second = (
        tuple(f"{n:.3f}" for n in np.nanmean(part, axis=0)) if part else ("", "", "")
        for part in rows
    )
    return first, second  # type: ignore[return-value]


def take(number: int, design: Design, simulations: int) -> Numbers:
    """Return one of the two rows of `cover_ceiling`."""
    return cover_ceiling(design, simulations)[number]


def mix_animals(generator: np.random.Generator, animals: int, world: np.ndarray) -> np.ndarray:
    """Return projections (latent, site) of animals that each turn away from a common one."""
    own = []
    for _ in range(animals):
        turn = generator.normal(0, 0.5 * LATENT**-0.5, (LATENT, LATENT))
        own.append((np.eye(LATENT) + turn) @ world @ generator.normal(size=(LATENT, EACH)))
    return np.concatenate(own, axis=1)


def cover_animals(
    design: Design, resample: tuple[str, ...], animals: int, simulations: int
) -> Numbers:
    """Return as `cover_ceiling`, of intervals over animals, for these stimuli or others too."""
    names = np.repeat(np.arange(animals).astype(str), EACH)
    how = Inference(resample, draws=200)
    held, found, truths = [], [], []
    for number in range(WORLDS):
        generator = np.random.default_rng([12, number])
        layer = generator.normal(size=(LATENT, 100))
        common = 0.9 * np.eye(LATENT) + 0.1 * generator.normal(0, LATENT**-0.5, (LATENT,) * 2)
        others = [mix_animals(generator, animals, common) for _ in range(40)]
        pairs = [(layer, sites) for sites in others]
        truth = 0.0
        if "stimulus" in resample:
            truth = float(np.mean([find_truth(design, w, number, (600, 1)) for w in pairs]))
        for k in range(simulations // WORLDS):
            generator = np.random.default_rng([13, number, k, design.stimuli])
            points = draw_points(generator, design, design.stimuli)
            sites = mix_animals(generator, animals, common)
            of_sites = [
                add_noise(generator, np.maximum(points @ s, 0), design) for s in (sites, *others)
            ]
            vectors = np.array([pattern_distances(p, design.measure) for p in of_sites])
            one = pattern_distances(np.maximum(points @ layer, 0), design.measure)
            r = compare_vectors(vectors, one, design.method)
            truth = truth if "stimulus" in resample else float(np.mean(r[1:]))
            responses = SiteResponses(of_sites[0], names, design.measure)
            lower, upper = draw_similarity(
                [one], vectors[0], how, units=design.units, responses=responses, seed=k
            ).interval[0]
            held.append(lower <= truth <= upper)
            found.append(r[0])
            truths.append(truth)
    return f"{np.mean(truths):.3f}", f"{np.mean(found):.3f}", f"{np.mean(held):.3f}"


def differ_animals(layers: int, animals: int, simulations: int) -> Numbers:
    """Return how often any of several layers differs significantly over stimuli and animals.

    Sites of all animals see the latent dimensions at random, and layers are cyclic shifts of one
    another: over all animals and stimuli none is more similar to the area than another.
    """
    design = Design()
    names = np.repeat(np.arange(animals).astype(str), EACH)
    how = Inference(("stimulus", "animal"), draws=200)
    found, rejected = [], []
    for seed in range(simulations):
        generator = np.random.default_rng([14, seed, layers, animals])
        points = draw_points(generator, design, design.stimuli)
        other = generator.normal(size=(LATENT, 60)) * np.exp(-np.arange(LATENT) / 3)[:, None]
        own = [
            np.exp(0.5 * generator.normal(size=(LATENT, 1))) * generator.normal(size=(LATENT, EACH))
            for _ in range(animals)
        ]
        sites = np.maximum(points @ np.concatenate(own, axis=1), 0)
        patterns = add_noise(generator, sites, design)
        area = pattern_distances(patterns, "correlation")
        step = LATENT // layers
        vectors = [
            pattern_distances(np.maximum(points @ np.roll(other, k * step, 0), 0), "correlation")
            for k in range(layers)
        ]
        responses = SiteResponses(patterns, names)
        drawn = draw_similarity(
            vectors, area, how, units=design.units, responses=responses, seed=seed
        )
        similarity = compare_vectors(np.array(vectors), area, "pearson")
        tested = compare_layers(tabulate(similarity, drawn.draws, drawn.freedom))
        rejected.append(np.nanmin(tested["corrected_p_value"]) <= 0.05)
        found.append(similarity.mean())
    return "", f"{np.mean(found):.3f}", f"{np.mean(rejected):.3f}"


def tabulate(similarity: np.ndarray, draws: np.ndarray, freedom: int) -> xr.Dataset:
    """Return what `compare_layers` reads of a correspondence with one area."""
    return xr.Dataset(
        {
            "similarity": (("layer", "area"), similarity[:, None]),
            "similarity_draws": (("bootstrap", "layer", "area"), draws[:, :, None]),
            "degrees_of_freedom": ("area", [freedom]),
        },
        coords={"layer": [f"layer{k}" for k in range(len(similarity))], "area": ["IT"]},
    )


def cover_time(design: Design, bin_number: int, simulations: int) -> Numbers:
    """Return as `cover_ceiling`, of the similarity in one of two time bins.

    The early response is a quarter of the late one, beside the same noise.
    """
    strengths = (0.25, 1.0)

    def make(generator: np.random.Generator, one: Design, world: Pair, number: int) -> Pair:
        layer, rates = make_rates(generator, one, world, number)
        noise = NOISE / np.sqrt(one.repetitions) * generator.normal(size=rates.shape)
        sides = layer, strengths[bin_number] * rates + noise
        return tuple(pattern_distances(side, one.measure) for side in sides)  # type: ignore[return-value]

    names = name_stimuli(design.stimuli)
    labels: dict[str, Any] = {"unit_of": ("stimulus", [f"u{k}" for k in design.units.index])}
    held, found, truths = [], [], []
    for number in range(WORLDS):
        world = make_world(number, design.shared)
        truth = find_truth(design, world, number, LARGE, make)
        for k in range(simulations // WORLDS):
            generator = np.random.default_rng([15, number, k])
            layer, rates = make_rates(generator, design, world, design.stimuli)
            shape = (len(rates), design.repetitions, rates.shape[1], 2)
            values = rates[:, None, :, None] * np.array(strengths)
            values = values + NOISE * generator.normal(size=shape)
            recording = assign_time_bins(make_recording(values), [0.0, 100.0, 200.0])
            rdms = RDMs(
                pattern_distances(layer, design.measure)[None],
                dissimilarity_measure=design.measure,
                rdm_descriptors={"layer": ["layer"]},
                pattern_descriptors={"stimulus": names},
                descriptors={"conditions": "stimulus"},
            )
            unit = "unit_of" if design.grouped else "stimulus"
            one = compute_intervals_over_time(rdms, recording.assign_coords(labels), unit=unit)
            lower, upper = one["similarity_interval"].values[0, 0, bin_number]
            held.append(lower <= truth <= upper)
            found.append(float(one["similarity"].values[0, 0, bin_number]))
            truths.append(truth)
    return f"{np.mean(truths):.3f}", f"{np.mean(found):.3f}", f"{np.mean(held):.3f}"
