"""The predictor: what it is told it can predict, and it climbs faster than chance."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import PairwiseKernel, WhiteKernel

from brainguided.controllers import PredictorSearch, RandomSearch
from brainguided.controllers.predictor import _LENGTHS, _NOISES, _choose_largest, _Process
from brainguided.journal.differing_settings import find_differences
from brainguided.spaces import nasbench201_space, small_space

SPACE = nasbench201_space(n_cells=1, filters=4)


def planted(architecture):
    """Depth by the longest path, less for every pooling."""
    return architecture.operations.count("nor_conv_3x3") - 0.5 * architecture.operations.count(
        "avg_pool_3x3"
    )


def best_of(controller, n=30):
    found = []
    while len(found) < n:
        proposals = controller.ask(5)
        controller.tell(proposals, [planted(a) for a in proposals])
        found += [planted(a) for a in proposals]
    return max(found)


def test_it_finds_a_planted_best_cell_that_random_search_misses() -> None:
    assert best_of(PredictorSearch(SPACE, seed=0)) == 6
    assert np.mean([best_of(RandomSearch(SPACE, seed=s)) for s in range(5)]) < 5


def test_only_the_order_of_rewards_counts() -> None:
    told = PredictorSearch(SPACE, seed=3), PredictorSearch(SPACE, seed=3)
    for _ in range(4):
        proposals, same = (controller.ask(5) for controller in told)
        assert proposals == same
        rewards = [planted(a) for a in proposals]
        for controller, values in zip(told, (rewards, np.exp(rewards)), strict=True):
            controller.tell(proposals, [float(value) for value in values])


def test_the_process_agrees_with_that_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    rows, asked = generator.normal(size=(30, 5)), generator.normal(size=(7, 5))
    rewards = generator.normal(3.0, 2.0, size=30)
    mean, deviation = _Process(rows, rewards, (8.0, 0.1)).predict(asked)
    kernel = PairwiseKernel(1 / 8, metric="laplacian") + WhiteKernel(0.1)
    oracle = GaussianProcessRegressor(kernel, normalize_y=True, optimizer=None).fit(rows, rewards)
    expected = oracle.predict(asked, return_std=True)
    np.testing.assert_allclose(mean, expected[0], rtol=1e-9)
    np.testing.assert_allclose(deviation, expected[1], rtol=1e-9)
    values = {}
    for length, noise in product(_LENGTHS, _NOISES):
        theta = np.log([1 / length, noise])
        values[length, noise] = oracle.log_marginal_likelihood(theta)
    assert _Process(rows, rewards).scales == max(values, key=values.get)


def test_a_process_that_was_extended_is_the_one_of_all_results() -> None:
    generator = np.random.default_rng(1)
    rows, asked = generator.normal(size=(30, 5)), generator.normal(size=(7, 5))
    rewards = generator.normal(3.0, 2.0, size=30)
    process = _Process(rows[:20], rewards[:20], (8.0, 0.01))
    process.consider(asked)
    for more in (slice(20, 21), slice(21, 30)):
        process.extend(rows[more], rewards[more])
    whole = _Process(rows, rewards, (8.0, 0.01)).predict(asked)
    np.testing.assert_allclose(process.expect(), whole, rtol=1e-9)


def test_open_proposals_and_portions_never_repeat_one_another() -> None:
    controller = PredictorSearch(SPACE, seed=1, initial=4)
    first = controller.ask(4)
    controller.tell(first, [planted(a) for a in first])
    waiting = controller.ask(6) + controller.ask(6)
    assert len({a.canonical_key for a in waiting}) == 12


def test_rewards_that_are_all_equal_say_nothing_and_stop_nothing() -> None:
    controller = PredictorSearch(small_space(3), seed=0, initial=3)
    for _ in range(3):
        proposals = controller.ask(3)
        controller.tell(proposals, [0.5] * 3)
    assert len(controller.ask(2)) == 2


def test_a_saved_state_goes_on_with_the_same_proposals() -> None:
    controller, again = PredictorSearch(SPACE, seed=2), PredictorSearch(SPACE, seed=2)
    for _ in range(3):
        proposals = controller.ask(5)
        controller.tell(proposals, [planted(a) for a in proposals])
    again.restore_state(controller.save_state())
    assert again.ask(3) == controller.ask(3)


def test_what_is_corrected_replaces_its_failure() -> None:
    """One that failed at first is known as one that was told its reward at once."""
    controllers = [PredictorSearch(SPACE, seed=3) for _ in range(2)]
    for number, controller in enumerate(controllers):
        first = controller.ask(10)
        rewards = [planted(one) for one in first]
        best = int(np.argmax(rewards))
        order = [k for k in range(10) if k != best] + [best]  # that of the results, in both
        told = [None if number and k == best else rewards[k] for k in order]
        controller.tell([first[k] for k in order], told)
        if number:
            controller.correct([first[best]], [rewards[best]])
    assert controllers[0]._results == controllers[1]._results
    assert controllers[0].ask(5) == controllers[1].ask(5)


def test_a_failure_before_any_reward_takes_no_other_result_with_it() -> None:
    """It did not count, so that there is nothing to forget when it is corrected."""
    controller = PredictorSearch(SPACE, seed=3, unique=False)
    (first,) = controller.ask(1)
    controller.tell([first], [None])
    controller.correct([first], [0.5])  # evaluated again, and a third time
    controller.tell([other := controller.ask(1)[0]], [0.1])
    controller.correct([first], [0.7])
    assert controller._results == [(first, 0.5), (other, 0.1), (first, 0.7)]


def test_rounding_alone_does_not_decide_what_is_proposed() -> None:
    """Sums differ in their last digits with threads and processors; of equals it is the first."""
    assert _choose_largest(np.array([1.0, 2.0 - 1e-12, 2.0, 2.0 - 1e-6])) == 1
    assert _choose_largest(np.array([-np.inf, 0.0, -np.inf, 0.0])) == 1
    assert _choose_largest(np.array([-np.inf, 3e-30, 4e-30])) == 2  # small is not equal


@pytest.mark.parametrize("setting", [{"initial": 1}, {"parents": 0}, {"drawn": 1.5}])
def test_settings_out_of_range_are_refused(setting) -> None:
    (name,) = setting
    with pytest.raises(ValueError, match=f"{name} is .*expected a whole number, at least"):
        PredictorSearch(SPACE, **setting)


def test_a_search_under_another_kernel_is_another_search() -> None:
    now = {"controller": PredictorSearch(SPACE, seed=0).describe()}
    before = {"controller": {k: v for k, v in now["controller"].items() if k != "kernel"}}
    (said,) = find_differences(before, now, ("in the journal", "now"))
    assert 'controller.kernel: nothing in the journal, "laplacian" now (earlier versions' in said
    assert "begin again in a new folder" in said
    other = {"controller": RandomSearch(SPACE, seed=0).describe()}
    assert "kernel" in "".join(find_differences(other, now, ("in the journal", "now")))
    assert "earlier versions" not in "".join(find_differences(other, now, ("then", "now")))
