"""Searches that screen their proposals: stopped and resumed, and in run files."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from brainguided import Batch, RandomSearch, RegularizedEvolution, Schedule, run_search
from brainguided.candidates.evaluation import Evaluation
from brainguided.controllers import Controller
from brainguided.controllers.screen import Screen
from brainguided.journal.journal import Journal, JournalError
from brainguided.settings.run_file import RunFileError, load_run
from brainguided.spaces import nasbench201_space

SPACE = nasbench201_space(n_cells=1, filters=4)
TASK = SimpleNamespace(teacher=None, describe=dict)


class Stopped(BaseException):
    pass


def _search(out: Path, make: type[Controller], *, stop: int = 10**6, of: int = 5) -> list[str]:
    controller = make(SPACE, seed=2)
    controller.screen = Screen(of=of)
    made = 0

    def evaluate(architecture, task, *, seed):  # type: ignore[no-untyped-def]
        nonlocal made
        made += 1
        if made > stop:
            raise Stopped
        reward = -abs(architecture.count_parameters(10) - 9000) / 1000
        return Evaluation(architecture, seed, "done", reward=reward, performance=0.5)

    run_search(
        controller,
        TASK,
        candidates=44,
        out=out,
        schedule=Schedule(Batch(4)),
        evaluate=evaluate,
    )
    with Journal.read(out) as journal:
        return [result.architecture for result in journal.results()]


@pytest.mark.parametrize("make", [RandomSearch, RegularizedEvolution])
def test_a_screened_search_that_was_stopped_goes_on_as_if_it_had_not_been(
    make: type[Controller], tmp_path: Path
) -> None:
    whole = _search(tmp_path / "whole", make)
    for stop in (9, 21):
        with pytest.raises(Stopped):
            _search(tmp_path / "stopped", make, stop=stop)
    assert _search(tmp_path / "stopped", make) == whole
    with pytest.raises(JournalError, match="screen"):
        _search(tmp_path / "stopped", make, of=6)


def _load(folder: Path, screen: str):  # type: ignore[no-untyped-def]
    text = (
        f'candidates = 8\n[space]\npreset = "small"\n[screen]\n{screen}\n'
        "[task]\nn_train = 64\nn_validation = 64\nsteps = 1\nbatch_size = 16\n"
    )
    (folder / "RUN.toml").write_text(text, encoding="utf-8")
    return load_run(folder / "RUN.toml")


def test_a_run_file_screens(tmp_path: Path) -> None:
    screen = _load(tmp_path, 'statistic = "synflow"\nof = 3').controller.screen
    assert (screen.statistic, screen.of, screen.n_classes) == ("synflow", 3, 8)
    assert screen.images.image_size == screen.image_size == 32


@pytest.mark.parametrize(
    ("screen", "message"),
    [
        ('statistic = "graph"\nof = 1', r"(?s)\[screen\] statistic is 'graph'.*\[screen\] of is 1"),
        ("number = 3", r"\[screen\]"),
    ],
)
def test_screens_of_run_files_are_checked(tmp_path: Path, screen: str, message: str) -> None:
    with pytest.raises(RunFileError, match=message):
        _load(tmp_path, screen)
