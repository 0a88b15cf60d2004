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

MAX_SPARSE = 100  # of the cells of the array, one at least is in the table
FREE = 10**7


class LongTable(NamedTuple):
    """Responses of a long table, arranged.

    Attributes
    ----------
    values : numpy.ndarray
        float64 (stimulus, repetition, site), NaN where the table has no row.
    stimulus, site : numpy.ndarray of text
        In the order in which they first appear.
    coords : dict of str to (dims, numpy.ndarray)
        The other columns that lie over stimulus, over site, or over (stimulus, repetition).
    unused : list of str
        Columns that lie over none of these.
    """

    values: np.ndarray
    stimulus: np.ndarray
    site: np.ndarray
    coords: dict[str, tuple[tuple[str, ...], np.ndarray]]
    unused: list[str]


def read_long_table(path: Path, columns: Mapping[str, str]) -> LongTable:
    """Read a table with one row for each presentation to each site.

    Parameters
    ----------
    path : pathlib.Path
        A .csv (or .tsv) file with a header line.
    columns : mapping
        The column of each of ``stimulus``, ``site``, ``response`` and, where there, of
        ``repetition``, ``area`` and ``animal``.

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
        an empty label, or two rows for the same stimulus, repetition and site.
    """
    table = _read_csv(path, numbers=[columns["response"]], needed=list(columns.values()))
    keys = [key for key in ("stimulus", "site", "repetition") if key in columns]
    labels = {key: table[columns[key]].to_numpy(dtype=str) for key in keys}
    problems = [
        f"column {columns[key]!r} is empty in {int((values == '').sum())} rows"
        for key, values in labels.items()
        if (values == "").any()
    ]
    raise_problems(f"{path.name} cannot be arranged as responses", problems)
    stimulus_of, stimuli = pd.factorize(labels["stimulus"].astype(object))
    site_of, sites = pd.factorize(labels["site"].astype(object))
    if "repetition" in columns:
        given = _as_numbers(labels["repetition"])
        repetition_of = _rank_within(stimulus_of, given)
    else:
        given = None
        pairs = pd.Series(stimulus_of.astype(np.int64) * len(sites) + site_of)
        repetition_of = pairs.groupby(pairs).cumcount().to_numpy()
    shape = (len(stimuli), int(repetition_of.max()) + 1, len(sites))
    if np.prod([float(n) for n in shape]) > MAX_SPARSE * len(table) + FREE:
        raise RecordingError(
            f"{path.name} has {len(table)} rows, but {shape[0]} stimuli, up to {shape[1]} "
            f"repetitions and {shape[2]} sites. Check which columns stimulus, repetition and site "
            "are."
        )
    place = np.ravel_multi_index((stimulus_of, repetition_of, site_of), shape)
    _, first, counts = np.unique(place, return_index=True, return_counts=True)
    if (counts > 1).any():
        row = int(first[np.flatnonzero(counts > 1)[0]])
        raise RecordingError(
            f"{path.name} has {int((counts - 1).sum())} rows too many: several for the same "
            f"stimulus, repetition and site, first for {str(labels['stimulus'][row])!r} at "
            f"{str(labels['site'][row])!r}. Check the column of repetitions, or leave it out."
        )
    values = np.full(shape, np.nan)
    values.reshape(-1)[place] = table[columns["response"]].to_numpy()
    coords, unused = _arrange(table, columns, (stimulus_of, repetition_of, site_of), shape)
    if given is not None:
        padded = _pad(given, stimulus_of, repetition_of, shape)
        if not _only_counts(padded):
            coords["repetition_label"] = (("stimulus", "repetition"), padded)
    return LongTable(values, np.asarray(stimuli, str), np.asarray(sites, str), coords, unused)


