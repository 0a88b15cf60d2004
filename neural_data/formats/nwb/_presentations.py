"""Presentations of stimuli in the tables of intervals of an open NWB file."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from neural_data.errors import RecordingError, format_names
from neural_data.formats.nwb._tables import read_columns

STIMULUS_COLUMNS = (
    "stimulus", "stimulus_id", "stimulus_name", "stimulus_presented", "image", "image_id",
    "image_name", "stim_id", "stim_name",
)  # fmt: skip
ONSET_WORDS = ("onset", "stim_on", "stimon", "stimulus_on", "image_on", "stimulus_start",
               "stim_start", "image_start", "stimulus_time", "stim_time")  # fmt: skip


class Presentations(NamedTuple):
    """What a table of presentations says.

    Attributes
    ----------
    stimulus : numpy.ndarray of text
    onset : numpy.ndarray
        In s.
    usable : numpy.ndarray of bool
        Where both are there, and `where` holds.
    columns : dict of str to numpy.ndarray
        What else the table says of each presentation.
    table : str
    said : list of str
        What was read, then what is not usable.
    """

    stimulus: np.ndarray
    onset: np.ndarray
    usable: np.ndarray
    columns: dict[str, np.ndarray]
    table: str
    said: list[str]


def find_presentations(
    file: Any, table: str | None, stimulus_column: str | None
) -> tuple[str, Any]:
    """Find the table of presentations and its name.

    Raises
    ------
    RecordingError
        There is no such table, or several may be meant; all are listed with their columns.
    """
    tables = {str(name): found for name, found in (file.intervals or {}).items()}
    for name, found in (("trials", file.trials), ("epochs", file.epochs)):
        if found is not None:
            tables[name] = found
    if table is not None:
        if table not in tables:
            raise RecordingError(
                f"There is no table {table!r} of intervals; there are "
                f"{format_names(tables) or 'none'}."
            )
        return table, tables[table]
    wanted = STIMULUS_COLUMNS if stimulus_column is None else (stimulus_column,)
    fit = [name for name, found in tables.items() if set(wanted) & set(found.colnames)]
    if len(fit) == 1:
        return fit[0], tables[fit[0]]
    listed = "; ".join(
        f"{name!r} with the columns {format_names(found.colnames, 20)}"
        for name, found in tables.items()
    )
    what = "No table" if not fit else f"More than one table ({format_names(fit)})"
    raise RecordingError(
        f"{what} of the file has a column of stimuli. Name table and stimulus_column. There are: "
        f"{listed or 'no tables of intervals'}."
    )


def read_presentations(
    file: Any,
    *,
    table: str | None,
    stimulus_column: str | None,
    onset_column: str | None,
    where: str | None,
) -> Presentations:
    """Find the table of presentations and read it; see `neural_data.formats.read_nwb`.

    Raises
    ------
    RecordingError
        A table or column is not there, or it is not clear which is meant.
    """
    series = {
        str(name): one
        for name, one in (file.stimulus or {}).items()
        if type(one).__name__ == "IndexSeries"
    }
    columns_named = {
        "stimulus_column": stimulus_column, "onset_column": onset_column, "where": where,
    }  # fmt: skip
    asked = [name for name, given in columns_named.items() if given is not None]
    if table in series and asked:
        raise RecordingError(
            f"{table!r} is a series of image indices and has no columns: leave out "
            f"{format_names(asked)}, or name a table of intervals."
        )
    if table in series:
        return _read_series(str(table), series[str(table)])
    try:
        name, found = find_presentations(file, table, stimulus_column)
    except RecordingError:
        if table is None and not asked and len(series) == 1:
            return _read_series(*next(iter(series.items())))
        raise
    condition, _, value = (where or "").partition("=")
    stimulus_column, onset_column = _choose_columns(
        found, name, stimulus_column, onset_column, condition
    )
    labels, row = _flatten(found, stimulus_column)
    onset, onset_row = _flatten(found, onset_column)
    _check_values(name, (stimulus_column, labels, row), (onset_column, onset, onset_row))
    onset = onset.astype(np.float64)
    _check_onsets(found, name, onset, row, onset_column)
    stimulus = _as_names(labels)
    _check_variety(found, name, stimulus, stimulus_column)
    usable = np.isfinite(onset) & (stimulus != "")
    said = [f"{stimulus_column!r} at {onset_column!r} of table {name!r}"]
    if not usable.all():
        said.append(f"{int((~usable).sum())} of {usable.size} rows without onset or stimulus")
    if where:
        kept = _find_rows(found, name, condition, value)[row]
        if (usable & ~kept).any():
            said.append(f"{int((usable & ~kept).sum())} of {usable.size} rows without {where}")
        usable &= kept
    others = read_columns(found, (stimulus_column, onset_column))
    columns = {key: values[row] for key, values in others.items()}
    return Presentations(stimulus, onset, usable, columns, name, said)


def _read_series(name: str, series: Any) -> Presentations:
    """Read a series of indices of images: which was shown when."""
    index = np.asarray(series.data[:])
    if series.timestamps is not None:
        onset = np.asarray(series.timestamps[:], dtype=np.float64)
    else:
        onset = series.starting_time + np.arange(index.size) / series.rate
    images = getattr(series, "indexed_images", None)
    ordered = None if images is None else images.order_of_images
    said = f"image indices of series {name!r}"
    names = index.astype(str)
    if ordered is not None:
        known = np.array([image.name for image in ordered.data[:]])
        if index.size and (index.min() < 0 or index.max() >= known.size):
            raise RecordingError(
                f"Series {name!r} has indices from {index.min()} to {index.max()}, but its images "
                f"are {known.size}."
            )
        names, said = known[index.astype(np.int64)], f"images of series {name!r}"
    return Presentations(names, onset, np.isfinite(onset), {}, name, [said])


def _choose_columns(
    table: Any, name: str, stimulus_column: str | None, onset_column: str | None, condition: str
) -> tuple[str, str]:
    """Return the columns of stimuli and onsets, named or the only ones that may be meant."""
    columns = list(table.colnames)
    listed = format_names(columns, 30)
    for given in (stimulus_column, onset_column, condition or None):
        if given is not None and given not in columns:
            raise RecordingError(f"Table {name!r} has no column {given!r}; there are {listed}.")
    if stimulus_column is None:
        fit = [column for column in columns if column in STIMULUS_COLUMNS]
        if len(fit) != 1:
            raise RecordingError(
                f"Table {name!r} has {len(fit)} columns that may name the stimulus "
                f"({format_names(fit) or 'none'}): give stimulus_column. There are {listed}."
            )
        stimulus_column = fit[0]
    if onset_column is None:
        other = _find_onset_columns(table)
        if other:
            raise RecordingError(
                f"Table {name!r} has columns that may be onsets ({format_names(other)}) beside "
                "'start_time': give onset_column, also if it is 'start_time'."
            )
        onset_column = "start_time"
    return stimulus_column, onset_column


def _check_values(
    name: str,
    stimuli: tuple[str, np.ndarray, np.ndarray],
    onsets: tuple[str, np.ndarray, np.ndarray],
) -> None:
    """Check the types of two columns, each a name, values and their rows, and that they fit."""
    stimulus_column, labels, row = stimuli
    onset_column, onset, onset_row = onsets
    if onset.ndim != 1 or onset.dtype.kind not in "iuf" or onset.size == 0:
        raise RecordingError(
            f"Column {onset_column!r} of {name!r} holds {onset.dtype} of shape {onset.shape}; "
            "expected times in s."
        )
    if labels.ndim != 1 or labels.dtype.kind not in "iufUOb":
        raise RecordingError(
            f"Column {stimulus_column!r} of {name!r} holds {labels.dtype} of shape "
            f"{labels.shape}; expected a text or a number for each row."
        )
    if not np.array_equal(row, onset_row):
        raise RecordingError(
            f"Columns {stimulus_column!r} and {onset_column!r} of {name!r} do not have one onset "
            f"for each stimulus ({labels.size} stimuli, {onset.size} onsets)."
        )


def _flatten(table: Any, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of a column and their rows; several a row stand one after another."""
    values = table[column]
    rows = np.arange(len(table))
    if type(values).__name__ != "VectorIndex":
        return np.asarray(values[:]), rows
    ends = np.asarray(values.data[:], dtype=np.int64)
    return np.asarray(values.target.data[:]), np.repeat(rows, np.diff(ends, prepend=0))


