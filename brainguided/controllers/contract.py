"""What every controller offers, and all that does not depend on the algorithm."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from brainguided.architectures import Architecture
from brainguided.controllers._told import Objectives, find_unfit, find_untold
from brainguided.controllers.limits import Limits
from brainguided.controllers.screen import Screen
from brainguided.spaces import SearchSpace
from neural_data.errors import raise_problems

_TRIES = 50  # of a controller for one proposal, before one is drawn uniformly
_DRAWS = 2000


@dataclass(frozen=True)
class Proposal:
    """Proposed architecture, with what its controller remembers about how it was drawn.

    Attributes
    ----------
    architecture : Architecture
    memo : list or None
        Plain data fit for JSON; None for an architecture that the controller did not think of.
    objectives : sequence of float or None
        What was told of it, for a controller that learns from several objectives.
    """

    architecture: Architecture
    memo: Any = None
    objectives: Sequence[float] | None = None


class Controller(ABC):
    """Search algorithm: proposes architectures and learns from their rewards (ask, tell).

    Any number of proposals may be open at a time, and they may be told in any order and in any
    portions. What is proposed depends on the settings, the seed and the order of asking and
    telling alone.

    Parameters
    ----------
    space : SearchSpace
        What proposals are taken from.
    seed : int
        Seed of everything random.
    unique : bool
        Whether architectures that are open, were proposed before or were part of a warm start are
        avoided, isomorphic ones included.
    limits : Limits, optional
        Size of candidates; larger ones are not proposed.

    Attributes
    ----------
    objectives : tuple of str
        Numbers of a `Measurement`, a minus before those of which less is better, that the
        controller is told of beside the reward; most learn from the reward alone.
    """

    objectives: tuple[str, ...] = ()

    def __init__(
        self, space: SearchSpace, *, seed: int, unique: bool = True, limits: Limits | None = None
    ) -> None:
        check_seed(seed)
        self.space = space
        self.seed = seed
        self.unique = unique
        self.limits = limits
        self.screen: Screen | None = None  # chooses among proposals
        self._generator = np.random.default_rng(seed)
        self._open: list[Proposal] = []
        self._seen: set[str] = set()
        self._lowest: float | None = None
        self._asked = False
        # Architectures and rewards of an earlier search, learned from at the first `ask`
        self.earlier: list[tuple[Architecture, float]] = []

    @abstractmethod
    def _propose(self, n: int) -> list[Proposal]:
        """Return `n` proposals, whatever was proposed before."""

    @abstractmethod
    def _learn(self, results: Sequence[tuple[Proposal, float]]) -> None:
        """Learn from proposals and their rewards."""

    @abstractmethod
    def _settings(self) -> dict[str, Any]:
        """Return the name of the algorithm and its settings as plain data fit for JSON."""

    def ask(self, n: int) -> list[Architecture]:
        """Return `n` proposals.

        Returns
        -------
        list of Architecture
            Fewer where they are `unique` and the space is used up: nothing new was found among
            2000 drawn uniformly. An empty list then stays empty.

        Raises
        ------
        ValueError
            `n` is less than 1, or no architecture within the limits was found.
        """
        if n < 1:
            raise ValueError(f"ask({n}): expected at least one architecture to ask for.")
        self._begin_warm()
        found = self._find(n if self.screen is None else n * self.screen.number)
        if self.screen is not None:
            chosen = self.screen.choose([proposal.architecture for proposal in found], n)
            for k in set(range(len(found))).difference(chosen):
                self._reject(found[k])
                self._seen.discard(_shorten_key(found[k].architecture))
            found = [found[k] for k in chosen]
        self._open += found
        return [proposal.architecture for proposal in found]

    def _find(self, n: int) -> list[Proposal]:
        """Return `n` proposals that may be made, fewer where there are no more."""
        found: list[Proposal] = []
        tries = 0
        while len(found) < n and tries <= _TRIES * n:
            proposals = self._propose(n - len(found))
            if not proposals:  # a list has ended
                break
            for proposal in proposals:
                tries += 1
                if self._admit(proposal.architecture):
                    found.append(proposal)
                else:
                    self._reject(proposal)
        drawn: list[Proposal] = []
        while len(found) + len(drawn) < n and (other := self._draw_admitted()) is not None:
            drawn.append(other)
        if drawn:
            self._hear_drawn(len(drawn))
            found += drawn
        return found

    def _admit(self, architecture: Architecture) -> bool:
        """Return whether an architecture may be proposed, and remember that it was."""
        if self.limits is not None and not self.limits.admit(architecture):
            return False
        if self.unique:
            key = _shorten_key(architecture)
            if key in self._seen:
                return False
            self._seen.add(key)
        return True

    def _draw_admitted(self) -> Proposal | None:
        """Return an architecture drawn uniformly; None where all that may be proposed were."""
        met = False
        for _ in range(_DRAWS):
            architecture = self.space.sample(self._generator)
            if self._admit(architecture):
                return Proposal(architecture)
            met = met or self.limits is None or self.limits.admit(architecture)
        if not met:
            raise ValueError(
                f"None of {_DRAWS} architectures drawn from the space '{self.space.name}' is "
                f"within {self.limits}. Allow larger ones, or take a smaller space."
            )
        return None

    def tell(
        self,
        architectures: Sequence[Architecture],
        rewards: Sequence[float | None],
        objectives: Objectives = None,
    ) -> None:
        """Learn the rewards of open proposals, in any order.

        Parameters
        ----------
        architectures : sequence of Architecture
            Some or all of those asked for and not told yet.
        rewards : sequence of float or None
            Finite, higher is better; None for a failed evaluation, which counts as the lowest
            reward seen so far. Before there is one nothing is learned from it.
        objectives : sequence of (sequence of float or None), optional
            Of a controller with `objectives`: for each architecture a finite number for each of
            them, higher is better; None for a failed evaluation.

        Raises
        ------
        ValueError
            An architecture is not open, or a number is not finite; nothing is learnt then.
        """
        problems = find_untold(len(architectures), rewards, objectives, self.objectives)
        left = list(self._open)
        told = []
        for number, architecture in enumerate(architectures):
            place = next((k for k, p in enumerate(left) if p.architecture == architecture), None)
            if place is None:
                problems.append(
                    f"architecture {number} is not open: it was not asked for, or was told already"
                )
                break
            told.append(left.pop(place))
        raise_problems("tell was refused", problems, ValueError)
        self._open = left
        known = [float(reward) for reward in rewards if reward is not None]
        if known:
            self._lowest = min(known) if self._lowest is None else min(self._lowest, *known)
        results = []
        for number, (proposal, reward) in enumerate(zip(told, rewards, strict=True)):
            counted = self._lowest if reward is None else float(reward)
            if counted is None:
                self._reject(proposal)
            else:
                numbers = None if objectives is None else objectives[number]
                results.append((replace(proposal, objectives=numbers), counted))
        if results:
            self._hear(results)

    def correct(
        self,
        architectures: Sequence[Architecture],
        rewards: Sequence[float],
        objectives: Objectives = None,
    ) -> None:
        """Learn the rewards of architectures whose failure was told before.

        Parameters
        ----------
        architectures, rewards, objectives
            As of `tell`, all of them known.
        """
        self._lowest = min(rewards) if self._lowest is None else min(self._lowest, *rewards)
        told = objectives or [None] * len(rewards)
        if self.screen is not None:
            self.screen.forget(architectures)
        self._hear(
            [
                (Proposal(architecture, objectives=numbers), float(reward))
                for architecture, reward, numbers in zip(architectures, rewards, told, strict=True)
            ]
        )

    def _hear(self, results: Sequence[tuple[Proposal, float]]) -> None:
        self._learn(results)
        if self.screen is not None:
            self.screen.learn((proposal.architecture, reward) for proposal, reward in results)

    def warm_start(self, architectures: Sequence[Architecture], rewards: Sequence[float]) -> None:
        """Learn from an earlier search of the same space before the first `ask`.

        Parameters
        ----------
        architectures : sequence of Architecture
            All in the space; in the order in which they were evaluated.
        rewards : sequence of float
            Finite; on the same scale as those of this search.

        Raises
        ------
        ValueError
            Something was asked for already, architectures are not in the space, or rewards are
            not finite; the first five problems are listed, candidates counted from 0.
        """
        if self._asked:
            raise ValueError("warm_start comes before the first ask; make a new controller.")
        problems = find_unfit(self.space, architectures, rewards)
        if self.objectives:
            problems.insert(0, "objectives of an earlier search are not known; start without it")
        raise_problems(
            f"warm_start in the space '{self.space.name}' was refused; give a search of the same "
            "space with rewards",
            problems,
            ValueError,
        )
        self.earlier += [
            (architecture, float(reward))
            for architecture, reward in zip(architectures, rewards, strict=True)
        ]

    def _begin_warm(self) -> None:
        """Learn from the earlier search, once."""
        if self._asked:
            return
        self._asked = True
        architectures = [architecture for architecture, _ in self.earlier]
        rewards = [reward for _, reward in self.earlier]
        if self.unique:
            self._seen |= {_shorten_key(architecture) for architecture in architectures}
        if rewards:
            self._lowest = min(rewards)
            self._recall(architectures, rewards)
            if self.screen is not None:
                self.screen.learn(zip(architectures, rewards, strict=True))

    def _digest_earlier(self) -> str:
        digest = hashlib.sha256(b"")
        for architecture, reward in self.earlier:
            digest.update(f"{architecture.key} {reward!r}".encode())
        return digest.hexdigest()

    def _recall(self, architectures: list[Architecture], rewards: list[float]) -> None:
        """Learn from an earlier search; by default as if its candidates had been proposed."""
        self._learn(
            [(Proposal(a), reward) for a, reward in zip(architectures, rewards, strict=True)]
        )

    def describe(self) -> dict[str, Any]:
        """Return the name and all settings as plain data fit for JSON."""
        settings = self._settings()
        common: dict[str, Any] = {
            "name": settings.pop("name"),
            "seed": self.seed,
            "unique": self.unique,
        }
        if self.limits is not None:
            common["limits"] = self.limits.describe()
        if self.screen is not None:
            common["screen"] = self.screen.describe()
        if self.earlier:
            common["warm_start"] = self._digest_earlier()
        return {**common, **settings}

    def save_state(self) -> dict[str, Any] | None:
        """Return all that was learnt as plain data fit for JSON; None where that is not possible.

        A new controller with the same settings that is given it by `restore_state` goes on
        exactly as this one. Without it a controller is brought to the same state by asking and
        telling it again all that it was.
        """
        own = self._save()
        if own is None:
            return None
        return {
            "own": own,
            "generator": self._generator.bit_generator.state,
            "open": [[p.architecture.to_json(), p.memo] for p in self._open],
            "seen": sorted(self._seen),
            "lowest": self._lowest,
            **({} if self.screen is None else {"screen": self.screen.save_state()}),
        }

    def restore_state(self, state: dict[str, Any]) -> None:
        """Bring a new controller to the state that `save_state` returned."""
        self._generator.bit_generator.state = state["generator"]
        self._open = [Proposal(Architecture.from_json(text), memo) for text, memo in state["open"]]
        self._seen = set(state["seen"])
        self._lowest = state["lowest"]
        self._asked = True
        if self.screen is not None:
            self.screen.restore_state(state["screen"])
        self._restore(state["own"])

    def _save(self) -> dict[str, Any] | None:
        """Return what the algorithm itself has learnt."""
        return None

    def _restore(self, own: dict[str, Any]) -> None:
        """Take back what `_save` returned."""
        raise NotImplementedError(f"{type(self).__name__} saves no state.")

    def _reject(self, proposal: Proposal) -> None:
        """Hear that a proposal was not made after all."""
        return None

    def _hear_drawn(self, n: int) -> None:
        """Hear that `n` architectures were drawn uniformly in place of proposals."""
        return None


@lru_cache(maxsize=64)
def _shorten_key(architecture: Architecture) -> str:
    """Return what tells networks apart; what has converged proposes the same ones over and over."""
    return architecture.canonical_key[:20]


def check_seed(seed: Any) -> None:
    """Refuse a seed that numpy and torch would not both take."""
    if type(seed) is not int or not 0 <= seed < 2**63:
        raise ValueError(f"seed is {seed!r}; expected a whole number, 0 or larger.")
