"""Making a recording of described responses and of the labels that were loaded for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from neural_data.errors import raise_problems
from neural_data.formats._described_labels import Labels, with_text
from neural_data.formats.described_toml import is_missing
from neural_data.model.presentations import recording_from_presentations
from neural_data.model.recording import add_step
from neural_data.model.windows import describe_window

ORDER = ("stimulus", "presentation", "repetition", "site", "time_bin")


def build(response: xr.Variable, labels: Labels) -> xr.Dataset:
    """Make a recording of responses, over dims in any order, and what was loaded of their axes.

    Raises
    ------
    RecordingError
        Something could not be loaded, or does not fit.
    """
    description, top = labels.description, labels.description.top
    raise_problems(f"{description.path.name} does not describe a recording", labels.problems)
    values, marked = _mark_missing(response.values, top.get("missing"))
    if marked:
        labels.steps.append(f"{marked} values of {top['missing']} taken as missing")
    step = f"read_described({description.path.name}): {top['file']}, {'; '.join(labels.steps)}"
    response = xr.Variable(response.dims, values)
    if not {"repetition", "presentation"} & set(response.dims):
        response = xr.Variable(("repetition", *response.dims), values[np.newaxis])
    response = response.transpose(*(dim for dim in ORDER if dim in response.dims))
    if "window" in top:
        response.attrs["window"] = describe_window(*top["window"])
    coords = with_text(labels.coords)
    if "presentation" in response.dims:
        recording = recording_from_presentations(
            xr.DataArray(response, coords=coords), units=top["units"], source=top["source"]
        )
        later = recording.attrs.get("history", "")
        return recording.assign_attrs(history=f"{step}\n{later}".strip())
    # In memory as in the order of the dims: what follows reads site by site.
    response = xr.Variable(response.dims, np.ascontiguousarray(response.values), response.attrs)
    response.attrs["units"] = top["units"]
    recording = xr.Dataset({"response": response}, coords, {"source": top["source"]})
    return add_step(recording, step)


def _mark_missing(values: np.ndarray, markers: Any) -> tuple[np.ndarray, int]:
    """Return floats with NaN where the lab wrote another number, and how many there were."""
    floats = values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)
    if markers is None:
        return floats, 0
    missing = is_missing(floats, markers)
    return np.where(missing, floats.dtype.type(np.nan), floats), int(missing.sum())
