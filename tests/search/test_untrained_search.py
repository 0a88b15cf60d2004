"""Known truth of a search among untrained networks: better than random ones on other images."""

from __future__ import annotations

import pytest

from benchmarks.untrained_search import parse, run
from neural_data import simulate_macaque, simulate_objects

SMALL = "--candidates 32 --random 20 --filters 8 16 32 --max-depth 5 --max-multiply-adds 4000000"


@pytest.mark.slow
def test_the_winner_exceeds_random_networks_on_images_it_was_not_chosen_for() -> None:
    """A simulated V4 weighs channels of a convolutional network, which some stacks come near."""
    recording, stimuli = simulate_macaque(
        simulate_objects(2, size=32, seed=5), repetitions=20, n_v4=48, n_it=8, seed=0
    )
    said = run(recording, stimuli, "V4", parse(SMALL.split()))
    assert said["share"] >= 0.95
    assert said["above_low"] > 0
