"""Mean responses as plain labelled arrays, taken where a recording is."""

from __future__ import annotations

import numpy as np
import xarray as xr

from neural_data.errors import RecordingError
from neural_data.model.validation import say_no_recording, validate_recording


def as_recording(data: xr.Dataset | xr.DataArray, *, name: str = "recording") -> xr.Dataset:
    """Return a recording as it is, or make one of a labelled array of mean responses.

    Parameters
    ----------
    data : xarray.Dataset or xarray.DataArray
        A recording, or responses with dims stimulus and site (or unit), and repetition and
        time_bin if there are any, with labels of the stimuli. Sites without labels are numbered;
        their area is the coordinate ``area``, else the array's name. Units and source are taken
        from the attributes, and else "not given".
    name : str, optional
        What to call it in the message.

    Returns
    -------
    xarray.Dataset
        A recording, see `validate_recording`.

    Raises
    ------
    RecordingError
        It is neither, dims are lacking, or the result is no recording.

    Examples
    --------
    >>> import xarray as xr
    >>> from neural_data import as_recording
    >>> rates = xr.DataArray([[1.0, 2.0], [3.0, 4.0]], dims=("stimulus", "unit"),
    ...     coords={"stimulus": ["a", "b"]}, name="V4")
    >>> as_recording(rates)["area"].values.tolist()
    ['V4', 'V4']
    """
    if isinstance(data, xr.Dataset):
        return data
    if not isinstance(data, xr.DataArray):
        raise RecordingError(say_no_recording(data, name))
    if "unit" in data.dims and "site" not in data.dims:
        data = data.rename(unit="site")
    if not {"stimulus", "site"} <= set(data.dims) or "stimulus" not in data.coords:
        raise RecordingError(
            f"{name} is an array with dims {data.dims} and labels {sorted(map(str, data.coords))}; "
            "expected dims ('stimulus', 'site') or ('stimulus', 'unit'), and labels of the stimuli."
        )
    n = data.sizes["site"]
    if "site" not in data.coords:
        data = data.assign_coords(site=[f"unit {k}" for k in range(1, n + 1)])
    if "area" not in data.coords:
        name_of_area = "responses" if data.name is None else data.name
        area = str(data.attrs.get("area", name_of_area))
        data = data.assign_coords(area=("site", [area] * n))
    if "repetition" not in data.dims:
        data = data.expand_dims("repetition")
    data = data.assign_coords(
        {key: (key, np.asarray(data[key].values.astype(str))) for key in ("stimulus", "site")}
    )
    ordered = data.transpose("stimulus", "repetition", "site", ...).astype(float)
    ordered.attrs = {"units": str(data.attrs.get("units", "not given"))}
    attrs = {"source": str(data.attrs.get("source", "not given"))}
    attrs |= {k: data.attrs[k] for k in ("history", "simulated") if k in data.attrs}
    return validate_recording(ordered.to_dataset(name="response").assign_attrs(attrs), name=name)
