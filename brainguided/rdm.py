"""Representational dissimilarity matrices: compute them, compare them, convert them.

The container is always :class:`rsatoolbox.rdm.RDMs`. What this module adds is meaning: the labels
of the conditions travel with the dissimilarities and every comparison checks them.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from brainguided.alignment import check_alignment, condition_labels, repeated
from neural_data.dissimilarities import validate_dissimilarities
from neural_data.errors import RecordingError
from neural_data.recording import average_repetitions, select_recording, validate_recording

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

UNIT_DIMS = ("site", "unit")


def compute_rdms(responses: xr.Dataset | xr.DataArray, *, by: str = "stimulus") -> RDMs:
    """Return the correlation-distance RDMs of a recording or of one response matrix.

    The dissimilarity of two conditions is one minus the Pearson correlation of their response
    patterns across sites (or units), ``M[i, j] = 1 - corr(F[i], F[j])`` [1]_. Repetitions are
    averaged first. With ``by`` other than ``"stimulus"`` the mean response to all stimuli that
    share a value of that coordinate is one pattern (object or category RDMs). Nothing else is
    done to the responses: they are neither z-scored nor centred per site, and doing so would
    change the result.

    Parameters
    ----------
    responses : xr.Dataset or xr.DataArray
        A recording (one RDM an area, in order of first appearance), or responses with dims
        (stimulus, site) or (stimulus, unit): one RDM, or one for each value of a coordinate
        ``area`` over the sites. Any units; the distance has none.
    by : str, optional
        Coordinate over dim ``stimulus`` whose values are the conditions.

    Returns
    -------
    rsatoolbox.rdm.RDMs
        Dissimilarities in [0, 2]. ``pattern_descriptors`` hold the condition labels under the
        name given as `by`, and every other stimulus coordinate that is constant within each
        condition; ``rdm_descriptors`` hold ``area`` and ``n_sites``.

    Raises
    ------
    RecordingError
        If responses are missing or constant across sites for a condition (the correlation of a
        constant pattern is undefined), if there are fewer than 3 sites or fewer than 3
        conditions, if `by` is no stimulus coordinate, or if time bins were not reduced first.

    References
    ----------
    .. [1] Bashivan, Tensen & DiCarlo (2019), Teacher Guided Architecture Search, ICCV, eq. 1.

    Examples
    --------
    >>> from neural_data.simulate import simulate_macaque
    >>> recording, stimuli = simulate_macaque(seed=1)
    >>> rdms = compute_rdms(recording, by="object_name")
    >>> rdms.n_rdm, rdms.n_cond, list(rdms.rdm_descriptors["area"])
    (2, 64, ['V4', 'IT'])
    """
    if isinstance(responses, xr.Dataset):
        validate_recording(responses)
        areas = list(dict.fromkeys(responses["area"].values.tolist()))
        matrices = [average_repetitions(select_recording(responses, area=a)) for a in areas]
    else:
        areas = [str(responses.attrs.get("area", responses.name or "responses"))]
        matrices = [responses]
        if "area" in responses.coords and responses["area"].ndim == 1:
            labels = responses["area"].values
            areas = [str(a) for a in dict.fromkeys(labels.tolist())]
            dim = responses["area"].dims[0]
            matrices = [responses.isel({dim: labels == a}) for a in areas]
    means = [
        average_conditions(_patterns(m, area), by) for m, area in zip(matrices, areas, strict=True)
    ]
    for area, mean in zip(areas, means, strict=True):
        _refuse_undefined(mean, area, by)
    rows = [upper_triangle(correlation_distances(mean.values)) for mean in means]
    source = str(responses.attrs.get("source", "unknown"))
    return build_rdms(
        np.stack(rows),
        conditions=means[0],
        by=by,
        rdm_descriptors={"area": areas, "n_sites": [mean.shape[1] for mean in means]},
        source=source,
    )


def average_conditions(responses: xr.DataArray, by: str) -> xr.DataArray:
    """Return the mean response to each condition, dims (`by`, unit), conditions as they appear.

    Coordinates over ``stimulus`` that are constant within every condition are kept.
    """
    unit_dim = str(responses.dims[1])
    if by == "stimulus":
        return responses
    index, labels = condition_index(responses, by)
    sums = np.zeros((len(labels), responses.sizes[unit_dim]))
    np.add.at(sums, index, responses.values)
    counts = np.bincount(index)
    first = np.array([int(np.flatnonzero(index == k)[0]) for k in range(len(labels))])
    coords: dict[Hashable, Any] = {by: (by, np.asarray(labels))}
    for name, values in _stimulus_coords(responses).items():
        if name != by and np.array_equal(values[first][index], values):
            coords[name] = (by, values[first])
    return xr.DataArray(sums / counts[:, None], dims=(by, unit_dim), coords=coords)


def condition_index(labelled: xr.DataArray | xr.Dataset, by: str) -> tuple[np.ndarray, list[str]]:
    """Return, for every stimulus, the number of its condition, and the conditions' labels.

    Raises
    ------
    RecordingError
        If `by` is not a coordinate over dim ``stimulus``.
    """
    known = _stimulus_coords(labelled)
    if by not in known:
        raise RecordingError(
            f"No coordinate {by!r} over dim 'stimulus' to group by; the stimuli have "
            f"{sorted(known)}. Assign one with .assign_coords({by}=('stimulus', labels))."
        )
    raw = known[by].tolist()
    empty = [n for n, v in enumerate(raw) if v is None or v != v or str(v) == ""]
    if empty:
        raise RecordingError(
            f"{len(empty)} of {len(raw)} stimuli have no {by!r}, e.g. "
            f"{labelled['stimulus'].values[empty[:3]].tolist()}: leave them out or label them, or "
            "they would be averaged as if they were one condition."
        )
    values = [str(v) for v in raw]
    labels = list(dict.fromkeys(values))
    number = {label: k for k, label in enumerate(labels)}
    return np.array([number[v] for v in values]), labels


def correlation_distances(patterns: np.ndarray) -> np.ndarray:
    """Return 1 - Pearson r between all rows of `patterns` (condition, unit) in float64."""
    gram = np.zeros((len(patterns), len(patterns)))
    accumulate_gram(gram, np.asarray(patterns, dtype=float))
    return gram_to_distances(gram)


def accumulate_gram(gram: Any, patterns: Any, *, chunk: int = 8192) -> None:
    """Add the inner products of centred patterns to `gram`, a chunk of units at a time.

    Works on numpy arrays and torch tensors alike, without a centred copy of the whole matrix:
    beside the input it holds one block of `chunk` units.

    Parameters
    ----------
    gram : array (condition, condition)
        Changed in place.
    patterns : array (condition, unit)
        All units of one layer.
    chunk : int, optional
        Units per block.
    """
    centre = patterns.mean(1)[:, None]
    for start in range(0, patterns.shape[1], chunk):
        block = patterns[:, start : start + chunk] - centre
        gram += block @ block.T


def gram_to_distances(gram: np.ndarray) -> np.ndarray:
    """Return 1 - Pearson r from the Gram matrix of centred patterns (condition, condition).

    A constant pattern (a silent image, a dead layer) has no correlation with anything: its
    correlation is defined as 0, so its dissimilarity from every other condition is 1.
    """
    gram = np.asarray(gram, dtype=float)
    variance = np.diag(gram).copy()
    scale = np.zeros_like(variance)
    alive = variance > 1e-12 * variance.max(initial=0.0)
    scale[alive] = 1 / np.sqrt(variance[alive])
    distances = 1 - gram * scale[:, None] * scale[None, :]
    np.fill_diagonal(distances, 0.0)
    return np.clip(distances, 0.0, 2.0)


def upper_triangle(matrix: np.ndarray) -> np.ndarray:
    """Return the entries above the diagonal, row by row, as rsatoolbox orders them."""
    return matrix[np.triu_indices(len(matrix), 1)]


def build_rdms(
    dissimilarities: np.ndarray,
    *,
    conditions: xr.DataArray | xr.Dataset,
    by: str,
    rdm_descriptors: dict[str, list],
    source: str,
) -> RDMs:
    """Wrap vectors (rdm, pair) into rsatoolbox RDMs with the labels that ours always carry."""
    from rsatoolbox.rdm import RDMs

    patterns = {k: v.astype(str).tolist() for k, v in _stimulus_coords(conditions, by).items()}
    return RDMs(
        dissimilarities=np.atleast_2d(dissimilarities),
        dissimilarity_measure="correlation",
        descriptors={"conditions": by, "source": source},
        rdm_descriptors=dict(rdm_descriptors),
        pattern_descriptors=patterns,
    )


def compare_rdms(a: RDMs, b: RDMs) -> np.ndarray:
    """Return the Pearson correlation between the dissimilarities of every RDM of `a` and of `b`.

    The similarity of two representations [1]_: Pearson r between the upper triangles. Both sides
    must have the same condition labels in the same order.

    Parameters
    ----------
    a, b : rsatoolbox.rdm.RDMs
        RDMs over the same conditions.

    Returns
    -------
    ndarray (len(a), len(b))
        Pearson r in [-1, 1].

    Raises
    ------
    AlignmentError
        If the condition labels are absent, repeat, or differ in number, name or order.
    ValueError
        If an RDM holds NaN or is constant, so that its correlation is undefined.

    References
    ----------
    .. [1] Bashivan, Tensen & DiCarlo (2019), ICCV, section 3.1.
    """
    check_alignment(
        condition_labels(a, name="The first RDMs"),
        condition_labels(b, name="The second RDMs"),
        names=("The first RDM", "the second"),
    )
    sides = []
    for rdms, which in ((a, "first"), (b, "second")):
        vectors = np.array(rdms.dissimilarities, dtype=float)
        missing = np.flatnonzero(~np.isfinite(vectors).all(1))
        flat = np.flatnonzero(np.ptp(vectors, axis=1) == 0)
        problems = [f"numbers {missing.tolist()} hold NaN"] if missing.size else []
        problems += [f"numbers {flat.tolist()} are constant"] if flat.size else []
        if problems:
            raise ValueError(
                f"The {which} RDMs cannot be compared: {' and '.join(problems)}. Leave out stimuli "
                "or layers without responses first."
            )
        sides.append(standardise(vectors))
    return sides[0] @ sides[1].T


def standardise(vectors: np.ndarray) -> np.ndarray:
    """Return rows with mean 0 and length 1, so that an inner product is a Pearson r.

    A constant row becomes NaN.
    """
    centred = vectors - vectors.mean(-1, keepdims=True)
    norm = np.linalg.norm(centred, axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(norm > 1e-12 * vectors.shape[-1] ** 0.5, centred / norm, np.nan)


def rdms_from_dissimilarities(dissimilarities: xr.Dataset) -> RDMs:
    """Turn a dissimilarities dataset (area, stimulus, other_stimulus) into rsatoolbox RDMs.

    Raises
    ------
    RecordingError
        If the dataset does not follow the layout (see ``neural_data.dissimilarities``).
    """
    validate_dissimilarities(dissimilarities)
    values = dissimilarities["dissimilarity"].transpose("area", "stimulus", "other_stimulus")
    return build_rdms(
        np.stack([upper_triangle(m) for m in values.values.astype(float)]),
        conditions=dissimilarities,
        by="stimulus",
        rdm_descriptors={"area": dissimilarities["area"].values.astype(str).tolist()},
        source=str(dissimilarities.attrs.get("source", "unknown")),
    )


def dissimilarities_from_rdms(rdms: RDMs) -> xr.Dataset:
    """Turn rsatoolbox RDMs into a dissimilarities dataset that can be saved as netCDF.

    RDMs are named by their descriptor ``area``, ``layer`` or ``name``.

    Raises
    ------
    AlignmentError
        If the conditions have no unique labels.
    """
    labels = condition_labels(rdms)
    names = next(
        (rdms.rdm_descriptors[k] for k in ("area", "layer", "name") if k in rdms.rdm_descriptors),
        [f"rdm{k}" for k in range(rdms.n_rdm)],
    )
    coords: dict[Hashable, Any] = {
        "area": [str(n) for n in names],
        "stimulus": labels,
        "other_stimulus": labels,
    }
    for key, values in rdms.pattern_descriptors.items():
        if key not in ("index", "stimulus", rdms.descriptors.get("conditions")):
            coords[key] = ("stimulus", [str(v) for v in values])
    dataset = xr.Dataset(
        {"dissimilarity": (("area", "stimulus", "other_stimulus"), rdms.get_matrices())},
        coords=coords,
        attrs={"source": str(rdms.descriptors.get("source", "unknown"))},
    )
    dataset["dissimilarity"].attrs["units"] = "1 - Pearson r"
    return dataset


def _patterns(responses: xr.DataArray, area: str) -> xr.DataArray:
    """Return `responses` as (stimulus, unit), refusing any other dims."""
    unit = next((d for d in UNIT_DIMS if d in responses.dims), None)
    extra = [d for d in responses.dims if d not in ("stimulus", unit)]
    if "time_bin" in extra and responses.sizes["time_bin"] == 1:
        responses = responses.isel(time_bin=0, drop=True)
        extra.remove("time_bin")
    if unit is None or "stimulus" not in responses.dims or extra:
        raise RecordingError(
            f"The responses of {area} have dims {tuple(responses.dims)}; an RDM needs (stimulus, "
            "site) or (stimulus, unit). Average or select the others first, e.g. "
            f"responses.mean({str(extra[0] if extra else 'time_bin')!r})."
        )
    return responses.transpose("stimulus", unit)


def _refuse_undefined(patterns: xr.DataArray, area: str, by: str) -> None:
    """Raise one RecordingError that lists all that makes correlation distances undefined."""
    problems = []
    values = patterns.values
    labels = patterns[by].values if by in patterns.coords else np.arange(len(values))
    if values.shape[0] < 3 or values.shape[1] < 3:
        problems.append(
            f"{values.shape[0]} conditions x {values.shape[1]} sites: at least 3 x 3 are needed"
        )
    missing = ~np.isfinite(values).all(1)
    if missing.any():
        problems.append(
            f"{int(missing.sum())} conditions have missing or infinite responses, e.g. "
            f"{labels[missing][:3].tolist()}"
        )
    elif values.size:
        flat = np.ptp(values, axis=1) <= 1e-12 * np.abs(values).max(1)
        if flat.any():
            problems.append(
                f"{int(flat.sum())} conditions have the same response at every site, so their "
                f"correlation is undefined, e.g. {labels[flat][:3].tolist()}: leave them out"
            )
    if len(set(map(str, labels))) < len(labels):
        problems.append(f"condition labels repeat, e.g. {repeated(map(str, labels))[:3]}")
    if problems:
        lines = "".join(f"\n  - {p}" for p in problems)
        raise RecordingError(f"No correlation RDM can be computed for {area}:{lines}")


def _stimulus_coords(
    labelled: xr.DataArray | xr.Dataset, dim: str = "stimulus"
) -> dict[str, np.ndarray]:
    dim = dim if dim in labelled.dims else "stimulus"
    return {str(k): v.values for k, v in labelled.coords.items() if v.dims == (dim,)}
