"""Rewards of what was measured; with one that standardises, the candidates it is known from.

Those are drawn at random, evaluated and told together, before the controller proposes any.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from brainguided.architectures import Architecture
from brainguided.controllers.contract import Controller
from brainguided.controllers.random_search import RandomSearch
from brainguided.engines.output import clean
from brainguided.guidance.rewards import Reward, RobustReward
from brainguided.journal.attempts import Attempt


class FirstPhase:
    """The reward of a search, and the candidates before it is known.

    Parameters
    ----------
    controller : Controller
        Not asked yet.
    reward : Reward or None
        None where evaluations bring their own.
    """

    def __init__(self, controller: Controller, reward: Reward | None) -> None:
        self.reward = reward
        self.size = reward.phase if isinstance(reward, RobustReward) else 0
        self._controller = controller
        self._drawer: RandomSearch | None = None

    @property
    def is_open(self) -> bool:
        """Whether rewards are not known yet."""
        return isinstance(self.reward, RobustReward) and self.reward.phase > 0

    def check(self, candidates: int) -> None:
        """Refuse a search in which rewards would never be known, or of different kinds.

        Raises
        ------
        ValueError
        """
        if self.size and candidates <= self.size:
            raise ValueError(
                f"candidates is {candidates}, but the reward is standardised by the first "
                f"{self.size}, which are drawn at random; ask for more, or choose another reward."
            )
        if self.size and getattr(self._controller, "earlier", None):
            raise ValueError(
                "Rewards of an earlier search are on another scale than those that this one "
                "standardises by its own candidates; start without warm_start."
            )

    def draw(self, n: int) -> list[Architecture]:
        """Return architectures drawn at random.

        Raises
        ------
        ValueError
            The space has fewer.
        """
        if self._drawer is None:
            known = self._controller
            self._drawer = RandomSearch(known.space, seed=known.seed, limits=known.limits)
        drawn = self._drawer.ask(n)
        if len(drawn) < n:
            raise ValueError(
                f"The space '{self._controller.space.name}' has fewer than the {self.size} "
                "architectures by which the reward is standardised; choose another reward."
            )
        return drawn

    def begin_controller(
        self, told: Sequence[Architecture], rewards: Sequence[float | None]
    ) -> None:
        """Let the controller learn of the first candidates before it is asked."""
        known = [(a, r) for a, r in zip(told, rewards, strict=True) if r is not None]
        self._controller.warm_start([a for a, _ in known], [r for _, r in known])

    def freeze(self, results: Sequence[Attempt]) -> dict[str, list[float]]:
        """Standardise the reward by the first results; return the values as plain data."""
        assert isinstance(self.reward, RobustReward)
        self.reward = self.reward.freeze([r.measurement for r in results if r.outcome == "done"])
        return self.reward.to_frozen()

    def thaw(self, payload: dict[str, Any]) -> None:
        """Take up the values of a journal."""
        if isinstance(self.reward, RobustReward):
            self.reward = self.reward.thaw(payload["terms"])

    def appraise(self, attempt: Attempt) -> Attempt:
        """Return an attempt that was measured with its reward, as soon as that is known."""
        if attempt.outcome != "done" or attempt.reward is not None or self.is_open:
            return attempt
        try:
            if self.reward is None:
                raise ValueError("neither the evaluation nor the task has a reward")
            reward = float(self.reward(attempt.measurement))
            failed = "" if math.isfinite(reward) else "nan"
        except Exception as error:  # of a function of the user's own, for one
            failed = clean(f"error: {type(error).__name__}: {error}")
        if failed:
            return replace(attempt, outcome="failed", reason=failed)
        return replace(attempt, reward=reward)
