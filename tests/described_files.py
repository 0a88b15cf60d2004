"""Writing a small TOML file that describes arrays or tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

STATED = {"file": "r.npy", "units": "spikes/s", "source": "our lab"}


def describe(folder: Path, **content: Any) -> Path:
    """Write a description; a value that is a dict becomes an inline table."""

    def say(value: Any) -> str:
        if isinstance(value, dict):
            return "{ " + ", ".join(f"{k} = {say(v)}" for k, v in value.items()) + " }"
        return json.dumps(value)

    lines = [f"{k} = {say(v)}" for k, v in {**STATED, **content}.items() if v is not None]
    (folder / "lab.toml").write_text("\n".join(lines), encoding="utf-8")
    return folder / "lab.toml"
