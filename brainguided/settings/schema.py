"""The JSON Schema of a run file, by which editors complete keys and mark what is misspelt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from brainguided.candidates.evaluation import BATCH_NORMS
from brainguided.candidates.rivals import RIVALS
from brainguided.candidates.sgd import SCHEDULES
from brainguided.candidates.training import PRECISIONS
from brainguided.guidance.controls import CONTROLS
from brainguided.guidance.similarities import SIMILARITIES
from brainguided.rdms.measures import MEASURES
from brainguided.settings import (
    _controls,
    _finalists,
    _heldout,
    _parts,
    _reward,
    run_file,
    teacher_file,
)
from brainguided.settings.presets import CONTROLLERS, SPACES
from brainguided.settings.toml import KINDS
from neural_data.model.pooling import KEPT

DRAFT = "http://json-schema.org/draft-04/schema#"
"""The newest that Taplo, the checker behind editors of TOML, understands in full."""

_NUMBERS = {"type": "object", "additionalProperties": {"type": "number"}}
_TEXTS = {"type": "array", "items": {"type": "string"}, "minItems": 1}
TYPES: dict[str, dict[str, Any]] = {  # of `settings.toml.KINDS`
    "whole": {"type": "integer"},
    "number": {"type": "number"},
    "truth": {"type": "boolean"},
    "text": {"type": "string"},
    "wholes": {"type": "array", "items": {"type": "integer"}},
    "choice": {"type": ["string", "object"]},
    "augment": {"enum": [True, False, "shift"]},
    "table": {"type": "object"},
    "numbers": _NUMBERS,
    "weights": {"anyOf": [{"type": "string"}, _NUMBERS]},
    "window": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
    "files": {"anyOf": [{"type": "string"}, _TEXTS]},
    "texts": _TEXTS,
}
_ORDER = {
    "anyOf": [
        {"enum": list(_parts.ORDERS)},
        {
            "type": "object",
            "properties": {name: {"type": "integer"} for name in ("batch", "index")},
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        },
    ]
}


def build_schema() -> dict[str, Any]:
    """Return the JSON Schema of a run file (draft 4), made of the tables that check such a file.

    What it accepts may still be refused by `load_run`, which also looks at ranges, at files and at
    what does not go together; what it refuses, `load_run` refuses too.

    Returns
    -------
    dict
        Ready for JSON.

    Examples
    --------
    >>> schema = build_schema()
    >>> schema["required"], schema["properties"]["limits"]["properties"]["hours"]["type"]
    (['candidates'], 'number')
    """
    top = {
        **_properties(run_file.TOP),
        "order": {**_ORDER, "description": "order of asking and telling"},
    }
    tables = {
        "space": _choose("preset", {n: _parts.list_settings(make) for n, make in SPACES.items()}),
        "controller": _choose(
            "name",
            {
                name: {**_parts.CHOICE, **_parts.list_settings(make)}
                for name, make in CONTROLLERS.items()
            },
        ),
        "screen": _table(_parts.SCREEN),
        "limits": _table(_parts.LIMITS),
        "winner": _table(_parts.WINNER),
        "ray": _table(run_file.RAY),
        "task": _table(
            run_file.TASK,
            batch_norm=BATCH_NORMS, precision=PRECISIONS, schedule=SCHEDULES, rivals=RIVALS,
        ),
        "finalists": _table(_finalists.KEYS),
        "heldout": _table(_heldout.KEYS, similarity=SIMILARITIES),
        "reward": _choose(
            "preset",
            {name: settings for name, (_, settings) in _reward.PRESETS.items()},
            _table({"function": "text"}, needed=["function"]),
            default=False,
        ),
        "teacher": _tables(
            _table(
                teacher_file.KEYS, measure=MEASURES, similarity=SIMILARITIES, pool=KEPT,
                simulated=(True,),
            )
        ),
        "control": _tables(
            _choose(
                "kind",
                {name: {**_controls.COMMON, **row.settings} for name, row in CONTROLS.items()},
                needed={name: row.needed for name, row in CONTROLS.items()},
                default=False,
            )
        ),
    }  # fmt: skip
    return {
        "$schema": DRAFT,
        "title": "Run file of brainguided search",
        "type": "object",
        "properties": {**top, **tables},
        "required": ["candidates"],
        "additionalProperties": False,
    }


def _properties(keys: Mapping[str, str]) -> dict[str, Any]:
    """Return what is expected of each key."""
    return {key: {**TYPES[kind], "description": KINDS[kind][1]} for key, kind in keys.items()}


def _table(
    keys: Mapping[str, str], *, needed: Iterable[str] = (), **choices: Iterable[Any]
) -> dict[str, Any]:
    """Return a table of keys, of some of which the values are known."""
    properties = _properties(keys)
    for key, values in choices.items():
        said = properties[key]
        if said.get("type") == "array":
            said["items"] = {"enum": list(values)}
        else:
            properties[key] = {"enum": list(values), "description": said["description"]}
    made = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**made, "required": list(needed)} if needed else made


def _choose(
    key: str,
    settings: Mapping[str, Mapping[str, str]],
    *others: dict[str, Any],
    needed: Mapping[str, Iterable[str]] | None = None,
    default: bool = True,
) -> dict[str, Any]:
    """Return a table whose keys depend on the name under one of them; by default the first."""
    found: list[dict[str, Any]] = []
    for name, own in settings.items():
        optional = default and not found
        wanted = [*([] if optional else [key]), *(needed or {}).get(name, ())]
        found.append(_table({key: "text", **own}, needed=wanted, **{key: (name,)}))
    return {"type": "object", "anyOf": [*found, *others]}


def _tables(one: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": one}
