"""Reading responses from a table: one row a presentation and site, or one column a site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from neural_data.errors import RecordingError, format_names, raise_problems
from neural_data.formats._described_rows import (
    as_list,
    find_columns,
    join_columns,
    list_columns,
    read_columns,
    read_rows,
)
from neural_data.storage.csv_tables import Form, as_numbers, read_header

MAX_SPARSE = 100  # of the cells of the array, one at least is in the table
FREE = 10**7


class LongTable(NamedTuple):
    """Responses of a long table, arranged.

    Attributes
    ----------
    values : numpy.ndarray
        float64 (stimulus, repetition, site, time_bin), NaN where the table has no row.
    stimulus, site : numpy.ndarray of text
        In the order in which they first appear.
    starts : numpy.ndarray or None
        When each time bin starts, in ms; None without a column of times, where there is one bin.
    coords : dict of str to (dims, numpy.ndarray)
        The other columns that lie over stimulus, over site, or over (stimulus, repetition).
    unused : list of str
        Columns that lie over none of these.
    """

    values: np.ndarray
    stimulus: np.ndarray
    site: np.ndarray
    starts: np.ndarray | None
    coords: dict[str, tuple[tuple[str, ...], np.ndarray]]
    unused: list[str]


def read_long_table(paths: Sequence[Path], columns: Mapping[str, Any], form: Form) -> LongTable:
    """Read a table with one row for each presentation to each site.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        A table with a header line; or several, of one site each, which have the names of their
        files, where no column names the site.
    columns : mapping
        The column of each of ``stimulus`` (or several), ``site``, ``response`` and, where there, of
        ``repetition``, ``time_bin``, ``area`` and ``animal``; ``no_axes`` lists columns that are
        no axis though each of their values is there for every stimulus and site. ``time_bins``
        are columns of responses, one a time bin; ``sites``, with ``time_bin``, one a site.
    form : Form

    Returns
    -------
    LongTable
        With ``repetition``, the rows of one stimulus with the same repetition belong together,
        whatever the site; those of a stimulus are ordered by it, as numbers if they are
        numbers. Without, the rows of one stimulus and site count up as they appear.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    RecordingError
        The file is no table, has no such columns, has no number where a response should be,
        an empty label, or two rows for the same stimulus, repetition and site; or a column that
        is not named crosses stimuli and sites, as time bins do.
    """
    table, columns = read_rows(paths, columns, form)
    what, free = paths[0].name, as_list(columns.get("no_axes", []))
    keys: list[str] = [key for key in ("stimulus", "site", "repetition") if key in columns]
    labels = {key: join_columns(table, columns[key]) for key in keys}
    problems = _check_labels(columns, labels)
    raise_problems(f"{what} cannot be arranged as responses", problems)
    stimulus_of, stimuli = pd.factorize(labels["stimulus"].astype(object))
    site_of, sites = pd.factorize(labels["site"].astype(object))
    starts, time_of = None, np.zeros(len(table), dtype=np.int64)
    if "time_bin" in columns:
        starts, time_of = np.unique(table[columns["time_bin"]].to_numpy(), return_inverse=True)
        if not np.isfinite(starts).all():
            raise RecordingError(f"Column {columns['time_bin']!r} of {what} has empty cells.")
    if "repetition" in columns:
        given = as_numbers(labels["repetition"])
        repetition_of = _rank_within(stimulus_of, given)
    else:
        given = None
        cells = stimulus_of.astype(np.int64) * len(sites) + site_of
        _refuse_unnamed_axes(what, table, [*list_columns(columns), *free], cells)
        pairs = pd.Series(cells * (1 if starts is None else starts.size) + time_of)
        repetition_of = pairs.groupby(pairs).cumcount().to_numpy()
    shape = (len(stimuli), int(repetition_of.max()) + 1, len(sites))
    place = (stimulus_of, repetition_of, site_of)
    values = _place(
        what, table, columns, (*place, time_of), (*shape, 1 if starts is None else starts.size)
    )
    coords, unused = _arrange(table, columns, place, shape)
    if given is not None:
        padded = _pad(given, stimulus_of, repetition_of, shape)
        if not _only_counts(padded):
            coords["repetition_label"] = (("stimulus", "repetition"), padded)
    names = (np.asarray(stimuli, str), np.asarray(sites, str))
    return LongTable(values, *names, starts, coords, unused)


def _place(
    what: str,
    table: pd.DataFrame,
    columns: Mapping[str, Any],
    place: tuple[np.ndarray, ...],
    shape: tuple[int, ...],
) -> np.ndarray:
    """Return responses (stimulus, repetition, site, time_bin), each row where it belongs."""
    if np.prod([float(n) for n in shape]) > MAX_SPARSE * len(table) + FREE:
        raise RecordingError(
            f"{what} has {len(table)} rows, but {shape[0]} stimuli, up to {shape[1]} "
            f"repetitions and {shape[2]} sites. Check which columns stimulus, repetition and site "
            "are."
        )
    flat = np.ravel_multi_index(place, shape)
    _, first, counts = np.unique(flat, return_index=True, return_counts=True)
    if (counts > 1).any():
        row = int(first[np.flatnonzero(counts > 1)[0]])
        stimulus = join_columns(table.iloc[[row]], columns["stimulus"])[0]
        raise RecordingError(
            f"{what} has {int((counts - 1).sum())} rows too many: several for the same "
            f"stimulus, repetition and site, first for {str(stimulus)!r} at "
            f"{str(table[columns['site']].iloc[row])!r}. Check the column of repetitions, or leave "
            "it out; a column of times is columns.time_bin."
        )
    responses = table[columns.get("time_bins", [columns.get("response")])].to_numpy(np.float64)
    values = np.full((*shape[:3], shape[3] * responses.shape[1]), np.nan)
    values.reshape(-1, responses.shape[1])[flat] = responses
    return values


def _check_labels(columns: Mapping[str, Any], labels: dict[str, np.ndarray]) -> list[str]:
    """List labels that are empty, or differ in blanks only."""
    problems = [
        f"column {columns[key]!r} is empty in {int((values == '').sum())} rows"
        for key, values in labels.items()
        if (values == "").any()
    ]
    for key, values in labels.items():
        names = set(values.tolist())
        alike = sorted(name for name in names if name != name.strip() and name.strip() in names)
        if alike:
            problems.append(
                f"column {columns[key]!r} has names that differ in blanks only, such as "
                f"{alike[0]!r} and {alike[0].strip()!r}: write them alike"
            )
    return problems


def _refuse_unnamed_axes(
    what: str, table: pd.DataFrame, named: Sequence[str], cells: np.ndarray
) -> None:
    """Refuse columns all of whose values are there, equally often, for each stimulus and site.

    These are axes, as bins of time are; as repetitions they would be averaged away.
    """
    _, cell_of, n_rows = np.unique(cells, return_inverse=True, return_counts=True)
    found = []
    for column in table.columns:
        value_of, values = pd.factorize(table[column])
        most = int(n_rows.max())
        if column in named or not 2 <= len(values) <= most or (n_rows % len(values)).any():
            continue
        counts = np.bincount(cell_of * len(values) + value_of, minlength=n_rows.size * len(values))
        if (counts.reshape(n_rows.size, -1) == (n_rows // len(values))[:, np.newaxis]).all():
            found.append(column)
    if found:
        raise RecordingError(
            f"{what} has the columns {format_names(found)}, whose values are all there for "
            "each stimulus and site: they look like an axis that is not named. Name it as "
            "columns.time_bin (with time_bin.width, in ms) or columns.repetition; or list it in "
            "columns.no_axes, if its rows are repetitions all the same."
        )


def read_wide_table(
    path: Path, columns: Mapping[str, Any], form: Form
) -> tuple[np.ndarray, list[str], dict[str, np.ndarray]]:
    """Read a table with one row for each presentation and one column for each site.

    Parameters
    ----------
    path : pathlib.Path
        A .csv (or .tsv) file with a header line.
    columns : mapping
        ``stimulus``, the column (or several) that names it; ``sites``, the columns of the sites,
        as a list or as a pattern such as "unit_*"; where there, ``repetition``.
    form : Form

    Returns
    -------
    values : numpy.ndarray
        float64 (presentation, site).
    sites : list of str
        The columns of the sites, in the order of the table.
    coords : dict of str to numpy.ndarray
        The other columns (presentation,), ``stimulus`` and ``repetition`` under these names.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    RecordingError
        The file is no table, has no such columns, or has no number where one should be.
    """
    header = read_header(path, form.of(path))
    sites = find_columns(path, header, columns["sites"], columns)
    given = {**columns, "sites": sites}
    table = read_columns(path, form, header, given, sites)
    known = [*list_columns(given), *as_list(columns.get("no_axes", []))]
    stimuli = join_columns(table, columns["stimulus"])
    if "repetition" not in columns:
        _refuse_unnamed_axes(path.name, table, known, pd.factorize(stimuli)[0])
    single = [columns[key] for key in ("stimulus", "repetition") if key in columns]
    rest = [name for name in header if name not in sites and name not in single]
    coords = {"stimulus": stimuli}
    if "repetition" in columns:
        coords["repetition"] = as_numbers(table[columns["repetition"]].to_numpy(dtype=str))
    coords |= {name: as_numbers(table[name].to_numpy(dtype=str)) for name in rest}
    return table[sites].to_numpy(dtype=np.float64), sites, coords


def _rank_within(group: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return, for every row, the rank of its label among the labels of its group, from 0."""
    _, code = np.unique(labels, return_inverse=True)
    pairs, which = np.unique(group * (int(code.max()) + 1) + code, return_inverse=True)
    group_of_pair = pairs // (int(code.max()) + 1)
    start = np.searchsorted(group_of_pair, group_of_pair, side="left")
    return (np.arange(pairs.size) - start)[which]


