"""One suite for all controllers: a new one adds a line to CONTROLLERS."""

from __future__ import annotations

import json
import random
import time

import numpy as np
import pytest
import torch

from brainguided.controllers import Controller, RandomSearch, Reinforce, zoph2017_reinforce
from brainguided.spaces import PlainSpace, small_space, zoph2017_space

CONTROLLERS = {
    "random": RandomSearch,
    "reinforce": Reinforce,
    "zoph2017 reinforce": zoph2017_reinforce,
}
SPACES = {
    "small": small_space(),
    "strides": zoph2017_space(4, strides=(1, 2, 3)),
    "skips": zoph2017_space(5, skips=True),
    "one": PlainSpace("one", 1, (3,), (3,), (8,)),
}
every = pytest.mark.parametrize("make", CONTROLLERS.values(), ids=CONTROLLERS)
every_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


def depth_reward(architecture):
    return architecture.depth / 10


def play(controller, rounds=4, n=6, reward=depth_reward):
    """Return all that a controller proposes in some rounds."""
    seen = []
    for _ in range(rounds):
        proposals = controller.ask(n)
        controller.tell(proposals, [reward(proposal) for proposal in proposals])
        seen += proposals
    return seen


@every
@every_space
def test_every_proposal_is_in_the_space(make, space):
    for architecture in play(make(space, seed=0)):
        assert space.decode(space.encode(architecture)) == architecture


@every
def test_the_number_asked_for_is_returned(make):
    controller = make(small_space(), seed=0)
    for n in (1, 8, 3):
        proposals = controller.ask(n)
        assert len(proposals) == n
        controller.tell(proposals, [0.0] * n)


@every
def test_the_same_seed_and_rewards_give_the_same_proposals(make):
    assert play(make(small_space(), seed=3)) == play(make(small_space(), seed=3))
    assert play(make(small_space(), seed=3)) != play(make(small_space(), seed=4))


@every
def test_global_generators_and_threads_neither_matter_nor_change(make):
    expected = play(make(small_space(), seed=3))
    threads = torch.get_num_threads()
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    random.seed(1)
    states = np.random.get_state()[1].tolist(), torch.get_rng_state(), random.getstate()  # noqa: NPY002
    try:
        torch.set_num_threads(3)
        assert play(make(small_space(), seed=3)) == expected
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    assert np.random.get_state()[1].tolist() == states[0]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), states[1])
    assert random.getstate() == states[2]


@every
def test_replaying_the_rewards_rebuilds_the_controller(make):
    first, again = make(small_space(), seed=1), make(small_space(), seed=1)
    play(first)
    play(again)
    assert first.ask(5) == again.ask(5)


@every
def test_asking_twice_without_telling_is_refused(make):
    controller = make(small_space(), seed=0)
    controller.ask(2)
    with pytest.raises(ValueError, match="2 proposals were asked for and not told yet"):
        controller.ask(2)


@every
def test_asking_for_nothing_is_refused(make):
    with pytest.raises(ValueError, match="at least one"):
        make(small_space(), seed=0).ask(0)


@every
def test_telling_other_architectures_is_refused_and_changes_nothing(make):
    controller = make(small_space(), seed=0)
    with pytest.raises(ValueError, match="nothing was asked for"):
        controller.tell([], [])
    proposals = controller.ask(3)
    with pytest.raises(ValueError, match="not the 3 last asked for"):
        controller.tell(proposals[::-1], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="2 rewards were told for 3"):
        controller.tell(proposals, [1.0, 2.0])
    controller.tell(proposals, [0.1, 0.2, 0.3])
    untouched = make(small_space(), seed=0)
    untouched.tell(untouched.ask(3), [0.1, 0.2, 0.3])
    assert controller.ask(3) == untouched.ask(3)


@every
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_rewards_that_are_not_finite_are_refused(make, bad):
    controller = make(small_space(), seed=0)
    proposals = controller.ask(2)
    with pytest.raises(ValueError, match=f"reward 1 is {bad}"):
        controller.tell(proposals, [0.0, bad])


@every
@pytest.mark.parametrize("reward", [0.0, 1e-300, 1e12, -1e12])
def test_equal_and_extreme_rewards_are_survived(make, reward):
    proposals = play(make(small_space(), seed=0), reward=lambda _: reward)
    assert len(proposals) == 24


@every
def test_the_first_proposals_are_spread_over_the_space(make):
    proposals = make(small_space(), seed=0).ask(200)
    assert len({architecture.key for architecture in proposals}) > 190
    assert {architecture.depth for architecture in proposals} == set(range(1, 11))


@every
def test_the_description_is_plain_and_holds_the_seed(make):
    description = make(small_space(), seed=7).describe()
    assert json.loads(json.dumps(description)) == description
    assert description["seed"] == 7


@every
@pytest.mark.parametrize("seed", [-1, 1.0, None])
def test_a_seed_that_is_none_is_refused(make, seed):
    with pytest.raises(ValueError, match="seed is"):
        make(small_space(), seed=seed)


