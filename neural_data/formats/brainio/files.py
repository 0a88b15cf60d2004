"""What lies in a BrainIO file, under the names that are used here; and its responses, lazily."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from neural_data.errors import RecordingError, format_names
from neural_data.model.presentations import BLOCK, as_float
from neural_data.storage.checksums import verify_checksum
from neural_data.storage.hdf5_checks import check_hdf5
from neural_data.storage.pointers import refuse_pointer

DIMS = {
    "presentation": ("presentation", "stimulus_id", "image_id"),
    "site": ("neuroid", "neuroid_id"),
    "time_bin": ("time_bin",),
    "event": ("event",),
}
# Our name of a coordinate, then the names it may have in a file; the first that is there is it.
NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "presentation": {
        "stimulus": ("stimulus_id", "image_id", "stimulus"),
        "repetition": ("repetition",),
        "repetition_position": ("repetition_position",),
        "object_name": ("object_name",),
        "category": ("category_name", "category"),
        "variation": ("variation",),
    },
    "site": {
        "site": ("neuroid_id", "neuroid", "neuroid_", "site"),
        "area": ("region", "area"),
        "animal": ("animal", "monkey", "subject"),
        "subregion": ("subregion",),
        "array": ("array", "arr"),
        "hemisphere": ("hemisphere",),
    },
    "time_bin": {
        "time_bin": ("time_bin",),
        "time_bin_start": ("time_bin_start",),
        "time_bin_end": ("time_bin_end", "time_bin_stop"),
    },
}
OURS = {name for names in NAMES.values() for name in names} | {"response", "repetition_label"}
PREFIX = "brainio_"
LAYOUT = "recording_layout"  # the attribute in which the writer notes what BrainIO cannot say
TILE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Assembly:
    """Content of one group of a BrainIO file, not yet read.

    Parameters
    ----------
    data : xarray.Variable
        The only data variable, over dims named presentation, site, time_bin or event.
    coords : mapping of str to xarray.Variable
        Everything else, under the names in the file.
    attrs : mapping
        Of the group.
    notes : tuple of str
        What was left out, for the history.
    close : callable
        Closes the file.
    """

    data: xr.Variable
    coords: Mapping[str, xr.Variable]
    attrs: Mapping[str, Any]
    notes: tuple[str, ...]
    close: Callable[[], None]


def open_assembly(path: str | os.PathLike[str], *, group: str | None = None) -> Assembly:
    """Open one group of a BrainIO file.

    Parameters
    ----------
    path : path
        A netCDF file.
    group : str, optional
        A netCDF group in it; the root otherwise.

    Raises
    ------
    FileNotFoundError, PermissionError
        There is no such file, or it may not be read.
    RecordingError
        The file is damaged, has no such group, or is no BrainIO file.
    """
    path = Path(path)
    if not path.is_file():
        beside = sorted(p.name for p in path.parent.glob("*.nc")) if path.parent.is_dir() else []
        hint = f"The folder has {format_names(beside)}." if beside else "Check the path."
        raise FileNotFoundError(f"There is no file {path}. {hint}")
    try:
        refuse_pointer(path)
        check_hdf5(path, verified=verify_checksum(path))
        file = xr.open_dataset(
            path, engine="netcdf4", group=group, decode_timedelta=False, cache=False
        )
    except RecordingError:
        raise
    except PermissionError as cause:
        raise PermissionError(f"{path} may not be read: {cause.strerror}.") from cause
    except Exception as cause:
        groups = _list_groups(path)
        if group is not None and groups is not None and group.strip("/") not in groups:
            raise RecordingError(
                f"{path.name} has no group {group!r}; it has {format_names(groups) or 'none'}."
            ) from cause
        raise describe_damage(path, cause) from cause
    try:
        return _find_content(file, path, group)
    except RecordingError:
        file.close()
        raise
    except Exception as cause:
        file.close()
        raise describe_damage(path, cause) from cause


def translate_names(names: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Give every coordinate of a file our name.

    Parameters
    ----------
    names : mapping of str to tuple of str
        The dims of each coordinate, named presentation, site, time_bin.

    Returns
    -------
    dict of str to str
        From the name in the file to ours. A name that is another thing here, such as an
        ``area`` beside ``region``, gets "brainio_" in front.
    """
    ours: dict[str, str] = {}
    for dim, known in NAMES.items():
        # After one bin was taken, its bounds lie over nothing.
        over = ((dim,), ()) if dim == "time_bin" else ((dim,),)
        here = [name for name, dims in names.items() if dims in over]
        for name, aliases in known.items():
            found = next((alias for alias in aliases if alias in here), None)
            if found is not None and found not in ours:
                ours[found] = name
    taken = set(ours.values()) | OURS
    for name in names:
        if name in ours:
            continue
        new = name
        while new in taken:
            new = PREFIX + new
        ours[name] = new
        taken.add(new)
    return ours


