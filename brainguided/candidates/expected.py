"""What candidates of a task will show, before any is trained: names and rungs, made-up numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from brainguided.candidates.rivals import FREE
from brainguided.guidance.rewards import (
    NoNumberError,
    PaperReward,
    Reward,
    RobustReward,
    WeightedReward,
)
from brainguided.guidance.scoring import Copies, Shuffles
from brainguided.journal.measurement import Measurement, NotMeasuredError, Rung
from neural_data.errors import raise_problems

if TYPE_CHECKING:
    from brainguided.candidates.evaluation import Task

_NUMBER = 0.5


class _Layers(dict[str, Any]):
    """Similarities of layers: which there are differs among candidates, so any name is known."""

    def get(self, name: Any, default: Any = None) -> Any:
        """Return a number, unless the name is that of a step."""
        return default if str(name).isdigit() else _NUMBER

    def __missing__(self, name: str) -> float:
        return _NUMBER


def expect_measurement(task: Task) -> Measurement:
    """Return a measurement with the rungs, targets, shuffles and statistics of a task.

    Parameters
    ----------
    task : Task

    Returns
    -------
    Measurement
        All similarities and accuracies are 0.5, statistics 2, losses 1.
    """
    areas = () if task.teacher is None else task.teacher.areas
    targets, shuffles = list(areas), {}
    for one in task.controls:
        if isinstance(one, Shuffles):
            shuffles[one.name] = len(one.orders)
        elif isinstance(one, Copies):
            targets.append(one.name)
            shuffles[one.name] = len(one.targets)
        else:
            targets.append(one.area)
    rungs = [
        Rung(
            step,
            performance=_NUMBER,
            cross_entropy=1.0,
            examples=step * task.training.batch_size,
            similarity={target: _Layers(layer1=_NUMBER) for target in targets},
            committed=dict.fromkeys(targets, _NUMBER),
            shuffles={
                name: dict.fromkeys(("best", "committed"), (_NUMBER,) * number)
                for name, number in shuffles.items()
            },
        )
        for step in task.training.measured_at
    ]
    statistics = dict.fromkeys([*FREE, *task.rivals], 2.0)
    return Measurement(areas, tuple(rungs), statistics, (1.0,) * task.training.steps)


def check_measured(reward: Reward, expected: Measurement, *, at_rungs: bool) -> None:
    """Refuse a reward that asks for what will not be measured.

    Of a function of one's own, errors that depend on the numbers are let pass: those of
    `expected` are made up.

    Parameters
    ----------
    reward : Reward
    expected : Measurement
        With the names and rungs that candidates will have.
    at_rungs : bool
        Whether the reward is asked for at every rung, as if training ended there.

    Raises
    ------
    ValueError
        Every problem is listed.
    """
    own = not isinstance(reward, PaperReward | WeightedReward | RobustReward)
    parts: Sequence[Reward] = [reward]
    if isinstance(reward, WeightedReward):
        parts = [WeightedReward({name: weight}) for name, weight in reward.terms.items()]
    problems: dict[str, None] = {}
    for step in expected.steps if at_rungs else (None,):
        for part in parts:
            try:
                if isinstance(part, RobustReward) and part.phase:
                    part.freeze([expected] * part.phase)
                else:
                    part(expected.up_to(step))
            except Exception as error:
                if not own or _is_of_names(error):
                    problems[_say_problem(error, step)] = None
    raise_problems(
        "The reward asks for what will not be measured; correct it, or have that measured (rungs, "
        "controls, rivals)",
        list(problems),
        ValueError,
    )


def _is_of_names(error: Exception) -> bool:
    """Return whether a function fails of this whatever the numbers."""
    if isinstance(error, AttributeError):
        return isinstance(error.obj, Measurement | Rung)
    return isinstance(error, NotMeasuredError | NameError | NoNumberError)


def _say_problem(error: Exception, step: int | None) -> str:
    said = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    return said if step is None else f"at step {step}: {said}"
