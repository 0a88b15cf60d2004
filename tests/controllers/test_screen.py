"""Screening: of several proposals the best by a cheap statistic, with every controller."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from brainguided.architectures.graph_counts import GRAPH_COUNTS, count_graph
from brainguided.candidates.images import images_from_stimuli
from brainguided.candidates.ridge import PENALTIES
from brainguided.candidates.rivals import compute_statistics
from brainguided.controllers import RandomSearch
from brainguided.controllers.screen import FEWEST, Screen
from brainguided.networks.build import build_network
from brainguided.spaces import nasbench201_space, small_space
from neural_data.simulation.objects import simulate_objects
from tests.controllers.test_controllers import every

CELLS = nasbench201_space(n_cells=1, filters=4)


def _reward(architecture) -> float:  # type: ignore[no-untyped-def]
    counts = count_graph(architecture.to_blueprint(10))
    return counts["convolutions"] - 0.3 * abs(counts["longest_path"] - 12)


def _make(make, space=CELLS, statistic="graph_counts", of=4):  # type: ignore[no-untyped-def]
    controller = make(space, seed=1)
    controller.screen = Screen(statistic, of=of)
    return controller


def _play(controller, rounds: int, n: int = 6) -> list[str]:  # type: ignore[no-untyped-def]
    seen = []
    for _ in range(rounds):
        proposals = controller.ask(n)
        controller.tell(proposals, [_reward(one) for one in proposals])
        seen += [one.to_json() for one in proposals]
    return seen


def test_of_every_ten_the_best_is_asked_for() -> None:
    plain = RandomSearch(small_space(10), seed=0, unique=False)
    drawn = plain.ask(40)
    screened = RandomSearch(small_space(10), seed=0, unique=False)
    screened.screen = Screen("parameters", of=10)
    sizes = np.array([one.count_parameters(10) for one in drawn]).reshape(4, 10)
    assert screened.ask(4) == [drawn[10 * k + int(np.argmax(row))] for k, row in enumerate(sizes)]


def test_nothing_is_screened_by_graph_counts_before_enough_was_told() -> None:
    plain, screened = RandomSearch(CELLS, seed=1), _make(RandomSearch)
    assert _play(plain, FEWEST // 6) == _play(screened, FEWEST // 6)
    assert plain.ask(6) != screened.ask(6)


def test_graph_counts_predict_ranks_by_ridge_regression() -> None:
    screen = Screen(of=2)
    cells = RandomSearch(CELLS, seed=5).ask(60)
    told, asked = cells[:40], cells[40:]
    screen.learn([(one, _reward(one)) for one in told])
    counts = np.array(
        [list(count_graph(one.to_blueprint(10)).values()) for one in cells], dtype=float
    )
    assert len(GRAPH_COUNTS) == counts.shape[1]
    z = (counts - counts.mean(0)) / counts.std(0)
    x = np.column_stack([z, *(z[:, a] * z[:, b] for a in range(5) for b in range(a, 5))])
    rewards = np.array([_reward(one) for one in told])
    ranks = np.array([((rewards < r).sum() + (rewards <= r).sum()) / 2 / 40 for r in rewards])
    x, rest = x[:40] - x[:40].mean(0), x[40:] - x[:40].mean(0)
    errors = []
    for penalty in PENALTIES * 40:
        hat = x @ np.linalg.solve(x.T @ x + penalty * np.eye(20), x.T)
        left = ranks - ranks.mean() - hat @ (ranks - ranks.mean())
        errors.append(left @ left / (1 - np.trace(hat) / 40) ** 2)
    ridge = Ridge(alpha=PENALTIES[np.argmin(errors)] * 40, fit_intercept=False)
    predicted = (rest @ ridge.fit(x, ranks - ranks.mean()).coef_).reshape(10, 2).round(9)
    expected = [2 * k + int(np.argmax(row)) for k, row in enumerate(predicted)]
    assert screen.choose(asked, 10) == expected


def test_a_planted_law_of_the_graph_is_used() -> None:
    plain, screened = (
        [_play(c, 8)[FEWEST:] for c in (RandomSearch(CELLS, seed=s), _seeded(s))] for s in (1, 2)
    )
    for without, with_screen in (plain, screened):
        assert _mean(with_screen) > _mean(without) + 1


def _seeded(seed: int) -> RandomSearch:
    controller = RandomSearch(CELLS, seed=seed)
    controller.screen = Screen(of=10)
    return controller


def _mean(texts: list[str]) -> float:
    return float(np.mean([_reward(CELLS.parse(text)) for text in texts]))


@every
def test_a_screened_controller_repeats_itself_and_goes_on_from_its_saved_state(make) -> None:  # type: ignore[no-untyped-def]
    first, second = _make(make), _make(make)
    assert _play(first, 5) == _play(second, 5)
    state = first.save_state()
    if state is None:
        return
    third = _make(make)
    third.restore_state(json.loads(json.dumps(state)))
    assert _play(third, 2) == _play(first, 2)


@every
def test_what_is_screened_out_may_be_proposed_again(make) -> None:  # type: ignore[no-untyped-def]
    controller = _make(make, statistic="parameters")
    asked = controller.ask(5)
    assert len(controller._open) == len(controller._seen) == len(asked) == 5


def test_a_used_up_space_is_screened_to_its_end() -> None:
    space = nasbench201_space(operations=("none", "nor_conv_3x3"))
    controller = RandomSearch(space, seed=0)
    controller.screen = Screen("longest_path", of=10)
    found = []
    while proposals := controller.ask(4):
        controller.tell(proposals, [0.0] * len(proposals))
        found += [one.canonical_key for one in proposals]
    assert len(set(found)) == len(found) == len({a.canonical_key for a in space.enumerate()})


def test_statistics_of_networks_screen_too() -> None:
    images = images_from_stimuli(*(simulate_objects(1, seed=seed) for seed in (0, 1)))
    cells = RandomSearch(CELLS, seed=0).ask(6)
    values = []
    for one in cells:
        network = build_network(one, n_classes=len(images.classes), seed=0)
        values.append(compute_statistics(network, one, images, names=["synflow"])["synflow"])
    screen = Screen("synflow", of=3, images=images)
    best = [k * 3 + int(np.argmax(values[3 * k : 3 * k + 3])) for k in (0, 1)]
    assert screen.choose(cells, 2) == best


def test_warm_starts_and_corrections_teach_the_screen() -> None:
    cells = RandomSearch(CELLS, seed=9).ask(FEWEST)
    controller = _make(RandomSearch)
    controller.warm_start(cells, [_reward(one) for one in cells])
    controller.ask(1)
    assert controller.screen.number == 4
    later = _make(RandomSearch)
    later.correct(cells, [_reward(one) for one in cells])
    assert later.screen.number == 4


def test_a_screen_is_part_of_the_description() -> None:
    described = _make(RandomSearch).describe()
    assert described["screen"] == {"statistic": "graph_counts", "of": 4}
    assert "screen" not in RandomSearch(CELLS, seed=0).describe()


def test_screens_that_cannot_be_are_refused_with_all_problems() -> None:
    with pytest.raises(ValueError, match=r"(?s)statistic is 'zen', expected .*of is 1"):
        Screen("zen", of=1)
    with pytest.raises(ValueError, match="synflow needs images"):
        Screen("synflow")


def test_the_screen_forgets_a_failure_that_was_corrected() -> None:
    """What failed counts as the lowest; of networks of the same counts others are kept."""
    controller = _make(RandomSearch)
    cells = controller.ask(4)
    controller.tell(cells, [0.5, 0.6, 0.7, None])
    controller.correct([cells[3]], [0.9])
    assert controller.screen._rewards == [0.5, 0.6, 0.7, 0.9]
    controller.correct([cells[1]], [0.8])  # its failure was not learned: nothing is forgotten
    assert controller.screen._rewards == [0.5, 0.6, 0.7, 0.9, 0.8]
