"""Settings for which a folder of finalists is claimed."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from brainguided.candidates.evaluation import Task
from brainguided.candidates.recipe import LongTraining
from brainguided.journal.attempts import Attempt
from brainguided.journal.journal import JournalError
from brainguided.search.choice import Drawn
from brainguided.search.continued import Continued
from neural_data.storage.aside import write_whole
from neural_data.storage.text_files import read_json

_LATER = {  # conventions that are not in settings of before, and what finalists had then
    "batch_norm": "running averages for batch normalisation",
    "schedule": "the schedule of the search for their learning rate",
}


def describe_settings(
    steps: int | Continued | LongTraining, chosen: list[Attempt], top: int | Drawn, task: Task
) -> dict[str, Any]:
    """Return what has to be the same for all finalists of a folder, ready for JSON."""
    length = steps if isinstance(steps, int) else steps.steps
    long = steps.describe() if isinstance(steps, LongTraining) else {"steps": length}
    settings: dict[str, Any] = {**long, "candidates": [one.candidate for one in chosen]}
    if isinstance(steps, Continued):
        settings["continued"] = True
    if task.batch_norm == "recomputed":  # finalists of earlier versions had running averages
        settings["batch_norm"] = task.batch_norm
    if task.training.sgd.schedule != "cosine":  # and the schedule of the search
        settings["schedule"] = "cosine"
    return {**settings, "random": asdict(top)} if isinstance(top, Drawn) else settings


def claim_folder(folder: Path, settings: dict[str, Any]) -> None:
    """Refuse to mix finalists of different settings."""
    path = folder / "settings.json"
    if path.exists():
        before = read_json(path)
        if older := [name for name in _LATER if name in settings and name not in before]:
            raise JournalError(
                f"{folder} was begun by an earlier version, whose finalists had "
                f"{' and '.join(_LATER[name] for name in older)}: both cannot be compared. To go "
                f"on, use that version; what is there is still reported. {_say_anew(folder)}"
            )
        if before != settings:
            raise JournalError(
                f"{folder} holds finalists of other settings ({before}, now {settings}). Use the "
                f"same. {_say_anew(folder)}"
            )
    write_whole(path, json.dumps(settings) + "\n")


def _say_anew(folder: Path) -> str:
    """Return how to begin anew, and what that means."""
    said = "To begin anew, move that folder away"
    if (folder / "test.json").exists():
        said += (
            ": its winner was tested already, on the same test images, so say so with the second"
        )
    return f"{said}."
