"""Reading responses from a table: one row a presentation and site, or one column a site."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from neural_data.errors import RecordingError, format_names, raise_problems
from neural_data.formats.array_files import MISSING_CELLS
from neural_data.storage.csv_tables import (
    as_numbers,
    count_misfits,
    read_header,
    refuse_misfits,
    refuse_twice,
)

MAX_SPARSE = 100  # of the cells of the array, one at least is in the table
FREE = 10**7


class Form(NamedTuple):
    """How a table is written."""

    separator: str = ","
    decimal: str = "."
    encoding: str = "utf-8-sig"


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


def read_long_table(path: Path, columns: Mapping[str, Any], form: Form) -> LongTable:
    """Read a table with one row for each presentation to each site.

    Parameters
    ----------
    path : pathlib.Path
        A .csv (or .tsv) file with a header line.
    columns : mapping
        The column of each of ``stimulus``, ``site``, ``response`` and, where there, of
        ``repetition``, ``time_bin``, ``area`` and ``animal``; ``no_axes`` lists columns that are
        no axis though each of their values is there for every stimulus and site.
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
    free = columns.get("no_axes", [])
    named = {key: column for key, column in columns.items() if key != "no_axes"}
    numbers = [named[key] for key in ("response", "time_bin") if key in named]
    needed = [*named.values(), *([free] if isinstance(free, str) else free)]
    table = _read_csv(path, form, numbers=numbers, needed=needed)
    keys = [key for key in ("stimulus", "site", "repetition") if key in columns]
    labels = {key: table[columns[key]].to_numpy(dtype=str) for key in keys}
    problems = _check_labels(columns, labels)
    raise_problems(f"{path.name} cannot be arranged as responses", problems)
    stimulus_of, stimuli = pd.factorize(labels["stimulus"].astype(object))
    site_of, sites = pd.factorize(labels["site"].astype(object))
    starts, time_of = None, np.zeros(len(table), dtype=np.int64)
    if "time_bin" in columns:
        starts, time_of = np.unique(table[columns["time_bin"]].to_numpy(), return_inverse=True)
        if not np.isfinite(starts).all():
            raise RecordingError(f"Column {columns['time_bin']!r} of {path.name} has empty cells.")
    if "repetition" in columns:
        given = as_numbers(labels["repetition"])
        repetition_of = _rank_within(stimulus_of, given)
    else:
        given = None
        cells = stimulus_of.astype(np.int64) * len(sites) + site_of
        _refuse_unnamed_axes(path, table, needed, cells)
        pairs = pd.Series(cells * (1 if starts is None else starts.size) + time_of)
        repetition_of = pairs.groupby(pairs).cumcount().to_numpy()
    n_times = 1 if starts is None else starts.size
    shape = (len(stimuli), int(repetition_of.max()) + 1, len(sites))
    if n_times * np.prod([float(n) for n in shape]) > MAX_SPARSE * len(table) + FREE:
        raise RecordingError(
            f"{path.name} has {len(table)} rows, but {shape[0]} stimuli, up to {shape[1]} "
            f"repetitions and {shape[2]} sites. Check which columns stimulus, repetition and site "
            "are."
        )
    whole = (*shape, n_times)
    place = np.ravel_multi_index((stimulus_of, repetition_of, site_of, time_of), whole)
    _, first, counts = np.unique(place, return_index=True, return_counts=True)
    if (counts > 1).any():
        row = int(first[np.flatnonzero(counts > 1)[0]])
        raise RecordingError(
            f"{path.name} has {int((counts - 1).sum())} rows too many: several for the same "
            f"stimulus, repetition and site, first for {str(labels['stimulus'][row])!r} at "
            f"{str(labels['site'][row])!r}. Check the column of repetitions, or leave it out; a "
            "column of times is columns.time_bin."
        )
    values = np.full(whole, np.nan)
    values.reshape(-1)[place] = table[columns["response"]].to_numpy()
    coords, unused = _arrange(table, columns, (stimulus_of, repetition_of, site_of), shape)
    if given is not None:
        padded = _pad(given, stimulus_of, repetition_of, shape)
        if not _only_counts(padded):
            coords["repetition_label"] = (("stimulus", "repetition"), padded)
    names = (np.asarray(stimuli, str), np.asarray(sites, str))
    return LongTable(values, *names, starts, coords, unused)


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
    path: Path, table: pd.DataFrame, named: Sequence[str], cells: np.ndarray
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
            f"{path.name} has the columns {format_names(found)}, whose values are all there for "
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
        ``stimulus``, the column that names it; ``sites``, the columns of the sites, as a list
        or as a pattern such as "unit_*"; where there, ``repetition``.
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
    header = _read_header(path, form)
    wanted = columns["sites"]
    named = [columns["stimulus"], *([columns["repetition"]] if "repetition" in columns else [])]
    if isinstance(wanted, str):
        sites = [name for name in header if fnmatchcase(name, wanted) and name not in named]
        if not sites:
            raise RecordingError(
                f"{path.name} has no column like {wanted!r}; there are {format_names(header, 20)}."
            )
    else:
        sites = list(wanted)
    table = _read_csv(path, form, numbers=sites, needed=[*named, *sites])
    free = columns.get("no_axes", [])
    known = [*named, *sites, *([free] if isinstance(free, str) else free)]
    if "repetition" not in columns:
        cells = pd.factorize(table[columns["stimulus"]])[0]
        _refuse_unnamed_axes(path, table, known, cells)
    rest = [name for name in header if name not in sites and name not in named]
    coords = {"stimulus": table[columns["stimulus"]].to_numpy(dtype=str)}
    if "repetition" in columns:
        coords["repetition"] = as_numbers(table[columns["repetition"]].to_numpy(dtype=str))
    coords |= {name: as_numbers(table[name].to_numpy(dtype=str)) for name in rest}
    return table[sites].to_numpy(dtype=np.float64), sites, coords


