"""One suite for all controllers: a new one adds a line to CONTROLLERS."""

from __future__ import annotations

import json
import random
import time
from functools import partial

import numpy as np
import pytest
import torch

from brainguided.controllers import (
    PPO,
    Controller,
    Learning,
    Limits,
    LocalSearch,
    OptunaSearch,
    PredictorSearch,
    RandomSearch,
    RegularizedEvolution,
    Reinforce,
    nasnet_ppo,
    nsga2,
    tpe,
    zoph2017_reinforce,
)
from brainguided.spaces import (
    PlainSpace,
    nasbench201_space,
    nasnet_space,
    pnas_space,
    small_space,
    zoph2017_space,
)

optuna = pytest.importorskip("optuna")


def optuna_random(space, *, seed=0, **settings):
    """Any sampler by instance: Optuna's own random one."""
    sampler = optuna.samplers.RandomSampler(seed=seed if type(seed) is int and seed > 0 else 0)
    return OptunaSearch(space, sampler, seed=seed, **settings)


CONTROLLERS = {
    "random": RandomSearch,
    "reinforce": Reinforce,
    "zoph2017 reinforce": zoph2017_reinforce,
    "ppo": PPO,
    "nasnet ppo": nasnet_ppo,
    "evolution": RegularizedEvolution,
    "crossed evolution": partial(RegularizedEvolution, crossover=0.5),
    "local": LocalSearch,
    "predictor": PredictorSearch,
    "tpe": tpe,
    "nsga2": partial(nsga2, objectives=(), population=20),
    "optuna random": optuna_random,
}
LEARNING = [name for name in CONTROLLERS if "random" not in name]
FAST = [name for name in LEARNING if name not in ("zoph2017 reinforce", "nasnet ppo")]
SPACES = {
    "small": small_space(),
    "strides": zoph2017_space(4, strides=(1, 2, 3)),
    "skips": zoph2017_space(5, skips=True),
    "pnas": pnas_space(n_blocks=2),
    "nasnet": nasnet_space(n_blocks=2),
    "nasbench201": nasbench201_space(),
    "one": PlainSpace("one", 1, (3,), (3,), (8,)),
}
every = pytest.mark.parametrize("make", CONTROLLERS.values(), ids=CONTROLLERS)
every_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


def score(controller, actions):
    """Return what the policy gives decisions, and their entropies."""
    return controller._policy.score(*controller._policy.read(actions))


def depth_reward(architecture):
    return architecture.depth / 10


def play(controller, rounds=4, n=6, reward=depth_reward):
    """Return all that a controller proposes in some rounds."""
    seen = []
    for _ in range(rounds):
        proposals = controller.ask(n)
        if not proposals:  # the space is used up
            break
        controller.tell(proposals, [reward(proposal) for proposal in proposals])
        seen += proposals
    return seen


@every
@every_space
def test_every_proposal_is_in_the_space(make, space):
    def reward(architecture):
        return int(architecture.key[:4], 16) / 1000

    for architecture in play(make(space, seed=0), reward=reward):
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


def scrambled(controller, rounds=6):
    """Keep proposals open, tell them in odd portions and orders, with failures and repeats."""
    generator = np.random.default_rng(0)
    seen, waiting = [], []
    for number in range(rounds):
        asked = controller.ask(3 + number % 3)
        seen += asked
        waiting += asked
        order = generator.permutation(len(waiting))[: int(generator.integers(1, 8))]
        told = [waiting[k] for k in order]
        waiting = [a for k, a in enumerate(waiting) if k not in order]
        controller.tell(
            told, [None if k % 4 == 0 else depth_reward(a) for k, a in zip(order, told)]
        )
    return seen, waiting


@every
def test_results_in_any_order_with_failures_are_learnt_and_repeatable(make):
    first, second = make(small_space(), seed=2), make(small_space(), seed=2)
    (seen, left), (again, _) = scrambled(first), scrambled(second)
    assert seen == again
    first.tell(left[::-1], [0.5] * len(left))
    second.tell(left[::-1], [0.5] * len(left))
    assert first.ask(4) == second.ask(4)


@every
def test_only_failures_and_repeated_architectures_are_survived(make):
    space = PlainSpace("few", 2, (1, 3), (1,), (8,))
    controller = make(space, seed=0, unique=False)
    for _ in range(4):
        proposals = controller.ask(9)
        controller.tell(proposals, [None] * 9)
    assert controller._lowest is None
    proposals = controller.ask(9)  # more than there are architectures
    for proposal in proposals[::-1]:
        controller.tell([proposal], [1.0])


