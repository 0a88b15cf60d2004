"""Writing a dataset to a netCDF file and reading it back, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import xarray as xr

from neural_data.errors import RecordingError, format_names
from neural_data.labels import is_text
from neural_data.storage.aside import write_aside
from neural_data.storage.checksums import append_checksum, verify_checksum
from neural_data.storage.hdf5_checks import check_hdf5
from neural_data.storage.pointers import refuse_pointer


def write_netcdf(dataset: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Write a dataset as netCDF4: aside first, then renamed, so that no half file is ever seen.

    Parameters
    ----------
    dataset : xarray.Dataset
        Numbers are compressed at level 1 (higher levels take long and gain nothing).
    path : str or path
        The file to write or to replace. Its folder must exist.

    Returns
    -------
    pathlib.Path
        The path written.

    Raises
    ------
    RecordingError
        The dataset holds something that netCDF cannot hold.
    OSError
        The folder is missing or cannot be written, or the disk is full.
    """
    path = Path(path)
    folder = path.parent
    if not folder.is_dir():
        kind = "is not a folder" if folder.exists() else "does not exist"
        raise FileNotFoundError(
            f"{path.name} cannot be written: the folder {folder} {kind}. Make the folder first."
        )
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Give the name of a file in it, as *.nc.")
    dataset = dataset.drop_encoding()
    encoding: dict[Hashable, dict[str, Any]] = {
        key: {"zlib": True, "complevel": 1}
        for key, variable in dataset.variables.items()
        if variable.dtype.kind in "fiub" and variable.ndim > 0
    }
    try:
        with write_aside(path) as aside:
            dataset.to_netcdf(aside, engine="netcdf4", format="NETCDF4", encoding=encoding)
            append_checksum(aside)
    except (OSError, RuntimeError) as cause:
        raise OSError(
            f"{path.name} cannot be written in the folder {folder}: {cause}. "
            "Check that the folder may be written and that its disk has room; nothing was left."
        ) from cause
    except (TypeError, ValueError, NotImplementedError) as cause:
        raise RecordingError(
            f"{path.name} cannot be written, for netCDF cannot hold what is in it: {cause}. "
            "Keep to numbers and text in coordinates and attrs; nothing was left."
        ) from cause
    return path


def open_netcdf(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read a whole netCDF file into memory and close it.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    xarray.Dataset
        In memory, independent of the file; text as numpy text, not as objects.

    Raises
    ------
    FileNotFoundError
        There is no such file; the netCDF files beside it are listed.
    PermissionError
        The file may not be read.
    RecordingError
        The file is truncated, damaged or no netCDF.
    """
    path = _find_file(path)
    try:
        refuse_pointer(path)
        check_hdf5(path, verified=verify_checksum(path))
        with xr.open_dataset(path, engine="netcdf4", decode_timedelta=False) as file:
            return _as_text(file.load()).drop_encoding()
    except RecordingError:
        raise
    except Exception as cause:
        raise _describe_failure(path, cause) from cause


def open_netcdf_lazily(path: str | os.PathLike[str]) -> xr.Dataset:
    """Open a netCDF file: its labels are read at once, its numbers when they are asked for.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    xarray.Dataset
        Backed by the open file: close it with ``.close()`` or use it in a ``with`` statement.
        Text is in memory. What is read of the data variables is not kept.

    Raises
    ------
    FileNotFoundError, PermissionError, RecordingError
        As `open_netcdf`.
    """
    path = _find_file(path)
    try:
        refuse_pointer(path)
        check_hdf5(path, verified=verify_checksum(path))
        file = xr.open_dataset(path, engine="netcdf4", decode_timedelta=False, cache=False)
        try:
            dataset = _as_text(file).drop_encoding()
        except BaseException:
            file.close()
            raise
    except RecordingError:
        raise
    except Exception as cause:
        raise _describe_failure(path, cause) from cause
    dataset.set_close(file.close)
    return dataset


def _find_file(path: str | os.PathLike[str]) -> Path:
    path = Path(path)
    if path.is_dir():
        raise RecordingError(f"{path} is a folder; expected one netCDF file, such as one in it.")
    if not path.exists():
        beside = sorted(p.name for p in path.parent.glob("*.nc")) if path.parent.is_dir() else []
        hint = f"The folder has {format_names(beside)}." if beside else "Check the path."
        raise FileNotFoundError(f"There is no file {path}. {hint}")
    if not path.is_file():  # to read a named pipe or a device may have no end
        raise RecordingError(f"{path} is no regular file; expected a netCDF file.")
    return path


def _describe_failure(path: Path, cause: Exception) -> Exception:
    if isinstance(cause, RecordingError):
        return cause
    if isinstance(cause, PermissionError):
        return PermissionError(f"{path} may not be read: {cause.strerror}.")
    return RecordingError(
        f"{path} cannot be read as netCDF ({path.stat().st_size} bytes; {cause}). It is "
        "truncated, damaged or of another format: copy or write it again."
    )


def _as_text(dataset: xr.Dataset) -> xr.Dataset:
    """Turn text that xarray read as objects into numpy text."""
    texts = {
        key: variable.astype(str)
        for key, variable in dataset.variables.items()
        if variable.dtype.kind in "OT" and is_text(variable.values)
    }
    return dataset.assign(texts) if texts else dataset
