"""One attempt at a candidate, in whatever process: evaluate it and return plain data."""

from __future__ import annotations

import math
import os
import platform
import time
import traceback
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from brainguided.architectures import Architecture
from brainguided.engines.output import capture_output, shorten
from brainguided.journal.attempts import Timing

EARNED = (  # what is recorded of an Evaluation
    "outcome",
    "reason",
    "performance",
    "guidance",
    "reward",
    "similarity",
    "history",
    "n_parameters",
    "examples",
)


@dataclass(frozen=True)
class Outcome:
    """Result sent back by a worker: plain data that every process can unpickle."""

    values: dict[str, Any]
    timing: Timing
    log: str = ""


def run_attempt(
    evaluate: Callable[..., Any],
    architecture: str,
    task: Any,
    seed: int,
    capture: bool = False,
) -> Outcome:
    """Evaluate one candidate, in whatever process; an exception becomes a failed outcome.

    With `capture` what is printed goes into the log of the attempt. `BrokenExecutor` alone is
    passed on: raised by `evaluate`, it says that a machine further on was lost.
    """
    started, clock = time.time(), time.perf_counter()
    with capture_output(capture) as output:
        try:
            evaluation = evaluate(Architecture.from_json(architecture), task, seed=seed)
            values = {name: getattr(evaluation, name) for name in EARNED}
        except BrokenExecutor:
            raise
        except (Exception, SystemExit) as error:
            text = " ".join(str(error).split())
            memory = isinstance(error, MemoryError)
            reason = "memory" if memory else f"error: {type(error).__name__}: {text}"
            values = {"outcome": "failed", "reason": reason}
            traceback.print_exc(file=output)
    seconds = time.perf_counter() - clock
    timing = Timing(seconds, started, time.time(), platform.node(), os.getpid())
    return Outcome(values, timing, shorten(output.getvalue()))


def plain(value: Any) -> Any:
    """Return the same as JSON would give it back, with None for numbers that are not finite."""
    if isinstance(value, dict):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
