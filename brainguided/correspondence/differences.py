"""Tests of one layer, or one network, against another."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from brainguided.rdms.units import FEWEST_UNITS
from brainguided.rdms.variables import name_results
from neural_data.errors import raise_problems
from neural_data.rounding import TOLERANCE

SHARED = ("method", "measure", "by", "resampled", "unit", "draws", "seed", "source", "history")
"""Attributes that correspondences have in common if their draws are the same."""
MANY = 10**6
"""Degrees of freedom of standard errors that are known."""
FEWEST_FREE = 5
"""Degrees of freedom from which the standard deviation of draws says more than their quantile."""
BLOCK = 1 << 21
"""Numbers that are drawn at a time."""


def compare_layers(correspondence: xr.Dataset) -> xr.Dataset:
    """Test whether one layer matches an area better than another does, for all pairs of layers.

    The difference of two similarities, on Fisher's z, is divided by its standard error, that of the
    draws, and compared with Student's t. The corrected p-value is the share of simulated samples
    without differences in which the largest ratio over all pairs of layers is as large [1]_. Both
    speak of other units of stimuli, those of ``attrs["unit"]``.

    Parameters
    ----------
    correspondence : xr.Dataset
        With ``similarity`` (layer, area) and ``similarity_draws`` (bootstrap, layer, area), as
        from ``correspondence.compute_correspondence``.

    Returns
    -------
    xr.Dataset (area, layer, other_layer, bound)
        `difference`: similarity of ``layer`` minus that of ``other_layer``; `interval` (bound) of
        95 %; `p_value`; `corrected_p_value`. NaN in areas of fewer than 6 units, which have no
        draws.

    Raises
    ------
    ValueError
        If there are no draws.

    References
    ----------
    .. [1] Westfall & Young (1993), Resampling-based multiple testing, section 2.3.
    """
    _refuse_undrawn(correspondence)
    estimate = correspondence["similarity"].transpose("area", "layer").values
    draws = correspondence["similarity_draws"].transpose("area", "bootstrap", "layer").values
    layers = correspondence["layer"].values.tolist()
    areas = correspondence["area"].values.tolist()
    return _tabulate(
        estimate, draws, _find_freedom(correspondence), {"area": areas, "layer": layers}
    )


def compare_networks(
    correspondences: Mapping[str, xr.Dataset], *, layers: Mapping[str, str] | None = None
) -> xr.Dataset:
    """Test whether one network matches an area better than another does, for all pairs of them.

    As `compare_layers`, of one layer of each network: draws are the same for all networks that
    were compared with one teacher with one seed, so that what is alike in two of them cancels.

    Parameters
    ----------
    correspondences : mapping of str to xr.Dataset
        Of two networks or more (a winner and its control, say) with the same teacher, inference
        and seed, as from ``correspondence.compute_correspondence``; by name.
    layers : mapping of str to str, optional
        Layer of each network, for all areas; by default the committed layer of each area. A layer
        that was chosen by the same responses flatters networks with many layers: name layers that
        were chosen otherwise where the difference is small.

    Returns
    -------
    xr.Dataset (area, network, other_network, bound)
        `difference`: similarity of ``network`` minus that of ``other_network``; `interval` (bound)
        of 95 %; `p_value`; `corrected_p_value`, for all pairs of networks; `similarity` and
        `layer` (area, network): what was compared.

    Raises
    ------
    ValueError
        If there are fewer than two networks, they were not compared with the same areas in the
        same way, one has no draws, or a layer is unknown, as the committed one is of too few units.
    """
    names = list(correspondences)
    if len(names) < 2:
        raise ValueError(f"There are {len(names)} networks to compare; expected two or more.")
    first = correspondences[names[0]]
    areas = [str(a) for a in first["area"].values]
    for name, one in correspondences.items():
        _refuse_undrawn(one, name)
        other = [k for k in SHARED if one.attrs.get(k) != first.attrs.get(k)]
        if [str(a) for a in one["area"].values] != areas or other:
            raise ValueError(
                f"{name!r} and {names[0]!r} were not compared with the same areas in the same way; "
                f"they differ in {', '.join(other) or 'areas'}. Compute both with one teacher, "
                "method, inference and seed."
            )
    chosen = [
        [
            str(one["committed_layer"].sel(area=area).item()) if layers is None else layers[name]
            for name, one in correspondences.items()
        ]
        for area in areas
    ]
    lacking = [
        f"{name!r} has no layer {row[k]!r}"
        if row[k]
        else f"{name!r} has no committed layer in {area}, as with splits=0 or fewer than "
        f"{FEWEST_UNITS} units: name one with layers="
        for area, row in zip(areas, chosen, strict=True)
        for k, (name, one) in enumerate(correspondences.items())
        if row[k] not in one["layer"].values
    ]
    raise_problems("No networks to compare", list(dict.fromkeys(lacking)), ValueError)

    def gather(variable: str) -> np.ndarray:
        return np.array(
            [
                [
                    correspondences[name][variable].sel(area=area, layer=layer).values
                    for name, layer in zip(names, row, strict=True)
                ]
                for area, row in zip(areas, chosen, strict=True)
            ]
        )

    draws = gather("similarity_draws").transpose(0, 2, 1)
    coords = {"area": areas, "network": names}
    result = _tabulate(gather("similarity"), draws, _find_freedom(first), coords)
    result["similarity"] = (("area", "network"), gather("similarity"))
    result["layer"] = (("area", "network"), np.array(chosen))
    return result.assign_attrs({k: first.attrs[k] for k in SHARED if k in first.attrs})


def _refuse_undrawn(correspondence: xr.Dataset, name: str = "") -> None:
    """Raise ValueError where no area has draws."""
    of = f" of {name!r}" if name else ""
    if "similarity_draws" not in correspondence or not correspondence.sizes.get("bootstrap"):
        raise ValueError(
            f"The correspondence{of} holds no bootstrap draws; compute it with draws of 100 or "
            "more."
        )


def _tabulate(
    estimate: np.ndarray, draws: np.ndarray, freedom: list[int], coords: dict[str, list[str]]
) -> xr.Dataset:
    """Return differences of similarities (area, thing), by their draws (area, draw, thing)."""
    dim = next(name for name in coords if name != "area")
    shape = (*estimate.shape, estimate.shape[1])
    p, corrected = np.full(shape, np.nan), np.full(shape, np.nan)
    difference = estimate[:, :, None] - estimate[:, None, :]
    interval = np.full((*shape, 2), np.nan)
    for k, (r, drawn) in enumerate(zip(estimate, draws, strict=True)):
        p[k], corrected[k] = _test_pairs(r, drawn, freedom[k])
        about = drawn - drawn.mean(0)
        for n in range(len(r)):  # all pairs at once would take the square of the layers' memory
            bounds = np.quantile(about[:, n : n + 1] - about, [0.025, 0.975], axis=0)
            interval[k, n] = (difference[k, n] + bounds).T
    dims = ("area", dim, f"other_{dim}")
    return name_results(
        xr.Dataset(
            {
                "difference": (dims, difference),
                "interval": ((*dims, "bound"), interval),
                "p_value": (dims, p),
                "corrected_p_value": (dims, corrected),
            },
            coords={**coords, f"other_{dim}": coords[dim], "bound": ["lower", "upper"]},
        )
    )


def _find_freedom(correspondence: xr.Dataset) -> list[int]:
    """Return the degrees of freedom of the standard errors of each area."""
    if "degrees_of_freedom" in correspondence:
        return [int(n) for n in correspondence["degrees_of_freedom"].values]
    return [MANY] * correspondence.sizes["area"]


def _test_pairs(
    similarity: np.ndarray, draws: np.ndarray, freedom: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return p-values (layer, layer) of all differences, and those corrected for their number.

    Parameters
    ----------
    similarity : ndarray (layer,)
    draws : ndarray (draw, layer)
        With quantiles of Student's t.
    freedom : int
        Degrees of freedom of the standard errors.
    """
    from scipy.stats import t

    limit = 1 - TOLERANCE
    z = np.arctanh(np.clip(similarity, -limit, limit))
    about = np.arctanh(np.clip(draws, -limit, limit))
    about = about - about.mean(0)
    if freedom >= FEWEST_FREE:
        spread = np.stack([(about - row[:, None]).std(0) for row in about.T])
        error = spread * np.sqrt((freedom - 2) / freedom)
    else:  # the variance of Student's t is hardly defined
        rows = [np.quantile(np.abs(about - row[:, None]), 0.95, axis=0) for row in about.T]
        error = np.stack(rows) / t.ppf(0.975, freedom)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.abs(z[:, None] - z[None, :]) / error
    alone = np.isfinite(ratio) & (error > 1e-9)  # two layers may be the same but for rounding
    p = 2 * t.sf(ratio, freedom)
    largest = np.sort(_draw_largest(np.cov(about, rowvar=False), alone, len(draws), freedom))
    exceeded = len(largest) - np.searchsorted(largest, ratio)
    corrected = (1 + exceeded) / (1 + len(draws))
    return np.where(alone, p, np.nan), np.where(alone, np.maximum(p, corrected), np.nan)


