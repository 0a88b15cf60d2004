"""Is the winner better if the best are evaluated again, and by which of their evaluations?

    python benchmarks/confirming.py [--searches 4000]

Candidates are worth what they are worth, each evaluation is off by noise; all in deviations of one
evaluation over candidates. Of the best by one evaluation the winner is the first, the best by new
evaluations alone, or by the mean of all.
"""

from __future__ import annotations

import argparse

import numpy as np


def simulate(
    searches: int, candidates: int, share: float, top: int, new: int, tails: bool
) -> dict[str, tuple[float, float]]:
    """Return, for each way of choosing, what the winner is worth and what it seems to be."""
    rng = np.random.default_rng(0)

    def draw_noise(shape: tuple[int, ...]) -> np.ndarray:
        drawn = rng.standard_t(3, shape) / np.sqrt(3) if tails else rng.normal(size=shape)
        return drawn * np.sqrt(1 - share)

    worth = rng.normal(size=(searches, candidates)) * np.sqrt(share)
    first = worth + draw_noise(worth.shape)
    best = np.argsort(-first, axis=1)[:, :top]
    worth, first = (np.take_along_axis(one, best, 1) for one in (worth, first))
    again = (worth[..., None] + draw_noise((searches, top, new))).mean(-1)
    found = {}
    for name, score in (
        ("first", first),
        ("new", again),
        ("all", (first + new * again) / (1 + new)),
    ):
        chosen = np.arange(searches), score.argmax(1)
        found[name] = float(worth[chosen].mean()), float(score[chosen].mean())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--searches", type=int, default=4000)
    options = parser.parse_args()
    print("tails candidates share top new: worth (seems) by first, new, all")
    for tails in (False, True):
        for candidates in (24, 60, 250):
            for share in (0.3, 0.5, 0.7):
                for top, new in ((3, 1), (3, 3), (10, 3)):
                    found = simulate(options.searches, candidates, share, top, new, tails)
                    said = "  ".join(f"{a:.2f} ({b:.2f})" for a, b in found.values())
                    print(tails, candidates, share, top, new, said, sep="\t")


if __name__ == "__main__":
    main()
