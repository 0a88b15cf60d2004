"""Writing a recording as a BrainIO assembly, which every version of BrainIO opens."""

from __future__ import annotations

import json
import os
import re
import secrets
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neural_data.brainio_files import NAMES
from neural_data.errors import RecordingError, raise_problems
from neural_data.recording import iterate_sites, validate_recording

LAYOUT = "recording_layout"
BLOCK_MEGABYTES = 128
CHUNK_BYTES = 2**20
_WINDOW = re.compile(r"(-?[\d.e+]+)-(-?[\d.e+]+) ms")
_DIMS = {"site": "neuroid", "time_bin": "time_bin"}
_WRITTEN = {
    "stimulus": "stimulus_id",
    "category": "category_name",
    "site": "neuroid_id",
    "area": "region",
    "repetition_label": "repetition",
}


def write_brainio(
    recording: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    identifier: str,
    stimulus_set_identifier: str,
) -> Path:
    """Write a recording in the netCDF format of BrainIO and return the path.

    The variable ``data`` lies over presentation, neuroid and time_bin; a presentation is a
    repetition that was shown, in the order of the stimuli. ``stimulus`` becomes ``stimulus_id``,
    ``site`` ``neuroid_id``, ``area`` ``region``, ``category`` ``category_name``; other
    coordinates keep their names. `read_brainio` gives the same recording back.

    Parameters
    ----------
    recording : xarray.Dataset
        In memory or backed by a file; its responses are written in blocks of sites.
    path : path
        The file to write or to replace; it is complete or not there.
    identifier, stimulus_set_identifier : str
        The names of the assembly and of its stimulus set, which BrainIO requires.

    Returns
    -------
    pathlib.Path
        The path written.

    Raises
    ------
    RecordingError
        The recording does not follow the schema, or two coordinates would have one name.
    OSError
        The folder is missing or cannot be written, or the disk is full.
    """
    validate_recording(recording)
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.name} cannot be written: there is no folder {path.parent}.")
    shown = _find_shown(recording)
    coords, layout = _flatten_coordinates(recording, shown)
    attrs = {k: v for k, v in recording.attrs.items() if v is not None}
    attrs |= {"identifier": identifier, "stimulus_set_identifier": stimulus_set_identifier}
    attrs[LAYOUT] = json.dumps(layout)
    aside = path.parent / f".{path.name}.{secrets.token_hex(4)}.part"
    try:
        _write(recording, shown, coords, attrs, aside)
        os.replace(aside, path)
    except (OSError, RuntimeError) as cause:
        raise OSError(
            f"{path.name} cannot be written in the folder {path.parent}: {cause}. Check that the "
            "folder may be written and that its disk has room; nothing was left."
        ) from cause
    except (TypeError, ValueError) as cause:
        raise RecordingError(
            f"{path.name} cannot be written, for netCDF cannot hold what is in it: {cause}. "
            "Keep to numbers and text in coordinates and attrs; nothing was left."
        ) from cause
    finally:
        aside.unlink(missing_ok=True)
    return path


def _find_shown(recording: xr.Dataset) -> np.ndarray:
    """Find the repetitions that any site saw: bool (stimulus, repetition)."""
    shown = np.zeros((recording.sizes["stimulus"], recording.sizes["repetition"]), dtype=bool)
    for _, block in iterate_sites(recording, megabytes=BLOCK_MEGABYTES):
        shown |= ~np.isnan(block).all(axis=tuple(range(2, block.ndim)))
    return shown