def _arrange(
    table: pd.DataFrame,
    columns: Mapping[str, Any],
    place: tuple[np.ndarray, np.ndarray, np.ndarray],
    shape: tuple[int, int, int],
) -> tuple[dict[str, tuple[tuple[str, ...], np.ndarray]], list[str]]:
    """Put every other column over the site, the stimulus or the repetition it depends on."""
    stimulus_of, repetition_of, site_of = place
    names = {columns[key]: key for key in ("area", "animal") if key in columns}
    used = {
        columns[key]
        for key in ("stimulus", "site", "response", "repetition", "time_bin")
        if isinstance(columns.get(key), str)
    } | set(columns.get("time_bins", ()))
    coords: dict[str, tuple[tuple[str, ...], np.ndarray]] = {}
    unused = []
    for column in map(str, table.columns):
        if column in used:
            continue
        values = table[column].to_numpy(dtype=str)
        over_site = _constant_within(site_of, values, shape[2])
        name = names.get(column, column)
        if column in names:
            if over_site is None:
                raise RecordingError(
                    f"Column {column!r} differs between rows of one site; expected one {name} for "
                    "each site."
                )
            coords[name] = (("site",), over_site)
            continue
        over_stimulus = _constant_within(stimulus_of, values, shape[0])
        if over_stimulus is not None:
            coords[name] = (("stimulus",), as_numbers(over_stimulus))
        elif over_site is not None:
            coords[name] = (("site",), as_numbers(over_site))
        else:
            both = stimulus_of * shape[1] + repetition_of
            if _constant_within(both, values, shape[0] * shape[1]) is None:
                unused.append(column)
            else:
                padded = _pad(as_numbers(values), stimulus_of, repetition_of, shape)
                coords[name] = (("stimulus", "repetition"), padded)
    return coords, unused


def _constant_within(group: np.ndarray, values: np.ndarray, n_groups: int) -> np.ndarray | None:
    """Return the one value of every group, or None if a group has several."""
    first = np.zeros(n_groups, dtype=np.int64)
    first[group[::-1]] = np.arange(values.size)[::-1]
    return values[first] if (values[first][group] == values).all() else None


def _pad(
    values: np.ndarray, stimulus_of: np.ndarray, repetition_of: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    numbers = values.dtype.kind in "if"
    padded = np.full(shape[:2], np.nan if numbers else "", dtype=float if numbers else values.dtype)
    padded[stimulus_of, repetition_of] = values
    return padded


def _only_counts(labels: np.ndarray) -> bool:
    """Whether labels (stimulus, repetition) say no more than the positions, from 0 or 1."""
    if labels.dtype.kind != "f":
        return False
    offset = (labels - np.arange(labels.shape[1]))[~np.isnan(labels)]
    return bool(offset.size) and offset[0] in (0, 1) and bool((offset == offset[0]).all())
