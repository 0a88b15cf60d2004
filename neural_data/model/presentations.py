"""From presentations, one row for each showing of a stimulus, to repetitions of each stimulus."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neural_data.errors import RecordingError, format_names, raise_problems
from neural_data.labels import is_text
from neural_data.model.recording import validate_recording

# Whole numbers up to here are exact as float64, which has room for NaN.
LARGEST_EXACT = 2**53
# Presentations copied at a time: the block stays in the processor's cache.
BLOCK = 2048
RESERVED = ("response", "site", "time_bin", "repetition_label")


def recording_from_presentations(response: xr.DataArray, *, units: str, source: str) -> xr.Dataset:
    """Make a recording of responses listed by presentation: the order of an experiment.

    Parameters
    ----------
    response : xarray.DataArray (presentation, site[, time_bin]), in any order of dims
        Numbers. float32 and float64 stay what they are, float16 becomes float32, whole numbers
        become float64. NaN where a site has no response to a presentation. Coordinates:
        ``stimulus (presentation)``, text; ``site`` and ``area (site)``, text; any others over
        one of the dims. Times become ISO 8601 text.
    units : str
        Such as "spikes/s".
    source : str
        Where the data come from: lab, paper, file.

    Returns
    -------
    xarray.Dataset
        A recording, see `validate_recording`. Stimuli come in the order in which they first
        appear. The repetitions of a stimulus are ordered by the coordinate ``repetition
        (presentation)`` if it holds numbers that are unique for every stimulus, otherwise as
        they appear; see `arrange_presentations`. A ``repetition`` that does not simply count
        them, from 0 or from 1, is kept as ``repetition_label (stimulus, repetition)``. The
        other coordinates over presentation lie over stimulus where they are constant for
        every stimulus, and over (stimulus, repetition) where not, with NaN or "" at
        repetitions that were not shown.

    Raises
    ------
    RecordingError
        One message with a line for every problem found.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> from neural_data.model.presentations import recording_from_presentations
    >>> response = xr.DataArray(np.arange(6.0).reshape(3, 2), dims=("presentation", "site"),
    ...     coords={"stimulus": ("presentation", ["cow", "car", "cow"]),
    ...         "site": ["s1", "s2"], "area": ("site", ["V4", "IT"])})
    >>> recording = recording_from_presentations(response, units="spikes/s", source="made up")
    >>> recording["response"].sel(site="s1").values.tolist()
    [[0.0, 4.0], [2.0, nan]]
    """
    response = _check_presentations(response)
    over = {
        str(name): coord.variable
        for name, coord in response.coords.items()
        if coord.dims == ("presentation",)
    }
    repetition = over["repetition"].values if "repetition" in over else None
    names, rows = arrange_presentations(over["stimulus"].values, repetition=repetition)
    coords: dict[str, Any] = {
        str(name): coord.variable if coord.dtype.kind in "fiubUT" else _as_plain_labels(coord)
        for name, coord in response.coords.items()
        if coord.dims != ("presentation",)
    }
    coords["stimulus"] = ("stimulus", names)
    coords.update(arrange_coordinates(over, rows))
    rest = [dim for dim in ("site", "time_bin") if dim in response.dims]
    values = stack_presentations(response.transpose("presentation", *rest).values, rows)
    steps = [
        f"recording_from_presentations: {response.sizes['presentation']} presentations stacked "
        f"into {rows.shape[0]} stimuli x up to {rows.shape[1]} repetitions"
    ]
    if values.dtype != response.dtype:
        steps.append(f"recording_from_presentations: {response.dtype} stored as {values.dtype}")
    recording = xr.Dataset(
        {"response": (("stimulus", "repetition", *rest), values)},
        coords=coords,
        attrs={"source": source, "history": "\n".join(steps)},
    )
    recording["response"].attrs = {**response.attrs, "units": units}
    return validate_recording(recording, name="the recording from these presentations")


def arrange_presentations(
    stimulus: Any, *, repetition: Any | None = None, position: Any | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Find which presentation is which repetition of which stimulus.

    Parameters
    ----------
    stimulus : array of text (presentation,)
        The stimulus of each presentation.
    repetition : array (presentation,), optional
        What orders the presentations of one stimulus, if it holds numbers (also as text) that
        are unique for every stimulus; otherwise they are taken as they appear.
    position : array of whole numbers (presentation,), optional
        The place of each presentation among the repetitions of its stimulus, from 0, which may
        leave some empty. It overrules `repetition`.

    Returns
    -------
    names : numpy.ndarray of text (stimulus,)
        The stimuli in the order in which they first appear.
    rows : numpy.ndarray of int64 (stimulus, repetition)
        The number of the presentation, -1 where there is none.

    Raises
    ------
    RecordingError
        Two presentations of a stimulus have one position, or a position is below 0.
    """
    codes, found = pd.factorize(np.asarray(stimulus, dtype=object))
    n_rows = codes.size
    names = np.asarray(found, dtype=str)
    if position is not None:
        place = np.asarray(position, dtype=np.int64)
        at = codes * (place.max(initial=0) + 1) + place
        if place.min(initial=0) < 0 or np.unique(at).size < n_rows:
            raise RecordingError(
                "The positions of the presentations among the repetitions of their stimuli are "
                "below 0 or taken twice; expected 0, 1, ... once a stimulus. Leave them out."
            )
    else:
        key = _as_order(repetition)
        order = np.argsort(codes, kind="stable")
        if key is not None:
            by_key = np.lexsort((key, codes))
            same = (np.diff(codes[by_key]) == 0) & (np.diff(key[by_key]) == 0)
            order = order if same.any() else by_key
        counts = np.bincount(codes, minlength=names.size)
        place = np.empty(n_rows, dtype=np.int64)
        place[order] = np.arange(n_rows) - np.repeat(np.cumsum(counts) - counts, counts)
    rows = np.full((names.size, int(place.max(initial=-1)) + 1), -1, dtype=np.int64)
    rows[codes, place] = np.arange(n_rows)
    return names, rows


