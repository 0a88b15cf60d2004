"""The run that a controller starts from: ``[controller] warm_start``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from brainguided.architectures import Architecture
from brainguided.candidates.evaluation import Task
from brainguided.controllers.contract import Controller
from brainguided.journal.differing_settings import find_differences
from brainguided.journal.journal import Journal
from brainguided.settings.toml import RunFileError


def find_earlier(table: dict[str, Any], folder: Path, problems: list[str]) -> Path | None:
    """Return the folder of the run that a controller starts from."""
    given = table.get("warm_start")
    if not isinstance(given, str):
        return None
    if not (folder / given).is_dir():
        problems.append(f"[controller] warm_start: {folder / given} is no folder of a run")
    return folder / given


def start_warm(controller: Controller, earlier: Path, task: Task | None) -> None:
    """Tell a controller of the candidates of an earlier run of the same task that succeeded."""
    with Journal.read(earlier) as journal:
        known = (journal.config or {}).get("task", {})
        done = [r for r in journal.results() if r.outcome == "done" and r.duplicate_of is None]
    now = known if task is None else json.loads(json.dumps(task.describe()))
    if differences := find_differences(known, now, (f"in {earlier.name}", "now")):
        raise RunFileError(
            f"[controller] warm_start: {earlier} had another task, so its rewards mean something "
            "else; start without it, or set warm_start_anyway = true:" + "".join(differences)
        )
    controller.warm_start(
        [Architecture.from_json(result.architecture) for result in done],
        [float(result.reward) for result in done if result.reward is not None],
    )
