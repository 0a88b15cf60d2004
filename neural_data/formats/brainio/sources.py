"""Opening netCDF files of this package or of BrainIO, alone or as a data set."""

from __future__ import annotations

from pathlib import Path

import xarray as xr

from neural_data.errors import RecordingError, format_names
from neural_data.formats.brainio.events import read_brainio_spikes
from neural_data.formats.brainio.reader import open_brainio, read_brainio
from neural_data.formats.brainio.stimuli import read_brainio_stimuli
from neural_data.formats.table import Fetched
from neural_data.model.dissimilarities import validate_dissimilarities
from neural_data.model.recording import open_recording
from neural_data.model.stimuli import validate_stimuli
from neural_data.storage.netcdf import open_netcdf, open_netcdf_lazily


def open_netcdf_source(path: Path) -> tuple[str, xr.Dataset]:
    """Open a netCDF file of this package or of BrainIO, by its variables and dims."""
    with open_netcdf_lazily(path) as file:
        variables, dims = set(file.data_vars), set(file.dims)
    if "response" in variables:
        return "recording", open_recording(path)
    if "image" in variables:
        return "stimulus set", validate_stimuli(open_netcdf(path), name=path.name)
    if "dissimilarity" in variables:
        return "dissimilarities", validate_dissimilarities(open_netcdf(path), name=path.name)
    if "event" in dims:
        return "spikes", read_brainio_spikes(path)
    if dims & {"presentation", "neuroid"}:
        return "recording", open_brainio(path)
    raise RecordingError(
        f"{path.name} has the variables {format_names(variables)} over the dims "
        f"{format_names(dims)}; expected 'response', 'image' or 'dissimilarity', or the dims of "
        "BrainIO: presentation and neuroid, or event."
    )


def load_brainio(fetched: Fetched) -> tuple[xr.Dataset, xr.Dataset | None]:
    """Load a data set of the catalogue; without images where table or images are not there."""
    table, images = fetched.files.get("stimulus table"), fetched.files.get("images")
    recording = read_brainio(
        fetched.files["responses"], stimuli=table, units=fetched.units, source=fetched.source
    )
    if table is None or images is None:
        return recording, None
    only, size = recording["stimulus"], fetched.size
    return recording, read_brainio_stimuli(
        table, images, only=only, size=size, source=fetched.source
    )


def open_large_brainio(fetched: Fetched) -> xr.Dataset:
    """Open the recording of a data set of the catalogue; responses are read when used."""
    return open_brainio(
        fetched.files["responses"],
        stimuli=fetched.files.get("stimulus table"),
        units=fetched.units,
        source=fetched.source,
    )
