"""Names of stimuli, sites and areas as text, in whatever they are given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set, ValuesView
from typing import Any

import numpy as np


def is_text(values: Any) -> bool:
    """Whether every element is text."""
    array = np.asarray(values)
    if array.dtype.kind in "UT":
        return True
    return array.dtype.kind == "O" and all(isinstance(value, str) for value in array.flat)


def as_labels(names: Any) -> np.ndarray:
    """Return labels as an array: text as text; a list of mixed types unchanged, to be refused.

    numpy alone would turn ``["V4", nan]`` into the text "nan".
    """
    if isinstance(names, np.ndarray):
        return names
    given = np.asarray(names, dtype=object)
    if is_text(given):
        return given.astype(str)
    return given if any(isinstance(name, str) for name in given.flat) else np.asarray(names)


def as_names(names: Any) -> list[str]:
    """Return one name or many, in whatever holds them, as a list of text."""
    given = list(names) if isinstance(names, Iterator | Set | ValuesView) else names
    return [str(name) for name in np.asarray(given).ravel()]


def name_variables(data: Any, said: Mapping[str, tuple[str, str]]) -> Any:
    """Give the variables and coordinates of a result their names and units, for figures and tables.

    Parameters
    ----------
    data : xarray.Dataset or DataArray
        Changed in place; what is said in it already stays.
    said : mapping of str to (str, str)
        ``long_name`` and ``units`` by variable, "" for none; of those that are there.

    Returns
    -------
    xarray.Dataset or DataArray
        The same.
    """
    for name in [*getattr(data, "data_vars", ()), *data.coords]:
        if name in said:
            both = zip(("long_name", "units"), said[name], strict=True)
            attrs = {key: text for key, text in both if text}
            data[name].attrs.update(attrs | data[name].attrs)
    return data
