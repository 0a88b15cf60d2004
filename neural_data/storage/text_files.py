"""Text, JSON and tables of text read from files; what cannot be read is said with its file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_REMEDY = "It is damaged or of another kind: copy or write it again."


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises
    ------
    OSError
        It is not there, or may not be read.
    ValueError
        It is no text in UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as cause:
        raise ValueError(f"{path} is no text in UTF-8 ({cause}). {_REMEDY}") from cause


def read_json(path: Path, *keys: str) -> dict[str, Any]:
    """Return what a JSON file holds.

    Parameters
    ----------
    path : Path
    *keys : str
        That it has to have.

    Raises
    ------
    OSError
        It is not there, or may not be read.
    ValueError
        It is no JSON, or lacks a key.
    """
    try:
        found = json.loads(read_text(path))
    except (json.JSONDecodeError, RecursionError) as cause:
        raise ValueError(f"{path} cannot be read as JSON ({cause}). {_REMEDY}") from cause
    missing = [key for key in keys if not isinstance(found, dict) or key not in found]
    if missing or not isinstance(found, dict):
        lacks = f" lacks {', '.join(map(repr, missing))}" if missing else " is no JSON object"
        raise ValueError(f"{path}{lacks}. {_REMEDY}")
    return found


def read_text_table(path: Path) -> pd.DataFrame:
    """Return a CSV table, every cell as its text.

    Raises
    ------
    OSError
        It is not there, or may not be read.
    ValueError
        It is no table.
    """
    import pandas as pd  # takes long, and few verbs read tables

    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, OverflowError, pd.errors.ParserError) as cause:
        raise ValueError(f"{path} cannot be read as a CSV table ({cause}). {_REMEDY}") from cause
