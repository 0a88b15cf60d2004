"""What the schemas of recordings, stimulus sets and dissimilarities have in common.

Each check returns a list of problems, empty when there is none.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import pandas as pd
import xarray as xr

from neural_data.errors import format_names
from neural_data.labels import is_text

Data = TypeVar("Data", xr.Dataset, xr.DataArray)

DIMS = ("stimulus", "repetition", "site")
TIME_COORDS = ("time_bin_start", "time_bin_end")


def check_labels(
    dataset: xr.Dataset,
    coord: str,
    *,
    dim: str | None = None,
    unique: bool = False,
    example: str | None = None,
) -> list[str]:
    """Check a coordinate of text over one dim (its own by default), unique where asked."""
    dim = coord if dim is None else dim
    if coord not in dataset.coords:
        hint = f", e.g. {example}" if example else ""
        return [f"no coordinate {coord!r} over dim {dim!r}{hint}"]
    if dataset[coord].dims != (dim,):
        return [describe_wrong_dims(dataset, coord, dim)]
    values = dataset[coord].values
    if not is_text(values):
        kind = values.dtype if values.dtype.kind != "O" else "a mixture of types"
        return [f"coordinate {coord!r} holds {kind}; expected text, such as {coord + '1'!r}"]
    names = np.asarray(values, dtype=str)
    problems = []
    if (names == "").any():
        problems.append(f"coordinate {coord!r} is empty at {int((names == '').sum())} places")
    if unique:
        found, counts = np.unique(names, return_counts=True)
        if (counts > 1).any():
            problems.append(f"coordinate {coord!r} repeats {format_names(found[counts > 1])}")
    return problems


def check_source(dataset: xr.Dataset) -> list[str]:
    """Check that the dataset says where it comes from."""
    source = dataset.attrs.get("source")
    if isinstance(source, str) and source.strip():
        return []
    return ["no attrs['source'], which says where the data come from: lab, paper or file"]


def check_savable(dataset: xr.Dataset) -> list[str]:
    """Check for a MultiIndex, which no netCDF file can hold."""
    levels = [
        str(name)
        for name, index in dataset.indexes.items()
        if isinstance(index, pd.MultiIndex) and name in dataset.dims
    ]
    return [
        f"dim {name!r} has a MultiIndex: use dataset.reset_index({name!r}), then one label a row"
        for name in levels
    ]


def describe_wrong_dims(dataset: xr.Dataset, coord: str, dim: str) -> str:
    """Say over which dims a coordinate lies, and over which it should."""
    return f"{coord!r} has dims {dataset[coord].dims}; expected ('{dim}',)"


def check_response(recording: xr.Dataset) -> list[str]:
    """Check the responses: units, dims and their order, type; not their values."""
    if "response" not in recording.data_vars:
        seen = format_names(recording.data_vars) or "none"
        return [f"no variable 'response' (variables: {seen})"]
    response = recording["response"]
    problems = []
    units = response.attrs.get("units")
    if not isinstance(units, str) or not units.strip():
        problems.append("'response' has no attrs['units'], e.g. 'spikes/s'")
    if set(response.dims) - {"time_bin"} != set(DIMS):
        problems.append(
            f"'response' has dims {response.dims}; expected {DIMS}, with 'time_bin' last if any "
            "(a single repetition is a dim of length 1: response.expand_dims('repetition'))"
        )
        return problems
    ordered = (*DIMS, "time_bin")[: response.ndim]
    if response.dims != ordered:
        problems.append(
            f"'response' has dims {response.dims}; expected this order: {ordered}, "
            "see recording.transpose(...)"
        )
    if response.dtype.kind != "f":
        problems.append(f"'response' holds {response.dtype}; expected floats: .astype(float)")
    elif response.dtype.itemsize not in (4, 8):
        problems.append(
            f"'response' holds {response.dtype}, which cannot be saved everywhere; expected "
            "float32 or float64: .astype('float32')"
        )
    if response.size == 0:
        problems.append(f"'response' is empty: its shape is {response.shape}")
    return problems


def check_time(recording: xr.Dataset) -> list[str]:
    """Check the bounds of the time bins, if there are any."""
    present = [coord for coord in TIME_COORDS if coord in recording.variables]
    problems = [
        describe_wrong_dims(recording, coord, "time_bin")
        for coord in present
        if recording[coord].dims not in (("time_bin",), ())  # () after taking one bin
    ]
    problems += [
        f"{coord!r} holds {recording[coord].dtype}; expected numbers in ms"
        for coord in present
        if recording[coord].dtype.kind not in "iuf"
    ]
    if len(present) == 1:
        other = TIME_COORDS[1 - TIME_COORDS.index(present[0])]
        problems.append(f"{present[0]!r} is there without {other!r}")
    if (
        len(present) == 2
        and not problems
        and not (recording[TIME_COORDS[1]].values > recording[TIME_COORDS[0]].values).all()
    ):
        problems.append("'time_bin_end' is not after 'time_bin_start' in every bin")
    return problems


def add_step(data: Data, text: str) -> Data:
    """Return the data with one more line in ``attrs["history"]``, what was done to them.

    The history of a recording, and of everything computed from it, is text: one line a step,
    the oldest first.

    Parameters
    ----------
    data : xarray.Dataset or xarray.DataArray
        Not changed; values are shared with the result.
    text : str
        The step: which function, with which choices, and what came out of how many.

    Returns
    -------
    xarray.Dataset or xarray.DataArray
        Of the same kind.

    Examples
    --------
    >>> import xarray as xr
    >>> from neural_data.model.recording import add_step
    >>> data = add_step(xr.Dataset(attrs={"history": "recorded"}), "read: 2 of 3 sites")
    >>> data.attrs["history"].splitlines()
    ['recorded', 'read: 2 of 3 sites']
    """
    earlier = str(data.attrs.get("history", "")).strip()
    step = " ".join(text.split())
    return data.assign_attrs(history=f"{earlier}\n{step}" if earlier else step)
