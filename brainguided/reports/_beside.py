"""What stands beside a similarity: what is reached by chance, and the most that can be reached."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from brainguided.engines.output import clean
from brainguided.guidance.evidence import FEWEST_SHUFFLES, SHARE
from brainguided.journal.attempts import Attempt
from brainguided.rdms.compute import upper_triangle
from brainguided.search.teacher_facts import FILE_NAME

_DRAWS = 500
MEASURED = "shuffles that were measured in the search"
"""How levels of chance were found, where the search drew them itself."""

_FEWEST_DRAWS = 40
_ENTRIES = 2e7  # of all matrices drawn, beyond which there are fewer


def read_teacher(folder: Path) -> dict[str, dict[str, Any]]:
    """Return what is known of the recordings of each area; nothing where it was not noted."""
    path = folder / FILE_NAME
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    areas = found.get("areas") if isinstance(found, dict) else None
    if not isinstance(areas, list):
        return {}
    return {str(one.get("area")): one for one in areas if isinstance(one, dict)}


def find_chance_levels(
    winner: Attempt, stored: Mapping[str, xr.Dataset], methods: Mapping[str, str]
) -> tuple[dict[str, float], str]:
    """Return what 95 % of shuffled areas do not exceed: of each area, and of TG as "TG".

    Parameters
    ----------
    winner : Attempt
    stored : mapping of area to Dataset
        RDMs of the area and then of the winner's layers; empty where they were not saved.
    methods : mapping of area to str
        By what layers are compared with it.

    Returns
    -------
    dict, str
        Of areas where it is known, and how it was found.
    """
    areas = [area for area in winner.measurement.areas if area in winner.similarity]
    shuffles = winner.measurement.rungs[-1].shuffles if winner.measurement.rungs else {}
    drawn = {}
    for area in areas:
        best = [v for v in shuffles.get(area, {}).get("best", ()) if v is not None]
        if len(best) >= FEWEST_SHUFFLES:
            drawn[area] = np.array(best)
    said = MEASURED
    if set(drawn) != set(areas):
        drawn = {
            area: _shuffle(stored[area], number)
            for number, area in enumerate(areas)
            if area in stored and methods.get(area, "pearson") == "pearson"
        }
        number = min((len(values) for values in drawn.values()), default=0)
        said = f"{number} shuffles of the conditions of each area's RDM"
    levels = {area: float(np.quantile(values, SHARE)) for area, values in drawn.items()}
    if areas and set(drawn) == set(areas):
        number = min(map(len, drawn.values()))
        mean = np.mean([values[:number] for values in drawn.values()], axis=0)
        levels["TG"] = float(np.quantile(mean, SHARE))
    return {name: level for name, level in levels.items() if np.isfinite(level)}, said


def find_ceilings(winner: Attempt, teacher: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Return the ceilings of areas where they are known, and of TG, their mean, where all are."""
    areas = winner.measurement.areas
    known = {area: find_ceiling(teacher.get(area)) for area in areas}
    found = {area: value for area, value in known.items() if value is not None}
    if areas and len(found) == len(areas):
        found["TG"] = float(np.mean(list(found.values())))
    return found


def find_ceiling(area: Mapping[str, Any] | None) -> float | None:
    """Return the noise ceiling of an area, None where there is none that is usable."""
    if area is None or not area.get("ceiling_usable"):
        return None
    value = area.get("ceiling")
    return float(value) if isinstance(value, int | float) else None


def say_ceiling(area: Mapping[str, Any] | None) -> str:
    """Return the ceiling of an area in words, or why there is none."""
    if area is None:
        return "not noted"
    value = find_ceiling(area)
    if value is not None:
        interval = area.get("ceiling_interval") or [None, None]
        if all(isinstance(bound, int | float) for bound in interval):
            return f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"
        return f"{value:.3f}"
    if area.get("sites") is None:
        return "none: an RDM without recording"
    if isinstance(area.get("reliability"), int | float):
        return "none: the RDM is not reliably above noise"
    if area.get("ceiling_says"):
        return f"none: {clean(str(area['ceiling_says']))}"
    if "ceiling" not in area:
        return "none: computed for RDMs alone, and not for what is left of them beside another"
    return "none: no stimulus was repeated often enough"


def _shuffle(rdms: xr.Dataset, seed: int) -> np.ndarray:
    """Return the best layer's Pearson r for copies of the area with permuted conditions."""
    teacher, *layers = rdms["dissimilarity"].values.astype(float)
    vectors = np.array([v for v in map(upper_triangle, layers) if np.ptp(v) > 0])
    draws = int(np.clip(_ENTRIES // teacher.size, _FEWEST_DRAWS, _DRAWS))
    if not len(vectors):
        return np.zeros(draws)
    vectors = vectors - vectors.mean(axis=1, keepdims=True)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        order = generator.permutation(len(teacher))
        vector = upper_triangle(teacher[np.ix_(order, order)])
        vector = vector - vector.mean()
        found.append(float((vectors @ vector).max() / np.linalg.norm(vector)))
    return np.array(found)
