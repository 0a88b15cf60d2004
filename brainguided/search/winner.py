"""The winner of a search, trained once more: its weights and its RDMs."""

from __future__ import annotations

import json
import os
from concurrent.futures import Executor
from pathlib import Path
from urllib.parse import quote

import numpy as np
import xarray as xr

from brainguided.candidates.after_search import find_device, rebuild_network
from brainguided.candidates.evaluation import Task
from brainguided.candidates.retraining import Retraining
from brainguided.candidates.rungs import find_layers
from brainguided.candidates.training import on_device
from brainguided.guidance.target import Target
from brainguided.journal.attempts import Attempt
from brainguided.journal.confirmed import find_winner
from brainguided.journal.differing_settings import refuse_other_task
from brainguided.journal.journal import Journal
from brainguided.networks.build import BlueprintNetwork
from brainguided.networks.noted_weights import save_noted_weights
from brainguided.networks.preprocessing import Preprocessing
from brainguided.networks.streamed import compute_layer_rdms
from brainguided.rdms.compute import dissimilarities_from_rdms
from brainguided.search._apart import train_apart
from brainguided.search.teacher_facts import FILE_NAME, describe_recordings
from neural_data.model.dissimilarities import save_dissimilarities
from neural_data.storage.aside import write_whole


def save_winner(
    out: str | os.PathLike[str], task: Task, *, executor: Executor | None = None
) -> list[Path]:
    """Train the winner of a run again and save what it has become.

    The same architecture, seed and task give the same network that the search scored, so
    nothing of this had to be kept for every candidate. Its RDMs are computed in this process, on
    the CPU where there is no such device as it was trained on.

    Parameters
    ----------
    out : path
        A run folder.
    task : Task
        The task of that run.
    executor : concurrent.futures.Executor, optional
        Where it is trained, for instance where the search ran; default: in this process.

    Returns
    -------
    list of Path
        ``winner.pt`` (the weights: ``build_network(...).load_state_dict(torch.load(path,
        weights_only=True))``, which say whose they are) and, for each area,
        ``winner_rdms_AREA.nc`` (a slash in its name as %2F): dissimilarities of the area, named
        "AREA (teacher)", and
        of every layer that the search compared, over the area's own stimuli, whose attributes say
        whose they are; and ``teacher.json``,
        how many sites, animals and repetitions each area has, and its noise ceiling.

    Raises
    ------
    FileNotFoundError
        The folder has no journal.
    JournalError
        The run was made with another task.
    RuntimeError
        No candidate succeeded, or the training failed now.
    """
    folder = Path(out)
    with Journal.read(folder) as journal:
        config = journal.config
        winner = find_winner(journal.results(), journal.again())
    if winner is None:
        raise RuntimeError(f"No candidate of {folder} succeeded; there is no winner to save.")
    refuse_other_task(config, task.describe(), folder)
    network = _train(winner, task, executor)
    note = {name: getattr(winner, name) for name in ("candidate", "seed", "architecture")}
    weights = save_noted_weights(network, folder / "winner.pt", note)
    targets = [] if task.teacher is None else list(task.teacher)
    written = [weights]
    if task.recorded_teacher is not None:
        facts = json.dumps({"areas": describe_recordings(task.recorded_teacher)}, indent=1)
        written.append(write_whole(folder / FILE_NAME, facts + "\n"))
    with on_device(network, find_device(task.training.device)):
        return written + [
            save_dissimilarities(
                _stack_rdms(network, target, task).assign_attrs(note),
                folder / f"winner_rdms_{quote(target.area, safe=' ')}.nc",
            )
            for target in targets
        ]


def _train(winner: Attempt, task: Task, executor: Executor | None) -> BlueprintNetwork:
    job = Retraining(winner.candidate, winner.architecture, winner.seed)
    ((_, trained),) = train_apart([job], task, executor)
    if isinstance(trained, Exception):
        raise RuntimeError(
            f"The winner, candidate {winner.candidate}, could not be trained again: {trained}. The "
            "search itself has ended; the same command tries again."
        ) from trained
    return rebuild_network(winner.architecture, task, trained[1])


def _stack_rdms(network: BlueprintNetwork, target: Target, task: Task) -> xr.Dataset:
    """Return the RDM of an area and those of the task's layers on its stimuli, as float32."""
    layers = dissimilarities_from_rdms(
        compute_layer_rdms(
            network,
            target.stimuli,
            layers=find_layers(network, task.layers),
            by=target.by,
            preprocessing=Preprocessing(size=task.images.image_size),
        )
    )
    area = dissimilarities_from_rdms(target.rdm).assign_coords(area=[f"{target.area} (teacher)"])
    values = np.concatenate([area["dissimilarity"].values, layers["dissimilarity"].values])
    names = [*area["area"].values.tolist(), *layers["area"].values.tolist()]
    stacked = area.drop_vars(["dissimilarity", "area"]).assign(
        dissimilarity=(("area", "stimulus", "other_stimulus"), values.astype(np.float32))
    )
    stacked["dissimilarity"].attrs = dict(area["dissimilarity"].attrs)
    return stacked.assign_coords(area=names)
