"""Noise for controls that have none: as few sites and as little reliability as the brain's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from brainguided.guidance._control_parts import (
    factor_gram,
    gram_of_rdm,
    project_sites,
    replace_vector,
)
from brainguided.guidance.scoring import Copies
from brainguided.guidance.target import Target
from brainguided.rdms.compute import standardise
from brainguided.rdms.measures import find_measure, network_measure
from neural_data.reliability.estimates import spearman_brown

DRAWS = 20
_STEPS = 14
_TRIED = 4


def match_noise(
    target: Target,
    control: Target,
    *,
    reliability: float,
    sites: int | None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Copies:
    """Return noisy copies of a control, their RDMs as reliable as an area's.

    Parameters
    ----------
    target : Target
        The area.
    control : Target
        Its name and source are those of the copies.
    reliability : float
        Of the RDM, 0 to 1: by halves, stepped up to the whole.
    sites : int or None
        Number of sites that weigh the control's patterns at random; None for as many as there are
        dimensions.
    draws, seed : int, optional
        Of the noise.

    Returns
    -------
    Copies
        Each with independent noise in its sites; the values of its RDM are those of the area's, in
        the order of its own.
    """
    gram = gram_of_rdm(control, np.asarray(control.rdm.dissimilarities[0], dtype=float))
    patterns = factor_gram(gram) if sites is None else project_sites(gram, sites, seed=seed)
    patterns = patterns / np.sqrt(np.mean(np.square(patterns - patterns.mean(0))))
    values = np.sort(np.asarray(target.rdm.dissimilarities[0], dtype=float))
    measure = network_measure(target.measure)
    name = "cosine" if measure == "correlation" else measure  # patterns are centred already
    distances = find_measure(name).distances
    assert distances is not None

    def compute(sd: float, number: int, half: int) -> np.ndarray:
        """Return an RDM: of one half of the repetitions (0, 1), or of all (2)."""
        generator = np.random.default_rng([seed, 23, number])
        noise = generator.standard_normal((2, *patterns.shape)) * np.sqrt(2) * sd
        own = noise.mean(0) if half == 2 else noise[half]
        vector = np.empty(len(values))
        vector[np.argsort(distances(patterns + own), kind="stable")] = values
        return vector

    def rate(sd: float) -> float:
        pairs = [standardise(np.stack([compute(sd, k, h) for h in (0, 1)])) for k in range(_TRIED)]
        return float(spearman_brown(np.array(np.mean([a @ b for a, b in pairs]))))

    low, high = 1e-3, 1e3
    if reliability < 1:
        for _ in range(_STEPS):
            middle = float(np.sqrt(low * high))
            low, high = (middle, high) if rate(middle) > reliability else (low, middle)
    sd = float(np.sqrt(low * high)) if reliability < 1 else 0.0
    copies = []
    for number in range(draws):
        rdm = replace_vector(control, compute(sd, number, 2))
        copies.append(replace(control, rdm=rdm, patterns=None))
    return Copies(control.area, tuple(copies), reliability)
