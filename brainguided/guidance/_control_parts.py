"""What controls are made of: inner products of features, their RDMs, and reliabilities."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from brainguided.guidance.similarities import find_similarity
from brainguided.guidance.target import Target
from brainguided.rdms.compute import condition_index, standardise
from brainguided.rdms.measures import find_measure, gram_distances, network_measure
from brainguided.rdms.partial import leave_residuals, span_controls
from neural_data.errors import format_names
from neural_data.model.origin import is_simulated
from neural_data.reliability.estimates import spearman_brown

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

    from brainguided.guidance.teacher import Teacher


def find_area(teacher: Teacher, area: str) -> Target:
    """Return an area of a teacher, or raise ValueError with the known ones."""
    for target in teacher:
        if target.area == area:
            return target
    raise ValueError(f"No area {area!r}; the teacher has {format_names(teacher.areas)}.")


def make_control(
    target: Target, kind: str, vector: np.ndarray, gram: np.ndarray, *, source: str, seed: int = 0
) -> Target:
    """Return a control of an area: another RDM of the same conditions.

    Parameters
    ----------
    target : Target
        The area.
    kind : str
        What follows the colon in the control's name.
    vector : ndarray (pair,)
        Dissimilarities.
    gram : ndarray (condition, condition)
        Inner products of the patterns that they are of, for similarities of responses.
    source, seed
        Where the RDM comes from; of the projection of patterns onto as many sites as the area has.
    """
    patterns = None
    if find_similarity(target.similarity).target != "rdm" and target.patterns is not None:
        patterns = project_sites(gram, target.patterns.shape[1], seed=seed)
    name = f"{target.area}:{kind}"
    rdm = replace_vector(target, vector, measure=network_measure(target.measure), source=source)
    rdm.rdm_descriptors["area"] = [name]
    return replace(
        target,
        area=name,
        rdm=rdm,
        recording=None,
        noise="shrinkage",
        patterns=patterns,
    )


def replace_vector(
    target: Target,
    vector: np.ndarray,
    *,
    measure: str | None = None,
    source: str = "",
    conditions: dict[str, list[Any]] | None = None,
) -> RDMs:
    """Return a target's RDM with other dissimilarities (pair,).

    The measure, the source and the labels of the conditions are the target's unless given.
    """
    from rsatoolbox.rdm import RDMs

    old = target.rdm
    descriptors = dict(old.descriptors)
    if source:
        descriptors = {k: v for k, v in descriptors.items() if k == "conditions"}
        descriptors["source"] = source
        if is_simulated(old):
            descriptors["simulated"] = 1
    return RDMs(
        np.asarray(vector, dtype=float)[np.newaxis],
        dissimilarity_measure=measure or old.dissimilarity_measure,
        descriptors=descriptors,
        rdm_descriptors=dict(old.rdm_descriptors),
        pattern_descriptors=dict(conditions or old.pattern_descriptors),
    )


def average_features(target: Target, features: np.ndarray) -> np.ndarray:
    """Return features (stimulus, unit) averaged over the stimuli of each condition."""
    if target.by == "stimulus":
        return features
    index, names = condition_index(target.stimuli["image"], target.by)
    weights = np.eye(len(names))[index]
    mean: np.ndarray = (weights.T @ features) / weights.sum(0)[:, np.newaxis]
    return mean


def compare_features(target: Target, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return dissimilarities (pair,) of features (stimulus, unit), and their inner products.

    The measure is that by which layers are compared with the area; inner products are those of
    patterns less their mean over units where the measure centres them.
    """
    patterns = average_features(target, np.asarray(features, dtype=float))
    return compare_gram(target, patterns @ patterns.T, patterns.sum(1), patterns.shape[1])


def compare_gram(
    target: Target, gram: np.ndarray, sums: np.ndarray, units: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return dissimilarities (pair,), and inner products of patterns centred as they ask for."""
    measure = network_measure(target.measure)
    vector = gram_distances(gram.copy(), sums, units, measure)
    if find_measure(measure).centres:
        gram = gram - np.outer(sums, sums) / units
    return vector, gram


def factor_gram(gram: np.ndarray) -> np.ndarray:
    """Return patterns (condition, dimension) with these inner products, as near as there are."""
    values, vectors = np.linalg.eigh((gram + gram.T) / 2)
    kept = values > 1e-10 * values.max()
    patterns: np.ndarray = vectors[:, kept] * np.sqrt(values[kept])
    return patterns


def project_sites(gram: np.ndarray, sites: int, *, seed: int) -> np.ndarray:
    """Return the responses (condition, site) of sites that weigh patterns at random."""
    patterns = factor_gram(gram)
    if patterns.shape[1] <= sites:
        return np.pad(patterns, ((0, 0), (0, sites - patterns.shape[1])))
    weights = np.random.default_rng([seed, 21]).standard_normal((patterns.shape[1], sites))
    projected: np.ndarray = patterns @ weights / np.sqrt(sites)
    return projected


def gram_of_rdm(target: Target, vector: np.ndarray) -> np.ndarray:
    """Return inner products (condition, condition) that dissimilarities are those of."""
    n = target.rdm.n_cond
    square = np.zeros((n, n))
    square[np.triu_indices(n, 1)] = vector
    square += square.T
    measure = network_measure(target.measure)
    if measure in ("correlation", "cosine"):
        return 1 - square
    square = square**2 if measure == "euclidean" else square
    rows = square.mean(1)
    return np.asarray(square - rows[:, np.newaxis] - rows + square.mean()) / -2


def estimate_reliability(
    target: Target, *, given: np.ndarray | None = None, splits: int = 20, seed: int = 0
) -> float | None:
    """Return the reliability of an area's RDM, or of what controls leave of it.

    Repetitions are halved at random, the RDMs of both halves correlated (after regressing them on
    the controls), and the mean over splits stepped up to all repetitions by the formula of
    Spearman and Brown.

    Parameters
    ----------
    target : Target
        With its recording.
    given : ndarray (control, pair), optional
        Vectors of the controls.
    splits, seed : int, optional
        Number of random halves, and their seed.

    Returns
    -------
    float or None
        None where there is no recording with repetitions.
    """
    recording = target.recording
    if recording is None or recording.sizes.get("repetition", 1) < 2:
        return None
    values = recording["response"].isel(time_bin=0, missing_dims="ignore")
    response = values.transpose("stimulus", "repetition", "site").values.astype(float)
    index, names = condition_index(recording, target.by)
    order = [target.conditions.index(name) for name in names]
    weights = np.zeros((len(names), len(index)))
    weights[np.asarray(order)[index], np.arange(len(index))] = 1.0
    row = find_measure(network_measure(target.measure))
    basis = None if given is None else span_controls(given)
    generator = np.random.default_rng([seed, 22])
    assert row.distances is not None
    found = []
    half = response.shape[1] // 2
    for _ in range(splits):
        drawn = generator.permutation(response.shape[1])
        halves = []
        for part in (drawn[:half], drawn[half : 2 * half]):
            some = response[:, part]
            known = np.isfinite(some)
            count = weights @ known.sum(1)
            if not count.all():
                return None
            total = weights @ np.where(known, some, 0.0).sum(1)
            halves.append(row.distances(total / count))
        pair = np.stack(halves)
        sides = standardise(pair) if basis is None else leave_residuals(pair, basis)
        found.append(float(sides[0] @ sides[1]))
    return float(spearman_brown(np.array(np.mean(found)), factor=response.shape[1] / half))
