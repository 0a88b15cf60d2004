"""Reading BrainIO, the netCDF and CSV format of Brain-Score [1]_, of every vintage.

References
----------
.. [1] Schrimpf et al. (2020). Integrative benchmarking to advance neurally mechanistic models of
   human intelligence. Neuron 108, 413-423.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from xarray.core import indexing

from neural_data.errors import RecordingError
from neural_data.formats.brainio.events import read_brainio_events, read_brainio_spikes
from neural_data.formats.brainio.files import (
    LAYOUT,
    PREFIX,
    Assembly,
    PresentationArray,
    describe_damage,
    open_assembly,
)
from neural_data.formats.brainio.labels import join_table, name_coordinates
from neural_data.formats.brainio.stimuli import IDS, read_brainio_stimuli
from neural_data.labels import as_labels, is_text
from neural_data.model.presentations import arrange_coordinates, arrange_presentations
from neural_data.model.recording import add_step, check_structure, validate_recording
from neural_data.storage.csv_tables import read_table

__all__ = [
    "open_brainio",
    "read_brainio",
    "read_brainio_events",
    "read_brainio_spikes",
    "read_brainio_stimuli",
]

NO_UNITS = "unknown (the file states none)"
STEP = "read_brainio"


def read_brainio(
    path: str | os.PathLike[str],
    *,
    stimuli: str | os.PathLike[str] | None = None,
    area: str | Sequence[str] | None = None,
    units: str | None = None,
    source: str | None = None,
    group: str | None = None,
) -> xr.Dataset:
    """Read the responses of a BrainIO file as a recording, into memory.

    Presentations of a stimulus become its repetitions, see `recording_from_presentations`.
    Names are translated: ``neuroid_id`` is ``site``, ``region`` is ``area``, ``stimulus_id`` or
    ``image_id`` is ``stimulus``, ``category_name`` is ``category``, ``monkey`` or ``subject`` is
    ``animal``, ``arr`` is ``array``, ``time_bin_stop`` is ``time_bin_end``. A coordinate whose
    name is another thing here gets ``brainio_`` in front; the rest keep theirs. Times become ISO
    8601 text. A single time bin is a window: its dim is dropped and ``response.attrs["window"]``
    states it, as "70-170 ms". What was done is in ``attrs["history"]``.

    Parameters
    ----------
    path : path
        A netCDF file with one data variable over presentation and neuroid, and time_bin if any.
    stimuli : path, optional
        The CSV of the stimulus set. Its columns, joined by stimulus id, become coordinates over
        stimulus and overrule those of the same name; rows that were not shown are left out.
    area : str or sequence of str, optional
        The area of all sites, or one for each; overrules the file. Without it, and without one in
        the file, "unknown".
    units : str, optional
        Of the responses; overrules the file. Without it, and without one in the file,
        "unknown (the file states none)".
    source : str, optional
        Where the data come from; otherwise what the file says, its identifier or its name.
    group : str, optional
        A netCDF group in the file; the root otherwise.

    Returns
    -------
    xarray.Dataset
        A recording, see `validate_recording`.

    Raises
    ------
    FileNotFoundError, PermissionError
        There is no such file, or it may not be read.
    RecordingError
        The file is damaged or no BrainIO, holds events instead of presentations, does not say
        which stimulus was shown, or shows stimuli that are not in the CSV.
    """
    recording, assembly = _open(path, stimuli, area, units, source, group)
    try:
        return validate_recording(recording.load(), name=Path(path).name)
    finally:
        assembly.close()


def open_brainio(
    path: str | os.PathLike[str],
    *,
    stimuli: str | os.PathLike[str] | None = None,
    area: str | Sequence[str] | None = None,
    units: str | None = None,
    source: str | None = None,
    group: str | None = None,
) -> xr.Dataset:
    """Open a BrainIO file as a recording: labels are read, responses when and where needed.

    As `read_brainio`, for files larger than memory. The values are not checked; a function that
    reads them all, such as `validate_recording`, does.

    Parameters
    ----------
    path : path
        As for `read_brainio`.
    stimuli : path, optional
        Table of the stimulus set, see `read_brainio`.
    area : str or sequence of str, optional
        Of the sites; overrules the file, see `read_brainio`.
    units, source : str, optional
        Overrule the file, see `read_brainio`.
    group : str, optional
        Of the file, see `read_brainio`.

    Returns
    -------
    xarray.Dataset
        Backed by the open file: close it with ``.close()`` or use it in a ``with`` statement.

    Raises
    ------
    FileNotFoundError, PermissionError, RecordingError
        As `read_brainio`, except for what only the values show.
    """
    recording, assembly = _open(path, stimuli, area, units, source, group)
    recording.set_close(assembly.close)
    return recording


def _open(
    path: str | os.PathLike[str],
    stimuli: str | os.PathLike[str] | None,
    area: str | Sequence[str] | None,
    units: str | None,
    source: str | None,
    group: str | None,
) -> tuple[xr.Dataset, Assembly]:
    assembly = open_assembly(path, group=group)
    try:
        recording = _as_recording(assembly, Path(path), stimuli)
        recording = _state(recording, area, units, source)
        check_structure(recording, name=Path(path).name)
    except (RuntimeError, UnicodeDecodeError) as cause:  # of the netCDF library
        assembly.close()
        raise describe_damage(Path(path), cause) from cause
    except BaseException:
        assembly.close()
        raise
    return recording, assembly


def _as_recording(
    assembly: Assembly, path: Path, stimuli: str | os.PathLike[str] | None
) -> xr.Dataset:
    if "event" in assembly.data.dims:
        raise RecordingError(
            f"{path.name} holds events, not presentations: its spikes are read with "
            "read_brainio_spikes(...), a table of events with read_brainio_events(...)."
        )
    layout = _read_layout(assembly.attrs)
    table = None if stimuli is None else read_table(stimuli, key="stimulus", aliases=IDS)
    steps = list(assembly.notes)
    over, others = name_coordinates(assembly, table, steps)
    position = layout.get("position")
    names, rows = arrange_presentations(
        over["stimulus"].values,
        repetition=over["repetition"].values if "repetition" in over else None,
        position=None if position not in over else over.pop(position).values,
    )
    n_empty = int(layout.get("repetitions", 0)) - rows.shape[1]
    rows = np.pad(rows, ((0, 0), (0, max(0, n_empty))), constant_values=-1)
    if position == "repetition":
        over.pop("repetition", None)
    steps.insert(
        0,
        f"{assembly.data.sizes['presentation']} presentations of {path.name} stacked into "
        f"{rows.shape[0]} stimuli x up to {rows.shape[1]} repetitions",
    )
    coords = arrange_coordinates(over, rows, over_repetitions=tuple(layout.get("over", ())))
    for name in ("object_name", "category", "variation"):
        if name in coords and coords[name].dims != ("stimulus",):
            coords[PREFIX + name] = coords.pop(name)
            steps.append(f"{name} differs between presentations of a stimulus: {PREFIX}{name}")
    if table is not None:
        coords.update(join_table(table, names, others, steps))
    coords["stimulus"] = xr.Variable("stimulus", names)
    array = PresentationArray(assembly.data, rows, path)
    dims = ("stimulus", "repetition", *array.rest)
    response = xr.Variable(dims, indexing.LazilyIndexedArray(array), assembly.data.attrs)
    chunks = array.list_chunks()
    response.encoding["preferred_chunks"] = {"site": chunks["site"]}
    recording = xr.Dataset({"response": response}, {**others, **coords}, assembly.attrs)
    if array.dtype != assembly.data.dtype:
        steps.append(f"{assembly.data.dtype} read as {array.dtype}")
    recording = _sort_attrs(recording, bool(layout), path)
    recording = _drop_single_bin(recording)
    if not _is_filled(recording["response"].attrs["units"]):
        recording["response"].attrs["units"] = NO_UNITS
        steps.append("the file states no units")
    if "area" not in recording.coords:
        recording = recording.assign_coords(area=("site", ["unknown"] * recording.sizes["site"]))
        steps.append("the file states no area: 'unknown'")
    for step in [] if layout else steps:
        recording = add_step(recording, f"{STEP}: {step}")
    return recording


def _read_layout(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `write_brainio` noted of a recording; nothing for a file of another writer."""
    try:
        layout = json.loads(attrs.get(LAYOUT, "{}"))
    except (TypeError, ValueError):
        layout = None
    if not isinstance(layout, dict) or not isinstance(layout.get("repetitions", 0), int):
        raise RecordingError(
            f"The attribute {LAYOUT!r} is {attrs.get(LAYOUT)!r}, which is not what this package "
            "writes. The file was damaged or edited: write it again, or remove the attribute."
        )
    return layout


