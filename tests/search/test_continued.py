"""Finalists that go on from the weights that their search kept."""

from __future__ import annotations

import json
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from brainguided.architectures import Architecture
from brainguided.candidates import Task, Training, evaluate, training
from brainguided.candidates.accuracy import compute_accuracy
from brainguided.candidates.after_search import train_again
from brainguided.candidates.images import ImageSet
from brainguided.candidates.retraining import Retraining
from brainguided.candidates.rungs import settle_batch_norm
from brainguided.candidates.seeds import draw_seeds
from brainguided.candidates.training import SGD, single_thread, train_network
from brainguided.candidates.weight_files import pack_arrays, unpack_arrays
from brainguided.controllers import RandomSearch
from brainguided.journal.attempts import Attempt
from brainguided.journal.journal import Journal, JournalError
from brainguided.networks.build import build_network
from brainguided.reports.model_card import write_model_card
from brainguided.search import Continued, _apart, run_finalists, run_search
from brainguided.search.continued import read_starts
from brainguided.spaces import small_space

SPACE = small_space(max_depth=2)


def make_images() -> ImageSet:
    generator = np.random.default_rng(0)
    labels = np.arange(60) % 3
    pictures = generator.integers(0, 100, (60, 8, 8, 3), dtype=np.uint8)
    pictures[labels == 1, :4] += 60
    pictures[labels == 2, :, :, 0] += 60
    return ImageSet(pictures[:44], labels[:44], pictures[44:], labels[44:], tuple("abc"), "made up")


def make_task(folder, schedule="constant", **settings) -> Task:
    sgd = SGD(schedule=schedule)
    how = Training(steps=6, rungs=(0, 4), batch_size=12, sgd=sgd)  # 44 images: not whole epochs
    kept = {"weights": folder, "exact_weights": True} | settings
    return Task(make_images(), None, how, **kept)


def read_test():
    images = make_images()
    return images.validation_images[::-1].copy(), images.validation_labels[::-1].copy()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    run_search(RandomSearch(SPACE, seed=1), make_task(out / "weights"), candidates=4, out=out)
    return out


