"""The errors that callers of this package may want to catch."""

from __future__ import annotations

from collections.abc import Iterable


class RecordingError(ValueError):
    """Data that do not follow the schema, or a file that cannot be read as what it should be."""


class AlignmentError(ValueError):
    """Two things that should be about the same stimuli, in the same order, and are not."""


def format_names(names: Iterable[object], limit: int = 5) -> str:
    """List names for a message: quoted, the first few, then how many more."""
    listed = [repr(str(name)) for name in names]
    if len(listed) <= limit:
        return ", ".join(listed)
    return ", ".join(listed[:limit]) + f" and {len(listed) - limit} more"


def raise_problems(header: str, problems: list[str]) -> None:
    """Raise one `RecordingError` that lists every problem; return when there is none."""
    if problems:
        raise RecordingError(f"{header}:" + "".join(f"\n  - {problem}" for problem in problems))
