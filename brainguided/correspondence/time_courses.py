"""Similarity of layers and areas over time after stimulus onset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from brainguided.correspondence._parts import divide_repetitions
from brainguided.correspondence.bootstrap import refuse_undrawn
from brainguided.correspondence.standard_errors import measure_spread
from brainguided.rdms.compare import align_rdms, compare_rdms, prepare_rdms
from brainguided.rdms.compute import compute_rdms
from brainguided.rdms.conditions import average_conditions, condition_index
from brainguided.rdms.distances import standardise
from brainguided.rdms.labels import condition_labels
from brainguided.rdms.measures import find_measure, pattern_distances
from brainguided.rdms.units import UnitName, find_target_units, refuse_few
from brainguided.rdms.variables import name_results
from neural_data.errors import RecordingError
from neural_data.model.origin import origin_of
from neural_data.model.recording import average_repetitions, check_structure
from neural_data.rounding import is_flat

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

TIMES = ("time_bin_start", "time_bin_end")
MOST_UNDEFINED = 0.2
"""Part of the conditions that may be left out of a time bin before it has no similarity."""


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
        With ``time_bin_start`` and ``time_bin_end`` in ms where the recording has them. Where the
        measure is undefined for some stimuli of a bin (no site responds to them), the similarity
        is that of the others, as many as the coordinate ``conditions`` (area, time_bin) says; NaN
        where they are fewer than four fifths of all.

    Raises
    ------
    AlignmentError
        If the conditions differ.
    RecordingError
        If the recording has no time bins, or no bin has a defined RDM.
    """
    areas, names, coords = _name_axes(layer_rdms, recording)
    values = np.full((len(areas), len(names), recording.sizes["time_bin"]), np.nan)
    numbers = np.zeros((len(areas), recording.sizes["time_bin"]), dtype=int)
    prepared = None
    for n, k, rdm, left_out in _list_bins(recording, areas, by, measure):
        numbers[n, k] = rdm.n_cond
        if is_flat(rdm.dissimilarities[0]):
            continue
        if left_out:
            layers = prepare_rdms(_align_part(layer_rdms, rdm), method=method)
        else:
            prepared = prepared or prepare_rdms(align_rdms(layer_rdms, rdm), method=method)
            layers = prepared
        values[n, :, k] = compare_rdms(layers, rdm, method=method)[:, 0]
    return xr.DataArray(
        values,
        dims=("area", "layer", "time_bin"),
        coords={
            "area": areas,
            "layer": names,
            "conditions": (("area", "time_bin"), numbers),
            **coords,
        },
        name="similarity",
        attrs={
            "long_name": f"RDM similarity ({method})",
            "method": method,
            **origin_of(recording),
        },
    )


def compute_intervals_over_time(
    layer_rdms: RDMs,
    recording: xr.Dataset,
    *,
    by: str = "stimulus",
    measure: str = "correlation",
    method: str = "pearson",
    unit: UnitName = None,
) -> xr.Dataset:
    """Return the similarity of layers to areas in each time bin, with intervals.

    The intervals are those of ``compute_correspondence``: 95 % over samples of units of stimuli, by
    the jackknife with Student's t on Fisher's z, in each bin by itself. One in twenty bins may lie
    outside its own; they are not simultaneous bands.

    Parameters
    ----------
    layer_rdms : rsatoolbox.rdm.RDMs
        Over the conditions of the recording, in any order.
    recording : xr.Dataset
        With dim ``time_bin``.
    by, measure : str, optional
        As for ``compute_rdms``.
    method : {"pearson", "cosine", "spearman"}, optional
        The comparison.
    unit : str or tuple of str, optional
        The unit of stimuli that was sampled, a coordinate of the recording; by default the
        coarsest of ``session``, ``category`` and ``object_name``: see ``Inference``.

    Returns
    -------
    xr.Dataset (area, layer, time_bin, bound)
        `similarity` (area, layer, time_bin) as from ``compute_similarity_over_time``, with its
        coordinates; `similarity_interval` (area, layer, time_bin, bound), NaN where the similarity
        is or a bin has fewer than 6 units; `unit_count` (area, time_bin): how many units there
        are, named by ``attrs["unit"]``.

    Raises
    ------
    AlignmentError
        If the conditions differ.
    RecordingError
        If the recording has no time bins, or no bin has a defined RDM.
    ValueError
        If the method has no intervals, or there are fewer than 6 units.

    Warns
    -----
    UserWarning
        If a coordinate that groups the stimuli is ignored.
    """
    refuse_undrawn(method)
    similarity = compute_similarity_over_time(
        layer_rdms, recording, by=by, measure=measure, method=method
    )
    units = refuse_few(find_target_units(recording, by, unit))
    place = {label: k for k, label in enumerate(condition_index(recording, by)[1])}
    areas = similarity["area"].values.tolist()
    interval = np.full((*similarity.shape, 2), np.nan)
    numbers = np.zeros((len(areas), similarity.sizes["time_bin"]), dtype=int)
    for n, k, rdm, _ in _list_bins(recording, areas, by, measure):
        own = units.select([place[label] for label in condition_labels(rdm)])
        numbers[n, k] = own.number
        defined = np.flatnonzero(np.isfinite(similarity.values[n, :, k]))
        if own.enough and defined.size:
            layers = np.asarray(_align_part(layer_rdms, rdm).dissimilarities, dtype=float)[defined]
            spread = measure_spread(list(layers), rdm.dissimilarities[0], own, method=method)
            interval[n, defined, k] = spread.interval()
    return name_results(
        xr.Dataset(
            {
                "similarity": similarity,
                "similarity_interval": ((*similarity.dims, "bound"), interval),
                "unit_count": (("area", "time_bin"), numbers),
            },
            coords={"bound": ["lower", "upper"]},
            attrs={**similarity.attrs, "by": by, "measure": measure, "unit": units.name},
        )
    )


