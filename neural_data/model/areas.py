"""Areas of sites named anew, by another coordinate over sites."""

from __future__ import annotations

import numpy as np
import xarray as xr

from neural_data.errors import RecordingError, format_names
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


def _find_groups(recording: xr.Dataset, by: str) -> np.ndarray:
    check_structure(recording)
    known = [str(k) for k, c in recording.coords.items() if c.dims == ("site",)]
    if by not in known:
        raise RecordingError(
            f"No coordinate {by!r} over dim 'site' to name or split areas by; there are "
            f"{format_names(known)}."
        )
    return np.asarray(recording[by].values.astype(str))