@pytest.fixture
def copied(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    return tmp_path / "run", make_task(tmp_path / "run" / "weights")


@pytest.mark.parametrize(
    ("schedule", "batch_norm"), [("constant", "recomputed"), ("cosine", "running")]
)
def test_what_goes_on_is_bit_for_bit_what_was_never_interrupted(
    tmp_path, monkeypatch, schedule, batch_norm
):
    task = make_task(tmp_path / "weights", schedule, batch_norm=batch_norm)
    run_search(RandomSearch(SPACE, seed=1), task, candidates=2, out=tmp_path)
    record = run_finalists(tmp_path, task, read_test, steps=Continued(13), top=2)
    assert record["continued_from"].values.tolist() == [6, 6]
    assert record["exact"].values.tolist() == [1, 1]
    assert record.attrs["examples_finalists"] == 2 * 7 * 12
    assert record.attrs["examples_winner"] == 7 * 12
    find_rate = training._find_rate

    def find_both(how, step, first=0):
        if step < 6:
            return find_rate(task.training, step)
        return 0.05 * (1 + np.cos(np.pi * (step - 6) / 7)) / 2

    monkeypatch.setattr(training, "_find_rate", find_both)
    how, images = replace(task.training, steps=13, rungs=()), task.images
    for one in json.loads((tmp_path / "finalists" / "finalists.json").read_text())["finalists"]:
        assert (one["continued_from"], one["exact"]) == (6, True)
        with single_thread():
            network = build_network(
                Architecture.from_json(one["architecture"]), n_classes=3, seed=one["seed"]
            )
            train_network(
                network, images.train_images, images.train_labels, training=how, seed=one["seed"]
            )
            settle_batch_norm(network, task)
            found = compute_accuracy(network, images.validation_images, images.validation_labels)
        assert found == one["performance"]
        saved = torch.load(
            tmp_path / "finalists" / f"finalist_{one['candidate']}.pt", weights_only=True
        )
        for name, value in network.state_dict().items():
            assert torch.equal(saved[name], value), name


def test_to_go_on_from_the_untrained_network_is_to_begin_anew(tmp_path):
    architecture = SPACE.sample(3)
    task = replace(make_task(tmp_path), training=Training(steps=0, batch_size=12))
    evaluate(architecture, task, seed=5)
    job = Retraining(0, architecture.to_json(), 5, 4)
    expected = train_again(job, task)
    start = (tmp_path / "5_last.npz").read_bytes()
    found = train_again(replace(job, start=start), task)
    assert found[0] == expected[0]
    for name, value in expected[1].items():
        np.testing.assert_array_equal(found[1][name], value)


def test_what_was_stopped_early_goes_on_from_its_last_rung_with_its_first_seed(tmp_path):
    architecture, task = SPACE.sample(3), make_task(tmp_path, seeds=2)
    stopped = evaluate(architecture, task, seed=5, bars=[(4, 9.0)])
    assert stopped.measurement.steps == (0, 4)
    other = draw_seeds(5, 2)[1]
    assert {p.name for p in tmp_path.iterdir()} == {
        f"{seed}_{what}.npz" for seed in (5, other) for what in (0, 4, "last")
    }
    attempt = Attempt(
        7, 1, architecture.to_json(), architecture.key, 5, "done",
        measurement=stopped.measurement,
    )  # fmt: skip
    (start,) = read_starts([attempt], task, 9).values()
    assert (start.step, start.exact) == (4, True)
    assert start.content == (tmp_path / "5_last.npz").read_bytes()
    with pytest.raises(ValueError, match=r"steps is 4, but the search trained candidate 7 4 al"):
        read_starts([attempt], task, 4)
    arrays, note = unpack_arrays(start.content)
    assert note["seed"] == 5
    weights = {name: value for name, value in arrays.items() if not name.startswith("momentum")}
    assert len(arrays) > len(weights)
    with np.load(tmp_path / "5_4.npz") as half:  # numpy passes over the note
        assert set(half.files) == set(weights)
        assert all((half[name] == weights[name].astype(half[name].dtype)).all() for name in weights)


def test_weights_of_half_precision_are_gone_on_from_and_this_is_said(copied):
    out, task = copied
    for path in (out / "weights").glob("*_last.npz"):
        path.unlink()
    record = run_finalists(out, task, read_test, steps=Continued(9), top=2)
    assert record["exact"].values.tolist() == [0, 0]
    assert record["continued_from"].values.tolist() == [6, 6]
    text = write_model_card(out)[0].read_text()
    assert (
        "| training of the winner | to 9 steps, continued from step 6 of the search, half" in text
    )
    assert text.count("step 6, half precision weights without momentum") == 2
    assert "Chosen among 2 finalists" in text


def test_weights_that_cannot_be_gone_on_from_cost_their_finalist_only(
    copied, tmp_path, monkeypatch
):
    """And once they are there again, what was stopped goes on to the same end."""
    out, task = copied
    with Journal.read(out) as journal:
        results = journal.results()
    whole = {r.candidate: out / "weights" / f"{r.seed}_last.npz" for r in results}
    shutil.copytree(out, tmp_path / "whole")
    damaged, gone, others = (r.candidate for r in results[:3])
    content = bytearray(whole[damaged].read_bytes())
    content[len(content) // 2] ^= 1
    whole[damaged].write_bytes(content)
    whole[gone].unlink()
    (out / "weights" / f"{results[1].seed}_6.npz").unlink()
    shutil.copy(whole[results[3].candidate], whole[others])
    calls, train = [], _apart.train_again

    def train_and_stop(job, task):
        calls.append(job.candidate)
        if job.validation:
            raise KeyboardInterrupt
        return train(job, task)

    monkeypatch.setattr(_apart, "train_again", train_and_stop)
    with pytest.raises(KeyboardInterrupt):
        run_finalists(out, task, read_test, steps=Continued(9), top=4)
    monkeypatch.undo()
    assert calls == [results[3].candidate] * 2
    said = {k: json.loads((out / "finalists" / f"finalist_{k}.json").read_text()) for k in whole}
    assert f"{whole[damaged]} is damaged" in said[damaged]["reason"]
    assert "which is half precision" in said[damaged]["reason"]
    assert "does not exist" in said[gone]["reason"]
    assert "another training: architecture" in said[others]["reason"]
    assert said[damaged]["continued_from"] is None
    for path in (tmp_path / "whole" / "weights").iterdir():
        shutil.copy(path, out / "weights")
    record = run_finalists(out, task, read_test, steps=Continued(9), top=4, retry_failed=True)
    at = make_task(tmp_path / "whole" / "weights")
    expected = run_finalists(tmp_path / "whole", at, read_test, steps=Continued(9), top=4)
    assert record.identical(expected)
    shutil.rmtree(out / "weights")  # nothing needs them any more
    assert run_finalists(out, task, read_test, steps=Continued(9), top=4).identical(expected)


def test_weights_of_other_settings_or_of_none_are_refused_before_anything_begins(copied, tmp_path):
    out, task = copied
    with pytest.raises(ValueError, match=r"names no folder of weights.*exact_weights = true"):
        run_finalists(out, task.without_weights(), read_test, steps=Continued(9), top=2)
    with pytest.raises(ValueError, match="give more than 6"):
        run_finalists(out, task, read_test, steps=Continued(6), top=2)
    with pytest.raises(ValueError, match="steps is 0"):
        Continued(0)
    empty = replace(task, weights=tmp_path / "empty")
    with pytest.raises(RuntimeError, match=r"None of 2 finalists can go on.*Nothing was begun"):
        run_finalists(out, empty, read_test, steps=Continued(9), top=2)
    other = replace(task, training=replace(task.training, sgd=SGD(0.01, schedule="constant")))
    with Journal.read(out) as journal:
        starts = read_starts(journal.results(), other, 9)
    assert all("trained_by" in str(error) for error in starts.values())
    for path in (out / "weights").iterdir():  # as earlier versions wrote them
        path.write_bytes(pack_arrays(unpack_arrays(path.read_bytes())[0]))
    with pytest.raises(RuntimeError, match="does not say whose it is"):
        run_finalists(out, task, read_test, steps=Continued(9), top=2)
    assert not (out / "finalists").exists()
    with pytest.raises(ValueError, match="no folder of weights: name one"):
        replace(task, weights=None)


def test_finalists_that_went_on_are_not_mixed_with_new_ones(copied):
    out, task = copied
    run_finalists(out, task, read_test, steps=9, top=1)
    assert "continued_from" not in run_finalists(out, task, read_test, steps=9, top=1)
    assert "continued" not in write_model_card(out)[0].read_text()
    with pytest.raises(JournalError, match="finalists of other settings"):
        run_finalists(out, task, read_test, steps=Continued(9), top=1)


def test_the_winner_goes_on_from_the_weights_that_it_won_with(copied, monkeypatch):
    out, task = copied
    train = _apart.train_again

    def stop_at_winner(job, task):
        if job.validation:
            raise KeyboardInterrupt
        return train(job, task)

    monkeypatch.setattr(_apart, "train_again", stop_at_winner)
    with pytest.raises(KeyboardInterrupt):
        run_finalists(out, task, read_test, steps=Continued(9), top=1)
    monkeypatch.undo()
    for path in (out / "weights").glob("*_last.npz"):
        path.unlink()
    with pytest.raises(RuntimeError, match="not those that it went on from as a finalist"):
        run_finalists(out, task, read_test, steps=Continued(9), top=1)


def test_weights_travel_with_the_training_to_whatever_process(copied):
    out, task = copied
    with Journal.read(out) as journal:
        one = journal.results()[0]
    start = (out / "weights" / f"{one.seed}_last.npz").read_bytes()
    job = Retraining(0, one.architecture, one.seed, 9, start=start)
    assert pickle.loads(pickle.dumps(job)).start == start
    elsewhere = replace(task, weights="/nowhere")
    with ThreadPoolExecutor(1) as pool:
        ((_, found),) = _apart.train_apart([job], elsewhere, pool)
    expected = train_again(job, task)
    assert found[0] == expected[0]
    for name, value in expected[1].items():
        np.testing.assert_array_equal(found[1][name], value)
