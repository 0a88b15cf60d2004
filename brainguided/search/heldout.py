"""Finalists beside what no reward has used."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

from brainguided.candidates.after_search import find_device, rebuild_network
from brainguided.candidates.evaluation import Task
from brainguided.candidates.rungs import find_layers
from brainguided.candidates.training import on_device, single_thread
from brainguided.guidance.heldout import HeldOut, score_heldout
from brainguided.guidance.scoring import Scorer
from brainguided.networks.noted_weights import load_weights
from brainguided.networks.preprocessing import Preprocessing
from brainguided.search.finalist_records import read_finalists
from neural_data.storage.aside import write_whole

_log = logging.getLogger(__name__)


def compare_heldout(
    out: str | os.PathLike[str], task: Task, heldout: HeldOut
) -> dict[int, dict[str, float | None]]:
    """Score every finalist of a run, after its long training, on what was held out.

    The areas that guide choose the layers. The folder ``finalists`` in the run folder holds the
    result as heldout.json.

    Parameters
    ----------
    out : path
        A run folder, with the finalists of `run_finalists`.
    task : Task
        The task of that run.
    heldout : HeldOut
        As from `hold_out`, of the same teacher.

    Returns
    -------
    dict of candidate to dict of target to (float or None)
        None where a layer has no similarity.

    Raises
    ------
    FileNotFoundError
        The finalists have not ended.
    ValueError
        The task has no teacher.
    """
    folder = Path(out) / "finalists"
    if task.teacher is None:
        raise ValueError("The task has no teacher, of which something could be held out.")
    record = read_finalists(folder)
    guiding, inputs = Scorer(task.teacher, splits=0), Preprocessing(size=task.images.image_size)
    found = {}
    for one in record["finalists"]:
        number = one["candidate"]
        path = folder / f"finalist_{number}.pt"
        if one["performance"] is None or not path.exists():
            continue
        stored = load_weights(path)
        weights = {name: value.numpy() for name, value in stored.items()}
        network = rebuild_network(one["architecture"], task, weights).eval()
        with single_thread(), on_device(network, find_device(task.training.device)):
            layers = find_layers(network, task.layers)
            scores = guiding.score(network, layers=layers, preprocessing=inputs)
            found[number] = score_heldout(
                network, heldout, scores.similarity, layers=layers, preprocessing=inputs
            )
        _log.info("candidate %d, held out: %s", number, found[number])
    said = {"winner": record["winner"], "held_out": heldout.describe(), "finalists": found}
    write_whole(folder / "heldout.json", json.dumps(said, indent=1) + "\n")
    return found
