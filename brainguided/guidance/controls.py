"""Controls: teachers that are measured and not rewarded, one row each.

What a candidate shares with an area it may share with much else: categories, pixels, any untrained
network. A control is such an explanation, over the same conditions as the area. To add one, write
its function (teacher, area, ...) and its row in `ROWS`, and its theorem in the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from brainguided.guidance._control_parts import estimate_reliability, find_area, replace_vector
from brainguided.guidance._controls_of_images import (
    gabor_control,
    network_control,
    pixels_control,
    rdm_control,
    untrained_control,
)
from brainguided.guidance._controls_of_recordings import (
    animal_control,
    blocks_control,
    categories_control,
    gaussian_control,
    partial_control,
    session_control,
    shuffled_control,
    sites_control,
)
from brainguided.guidance._matching import DRAWS, match_noise
from brainguided.guidance.scoring import Copies, Shuffles
from brainguided.guidance.target import Target, fingerprint
from brainguided.guidance.teacher import Teacher, describe_similarity
from brainguided.rdms.measures import network_measure
from neural_data.errors import raise_problems

__all__ = [
    "CONTROLS",
    "Control",
    "Measured",
    "add_controls",
    "animal_control",
    "blocks_control",
    "categories_control",
    "describe_controls",
    "estimate_reliability",
    "gabor_control",
    "gaussian_control",
    "make_controls",
    "match_control",
    "network_control",
    "partial_control",
    "pixels_control",
    "rdm_control",
    "replace_areas",
    "session_control",
    "shuffled_control",
    "sites_control",
    "untrained_control",
]

Measured = Target | Shuffles | Copies
RELIABILITIES = (0.5, 0.7, 0.9)
"""That noise-free controls are given where the area's own is not known."""


@dataclass(frozen=True, eq=False)
class Control:
    """A kind of control.

    Attributes
    ----------
    name : str
        As in ``kind = "..."``.
    rules_out : str
        What a candidate more similar to the area than to the control does not show, in words
        that end the sentence "... is more than".
    make : callable
        Of a teacher, an area and the settings to a Target, or to Shuffles.
    settings : mapping of str to str
        Keys in a file, beside ``kind``, ``area`` and ``match``, with their types.
    needed : tuple of str
        Keys that have no default.
    match : bool or None
        Whether noise is added so that it is as unreliable as the area, unless said otherwise;
        None where it has noise of its own.
    """

    name: str
    rules_out: str
    make: Callable[..., Target | Shuffles]
    settings: Mapping[str, str] = field(default_factory=dict)
    needed: tuple[str, ...] = ()
    match: bool | None = None


ROWS = (
    Control(
        "shuffled", "chance", shuffled_control,
        {"number": "whole", "seed": "whole", "within": "text"},
    ),
    Control("categories", "category labels", categories_control, {"by": "text"}, match=False),
    Control("blocks", "pairs of categories", blocks_control, {"by": "text"}, match=False),
    Control("gaussian", "the spectrum of the responses", gaussian_control, {"seed": "whole"}),
    Control("pixels", "the similarity of pixels", pixels_control, match=False),
    Control("gabor", "low-level features", gabor_control, match=False),
    Control(
        "untrained", "what a network does before training", untrained_control,
        {"architecture": "text", "layer": "text", "seed": "whole"}, match=False,
    ),
    Control(
        "network", "a small, noisy sample of a trained network", network_control,
        {"model": "text", "layer": "text", "units": "whole", "seed": "whole"}, ("model",), True,
    ),
    Control(
        "rdm", "what another RDM says", rdm_control, {"rdm": "text", "name": "text"}, ("rdm",),
        match=False,
    ),
    Control("sites", "as many sites", sites_control, {"number": "whole", "seed": "whole"}),
    Control("animal", "one animal", animal_control, {"animal": "text"}, ("animal",)),
    Control("session", "one session", session_control, {"session": "text"}, ("session",)),
    Control("partial", "the controls left out", partial_control, {"of": "texts"}, ("of",)),
)  # fmt: skip
CONTROLS = {row.name: row for row in ROWS}