def _find_onset_columns(table: Any) -> list[str]:
    """List the columns that by their name or by their values may be onsets of stimuli."""
    found = [c for c in table.colnames if any(word in c.lower() for word in ONSET_WORDS)]
    if "stop_time" not in table.colnames:
        return found
    start = np.asarray(table["start_time"][:], dtype=np.float64)
    stop = np.asarray(table["stop_time"][:], dtype=np.float64)
    for column in table.colnames:
        if column in ("start_time", "stop_time", *found) or len(table) < 2:
            continue
        if type(table[column]).__name__ != "VectorData":
            continue
        values = np.asarray(table[column].data[:])
        if values.dtype.kind == "f" and values.ndim == 1 and np.isfinite(values).any():
            known = np.isfinite(values)
            inside = (values >= start) & (values <= stop)
            if inside[known].all() and (values != start)[known].any():
                found.append(column)
    return found


def _check_variety(table: Any, name: str, stimulus: np.ndarray, column: str) -> None:
    shown = set(stimulus.tolist()) - {""}
    if len(shown) != 1 or stimulus.size < 2:
        return
    vary = [
        other
        for other, values in read_columns(table, (column, "start_time", "stop_time")).items()
        if 1 < len(set(values.tolist())) < len(table)
    ]
    raise RecordingError(
        f"Column {column!r} of {name!r} names the same stimulus, {shown.pop()!r}, in all "
        f"{stimulus.size} rows. Name the one that tells stimuli apart as stimulus_column; columns "
        f"that vary: {format_names(vary, 20) or 'none'}."
    )


