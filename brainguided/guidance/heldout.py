"""What no reward has used: stimuli, animals, areas or a similarity, kept for the winner.

Candidates that were chosen by their similarity to an area are, in part, those that chance favoured
on its stimuli. Whether the winner resembles the brain is asked of data that chose nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from brainguided.guidance._control_parts import replace_vector
from brainguided.guidance.scoring import Scorer
from brainguided.guidance.similarities import find_similarity
from brainguided.guidance.target import Target, find_halved, fingerprint
from brainguided.guidance.teacher import Teacher, average_patterns
from brainguided.rdms.conditions import condition_index, stimulus_coords
from neural_data.errors import format_names, raise_problems

if TYPE_CHECKING:
    from torch import nn

    from brainguided.networks.layers import Layers
    from brainguided.networks.preprocessing import Preprocessing
    from brainguided.rdms.units import Units

Values = Mapping[str, float | None]


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Targets that no reward uses, and the areas whose layers are judged by them.

    Attributes
    ----------
    teacher : Teacher
        Targets named "V4:heldout" and so on.
    guides : mapping of str to (str or None)
        For each target the area of the guiding teacher whose best layer is scored on it; None for
        an area that does not guide, whose layer is committed to on its own halves.
    """

    teacher: Teacher
    guides: Mapping[str, str | None]

    def without_recordings(self) -> HeldOut:
        """Return the targets with their RDMs alone: all that is sent to workers."""
        return replace(self, teacher=self.teacher.without_recordings())

    def describe(self) -> list[dict[str, Any]]:
        """Return what identifies the data, ready for JSON."""
        return self.teacher.describe()


def hold_out(
    teacher: Teacher,
    *,
    stimuli: float = 0.0,
    animals: Sequence[str] = (),
    areas: Sequence[str] = (),
    similarity: str | None = None,
    seed: int = 0,
) -> tuple[Teacher, HeldOut]:
    """Divide a teacher into what guides and what is held out.

    Of several at once the held-out targets are new in all respects: other stimuli, shown to other
    animals, compared by another similarity.

    Parameters
    ----------
    teacher : Teacher
        With its recordings, for animals and for similarities of responses.
    stimuli : float, optional
        Share of the conditions, 0 to 1; whole categories (or objects, of fewer than 6 categories)
        are held out, the same of all areas. Categories of one name, and those that share an image
        (pixel for pixel), are held out together, also where areas were shown different stimuli.
    animals : sequence of str, optional
        Their sites are held out.
    areas : sequence of str, optional
        Areas that do not guide at all.
    similarity : str, optional
        Another one than guides, a row of ``similarities.SIMILARITIES``.
    seed : int, optional
        Of the conditions.

    Returns
    -------
    guiding : Teacher
        What candidates are rewarded by.
    heldout : HeldOut
        As from `hold_out`.

    Raises
    ------
    ValueError
        If nothing is held out, or nothing is left to guide; all problems are named.
    """
    _check(teacher, stimuli, animals, areas, similarity)
    guiding, heldout, guides = [], [], {}
    guided = _draw_conditions(tuple(teacher), stimuli, seed) if stimuli else {}
    for target in teacher:
        seen, unseen = target, target
        if animals:
            seen, unseen = _split_animals(target, animals)
        if stimuli:
            kept = guided[target.area]
            seen, unseen = select_conditions(seen, kept), select_conditions(unseen, ~kept)
        name = f"{target.area}:heldout"
        if similarity is not None:
            name += f"-{similarity}"
            patterns = average_patterns(unseen)
            unseen = replace(unseen, similarity=similarity, patterns=patterns)
        guides[name] = None if target.area in areas else target.area
        if target.area not in areas:
            guiding.append(replace(seen, area=target.area))
        if target.area in areas or stimuli or animals or similarity is not None:
            heldout.append(replace(unseen, area=name))
    known = {target.area for target in heldout}
    kept_guides = {name: area for name, area in guides.items() if name in known}
    return Teacher(tuple(guiding)), HeldOut(Teacher(tuple(heldout)), kept_guides)


def score_heldout(
    network: nn.Module,
    heldout: HeldOut,
    similarity: Mapping[str, Values],
    *,
    layers: Layers = None,
    preprocessing: Preprocessing | None = None,
) -> dict[str, float | None]:
    """Return the similarity of a network to what was held out.

    Parameters
    ----------
    network : torch.nn.Module
        Maps images to an output.
    heldout : HeldOut
        As from `hold_out`.
    similarity : mapping of area to mapping of layer to (float or None)
        To the guiding teacher: it alone chooses the layer of each area.
    layers, preprocessing : optional
        As for `Scorer.score`.

    Returns
    -------
    dict of target to (float or None)
        Of the layer that the guiding area chose; committed, for an area that does not guide. None
        where there is none.
    """
    scores = Scorer(heldout.teacher).score(network, layers=layers, preprocessing=preprocessing)
    found: dict[str, float | None] = {}
    for name, area in heldout.guides.items():
        if area is None:
            found[name] = scores.committed[name]
            continue
        known = {layer: r for layer, r in similarity[area].items() if r is not None}
        layer = max(known, key=lambda one: known[one]) if known else None
        found[name] = None if layer is None else scores.similarity[name].get(layer)
    return found


