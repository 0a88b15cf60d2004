"""Several objectives of a search, and the candidates that none exceeds in all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import nan
from typing import Any

import numpy as np

from brainguided.journal.attempts import STOPPED, Attempt
from brainguided.journal.measurement import Measurement

OBJECTIVES = ("performance", "TG", "-parameters")
"""Of the front of a search whose controller learned from rewards alone."""


def read_value(measurement: Measurement, name: str) -> float:
    """Return a number of a measurement by its name: an undefined similarity counts as 0.

    Raises
    ------
    ValueError
        There is no such number, or it is undefined and no similarity.
    """
    value = measurement.value(name)
    if value is not None:
        return value
    base = name.removeprefix("committed ")
    if any(base == target or base.startswith(f"{target}@") for target in measurement.targets):
        return 0.0
    raise ValueError(
        f"{name} of the candidate is undefined; expected a number of every candidate. Leave it out "
        "of the reward, or leave out of the space what has none."
    )


def read_objectives(measurement: Measurement, objectives: Sequence[str]) -> tuple[float, ...]:
    """Return the objectives of a candidate, higher is better.

    Parameters
    ----------
    measurement : Measurement
    objectives : sequence of str
        Names that `Measurement.value` knows; of one that begins with a minus less is better, and
        its number is negated.

    Returns
    -------
    tuple of float
        One for each objective.

    Raises
    ------
    ValueError
        One was not measured, or is undefined.
    """
    return tuple(
        -read_value(measurement, name[1:])
        if name.startswith("-")
        else read_value(measurement, name)
        for name in objectives
    )


def find_objectives(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the objectives that the controller of a search learned from; () for rewards alone.

    Of a merged run those of its searches where all have the same; () where they differ.
    """
    known = _find_told(config)
    return known[0] if len({frozenset(one) for one in known}) == 1 else ()


def describe_unlike_objectives(config: Mapping[str, Any]) -> str:
    """Return why the front of a merged run is that of no objectives of its searches; or ""."""
    known = _find_told(config)
    if len({frozenset(one) for one in known}) == 1:
        return ""
    named = dict.fromkeys(", ".join(one) or "rewards alone" for one in known)
    return (
        f"The searches learned from different objectives ({'; '.join(named)}): the front is that "
        "of P, TG and fewer parameters."
    )


def _find_told(config: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the objectives of the search, or of each of those that were merged."""
    found = []
    for one in config.get("merged") or [config]:
        described = one.get("controller") if isinstance(one, Mapping) else None
        known = described.get("objectives") if isinstance(described, Mapping) else None
        found.append(tuple(map(str, known or ())))
    return found


def list_objectives(result: Attempt, objectives: Sequence[str] = ()) -> tuple[float, ...]:
    """Return the objectives of a candidate, higher is better, NaN where it does not compete.

    Parameters
    ----------
    result : Attempt
        One that failed, repeats another or was stopped early, whose numbers are those of less
        training, does not compete.
    objectives : sequence of str, optional
        As of `read_objectives`; default: P, TG and fewer parameters.
    """
    if result.outcome != "done" or result.duplicate_of is not None or result.reason == STOPPED:
        return (nan,) * len(objectives or OBJECTIVES)
    if objectives:
        return read_objectives(result.measurement, objectives)
    size = None if result.n_parameters is None else -result.n_parameters
    known = (result.performance, result.guidance, size)
    return tuple(nan if value is None else float(value) for value in known)


def stack_objectives(
    rows: Sequence[tuple[float, ...]], objectives: Sequence[str] = ()
) -> np.ndarray:
    """Return the objectives of candidates (candidate, objective) from those of each.

    By default TG is left out where no candidate has one.
    """
    values = np.array(rows, dtype=float).reshape(len(rows), len(objectives or OBJECTIVES))
    if not objectives and np.isnan(values[:, 1]).all():
        values = values[:, [0, 2]]
    values[np.isnan(values).any(axis=1)] = nan
    return values


def select_front(values: np.ndarray) -> np.ndarray:
    """Return which rows are on the Pareto front: none is as good in all and better in one.

    Parameters
    ----------
    values : ndarray (candidate, objective)
        Higher is better; rows with NaN do not compete.

    Returns
    -------
    ndarray of bool (candidate,)
        Of equal rows all.

    Examples
    --------
    >>> select_front(np.array([[1.0, 0.0], [0.5, 0.5], [0.4, 0.4]])).tolist()
    [True, True, False]
    """
    known = ~np.isnan(values).any(axis=1)
    found = np.zeros(len(values), dtype=bool)
    if not known.any():
        return found
    rows, place = np.unique(values[known], axis=0, return_inverse=True)
    left = np.arange(len(rows))[::-1]  # nothing is exceeded by what comes later in this order
    best = []
    while len(left):
        best.append(left[0])
        left = left[(rows[left] > rows[left[0]]).any(axis=1)]
    found[known] = np.isin(place.reshape(-1), best)
    return found


def find_front(results: Iterable[Attempt], objectives: Sequence[str] = ()) -> set[int]:
    """Return the candidates that none exceeds in all objectives.

    Parameters
    ----------
    results, objectives
        As of `list_objectives`.
    """
    kept = list(results)
    rows = [list_objectives(result, objectives) for result in kept]
    front = select_front(stack_objectives(rows, objectives))
    return {result.candidate for result, on in zip(kept, front, strict=True) if on}
