"""The tables of an open NWB file: units, electrodes, trials and other intervals."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from neural_data.errors import RecordingError, format_names

STIMULUS_COLUMNS = (
    "stimulus", "stimulus_id", "stimulus_name", "stimulus_presented", "image", "image_id",
    "image_name", "stim_id", "stim_name",
)  # fmt: skip
ONSET_WORDS = ("onset", "stim_on", "stimon", "stimulus_on", "image_on", "stimulus_start",
               "stim_start", "image_start", "stimulus_time", "stim_time")  # fmt: skip
AREA_COLUMNS = ("area", "brain_area", "brain_region", "region", "location")
NOT_STATED = ("", "unknown", "none", "nan", "n/a", "no location")
UNIT_COLUMNS = ("spike_times", "electrodes", "electrode_group", "obs_intervals", "waveforms")


class Units(NamedTuple):
    """The units of a file.

    Attributes
    ----------
    site : list of str
    times : list of numpy.ndarray
        Spike times of each unit, in s.
    observed : list of numpy.ndarray (interval, 2) or None
        When each unit was observed, in ms; None where the file does not say.
    area : list of str
    array : list of str or None
        The electrode group of each unit, if each has one.
    animal : str or None
    columns : dict of str to numpy.ndarray
        The other columns that hold one number or text a unit.
    source : str
    attrs : dict
    """

    site: list[str]
    times: list[np.ndarray]
    observed: list[np.ndarray | None]
    area: list[str]
    array: list[str] | None
    animal: str | None
    columns: dict[str, np.ndarray]
    source: str
    attrs: dict[str, Any]


class Presentations(NamedTuple):
    """The rows of a table of presentations.

    Attributes
    ----------
    stimulus : numpy.ndarray of text
    onset : numpy.ndarray
        In s.
    usable : numpy.ndarray of bool
        Where both are there.
    stimulus_column, onset_column : str
    """

    stimulus: np.ndarray
    onset: np.ndarray
    usable: np.ndarray
    stimulus_column: str
    onset_column: str


def read_units(file: Any, name: str, area: str | None) -> Units:
    """Read the units of a file with their spike times.

    Raises
    ------
    RecordingError
        There are none, or the electrodes of a unit lie in several areas.
    """
    table = file.units
    if table is None or len(table) == 0 or "spike_times" not in table.colnames:
        raise RecordingError(f"{name} has no units with spike times; it cannot be binned.")
    n_units = len(table)
    ids = [str(k) for k in np.asarray(table.id[:])]
    times = [np.asarray(table["spike_times"][k], dtype=np.float64) for k in range(n_units)]
    observed: list[np.ndarray | None] = [None] * n_units
    if "obs_intervals" in table.colnames:
        for k in range(n_units):
            intervals = np.asarray(table["obs_intervals"][k], dtype=np.float64).reshape(-1, 2)
            observed[k] = intervals * 1000 if len(intervals) else None
    columns = read_columns(table, UNIT_COLUMNS)
    locations, groups = _read_electrodes(file, table)
    subject = getattr(file.subject, "subject_id", None)
    lab = ", ".join(part for part in (file.lab, file.institution) if part)
    session = f"session {file.identifier}"
    attrs = {
        "nwb_identifier": file.identifier,
        "session_description": file.session_description,
        "session_start_time": file.session_start_time.isoformat(),
    }
    return Units(
        site=[f"unit{k}" for k in ids],
        times=times,
        observed=observed,
        area=_find_areas(name, area, columns, locations, n_units),
        array=groups,
        animal=str(subject) if subject else None,
        columns=columns,
        source=", ".join(part for part in (f"NWB file {name}", lab, session) if part),
        attrs={key: str(value) for key, value in attrs.items() if value},
    )


def _read_electrodes(file: Any, table: Any) -> tuple[list[list[str]] | None, list[str] | None]:
    """Find the locations of the electrodes of each unit, and the one group of each."""
    electrodes = file.electrodes
    if electrodes is None or "electrodes" not in table.colnames:
        return None, None
    target = getattr(table["electrodes"], "target", table["electrodes"])
    bounds = [0, *np.asarray(table["electrodes"].data[:]).tolist()]
    rows = np.asarray(target.data[:], dtype=np.int64)
    location = np.asarray(electrodes["location"].data[:]).astype(str)
    of_unit = [rows[a:b] for a, b in pairwise(bounds)]
    locations = [list(dict.fromkeys(location[own].tolist())) for own in of_unit]
    if "group_name" not in electrodes.colnames:
        return locations, None
    group = np.asarray(electrodes["group_name"].data[:]).astype(str)
    groups = [list(dict.fromkeys(group[own].tolist())) for own in of_unit]
    single = all(len(names) == 1 and names[0] for names in groups)
    return locations, [names[0] for names in groups] if single else None


def _find_areas(
    name: str,
    area: str | None,
    columns: dict[str, np.ndarray],
    locations: list[list[str]] | None,
    n_units: int,
) -> list[str]:
    if area is not None:
        return [area] * n_units
    for column in AREA_COLUMNS:
        if column in columns:
            return [_state(str(value)) for value in columns[column]]
    if locations is None:
        return ["unknown"] * n_units
    stated = [[place for place in own if _state(place) != "unknown"] for own in locations]
    mixed = [k for k, own in enumerate(stated) if len(own) > 1]
    if mixed:
        raise RecordingError(
            f"{name}: the electrodes of {len(mixed)} units lie in several areas, those of unit "
            f"number {mixed[0]} in {format_names(stated[mixed[0]])}. Name the area: area='IT'."
        )
    return [own[0] if own else "unknown" for own in stated]


def _state(area: str) -> str:
    return "unknown" if area.strip().lower() in NOT_STATED else area.strip()


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


def read_intervals(
    table: Any, name: str, stimulus_column: str | None, onset_column: str | None
) -> Presentations:
    """Read stimuli and onsets of a table of presentations.

    Raises
    ------
    RecordingError
        A column is not there, or it is not clear which is meant.
    """
    columns = list(table.colnames)
    listed = format_names(columns, 30)
    for given in (stimulus_column, onset_column):
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
        other = [c for c in columns if any(word in c.lower() for word in ONSET_WORDS)]
        if other:
            raise RecordingError(
                f"Table {name!r} has the onsets {format_names(other)} beside 'start_time': give "
                "onset_column, also if it is 'start_time'."
            )
        onset_column = "start_time"
    onset = np.asarray(table[onset_column][:])
    labels = np.asarray(table[stimulus_column][:])
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
    onset = onset.astype(np.float64)
    _check_onsets(table, name, onset, onset_column)
    stimulus = _as_names(labels)
    usable = np.isfinite(onset) & (stimulus != "")
    return Presentations(stimulus, onset, usable, stimulus_column, onset_column)


def _check_onsets(table: Any, name: str, onset: np.ndarray, column: str) -> None:
    """Check that onsets lie in their own rows: others are of another clock or in another unit."""
    if column == "start_time" or "stop_time" not in table.colnames:
        return
    start = np.asarray(table["start_time"][:], dtype=np.float64)
    stop = np.asarray(table["stop_time"][:], dtype=np.float64)
    outside = (onset < start) | (onset > stop)
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise RecordingError(
            f"Column {column!r} of {name!r} lies outside start_time and stop_time of its own row "
            f"in {int(outside.sum())} of {onset.size} rows, first {onset[row]:g} outside "
            f"{start[row]:g} to {stop[row]:g}; expected s on the clock of the file."
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


def read_columns(table: Any, without: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Read the columns of a table that hold one number or text a row."""
    columns = {}
    for name in table.colnames:
        column = table[name]
        if name in without or type(column).__name__ != "VectorData":
            continue
        values = np.asarray(column.data[:])
        if values.ndim != 1 or values.size != len(table):
            continue
        if values.dtype.kind == "b":
            values = values.astype(np.int64)
        if values.dtype.kind in "iuf":
            columns[name] = values
        elif all(isinstance(value, str | bytes) for value in values.tolist()):
            columns[name] = np.array(
                [v.decode() if isinstance(v, bytes) else v for v in values.tolist()], dtype=str
            )
    return columns
