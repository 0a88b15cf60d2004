"""The network that won a run, as it was saved: of its finalists, or of the search."""

from __future__ import annotations

import ast
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from brainguided.architectures import Architecture
from brainguided.architectures.blueprint import Blueprint
from brainguided.journal.attempts import Attempt
from brainguided.journal.chance import say_own_task
from brainguided.journal.confirmed import find_winner
from brainguided.journal.journal import Journal, JournalError
from brainguided.networks.noted_weights import load_weights, read_note
from brainguided.search.finalist_records import find_finalist, read_finalists
from neural_data.storage.netcdf import open_netcdf

_log = logging.getLogger(__name__)
_SAVE = "To save the winner's, start the same search again: 'brainguided search', or save_winner."


@dataclass(frozen=True, eq=False)
class WinnerNetwork:
    """A network that won, and what was found of it.

    Attributes
    ----------
    candidate : int
    blueprint : Blueprint
    weights : dict of str to Tensor
        State dict.
    classes : tuple of str
        Names of the outputs; numbers where the run does not name them.
    image_size : int
        Pixels a side of the images it was trained on.
    layers : dict of str to str
        The layer of each area.
    how : str
        By what layers were chosen.
    about : str
        What it is, in a sentence.
    """

    candidate: int
    blueprint: Blueprint
    weights: dict[str, torch.Tensor]
    classes: tuple[str, ...]
    image_size: int
    layers: dict[str, str]
    how: str
    about: str


def load_winner_network(folder: Path) -> WinnerNetwork:
    """Return the winner of the finalists of a run, or that of its search where there are none.

    Raises
    ------
    FileNotFoundError
        The folder has no journal, or no weights of a winner.
    JournalError
        No candidate succeeded, or what was saved is of another winner than the journal's.
    ValueError
        The record of the finalists is damaged.
    """
    with Journal.read(folder) as journal:
        config = journal.config or {}
        results = journal.results()
        winner = find_winner(results, journal.again())
    if winner is None:
        raise JournalError(f"No candidate of {folder} succeeded; there is no winner to export.")
    images = (config.get("task") or {}).get("images") or {}
    trained = folder / "finalists"
    if (trained / "winner_network.pt").is_file() and (trained / "finalists.json").is_file():
        return _load_finalist(trained, images, results)
    path = folder / "winner.pt"
    if not path.is_file() or "classes" not in images:
        raise FileNotFoundError(
            f"{path} does not exist: the weights of the winner are saved at the end of "
            "'brainguided search', which goes on with the same command, and of its finalists by "
            "'brainguided finalists'."
        )
    weights = load_weights(path)
    refuse_other_weights(
        weights,
        path,
        {name: getattr(winner, name) for name in ("candidate", "seed", "architecture")},
    )
    classes = tuple(map(str, range(int(images["classes"]))))
    return WinnerNetwork(
        winner.candidate,
        Architecture.from_json(winner.architecture).to_blueprint(len(classes)),
        weights,
        classes,
        int(images["image_size"]),
        dict(winner.best_layers),
        "the most similar at the end of the short training",
        f"Candidate {winner.candidate} of an architecture search, as it was trained in the search."
        f"{say_own_task(config.get('task'))}",
    )


def refuse_other_weights(
    weights: Mapping[str, torch.Tensor], path: Path, winner: Mapping[str, str | int]
) -> None:
    """Refuse weights of a winner that say that they are of another.

    Files of earlier versions say nothing; they are taken, with a warning.

    Parameters
    ----------
    weights : mapping of str to Tensor
        As they were loaded.
    path : path
        Of their file.
    winner : mapping of str to str or int
        What they should say.

    Raises
    ------
    JournalError
        They say another thing.
    """
    note = read_note(weights)
    if not note:
        _log.warning(
            "%s was saved by an earlier version and does not say of which candidate it is, so it "
            "cannot be told whether it is of the winner, candidate %s. %s",
            path, winner["candidate"], _SAVE,
        )  # fmt: skip
        return
    if other := [name for name, value in winner.items() if note.get(name) != value]:
        raise JournalError(
            f"{path} was saved for candidate {note.get('candidate')}, but candidate "
            f"{winner['candidate']} is the winner now (other {' and '.join(other)}). {_SAVE}"
        )


def _load_finalist(
    folder: Path, images: Mapping[str, Any], results: Sequence[Attempt]
) -> WinnerNetwork:
    known = find_finalist(read_finalists(folder))
    number = known["candidate"]
    expected = ((one.seed, one.architecture) for one in results if one.candidate == number)
    if (known["seed"], known["architecture"]) not in expected:
        raise JournalError(
            f"{folder} holds finalists of another search: the journal has no candidate {number} of "
            "this seed and architecture. Move that folder away, then train finalists again."
        )
    named = _read_names(folder / "winner_network.py")
    classes = tuple(map(str, named.get("CLASSES") or range(int(images["classes"]))))
    layers, path = {}, folder / "correspondence_long.nc"
    if path.is_file():
        found = open_netcdf(path)
        for area in found["area"].values.astype(str).tolist():
            one = found.sel(area=area)
            layers[area] = str(one["committed_layer"].item()) or str(one["best_layer"].item())
    return WinnerNetwork(
        number,
        Architecture.from_json(known["architecture"]).to_blueprint(len(classes)),
        load_weights(folder / "winner_network.pt"),
        classes,
        int(named.get("IMAGE_SIZE") or images["image_size"]),
        {area: layer for area, layer in layers.items() if layer},
        "chosen on one half of the stimuli, after the long training",
        f"Candidate {number} of an architecture search, trained long.",
    )


def _read_names(path: Path) -> dict[str, Any]:
    """Return the constants of a Python file that `export_network` wrote, without running it."""
    if not path.is_file():
        return {}
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as cause:
        raise ValueError(
            f"{path} is no Python file as 'brainguided finalists' writes it ({cause}). Restore it "
            "from a copy, or move it away."
        ) from cause
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                found[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                continue
    return found
