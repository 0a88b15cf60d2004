"""What can be known of a search before its first candidate is evaluated."""

from __future__ import annotations

import logging
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brainguided.architectures import Architecture
from brainguided.candidates.accuracy import compute_performance
from brainguided.candidates.evaluation import Task
from brainguided.candidates.rungs import find_layers
from brainguided.candidates.training import find_device_problem
from brainguided.controllers.contract import Controller
from brainguided.journal.differing_settings import find_differences
from brainguided.journal.journal import FILE_NAME, Journal
from brainguided.networks.build import build_network
from brainguided.search._objectives import find_objective_problems
from brainguided.search.orders import Order, describe_search
from neural_data.errors import raise_problems

_ROOM = 100 * 2**20  # bytes that a run folder should find
_FEW = 10  # conditions, below which an RDM says little
_DRAWS = 2000  # architectures, of which one should be within the limits
_LIBRARIES = 256 * 2**20  # bytes that python and torch hold in a process, at least
_SIZED = 50  # architectures whose networks are counted
_KEPT = 3 * 4  # bytes a weight: itself, its gradient and momentum, as float32
_WRITTEN = ("run.nc", "run.csv", "run.jsonl", "winner.json", "winner.pt", "report.html")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """What a search is to do, beside its task, as far as it is known.

    Attributes
    ----------
    controller : Controller, optional
        Whose limits should leave something to propose.
    candidates : int, optional
        That are asked for.
    order : Order, optional
        In which they are asked for and told.
    memory : int, optional
        Bytes of data that each process may hold.
    """

    controller: Controller | None = None
    candidates: int | None = None
    order: Order | None = None
    memory: int | None = None


def check_search(
    task: Task,
    *,
    out: str | os.PathLike[str] | None = None,
    here: bool,
    plan: Plan | None = None,
) -> None:
    """Refuse a search that cannot succeed; warn of a teacher that says little, or little memory.

    Parameters
    ----------
    task : Task
        Images, teacher and training.
    out : path, optional
        The run folder, for which there should be room, and which should hold no other search.
    here : bool
        Whether candidates are evaluated on this machine, which then needs their device.
    plan : Plan, optional
        What else is known of the search.

    Raises
    ------
    ValueError
        The device is not there, the images do not fill a batch, classes have no images, no
        architecture is within the limits or can be laid out for the images, the task does not fit
        into the memory of a process, the folder holds another search or files of another program,
        or the disk is full; every problem is listed.
    """
    plan = Plan() if plan is None else plan
    images, training = task.images, task.training
    problems = []
    if here and (problem := find_device_problem(training.device)):
        problems.append(problem)
    if training.steps and len(images.train_images) < training.batch_size:
        problems.append(
            f"{len(images.train_images)} training images are fewer than one batch of "
            f"{training.batch_size}; lower batch_size or give more images."
        )
    found = np.unique(images.train_labels) if task.own is None else range(len(images.classes))
    if empty := [name for k, name in enumerate(images.classes) if k not in found]:
        problems.append(
            f"{len(empty)} of {len(images.classes)} classes have no training images, e.g. "
            f"{', '.join(empty[:3])}; give more images, or leave these classes out."
        )
    if plan.controller is not None:
        problems += _check_space(plan.controller, task)
        problems += find_objective_problems(plan.controller, task)
    if plan.memory is not None:
        problems += _check_memory(plan.memory, task, plan.controller)
    if out is not None:
        problems += _check_folder(Path(out), task, plan)
    place = Path.cwd() if out is None else Path(out).absolute()
    while not place.is_dir():
        place = place.parent
    if (free := shutil.disk_usage(place).free) < _ROOM:
        problems.append(
            f"The disk of {place} has {free / 2**20:.0f} MiB left; a run wants {_ROOM / 2**20:.0f}."
        )
    raise_problems("This search cannot succeed", problems, ValueError)
    if task.weights is not None and not here:
        _log.warning(
            "Weights are kept on the machines that train, there in %s or, by 'brainguided worker', "
            "in the folder that its run file names. Only one that all share holds all of them.",
            Path(task.weights).absolute(),
        )
    for target in task.teacher or ():
        if target.rdm.n_cond < _FEW:
            _log.warning(
                "The RDM of %s has %d conditions; similarity to fewer than %d is mostly chance.",
                target.area,
                target.rdm.n_cond,
                _FEW,
            )


