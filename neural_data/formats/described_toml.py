"""Reading a small TOML file that says what the axes of an array of responses are."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np

from neural_data.errors import RecordingError, format_names, raise_problems
from neural_data.formats._described_keys import (
    PARTS,
    TOP,
    UNKNOWN,
    Key,
    find_unknown,
    is_several,
)
from neural_data.formats._described_layout import check_axis_names, check_layout
from neural_data.formats.array_files import load_array
from neural_data.storage.csv_tables import Form, read_column, read_table
from neural_data.storage.pointers import refuse_pointer

NAME_COLUMNS = {
    "stimulus": ("stimulus", "stimulus_id", "image_id"),
    "site": ("site", "site_id", "neuroid_id", "unit", "neuron"),
}
TABLES = (".csv", ".tsv")


@dataclass(frozen=True)
class Description:
    """Content of a description file, keys and types checked, no other file read.

    Attributes
    ----------
    path : pathlib.Path
        The description; other files are found from its folder.
    top : dict
        ``file``, ``units``, ``source`` and the other keys that stand in no table.
    stimulus, site, presentation, time_bin, spikes, columns, conditions : dict
        The tables of these names, empty where not given.
    """

    path: Path
    top: dict[str, Any]
    stimulus: dict[str, Any] = field(default_factory=dict)
    site: dict[str, Any] = field(default_factory=dict)
    presentation: dict[str, Any] = field(default_factory=dict)
    time_bin: dict[str, Any] = field(default_factory=dict)
    spikes: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, Any] = field(default_factory=dict)
    conditions: dict[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        """The file of the responses, the first of several."""
        return self.files[0]

    @property
    def files(self) -> list[Path]:
        """The files of the responses, those of a pattern sorted by name.

        Raises
        ------
        FileNotFoundError
            No file fits the pattern.
        RecordingError
            Two files have one name.
        """
        if "file" not in self.top:
            raise RecordingError(f"{self.path.name} names no file; give file = 'responses.npy'.")
        return self.find_files(self.top["file"])

    @property
    def several(self) -> bool:
        """Whether the responses lie in several files, or in as many as fit a pattern."""
        given = self.top.get("file", "")
        return is_several(given) and not (
            isinstance(given, str) and (self.path.parent / given).is_file()
        )

    def read_lines(self, path: Path) -> np.ndarray:
        """Read the lines of a text file that are not empty."""
        return _read_lines(path, self.form.of(path).encoding)

    @property
    def by_name(self) -> bool:
        """Whether sites have names of their own, so that lists along them have no order."""
        return bool(self.columns or self.spikes) or self.several

    @property
    def form(self) -> Form:
        """How the tables are written."""
        given = {key: self.top[key] for key in Form._fields if key in self.top}
        return Form(**given)

    def find_files(self, given: str | list[str]) -> list[Path]:
        """Find files by name, by a list of names or by a pattern."""
        if isinstance(given, list):
            found = [self.path.parent / name for name in given]
        elif is_several(given) and not (self.path.parent / given).is_file():
            found = _find_pattern(self.path.parent, given)
        else:
            return [self.path.parent / given]
        stems = [path.stem for path in found]
        twice = {stem for stem in stems if stems.count(stem) > 1}
        if twice:
            raise RecordingError(
                f"Several files of {self.path.name} have the name {format_names(sorted(twice))}, "
                "by which they are told apart: rename them."
            )
        return found

    def of_file(self, path: Path) -> Description:
        """Return the description of one of several files."""
        return replace(self, top={**self.top, "file": os.path.relpath(path, self.path.parent)})

    def list_outside(self) -> list[str]:
        """List the files named here that do not lie in the folder of the description, or below."""
        home = self.path.parent.resolve()
        named = [path for given in _list_named(self) for path in self.find_files(given)]
        found = {path.resolve() for path in named}
        return sorted(str(path) for path in found if not path.is_relative_to(home))

    def load_values(self, given: Any) -> np.ndarray:
        """Load a flat list: given as it is, or by file and variable.

        Raises
        ------
        FileNotFoundError, RecordingError
            See `load_array`; or the array is not flat.
        """
        if isinstance(given, list):
            if len({isinstance(item, str) for item in given}) > 1:
                raise RecordingError(f"A list mixes text and numbers: {format_names(given)}.")
            try:
                values = np.array(given)
            except OverflowError:
                values = np.array(given, dtype=object)
            if values.dtype.kind not in "iufU":
                raise RecordingError(f"A list holds numbers that are too large: {given[:3]}.")
            return values
        file = given.get("file")
        path = self.file if file is None else self.path.parent / file
        if path.suffix.lower() == ".txt" and "variable" not in given:
            return self.read_lines(path)
        if is_table(path) and "variable" in given:
            return read_column(path, given["variable"], form=self.form.of(path))
        values = load_array(path, variable=given.get("variable"))
        if values.size != max(values.shape, default=1):
            raise RecordingError(
                f"{path.name}: {given.get('variable', 'the array')!r} has shape {values.shape}; "
                "expected one value after the other."
            )
        return values.ravel()

    def load_names(self, given: Any, key: str) -> dict[str, np.ndarray]:
        """Load names, under `key`, and the other columns if they stand in a table.

        Parameters
        ----------
        given : str, list or dict
            As in the description; text is the name of a file.
        key : {"stimulus", "site"}

        Raises
        ------
        FileNotFoundError, RecordingError
            The file is missing or damaged, or has no such column.
        """
        if isinstance(given, str):
            return read_names(self.path.parent / given, key, form=self.form)
        return {key: as_text(self.load_values(given))}


def is_table(path: Path) -> bool:
    """Whether a file is a table by its ending."""
    return path.suffix.lower() in (*TABLES, ".txt")


def _find_pattern(folder: Path, pattern: str) -> list[Path]:
    parts = Path(pattern).parts
    if Path(pattern).is_absolute() or ".." in parts or "**" in parts:
        raise RecordingError(
            f"The pattern {pattern!r} leads out of the folder of the description, or through "
            "all of it; expected files in it or in one below, such as 'session_*.mat'."
        )
    literal = pattern.replace("[", "[[]")
    found = sorted(path for path in folder.glob(literal) if path.is_file())
    if not found:
        raise FileNotFoundError(f"No file in {folder} fits the pattern {pattern!r}.")
    return found


def _list_named(description: Description) -> list[Any]:
    """List the names of files in a description."""
    top = description.top
    found = [top["file"]] if "file" in top else []
    direct = (
        description.stimulus.get("names"),
        description.site.get("names"),
        description.presentation.get("stimulus"),
        description.spikes.get("times"),
    )
    found += [value for value in direct if isinstance(value, str)]
    waiting: list[Any] = [getattr(description, part) for part in PARTS] + [description.conditions]
    while waiting:
        table = waiting.pop()
        for key, value in table.items():
            if key == "file" and isinstance(value, str):
                found.append(value)
            elif isinstance(value, dict):
                waiting.append(value)
    return found


def read_description(path: Path) -> Description:
    """Read a description and check its keys and their kinds.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    RecordingError
        It is no TOML, or one line for every key that is unknown, missing or of another kind.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no description {path}. Check the path.")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as cause:
        raise RecordingError(
            f"{path} cannot be read as TOML: {cause}. Expected lines such as units = 'spikes/s'."
        ) from cause
    problems = [
        f"{key} is still {UNKNOWN!r}: say what it is, or remove the line"
        for key in find_unknown(content)
    ]
    if not problems:
        problems = _check_keys("", content, TOP) + check_axis_names(content)
        for part, kinds in PARTS.items():
            if isinstance(content.get(part), dict):
                problems += _check_keys(f"{part}.", content[part], kinds)
        needed = [("units", "spikes/s"), ("source", "our lab")]
        if "spikes" not in content:
            needed.insert(0, ("file", "responses.npy"))
        for key, example in needed:
            if key not in content:
                problems.append(f"no {key} is given, e.g. {key} = {example!r}")
    if not problems:
        problems += check_layout(content)
    raise_problems(f"{path.name} does not describe a recording", problems)
    parts = {part: content.pop(part) for part in (*PARTS, "conditions") if part in content}
    return Description(path=path, top=content, **parts)


