"""The tables of an open NWB file: units, electrodes, trials and other intervals."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from neural_data.errors import RecordingError, format_names

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


def read_invalid_times(file: Any) -> np.ndarray:
    """Read the intervals (interval, 2) in ms in which nothing in the file is to be trusted."""
    table = file.invalid_times
    if table is None or len(table) == 0:
        return np.zeros((0, 2))
    columns = [np.asarray(table[c][:], dtype=np.float64) for c in ("start_time", "stop_time")]
    return np.stack(columns, axis=1) * 1000


def subtract_intervals(observed: np.ndarray, invalid: np.ndarray) -> np.ndarray:
    """Take intervals (interval, 2) out of others."""
    left = observed.tolist()
    for a, b in invalid.tolist():
        left = [
            part
            for start, end in left
            for part in ([start, min(end, a)], [max(start, b), end])
            if part[0] < part[1]
        ]
    return np.array(left, dtype=np.float64).reshape(-1, 2)


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
