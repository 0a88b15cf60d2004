"""The accuracy of guessing, beside which every other has to be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SURE = 0.05  # of guessing being as good, below which an accuracy is above chance


def find_chance(config: Mapping[str, Any] | None) -> float | None:
    """Return the accuracy of guessing in the task of a run: one over the number of classes.

    Parameters
    ----------
    config : mapping or None
        Settings of the run, as its journal holds them.

    Returns
    -------
    float or None
        0 to 1; None where the settings do not say how many classes there are.
    """
    images = _find_images(config)
    classes = images.get("classes")
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

    n = _find_images(config).get("validation")
    poor = type(n) is int and binom.sf(round(accuracy * n) - 1, n, chance) > _SURE
    return f"{accuracy:.4f} (chance {chance:.3g}{': no better than guessing' if poor else ''})"


def _find_images(config: Mapping[str, Any] | None) -> Mapping[str, Any]:
    task = (config or {}).get("task")
    images = task.get("images") if isinstance(task, Mapping) else None
    return images if isinstance(images, Mapping) else {}
