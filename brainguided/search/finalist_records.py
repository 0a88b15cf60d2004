"""The record of the finalists of a run, as the long training left it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from neural_data.storage.text_files import read_json

_KEYS = ("candidate", "seed", "architecture", "performance")


def read_finalists(folder: Path) -> dict[str, Any]:
    """Return what ``finalists.json`` holds, with the winner among its finalists.

    Parameters
    ----------
    folder : pathlib.Path
        The folder ``finalists`` of a run.

    Returns
    -------
    dict
        ``finalists``, a list of what is known of each, ``winner``, its candidate, and the test.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is damaged.
    """
    path = folder / "finalists.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist; run 'brainguided finalists {folder.parent}' first."
        )
    record = read_json(path, "finalists", "winner")
    finalists = record["finalists"]
    if not isinstance(finalists, list) or not all(_is_whole(one) for one in finalists):
        problem = f"its finalists are no list of {', '.join(_KEYS)}"
    elif record["winner"] not in (known := [one["candidate"] for one in finalists]):
        problem = f"its winner, {record['winner']!r}, is none of its finalists, {known}"
    else:
        return record
    raise ValueError(
        f"{path} is damaged: {problem}. The same command 'brainguided finalists' writes it again "
        "from what was trained."
    )


def find_finalist(record: dict[str, Any]) -> dict[str, Any]:
    """Return the finalist that won."""
    (winner,) = [one for one in record["finalists"] if one["candidate"] == record["winner"]][:1]
    found: dict[str, Any] = winner
    return found


def read_performance(record: dict[str, Any]) -> dict[int, float]:
    """Return the validation accuracy of each finalist that did not fail, by its candidate."""
    return {
        one["candidate"]: float(one["performance"])
        for one in record["finalists"]
        if one["performance"] is not None
    }


def _is_whole(one: Any) -> bool:
    """Whether all is there that is known of a finalist."""
    return (
        isinstance(one, dict)
        and all(key in one for key in _KEYS)
        and type(one["candidate"]) is int
        and isinstance(one["architecture"], str)
        and type(one["performance"]) in (int, float, type(None))
    )
