"""The winner of a search: the best of those that were evaluated again with other seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from heapq import nlargest
from operator import itemgetter
from statistics import fmean

from brainguided.journal.attempts import STOPPED, Attempt

SECOND_SEED = 1
"""``Attempt.again`` of the evaluation that says how far two seeds agree; later ones confirm.

Neither is a seed of `Measurement.repeats`: those all belong to one evaluation and its reward.
"""
SEEDS = 3
"""Fewest new seeds with which each of the best is evaluated again."""


@dataclass(frozen=True)
class Confirming:
    """What a search evaluates with other seeds before a winner is named.

    Attributes
    ----------
    number : int
        Candidates with the highest rewards that compete.
    evaluations : int
        With other seeds, those that only compare two seeds included.
    hindered : str
        Which limit of the search kept it from making them; empty where none did.
    """

    number: int
    evaluations: int
    hindered: str = ""

    @property
    def sentence(self) -> str:
        """Why evaluations with other seeds are missing; empty where no limit forbade them."""
        if not self.hindered:
            return ""
        return (
            f"Not all evaluations with other seeds were made: limit reached, {self.hindered}. "
            "With a higher limit, the same command makes them and confirms the winner."
        )


@dataclass(frozen=True)
class Confirmed:
    """A candidate whose reward was among the highest, and what it earned with other seeds.

    Attributes
    ----------
    result : Attempt
        Its own evaluation, by which it was among the best.
    rewards : tuple of float
        Of the evaluations with other seeds that succeeded.
    failed : int
        Those that did not.
    wanted : int
        How many there are to be: evaluations that bring three new seeds together.
    """

    result: Attempt
    rewards: tuple[float, ...]
    failed: int
    wanted: int

    @property
    def reward(self) -> float | None:
        """Mean reward with other seeds; None unless all of them succeeded.

        The mean of fewer would be the more noisy, and so the more often the highest.
        """
        return fmean(self.rewards) if len(self.rewards) == self.wanted else None


def count_evaluations(seeds: int) -> int:
    """Return how many evaluations with other seeds confirm a candidate.

    Parameters
    ----------
    seeds : int
        Of the weights, in one evaluation.
    """
    return -(-SEEDS // seeds)


def find_confirmed(results: Iterable[Attempt], again: Sequence[Attempt]) -> list[Confirmed]:
    """Return the candidates that compete for the winner, those with the highest rewards first.

    They end before the first that was not evaluated again: a search that goes on may have found
    better ones, which have yet to be.

    Parameters
    ----------
    results : iterable of Attempt
        The final attempt of each candidate.
    again : sequence of Attempt
        The final attempts at evaluations with other seeds.

    Returns
    -------
    list of Confirmed
        Empty where the best was not evaluated again.
    """
    made: dict[int, list[Attempt]] = {}
    for attempt in again:
        if attempt.again > SECOND_SEED:
            made.setdefault(attempt.candidate, []).append(attempt)
    if not made:
        return []
    placed = (
        (place, one)
        for one in results
        if (
            place := find_place(
                one.candidate, one.outcome, one.reason, one.reward, one.duplicate_of
            )
        )
    )
    found = []
    for _, result in nlargest(len(made), placed, key=itemgetter(0)):
        if result.candidate not in made:
            break
        evaluations = made[result.candidate]
        done = (one.reward for one in evaluations if one.outcome == "done")
        rewards = [reward for reward in done if reward is not None]
        wanted = count_evaluations(len(result.measurement.of_seeds()))
        found.append(Confirmed(result, tuple(rewards), len(evaluations) - len(rewards), wanted))
    return found


def find_winner(results: Iterable[Attempt], again: Sequence[Attempt] = ()) -> Attempt | None:
    """Return the winner of a search, its own evaluation; None where no candidate succeeded.

    Of those that were evaluated again the one with the highest mean reward with other seeds; its
    first reward counts no more, for that is why it was chosen. One that failed with any of these
    seeds is not confirmed and does not win over one that is. Where none is confirmed, the one with
    the highest reward. Of equals the earliest.

    Parameters
    ----------
    results, again
        As of `find_confirmed`.
    """
    known = [
        (one.reward, -one.result.candidate, one.result)
        for one in find_confirmed(results, again)
        if one.reward is not None
    ]
    if known:
        return max(known, key=lambda one: one[:2])[2]
    return reduce(choose_better, results, None)


def choose_better(best: Attempt | None, result: Attempt) -> Attempt | None:
    """Return the better of the best so far and a later result, by reward."""
    if not _is_whole(result) or result.reward is None:
        return best
    known = None if best is None else best.reward
    return result if known is None or result.reward > known else best


def _is_whole(result: Attempt) -> bool:
    """Return whether a candidate was trained to the end, so that its reward was measured."""
    return result.outcome == "done" and result.reason != STOPPED


def find_place(
    candidate: int, outcome: str, reason: str, reward: float | None, duplicate_of: int | None
) -> tuple[float, int] | None:
    """Return the place of a candidate among those that may win: what is higher is better.

    Parameters
    ----------
    candidate, outcome, reason, reward, duplicate_of
        Of its final attempt.

    Returns
    -------
    tuple of float and int, or None
        Its reward, and of equals the earlier. None of one that failed, was stopped early, repeats
        another or has no reward: it does not compete.
    """
    if outcome != "done" or reason == STOPPED or reward is None or duplicate_of is not None:
        return None
    return reward, -candidate
