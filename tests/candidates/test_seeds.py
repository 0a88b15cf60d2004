"""Several seeds of a candidate's weights: each as it would be alone, and the means of them."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean, stdev

import numpy as np
import pytest

from brainguided import load_run
from brainguided.architectures import ConvLayer, PlainArchitecture
from brainguided.candidates.evaluation import Task, evaluate, train_candidate
from brainguided.candidates.images import images_from_stimuli
from brainguided.candidates.seeds import draw_seeds
from brainguided.candidates.training import SGD, Training
from brainguided.guidance.controls import make_controls
from brainguided.guidance.teacher import Teacher
from brainguided.journal import Journal, Measurement, Repeat, Rung
from brainguided.journal.means import average_repeats, spread_repeats
from brainguided.search import run_search, verify_search
from neural_data.simulation.objects import simulate_objects
from neural_data.simulation.simulate import simulate_macaque

ARCHITECTURE = PlainArchitecture((ConvLayer(3, 3, 8, stride=2), ConvLayer(3, 3, 8, stride=2)))


@pytest.fixture(scope="module")
def task() -> Task:
    recording, stimuli = simulate_macaque(seed=0)
    teacher = Teacher.from_recording(recording, stimuli, by="object_name")
    return Task(
        images=images_from_stimuli(simulate_objects(8, seed=1), simulate_objects(2, seed=2)),
        teacher=teacher,
        training=Training(steps=4, batch_size=32, rungs=(0, 2)),
        controls=make_controls(teacher, [{"kind": "shuffled", "number": 3, "area": "V4"}]),
        rivals=("synflow",),
        seeds=3,
    )


@pytest.fixture(scope="module")
def several(task):
    return evaluate(ARCHITECTURE, task, seed=1)


@pytest.fixture(scope="module")
def alone(task):
    one = replace(task, seeds=1)
    return [evaluate(ARCHITECTURE, one, seed=seed) for seed in draw_seeds(1, 3)]


def test_the_seeds_of_a_candidate_begin_with_its_own_and_never_repeat():
    drawn = [seed for own in range(500) for seed in draw_seeds(own, 5)]
    assert draw_seeds(7, 1) == (7,)
    assert draw_seeds(7, 5)[:3] == draw_seeds(7, 3)
    assert len(set(drawn)) == len(drawn)


def test_each_seed_shows_what_it_shows_alone_and_what_is_recorded_is_the_mean(several, alone):
    measured = several.measurement
    for one, single in zip(measured.repeats, alone):
        assert (one.seed, one.rungs) == (single.seed, single.measurement.rungs)
        assert one.losses == single.measurement.losses
    assert several.seed == 1
    for step in (0, 2, 4):
        found = measured.rung(step)
        each = [single.measurement.rung(step) for single in alone]
        assert found.performance == fmean(one.performance for one in each)
        assert found.examples == sum(one.examples for one in each) == 3 * 32 * step
        for area in ("V4", "IT"):
            assert found.committed[area] == fmean(one.committed[area] for one in each)
            for layer, value in found.similarity[area].items():
                assert value == fmean(one.similarity[area][layer] for one in each)
        drawn = [one.shuffles["V4"]["best"] for one in each]
        assert found.shuffles["V4"]["best"] == pytest.approx(np.mean(drawn, axis=0))
    statistics = [single.measurement.statistics for single in alone]
    assert len({one["synflow"] for one in statistics}) == 3
    for name, value in measured.statistics.items():
        assert value == pytest.approx(fmean(one[name] for one in statistics))
    assert several.examples == 3 * 4 * 32
    assert several.reward == several.performance + several.guidance


def test_one_seed_is_recorded_as_ever(task, alone):
    assert alone[0].measurement.repeats == ()
    assert "seeds" not in replace(task, seeds=1).describe()
    assert task.describe()["seeds"] == 3


def test_means_decide_on_early_stopping(task, several):
    """Between the lowest reward of a seed and the mean only the mean tells."""
    rewards = [task.reward(one.up_to(2)) for one in several.measurement.of_seeds()]
    mean = task.reward(several.measurement.up_to(2))
    passed = evaluate(ARCHITECTURE, task, seed=1, bars=((2, mean - 1e-9),))
    stopped = evaluate(ARCHITECTURE, task, seed=1, bars=((2, mean),))
    assert min(rewards) < mean < max(rewards)
    assert passed.reward == several.reward
    assert (stopped.reward, stopped.examples) == (None, 3 * 2 * 32)
    assert [one.rungs[-1].step for one in stopped.measurement.repeats] == [2, 2, 2]


def test_a_candidate_fails_with_the_first_seed_that_diverges(task):
    wild = replace(task, training=Training(steps=40, batch_size=32, sgd=SGD(learning_rate=1e9)))
    failed = evaluate(ARCHITECTURE, wild, seed=1)
    one = evaluate(ARCHITECTURE, replace(wild, seeds=1), seed=1)
    assert (failed.outcome, failed.reason, failed.reward) == ("failed", "nan", None)
    assert failed.examples == one.examples > 0


def test_a_candidate_is_trained_again_with_its_own_seed(task, alone):
    network = train_candidate(ARCHITECTURE, task, seed=1)
    again = train_candidate(ARCHITECTURE, replace(task, seeds=1), seed=1)
    for first, second in zip(network.parameters(), again.parameters()):
        assert first.equal(second)


def test_a_layer_that_is_dead_with_some_seeds_counts_as_0_there():
    def repeat(seed, value, dead):
        layers = {"layer1": value, "layer2": dead, "layer3": None}
        return Repeat(seed, (Rung(5, 0.5, similarity={"V4": layers}),), (1.0,))

    measured = Measurement(("V4",), repeats=(repeat(1, 0.4, 0.3), repeat(2, 0.2, None)))
    found = average_repeats(measured)
    assert found.rung().similarity["V4"] == {
        "layer1": fmean([0.4, 0.2]),
        "layer2": 0.15,
        "layer3": None,
    }
    (between,) = spread_repeats(found)
    assert between.similarity["V4"]["layer1"] == pytest.approx(stdev([0.4, 0.2]))
    assert between.similarity["V4"]["layer2"] is None  # defined with one seed alone
    assert between.guidance == pytest.approx(stdev([0.4, 0.2]))


RUN = """
seed = 1
candidates = 3
[space]
preset = "small"
max_depth = 2
[controller]
name = "random"
[task]
images = "objects"
n_train = 64
n_validation = 64
steps = 2
batch_size = 16
seeds = {seeds}
"""


def test_a_search_with_seeds_holds_means_and_spread_and_comes_out_again(tmp_path):
    (tmp_path / "RUN.toml").write_text(RUN.format(seeds=2))
    run = load_run(tmp_path / "RUN.toml")
    found = run_search(run.controller, run.task, candidates=3, out=tmp_path / "run")
    with Journal.read(tmp_path / "run") as journal:
        results, spent = journal.results(), journal.n_examples
    for row, result in enumerate(results):
        each = [one.rungs[-1].performance for one in result.measurement.repeats]
        assert found["performance"].values[row, -1] == result.performance == fmean(each)
        assert found["performance_sd"].values[row, -1] == pytest.approx(stdev(each))
    assert spent == 3 * 2 * 2 * 16
    verified = verify_search(tmp_path / "run", run.task, sample=3)
    assert [one.differences for one in verified] == [(), (), ()]


def test_no_seeds_are_refused(task, tmp_path):
    with pytest.raises(ValueError, match="seeds is 0; expected a whole number, at least 1"):
        replace(task, seeds=0)
    (tmp_path / "RUN.toml").write_text(RUN.format(seeds=0))
    with pytest.raises(ValueError, match=r"\[task\] seeds is 0, expected 1 or more"):
        load_run(tmp_path / "RUN.toml")
