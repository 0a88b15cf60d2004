"""Settings read from TOML files: every key and type is checked, all problems at once."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from reprlib import Repr
from typing import Any

from neural_data.errors import raise_problems


def _all_text(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


_LARGEST = 2**53  # of a number: what every format holds exactly
_LONGEST = 4096  # characters of a text; paths are no longer
_FILE = 2**20  # bytes of a file


def _is_whole(value: Any) -> bool:
    return type(value) is int and abs(value) <= _LARGEST


def _is_number(value: Any) -> bool:
    return _is_whole(value) or (type(value) is float and isfinite(value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST


KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "whole": (_is_whole, "a whole number"),
    "number": (_is_number, "a finite number"),
    "truth": (lambda v: type(v) is bool, "true or false"),
    "text": (_is_text, "text in quotes"),
    "wholes": (
        lambda v: isinstance(v, list) and all(map(_is_whole, v)),
        "a list of whole numbers",
    ),
    "choice": (lambda v: isinstance(v, str | dict), "a name in quotes, or a table in braces"),
    "augment": (lambda v: type(v) is bool or v == "shift", 'true, false or "shift"'),
    "table": (lambda v: isinstance(v, dict), "a table in braces"),
    "numbers": (
        lambda v: (
            isinstance(v, dict) and all(type(x) in (int, float) and isfinite(x) for x in v.values())
        ),
        "a table of finite numbers in braces",
    ),
    "weights": (
        lambda v: isinstance(v, str) or (isinstance(v, dict) and KINDS["numbers"][0](v)),
        '"default", the name of a TOML file in quotes, or a table of numbers in braces',
    ),
    "window": (
        lambda v: isinstance(v, list) and len(v) == 2 and all(type(x) in (int, float) for x in v),
        "[start, end] in ms",
    ),
    "files": (
        lambda v: isinstance(v, str) or (isinstance(v, list) and bool(v) and _all_text(v)),
        "text in quotes, or a list of such",
    ),
    "texts": (
        lambda v: isinstance(v, list) and bool(v) and _all_text(v),
        "a list of texts in quotes",
    ),
}


_shortly = Repr()
_shortly.maxstring = _shortly.maxother = 100


class RunFileError(ValueError):
    """Raised when a run file cannot be used as it is."""


def read_toml(path: str | os.PathLike[str], what: str) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    RunFileError
        It is no TOML.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no {what} {path}. Check the path.")
    try:
        with open(path, "rb") as file:
            content = file.read(_FILE + 1)
        if len(content) > _FILE:
            raise RunFileError(f"{path} is larger than {_FILE:,} bytes, and so is no {what}.")
        return tomllib.loads(content.decode("utf-8"))
    except RunFileError:
        raise
    except RecursionError as cause:
        raise RunFileError(f"{path} is nested too deeply to be a {what}.") from cause
    except ValueError as cause:
        raise RunFileError(
            f"{path} is not a TOML file: {show(str(cause), quote=False)}."
        ) from cause


def refuse_file(path: str | os.PathLike[str], problems: list[str]) -> None:
    """Raise one RunFileError that lists every problem of a file; return when there is none."""
    raise_problems(f"{path} cannot be used", problems, RunFileError)


def check_keys(where: str, table: dict[str, Any], known: dict[str, str]) -> list[str]:
    """Return what is wrong with the keys of a table and the types of their values."""
    problems = []
    for key, value in table.items():
        if key not in known:
            problems.append(say_unknown(where, key, list(known)))
        elif not KINDS[known[key]][0](value):
            problems.append(f"{where}{key} is {show(value)}, expected {KINDS[known[key]][1]}")
    return problems


def show(value: Any, *, quote: bool = True) -> str:
    """Return what was given, shortened: files may hold numbers and texts without end."""
    if isinstance(value, int) and abs(value) > _LARGEST:
        return f"a number of {value.bit_length()} bits"
    text = _shortly.repr(value) if quote else str(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def say_unknown(where: str, name: str, known: list[str]) -> str:
    """Say that a name is unknown, with the nearest of those known."""
    bare = {entry.strip("[]"): entry for entry in known}
    near = get_close_matches(name, list(bare), n=1)
    hint = f"; did you mean {bare[near[0]]!r}?" if near else "."
    return f"{where}{show(name)} is unknown{hint} Known: {', '.join(known)}"


def nest_problems(where: str, cause: ValueError) -> list[str]:
    """Return the problems that an error lists, each with where it is."""
    head, *listed = str(cause).split("\n  - ")
    return [where + problem for problem in listed or [head]]
