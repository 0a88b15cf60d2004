"""What makes a dataset a recording: its dims, labels and attributes, and its values."""

from __future__ import annotations

from os import PathLike

import numpy as np
import xarray as xr

from neural_data.errors import RecordingError, format_names, raise_problems
from neural_data.model.schema import (
    DIMS,
    check_labels,
    check_response,
    check_savable,
    check_source,
    check_time,
    describe_wrong_dims,
)
from neural_data.model.site_blocks import iterate_rows, iterate_sites

SITE_COORDS = ("animal", "subregion", "array", "hemisphere")
STIMULUS_COORDS = ("object_name", "category", "variation")


def validate_recording(recording: xr.Dataset, *, name: str = "recording") -> xr.Dataset:
    """Return the recording itself if it follows the schema; otherwise say all that is wrong.

    A recording is a Dataset with the variable ``response (stimulus, repetition, site[,
    time_bin])``. NaN, in all time bins alike, stands for a repetition that was not shown to, or
    not recorded from, a site. Sites may differ in what they miss, and a site may lack a stimulus
    wholly; but every stimulus has a response of some site, and every site to some stimulus.
    All values are read once, block by block; `check_structure` reads none.

    Parameters
    ----------
    recording : xarray.Dataset
        ``response`` : float32 or float64, ``attrs["units"]`` such as "spikes/s"; in memory or
        lazily backed. Coordinates: ``stimulus`` and ``site``, unique text; ``area (site)``; where
        known ``animal``, ``subregion``, ``array``, ``hemisphere`` (site), ``object_name``,
        ``category``, ``variation`` (stimulus), ``time_bin_start`` and ``time_bin_end`` (time_bin,
        in ms). The Dataset has ``attrs["source"]``, where the data come from, and
        ``attrs["history"]``, a line for every step since, see `add_step`.
    name : str
        What to call the recording in the message, for instance its file name.

    Returns
    -------
    xarray.Dataset
        The same object.

    Raises
    ------
    RecordingError
        One message with a line for every problem found.
    """
    problems = _list_structure_problems(recording, name)
    if _has_readable_response(recording):
        check = ValueCheck(recording)
        for sites, block in iterate_sites(recording):
            check.add(sites, block)
        problems += check.list_problems()
    raise_problems(f"{name} does not follow the recording schema", problems)
    return recording


def check_structure(recording: xr.Dataset, *, name: str = "recording") -> xr.Dataset:
    """Return the recording itself if dims, labels and attributes follow the schema.

    As `validate_recording`, but no response is read, so that it takes no time for a large file.

    Raises
    ------
    RecordingError
        One message with a line for every problem found.
    """
    raise_problems(
        f"{name} does not follow the recording schema", _list_structure_problems(recording, name)
    )
    return recording


def say_no_recording(value: object, name: str) -> str:
    """Say in one line that a value is no recording, and how to make one of it."""
    if isinstance(value, str | PathLike):
        return f"{name} is a path, {str(value)!r}: load it first, load_recording({str(value)!r})."
    way = "make one with recording_from_arrays(...)"
    if isinstance(value, np.ndarray):
        way = (
            "label it, xarray.DataArray(values, dims=('stimulus', 'unit'), coords={'stimulus': "
            "[...]}), where mean responses are enough, or " + way
        )
    return f"{name} is a {type(value).__name__}; a recording is an xarray.Dataset: {way}."


def _list_structure_problems(recording: xr.Dataset, name: str) -> list[str]:
    if not isinstance(recording, xr.Dataset):
        raise RecordingError(say_no_recording(recording, name))
    problems = check_response(recording)
    problems += check_source(recording)
    for dim in ("stimulus", "site"):
        problems += check_labels(recording, dim, unique=True)
    problems += check_labels(recording, "area", dim="site", example="'V4' or 'IT'")
    for coord in SITE_COORDS:
        if coord in recording.variables:
            problems += check_labels(recording, coord, dim="site")
    for coord in STIMULUS_COORDS:
        if coord in recording.variables and recording[coord].dims != ("stimulus",):
            problems.append(describe_wrong_dims(recording, coord, "stimulus"))
    problems += check_time(recording)
    problems += check_savable(recording)
    return problems


