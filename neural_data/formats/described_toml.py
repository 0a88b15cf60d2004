"""Reading a small TOML file that says what the axes of an array of responses are."""

from __future__ import annotations

import codecs
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np

from neural_data.errors import RecordingError, format_names, raise_problems
from neural_data.formats.array_files import load_array
from neural_data.storage.csv_tables import read_table

AXES = ("stimulus", "presentation", "repetition", "site", "time_bin")
NAME_COLUMNS = {
    "stimulus": ("stimulus", "stimulus_id", "image_id"),
    "site": ("site", "site_id", "neuroid_id", "unit", "neuron"),
}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _is_list(value: Any, of: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and bool(value) and all(of(item) for item in value)


def _is_values(value: Any) -> bool:
    """Whether it is a list, or says in which file and under which name the list is."""
    if isinstance(value, dict):
        return bool(value) and all(k in ("file", "variable") and _is_text(value[k]) for k in value)
    return _is_list(value, lambda item: _is_text(item) or _is_number(item))


def _is_encoding(name: str) -> bool:
    try:
        codecs.lookup(name)
    except (LookupError, ValueError):
        return False
    return True


_LISTED = "a list, or { file = ..., variable = ... }"
_VALUES = (_is_values, _LISTED)
_NAMES = (lambda v: _is_text(v) or _is_values(v), f"the name of a file, {_LISTED}")
_LABELS = (lambda v: _is_text(v) or _is_values(v), f"one text for all sites, {_LISTED}")
_TEXT = (_is_text, "text in quotes")
_MORE = (
    lambda v: isinstance(v, dict) and all(_is_values(item) for item in v.values()),
    f"a table whose keys are names and whose values are each {_LISTED}",
)
_AXES = (
    lambda v: _is_list(v, lambda axis: axis in AXES) and len(set(v)) == len(v),
    f"a list of {format_names(AXES)}, each once",
)
_MISSING = (
    lambda v: _is_number(v) or _is_list(v, _is_number),
    "a number, or a list of numbers",
)
_WINDOW = (
    lambda v: _is_list(v, _is_number) and len(v) == 2 and v[0] < v[1],
    "start and end in ms, such as [70, 170]",
)
_COLUMNS = (lambda v: _is_text(v) or _is_list(v, _is_text), "a pattern such as 'unit_*', or a list")
_START = (
    lambda v: _is_number(v) or _is_values(v),
    f"the start of the first bin (with width), {_LISTED}",
)
_WIDTH = (lambda v: _is_number(v) and v > 0, "a number of ms above 0")
_MARK = (lambda v: isinstance(v, str) and len(v) == 1, "one character, such as ';'")
_DECIMAL = (lambda v: v in (".", ","), "'.' or ','")
_ENCODING = (lambda v: _is_text(v) and _is_encoding(v), "an encoding of Python, such as 'latin-1'")
_TABLE = (lambda v: isinstance(v, dict), "a table: [...]")

_Kinds = Mapping[str, tuple[Callable[[Any], bool], str]]
_TOP: _Kinds = dict(
    file=_TEXT, variable=_TEXT, axes=_AXES, units=_TEXT, source=_TEXT, missing=_MISSING,
    window=_WINDOW, stimulus=_TABLE, site=_TABLE, presentation=_TABLE, time_bin=_TABLE,
    columns=_TABLE, separator=_MARK, decimal=_DECIMAL, encoding=_ENCODING,
)  # fmt: skip
_PARTS: Mapping[str, _Kinds] = {
    "stimulus": dict(names=_NAMES, prefix=_TEXT, coordinates=_MORE),
    "site": dict(names=_NAMES, prefix=_TEXT, area=_LABELS, animal=_LABELS, coordinates=_MORE),
    "presentation": dict(
        stimulus=_NAMES,
        counts_from=(lambda v: v in (0, 1) and type(v) is int, "0 or 1"),
        repetition=_VALUES,
        coordinates=_MORE,
    ),
    "time_bin": dict(edges=_VALUES, start=_START, end=_VALUES, width=_WIDTH),
    "columns": dict(
        stimulus=_TEXT, site=_TEXT, response=_TEXT, repetition=_TEXT, area=_TEXT, animal=_TEXT,
        sites=_COLUMNS, time_bin=_TEXT, no_axes=_COLUMNS,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Description:
    """Content of a description file, keys and types checked, no other file read.

    Attributes
    ----------
    path : pathlib.Path
        The description; other files are found from its folder.
    top : dict
        ``file``, ``units``, ``source`` and, where given, ``variable``, ``axes``, ``missing``,
        ``window``.
    stimulus, site, presentation, time_bin, columns : dict
        The tables of these names, empty where not given.
    """

    path: Path
    top: dict[str, Any]
    stimulus: dict[str, Any] = field(default_factory=dict)
    site: dict[str, Any] = field(default_factory=dict)
    presentation: dict[str, Any] = field(default_factory=dict)
    time_bin: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        """The file of the responses."""
        return self.path.parent / str(self.top["file"])

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
            return np.array(given)
        file = given.get("file")
        path = self.file if file is None else self.path.parent / file
        if path.suffix.lower() == ".txt":
            return _read_lines(path)
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
            return read_names(self.path.parent / given, key)
        return {key: as_text(self.load_values(given))}


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
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as cause:
        raise RecordingError(
            f"{path} cannot be read as TOML: {cause}. Expected lines such as units = 'spikes/s'."
        ) from cause
    problems = _check_keys("", content, _TOP)
    for part, kinds in _PARTS.items():
        if isinstance(content.get(part), dict):
            problems += _check_keys(f"{part}.", content[part], kinds)
    for key, example in (("file", "responses.npy"), ("units", "spikes/s"), ("source", "our lab")):
        if key not in content:
            problems.append(f"no {key} is given, e.g. {key} = {example!r}")
    if not problems:
        problems += _check_layout(content)
    raise_problems(f"{path.name} does not describe a recording", problems)
    parts = {part: content.pop(part) for part in _PARTS if part in content}
    return Description(path=path, top=content, **parts)


def _check_keys(where: str, given: Mapping[str, Any], kinds: _Kinds) -> list[str]:
    problems = []
    for key, value in given.items():
        if key not in kinds:
            known = format_names(kinds, limit=20)
            problems.append(f"no key {where + key!r} is known; there are {known}")
        elif not kinds[key][0](value):
            shown = str(value) if len(str(value)) < 60 else str(value)[:57] + "..."
            problems.append(f"{where}{key} is {shown}; expected {kinds[key][1]}")
    return problems


def _check_layout(content: Mapping[str, Any]) -> list[str]:
    axes = content.get("axes", [])
    problems = [
        f"{key} is given, but no [columns] of a table"
        for key in ("separator", "decimal", "encoding")
        if key in content and "columns" not in content
    ]
    if "columns" in content:
        problems += [
            f"{key} does not go with [columns]: {why}"
            for key, why in (
                ("axes", "its rows and columns are what [columns] says"),
                ("variable", "a table has columns"),
                ("presentation", "name the columns"),
            )
            if key in content
        ]
        columns = content["columns"]
        if ("time_bin" in columns) != (set(content.get("time_bin", {})) == {"width"}):
            problems.append(
                "columns.time_bin, when the bins start, and time_bin.width, both in ms, go together"
            )
        wide = "sites" in columns
        needed = ("stimulus",) if wide else ("stimulus", "site", "response")
        problems += [f"no columns.{key} is given" for key in needed if key not in columns]
        if wide:
            keys = ("site", "response", "area", "animal", "time_bin")
            unfit = [key for key in keys if key in columns]
            problems += [f"columns.{key} does not go with columns.sites" for key in unfit]
        return problems
    if not axes:
        return ["no axes are given, e.g. axes = ['stimulus', 'site'], and no [columns] of a table"]
    if "site" not in axes or ("stimulus" in axes) == ("presentation" in axes):
        problems.append(
            f"axes are {axes}; expected 'site' and one of 'stimulus' and 'presentation'"
        )
    if "presentation" in axes and "repetition" in axes:
        problems.append("an axis 'presentation' lists all repetitions: leave out 'repetition'")
    presentation, time_bin = content.get("presentation", {}), content.get("time_bin", {})
    if "presentation" in axes and "stimulus" not in presentation:
        problems.append("no presentation.stimulus is given: which stimulus was shown in each")
    if "presentation" not in axes and presentation:
        problems.append("[presentation] is given, and no axis is 'presentation'")
    bounds = set(time_bin)
    if "time_bin" in axes and bounds not in ({"edges"}, {"start", "end"}, {"start", "width"}):
        problems.append("[time_bin] needs edges, start and end, or start and width, in ms")
    if type(time_bin.get("start")) in (int, float) and "width" not in bounds:
        problems.append("time_bin.start is one number: give time_bin.width as well")
    if "time_bin" not in axes and time_bin:
        problems.append("[time_bin] is given, and no axis is 'time_bin'; one window is window=")
    if "time_bin" in axes and "window" in content:
        problems.append("window does not go with an axis 'time_bin'")
    if "counts_from" in presentation and not {"names", "prefix"} & set(content.get("stimulus", {})):
        problems.append("presentation.counts_from needs stimulus.names, in which to count")
    return problems


def read_names(path: Path, key: str) -> dict[str, np.ndarray]:
    """Read names, under `key`: one a line, or a .csv table whose other columns come with them.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    RecordingError
        The file is no text or no table, or has no such column.
    """
    if path.suffix.lower() == ".csv":
        return read_table(path, key=key, aliases=NAME_COLUMNS[key])
    if path.suffix.lower() in (".npy", ".npz", ".mat", ".h5", ".hdf5"):
        return {key: as_text(load_array(path).ravel())}
    return {key: _read_lines(path)}


def _read_lines(path: Path) -> np.ndarray:
    if not path.is_file():
        raise FileNotFoundError(f"There is no list of names {path}. Check the path.")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as cause:
        raise RecordingError(f"{path} is not UTF-8 text: {cause}.") from cause
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
