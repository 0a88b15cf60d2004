"""Controls made of the teacher's own responses and labels."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import xarray as xr

from brainguided.guidance._control_parts import (
    compare_gram,
    estimate_reliability,
    factor_gram,
    find_area,
    gram_of_rdm,
    make_control,
)
from brainguided.guidance.scoring import Shuffles
from brainguided.guidance.target import Target
from brainguided.guidance.teacher import Teacher, average_patterns
from brainguided.rdms.compute import condition_index
from brainguided.rdms.units import Units
from neural_data.errors import RecordingError, format_names
from neural_data.model.recording import select_recording


def shuffled_control(
    teacher: Teacher, area: str, *, number: int = 20, seed: int = 0, within: str | None = None
) -> Shuffles:
    """Return an area with its conditions permuted at random, many times: chance.

    Parameters
    ----------
    teacher : Teacher
        With the area.
    area : str
        Name of the area that it is a control of.
    number : int, optional
        Of shuffles; one alone says nothing.
    seed : int, optional
        Of what is drawn.
    within : str, optional
        A coordinate such as "category", within whose groups conditions are permuted; freely by
        default.

    Returns
    -------
    Shuffles
        The orders of the conditions, of which the area's scores are taken.

    Raises
    ------
    ValueError
        If there is no such area or coordinate.
    """
    target = find_area(teacher, area)
    if number < 1:
        raise ValueError(f"number is {number}; expected 1 shuffle or more, 20 for a distribution.")
    units = Units(within or target.by, (np.arange(target.rdm.n_cond),))
    if within is not None:
        units = Units(within, (group_conditions(target, within)[0],))
    generator = np.random.default_rng([seed, 20])
    orders = np.stack([units.shuffle(generator, within=within is not None) for _ in range(number)])
    name = area if within is None else f"{area}:shuffled-within-{within}"
    return Shuffles(name, area, orders)


def categories_control(teacher: Teacher, area: str, *, by: str = "category") -> Target:
    """Return an RDM of category labels alone: 0 within a category, 1 between any two.

    Parameters
    ----------
    teacher : Teacher
        With the area.
    area : str
        Name of the area that it is a control of.
    by : str, optional
        Coordinate over stimuli that names the category.

    Returns
    -------
    Target
        Named "V4:categories", after the area.

    Raises
    ------
    ValueError
        If there is no such area or coordinate, or one category alone.
    """
    target = find_area(teacher, area)
    groups, names = group_conditions(target, by)
    gram = np.equal.outer(groups, groups).astype(float)
    vector = 1 - gram[np.triu_indices(len(groups), 1)]
    kind = "categories" if by == "category" else f"categories-{by}"
    return make_control(target, kind, vector, gram, source=f"{len(names)} labels of {by}")


def blocks_control(teacher: Teacher, area: str, *, by: str = "category") -> Target:
    """Return the area's RDM with the block of every pair of categories replaced by its mean.

    Parameters
    ----------
    teacher : Teacher
        With the area.
    area : str
        Name of the area that it is a control of.
    by : str, optional
        Coordinate over stimuli that names the category.

    Returns
    -------
    Target
        Named "V4:blocks", after the area.

    Raises
    ------
    ValueError
        If there is no such area or coordinate, or one category alone.
    """
    target = find_area(teacher, area)
    groups, names = group_conditions(target, by)
    rows, columns = np.triu_indices(len(groups), 1)
    low, high = np.minimum(groups[rows], groups[columns]), np.maximum(groups[rows], groups[columns])
    block = np.unique(low * len(names) + high, return_inverse=True)[1]
    values = np.asarray(target.rdm.dissimilarities[0], dtype=float)
    vector = (np.bincount(block, values) / np.bincount(block))[block]
    kind = "blocks" if by == "category" else f"blocks-{by}"
    source = f"{target.source}, averaged within pairs of {by}"
    return make_control(target, kind, vector, gram_of_rdm(target, vector), source=source)


def gaussian_control(teacher: Teacher, area: str, *, seed: int = 0) -> Target:
    """Return the RDM of random responses that have the spectrum of the area's, and nothing else.

    The covariance of the random patterns has the eigenvalues of that of the area's mean responses
    (or, where there is an RDM alone, of the inner products that it is of); their scores on these
    components are drawn at random.

    Parameters
    ----------
    teacher : Teacher
        With the area.
    area : str
        Name of the area that it is a control of.
    seed : int, optional
        Of what is drawn.

    Returns
    -------
    Target
        Named "V4:gaussian", after the area.
    """
    target = find_area(teacher, area)
    patterns = average_patterns(target)
    if patterns is None:
        patterns = factor_gram(gram_of_rdm(target, np.asarray(target.rdm.dissimilarities[0])))
    drawn = draw_gaussian(patterns, seed)
    vector, gram = compare_features_of_conditions(target, drawn)
    kind = "gaussian" if seed == 0 else f"gaussian-{seed}"
    source = f"random responses with the spectrum of: {target.source}"
    return make_control(target, kind, vector, gram, source=source)


def draw_gaussian(patterns: np.ndarray, seed: int) -> np.ndarray:
    """Return random patterns (condition, site) with the covariance of the given ones."""
    centred = patterns - patterns.mean(0)
    _, size, axes = np.linalg.svd(centred, full_matrices=False)
    drawn = np.random.default_rng([seed, 24]).standard_normal((len(patterns), len(size)))
    drawn -= drawn.mean(0)
    scores = np.linalg.qr(drawn)[0]
    found: np.ndarray = (scores * size) @ axes
    return found


def compare_features_of_conditions(
    target: Target, patterns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return dissimilarities and inner products of patterns that are those of conditions."""
    return compare_gram(target, patterns @ patterns.T, patterns.sum(1), patterns.shape[1])


