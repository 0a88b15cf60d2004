"""Which candidates of a search become finalists: the best, or some drawn without choosing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from brainguided.architectures import Architecture
from brainguided.journal.attempts import Attempt
from brainguided.journal.confirmed import find_confirmed


@dataclass(frozen=True)
class Drawn:
    """Candidates drawn at random, so that their mature accuracies were chosen by no score.

    Parameters
    ----------
    number : int
        How many, of those that succeeded and isomorphic ones once; all of them if there are fewer.
    seed : int
        Of the draw.
    """

    number: int
    seed: int = 0

    def __post_init__(self) -> None:
        for name, number, lowest in (("number", self.number, 1), ("seed", self.seed, 0)):
            if type(number) is not int or number < lowest:
                raise ValueError(
                    f"{name} is {number!r}; expected a whole number, at least {lowest}."
                )


def choose_finalists(
    results: list[Attempt], top: int | Drawn, again: Sequence[Attempt] = ()
) -> list[Attempt]:
    """Return the done candidates with the highest rewards, of isomorphic ones the first.

    Those confirmed by the evaluations `again` with other seeds come first, by their rewards with
    these, so that the winner of the search is the first of all. With `Drawn`, those drawn, by
    their own reward.
    """
    found = () if isinstance(top, Drawn) else find_confirmed(results, again)
    confirmed = {one.result.candidate: one.reward for one in found if one.reward is not None}
    done = [
        (r.candidate not in confirmed, -confirmed.get(r.candidate, r.reward), r.candidate, r)
        for r in results
        if r.outcome == "done" and r.reward is not None
    ]
    met: set[str] = set()
    chosen = []
    for *_, result in sorted(done, key=lambda one: one[:3]):
        key = Architecture.from_json(result.architecture).canonical_key
        if key not in met:
            met.add(key)
            chosen.append(result)
    if not isinstance(top, Drawn):
        return chosen[:top]
    # In the order of candidates, so that the same are drawn whatever the reward
    numbers = sorted(result.candidate for result in chosen)
    generator = np.random.default_rng([top.seed, 7])
    drawn = set(generator.permutation(numbers)[: top.number].tolist())
    return [result for result in chosen if result.candidate in drawn]
