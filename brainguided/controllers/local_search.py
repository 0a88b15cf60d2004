"""Local search: from the best candidate to its neighbours, until none is better.

After White, Nolen & Savani 2021, "Exploring the loss landscape in neural architecture search".
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from brainguided.architectures import Architecture
from brainguided.controllers.contract import Controller, Proposal
from brainguided.controllers.limits import Limits
from brainguided.spaces import SearchSpace


class LocalSearch(Controller):
    """Hill climbing: try neighbours of the best candidate in random order, move to any better one.

    It starts from the best of `initial` candidates drawn uniformly. When all neighbours were
    tried and none is better, it starts anew from others drawn [1]_. In a climb no neighbour is
    queued that was drawn or queued before; architectures with the same
    `Architecture.canonical` count as one there. Repetitions are possible all the same, unless
    `unique`: among the candidates drawn, in another climb, and, where more is asked for than there
    are neighbours before their results are told, among mutations of the best.

    Parameters
    ----------
    space : SearchSpace
    seed : int
    initial : int
        Candidates drawn before each climb.
    unique : bool
        Whether to avoid architectures proposed before; then `ask` ends where the space is used up.
    limits : Limits, optional

    Raises
    ------
    ValueError
        `initial` is less than 1.

    References
    ----------
    .. [1] White, Nolen & Savani 2021, Exploring the loss landscape in neural architecture search,
       algorithm 1, with the better neighbour taken at once.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        initial: int = 5,
        unique: bool = True,
        limits: Limits | None = None,
    ) -> None:
        if type(initial) is not int or initial < 1:
            raise ValueError(f"initial is {initial!r}; expected a whole number, at least 1.")
        super().__init__(space, seed=seed, unique=unique, limits=limits)
        self.initial = initial
        self._begin()

    def _begin(self) -> None:
        self._best: tuple[Architecture, float] | None = None
        self._drawn = 0  # for this climb
        self._told = 0
        self._tried: set[str] = set()
        self._queue: list[Architecture] = []  # neighbours of the best, not yet proposed

    def _propose(self, n: int) -> list[Proposal]:
        return [self._step() for _ in range(n)]

    def _step(self) -> Proposal:
        if self._drawn < self.initial or self._best is None:
            self._drawn += 1
            architecture = self.space.sample(self._generator)
            self._tried.add(_name(architecture))
            return Proposal(architecture, "drawn")
        if self._queue:
            return Proposal(self._queue.pop())
        if any(_name(p.architecture) in self._tried for p in self._open):
            # Until the last are told
            return Proposal(self.space.mutate(self._best[0], self._generator))
        self._begin()
        return self._step()

    def _reject(self, proposal: Proposal) -> None:
        if proposal.memo == "drawn":
            self._drawn -= 1

    def _hear_drawn(self, n: int) -> None:
        self._drawn += n

    def _learn(self, results: Sequence[tuple[Proposal, float]]) -> None:
        for proposal, reward in results:
            self._told += 1
            if self._best is None or reward > self._best[1]:
                self._best = (proposal.architecture, reward)
                self._queue = []
                if self._told >= self.initial:
                    self._line_up()
            elif self._told == self.initial:
                self._line_up()

    def _line_up(self) -> None:
        """Queue the neighbours of the best in random order."""
        assert self._best is not None
        found: dict[str, Architecture] = {}
        for neighbour in self.space.neighbours(self._best[0]):
            found.setdefault(_name(neighbour), neighbour)
        found = {name: one for name, one in found.items() if name not in self._tried}
        self._tried |= found.keys()
        order = self._generator.permutation(len(found))
        neighbours = list(found.values())
        self._queue = [neighbours[int(k)] for k in order]

    def _recall(self, architectures: list[Architecture], rewards: list[float]) -> None:
        super()._recall(architectures, rewards)
        self._drawn += len(rewards)
        if self._told >= self.initial and not self._queue:
            self._line_up()

    def _settings(self) -> dict[str, Any]:
        return {"name": "local", "initial": self.initial}

    def _save(self) -> dict[str, Any]:
        best = None if self._best is None else [self._best[0].to_json(), self._best[1]]
        return {
            "best": best,
            "drawn": self._drawn,
            "told": self._told,
            "tried": sorted(self._tried),
            "queue": [architecture.to_json() for architecture in self._queue],
        }

    def _restore(self, own: dict[str, Any]) -> None:
        best = own["best"]
        self._best = None if best is None else (Architecture.from_json(best[0]), best[1])
        self._drawn, self._told = own["drawn"], own["told"]
        self._tried = set(own["tried"])
        self._queue = [Architecture.from_json(text) for text in own["queue"]]


def _name(architecture: Architecture) -> str:
    """Return what tells neighbours apart, which may be less than tells their networks apart."""
    return hashlib.sha256(architecture.canonical.encode()).hexdigest()
