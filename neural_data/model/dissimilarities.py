"""Dissimilarity matrices over stimuli (RDMs) as labelled data, and their file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import xarray as xr

from neural_data.errors import RecordingError, format_names, raise_problems
from neural_data.model.schema import check_labels, check_savable, check_source, describe_wrong_dims
from neural_data.rounding import SINGLE
from neural_data.storage.netcdf import open_netcdf, write_netcdf

DIMS = ("area", "stimulus", "other_stimulus")
_ENTRIES = 1 << 18  # numbers looked at at a time


def validate_dissimilarities(
    dissimilarities: xr.Dataset, *, name: str = "dissimilarities"
) -> xr.Dataset:
    """Return the dissimilarities themselves if they follow the schema; else say all that is wrong.

    Parameters
    ----------
    dissimilarities : xarray.Dataset
        ``dissimilarity (area, stimulus, other_stimulus)`` : float, symmetric, zero on the
        diagonal, finite, with ``attrs["units"]`` such as "1 - Pearson r". ``area``,
        ``stimulus`` and ``other_stimulus`` : unique text, the last two with the same labels in
        the same order. Further coordinates lie over stimulus or area. ``attrs["source"]``.
    name : str
        What to call them in the message, for instance their file name.

    Returns
    -------
    xarray.Dataset
        The same object.

    Raises
    ------
    RecordingError
        One message with a line for every problem found.
    """
    if not isinstance(dissimilarities, xr.Dataset):
        raise RecordingError(
            f"{name} is a {type(dissimilarities).__name__}; expected an xarray.Dataset with the "
            f"variable 'dissimilarity' over {DIMS}."
        )
    problems = _check_matrices(dissimilarities)
    problems += check_source(dissimilarities)
    for dim in DIMS:
        problems += check_labels(dissimilarities, dim, unique=True)
    for coord in dissimilarities.coords:
        if coord not in DIMS and dissimilarities[coord].dims not in (("stimulus",), ("area",), ()):
            problems.append(describe_wrong_dims(dissimilarities, str(coord), "stimulus"))
    problems += check_savable(dissimilarities)
    raise_problems(f"{name} does not follow the schema of dissimilarities", problems)
    return dissimilarities


def load_dissimilarities(path: str | os.PathLike[str]) -> xr.Dataset:
    """Load dissimilarities from their netCDF file into memory and check them.

    Parameters
    ----------
    path : str or path
        A file written by `save_dissimilarities`.

    Returns
    -------
    xarray.Dataset
        As `validate_dissimilarities` wants it.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    RecordingError
        The file is damaged, is no netCDF, or does not follow the schema.
    """
    return validate_dissimilarities(open_netcdf(path), name=Path(path).name)


def save_dissimilarities(dissimilarities: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Save dissimilarities as netCDF4; the file is complete or not there.

    Parameters
    ----------
    dissimilarities : xarray.Dataset
        Checked by `validate_dissimilarities` before anything is written.
    path : str or path
        The file to write, usually ``*.nc``. An existing file is replaced in one step.

    Returns
    -------
    pathlib.Path
        The file written.

    Raises
    ------
    RecordingError
        The dissimilarities do not follow the schema.
    OSError
        The folder is missing or cannot be written, or the disk is full.
    """
    validate_dissimilarities(dissimilarities)
    return write_netcdf(dissimilarities, path)


def _check_matrices(dissimilarities: xr.Dataset) -> list[str]:
    if "dissimilarity" not in dissimilarities.data_vars:
        seen = format_names(dissimilarities.data_vars) or "none"
        return [f"no variable 'dissimilarity' (variables: {seen})"]
    variable = dissimilarities["dissimilarity"]
    problems = []
    units = variable.attrs.get("units")
    if not isinstance(units, str) or not units.strip():
        problems.append("'dissimilarity' has no attrs['units'], e.g. '1 - Pearson r'")
    if variable.dims != DIMS:
        return [*problems, f"'dissimilarity' has dims {variable.dims}; expected {DIMS}"]
    if variable.dtype.kind != "f":
        return [*problems, f"'dissimilarity' holds {variable.dtype}; expected floats"]
    if variable.shape[1] != variable.shape[2]:
        return [*problems, f"'dissimilarity' has shape {variable.shape}; expected square matrices"]
    if variable.size == 0:
        return [*problems, f"'dissimilarity' is empty: its shape is {variable.shape}"]
    if all(dim in dissimilarities.coords for dim in DIMS[1:]) and not np.array_equal(
        dissimilarities["stimulus"].values, dissimilarities["other_stimulus"].values
    ):
        problems.append("'stimulus' and 'other_stimulus' differ in labels or order")
    return problems + _check_values(variable)


def _check_values(variable: xr.DataArray) -> list[str]:
    problems = []
    values = variable.values
    areas = (
        variable["area"].values.astype(str)
        if "area" in variable.coords
        else np.arange(len(values)).astype(str)
    )
    missing, skewed, diagonal = (
        np.array(found) for found in zip(*map(_judge, values), strict=True)
    )
    if missing.any():
        problems.append(
            f"'dissimilarity' is NaN or infinite at {int(missing.sum())} places, in "
            f"{format_names(areas[missing > 0])}; a constant response has no correlation distance: "
            "leave out such stimuli"
        )
    if skewed.any():
        problems.append(f"'dissimilarity' is not symmetric in {format_names(areas[skewed])}")
    if diagonal.any():
        problems.append(
            f"'dissimilarity' is not zero on the diagonal in {format_names(areas[diagonal])}; "
            "similarities r become dissimilarities as 1 - r"
        )
    return problems


def _judge(matrix: np.ndarray) -> tuple[int, bool, bool]:
    """Return how many numbers are missing, and whether sides differ or the diagonal is not zero.

    A few rows at a time: a matrix may be so large that there is no room for another.
    """
    step = max(1, _ENTRIES // len(matrix))
    parts = [slice(start, start + step) for start in range(0, len(matrix), step)]

    def clean(part: np.ndarray) -> np.ndarray:
        return np.where(np.isfinite(part), part, 0.0)

    missing = sum(int((~np.isfinite(matrix[rows])).sum()) for rows in parts)
    allowed = SINGLE * max(np.abs(clean(matrix[rows])).max() for rows in parts)
    skewed = any(
        np.abs(clean(matrix[rows]) - clean(matrix[:, rows]).T).max() > allowed for rows in parts
    )
    return missing, bool(skewed), bool(np.abs(clean(np.diagonal(matrix))).max() > allowed)
