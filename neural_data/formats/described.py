"""Reading a recording that a lab keeps as arrays or tables, and lists of names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neural_data.errors import RecordingError, format_names, raise_problems
from neural_data.formats._described_labels import OURS, Coords, Labels, with_text
from neural_data.formats._described_tables import Form, read_long_table, read_wide_table
from neural_data.formats.array_files import load_array
from neural_data.formats.described_toml import Description, is_missing, read_description, read_names
from neural_data.model.presentations import recording_from_presentations
from neural_data.model.recording import add_step, recording_from_arrays, validate_recording
from neural_data.model.windows import describe_window

ORDER = ("stimulus", "presentation", "repetition", "site", "time_bin")


def read_arrays(
    responses: str | os.PathLike[str],
    *,
    stimuli: str | os.PathLike[str],
    sites: str | os.PathLike[str],
    units: str,
    source: str,
    area: str | None = None,
    variable: str | None = None,
) -> xr.Dataset:
    """Read a recording from an array and the names of its rows and columns.

    Parameters
    ----------
    responses : path
        A file of numbers, as `neural_data.formats.array_files.load_array` takes it, such as
        ``.npy`` or ``.mat``: (stimulus, site) or (stimulus, repetition, site); NaN where a
        repetition was not shown. For other axes see `read_described`.
    stimuli, sites : path
        Names in the order of the array: a text file with one name a line, or a .csv with a
        column ``stimulus`` (or ``site``), whose other columns become coordinates, e.g.
        ``object_name`` and ``category`` of the stimuli, ``area`` and ``animal`` of the sites.
    units : str
        Such as "spikes/s".
    source : str
        Where the data come from: lab, paper, file.
    area : str, optional
        The area of all sites; otherwise the sites' table has a column ``area``.
    variable : str, optional
        Which array, where the file of responses holds several.

    Returns
    -------
    xarray.Dataset
        A recording, see :func:`neural_data.validate_recording`.

    Raises
    ------
    FileNotFoundError
        A file is missing.
    RecordingError
        A file cannot be read, the array has other axes, the names do not fit it, or the area is
        not known.
    """
    path = Path(responses)
    values = load_array(path, variable=variable)
    if values.dtype.kind not in "iuf":
        raise RecordingError(f"{path} holds {values.dtype}; expected one array of numbers.")
    if values.ndim not in (2, 3):
        raise RecordingError(
            f"{path.name} has shape {values.shape}; expected 2 axes (stimulus, site) or 3 "
            "(stimulus, repetition, site). Time bins need their times and other axes their order: "
            "describe the array in a small .toml file (see neural_data.read_described) and give "
            "that to 'brainguided import described'."
        )
    rows, columns = read_names(Path(stimuli), "stimulus"), read_names(Path(sites), "site")
    if area is None and "area" not in columns:
        raise RecordingError(
            f"The area of the sites is not known: name it, e.g. 'IT', or give {sites} as a .csv "
            "with the columns site and area."
        )
    if area is not None and "area" in columns:
        raise RecordingError(
            f"The area is given as {area!r} and {sites} has a column 'area' as well; give one."
        )
    recording = recording_from_arrays(
        values,
        stimulus=rows.pop("stimulus").tolist(),
        site=columns.pop("site").tolist(),
        area=columns.pop("area").astype(str).tolist() if area is None else area,
        units=units,
        source=source,
    )
    reserved = [name for name in (*rows, *columns) if name in OURS]
    if reserved or set(rows) & set(columns):
        names = format_names([*reserved, *(set(rows) & set(columns))])
        raise RecordingError(
            f"The tables have columns {names} twice, or with a name of ours: rename them."
        )
    coords: Coords = {name: (("stimulus",), column) for name, column in rows.items()}
    coords |= {name: (("site",), column) for name, column in columns.items()}
    recording = add_step(
        recording.assign_coords(with_text(coords)),
        f"read_arrays({path.name}): {values.dtype} of shape {values.shape}",
    )
    return validate_recording(recording, name=path.name)


def read_described(path: str | os.PathLike[str]) -> xr.Dataset:
    r"""Read a recording from arrays or a table, as described by a small TOML file.

    The file names the array, its axes in whatever order they are, and what lies along them.
    Other files are found from the folder of the description.

    =========================  ==============================================================
    key                        meaning
    =========================  ==============================================================
    file, variable             the responses, see `neural_data.formats.array_files.load_array`
    axes                       of the array: "site", "stimulus" or "presentation", and if need
                               be "repetition" and "time_bin", in its order
    units, source              as of every recording
    missing                    numbers that stand for no response, such as -1; NaN does anyway
    window                     start and end, in ms from onset, of what was counted
    stimulus.names             a file (one a line, or a .csv with a column ``stimulus``, whose
                               other columns become coordinates), or a list
    stimulus.prefix            without names: they are numbered from 1, as "stimulus12"
    stimulus.coordinates       further lists, by name
    site.names, site.prefix,   the same of sites
    site.coordinates
    site.area, site.animal     one text for all sites, or a list; "unknown" is a legal area
    presentation.stimulus      for an axis "presentation": a list of the stimulus of each
    presentation.counts_from   0 or 1, if that list counts in stimulus.names
    presentation.repetition,   further lists, one value a presentation
    presentation.coordinates
    time_bin.edges             in ms from onset; or time_bin.start and time_bin.end, or
                               time_bin.start, a number or list, and time_bin.width
    columns                    for a table: the columns ``stimulus``, ``site``, ``response``
                               (one row a presentation and site; ``repetition``, ``area``,
                               ``animal`` where there; ``time_bin``, when the bins start,
                               with time_bin.width), or ``stimulus`` and ``sites``, a pattern
                               or list (one row a presentation, one column a site)
    separator, decimal,        of a table: "," or "\\t" (.tsv), "." and "utf-8" by default;
    encoding                   e.g. ";", "," and "latin-1"
    columns.no_axes            columns of a table whose rows are repetitions, though all their
                               values are there for each stimulus
    =========================  ==============================================================

    A list is a TOML list or ``{ file = "names.mat", variable = "data.names" }``, in the file of
    the responses if ``file`` is left out.

    Parameters
    ----------
    path : path
        The description, ``*.toml``.

    Returns
    -------
    xarray.Dataset
        A recording, see :func:`neural_data.validate_recording`. Its history says what was read.

    Raises
    ------
    FileNotFoundError
        There is no such description.
    RecordingError
        One message with a line for every problem found: keys that are unknown or of another
        kind, files that are missing or damaged, lists that do not fit the array.

    Examples
    --------
    Two-photon responses, (cell, repetition, image), -1 where a repetition was not shown:

    >>> import tempfile, numpy as np
    >>> from pathlib import Path
    >>> from neural_data.formats.described import read_described
    >>> folder = Path(tempfile.mkdtemp())
    >>> np.save(folder / "cells.npy", np.ones((30, 4, 12), np.float32))
    >>> text = '''
    ... file = "cells.npy"
    ... axes = ["site", "repetition", "stimulus"]
    ... units = "dF/F"
    ... source = "our lab, two-photon session 3"
    ... missing = -1
    ... [site]
    ... prefix = "cell"
    ... area = "V1"
    ... [stimulus]
    ... prefix = "image"
    ... '''
    >>> _ = (folder / "cells.toml").write_text(text)
    >>> dict(read_described(folder / "cells.toml")["response"].sizes)
    {'stimulus': 12, 'repetition': 4, 'site': 30}

    A table with one row for each presentation to each site:

    >>> lines = ["image,unit,rate", "face,u1,12", "face,u2,3", "car,u1,5"]
    >>> _ = (folder / "rates.csv").write_text("\n".join(lines))
    >>> text = '''
    ... file = "rates.csv"
    ... units = "spikes/s"
    ... source = "our lab"
    ... site = { area = "IT" }
    ... columns = { stimulus = "image", site = "unit", response = "rate" }
    ... '''
    >>> _ = (folder / "rates.toml").write_text(text)
    >>> read_described(folder / "rates.toml")["response"].squeeze().values.tolist()
    [[12.0, 3.0], [5.0, nan]]
    """
    path = Path(path)
    description = read_description(path)
    if description.columns:
        wide = "sites" in description.columns
        recording = _read_wide(description) if wide else _read_long(description)
    else:
        recording = _read_array(description)
    return validate_recording(recording, name=path.name)


def open_described(path: Path) -> tuple[str, xr.Dataset]:
    """Open a recording by its description."""
    return "recording", read_described(path)


def refuse_undescribed(path: Path) -> tuple[str, xr.Dataset]:
    """Raise the error for an array or table given without a description."""
    raise RecordingError(
        f"{path.name} does not say what its axes are. Describe it in a small .toml file "
        "(see neural_data.read_described) and give that, or, if they are (stimulus, site) or "
        "(stimulus, repetition, site), make a recording of it with 'brainguided import arrays'."
    )


def _read_array(description: Description) -> xr.Dataset:
    top, axes = description.top, list(description.top["axes"])
    values = load_array(description.file, variable=top.get("variable"))
    problems: list[str] = []
    if description.file.suffix.lower() == ".mat" and values.ndim == 2 < len(axes):
        values = values.reshape(values.shape + (1,) * (len(axes) - 2))  # which MATLAB leaves out
    if values.dtype.kind not in "biuf":
        problems.append(f"{top['file']} holds {values.dtype}; expected numbers")
    if values.ndim != len(axes):
        problems.append(
            f"{top['file']} has shape {values.shape}; expected {len(axes)} axes: {', '.join(axes)}"
        )
    raise_problems(f"{description.path.name} does not describe a recording", problems)
    sizes = dict(zip(axes, values.shape, strict=True))
    labels = Labels(description)
    labels.steps.append(f"{values.dtype} ({', '.join(f'{a} {n}' for a, n in sizes.items())})")
    labels.load_axis("site", sizes["site"])
    labels.load_area(sizes["site"])
    if "stimulus" in sizes:
        labels.load_axis("stimulus", sizes["stimulus"])
    else:
        labels.load_presentations(sizes["presentation"])
    if "time_bin" in sizes:
        labels.load_time_bins(sizes["time_bin"])
    return _build(xr.Variable(axes, values), labels)


def _read_long(description: Description) -> xr.Dataset:
    table = read_long_table(description.file, description.columns, _find_form(description))
    labels = Labels(description)
    labels.steps.append(f"a table of {int(np.isfinite(table.values).sum())} responses")
    if table.unused:
        unused = format_names(table.unused, 20)
        labels.steps.append(f"columns left out, which no axis explains: {unused}")
    labels.coords = {"stimulus": (("stimulus",), table.stimulus), "site": (("site",), table.site)}
    for name, (dims, values) in table.coords.items():
        labels.add(dims, {name: values})
    labels.join("stimulus")
    labels.join("site")
    labels.load_area(table.site.size)
    response = xr.Variable(("stimulus", "repetition", "site", "time_bin"), table.values)
    if table.starts is None:
        return _build(response.isel(time_bin=0), labels)
    labels.coords["time_bin_start"] = (("time_bin",), table.starts)
    ends = table.starts + description.time_bin["width"]
    labels.coords["time_bin_end"] = (("time_bin",), ends)
    return _build(response, labels)


def _read_wide(description: Description) -> xr.Dataset:
    values, sites, others = read_wide_table(
        description.file, description.columns, _find_form(description)
    )
    labels = Labels(description)
    labels.steps.append(f"a table of {values.shape[0]} presentations to {values.shape[1]} sites")
    labels.coords["site"] = (("site",), np.array(sites))
    for name in ("stimulus", "repetition"):
        if name in others:
            labels.coords[name] = (("presentation",), others.pop(name))
    labels.add("presentation", others)
    labels.join("stimulus")
    labels.join("site")
    labels.load_area(len(sites))
    return _build(xr.Variable(("presentation", "site"), values), labels)


def _find_form(description: Description) -> Form:
    given = {key: description.top[key] for key in Form._fields if key in description.top}
    usual = Form("\t") if description.file.suffix.lower() == ".tsv" else Form()
    return usual._replace(**given)


def _build(response: xr.Variable, labels: Labels) -> xr.Dataset:
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
