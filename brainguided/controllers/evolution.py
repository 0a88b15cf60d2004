"""Regularised evolution: parents are the best of a few, and the oldest die.

The whole algorithm of Real, Aggarwal, Huang & Le 2019, "Regularized evolution for image classifier
architecture search", algorithm 1.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from brainguided.architectures import Architecture
from brainguided.controllers.contract import Controller, Proposal
from brainguided.controllers.limits import Limits
from brainguided.spaces import SearchSpace


class RegularizedEvolution(Controller):
    """Regularised evolution: mutate the best of a sample of the most recent candidates [1]_.

    The first `population` proposals that are admitted are drawn uniformly. Then each is a mutation
    (one decision changed) of the best among `sample` candidates drawn out of the last `population`
    told.

    With `crossover` some proposals are mutations of what two such parents have, decision by
    decision, as in [2]_; in [1]_ there is none.

    The defaults suit searches of some hundred candidates; the paper takes 100 and 25 for 20,000.

    Parameters
    ----------
    space : SearchSpace
    seed : int
    population : int
    sample : int
        At most `population`.
    unique : bool
        Whether to avoid architectures proposed before; then `ask` ends where the space is used up.
    limits : Limits, optional
    crossover : float
        Probability that a proposal has two parents.

    Raises
    ------
    ValueError
        A setting is out of range.

    References
    ----------
    .. [1] Real, Aggarwal, Huang & Le 2019, Regularized evolution for image classifier
       architecture search, algorithm 1.
    .. [2] Kuhn, Saba-Sadiya & Roig 2025, Cognitive neural architecture search reveals hierarchical
       entailment, arXiv 2502.11141.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        population: int = 20,
        sample: int = 20,
        unique: bool = True,
        limits: Limits | None = None,
        crossover: float = 0.0,
    ) -> None:
        for name, value in (("population", population), ("sample", sample)):
            if type(value) is not int or value < 1:
                raise ValueError(f"{name} is {value!r}; expected a whole number, at least 1.")
        if sample > population:
            raise ValueError(f"sample is {sample}; expected at most the population, {population}.")
        if isinstance(crossover, bool) or not 0 <= crossover <= 1:
            raise ValueError(f"crossover is {crossover!r}; expected a probability, 0 to 1.")
        super().__init__(space, seed=seed, unique=unique, limits=limits)
        self.crossover = float(crossover)
        self.population = population
        self.sample = sample
        self._living: deque[tuple[Architecture, float]] = deque(maxlen=population)
        self._drawn = 0

    def _propose(self, n: int) -> list[Proposal]:
        return [self._breed() for _ in range(n)]

    def _breed(self) -> Proposal:
        if self._drawn < self.population or not self._living:
            self._drawn += 1
            return Proposal(self.space.sample(self._generator), "drawn")
        parent = self._choose_parent()
        if self.crossover and self._generator.random() < self.crossover:
            parent = self.space.cross(parent, self._choose_parent(), self._generator)
        return Proposal(self.space.mutate(parent, self._generator))

    def _choose_parent(self) -> Architecture:
        size = min(self.sample, len(self._living))
        drawn = self._generator.choice(len(self._living), size=size, replace=False)
        return max((self._living[int(k)] for k in drawn), key=lambda member: member[1])[0]

    def _reject(self, proposal: Proposal) -> None:
        if proposal.memo == "drawn":
            self._drawn -= 1

    def _hear_drawn(self, n: int) -> None:
        self._drawn += n

    def _learn(self, results: Sequence[tuple[Proposal, float]]) -> None:
        self._living.extend((proposal.architecture, reward) for proposal, reward in results)

    def _recall(self, architectures: list[Architecture], rewards: list[float]) -> None:
        super()._recall(architectures, rewards)
        self._drawn += len(rewards)

    def _settings(self) -> dict[str, Any]:
        crossed = {"crossover": self.crossover} if self.crossover else {}
        return {
            "name": "evolution",
            "population": self.population,
            "sample": self.sample,
            **crossed,
        }

    def _save(self) -> dict[str, Any]:
        living = [[architecture.to_json(), reward] for architecture, reward in self._living]
        return {"living": living, "drawn": self._drawn}

    def _restore(self, own: dict[str, Any]) -> None:
        self._living.clear()
        self._living.extend(
            (Architecture.from_json(text), reward) for text, reward in own["living"]
        )
        self._drawn = own["drawn"]
