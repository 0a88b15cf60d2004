"""Searches described in a file: RUN.toml, read and checked before any work starts.

The names of spaces and controllers that may stand in such a file are in `names`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from brainguided.candidates.evaluation import BATCH_NORMS, Task
from brainguided.candidates.recipe import NOTHING, Recipe
from brainguided.candidates.rivals import check_rivals
from brainguided.candidates.training import SGD, Training
from brainguided.controllers.contract import Controller
from brainguided.guidance.heldout import HeldOut
from brainguided.guidance.rewards import RobustReward
from brainguided.journal.facts import Shown
from brainguided.journal.journal import FILE_NAME
from brainguided.search.orders import Schedule
from brainguided.settings._controls import add_shuffles, check_controls, load_controls
from brainguided.settings._finalists import make_recipe
from brainguided.settings._heldout import check_heldout, split_heldout
from brainguided.settings._parts import (
    check_screen,
    find_weights,
    make_controller,
    make_limits,
    make_schedule,
    make_screen,
    make_space,
)
from brainguided.settings._reward import make_reward, note_keep
from brainguided.settings._tables import split_tables
from brainguided.settings._task_images import IMAGES, check_images, find_test, load_task_images
from brainguided.settings._warm_start import find_earlier, start_warm
from brainguided.settings.noted import find_run_file
from brainguided.settings.teacher_file import check_teacher, join_teachers
from brainguided.settings.toml import (
    RunFileError,
    check_keys,
    nest_problems,
    read_toml,
    refuse_file,
    show,
)

TOP = {
    "seed": "whole",
    "candidates": "whole",
    "order": "choice",
    "round_size": "whole",
    "lag": "whole",
    "timeout": "number",
}
_MOST_OF = 100_000  # cores or cards of one evaluation
RAY = {"cpus": "number", "gpus": "number", "resources": "table", "labels": "table"}
_TRAINING = {
    "steps": "whole",
    "rungs": "wholes",
    "batch_size": "whole",
    "augment": "augment",
    "precision": "text",
    "device": "text",
}
_SGD = {"learning_rate": "number", "weight_decay": "number", "schedule": "text"}
_EARLIER = {"alpha": "number", "checkpoints": "wholes"}  # of [reward] and rungs today
TASK = {
    **IMAGES,
    **_TRAINING,
    **_SGD,
    **_EARLIER,
    "batch_norm": "text",
    "rivals": "texts",
    "keep": "number",
    "seeds": "whole",
    "layers": "texts",
    "weights": "text",
    "exact_weights": "truth",
}


@dataclass(frozen=True, eq=False, repr=False)
class Run(Shown):
    """Search that is ready to run.

    Attributes
    ----------
    controller : Controller
        Newly made: hand it to `run_search` once.
    task : Task
        Images, teacher and training.
    candidates : int
    schedule : Schedule
    ray : dict
        Settings of `ray_executor`: what an evaluation takes.
    load_test : callable
        Reads the test images and their labels: for `run_finalists`, which does so last.
    check_test : callable
        Raises ValueError where there are none, without reading any.
    heldout : HeldOut or None
        What no reward uses: for `compare_heldout`.
    recipe : Recipe
        What long trainings add: for `run_finalists`.
    """

    controller: Controller
    task: Task
    candidates: int
    schedule: Schedule
    ray: dict[str, Any]
    load_test: Callable[[], tuple[np.ndarray, np.ndarray]]
    check_test: Callable[[], None]
    heldout: HeldOut | None = None
    recipe: Recipe = NOTHING

    def _list_facts(self) -> dict[str, Any]:
        made = self.controller
        return {
            "candidates": self.candidates,
            "controller": f"{type(made).__name__} of {made.space.name}, seed {made.seed}",
            "order": self.schedule.order,
            "task": self.task,
            "held out": "nothing" if self.heldout is None else "see heldout.describe()",
        }


def load_run(path: str | os.PathLike[str], *, seed: int | None = None) -> Run:
    """Read a run file and load the data that it names.

    Paths in the file are relative to the file. Built-in images and the simulated teacher are the
    same whatever the seed, which is that of the search.

    Parameters
    ----------
    path : path
        A run folder, whose run file was noted there, or a TOML file::

            seed = 1
            candidates = 60                      # required
            order = {batch = 8}                  # rounds of 8; or "completion": no worker waits;
                                                 # or e.g. {index = 24}, a lag: nearly so, and the
                                                 # same result whatever the workers
            timeout = 3600                       # s that a candidate may take
            [space]
            preset = "small"                     # zoph2017, pnas, nasnet, enas-micro, enas-macro,
            max_depth = 10                       # nasbench201, residual, recurrent,
                                                 # kuhn2025; with the settings of their
                                                 # functions
            [controller]
            name = "predictor"                   # evolution, local, reinforce, ppo, tpe, random,
                                                 # nsga2, motpe (for several objectives), list
                                                 # (goes through a space or list, learns
                                                 # nothing), and the papers' settings: zoph2017,
                                                 # nasnet
            initial = 10                         # or another of its settings
            unique = false                       # allows what was proposed before
            warm_start = "runs/first"            # folder of an earlier run of the same space;
            warm_start_anyway = true             # of another task too
            [limits]
            max_parameters = 500000              # larger candidates are never proposed
            max_multiply_adds = 20000000         # for one image
            hours = 12                           # since the start, or
            examples = 100000000                 # training images, after which a search ends
            [screen]                             # of ten proposals one is evaluated, the best by
            statistic = "graph_counts"           # prediction from the graph, or e.g. "parameters",
            of = 10                              # "synflow"; see `Screen`
            [ray]                                # with --ray: what a candidate takes
            cpus = 1
            gpus = 0.25                          # of use with device = "cuda" in [task]
            resources = {siteA = 1}              # as given to ray start
            labels = {gpu = "a100"}
            [task]
            images = "objects"                   # built-in, or a path: .npz, folder of classes
            # file = "my_task.py"                # images, loss and P of a task of one's own, see
                                                 # `OwnTask`
            decoded = "images.npy"               # file to which images are decoded, and read from;
                                                 # else all processes hold them
            n_train = 6400
            n_validation = 640
            variation = [0, 3, 6]                # levels of position, size and pose, 0 to 6
            rungs = [0, 50, 200]                 # steps after which candidates are measured
            keep = 0.33                          # share that goes on at each rung; else all
            seeds = 3                            # of its weights, with which each candidate is
                                                 # trained; it earns what the means do
            steps = 200                          # and the other settings of `Training`
            batch_norm = "recomputed"            # "running": averages of the training
            rivals = ["synflow"]                 # scores without a teacher, see `rivals`
            layers = ["stem", "cell1"]           # compared, where a candidate has them
            weights = "weights"                  # folder for the weights of every rung, float16
            exact_weights = true                 # and whole ones, for `finalists --continue`
            device = "cuda"                      # where candidates are trained and scored; "cpu"
                                                 # if it is left out, "cuda:1", "mps"
            [reward]
            preset = "paper"                     # P + alpha * TG, also where this table is
            alpha = 1.0                          # left out
            rung = 200                           # the last if it is left out; or
            # preset = "weighted"                # any sum of what was measured
            # terms = {performance = 1.0, "V4@50" = 0.5, log_parameters = -0.05}
            # preset = "robust"                  # see `RobustReward`
            # function = "my_reward.py:score"    # a function of a `Measurement`
            [winner]                             # before it is named: the best by reward are
            confirm = 3                          # evaluated again with other seeds; 0 for paper
            repeat = 8                           # candidates evaluated once more, which says how
                                                 # far seeds agree; 0 for paper
            [finalists]                          # what their long training adds, see `Recipe`
            label_smoothing = 0.1                # also warm_up, cutout, average
            [heldout]                            # what no reward uses, for the finalists; or
            stimuli = 0.25                       # animals, areas, similarity: see `hold_out`
            [[teacher]]                          # one for each source of recordings
            recording = "v4.nc"                  # or rdm = "it.nc", or simulated = true
            stimuli = "v4_images.nc"
            areas = ["V4"]
            by = "stimulus"                      # or e.g. "object_name"
            [[control]]                          # measured for each area, not rewarded: pixels,
            kind = "shuffled"                    # gabor, categories, blocks, gaussian, untrained,
            number = 20                          # network, sites, animal, session, partial
    seed : int, optional
        In place of the file's, e.g. for one search of several that differ in it alone.

    Returns
    -------
    Run
        All settings, the data loaded.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    RunFileError
        The file is no TOML, or has unknown keys, values of a wrong type or out of range, or names
        files that are missing; every problem is listed.
    RecordingError, AlignmentError, ValueError
        The data it names are not what they should be.
    """
    path = Path(path)
    path = find_run_file(path) if path.is_dir() else path
    content = read_toml(path, "run file")
    problems: list[str] = []
    tables = split_tables(content, TOP, problems)
    problems += check_keys("", tables["top"], TOP)
    if "candidates" not in tables["top"]:
        problems.append("candidates is missing: how many architectures to evaluate, e.g. 60")
    _check_numbers(tables["top"], tables["ray"], problems)
    schedule = make_schedule(tables["top"], tables["limits"], tables["winner"], problems)
    space = make_space(tables["space"], problems)
    seed = tables["top"].get("seed", 0) if seed is None else seed
    limits = make_limits(tables["limits"], problems)
    problems += check_keys("[ray] ", tables["ray"], RAY)
    check_screen(tables["screen"], problems, own="file" in tables["task"])
    controller = make_controller(tables["controller"], space, seed, limits, problems)
    earlier = find_earlier(tables["controller"], path.parent, problems)
    training = _make_training(tables["task"], path.parent, problems)
    reward = make_reward(tables["reward"], tables["task"].get("alpha"), path.parent, problems)
    for number, entry in enumerate(tables["teacher"], 1):
        check_teacher(f"[[teacher]] {number}: ", entry, path.parent, problems)
    if isinstance(reward, RobustReward) and tables["teacher"]:
        add_shuffles(tables["control"])
    note_keep(tables["task"], training.measured_at, reward, problems)
    check_controls(tables["control"], path.parent, problems, guided=bool(tables["teacher"]))
    recipe = make_recipe(tables["finalists"], problems)
    check_heldout(tables["heldout"], problems, guided=bool(tables["teacher"]))
    refuse_file(path, problems)
    assert controller is not None
    teacher = join_teachers(tables["teacher"], path.parent) if tables["teacher"] else None
    teacher, heldout = split_heldout(tables["heldout"], teacher)
    own, images = load_task_images(tables["task"], path.parent)
    if limits is not None:
        size, n_classes = images.image_size, len(images.classes)
        controller.limits = replace(limits, n_classes=n_classes, image_size=size)
    controller.screen = make_screen(tables["screen"], images)
    batch_norm = tables["task"].get("batch_norm", BATCH_NORMS[0])
    task = _make_task(
        path,
        (images, teacher, training, reward, batch_norm),
        controls=load_controls(tables["control"], teacher, path.parent),
        rivals=tables["task"].get("rivals", ()),
        keep=tables["task"].get("keep"),
        held_out=() if heldout is None else heldout.describe(),
        seeds=tables["task"].get("seeds", 1),
        layers=tuple(tables["task"].get("layers", ())),
        own=own,
        **find_weights(tables["task"], path.parent),
    )
    load_test, check_test = find_test(tables["task"], path.parent, task)
    if earlier is not None:
        anyway = tables["controller"].get("warm_start_anyway", False)
        start_warm(controller, earlier, None if anyway else task)
    candidates = tables["top"]["candidates"]
    ray = tables["ray"]
    return Run(controller, task, candidates, schedule, ray, load_test, check_test, heldout, recipe)


def _check_numbers(top: dict[str, Any], ray: dict[str, Any], problems: list[str]) -> None:
    """Note which numbers are out of range."""
    for key, lowest in (("candidates", 1), ("seed", 0)):
        if type(value := top.get(key, lowest)) is int and value < lowest:
            problems.append(f"{key} is {value}, expected {lowest} or more")
    for key in ("cpus", "gpus"):
        if type(value := ray.get(key, 0)) in (int, float) and not 0 <= value <= _MOST_OF:
            problems.append(f"[ray] {key} is {show(value)}, expected 0 to {_MOST_OF:,}")


def _make_task(path: Path, given: tuple[Any, ...], **settings: Any) -> Task:
    try:
        return Task(*given, **settings)
    except ValueError as cause:
        raise RunFileError(f"{path} cannot be used. {cause}") from cause


def write_demo(
    path: str | os.PathLike[str], *, candidates: int = 24, steps: int = 400, seed: int = 0
) -> Path:
    """Write the run file of the demonstration: simulated V4 and IT guide a small search.

    Objects in their canonical view and small batches make P, the accuracy, as well above chance
    and as different among candidates as the similarity to the areas, in seconds of training.

    Raises RunFileError if there is another run file of that name already, or the folder holds a
    search with another one.
    """
    path = Path(path)
    if (path.parent / FILE_NAME).exists() and not path.exists():
        raise RunFileError(
            f"{path.parent} holds another search. Start the demonstration in another folder."
        )
    text = (
        "# A search guided by a simulated macaque; nothing here is a recording of a brain.\n"
        f"seed = {seed}\ncandidates = {candidates}\norder = {{batch = 8}}\n\n"
        '[space]\npreset = "small"\nmax_depth = 10\n\n'
        '[controller]\nname = "predictor"\n\n'
        '[task]\nimages = "objects"\nvariation = [0]\nn_train = 6400\nn_validation = 640\n'
        f"steps = {steps}\nbatch_size = 32\n\n"
        '[reward]\npreset = "paper"\nalpha = 1.0\n\n'
        '[[teacher]]\nsimulated = true\nareas = ["V4", "IT"]\nby = "object_name"\n'
    )
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise RunFileError(
            f"{path} holds other settings than the demonstration asked for. Start it with the "
            "settings of before to resume, or in another folder."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


def _make_training(table: dict[str, Any], folder: Path, problems: list[str]) -> Training:
    where = "[task] "
    before = check_keys(where, table, TASK)
    before += check_images(where, table, folder)
    problems += before
    given = {key: value for key, value in table.items() if key in _TRAINING}
    if "checkpoints" in table and "rungs" in table:
        problems.append(f"{where}checkpoints and rungs say the same; keep rungs alone")
    rungs = table.get("rungs", table.get("checkpoints", []))
    if rungs and "rungs" in table and "steps" not in table:
        given["steps"] = rungs[-1]
    given["rungs"] = tuple(rungs) if isinstance(rungs, list) else rungs
    sgd = {key: table[key] for key in _SGD if key in table}
    if "keep" in table:
        sgd.setdefault("schedule", "constant")
    if type(seeds := table.get("seeds", 1)) is int and seeds < 1:
        problems.append(f"{where}seeds is {seeds}, expected 1 or more")
    if (norm := table.get("batch_norm", BATCH_NORMS[0])) not in BATCH_NORMS:
        problems.append(f"{where}batch_norm is {norm!r}; expected one of {BATCH_NORMS}")
    try:
        check_rivals(table.get("rivals", ()) if not before else ())
    except ValueError as cause:
        problems += nest_problems(where, cause)
    if not before:
        try:
            return Training(**given, sgd=SGD(**sgd))
        except ValueError as cause:
            problems += nest_problems(where, cause)
    return Training()
