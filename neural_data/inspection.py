"""What a netCDF file of this package holds, in a few lines of text."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import xarray as xr

from neural_data.dissimilarities import validate_dissimilarities
from neural_data.errors import RecordingError, format_names
from neural_data.netcdf import open_netcdf
from neural_data.recording import validate_recording
from neural_data.reliability import compute_rdm_reliability, compute_site_reliability
from neural_data.stimuli import validate_stimuli

_KINDS = {
    "response": "recording",
    "image": "stimulus set",
    "dissimilarity": "dissimilarities",
}


def describe_file(path: str | os.PathLike[str]) -> dict[str, str]:
    """Say what a recording, a stimulus set or a file of dissimilarities holds.

    Parameters
    ----------
    path : path
        A netCDF file written by this package.

    Returns
    -------
    dict of str to str
        What is said, by topic. For a recording with repetitions also the reliability (over
        repetitions, Spearman-Brown corrected) of each area's sites (median) and RDM.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    RecordingError
        It is damaged, or none of the three.
    """
    data = open_netcdf(path)
    name = Path(path).name
    kind = next((kind for variable, kind in _KINDS.items() if variable in data), None)
    if kind is None:
        raise RecordingError(
            f"{name} has the variables {format_names(data.data_vars)}; expected one of "
            f"{format_names(_KINDS)}: a recording, a stimulus set or dissimilarities."
        )
    lines = {"file": f"{name}, {kind}"}
    if kind == "recording":
        lines |= _describe_recording(validate_recording(data, name=name))
    elif kind == "stimulus set":
        image = validate_stimuli(data, name=name)["image"]
        lines["images"] = f"{image.sizes['stimulus']} of {image.sizes['x']} x {image.sizes['y']} px"
    else:
        validate_dissimilarities(data, name=name)
        lines["areas"] = ", ".join(data["area"].values.astype(str))
        lines["stimuli"] = str(data.sizes["stimulus"])
        lines["units"] = str(data["dissimilarity"].attrs["units"])
    return lines | _describe_labels(data) | {"source": str(data.attrs.get("source", "unknown"))}


def _describe_recording(recording: xr.Dataset) -> dict[str, str]:
    response = recording["response"]
    shown = response.notnull().all(
        [d for d in response.dims if d not in ("stimulus", "repetition")]
    )
    repetitions = shown.sum("repetition").values
    counts = np.min(repetitions), np.median(repetitions), np.max(repetitions)
    lines = {"areas": _count(recording["area"])}
    if "animal" in recording.coords:
        lines["animals"] = _count(recording["animal"])
    lines["sites"] = str(recording.sizes["site"])
    lines["stimuli"] = str(recording.sizes["stimulus"])
    lines["repetitions"] = f"{counts[0]:g} to {counts[2]:g} (median {counts[1]:g})"
    if "time_bin" in recording.dims:
        lines["time bins"] = str(recording.sizes["time_bin"])
    lines["not shown"] = f"{int((~shown).sum())} of {shown.size} repetitions (NaN)"
    lines["units"] = str(response.attrs["units"])
    if counts[0] >= 2 and "time_bin" not in recording.dims:
        lines |= _describe_reliability(recording)
    return lines


def _describe_reliability(recording: xr.Dataset) -> dict[str, str]:
    """Say how reliable each area is; splits are few, since two digits are shown."""
    try:
        sites = compute_site_reliability(recording, splits=20)
        rdm = compute_rdm_reliability(recording, splits=10)
    except RecordingError as cause:
        return {"reliability": f"undefined. {cause}"}
    return {
        f"reliability {area}": f"sites {float(sites[sites['area'] == area].median()):.2f} (median)"
        f", RDM {float(rdm.sel(area=area)):.2f}"
        for area in rdm["area"].values.astype(str)
    }


def _describe_labels(data: xr.Dataset) -> dict[str, str]:
    """Say what the stimuli are labelled with."""
    names = [str(n) for n, c in data.coords.items() if c.dims == ("stimulus",) and n != "stimulus"]
    return {"labels": ", ".join(names)} if names else {}


def _count(labels: xr.DataArray) -> str:
    values, numbers = np.unique(labels.values.astype(str), return_counts=True)
    return ", ".join(f"{v} ({n} sites)" for v, n in zip(values, numbers, strict=True))
