"""A search whose driver has no such device as its candidates are trained on."""

from __future__ import annotations

import re
from concurrent.futures import BrokenExecutor, Executor, ThreadPoolExecutor

import numpy as np
import pytest
import torch
from simulated_card import DEVICE, SimulatedCard, on_card

from brainguided.candidates import Task, Training, images_from_stimuli
from brainguided.candidates.after_search import train_again
from brainguided.candidates.retraining import Retraining
from brainguided.controllers import RandomSearch
from brainguided.correspondence import Inference
from brainguided.guidance import Teacher
from brainguided.journal.journal import Journal
from brainguided.reports.page import write_report
from brainguided.search import _apart, finalists, run_finalists, run_search, save_winner
from brainguided.spaces import small_space
from neural_data.simulation.objects import simulate_objects
from neural_data.simulation.simulate import simulate_macaque
from neural_data.storage.netcdf import open_netcdf


class Elsewhere(Executor):
    """Machine with a card, as a thread: its modes are its own."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self.card = SimulatedCard()
        self.lost = 0  # submissions that are lost

    def submit(self, fn, /, *args, **kwargs):
        if self.lost:
            self.lost -= 1
            return self._thread.submit(_raise)
        return self._thread.submit(self._run, fn, args, kwargs)

    def _run(self, fn, args, kwargs):
        with self.card:
            return fn(*args, **kwargs)

    def shutdown(self, wait=True, *, cancel_futures=False):
        self._thread.shutdown(wait, cancel_futures=cancel_futures)


def _raise():
    raise BrokenExecutor("the worker is gone")


@pytest.fixture
def images():
    return images_from_stimuli(simulate_objects(2, seed=1), simulate_objects(1, seed=2))


@pytest.fixture
def no_card_here(monkeypatch):
    from brainguided.candidates import after_search, training

    kind = DEVICE.type
    monkeypatch.setattr(training, "_DEVICE", re.compile(f"cpu|{kind}"))
    monkeypatch.setattr(
        after_search, "find_device_problem", lambda device: "none" if device == kind else ""
    )


def test_a_driver_without_a_card_ends_with_winner_finalists_and_report(
    tmp_path, images, no_card_here, monkeypatch
):
    monkeypatch.setattr(finalists, "_INFERENCE", Inference(draws=10, permutations=10, splits=10))
    teacher = Teacher.from_recording(*simulate_macaque(repetitions=4, seed=0), by="object_name")
    here = Task(images, teacher, Training(steps=2, batch_size=32))
    task = Task(images, teacher, on_card(here.training))
    stimuli = simulate_objects(1, seed=3)
    labels = np.array([images.classes.index(str(c)) for c in stimuli["category"].values])
    with Elsewhere() as there:
        run_search(
            RandomSearch(small_space(max_depth=2), seed=1), task, candidates=2, out=tmp_path,
            executor=there,
        )  # fmt: skip
        save_winner(tmp_path, task, executor=there)
        page = write_report(tmp_path)[-1]
        there.lost = 2
        record = run_finalists(
            tmp_path, task, lambda: (stimuli["image"].values, labels), steps=3, top=1,
            executor=there,
        )  # fmt: skip
    assert "aten.convolution.default" in there.card.there
    assert "aten.convolution.default" not in there.card.here
    assert {"rdms.png", "winner.pt"} <= {path.name for path in tmp_path.iterdir()}
    assert "were not saved" not in page.read_text()
    assert 0 <= record.attrs["test_accuracy"] <= 1
    with Journal.read(tmp_path) as journal:
        winner = journal.result(record.attrs["winner"])
    job = Retraining(0, winner.architecture, winner.seed, 3, validation=True)
    _, weights = train_again(job, here)
    saved = torch.load(tmp_path / "finalists" / "winner_network.pt", weights_only=True)
    for name, value in weights.items():
        np.testing.assert_array_equal(saved[name], value)
    found = open_netcdf(tmp_path / "finalists" / "correspondence_long.nc")
    assert np.isfinite(found["ceiling"].values).all(), "the driver has the recordings"


def test_a_training_that_is_lost_three_times_fails_with_the_reason(images, monkeypatch):
    task = Task(images, None, Training(steps=1, batch_size=32))
    architecture = RandomSearch(small_space(max_depth=2), seed=1).ask(1)[0].to_json()
    jobs = [Retraining(k, architecture, k, 1) for k in range(2)]
    with Elsewhere() as there:
        there.lost = 4
        found = {job.candidate: value for job, value in _apart.train_apart(jobs, task, there)}
    assert sum(isinstance(value, BrokenExecutor) for value in found.values()) <= 1
    with Elsewhere() as there:
        there.lost = 3
        ((_, found),) = _apart.train_apart(jobs[:1], task, there)
    assert isinstance(found, BrokenExecutor)


def test_what_nothing_is_heard_of_is_named(images, monkeypatch, caplog):
    monkeypatch.setattr(_apart, "_PATIENCE", 0.0)
    task = Task(images, None, Training(steps=1, batch_size=32))
    architecture = RandomSearch(small_space(max_depth=2), seed=1).ask(1)[0].to_json()
    with Elsewhere() as there, caplog.at_level("INFO", "brainguided"):
        list(_apart.train_apart([Retraining(7, architecture, 0, 1)], task, there))
    assert "Waiting for candidate 7 " in caplog.text


def test_recordings_stay_in_the_process_that_has_them(images):
    import pickle

    teacher = Teacher.from_recording(*simulate_macaque(seed=0), by="object_name")
    task = Task(images, teacher)
    assert task.recorded_teacher is teacher
    assert all(target.recording is None for target in task.teacher)
    sent = pickle.loads(pickle.dumps(task))
    assert all(target.recording is None for target in sent.recorded_teacher)
    assert len(pickle.dumps(task)) < 2 * len(pickle.dumps(task.teacher)) + len(pickle.dumps(images))