@every
def test_the_state_saved_in_the_middle_goes_on_identically(make):
    controller, copy = make(small_space(), seed=2), make(small_space(), seed=2)
    _, waiting = scrambled(controller)
    state = controller.save_state()
    if state is None:  # then it is rebuilt by replay
        assert isinstance(controller, OptunaSearch)
        return
    copy.restore_state(json.loads(json.dumps(state)))
    for one in (controller, copy):
        one.tell(waiting, [depth_reward(a) for a in waiting])
    assert play(controller) == play(copy)


@every
def test_unique_proposals_never_repeat_while_there_are_others(make):
    space = PlainSpace("few", 2, (1, 3), (1, 3), (8,))  # 4 + 16
    controller = make(space, seed=1, unique=True)
    seen = play(controller, 4, 4)
    assert len({a.canonical_key for a in seen}) == 16
    last = controller.ask(12)
    assert len({a.canonical_key for a in [*seen, *last]}) == 20
    controller.tell(last, [0.0] * 4)
    assert controller.ask(3) == [], "the space is used up"


@every
def test_a_saved_state_remembers_what_was_proposed(make):
    space = PlainSpace("few", 2, (1, 3), (1, 3), (8,))
    controller, copy = make(space, seed=1, unique=True), make(space, seed=1, unique=True)
    seen = play(controller, 3, 4)
    state = controller.save_state()
    if state is None:
        return
    copy.restore_state(json.loads(json.dumps(state)))
    seen += play(copy, 2, 4)
    assert len({a.canonical_key for a in seen}) == 20


@every
def test_unique_counts_isomorphic_cells_as_one(make):
    seen = play(make(pnas_space(n_blocks=1), seed=1, unique=True), 10, 6, lambda a: 0.0)
    assert len({a.canonical_key for a in seen}) == 60


@every
def test_limits_hold_for_every_proposal(make):
    limits = Limits(max_parameters=5000, max_multiply_adds=2_000_000, n_classes=5)
    for architecture in play(make(small_space(), seed=0, limits=limits)):
        assert architecture.count_parameters(5) <= 5000
        assert architecture.count_multiply_adds(32, 5) <= 2_000_000
    assert make(small_space(), limits=limits).describe()["limits"]["max_parameters"] == 5000


@every
def test_limits_that_nothing_meets_are_refused(make):
    with pytest.raises(ValueError, match="is within Limits"):
        make(small_space(), seed=0, limits=Limits(max_parameters=1)).ask(1)


def test_limits_list_all_their_problems():
    with pytest.raises(ValueError) as caught:
        Limits(max_parameters=0, max_multiply_adds=1.5, n_classes=None)
    assert all(name in str(caught.value) for name in ("max_parameters", "adds", "n_classes"))


@pytest.mark.parametrize("name", LEARNING)
def test_a_warm_start_is_learnt_from(name):
    """After 150 earlier candidates, the first proposals are better than chance."""
    space = small_space()
    earlier = [space.sample(seed) for seed in range(150)]
    rewards = [depth_reward(architecture) for architecture in earlier]
    warm = CONTROLLERS[name](space, seed=0)
    warm.warm_start(earlier, rewards)
    proposals = warm.ask(30)
    assert warm.describe()["warm_start"] != CONTROLLERS[name](space, seed=0).describe()
    warm.tell(proposals, [depth_reward(architecture) for architecture in proposals])
    if name in ("zoph2017 reinforce", "nasnet ppo"):  # a hundred candidates move them by a hair
        return
    assert np.mean([depth_reward(a) for a in proposals]) > 0.6  # 0.55 by chance


@every
def test_a_warm_start_after_asking_or_from_elsewhere_is_refused(make):
    controller = make(small_space(), seed=0)
    fitting = small_space().sample(0)
    with pytest.raises(ValueError, match="reward 0 is nan; expected a finite one"):
        controller.warm_start([fitting], [float("nan")])
    with pytest.raises(ValueError, match=r"in the space 'small-10'.*\n  - candidate 1: The arch"):
        controller.warm_start([fitting, pnas_space().sample(0)], [0.0, 1.0])
    with pytest.raises(ValueError, match=r"candidate 4: .*\n  - and 3 more"):
        controller.warm_start([pnas_space().sample(0)] * 8, [0.0] * 8)
    with pytest.raises(ValueError, match="1 architectures were given with 2 rewards"):
        controller.warm_start([fitting], [0.0, 1.0])
    controller.ask(1)
    with pytest.raises(ValueError, match="before the first ask"):
        controller.warm_start([small_space().sample(0)], [0.0])


