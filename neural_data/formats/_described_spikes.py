"""Reading a recording from described spike times and presentations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from neural_data.errors import RecordingError, format_names, raise_problems
from neural_data.formats._described_keys import is_several
from neural_data.formats._described_labels import Labels, number_names, with_text
from neural_data.formats._described_rows import find_columns, read_columns
from neural_data.formats.array_files import load_array, load_cells
from neural_data.formats.described_toml import Description, as_text, is_table
from neural_data.model.spikes import bin_spikes, spikes_from_arrays
from neural_data.storage.csv_tables import read_header

LOST = "{}: {} of {} spike times are no finite numbers"


def read_spikes(description: Description) -> xr.Dataset:
    """Read spikes and presentations, and count or rate the responses.

    Raises
    ------
    FileNotFoundError, RecordingError
        A file is missing or damaged, or does not fit the description.
    """
    labels = Labels(description)
    found = labels.attempt(_load_spikes, description, labels)
    presentation = description.presentation
    onset = labels.attempt(description.load_values, presentation["onset"])
    if onset is not None:
        labels.load_presentations(onset.size)
        if onset.dtype.kind not in "iuf":
            labels.problems.append(f"presentation.onset holds {onset.dtype}; expected numbers")
    edges = _load_edges(description, labels)
    if found is not None:
        labels.coords["site"] = (("site",), found[2])
        if not labels.sites_in_order:
            labels.join("site")
        labels.load_area(found[2].size)
    header = f"{description.path.name} does not describe a recording"
    raise_problems(header, labels.problems)
    assert found is not None
    assert onset is not None
    times, owners, sites = found
    to_ms = 1000 / description.spikes["per_second"]
    coords = with_text(labels.coords)
    of_sites = {key: c[1] for key, c in coords.items() if c[0] == ("site",) and key != "site"}
    spikes = spikes_from_arrays(
        times * to_ms, owners, site=sites, area=of_sites.pop("area").tolist(),
        source=description.top["source"],
    ).assign_coords({key: ("site", values) for key, values in of_sites.items()})  # fmt: skip
    shown = {key: c[1] for key, c in coords.items() if c[0] == ("presentation",)}
    stimulus = shown.pop("stimulus")
    spikes.attrs["history"] = (
        f"read_described({description.path.name}): {times.size} spikes of {sites.size} sites, "
        f"{onset.size} presentations, clock of {description.spikes['per_second']:g} per s"
    )
    return bin_spikes(
        spikes, stimulus=stimulus.tolist(), onset=onset * to_ms, bins=edges.tolist(),
        units=description.top["units"], coords=shown,
    )  # fmt: skip


_Spikes = tuple[np.ndarray, np.ndarray, np.ndarray]  # times, site of each, names of the sites


def _load_spikes(description: Description, labels: Labels) -> _Spikes:
    spikes = description.spikes
    if "columns" in spikes:
        return _load_columns(description)
    given = spikes["times"]
    if isinstance(given, str):
        return _load_files(description, given)
    if "site" not in spikes:
        return _load_cells(description, given, labels)
    times = description.load_values(given)
    owners = description.load_values(spikes["site"])
    if times.dtype.kind not in "iuf" or not np.isfinite(times).all():
        raise RecordingError(f"spikes.times holds {times.dtype}, or no finite numbers.")
    if owners.size != times.size:
        raise RecordingError(f"spikes.site has {owners.size} values for {times.size} spikes.")
    names = as_text(owners)
    sites = np.array(list(dict.fromkeys(names.tolist())), dtype=str)
    if "names" in description.site:  # also those without a spike
        listed = description.load_names(description.site["names"], "site")["site"]
        sites = listed if set(sites.tolist()) <= set(listed.tolist()) else sites
    return times.astype(np.float64), names, sites


def _load_columns(description: Description) -> _Spikes:
    """Load a table with a column for each site, empty below its last spike."""
    path, form = description.file, description.form
    header = read_header(path, form.of(path))
    sites = find_columns(path, header, description.spikes["columns"], {})
    table = read_columns(path, form, header, {"sites": sites}, sites)
    parts = [table[site].to_numpy(np.float64) for site in sites]
    parts = [part[: int(np.flatnonzero(~np.isnan(part)).max(initial=-1)) + 1] for part in parts]
    return _join(parts, sites)


def _load_files(description: Description, given: str) -> _Spikes:
    """Load a file of times for each site."""
    if not is_several(given):
        raise RecordingError(
            f"spikes.times is the file {given!r}: give a pattern, 'unit_*.txt', for one file a "
            "site, or { file = ..., variable = ... } and spikes.site."
        )
    paths = description.find_files(given)
    parts = []
    for path in paths:
        values = load_array(path) if not is_table(path) else _load_lines(description, path)
        if values.size != max(values.shape, default=1):
            raise RecordingError(f"{path.name} has shape {values.shape}; expected one list.")
        parts.append(values.ravel())
    return _join(parts, [path.stem for path in paths])


def _load_lines(description: Description, path: Any) -> np.ndarray:
    """Load one number a line."""
    lines = description.read_lines(path)
    try:
        return np.array([line.replace(",", ".") if description.form.decimal == "," else line
                         for line in lines], dtype=np.float64)  # fmt: skip
    except ValueError:
        raise RecordingError(f"{path.name} has a line that is no number.") from None


def _load_cells(description: Description, given: Any, labels: Labels) -> _Spikes:
    """Load a cell array of MATLAB, one cell a site."""
    if isinstance(given, list):
        raise RecordingError("spikes.times is a list: give spikes.site, the site of each, too.")
    file = given.get("file")
    path = description.file if file is None else description.path.parent / file
    cells = load_cells(path, variable=given.get("variable"))
    labels.sites_in_order = True
    labels.load_axis("site", len(cells))
    sites = labels.coords.get("site", ((), number_names("site", 1, len(cells))))[1]
    if sites.size != len(cells):
        sites = number_names("site", 1, len(cells))
    return _join([cell.ravel() for cell in cells], sites.tolist())


def _join(parts: Sequence[np.ndarray], sites: Sequence[str]) -> _Spikes:
    """Put the spikes of all sites into one list; refuse what is no time."""
    problems = []
    for site, part in zip(sites, parts, strict=True):
        if part.size and part.dtype.kind not in "biuf":
            problems.append(f"{site}: expected numbers, and there is {part.dtype}")
        elif part.size and not np.isfinite(part.astype(np.float64)).all():
            n = int((~np.isfinite(part.astype(np.float64))).sum())
            problems.append(LOST.format(site, n, part.size))
    raise_problems("The spikes cannot be read", problems[:5])
    times = np.concatenate([part.astype(np.float64) for part in parts])
    owners = np.repeat(np.array(sites, dtype=str), [part.size for part in parts])
    return times, owners, np.array(sites, dtype=str)


def _load_edges(description: Description, labels: Labels) -> np.ndarray:
    """Load the edges of the bins, in ms."""
    if "window" in description.top:
        return np.array(description.top["window"], dtype=np.float64)
    size = labels.count_time_bins()
    if size is None:
        return np.empty(0)
    labels.load_time_bins(size)
    start, end = (
        labels.coords.pop(f"time_bin_{k}", ((), np.empty(0)))[1] for k in ("start", "end")
    )
    if start.size and not np.array_equal(start[1:], end[:-1]):
        labels.problems.append(
            f"the time bins overlap or leave gaps: starts {format_names(start)}, ends "
            f"{format_names(end)}; spikes are counted in adjacent ones"
        )
    return np.append(start, end[-1:])
