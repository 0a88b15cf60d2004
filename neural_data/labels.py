"""Names of stimuli, sites and areas as text, in whatever they are given."""

from __future__ import annotations

from collections.abc import Iterator, Set, ValuesView
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