def _has_readable_response(recording: xr.Dataset) -> bool:
    """Whether the values can be looked at, whatever else is wrong."""
    if "response" not in recording.data_vars:
        return False
    response = recording["response"]
    return (
        set(response.dims) - {"time_bin"} == set(DIMS)
        and response.dtype.kind == "f"
        and response.size > 0
    )


class ValueCheck:
    """Problems with the values of a recording, gathered block by block in one pass.

    Parameters
    ----------
    recording : xarray.Dataset
        Of sound structure; its values are not touched here.
    """

    def __init__(self, recording: xr.Dataset) -> None:
        self.recording = recording
        sizes = recording["response"].sizes
        self.n_infinite = 0
        self.n_partly = 0
        self.first_partly: tuple[int, int, int] | None = None
        self.stimulus_shown = np.zeros(sizes["stimulus"], dtype=bool)
        self.site_shown = np.zeros(sizes["site"], dtype=bool)

    def add(self, sites: slice, block: np.ndarray) -> None:
        """Look at one block, as `iterate_sites` yields it."""
        for rows, values in iterate_rows(block):
            finite = np.isfinite(values)
            if finite.all():
                self.stimulus_shown[rows] = True
                self.site_shown[sites] = True
                continue
            missing = np.isnan(values)
            self.n_infinite += int(finite.size - finite.sum() - missing.sum())
            unseen = missing
            if missing.ndim == 4:
                unseen = missing.all(axis=3)
                self._add_partly(sites, rows, missing, unseen)
            any_repetition = ~unseen.all(axis=1)
            self.stimulus_shown[rows] |= any_repetition.any(axis=1)
            self.site_shown[sites] |= any_repetition.any(axis=0)

    def _add_partly(
        self, sites: slice, rows: slice, missing: np.ndarray, unseen: np.ndarray
    ) -> None:
        partly = missing.any(axis=3) & ~unseen
        if not partly.any():
            return
        self.n_partly += int(partly.sum())
        stimulus, repetition, site = (int(i) for i in np.argwhere(partly)[0])
        place = (stimulus + rows.start, repetition, site + sites.start)
        if self.first_partly is None or place < self.first_partly:
            self.first_partly = place

    def list_wrong_values(self) -> list[str]:
        """List infinities and NaN in only some time bins, in the blocks that were added."""
        problems = []
        if self.n_infinite:
            size = self.recording["response"].size
            problems.append(f"'response' is infinite at {self.n_infinite} of {size} values")
        if self.first_partly is not None:
            stimulus, repetition, site = self.first_partly
            problems.append(
                f"'response' is NaN in some time bins, but not all, of {self.n_partly} "
                f"presentations at a site, first at stimulus {self._name('stimulus', stimulus)}, "
                f"repetition {repetition}, site {self._name('site', site)}; NaN may only mark a "
                "repetition that was not shown: leave out those time bins, sites or stimuli"
            )
        return problems

    def list_problems(self) -> list[str]:
        """List all that is wrong in a recording all of whose blocks were added."""
        problems = self.list_wrong_values()
        for dim, what, shown, rest, remedy in (
            ("stimulus", "stimuli", self.stimulus_shown, "repetition", "keep='sites'"),
            ("site", "sites", self.site_shown, "stimulus and repetition", "keep='stimuli'"),
        ):
            never = np.flatnonzero(~shown)
            if never.size:
                listed = format_names(self._name(dim, int(i)).strip("'") for i in never)
                problems.append(
                    f"'response' is NaN in every {rest} of {never.size} {what} ({listed}): "
                    f"leave them out, as select_complete(recording, {remedy}) does"
                )
        return problems

    def _name(self, dim: str, position: int) -> str:
        if dim in self.recording.coords and self.recording[dim].dims == (dim,):
            return repr(str(self.recording[dim].values[position]))
        return f"number {position}"
