"""Writing a recording as BrainIO netCDF, for Brain-Score and whatever else reads that."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neural_data.errors import raise_problems
from neural_data.formats.brainio.files import LAYOUT, translate_names
from neural_data.labels import is_text
from neural_data.model.recording import check_structure, iterate_sites
from neural_data.model.validation import ValueCheck
from neural_data.storage.aside import write_aside
from neural_data.storage.checksums import append_checksum

FILE_NAMES = {
    "stimulus": "stimulus_id",
    "site": "neuroid_id",
    "area": "region",
    "category": "category_name",
    "repetition_label": "repetition",
}
FILE_DIMS = {"site": "neuroid"}
CHUNK_BYTES = 2**20
BLOCK_BYTES = 256 * 2**20
WINDOW = re.compile(r"(-?[0-9.]+(?:e[+-]?\d+)?)-(-?[0-9.]+(?:e[+-]?\d+)?) ms")


def write_brainio(
    recording: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    identifier: str | None = None,
    stimulus_set_identifier: str | None = None,
) -> Path:
    """Write a recording as a BrainIO assembly and return the path; `read_brainio` restores it.

    A row of the file is a repetition that was shown, stimulus by stimulus. The variable ``data``
    lies over presentation, neuroid and, where there are time bins or a known window, time_bin.
    Names become those of BrainIO: ``stimulus_id``, ``neuroid_id``, ``region``,
    ``category_name``. A site that did not see a repetition that others saw has NaN there.

    Parameters
    ----------
    recording : xarray.Dataset
        In memory or lazy; a block at a time is held of a lazy one.
    path : path
        The file to write or, in one step, to replace.
    identifier : str, optional
        Of the assembly, such as "dicarlo.MajajHong2015"; otherwise ``attrs["identifier"]``.
    stimulus_set_identifier : str, optional
        Of its stimulus set; otherwise ``attrs["stimulus_set_identifier"]``.

    Returns
    -------
    pathlib.Path
        Where it was written.

    Raises
    ------
    RecordingError
        The recording does not follow the schema, has no identifiers, or has labels or attributes
        that BrainIO cannot hold.
    OSError
        The folder is missing or cannot be written, or the disk is full.
    """
    path = Path(path)
    check_structure(recording)
    attrs = dict(recording.attrs)
    for key, value in (
        ("identifier", identifier),
        ("stimulus_set_identifier", stimulus_set_identifier),
    ):
        if value is not None:
            attrs[key] = value
    problems = _check_attrs(attrs, "") + _check_attrs(recording["response"].attrs, "response ")
    problems += [
        f"no {key}: give {key}=, such as {example!r}"
        for key, example in (
            ("identifier", "dicarlo.MajajHong2015"),
            ("stimulus_set_identifier", "dicarlo.hvm"),
        )
        if not str(attrs.get(key) or "").strip()
    ]
    problems += _check_coords(recording)
    raise_problems("The recording cannot be written as BrainIO", problems)
    rows = np.flatnonzero(_find_rows(recording))
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"{path.name} cannot be written: there is no folder {path.parent}. Make it first."
        )
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Give the name of a file in it, as *.nc.")
    try:
        with write_aside(path) as aside:
            _write(recording, rows, attrs, aside)
            append_checksum(aside)
    except (OSError, RuntimeError) as cause:
        raise OSError(
            f"{path.name} cannot be written in the folder {path.parent}: {cause}. Check that the "
            "folder may be written and that its disk has room; nothing was left."
        ) from cause
    return path


def _check_attrs(attrs: dict[Any, Any], where: str) -> list[str]:
    problems = []
    for key, value in attrs.items():
        kind = np.asarray(value).dtype.kind if not isinstance(value, dict) else "O"
        flat = np.ndim(value) <= 1 and np.size(value) > 0
        if kind not in "fiuU" or not flat or (kind == "U" and "\0" in "".join(np.ravel(value))):
            problems.append(
                f"{where}attrs[{key!r}] is {value!r:.60}; expected numbers or text: remove it"
            )
        elif key == LAYOUT:
            problems.append(f"attrs[{key!r}] is a name of this package: remove it")
    return problems


def _check_coords(recording: xr.Dataset) -> list[str]:
    """Check that every coordinate can be written, and read back as what it is."""
    problems = []
    names: dict[str, tuple[str, ...]] = {}
    originals: dict[str, str] = {}
    for name, coord in recording.coords.items():
        dims = tuple(str(dim) for dim in coord.dims)
        new = FILE_NAMES.get(str(name), str(name))
        stays = dims in (("stimulus",), ("stimulus", "repetition"))
        if not stays and not set(dims) <= {"site", "time_bin"}:
            problems.append(f"coordinate {name!r} has dims {dims}: leave it out")
        elif coord.dtype.kind not in "fiubUT" and not is_text(coord.values):
            problems.append(f"coordinate {name!r} holds {coord.dtype}; expected numbers or text")
        elif coord.dtype == np.float16:
            problems.append(f"coordinate {name!r} holds float16: .astype('float32')")
        elif coord.dtype.kind not in "fiub" and "\0" in "".join(map(str, coord.values.flat)):
            problems.append(f"coordinate {name!r} holds text with a NUL character")
        else:
            problems += _check_attrs(dict(coord.attrs), f"{name} ")
        if new in originals or new == "data" or "/" in new:
            problems.append(f"coordinate {name!r} would be written as {new!r}: rename it")
        originals[new] = str(name)
        over = "presentation" if "stimulus" in dims else dims[0] if len(dims) == 1 else None
        names[new] = () if over is None else (over,)
    for new, back in translate_names(names).items():
        back = "repetition_label" if back == "repetition" else back
        if back != originals[new]:
            problems.append(
                f"coordinate {originals[new]!r} would be read back as {back!r}: rename it"
            )
    return problems


def _find_rows(recording: xr.Dataset) -> np.ndarray:
    """Find the repetitions to write: those shown, and those with labels of their own.

    The values are checked in the same pass.
    """
    check = ValueCheck(recording)
    sizes = recording["response"].sizes
    shown = np.zeros((sizes["stimulus"], sizes["repetition"]), dtype=bool)
    for sites, block in iterate_sites(recording):
        check.add(sites, block)
        first = block if block.ndim == 3 else block[..., 0]
        for start in range(0, len(first), 64):
            part = slice(start, start + 64)
            shown[part] |= ~np.isnan(first[part]).all(axis=2)
    raise_problems("recording does not follow the recording schema", check.list_problems())
    for coord in recording.coords.values():
        if coord.dims == ("stimulus", "repetition"):
            values = coord.values
            filled = ~np.isnan(values) if values.dtype.kind == "f" else values != ""
            shown |= filled if values.dtype.kind in "fUTO" else True
    return shown


def _write(recording: xr.Dataset, rows: np.ndarray, attrs: dict[Any, Any], path: Path) -> None:
    import netCDF4

    response = recording["response"]
    n_repetitions = response.sizes["repetition"]
    bins = _list_bins(response)
    layout: dict[str, Any] = {
        "repetitions": n_repetitions,
        "position": "repetition",
        "over": [
            str(name)
            for name, coord in recording.coords.items()
            if coord.dims == ("stimulus", "repetition") and name != "repetition_label"
        ],
    }
    if "repetition_label" in recording.coords:
        layout["position"] = "repetition_position"
    with netCDF4.Dataset(path, "w", format="NETCDF4") as file:
        file.createDimension("presentation", rows.size)
        file.createDimension("neuroid", response.sizes["site"])
        if bins is not None or "time_bin" in response.dims:
            file.createDimension("time_bin", response.sizes.get("time_bin", 1))
        names = [
            _write_coord(file, str(name), coord.variable, rows, n_repetitions)
            for name, coord in recording.coords.items()
        ]
        position = rows % n_repetitions
        variable = xr.Variable("presentation", position)
        names.append(_write_variable(file, layout["position"], variable))
        for name, values in (bins or {}).items():
            names.append(_write_variable(file, name, xr.Variable("time_bin", values)))
        data = _create_data(file, response)
        data.setncatts(_as_attrs({**response.attrs, **_pick_identifiers(attrs)}))
        data.setncattr_string("coordinates", " ".join(name for name in names if " " not in name))
        start = 0
        for block in _iterate_rows(response, rows):
            block = block.reshape(*block.shape[:2], *data.shape[2:])
            data[start : start + len(block)] = block
            start += len(block)
        file.setncatts(_as_attrs({**attrs, LAYOUT: json.dumps(layout)}))


def _pick_identifiers(attrs: dict[Any, Any]) -> dict[Any, Any]:
    return {key: attrs[key] for key in ("identifier", "stimulus_set_identifier")}


def _as_attrs(attrs: dict[Any, Any]) -> dict[str, Any]:
    return {str(key): value for key, value in attrs.items()}


def _list_bins(response: xr.DataArray) -> dict[str, np.ndarray] | None:
    """Restore the bounds of the one bin that a window once was."""
    match = WINDOW.fullmatch(str(response.attrs.get("window", "")))
    if match is None or "time_bin" in response.dims:
        return None
    bounds = [float(text) for text in match.groups()]
    whole = all(bound.is_integer() for bound in bounds)
    values = [np.array([bound], dtype=np.int64 if whole else np.float64) for bound in bounds]
    return {"time_bin_start": values[0], "time_bin_end": values[1]}


def _write_coord(
    file: Any, name: str, variable: xr.Variable, rows: np.ndarray, n_repetitions: int
) -> str:
    if "stimulus" in variable.dims:
        values = variable.values
        values = values.astype(object) if values.dtype.kind in "UT" else values
        taken = values[rows // n_repetitions] if values.ndim == 1 else values.reshape(-1)[rows]
        variable = xr.Variable("presentation", taken, variable.attrs)
    return _write_variable(file, FILE_NAMES.get(name, name), variable)


def _write_variable(file: Any, name: str, variable: xr.Variable) -> str:
    values = variable.values
    attrs = _as_attrs(dict(variable.attrs))
    dims = tuple(FILE_DIMS.get(str(dim), str(dim)) for dim in variable.dims)
    if values.dtype.kind not in "fiub":
        written = file.createVariable(name, str, dims)
        written[...] = values.astype(object) if values.ndim else np.array(str(values), object)
    else:
        if values.dtype.kind == "b":
            values, attrs["dtype"] = values.astype(np.int8), "bool"
        fill = values.dtype.type(np.nan) if values.dtype.kind == "f" else None
        packed = {"zlib": True, "complevel": 1, "fletcher32": True} if dims else {}
        written = file.createVariable(name, values.dtype, dims, fill_value=fill, **packed)
        written.set_auto_maskandscale(False)
        written[...] = values
    written.setncatts(attrs)
    return name


def _create_data(file: Any, response: xr.DataArray) -> Any:
    dims = ["presentation", "neuroid", *(["time_bin"] if "time_bin" in file.dimensions else [])]
    rest = [len(file.dimensions[dim]) for dim in dims[1:]]
    row = int(np.prod(rest)) * response.dtype.itemsize
    n_rows = min(len(file.dimensions["presentation"]), max(1, CHUNK_BYTES // row))
    data = file.createVariable(
        "data",
        response.dtype,
        tuple(dims),
        zlib=True,
        complevel=1,
        fletcher32=True,
        chunksizes=(n_rows, *rest),
        fill_value=response.dtype.type(np.nan),
    )
    data.set_auto_maskandscale(False)
    return data


def _iterate_rows(response: xr.DataArray, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the responses of the rows to write, (presentation, site[, time_bin])."""
    n_repetitions = response.sizes["repetition"]
    per_stimulus = response.size // response.sizes["stimulus"] * response.dtype.itemsize
    in_memory = isinstance(response.variable._data, np.ndarray)
    limit = CHUNK_BYTES * 16 if in_memory else BLOCK_BYTES
    step = max(1, limit // per_stimulus)
    for start in range(0, response.sizes["stimulus"], step):
        values = response.isel(stimulus=slice(start, start + step)).values
        low, high = np.searchsorted(rows // n_repetitions, [start, start + step])
        flat = values.reshape(-1, *values.shape[2:])
        yield flat[rows[low:high] - start * n_repetitions]