class PresentationArray(BackendArray):
    """The responses of a file by presentation, seen as (stimulus, repetition, site[, time_bin]).

    Read when indexed, in tiles of whole chunks of the file; nothing is kept.

    Parameters
    ----------
    data : xarray.Variable
        Over presentation, site and perhaps time_bin, in any order; backed by an open file.
    rows : array of int (stimulus, repetition)
        The presentation, -1 where there is none.
    path : path
        Of the file, for messages.
    """

    def __init__(self, data: xr.Variable, rows: np.ndarray, path: Path) -> None:
        self.data = data
        self.rows = rows
        self.path = path
        self.rest = tuple(dim for dim in ("site", "time_bin") if dim in data.dims)
        self.shape = (*rows.shape, *(data.sizes[dim] for dim in self.rest))
        self.dtype = as_float(data.dtype)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER, self._read
        )

    def list_chunks(self) -> dict[str, int]:
        """List how many presentations and sites of the file lie in one chunk."""
        sizes = self.data.encoding.get("chunksizes")
        if not sizes or len(sizes) != self.data.ndim:
            sizes = (1, *self.data.shape[1:])
        return {
            str(dim): max(1, min(int(size), self.data.sizes[dim]))
            for dim, size in zip(self.data.dims, sizes, strict=True)
        }

    def _read(self, key: tuple[Any, ...]) -> Any:
        try:
            return self._read_tiles(key)
        except (OSError, RuntimeError, IndexError, ValueError) as cause:
            raise describe_damage(self.path, cause) from cause

    def _read_tiles(self, key: tuple[Any, ...]) -> Any:
        picks = [np.arange(n)[k] for n, k in zip(self.shape, key, strict=True)]
        whole = [np.atleast_1d(pick) for pick in picks]
        rows = self.rows[np.ix_(whole[0], whole[1])]
        sites, back = np.unique(whole[2], return_inverse=True)
        times = whole[3] if len(whole) > 3 else np.zeros(1, dtype=int)
        out = np.empty((rows.size, sites.size, times.size), dtype=self.dtype)
        out[np.flatnonzero(rows < 0)] = np.nan
        places = np.flatnonzero(rows >= 0)
        places = places[np.argsort(rows.flat[places], kind="stable")]
        wanted = rows.flat[places]
        tiles = self._list_tiles(sites, wanted, times) if out.size and wanted.size else []
        for columns, rows_of_tile in tiles:
            self._copy_tile(out, (places, wanted), rows_of_tile, (sites, columns, times))
        if (np.diff(whole[2]) <= 0).any():
            out = out[:, back]
        out = out.reshape(*rows.shape, *out.shape[1:])
        if len(whole) == 3:
            out = out[..., 0]
        return out[tuple(0 if pick.ndim == 0 else slice(None) for pick in picks)]

    def _list_tiles(
        self, sites: np.ndarray, wanted: np.ndarray, times: np.ndarray
    ) -> list[tuple[slice, slice]]:
        """List what to read at a time: slices into `sites` and into `wanted`, both ascending."""
        chunks = self.list_chunks()
        budget = TILE_BYTES // self.data.dtype.itemsize // max(1, int(np.ptp(times)) + 1)
        n_sites = max(1, budget // chunks["presentation"] // chunks["site"]) * chunks["site"]
        gaps = np.flatnonzero(np.diff(sites) > chunks["site"]) + 1
        tiles = []
        for start, stop in zip([0, *gaps], [*gaps, sites.size], strict=True):
            numbers = sites[start:stop] // n_sites
            edges = [start, *(start + np.flatnonzero(np.diff(numbers)) + 1), stop]
            for a, b in itertools.pairwise(edges):
                width = int(sites[b - 1] - sites[a]) + 1
                n_rows = max(1, budget // width // chunks["presentation"]) * chunks["presentation"]
                parts = np.flatnonzero(np.diff(wanted // n_rows)) + 1
                bounds = [0, *parts, wanted.size]
                tiles += [
                    (slice(int(a), int(b)), slice(int(c), int(d)))
                    for c, d in itertools.pairwise(bounds)
                    if d > c
                ]
        return tiles

    def _copy_tile(
        self,
        out: np.ndarray,
        rows: tuple[np.ndarray, np.ndarray],
        rows_of_tile: slice,
        selected: tuple[np.ndarray, slice, np.ndarray],
    ) -> None:
        places, wanted = rows[0][rows_of_tile], rows[1][rows_of_tile]
        sites, columns, times = selected
        numbers = sites[columns]
        first, first_site, first_time = int(wanted[0]), int(numbers[0]), int(times.min())
        block = self.data.isel(
            presentation=slice(first, int(wanted[-1]) + 1),
            site=slice(first_site, int(numbers[-1]) + 1),
            missing_dims="ignore",
            time_bin=slice(first_time, int(times.max()) + 1),
        )
        values = block.values.transpose(
            [block.dims.index(dim) for dim in ("presentation", *self.rest)]
        )
        values = values.reshape(*values.shape[:2], -1)
        all_sites = numbers.size == values.shape[1]
        all_times = times.size == values.shape[2] and (np.diff(times) == 1).all()
        for start in range(0, wanted.size, BLOCK):
            part = slice(start, start + BLOCK)
            taken = values[wanted[part] - first]
            taken = taken if all_sites else taken[:, numbers - first_site]
            taken = taken if all_times else taken[:, :, times - first_time]
            out[places[part], columns] = taken


def _find_content(file: xr.Dataset, path: Path, group: str | None) -> Assembly:
    where = path.name if group is None else f"group {group!r} of {path.name}"
    if "response" in file.data_vars and "repetition" in file.dims:
        raise RecordingError(f"{path.name} is a recording of this package: use load_recording.")
    if not file.data_vars:
        groups = _list_groups(path) or []
        raise RecordingError(
            f"{where} has no data variable (groups: {format_names(groups) or 'none'}); a BrainIO "
            "file has one. Give one of its groups, if any, as group=."
        )
    most = max(variable.ndim for variable in file.data_vars.values())
    largest = [str(name) for name, variable in file.data_vars.items() if variable.ndim == most]
    if len(largest) > 1 and "data" in largest:
        largest = ["data"]
    if len(largest) > 1:
        raise RecordingError(
            f"{where} has several data variables, {format_names(largest)}; a BrainIO file has "
            "one, and coordinates that describe its dims."
        )
    data = file.variables[largest[0]]
    coords = {
        str(name): variable for name, variable in file.variables.items() if name != largest[0]
    }
    renamed = {
        dim: next((ours for ours, names in DIMS.items() if dim in names), dim) for dim in data.dims
    }
    notes = []
    for dim in [dim for dim in data.dims if renamed[dim] not in DIMS and data.sizes[dim] == 1]:
        data = data.isel({dim: 0})
        coords = {name: v.isel({dim: 0}, missing_dims="ignore") for name, v in coords.items()}
        notes.append(f"dim {dim!r} of length 1 dropped")
    dims = [renamed[dim] for dim in data.dims]
    if set(dims) not in ({"presentation", "site"}, {"presentation", "site", "time_bin"}, {"event"}):
        raise RecordingError(
            f"{where} has {largest[0]!r} over dims {data.dims}; expected presentation and "
            "neuroid, with time_bin if any, or event, as BrainIO has them."
        )
    if data.dtype.kind not in "fiub":
        raise RecordingError(f"{where} has {largest[0]!r} of type {data.dtype}; expected numbers.")
    if data.size == 0:
        raise RecordingError(f"{where} holds no responses: {largest[0]!r} has shape {data.shape}.")
    data = xr.Variable(dims, data._data, data.attrs, data.encoding)
    known: dict[str, xr.Variable] = {}
    for name, variable in coords.items():
        over = tuple(str(renamed.get(dim, dim)) for dim in variable.dims)
        if set(over) <= set(dims):
            known[name] = xr.Variable(over, variable._data, variable.attrs)
        else:
            notes.append(f"{name!r} over {variable.dims} left out")
    return Assembly(data, known, file.attrs, tuple(notes), file.close)


def _list_groups(path: Path) -> list[str] | None:
    """List the groups of a file, with those inside; None if it cannot be read at all."""
    import netCDF4

    try:
        with netCDF4.Dataset(path) as file:
            found, todo = [], list(file.groups.values())
            while todo:
                group = todo.pop(0)
                found.append(group.path.strip("/"))
                todo += list(group.groups.values())
            return found
    except (OSError, RuntimeError):
        return None


def describe_damage(path: Path, cause: Exception) -> RecordingError:
    """Say that a file cannot be read, and why."""
    if isinstance(cause, RecordingError):
        return cause
    size = f"{path.stat().st_size} bytes; " if path.is_file() else ""
    return RecordingError(
        f"{path} cannot be read as BrainIO netCDF ({size}{type(cause).__name__}: {cause}). It is "
        "truncated, damaged, closed already or of another format: open or copy it again."
    )
