"""The table [heldout] of a run file: what no reward uses, kept for the finalists."""

from __future__ import annotations

from typing import Any

from brainguided.guidance.heldout import HeldOut, hold_out
from brainguided.guidance.teacher import Teacher
from brainguided.settings.toml import RunFileError, check_keys

KEYS = {
    "stimuli": "number",
    "animals": "texts",
    "areas": "texts",
    "similarity": "text",
    "seed": "whole",
}


def check_heldout(table: dict[str, Any], problems: list[str], *, guided: bool) -> None:
    """Note what is wrong with the table before anything is loaded."""
    problems += check_keys("[heldout] ", table, KEYS)
    if table and not guided:
        problems.append("[heldout] needs a [[teacher]], of which something is held out")


def split_heldout(
    table: dict[str, Any], teacher: Teacher | None
) -> tuple[Teacher | None, HeldOut | None]:
    """Return the teacher that guides, and what is held out of it.

    Raises
    ------
    RunFileError
        This cannot be held out; every problem is listed.
    """
    if not table or teacher is None:
        return teacher, None
    try:
        return hold_out(teacher, **table)
    except ValueError as error:
        raise RunFileError(f"[heldout] {error}") from error