def _name_axes(
    layer_rdms: RDMs, recording: xr.Dataset
) -> tuple[list[str], list[str], dict[str, Any]]:
    """Return the areas, the layers and the times of a recording, or refuse one without bins."""
    check_structure(recording)
    if "time_bin" not in recording["response"].dims:
        raise RecordingError(
            "The recording has no time bins, so there is no course over time; compare its RDMs "
            "with compare_rdms."
        )
    areas = list(dict.fromkeys(recording["area"].values.astype(str).tolist()))
    names = [str(n) for n in layer_rdms.rdm_descriptors.get("layer", range(layer_rdms.n_rdm))]
    return areas, names, {k: ("time_bin", recording[k].values) for k in TIMES if k in recording}


def _list_bins(
    recording: xr.Dataset, areas: list[str], by: str, measure: str
) -> Iterator[tuple[int, int, RDMs, bool]]:
    """Yield number of area and bin, RDM, and whether conditions were left out, where defined.

    Raises
    ------
    RecordingError
        If no bin of any area has a defined RDM.
    """
    some, refused = False, ""
    for k in range(recording.sizes["time_bin"]):
        for n, area in enumerate(areas):
            part = recording.isel(time_bin=[k], site=recording["area"].values == area)
            try:
                rdm, left_out = _compute_defined_rdm(part, by, measure)
            except RecordingError as cause:
                refused = str(cause)
                continue
            some = True
            yield n, k, rdm, left_out
    if not some:
        raise RecordingError(f"No time bin has a defined RDM. {refused}")


def _align_part(layer_rdms: RDMs, rdm: RDMs) -> RDMs:
    """Return the layers' RDMs over the conditions of an area's RDM, which may be some of them."""
    if rdm.n_cond < layer_rdms.n_cond:
        layer_rdms = layer_rdms.subset_pattern(*_find_labels(layer_rdms, rdm))
    return align_rdms(layer_rdms, rdm)


def _compute_defined_rdm(part: xr.Dataset, by: str, measure: str) -> tuple[RDMs, bool]:
    """Return the RDM of the conditions for which it is defined, and whether any were left out."""
    mean = average_conditions(
        average_repetitions(part).isel(time_bin=0, drop=True).transpose("stimulus", "site"), by
    )
    undefined = find_measure(measure).undefined
    if undefined is None or not (bad := undefined(mean.values)[0]).any():
        return compute_rdms(part, by=by, measure=measure), False
    if bad.mean() > MOST_UNDEFINED:
        raise RecordingError(
            f"{int(bad.sum())} of {len(bad)} conditions have responses of which the {measure} "
            "distance is undefined."
        )
    good = mean[by].values[~bad]
    kept = np.isin(part[by].values, good)
    return compute_rdms(part.isel(stimulus=kept), by=by, measure=measure), True


def _find_labels(layer_rdms: RDMs, rdm: RDMs) -> tuple[str, list[str]]:
    """Return the descriptor that labels conditions, and those of an RDM, for a subset."""
    labels = condition_labels(layer_rdms)
    for name, values in layer_rdms.pattern_descriptors.items():
        if [str(v) for v in values] == labels:
            wanted = set(condition_labels(rdm))
            return str(name), [v for v in values if str(v) in wanted]
    raise AssertionError("labels are those of a descriptor")


