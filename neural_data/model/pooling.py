"""Animals and sessions side by side: several recordings, or several sets of images, in one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from neural_data.errors import RecordingError, format_names, raise_problems
from neural_data.model.origin import is_simulated
from neural_data.model.schema import TIME_COORDS, add_step
from neural_data.model.stimuli import validate_stimuli
from neural_data.model.validation import check_structure, validate_recording

Named = Mapping[str, xr.Dataset] | Sequence[xr.Dataset]
KEPT = ("same", "shared", "all", "apart")


def pool_recordings(
    recordings: Named, *, stimuli: Literal["same", "shared", "all", "apart"] = "same"
) -> xr.Dataset:
    """Put the sites of several recordings, of other animals or sessions, side by side.

    Stimuli are joined by name; values are never changed. Each site keeps its own repetitions,
    which may be unequal in number: those of a stimulus are numbered from 0 in each recording, in
    their order, and presentations that sites shared stay shared.

    Parameters
    ----------
    recordings : mapping of str to xarray.Dataset, or sequence of xarray.Dataset
        Two or more, of the same units and, if any, the same time bins. The names become the
        ``session`` of the sites (numbers from "1" if there are none) where a recording has no
        such coordinate, and come before the names of sites where two recordings share one:
        "monday.site_1".
    stimuli : {"same", "shared", "all", "apart"}, optional
        What happens to stimuli that only some recordings have: "same" refuses them, "shared"
        leaves them out, "all" keeps them (sites have gaps where they did not see them), "apart"
        keeps them, and makes the areas of each recording areas of their own, "V4 (monday)".

    Returns
    -------
    xarray.Dataset
        A recording in memory, with ``session`` and, if the recordings have it, ``animal`` over
        sites. Sources are joined; the history has the steps of each recording, by its name.
        Coordinates that not all recordings have are left out, and named in the history.

    Raises
    ------
    RecordingError
        Units, time bins, windows or labels of stimuli differ, animals are named in some
        recordings only, stimuli differ as they may not, or none are shared; every problem is
        listed.

    Examples
    --------
    >>> from neural_data import pool_recordings, recording_from_arrays
    >>> a, b = (recording_from_arrays([[1.0, 2.0], [3.0, 4.0]], stimulus=names, site=["s1", "s2"],
    ...     area="V4", units="spikes/s", source="made up", animal=animal)
    ...     for names, animal in ((["x", "y"], "A"), (["y", "z"], "B")))
    >>> pooled = pool_recordings({"A": a, "B": b}, stimuli="shared")
    >>> pooled.site.values.tolist(), pooled.stimulus.values.tolist()
    (['A.s1', 'A.s2', 'B.s1', 'B.s2'], ['y'])
    """
    if stimuli not in KEPT:
        raise ValueError(f"stimuli is {stimuli!r}; it is one of {', '.join(map(repr, KEPT))}.")
    named = _name_all(recordings, "recordings")
    for name, recording in named.items():
        check_structure(recording, name=f"recording {name}")
    problems = _compare_responses(named) + _find_repeated(named)
    chosen = _choose_stimuli(named, stimuli, problems)
    labels, left_out = _join_stimulus_labels(named, chosen, problems)
    raise_problems("These recordings cannot be pooled", problems)
    coords, dropped = _join_site_labels(named, apart=stimuli == "apart")
    first = next(iter(named.values()))["response"]
    pooled = xr.Dataset(
        {"response": (first.dims, _join_responses(named, chosen), first.attrs)},
        coords={
            **labels,
            **coords,
            **{key: first[key] for key in TIME_COORDS if key in first.coords},
        },
        attrs=_join_attrs(named),
    )
    counts = ", ".join(f"{n} ({r.sizes['site']} sites)" for n, r in named.items())
    lost = left_out + dropped
    without = f"; left out {format_names(lost)}, which not all have" if lost else ""
    pooled = add_step(
        pooled,
        f"pool_recordings(stimuli={stimuli!r}): {len(chosen)} stimuli, {counts}{without}",
    )
    return validate_recording(pooled, name="the pooled recording")


def pool_stimuli(sets: Named) -> xr.Dataset:
    """Join sets of images by the names of the stimuli.

    Parameters
    ----------
    sets : mapping of str to xarray.Dataset, or sequence of xarray.Dataset
        Stimulus sets; a stimulus of several sets must have the same image in all.

    Returns
    -------
    xarray.Dataset
        A stimulus set of all stimuli, in the order in which they first appear.

    Raises
    ------
    RecordingError
        Sizes of images differ, or images or labels of one stimulus; every problem is listed.
    """
    named = _name_all(sets, "stimulus sets")
    for name, one in named.items():
        validate_stimuli(one, name=f"stimulus set {name}")
    problems: list[str] = []
    sizes = {name: one["image"].shape[1:3] for name, one in named.items()}
    if len(set(sizes.values())) > 1:
        said = ", ".join(f"{name}: {h} x {w}" for name, (h, w) in sizes.items())
        raise RecordingError(
            f"The images differ in size ({said}): read them with the same size=, see read_stimuli."
        )
    chosen = _unite(named)
    images: dict[str, np.ndarray] = {}
    differ: dict[str, None] = {}
    for one in named.values():
        for stimulus, image in zip(_names(one), one["image"].values, strict=True):
            if not np.array_equal(images.setdefault(stimulus, image), image):
                differ[stimulus] = None
    if differ:
        problems.append(
            f"{len(differ)} stimuli have other images in another set ({format_names(differ)}): "
            "rename them, and those of the recordings, where they are not the same"
        )
    labels, _ = _join_stimulus_labels(named, chosen, problems)
    raise_problems("These stimulus sets cannot be joined", problems)
    pixels = np.stack([images[stimulus] for stimulus in chosen])
    joined = xr.Dataset(
        {"image": (("stimulus", "y", "x", "channel"), pixels)},
        coords=labels,
        attrs=_join_attrs(named),
    )
    return validate_stimuli(joined, name="the joined stimulus set")


def _name_all(data: Named, what: str) -> dict[str, xr.Dataset]:
    if isinstance(data, xr.Dataset | xr.DataArray | str) or not isinstance(
        data, Mapping | Sequence
    ):
        raise RecordingError(
            f"To pool, give several {what}, as a list or by name: {{'monday': ..., 'friday': ...}};"
            f" got one {type(data).__name__}."
        )
    named = (
        {str(name): one for name, one in data.items()}
        if isinstance(data, Mapping)
        else {str(k): one for k, one in enumerate(data, 1)}
    )
    if len(named) < 2:
        raise RecordingError(f"To pool, give two {what} or more; got {len(named)}.")
    return named


def _names(data: xr.Dataset) -> list[str]:
    return data["stimulus"].values.astype(str).tolist()  # type: ignore[no-any-return]


def _unite(named: dict[str, xr.Dataset]) -> list[str]:
    return list(dict.fromkeys(name for one in named.values() for name in _names(one)))


def _compare_responses(named: dict[str, xr.Dataset]) -> list[str]:
    """List where recordings differ in what they must have in common."""
    problems = []

    def compare(what: str, read: Callable[[xr.Dataset], Any], remedy: str) -> None:
        seen: dict[Any, list[str]] = {}
        for name, recording in named.items():
            seen.setdefault(read(recording), []).append(name)
        if len(seen) > 1:
            said = ", ".join(f"{value!s} in {format_names(who)}" for value, who in seen.items())
            problems.append(f"{what} differ ({said}): {remedy}")

    def read_bins(recording: xr.Dataset) -> str:
        if "time_bin" not in recording["response"].dims:
            return "none"
        n = recording.sizes["time_bin"]
        if not set(TIME_COORDS) <= set(recording.coords):
            return f"{n} of unknown times"
        start, end = (recording[key].values for key in TIME_COORDS)
        return f"{n} from {', '.join(f'{a:g}-{b:g}' for a, b in zip(start, end, strict=True))} ms"

    compare("units", lambda r: r["response"].attrs["units"], "convert them first")
    compare("time bins", read_bins, "bring them into the same ones with average_window")
    compare(
        "windows",
        lambda r: r["response"].attrs.get("window", "none named"),
        "average the same window of each with average_window",
    )
    lacking = [name for name, r in named.items() if "animal" not in r.coords]
    if 0 < len(lacking) < len(named):
        problems.append(
            f"no coordinate 'animal' in {format_names(lacking)}: name it with "
            "recording.assign_coords(animal=('site', [...]))"
        )
    return problems


def _find_repeated(named: dict[str, xr.Dataset]) -> list[str]:
    """List recordings that have the same names and the same responses as one before them."""

    def is_same(a: xr.Dataset, b: xr.Dataset) -> bool:
        return all(
            a[key].shape == b[key].shape and np.array_equal(a[key].values, b[key].values)
            for key in ("site", "stimulus")
        ) and np.array_equal(a["response"].values, b["response"].values, equal_nan=True)

    return [
        f"{first} and {second} hold the same data: every site, stimulus and response is the same. "
        "Give each recording once"
        for (first, a), (second, b) in combinations(named.items(), 2)
        if is_same(a, b)
    ]


def _choose_stimuli(named: dict[str, xr.Dataset], stimuli: str, problems: list[str]) -> list[str]:
    """Return the stimuli of the pooled recording, in the order of the first that has them."""
    every = _unite(named)
    sets = {name: set(_names(one)) for name, one in named.items()}
    shared = [stimulus for stimulus in every if all(stimulus in have for have in sets.values())]
    if stimuli == "same" and len(shared) < len(every):
        said = [
            f"{name} lacks {len(every) - len(have)} "
            f"({format_names(stimulus for stimulus in every if stimulus not in have)})"
            for name, have in sets.items()
            if len(have) < len(every)
        ]
        problems.append(
            f"{len(every) - len(shared)} of {len(every)} stimuli are not in all recordings: "
            f"{'; '.join(said)}. Keep those in common with stimuli='shared', all of them with "
            "gaps with stimuli='all', or each recording as an area of its own with "
            "stimuli='apart'"
        )
    if stimuli == "shared" and not shared:
        problems.append(
            "no stimulus is in all recordings: keep each as an area of its own, stimuli='apart'"
        )
    return shared if stimuli == "shared" else every


def _join_stimulus_labels(
    named: dict[str, xr.Dataset], chosen: list[str], problems: list[str]
) -> tuple[dict[str, Any], list[str]]:
    """Return the coordinates over stimuli that all have, and the names of the others."""
    names: list[set[str]] = [
        {str(k) for k, c in one.coords.items() if c.dims == ("stimulus",) and k != "stimulus"}
        for one in named.values()
    ]
    kept: dict[str, Any] = {"stimulus": ("stimulus", np.array(chosen))}
    for key in sorted(names[0].intersection(*names)):
        found: dict[str, Any] = {}
        differ: dict[str, None] = {}
        for one in named.values():
            for stimulus, value in zip(_names(one), one[key].values, strict=True):
                known = found.setdefault(stimulus, value)
                if known != value and not (pd.isna(known) and pd.isna(value)):
                    differ[stimulus] = None
        if differ:
            problems.append(
                f"{key!r} of {len(differ)} stimuli differs between them ({format_names(differ)}): "
                f"correct it, or leave it out with drop_vars({key!r})"
            )
        attrs = next(iter(named.values()))[key].attrs
        kept[key] = ("stimulus", np.array([found[stimulus] for stimulus in chosen]), attrs)
    return kept, sorted(names[0].union(*names) - names[0].intersection(*names))


def _join_site_labels(
    named: dict[str, xr.Dataset], *, apart: bool
) -> tuple[dict[str, Any], list[str]]:
    """Return the coordinates over sites that all have, and the names of the others."""
    sites = [one["site"].values.astype(str).tolist() for one in named.values()]
    flat = [site for some in sites for site in some]
    if len(set(flat)) < len(flat):
        flat = [f"{name}.{s}" for name, some in zip(named, sites, strict=True) for s in some]
    keys: list[set[str]] = [
        {str(k) for k, c in one.coords.items() if c.dims == ("site",) and k != "site"}
        for one in named.values()
    ]
    sessions = [
        one["session"].values.astype(str).tolist()
        if "session" in one.coords
        else [name] * one.sizes["site"]
        for name, one in named.items()
    ]
    kept: dict[str, Any] = {
        "site": ("site", np.array(flat)),
        "session": ("site", np.array([value for some in sessions for value in some])),
    }
    for key in sorted(keys[0].intersection(*keys) - {"session"}):
        values = [one[key].values for one in named.values()]
        attrs = next(iter(named.values()))[key].attrs
        kept[key] = ("site", np.concatenate(values), attrs)
    if apart:
        names = [f"{a} ({n})" for n, one in named.items() for a in one["area"].values.astype(str)]
        kept["area"] = ("site", np.array(names))
    return kept, sorted(keys[0].union(*keys) - keys[0].intersection(*keys) - {"session"})


def _join_responses(named: dict[str, xr.Dataset], chosen: list[str]) -> np.ndarray:
    """Return responses (stimulus, repetition, site[, time_bin]), NaN where there are none."""
    row = {stimulus: k for k, stimulus in enumerate(chosen)}
    parts = []
    for recording in named.values():
        names = _names(recording)
        own = [k for k, name in enumerate(names) if name in row]
        values = recording["response"].isel(stimulus=own).values
        shown = ~np.isnan(values).reshape(*values.shape[:2], -1).all(2)
        order = np.argsort(~shown, axis=1, kind="stable")
        order = order[:, : int(shown.sum(1).max(initial=1))]
        packed = np.take_along_axis(
            values, order.reshape(*order.shape, *[1] * (values.ndim - 2)), 1
        )
        parts.append(([row[names[k]] for k in own], packed))
    n_repetitions = max(packed.shape[1] for _, packed in parts)
    n_sites = sum(packed.shape[2] for _, packed in parts)
    shape = (len(chosen), n_repetitions, n_sites, *parts[0][1].shape[3:])
    joined = np.full(shape, np.nan, dtype=np.result_type(*(packed for _, packed in parts)))
    start = 0
    for rows, packed in parts:
        stop = start + packed.shape[2]
        joined[rows, : packed.shape[1], start:stop] = packed
        start = stop
    return joined


def _join_attrs(named: dict[str, xr.Dataset]) -> dict[str, Any]:
    """Return sources and other texts each once, and the history of each by its name."""
    joined: dict[str, Any] = {}
    for key in dict.fromkeys(key for one in named.values() for key in one.attrs):
        values = [one.attrs[key] for one in named.values() if key in one.attrs]
        if key == "history" or not all(isinstance(value, str) for value in values):
            continue
        joined[str(key)] = "; ".join(dict.fromkeys(values))
    steps = [
        f"{name}: {step}"
        for name, one in named.items()
        for step in str(one.attrs.get("history", "")).splitlines()
    ]
    if steps:
        joined["history"] = "\n".join(steps)
    if is_simulated(*named.values()):
        joined["simulated"] = 1
    return joined