def _read_header(path: Path, form: Form) -> list[str]:
    if not path.is_file():
        raise FileNotFoundError(f"There is no table {path}. Check the path.")
    try:
        empty = pd.read_csv(path, nrows=0, sep=form.separator, encoding=form.encoding)
        header = [str(name) for name in empty.columns]
        given = read_header(path, encoding=form.encoding, separator=form.separator)
    except UnicodeDecodeError as cause:
        raise RecordingError(
            f"{path} is not text in {form.encoding}: {cause}. Give its encoding in the "
            "description, e.g. encoding = 'latin-1'."
        ) from cause
    except (ValueError, pd.errors.ParserError) as cause:
        raise RecordingError(f"{path} cannot be read as a CSV table: {cause}.") from cause
    others = [mark for mark in (";", "\t", ",") if len(header) == 1 and mark in header[0]]
    if others:
        raise RecordingError(
            f"{path.name} has one column, {header[0]!r}: give separator = {others[0]!r} in the "
            "description, and decimal = ',' if numbers have a comma."
        )
    refuse_twice(path, given)
    return header


def _read_csv(
    path: Path, form: Form, *, numbers: Sequence[str], needed: Sequence[str]
) -> pd.DataFrame:
    """Read a table: these columns as numbers, all others as text."""
    header = _read_header(path, form)
    absent = [name for name in needed if name not in header]
    if absent:
        raise RecordingError(
            f"{path.name} has no column {format_names(absent)}; there are "
            f"{format_names(header, 20)}."
        )
    kinds: dict[str, Any] = {name: np.float64 if name in numbers else str for name in header}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(
                path, sep=form.separator, encoding=form.encoding, decimal=form.decimal,
                dtype=kinds, index_col=False, keep_default_na=False,
                na_values={name: [*MISSING_CELLS, "NaN", "nan"] for name in numbers},
            )  # fmt: skip
        misfits = count_misfits(path, len(header), encoding=form.encoding, separator=form.separator)
    except (
        ValueError,
        OverflowError,
        csv.Error,
        pd.errors.ParserError,
        pd.errors.ParserWarning,
    ) as cause:
        raise RecordingError(
            f"{path} cannot be read as a table with numbers in {format_names(numbers)}: {cause}."
        ) from cause
    if table.empty:
        raise RecordingError(f"{path.name} has a header and no rows; expected one at least.")
    refuse_misfits(path, misfits, len(header))
    if form.decimal == ",":
        for name in header:
            if name not in needed:
                table[name] = table[name].str.replace(r"^(-?\d+),(\d+)$", r"\1.\2", regex=True)
    return table


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
        if key in columns
    }
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
