"""Finding sites and stimuli of a recording by name."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import xarray as xr

from neural_data.errors import format_names
from neural_data.labels import as_names


def describe_names(names: Any, limit: int = 3) -> str:
    """Return names as the history quotes them: a few in full, of more their number."""
    listed = as_names(names)
    if len(listed) == 1:
        return repr(listed[0])
    return repr(listed) if len(listed) <= limit else f"{len(listed)} names"


def report_unknown(coord: str, names: list[str], values: np.ndarray, problems: list[str]) -> None:
    """Add to `problems` the names that are not among the values of a coordinate."""
    known = dict.fromkeys(values.tolist())
    unknown = [name for name in names if name not in known]
    if unknown:
        problems.append(
            f"no {coord} {format_names(unknown)}; there are {format_names(known, limit=10)}"
        )
    if not names:
        problems.append(f"an empty list of {coord} names; leave {coord!r} out to keep all")


def find_positions(
    recording: xr.Dataset, dim: str, wanted: list[str], problems: list[str]
) -> np.ndarray:
    """Return where the labels wanted lie along a dim, in the order wanted."""
    values = recording[dim].values.astype(str)
    report_unknown(dim, wanted, values, problems)
    if len(set(wanted)) < len(wanted):
        twice = [name for name, count in Counter(wanted).items() if count > 1]
        problems.append(f"{dim} {format_names(twice)} asked for more than once")
    position = {name: i for i, name in enumerate(values.tolist())}
    return np.array([position[name] for name in wanted if name in position], dtype=int)
