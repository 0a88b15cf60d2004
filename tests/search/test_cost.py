"""What a search will cost is said before it begins, and is what it then costs."""

from __future__ import annotations

import pytest

from brainguided.__main__ import main
from brainguided.candidates import Evaluation, Task, Training, images_from_stimuli
from brainguided.controllers import Limits, RandomSearch
from brainguided.guidance.rewards import WeightedReward
from brainguided.search import Again, Batch, Schedule, cost as module, estimate_cost
from brainguided.spaces import small_space
from neural_data.simulation.objects import simulate_objects


@pytest.fixture(scope="module")
def images():
    return images_from_stimuli(simulate_objects(2, seed=1), simulate_objects(1, seed=2))


@pytest.fixture
def clock(monkeypatch):
    """An evaluation takes 10 s, 2 s a step and 5 s a rung; the first one more."""
    seen = []

    def evaluate(architecture, task, *, seed):
        seen.append(task)
        seconds = 10 + 2 * task.training.steps + 5 * len(task.training.measured_at)
        if len(seen) == 1:
            seconds += 100
        return Evaluation(architecture, seed, "done", n_parameters=1000, seconds=seconds)

    monkeypatch.setattr(module, "evaluate", evaluate)
    return seen


def estimate(task, controller=None, **settings):
    controller = controller or RandomSearch(small_space(max_depth=3), seed=0)
    return estimate_cost(task, controller, **{"candidates": 60} | settings)


def test_the_seconds_of_a_candidate_are_those_of_its_steps_and_rungs(images, clock):
    task = Task(images, None, Training(steps=100, rungs=(0, 50), batch_size=8), seeds=2,
                weights="nowhere")  # fmt: skip
    cost = estimate(task, workers=4)
    assert (cost.step, cost.look) == (2, 5)
    assert cost.seconds == 10 + 2 * 100 + 5 * 3
    assert cost.evaluations == 60  # the paper's reward confirms nobody
    assert cost.hours == pytest.approx(225 * 60 / 4 / 3600)
    assert cost.weights == 2 * 1000 * 3 * 2 * 60
    assert all(task.weights is None for task in clock)  # and nothing is left behind
    assert "60 evaluations of about 4 min (2 s a step, 5 s a rung" in cost.describe()[0]


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 5, 6])
def test_short_trainings_are_timed_by_the_steps_that_they_have(images, clock, steps):
    cost = estimate(Task(images, None, Training(steps=steps, batch_size=8)))
    assert cost.step == (2 if steps else 0)
    assert cost.seconds == 10 + 2 * steps + 5


def test_small_rounds_leave_workers_idle_and_confirming_costs_too(images, clock):
    reward = WeightedReward({"performance@50": 1.0})  # a rung that a trial does not reach
    task = Task(images, None, Training(steps=50, batch_size=8), reward=reward)
    cost = estimate(task, workers=6, schedule=Schedule(Batch(8), again=Again(confirm=2)))
    assert cost.evaluations == 60 + 2 * 3 + 8
    assert cost.hours == pytest.approx(cost.seconds * cost.evaluations / 4 / 3600)


def test_a_trial_that_fails_is_said(images, monkeypatch):
    failed = Evaluation(small_space().sample(0), 0, "failed", reason="memory")
    monkeypatch.setattr(module, "evaluate", lambda *_, **__: failed)
    with pytest.raises(ValueError, match=r"failed in a trial \(memory\)"):
        estimate(Task(images, None, Training(steps=1, batch_size=8)))
    limits = Limits(max_parameters=1, n_classes=8)
    controller = RandomSearch(small_space(max_depth=2), seed=0, limits=limits)
    with pytest.raises(ValueError, match="No architecture of the space 'small-2'"):
        estimate(Task(images, None, Training(steps=1, batch_size=8)), controller)


def test_the_command_says_it(tmp_path, capsys):
    file = tmp_path / "RUN.toml"
    text = "[task]\nsteps = 2\nn_train = 128\nn_validation = 64\nbatch_size = 16\n"
    file.write_text(f"candidates = 3\n[space]\nmax_depth = 2\n{text}")
    assert main(["search", str(file), "--check", "--workers", "2"]) == 0
    said = capsys.readouterr().out
    assert "3 evaluations of about" in said
    assert "in all with 2 workers" in said
    assert "memory: about" in said
    assert "for the journal" in said
    assert [path.name for path in tmp_path.iterdir()] == ["RUN.toml"]
