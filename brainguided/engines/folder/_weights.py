"""Candidates that workers of a folder train again: as jobs, and the weights that come back."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from brainguided.candidates.recipe import Recipe
from brainguided.candidates.retraining import Retraining
from brainguided.candidates.weight_files import pack_arrays, unpack_arrays
from brainguided.engines.attempt import MeasurementError
from brainguided.engines.folder.jobs import is_other, read_bounded
from brainguided.engines.output import clean
from neural_data.storage.aside import write_whole

_RECIPE = {one.name for one in fields(Recipe)}
_LARGEST = 8 * 2**30  # bytes of weights
_ON = "on"  # in names of retrainings that go on from weights
Weights = dict[str, np.ndarray]
Trained = tuple[float | None, Weights]


class NotThereYetError(Exception):
    """The weights of a result are not (wholly) there: a copy of the folder may bring them later."""


def describe_retraining(job: Retraining) -> dict[str, Any]:
    """Return what makes a job of a folder a retraining."""
    described: dict[str, Any] = {"again": True}
    described |= {"steps": job.steps, "validation": job.validation}
    described |= {"recipe": known} if (known := job.recipe.describe()) else {}
    return described if job.start is None else {**described, "start": _digest(job.start)}


def name_retraining(job: Retraining, number: int) -> str:
    """Return the name of a retraining, of which this is the attempt of that number."""
    what = "search" if job.steps is None else f"{job.steps}{'all' if job.validation else ''}"
    return f"{job.candidate:07d}-{what}{'' if job.start is None else _ON}-{number}"


def read_retraining(
    given: Mapping[str, Any], folder: Path | None = None, name: str = ""
) -> Retraining | None:
    """Return the retraining that a job asks for; None for a candidate, or what is none.

    Parameters
    ----------
    given : mapping
    folder : Path, optional
        Where the weights lie that it goes on from.
    name : str
        Of the job.

    Raises
    ------
    ValueError
        It cannot be read.
    """
    if given.get("again") is not True:
        return None
    architecture, seed, steps = (given.get(key) for key in ("architecture", "seed", "steps"))
    good = isinstance(architecture, str) and type(seed) is int and type(given.get("validation"))
    recipe = given.get("recipe", {})
    if good is not bool or not isinstance(recipe, dict) or not recipe.keys() <= _RECIPE:
        raise ValueError("it is no retraining")
    start = None
    if "start" in given:
        start = None if folder is None else read_start(folder, name, given["start"])
        if start is None:
            raise ValueError("the weights that it goes on from are not there")
    known: Any = {"architecture": architecture, "seed": seed, "steps": steps, "start": start}
    return Retraining(0, validation=given["validation"], recipe=Recipe(**recipe), **known)


def write_start(folder: Path, name: str, start: bytes) -> None:
    """Write the weights from which a retraining goes on, for whoever claims it."""
    write_whole(_place_start(folder, name), start)


def read_start(folder: Path, name: str, digest: Any) -> bytes | None:
    """Return the weights from which a retraining goes on; None where they are not (wholly) there.

    A copy of the folder may bring them later than the job.
    """
    try:
        content = read_bounded(_place_start(folder, name), _LARGEST)
    except (FileNotFoundError, ValueError):
        return None
    return content if _digest(content) == digest else None


def goes_on(name: str) -> bool:
    """Return whether a job is, by its name, a retraining that goes on from weights."""
    return name.rpartition("-")[0].endswith(_ON)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _place_start(folder: Path, name: str) -> Path:
    return folder / "starts" / f"{name}.npz"


def write_trained(folder: Path, job: str, trained: Trained) -> dict[str, Any]:
    """Write weights, and return what the result says of them."""
    performance, weights = trained
    content = pack_arrays(weights)
    write_whole(_place(folder, job), content)
    return {"performance": performance, "sha256": _digest(content)}


def read_trained(folder: Path, found: Mapping[str, Any], name: str, job: dict[str, Any]) -> Trained:
    """Return P on the validation images and weights of a result.

    Raises
    ------
    MeasurementError
        It is that of another job, says that its worker was lost, or is none.
    ArithmeticError, MemoryError, RuntimeError
        The training failed.
    NotThereYetError
        Its weights have not come.
    """
    if is_other(found, job):
        raise MeasurementError(f"The result {name} is that of another job")
    if isinstance(found.get("lost"), str):
        raise MeasurementError(clean(found["lost"]))
    if isinstance(found.get("failed"), str):
        kinds = {"MemoryError": MemoryError, "ArithmeticError": ArithmeticError}
        raise kinds.get(str(found.get("kind")), RuntimeError)(clean(found["failed"]))
    performance = found.get("performance")
    number = isinstance(performance, int | float) and math.isfinite(performance)
    if not (performance is None or number) or not isinstance(found.get("sha256"), str):
        raise MeasurementError(f"The result {name} is none: it has no performance, or no weights")
    try:
        content = read_bounded(_place(folder, name), _LARGEST)
    except FileNotFoundError as error:
        raise NotThereYetError(f"The weights of {name} are not there") from error
    except ValueError as error:
        raise MeasurementError(f"The weights of {name} are none: {error}") from error
    if _digest(content) != found["sha256"]:
        raise NotThereYetError(f"The weights of {name} are not whole")
    try:
        return performance, unpack_arrays(content)[0]
    except ValueError as error:
        raise MeasurementError(
            f"The weights of {name} cannot be read: {clean(str(error))}"
        ) from error


def remove_weights(folder: Path, name: str) -> None:
    """Remove weights that were handed over, and those that training went on from."""
    _place(folder, name).unlink(missing_ok=True)
    _place_start(folder, name).unlink(missing_ok=True)


def _place(folder: Path, name: str) -> Path:
    return folder / "weights" / f"{name}.npz"