def sites_control(
    teacher: Teacher, area: str, *, number: int | None = None, seed: int = 0
) -> Target:
    """Return the area as a few of its sites, drawn at random, show it.

    Parameters
    ----------
    teacher : Teacher
        With the area.
    area : str
        Name of the area that it is a control of.
    number : int, optional
        Of sites; all by default, which is the area itself.
    seed : int, optional
        Of what is drawn.

    Returns
    -------
    Target
        Named "V4:sites-30", after the area.

    Raises
    ------
    ValueError
        If there is no recording, or too few sites.
    """
    target = find_area(teacher, area)
    recording = _need_recording(target, "sites")
    n = recording.sizes["site"]
    if number is not None and not 3 <= number <= n:
        raise ValueError(f"number is {number}; {area} has {n} sites: give 3 to {n}.")
    generator = np.random.default_rng([seed, 25])
    kept = np.sort(generator.permutation(n)[: number or n])
    kind = f"sites-{number or n}" + ("" if seed == 0 else f"-{seed}")
    return _select_part(target, recording.isel(site=kept), kind)


def animal_control(teacher: Teacher, area: str, *, animal: str) -> Target:
    """Return the area as the sites of one animal show it.

    Parameters
    ----------
    teacher : Teacher
        With the area.
    area : str
        Name of the area that it is a control of.
    animal : str
        As the coordinate ``animal`` of the sites has it.

    Returns
    -------
    Target
        Named "V4:animal", after the area.

    Raises
    ------
    ValueError
        If there is no recording, or no such animal.
    """
    return _select_label(find_area(teacher, area), "animal", animal)


def session_control(teacher: Teacher, area: str, *, session: str) -> Target:
    """Return the area as the sites of one session show it.

    Parameters
    ----------
    teacher : Teacher
        With the area.
    area : str
        Name of the area that it is a control of.
    session : str
        As the coordinate ``session`` of the sites has it.

    Returns
    -------
    Target
        Named "V4:session", after the area.

    Raises
    ------
    ValueError
        If there is no recording, or no such session.
    """
    return _select_label(find_area(teacher, area), "session", session)


