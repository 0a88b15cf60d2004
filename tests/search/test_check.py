"""What can be known before the first candidate is said before it."""

from __future__ import annotations

import shutil
from collections import namedtuple
from dataclasses import replace

import pytest

from brainguided.__main__ import main
from brainguided.candidates import Task, Training, images_from_stimuli
from brainguided.controllers import Limits, RandomSearch
from brainguided.search import Plan, check_search, run_search
from brainguided.settings.run_file import load_run
from brainguided.spaces import pnas_space, small_space
from neural_data.simulation.objects import simulate_objects

RUN = "[task]\nsteps = 1\nn_train = 128\nn_validation = 64\nbatch_size = 64\n"


@pytest.fixture(scope="module")
def images():
    return images_from_stimuli(simulate_objects(2, seed=1), simulate_objects(1, seed=2))


def test_a_device_that_is_not_there_ends_a_search_before_it_begins(tmp_path, images, monkeypatch):
    """And the cause can be corrected: nothing was recorded that would stand in the way."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    short = Training(steps=1, batch_size=8)
    controller = RandomSearch(small_space(max_depth=2), seed=0)
    settings = {"candidates": 2, "out": tmp_path / "run"}
    with pytest.raises(ValueError, match=r"The device is 'cuda', but torch .* sees no CUDA device"):
        run_search(controller, Task(images, None, replace(short, device="cuda")), **settings)
    assert not (tmp_path / "run").exists()
    run = run_search(controller, Task(images, None, short), **settings)
    assert run["outcome"].values.tolist() == ["done", "done"]
    # Elsewhere there may be such a device
    check_search(Task(images, None, replace(short, device="cuda")), here=False)


def test_all_problems_are_said_at_once(tmp_path, images, monkeypatch):
    usage = namedtuple("usage", "total used free")(1, 1, 5 * 2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    some = images.train_labels != 3
    few = replace(
        images, train_images=images.train_images[some], train_labels=images.train_labels[some]
    )
    with pytest.raises(ValueError) as caught:
        check_search(Task(few, None, Training(batch_size=4096)), out=tmp_path / "new", here=True)
    for part in ("fewer than one batch of 4096", "1 of 8 classes", "has 5 MiB left"):
        assert part in str(caught.value)


def test_layers_that_no_network_of_the_space_has_are_refused(images):
    plan = Plan(RandomSearch(small_space(max_depth=2), seed=0))
    task = Task(images, None, Training(steps=1, batch_size=8), layers=("stem",))
    with pytest.raises(ValueError, match=r"\[task\] layers: The network has no layer of \['stem'"):
        check_search(task, here=True, plan=plan)
    check_search(replace(task, layers=("stem", "layer1")), here=True, plan=plan)


def test_the_command_checks_and_stops(tmp_path, capsys):
    file = tmp_path / "RUN.toml"
    file.write_text("candidates = 3\n" + RUN)
    assert main(["search", str(file), "--check"]) == 0
    assert "a search of 3 candidates can begin" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["RUN.toml"]
    assert main(["search", str(file)]) == 1
    assert "give --out DIR" in capsys.readouterr().err
    file.write_text("candidates = 3\n" + RUN.replace("batch_size = 64", "batch_size = 640"))
    assert main(["search", str(file), "--check"]) == 1
    assert "fewer than one batch of 640" in capsys.readouterr().err


def test_limits_that_leave_nothing_are_said_with_the_smallest_there_is(tmp_path, images):
    limits = Limits(max_parameters=10, n_classes=8)
    controller = RandomSearch(small_space(max_depth=2), seed=0, limits=limits)
    task = Task(images, None, Training(steps=1, batch_size=8))
    with pytest.raises(ValueError, match=r"the smallest have [\d,]+ parameters and"):
        check_search(task, here=True, plan=Plan(controller))
    with pytest.raises(ValueError, match="is within the limits"):
        run_search(controller, task, candidates=2, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    roomy = replace(limits, max_parameters=10**7)
    allowed = RandomSearch(small_space(max_depth=2), seed=0, limits=roomy)
    check_search(task, here=True, plan=Plan(allowed))


def test_a_process_that_may_not_even_hold_the_images_is_refused(images):
    task = Task(images, None, Training(steps=1, batch_size=8))
    with pytest.raises(ValueError, match=r"Processes may hold 0\.10 GiB, but images, teacher"):
        check_search(task, here=True, plan=Plan(memory=round(0.1 * 2**30)))
    check_search(task, here=True, plan=Plan(memory=2**31))


def test_networks_of_all_seeds_that_may_not_fit_into_a_process_are_warned_of(images, caplog):
    controller = RandomSearch(pnas_space(n_blocks=1, n_cells=1, filters=1024), seed=0)
    plan = Plan(controller, memory=round(1.5 * 2**30))
    task = Task(images, None, Training(steps=1, batch_size=8))
    check_search(task, here=True, plan=plan)
    assert not caplog.records
    check_search(replace(task, seeds=40), here=True, plan=plan)  # smaller ones may be there
    assert "the smallest of 50 networks drawn from the space with 40 seeds" in caplog.text


def test_it_is_said_where_weights_are_kept_when_others_train(tmp_path, images, caplog):
    task = Task(images, None, Training(steps=1, batch_size=8), weights=tmp_path / "weights")
    check_search(task, here=True)
    assert not caplog.records
    check_search(task, here=False)
    said = f"kept on the machines that train, there in {tmp_path / 'weights'} or, by 'brainguided"
    assert said in caplog.text


def test_the_command_says_what_stands_in_a_folder(tmp_path, capsys):
    """Before the data are touched: another search, fewer candidates, files of something else."""
    file, out = tmp_path / "RUN.toml", tmp_path / "run"
    file.write_text("candidates = 2\n[space]\nmax_depth = 2\n" + RUN)
    check = ["search", str(file), "--out", str(out), "--check"]
    out.mkdir()
    (out / "run.csv").write_text("mine")
    assert main(check) == 1
    assert "holds run.csv but no journal.db" in capsys.readouterr().err
    (out / "run.csv").unlink()
    run = load_run(file)
    run_search(run.controller, run.task, candidates=2, out=out)
    assert main(check) == 0
    file.write_text(file.read_text().replace("candidates = 2", "candidates = 1"))
    assert main(check) == 1
    assert "already holds 2 candidates, 1 were asked for" in capsys.readouterr().err
    file.write_text(file.read_text().replace("steps = 1", "steps = 2"))
    assert main(check) == 1
    said = capsys.readouterr().err
    assert "holds another search" in said
    assert "task.training.steps: 1 in the journal, 2 now" in said
