"""A predictor of rewards: a Gaussian process on decisions and graph counts chooses what is next.

After White, Neiswanger & Savani 2021, "BANANAS: Bayesian optimization with neural architectures for
neural architecture search", with a Gaussian process in the place of networks.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import norm

from brainguided.architectures import Architecture
from brainguided.architectures.graph_counts import GRAPH_COUNTS, count_graph
from brainguided.controllers.contract import Controller, Proposal
from brainguided.controllers.limits import Limits
from brainguided.spaces import SearchSpace

if TYPE_CHECKING:
    from sklearn.gaussian_process import GaussianProcessRegressor

_N_CLASSES, _IMAGE_SIZE = 10, 32  # for which counts are taken; they are compared, no more
_SAMPLE = 100  # architectures drawn that say how counts spread
_MOST = 400  # results that are fitted: half of them the best, half the latest
_GROWTH = 1.2  # of the number of results, after which scales are fitted again
_NEIGHBOURS = 200  # of one architecture, drawn where there are more


class PredictorSearch(Controller):
    """Bayesian optimisation: propose what a Gaussian process expects to improve most on the best.

    An architecture is described by its decisions (one-hot) and by the counts of its graph: longest
    and shortest path, number of paths, convolutions and skips, parameters and multiply-adds, each
    standardised by its spread over the space. After `initial` candidates drawn uniformly, the
    expected improvement [1]_ is computed for the neighbours of the `parents` best candidates and
    for `drawn` others, and the largest is proposed. Several proposals that are open together count
    as having the reward expected of them.

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
        self._scales: list[float] | None = None  # fitted to results: log length, log noise
        self._fitted = 0  # results when they were
        self._describe_counts()

    def _describe_counts(self) -> None:
        """Take the mean and spread of the counts over the space."""
        generator = np.random.default_rng((self.seed, 2))
        drawn = [_count(self.space.sample(generator)) for _ in range(_SAMPLE)]
        self._mean, spread = np.mean(drawn, axis=0), np.std(drawn, axis=0)
        self._spread = np.where(spread > 0, spread, 1.0)
        sizes = [len(decision.options) for decision in self.space.decisions]
        self._places = np.concatenate([[0], np.cumsum(sizes)])
        self._features: dict[str, np.ndarray] = {}

    def _read(self, architecture: Architecture) -> np.ndarray:
        """Return the description of an architecture: (feature,)."""
        if (known := self._features.get(architecture.key)) is not None:
            return known
        one_hot = np.zeros(self._places[-1])
        one_hot[self._places[:-1] + np.asarray(self.space.encode(architecture))] = 1.0
        counts = (_count(architecture) - self._mean) / self._spread
        self._features[architecture.key] = found = np.concatenate([one_hot, counts])
        return found

    def _propose(self, n: int) -> list[Proposal]:
        # What is drawn at the beginning stays the same in whatever portions it is asked for
        if self._begun < self.initial or len(self._results) < 2:
            n = min(n, max(1, self.initial - self._begun))
            self._begun += n
            return [Proposal(self.space.sample(self._generator), "drawn") for _ in range(n)]
        kept = self._choose_results()
        known = np.array([self._read(architecture) for architecture, _ in kept])
        rewards = np.array([reward for _, reward in kept])
        model = self._fit(known, rewards)
        for proposal in self._open:
            row = self._read(proposal.architecture)[None]
            known, rewards = np.vstack([known, row]), np.append(rewards, model.predict(row))
        considered = self._consider()
        if not considered:
            return [Proposal(self.space.sample(self._generator))]
        rows = np.array([self._read(architecture) for architecture in considered])
        best = max(reward for _, reward in self._results)
        proposals: list[Proposal] = []
        left = np.ones(len(considered), dtype=bool)
        for _ in range(min(n, len(considered))):
            if proposals or self._open:
                model = _make_model(self._scales).fit(known, rewards)
            mean, deviation = model.predict(rows, return_std=True)
            gain = np.where(left, _expect_improvement(mean, deviation, best), -np.inf)
            chosen = int(np.argmax(gain))
            left[chosen] = False
            proposals.append(Proposal(considered[chosen]))
            known = np.vstack([known, rows[chosen]])
            rewards = np.append(rewards, mean[chosen])
        return proposals

    def _choose_results(self) -> list[tuple[Architecture, float]]:
        """Return the results that are fitted."""
        if len(self._results) <= _MOST:
            return self._results
        latest = self._results[-_MOST // 2 :]
        earlier = sorted(self._results[: -_MOST // 2], key=lambda result: -result[1])
        return earlier[: _MOST // 2] + latest

    def _fit(self, known: np.ndarray, rewards: np.ndarray) -> GaussianProcessRegressor:
        """Return the process fitted to results, its scales as well where there are many more."""
        if self._scales is not None and len(self._results) < _GROWTH * self._fitted:
            return _make_model(self._scales).fit(known, rewards)
        model = _make_model(None)
        with warnings.catch_warnings():  # scales at a bound, as where all rewards are equal
            warnings.simplefilter("ignore")
            model.fit(known, rewards)
        self._scales = [float(value) for value in model.kernel_.theta]
        self._fitted = len(self._results)
        return model

    def _consider(self) -> list[Architecture]:
        """Return the neighbours of the best and others drawn, none that may not be proposed."""
        best = sorted(range(len(self._results)), key=lambda k: -self._results[k][1])
        found: dict[str, Architecture] = {}
        for k in best[: self.parents]:
            near = self.space.neighbours(self._results[k][0])
            if len(near) > _NEIGHBOURS:
                order = self._generator.choice(len(near), _NEIGHBOURS, replace=False)
                near = [near[int(place)] for place in order]
            for architecture in near:
                found.setdefault(architecture.key, architecture)
        for _ in range(self.drawn):
            architecture = self.space.sample(self._generator)
            found.setdefault(architecture.key, architecture)
        return [a for a in found.values() if self._may_propose(a)]

    def _may_propose(self, architecture: Architecture) -> bool:
        if self.unique and architecture.canonical_key[:20] in self._seen:
            return False
        return self.limits is None or self.limits.admit(architecture)

    def _reject(self, proposal: Proposal) -> None:
        if proposal.memo == "drawn":
            self._begun -= 1

    def _hear_drawn(self, n: int) -> None:
        self._begun += n

    def _learn(self, results: Sequence[tuple[Proposal, float]]) -> None:
        self._results += [(proposal.architecture, reward) for proposal, reward in results]

    def _recall(self, architectures: list[Architecture], rewards: list[float]) -> None:
        super()._recall(architectures, rewards)
        self._begun += len(rewards)

    def _settings(self) -> dict[str, Any]:
        return {"name": "predictor", "initial": self.initial, "parents": self.parents,
                "drawn": self.drawn}  # fmt: skip

    def _save(self) -> dict[str, Any]:
        results = [[architecture.to_json(), reward] for architecture, reward in self._results]
        return {"results": results, "begun": self._begun, "scales": self._scales,
                "fitted": self._fitted}  # fmt: skip

    def _restore(self, own: dict[str, Any]) -> None:
        self._results = [(Architecture.from_json(text), reward) for text, reward in own["results"]]
        self._begun, self._scales, self._fitted = own["begun"], own["scales"], own["fitted"]


@lru_cache(maxsize=20_000)  # the same are considered again and again
def _count(architecture: Architecture) -> np.ndarray:
    """Return the counts of the graph of an architecture: (count,)."""
    blueprint = architecture.to_blueprint(_N_CLASSES)
    counts = count_graph(blueprint)
    sizes = (blueprint.n_parameters, blueprint.count_multiply_adds(_IMAGE_SIZE))
    paths = np.log1p(float(counts["paths"]))
    values = [paths if name == "paths" else float(counts[name]) for name in GRAPH_COUNTS]
    return np.array([*values, *np.log1p(sizes)])


def _make_model(scales: list[float] | None) -> GaussianProcessRegressor:
    """Return a Gaussian process with the scales given, or one that fits them."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, WhiteKernel

    kernel = RBF(3.0, (0.5, 50.0)) + WhiteKernel(0.1, (1e-3, 1.0))
    if scales is None:
        return GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
    kernel.theta = np.array(scales)
    return GaussianProcessRegressor(kernel, normalize_y=True, optimizer=None)


def _expect_improvement(mean: np.ndarray, deviation: np.ndarray, best: float) -> np.ndarray:
    """Return the expected improvement on the best reward [1]_, see `PredictorSearch`."""
    deviation = np.maximum(deviation, 1e-12 * max(1.0, abs(best)))
    z = (mean - best) / deviation
    gain: np.ndarray = deviation * (z * norm.cdf(z) + norm.pdf(z))
    return gain
