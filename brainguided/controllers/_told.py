"""What a controller is told, checked."""

from __future__ import annotations

import math
from collections.abc import Sequence

from brainguided.architectures import Architecture
from brainguided.spaces import SearchSpace

_SHOWN = 5  # problems quoted in an error
Objectives = Sequence[Sequence[float] | None] | None


def find_untold(
    n: int, rewards: Sequence[float | None], objectives: Objectives, names: Sequence[str]
) -> list[str]:
    """Return why a controller cannot learn from what it is told.

    Parameters
    ----------
    n : int
        Number of architectures.
    rewards, objectives
        As of `Controller.tell`.
    names : sequence of str
        Objectives that the controller learns from.
    """
    problems = []
    if not n:
        problems.append("nothing was told; call ask(n) first, then tell what it returned")
    if len(rewards) != n:
        problems.append(f"{len(rewards)} rewards were told for {n} architectures")
    bad = [k for k, r in enumerate(rewards) if r is not None and not math.isfinite(r)]
    if bad:
        problems.append(
            f"reward {bad[0]} is {rewards[bad[0]]}, expected a finite number, or None for a "
            "failed evaluation"
        )
    if objectives is None:
        if names:
            problems.append(
                f"objectives are missing: this controller learns from {', '.join(names)}, not from "
                "the reward"
            )
        return problems
    if not names:
        return [*problems, "objectives were told, but this controller learns from the reward alone"]
    if len(objectives) != n:
        problems.append(f"objectives of {len(objectives)} were told for {n} architectures")
    for number, told in enumerate(objectives):
        if told is not None and (len(told) != len(names) or not all(map(math.isfinite, told))):
            problems.append(
                f"objectives {number} are {list(told)}, expected a finite number for each of "
                f"{', '.join(names)}, or None for a failed evaluation"
            )
            break
    return problems


def find_unfit(
    space: SearchSpace, architectures: Sequence[Architecture], rewards: Sequence[float]
) -> list[str]:
    """Return why a controller cannot start from an earlier search, the first five reasons."""
    problems = []
    if len(architectures) != len(rewards):
        problems.append(
            f"{len(architectures)} architectures were given with {len(rewards)} rewards; "
            "expected a finite one for each"
        )
    problems += [
        f"reward {number} is {reward}; expected a finite one for each candidate"
        for number, reward in enumerate(rewards)
        if not math.isfinite(reward)
    ]
    for number, architecture in enumerate(architectures):
        try:
            space.encode(architecture)
        except ValueError as error:
            problems.append(f"candidate {number}: {' '.join(str(error).split())}")
    more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
    return problems[:_SHOWN] + more
