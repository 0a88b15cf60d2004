"""The accuracy of guessing, beside which every other has to be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SURE = 0.05  # of guessing being as good, below which an accuracy is above chance


def find_chance(config: Mapping[str, Any] | None) -> float | None:
    """Return the accuracy of guessing in the task of a run: one over the number of classes.

    Of a task of the user's own, what its file says.

    Parameters
    ----------
    config : mapping or None
        Settings of the run, as its journal holds them.

    Returns
    -------
    float or None
        0 to 1; None where the settings do not say how many classes there are.
    """
    chance = _find_part(config, "own").get("chance")
    if isinstance(chance, float):
        return chance
    classes = _find_part(config, "images").get("classes")
    return 1 / classes if type(classes) is int and classes > 0 else None


def say_accuracy(accuracy: float | None, config: Mapping[str, Any] | None) -> str:
    """Say an accuracy on the validation images, with that of guessing.

    Parameters
    ----------
    accuracy : float or None
        0 to 1.
    config : mapping or None
        Settings of the run, as its journal holds them.

    Returns
    -------
    str
        E.g. "0.1480 (chance 0.125)"; it says so where guessing would be as good on as many images
        in more than 5 of 100 cases (binomial).
    """
    if accuracy is None:
        return "none"
    chance = find_chance(config)
    if chance is None:
        return f"{accuracy:.4f}"
    from scipy.stats import binom  # of which the command line's help has no need

    n = _find_part(config, "images").get("validation")
    counted = "chance" not in _find_part(config, "own")  # images, so that it is binomial
    poor = counted and type(n) is int and binom.sf(round(accuracy * n) - 1, n, chance) > _SURE
    return f"{accuracy:.4f} (chance {chance:.3g}{': no better than guessing' if poor else ''})"


def name_performance(config: Mapping[str, Any] | None) -> str:
    """Return what P is in the task of a run: "accuracy", or what a file of the user's calls it."""
    return str(_find_part(config, "own").get("performance", "accuracy"))


def say_own_task(task: Mapping[str, Any] | None) -> str:
    """Return a sentence on the file that holds a task; "" where it is plain classification.

    Parameters
    ----------
    task : mapping or None
        What the task says of itself, as the journal holds it.
    """
    file = _find_part({"task": task}, "own").get("file")
    if file is None:
        return ""
    return f" It was trained for the task in {file}, whose changes to its outputs are not in here."


def _find_part(config: Mapping[str, Any] | None, name: str) -> Mapping[str, Any]:
    task = (config or {}).get("task")
    part = task.get(name) if isinstance(task, Mapping) else None
    return part if isinstance(part, Mapping) else {}
