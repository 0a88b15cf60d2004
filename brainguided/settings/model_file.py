"""Networks named on the command line: a function in a file or module, or the winner of a search."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from brainguided.architectures import Architecture
from brainguided.journal.journal import Journal, JournalError
from brainguided.networks.build import build_network
from brainguided.networks.preprocessing import Preprocessing, read_preprocessing
from brainguided.search.saved_winner import refuse_other_weights


class ModelError(ValueError):
    """Raised when a network cannot be built from the user's file."""


def load_model(name: str) -> tuple[nn.Module, Preprocessing | None]:
    """Call the function that makes a network.

    Parameters
    ----------
    name : str
        ``FILE.py:function``, or ``package.module:function`` of what is installed. The function
        takes no arguments and returns a torch module, or a module and its `Preprocessing` or
        configuration (see `read_preprocessing`). The file is run as Python: take only files that
        you trust.

    Returns
    -------
    network : torch.nn.Module
    preprocessing : Preprocessing or None
        None if the function returns the module alone.

    Raises
    ------
    ModelError
        If there is no such file, module or function, it fails (with the line of the file where it
        did), or it returns something else.

    Examples
    --------
    >>> network, _ = load_model("torch.nn:Identity")
    >>> type(network).__name__
    'Identity'
    """
    place, _, function = name.rpartition(":")
    if not place or not function.isidentifier():
        raise ModelError(
            f"{name!r} does not name a function; expected FILE.py:function, e.g. my_models.py:vgg."
        )
    make = getattr(_import(place), function, None)
    if not callable(make):
        raise ModelError(f"{place} has no function {function!r}.")
    try:
        made = make()
    except Exception as cause:  # the user's own code
        raise ModelError(_say_failure(f"{name} failed", cause, place)) from cause
    network, how = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if isinstance(how, Mapping):
        try:
            how = read_preprocessing(how)
        except ValueError as cause:
            raise ModelError(f"{name} returned a configuration: {cause}") from cause
    if not isinstance(network, nn.Module) or not isinstance(how, Preprocessing | None):
        raise ModelError(
            f"{name} returned {_say_type(made)}; a torch.nn.Module was expected, or a module and "
            "its brainguided.Preprocessing."
        )
    return network, how


def load_winner(path: str | Path) -> tuple[nn.Module, Preprocessing]:
    """Return the trained winner of a search, or one of its finalists.

    Parameters
    ----------
    path : str or Path
        ``winner.json`` of a run folder, with ``winner.pt`` beside it, or ``finalist_K.json`` of its
        folder ``finalists``, with ``finalist_K.pt``.

    Returns
    -------
    network : torch.nn.Module
    preprocessing : Preprocessing
        Images are shown at the size that the network was trained on, which the run's journal
        says; at their own size if that is not there.

    Raises
    ------
    FileNotFoundError
        If one of the two files is missing.
    ModelError
        If they are not what a search writes, or do not belong together.
    """
    path = Path(path)
    weights = path.with_suffix(".pt")
    missing = [str(p) for p in (path, weights) if not p.is_file()]
    if missing:
        raise FileNotFoundError(
            f"There is no {' and no '.join(missing)}: a search leaves both in its run folder "
            "(brainguided search RUN.toml --out DIR)."
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        described = content["architecture"]  # of finalists already text
        text = described if isinstance(described, str) else json.dumps(described)
        architecture = Architecture.from_json(text)
        state = torch.load(weights, map_location="cpu", weights_only=True)
        if path.name == "winner.json":
            said = {"candidate": content["candidate"], "architecture": architecture.to_json()}
            refuse_other_weights(state, weights, said)
        n_classes = int(state["classifier.bias"].shape[0])
        network = build_network(architecture, n_classes=n_classes, seed=0)
        network.load_state_dict(state)
    except JournalError as cause:
        raise ModelError(str(cause)) from cause
    except Exception as cause:  # whatever a damaged or foreign file leads to
        raise ModelError(
            f"{path} and {weights.name} do not make a network ({type(cause).__name__}: {cause}). "
            "They are expected as 'brainguided search' wrote them, from the same run."
        ) from cause
    run = path.parent if path.name == "winner.json" else path.parent.parent
    return network.eval(), Preprocessing(size=_find_size(run))


def find_image_size(network: nn.Module) -> int | None:
    """Return the size of images, pixels, that a network says it was made for, or None.

    It says so as ``IMAGE_SIZE``, an attribute of its own or a constant of the file in which its
    class is written, as in the files that searches export.
    """
    forward = inspect.unwrap(type(network).forward)
    beside = getattr(forward, "__globals__", {}).get("IMAGE_SIZE")
    size = getattr(network, "IMAGE_SIZE", beside)
    return size if isinstance(size, int) else None


def _find_size(folder: Path) -> int | None:
    """Return the size of the images of a run; None if its journal is not there."""
    if not (folder / "journal.db").is_file():
        return None
    with Journal.read(folder) as journal:
        config = journal.config or {}
    size = config.get("task", {}).get("images", {}).get("image_size")
    return size if isinstance(size, int) else None


def _import(place: str) -> Any:
    if not place.endswith(".py"):
        try:
            return importlib.import_module(place)
        except ImportError as cause:
            raise ModelError(f"There is no module {place!r} to import: {cause}.") from cause
    path = Path(place)
    if not path.is_file():
        raise ModelError(f"There is no file {place}. Check the path.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ModelError(f"{place} cannot be read as Python.")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))  # as if it were run as a script
    try:
        spec.loader.exec_module(module)
    except Exception as cause:  # the user's own code
        raise ModelError(_say_failure(f"{place} cannot be run", cause, place)) from cause
    finally:
        sys.path.pop(0)
    return module


def _say_failure(what: str, cause: Exception, place: str) -> str:
    """Name the last line of the user's file that was reached."""
    frames = traceback.extract_tb(cause.__traceback__)
    own = [f for f in frames if Path(f.filename).name == Path(place).name]
    where = f" at line {own[-1].lineno} ({own[-1].line})" if own else ""
    if isinstance(cause, SyntaxError):
        where = f" at line {cause.lineno}"
    return f"{what}{where}: {type(cause).__name__}: {cause}"


def _say_type(made: Any) -> str:
    if isinstance(made, tuple):
        return f"({', '.join(type(m).__name__ for m in made)})"
    return type(made).__name__
