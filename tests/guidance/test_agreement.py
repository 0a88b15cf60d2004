"""How far two seeds agree: against scipy, and where the truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from brainguided.guidance.agreement import measure_agreement
from brainguided.journal import Measurement, Rung


def show(performance, similarity):
    """Return a measurement of two layers, of which the second is the best."""
    known = {"V4": {"a": -9.0, "b": similarity}}
    return Measurement(("V4",), (Rung(5, performance, similarity=known),))


def draw(n, share, seeds=2, seed=0):
    """Return what candidates show with each seed, of whose variance a share is their own."""
    rng = np.random.default_rng(seed)
    own = rng.normal(size=(n, 1, 2)) * np.sqrt(share)
    values = own + rng.normal(size=(n, seeds, 2)) * np.sqrt(1 - share)
    return [[show(*map(float, one)) for one in same] for same in values], values


def test_it_is_spearmans_correlation_over_candidates() -> None:
    shown, values = draw(20, 0.5)
    performance, area = measure_agreement(shown)
    assert (performance.name, area.name, area.candidates) == ("P", "V4", 20)
    for number, one in enumerate((performance, area)):
        first, second = values[:, 0, number], values[:, 1, number]
        assert one.correlation == pytest.approx(spearmanr(first, second).statistic)
        between = np.mean((first - second) ** 2 / 2)
        assert one.between == pytest.approx(np.sqrt(between))
    assert "two seeds agree on the ranks of 20 candidates with a correlation" in area.sentence


def test_pairs_of_several_seeds_are_averaged() -> None:
    shown, values = draw(15, 0.6, seeds=3)
    found = measure_agreement(shown)[0].correlation
    pairs = [
        spearmanr(values[:, a, 0], values[:, b, 0]).statistic for a, b in ((0, 1), (0, 2), (1, 2))
    ]
    assert found == pytest.approx(np.mean(pairs))


def test_intervals_hold_the_truth() -> None:
    truth = 6 / math.pi * math.asin(0.6 / 2)
    held = [
        one.lower <= truth <= one.upper
        for seed in range(150)
        for one in measure_agreement(draw(12, 0.6, seed=seed)[0])
    ]
    assert 0.91 < np.mean(held) <= 0.99


def test_the_spread_between_seeds_is_found_from_few_candidates() -> None:
    found = [measure_agreement(draw(8, 0.75, seed=seed)[0])[0].between ** 2 for seed in range(200)]
    assert np.mean(found) == pytest.approx(0.25, rel=0.1)


def test_few_candidates_and_equal_ones_have_no_correlation() -> None:
    few = measure_agreement(draw(3, 0.5)[0])[0]
    assert (few.correlation, few.lower) == (None, None)
    assert "3 candidates; standard deviation" in few.sentence
    equal = measure_agreement([[show(0.5, 0.1 * k), show(0.5, 0.2)] for k in range(6)])
    assert [one.correlation for one in equal] == [None, None]
    assert measure_agreement([]) == measure_agreement(draw(1, 0.5)[0]) == []


def test_candidates_that_resemble_nothing_with_one_seed_are_left_out() -> None:
    shown, _ = draw(10, 0.5)
    dead = Measurement(("V4",), (Rung(5, 0.5, similarity={"V4": {"a": None}}),))
    found = measure_agreement([*shown, [show(0.1, 0.2), dead]])
    assert [one.candidates for one in found] == [11, 10]
