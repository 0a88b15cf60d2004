"""Made-up candidates with rungs, in a module that needs no torch and that workers import."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from brainguided.guidance.rewards import PaperReward
from brainguided.journal.measurement import Measurement, Rung

RUNGS = (2, 5, 10)


@dataclass(frozen=True)
class HalvedTask:
    """A task in which two in five candidates go on at each rung, whose rewards go together."""

    seconds: float = 0.0
    keep: float = 0.4
    reward: PaperReward = field(default_factory=PaperReward)

    @property
    def training(self) -> SimpleNamespace:
        return SimpleNamespace(measured_at=RUNGS)

    def describe(self) -> dict[str, Any]:
        return {"keep": self.keep}


def evaluate(architecture: Any, task: HalvedTask, *, seed: int, bars: Any = ()) -> SimpleNamespace:
    """Fail, end early or go on, as the architecture and the bars say."""
    time.sleep(random.random() * task.seconds)
    number = int(architecture.key[:8], 16)
    if number % 13 == 0:
        raise ValueError("too deep")
    draw = np.random.default_rng(number)
    final, noise = draw.random(), draw.normal(size=3) * 0.02
    values = (0.1 + final / 4, 0.2 + final / 2, final)
    measured = Measurement((), tuple(
        Rung(step, round(value + error, 6), examples=step)
        for step, value, error in zip(RUNGS, values, noise, strict=True)
    ))  # fmt: skip
    for step, bar in bars:
        if not task.reward(part := measured.up_to(step)) > bar:
            measured = part
            break
    whole = measured.steps == RUNGS
    return SimpleNamespace(
        outcome="done", reason="", performance=measured.rung().performance, guidance=None,
        reward=task.reward(measured) if whole else None, measurement=measured, n_parameters=1,
        examples=measured.rung().examples,
    )  # fmt: skip
