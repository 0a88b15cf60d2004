"""Areas of sites named anew, by another coordinate over sites."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from neural_data.errors import RecordingError, format_names
from neural_data.model.recording import select_recording
from neural_data.model.schema import add_step
from neural_data.model.validation import check_structure


def split_areas(recording: xr.Dataset, *, by: str = "animal") -> xr.Dataset:
    """Make areas of their own of the sites of each animal, session or other group.

    Parameters
    ----------
    recording : xarray.Dataset
        Sites of one area or several.
    by : str, optional
        Coordinate over sites whose values are put behind the name of the area: "V4 (WE)".

    Returns
    -------
    xarray.Dataset
        A recording, otherwise the same.

    Raises
    ------
    RecordingError
        There is no such coordinate over sites.
    """
    pairs = zip(recording["area"].values, _find_groups(recording, by), strict=True)
    names = np.array([f"{area} ({value})" for area, value in pairs])
    return add_step(recording.assign_coords(area=("site", names)), f"split_areas(by={by!r})")


def name_areas(recording: xr.Dataset, *, by: str = "subregion") -> xr.Dataset:
    """Take the areas from another coordinate of the sites, such as "pIT" for "IT".

    Parameters
    ----------
    recording : xarray.Dataset
        Sites of one area or several.
    by : str, optional
        Coordinate over sites.

    Returns
    -------
    xarray.Dataset
        A recording, otherwise the same.

    Raises
    ------
    RecordingError
        There is no such coordinate over sites.
    """
    names = _find_groups(recording, by)
    return add_step(recording.assign_coords(area=("site", names)), f"name_areas(by={by!r})")


def group_areas(recording: xr.Dataset, areas: Sequence[str] | None = None) -> list[xr.Dataset]:
    """Split a recording into parts whose areas were shown the same stimuli.

    Parameters
    ----------
    recording : xarray.Dataset
        For instance of animals that were pooled with ``stimuli="apart"``.
    areas : sequence of str, optional
        Only these, in this order; by default all.

    Returns
    -------
    list of xarray.Dataset
        One recording, if each area was shown all stimuli; else one for each set of stimuli that
        some area was shown, without the other stimuli.

    Raises
    ------
    RecordingError
        An area is unknown.
    """
    chosen = list(dict.fromkeys(recording["area"].values.tolist())) if areas is None else areas
    part = select_recording(recording, area=list(chosen))
    missing = part["response"].isnull()
    labels = part["area"].values.astype(str)
    dims = [dim for dim in missing.dims if dim != "stimulus"]
    groups: dict[bytes, tuple[np.ndarray, list[str]]] = {}
    for area in chosen:
        shown = ~missing.isel(site=labels == area).all(dims).values
        groups.setdefault(shown.tobytes(), (shown, []))[1].append(area)
    if len(groups) == 1 and next(iter(groups.values()))[0].all():
        return [part]
    names = part["stimulus"].values
    return [select_recording(part, area=own, stimulus=names[s]) for s, own in groups.values()]


def _find_groups(recording: xr.Dataset, by: str) -> np.ndarray:
    check_structure(recording)
    known = [str(k) for k, c in recording.coords.items() if c.dims == ("site",)]
    if by not in known:
        raise RecordingError(
            f"No coordinate {by!r} over dim 'site' to name or split areas by; there are "
            f"{format_names(known)}."
        )
    return np.asarray(recording[by].values.astype(str))
