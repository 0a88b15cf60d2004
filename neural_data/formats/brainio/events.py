"""Reading BrainIO files of events: the spikes of many sites, and tables of what happened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neural_data.errors import RecordingError, format_names
from neural_data.formats.brainio.files import (
    Assembly,
    describe_damage,
    open_assembly,
    translate_names,
)
from neural_data.formats.brainio.labels import name_as_text, name_sites
from neural_data.model.presentations import as_plain
from neural_data.model.schema import add_step
from neural_data.model.spikes import spikes_from_arrays, validate_spikes

MILLISECONDS = {"s": 1e3, "ms": 1.0, "us": 1e-3}


def read_brainio_spikes(
    path: str | os.PathLike[str],
    *,
    time_units: str = "s",
    area: str | None = None,
    source: str | None = None,
    group: str | None = None,
) -> xr.Dataset:
    """Read the spike times of a BrainIO file, one event a spike.

    Parameters
    ----------
    path : path
        A netCDF file with one data variable over event, the time of each spike, and the
        coordinate ``neuroid_id``.
    time_units : {"s", "ms", "us"}
        Of the times in the file, which does not state them. Known files use seconds.
    area : str, optional
        The area of all sites; otherwise ``region`` of the file, or "unknown".
    source : str, optional
        Where the data come from; otherwise what the file says, or its name.
    group : str, optional
        A netCDF group in the file; the root otherwise.

    Returns
    -------
    xarray.Dataset
        Spike times in ms, see `validate_spikes`. Sites come in the order of their names.
        Coordinates that are constant for every site are kept.

    Raises
    ------
    FileNotFoundError, PermissionError
        There is no such file, or it may not be read.
    RecordingError
        The file is damaged or holds no events, does not say which site spiked, or the unit of
        time is unknown.
    """
    if time_units not in MILLISECONDS:
        raise RecordingError(
            f"time_units is {time_units!r}; expected one of {format_names(MILLISECONDS)}."
        )
    assembly = open_assembly(path, group=group)
    try:
        columns, times, steps = _load_events(assembly, Path(path), "spikes")
        attrs = {**assembly.attrs, **assembly.data.attrs}
    finally:
        assembly.close()
    ours = translate_names({name: ("site",) for name in columns})
    named = {ours[name]: values for name, values in columns.items()}
    if "site" not in named:
        raise RecordingError(
            f"{Path(path).name} does not say which site spiked: no coordinate 'neuroid_id' over "
            f"event (there are {format_names(named, limit=20) or 'none'})."
        )
    codes, first = _find_sites(named, steps)
    others = {
        name: xr.Variable("site", _plain(values[first]))
        for name, values in named.items()
        if name == "site" or _is_constant(values, codes, first)
    }
    varying = [name for name in named if name not in others]
    if varying:
        steps.append(f"left out, for they differ within a site: {format_names(varying, limit=20)}")
    name_sites(others, first.size, steps)
    if area is not None:
        others["area"] = xr.Variable("site", np.array([area] * first.size))
        steps.append(f"the caller states the area, {area!r}")
    elif "area" not in others:
        others["area"] = xr.Variable("site", np.array(["unknown"] * first.size))
        steps.append("the file states no area: 'unknown'")
    steps.insert(0, f"{times.size} spikes of {first.size} sites in {time_units} as ms")
    spikes = spikes_from_arrays(
        times * MILLISECONDS[time_units],
        codes,
        area=others["area"].values.tolist(),
        source=source or _find_source(attrs, Path(path)),
        site=others["site"].values.tolist(),
    )
    spikes = spikes.assign_coords({name: v for name, v in others.items() if name != "site"})
    spikes.attrs = {**attrs, **spikes.attrs}
    for step in steps:
        spikes = add_step(spikes, f"read_brainio_spikes: {step}")
    return validate_spikes(spikes, name=Path(path).name)


def read_brainio_events(
    path: str | os.PathLike[str], *, group: str | None = None, source: str | None = None
) -> xr.Dataset:
    """Read a table of events of a BrainIO file, such as one of stimulus onsets, as it is.

    Parameters
    ----------
    path : path
        A netCDF file with one data variable over event.
    group : str, optional
        A netCDF group in the file; the root otherwise.
    source : str, optional
        Where the data come from; otherwise what the file says, or its name.

    Returns
    -------
    xarray.Dataset
        A variable over ``event`` for each column, the data variable as ``data``. ``stimulus_id``
        or ``image_id`` becomes ``stimulus``, ``neuroid_id`` becomes ``site``; other names stay.
        Times become ISO 8601 text.

    Raises
    ------
    FileNotFoundError, PermissionError
        There is no such file, or it may not be read.
    RecordingError
        The file is damaged, has no such group, or holds no events.
    """
    assembly = open_assembly(path, group=group)
    try:
        columns, values, steps = _load_events(assembly, Path(path), "a table")
        attrs = {**assembly.attrs, **assembly.data.attrs}
    finally:
        assembly.close()
    table: dict[str, Any] = {}
    for ours, names in (("stimulus", ("stimulus_id", "image_id")), ("site", ("neuroid_id",))):
        found = next((name for name in names if name in columns), None)
        if found is not None and ours not in columns:
            columns[ours] = columns.pop(found)
    table = {name: ("event", _plain(column)) for name, column in columns.items() if name != "data"}
    table["data"] = ("event", values)
    events = xr.Dataset(table, attrs={**attrs, "source": source or _find_source(attrs, Path(path))})
    for step in [f"{values.size} events, {len(table)} columns", *steps]:
        events = add_step(events, f"read_brainio_events: {step}")
    return events


def _load_events(
    assembly: Assembly, path: Path, what: str
) -> tuple[dict[str, np.ndarray], np.ndarray, list[str]]:
    """Load the columns of a file of events, its data variable, and what was left out."""
    if assembly.data.dims != ("event",):
        raise RecordingError(
            f"{path.name} holds responses over {assembly.data.dims}, not {what} over event: "
            "read it with read_brainio(...)."
        )
    try:
        columns = {
            name: np.asarray(variable.values)
            for name, variable in assembly.coords.items()
            if variable.dims == ("event",)
        }
        return columns, np.asarray(assembly.data.values), list(assembly.notes)
    except (OSError, RuntimeError, ValueError, IndexError) as cause:
        raise describe_damage(path, cause) from cause


def _find_sites(named: dict[str, np.ndarray], steps: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the site of every event and the first event of every site.

    What identifies an electrode, such as the animal, tells apart sites of one name.
    """
    names = name_as_text(named["site"])
    n_empty = int((names == "").sum())
    if n_empty:
        raise RecordingError(
            f"'neuroid_id' is empty at {n_empty} of {names.size} events; expected the site of each."
        )
    for label in ("animal", "hemisphere", "array", "area"):
        if label not in named:
            continue
        codes, _ = pd.factorize(names, sort=True)
        first = np.unique(codes, return_index=True)[1]
        if not _is_constant(named[label], codes, first):
            names = np.array(
                [f"{a}_{b}" for a, b in zip(name_as_text(named[label]), names, strict=True)], object
            )
            steps.append(f"sites of one neuroid_id told apart by {label}")
    named["site"] = names
    codes, _ = pd.factorize(names, sort=True)
    return codes, np.unique(codes, return_index=True)[1]


def _is_constant(values: np.ndarray, codes: np.ndarray, first: np.ndarray) -> bool:
    plain = as_plain(values)
    there = plain[first][codes]
    differs = plain != there
    if plain.dtype.kind == "f":
        differs &= ~(np.isnan(plain) & np.isnan(there))
    return not bool(np.any(differs))


def _plain(values: np.ndarray) -> np.ndarray:
    plain = as_plain(values)
    return plain.astype(str) if plain.dtype.kind == "O" else plain


def _find_source(attrs: dict[str, Any], path: Path) -> str:
    for key in ("source", "identifier"):
        if isinstance(attrs.get(key), str) and attrs[key].strip():
            return attrs[key] if key == "source" else f"BrainIO assembly {attrs[key]}"
    return path.name
