"""The errors that callers of this package may want to catch."""

from __future__ import annotations

from collections.abc import Iterable


class RecordingError(ValueError):
    """Raised for data that do not follow the schema, or a file that cannot be read as expected."""


class AlignmentError(ValueError):
    """Raised when two objects do not have the same stimuli in the same order."""


def format_names(names: Iterable[object], limit: int = 5) -> str:
    """List names for a message: quoted, the first few, then how many more."""
    listed = [repr(str(name)) for name in names]
    if len(listed) <= limit:
        return ", ".join(listed)
    return ", ".join(listed[:limit]) + f" and {len(listed) - limit} more"


def raise_problems(
    header: str, problems: list[str], error: type[Exception] = RecordingError
) -> None:
    """Raise one error that lists every problem; return when there is none."""
    if problems:
        raise error(f"{header}:" + "".join(f"\n  - {problem}" for problem in problems))


def check_type(right: bool, value: object, *, name: str, wanted: str) -> None:
    """Raise a TypeError that says in one line what was given and what is wanted, if it is wrong."""
    if not right:
        raise TypeError(f"{name}: got a {type(value).__name__}; expected {wanted}.")
