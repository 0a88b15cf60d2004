"""Every key that a description may have: what its value is, and what it means."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping
from textwrap import wrap
from typing import Any, NamedTuple

from neural_data.errors import format_names

KEPT = ("same", "shared", "all", "apart")  # as of pool_recordings, whose module is slow to import
AXES = ("stimulus", "presentation", "repetition", "site", "time_bin")
EXAMPLE = (
    'file = "rates.mat"',
    'variable = "data.rates"',
    'axes = ["site", "stimulus", "repetition"]',
    'units = "spikes/s"',
    'source = "our lab, monkey M, 2026"',
    'stimulus = { names = { variable = "data.images" } }',
    'site = { prefix = "unit", area = "IT", animal = "M" }',
)
UNKNOWN = "?"  # what a proposed description says where the user has to


class Key(NamedTuple):
    """One key: whether a value fits, what was expected, and what the key means."""

    fits: Callable[[Any], bool]
    expected: str
    meaning: str


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0


def _is_list(value: Any, of: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and bool(value) and all(of(item) for item in value)


def _is_values(value: Any) -> bool:
    """Whether it is a list, or says in which file and under which name the list is."""
    if isinstance(value, dict):
        return bool(value) and all(k in ("file", "variable") and _is_text(value[k]) for k in value)
    return _is_list(value, lambda item: _is_text(item) or _is_number(item))


def _is_encoding(name: str) -> bool:
    try:
        "".encode(codecs.lookup(name).name)
    except (LookupError, ValueError):
        return False
    return True


_LISTED = "a list, or { file = ..., variable = ... }"


def _text(meaning: str) -> Key:
    return Key(_is_text, "text in quotes", meaning)


def _texts(meaning: str, expected: str = "text in quotes, or a list of such") -> Key:
    return Key(lambda v: _is_text(v) or _is_list(v, _is_text), expected, meaning)


def _values(meaning: str) -> Key:
    return Key(_is_values, _LISTED, meaning)


def _names(meaning: str) -> Key:
    return Key(lambda v: _is_text(v) or _is_values(v), f"the name of a file, {_LISTED}", meaning)


def _labels(meaning: str) -> Key:
    return Key(lambda v: _is_text(v) or _is_values(v), f"one text for all, {_LISTED}", meaning)


def _number(meaning: str, unit: str) -> Key:
    return Key(lambda v: _is_number(v) and v > 0, f"a number of {unit} above 0", meaning)


def _part(meaning: str) -> Key:
    return Key(lambda v: isinstance(v, dict), "a table: [...]", meaning)


def _more(what: str) -> Key:
    return Key(
        lambda v: isinstance(v, dict) and all(_is_values(item) for item in v.values()),
        f"a table whose keys are names and whose values are each {_LISTED}",
        f"further lists, by name, one value a {what}",
    )


def is_condition(value: Any) -> bool:
    """Whether it names the values along one axis of conditions, or says how many there are."""
    return _is_count(value) or _is_text(value) or _is_values(value)


_MARK = "one character, such as ';'"
TOP: Mapping[str, Key] = {
    "file": _texts(
        "the responses: .npy, .npz, .mat, .h5, or a table (.csv, .tsv, .txt); a list, or a pattern "
        "such as 'session_*.mat', of several files: of one session each, or, where neither axes "
        "nor columns have sites, of one site each, which has the name of its file",
        "the name of a file, a pattern, or a list of names",
    ),
    "variable": _text("which array of the file, where it holds several, such as 'data.rates'"),
    "pool": Key(
        lambda v: v in KEPT,
        f"one of {format_names(KEPT)}",
        "of several files: what is done with stimuli that only some have, see pool_recordings",
    ),
    "axes": Key(
        lambda v: _is_list(v, _is_text) and len(set(v)) == len(v),
        f"a list of {format_names(AXES)} and names of [conditions], each once",
        "of the array, in its order: 'site', 'stimulus' or 'presentation' (or the axes that "
        "[conditions] names), and if need be 'repetition' and 'time_bin'",
    ),
    "units": _text("of the responses, such as 'spikes/s'"),
    "source": _text("where the data come from: lab, animal, paper"),
    "missing": Key(
        lambda v: _is_number(v) or _is_list(v, _is_number),
        "a number, or a list of numbers",
        "numbers that stand for no response, such as -1; NaN does anyway",
    ),
    "window": Key(
        lambda v: _is_list(v, _is_number) and len(v) == 2 and v[0] < v[1],
        "start and end in ms, such as [70, 170]",
        "start and end, in ms from onset, of what was counted, or of spikes that are to be",
    ),
    "separator": Key(
        lambda v: isinstance(v, str) and len(v) == 1,
        _MARK,
        "between columns of tables: ',' by default ('\\t' in .tsv)",
    ),
    "decimal": Key(lambda v: v in (".", ","), "'.' or ','", "in numbers of tables: '.' by default"),
    "encoding": Key(
        lambda v: _is_text(v) and _is_encoding(v),
        "an encoding of Python, such as 'latin-1'",
        "of tables: 'utf-8' by default; 'latin-1', 'utf-16'",
    ),
    "comment": Key(
        lambda v: isinstance(v, str) and len(v) == 1,
        "one character, such as '#'",
        "lines of tables that begin with it are passed over",
    ),
    "stimulus": _part("see below"),
    "site": _part("see below"),
    "presentation": _part("see below"),
    "time_bin": _part("see below"),
    "spikes": _part("see below"),
    "columns": _part("see below"),
    "conditions": Key(
        lambda v: isinstance(v, dict) and bool(v) and all(map(is_condition, v.values())),
        f"a table whose keys are names of axes and whose values are each a number, {_LISTED}",
        "of an array with several axes of conditions: their names, each with what lies along it, a "
        "list, or how many; a stimulus is one of each, 'face_left'",
    ),
}  # fmt: skip
PARTS: Mapping[str, Mapping[str, Key]] = {
    "stimulus": {
        "names": _names(
            "in the order of the axis: a file (one a line, or a table with a column 'stimulus', "
            "whose other columns become coordinates), or a list"
        ),
        "prefix": _text("without names: they are numbered from 1, as 'stimulus12'"),
        "coordinates": _more("stimulus"),
    },
    "site": {
        "names": _names("as of stimuli; the column of a table is 'site' or 'unit'"),
        "prefix": _text("as of stimuli"),
        "area": _labels("one text for all sites, or a list; 'unknown' is a legal area"),
        "animal": _labels("one text for all sites, or a list"),
        "coordinates": _more("site"),
    },
    "presentation": {
        "stimulus": _names("for an axis 'presentation', and for spikes: the stimulus of each"),
        "counts_from": Key(
            lambda v: v in (0, 1) and type(v) is int,
            "0 or 1",
            "if that list counts in stimulus.names",
        ),
        "onset": _values("for spikes: when each stimulus came on, on the clock of the spikes"),
        "repetition": _values("by which presentations of one stimulus are ordered"),
        "coordinates": _more("presentation"),
    },
    "time_bin": {
        "edges": _values("in ms from onset, one more than bins"),
        "start": Key(
            lambda v: _is_number(v) or _is_values(v),
            f"the start of the first bin (with width), {_LISTED}",
            "of each bin, in ms, or of the first one (with width)",
        ),
        "end": _values("of each bin, in ms (with a list of starts)"),
        "width": _number("of the bins (with start, or columns.time_bin)", "ms"),
        "number": Key(_is_count, "a whole number above 0", "of bins (with start and width)"),
    },
    "spikes": {
        "times": _names(
            "of all spikes (with spikes.site); or a cell array of MATLAB, one cell a site; or a "
            "pattern such as 'unit_*.txt', one file a site"
        ),
        "site": _values("the site of each spike"),
        "columns": _texts(
            "of a table with one column a site: a pattern or list", "a pattern such as 'unit_*'"
        ),
        "per_second": _number(
            "ticks of the clock of spikes and onsets: 1 for s, 1000 for ms, 30000 for samples",
            "ticks",
        ),
    },
    "columns": {
        "stimulus": _texts("that names the stimulus; a list, where several do, as 'face_left'"),
        "site": _text("that names the site: one row a presentation and site"),
        "response": _text("with the response of that row"),
        "sites": _texts(
            "pattern or list of columns, where each site has one",
            "a pattern such as 'unit_*', or a list",
        ),
        "time_bins": _texts(
            "pattern or list of columns, where each time bin has one (with [time_bin])",
            "a pattern such as 't_*', or a list",
        ),
        "time_bin": _text("with the start of the time bin, in ms (with time_bin.width)"),
        "repetition": _text("that tells presentations of one stimulus apart"),
        "area": _text("with the area of the site"),
        "animal": _text("with the animal"),
        "no_axes": _texts(
            "whose rows are repetitions, though all their values are there for each stimulus",
            "a column, or a list",
        ),
    },
}  # fmt: skip


def is_several(given: Any) -> bool:
    """Whether a value of `file` is a list, or a pattern."""
    return isinstance(given, list) or "*" in given or "?" in given


def list_keys() -> list[tuple[str, str]]:
    """List every key, as "stimulus.names", with its meaning."""
    found = [(name, key.meaning) for name, key in TOP.items() if name not in PARTS]
    for part, keys in PARTS.items():
        found += [(f"{part}.{name}", key.meaning) for name, key in keys.items()]
    return found


def describe_keys() -> str:
    """Return a text that lists every key, with an example."""
    lines = ["keys of the description:"]
    for name, meaning in list_keys():
        first, *rest = wrap(meaning, 70)
        lines += [f"  {name:26}{first}", *(" " * 28 + line for line in rest)]
    return "\n".join([*lines, "", "for instance:", *(f"  {line}" for line in EXAMPLE)])


def find_unknown(value: Any, where: str = "") -> list[str]:
    """List the keys whose value still is the "?" of a proposal."""
    if isinstance(value, dict):
        return [k for key, one in value.items() for k in find_unknown(one, f"{where}.{key}")]
    if isinstance(value, list):
        return [where.lstrip(".")] if UNKNOWN in value else []
    return [where.lstrip(".")] if value == UNKNOWN else []