def partial_control(teacher: Teacher, area: str, controls: Sequence[Target]) -> Target:
    """Return what an area's RDM holds beyond controls: its partial correlation with layers.

    Both sides are regressed on all the controls jointly, within each half of the conditions. The
    reliability of what is left stands in the RDM's descriptors.

    Parameters
    ----------
    teacher : Teacher
        With the area.
    area : str
        Name of the area that it is a control of.
    controls : sequence of Target
        Of this area, such as from `categories_control` and `pixels_control`.

    Returns
    -------
    Target
        Named "V4:partial", after the area.

    Raises
    ------
    ValueError
        If the controls explain the area, or one another.
    """
    target = find_area(teacher, area)
    if not controls:
        raise ValueError("No controls to leave out; give one or more, e.g. categories and pixels.")
    given = np.stack([control.vector for control in controls])
    kinds = "+".join(control.area.partition(":")[2] or control.area for control in controls)
    partial = replace(
        target, area=f"{area}:partial-{kinds}", given=given, recording=None, noise="shrinkage"
    )
    reliability = estimate_reliability(target, given=given)
    if reliability is not None:
        partial.rdm.descriptors["reliability"] = round(reliability, 4)
    return partial


def group_conditions(target: Target, by: str) -> tuple[np.ndarray, list[str]]:
    """Return the number of each condition's group, and the names of the groups.

    Raises
    ------
    ValueError
        If conditions have no such label, or differ in it, or there is one group.
    """
    coords = target.stimuli["image"].coords
    if by not in coords or coords[by].dims != ("stimulus",):
        known = sorted(str(k) for k, v in coords.items() if v.dims == ("stimulus",))
        raise ValueError(f"The stimuli of {target.area} have no {by!r}; there are {known}.")
    conditions, labels = condition_index(target.stimuli["image"], target.by)
    groups, names = condition_index(target.stimuli["image"], by)
    first = np.array([int(np.flatnonzero(conditions == k)[0]) for k in range(len(labels))])
    if not np.array_equal(groups[first][conditions], groups):
        raise ValueError(f"Conditions ({target.by}) of {target.area} hold several of {by!r}.")
    if len(names) < 2:
        raise ValueError(f"The stimuli of {target.area} are all of one {by} ({names[0]!r}).")
    return groups[first], names


def _need_recording(target: Target, what: str) -> xr.Dataset:
    if target.recording is None:
        raise ValueError(
            f"{target.area} is an RDM alone, without {what}: make the teacher from a recording."
        )
    return target.recording


def _select_label(target: Target, name: str, label: str) -> Target:
    recording = _need_recording(target, "sites")
    if name not in recording.coords or recording[name].dims != ("site",):
        raise ValueError(f"The sites of {target.area} have no coordinate {name!r}.")
    labels = recording[name].values.astype(str)
    if label not in labels:
        known = format_names(dict.fromkeys(labels.tolist()))
        raise ValueError(
            f"No {name} {label!r} among the sites of {target.area}; there are {known}."
        )
    return _select_part(target, recording.isel(site=labels == label), f"{name}-{label}")


def _select_part(target: Target, part: xr.Dataset, kind: str) -> Target:
    """Return an area as some of its sites show it, by the measure of the whole."""
    noise = target.noise if isinstance(target.noise, str) else "shrinkage"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            made = Teacher.from_recording(
                select_recording(part), target.stimuli, by=target.by, measure=target.measure,
                noise=noise,
            ).targets[0]  # fmt: skip
    except RecordingError as cause:
        raise ValueError(f"{target.area}:{kind}: {cause}") from cause
    name = f"{target.area}:{kind}"
    made.rdm.rdm_descriptors["area"] = [name]
    patterns = None if target.patterns is None else average_patterns(made)
    return replace(
        made, area=name, recording=None, similarity=target.similarity, patterns=patterns,
        given=target.given,
    )  # fmt: skip
