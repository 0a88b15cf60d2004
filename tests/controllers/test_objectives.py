"""Controllers that learn from several objectives."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.pareto_front import MAKERS, Planted, search
from brainguided.controllers import OptunaSearch, RandomSearch, motpe, nsga2, optuna_search
from brainguided.spaces import PlainSpace, nasbench201_space, small_space

optuna = pytest.importorskip("optuna")
OBJECTIVES = ("performance", "-parameters")
every = pytest.mark.parametrize("make", [nsga2, motpe], ids=["nsga2", "motpe"])


def play(controller, judged, rounds: int, n: int = 10) -> list:
    seen = []
    for _ in range(rounds):
        proposals = controller.ask(n)
        numbers = [judged(one) for one in proposals]
        controller.tell(proposals, [sum(told) for told in numbers], numbers)
        seen += proposals
    return seen


def test_the_front_of_a_planted_problem_is_found() -> None:
    """Of 15,625 cells 1,000 are seen: their hypervolume is within 2 % of the true front's."""
    planted, space = Planted(0), nasbench201_space()
    twins = [space.parse(text) for text in ("000000", "000001", "000010")]  # all without output
    assert len({tuple(planted.numbers[space.encode(one)]) for one in twins}) == 1
    assert planted.measure(planted.numbers.reshape(-1, 2)) == pytest.approx(planted.true)
    assert search(MAKERS["nsga2"](space, 0), planted, [1000])[0] >= 0.98
    assert search(MAKERS["random"](space, 0), planted, [1000])[0] < 0.98


def test_repeats_are_changed_and_not_asked_for_again(monkeypatch) -> None:
    """Objectives that agree leave one parent: most children were seen, and give way to others."""
    monkeypatch.setattr(optuna_search, "_MUTATIONS", 0.5)
    controller = nsga2(nasbench201_space(), seed=0, objectives=("worth", "-cost"), population=4)
    worth = {"nor_conv_3x3": 1.0, "nor_conv_1x1": 0.5}

    def judged(one):
        return (sum(worth.get(name, 0.0) for name in one.operations),) * 2

    found = play(controller, judged, 20)
    assert len({one.canonical_key for one in found}) == len(found) == 200
    assert len(controller._study.trials) <= 3 * len(found)  # asked, refused, told in its place
    assert np.mean([judged(one) for one in found[100:]]) > 3  # of 6; of uniform draws 1.8


@every
def test_failures_count_as_the_worst_of_each_objective(make) -> None:
    space = small_space(3)
    controller = make(space, seed=0, objectives=OBJECTIVES)
    proposals = controller.ask(4)
    controller.tell(proposals[:1], [None], [None])  # nothing is known yet
    controller.tell(proposals[1:3], [0.5, 0.2], [(0.5, -9.0), (0.2, -1.0)])
    controller.tell(proposals[3:], [None], [None])
    controller.correct(proposals[3:], [0.7], [(0.7, -5.0)])
    done = [trial.values for trial in controller._study.trials if trial.values]
    assert done == [[0.5, -9.0], [0.2, -1.0], [0.2, -9.0], [0.7, -5.0]]
    assert controller.describe()["objectives"] == list(OBJECTIVES)


@every
def test_what_failed_and_was_corrected_is_learned_from(make) -> None:
    """The deepest failed; once corrected to what nothing exceeds, it changes what is proposed."""
    settings = {"population": 6} if make is nsga2 else {"startup": 6}
    after = []
    for corrected in (False, True):
        controller = make(small_space(4), seed=0, objectives=OBJECTIVES, **settings)
        first = controller.ask(6)
        told = [None, None, *((one.depth / 4, -1.0) for one in first[2:])]
        controller.tell(first, [None if one is None else one[0] for one in told], told)
        if corrected:
            controller.correct(first[:2], [9.0, 9.0], [(9.0, -0.1)] * 2)
        proposed = controller.ask(6)
        if make is nsga2:  # what was corrected is of the second generation, a parent of the third
            controller.tell(proposed, [0.1] * 6, [(0.1, -3.0)] * 6)
            proposed = controller.ask(6)
        after.append([one.key for one in proposed])
        if make is nsga2 and corrected:
            best = controller._study.best_trials
            assert len(best) == 2
            parents = controller.sampler.get_parent_population(controller._study, 2)
            assert {one.number for one in best} <= {one.number for one in parents}
    assert after[0] != after[1]


@every
def test_the_same_objectives_give_the_same_proposals(make) -> None:
    space = small_space(4)

    def judged(one):
        return one.depth / 4, -float(one.count_parameters(10))

    runs = [play(make(space, seed=s, objectives=OBJECTIVES), judged, 5) for s in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@every
def test_what_is_told_is_checked(make) -> None:
    controller = make(small_space(3), seed=0, objectives=OBJECTIVES)
    proposals = controller.ask(2)
    for told, said in (
        (None, "objectives are missing: this controller learns from performance, -parameters"),
        ([(1.0, 2.0)], "objectives of 1 were told for 2"),
        ([(1.0, 2.0), (1.0,)], r"objectives 1 are \[1.0\], expected a finite number for each"),
        ([(1.0, float("nan")), None], r"objectives 0 are \[1.0, nan\]"),
    ):
        with pytest.raises(ValueError, match=said):
            controller.tell(proposals, [0.0, 0.0], told)
    controller.tell(proposals, [0.0, 0.0], [(1.0, 2.0), None])
    fresh = make(small_space(3), seed=0, objectives=OBJECTIVES)
    with pytest.raises(ValueError, match="objectives of an earlier search are not known"):
        fresh.warm_start(proposals, [0.0, 0.0])


def test_one_that_learns_from_the_reward_refuses_objectives() -> None:
    controller = RandomSearch(small_space(3))
    with pytest.raises(ValueError, match="learns from the reward alone"):
        controller.tell(controller.ask(1), [0.0], [(0.0,)])


def test_names_and_settings_are_checked() -> None:
    space = small_space(3)
    for wrong, said in (
        ("performance", "expected names of numbers"),
        (("P", "-P"), "P, -P: expected different numbers"),
        (("-",), "expected names of numbers"),
    ):
        with pytest.raises(ValueError, match=said):
            motpe(space, objectives=wrong)
    with pytest.raises(ValueError, match=r"population is 1.*\n.*crossover is 2"):
        nsga2(space, population=1, crossover=2)
    sampler = optuna.samplers.NSGAIISampler(seed=0)
    known = OptunaSearch(space, sampler, objectives=OBJECTIVES).describe()
    assert known["sampler"] == "NSGAIISampler"


def test_architectures_from_elsewhere_stand_for_themselves_in_nsga2() -> None:
    """What it did not propose is told with the parameters that would have proposed it."""
    space = PlainSpace("masked", 3, (1, 3, 5), (3,), (8, 16), (1, 2), max_downsampling=2)
    controller = nsga2(space, seed=0, objectives=OBJECTIVES)
    generator = np.random.default_rng(0)
    for _ in range(20):
        architecture = space.sample(generator)
        controller._add(architecture, [1.0, 2.0])
        told = controller._study.trials[-1].params
        actions: list[int] = []
        for decision in space.decisions:
            options = [k for k, allowed in enumerate(space.legal(actions)) if allowed]
            actions.append(options[told[decision.name] % len(options)])
        assert space.decode(actions) == architecture
