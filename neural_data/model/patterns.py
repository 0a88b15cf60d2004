"""Responses brought into another form: labelled arrays as recordings, sites in units of z."""

from __future__ import annotations

import numpy as np
import xarray as xr

from neural_data.errors import RecordingError
from neural_data.model.schema import add_step
from neural_data.model.site_blocks import average_block
from neural_data.model.validation import say_no_recording, validate_recording
from neural_data.rounding import TOLERANCE


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


def zscore_sites(recording: xr.Dataset) -> xr.Dataset:
    """Bring the responses of every site to mean 0 and standard deviation 1 over stimuli.

    The mean over repetitions of each stimulus is what has mean 0 and standard deviation 1; single
    repetitions are scaled alike, and so vary more. Each time bin is taken by itself. RDMs,
    reliability and ceilings take responses as they are unless asked for this (``zscore=True``):
    without it sites with high rates weigh more, and patterns share the mean response of the sites.

    Parameters
    ----------
    recording : xarray.Dataset
        In memory or lazily opened, then read whole.

    Returns
    -------
    xarray.Dataset
        A recording in memory in units of "z". A site that does not vary over stimuli is 0
        wherever it was recorded.

    Raises
    ------
    RecordingError
        The recording does not follow the schema.

    Examples
    --------
    >>> from neural_data import average_repetitions, simulate_macaque, zscore_sites
    >>> recording, _ = simulate_macaque(repetitions=2, n_v4=2, n_it=0)
    >>> mean = average_repetitions(zscore_sites(recording))
    >>> mean.std("stimulus").round(6).values.tolist()
    [1.0, 1.0]
    """
    validate_recording(recording)
    response = recording["response"].transpose("stimulus", "repetition", "site", ...)
    values = response.values.astype(float)
    mean = average_block(values)[0]
    centre = np.nanmean(mean, axis=0)
    spread = np.nanstd(mean, axis=0)
    varies = spread > TOLERANCE * np.nanmax(np.abs(mean), axis=0, initial=0.0)
    scaled = (values - centre) / np.where(varies, spread, np.inf)
    attrs = {**response.attrs, "units": "z"}
    scored = recording.assign(response=(response.dims, scaled, attrs))
    flat = int((~varies).sum())
    said = f"; {flat} do not vary and are 0" if flat else ""
    return add_step(scored, f"zscore_sites: {recording.sizes['site']} sites{said}")
