"""The tables [[control]] of a run file: what is measured beside the areas and earns nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from brainguided.architectures import Architecture
from brainguided.guidance.controls import CONTROLS, Measured, make_controls
from brainguided.guidance.robust import SHUFFLES
from brainguided.guidance.teacher import Teacher
from brainguided.settings.toml import RunFileError, check_keys, say_unknown
from neural_data.model.dissimilarities import load_dissimilarities
from neural_data.storage.text_files import read_json

COMMON = {"kind": "text", "area": "text", "match": "truth"}


def check_controls(
    tables: list[dict[str, Any]], folder: Path, problems: list[str], *, guided: bool
) -> None:
    """Note what is wrong with the tables before anything is loaded."""
    if tables and not guided:
        problems.append("[[control]] needs a [[teacher]], of whose areas it is a control")
    for number, table in enumerate(tables, 1):
        where = f"[[control]] {number}: "
        kind = table.get("kind")
        if kind not in CONTROLS:
            said = (
                "kind is missing" if kind is None else say_unknown("kind ", str(kind), [*CONTROLS])
            )
            problems.append(where + said)
            continue
        row = CONTROLS[kind]
        problems += check_keys(where, table, {**COMMON, **row.settings})
        problems += [f"{where}{key} is missing" for key in row.needed if key not in table]
        for key in ("architecture", "rdm"):
            file = table.get(key)
            if isinstance(file, str) and not (folder / file).is_file():
                problems.append(f"{where}{key}: {folder / file} does not exist")


def add_shuffles(tables: list[dict[str, Any]]) -> None:
    """Add the shuffles that the robust reward needs, unless there are some."""
    if not any(table.get("kind") == "shuffled" and "within" not in table for table in tables):
        tables.append({"kind": "shuffled", "number": SHUFFLES})


def load_controls(
    tables: list[dict[str, Any]], teacher: Teacher | None, folder: Path
) -> tuple[Measured, ...]:
    """Make the controls of a teacher's areas; files are relative to the run file.

    Raises
    ------
    RunFileError
        A control cannot be made; every problem is listed.
    """
    if teacher is None:
        return ()
    made = [load_parts(table, folder) for table in tables]
    try:
        return make_controls(teacher, made)
    except ValueError as error:
        raise RunFileError(str(error)) from error


def load_parts(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a table with the network, architecture or RDM that it names in place of its name."""
    from brainguided.settings.model_file import load_model

    loaded = dict(table)
    if "architecture" in loaded:
        text = read_json(folder / loaded["architecture"])
        found = text.get("architecture", text)  # winner.json holds more
        loaded["architecture"] = Architecture.from_json(json.dumps(found))
    if "rdm" in loaded:
        loaded["rdm"] = load_dissimilarities(folder / str(loaded["rdm"]))
    if "model" in loaded:
        name = str(loaded.pop("model"))
        place = name.rpartition(":")[0]
        here = folder / place
        loaded["network"], loaded["preprocessing"] = load_model(
            name if not here.is_file() else f"{here}:{name.rpartition(':')[2]}"
        )
    return loaded
