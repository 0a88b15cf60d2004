"""Candidates that workers of a folder train again: as jobs, and the weights that come back."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from brainguided.candidates.retraining import Retraining
from brainguided.engines.attempt import MeasurementError
from brainguided.engines.folder.jobs import is_other, read_bounded
from brainguided.engines.output import clean
from neural_data.storage.aside import write_whole

_LARGEST = 8 * 2**30  # bytes of weights
Weights = dict[str, np.ndarray]
Trained = tuple[float | None, Weights]


class NotThereYetError(Exception):
    """The weights of a result are not (wholly) there: a copy of the folder may bring them later."""


def describe_retraining(job: Retraining) -> dict[str, Any]:
    """Return what makes a job of a folder a retraining."""
    return {"again": True, "steps": job.steps, "validation": job.validation}


def name_retraining(job: Retraining, number: int) -> str:
    """Return the name of a retraining, of which this is the attempt of that number."""
    what = "search" if job.steps is None else f"{job.steps}{'all' if job.validation else ''}"
    return f"{job.candidate:07d}-{what}-{number}"


def read_retraining(given: Mapping[str, Any]) -> Retraining | None:
    """Return the retraining that a job asks for; None for a candidate, or what is none.

    Raises
    ------
    ValueError
        It cannot be read.
    """
    if given.get("again") is not True:
        return None
    architecture, seed, steps = (given.get(name) for name in ("architecture", "seed", "steps"))
    good = isinstance(architecture, str) and type(seed) is int and type(given.get("validation"))
    if good is not bool:
        raise ValueError("it is no retraining")
    return Retraining(0, architecture, seed, steps, given["validation"])  # type: ignore[arg-type]


def write_trained(folder: Path, job: str, trained: Trained) -> dict[str, Any]:
    """Write weights, and return what the result says of them."""
    performance, weights = trained
    stream = io.BytesIO()
    np.savez(stream, **weights)  # type: ignore[arg-type]
    content = stream.getvalue()
    write_whole(_place(folder, job), content)
    return {"performance": performance, "sha256": hashlib.sha256(content).hexdigest()}


def read_trained(folder: Path, found: Mapping[str, Any], name: str, job: dict[str, Any]) -> Trained:
    """Return validation accuracy and weights of a result.

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
    share = isinstance(performance, int | float) and 0 <= performance <= 1
    if not (performance is None or share) or not isinstance(found.get("sha256"), str):
        raise MeasurementError(f"The result {name} is none: it has no accuracy, or no weights")
    try:
        content = read_bounded(_place(folder, name), _LARGEST)
    except FileNotFoundError as error:
        raise NotThereYetError(f"The weights of {name} are not there") from error
    except ValueError as error:
        raise MeasurementError(f"The weights of {name} are none: {error}") from error
    if hashlib.sha256(content).hexdigest() != found["sha256"]:
        raise NotThereYetError(f"The weights of {name} are not whole")
    return performance, _read_arrays(content, name)


def remove_weights(folder: Path, name: str) -> None:
    """Remove weights that were handed over."""
    _place(folder, name).unlink(missing_ok=True)


def _place(folder: Path, name: str) -> Path:
    return folder / "weights" / f"{name}.npz"


def _read_arrays(content: bytes, name: str) -> Weights:
    """Return the arrays of an archive that is not compressed, and so no larger than it looks."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(member.file_size for member in archive.infolist()) > len(content):
                raise ValueError("they unpack to more than they are")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            weights = {key: arrays[key] for key in arrays.files}
    except (ValueError, OSError, zipfile.BadZipFile, EOFError, MemoryError) as error:
        raise MeasurementError(
            f"The weights of {name} cannot be read: {clean(str(error))}"
        ) from error
    if any(value.dtype.kind not in "fiub" for value in weights.values()):
        raise MeasurementError(f"The weights of {name} are no numbers")
    return weights
