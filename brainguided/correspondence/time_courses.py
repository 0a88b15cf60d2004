"""Similarity of layers and areas over time after stimulus onset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from brainguided.rdms.compare import align_rdms, compare_rdms, prepare_rdms
from brainguided.rdms.compute import compute_rdms
from neural_data.errors import RecordingError
from neural_data.model.origin import origin_of
from neural_data.model.recording import check_structure

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

TIMES = ("time_bin_start", "time_bin_end")


def compute_similarity_over_time(
    layer_rdms: RDMs,
    recording: xr.Dataset,
    *,
    by: str = "stimulus",
    measure: str = "correlation",
    method: str = "pearson",
) -> xr.DataArray:
    """Return the similarity of every layer to every area in each time bin of a recording.

    Bins are taken one at a time, so that the RDMs of a long time course are never all in memory.

    Parameters
    ----------
    layer_rdms : rsatoolbox.rdm.RDMs
        Over the conditions of the recording, in any order.
    recording : xr.Dataset
        With dim ``time_bin``.
    by, measure : str, optional
        As for ``rdm.compute_rdms``.
    method : str, optional
        As for ``comparisons.compare_rdms``.

    Returns
    -------
    xr.DataArray (area, layer, time_bin)
        With ``time_bin_start`` and ``time_bin_end`` in ms where the recording has them; NaN in
        bins in which an area's RDM is not defined (no site responds to a stimulus).

    Raises
    ------
    AlignmentError
        If the conditions differ.
    RecordingError
        If the recording has no time bins, or no bin has a defined RDM.
    """
    check_structure(recording)
    if "time_bin" not in recording["response"].dims:
        raise RecordingError(
            "The recording has no time bins, so there is no course over time; compare its RDMs "
            "with compare_rdms."
        )
    areas = list(dict.fromkeys(recording["area"].values.astype(str).tolist()))
    names = [str(n) for n in layer_rdms.rdm_descriptors.get("layer", range(layer_rdms.n_rdm))]
    values = np.full((len(areas), len(names), recording.sizes["time_bin"]), np.nan)
    prepared, refused = None, ""
    for k in range(recording.sizes["time_bin"]):
        for n, area in enumerate(areas):
            part = recording.isel(time_bin=[k], site=recording["area"].values == area)
            try:
                rdm = compute_rdms(part, by=by, measure=measure)
            except RecordingError as cause:
                refused = str(cause)
                continue
            if np.ptp(rdm.dissimilarities) == 0:
                continue
            if prepared is None:
                prepared = prepare_rdms(align_rdms(layer_rdms, rdm), method=method)
            values[n, :, k] = compare_rdms(prepared, rdm, method=method)[:, 0]
    if prepared is None:
        raise RecordingError(f"No time bin has a defined RDM. {refused}")
    coords = {k: ("time_bin", recording[k].values) for k in TIMES if k in recording.coords}
    return xr.DataArray(
        values,
        dims=("area", "layer", "time_bin"),
        coords={"area": areas, "layer": names, **coords},
        name="similarity",
        attrs={
            "long_name": f"RDM similarity ({method})",
            "method": method,
            **origin_of(recording),
        },
    )