def _find_rows(table: Any, name: str, column: str, value: str) -> np.ndarray:
    """Find the rows in which a column is true, or has a value."""
    lists = type(table[column]).__name__ == "VectorIndex"
    values = np.zeros((0, 0)) if lists else np.asarray(table[column][:])
    if values.ndim != 1:
        raise RecordingError(
            f"Column {column!r} of {name!r} has several values a row; where takes a column with "
            "one, as rows are kept or left out whole."
        )
    if value:
        names = _as_names(values)
        if value.strip() not in names:
            seen = format_names(dict.fromkeys(names.tolist()))
            raise RecordingError(
                f"No row of {name!r} has {value.strip()!r} in column {column!r}; there are {seen}."
            )
        return np.asarray(names == value.strip())
    if not np.isin(values, (0, 1)).all():
        raise RecordingError(
            f"Column {column!r} of {name!r} is not of true and false; give where as "
            f"'{column}=VALUE' to keep the rows with one value."
        )
    return values.astype(bool)


def _check_onsets(table: Any, name: str, onset: np.ndarray, row: np.ndarray, column: str) -> None:
    """Check that onsets lie in their own rows: others are of another clock or in another unit."""
    if column == "start_time" or "stop_time" not in table.colnames:
        return
    start = np.asarray(table["start_time"][:], dtype=np.float64)[row]
    stop = np.asarray(table["stop_time"][:], dtype=np.float64)[row]
    outside = (onset < start) | (onset > stop)
    if outside.any():
        first = int(np.flatnonzero(outside)[0])
        raise RecordingError(
            f"Column {column!r} of {name!r} lies outside start_time and stop_time of its own row "
            f"in {int(outside.sum())} of {onset.size} rows, first {onset[first]:g} outside "
            f"{start[first]:g} to {stop[first]:g}; expected s on the clock of the file."
        )


def _as_names(labels: np.ndarray) -> np.ndarray:
    """Return stimuli as text, "" where none; whole numbers without a point."""
    if labels.dtype.kind in "iub":
        return labels.astype(str)
    names = []
    for label in labels.tolist():
        if label is None or (isinstance(label, float) and np.isnan(label)):
            names.append("")
        elif isinstance(label, float) and label.is_integer():
            names.append(str(int(label)))
        else:
            names.append(label.decode() if isinstance(label, bytes) else str(label))
    return np.array(names, dtype=str)
