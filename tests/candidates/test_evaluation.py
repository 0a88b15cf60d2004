"""What a candidate earns."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from simulated_card import SimulatedCard, on_card

from brainguided.architectures import ConvLayer, PlainArchitecture
from brainguided.candidates import seeds
from brainguided.candidates.evaluation import Evaluation, Task, evaluate, train_candidate
from brainguided.candidates.images import images_from_stimuli
from brainguided.candidates.kept_weights import keep_weights
from brainguided.candidates.training import SGD, DivergedError, Training
from brainguided.guidance.rewards import PaperReward
from brainguided.guidance.similarity import compute_similarity
from brainguided.guidance.teacher import Teacher
from brainguided.journal.measurement import Rung
from brainguided.networks.build import build_network
from brainguided.networks.preprocessing import Preprocessing
from neural_data.simulation.objects import simulate_objects
from neural_data.simulation.simulate import simulate_macaque

ARCHITECTURE = PlainArchitecture(
    (ConvLayer(3, 3, 8, stride=2), ConvLayer(3, 3, 12, pool="max"), ConvLayer(3, 3, 16))
)


@pytest.fixture(scope="module")
def task() -> Task:
    recording, stimuli = simulate_macaque(seed=0)
    return Task(
        images=images_from_stimuli(simulate_objects(8, seed=1), simulate_objects(2, seed=2)),
        teacher=Teacher.from_recording(recording, stimuli, by="object_name"),
        training=Training(steps=6, batch_size=64),
    )


@pytest.fixture(scope="module")
def evaluation(task) -> Evaluation:
    return evaluate(ARCHITECTURE, task, seed=1)


def test_reward_is_performance_plus_alpha_times_guidance(task, evaluation) -> None:
    assert evaluation.outcome == "done"
    assert evaluation.reward == evaluation.performance + evaluation.guidance
    half = evaluate(ARCHITECTURE, replace(task, reward=PaperReward(0.5)), seed=1)
    assert half.reward == evaluation.performance + 0.5 * evaluation.guidance


def test_alpha_zero_and_no_teacher_give_performance_exactly(task, evaluation) -> None:
    no_weight = evaluate(ARCHITECTURE, replace(task, reward=PaperReward(0.0)), seed=1)
    assert no_weight.reward == evaluation.performance
    assert no_weight.guidance == evaluation.guidance
    alone = evaluate(ARCHITECTURE, replace(task, teacher=None), seed=1)
    assert alone.reward == alone.performance == evaluation.performance
    assert alone.guidance is None


def test_guidance_is_the_mean_of_the_best_layers(evaluation) -> None:
    best = [max(layers.values()) for layers in evaluation.similarity.values()]
    assert evaluation.guidance == pytest.approx(sum(best) / 2)
    assert set(evaluation.similarity) == {"V4", "IT"}
    assert set(evaluation.best_layers.values()) <= {"layer1", "layer2", "layer3"}


def test_same_seed_same_evaluation_whatever_the_threads(task, evaluation) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3 - min(before, 2))
    try:
        again = evaluate(ARCHITECTURE, task, seed=1)
    finally:
        torch.set_num_threads(before)
    assert replace(again, seconds=0) == replace(evaluation, seconds=0)
    assert evaluate(ARCHITECTURE, task, seed=2).similarity != evaluation.similarity


def test_the_trained_candidate_is_the_network_that_was_scored(task, evaluation) -> None:
    network = train_candidate(ARCHITECTURE, task, seed=1)
    table = compute_similarity(network, task.teacher, preprocessing=Preprocessing(size=32))
    for area, layers in evaluation.similarity.items():
        assert table.sel(area=area).values == pytest.approx(list(layers.values()), abs=1e-6)


def test_a_candidate_is_measured_at_every_rung(task) -> None:
    training = Training(steps=6, batch_size=64, rungs=(0, 3))
    evaluation = evaluate(ARCHITECTURE, replace(task, training=training), seed=1)
    measured = evaluation.measurement
    assert measured.steps == (0, 3, 6)
    assert measured.guidance() == measured.value("TG@6") == evaluation.guidance
    assert measured.rung().performance == evaluation.performance
    assert [rung.examples for rung in measured.rungs] == [0, 3 * 64, 6 * 64]
    assert evaluation.examples == 6 * 64
    assert len(measured.losses) == 6
    assert all(set(rung.similarity) == {"V4", "IT"} for rung in measured.rungs)
    assert measured.rung(0).similarity != measured.rung().similarity
    assert measured.rung(0).cross_entropy == pytest.approx(np.log(8), abs=0.5)


def test_layers_that_are_named_are_compared_where_a_candidate_has_them(task, evaluation) -> None:
    some = replace(task, layers=("layer1", "layer3", "layer7"))
    found = evaluate(ARCHITECTURE, some, seed=1)
    for area, layers in found.similarity.items():
        every = evaluation.similarity[area]
        assert layers == {name: every[name] for name in ("layer1", "layer3")}
    none = evaluate(ARCHITECTURE, replace(task, layers=("cell1",)), seed=1)
    assert "The network has no layer of ['cell1']" in none.reason
    assert some.describe()["layers"] == ["layer1", "layer3", "layer7"]


def test_the_weights_of_every_rung_are_kept_as_half_floats(task, tmp_path) -> None:
    kept = replace(
        task, weights=tmp_path / "weights", training=replace(task.training, rungs=(0, 6))
    )
    assert kept.describe() == replace(kept, weights=None).describe()
    evaluate(ARCHITECTURE, kept, seed=1)
    assert sorted(p.name for p in kept.weights.iterdir()) == ["1_0.npz", "1_6.npz"]
    written = (kept.weights / "1_6.npz").stat().st_mtime_ns
    network = train_candidate(ARCHITECTURE, kept, seed=1)  # as the winner is: those kept stay so
    assert (kept.weights / "1_6.npz").stat().st_mtime_ns == written
    with np.load(kept.weights / "1_6.npz") as file:
        for name, value in network.named_parameters():
            assert file[name].dtype == np.float16
            assert (file[name] == value.detach().half().numpy()).all()


def test_weights_beyond_half_floats_are_kept_whole(tmp_path) -> None:
    network = build_network(ARCHITECTURE, n_classes=8, seed=0)
    (name, large), (other, _) = list(network.named_parameters())[:2]
    with torch.no_grad():
        large.fill_(1e5)
    with np.load(keep_weights(network, tmp_path, "1_0")) as file:
        assert (file[name] == 1e5).all()
        assert file[other].dtype == np.float16


def test_what_diverges_at_a_rung_has_made_the_images_until_there(task, monkeypatch) -> None:
    def measure(network, task, step):
        if step == 2:
            raise DivergedError("outputs of the trained network are not finite")
        return Rung(step, 0.5)

    monkeypatch.setattr(seeds, "measure_rung", measure)
    measured = replace(task, training=Training(steps=6, batch_size=64, rungs=(0, 2)), seeds=2)
    failed = evaluate(ARCHITECTURE, measured, seed=1)
    assert (failed.reason, failed.examples) == ("nan", 2 * 64)  # the second seed made none
    alone = evaluate(ARCHITECTURE, replace(measured, seeds=1), seed=1)
    assert (alone.reason, alone.examples) == ("nan", 2 * 64)


def test_training_ends_at_the_first_rung_that_is_not_above_its_bar(task, evaluation) -> None:
    measured = replace(task, training=Training(steps=6, batch_size=64, rungs=(0, 3)))
    stopped = evaluate(ARCHITECTURE, measured, seed=1, bars=((0, -1.0), (3, 2.0)))
    assert (stopped.outcome, stopped.reward, stopped.examples) == ("done", None, 3 * 64)
    assert stopped.measurement.steps == (0, 3)
    assert len(stopped.measurement.losses) == 3
    passed = evaluate(ARCHITECTURE, measured, seed=1, bars=((0, -1.0), (3, -1.0)))
    assert passed.reward == evaluation.reward
    assert passed.measurement.rung(3) == stopped.measurement.rung()


def test_evaluations_survive_json_and_pickle(evaluation) -> None:
    assert Evaluation.from_dict(json.loads(json.dumps(evaluation.to_dict()))) == evaluation
    assert pickle.loads(pickle.dumps(evaluation)) == evaluation


def test_a_diverging_candidate_fails_with_its_reason(task) -> None:
    training = Training(steps=20, batch_size=64, sgd=SGD(learning_rate=1e30))
    evaluation = evaluate(ARCHITECTURE, replace(task, training=training), seed=1)
    assert (evaluation.outcome, evaluation.reason, evaluation.reward) == ("failed", "nan", None)
    assert evaluation.n_parameters > 0
    made, rest = divmod(evaluation.examples, 64)
    assert (0 < made < 20, rest) == (True, 0), "what was trained in vain counts as well"
    with pytest.raises(RuntimeError, match="nan"):
        train_candidate(ARCHITECTURE, replace(task, training=training), seed=1)


def test_a_candidate_too_large_for_memory_fails_with_its_reason(task, monkeypatch) -> None:
    def exhaust(*_args, **_kwargs):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9e15")

    freed = []
    monkeypatch.setattr("brainguided.candidates.seeds.iterate_training", exhaust)
    monkeypatch.setattr("brainguided.candidates.evaluation.free_memory", freed.append)
    assert evaluate(ARCHITECTURE, task, seed=1).reason == "memory"
    assert freed == ["cpu"]


def test_a_candidate_out_of_memory_leaves_nothing_behind(task, monkeypatch) -> None:
    held = []

    def exhaust(network, *_args, **_kwargs):
        held.append(weakref.ref(network))
        raise torch.OutOfMemoryError("CUDA out of memory.")

    def count(_device) -> None:
        held.append(held[0]())

    monkeypatch.setattr("brainguided.candidates.seeds.iterate_training", exhaust)
    monkeypatch.setattr("brainguided.candidates.evaluation.free_memory", count)
    assert evaluate(ARCHITECTURE, task, seed=1).reason == "memory"
    assert held[1] is None


def test_an_evaluation_on_a_device_runs_there_and_earns_the_same(task, evaluation) -> None:
    training = on_card(replace(task.training, rungs=(0,)))
    with SimulatedCard() as card:
        found = evaluate(ARCHITECTURE, replace(task, training=training), seed=1)
        network = train_candidate(ARCHITECTURE, replace(task, training=training), seed=1)
    assert (found.outcome, found.reason) == ("done", "")
    assert found.performance == evaluation.performance
    assert found.guidance == pytest.approx(evaluation.guidance, abs=1e-6)
    products = {"aten.convolution.default", "aten.addmm.default", "aten.mm.default"}
    assert products <= set(card.there)
    # The scores' own small products are those of the CPU everywhere
    assert not (products - {"aten.mm.default"}) & set(card.here)
    assert {value.device.type for value in network.state_dict().values()} == {"cpu"}


def test_without_the_device_candidates_fail_and_say_what_torch_sees(task, monkeypatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    elsewhere = replace(task, training=replace(task.training, device="cuda"))
    evaluation = evaluate(ARCHITECTURE, elsewhere, seed=1)
    assert (evaluation.outcome, evaluation.reward) == ("failed", None)
    assert evaluation.reason.startswith("error: RuntimeError: The device is 'cuda', but torch ")
    assert "sees no CUDA devices" in evaluation.reason
    assert evaluation.reason.endswith("or set device = 'cpu'.")
    with pytest.raises(RuntimeError, match="sees no CUDA devices"):
        train_candidate(ARCHITECTURE, elsewhere, seed=1)


@pytest.mark.gpu
def test_a_gpu_gives_nearly_the_evaluation_of_the_cpu(task) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    training = replace(task.training, rungs=(0,))
    cpu = evaluate(ARCHITECTURE, replace(task, training=training), seed=1)
    there = replace(task, training=replace(training, device="cuda"))
    gpu, again = (evaluate(ARCHITECTURE, there, seed=1) for _ in range(2))
    assert (gpu.outcome, gpu.reason) == ("done", "")
    for k, tolerance in ((0, 1e-3), (1, 0.02)):  # before training; after it, where rounding grew
        for name, allowed in (("TG", tolerance), ("performance", 0.01 + tolerance)):
            there_, here = (m.measurement.up_to(m.measurement.steps[k]) for m in (gpu, cpu))
            assert there_.value(name) == pytest.approx(here.value(name), abs=allowed)
    assert again.reward == pytest.approx(gpu.reward, abs=0.01)
    network = train_candidate(ARCHITECTURE, there, seed=1)
    assert {value.device.type for value in network.state_dict().values()} == {"cpu"}


def test_a_candidate_that_cannot_be_built_fails_with_its_reason(task, monkeypatch) -> None:
    def refuse(*_args, **_kwargs):
        raise ValueError("no such layer")

    monkeypatch.setattr("brainguided.candidates.own_task.build_network", refuse)
    evaluation = evaluate(ARCHITECTURE, task, seed=1)
    assert evaluation.outcome == "failed"
    assert evaluation.reason == "build"


def test_describe_is_json_and_names_the_data(task) -> None:
    described = json.loads(json.dumps(task.describe()))
    assert described["teacher"][0]["area"] == "V4"
    assert "simulated" in described["teacher"][0]["source"]
    assert described["reward"] == {"preset": "paper", "alpha": 1.0}
    assert "device" not in described["training"]
    there = replace(task, training=replace(task.training, device="cuda:1"))
    assert there.describe()["training"] == {**described["training"], "device": "cuda"}
    assert task.describe() == task.describe()


def test_a_process_that_is_warm_has_loaded_what_an_evaluation_waits_for():
    """Of 6 s in all, most is torch's compiler, which comes with the first optimizer."""
    code = (
        "import sys\n"
        "from brainguided.candidates.evaluation import warm_up\n"
        "warm_up()\n"
        "before = set(sys.modules)\n"
        "import rsatoolbox.rdm, torch\n"
        "layer = torch.nn.Linear(2, 1)\n"
        "optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9, nesterov=True)\n"
        "layer(torch.ones(1, 2)).sum().backward()\n"
        "optimizer.step()\n"
        "print(len({m for m in sys.modules.keys() - before if m.startswith(('torch', 'rsa'))}))\n"
    )
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert int(said) < 20  # hundreds otherwise
