"""The coordinates of a BrainIO file as those of a recording."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import xarray as xr

from neural_data.errors import RecordingError, format_names, raise_problems
from neural_data.formats.brainio.files import NAMES, PREFIX, Assembly, translate_names
from neural_data.model.presentations import as_plain

LABELS = ("area", "animal", "subregion", "array", "hemisphere")


def name_coordinates(
    assembly: Assembly, table: Mapping[str, np.ndarray] | None, steps: list[str]
) -> tuple[dict[str, xr.Variable], dict[str, xr.Variable]]:
    """Name coordinates as here: those over presentation, and the others."""
    coords = dict(assembly.coords)
    for name in [n for n, v in coords.items() if "presentation" in v.dims and v.ndim > 1]:
        steps.append(f"{name!r} over {coords.pop(name).dims} left out")
    ours = translate_names({name: _dims(variable) for name, variable in coords.items()})
    if "stimulus" not in ours.values():
        found = _find_stimulus(coords, table)
        ours[found] = "stimulus"
        steps.append(f"the stimuli are named by {found!r}")
    over, others = {}, {}
    for name, variable in coords.items():
        if variable.dims == ("presentation",):
            over[ours[name]] = variable
        else:
            values = as_plain(variable.values)
            values = values.astype(str) if values.dtype.kind == "O" else values
            attrs = {} if variable.dtype.kind in "mM" else variable.attrs
            others[ours[name]] = xr.Variable(variable.dims, values, attrs)
    original = next(name for name, new in ours.items() if new == "stimulus")
    labels = name_as_text(over["stimulus"].values)
    n_empty = int((labels == "").sum())
    if n_empty:
        raise RecordingError(
            f"{original!r} is empty at {n_empty} of {labels.size} presentations; expected the "
            "stimulus of each. Leave those presentations out."
        )
    over["stimulus"] = xr.Variable("presentation", labels)
    name_sites(others, assembly.data.sizes["site"], steps)
    return over, others


def _dims(variable: xr.Variable) -> tuple[str, ...]:
    return tuple(str(dim) for dim in variable.dims)


def _find_stimulus(
    coords: Mapping[str, xr.Variable], table: Mapping[str, np.ndarray] | None
) -> str:
    """Find what names the stimuli where no coordinate has a name that says so."""
    here = [name for name, variable in coords.items() if variable.dims == ("presentation",)]
    candidates = [name for name in here if name not in NAMES["presentation"]]
    if table is not None and len(candidates) > 1:
        known = set(table["stimulus"].tolist())
        named = [n for n in candidates if set(name_as_text(coords[n].values).tolist()) <= known]
        candidates = named if named else candidates
    if len(candidates) != 1:
        raise RecordingError(
            "The file does not say which stimulus was shown: no coordinate over presentation is "
            f"named {format_names(NAMES['presentation']['stimulus'])} (there are "
            f"{format_names(here, limit=20) or 'none'}). Rename the one that does in the file."
        )
    return candidates[0]


def name_as_text(values: Any) -> np.ndarray:
    """Return names as text: the number 12 as "12", what is missing as ""."""
    labels = as_plain(values)
    if labels.dtype.kind == "f":
        whole = labels[np.isfinite(labels)]
        if (whole == np.floor(whole)).all() and (np.abs(whole) < 2**53).all():
            texts = np.where(np.isfinite(labels), labels, 0).astype(np.int64).astype(str)
        else:
            texts = labels.astype(str)
        return np.where(np.isnan(labels), "", texts).astype(object)
    return labels if labels.dtype.kind == "O" else labels.astype(str).astype(object)


def name_sites(others: dict[str, xr.Variable], n_sites: int, steps: list[str]) -> None:
    """Give every site a name of its own, and text for what the schema wants as text."""
    for name in LABELS:
        if name in others and others[name].dims == ("site",):
            texts = name_as_text(others[name].values)
            n_empty = int((texts == "").sum())
            if n_empty:
                texts = np.where(texts == "", "unknown", texts)
                steps.append(f"{name} empty at {n_empty} sites: 'unknown'")
            others[name] = xr.Variable("site", texts.astype(str), others[name].attrs)
    if "site" not in others:
        here = [name for name, variable in others.items() if variable.dims == ("site",)]
        if len(here) == 1 and here[0] not in LABELS:
            others["site"] = others.pop(here[0])
            steps.append(f"the sites are named by {here[0]!r}")
        else:
            width = len(str(n_sites))
            names = np.array([f"site{k:0{width}d}" for k in range(1, n_sites + 1)])
            others["site"] = xr.Variable("site", names)
            steps.append(f"the file does not name its {n_sites} sites: numbered")
            return
    texts = name_as_text(others["site"].values)
    unique = _make_unique(texts, others)
    if (unique != texts).any():
        others[f"{PREFIX}neuroid_id"] = xr.Variable("site", texts.astype(str))
        steps.append(f"neuroid_id is not unique: sites named as {unique[0]!r}")
    others["site"] = xr.Variable("site", unique.astype(str))


def _make_unique(texts: np.ndarray, others: Mapping[str, xr.Variable]) -> np.ndarray:
    """Put animal, hemisphere, array or area before names until all differ; else number them."""
    unique = np.where(texts == "", "unnamed", texts)
    for name in ("animal", "hemisphere", "array", "area", "subregion"):
        if len(set(unique.tolist())) == unique.size:
            return unique
        if name in others and len(set(others[name].values.tolist())) > 1:
            labels = others[name].values.astype(str)
            unique = np.array([f"{a}_{b}" for a, b in zip(labels, unique, strict=True)], object)
    if len(set(unique.tolist())) == unique.size:
        return unique
    count: dict[str, int] = {}
    numbered = []
    for name in unique.tolist():
        count[name] = count.get(name, 0) + 1
        numbered.append(f"{name}#{count[name]}")
    return np.array(numbered, dtype=object)


def join_table(
    table: Mapping[str, np.ndarray],
    names: np.ndarray,
    taken: Collection[str],
    steps: list[str],
) -> dict[str, xr.Variable]:
    """Take the columns of a stimulus table for the stimuli shown.

    Parameters
    ----------
    table : mapping of str to array
        From `read_table`; ``stimulus`` names the rows.
    names : array of text (stimulus,)
        The stimuli shown.
    taken : collection of str
        Names of other coordinates, of sites or time: such columns get "brainio_" in front.
    steps : list of str
        For the history; appended to.

    Raises
    ------
    RecordingError
        A stimulus has no row, or several.
    """
    listed = table["stimulus"].tolist()
    row = {name: k for k, name in enumerate(listed)}
    problems = []
    if len(row) < len(listed):
        twice = dict.fromkeys(name for k, name in enumerate(listed) if row[name] != k)
        problems.append(f"it names stimuli twice: {format_names(twice)}")
    missing = [name for name in names.tolist() if name not in row]
    if missing:
        problems.append(
            f"{len(missing)} of the {names.size} stimuli shown have no row: {format_names(missing)}"
        )
    raise_problems("The table of stimuli does not belong to these responses", problems)
    picks = np.array([row[name] for name in names.tolist()])
    columns = [name for name in table if name != "stimulus"]
    steps.append(
        f"{len(columns)} columns of the table of stimuli joined, {len(listed) - names.size} of "
        f"its {len(listed)} rows not shown"
    )
    joined: dict[str, xr.Variable] = {}
    for name, new in translate_names({name: ("presentation",) for name in columns}).items():
        while new in taken or new in ("repetition", "repetition_position"):
            new = PREFIX + new
        joined[new] = xr.Variable("stimulus", table[name][picks])
    return joined