def make_controls(teacher: Teacher, tables: Sequence[Mapping[str, Any]]) -> tuple[Measured, ...]:
    """Make the controls of a teacher's areas from plain settings.

    Parameters
    ----------
    teacher : Teacher
        With its recordings.
    tables : sequence of mapping
        ``{"kind": "pixels"}`` and so on, as the tables ``[[control]]`` of a run file: ``kind``, a
        row of `CONTROLS`; ``area``, one area alone instead of all; ``match``, noise that makes the
        control as unreliable as the area; and the settings of the kind. ``of`` of "partial" names
        other kinds. ``network`` has a torch module in the place of ``model``.

    Returns
    -------
    tuple of Target, Shuffles or Copies
        Named "V4:pixels" and so on.

    Raises
    ------
    ValueError
        If a kind or setting is unknown, or a control cannot be made; all problems are named.
    """
    problems: list[str] = []
    made: list[Measured] = []
    for number, table in enumerate(tables, 1):
        settings = dict(table)
        kind, area = settings.pop("kind", None), settings.pop("area", None)
        match = settings.pop("match", None)
        if kind not in CONTROLS:
            problems.append(f"control {number}: kind is {kind!r}; it is one of {list(CONTROLS)}")
            continue
        for one in teacher.areas if area is None else (area,):
            try:
                made += _make(teacher, one, CONTROLS[kind], settings, match)
            except (TypeError, ValueError) as cause:
                problems.append(f"control {number} ({kind}): {cause}")
    names = [c.area if isinstance(c, Target) else c.name for c in made]
    twice = sorted({name for name in names if names.count(name) > 1})
    problems += [f"two controls are named {name!r}" for name in twice]
    raise_problems("Controls cannot be made", list(dict.fromkeys(problems)), ValueError)
    return tuple(made)


def _make(
    teacher: Teacher, area: str, row: Control, settings: Mapping[str, Any], match: bool | None
) -> list[Measured]:
    given = dict(settings)
    if row.name == "partial":
        others = [_make_one(teacher, area, {"kind": kind}) for kind in given.pop("of", ())]
        given["controls"] = others
    wanted = row.match if match is None else match
    if row.name == "network" and wanted and "units" not in given:
        given["units"] = _count_sites(find_area(teacher, area))
    found = row.make(teacher, area, **given)
    if not wanted:
        return [found]
    if row.match is None or not isinstance(found, Target):
        raise ValueError("match is true, but this control has noise of its own")
    return list(match_control(teacher, area, found, seed=int(given.get("seed", 0))))


def _make_one(teacher: Teacher, area: str, table: Mapping[str, Any]) -> Target:
    kind = table["kind"]
    if kind not in CONTROLS or CONTROLS[kind].needed or kind in ("shuffled", "partial"):
        known = [r.name for r in ROWS if not r.needed and r.name != "shuffled"]
        raise ValueError(f"of names {kind!r}; it may name {known}")
    found = CONTROLS[kind].make(teacher, area)
    assert isinstance(found, Target)
    return found


def match_control(
    teacher: Teacher, area: str, control: Target, *, draws: int = DRAWS, seed: int = 0
) -> tuple[Target | Copies, ...]:
    """Return a control with as few sites and as much noise as an area.

    The control's patterns are weighed at random by as many sites as the area has, independent
    noise is added until the split-half reliability of the RDM is that of the area's, and the
    values of the RDM are replaced, rank by rank, by those of the area's.

    Parameters
    ----------
    teacher : Teacher
        With its recordings.
    area : str
        Name of the area that it is a control of.
    control : Target
        Without noise, such as `categories_control` makes it.
    draws : int, optional
        Of the noise; scores are their means.
    seed : int, optional
        Of what is drawn.

    Returns
    -------
    tuple of Copies or Target
        One set of copies. Where the area's reliability is not known (an RDM alone, or no
        repetitions): the control as it is, and copies of reliability .5, .7 and .9.

    Raises
    ------
    ValueError
        If there is no such area, or its RDM has a reliability of 0 or less.
    """
    target = find_area(teacher, area)
    reliability, sites = estimate_reliability(target), _count_sites(target)
    if reliability is not None and reliability <= 0:
        raise ValueError(
            f"the RDM of {area} has a reliability of {reliability:.2f}: no control is so unreliable"
        )
    if reliability is not None:
        return (
            match_noise(
                target, control, reliability=reliability, sites=sites, draws=draws, seed=seed
            ),
        )
    copies = [
        match_noise(
            target, replace(control, area=f"{control.area}-{r}"),
            reliability=r, sites=sites, draws=draws, seed=seed,
        )
        for r in RELIABILITIES
    ]  # fmt: skip
    return (control, *copies)


