"""Memory that RDMs take, said and compared with what is free before they are made."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import xarray as xr

from brainguided.rdms.conditions import stimulus_coords
from neural_data.errors import RecordingError, format_names

# Copies of the whole matrix that are held at a time; one RDM as it is kept is half a matrix
_MAKING = 1.6
_SAVING = 0.5  # beside the matrices that are written
_NUMBER = 8  # bytes
_SMALL = 2**30  # bytes that are not worth a word
_GROUPS = Path("/sys/fs/cgroup")
# Control groups of version 2 and 1: folder, names of the limit and of what is in use, and what
# precedes the counts of a group with those inside it
_VERSIONS = (
    ("", "memory.max", "memory.current", ""),
    ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
)


def find_free_memory() -> int | None:
    """Return how many bytes can be had, None where the system does not say (not Linux)."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found = dict(line.split(":", 1) for line in lines)
        free = int(found["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError, IndexError):
        return None
    return max(min([free, *_list_room_of_groups()]), 0)


def _list_room_of_groups() -> list[int]:
    """Return the bytes that are left to the control groups of this process (of a container)."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
        known = {one.split(":", 2)[1]: one.split(":", 2)[2].strip("/") for one in lines}
    except (OSError, ValueError, IndexError):
        known = {}
    found = []
    for folder, most, used, total in _VERSIONS:
        root = _GROUPS / folder
        own = root / known.get(folder, "")
        groups = [own, *own.parents][: len(own.parts) - len(root.parts) + 1]
        for group in groups:  # within a container the root may be the group itself
            try:
                limit, current = (int(_read(group / name)) for name in (most, used))
                counts = dict(line.split() for line in _read(group / "memory.stat").splitlines())
                files = sum(int(counts[f"{total}{age}_file"]) for age in ("active", "inactive"))
            except (OSError, ValueError, KeyError):  # no such group, or "max": no limit of its own
                continue
            found.append(limit - current + files)  # pages of files are given back when asked for
    return found


def _read(path: Path) -> str:
    return path.read_text(encoding="ascii")


def say_room(number: int, conditions: int, *, save: bool = False) -> str:
    """Say what RDMs take where that is 1 GiB or more, else "".

    Parameters
    ----------
    number, conditions : int
        RDMs, and conditions of each.
    save : bool
        Whether they are also turned into whole matrices.

    Raises
    ------
    RecordingError
        They can be made, but there is no room to save them.
    """
    matrix = _NUMBER * conditions**2
    making, saving = number / 2 + _MAKING - 0.5, number * 1.5 + _SAVING
    most = max(making, saving if save else 0) * matrix
    if most < _SMALL:
        return ""
    free = find_free_memory()
    if save and free is not None and making * matrix <= free < most:
        raise RecordingError(
            f"{number} RDM{'s' * (number > 1)} of {conditions:,} conditions: to save them takes "
            f"{_say(most)}, and {_say(free)} are free. Draw them without --save, or take blocks of "
            f"at most {math.isqrt(int(free / saving / _NUMBER)):,} stimuli, "
            "select_recording(recording, stimulus=...)."
        )
    known = "" if free is None else f" of {_say(free)} that are free"
    return (
        f"{number} RDM{'s' * (number > 1)} of {conditions:,} conditions: "
        f"{_say(number / 2 * matrix)} of memory, {_say(most)} while they are made{known}"
    )


def refuse_without_room(patterns: xr.DataArray, area: str, labelled: xr.DataArray) -> None:
    """Refuse an RDM of 1 GiB or more that cannot be held beside what else there is.

    Parameters
    ----------
    patterns : xr.DataArray (condition, unit)
    area : str
        For the message.
    labelled : xr.DataArray
        Over ``stimulus``, with the coordinates by which conditions can be formed.

    Raises
    ------
    RecordingError
    """
    number = len(patterns)
    most, free = int(_MAKING * _NUMBER * number**2), find_free_memory()
    if free is None or most <= max(free, _SMALL):
        return
    groups = {name: len(np.unique(v)) for name, v in stimulus_coords(labelled).items()}
    coarse = [name for name, count in groups.items() if 3 <= count <= number / 2]
    by = format_names(coarse) if coarse else "none so far: assign one, e.g. 'category'"
    fits = math.isqrt(int(free / _MAKING / _NUMBER))
    raise RecordingError(
        f"The RDM of {area} over {number:,} conditions takes {_say(_NUMBER * number**2 / 2)}, and "
        f"{_say(most)} while it is made; {_say(free)} are free. Average conditions that belong "
        f"together, by='...' (coordinates: {by}), or take blocks of at most {fits:,} stimuli, "
        "select_recording(recording, stimulus=...)."
    )


def _say(n_bytes: float) -> str:
    gib = n_bytes / 2**30
    if gib < 0.1:
        return f"{n_bytes / 2**20:.1f} MiB"
    return f"{gib:.1f} GiB" if gib < 100 else f"{gib:,.0f} GiB"
