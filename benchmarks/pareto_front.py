"""How much of the true front a search for several objectives finds: hypervolume on planted rewards.

    python benchmarks/pareto_front.py --seeds 20 --marks 250 500 1000

The space is that of NAS-Bench-201, 15,625 cells of 6 decisions with 5 options. Two objectives are
planted with each seed: a worth, the sum of what options and pairs of options are worth, and a cost,
the sum of what options cost, of which less is better. Cells that are the same network have the same
numbers, for controllers propose one of them. The true front is that of all cells. What is
printed is the hypervolume of what was found, as a share of the true one; the box reaches from the
worst to the best of each objective over all cells.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from functools import cache

import numpy as np

from brainguided.controllers import Controller, RandomSearch, motpe, nsga2
from brainguided.journal.objectives import select_front
from brainguided.spaces import nasbench201_space

OBJECTIVES = ("worth", "-cost")
MAKERS = {
    "nsga2": lambda space, seed: nsga2(space, seed=seed, objectives=OBJECTIVES),
    "motpe": lambda space, seed: motpe(space, seed=seed, objectives=OBJECTIVES),
    "random": lambda space, seed: RandomSearch(space, seed=seed),
}


@cache
def find_twins() -> np.ndarray:
    """Return the first cell (cell,) that is the same network, for all cells in order."""
    space = nasbench201_space()
    first: dict[str, int] = {}
    cells = enumerate(np.ndindex((5,) * 6))
    return np.array(
        [first.setdefault(space.decode(actions).canonical_key, cell) for cell, actions in cells]
    )


class Planted:
    """Two objectives of every cell, worth and less cost, higher is better."""

    def __init__(self, seed: int) -> None:
        decisions, options = 6, 5
        generator = np.random.default_rng(seed)
        shape = (options,) * decisions
        worth = np.zeros(shape)
        cost = np.zeros(shape)
        for first in range(decisions):
            axes = [1] * decisions
            axes[first] = options
            worth = worth + generator.normal(size=options).reshape(axes)
            cost = cost + generator.exponential(size=options).reshape(axes)
            for second in range(first + 1, decisions):
                pair = [1] * decisions
                pair[first] = pair[second] = options
                worth = worth + generator.normal(size=(options, options)).reshape(pair) / 2
        flat = np.stack([worth, -cost], axis=-1).reshape(-1, 2)[find_twins()]
        self.numbers = flat.reshape(*shape, 2)
        self.low, self.high = flat.min(0), flat.max(0)
        self.true = self.measure(flat[select_front(flat)])

    def measure(self, points: np.ndarray) -> float:
        """Return the share of the box of all cells that points exceed (candidate, 2)."""
        scaled = (points - self.low) / (self.high - self.low)
        total = reached = 0.0
        for x, y in scaled[np.lexsort(-scaled.T[::-1])]:
            total += x * max(y - reached, 0.0)
            reached = max(y, reached)
        return total


def search(controller: Controller, planted: Planted, marks: Sequence[int]) -> list[float]:
    """Return the share of the true hypervolume at each number of candidates; rounds of 10."""
    seen: list[np.ndarray] = []
    found = []
    while len(seen) < marks[-1]:
        proposals = controller.ask(10)
        numbers = [planted.numbers[controller.space.encode(one)] for one in proposals]
        told = [tuple(map(float, one)) for one in numbers]
        rewards = [sum(one) for one in told]
        controller.tell(proposals, rewards, *([told] if controller.objectives else []))
        seen += numbers
        if len(seen) in marks:
            found.append(planted.measure(np.array(seen)) / planted.true)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--controller", nargs="+", default=list(MAKERS), choices=list(MAKERS))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--marks", type=int, nargs="+", default=[250, 500, 1000])
    given = parser.parse_args()
    if any(mark % 10 for mark in given.marks):
        parser.error("--marks: expected multiples of 10, the size of a round")
    space = nasbench201_space()
    for name in given.controller:
        began = time.process_time()
        shares = np.array(
            [
                search(MAKERS[name](space, seed), Planted(seed), sorted(given.marks))
                for seed in range(given.seeds)
            ]
        )
        spent = time.process_time() - began
        for mark, column in zip(sorted(given.marks), shares.T, strict=True):
            print(
                f"{name}, {mark} candidates: mean {column.mean():.4f}, lowest {column.min():.4f}, "
                f"{(column >= 0.98).sum()} of {len(column)} seeds within 2 %",
                flush=True,
            )
        print(f"{name}: {spent / given.seeds:.1f} s of the processor a seed", flush=True)


if __name__ == "__main__":
    main()
