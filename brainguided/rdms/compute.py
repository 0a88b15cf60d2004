"""Representational dissimilarity matrices: compute them, convert them.

The container is always :class:`rsatoolbox.rdm.RDMs`. What this module adds is meaning: the labels
of the conditions travel with the dissimilarities.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from brainguided.rdms._undefined import distances_with_gaps, mark_undefined
from brainguided.rdms.conditions import (
    average_conditions,
    condition_index,
    order_patterns,
    refuse_undefined,
    stimulus_coords,
)
from brainguided.rdms.crossnobis import Noise
from brainguided.rdms.distances import fill_square, standardise, upper_triangle
from brainguided.rdms.labels import (
    TIME_DESCRIPTORS,
    condition_labels,
    describe_time,
    name_rdms,
    repeated,
)
from brainguided.rdms.measures import DEFAULT, MEASURES, find_measure
from brainguided.rdms.memory import refuse_without_room
from neural_data.errors import RecordingError, raise_problems
from neural_data.model.dissimilarities import validate_dissimilarities
from neural_data.model.origin import origin_of
from neural_data.model.patterns import as_recording, zscore_sites
from neural_data.model.recording import (
    add_step,
    average_repetitions,
    check_structure,
    select_recording,
)
from neural_data.model.validation import say_no_recording

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

__all__ = [
    "average_conditions",
    "build_rdms",
    "compute_rdms",
    "condition_index",
    "dissimilarities_from_rdms",
    "rdms_from_dissimilarities",
    "select_rdm",
    "standardise",
    "upper_triangle",
]


def compute_rdms(
    responses: xr.Dataset | xr.DataArray,
    *,
    by: str = "stimulus",
    measure: str = "correlation",
    noise: Noise = "shrinkage",
    zscore: bool = False,
) -> RDMs:
    """Return the dissimilarity matrices (RDMs) of a recording or of one response matrix.

    By default the dissimilarity of two conditions is one minus the Pearson correlation of their
    response patterns across sites (or units), ``M[i, j] = 1 - corr(F[i], F[j])`` [1]_. Repetitions
    are averaged first. With ``by`` other than ``"stimulus"`` the mean response to all stimuli that
    share a value of that coordinate is one pattern (object or category RDMs). Nothing else is
    done to the responses: they are neither z-scored nor centred per site, which would change the
    result, unless asked for.

    ===================== =========================================================================
    measure               dissimilarity of patterns x and y over p sites
    ===================== =========================================================================
    "correlation"         1 - Pearson r, 0 to 2
    "cosine"              1 - cosine of the angle, 0 to 2
    "squared euclidean"   sum of (x - y)^2 / p, in units^2 (called "euclidean" by rsatoolbox)
    "euclidean"           its root, in units
    "mahalanobis"         (x - y)' P (x - y) / p, P the inverse covariance of the noise [2]_
    "crossnobis"          the same, x - y of one repetition times that of another, averaged over
                          all ordered pairs of repetitions: unbiased, 0 on average for conditions
                          that do not differ, and thus negative at times [2]_
    "poisson"             symmetrised Kullback-Leibler divergence of Poisson counts,
                          sum of (x - y)(log x - log y) / p, after each x became
                          (x + .1) / 1.1: a prior of one spike, a tenth of an observation [3]_
    ===================== =========================================================================

    Where repetitions are missing, the products of crossnobis are averaged over those pairs that
    were shown; with ``by``, each stimulus counts the same in its condition, as in the means.
    "poisson" takes what is in `responses`: give it counts, or bear in mind that of rates in
    spikes/s the prior is one spike a second and the unit of the divergence no longer nats.

    Parameters
    ----------
    responses : xr.Dataset or xr.DataArray
        A recording (one RDM an area, in order of first appearance, and within it one a time
        bin), or responses with dims (stimulus, site[, time_bin]) or (stimulus, unit): one RDM,
        or one for each value of a coordinate ``area`` over the sites. Any units. Recordings may
        be lazily backed. NaN is allowed for a repetition that was not shown, and else refused:
        no dissimilarity is taken over a part of the sites. ``neural_data.select_complete`` keeps
        the stimuli and sites that have responses.
    by : str, optional
        Coordinate over dim ``stimulus`` whose values are the conditions.
    measure : str, optional
        One of the above.
    noise : {"shrinkage", "diagonal", "identity"} or mapping of area to ndarray, optional
        For "mahalanobis" and "crossnobis": how the precision P is estimated from the scatter of
        repetitions about the mean of their stimulus (see ``noise.compute_noise_precision``), in
        each time bin anew, or the precision (site, site) of each area. Other measures ignore it.
    zscore : bool, optional
        Bring each site to mean 0 and standard deviation 1 over stimuli first, see
        ``neural_data.zscore_sites``; for a recording.

    Returns
    -------
    rsatoolbox.rdm.RDMs
        ``dissimilarity_measure`` is `measure`. ``pattern_descriptors`` hold the condition labels
        under the name given as `by`, and every other stimulus coordinate that is constant within
        each condition; ``rdm_descriptors`` hold ``area`` and ``n_sites`` and, where there are
        several time bins, ``time_bin_start`` and ``time_bin_end`` in ms (or, if the bins have no
        times, their number, ``time_bin``), and where a pattern of some time bin is such that the
        measure is undefined (no site responds to a stimulus), ``undefined``, how many there are:
        their dissimilarities in this bin are NaN; ``descriptors`` hold ``source`` and ``history``.

    Raises
    ------
    RecordingError
        If responses are missing for a condition, or such that the measure is undefined
        (correlation of constant patterns, angle of silent ones, negative counts; of several time
        bins, if it is so in all), if there are
        fewer than 3 conditions (or sites, for "correlation"), if `by` is no stimulus coordinate,
        if a measure needs repetitions that are not there, or if there is no memory for so many
        conditions.
    AlignmentError
        If a precision is labelled with other sites than the responses.
    ValueError
        If `measure` or `noise` is unknown, or a precision is none.

    References
    ----------
    .. [1] Bashivan, Tensen & DiCarlo (2019), Teacher Guided Architecture Search, ICCV, eq. 1.
    .. [2] Walther et al. (2016), NeuroImage 137, 188-200, equations 3 and 5.
    .. [3] Schuett, Kipnis, Diedrichsen & Kriegeskorte (2023), eLife 12:e82566, methods.

    Examples
    --------
    >>> from neural_data.simulation.simulate import simulate_macaque
    >>> recording, stimuli = simulate_macaque(seed=1)
    >>> rdms = compute_rdms(recording, by="object_name")
    >>> rdms.n_rdm, rdms.n_cond, list(rdms.rdm_descriptors["area"])
    (2, 64, ['V4', 'IT'])
    """
    kind = find_measure(measure)
    responses = zscore_sites(as_recording(responses)) if zscore else responses
    areas = []
    rows: list[np.ndarray] = []
    descriptors: dict[str, list[Any]] = {"area": [], "n_sites": []}
    for area, matrix in _split_areas(responses):
        for number, (patterns, time) in enumerate(_split_time_bins(matrix, area)):
            mean = average_conditions(patterns, by).rename(area)
            several = matrix.sizes.get("time_bin", 1) > 1
            refuse_undefined(
                mean,
                f"{area}{describe_time(time)}",
                by,
                measure=measure,
                fewest_sites=kind.fewest_sites,
                undefined=None if several else kind.undefined,
            )
            refuse_without_room(mean, f"{area}{describe_time(time)}", patterns)
            if kind.of_recording is not None:
                single = _select_bin(responses, area, number)
                row = kind.of_recording(single, mean, noise=noise, by=by)
            else:
                row = distances_with_gaps(mean.values, kind)
            rows.append(row)
            for key, value in {"area": area, "n_sites": mean.shape[1], **time}.items():
                descriptors.setdefault(key, []).append(value)
        areas.append(f"{area} over {mean.shape[1]} sites")
    n_bins = len(rows) // len(areas)
    bins = f", in each of {n_bins} time bins" if n_bins > 1 else ""
    said = f"by={by!r}" + ("" if kind is DEFAULT else f", measure={measure!r}")
    if kind.of_recording is not None:
        said += f", noise={noise!r}" if isinstance(noise, str) else ", noise given"
    step = f"compute_rdms({said}): {mean.shape[0]} conditions, {', '.join(areas)}{bins}"
    step += mark_undefined(rows, descriptors, mean.shape[0], measure)
    rdms = build_rdms(
        np.stack(rows) if len(rows) > 1 else rows[0][np.newaxis],
        conditions=mean,
        by=by,
        rdm_descriptors=descriptors,
        origin=origin_of(add_step(xr.Dataset(attrs=responses.attrs), step)),
        measure=measure,
    )
    response = responses["response"] if isinstance(responses, xr.Dataset) else responses
    if "window" in response.attrs:
        rdms.descriptors["window"] = str(response.attrs["window"])
    return rdms


def build_rdms(
    dissimilarities: np.ndarray,
    *,
    conditions: xr.DataArray | xr.Dataset,
    by: str,
    rdm_descriptors: dict[str, list[Any]],
    origin: Mapping[str, Any],
    measure: str = "correlation",
) -> RDMs:
    """Wrap vectors (rdm, pair) into rsatoolbox RDMs with the labels that ours always carry.

    `origin` is what `origin_of` tells of the data: source, simulated or not, history.
    """
    from rsatoolbox.rdm import RDMs

    patterns = {k: v.astype(str).tolist() for k, v in stimulus_coords(conditions, by).items()}
    return RDMs(
        dissimilarities=np.atleast_2d(dissimilarities),
        dissimilarity_measure=measure,
        descriptors={"conditions": by, **origin},
        rdm_descriptors=dict(rdm_descriptors),
        pattern_descriptors=patterns,
    )


def select_rdm(rdms: RDMs, number: int) -> RDMs:
    """Return one RDM of several, by position, with all descriptors."""
    from rsatoolbox.rdm import RDMs

    return RDMs(
        np.array(rdms.dissimilarities[number : number + 1]),
        dissimilarity_measure=rdms.dissimilarity_measure,
        descriptors=dict(rdms.descriptors),
        rdm_descriptors={
            name: [values[number]]
            for name, values in rdms.rdm_descriptors.items()
            if name != "index"
        },
        pattern_descriptors={
            name: list(values) for name, values in rdms.pattern_descriptors.items()
        },
    )


def rdms_from_dissimilarities(dissimilarities: xr.Dataset) -> RDMs:
    """Turn a dissimilarities dataset (area, stimulus, other_stimulus) into rsatoolbox RDMs.

    Parameters
    ----------
    dissimilarities : xr.Dataset
        ``dissimilarity (area, stimulus, other_stimulus)``, as of `load_dissimilarities`.

    Returns
    -------
    rsatoolbox.rdm.RDMs
        One of each area, with the labels of the stimuli.

    Raises
    ------
    RecordingError
        If the dataset does not follow the layout (see ``neural_data.model.dissimilarities``).
    """
    validate_dissimilarities(dissimilarities)
    variable = dissimilarities["dissimilarity"]
    areas = variable["area"].values.astype(str).tolist()
    times: dict[str, list[Any]] = {
        key: dissimilarities[key].values.tolist()
        for key in TIME_DESCRIPTORS
        if key in dissimilarities.coords and dissimilarities[key].dims == ("area",)
    }
    for k in range(len(areas)):
        time = describe_time({key: values[k] for key, values in times.items()})
        areas[k] = areas[k].removesuffix(time) if time else areas[k]
    units = str(variable.attrs["units"])
    return build_rdms(
        np.stack([upper_triangle(m) for m in np.asarray(variable.values, dtype=float)]),
        conditions=dissimilarities,
        by="stimulus",
        rdm_descriptors={"area": areas, **times},
        origin=origin_of(dissimilarities),
        measure=next((row.name for row in MEASURES.values() if row.label == units), units),
    )


def dissimilarities_from_rdms(rdms: RDMs) -> xr.Dataset:
    """Turn rsatoolbox RDMs into a dissimilarities dataset that can be saved as netCDF.

    RDMs are named by their descriptor ``area``, ``layer`` or ``name``, and by their time bin if
    they have one: "IT, 70-80 ms". The unit is the measure of the RDMs.

    Parameters
    ----------
    rdms : rsatoolbox.rdm.RDMs
        With labels of the conditions, as of `compute_rdms`.

    Returns
    -------
    xr.Dataset
        ``dissimilarity (area, stimulus, other_stimulus)`` with ``attrs["units"]``.

    Raises
    ------
    AlignmentError
        If the conditions have no unique labels.
    RecordingError
        If two RDMs have the same name, or they do not say by which measure they were made.
    """
    labels = condition_labels(rdms)
    names = name_rdms(rdms)
    times = {
        k: list(rdms.rdm_descriptors[k]) for k in TIME_DESCRIPTORS if k in rdms.rdm_descriptors
    }
    measure = rdms.dissimilarity_measure
    problems = []
    if len(set(names)) < len(names):
        problems.append(
            f"several have the name {repeated(names)[:3]}: set rdms.rdm_descriptors['area'] to "
            "names of their own, or save them one by one"
        )
    if not measure:
        problems.append(
            "they do not say what their numbers are: set rdms.dissimilarity_measure, e.g. "
            "'correlation' for 1 - Pearson r"
        )
    raise_problems(f"The {rdms.n_rdm} RDMs cannot be turned into dissimilarities", problems)
    coords: dict[Hashable, Any] = {"area": names, "stimulus": labels, "other_stimulus": labels}
    coords |= {key: ("area", values) for key, values in times.items()}
    for key, values in rdms.pattern_descriptors.items():
        if key not in ("index", "stimulus", rdms.descriptors.get("conditions")):
            coords[key] = ("stimulus", [str(v) for v in values])
    units = {"units": MEASURES[measure].label if measure in MEASURES else str(measure)}
    matrices = np.zeros((rdms.n_rdm, rdms.n_cond, rdms.n_cond))
    for matrix, vector in zip(matrices, rdms.dissimilarities, strict=True):
        fill_square(matrix, vector)
    return xr.Dataset(
        {"dissimilarity": (("area", "stimulus", "other_stimulus"), matrices, units)},
        coords=coords,
        attrs=origin_of(rdms),
    )


def _split_areas(responses: xr.Dataset | xr.DataArray) -> Iterator[tuple[str, xr.DataArray]]:
    """Yield each area and its mean responses over repetitions."""
    if isinstance(responses, xr.Dataset):
        check_structure(responses)
        for area in dict.fromkeys(responses["area"].values.tolist()):
            yield str(area), average_repetitions(select_recording(responses, area=area))
    elif not isinstance(responses, xr.DataArray):
        raise RecordingError(say_no_recording(responses, "responses"))
    elif "area" in responses.coords and responses["area"].ndim == 1:
        labels = responses["area"].values
        dim = responses["area"].dims[0]
        for area in dict.fromkeys(labels.tolist()):
            yield str(area), responses.isel({dim: labels == area})
    else:
        name = "responses" if responses.name is None else responses.name
        yield str(responses.attrs.get("area", name)), responses


def _select_bin(responses: xr.Dataset | xr.DataArray, area: str, number: int) -> xr.Dataset | None:
    """Return the single repetitions of an area in one time bin; None if there are none."""
    if not isinstance(responses, xr.Dataset):
        return None
    if "time_bin" in responses["response"].dims:
        responses = responses.isel(time_bin=[number])
    return select_recording(responses, area=area)


def _split_time_bins(
    responses: xr.DataArray, area: str
) -> Iterator[tuple[xr.DataArray, dict[str, Any]]]:
    """Yield the patterns (stimulus, unit) of each time bin, and when it is; once without any."""
    if responses.sizes.get("time_bin", 1) == 1:
        single = responses.isel(time_bin=0, drop=True, missing_dims="ignore")
        yield order_patterns(single, area), {}
        return
    known = [k for k in TIME_DESCRIPTORS[:2] if k in responses.coords]
    for k in range(responses.sizes["time_bin"]):
        time = {key: responses[key].values[k].item() for key in known} or {"time_bin": k}
        yield order_patterns(responses.isel(time_bin=k, drop=True), area), time
