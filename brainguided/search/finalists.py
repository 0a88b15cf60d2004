"""The best candidates of a search: trained longer, chosen on validation, the winner tested once."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from brainguided.architectures import Architecture
from brainguided.candidates.accuracy import compute_performance
from brainguided.candidates.after_search import Weights, find_device, rebuild_network
from brainguided.candidates.evaluation import Task
from brainguided.candidates.goal import count_among_best
from brainguided.candidates.recipe import LongTraining
from brainguided.candidates.retraining import Retraining
from brainguided.candidates.rungs import find_layers
from brainguided.candidates.training import on_device, single_thread
from brainguided.correspondence.compute import Inference, compute_correspondence
from brainguided.journal.attempts import Attempt
from brainguided.journal.chance import say_own_task
from brainguided.journal.differing_settings import refuse_other_task
from brainguided.journal.journal import Journal, JournalError
from brainguided.journal.lock import take_lock
from brainguided.networks.build import BlueprintNetwork, count_parameters
from brainguided.networks.export import export_network
from brainguided.networks.noted_weights import load_weights
from brainguided.networks.preprocessing import Preprocessing
from brainguided.search._apart import train_apart
from brainguided.search._claimed import claim_folder, describe_settings
from brainguided.search._finalist import Finalist, Work, read_trained
from brainguided.search.choice import Drawn, choose_finalists
from brainguided.search.continued import Continued, read_starts
from neural_data.labels import name_variables
from neural_data.storage.aside import write_aside, write_whole
from neural_data.storage.netcdf import write_netcdf
from neural_data.storage.text_files import read_json

_log = logging.getLogger(__name__)
_TOP = 5  # classes, of which the right one may be any
_INFERENCE = Inference(draws=200, permutations=200)
_OF_WINNER = (
    "winner_network.py",
    "winner_network.pt",
    "correspondence_search.nc",
    "correspondence_long.nc",
)


def run_finalists(
    out: str | os.PathLike[str],
    task: Task,
    load_test: Callable[[], tuple[np.ndarray, np.ndarray]],
    *,
    steps: int | Continued | LongTraining,
    top: int | Drawn = 10,
    executor: Executor | None = None,
    retry_failed: bool = False,
) -> xr.Dataset:
    """Train the best candidates of a run longer and test the one that is best on validation.

    The candidates with the highest rewards, isomorphic ones once and those confirmed with other
    seeds first, are trained from new weights for `steps` steps on the training images. The best on
    the validation images is trained anew on training and validation images and tested once, on
    images that are not read before [1]_.
    The same call goes on where it was stopped; a test that was made is never made again.

    Parameters
    ----------
    out : path
        A run folder.
    task : Task
        The task of that run.
    load_test : callable
        Returns test images (image, y, x, channel) of uint8 and their labels, indices into the
        task's classes; called once, last.
    steps : int or Continued
        SGD steps of the long training, with the other settings of the run; the learning rate falls
        to 0 along a cosine, whatever the schedule of the search. ``Continued(5000)`` begins not
        with new weights but goes on, to 5,000 steps in all, from those of the last rung that a
        candidate reached, which the search kept (``[task] weights``); the winner too. A finalist
        whose weights are missing, damaged or of another training fails, by name.
    top : int or Drawn
        Number of finalists; ``Drawn(100)`` draws as many without choosing by the reward, so that
        their accuracies can tell what predicts them.
    executor : concurrent.futures.Executor, optional
        Where networks are trained, for instance where the search ran; default: in this process, one
        by one. The winner is tested and compared with the teacher in this process, on the CPU
        where there is no such device as it was trained on.
    retry_failed : bool
        Whether finalists that failed are trained again. Those that ran out of memory or found no
        device are by themselves, twice at most. Once the test was made none is.

    Returns
    -------
    xarray.Dataset (finalist)
        ``candidate``, ``reward``, ``search_performance``, ``performance`` (NaN for one that
        failed), ``n_parameters``, ``examples``, with `Continued` also ``continued_from`` (steps of
        the search; NaN for one that was not) and ``exact`` (1 with exact weights, 0 with half
        precision, NaN for one without); attrs ``winner`` (its candidate),
        ``test_accuracy``, ``test_images``, ``examples_search``, ``examples_finalists``,
        ``examples_winner`` and ``examples`` (their sum). The folder ``finalists`` in the run
        folder holds this as finalists.nc and finalists.json, a checkpoint of every finalist
        (``finalist_K.pt``, to be loaded with ``weights_only=True``), the winner as
        ``winner_network.py`` and ``.pt``, and where the run has a teacher its layer-area
        correspondence after the search and after the long training.

    Raises
    ------
    FileNotFoundError
        The folder has no journal.
    JournalError
        The run was made with another task, or its finalists with other settings; or another
        process is at them.
    RuntimeError
        No candidate succeeded, or no finalist; or no weights can be gone on from, and nothing was
        begun.
    ValueError
        `steps` or `top` is less than 1, or the test images do not fit; or weights are to be gone
        on from that no search kept, or that had as many steps.

    References
    ----------
    .. [1] Bashivan, Tensen & DiCarlo 2019, ICCV, section 4.3.
    """
    length = steps.steps if isinstance(steps, Continued | LongTraining) else steps
    for name, number in (("steps", length), ("top", 1 if isinstance(top, Drawn) else top)):
        if type(number) is not int or number < 1:
            raise ValueError(f"{name} is {number!r}; expected a whole number, at least 1.")
    with Journal.read(out) as journal:
        config, results = journal.config or {}, journal.results()
        again, confirming = journal.attempts_again(), journal.again()
    refuse_other_task(config, task.describe(), out)
    folder = Path(out) / "finalists"
    chosen = choose_finalists(results, top, confirming)
    if not chosen:
        raise RuntimeError(f"No candidate of {out} succeeded; there are no finalists.")
    long = steps if isinstance(steps, LongTraining) else None
    work = Work(task, length, folder, executor, long=long)
    if isinstance(steps, Continued):
        work = replace(work, starts=read_starts(chosen, task, length))
        _refuse_all_missing(work)
    folder.mkdir(parents=True, exist_ok=True)
    with closing(take_lock(folder)):
        claim_folder(folder, describe_settings(steps, chosen, top, task))
        finalists = _train_all(chosen, work, retry_failed)
        winner, test = _find_and_test_winner(finalists, work, load_test)
    spent = {
        "examples_search": sum(one.examples or 0 for one in [*results, *again]),
        "examples_finalists": sum(finalist.examples for finalist in finalists),
        "examples_winner": work.count_examples(winner, validation=True),
    }
    record = _assemble(finalists, {**test, **spent, "examples": sum(spent.values())}, winner)
    write_netcdf(record, folder / "finalists.nc")
    text = {"finalists": [asdict(one) for one in finalists], "steps": length, **record.attrs}
    write_whole(folder / "finalists.json", json.dumps(text, indent=1) + "\n")
    return record


def _refuse_all_missing(work: Work) -> None:
    """Refuse to begin where no finalist can go on."""
    problems = [error for error in (work.starts or {}).values() if isinstance(error, Exception)]
    if len(problems) == len(work.starts or {}) and not (work.folder / "settings.json").exists():
        raise RuntimeError(
            f"None of {len(problems)} finalists can go on from weights that the search kept. "
            f"{problems[0]} Or begin anew (without --continue). Nothing was begun."
        )


def _find_and_test_winner(
    finalists: list[Finalist],
    work: Work,
    load_test: Callable[[], tuple[np.ndarray, np.ndarray]],
) -> tuple[Finalist, dict[str, Any]]:
    """Return the best on validation, trained on all but the test images, and its test."""
    done = [finalist for finalist in finalists if finalist.performance is not None]
    if not done:
        reasons = "; ".join(f"candidate {f.candidate}: {f.reason}" for f in finalists)
        raise RuntimeError(f"All finalists failed: {reasons}.")
    winner = max(done, key=lambda finalist: (finalist.performance, -finalist.candidate))
    test = _read_test(work.folder, winner)
    network = _train_winner(winner, work)
    if work.task.teacher is not None:
        _compare(winner, network, work)
    if test is None:
        _log.info("reading the test images")
        test = _test(winner, network, load_test, work)
    return winner, test


def _train_all(chosen: list[Attempt], work: Work, retry_failed: bool) -> list[Finalist]:
    """Return the finalists in the order of their rewards, training those not yet trained."""
    folder, task = work.folder, work.task
    known, tries = read_trained(chosen, folder, retry_failed)
    missing = {work.make_job(one): one for one in chosen if one.candidate not in known}
    if missing:  # what a stopped call made of its winner: another one may win now
        for name in _OF_WINNER:
            (folder / name).unlink(missing_ok=True)
    stuck = [(job, problem) for job, one in missing.items() if (problem := work.find_problem(one))]
    going = [job for job, one in missing.items() if not work.find_problem(one)]
    for job, trained in chain(stuck, train_apart(going, task, work.executor)):
        result, failed = missing[job], isinstance(trained, Exception)
        performance, weights = (None, {}) if isinstance(trained, Exception) else trained
        finalist = Finalist(
            result.candidate,
            result.architecture,
            result.seed,
            float(result.reward or 0.0),
            result.performance,
            performance,
            f"{type(trained).__name__}: {trained}" if failed else "",
            int(result.n_parameters or 0),
            0 if failed else work.count_examples(result),
            tries[result.candidate] + 1,
            **work.say_start(result.candidate),
        )
        name = f"finalist_{result.candidate}"
        if weights:
            _save_weights(weights, folder / f"{name}.pt")
        write_whole(folder / f"{name}.json", json.dumps(asdict(finalist)) + "\n")
        known[result.candidate] = finalist
        said = finalist.reason if failed else f"P {performance:.4f}"
        _log.info(
            "finalist %d of %d: candidate %d, %s", len(known), len(chosen), result.candidate, said
        )
    return [known[result.candidate] for result in chosen]


def _train_once(job: Retraining, work: Work) -> BlueprintNetwork:
    """Return one network, trained wherever finalists are."""
    ((_, trained),) = train_apart([job], work.task, work.executor)
    if isinstance(trained, Exception):
        raise RuntimeError(
            f"The winner, candidate {job.candidate}, could not be trained ({trained}). The "
            "finalists are kept: the same command tries again."
        ) from trained
    return rebuild_network(job.architecture, work.task, trained[1])


def _train_winner(winner: Finalist, work: Work) -> BlueprintNetwork:
    """Return the winner trained on training and validation images, and export it."""
    path, images = work.folder / "winner_network.py", work.task.images
    blueprint = Architecture.from_json(winner.architecture).to_blueprint(len(images.classes))
    if path.exists() and path.with_suffix(".pt").exists():
        weights = load_weights(path.with_suffix(".pt"))
        known = {name: value.numpy() for name, value in weights.items()}
        return rebuild_network(winner.architecture, work.task, known)
    _log.info("training the winner, candidate %d, on all images but the test's", winner.candidate)
    if problem := work.find_problem(winner):
        raise RuntimeError(
            f"The winner, candidate {winner.candidate}, cannot go on from the weights of the "
            f"search: {problem} The finalists are kept: the same command tries again."
        )
    network = _train_once(work.make_job(winner, validation=True), work)
    export_network(
        blueprint,
        network.state_dict(),
        path,
        classes=images.classes,
        image_size=images.image_size,
        about=f"Candidate {winner.candidate} of an architecture search, trained long."
        f"{say_own_task(work.task.describe())}",
    )
    return network


def _compare(winner: Finalist, network: BlueprintNetwork, work: Work) -> None:
    """Save the layer-area correspondence after the search and after the long training."""
    task, teacher = work.task, work.task.recorded_teacher
    assert teacher is not None
    how = Preprocessing(size=task.images.image_size)
    for when in ("search", "long"):
        path = work.folder / f"correspondence_{when}.nc"
        if path.exists():
            continue
        shown = network
        if when == "search":
            job = Retraining(winner.candidate, winner.architecture, winner.seed)
            shown = _train_once(job, work)
        with single_thread(), on_device(shown, find_device(task.training.device)):
            found = compute_correspondence(
                shown.eval(),
                teacher,
                layers=find_layers(shown, task.layers),
                preprocessing=how,
                inference=_INFERENCE,
            )
        found["ceiling_usable"] = found["ceiling_usable"].astype("int8")
        write_netcdf(found, path)


def _read_test(folder: Path, winner: Finalist) -> dict[str, Any] | None:
    """Return the test that was made; None if there was none."""
    path = folder / "test.json"
    if not path.exists():
        return None
    found = read_json(path)
    tested = found.pop("candidate", winner.candidate)  # earlier versions did not write it
    if tested != winner.candidate:
        raise JournalError(
            f"{path} is the test of candidate {tested}, but candidate {winner.candidate} is the "
            "best on validation now. A winner is tested once: move the folder away to begin anew."
        )
    return found


def _test(
    winner: Finalist,
    network: BlueprintNetwork,
    load_test: Callable[[], tuple[np.ndarray, np.ndarray]],
    work: Work,
) -> dict[str, Any]:
    """Return the test accuracy, computed once."""
    images, labels = load_test()
    own = work.task.own is not None
    shape = labels.shape[:1] if own else labels.shape
    if images.dtype != np.uint8 or images.ndim != 4 or shape != (len(images),):
        raise ValueError(
            f"Test images are {images.dtype} {images.shape} with labels {labels.shape}; expected "
            "uint8 (n, y, x, 3) and (n,)."
        )
    classes = len(work.task.images.classes)
    known = own or (labels.dtype.kind in "iu" and ((labels >= 0) & (labels < classes)).all())
    if not known:
        raise ValueError(
            f"Labels of the test images are {labels.dtype} from {labels.min()} to {labels.max()}; "
            f"expected integers from 0 to {classes - 1}, which of the task's classes each image "
            "shows. The test was not made."
        )
    with single_thread(), on_device(network, find_device(work.task.training.device)):
        accuracy, _ = compute_performance(network, images, labels, goal=work.task.goal)
        top = {}
        if not own and classes > _TOP:
            among, _ = compute_performance(network, images, labels, goal=count_among_best(_TOP))
            top = {f"test_top{_TOP}_error": 1 - among}
    digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    test = {
        "test_accuracy": accuracy,
        **top,
        "test_images": len(images),
        "test_sha256": digest,
        "n_parameters": count_parameters(network),
    }
    content = {"candidate": winner.candidate, **test}
    write_whole(work.folder / "test.json", json.dumps(content) + "\n")
    return test


def _assemble(finalists: list[Finalist], attrs: dict[str, Any], winner: Finalist) -> xr.Dataset:
    def column(name: str, kind: type) -> tuple[str, np.ndarray]:
        values = [getattr(finalist, name) for finalist in finalists]
        return "finalist", np.array([np.nan if v is None else v for v in values], dtype=kind)

    continued = {}
    if any(finalist.continued_from is not None for finalist in finalists):
        continued = {name: column(name, float) for name in ("continued_from", "exact")}
    found = xr.Dataset(
        {
            "candidate": column("candidate", int),
            "reward": column("reward", float),
            "search_performance": column("search_performance", float),
            "performance": column("performance", float),
            "n_parameters": column("n_parameters", int),
            "examples": column("examples", int),
            **continued,
        },
        coords={"finalist": np.arange(1, len(finalists) + 1)},
        attrs={"winner": winner.candidate, **attrs},
    )
    named: xr.Dataset = name_variables(found, _NAMES)
    return named


_NAMES = {
    "finalist": ("finalist", ""),
    "candidate": ("candidate of the search", ""),
    "reward": ("reward in the search", "1"),
    "search_performance": ("P in the search", "1"),
    "performance": ("validation accuracy after long training", "1"),
    "n_parameters": ("trainable parameters", "1"),
    "examples": ("training images processed", "1"),
    "continued_from": ("training steps gone on from", "1"),
    "exact": ("whether it went on exactly as without a stop", ""),
}


def _save_weights(weights: Weights, path: Path) -> None:
    with write_aside(path) as aside:
        torch.save({name: torch.tensor(value) for name, value in weights.items()}, aside)
