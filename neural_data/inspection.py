"""What a file or a recording holds, in a few lines of text."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import xarray as xr

from neural_data.errors import RecordingError
from neural_data.formats.open_any import open_source
from neural_data.model.selection import select_shown
from neural_data.model.spikes import validate_spikes
from neural_data.reliability.estimates import compute_rdm_reliability, compute_site_reliability
from neural_data.reliability.facts import RecordingFacts, gather_facts
from neural_data.reliability.intervals import (
    FEWEST_STIMULI,
    bootstrap_rdm_reliability,
    bootstrap_site_reliability,
)
from neural_data.reliability.reliable_sites import find_given, read_given

SPLITS = 20
DRAWS = 200
LEVEL = 0.95


def describe_file(path: str | os.PathLike[str]) -> dict[str, str]:
    """Say what a file of any format that is read here holds.

    Parameters
    ----------
    path : path
        What `open_source` opens: recordings, spike times, stimulus sets, dissimilarities.

    Returns
    -------
    dict of str to str
        What is said, by topic; for a recording see `describe_recording`.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    RecordingError
        It is damaged, or of no format that is known here.
    """
    kind, data = open_source(path)
    with data:
        lines = {"file": f"{Path(path).name}, {kind}"}
        if kind == "recording":
            return lines | describe_recording(data)
        if kind == "spikes":
            return lines | describe_spikes(data)
        if kind == "stimulus set":
            image = data["image"]
            size = f"{image.sizes['x']} x {image.sizes['y']} px"
            lines["images"] = f"{image.sizes['stimulus']} of {size}"
        else:
            lines["areas"] = ", ".join(data["area"].values.astype(str))
            lines["stimuli"] = str(data.sizes["stimulus"])
            lines["units"] = str(data["dissimilarity"].attrs["units"])
        return lines | _describe_labels(data) | _describe_origin(data)


def describe_recording(recording: xr.Dataset) -> dict[str, str]:
    """Say what a recording holds, and how reliable it is.

    Parameters
    ----------
    recording : xarray.Dataset
        In memory or lazily opened: the responses are then read once, in blocks.

    Returns
    -------
    dict of str to str
        By topic: areas, animals, sites, stimuli, repetitions, missing values, time bins, units,
        memory, labels, source and history. Where stimuli were shown repeatedly, for each area
        the median reliability of its sites and that of its RDM, over 20 random splits of the
        repetitions, and their 95 % intervals over stimuli, from 200 draws with replacement.
        Stimuli shown only once are left out of these, and time bins are averaged first.

    Raises
    ------
    RecordingError
        The recording does not follow the schema.

    Examples
    --------
    >>> from neural_data import describe_recording, simulate_macaque
    >>> said = describe_recording(simulate_macaque(repetitions=4, n_v4=4, n_it=3)[0])
    >>> said["areas"], said["repetitions"]
    ('IT (3 sites), V4 (4 sites)', '4 to 4 (median 4)')
    """
    facts = gather_facts(recording)
    lines = _describe_sites(recording) | {"stimuli": str(recording.sizes["stimulus"])}
    lines |= _describe_counts(facts) | _describe_time(recording)
    response = recording["response"]
    lines["units"] = str(response.attrs["units"])
    lines |= _describe_reliability(facts)
    lines["memory"] = f"{response.nbytes / 2**20:.1f} MiB of {response.dtype} when loaded"
    return lines | _describe_labels(recording) | _describe_origin(recording)


def describe_spikes(spikes: xr.Dataset) -> dict[str, str]:
    """Say what a set of spike times holds.

    Parameters
    ----------
    spikes : xarray.Dataset
        See `validate_spikes`.

    Returns
    -------
    dict of str to str
        By topic: areas, animals, sites, spikes, times, source and history.

    Raises
    ------
    RecordingError
        The spike times do not follow their schema.
    """
    validate_spikes(spikes)
    counts, times = spikes["spike_count"].values, spikes["spike_time"]
    lines = _describe_sites(spikes)
    lines["spikes"] = f"{counts.sum()}, {_span(counts)} a site"
    if times.size:
        lines["times"] = f"{float(times.min()):g} to {float(times.max()):g} {times.attrs['units']}"
    return lines | _describe_origin(spikes)


def _describe_sites(data: xr.Dataset) -> dict[str, str]:
    lines = {"areas": _count(data["area"])}
    if "animal" in data.coords:
        lines["animals"] = _count(data["animal"])
    return lines | {"sites": str(data.sizes["site"])}


def _describe_counts(facts: RecordingFacts) -> dict[str, str]:
    """Say how often stimuli were shown, and what is missing."""
    n_hidden = int((~facts.shown).sum())
    lines = {
        "repetitions": _span(facts.shown.sum(axis=1)),
        "not shown": f"{n_hidden} of {facts.shown.size} repetitions (NaN)",
    }
    missed = int(facts.shown.sum()) * facts.counts.shape[1] - int(facts.counts.sum())
    if missed:
        lacking = facts.counts == 0
        lines["missing"] = (
            f"{missed} responses of single sites (NaN); {int(lacking.any(axis=0).sum())} of "
            f"{lacking.shape[1]} sites lack {int(lacking.any(axis=1).sum())} of "
            f"{lacking.shape[0]} stimuli wholly"
        )
    return lines


def _describe_time(recording: xr.Dataset) -> dict[str, str]:
    """Say how many time bins there are, and the time they cover."""
    response = recording["response"]
    lines = {}
    known = {"time_bin_start", "time_bin_end"} <= set(recording.coords)
    if "time_bin" in response.dims:
        lines["time bins"] = str(recording.sizes["time_bin"])
    if known:
        start, end = recording["time_bin_start"].values, recording["time_bin_end"].values
        lines["time"] = f"{start.min():g} to {end.max():g} ms"
        if "time_bin" in response.dims:
            lines["time bins"] += f" of {_join(np.unique(end - start))} ms"
    elif "window" in response.attrs:
        lines["time"] = str(response.attrs["window"])
    return lines


def _describe_reliability(facts: RecordingFacts) -> dict[str, str]:
    """Say how reliable each area is; splits are few, since two digits are shown."""
    recording = facts.recording
    if recording is None and (given := _describe_given(facts)):
        return given
    if recording is None:
        return {"reliability": f"not defined: {facts.recording_says}"}
    areas = recording["area"].values.astype(str)
    lines: dict[str, str] = {}
    for area in dict.fromkeys(areas.tolist()):
        lines |= _describe_area(recording.isel(site=np.flatnonzero(areas == area)), area)
    method = f"{SPLITS} random splits; intervals: {LEVEL:.0%}, {DRAWS} draws of stimuli"
    said = f"; {facts.recording_says}" if facts.recording_says else ""
    return lines | {"reliability from": f"{method}{said}"}


def _describe_given(facts: RecordingFacts) -> dict[str, str]:
    """Say how reliable sites are by what came with a recording without repetitions."""
    whole = facts.averaged
    if whole is None or find_given(whole) is None:
        return {}
    try:
        given = read_given(whole, "reliability").values
    except RecordingError as cause:
        return {"reliability": f"not defined: {_last_line(cause)}"}
    areas = whole["area"].values.astype(str)
    return {
        f"reliability {area}": f"sites {np.median(given[areas == area]):.2f} (median), as given"
        for area in dict.fromkeys(areas.tolist())
    }


def _describe_area(recording: xr.Dataset, area: str) -> dict[str, str]:
    try:
        recording = select_shown(recording)
        sites = compute_site_reliability(recording, splits=SPLITS)
    except ValueError as cause:
        return {f"reliability {area}": f"not defined: {_last_line(cause)}"}
    estimate = f"sites {float(sites.median()):.2f} (median)"
    try:
        rdm = compute_rdm_reliability(recording, splits=SPLITS)
        estimate += f", RDM {float(rdm[0]):.2f}"
    except ValueError as cause:
        estimate += f"; RDM not defined: {_last_line(cause)}"
        rdm = None
    lines = {f"reliability {area}": estimate}
    if recording.sizes["stimulus"] < FEWEST_STIMULI:
        return lines
    try:
        drawn = bootstrap_site_reliability(recording, splits=SPLITS, draws=DRAWS)
    except RecordingError as cause:
        return lines | {f"interval {area}": f"not defined: {_last_line(cause)}"}
    interval = f"sites {_interval(drawn.median('site'))}"
    if rdm is not None:
        drawn = bootstrap_rdm_reliability(recording, splits=SPLITS, draws=DRAWS)
        interval += f", RDM {_interval(drawn[:, 0])}"
    return lines | {f"interval {area}": interval}


def _describe_labels(data: xr.Dataset) -> dict[str, str]:
    """Say what the stimuli are labelled with."""
    names = [str(n) for n, c in data.coords.items() if c.dims == ("stimulus",) and n != "stimulus"]
    return {"labels": ", ".join(names)} if names else {}


def _describe_origin(data: xr.Dataset) -> dict[str, str]:
    """Say where the data come from, and what was done to them."""
    lines = {"source": str(data.attrs.get("source", "unknown"))}
    if data.attrs.get("history"):
        lines["history"] = "; ".join(str(data.attrs["history"]).splitlines())
    return lines


def _interval(drawn: xr.DataArray) -> str:
    low, high = np.quantile(drawn.values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return f"{low:.2f} to {high:.2f}"


def _span(counts: np.ndarray) -> str:
    return f"{counts.min():g} to {counts.max():g} (median {np.median(counts):g})"


def _join(values: np.ndarray) -> str:
    """List few values, or the lowest and highest of many."""
    if len(values) > 3:
        return f"{values.min():g} to {values.max():g}"
    return ", ".join(f"{value:g}" for value in values)


def _last_line(cause: Exception) -> str:
    """Return what is wrong, without the header that says what cannot be done."""
    return str(cause).splitlines()[-1].removeprefix("  - ")


def _count(labels: xr.DataArray) -> str:
    values, numbers = np.unique(labels.values.astype(str), return_counts=True)
    return ", ".join(f"{v} ({n} sites)" for v, n in zip(values, numbers, strict=True))