def arrange_coordinates(
    coords: dict[str, Any], rows: np.ndarray, *, over_repetitions: tuple[str, ...] = ()
) -> dict[str, xr.Variable]:
    """Arrange coordinates over presentation as coordinates over stimulus and repetition.

    Parameters
    ----------
    coords : dict of str to xarray.Variable (presentation,)
        ``stimulus`` is passed over; ``repetition`` becomes ``repetition_label``, or nothing
        where it only counts.
    rows : array of int (stimulus, repetition)
        From `arrange_presentations`.
    over_repetitions : tuple of str
        Coordinates to put over (stimulus, repetition) even if constant for every stimulus.

    Returns
    -------
    dict of str to xarray.Variable
        Over (stimulus,) or (stimulus, repetition), see `recording_from_presentations`.
    """
    shown = rows >= 0
    rows_shown = rows[shown]
    stimulus_of = np.nonzero(shown)[0]
    first = rows[np.arange(rows.shape[0]), shown.argmax(axis=1)]
    arranged: dict[str, xr.Variable] = {}
    for name, variable in coords.items():
        if name == "stimulus":
            continue
        values = as_plain(variable.values)
        label = name == "repetition"
        if label and _only_counts(values, rows):
            continue
        if label or name in over_repetitions or _varies(values, rows_shown, first[stimulus_of]):
            dims: tuple[str, ...] = ("stimulus", "repetition")
            values = _pad(values, rows)
        else:
            dims, values = ("stimulus",), values[first]
        values = values.astype(str) if values.dtype.kind == "O" else values
        attrs = {} if np.asarray(variable.values).dtype.kind in "mM" else variable.attrs
        arranged["repetition_label" if label else name] = xr.Variable(dims, values, attrs)
    return arranged


