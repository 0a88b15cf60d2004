"""Screening: of several proposals the one with the best cheap statistic is evaluated."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from brainguided.architectures import Architecture
from brainguided.architectures.graph_counts import GRAPH_COUNTS
from brainguided.candidates.ridge import expand_counts, fit_ridge, rank_columns
from brainguided.candidates.rivals import FREE, RIVALS, compute_statistics, count_architecture
from neural_data.errors import raise_problems

if TYPE_CHECKING:
    from brainguided.candidates.images import ImageSet

COUNTS = "graph_counts"
FEWEST = 24
"""Candidates told before graph counts are asked; all until then are evaluated as proposed."""


class Screen:
    """Choice among proposals by a statistic that needs no training; set it on any controller.

    ``controller.screen = Screen("graph_counts", of=10)``: of every ten proposals the one with the
    highest statistic is asked for, and the others are taken back. With "graph_counts" that is the
    rank of the reward as predicted by ridge regression on the five counts of the graph, their
    squares and their products, fitted to the rewards told so far [1]_; below 24 of those nothing
    is screened. Any other statistic is taken as it is, more being better.

    Parameters
    ----------
    statistic : str
        "graph_counts"; a free one, as "parameters" or "longest_path"; or one of
        `candidates.rivals.RIVALS`, of a network with weights of seed 0.
    of : int
        Proposals of which one is evaluated.
    n_classes, image_size : int
        Of the task, which sizes depend on.
    images : ImageSet, optional
        Those of the task, where the statistic needs some.

    Raises
    ------
    ValueError
        The statistic is unknown or needs images, or `of` is less than 2.

    References
    ----------
    .. [1] Counts after Kadlecová, Lukasik, Pilát, Vidnerová, Safari, Neruda & Hutter (2024), GRAF,
       ICML, arXiv 2404.16551.

    Examples
    --------
    >>> from brainguided import RandomSearch, small_space
    >>> controller = RandomSearch(small_space(10), seed=0)
    >>> controller.screen = Screen("longest_path", of=10)
    >>> min(architecture.depth for architecture in controller.ask(4)) > 5
    True
    """

    def __init__(
        self,
        statistic: str = COUNTS,
        *,
        of: int = 10,
        n_classes: int = 10,
        image_size: int = 32,
        images: ImageSet | None = None,
    ) -> None:
        problems = []
        known = (COUNTS, *FREE, *RIVALS)
        if statistic not in known:
            problems.append(f"statistic is {statistic!r}, expected one of {', '.join(known)}")
        elif statistic in RIVALS and images is None:
            problems.append(f"{statistic} needs images; give those of the task")
        if type(of) is not int or of < 2:
            problems.append(f"of is {of!r}, expected a whole number of proposals, at least 2")
        raise_problems("Not a screen", problems, ValueError)
        self.statistic, self.of = statistic, of
        self.n_classes, self.image_size, self.images = n_classes, image_size, images
        self._counts: list[list[float]] = []
        self._rewards: list[float] = []

    @property
    def number(self) -> int:
        """How many proposals are needed for one candidate, now."""
        return 1 if self.statistic == COUNTS and len(self._rewards) < FEWEST else self.of

    def choose(self, architectures: list[Architecture], n: int) -> list[int]:
        """Return which `n` of the proposals to evaluate: the best of each of `n` equal parts.

        Parameters
        ----------
        architectures : list of Architecture
            All of them are chosen where there are no more than `n`.
        n : int
            How many are wanted.

        Returns
        -------
        list of int
            Ascending; of equals the first.
        """
        if len(architectures) <= n:
            return list(range(len(architectures)))
        scores = self._score(architectures)
        parts = np.array_split(np.arange(len(architectures)), n)
        return [int(part[np.argmax(scores[part])]) for part in parts]

    def learn(self, results: Iterable[tuple[Architecture, float]]) -> None:
        """Hear the rewards of architectures."""
        if self.statistic == COUNTS:
            for architecture, reward in results:
                self._counts.append(self._count(architecture))
                self._rewards.append(float(reward))

    def forget(self, architectures: Iterable[Architecture]) -> None:
        """Forget the failures of architectures, each learned as the lowest reward of another."""
        if self.statistic == COUNTS:
            for counts in map(self._count, architectures):
                failed = [
                    k
                    for k, (known, reward) in enumerate(
                        zip(self._counts, self._rewards, strict=True)
                    )
                    if known == counts and self._rewards.count(reward) > 1
                ]
                if failed:
                    k = min(failed, key=self._rewards.__getitem__)
                    del self._counts[k], self._rewards[k]

    def describe(self) -> dict[str, Any]:
        """Return the settings as plain data fit for JSON."""
        return {"statistic": self.statistic, "of": self.of}

    def save_state(self) -> list[Any]:
        """Return what was learned as plain data fit for JSON."""
        return [self._counts, self._rewards]

    def restore_state(self, state: list[Any]) -> None:
        """Take back what `save_state` returned."""
        self._counts, self._rewards = list(state[0]), list(state[1])

    def _score(self, architectures: list[Architecture]) -> np.ndarray:
        if self.statistic == COUNTS:
            return self._predict(np.array([self._count(one) for one in architectures]))
        values = [self._measure(one) for one in architectures]
        return np.array([-np.inf if value is None else value for value in values])

    def _predict(self, counts: np.ndarray) -> np.ndarray:
        """Return the predicted ranks of rewards (candidate,)."""
        told = np.array(self._counts)
        x = expand_counts(np.vstack([told, counts]))  # one scale for both
        learned, asked = x[: len(told)], x[len(told) :]
        centre = learned.mean(0)
        ranks = rank_columns(np.array(self._rewards)[:, None])
        weights = fit_ridge(learned - centre, ranks - ranks.mean())
        return np.asarray((asked - centre) @ weights)[:, 0].round(9)  # of equals the first

    def _count(self, architecture: Architecture) -> list[float]:
        found = self._count_all(architecture)
        return [found[name] for name in GRAPH_COUNTS]

    def _count_all(self, architecture: Architecture) -> dict[str, float]:
        return count_architecture(
            architecture, n_classes=self.n_classes, image_size=self.image_size
        )

    def _measure(self, architecture: Architecture) -> float | None:
        if self.statistic in FREE:
            return self._count_all(architecture)[self.statistic]
        from brainguided.candidates.training import single_thread
        from brainguided.networks.build import build_network

        assert self.images is not None
        with single_thread():
            network = build_network(architecture, n_classes=len(self.images.classes), seed=0)
            names = [self.statistic]
            found = compute_statistics(network, architecture, self.images, names=names)
        return found[self.statistic]
