"""Reading a recording from a described array, or from one array a session or site."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from neural_data.errors import RecordingError, format_names, raise_problems
from neural_data.formats._described_build import build
from neural_data.formats._described_labels import Labels, with_text
from neural_data.formats.array_files import load_array
from neural_data.formats.described_toml import Description
from neural_data.model.pooling import pool_recordings
from neural_data.model.recording import add_step


def read_array(description: Description) -> xr.Dataset:
    """Read a recording from one array; without an axis of sites it is one site.

    Raises
    ------
    FileNotFoundError, RecordingError
        A file is missing or damaged, or does not fit the description.
    """
    top, axes = description.top, list(description.top["axes"])
    values = load_array(description.file, variable=top.get("variable"))
    problems: list[str] = []
    if description.file.suffix.lower() == ".mat" and values.ndim == 2 < len(axes):
        values = values.reshape(values.shape + (1,) * (len(axes) - 2))  # which MATLAB leaves out
    if description.file.suffix.lower() == ".mat" and len(axes) == 1 and 1 in values.shape:
        values = values.ravel()  # which MATLAB has no arrays of
    if values.dtype.kind not in "biuf":
        problems.append(f"{top['file']} holds {values.dtype}; expected numbers")
    if values.ndim != len(axes):
        problems.append(
            f"{top['file']} has shape {values.shape}; expected {len(axes)} axes: {', '.join(axes)}"
        )
    raise_problems(f"{description.path.name} does not describe a recording", problems)
    sizes = dict(zip(axes, values.shape, strict=True))
    labels = Labels(description)
    labels.steps.append(f"{values.dtype} ({', '.join(f'{a} {n}' for a, n in sizes.items())})")
    response = xr.Variable(axes, values)
    if "site" in sizes:
        labels.load_axis("site", sizes["site"])
        labels.load_area(sizes["site"])
    else:
        response = xr.Variable(("site", *axes), values[np.newaxis])
        labels.coords["site"] = (("site",), np.array([description.file.stem]))
        labels.load_area(1)
    if description.conditions:
        crossed = [axis for axis in axes if axis in description.conditions]
        response = response.stack({"stimulus": tuple(crossed)})  # type: ignore[no-untyped-call]
        labels.load_conditions({axis: sizes[axis] for axis in crossed})
    elif "stimulus" in sizes:
        labels.load_axis("stimulus", sizes["stimulus"])
    else:
        labels.load_presentations(sizes["presentation"])
    if "time_bin" in sizes:
        labels.load_time_bins(sizes["time_bin"])
    return build(response, labels)


def read_files(description: Description) -> xr.Dataset:
    """Read a recording from several arrays, of one session or one site each.

    Raises
    ------
    FileNotFoundError, RecordingError
        A file is missing or damaged, or does not fit the description or the other files.
    """
    of_sites = "site" not in description.top["axes"]
    named: dict[str, xr.Dataset] = {}
    problems: dict[str, None] = {}
    for path in description.files:
        one = description.of_file(path)
        if of_sites:
            one = replace(one, site={"area": "unknown"})
        try:
            named[path.stem] = read_array(one)
        except (RecordingError, OSError) as cause:
            problems[f"{path.name}: {cause}"] = None
    listed = list(problems)
    more = [f"{len(listed) - 5} more files have such problems"] if len(listed) > 5 else []
    raise_problems(f"{description.path.name} does not describe a recording", listed[:5] + more)
    pool = description.top.get("pool", "same")
    if not of_sites:
        return pool_files(named, pool)
    recording = _join_sites(named, pool)
    labels = Labels(description)
    labels.coords = {"site": (("site",), recording["site"].values)}
    labels.join("site")
    labels.load_area(recording.sizes["site"])
    raise_problems(f"{description.path.name} does not describe a recording", labels.problems)
    return recording.drop_vars("area").assign_coords(with_text(labels.coords))


def pool_files(named: dict[str, xr.Dataset], pool: Any) -> xr.Dataset:
    """Pool the recordings of several files; what is refused is said in words of a description.

    Raises
    ------
    RecordingError
        See `pool_recordings`.
    """
    if len(named) == 1:
        return next(iter(named.values()))
    try:
        return pool_recordings(named, stimuli=pool)
    except RecordingError as cause:
        raise RecordingError(str(cause).replace("stimuli='", "pool = '")) from cause


def _join_sites(named: dict[str, xr.Dataset], pool: str) -> xr.Dataset:
    """Put recordings of one site each side by side; repetitions keep their places."""
    first = next(iter(named.values()))
    names = first["stimulus"].values.tolist()
    same = all(set(one["stimulus"].values.tolist()) == set(names) for one in named.values())
    if pool != "same":
        return pool_files(named, pool).drop_vars("session", errors="ignore")
    if not same:
        every = dict.fromkeys(n for one in named.values() for n in one["stimulus"].values.tolist())
        lacking = [name for name, one in named.items() if one.sizes["stimulus"] < len(every)]
        raise RecordingError(
            f"The files have other stimuli: {format_names(lacking)} lack some of the "
            f"{len(every)} there are. Say what is done with these: pool = 'shared' or 'all'."
        )
    longest = max(one.sizes["repetition"] for one in named.values())
    kept = [_keep_alike(one, first, longest, name) for name, one in named.items()]
    values = np.concatenate([one["response"].values for one in kept], axis=2)
    coords = {key: c for key, c in kept[0].coords.items() if "site" not in c.dims}
    coords["site"] = ("site", np.array([str(one["site"].values[0]) for one in kept]))
    joined = xr.Dataset(
        {"response": (first["response"].dims, values, first["response"].attrs)},
        coords={**coords, "area": ("site", ["unknown"] * len(kept))},
        attrs={key: value for key, value in first.attrs.items() if key != "history"},
    )
    steps = dict.fromkeys(
        step for one in named.values() for step in one.attrs["history"].splitlines()
    )
    return add_step(joined, "\n".join(steps))


def _keep_alike(one: xr.Dataset, first: xr.Dataset, longest: int, name: str) -> xr.Dataset:
    """Return a recording in the order of the first, refused where its labels are others."""
    one = one.sel(stimulus=first["stimulus"].values)
    one = one.pad(repetition=(0, longest - one.sizes["repetition"]))
    for key, coord in first.coords.items():
        if coord.dims not in (("stimulus",), ("time_bin",)):
            continue
        if key not in one.coords or not np.array_equal(coord.values, one[key].values):
            raise RecordingError(f"{key!r} of {name} is not that of {first['site'].values[0]}.")
    return one
