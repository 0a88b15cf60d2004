"""What journals before format 4 say, in the terms of today."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from brainguided.journal.measurement import Measurement, Rung


def read_earlier(
    values: Mapping[str, Any],
    similarity: Mapping[str, Mapping[str, float | None]],
    history: Sequence[Mapping[str, Any]],
) -> Measurement:
    """Return the measurement that an evaluation with similarities and a history stands for.

    Parameters
    ----------
    values : mapping
        Its other numbers: "performance", "guidance", "n_parameters", "examples".
    similarity : mapping of area to mapping of layer to (float or None)
        Of the last step.
    history : sequence of mapping
        "step", "performance" and "guidance" at every checkpoint and at the last step.
    """
    performance, examples = values.get("performance"), values.get("examples") or 0
    if performance is None and not similarity:
        return Measurement()
    measured = {step: entry for entry in history if type(step := entry.get("step")) is int}
    last = max(measured, default=0)
    rungs = [
        Rung(
            step,
            performance=_number(entry.get("performance")),
            examples=round(examples * step / last),
            guidance=_number(entry.get("guidance")),
        )
        for step, entry in sorted(measured.items())
        if step < last
    ]
    final = Rung(
        last,
        performance=performance,
        examples=examples,
        similarity=similarity,
        guidance=values.get("guidance"),
    )
    parameters = values.get("n_parameters")
    statistics = {} if parameters is None else {"parameters": float(parameters)}
    return Measurement(tuple(similarity), (*rungs, final), statistics)


def read_earlier_config(config: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a search with the names that they have today."""
    task = config.get("task")
    if not isinstance(task, dict) or "alpha" not in task or "training" not in task:
        return config
    task = dict(task)
    training = dict(task["training"])
    checkpoints = training.pop("checkpoints", [])
    training["rungs"] = [*checkpoints, training.get("steps", 0)]
    training["schedule"] = "cosine"
    task["batch_norm"] = "running"
    task["reward"] = {"preset": "paper", "alpha": task.pop("alpha")}
    return {**config, "task": {**task, "training": training}}


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
