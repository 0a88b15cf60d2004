"""Reading a recording that a lab keeps as arrays or tables, and lists of names."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import xarray as xr

from neural_data.errors import RecordingError, format_names
from neural_data.formats._described_arrays import pool_files, read_array, read_files
from neural_data.formats._described_build import build
from neural_data.formats._described_labels import OURS, Coords, Labels, with_text
from neural_data.formats._described_spikes import read_spikes
from neural_data.formats._described_tables import read_long_table, read_wide_table
from neural_data.formats.array_files import load_array
from neural_data.formats.described_toml import Description, read_description, read_names
from neural_data.model.recording import add_step, recording_from_arrays, validate_recording


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
        The area of all sites, such as "IT", or a text file (.txt) with one area a line, in the
        order of the sites; otherwise the sites' table has a column ``area``.
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
            "The area of the sites is not known: name it, e.g. 'IT', give a .txt with one area a "
            f"line, or give {sites} as a .csv with the columns site and area."
        )
    if area is not None and "area" in columns:
        raise RecordingError(
            f"The area is given as {area!r} and {sites} has a column 'area' as well; give one."
        )
    area_of_sites = columns.pop("area").astype(str).tolist() if area is None else _read_area(area)
    recording = recording_from_arrays(
        values,
        stimulus=rows.pop("stimulus").tolist(),
        site=columns.pop("site").tolist(),
        area=area_of_sites,
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


def _read_area(area: str) -> str | list[str]:
    """Return the area of all sites, or the lines of a file; another file is no name of an area."""
    if Path(area).suffix.lower() == ".txt":
        return list(read_names(Path(area), "site")["site"].tolist())
    if Path(area).suffix.lower() == ".csv" or Path(area).is_file():
        raise RecordingError(
            f"The area is given as the file {area}. Give a .txt with one area a line, in the order "
            "of the sites, or a .csv of the sites with the columns site and area."
        )
    return area


def read_described(path: str | os.PathLike[str]) -> xr.Dataset:
    r"""Read a recording from arrays or a table, as described by a small TOML file.

    The file names the array, its axes in whatever order they are, and what lies along them; or
    the columns of a table; or spikes and presentations. Other files are found from the folder of
    the description. Only arrays, tables and lines of text are read, never code; where one lies
    outside of that folder, the history says so.

    ========================  ================================================================
    key                       meaning
    ========================  ================================================================
    file                      the responses: .npy, .npz, .mat, .h5, or a table (.csv, .tsv,
                              .txt); a list, or a pattern such as ``session_*.mat``, of
                              several files: of one session each, or, where neither axes nor
                              columns have sites, of one site each, which has the name of its
                              file
    variable                  which array of the file, where it holds several, such as
                              ``data.rates``
    pool                      of several files: what is done with stimuli that only some have,
                              see pool_recordings
    axes                      of the array, in its order: ``site``, ``stimulus`` or
                              ``presentation`` (or the axes that [conditions] names), and if
                              need be ``repetition`` and ``time_bin``
    units                     of the responses, such as ``spikes/s``
    source                    where the data come from: lab, animal, paper
    missing                   numbers that stand for no response, such as -1; NaN does anyway
    window                    start and end, in ms from onset, of what was counted, or of
                              spikes that are to be
    separator                 between columns of tables: ``,`` by default (``\t`` in .tsv)
    decimal                   in numbers of tables: ``.`` by default
    encoding                  of tables: ``utf-8`` by default; ``latin-1``, ``utf-16``
    comment                   lines of tables that begin with it are passed over
    conditions                of an array with several axes of conditions: their names, each
                              with what lies along it, a list, or how many; a stimulus is one
                              of each, ``face_left``
    stimulus.names            in the order of the axis: a file (one a line, or a table with a
                              column ``stimulus``, whose other columns become coordinates), or
                              a list
    stimulus.prefix           without names: they are numbered from 1, as ``stimulus12``
    stimulus.coordinates      further lists, by name, one value a stimulus
    site.names                as of stimuli; the column of a table is ``site`` or ``unit``
    site.prefix               as of stimuli
    site.area                 one text for all sites, or a list; ``unknown`` is a legal area
    site.animal               one text for all sites, or a list
    site.coordinates          further lists, by name, one value a site
    presentation.stimulus     for an axis ``presentation``, and for spikes: the stimulus of
                              each
    presentation.counts_from  if that list counts in stimulus.names
    presentation.onset        for spikes: when each stimulus came on, on the clock of the
                              spikes
    presentation.repetition   by which presentations of one stimulus are ordered
    presentation.coordinates  further lists, by name, one value a presentation
    time_bin.edges            in ms from onset, one more than bins
    time_bin.start            of each bin, in ms, or of the first one (with width)
    time_bin.end              of each bin, in ms (with a list of starts)
    time_bin.width            of the bins (with start, or columns.time_bin)
    time_bin.number           of bins (with start and width)
    spikes.times              of all spikes (with spikes.site); or a cell array of MATLAB, one
                              cell a site; or a pattern such as ``unit_*.txt``, one file a
                              site
    spikes.site               the site of each spike
    spikes.columns            of a table with one column a site: a pattern or list
    spikes.per_second         ticks of the clock of spikes and onsets: 1 for s, 1000 for ms,
                              30000 for samples
    columns.stimulus          that names the stimulus; a list, where several do, as
                              ``face_left``
    columns.site              that names the site: one row a presentation and site
    columns.response          with the response of that row
    columns.sites             pattern or list of columns, where each site has one
    columns.time_bins         pattern or list of columns, where each time bin has one (with
                              [time_bin])
    columns.time_bin          with the start of the time bin, in ms (with time_bin.width)
    columns.repetition        that tells presentations of one stimulus apart
    columns.area              with the area of the site
    columns.animal            with the animal
    columns.no_axes           whose rows are repetitions, though all their values are there
                              for each stimulus
    ========================  ================================================================

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
    columns = description.columns
    if description.spikes:
        recording = read_spikes(description)
    elif columns and description.several and {"site", "sites"} & set(columns):
        recording = _read_sessions(description)
    elif columns:
        recording = _read_table(description)
    elif description.several:
        recording = read_files(description)
    else:
        recording = read_array(description)
    outside = description.list_outside()
    if outside:
        recording = add_step(
            recording,
            f"read_described({path.name}): files outside its folder: {', '.join(outside)}",
        )
    return validate_recording(recording, name=path.name)