def compute_temporal_generalisation(
    recording: xr.Dataset,
    *,
    by: str = "stimulus",
    measure: str = "correlation",
    splits: int = 20,
    seed: int = 0,
) -> xr.DataArray:
    """Return how similar each area's RDM in one time bin is to its RDM in every other.

    Repetitions are divided into random halves; the RDM of one half in a time bin is correlated
    (Pearson) with that of the other half in every bin, both ways, and averaged over splits. Noise
    is thus never compared with itself: the diagonal is the split-half reliability of the RDM, and
    what lies off it says for how long the same representation is held [1]_.

    Parameters
    ----------
    recording : xr.Dataset
        With dim ``time_bin`` and at least two repetitions of every stimulus at every site.
    by : str
        Coordinate over stimuli that names the conditions, such as "object_name".
    measure : {"correlation", "cosine", "squared euclidean", "euclidean", "poisson"}
        Dissimilarity of two mean patterns, see ``compute_rdms``.
    splits : int
        Random halves.
    seed : int
        Of the halves.

    Returns
    -------
    xr.DataArray (area, time_bin, other_time_bin)
        Symmetric, in [-1, 1]; NaN in bins in which an area's RDM is constant or not defined, such
        as before the first response. ``time_bin_start`` and ``time_bin_end`` in ms, over both dims
        (``other_time_bin_start`` ...), where the recording has them.

    Raises
    ------
    RecordingError
        If the recording is not valid, has no time bins, or fewer than two repetitions of a stimulus
        at a site.

    References
    ----------
    .. [1] King & Dehaene (2014), Trends Cogn. Sci. 18, 203-210; for RDMs, Cichy, Pantazis & Oliva
       (2014), Nat. Neurosci. 17, 455-462.
    """
    check_structure(recording)
    if "time_bin" not in recording["response"].dims:
        raise RecordingError(
            "The recording has no time bins, so that nothing can be generalised over time."
        )
    areas = recording["area"].values.astype(str)
    names = list(dict.fromkeys(areas.tolist()))
    n_bins = recording.sizes["time_bin"]
    values = np.full((len(names), n_bins, n_bins), np.nan)
    for k, area in enumerate(names):
        part = recording.isel(site=areas == area)
        total = np.zeros((n_bins, n_bins))
        for split in range(splits):
            halves = _compute_half_rdms(part, by, measure, [seed, 15, split])
            total += _correlate_rows(halves[0], halves[1])
        values[k] = (total + total.T) / (2 * splits)
    coords = {name: ("time_bin", recording[name].values) for name in TIMES if name in recording}
    coords |= {f"other_{name}": ("other_time_bin", v) for name, (_, v) in list(coords.items())}
    return xr.DataArray(
        values,
        dims=("area", "time_bin", "other_time_bin"),
        coords={"area": names, **coords},
        name="generalisation",
        attrs={
            "long_name": "split-half RDM similarity (pearson)",
            "by": by,
            "measure": measure,
            "splits": splits,
            "seed": seed,
            "source": str(recording.attrs.get("source", "unknown")),
        },
    )


def _compute_half_rdms(
    part: xr.Dataset, by: str, measure: str, seed: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the RDMs (time_bin, pair) of two halves, centred and of length 1; NaN if undefined."""
    halves: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for k in range(part.sizes["time_bin"]):
        response = part["response"].isel(time_bin=k)
        values = response.transpose("repetition", "stimulus", "site").values.astype(float)
        few = int((np.isfinite(values).sum(0) < 2).sum())
        if few:
            raise RecordingError(
                f"{few} stimulus-site pairs have fewer than two repetitions, so that there are no "
                "halves: leave them out with select_recording(...)."
            )
        generator = np.random.default_rng(seed)  # the same halves in every bin
        for half, mean in zip(halves, divide_repetitions(values, 2, generator), strict=True):
            labelled = response.isel(repetition=0).transpose("stimulus", "site").copy(data=mean)
            half.append(_standardise(average_conditions(labelled, by).values, measure))
    return np.stack(halves[0]), np.stack(halves[1])


def _standardise(patterns: np.ndarray, measure: str) -> np.ndarray:
    """Return an RDM (pair,), centred and of length 1, or NaN where it is undefined or constant."""
    undefined = find_measure(measure).undefined
    if undefined is not None and undefined(patterns)[0].any():
        return np.full(len(patterns) * (len(patterns) - 1) // 2, np.nan)
    return standardise(pattern_distances(patterns, measure))


def _correlate_rows(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the correlations of standardised rows; NaN for rows that are undefined."""
    defined = np.isfinite(a[:, 0])[:, None] & np.isfinite(b[:, 0])[None, :]
    return np.where(defined, np.nan_to_num(a) @ np.nan_to_num(b).T, np.nan)