def _draw_largest(
    covariance: np.ndarray, pairs: np.ndarray, draws: int, freedom: int
) -> np.ndarray:
    """Return the largest of all differences over their errors, where no layer differs: (draw,).

    Each difference is divided by an error of its own, estimated from as many units: one error for
    all would make the largest ratio too small.

    Parameters
    ----------
    covariance : ndarray (layer, layer)
        Of the similarities; its scale does not matter.
    pairs : ndarray of bool (layer, other_layer)
        Which differences are tested.
    """
    if not pairs.any():
        return np.zeros(draws)
    generator = np.random.default_rng(0)
    known = pairs.any(0)
    tested = pairs[np.ix_(known, known)]
    values, vectors = np.linalg.eigh(covariance[np.ix_(known, known)])
    root = (vectors * np.sqrt(np.maximum(values, 0))).T
    sampled = min(freedom, 100)
    step = max(1, BLOCK // (sampled * len(root)))
    largest = np.empty(draws)
    for start in range(0, draws, step):
        part = largest[start : start + step]
        found = generator.normal(size=(len(part), len(root))) @ root
        samples = generator.normal(size=(len(part), sampled, len(root))) @ root
        products = samples.transpose(0, 2, 1) @ samples / sampled
        squares = np.einsum("dll->dl", products)
        variance = (squares[:, :, None] + squares[:, None, :] - 2 * products)[:, tested]
        difference = (found[:, :, None] - found[:, None, :])[:, tested]
        part[:] = np.sqrt((difference**2 / variance).max(1))
    return largest
