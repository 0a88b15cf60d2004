"""Finalists: trained longer, chosen on validation, tested once."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from simulated_card import SimulatedCard, on_card

from brainguided.__main__ import main
from brainguided.candidates.accuracy import compute_accuracy, recompute_batch_norm
from brainguided.candidates.after_search import train_again
from brainguided.candidates.evaluation import Task
from brainguided.candidates.images import (
    check_test_part,
    images_from_stimuli,
    load_images,
    load_test_images,
)
from brainguided.candidates.recipe import LongTraining, Recipe
from brainguided.candidates.retraining import Retraining
from brainguided.candidates.training import SGD, Training, train_network
from brainguided.controllers import RandomSearch
from brainguided.guidance.teacher import Teacher
from brainguided.journal.attempts import Attempt
from brainguided.journal.journal import Journal, JournalError
from brainguided.journal.lock import take_lock
from brainguided.networks.build import build_network
from brainguided.networks.preprocessing import images_to_tensor
from brainguided.reports.model_card import wilson_interval, write_model_card
from brainguided.search import _apart, _finalist, finalists
from brainguided.search.choice import Drawn, choose_finalists
from brainguided.search.finalists import run_finalists
from brainguided.search.run import run_search
from brainguided.settings.model_file import load_winner
from brainguided.spaces import pnas_space
from neural_data.simulation.objects import simulate_objects
from neural_data.simulation.simulate import simulate_macaque

SPACE = pnas_space(n_blocks=1, n_cells=1, filters=4)


@cache
def make_task(teacher=True) -> Task:
    return Task(
        images=images_from_stimuli(simulate_objects(2, seed=1), simulate_objects(1, seed=2)),
        teacher=Teacher.from_recording(*simulate_macaque(seed=0), by="object_name")
        if teacher
        else None,
        training=Training(steps=2, batch_size=32),
    )


@cache
def read_test():
    stimuli = simulate_objects(1, seed=3)
    classes = make_task(False).images.classes
    labels = [classes.index(str(name)) for name in stimuli["category"].values]
    return stimuli["image"].values, np.array(labels)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    run_search(RandomSearch(SPACE, seed=1), make_task(), candidates=4, out=out)
    return out


@pytest.fixture(scope="module")
def record(run):
    return run_finalists(run, make_task(), read_test, steps=4, top=2)


def test_the_best_are_trained_longer_and_the_best_of_them_on_validation_wins(run, record):
    assert [name for name in record.variables if "long_name" not in record[name].attrs] == []
    with Journal.read(run) as journal:
        results = journal.results()
    best = sorted(results, key=lambda r: -r.reward)[:2]
    assert record["candidate"].values.tolist() == [r.candidate for r in best]
    task = make_task()
    for result, performance in zip(best, record["performance"].values):
        network = build_network(SPACE.parse(result.architecture), n_classes=8, seed=result.seed)
        training = replace(task.training, steps=4)
        images = task.images
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        train_network(
            network, images.train_images, images.train_labels, training=training, seed=result.seed
        )
        recompute_batch_norm(network, images.train_images, batch_size=32)
        found = compute_accuracy(network, images.validation_images, images.validation_labels)
        torch.set_num_threads(threads)
        assert found == pytest.approx(float(performance), abs=1e-9)
        saved = torch.load(run / "finalists" / f"finalist_{result.candidate}.pt", weights_only=True)
        for name, value in network.state_dict().items():
            assert torch.equal(saved[name], value)
    top = int(np.argmax(record["performance"].values))
    assert record.attrs["winner"] == int(record["candidate"][top])


def test_the_rate_of_a_long_training_falls_and_its_batch_norm_is_that_of_the_search(run):
    with Journal.read(run) as journal:
        result = journal.results()[0]
    job = Retraining(0, result.architecture, result.seed, 4, validation=True)
    task = make_task(False)
    _, cosine = train_again(job, task)
    constant = replace(task.training, sgd=SGD(schedule="constant"))
    _, found = train_again(job, replace(task, training=constant))
    assert all(np.array_equal(found[name], value) for name, value in cosine.items())
    _, running = train_again(job, replace(task, batch_norm="running"))
    differ = {name for name, value in cosine.items() if not np.array_equal(running[name], value)}
    assert differ
    assert all(re.search("running_(mean|var)|num_batches", name) for name in differ)


def test_finalists_trained_by_other_conventions_are_not_gone_on_with(run, record, tmp_path):
    settings = json.loads((run / "finalists" / "settings.json").read_text())
    assert settings["batch_norm"] == "recomputed"
    before = {name: value for name, value in settings.items() if name != "batch_norm"}
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "finalists" / "settings.json").write_text(json.dumps(before))
    with pytest.raises(
        JournalError, match="begun by an earlier version, whose finalists had running"
    ):
        run_finalists(tmp_path / "run", make_task(), read_test, steps=4, top=2)


def test_finalists_trained_on_a_device_come_back_as_arrays_of_the_same_numbers(run, monkeypatch):
    monkeypatch.setattr("brainguided.candidates.training._DEVICE", re.compile("cpu|meta"))
    task = make_task(False)
    with Journal.read(run) as journal:
        result = journal.results()[0]
    job = Retraining(0, result.architecture, result.seed, 2)
    expected, weights = train_again(job, task)
    there = replace(task, training=on_card(task.training))
    with SimulatedCard() as card:
        performance, found = train_again(job, there)
    assert performance == expected
    assert "aten.convolution.default" in card.there
    assert "aten.convolution.default" not in card.here
    for name, value in found.items():
        np.testing.assert_array_equal(value, weights[name])


def test_costs_are_counted_in_images(run, record):
    assert record.attrs["examples_search"] == 4 * 2 * 32
    assert record.attrs["examples_finalists"] == 2 * 4 * 32
    assert record.attrs["examples"] == 4 * 2 * 32 + 2 * 4 * 32 + 4 * 32


def test_the_exported_winner_predicts_the_same_in_a_fresh_process(run, record, tmp_path):
    images, labels = read_test()
    np.save(tmp_path / "images.npy", images)
    code = (
        "import sys, numpy as np, torch; sys.modules['brainguided'] = None\n"
        "torch.set_num_threads(1)\n"
        f"sys.path.insert(0, {str(run / 'finalists')!r})\n"
        "import winner_network as w\n"
        f"x = w.to_input(np.load({str(tmp_path / 'images.npy')!r}))\n"
        "with torch.no_grad(): y = w.load()(x).numpy()\n"
        f"np.save({str(tmp_path / 'logits.npy')!r}, y)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    logits = np.load(tmp_path / "logits.npy")
    assert (logits.argmax(1) == labels).mean() == pytest.approx(record.attrs["test_accuracy"])
    winner = int(record.attrs["winner"])
    with Journal.read(run) as journal:
        architecture = SPACE.parse(journal.result(winner).architecture)
    network = build_network(architecture, n_classes=8, seed=0)
    network.load_state_dict(torch.load(run / "finalists" / "winner_network.pt", weights_only=True))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad():
        np.testing.assert_array_equal(network.eval()(images_to_tensor(images)).numpy(), logits)
    torch.set_num_threads(threads)


def test_the_card_says_what_was_made_and_tested(run, record):
    card, *figures = write_model_card(run)
    text = card.read_text()
    for part in (
        f"{record.attrs['test_accuracy']:.4f}",
        "tested once",
        "simulated",
        "| V4 |",
        "winner_network.load()",
        f"{record.attrs['examples']:,}",
    ):
        assert part in text
    assert {path.name for path in figures} == {"architecture.png", "correspondence.png"}


def test_what_files_say_is_plain_text_in_the_card(run, record, monkeypatch):
    path = run / "finalists" / "finalists.json"
    before = path.read_text()
    data = json.loads(before)
    one = next(f for f in data["finalists"] if f["candidate"] != data["winner"])
    one |= {"performance": None, "reason": "a|b\n# <script>[x](http://y)\x1b[2J"}
    one["search_performance"] = None
    path.write_text(json.dumps(data))
    monkeypatch.setattr("brainguided.reports.model_card.name_performance", lambda _: "a|b")
    text = write_model_card(run)[0].read_text()
    path.write_text(before)
    assert r"| test a\|b |" in text
    assert r"| none | a\|b \# \<script\>\[x\]\(http://y\)\\x1b\[2J |" in text


def test_a_finalist_can_be_compared_with_the_brain_like_a_winner(run, record):
    one = int(record["candidate"][0])
    network, how = load_winner(run / "finalists" / f"finalist_{one}.json")
    assert how.size == make_task().images.image_size
    saved = torch.load(run / "finalists" / f"finalist_{one}.pt", weights_only=True)
    assert torch.equal(network.state_dict()["classifier.weight"], saved["classifier.weight"])


def test_a_test_of_another_candidate_is_not_taken_for_that_of_the_winner(tmp_path):
    task = make_task(teacher=False)
    run_search(RandomSearch(SPACE, seed=1), task, candidates=2, out=tmp_path)
    record = run_finalists(tmp_path, task, read_test, steps=1, top=2)
    path = tmp_path / "finalists" / "test.json"
    test = json.loads(path.read_text())
    assert test["candidate"] == record.attrs["winner"]
    path.write_text(json.dumps(test | {"candidate": 1 - record.attrs["winner"]}))
    with pytest.raises(JournalError, match="is the test of candidate"):
        run_finalists(tmp_path, task, read_test, steps=1, top=2)


def test_the_test_is_made_once_and_last(tmp_path):
    task = make_task(teacher=False)
    run_search(RandomSearch(SPACE, seed=1), task, candidates=3, out=tmp_path)
    calls = []

    def load_test():
        calls.append({path.name for path in (tmp_path / "finalists").iterdir()})
        return read_test()

    first = run_finalists(tmp_path, task, load_test, steps=3, top=2)
    again = run_finalists(tmp_path, task, load_test, steps=3, top=2)
    assert first.identical(again)
    assert len(calls) == 1
    assert {"winner_network.py", "winner_network.pt"} <= calls[0]
    assert sum(name.endswith(".pt") and name.startswith("finalist") for name in calls[0]) == 2
    with pytest.raises(JournalError, match="finalists of other settings"):
        run_finalists(tmp_path, task, load_test, steps=4, top=2)


def test_a_stopped_training_of_finalists_goes_on_where_it_was(tmp_path, monkeypatch):
    task = make_task(teacher=False)
    run_search(RandomSearch(SPACE, seed=1), task, candidates=3, out=tmp_path)
    trained = []
    train = _apart.train_again

    def stop_at_second(job, task):
        if len(trained) == 1:
            trained.append("stopped")
            raise KeyboardInterrupt
        if not job.validation:
            trained.append(job)
        return train(job, task)

    monkeypatch.setattr(_apart, "train_again", stop_at_second)
    with pytest.raises(KeyboardInterrupt):
        run_finalists(tmp_path, task, read_test, steps=3, top=2)
    run_finalists(tmp_path, task, read_test, steps=3, top=2)
    assert len(trained) == 3  # one before, the stop, and only the other one after


def test_a_finalist_that_fails_costs_itself_only(tmp_path, monkeypatch):
    task = make_task(teacher=False)
    run_search(RandomSearch(SPACE, seed=1), task, candidates=3, out=tmp_path)
    train = _apart.train_again
    first = []

    def fail_first(job, task):
        if not first:
            first.append(job)
            raise ArithmeticError("the loss is nan at step 3")
        return train(job, task)

    monkeypatch.setattr(_apart, "train_again", fail_first)
    record = run_finalists(tmp_path, task, read_test, steps=3, top=2)
    assert np.isnan(record["performance"].values[0])
    assert record.attrs["winner"] == int(record["candidate"][1])
    assert "the loss is nan" in write_model_card(tmp_path)[0].read_text()


def test_the_winner_is_the_best_on_validation_not_the_one_of_the_search(tmp_path, monkeypatch):
    task = make_task(teacher=False)
    run_search(RandomSearch(SPACE, seed=1), task, candidates=3, out=tmp_path)
    train = _apart.train_again
    earned = iter([0.2, 0.9, 0.5, None])
    monkeypatch.setattr(_apart, "train_again", lambda *a: (next(earned), train(*a)[1]))
    record = run_finalists(tmp_path, task, read_test, steps=2, top=3)
    assert record.attrs["winner"] == int(record["candidate"][1])
    assert float(record["reward"][1]) <= float(record["reward"][0])


def test_a_finalist_trained_again_after_a_stop_may_win_with_its_own_network(tmp_path, monkeypatch):
    """The first call fails at the later winner, and stops when it has trained another one."""
    task = make_task(teacher=False)
    run_search(RandomSearch(SPACE, seed=1), task, candidates=3, out=tmp_path)
    train, calls = _apart.train_again, []

    def train_or_fail(job, task):
        calls.append(job)
        if len(calls) == 1:
            raise MemoryError("none left")
        return (0.9 if job == calls[0] else 0.1), train(job, task)[1]

    def stop():
        with pytest.raises(JournalError, match="writing into"):
            take_lock(tmp_path / "finalists")
        raise KeyboardInterrupt

    monkeypatch.setattr(_apart, "train_again", train_or_fail)
    with pytest.raises(KeyboardInterrupt):
        run_finalists(tmp_path, task, stop, steps=3, top=2)
    before = (tmp_path / "finalists" / "winner_network.py").read_text()
    record = run_finalists(tmp_path, task, read_test, steps=3, top=2)
    winner = int(record["candidate"][0])
    assert record.attrs["winner"] == winner
    after = (tmp_path / "finalists" / "winner_network.py").read_text()
    assert f"Candidate {winner} of" not in before
    assert f"Candidate {winner} of" in after


def test_labels_that_are_no_classes_of_the_task_are_not_tested(tmp_path):
    task = make_task(teacher=False)
    run_search(RandomSearch(SPACE, seed=1), task, candidates=1, out=tmp_path)
    images, labels = read_test()
    for wrong in (labels + 1, labels.astype(float)):
        with pytest.raises(ValueError, match="expected integers from 0 to 7"):
            run_finalists(tmp_path, task, lambda wrong=wrong: (images, wrong), steps=1, top=1)
    assert not (tmp_path / "finalists" / "test.json").exists()


def test_isomorphic_candidates_are_one_finalist():
    architectures = [SPACE.sample(seed) for seed in range(3)]
    block = architectures[0].normal[0]
    twin = replace(
        architectures[0],
        normal=(type(block)(block.input2, block.operation2, block.input1, block.operation1),),
    )
    results = [
        Attempt(k, 1, a.to_json(), a.key, 0, "done", reward=reward)
        for k, (a, reward) in enumerate(zip([*architectures, twin], [0.9, 0.1, 0.5, 0.9]))
    ]
    assert [result.candidate for result in choose_finalists(results, 3)] == [0, 2, 1]


def test_another_task_or_nothing_to_train_is_refused(run, tmp_path):
    with pytest.raises(JournalError, match="another task"):
        run_finalists(run, make_task(teacher=False), read_test, steps=3)
    with pytest.raises(ValueError, match="top is 0"):
        run_finalists(run, make_task(), read_test, steps=3, top=0)
    with pytest.raises(FileNotFoundError, match="brainguided finalists"):
        write_model_card(tmp_path)


def test_test_images_are_read_only_when_asked_for(tmp_path):
    """A file whose test images are damaged is fine until they are needed."""
    generator = np.random.default_rng(0)
    path = tmp_path / "set.npz"
    parts = {"train": 40, "test": 20}
    arrays = {}
    for part, n in parts.items():
        arrays[f"x_{part}"] = generator.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)
        arrays[f"y_{part}"] = np.arange(n) % 4
    np.savez(path, **arrays)
    images = load_images(path)
    x, y = load_test_images(path, classes=images.classes, image_size=8)
    np.testing.assert_array_equal(x, arrays["x_test"])
    np.testing.assert_array_equal(y, arrays["y_test"])
    with zipfile.ZipFile(path) as archive:
        place = archive.getinfo("x_test.npy").header_offset
    content = bytearray(path.read_bytes())
    content[place + 400] ^= 255
    path.write_bytes(content)
    check_test_part(path)
    assert len(load_images(path).classes) == 4
    with pytest.raises(ValueError, match=r"test images of .* cannot be read"):
        load_test_images(path, classes=images.classes, image_size=8)
    np.savez(path, x_train=arrays["x_train"], y_train=arrays["y_train"])
    with pytest.raises(ValueError, match="has no test part"):
        check_test_part(path)
    np.savez(path, **{**arrays, "y_test": arrays["y_test"] % 3})
    with pytest.raises(ValueError, match=r"none of \['class3'\]"):
        load_test_images(path, classes=images.classes, image_size=8)


def test_wilson_intervals_are_those_of_the_formula():
    low, high = wilson_interval(0.5, 100)
    assert (low, high) == (pytest.approx(0.4038, abs=1e-4), pytest.approx(0.5962, abs=1e-4))
    assert wilson_interval(1.0, 10)[1] == pytest.approx(1.0)


def test_the_command_finds_the_run_file_and_prints_the_winner(tmp_path, monkeypatch, capsys):
    run_file = tmp_path / "run.toml"
    run_file.write_text(
        'candidates = 3\n[space]\npreset = "pnas"\nn_blocks = 1\nn_cells = 1\nfilters = 4\n'
        '[controller]\nname = "evolution"\nunique = true\n[limits]\nmax_parameters = 20000\n'
        '[task]\nimages = "objects"\nn_train = 128\nn_validation = 64\nsteps = 2\n'
        "batch_size = 32\n"
    )
    out = tmp_path / "run"
    with monkeypatch.context() as patch:  # finalists alone need processes here
        patch.setattr(
            "brainguided.engines.local.local_pool",
            lambda workers, memory: ThreadPoolExecutor(workers),
        )
        assert main(["search", str(run_file), "--out", str(out), "--workers", "1"]) == 0
    assert main(["finalists", str(out), "--top", "2", "--steps", "3", "--workers", "1"]) == 0
    said = capsys.readouterr().out
    assert "test accuracy" in said
    data = json.loads((out / "finalists" / "finalists.json").read_text())
    assert data["test_images"] == 64
    (out / "run_file.txt").unlink()
    assert main(["finalists", str(out), "--steps", "3"]) == 1
    assert "--run RUN.toml" in capsys.readouterr().err


def test_finalists_that_failed_are_trained_again_where_that_may_help(tmp_path, monkeypatch):
    """Lack of memory passes by itself, twice; other causes once they were mended."""
    run_search(RandomSearch(SPACE, seed=1), make_task(), candidates=3, out=tmp_path / "run")
    with Journal.read(tmp_path / "run") as journal:
        chosen = choose_finalists(journal.results(), 3)
    assert len(chosen) == 3
    fails = {chosen[0].architecture: MemoryError("none left"), chosen[1].architecture: RuntimeError}
    made = []

    def train(job, task):
        made.append(job.architecture)
        if job.architecture in fails:
            raise fails[job.architecture]
        return 0.5, {}

    work = _finalist.Work(make_task(), 2, tmp_path, None)

    def train_all(retry):
        made.clear()
        found = finalists._train_all(chosen, work, retry)
        return [one.performance for one in found], len(made)

    monkeypatch.setattr(_apart, "train_again", train)
    assert train_all(False) == ([None, None, 0.5], 3)
    assert train_all(False) == ([None, None, 0.5], 1)
    assert train_all(False) == ([None, None, 0.5], 1)
    assert train_all(False) == ([None, None, 0.5], 0), "three times were enough"
    fails.clear()
    assert train_all(False) == ([None, None, 0.5], 0)
    assert train_all(True) == ([0.5, 0.5, 0.5], 2)
    (tmp_path / "test.json").touch()
    with pytest.raises(JournalError, match="was tested already"):
        train_all(True)
    assert train_all(False) == ([0.5, 0.5, 0.5], 0)


def test_two_trainings_of_finalists_at_once_are_refused(tmp_path):
    run_search(RandomSearch(SPACE, seed=1), make_task(), candidates=1, out=tmp_path)
    (tmp_path / "finalists").mkdir()
    with (
        closing(take_lock(tmp_path / "finalists")),
        pytest.raises(JournalError, match="writing into"),
    ):
        run_finalists(tmp_path, make_task(), lambda: None, steps=1, top=1)


def test_finalists_drawn_at_random_do_not_depend_on_their_rewards() -> None:
    texts = [SPACE.sample(np.random.default_rng(k)).to_json() for k in range(9)]
    results = [
        Attempt(k, 1, text, text, k, "done", reward=k / 10, performance=k / 10)
        for k, text in enumerate(texts)
    ]
    turned = [replace(result, reward=-float(result.reward or 0)) for result in results]
    drawn = [{r.candidate for r in choose_finalists(x, Drawn(4))} for x in (results, turned)]
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == 4
    others = {
        frozenset(r.candidate for r in choose_finalists(results, Drawn(4, s))) for s in (1, 2, 3)
    }
    assert len(others) > 1
    with pytest.raises(ValueError, match="number is 0"):
        Drawn(0)


def test_finalists_share_a_recipe_and_the_winner_may_be_trained_for_longer(tmp_path):
    task = make_task(teacher=False)
    run_search(RandomSearch(SPACE, seed=1), task, candidates=2, out=tmp_path)
    long = LongTraining(2, 3, Recipe(label_smoothing=0.1))
    record = run_finalists(tmp_path, task, read_test, steps=long, top=2)
    assert record.attrs["examples_winner"] == 3 * 32
    assert record["examples"].values.tolist() == [2 * 32] * 2
    assert 0 <= record.attrs["test_top5_error"] <= 1 - record.attrs["test_accuracy"]
    assert "| test top-5 error |" in write_model_card(tmp_path)[0].read_text()
    winner = int(record.attrs["winner"])
    with Journal.read(tmp_path) as journal:
        known = journal.result(winner)
    job = Retraining(winner, known.architecture, known.seed, 3, True, recipe=long.recipe)
    _, weights = train_again(job, task)
    saved = torch.load(tmp_path / "finalists" / "winner_network.pt", weights_only=True)
    assert all(np.array_equal(saved[name], value) for name, value in weights.items())
    with pytest.raises(JournalError, match="finalists of other settings"):
        run_finalists(tmp_path, task, read_test, steps=LongTraining(2, 3), top=2)
