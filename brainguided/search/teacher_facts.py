"""What the recordings behind a teacher are: sites, animals, repetitions and noise ceilings."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any

import numpy as np
import xarray as xr

from brainguided.correspondence.ceilings import RDMSettings, compute_ceiling
from brainguided.guidance.similarities import SIMILARITIES
from brainguided.guidance.target import Target
from brainguided.guidance.teacher import Teacher
from neural_data.reliability.facts import gather_facts

FILE_NAME = "teacher.json"
"""In the run folder, written with the winner."""
_SPLITS = 50


def describe_recordings(teacher: Teacher) -> list[dict[str, Any]]:
    """Return facts of every area of a teacher with its recordings, ready for JSON.

    Parameters
    ----------
    teacher : Teacher
        With its recordings, as ``Task.recorded_teacher``.

    Returns
    -------
    list of dict
        ``area``, ``stimuli``, ``conditions``; ``sites``, ``animals`` (sites of each) and
        ``repetitions`` (fewest and most of a stimulus) where there is a recording; ``ceiling``,
        ``ceiling_interval``, ``ceiling_usable`` and ``reliability`` as of `compute_ceiling`, None
        where they are not defined, or ``ceiling_says``, why they could not be computed.
    """
    return [_describe(target) for target in teacher]


def _describe(target: Target) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "area": target.area,
        "stimuli": int(target.stimuli.sizes["stimulus"]),
        "conditions": int(target.rdm.n_cond),
        "sites": None,
    }
    recording = target.recording
    if recording is None:
        return facts
    facts["sites"] = int(recording.sizes["site"])
    if "animal" in recording.coords:
        facts["animals"] = dict(Counter(recording["animal"].values.astype(str).tolist()))
    counts = gather_facts(recording).counts
    facts["repetitions"] = [int(counts.min()), int(counts.max())]
    row = SIMILARITIES.get(target.similarity)
    if row is not None and row.target == "rdm" and target.given is None:
        facts |= _find_ceiling(target, recording)
    return facts


def _find_ceiling(target: Target, recording: xr.Dataset) -> dict[str, Any]:
    settings = RDMSettings(by=target.by, measure=target.measure, noise=target.noise)
    try:
        with warnings.catch_warnings():  # of intervals, which `correspond` is asked for
            warnings.simplefilter("ignore")
            found = compute_ceiling(
                recording, rdm=settings, method=target.similarity, splits=_SPLITS
            ).isel(area=0)
    except ValueError as error:
        return {"ceiling_says": str(error)}
    interval = found["ceiling_interval"].values.tolist()
    return {
        "reliability": _finite(found["reliability"].item()),
        "ceiling": _finite(found["ceiling"].item()),
        "ceiling_interval": [_finite(bound) for bound in interval],
        "ceiling_usable": bool(found["ceiling_usable"]),
    }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
