"""The table [finalists] of a run file: what long trainings add to the settings of the search."""

from __future__ import annotations

from typing import Any

from brainguided.candidates.recipe import Recipe
from brainguided.settings.toml import check_keys, nest_problems

KEYS = {
    "warm_up": "whole",
    "label_smoothing": "number",
    "cutout": "whole",
    "average": "number",
}


def make_recipe(table: dict[str, Any], problems: list[str]) -> Recipe:
    """Return the recipe of a [finalists] table; problems are noted, and then it adds nothing."""
    before = check_keys("[finalists] ", table, KEYS)
    problems += before
    try:
        return Recipe() if before else Recipe(**table)
    except ValueError as cause:
        problems += nest_problems("[finalists] ", cause)
    return Recipe()
