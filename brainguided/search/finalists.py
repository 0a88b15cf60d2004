"""The best candidates of a search: trained longer, chosen on validation, the winner tested once."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, as_completed
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from brainguided.architectures import Architecture
from brainguided.candidates.evaluation import Task, train_candidate
from brainguided.candidates.training import (
    compute_accuracy,
    on_device,
    single_thread,
    train_network,
)
from brainguided.correspondence.compute import Inference, compute_correspondence
from brainguided.engines.contract import as_engine
from brainguided.journal.attempts import Attempt
from brainguided.journal.differing_settings import refuse_other_task
from brainguided.journal.journal import Journal, JournalError
from brainguided.journal.lock import take_lock
from brainguided.networks.build import BlueprintNetwork, build_network, count_parameters
from brainguided.networks.export import export_network
from brainguided.networks.preprocessing import Preprocessing
from brainguided.search._finalist import Finalist, read_trained
from neural_data.storage.aside import write_aside, write_whole
from neural_data.storage.netcdf import write_netcdf

_log = logging.getLogger(__name__)
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
    steps: int,
    top: int = 10,
    executor: Executor | None = None,
    retry_failed: bool = False,
) -> xr.Dataset:
    """Train the best candidates of a run longer and test the one that is best on validation.

    The candidates with the highest rewards, isomorphic ones once, are trained from new weights for
    `steps` steps on the training images. The best on the validation images is trained anew on
    training and validation images and tested once, on images that are not read before [1]_.
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
    steps : int
        SGD steps of the long training, with the other settings of the run.
    top : int
        Number of finalists.
    executor : concurrent.futures.Executor, optional
        Where finalists are trained; default: in this process, one by one.
    retry_failed : bool
        Whether finalists that failed are trained again. Those that ran out of memory or found no
        device are by themselves, twice at most. Once the test was made none is.

    Returns
    -------
    xarray.Dataset (finalist)
        ``candidate``, ``reward``, ``search_performance``, ``performance`` (NaN for one that
        failed), ``n_parameters``, ``examples``; attrs ``winner`` (its candidate),
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
        No candidate succeeded, or no finalist.
    ValueError
        `steps` or `top` is less than 1, or the test images do not fit.

    References
    ----------
    .. [1] Bashivan, Tensen & DiCarlo 2019, ICCV, section 4.3.
    """
    for name, number in (("steps", steps), ("top", top)):
        if type(number) is not int or number < 1:
            raise ValueError(f"{name} is {number!r}; expected a whole number, at least 1.")
    with Journal.read(out) as journal:
        config, results = journal.config or {}, journal.results()
    refuse_other_task(config, task.describe(), out)
    folder = Path(out) / "finalists"
    chosen = choose_finalists(results, top)
    if not chosen:
        raise RuntimeError(f"No candidate of {out} succeeded; there are no finalists.")
    _claim(folder, {"steps": steps, "candidates": [result.candidate for result in chosen]})
    long = replace(task, training=replace(task.training, steps=steps, checkpoints=()))
    with closing(take_lock(folder)):
        finalists = _train_all(chosen, long, folder, executor, retry_failed)
        winner, test = _find_and_test_winner(finalists, task, long, load_test, folder)
    spent = {
        "examples_search": sum(result.examples or 0 for result in results),
        "examples_finalists": sum(finalist.examples for finalist in finalists),
        "examples_winner": steps * task.training.batch_size,
    }
    record = _assemble(finalists, {**test, **spent, "examples": sum(spent.values())}, winner)
    write_netcdf(record, folder / "finalists.nc")
    text = {"finalists": [asdict(finalist) for finalist in finalists], **record.attrs}
    write_whole(folder / "finalists.json", json.dumps(text, indent=1) + "\n")
    return record


def _find_and_test_winner(
    finalists: list[Finalist],
    task: Task,
    long: Task,
    load_test: Callable[[], tuple[np.ndarray, np.ndarray]],
    folder: Path,
) -> tuple[Finalist, dict[str, Any]]:
    """Return the best on validation, trained on all but the test images, and its test."""
    done = [finalist for finalist in finalists if finalist.performance is not None]
    if not done:
        reasons = "; ".join(f"candidate {f.candidate}: {f.reason}" for f in finalists)
        raise RuntimeError(f"All finalists failed: {reasons}.")
    winner = max(done, key=lambda finalist: (finalist.performance, -finalist.candidate))
    network = _train_winner(winner, long, folder)
    if task.teacher is not None:
        _compare(winner, task, network, folder)
    _log.info("reading the test images")
    return winner, _test_once(network, load_test, folder, task)


def choose_finalists(results: list[Attempt], top: int) -> list[Attempt]:
    """Return the done candidates with the highest rewards, of isomorphic ones the first."""
    done = [result for result in results if result.outcome == "done"]
    done.sort(key=lambda result: (-float(result.reward or 0.0), result.candidate))
    met: set[str] = set()
    chosen = []
    for result in done:
        key = Architecture.from_json(result.architecture).canonical_key
        if key not in met:
            met.add(key)
            chosen.append(result)
    return chosen[:top]


def _claim(folder: Path, settings: dict[str, Any]) -> None:
    """Refuse to mix finalists of different settings."""
    path = folder / "settings.json"
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        if before != settings:
            raise JournalError(
                f"{folder} holds finalists of other settings ({before}, now {settings}). Use the "
                "same, or move that folder away: its test was made on the same test images."
            )
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(settings) + "\n")


def _train_all(
    chosen: list[Attempt], task: Task, folder: Path, executor: Executor | None, retry_failed: bool
) -> list[Finalist]:
    """Return the finalists in the order of their rewards, training those not yet trained."""
    known, tries = read_trained(chosen, folder, retry_failed)
    missing = [result for result in chosen if result.candidate not in known]
    if missing:  # what a stopped call made of its winner: another one may win now
        for name in _OF_WINNER:
            (folder / name).unlink(missing_ok=True)
    jobs: dict[Future[Any], Attempt] = {}
    if executor is not None:
        given, _ = as_engine(executor).prepare(task, _train_long)
        jobs = {executor.submit(_train_long, r.architecture, given, r.seed): r for r in missing}
    for item in as_completed(jobs) if executor is not None else missing:
        result = jobs[item] if isinstance(item, Future) else item
        try:
            if isinstance(item, Future):
                performance, state = item.result()
            else:
                performance, state = _train_long(result.architecture, task, result.seed)
            reason = ""
        except (ArithmeticError, MemoryError, RuntimeError, CancelledError) as error:
            performance, state, reason = None, {}, f"{type(error).__name__}: {error}"
            if isinstance(error, BrokenExecutor | CancelledError):
                raise
        finalist = Finalist(
            result.candidate,
            result.architecture,
            result.seed,
            float(result.reward or 0.0),
            float(result.performance or 0.0),
            performance,
            reason,
            int(result.n_parameters or 0),
            task.training.steps * task.training.batch_size if performance is not None else 0,
            tries[result.candidate] + 1,
        )
        name = f"finalist_{result.candidate}"
        if state:
            _save_weights({k: torch.from_numpy(v) for k, v in state.items()}, folder / f"{name}.pt")
        write_whole(folder / f"{name}.json", json.dumps(asdict(finalist)) + "\n")
        known[result.candidate] = finalist
        said = reason if performance is None else f"validation accuracy {performance:.4f}"
        _log.info(
            "finalist %d of %d: candidate %d, %s", len(known), len(chosen), result.candidate, said
        )
    return [known[result.candidate] for result in chosen]


def _train_long(architecture: str, task: Task, seed: int) -> tuple[float, dict[str, np.ndarray]]:
    """Return validation accuracy and weights after the long training, in whatever process."""
    images = task.images
    network = _train(architecture, task, seed, images.train_images, images.train_labels)
    with single_thread(), on_device(network, task.training.device):
        performance = compute_accuracy(
            network,
            images.validation_images,
            images.validation_labels,
            precision=task.training.precision,
        )
    return performance, {k: v.numpy() for k, v in network.state_dict().items()}


def _train(
    architecture: str, task: Task, seed: int, images: np.ndarray, labels: np.ndarray
) -> BlueprintNetwork:
    with single_thread():
        network = build_network(
            Architecture.from_json(architecture), n_classes=len(task.images.classes), seed=seed
        )
        train_network(network, images, labels, training=task.training, seed=seed)
    return network


def _train_winner(winner: Finalist, task: Task, folder: Path) -> BlueprintNetwork:
    """Return the winner trained on training and validation images, and export it."""
    path = folder / "winner_network.py"
    blueprint = Architecture.from_json(winner.architecture).to_blueprint(len(task.images.classes))
    if path.exists() and path.with_suffix(".pt").exists():
        network = BlueprintNetwork(blueprint)
        network.load_state_dict(torch.load(path.with_suffix(".pt"), weights_only=True))
        return network
    _log.info("training the winner, candidate %d, on all images but the test's", winner.candidate)
    images = task.images
    network = _train(
        winner.architecture,
        task,
        winner.seed,
        np.concatenate([images.train_images, images.validation_images]),
        np.concatenate([images.train_labels, images.validation_labels]),
    )
    export_network(
        blueprint,
        network.state_dict(),
        path,
        classes=images.classes,
        image_size=images.image_size,
        about=f"Candidate {winner.candidate} of an architecture search, trained long.",
    )
    return network


def _compare(winner: Finalist, task: Task, network: BlueprintNetwork, folder: Path) -> None:
    """Save the layer-area correspondence after the search and after the long training."""
    assert task.teacher is not None
    how = Preprocessing(size=task.images.image_size)
    architecture = Architecture.from_json(winner.architecture)
    for when in ("search", "long"):
        path = folder / f"correspondence_{when}.nc"
        if path.exists():
            continue
        shown = network if when == "long" else train_candidate(architecture, task, seed=winner.seed)
        with single_thread(), on_device(shown, task.training.device):
            found = compute_correspondence(
                shown.eval(), task.teacher, preprocessing=how, inference=_INFERENCE
            )
        found["ceiling_usable"] = found["ceiling_usable"].astype("int8")
        write_netcdf(found, path)


def _test_once(
    network: BlueprintNetwork,
    load_test: Callable[[], tuple[np.ndarray, np.ndarray]],
    folder: Path,
    task: Task,
) -> dict[str, Any]:
    """Return the test accuracy, computing it if that was never done."""
    path = folder / "test.json"
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
    images, labels = load_test()
    if images.dtype != np.uint8 or images.ndim != 4 or labels.shape != (len(images),):
        raise ValueError(
            f"Test images are {images.dtype} {images.shape} with labels {labels.shape}; expected "
            "uint8 (n, y, x, 3) and (n,)."
        )
    classes = len(task.images.classes)
    if labels.dtype.kind not in "iu" or not ((labels >= 0) & (labels < classes)).all():
        raise ValueError(
            f"Labels of the test images are {labels.dtype} from {labels.min()} to {labels.max()}; "
            f"expected integers from 0 to {classes - 1}, which of the task's classes each image "
            "shows. The test was not made."
        )
    with single_thread(), on_device(network, task.training.device):
        accuracy = compute_accuracy(network, images, labels)
    digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    test = {
        "test_accuracy": accuracy,
        "test_images": len(images),
        "test_sha256": digest,
        "n_parameters": count_parameters(network),
    }
    write_whole(path, json.dumps(test) + "\n")
    return test


def _assemble(finalists: list[Finalist], attrs: dict[str, Any], winner: Finalist) -> xr.Dataset:
    def column(name: str, kind: type) -> tuple[str, np.ndarray]:
        values = [getattr(finalist, name) for finalist in finalists]
        return "finalist", np.array([np.nan if v is None else v for v in values], dtype=kind)

    return xr.Dataset(
        {
            "candidate": column("candidate", int),
            "reward": column("reward", float),
            "search_performance": column("search_performance", float),
            "performance": column("performance", float),
            "n_parameters": column("n_parameters", int),
            "examples": column("examples", int),
        },
        coords={"finalist": np.arange(1, len(finalists) + 1)},
        attrs={"winner": winner.candidate, **attrs},
    )


def _save_weights(state: dict[str, Tensor], path: Path) -> None:
    with write_aside(path) as aside:
        torch.save(state, aside)