@pytest.mark.parametrize("name", FAST)
@pytest.mark.parametrize(
    "settings",
    [{"unique": False}, {}, {"limits": Limits(max_parameters=1900)}],
    ids=["free", "unique", "limits"],
)
def test_a_planted_optimum_is_found(name, settings):
    """Of 768 architectures one is best, and every decision towards it is rewarded.

    The limits leave four in five of them, the best among them.
    """
    space = PlainSpace(
        "planted",
        1,
        (1, 3, 5, 7),
        (1, 3, 5, 7),
        (8, 16, 24, 32),
        (1, 2, 3, 4),
        ("none", "max", "avg"),
    )
    best = (0, 1, 2, 3, 0, 2)

    def reward(architecture):
        return sum(a == b for a, b in zip(space.encode(architecture), best, strict=True)) / 6

    found, seeds = 0, 2 if settings else 5
    for seed in range(seeds):
        controller = CONTROLLERS[name](space, seed=seed, **settings)
        # No longer than that: where all is found, TPE has thousands of proposals rejected
        found += any(max(map(reward, play(controller, 1, 8, reward))) == 1 for _ in range(25))
    assert found >= seeds - 1


@pytest.mark.parametrize("settings", ["limits", "unique"])
def test_local_search_climbs_where_proposals_are_rejected(settings):
    """Rejected draws are no candidates: after ten that are admitted it tries neighbours."""
    if settings == "limits":
        space = pnas_space(n_blocks=2, n_cells=1, filters=8)
        controller = LocalSearch(space, seed=0, limits=Limits(max_parameters=48_000))
    else:  # half of what is drawn was there before
        space = nasbench201_space()
        controller = LocalSearch(space, seed=0, unique=True)
        controller._seen |= {space.sample(n).canonical_key[:20] for n in range(6000)}
    neighbours = 0
    for _ in range(40):
        (proposal,) = controller.ask(1)
        best = controller._best
        near = best is not None and proposal in space.neighbours(best[0])
        controller.tell([proposal], [int(proposal.key[:6], 16) / 2**24])
        neighbours += near
    assert neighbours >= 20


def test_evolution_draws_its_first_admitted_population_uniformly():
    """Rejected draws do not count, and those drawn in place of proposals do."""
    space, limits = small_space(), Limits(max_parameters=3000)
    controller = RegularizedEvolution(space, seed=0, population=10, sample=10, limits=limits)
    for number in range(30):
        assert (controller._drawn, len(controller._living)) == (min(number, 10), min(number, 10))
        (proposal,) = controller.ask(1)
        assert (controller._open[0].memo == "drawn") == (number < 10)
        controller.tell([proposal], [float(number)])
    tight = Limits(max_parameters=450)  # 2 %, so that some are drawn in place of proposals
    scarce = RegularizedEvolution(space, seed=0, population=10, sample=10, limits=tight)
    play(scarce, 10, 1, lambda a: 0.5)
    assert scarce._drawn == 10


def test_a_restored_evolution_forgets_what_it_had():
    """A warm start made before the state is restored is not part of that state."""
    space = small_space()
    controller, copy = (RegularizedEvolution(space, seed=0) for _ in range(2))
    play(controller, 1, 4)
    copy.warm_start([space.sample(n) for n in range(5)], [9.0] * 5)
    copy.restore_state(json.loads(json.dumps(controller.save_state())))
    assert list(copy._living) == list(controller._living)


@every
def test_asking_for_nothing_is_refused(make):
    with pytest.raises(ValueError, match="at least one"):
        make(small_space(), seed=0).ask(0)


