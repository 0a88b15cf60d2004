"""Spike times of many sites: their schema, and how they are made of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from neural_data.errors import RecordingError, format_names, raise_problems
from neural_data.labels import as_labels
from neural_data.model.schema import check_labels, check_savable, check_source, describe_wrong_dims


def validate_spikes(spikes: xr.Dataset, *, name: str = "spikes") -> xr.Dataset:
    """Return the spike times themselves if they follow the schema; otherwise say what is wrong.

    Spike times are kept as a contiguous ragged array [1]_: the spikes of the first site, then
    those of the second, and so on.

    Parameters
    ----------
    spikes : xarray.Dataset
        ``spike_time (spike)`` : float64, ``attrs["units"]`` "ms", ascending within each site,
        all on one clock. ``spike_count (site)`` : whole numbers whose sum is the number of
        spikes. Where sites were not observed all the time, ``observed_start`` and
        ``observed_end (observation)`` in ms and ``observation_count (site)`` say when, ragged as
        the spikes are. Coordinates over site: ``site``, unique text; ``area``, text; any others.
        ``attrs["source"]`` says where the data come from.
    name : str
        What to call the spike times in the message, for instance the file name.

    Returns
    -------
    xarray.Dataset
        The same object.

    Raises
    ------
    RecordingError
        One message with a line for every problem found.

    References
    ----------
    .. [1] CF conventions 1.11, section 9.3.3, contiguous ragged array representation.
    """
    if not isinstance(spikes, xr.Dataset):
        raise RecordingError(
            f"{name} is a {type(spikes).__name__}; spike times are an xarray.Dataset. From "
            "arrays, make one with spikes_from_arrays(...)."
        )
    problems = _check_variables(spikes)
    if not problems:
        problems += _check_times(spikes)
    problems += _check_observations(spikes)
    problems += check_labels(spikes, "site", unique=True)
    problems += check_labels(spikes, "area", dim="site", example="'V4' or 'IT'")
    for coord in spikes.coords:
        if coord not in ("site", "area") and spikes[coord].dims not in (("site",), ()):
            problems.append(describe_wrong_dims(spikes, str(coord), "site"))
    problems += check_source(spikes)
    problems += check_savable(spikes)
    raise_problems(f"{name} does not follow the schema of spike times", problems)
    return spikes


def spikes_from_arrays(
    times: Any,
    site_of_spike: Any,
    *,
    area: str | Sequence[str],
    source: str,
    site: Sequence[str] | None = None,
    animal: str | Sequence[str] | None = None,
) -> xr.Dataset:
    """Make spike times of two flat lists: when, and at which site.

    Parameters
    ----------
    times : array of numbers (spike,)
        In ms, on one clock, in any order.
    site_of_spike : array (spike,)
        The site of each spike: its name, or its position in `site`, from 0.
    area : str or sequence of str
        The area of all sites, or one for each site.
    source : str
        Where the data come from: lab, paper, file.
    site : sequence of str, optional
        The names of all sites, also of those without a spike. Without it the sites are the
        names in `site_of_spike`, in the order in which they first appear.
    animal : str or sequence of str, optional
        The animal of all sites, or one for each site.

    Returns
    -------
    xarray.Dataset
        Spike times, see `validate_spikes`.

    Raises
    ------
    RecordingError
        One message with a line for every problem found.

    Examples
    --------
    >>> from neural_data.model.spikes import spikes_from_arrays
    >>> spikes = spikes_from_arrays([12.0, 3.5, 7.0], ["a", "a", "b"], area="IT",
    ...     source="made up")
    >>> spikes["spike_time"].values.tolist(), spikes["spike_count"].values.tolist()
    ([3.5, 12.0, 7.0], [2, 1])
    """
    moments = np.asarray(times)
    owners = as_labels(site_of_spike)
    problems = []
    if moments.ndim != 1 or moments.dtype.kind not in "iuf":
        problems.append(
            f"the times are {moments.dtype} of shape {moments.shape}; expected a flat list of ms"
        )
    if owners.shape != moments.shape:
        problems.append(f"{owners.size} sites of spikes for {moments.size} times")
    if owners.size and owners.dtype.kind not in "iuUT":
        problems.append(f"the sites of spikes are {owners.dtype}; expected names or positions")
    if site is None and owners.dtype.kind in "iu":
        problems.append("the sites of spikes are positions: give the names as site=[...]")
    raise_problems("These are no spike times", problems)
    names = _first_seen(owners) if site is None else as_labels(site)
    codes = _find_sites(owners, names, problems)
    labels = {"site": names}
    given: list[tuple[str, Any]] = [("area", area), ("animal", animal)]
    for coord, values in given:
        if values is None:
            continue
        labels[coord] = as_labels([values] * names.size if isinstance(values, str) else values)
        if labels[coord].shape != names.shape:
            problems.append(f"{labels[coord].size} labels for {coord!r} of {names.size} sites")
    raise_problems("These are no spike times", problems)
    order = np.lexsort((moments, codes))
    spikes = xr.Dataset(
        {
            "spike_time": ("spike", moments[order].astype(np.float64), {"units": "ms"}),
            "spike_count": (
                "site",
                np.bincount(codes, minlength=names.size).astype(np.int64),
                {"sample_dimension": "spike"},
            ),
        },
        coords={coord: ("site", values) for coord, values in labels.items()},
        attrs={"source": source},
    )
    return validate_spikes(spikes, name="what was made of these arrays")


def _check_variables(spikes: xr.Dataset) -> list[str]:
    problems = []
    kinds = {"spike_time": ("spike", "f", "float64 in ms"), "spike_count": ("site", "iu", "counts")}
    for name, (dim, kind, what) in kinds.items():
        if name not in spikes.data_vars:
            seen = format_names(spikes.data_vars) or "none"
            problems.append(f"no variable {name!r} (variables: {seen})")
            continue
        if spikes[name].dims != (dim,):
            problems.append(describe_wrong_dims(spikes, name, dim))
        if spikes[name].dtype.kind not in kind:
            problems.append(f"{name!r} holds {spikes[name].dtype}; expected {what}")
    if "spike_time" in spikes.data_vars and spikes["spike_time"].attrs.get("units") != "ms":
        units = spikes["spike_time"].attrs.get("units")
        problems.append(f"'spike_time' has attrs['units'] {units!r}; expected 'ms'")
    return problems


def _check_times(spikes: xr.Dataset) -> list[str]:
    times, counts = spikes["spike_time"].values, spikes["spike_count"].values
    if counts.size == 0:
        return ["there are no sites"]
    if (counts < 0).any():
        return [f"'spike_count' is below 0 at {int((counts < 0).sum())} sites"]
    if int(counts.sum()) != times.size:
        return [f"'spike_count' adds up to {int(counts.sum())}; there are {times.size} spikes"]
    problems = []
    wrong = int((~np.isfinite(times)).sum())
    if wrong:
        problems.append(f"'spike_time' is NaN or infinite at {wrong} of {times.size} spikes")
    falls = times[1:] < times[:-1]
    ends = np.cumsum(counts)[:-1]
    falls[ends[(ends > 0) & (ends < times.size)] - 1] = False  # from one site to the next
    if falls.any():
        first = int(np.searchsorted(np.cumsum(counts), np.flatnonzero(falls)[0], side="right"))
        problems.append(
            f"'spike_time' falls {int(falls.sum())} times within a site, first at site number "
            f"{first}; expected ascending times, as spikes_from_arrays makes them"
        )
    return problems


def _check_observations(spikes: xr.Dataset) -> list[str]:
    dims = {"observed_start": "observation", "observed_end": "observation"}
    dims["observation_count"] = "site"
    given = [name for name in dims if name in spikes.data_vars]
    if not given:
        return []
    if len(given) < len(dims) or any(spikes[name].dims != (dim,) for name, dim in dims.items()):
        return [
            f"when sites were observed takes {format_names(f'{n} ({d})' for n, d in dims.items())}"
        ]
    start, end = spikes["observed_start"].values, spikes["observed_end"].values
    if (spikes["observation_count"].values < 0).any():
        return ["'observation_count' is below 0"]
    if int(spikes["observation_count"].sum()) != start.size:
        return [f"'observation_count' does not add up to the {start.size} observations"]
    return [] if (start <= end).all() else ["some observations end before they start"]


def _first_seen(owners: np.ndarray) -> np.ndarray:
    names, first = np.unique(owners, return_index=True)
    return names[np.argsort(first)]


def _find_sites(owners: np.ndarray, names: np.ndarray, problems: list[str]) -> np.ndarray:
    """Find the position of the site of every spike."""
    if owners.dtype.kind in "iu":
        outside = (owners < 0) | (owners >= names.size)
        if outside.any():
            problems.append(
                f"{int(outside.sum())} spikes are of sites outside 0 to {names.size - 1}, such as "
                f"{int(owners[outside][0])}: positions count from 0"
            )
        return np.where(outside, 0, owners).astype(np.int64)
    if owners.size == 0:
        return np.zeros(0, dtype=np.int64)
    found, inverse = np.unique(owners.astype(str), return_inverse=True)
    position = {name: i for i, name in enumerate(names.tolist())}
    unknown = [name for name in found.tolist() if name not in position]
    if unknown:
        problems.append(f"spikes of sites that are not in site=[...]: {format_names(unknown)}")
    return np.array([position.get(name, 0) for name in found.tolist()], dtype=np.int64)[inverse]
