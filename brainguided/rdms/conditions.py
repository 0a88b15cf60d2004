"""Patterns of responses and the conditions, stimuli or groups of them, to which they belong."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import xarray as xr

from brainguided.rdms.labels import read_labels, repeated
from neural_data.errors import RecordingError, check_type, raise_problems

UNIT_DIMS = ("site", "unit")


def average_conditions(responses: xr.DataArray, by: str) -> xr.DataArray:
    """Return the mean response to each condition, dims (`by`, unit), conditions as they appear.

    Coordinates over sites or units are kept, and those over ``stimulus`` that are constant within
    every condition.
    """
    unit_dim = str(responses.dims[1])
    if by == "stimulus":
        return responses
    index, labels = condition_index(responses, by)
    sums = np.zeros((len(labels), responses.sizes[unit_dim]))
    np.add.at(sums, index, responses.values)
    counts = np.bincount(index)
    first = np.array([int(np.flatnonzero(index == k)[0]) for k in range(len(labels))])
    coords: dict[Hashable, Any] = {by: (by, np.asarray(labels))}
    coords |= {k: v for k, v in responses.coords.items() if v.dims == (unit_dim,)}
    for name, values in stimulus_coords(responses).items():
        if name != by and np.array_equal(values[first][index], values):
            coords[name] = (by, values[first])
    return xr.DataArray(sums / counts[:, None], dims=(by, unit_dim), coords=coords)


def condition_index(labelled: xr.DataArray | xr.Dataset, by: str) -> tuple[np.ndarray, list[str]]:
    """Return, for every stimulus, the number of its condition, and the conditions' labels.

    Raises
    ------
    RecordingError
        If `by` is not a coordinate over dim ``stimulus``, or mixes numbers and text.
    """
    known = stimulus_coords(labelled)
    if by not in known:
        raise RecordingError(
            f"No coordinate {by!r} over dim 'stimulus' to group by; the stimuli have "
            f"{sorted(known)}. Assign one with .assign_coords({by}=('stimulus', labels))."
        )
    raw = known[by].tolist()
    empty = [n for n, v in enumerate(raw) if v is None or v != v or str(v) == ""]
    if empty:
        raise RecordingError(
            f"{len(empty)} of {len(raw)} stimuli have no {by!r}, e.g. "
            f"{labelled['stimulus'].values[empty[:3]].tolist()}: leave them out or label them, or "
            "they would be averaged as if they were one condition."
        )
    values = read_labels(raw, by)
    labels = list(dict.fromkeys(values))
    number = {label: k for k, label in enumerate(labels)}
    return np.array([number[v] for v in values]), labels


def order_patterns(responses: xr.DataArray, area: str) -> xr.DataArray:
    """Return `responses` as (stimulus, unit), refusing other dims and numbers that are not real."""
    check_type(
        isinstance(responses, xr.DataArray),
        responses,
        name=area,
        wanted="an xarray.DataArray (stimulus, unit) with labels of the stimuli, such as "
        "average_repetitions(recording) or load_activations(path)",
    )
    if responses.dtype.kind not in "biuf":
        raise RecordingError(
            f"The responses of {area} hold {responses.dtype}; real numbers were expected. Of "
            "complex ones take what is meant: np.abs(responses), or real and imaginary parts."
        )
    unit = next((d for d in UNIT_DIMS if d in responses.dims), None)
    extra = [d for d in responses.dims if d not in ("stimulus", unit)]
    if unit is None or "stimulus" not in responses.dims or extra:
        raise RecordingError(
            f"The responses of {area} have dims {tuple(responses.dims)}; an RDM needs (stimulus, "
            "site[, time_bin]) or (stimulus, unit). Average or select the others first, e.g. "
            f"responses.mean({str(extra[0] if extra else 'repetition')!r})."
        )
    return responses.transpose("stimulus", unit)


def refuse_undefined(
    patterns: xr.DataArray,
    area: str,
    by: str,
    *,
    measure: str,
    fewest_sites: int = 1,
    undefined: Callable[[np.ndarray], tuple[np.ndarray, str]] | None = None,
) -> None:
    """Raise one RecordingError that lists all that makes the dissimilarities undefined.

    Parameters
    ----------
    patterns : xr.DataArray (condition, unit)
    area, by, measure : str
        Names for the message.
    fewest_sites : int, optional
        That the measure needs.
    undefined : callable, optional
        Of values (condition, unit): which have no value by the measure (condition,), and why; the
        text has a place ``{}`` for examples.
    """
    problems = []
    values = patterns.values
    labels = patterns[by].values if by in patterns.coords else np.arange(len(values))
    if values.shape[0] < 3 or values.shape[1] < fewest_sites:
        problems.append(
            f"{values.shape[0]} conditions x {values.shape[1]} sites: at least 3 x {fewest_sites} "
            "are needed"
        )
    missing = ~np.isfinite(values).all(1)
    if missing.any():
        problems.append(
            f"{int(missing.sum())} conditions have missing or infinite responses, e.g. "
            f"{labels[missing][:3].tolist()}: keep what is complete with select_complete(recording)"
        )
    elif values.size and undefined is not None:
        bad, why = undefined(values)
        if bad.any():
            examples = f", e.g. {labels[bad][:3].tolist()}"
            problems.append(f"{int(bad.sum())} conditions {why.format(examples)}")
    if len(set(map(str, labels))) < len(labels):
        problems.append(f"condition labels repeat, e.g. {repeated(map(str, labels))[:3]}")
    raise_problems(f"No {measure} RDM can be computed for {area}", problems)


def stimulus_coords(
    labelled: xr.DataArray | xr.Dataset, dim: str = "stimulus"
) -> dict[str, np.ndarray]:
    """Return the coordinates along a dim, or along ``stimulus`` where that dim is missing."""
    dim = dim if dim in labelled.dims else "stimulus"
    return {str(k): v.values for k, v in labelled.coords.items() if v.dims == (dim,)}
