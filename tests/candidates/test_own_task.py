"""Tasks of the user's own: one file that alone knows of them."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from brainguided.architectures import ConvLayer, PlainArchitecture
from brainguided.candidates import OwnTask, load_own_task
from brainguided.candidates.accuracy import compute_performance
from brainguided.candidates.evaluation import Task, evaluate, train_candidate
from brainguided.candidates.goal import CLASSIFICATION, as_labels
from brainguided.candidates.own_task import build_candidate
from brainguided.candidates.training import DivergedError, Training
from brainguided.commands.searches import finalists, search
from brainguided.journal.chance import find_chance
from brainguided.journal.journal import Journal, JournalError
from brainguided.networks.build import build_network
from brainguided.search.check import _check_layers, check_search
from brainguided.settings.run_file import load_run
from brainguided.settings.toml import RunFileError

EXAMPLES = Path(__file__).resolve().parents[2] / "notebooks" / "tasks"
TINY = PlainArchitecture((ConvLayer(3, 3, 8, stride=2), ConvLayer(3, 3, 8)))
SMALL = {"n_train": 256, "n_validation": 64}


@pytest.fixture(scope="module")
def segmentation() -> Task:
    own, images = load_own_task(EXAMPLES / "segmentation.py", settings=SMALL)
    return Task(images, None, Training(steps=20, batch_size=32), own=own)


def write_task(folder: Path, text: str) -> Path:
    path = folder / "mine.py"
    path.write_text(text)
    return path


IMAGES = """
import numpy as np
from brainguided import ImageSet

def load_images(n_train=40):
    images = np.random.default_rng(0).integers(0, 256, (n_train, 8, 8, 3), dtype=np.uint8)
    labels = images[:, 0, 0].astype(np.float32) / 255
    return ImageSet(images, labels, images[:16], labels[:16], ("r", "g", "b"), "noise")
"""
REGRESSION = """
PERFORMANCE = "explained variance"

def loss(outputs, labels):
    return ((outputs - labels) ** 2).mean()

def tally(outputs, labels):
    return np.array([float(((outputs - labels) ** 2).mean()) * len(labels), len(labels)])

def performance(total):
    return 1 - total[0] / total[1] * 12

def chance(labels):
    return 0.0
