"""Searches on a virtual clock."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from brainguided.__main__ import main
from brainguided.controllers import Learning, Reinforce
from brainguided.journal.attempts import Timing
from brainguided.replays.virtual_clock import (
    Faults,
    Machines,
    draw_lognormal,
    draw_observed,
    observe_overhead,
    simulate_search,
)
from brainguided.search.orders import Batch, Completion, Index
from brainguided.spaces import small_space

ORDERS = [Completion(), Index(12), Batch(8)]
every = pytest.mark.parametrize("order", ORDERS, ids=["completion", "index", "batch"])


def constant(seconds):
    return lambda generator: seconds


def test_equal_durations_take_what_division_says():
    for order, expected in ((Completion(), 10.0), (Index(7), 10.0), (Batch(4), 10.0)):
        found = simulate_search(order, constant(2.0), Machines(4), candidates=20)
        assert found.makespan == expected
        assert found.utilisation == 1.0
    assert simulate_search(Index(0), constant(2.0), Machines(4), candidates=5).makespan == 10.0
    assert simulate_search(Batch(5), constant(2.0), Machines(4), candidates=20).makespan == 16.0


@every
def test_every_candidate_ends_once_whatever_goes_wrong(order):
    faults = Faults(lost=0.2, memory=0.1, nan=0.1, hang=0.05, outage=(5.0, 20.0, 3))
    found = simulate_search(
        order, draw_lognormal(2.0, 0.5), Machines(5, timeout=20.0, faults=faults), candidates=300
    )
    assert sum(found.outcomes.values()) == 300
    assert np.isfinite(found.finished).all()
    assert found.attempts > 300
    for name, share in (("memory", 0.1), ("nan", 0.1)):
        assert 0.03 * 300 < found.outcomes[name] < 0.2 * 300, (name, share)
    assert found.outcomes["lost"] <= 12  # 0.008 of 300, of three in a row
    assert 0 < found.utilisation < 1


@every
def test_the_clock_repeats_with_its_seed(order):
    first, again, other = (
        simulate_search(order, draw_lognormal(1, 0.5), Machines(4), candidates=50, seed=seed)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.finished, again.finished)
    assert first.makespan != other.makespan


def test_no_worker_waits_before_the_last_evaluation_begins():
    """However much durations vary: what is left over at the end is no matter of the order."""
    varied = draw_lognormal(1.0, 0.7)
    found = simulate_search(Completion(), varied, Machines(40), candidates=400)
    assert found.utilisation < 0.9
    assert found.warm_utilisation == pytest.approx(1.0)
    machines = Machines(4, overhead=0.5)
    found = simulate_search(Completion(), constant(9.5), machines, candidates=400)
    assert found.warm_utilisation == pytest.approx(0.95, abs=0.01)
    alone = simulate_search(Completion(), constant(1.0), Machines(4), candidates=4)
    assert alone.warm_utilisation == 1.0


def test_an_outage_of_half_the_workers_costs_their_time():
    calm = simulate_search(Completion(), constant(1.0), Machines(10), candidates=100)
    faults = Faults(outage=(2.5, 6.5, 5))
    found = simulate_search(
        Completion(), constant(1.0), Machines(10, faults=faults), candidates=100
    )
    assert calm.makespan == 10.0
    assert 12.0 <= found.makespan <= 13.5  # 5 x 4 s of work, and 5 half done


def test_completion_is_as_fast_as_can_be_and_lag_and_rounds_cost_as_measured():
    """40 workers, lognormal durations of sigma 0.7: shares known from an independent study."""
    draw = draw_lognormal(1.0, 0.7)

    def share(order):
        settings = {"machines": Machines(40), "candidates": 1000}
        found = [simulate_search(order, draw, **settings, seed=seed) for seed in range(4)]
        return np.mean([one.utilisation for one in found])

    assert share(Completion()) == pytest.approx(0.917, abs=0.06)
    assert share(Batch(40)) == pytest.approx(0.263, abs=0.06)
    assert share(Index(120)) == pytest.approx(0.64, abs=0.08)


@pytest.mark.parametrize(
    ("candidates", "seeds", "faster"),
    [(400, 6, 2.5), pytest.param(1000, 10, 3.0, marks=pytest.mark.slow)],
)
def test_asynchronous_learning_is_as_good_in_a_third_of_the_time(candidates, seeds, faster):
    space = small_space(4)

    def run(order, seed):
        generator = np.random.default_rng((9, seed))
        liking = [generator.normal(size=len(d.options)) for d in space.decisions]

        def reward(architecture):
            actions = space.encode(architecture)
            return float(sum(t[a] for t, a in zip(liking, actions, strict=True)))

        controller = Reinforce(space, seed=seed, learning=Learning(batch_size=20))
        return simulate_search(
            order,
            draw_lognormal(1.0, 0.7),
            Machines(40),
            candidates=candidates,
            learning=(controller, reward),
            seed=seed,
        )

    late = {"completion": [], "batch": []}
    times = {"completion": [], "batch": []}
    for seed in range(seeds):
        for name, order in (("completion", Completion()), ("batch", Batch(40))):
            found = run(order, seed)
            start = float(found.rewards[:100].mean())
            late[name].append(float(found.rewards[-100:].mean()) - start)
            times[name].append(found.makespan)
    assert np.mean(times["completion"]) <= np.mean(times["batch"]) / faster
    difference = np.array(late["completion"]) - np.array(late["batch"])
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    assert difference.mean() > -error, "within its standard error"
    assert np.mean(late["completion"]) > 0.5


def test_ten_thousand_workers_take_seconds():
    started = time.process_time()
    found = simulate_search(
        Completion(), draw_lognormal(2.0, 0.5), Machines(10_000), candidates=20_000
    )
    assert time.process_time() - started < 12
    assert found.outcomes["done"] == 20_000


def test_durations_are_drawn_from_those_observed():
    draw = draw_observed([1.0, 0.0, 3.0])
    generator = np.random.default_rng(0)
    assert {draw(generator) for _ in range(50)} == {1.0, 3.0}
    with pytest.raises(ValueError, match="no durations"):
        draw_observed([0.0])


def test_the_time_between_evaluations_makes_them_longer_but_is_no_work():
    found = simulate_search(Completion(), constant(2.0), Machines(4, 0.5), candidates=20)
    assert found.makespan == 12.5
    assert found.utilisation == pytest.approx(0.8)
    timings = [
        Timing(1.0, start, start + 1.0, "a", pid)
        for pid, starts in ((1, (0.0, 1.2, 2.4)), (2, (0.0, 1.4)))
        for start in starts
    ]
    assert observe_overhead(timings) == pytest.approx(0.2)
    assert observe_overhead(timings[:1]) == 0.0
    with pytest.raises(ValueError, match="overhead is -1"):
        simulate_search(Completion(), constant(1.0), Machines(1, -1), candidates=1)


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="no probabilities"):
        Faults(lost=0.8, nan=0.3)
    with pytest.raises(ValueError, match="need a timeout"):
        simulate_search(
            Completion(), constant(1.0), Machines(1, faults=Faults(hang=0.1)), candidates=1
        )
    with pytest.raises(ValueError, match="workers is 0"):
        simulate_search(Completion(), constant(1.0), Machines(0), candidates=1)
    with pytest.raises(ValueError, match="median above 0"):
        draw_lognormal(0, 1)


def test_the_command_says_how_long_a_search_would_take(capsys):
    command = ["simulate", "--workers", "40", "--candidates", "1000"]
    assert (
        main([*command, "--durations", "lognormal:2,0.5", "--order", "index", "--lag", "120"]) == 0
    )
    said = capsys.readouterr().out
    assert "makespan" in said
    assert "utilisation" in said
    assert main([*command, "--durations", "normal:2"]) == 1
    assert "lognormal:MEDIAN,SIGMA" in capsys.readouterr().err


def test_numbers_that_no_search_can_have_are_refused() -> None:
    for timeout in (-1.0, 0.0, math.nan):
        with pytest.raises(ValueError, match=r"timeout is .* more than 0"):
            Machines(4, timeout=timeout)
    with pytest.raises(ValueError, match="need a timeout"):
        Machines(4, timeout=math.inf, faults=Faults(hang=0.1))
    for outage in (
        (5.0, 1.0, 2),
        (-1.0, 1.0, 2),
        (math.nan, 1.0, 2),
        (1.0, 2.0, 0),
        (1.0, 2.0, 1.5),
    ):
        with pytest.raises(ValueError, match="outage is"):
            Faults(outage=outage)
    for median, sigma in ((math.inf, 1.0), (math.nan, 1.0), (1.0, 1e300), (1.0, math.nan)):
        with pytest.raises(ValueError, match="expected a median above 0 and a sigma of 0 to 20"):
            draw_lognormal(median, sigma)
    with pytest.raises(ValueError, match=r"workers is .* 10,000,000"):
        Machines(10**20)
    with pytest.raises(ValueError, match=r"candidates is .* 10,000,000"):
        simulate_search(Completion(), constant(1.0), Machines(4), candidates=10**20)