@every
def test_it_is_a_controller(make):
    controller: Controller = make(small_space(), seed=0)
    assert controller.space == small_space()
    assert controller.seed == 0


def best_of(controller, reward, candidates=300):
    proposals = play(controller, candidates // 10, 10, reward)
    return max(reward(proposal) for proposal in proposals)


@pytest.mark.parametrize("space", [small_space(), zoph2017_space()], ids=["small", "zoph2017"])
def test_reinforce_beats_random_on_a_planted_reward(space):
    """Preferences for every option, drawn at random: at least 9 of 10 seeds."""
    wins = 0
    for seed in range(10):
        generator = np.random.default_rng(seed)
        liking = [generator.normal(size=len(decision.options)) for decision in space.decisions]

        def reward(architecture, liking=liking):
            actions = space.encode(architecture)
            return sum(table[action] for table, action in zip(liking, actions, strict=True))

        learnt = best_of(Reinforce(space, seed=seed), reward)
        wins += learnt > best_of(RandomSearch(space, seed=seed), reward)
    assert wins >= 9


def test_reinforce_does_not_depend_on_the_scale_or_offset_of_rewards():
    # Powers of two, so that rounding is the same
    plain = play(Reinforce(small_space(), seed=0), 10, 8)
    scaled = play(Reinforce(small_space(), seed=0), 10, 8, lambda a: 1024 * depth_reward(a))
    assert scaled == plain


def test_reinforce_learns_to_always_take_what_is_rewarded():
    controller = Reinforce(small_space(), seed=0)
    play(controller, 40, 8)
    assert np.mean([architecture.depth for architecture in controller.ask(50)]) > 8.5


def test_reinforce_follows_the_gradient_of_the_expected_reward():
    """In a space of one decision the summed steps are those of the softmax policy gradient."""
    space = PlainSpace("coin", 2, (3,), (3,), (8,))
    controller = Reinforce(space, seed=0, entropy_weight=0.0)
    proposals = controller.ask(64)
    deep = np.array([architecture.depth - 1.0 for architecture in proposals])
    taken, legal = controller._rollout
    log_p, _ = controller._policy.score(taken, legal)
    advantages = torch.from_numpy((deep - deep.mean()) / deep.std()).float()
    (advantages * log_p).mean().backward()
    got = controller._policy.bias.grad[0].numpy()
    # d/db_j mean(A log p_a) = mean(A 1[a = j]) for A of mean 0
    spread = np.mean(np.asarray(advantages) * deep)
    np.testing.assert_allclose(got, [-spread, spread], rtol=1e-4)


def test_the_log_probability_is_that_of_the_draws():
    """Sampling step by step and scoring at once agree: frequencies follow the scores."""
    space = PlainSpace("small", 2, (1, 3), (3,), (8,), (1, 2), ("none",), max_downsampling=2)
    controller = Reinforce(space, seed=0)
    generator = torch.Generator().manual_seed(0)
    for parameter in controller._policy.parameters():
        # Large, so that every decision depends much on those before
        parameter.data.normal_(generator=generator)
    proposals = controller.ask(20_000)
    log_p, _ = controller._policy.score(*controller._rollout)
    probability = {a.key: float(p.exp()) for a, p in zip(proposals, log_p.detach(), strict=True)}
    keys, counts = np.unique([a.key for a in proposals], return_counts=True)
    for key, count in zip(keys, counts, strict=True):
        expected = probability[key] * 20_000
        assert abs(count - expected) < 5 * np.sqrt(expected) + 5
    assert sum(probability.values()) == pytest.approx(1, abs=0.01)


def test_the_settings_of_the_paper_are_its_own():
    description = zoph2017_reinforce(zoph2017_space(), seed=0).describe()
    assert (description["hidden"], description["bias_rate"]) == ([35, 35], 0.0)
    assert (description["learning_rate"], description["entropy_weight"]) == (6e-4, 0.0)


def test_reinforce_refuses_all_bad_settings_at_once():
    with pytest.raises(ValueError) as caught:
        Reinforce(
            small_space(),
            hidden=0,
            learning_rate=0,
            bias_rate=-1,
            baseline_decay=1,
            entropy_weight=-1,
        )
    for name in ("hidden", "learning_rate", "bias_rate", "baseline_decay", "entropy_weight"):
        assert f"{name} is" in str(caught.value)
    with pytest.raises(ValueError, match="layers of the same size"):
        Reinforce(small_space(), hidden=(3, 4))


def test_a_round_of_20_with_100_units_takes_milliseconds_an_architecture():
    controller = Reinforce(small_space(8), seed=0, hidden=100)
    play(controller, 1, 20)
    times = []
    for _ in range(7):
        start = time.process_time()
        play(controller, 1, 20)
        times.append((time.process_time() - start) / 20)
    assert min(times) < 0.006  # 1.2 ms on an idle machine
