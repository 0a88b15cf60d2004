"""Simulated stimuli, layers and areas of known truth, for `inference.py`.

Stimuli are points in a latent space; a site or unit is a rectified random projection of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from brainguided.rdms.measures import pattern_distances
from brainguided.rdms.units import Units

LATENT, GROUP, WORLDS = 12, 8, 10
Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Design:
    """What is sampled: `kind` of stimuli, their number, repetitions, measure and comparison.

    `rates`: whether noise grows with the response, as that of spike counts does.
    """

    kind: str = "independent"
    stimuli: int = 64
    shared: float = 0.9
    repetitions: int = 4
    measure: str = "correlation"
    method: str = "pearson"
    rates: bool = False

    @property
    def grouped(self) -> bool:
        return self.kind in ("8 x 8 objects", "8 sessions")

    @property
    def units(self) -> Units:
        index = np.arange(self.stimuli) // (GROUP if self.grouped else 1)
        return Units(self.kind, (index,))


def draw_points(generator: np.random.Generator, design: Design, number: int) -> np.ndarray:
    """Return stimuli as points (stimulus, latent)."""
    if design.kind == "heavy tails":
        return generator.standard_t(3, (number, LATENT)) / np.sqrt(3)
    points = generator.normal(size=(number, LATENT))
    if design.kind == "8 x 8 objects":
        centres = generator.normal(size=(number // GROUP, LATENT))
        points = 0.9 * np.repeat(centres, GROUP, axis=0) + 0.45 * points
    return points


def add_noise(
    generator: np.random.Generator, rates: np.ndarray, design: Design, size: float = 1.4
) -> np.ndarray:
    """Return mean responses of so many repetitions; sessions add a response of their own."""
    noisy = rates + generator.normal(0, size / np.sqrt(design.repetitions), rates.shape)
    return noisy + add_sessions(generator, rates, design)


def add_sessions(
    generator: np.random.Generator, rates: np.ndarray, design: Design
) -> np.ndarray | float:
    """Return the response of each site that all stimuli of a session share, in every repetition."""
    if design.kind != "8 sessions":
        return 0.0
    own = generator.normal(0, 1.5, (len(rates) // GROUP, rates.shape[1]))
    return np.repeat(own, GROUP, axis=0)


def make_world(
    number: int, shared: float, sample: tuple[int, ...] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return projections (latent, unit) of a layer and of a sample of sites of an area.

    They look at different latent dimensions (`shared` below 0), at all of them by random mixtures
    (0), or at the same ones (1).
    """
    generator = np.random.default_rng([9, number])
    layer = generator.normal(size=(LATENT, 100))
    mixed = generator.normal(0, LATENT**-0.5, (LATENT, LATENT))
    features = shared * np.eye(LATENT) + (1 - shared) * mixed
    if shared < 0:
        layer[: LATENT // 2] = 0
        features = np.diag(np.arange(LATENT) < LATENT // 2).astype(float)
    if sample is not None:
        generator = np.random.default_rng([10, number, *sample])
    return layer, features @ generator.normal(size=(LATENT, 40))


def make_pair(
    generator: np.random.Generator,
    design: Design,
    world: Pair,
    number: int,
) -> Pair:
    """Return the dissimilarities (pair,) of a layer and of an area."""
    points = draw_points(generator, design, number)
    layer, sites = (np.maximum(points @ side, 0) for side in world)
    sites = add_noise(generator, sites, design)
    return pattern_distances(layer, design.measure), pattern_distances(sites, design.measure)


def find_truth(
    design: Design,
    world: Pair,
    number: int,
    size: tuple[int, int] = (1600, 3),
    make: Callable[[np.random.Generator, Design, Pair, int], Pair] = make_pair,
) -> float:
    """Return the similarity of very many stimuli, with as many pairs within units as designed.

    Of samples of `size` (number of stimuli, and of samples) of the two RDMs that `make` makes.
    """
    generator = np.random.default_rng([7, number])
    many, part = size[0], (GROUP - 1) / (design.stimuli - 1) if design.grouped else 0.0
    index = np.arange(many) // GROUP
    rows, columns = np.triu_indices(many, 1)
    same = index[rows] == index[columns]
    moments = []
    for _ in range(size[1]):
        x, y = make(generator, design, world, many)
        weights = np.ones(len(x))
        if part:
            weights = np.where(same, part / same.mean(), (1 - part) / (1 - same.mean()))
        if design.method == "spearman":
            x, y = (rank(v, weights) for v in (x, y))
        both = np.array([x, y, x * x, y * y, x * y])
        moments.append(both @ weights / weights.sum())
    x, y, xx, yy, xy = np.mean(moments, axis=0)
    if design.method != "cosine":
        xx, yy, xy = xx - x * x, yy - y * y, xy - x * y
    return float(xy / np.sqrt(xx * yy))


def rank(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return weighted ranks, from 0 to 1."""
    order = np.argsort(values)
    ranks = np.empty(len(values))
    ranks[order] = np.cumsum(weights[order]) - weights[order] / 2
    return ranks / weights.sum()