@every
def test_telling_other_architectures_is_refused_and_changes_nothing(make):
    controller = make(small_space(), seed=0)
    with pytest.raises(ValueError, match="nothing was told"):
        controller.tell([], [])
    proposals = controller.ask(3)
    with pytest.raises(ValueError, match="architecture 1 is not open"):
        controller.tell([proposals[0], pnas_space().sample(0)], [1.0, 2.0])
    with pytest.raises(ValueError, match="2 rewards were told for 3"):
        controller.tell(proposals, [1.0, 2.0])
    controller.tell(proposals, [0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="architecture 0 is not open"):
        controller.tell(proposals[:1], [0.1])
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
    proposals = []
    for seed in range(20):
        proposals += make(small_space(), seed=seed).ask(10)
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


def test_late_results_weigh_what_the_present_policy_would_give_them():
    """Off-policy results give, on average, the gradient of the present policy."""
    space = PlainSpace("coin", 2, (3,), (3,), (8,))
    settings = {"learning_rate": 1e-9, "baseline_decay": 0.0, "entropy_weight": 0.0}
    learning = Learning(batch_size=4000, **settings)
    controller = Reinforce(space, seed=0, unique=False, learning=learning)
    proposals = controller.ask(4000)  # from a fair coin
    with torch.no_grad():
        controller._policy.bias[0] += torch.tensor([0.0, 0.5])  # the policy moved meanwhile
    before = controller._policy.bias.detach().clone()
    rewards = [float(architecture.depth) for architecture in proposals]
    controller.tell(proposals, rewards)
    step = (controller._policy.bias.detach() - before)[0]
    p = 1 / (1 + np.exp(-0.5))
    centred = (np.array(rewards) - np.mean(rewards)) / np.std(rewards)
    good, bad = centred.max(), centred.min()
    expected = p * (1 - p) * (good - bad)  # of E_p[A log p], by the weighted sample
    assert float(step[1]) == pytest.approx(expected, rel=0.05)


def test_ppo_takes_no_step_beyond_its_clip():
    space = PlainSpace("coin", 2, (3,), (3,), (8,))
    settings = {"bias_rate": 0.1, "entropy_weight": 0.0, "learning_rate": 1e-9, "batch_size": 64}

    def chance_after(clip):
        controller = PPO(
            space, seed=0, epochs=50, clip=clip, learning=Learning(**settings), unique=False
        )
        proposals = controller.ask(64)
        controller.tell(proposals, [float(a.depth == 1) for a in proposals])
        return float(score(controller, [[0]])[0].detach().exp())

    assert 0.58 < chance_after(0.2) < 0.66  # of 0.5, by a fifth and the step that passes it
    assert chance_after(0.9) > 0.8


def test_nasnet_has_the_settings_of_the_paper():
    description = nasnet_ppo(pnas_space(), seed=0).describe()
    assert (description["hidden"], description["batch_size"]) == (100, 20)
    assert (description["learning_rate"], description["baseline_decay"]) == (3.5e-4, 0.95)
    assert description["entropy_weight"] == 1e-5


def test_evolution_is_the_algorithm_of_the_paper():
    """Parents are the best of the sample; the oldest die, however good."""
    space = small_space()
    controller = RegularizedEvolution(space, seed=0, population=4, sample=4)
    first = controller.ask(4)
    controller.tell(first, [0.0, 3.0, 1.0, 2.0])
    for child in controller.ask(5):
        changed = np.array(space.encode(child)) != np.array(space.encode(first[1]))
        assert changed.any()
        assert child in space.neighbours(first[1]) or child.depth > first[1].depth
    for _ in range(2):  # two more, and the two oldest are gone
        controller.tell([controller._open[0].architecture], [0.5])
    assert first[1] not in [architecture for architecture, _ in controller._living]


def test_local_search_climbs_to_a_local_optimum_and_starts_anew():
    space = nasbench201_space()
    target = space.encode(space.sample(9))

    def reward(architecture):
        return sum(a == b for a, b in zip(space.encode(architecture), target, strict=True))

    controller = LocalSearch(space, seed=0, initial=2)
    seen = []
    for _ in range(200):
        (proposal,) = controller.ask(1)
        seen.append(proposal)
        controller.tell([proposal], [float(reward(proposal))])
    rewards = [reward(proposal) for proposal in seen]
    top = rewards.index(6)
    assert top < 80
    assert min(rewards[top + 1 :]) < 5  # neighbours of the optimum have 5: it began again


def test_reinforce_follows_the_gradient_of_the_expected_reward():
    """In a space of one decision the summed steps are those of the softmax policy gradient."""
    space = PlainSpace("coin", 2, (3,), (3,), (8,))
    controller = Reinforce(space, seed=0, unique=False, learning=Learning(entropy_weight=0.0))
    proposals = controller.ask(64)
    deep = np.array([architecture.depth - 1.0 for architecture in proposals])
    log_p = score(controller, [space.encode(a) for a in proposals])[0].sum(0)
    advantages = torch.from_numpy((deep - deep.mean()) / deep.std()).float()
    (advantages * log_p).mean().backward()
    got = controller._policy.bias.grad[0].numpy()
    # d/db_j mean(A log p_a) = mean(A 1[a = j]) for A of mean 0
    spread = np.mean(np.asarray(advantages) * deep)
    np.testing.assert_allclose(got, [-spread, spread], rtol=1e-4)


def test_the_log_probability_is_that_of_the_draws():
    """Sampling step by step and scoring at once agree: frequencies follow the scores."""
    space = PlainSpace("small", 2, (1, 3), (3,), (8,), (1, 2), ("none",), max_downsampling=2)
    controller = Reinforce(space, seed=0, unique=False)
    generator = torch.Generator().manual_seed(0)
    for parameter in controller._policy.parameters():
        # Large, so that every decision depends much on those before
        parameter.data.normal_(generator=generator)
    proposals = controller.ask(20_000)
    log_p = score(controller, [space.encode(a) for a in proposals])[0].sum(0)
    np.testing.assert_allclose(
        [proposal.memo[1] for proposal in controller._open], log_p.detach(), atol=1e-4
    )
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


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="sample is 9"):
        RegularizedEvolution(small_space(), population=5, sample=9)
    with pytest.raises(ValueError, match="initial is 0"):
        LocalSearch(small_space(), initial=0)
    with pytest.raises(ValueError, match=r"clip is 1(.|\n)*epochs is 0"):
        PPO(small_space(), clip=1.0, epochs=0)