def _flatten_coordinates(
    recording: xr.Dataset, shown: np.ndarray
) -> tuple[dict[str, xr.Variable], dict[str, Any]]:
    """Return the coordinates under BrainIO's names and dims, and what reading back needs."""
    stimulus, repetition = np.nonzero(shown)
    has_label = "repetition_label" in recording.coords
    position = "repetition_position" if has_label else "repetition"
    coords = {position: xr.Variable("presentation", repetition)}
    over, problems = [], []
    for key, coord in recording.coords.items():
        name = str(key)
        written = _WRITTEN.get(name, name)
        if name == "repetition":
            problems.append("the dim 'repetition' has labels: name them 'repetition_label'")
            continue
        variable = coord.variable
        if variable.dims == ("stimulus",):
            variable = xr.Variable("presentation", variable.values[stimulus])
        elif variable.dims == ("stimulus", "repetition"):
            variable = xr.Variable("presentation", variable.values[stimulus, repetition])
            over.append(name)
        elif set(variable.dims) <= set(_DIMS):
            variable = xr.Variable([_DIMS[str(d)] for d in variable.dims], variable.values)
        else:
            problems.append(f"coordinate {name!r} has dims {variable.dims}; drop it first")
            continue
        if written in coords or (written != name and written in recording.coords):
            problems.append(f"{name!r} and another coordinate would both be {written!r}: rename it")
        elif name == "time_bin" and variable.dims == ("time_bin",):
            problems.append("'time_bin' has labels; keep time_bin_start and time_bin_end instead")
        elif _is_other(name, written, variable.dims):
            problems.append(f"coordinate {name!r} would be read as another thing: rename it")
        coords[written] = variable
    coords |= _restore_window(recording)
    raise_problems("The recording cannot be written as BrainIO", problems)
    return coords, {"repetitions": shown.shape[1], "position": position, "over": over}


def _is_other(name: str, written: str, dims: tuple[Any, ...]) -> bool:
    """Whether a name of ours is one that BrainIO uses for something we call otherwise."""
    dim = {"neuroid": "site"}.get(str(dims[0]), str(dims[0])) if dims else ""
    return any(
        written in names and ours not in (name, "repetition") and name not in _WRITTEN
        for ours, names in NAMES.get(dim, {}).items()
    )


def _restore_window(recording: xr.Dataset) -> dict[str, xr.Variable]:
    """Return the bounds of the only time bin, which a recording states as its window."""
    match = _WINDOW.fullmatch(str(recording["response"].attrs.get("window", "")))
    if "time_bin" in recording.dims or match is None:
        return {}
    start, end = (float(text) for text in match.groups())
    kind = np.int64 if start.is_integer() and end.is_integer() else np.float64
    return {
        "time_bin_start": xr.Variable("time_bin", np.array([start], dtype=kind)),
        "time_bin_end": xr.Variable("time_bin", np.array([end], dtype=kind)),
    }


def _write(
    recording: xr.Dataset,
    shown: np.ndarray,
    coords: dict[str, xr.Variable],
    attrs: dict[str, Any],
    path: Path,
) -> None:
    import netCDF4

    response = recording["response"]
    has_bins = "time_bin" in recording.dims or "time_bin_start" in coords
    dims = ("presentation", "neuroid", *(["time_bin"] if has_bins else []))
    n_bins = recording.sizes.get("time_bin", 1)
    shape = (int(shown.sum()), recording.sizes["site"], *([n_bins] if has_bins else []))
    with netCDF4.Dataset(path, "w", format="NETCDF4") as file:
        for dim, size in zip(dims, shape, strict=True):
            file.createDimension(dim, size)
        file.setncatts(attrs)
        rows = max(1, min(shape[0], CHUNK_BYTES // (response.dtype.itemsize * 16 * n_bins)))
        data = file.createVariable(
            "data",
            response.dtype,
            dims,
            zlib=True,
            complevel=1,
            fletcher32=True,
            chunksizes=(rows, min(shape[1], 16), *shape[2:]),
        )
        data.setncatts({**response.attrs, "coordinates": " ".join(coords)})
        for name, variable in coords.items():
            _write_coordinate(file, name, variable)
        for sites, block in iterate_sites(recording, megabytes=BLOCK_MEGABYTES):
            data[:, sites] = block[shown].reshape(shape[0], -1, *shape[2:])


def _write_coordinate(file: Any, name: str, variable: xr.Variable) -> None:
    values = np.asarray(variable.values)
    dims = tuple(str(dim) for dim in variable.dims)
    if values.dtype.kind in "UTO":
        written = file.createVariable(name, str, dims)
        written[:] = values.astype(object)
    elif values.dtype.kind == "b":
        written = file.createVariable(name, np.int8, dims, zlib=True, complevel=1)
        written[:] = values.astype(np.int8)
        written.setncattr("dtype", "bool")
    else:
        compressed = values.ndim > 0
        written = file.createVariable(name, values.dtype, dims, zlib=compressed, complevel=1)
        written[...] = values