"""


@pytest.mark.slow
def test_a_segmented_search_runs_from_its_run_file_with_tg_and_finalists(tmp_path, capsys) -> None:
    check_example(tmp_path, "segmentation", 1 / 9, "mean intersection over union")


@pytest.mark.slow
def test_a_search_of_one_channel_runs_from_its_run_file_with_tg_and_finalists(
    tmp_path, capsys
) -> None:
    check_example(tmp_path, "grey", 0.25, "accuracy")


def check_example(folder: Path, name: str, most: float, said: str) -> None:
    """Search, resume, report, train finalists and test, all from the files of the example."""
    shutil.copy(EXAMPLES / f"{name}.py", folder)
    text = (EXAMPLES / f"{name}.toml").read_text()
    for before, after in (
        ("candidates = 24", "candidates = 2"),
        ("max_depth = 10", "max_depth = 2"),
        ("steps = 400", "steps = 3"),
        ("n_train = 6400", "n_train = 128"),
        ("n_train = 2000", "n_train = 128"),
        ("n_validation = 640", "n_validation = 64"),
        ("n_validation = 400", "n_validation = 64"),
    ):
        text = text.replace(before, after)
    (folder / "RUN.toml").write_text(text)
    one = ("--workers", "1")
    run_command(search, ["search", str(folder / "RUN.toml"), "--out", str(folder / "run"), *one])
    with Journal.read(folder / "run") as journal:
        config, results = journal.config, journal.results()
    assert [one.outcome for one in results] == ["done", "done"]
    assert all(0 <= one.performance <= 1 and -1 <= one.guidance <= 1 for one in results)
    assert 0 < find_chance(config) <= most
    assert f"validation {said}" in (folder / "run" / "report.html").read_text()
    run_command(finalists, ["finalists", str(folder / "run"), "--steps", "3", "--top", "2", *one])
    found = json.loads((folder / "run" / "finalists" / "finalists.json").read_text())
    assert 0 <= found["test_accuracy"] <= 1
    assert f"| test {said} |" in (folder / "run" / "finalists" / "MODEL_CARD.md").read_text()
    run_command(finalists, ["finalists", str(folder / "run"), "--steps", "3", "--top", "2", *one])
    with (folder / f"{name}.py").open("a") as file:
        file.write("# changed\n")
    with pytest.raises(JournalError, match="sha256"):
        run_command(
            search, ["search", str(folder / "RUN.toml"), "--out", str(folder / "run"), *one]
        )


def run_command(verb, arguments: list[str]) -> None:
    from brainguided.__main__ import build_parser

    verb(build_parser().parse_args(arguments))


def test_segmentation_is_learnt_above_chance(segmentation) -> None:
    layers = (ConvLayer(3, 3, 16, stride=2), ConvLayer(3, 3, 16), ConvLayer(3, 3, 24, stride=2))
    task = replace(segmentation, training=Training(steps=300, batch_size=32))
    network = train_candidate(PlainArchitecture(layers), task, seed=0).eval()
    images = task.images
    found, _ = compute_performance(
        network, images.train_images, images.train_labels, goal=task.goal
    )
    assert found > 1.2 * task.own.chance


def test_intersection_over_union_is_that_of_three_lines_of_numpy(segmentation) -> None:
    generator = np.random.default_rng(0)
    truth, given = generator.integers(0, 9, (2, 5, 6, 6))
    outputs = torch.from_numpy(np.eye(9)[given]).movedim(-1, 1).float()
    goal = segmentation.goal
    total = sum(
        goal.tally(outputs[k : k + 1], torch.from_numpy(truth[k : k + 1])) for k in range(5)
    )
    expected = np.mean([
        ((truth == k) & (given == k)).sum() / ((truth == k) | (given == k)).sum() for k in range(9)
    ])  # fmt: skip
    assert goal.performance(total) == pytest.approx(expected)
    labels = segmentation.images.validation_labels
    background = torch.zeros(len(labels), 9, *labels.shape[1:])
    background[:, 0] = 1
    guessed = goal.performance(goal.tally(background, torch.from_numpy(labels)))
    assert guessed == pytest.approx(segmentation.own.chance)


def test_an_adapted_network_has_the_weights_and_layers_of_the_plain_one(segmentation) -> None:
    plain = build_network(TINY, n_classes=9, seed=3)
    network = build_candidate(TINY, segmentation, seed=3)
    assert plain.observed_layers == network.observed_layers
    for (name, value), (same, other) in zip(
        plain.state_dict().items(), network.state_dict().items(), strict=True
    ):
        assert name == same
        assert torch.equal(value, other)
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():  # the classifier is linear, so that the mean of places is that of means
        logits = network.eval()(images)
        assert logits.shape[:2] == (2, 9)
        torch.testing.assert_close(logits.mean((2, 3)), plain.eval()(images))


def test_a_task_travels_to_workers_and_gives_the_same_there(segmentation) -> None:
    sent = pickle.loads(pickle.dumps(segmentation))
    expected = evaluate(TINY, segmentation, seed=1)
    assert expected.outcome == "done"
    assert evaluate(TINY, sent, seed=1).measurement == expected.measurement
    assert sent.describe() == segmentation.describe()
    assert segmentation.describe()["own"]["performance"] == "mean intersection over union"


def test_labels_may_be_numbers_that_are_predicted(tmp_path) -> None:
    own, images = load_own_task(write_task(tmp_path, IMAGES + REGRESSION))
    task = Task(images, None, Training(steps=4, batch_size=8), own=own)
    check_search(task, here=True)
    found = evaluate(TINY, task, seed=0)
    assert found.outcome == "done"
    network = train_candidate(TINY, task, seed=0).eval()
    with torch.no_grad():
        inputs = torch.from_numpy(images.validation_images).movedim(-1, 1) / 127.5 - 1
        error = ((network(inputs) - torch.from_numpy(images.validation_labels)) ** 2).mean()
    assert found.measurement.rung().cross_entropy == pytest.approx(float(error), rel=1e-3)


@pytest.mark.parametrize("named", ["mine.py", "./mine.py", "tasks/../mine.py"])
def test_a_file_finds_what_lies_beside_it_however_it_is_named(tmp_path, named) -> None:
    (tmp_path / "tasks").mkdir()
    said = "from pathlib import Path\nSAID = (Path(__file__).parent / 'beside').read_text()"
    write_task(tmp_path, IMAGES + said)
    (tmp_path / "beside").write_text("here")
    (tmp_path / "RUN.toml").write_text(
        f'candidates = 2\n[task]\nfile = "{named}"\nsteps = 2\nbatch_size = 8\n'
    )
    own = load_run(tmp_path / "RUN.toml").task.own
    assert own.names["SAID"] == "here"
    assert own.describe()["file"] == named


OF_WEIGHTS = """
import torch
from torch.nn.functional import cross_entropy
WEIGHTS = torch.tensor([1.0, 2.0, 3.0])

