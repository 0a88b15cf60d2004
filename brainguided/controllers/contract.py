"""What every controller has to offer, and the check of what it is told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

from brainguided.architectures import Architecture
from brainguided.spaces import SearchSpace


class Controller(Protocol):
    """Propose architectures and learn from their rewards, in turns: ask, tell, ask, tell.

    Asking again before the last proposals were told is refused: the algorithms here learn from
    whole rounds, and a round lost silently would not be noticed.
    """

    @property
    def space(self) -> SearchSpace:
        """The space proposals are taken from."""

    @property
    def seed(self) -> int:
        """Seed of everything random in the controller."""

    def ask(self, n: int) -> list[Architecture]:
        """Return `n` proposals; the same may come twice."""

    def tell(self, architectures: Sequence[Architecture], rewards: Sequence[float]) -> None:
        """Learn the rewards (finite, higher is better) of all architectures of the last `ask`."""

    def describe(self) -> dict[str, Any]:
        """Return the name and all settings as plain data fit for JSON."""


def check_seed(seed: int) -> None:
    """Refuse a seed that numpy and torch would not both take."""
    if type(seed) is not int or not 0 <= seed < 2**63:
        raise ValueError(f"seed is {seed!r}; expected a whole number, 0 or larger.")


def check_ask(n: int, pending: Sequence[Architecture]) -> None:
    """Refuse to ask for nothing, or again before the last proposals were told."""
    if n < 1:
        raise ValueError(f"ask({n}): expected at least one architecture to ask for.")
    if pending:
        raise ValueError(
            f"{len(pending)} proposals were asked for and not told yet: "
            "call tell(architectures, rewards) before asking again."
        )


def check_tell(
    pending: Sequence[Architecture],
    architectures: Sequence[Architecture],
    rewards: Sequence[float],
) -> None:
    """Refuse rewards that are not finite or are not those of the last proposals, in their order."""
    problems = []
    if not pending:
        problems.append("nothing was asked for, or it was told already; call ask(n) first")
    elif list(architectures) != list(pending):
        problems.append(
            f"{len(architectures)} architectures were told that are not the "
            f"{len(pending)} last asked for, in the same order"
        )
    if len(rewards) != len(architectures):
        problems.append(f"{len(rewards)} rewards were told for {len(architectures)} architectures")
    bad = [number for number, reward in enumerate(rewards) if not math.isfinite(reward)]
    if bad:
        problems.append(
            f"reward {bad[0]} is {rewards[bad[0]]}, expected a finite number; "
            "tell a failed evaluation the lowest reward seen"
        )
    if problems:
        raise ValueError("tell was refused:" + "".join(f"\n  - {text}" for text in problems))