def read_wide_table(
    path: Path, columns: Mapping[str, Any]
) -> tuple[np.ndarray, list[str], dict[str, np.ndarray]]:
    """Read a table with one row for each presentation and one column for each site.

    Parameters
    ----------
    path : pathlib.Path
        A .csv (or .tsv) file with a header line.
    columns : mapping
        ``stimulus``, the column that names it; ``sites``, the columns of the sites, as a list
        or as a pattern such as "unit_*"; where there, ``repetition``.

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
    header = _read_header(path)
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
    table = _read_csv(path, numbers=sites, needed=[*named, *sites])
    rest = [name for name in header if name not in sites and name not in named]
    coords = {"stimulus": table[columns["stimulus"]].to_numpy(dtype=str)}
    if "repetition" in columns:
        coords["repetition"] = _as_numbers(table[columns["repetition"]].to_numpy(dtype=str))
    coords |= {name: _as_numbers(table[name].to_numpy(dtype=str)) for name in rest}
    return table[sites].to_numpy(dtype=np.float64), sites, coords


def _separator(path: Path) -> str:
    return "\t" if path.suffix.lower() == ".tsv" else ","


def _read_header(path: Path) -> list[str]:
    if not path.is_file():
        raise FileNotFoundError(f"There is no table {path}. Check the path.")
    try:
        empty = pd.read_csv(path, nrows=0, sep=_separator(path), encoding="utf-8-sig")
        header = [str(name) for name in empty.columns]
    except (ValueError, pd.errors.ParserError) as cause:
        raise RecordingError(f"{path} cannot be read as a CSV table: {cause}.") from cause
    return header


def _read_csv(path: Path, *, numbers: Sequence[str], needed: Sequence[str]) -> pd.DataFrame:
    """Read a table: these columns as numbers, all others as text."""
    header = _read_header(path)
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
                path, sep=_separator(path), encoding="utf-8-sig", dtype=kinds, index_col=False,
                keep_default_na=False,
                na_values={name: [*MISSING_CELLS, "NaN", "nan"] for name in numbers},
            )  # fmt: skip
        misfits = _count_misfits(path, len(header))
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
    if misfits:
        raise RecordingError(
            f"{path.name} has {misfits} lines with more or fewer than its {len(header)} cells. It "
            "is truncated or damaged: copy or write it again."
        )
    return table


def _count_misfits(path: Path, n_cells: int) -> int:
    """Count the lines that have more or fewer cells than the header."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return sum(
            len(row) not in (0, n_cells) for row in csv.reader(file, delimiter=_separator(path))
        )


def _as_numbers(cells: np.ndarray) -> np.ndarray:
    """Return whole numbers, numbers with NaN where empty, or the text."""
    try:
        return cells.astype(np.int64)
    except (ValueError, OverflowError):
        pass
    try:
        return np.where(cells == "", "nan", cells).astype(np.float64)
    except ValueError:
        return cells


def _rank_within(group: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return, for every row, the rank of its label among the labels of its group, from 0."""
    _, code = np.unique(labels, return_inverse=True)
    pairs, which = np.unique(group * (int(code.max()) + 1) + code, return_inverse=True)
    group_of_pair = pairs // (int(code.max()) + 1)
    start = np.searchsorted(group_of_pair, group_of_pair, side="left")
    return (np.arange(pairs.size) - start)[which]


def _arrange(
    table: pd.DataFrame,
    columns: Mapping[str, str],
    place: tuple[np.ndarray, np.ndarray, np.ndarray],
    shape: tuple[int, int, int],
) -> tuple[dict[str, tuple[tuple[str, ...], np.ndarray]], list[str]]:
    """Put every other column over the site, the stimulus or the repetition it depends on."""
    stimulus_of, repetition_of, site_of = place
    names = {columns[key]: key for key in ("area", "animal") if key in columns}
    used = {
        columns[key] for key in ("stimulus", "site", "response", "repetition") if key in columns
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
            coords[name] = (("stimulus",), _as_numbers(over_stimulus))
        elif over_site is not None:
            coords[name] = (("site",), _as_numbers(over_site))
        else:
            both = stimulus_of * shape[1] + repetition_of
            if _constant_within(both, values, shape[0] * shape[1]) is None:
                unused.append(column)
            else:
                padded = _pad(_as_numbers(values), stimulus_of, repetition_of, shape)
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
