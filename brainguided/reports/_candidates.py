"""What the page tells of all candidates: the columns of its table, and its curves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from brainguided.journal.attempts import STOPPED, Attempt
from brainguided.journal.objectives import find_front

DECIMALS = 5
"""Decimals of the numbers on the page; files of the run hold all."""


def tabulate_candidates(
    results: Sequence[Attempt],
    seconds: Mapping[int, float],
    objectives: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Return the columns of the table of candidates, ready for JSON.

    Parameters
    ----------
    results : sequence of Attempt
        The final attempt of each candidate.
    seconds : mapping of candidate to float
        Time that all attempts at it took; s.
    objectives : sequence of str, optional
        Of the front, as of `list_objectives`.

    Returns
    -------
    list of dict
        ``key``, ``label`` and either ``values`` (numbers, None where there is none) or ``texts``
        and ``codes``, the position of each candidate's text among them.
    """
    areas = list(dict.fromkeys(area for r in results for area in r.measurement.areas))
    front = find_front(results, objectives)
    columns = [
        _number("candidate", "candidate", (r.candidate for r in results), digits=0),
        _text("outcome", "outcome", (name_outcome(r) for r in results)),
        _number("reward", "reward", (r.reward for r in results)),
        _number("P", "P", (r.performance for r in results)),
    ]
    if areas or any(r.guidance is not None for r in results):
        columns.append(_number("TG", "TG", (r.guidance for r in results)))
    for area in areas:
        best = [r.measurement.best(area) if area in r.similarity else None for r in results]
        columns += [
            _number(area, area, (None if one is None else one[1] for one in best)),
            _text(f"layer {area}", f"layer {area}", ("" if b is None else b[0] for b in best)),
        ]
        committed = [r.measurement.rungs[-1].committed.get(area) if r.measurement.rungs else None
                     for r in results]  # fmt: skip
        if any(value is not None for value in committed):
            columns.append(_number(f"committed {area}", f"committed {area}", committed))
    columns += [
        _number("parameters", "parameters", (r.n_parameters for r in results), digits=0),
        _number("seconds", "seconds", (seconds.get(r.candidate) for r in results), digits=1),
        _text("front", "Pareto", ("front" if r.candidate in front else "" for r in results)),
        _text("reason", "reason", (_say_reason(r) for r in results)),
    ]
    return columns


def name_outcome(result: Attempt) -> str:
    """Return what became of a candidate in one word."""
    if result.outcome == "done" and result.duplicate_of is not None:
        return "duplicate"
    return "stopped" if result.outcome == "done" and result.reason == STOPPED else result.outcome


def _say_reason(result: Attempt) -> str:
    if result.duplicate_of is not None:
        return f"as candidate {result.duplicate_of}"
    return "" if result.reason == STOPPED else result.reason


def trace_incumbents(results: Iterable[Attempt]) -> list[dict[str, Any]]:
    """Return every candidate that was the best so far, with all that is drawn of it.

    The curves of reward, P, TG, areas and controls are steps from one of them to the next.
    """
    best: float | None = None
    found = []
    for result in results:
        if result.outcome != "done" or result.reward is None:
            continue
        if best is not None and result.reward <= best:
            continue
        best = result.reward
        values = {"reward": result.reward, "P": result.performance, "TG": result.guidance}
        if result.measurement.rungs:
            rung = result.measurement.rungs[-1]
            values |= {name: (rung.best(name) or ("", None))[1] for name in rung.similarity}
        shown = {name: shorten(value) for name, value in values.items() if value is not None}
        found.append({"candidate": result.candidate, "values": shown})
    return found


def shorten(value: float | None, digits: int = DECIMALS) -> float | None:
    """Return a number with as many decimals as the page has; None for what is not finite."""
    if value is None or not np.isfinite(value):
        return None
    return round(value) if digits == 0 else round(float(value), digits)


def _number(
    key: str, label: str, values: Iterable[float | None], *, digits: int = 4
) -> dict[str, Any]:
    kept = [shorten(value, DECIMALS if digits else 0) for value in values]
    return {"key": key, "label": label, "digits": digits, "values": kept}


def _text(key: str, label: str, values: Iterable[str]) -> dict[str, Any]:
    texts: dict[str, int] = {}
    codes = [texts.setdefault(value, len(texts)) for value in values]
    return {"key": key, "label": label, "texts": list(texts), "codes": codes}