def select_conditions(target: Target, kept: np.ndarray) -> Target:
    """Return a target over some of its conditions.

    Parameters
    ----------
    target : Target
        With its recording.
    kept : ndarray of bool (condition,)
    """
    index, names = condition_index(target.stimuli["image"], target.by)
    chosen = np.flatnonzero(kept)
    square = target.rdm.get_matrices()[0][np.ix_(chosen, chosen)]
    shown = target.stimuli.isel(stimulus=np.flatnonzero(kept[index]))
    rows, columns = np.triu_indices(len(kept), 1)
    both = kept[rows] & kept[columns]
    labels = target.rdm.pattern_descriptors
    rdm = replace_vector(
        target,
        square[np.triu_indices(len(chosen), 1)],
        conditions={k: [v[c] for c in chosen] for k, v in labels.items() if k != "index"},
    )
    recording = target.recording
    if recording is not None:
        number = {name: bool(k) for name, k in zip(names, kept, strict=True)}
        mine, own = condition_index(recording, target.by)
        recording = recording.isel(stimulus=np.flatnonzero([number[own[k]] for k in mine.tolist()]))
    return replace(
        target,
        stimuli=shown,
        rdm=rdm,
        recording=recording,
        patterns=None if target.patterns is None else target.patterns[chosen],
        given=None if target.given is None else target.given[:, both],
    )


def _draw_conditions(targets: Sequence[Target], share: float, seed: int) -> dict[str, np.ndarray]:
    """Return which conditions of each target guide: bool (condition,).

    Groups of units are drawn, the share of those that are in the same targets: areas that were
    shown other stimuli lose the same share each.
    """
    units = [find_halved(target) for target in targets]
    groups = _join_units(targets, units)
    number = 1 + max(int(group.max()) for group in groups)
    shown = np.array([np.isin(np.arange(number), group) for group in groups])
    generator = np.random.default_rng([seed, 27])
    drawn: list[int] = []
    patterns = list(map(tuple, shown.T.tolist()))
    for pattern in dict.fromkeys(patterns):
        alike = np.flatnonzero([own == pattern for own in patterns])
        drawn += alike[generator.permutation(len(alike))[: round(share * len(alike))]].tolist()
    problems, kept = [], {}
    for target, own, group in zip(targets, units, groups, strict=True):
        out = np.isin(group, drawn)
        if not 2 <= out.sum() <= own.number - 2:
            problems.append(
                f"stimuli = {share} holds out {out.sum()} of {own.number} units ({own.name}) of "
                f"{target.area}; 2 or more are needed on either side. The units of all areas are "
                f"drawn as {number} groups that share no image or name: take another share or "
                "seed, or areas that were shown the same stimuli"
            )
        kept[target.area] = ~out[own.index]
    raise_problems("These stimuli cannot be held out", problems, ValueError)
    return kept


def _join_units(targets: Sequence[Target], units: Sequence[Units]) -> list[np.ndarray]:
    """Return the group of each unit of each target: units with a common image or name are one."""
    names = {own.name for own in units} & {"category", "object_name"}
    starts = np.cumsum([0, *(own.number for own in units)])
    places: dict[tuple[str, str], int] = {}
    links: set[tuple[int, int]] = set()
    for target, own, start in zip(targets, units, starts.tolist(), strict=False):
        index, _ = condition_index(target.stimuli["image"], target.by)
        coords = stimulus_coords(target.stimuli)
        marks = [("image", list(map(fingerprint, target.stimuli["image"].values)))]
        marks += [(n, coords[n].astype(str).tolist()) for n in sorted(names & coords.keys())]
        for name, values in marks:
            for unit, value in zip(own.index[index].tolist(), values, strict=True):
                place = places.setdefault((name, value), int(starts[-1]) + len(places))
                links.add((start + unit, place))
    rows, columns = np.array(sorted(links)).T
    size = int(starts[-1]) + len(places)
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(size, size))
    _, label = connected_components(graph, directed=False)
    first = list(dict.fromkeys(label[: starts[-1]].tolist()))
    found = np.array([first.index(one) for one in label[: starts[-1]].tolist()])
    return np.split(found, starts[1:-1])


def _split_animals(target: Target, animals: Sequence[str]) -> tuple[Target, Target]:
    """Return an area as other animals show it, and as these do."""
    recording = target.recording
    if recording is None or "animal" not in recording.coords:
        raise ValueError(f"{target.area} has no sites of known animals to hold out.")
    theirs = np.isin(recording["animal"].values.astype(str), list(animals))
    if theirs.all() or not theirs.any():
        known = format_names(dict.fromkeys(recording["animal"].values.astype(str).tolist()))
        raise ValueError(
            f"{target.area} was recorded in {known}; holding out {list(animals)} leaves nothing "
            "on one side."
        )
    sides = [_record_again(target, recording.isel(site=own)) for own in (~theirs, theirs)]
    return sides[0], sides[1]


def _record_again(target: Target, part: xr.Dataset) -> Target:
    made = Teacher.from_recording(
        part, target.stimuli, by=target.by, measure=target.measure, noise=target.noise
    ).targets[0]
    patterns = None if target.patterns is None else average_patterns(made)
    return replace(made, similarity=target.similarity, patterns=patterns, given=target.given)


def _check(
    teacher: Teacher,
    stimuli: float,
    animals: Sequence[str],
    areas: Sequence[str],
    similarity: str | None,
) -> None:
    problems = []
    if not (stimuli or animals or areas or similarity):
        problems.append("nothing is named: give stimuli, animals, areas or a similarity")
    if not 0 <= stimuli < 1:
        problems.append(f"stimuli is {stimuli}; expected a share of them, such as 0.25")
    unknown = sorted(set(areas) - set(teacher.areas))
    if unknown:
        problems.append(f"no area {unknown}; there are {list(teacher.areas)}")
    elif set(areas) == set(teacher.areas):
        problems.append("all areas are held out, and none is left to guide")
    if similarity is not None:
        try:
            find_similarity(similarity)
        except ValueError as cause:
            problems.append(str(cause))
        if similarity in {t.similarity for t in teacher}:
            problems.append(f"similarity {similarity!r} is the one that guides")
    raise_problems("Nothing can be held out like this", problems, ValueError)