def loss(outputs, labels):
    return cross_entropy(outputs, labels, weight=WEIGHTS)
"""


def test_a_loss_with_weights_of_classes_is_given_what_it_is_given_in_training(tmp_path) -> None:
    text = IMAGES.replace("images[:, 0, 0].astype(np.float32) / 255", "images[:, 0, 0].argmax(1)")
    own, images = load_own_task(write_task(tmp_path, text + OF_WEIGHTS))
    task = Task(images, None, Training(steps=4, batch_size=8), own=own)
    found = evaluate(TINY, task, seed=0)
    assert (found.outcome, found.reason) == ("done", "")


def test_a_loss_that_is_no_number_on_validation_images_is_a_failure_by_name(tmp_path) -> None:
    own, images = load_own_task(write_task(tmp_path, IMAGES + REGRESSION))
    undefined = np.full_like(images.validation_labels, np.nan)
    goal = replace(own.goal, tally=lambda outputs, labels: np.ones(2))
    with pytest.raises(DivergedError, match="the loss nan"):
        compute_performance(
            build_network(TINY, n_classes=3, seed=0), images.validation_images, undefined, goal=goal
        )


def test_validation_labels_of_another_kind_are_refused_as_well(tmp_path) -> None:
    _, images = load_own_task(write_task(tmp_path, IMAGES))
    images = replace(images, train_labels=np.arange(40) % 3)
    with pytest.raises(ValueError, match=r"labels are float32 \(16, 3\)"):
        Task(images, None, Training(steps=4, batch_size=8))


@pytest.mark.parametrize("kind", ["uint8", "int32", "int64"])
def test_cross_entropy_of_maps_is_a_mean_whatever_integers_they_are(tmp_path, kind) -> None:
    labels = np.random.default_rng(0).integers(0, 9, (6, 4, 4)).astype(kind)
    outputs = torch.randn(6, 9, 4, 4, generator=torch.Generator().manual_seed(0))
    truth = as_labels(labels, torch.device("cpu"))
    mean = CLASSIFICATION.loss(outputs, truth)  # as training has it
    assert CLASSIFICATION.sum_loss(outputs, truth) / 6 == pytest.approx(float(mean))


def test_a_number_is_predicted_with_one_output(tmp_path) -> None:
    text = IMAGES.replace('("r", "g", "b")', '("redness",)').replace("[:, 0, 0]", "[:, 0, 0, :1]")
    own, images = load_own_task(write_task(tmp_path, text + REGRESSION))
    task = Task(images, None, Training(steps=4, batch_size=8), own=own)
    assert evaluate(TINY, task, seed=0).outcome == "done"
    with pytest.raises(ValueError, match="a classification task needs two"):
        replace(images, train_labels=np.zeros(40, int), validation_labels=np.zeros(16, int))


def test_labels_of_another_kind_want_a_task_of_ones_own(segmentation) -> None:
    with pytest.raises(ValueError, match="expected the number of a class for each image"):
        replace(segmentation, own=None)
    source = segmentation.own.source.replace("def augment", "def other")
    with pytest.raises(ValueError, match="augment moves images and not their labels"):
        replace(segmentation, own=OwnTask("mine.py", source))
    with pytest.raises(ValueError, match="gradient_norm is of classification"):
        replace(segmentation, rivals=("gradient_norm",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = ", r"mine.py cannot be run \(SyntaxError"),
        ("loss = 3", r"loss is no function[\s\S]*load_images is missing"),
        (IMAGES + "def tally(a, b): pass", "tally want PERFORMANCE, chance, performance beside"),
        ("def load_images(): return 3", "returned int; expected a brainguided.ImageSet"),
        ("def load_images(): return 1 / 0", r"failed \(ZeroDivisionError"),
        (IMAGES + REGRESSION.replace("0.0", "'x'"), r"chance of .* failed \(ValueError"),
    ],
)
def test_a_file_that_is_no_task_is_refused(tmp_path, text, message) -> None:
    with pytest.raises(ValueError, match=message):
        load_own_task(write_task(tmp_path, text))


def test_a_file_that_fails_on_outputs_is_refused_before_the_search(tmp_path) -> None:
    text = IMAGES + REGRESSION.replace("outputs - labels", "outputs - labelled")
    write_task(tmp_path, text)
    (tmp_path / "RUN.toml").write_text(
        'candidates = 2\n[task]\nfile = "mine.py"\nn_train = 24\nsteps = 2\nbatch_size = 8\n'
    )
    run = load_run(tmp_path / "RUN.toml")
    assert len(run.task.images.train_images) == 24
    from brainguided.search.check import Plan

    with pytest.raises(ValueError, match=r"mine\.py: NameError: name 'labelled'"):
        check_search(run.task, here=True, plan=Plan(run.controller))
    with pytest.raises(ValueError, match="has no test images: define load_test_images"):
        run.check_test()


@pytest.mark.parametrize("does", ["network.head = 1 / 0", "del network.state_dict"])
def test_a_failing_adapt_is_said_to_be_of_the_file_before_the_search(tmp_path, does) -> None:
    text = IMAGES + REGRESSION + f"def adapt(network):\n    {does}\n"
    own, images = load_own_task(write_task(tmp_path, text))
    task = Task(images, None, Training(steps=4, batch_size=8), own=own)
    problems = _check_layers(TINY, task)
    assert len(problems) == 1
    assert problems[0].startswith("mine.py: ")


def test_weights_keep_their_names_when_a_network_is_adapted(tmp_path) -> None:
    text = IMAGES + REGRESSION
    text += "def adapt(network):\n    import torch\n    network.more = torch.nn.Linear(2, 2)\n"
    own, images = load_own_task(write_task(tmp_path, text))
    task = Task(images, None, Training(steps=4, batch_size=8), own=own)
    with pytest.raises(ValueError, match=r"changes names or shapes of weights .more.bias"):
        build_candidate(TINY, task, seed=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('file = "none.py"\n', "none.py does not exist"),
        ('file = "mine.py"\nimages = "objects"\n', "file and images do not go together"),
        ('file = "mine.py"\n[screen]\nstatistic = "gradient_norm"\n', "is of classification"),
    ],
)
def test_a_run_file_that_cannot_be_meant_is_refused(tmp_path, text, message) -> None:
    write_task(tmp_path, IMAGES)
    (tmp_path / "RUN.toml").write_text(f"candidates = 2\n[task]\n{text}")
    with pytest.raises(RunFileError, match=message):
        load_run(tmp_path / "RUN.toml")
