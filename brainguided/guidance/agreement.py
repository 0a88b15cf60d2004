"""How far two seeds of the weights agree on candidates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from brainguided.journal.measurement import Measurement
from brainguided.rdms.ranks import rank_rows

FEWEST = 4
"""Candidates below which there is no correlation."""
_Z = 1.959964


@dataclass(frozen=True)
class Agreement:
    """How far seeds agree in one number of a measurement.

    Attributes
    ----------
    name : str
        "P", or a target, of which it is the similarity of the best layer of each seed.
    candidates : int
        With that number for each of their seeds.
    correlation : float or None
        Spearman's between two seeds; of more than two seeds the mean over pairs.
    lower, upper : float or None
        95 % interval of the correlation over candidates.
    between, among : float
        Standard deviation between seeds of one candidate, and among candidates with one seed.
    """

    name: str
    candidates: int
    correlation: float | None
    lower: float | None
    upper: float | None
    between: float
    among: float

    @property
    def sentence(self) -> str:
        """All of it in words."""
        spread = (
            f"standard deviation {self.between:.3f} between seeds of one candidate, "
            f"{self.among:.3f} among candidates"
        )
        if self.correlation is None:
            return f"{self.name}: {self.candidates} candidates; {spread}."
        interval = ""
        if self.lower is not None:
            interval = f" (95 % interval {self.lower:.2f} to {self.upper:.2f})"
        return (
            f"{self.name}: two seeds agree on the ranks of {self.candidates} candidates with a "
            f"correlation of {self.correlation:.2f}{interval}; {spread}."
        )


def measure_agreement(shown: Sequence[Sequence[Measurement]]) -> list[Agreement]:
    """Return how far seeds agree in P and in the similarity to every target, at the last rung.

    Intervals are by Fisher's z with the variance of Bonett & Wright [1]_; of more than two seeds,
    whose pairs are averaged, they are too wide.

    Parameters
    ----------
    shown : sequence of sequence of Measurement
        Of each candidate, what it showed with each seed: with two seeds or more, and of all
        candidates equally many.

    Returns
    -------
    list of Agreement
        P first; empty of fewer than two candidates.

    References
    ----------
    .. [1] Bonett & Wright (2000), Psychometrika 65:23, equation 8.
    """
    if not shown:
        return []
    targets = shown[0][0].targets
    found = []
    for name in ("performance", *targets):
        values = [[one.value(name) for one in same] for same in shown]
        known = np.array([row for row in values if None not in row], dtype=float)
        if len(known) > 1:
            found.append(_compare("P" if name == "performance" else name, known))
    return found


def _compare(name: str, values: np.ndarray) -> Agreement:
    """Return the agreement of numbers (candidate, seed)."""
    n = len(values)
    between = math.sqrt(float(values.var(axis=1, ddof=1).mean()))
    among = math.sqrt(float(values.var(axis=0, ddof=1).mean()))
    ranks = rank_rows(values.T)
    if n < FEWEST or not (ranks.std(axis=1) > 0).all():
        return Agreement(name, n, None, None, None, between, among)
    pairs = [np.corrcoef(ranks[a], ranks[b])[0, 1] for a, b in combinations(range(len(ranks)), 2)]
    r = float(np.mean(pairs))
    z = math.atanh(min(max(r, -1 + 1e-9), 1 - 1e-9))
    half = _Z * math.sqrt((1 + r**2 / 2) / (n - 3))
    return Agreement(name, n, r, math.tanh(z - half), math.tanh(z + half), between, among)