def _count_sites(target: Target) -> int | None:
    return None if target.recording is None else int(target.recording.sizes["site"])


def add_controls(teacher: Teacher, controls: Sequence[Measured]) -> Teacher:
    """Return a teacher with its controls as further areas, to be mapped beside them.

    Parameters
    ----------
    teacher : Teacher
        With the area.
    controls : sequence of Target, Shuffles or Copies
        As from `make_controls`. Shuffles are left out, since p-values are of permutations; noisy
        copies are represented by the first.

    Returns
    -------
    Teacher
        Its areas, and the controls as areas named "V4:pixels" and so on.
    """
    return Teacher((*teacher.targets, *_as_targets(controls)))


def replace_areas(
    teacher: Teacher, kind: str, settings: Mapping[str, Any] | None = None
) -> Teacher:
    """Return a teacher whose areas are controls of those of another one.

    Parameters
    ----------
    teacher : Teacher
        With its recordings.
    kind : str
        A row of `CONTROLS`; of "shuffled" there is one order of the conditions.
    settings : mapping, optional
        As in a table of `make_controls`.

    Returns
    -------
    Teacher
        With areas named "V4:pixels" and so on.

    Raises
    ------
    ValueError
        As `make_controls`.
    """
    given = dict(settings or {})
    if kind == "shuffled":
        given["number"] = 1
    made = make_controls(teacher, [{**given, "kind": kind}])
    shuffled = [
        _shuffle_target(find_area(teacher, s.target), s) for s in made if isinstance(s, Shuffles)
    ]
    return Teacher((*shuffled, *_as_targets(made)))


def _shuffle_target(target: Target, shuffles: Shuffles) -> Target:
    """Return a target with its conditions in the first of several orders."""
    order = shuffles.orders[0]
    rows, columns = np.triu_indices(len(order), 1)
    vector = target.rdm.get_matrices()[0][order[rows], order[columns]]
    source = f"shuffled conditions of {target.source}"
    patterns = None if target.patterns is None else target.patterns[order]
    kind = shuffles.name.partition(":")[2] or "shuffled"
    rdm = replace_vector(target, vector, measure=network_measure(target.measure), source=source)
    name = f"{target.area}:{kind}"
    rdm.rdm_descriptors["area"] = [name]
    return replace(target, area=name, rdm=rdm, recording=None, noise="shrinkage", patterns=patterns)


def _as_targets(controls: Sequence[Measured]) -> list[Target]:
    found = []
    for one in controls:
        if isinstance(one, Copies):
            first = one.targets[0]
            first.rdm.rdm_descriptors["area"] = [one.name]
            found.append(replace(first, area=one.name))
        elif isinstance(one, Target):
            found.append(one)
    return found


def describe_controls(controls: Sequence[Measured]) -> list[dict[str, Any]]:
    """Return what identifies controls, ready for JSON.

    Parameters
    ----------
    controls : sequence of Target, Shuffles or Copies
        As from `make_controls`.

    Returns
    -------
    list of dict
        Name, source and hashes of each.
    """
    said = []
    for one in controls:
        if isinstance(one, Shuffles):
            entry: dict[str, Any] = {
                "name": one.name, "of": one.target, "shuffles": len(one.orders),
                "orders_sha256": fingerprint(np.asarray(one.orders)),
            }  # fmt: skip
        elif isinstance(one, Copies):
            rdms = np.stack([t.rdm.dissimilarities[0] for t in one.targets]).astype(float)
            entry = {
                "name": one.name, "source": one.targets[0].source, "copies": len(one.targets),
                "reliability": round(one.reliability, 4), "rdm_sha256": fingerprint(rdms),
            }  # fmt: skip
        else:
            rdm = np.asarray(one.rdm.dissimilarities[0], dtype=float)
            entry = {
                "name": one.area, "source": one.source, "rdm_sha256": fingerprint(rdm),
                "stimuli_sha256": fingerprint(one.stimuli["image"].values),
                **describe_similarity(one),
            }  # fmt: skip
            if "reliability" in one.rdm.descriptors:
                entry["reliability"] = float(one.rdm.descriptors["reliability"])
        said.append(entry)
    return said