def open_described(path: Path) -> tuple[str, xr.Dataset]:
    """Open a recording by its description."""
    return "recording", read_described(path)


def refuse_undescribed(path: Path) -> tuple[str, xr.Dataset]:
    """Raise the error for an array or table given without a description."""
    raise RecordingError(
        f"{path.name} does not say what its axes are. Describe it in a small .toml file, which "
        f"'brainguided inspect {path.name} --toml' (neural_data.propose_description) proposes, and "
        "give that, or, if they are (stimulus, site) or (stimulus, repetition, site), make a "
        "recording of it with 'brainguided import arrays'."
    )


def _read_long(description: Description) -> xr.Dataset:
    columns = description.columns
    table = read_long_table(description.files, columns, description.form)
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
    if "time_bins" in columns:
        labels.load_time_bins(response.sizes["time_bin"])
    elif table.starts is None:
        response = response.isel(time_bin=0)
    else:
        ends = table.starts + description.time_bin["width"]
        labels.coords["time_bin_start"] = (("time_bin",), table.starts)
        labels.coords["time_bin_end"] = (("time_bin",), ends)
    return build(response, labels)


def _read_wide(description: Description) -> xr.Dataset:
    values, sites, others = read_wide_table(description.file, description.columns, description.form)
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
    return build(xr.Variable(("presentation", "site"), values), labels)


def _read_sessions(description: Description) -> xr.Dataset:
    """Read a table of each of several sessions, and pool them."""
    named = {path.stem: _read_table(description.of_file(path)) for path in description.files}
    return pool_files(named, description.top.get("pool", "same"))


def _read_table(description: Description) -> xr.Dataset:
    columns = description.columns
    wide = "sites" in columns and "time_bin" not in columns
    return _read_wide(description) if wide else _read_long(description)
