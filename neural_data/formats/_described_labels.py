"""Loading what a description says of the axes of an array: names, areas, time bins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from neural_data.errors import RecordingError, format_names
from neural_data.formats.described_toml import Description, as_text

OURS = ("response", "stimulus", "presentation", "repetition", "site", "time_bin")
TEXTS = ("area", "animal", "subregion", "array", "hemisphere")

Coords = dict[str, tuple[tuple[str, ...], np.ndarray]]


class Labels:
    """Coordinates of a described array, loaded one by one, and the problems found.

    Parameters
    ----------
    description : Description

    Attributes
    ----------
    coords : dict of str to (dims, numpy.ndarray)
        What was loaded.
    problems : list of str
        What could not be loaded or does not fit.
    steps : list of str
        What the history should say.
    sites_in_order : bool
        Whether lists along sites follow an axis; else sites are found by name.
    """

    def __init__(self, description: Description) -> None:
        self.description = description
        self.coords: Coords = {}
        self.problems: list[str] = []
        self.steps: list[str] = []
        self.sites_in_order = not description.by_name

    def add(self, dims: str | tuple[str, ...], given: Mapping[str, np.ndarray]) -> None:
        """Add coordinates, none of which may be there already or have a name of ours."""
        for name, values in given.items():
            if name in OURS:
                self.problems.append(
                    f"a column or list is named {name!r}, a name of ours: rename it"
                )
            elif name in self.coords:
                self.problems.append(f"{name!r} is given twice: leave one out")
            else:
                self.coords[name] = ((dims,) if isinstance(dims, str) else dims, values)

    def load_axis(self, key: str, size: int) -> None:
        """Load the names along an axis of stimuli or sites, and what else is listed along it."""
        part = self._part(key)
        names: dict[str, np.ndarray] = {}
        if "names" in part:
            names = self.attempt(self.description.load_names, part["names"], key) or {}
        else:
            names[key] = number_names(part.get("prefix", key), 1, size)
            self.steps.append(f"{key} names numbered from 1")
        if key in names:
            self._check_size(key, names[key], size)
            self.coords[key] = ((key,), names.pop(key))
        self.add(key, names)
        self._load_lists(part, key, size)

    def load_area(self, size: int) -> None:
        """Load area and animal of the sites."""
        for name in ("area", "animal"):
            given = self.description.site.get(name)
            if isinstance(given, str):
                self.add("site", {name: np.full(size, given)})
            elif given is not None and not self.sites_in_order:
                self.problems.append(
                    f"site.{name} has no order to follow here: it is one text for all sites, "
                    f"columns.{name} of a table, or a column {name!r} of site.names, a .csv"
                )
            elif given is not None:
                values = self.attempt(self.description.load_values, given)
                if values is not None:
                    self._check_size(name, values, size)
                    self.add("site", {name: as_text(values)})
        if "area" not in self.coords and "site" in self.coords:
            self.problems.append(
                "the area of the sites is not known: give site.area, e.g. area = 'IT' (or "
                "'unknown')"
            )

    def load_presentations(self, size: int) -> None:
        """Load which stimulus each presentation showed, and what else is listed of them."""
        part = self.description.presentation
        if isinstance(part["stimulus"], str):
            table = self.attempt(self.description.load_names, part["stimulus"], "stimulus") or {}
            shown = table.pop("stimulus", None)
            self.add("presentation", table)
        else:
            shown = self.attempt(self.description.load_values, part["stimulus"])
        if shown is not None:
            self._check_size("presentation.stimulus", shown, size)
            if "counts_from" in part:
                shown = self._count_in_names(shown)
            self.coords["stimulus"] = (("presentation",), as_text(shown))
            self.join("stimulus")
        if "repetition" in part:
            values = self.attempt(self.description.load_values, part["repetition"])
            if values is not None:
                self._check_size("presentation.repetition", values, size)
                self.coords["repetition"] = (("presentation",), values)
        self._load_lists(part, "presentation", size)

    def count_time_bins(self) -> int | None:
        """Return how many time bins the description itself names, None if it cannot be known."""
        part = self.description.time_bin
        if "number" in part:
            return int(part["number"])
        values = self.attempt(self.description.load_values, part.get("edges", part.get("start")))
        return None if values is None else values.size - ("edges" in part)

    def load_time_bins(self, size: int) -> None:
        """Load when the time bins begin and end, in ms."""
        bounds: dict[str, np.ndarray] = {}
        part = dict(self.description.time_bin)
        width = part.pop("width", None)
        if isinstance(part.get("start"), int | float):
            number = part.pop("number", size)
            if number != size:
                self.problems.append(f"time_bin.number is {number}; the responses have {size}")
            part["start"] = (part["start"] + width * np.arange(size)).tolist()
        for key, given in part.items():
            values = self.attempt(self.description.load_values, given)
            if values is None:
                return
            if values.dtype.kind not in "iuf":
                self.problems.append(f"time_bin.{key} holds {values.dtype}; expected numbers in ms")
                return
            self._check_size(f"time_bin.{key}", values, size + (key == "edges"))
            bounds[key] = values
        if "edges" in bounds:
            bounds = {"start": bounds["edges"][:-1], "end": bounds["edges"][1:]}
        if width is not None:
            bounds["end"] = bounds["start"] + width
        for key, values in bounds.items():
            self.coords[f"time_bin_{key}"] = (("time_bin",), values)

    def load_conditions(self, sizes: Mapping[str, int]) -> None:
        """Load what lies along the axes of conditions, and name each stimulus by one of each."""
        names = []
        for name, size in sizes.items():
            given = self.description.conditions[name]
            values: np.ndarray | None
            if isinstance(given, int):
                values = np.arange(1, given + 1)
            elif isinstance(given, str):
                table = self.attempt(self.description.load_names, given, "stimulus")
                values = None if table is None else table["stimulus"]
            else:
                values = self.attempt(self.description.load_values, given)
            if values is None or values.size != size:
                if values is not None:
                    self._check_size(f"conditions.{name}", values, size)
                return
            names.append(values)
        crossed = [part.ravel() for part in np.meshgrid(*names, indexing="ij")]
        self.coords["stimulus"] = (
            ("stimulus",),
            np.array(["_".join(parts) for parts in zip(*map(as_text, crossed), strict=True)]),
        )
        self.add("stimulus", dict(zip(sizes, crossed, strict=True)))
        self.join("stimulus")

    def join(self, key: str) -> None:
        """Join what a table of stimuli or sites knows to the names that the responses have."""
        part = self._part(key)
        unfit = ["coordinates"] if "coordinates" in part else []
        if "prefix" in part and "counts_from" not in self.description.presentation:
            unfit.append("prefix")
        self.problems += [
            f"{key}.{name} has no order to follow here: give {key}.names as a .csv"
            for name in unfit
        ]
        if "names" not in part:
            return
        table = self.attempt(self.description.load_names, part["names"], key)
        if table is None:
            return
        dims, names = self.coords[key]
        known = table.pop(key).tolist()
        position = {name: k for k, name in enumerate(known)}
        if len(position) < len(known):
            self.problems.append(f"{key}.names has a name twice")
        unknown = [name for name in dict.fromkeys(names.tolist()) if name not in position]
        if unknown:
            self.problems.append(
                f"{len(unknown)} of the {key} names of the responses are not in {key}.names: "
                f"{format_names(unknown)}"
            )
            return
        rows = np.array([position[name] for name in names.tolist()], dtype=int)
        self.add(dims, {name: values[rows] for name, values in table.items()})

    def _part(self, key: str) -> dict[str, Any]:
        return self.description.stimulus if key == "stimulus" else self.description.site

    def attempt(self, load: Callable[..., Any], *arguments: Any) -> Any:
        """Load something, or note why it cannot be loaded and return None."""
        try:
            return load(*arguments)
        except (RecordingError, OSError) as cause:
            if str(cause) not in self.problems:
                self.problems.append(str(cause))
            return None

    def _check_size(self, name: str, values: np.ndarray, size: int) -> None:
        if values.size != size:
            self.problems.append(f"{name!r} has {values.size} values; the array needs {size}")

    def _load_lists(self, part: Mapping[str, Any], dim: str, size: int) -> None:
        for name, given in part.get("coordinates", {}).items():
            values = self.attempt(self.description.load_values, given)
            if values is not None:
                self._check_size(name, values, size)
                self.add(dim, {name: values})

    def _count_in_names(self, shown: np.ndarray) -> np.ndarray:
        """Turn positions in the list of stimuli into names."""
        part, first = self.description.stimulus, self.description.presentation["counts_from"]
        try:
            position = as_text(shown).astype(np.int64) - first
        except ValueError:
            self.problems.append("presentation.stimulus has no whole numbers to count with")
            return shown
        if "names" in part:
            table = self.attempt(self.description.load_names, part["names"], "stimulus")
            if table is None:
                return shown
            names: np.ndarray = table["stimulus"]
        else:
            names = number_names(part["prefix"], first, int(position.max(initial=0)) + 1)
        outside = (position < 0) | (position >= names.size)
        if outside.any():
            self.problems.append(
                f"presentation.stimulus counts from {int(position.min()) + first} to "
                f"{int(position.max()) + first}; there are {names.size} names, from {first}"
            )
            return shown
        shown_names: np.ndarray = names[position]
        return shown_names


def number_names(prefix: str, first: int, size: int) -> np.ndarray:
    """Return as many names as asked for: the prefix and a number, all of one length."""
    width = len(str(first + size - 1))
    return np.array([f"{prefix}{k:0{width}d}" for k in range(first, first + size)])


def with_text(coords: Coords) -> Coords:
    """Return the coordinates with text where a recording has text: animal 1 is "1"."""
    return {
        name: (dims, as_text(values) if name in TEXTS else values)
        for name, (dims, values) in coords.items()
    }
