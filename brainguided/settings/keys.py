"""The keys of a run file, as the tables that check them hold them."""

from __future__ import annotations

from brainguided.guidance.controls import CONTROLS
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


def list_keys() -> dict[str, dict[str, str]]:
    """Return the keys that each table of a run file may have, and what each takes.

    Returns
    -------
    dict of str to dict of str to str
        For each table, and each preset of it, the keys; for each key what is expected of its value,
        such as "a whole number".

    Examples
    --------
    >>> list_keys()["[limits]"]["hours"]
    'a finite number'
    """
    tables = {
        "before the first table": run_file.TOP,
        **{
            f'[space], preset = "{name}"': {"preset": "text", **_parts.list_settings(make)}
            for name, make in SPACES.items()
        },
        **{
            f'[controller], name = "{name}"': {**_parts.CHOICE, **_parts.list_settings(make)}
            for name, make in CONTROLLERS.items()
        },
        "[screen]": _parts.SCREEN,
        "[limits]": _parts.LIMITS,
        "[winner]": _parts.WINNER,
        "[ray]": run_file.RAY,
        "[task]": run_file.TASK,
        **{
            f'[reward], preset = "{name}"': {"preset": "text", **settings}
            for name, (_, settings) in _reward.PRESETS.items()
        },
        "[reward], without a preset": {"function": "text"},
        "[finalists]": _finalists.KEYS,
        "[heldout]": _heldout.KEYS,
        "[[teacher]]": teacher_file.KEYS,
        **{
            f'[[control]], kind = "{name}"': {**_controls.COMMON, **row.settings}
            for name, row in CONTROLS.items()
        },
    }
    return {
        table: {key: KINDS[kind][1] for key, kind in keys.items()} for table, keys in tables.items()
    }
