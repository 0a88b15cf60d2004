"""A predictor of rewards: a Gaussian process on decisions and graph counts chooses what is next.

After White, Neiswanger & Savani 2021, "BANANAS: Bayesian optimization with neural architectures for
neural architecture search", with a Gaussian process in the place of networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.spatial.distance import cdist
from scipy.stats import norm, rankdata

from brainguided.architectures import Architecture
from brainguided.architectures.graph_counts import GRAPH_COUNTS, count_graph
from brainguided.controllers._told import Objectives
from brainguided.controllers.contract import Controller, Proposal
from brainguided.controllers.limits import Limits
from brainguided.spaces import SearchSpace

_N_CLASSES, _IMAGE_SIZE = 10, 32  # for which counts are taken; they are compared, no more
_SAMPLE = 100  # architectures drawn that say how counts spread
_MOST = 400  # results that are fitted: half of them the best, half the latest
_GROWTH = 1.2  # of the number of results, after which scales are fitted again
_NEIGHBOURS = 50  # of one architecture, drawn where there are more
_DECISION = 0.5  # an option in one-hot: two architectures that differ in one decision are 1 apart
_LENGTHS = (8.0, 16.0, 32.0, 64.0)  # shorter ones, fitted to ten results, see no further than those
_NOISES = (0.001, 0.01, 0.03, 0.1, 0.3, 1.0)  # parts of the variance of the signal


class PredictorSearch(Controller):
    """Bayesian optimisation: propose what a Gaussian process expects to improve most on the best.

    An architecture is described by its decisions (one-hot) and by the counts of its graph: longest
    and shortest path, number of paths, convolutions and skips, parameters and multiply-adds, each
    standardised by its spread over the space. Covariances fall exponentially with the sum of the
    absolute differences (a Laplacian kernel), at a length and with a noise of the largest marginal
    likelihood; rewards count by their rank, as normal scores, so that a few bad ones matter no more
    than others. After `initial` candidates drawn uniformly, the expected improvement [1]_ is
    computed for the neighbours of the `parents` best candidates (50 of each, drawn where there are
    more) and for `drawn` others, and the largest is proposed. Several proposals that are open
    together count as having the reward expected of them.

    Parameters
    ----------
    space : SearchSpace
    seed : int
    initial : int
        Candidates drawn at the beginning.
    parents : int
        Best candidates whose neighbours are considered.
    drawn : int
        Further architectures that are considered, drawn uniformly.
    unique : bool
        Whether to avoid architectures proposed before; then `ask` ends where the space is used up.
    limits : Limits, optional

    Raises
    ------
    ValueError
        `initial` is less than 2, or `parents` or `drawn` less than 1.

    References
    ----------
    .. [1] Mockus 1974; White, Neiswanger & Savani 2021, BANANAS, section 4.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        initial: int = 10,
        parents: int = 10,
        drawn: int = 50,
        unique: bool = True,
        limits: Limits | None = None,
    ) -> None:
        for name, value, least in (("initial", initial, 2), ("parents", parents, 1),
                                   ("drawn", drawn, 1)):  # fmt: skip
            if type(value) is not int or value < least:
                raise ValueError(f"{name} is {value!r}; expected a whole number, at least {least}.")
        super().__init__(space, seed=seed, unique=unique, limits=limits)
        self.initial, self.parents, self.drawn = initial, parents, drawn
        self._results: list[tuple[Architecture, float]] = []
        self._begun = 0  # drawn at the beginning
        self._scales: tuple[float, float] | None = None  # fitted to results: length, noise
        self._fitted = 0  # results when they were
        self._describe_counts()

    def _describe_counts(self) -> None:
        """Take the mean and spread of the counts over the space."""
        generator = np.random.default_rng((self.seed, 2))
        drawn = [_describe(self.space, self.space.sample(generator))[1] for _ in range(_SAMPLE)]
        self._mean, spread = np.mean(drawn, axis=0), np.std(drawn, axis=0)
        self._spread = np.where(spread > 0, spread, 1.0)
        n_options = sum(len(decision.options) for decision in self.space.decisions)
        self._mean[:n_options], self._spread[:n_options] = 0.0, 1.0 / _DECISION
        self._near: dict[Architecture, list[Architecture]] = {}  # neighbours of the best

    def _read(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """Return the descriptions of architectures: (architecture, feature)."""
        rows = [_describe(self.space, architecture)[1] for architecture in architectures]
        found: np.ndarray = (np.array(rows) - self._mean) / self._spread
        return found

    def _propose(self, n: int) -> list[Proposal]:
        # What is drawn at the beginning stays the same in whatever portions it is asked for
        if self._begun < self.initial or len(self._results) < 2:
            n = min(n, max(1, self.initial - self._begun))
            self._begun += n
            return [Proposal(self.space.sample(self._generator), "drawn") for _ in range(n)]
        kept = self._choose_results()
        known = self._read([architecture for architecture, _ in kept])
        rewards = _score_ranks([reward for _, reward in kept])
        best = float(rewards.max())
        model = self._fit(known, rewards)
        if self._open:
            waiting = self._read([proposal.architecture for proposal in self._open])
            model.extend(waiting, model.predict(waiting)[0])
        considered = self._consider()
        if not considered:
            return [Proposal(self.space.sample(self._generator))]
        rows = self._read(considered)
        model.consider(rows)
        proposals: list[Proposal] = []
        left = np.ones(len(considered), dtype=bool)
        for _ in range(min(n, len(considered))):
            mean, deviation = model.expect()
            gain = np.where(left, _expect_improvement(mean, deviation, best), -np.inf)
            chosen = _choose_largest(gain)
            left[chosen] = False
            proposals.append(Proposal(considered[chosen]))
            model.extend(rows[[chosen]], mean[[chosen]])
        return proposals

    def _choose_results(self) -> list[tuple[Architecture, float]]:
        """Return the results that are fitted."""
        if len(self._results) <= _MOST:
            return self._results
        latest = self._results[-_MOST // 2 :]
        earlier = sorted(self._results[: -_MOST // 2], key=lambda result: -result[1])
        return earlier[: _MOST // 2] + latest

    def _fit(self, known: np.ndarray, rewards: np.ndarray) -> _Process:
        """Return the process fitted to results, its scales as well where there are many more."""
        if self._scales is not None and len(self._results) < _GROWTH * self._fitted:
            return _Process(known, rewards, self._scales)
        model = _Process(known, rewards)
        self._scales, self._fitted = model.scales, len(self._results)
        return model

    def _consider(self) -> list[Architecture]:
        """Return the neighbours of the best and others drawn, none that may not be proposed."""
        order = sorted(self._results, key=lambda result: -result[1])
        best = [architecture for architecture, _ in order[: self.parents]]
        self._near = {a: self._near.get(a) or self.space.neighbours(a) for a in best}
        found: dict[str, Architecture] = {}  # each network once
        for near in self._near.values():
            if len(near) > _NEIGHBOURS:
                chosen = self._generator.choice(len(near), _NEIGHBOURS, replace=False)
                near = [near[int(place)] for place in chosen]
            for architecture in near:
                found.setdefault(_describe(self.space, architecture)[0], architecture)
        for _ in range(self.drawn):
            architecture = self.space.sample(self._generator)
            found.setdefault(_describe(self.space, architecture)[0], architecture)
        return [a for network, a in found.items() if self._may_propose(network, a)]

    def _may_propose(self, network: str, architecture: Architecture) -> bool:
        if self.unique and network in self._seen:
            return False
        return self.limits is None or self.limits.admit(architecture)

    def _reject(self, proposal: Proposal) -> None:
        if proposal.memo == "drawn":
            self._begun -= 1

    def _hear_drawn(self, n: int) -> None:
        self._begun += n

    def _learn(self, results: Sequence[tuple[Proposal, float]]) -> None:
        self._results += [(proposal.architecture, reward) for proposal, reward in results]

    def correct(
        self,
        architectures: Sequence[Architecture],
        rewards: Sequence[float],
        objectives: Objectives = None,
    ) -> None:
        """Learn the rewards of architectures whose failure was told before, in its place."""
        for architecture in architectures:
            counted = [reward for _, reward in self._results]
            failed = [  # what failed counted as the lowest of others; before these it did not count
                k
                for k, (one, reward) in enumerate(self._results)
                if one == architecture and counted.count(reward) > 1
            ]
            if failed:
                del self._results[min(failed, key=counted.__getitem__)]
        super().correct(architectures, rewards, objectives)

    def _recall(self, architectures: list[Architecture], rewards: list[float]) -> None:
        super()._recall(architectures, rewards)
        self._begun += len(rewards)

    def _settings(self) -> dict[str, Any]:
        return {"name": "predictor", "kernel": "laplacian", "initial": self.initial,
                "parents": self.parents, "drawn": self.drawn}  # fmt: skip

    def _save(self) -> dict[str, Any]:
        results = [[architecture.to_json(), reward] for architecture, reward in self._results]
        return {"results": results, "begun": self._begun, "scales": self._scales,
                "fitted": self._fitted}  # fmt: skip

    def _restore(self, own: dict[str, Any]) -> None:
        self._results = [(Architecture.from_json(text), reward) for text, reward in own["results"]]
        self._begun, self._fitted = own["begun"], own["fitted"]
        self._scales = None if own["scales"] is None else (own["scales"][0], own["scales"][1])


@lru_cache(maxsize=20_000)  # the same are considered again and again
def _describe(space: SearchSpace, architecture: Architecture) -> tuple[str, np.ndarray]:
    """Return what tells the network apart, and its decisions in one-hot with its counts."""
    blueprint = architecture.to_blueprint(_N_CLASSES)
    counts = count_graph(blueprint)
    sizes = (blueprint.n_parameters, blueprint.count_multiply_adds(_IMAGE_SIZE))
    paths = np.log1p(float(counts["paths"]))
    values = [paths if name == "paths" else float(counts[name]) for name in GRAPH_COUNTS]
    taken = zip(space.decisions, space.encode(architecture), strict=True)
    one_hot = [np.arange(len(decision.options)) == action for decision, action in taken]
    return architecture.canonical_key[:20], np.concatenate([*one_hot, values, np.log1p(sizes)])


def _score_ranks(rewards: Sequence[float]) -> np.ndarray:
    """Return the normal scores of rewards; of equal ones the mean rank counts."""
    scores: np.ndarray = norm.ppf((rankdata(rewards) - 0.5) / len(rewards))
    return scores


class _Process:
    """Gaussian process of variance 1 with a Laplacian kernel, and noise, fitted to rewards."""

    def __init__(
        self, rows: np.ndarray, rewards: np.ndarray, scales: tuple[float, float] | None = None
    ) -> None:
        self._rows, self._rewards = rows, rewards
        standard = (rewards - rewards.mean()) / (rewards.std() or 1.0)
        far = cdist(rows, rows, "cityblock")
        tried = product(_LENGTHS, _NOISES) if scales is None else (scales,)
        fits = [(*_factor(far, length, noise, standard), length, noise) for length, noise in tried]
        _, self._root, *kept = max(fits, key=lambda fit: fit[0])
        self.scales = (kept[0], kept[1])
        self.consider(rows[:0])

    def _share(self, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
        shared: np.ndarray = np.exp(-cdist(rows, others, "cityblock") / self.scales[0])
        return shared

    def consider(self, rows: np.ndarray) -> None:
        """Take architectures of which `expect` will be asked, now and as others are added."""
        self._asked, self._shared = rows, self._share(self._rows, rows)
        self._known = _solve(self._root, self._shared)

    def extend(self, rows: np.ndarray, rewards: np.ndarray) -> None:
        """Add results. Scales stay; the factor grows by rows, so that what is costly stays too."""
        across = _solve(self._root, self._share(self._rows, rows))
        own = self._share(rows, rows) + self.scales[1] * np.eye(len(rows))
        corner = cholesky(own - across.T @ across, lower=True)
        self._root = np.block([[self._root, np.zeros_like(across)], [across.T, corner]])
        shared = self._share(rows, self._asked)
        known = _solve(corner, shared - across.T @ self._known)
        self._shared = np.vstack([self._shared, shared])
        self._known = np.vstack([self._known, known])
        self._rows = np.vstack([self._rows, rows])
        self._rewards = np.append(self._rewards, rewards)

    def expect(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation, noise included, of the rewards of architectures."""
        mean, spread = self._rewards.mean(), self._rewards.std() or 1.0
        weights = cho_solve((self._root, True), (self._rewards - mean) / spread)
        variance = 1 + self.scales[1] - (self._known**2).sum(axis=0)
        deviation = np.sqrt(np.maximum(variance, 0.0))
        return mean + spread * (weights @ self._shared), spread * deviation

    def predict(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what is expected of architectures, see `expect`."""
        self.consider(rows)
        return self.expect()


def _solve(root: np.ndarray, rows: np.ndarray) -> np.ndarray:
    if not rows.size:
        return rows
    solved: np.ndarray = solve_triangular(root, rows, lower=True, check_finite=False)
    return solved


def _factor(
    far: np.ndarray, length: float, noise: float, rewards: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return log marginal likelihood (but a constant) and factor of a process."""
    root = cholesky(np.exp(-far / length) + noise * np.eye(len(far)), lower=True)
    weights = cho_solve((root, True), rewards)
    return float(-rewards @ weights / 2 - np.log(np.diag(root)).sum()), root


def _choose_largest(gains: np.ndarray) -> int:
    """Return the place of the largest gain; of those that rounding alone tells apart the first.

    Options that nothing is known of yet gain the same, and which the processor makes the larger
    depends on its number of threads.
    """
    return int(np.argmax(gains >= gains.max() - 1e-9 * abs(gains.max())))


def _expect_improvement(mean: np.ndarray, deviation: np.ndarray, best: float) -> np.ndarray:
    """Return the expected improvement on the best reward [1]_, see `PredictorSearch`."""
    deviation = np.maximum(deviation, 1e-12 * max(1.0, abs(best)))
    z = (mean - best) / deviation
    gain: np.ndarray = deviation * (z * norm.cdf(z) + norm.pdf(z))
    return gain
