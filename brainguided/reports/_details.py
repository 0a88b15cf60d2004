"""What a row of the table opens to: drawing, layers and areas, rungs, attempts, logs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from brainguided.architectures import Architecture
from brainguided.engines.output import escape_controls
from brainguided.journal.attempts import Attempt, Timing
from brainguided.journal.measurement import Measurement
from brainguided.journal.objectives import find_front
from brainguided.plot.architecture import outline_architecture
from brainguided.reports._candidates import shorten, trace_incumbents

BUDGET = 5 * 2**20
"""Characters of JSON that details may take in a page; the best come first."""
MOST = 1000
"""Candidates that have details in a page."""
_LONGEST = 8000  # characters of a log, the last ones
_FAILURES = 100  # that have their details before all but the best


def choose_details(results: Sequence[Attempt], objectives: Sequence[str] = ()) -> list[Attempt]:
    """Return the candidates in the order in which their details are to be shown.

    First the Pareto front and what was the best so far, then failures, then by reward.
    """
    first = find_front(results, objectives) | {
        one["candidate"] for one in trace_incumbents(results)
    }
    failed = [r.candidate for r in results if r.outcome == "failed"][:_FAILURES]
    ranks = dict.fromkeys(failed, 1) | dict.fromkeys(first, 0)

    def order(result: Attempt) -> tuple[int, float]:
        lost = np.inf if result.reward is None else -result.reward
        return ranks.get(result.candidate, 2), lost

    return sorted(results, key=order)


def describe_details(
    results: Sequence[Attempt],
    timings: Mapping[tuple[int, int], Timing],
    logs: Path,
    *,
    objectives: Sequence[str] = (),
    budget: int = BUDGET,
) -> dict[str, Any]:
    """Return the details of candidates, by their number: of the first 1,000 that have room."""
    known = _find_logs(logs)
    found: dict[str, Any] = {}
    for result in choose_details(results, objectives)[:MOST]:
        one = describe_candidate(result, timings, known.get(result.candidate, ()))
        budget -= len(json.dumps(one))
        if budget < 0:
            break
        found[str(result.candidate)] = one
    return found


def describe_candidate(
    result: Attempt, timings: Mapping[tuple[int, int], Timing], logs: Iterable[Path]
) -> dict[str, Any]:
    """Return all that is shown of one candidate, ready for JSON."""
    attempts = [
        {"attempt": number, "host": t.host, "seconds": round(t.seconds, 1),
         "started": round(t.started)}
        for (candidate, number), t in (
            ((result.candidate, k), timings[result.candidate, k])
            for k in range(1, result.attempt + 1)
            if (result.candidate, k) in timings
        )
    ]  # fmt: skip
    return {
        "architecture": result.architecture,
        "seed": str(result.seed),  # beyond what numbers of a script can hold
        "drawing": _draw(result.architecture),
        "attempts": attempts,
        "logs": [{"name": path.name, "text": _read_end(path)} for path in logs],
        **_describe_layers(result.measurement),
        **_describe_rungs(result.measurement),
        "statistics": {k: shorten(v) for k, v in result.measurement.statistics.items()},
    }


def _draw(architecture: str) -> dict[str, Any] | None:
    """Return a drawing as numbers, mm from the middle and from the top; None if there is none."""
    try:
        outline = outline_architecture(Architecture.from_json(architecture))
    except ValueError:  # a kind that this version does not know
        return None

    def at(x: float, y: float) -> list[float]:
        return [round(x, 1), round(-y, 1)]

    return {
        "width": round(outline.width, 1),
        "height": round(outline.height, 1),
        "titles": [[*at(x, y), text] for x, y, text in outline.titles],
        "boxes": [
            [*at(b.x, b.y), round(b.width, 1), round(b.height, 1), b.label, b.colour]
            for b in outline.boxes
        ],
        "edges": [[n for x, y in points for n in at(x, y)] for points in outline.edges],
        "loops": [
            [*at(b.x + b.width / 2, b.y), round(b.height, 1), text] for b, text in outline.loops
        ],
    }


def _describe_layers(measurement: Measurement) -> dict[str, Any]:
    if not measurement.rungs or not measurement.rungs[-1].similarity:
        return {}
    rung = measurement.rungs[-1]
    targets = sorted(rung.similarity, key=lambda name: (name not in measurement.areas, name))
    layers = list(dict.fromkeys(layer for t in targets for layer in rung.similarity[t]))
    return {
        "targets": targets,
        "layers": layers,
        "similarity": [
            [shorten(rung.similarity[target].get(layer), 3) for target in targets]
            for layer in layers
        ],
        "committed": [shorten(rung.committed.get(target), 3) for target in targets],
    }


def _describe_rungs(measurement: Measurement) -> dict[str, Any]:
    rungs = measurement.rungs
    columns = {
        "P": [rung.performance for rung in rungs],
        "cross-entropy": [rung.cross_entropy for rung in rungs],
        "TG": [measurement.guidance(rung.step) for rung in rungs],
    }
    for target in measurement.targets:
        best = [rung.best(target) if target in rung.similarity else None for rung in rungs]
        columns[target] = [None if one is None else one[1] for one in best]
    shown = {name: [shorten(v, 4) for v in values] for name, values in columns.items()}
    return {
        "steps": [rung.step for rung in rungs],
        "rungs": {name: v for name, v in shown.items() if any(x is not None for x in v)},
    }


def _find_logs(folder: Path) -> dict[int, list[Path]]:
    """Return the logs of every candidate that has some."""
    found: dict[int, list[Path]] = {}
    for path in sorted(folder.glob("candidate_*_attempt_*.log")):
        number = path.name.split("_")[1]
        if number.isdecimal():
            found.setdefault(int(number), []).append(path)
    return found


def find_logs(folder: Path, candidate: int) -> list[Path]:
    """Return the logs of one candidate."""
    return sorted(folder.glob(f"candidate_{candidate:07d}_attempt_*.log"))


def _read_end(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return f"It cannot be read: {error.strerror}."
    return escape_controls(text if len(text) <= _LONGEST else f"[...]\n{text[-_LONGEST:]}")