def _check_keys(where: str, given: Mapping[str, Any], kinds: Mapping[str, Key]) -> list[str]:
    problems = []
    for key, value in given.items():
        if key not in kinds:
            known = format_names(kinds, limit=30)
            problems.append(f"no key {where + key!r} is known; there are {known}")
        elif not kinds[key].fits(value):
            shown = str(value) if len(str(value)) < 60 else str(value)[:57] + "..."
            problems.append(f"{where}{key} is {shown}; expected {kinds[key].expected}")
    return problems


def read_names(path: Path, key: str, *, form: Form | None = None) -> dict[str, np.ndarray]:
    """Read names, under `key`: one a line, or a table whose other columns come with them.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    RecordingError
        The file is no text or no table, or has no such column.
    """
    if path.suffix.lower() in TABLES:
        return read_table(path, key=key, aliases=NAME_COLUMNS[key], form=(form or Form()).of(path))
    if path.suffix.lower() in (".npy", ".npz", ".mat", ".h5", ".hdf5"):
        return {key: as_text(load_array(path).ravel())}
    return {key: _read_lines(path, (form or Form()).of(path).encoding)}


def _read_lines(path: Path, encoding: str) -> np.ndarray:
    if not path.is_file():
        raise FileNotFoundError(f"There is no list of names {path}. Check the path.")
    refuse_pointer(path)
    try:
        lines = path.read_text(encoding=encoding).splitlines()
    except ValueError as cause:
        raise RecordingError(f"{path} is not text in {encoding}: {cause}.") from cause
    return np.array([line.strip() for line in lines if line.strip()], dtype=str)


def as_text(values: np.ndarray) -> np.ndarray:
    """Return names as text: whole numbers without a point, as 12 for MATLAB's 12.0."""
    if values.dtype.kind == "f":
        return np.array([format(v, ".0f") if v == np.floor(v) else repr(float(v)) for v in values])
    return values.astype(str)


def is_missing(values: np.ndarray, markers: Any) -> np.ndarray:
    """Return where the values are one of the numbers that stand for a missing one."""
    numbers = markers if isinstance(markers, list) else [markers]
    found = np.zeros(values.shape, dtype=bool)
    for number in numbers:
        found |= np.isnan(values) if isnan(number) else values == number
    return found
