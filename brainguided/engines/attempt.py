"""One attempt at a candidate, in whatever process: evaluate it and return plain data."""

from __future__ import annotations

import math
import os
import platform
import time
import traceback
from asyncio import CancelledError
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from typing import Any

from brainguided.architectures import Architecture
from brainguided.engines._measurement import (
    FIELDS,
    OPTIONAL,
    MeasurementError,
    validate_measurement,
)
from brainguided.engines.output import capture_output, clean, shorten
from brainguided.journal.attempts import Timing
from brainguided.journal.measurement import Measurement

__all__ = ["MeasurementError", "Outcome", "run_attempt"]


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt: plain data that every process can unpickle and JSON can hold.

    Attributes
    ----------
    values : dict
        What is recorded of the evaluation: "outcome" and any others of `Evaluation`.
    timing : Timing
    log : str
        What it printed and logged; the end of it, where that is long.

    Raises
    ------
    MeasurementError
        The values are no measurement, or the timing is none.
    """

    values: dict[str, Any]
    timing: Timing
    log: str = ""

    def __post_init__(self) -> None:
        values = validate_measurement(self.values)
        measured = (values.get("measurement") or {}).get("rungs")
        if values["outcome"] == "done" and values.get("reward") is None and not measured:
            values |= {"outcome": "failed", "reason": "nan"}
        if values["outcome"] == "failed":
            values["reward"] = None
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "log", shorten(self.log))
        _validate_timing(self.timing)

    def to_fields(self) -> dict[str, Any]:
        """Return the values as fields of an `Attempt`."""
        found = self.values.get("measurement")
        measurement = Measurement() if found is None else Measurement.from_dict(found)
        return {**self.values, "measurement": measurement}


def _validate_timing(timing: Timing) -> None:
    times = (timing.seconds, timing.started, timing.finished)
    good = (
        all(isinstance(t, int | float) and math.isfinite(t) for t in times)
        and isinstance(timing.host, str)
        and len(timing.host) < 300
        and timing.host.isprintable()
        and type(timing.pid) is int
        and 0 <= timing.pid < 2**32
    )
    if not good:
        raise MeasurementError(
            "its timing is none; expected seconds, started and finished in s, host and pid"
        )


def run_attempt(
    evaluate: Callable[..., Any],
    architecture: str,
    task: Any,
    seed: int,
    capture: bool = False,
    bars: Sequence[tuple[int, float]] = (),
) -> Outcome:
    """Evaluate one candidate, in whatever process; an exception becomes a failed outcome.

    So does what is no measurement: an array for the reward, say. With `capture` what is printed
    goes into the log of the attempt. `evaluate` is given `bars` where there are any, see
    `evaluation.evaluate`. Passed on are Ctrl-C and its like, and `BrokenExecutor`: raised by
    `evaluate`, it says that a machine further on was lost.
    """
    started, clock = time.time(), time.perf_counter()
    with capture_output(capture) as output:
        try:
            early = {"bars": tuple((step, bar) for step, bar in bars)} if bars else {}
            evaluation = evaluate(Architecture.from_json(architecture), task, seed=seed, **early)
            values = validate_measurement(_read_fields(evaluation))
        except BrokenExecutor:
            raise
        except (Exception, SystemExit, CancelledError) as error:
            values = {"outcome": "failed", "reason": _say_reason(error)}
            traceback.print_exc(file=output)
    seconds = time.perf_counter() - clock
    timing = Timing(seconds, started, time.time(), platform.node(), os.getpid())
    return Outcome(values, timing, output.getvalue())


def _read_fields(evaluation: Any) -> dict[str, Any]:
    """Return all that is recorded of an evaluation."""
    missing = [n for n in FIELDS if n not in OPTIONAL and not hasattr(evaluation, n)]
    if missing:
        raise MeasurementError(
            f"evaluate returned {type(evaluation).__name__} without {', '.join(missing)}; expected "
            "a brainguided.Evaluation"
        )
    return {name: getattr(evaluation, name) for name in FIELDS if hasattr(evaluation, name)}


def _say_reason(error: BaseException) -> str:
    """Return in one line why an evaluation failed."""
    if isinstance(error, MemoryError):
        return "memory"
    try:
        text = str(error)
    except Exception:  # of an exception that cannot even say what it is
        text = "(without a message)"
    if isinstance(error, MeasurementError):
        return clean(f"no measurement: {text}")
    return clean(f"error: {type(error).__name__}: {text}")
