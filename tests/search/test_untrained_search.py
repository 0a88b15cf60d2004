"""Known truth of a search among untrained networks: better than random ones on other images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.untrained_search import draw_random, parse, remember, run
from brainguided import Limits
from brainguided.spaces import PlainSpace
from neural_data import simulate_macaque, simulate_objects

SMALL = "--candidates 40 --random 40 --filters 8 16 32 --max-depth 5 --max-multiply-adds 4000000"


@pytest.mark.slow
def test_winners_exceed_random_networks_on_images_they_were_not_chosen_for() -> None:
    """A simulated V4 weighs channels of a convolutional network, which some stacks come near.

    One search in ten ends with a network that is none of the better ones on the other images;
    five random networks in place of the winners would pass one time in a hundred.
    """
    recording, stimuli = simulate_macaque(
        simulate_objects(2, size=32, seed=5), repetitions=20, n_v4=48, n_it=8, seed=0
    )
    options = parse(SMALL.split())
    said = [run(recording, stimuli, "V4", options, seed=seed) for seed in range(5)]
    assert np.median([one["share"] for one in said]) >= 0.9
    assert np.median([one["above_low"] for one in said]) > 0


def test_a_space_with_too_few_networks_is_said_and_not_searched_for_ever() -> None:
    space = PlainSpace("few", 1, (1,), (1,), (8, 16, 32))
    limits = Limits(max_parameters=10**9)
    (winner,) = draw_random(space, limits, 1, 0, "")
    assert len(draw_random(space, limits, 2, 0, winner.canonical_key)) == 2
    with pytest.raises(ValueError, match=r"3000 random networks 2 are different.*\n?.*expected 3"):
        draw_random(space, limits, 3, 0, winner.canonical_key)


def test_scores_after_a_line_that_was_cut_are_kept_and_read_again(tmp_path: Path) -> None:
    space, path = PlainSpace("few", 1, (1,), (1,), (8, 16, 32)), tmp_path / "scores.jsonl"
    networks = draw_random(space, Limits(max_parameters=10**9), 3, 0, "")
    made: list[int] = []

    def score(number: int) -> np.ndarray:
        made.append(number)
        return np.array([number + 0.5, 0.25])

    first = remember(path, networks, score)
    whole = path.read_text()
    path.write_text(whole[:-9])  # killed while it was written
    for _ in range(2):
        assert np.array_equal(remember(path, networks, score), first)
    assert path.read_text() == whole
    assert made == [0, 1, 2, 2]
