"""Evaluate the candidates of one round, here or wherever an executor puts them."""

from __future__ import annotations

import math
import os
import platform
import time
from collections.abc import Callable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    wait,
)
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from brainguided.architectures import Architecture
from brainguided.records import Attempt, Timing

_ATTEMPTS = 3  # of a candidate whose worker dies
_EARNED = (  # what is recorded of an Evaluation
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


class SearchError(RuntimeError):
    """A search that cannot go on."""


@dataclass(frozen=True)
class _Outcome:
    """What comes back from a worker: plain data that every process can unpickle."""

    values: dict[str, Any]
    timing: Timing


def evaluate_round(
    jobs: list[Attempt], executor: Executor | None, evaluate: Callable[..., Any], task: Any
) -> Iterator[tuple[Attempt, Timing | None]]:
    """Yield every attempt as it ends; lost ones are made again until they were made 3 times."""
    if executor is None:
        for job in jobs:
            yield _finish(job, _run_one(evaluate, job.architecture, task, job.seed))
        return
    running: dict[Future[_Outcome], Attempt] = {}

    def submit(job: Attempt) -> None:
        try:
            future = executor.submit(_run_one, evaluate, job.architecture, task, job.seed)
        except BrokenExecutor as error:
            raise SearchError(
                "The executor is broken and takes no more work. Start the same search again to "
                "go on; local_pool survives the death of a worker."
            ) from error
        running[future] = job

    try:
        for job in jobs:
            submit(job)
        while running:
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                job = running.pop(future)
                try:
                    outcome = future.result()
                except (BrokenExecutor, CancelledError):
                    if job.attempt >= _ATTEMPTS:
                        yield replace(job, outcome="failed", reason="lost"), None
                    else:
                        yield replace(job, outcome="lost", reason="lost"), None
                        submit(replace(job, attempt=job.attempt + 1))
                else:
                    yield _finish(job, outcome)
    finally:
        for future in running:
            future.cancel()


def _run_one(evaluate: Callable[..., Any], architecture: str, task: Any, seed: int) -> _Outcome:
    """Evaluate one candidate, in whatever process; an exception becomes a failed outcome."""
    started, clock = time.time(), time.perf_counter()
    try:
        evaluation = evaluate(Architecture.from_json(architecture), task, seed=seed)
        values = {name: getattr(evaluation, name) for name in _EARNED}
    except Exception as error:
        text = " ".join(str(error).split())
        values = {"outcome": "failed", "reason": f"error: {type(error).__name__}: {text}"}
    seconds = time.perf_counter() - clock
    return _Outcome(values, Timing(seconds, started, time.time(), platform.node(), os.getpid()))


def _finish(job: Attempt, outcome: _Outcome) -> tuple[Attempt, Timing]:
    """Return the attempt with its results as plain finite numbers."""
    values = _plain(outcome.values)
    if values["outcome"] == "done" and values["reward"] is None:
        values |= {"outcome": "failed", "reason": "nan"}
    if values["outcome"] == "failed":
        values["reward"] = None
    return replace(job, **values), outcome.timing


def _plain(value: Any) -> Any:
    """Return the same as JSON would give it back, with None for numbers that are not finite."""
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