def _sort_attrs(recording: xr.Dataset, own: bool, path: Path) -> xr.Dataset:
    """Leave units and window on the response, and all that names the data on the recording."""
    attrs, of_data = dict(recording.attrs), dict(recording["response"].attrs)
    attrs.pop(LAYOUT, None)
    kept = {"units": of_data.pop("units", attrs.get("units"))}
    if own:
        kept.update({k: v for k, v in of_data.items() if k not in attrs})
    else:
        attrs.update(of_data)
        for key in ("units", "window"):
            attrs.pop(key, None)
    if not _is_filled(attrs.get("source")):
        name = attrs.get("identifier")
        attrs["source"] = f"BrainIO assembly {name}" if _is_filled(name) else path.name
    recording["response"].attrs = kept
    recording.attrs = attrs
    return recording


def _is_filled(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _drop_single_bin(recording: xr.Dataset) -> xr.Dataset:
    if recording["response"].sizes.get("time_bin") != 1:
        return recording
    recording = recording.isel(time_bin=0)
    bounds = [recording.coords.get(f"time_bin_{name}") for name in ("start", "end")]
    if all(bound is not None and bound.dtype.kind in "iuf" for bound in bounds):
        texts = [_as_number(bound.values.item()) for bound in bounds if bound is not None]
        recording["response"].attrs["window"] = f"{texts[0]}-{texts[1]} ms"
        recording = recording.drop_vars(["time_bin_start", "time_bin_end"])
    return recording.drop_vars("time_bin", errors="ignore")


def _as_number(value: float) -> str:
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def _state(
    recording: xr.Dataset,
    area: str | Sequence[str] | None,
    units: str | None,
    source: str | None,
) -> xr.Dataset:
    """Set what the caller states instead of what the file does."""
    n_sites = recording.sizes["site"]
    if area is not None:
        labels = as_labels([area] * n_sites if isinstance(area, str) else list(area))
        if labels.shape != (n_sites,) or not is_text(labels):
            raise RecordingError(
                f"area has {labels.size} labels for {n_sites} sites; expected one name, or one "
                "for each site."
            )
        stated = recording["area"].values
        if (stated != labels).any():
            if (stated != "unknown").any():
                recording = recording.assign_coords({f"{PREFIX}area": ("site", stated)})
            recording = recording.assign_coords(area=("site", labels))
            recording = add_step(recording, f"{STEP}: the caller states the area")
    if units is not None and units != recording["response"].attrs["units"]:
        recording["response"].attrs["units"] = units
        recording = add_step(recording, f"{STEP}: the caller states the units, {units!r}")
    return recording if source is None else recording.assign_attrs(source=source)