def stack_presentations(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Copy responses by presentation into an array by stimulus and repetition.

    Parameters
    ----------
    values : array of numbers (presentation, ...)
        Any strides: a transposed view is copied block by block.
    rows : array of int (stimulus, repetition)
        From `arrange_presentations`.

    Returns
    -------
    numpy.ndarray (stimulus, repetition, ...)
        NaN where there is no presentation. See `as_float` for its type.
    """
    shape = (*rows.shape, *values.shape[1:])
    stacked = np.empty(shape, dtype=as_float(values.dtype))
    flat = stacked.reshape(rows.size, *values.shape[1:])
    places = np.empty(values.shape[0], dtype=np.int64)
    places[rows[rows >= 0]] = np.flatnonzero(rows >= 0)
    flat[np.flatnonzero(rows < 0)] = np.nan
    for start in range(0, values.shape[0], BLOCK):
        block = slice(start, start + BLOCK)
        flat[places[block]] = values[block]
    return stacked


def as_float(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type in which responses are stored: float32 and float64 as they are."""
    if dtype.kind == "f" and dtype.itemsize <= 4:
        return np.dtype(np.float32)
    return np.dtype(np.float64)


def as_plain(values: Any) -> np.ndarray:
    """Return labels as numbers or text: times as ISO 8601 text, spans of time as ms.

    An array of objects becomes text: what is missing (None, NaN) becomes "".
    """
    labels: np.ndarray = np.asarray(values)
    if labels.dtype.kind == "M":
        text = np.datetime_as_string(labels).astype(object)
        return np.where(np.isnat(labels), "", text)
    if labels.dtype.kind == "m":
        return np.where(np.isnat(labels), np.nan, labels / np.timedelta64(1, "ms"))
    if labels.dtype.kind == "S":
        return np.char.decode(labels, "utf-8", "replace").astype(object)
    if labels.dtype.kind in "UT":
        return labels.astype(object)
    if labels.dtype.kind == "O":
        missing = pd.isna(labels)
        if missing.any() or not is_text(labels):
            texts = [
                "" if gone else str(value)
                for value, gone in zip(labels.flat, missing.flat, strict=True)
            ]
            return np.array(texts, dtype=object).reshape(labels.shape)
    return labels


def _check_presentations(response: xr.DataArray) -> xr.DataArray:
    if not isinstance(response, xr.DataArray):
        raise RecordingError(
            f"The responses are a {type(response).__name__}; expected an xarray.DataArray with "
            "dims presentation and site. From arrays of (stimulus, repetition, site) use "
            "recording_from_arrays(...)."
        )
    for name, index in dict(response.indexes).items():
        if isinstance(index, pd.MultiIndex) and name in response.dims:
            response = response.reset_index(name)
    problems = []
    dims = set(response.dims)
    if dims - {"time_bin"} != {"presentation", "site"}:
        problems.append(
            f"the dims are {response.dims}; expected 'presentation' and 'site', and 'time_bin' "
            "if any"
        )
    if response.dtype.kind not in "fiub":
        problems.append(f"the responses are {response.dtype}; expected numbers")
    if response.size == 0:
        problems.append(f"there are no responses: the shape is {response.shape}")
    stimulus = response.coords.get("stimulus")
    if stimulus is None or stimulus.dims != ("presentation",):
        seen = [name for name, c in response.coords.items() if c.dims == ("presentation",)]
        problems.append(
            "no coordinate 'stimulus' over dim 'presentation', which names the stimulus of each "
            f"(coordinates there: {format_names(seen, limit=20) or 'none'})"
        )
    elif not is_text(stimulus.values) or (np.asarray(stimulus.values) == "").any():
        problems.append("'stimulus' is not text, or empty, at some presentation: name every one")
    for name, coord in response.coords.items():
        if "presentation" in coord.dims and coord.ndim > 1:
            problems.append(f"coordinate {name!r} has dims {coord.dims}; expected one dim: drop it")
        elif coord.dims == ("presentation",) and name in RESERVED:
            problems.append(f"coordinate {name!r} over presentation has a name of ours: rename it")
    raise_problems("The presentations do not make a recording", problems)
    return response


def _as_plain_labels(coord: xr.DataArray) -> xr.Variable:
    values = as_plain(coord.values)
    values = values.astype(str) if values.dtype.kind == "O" else values
    return xr.Variable(coord.dims, values, {} if coord.dtype.kind in "mM" else coord.attrs)


def _as_order(repetition: Any | None) -> np.ndarray | None:
    """Return what repetitions are sorted by: numbers without NaN, or nothing."""
    if repetition is None:
        return None
    values = as_plain(repetition)
    if values.dtype.kind == "O":
        try:
            values = values.astype(str).astype(np.float64)
        except ValueError:
            return None
    if values.dtype.kind not in "iuf" or np.isnan(values).any():
        return None
    return values


def _only_counts(values: np.ndarray, rows: np.ndarray) -> bool:
    """Whether the numbers say no more than the positions: from 0 or from 1, without a gap."""
    if values.dtype.kind not in "iuf":
        return False
    shown = rows >= 0
    offset = values[rows[shown]] - np.nonzero(shown)[1]
    return bool(offset.size) and offset[0] in (0, 1) and bool((offset == offset[0]).all())


def _varies(values: np.ndarray, rows: np.ndarray, first: np.ndarray) -> bool:
    """Whether any presentation differs from the first of its stimulus; NaN equals NaN."""
    here, there = values[rows], values[first]
    differs = here != there
    if values.dtype.kind == "f":
        differs &= ~(np.isnan(here) & np.isnan(there))
    return bool(np.any(differs))


def _pad(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    shown = rows >= 0
    taken: np.ndarray = values[rows]
    if shown.all():
        return taken
    if values.dtype.kind == "O":
        taken[~shown] = ""
        return taken
    if values.dtype.kind in "iu" and np.abs(values.astype(np.float64)).max() > LARGEST_EXACT:
        texts: np.ndarray = taken.astype(str).astype(object)
        texts[~shown] = ""
        return texts
    taken = taken.astype(as_float(values.dtype))
    taken[~shown] = np.nan
    return taken
