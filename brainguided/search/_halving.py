"""Early stopping: at each rung only candidates above most of the last ones go on.

Bars are part of the event that asks for candidates, so a decision is the same on every engine and
after every restart. They are made of what was told before: no clock, no order of arrival.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from brainguided.guidance.rewards import Reward
from brainguided.journal.attempts import Attempt
from brainguided.journal.measurement import Measurement

_log = logging.getLogger(__name__)
FIRST = 24  # candidates that all go on
EVERY = 10  # one in so many goes on whatever its reward
WINDOW = 100  # candidates told last, of which bars are made
_LIKELY = 1.75  # of a normal distribution, at the first look: see `_predicts`
_FEWEST = 3  # finishers for a fit
Bars = tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class _Heard:
    """Rewards of one candidate at the rungs that it reached."""

    rewards: Mapping[int, float]
    is_free: bool  # whether it would have gone on whatever its reward
    bars: Bars


class Halving:
    """What was told so far, and the bars that follow from it.

    Parameters
    ----------
    keep : float
        Share of the candidates measured at a rung that go on.
    rungs : sequence of int
        Ascending; the last is the end.
    reward : Reward
        Computed at each rung as if training had ended there.
    """

    def __init__(self, keep: float, rungs: Sequence[int], reward: Reward) -> None:
        self._keep, self._rungs, self._reward = keep, tuple(rungs), reward
        self._window: deque[_Heard] = deque(maxlen=WINDOW)
        self._finished: list[_Heard] = []
        self._told = 0

    @staticmethod
    def goes_on(candidate: int) -> bool:
        """Return whether a candidate is trained to the end whatever its reward."""
        return candidate < FIRST or candidate % EVERY == 0

    def is_stopped(self, attempt: Attempt) -> bool:
        """Return whether the training of a candidate ended before the last rung."""
        steps = attempt.measurement.steps
        return attempt.outcome == "done" and bool(steps) and steps[-1] < self._rungs[-1]

    def hear(self, attempt: Attempt, bars: Bars) -> None:
        """Take a candidate that is told; `bars` are those of its asking."""
        self._told += 1
        if attempt.outcome != "done" or not attempt.measurement.rungs:
            return
        measured = attempt.measurement
        known = {step: self._compute(measured.up_to(step)) for step in measured.steps}
        rewards = {step: value for step, value in known.items() if value is not None}
        heard = _Heard(rewards, self.goes_on(attempt.candidate), bars)
        self._window.append(heard)
        if self._rungs[-1] in rewards:
            self._finished.append(heard)

    def find_bars(self) -> Bars:
        """Return the bars of candidates asked for now: none at rungs that do not predict."""
        if self._told < FIRST:
            return ()
        found = []
        for step in self._rungs[:-1]:
            values = [heard.rewards[step] for heard in self._window if step in heard.rewards]
            if len(values) > 1 / self._keep and self._predicts(step):
                found.append((step, float(np.quantile(values, 1 - self._keep))))
        return tuple(found)

    def predict(self, measured: Measurement) -> float | None:
        """Return the last rung's reward of a stopped candidate, at most the worst finisher's.

        A weighted line through the finishers that were measured at the rung where it stopped:
        those that went on by chance stand for the others like them. None before any finished.
        """
        step = measured.steps[-1]
        known = [heard for heard in self._finished if step in heard.rewards]
        if not known:
            return None
        worst = min(heard.rewards[self._rungs[-1]] for heard in self._finished)
        own = self._compute(measured)
        x = np.array([heard.rewards[step] for heard in known])
        y = np.array([heard.rewards[self._rungs[-1]] for heard in known])
        weights = np.array([self._weigh(heard) for heard in known])
        centre = np.average(x, weights=weights)
        spread = float(np.average((x - centre) ** 2, weights=weights))
        if own is None or len(known) < _FEWEST or not spread > 0:
            return worst
        middle = np.average(y, weights=weights)
        slope = float(np.average((x - centre) * (y - middle), weights=weights)) / spread
        return min(worst, float(middle + slope * (own - centre)))

    def _compute(self, measured: Measurement) -> float | None:
        """Return the reward as if training had ended; None where that is no finite number.

        A function of one's own may fail at a rung though it does not at the last: the candidate
        is then not counted there.
        """
        try:
            value = self._reward(measured)
        except Exception as error:  # one candidate must never end a search
            _log.warning(
                "no reward at step %d: %s: %s", measured.steps[-1], type(error).__name__, error
            )
            return None
        return value if math.isfinite(value) else None

    def _weigh(self, heard: _Heard) -> float:
        """Return the inverse of the probability that a finisher went on."""
        below = any(heard.rewards.get(step, math.inf) <= bar for step, bar in heard.bars)
        return float(EVERY) if heard.is_free and below else 1.0

    def _predicts(self, step: int) -> bool:
        """Return whether rewards at a rung are seen to go with those at the last.

        By those that finished whatever their rewards, whom no selection has made alike. They come
        one by one and each time it is asked anew, so the bound rises with their number: where
        nothing predicts, a rung is above it with a probability of 4 % when it is first asked of 24
        and of at most 10 % ever (20,000 simulated random walks from 21 to 4,200 steps: 10.0 %;
        with the fixed bound of 1.28, 10 % at each look, 26 % up to the 72nd of them).
        """
        last = self._rungs[-1]
        free = [heard for heard in self._finished if heard.is_free and step in heard.rewards]
        if len(free) < _FEWEST + 2:
            return False
        x = _rank([heard.rewards[step] for heard in free])
        y = _rank([heard.rewards[last] for heard in free])
        if not (x.std() > 0 and y.std() > 0):
            return False
        r = min(float(np.corrcoef(x, y)[0, 1]), 1 - 1e-9)
        # Fisher's z of Spearman's coefficient, with the variance of Fieller et al. (1957)
        z = math.atanh(max(r, -1 + 1e-9)) * math.sqrt((len(free) - 3) / 1.06)
        growth = max(1.0, (len(free) - 3) / (FIRST - 3))
        return z > math.sqrt(_LIKELY**2 + 2 * math.log(growth))


def _rank(values: Sequence[float]) -> np.ndarray:
    """Return ranks, means of those that are equal."""
    _, place, counts = np.unique(np.array(values), return_inverse=True, return_counts=True)
    upper = np.cumsum(counts)
    means: np.ndarray = upper - (counts - 1) / 2
    return means[place]