def test_bad_settings_of_learning_are_refused_all_at_once():
    with pytest.raises(ValueError) as caught:
        Learning(hidden=0, learning_rate=0, bias_rate=-1, baseline_decay=1, entropy_weight=-1)
    for name in ("hidden", "learning_rate", "bias_rate", "baseline_decay", "entropy_weight"):
        assert f"{name} is" in str(caught.value)
    with pytest.raises(ValueError, match="layers of the same size"):
        Learning(hidden=(3, 4))


def test_a_round_of_20_with_100_units_takes_milliseconds_an_architecture():
    controller = Reinforce(small_space(8), seed=0, learning=Learning(hidden=100))
    play(controller, 1, 20)
    times = []
    for _ in range(7):
        start = time.process_time()
        play(controller, 1, 20)
        times.append((time.process_time() - start) / 20)
    assert min(times) < 0.006  # 1.2 ms on an idle machine


@every
def test_failures_before_the_first_success_are_no_better_than_successes(make):
    """Rewards may all be negative: a failure told as 0 would be the best of all."""
    failing, without = (make(small_space(), seed=5) for _ in range(2))
    learned = []
    for controller in (failing, without):
        controller._learn = lambda results: learned.extend(reward for _, reward in results)
    failing.tell(failing.ask(3), [None] * 3)
    assert learned == [], "nothing is known yet of how bad they are"
    failing.tell(failing.ask(3), [-5.0, None, -2.0])
    assert learned == [-5.0, -5.0, -2.0]


@pytest.mark.parametrize("make", [Reinforce, PPO])
def test_advantages_are_bounded_where_rounds_repeat_themselves(make):
    baseline = make(small_space(), seed=0)._baseline
    baseline.compute_advantages(np.array([70.0, 80.0, 90.0]))
    for _ in range(60):
        baseline.compute_advantages(np.full(8, 90.0))
    surprise = np.array([90.0] * 7 + [30.0])
    assert np.abs(baseline.compute_advantages(surprise)).max() == 3.0
    # 1/100 of the spread that was seen is no surprise
    for _ in range(60):
        baseline.compute_advantages(np.full(8, 90.0))
    assert abs(baseline.compute_advantages(np.array([90.0] * 7 + [89.92]))[-1]) < 0.2
    again = make(small_space(), seed=0)._baseline
    again.restore(baseline.save())
    assert again.largest == baseline.largest > 1
    again.restore(baseline.save()[:2])  # of an earlier version
    assert again.mean == baseline.mean


@pytest.mark.data
@pytest.mark.parametrize("make", [Reinforce, PPO])
def test_a_policy_does_not_unlearn_what_it_had_found(make, shared_data):
    """NAS-Bench-201, 1,000 candidates with repetitions; seeds that fell by up to 51 points."""
    from brainguided.replays import load_table

    table = load_table(
        shared_data / "nasbench201" / "nasbench201_cifar10.csv.gz", nasbench201_space(),
        architecture="ops", reward="c10_val_12", cost="c10_cost_12", score="c10_val_12",
    )  # fmt: skip
    for seed in (3, 11, 17):
        controller = make(nasbench201_space(), seed=seed, unique=False)
        means = []
        for _ in range(125):
            proposals = controller.ask(8)
            rows = [table.row_of[table.space.encode(a)] for a in proposals]
            controller.tell(proposals, table.reward[rows].tolist())
            means.append(table.reward[rows].mean())
        assert np.mean(means[-6:]) > max(means) - 5