def _check_space(controller: Controller, task: Task) -> list[str]:
    """Return why nothing that the space holds can be trained."""
    space, limits = controller.space, controller.limits
    generator, reason, n_classes = np.random.default_rng(0), "", len(task.images.classes)
    smallest: list[int] = []
    for _ in range(_DRAWS):
        architecture = space.sample(generator)
        try:
            blueprint = architecture.to_blueprint(n_classes)
            adds = blueprint.count_multiply_adds(task.images.image_size)
        except (ValueError, ArithmeticError) as error:
            reason = str(error)
            continue
        if limits is None or limits.admit(architecture):
            return _check_layers(architecture, task)
        found = [blueprint.n_parameters, adds]
        smallest = [min(pair) for pair in zip(smallest or found, found, strict=True)]
    if not smallest:
        return [
            f"None of {_DRAWS} architectures drawn from the space {space.name!r} can be laid out "
            f"for images of {task.images.image_size} px: {reason}"
        ]
    return [
        f"None of {_DRAWS} architectures drawn from the space {space.name!r} is within the limits "
        f"({limits}); the smallest have {smallest[0]:,} parameters and {smallest[1]:,} "
        "multiply-adds. Allow larger ones, or take a smaller space."
    ]


def _check_layers(architecture: Architecture, task: Task) -> list[str]:
    """Return why the layers that a task names are none of an architecture's network.

    A task of one's own is tried on a few images.
    """
    network = build_network(architecture, n_classes=len(task.images.classes), seed=0)
    if task.own is not None:
        few = slice(0, task.training.batch_size)
        pictures, labels = task.images.validation_images[few], task.images.validation_labels[few]
        try:
            task.own.adapt(network)
            compute_performance(network, pictures, labels, goal=task.goal)
        except Exception as error:  # whatever the user's file raises
            return [f"{task.own.file}: {type(error).__name__}: {error}"]
    try:
        find_layers(network, task.layers)
    except ValueError as error:
        return [f"[task] layers: {error}"]
    return []


def _check_memory(memory: int, task: Task, controller: Controller | None) -> list[str]:
    """Return why a process cannot hold what any candidate takes; warn where most take more."""
    least = _count_bytes(task) + _LIBRARIES
    said = (
        f"Processes may hold {memory / 2**30:.2f} GiB, but images, teacher and libraries take "
        f"{least / 2**30:.2f} before any training"
    )
    if memory < least:
        return [f"{said}; allow more memory."]
    smallest = _count_network(task, controller)
    if memory < least + smallest:  # of those drawn; the space may hold smaller ones
        of = f" with {task.seeds} seeds" if task.seeds > 1 else ""
        _log.warning(
            "%s, and the smallest of %d networks drawn from the space%s %.2f more while it is "
            "trained: most candidates will fail; allow more memory.",
            said, _SIZED, of, smallest / 2**30,
        )  # fmt: skip
    return []


def _count_network(task: Task, controller: Controller | None) -> int:
    """Return what the smallest of some networks takes while it is trained with all its seeds."""
    if controller is None or task.training.device != "cpu":
        return 0
    generator = np.random.default_rng(0)
    sizes: list[int] = []
    for _ in range(_SIZED):
        architecture = controller.space.sample(generator)
        with suppress(ValueError, ArithmeticError):  # what cannot be laid out
            if controller.limits is None or controller.limits.admit(architecture):
                sizes.append(architecture.to_blueprint(len(task.images.classes)).n_parameters)
    return _KEPT * min(sizes, default=0) * task.seeds


def _count_bytes(task: Task) -> int:
    """Return what a task takes in each process."""
    shown = [target.stimuli["image"].nbytes for target in task.teacher or ()]
    return int(task.images.held_bytes + sum(shown))


def _check_folder(out: Path, task: Task, plan: Plan) -> list[str]:
    """Return why a search cannot begin, or go on, in a folder."""
    if not (out / FILE_NAME).exists():
        there = [name for name in _WRITTEN if (out / name).exists()]
        if there:
            return [
                f"{out} holds {', '.join(there)} but no {FILE_NAME}: the search would replace them."
                " Move them away, or choose another folder."
            ]
        return []
    if plan.controller is None or plan.order is None or plan.candidates is None:
        return []
    with Journal.read(out) as journal:
        known, asked, is_earlier = journal.config, journal.n_asked, journal.is_earlier
    if known is None or is_earlier:  # which the search refuses, and says what to do
        return []
    described = describe_search(plan.controller, task, plan.order)
    if differences := find_differences(known, described, ("in the journal", "now")):
        return [
            f"{out} holds another search; use the same settings or another folder:"
            + "".join(differences)
        ]
    if asked > plan.candidates:
        return [f"{out} already holds {asked} candidates, {plan.candidates} were asked for."]
    return []
