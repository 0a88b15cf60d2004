"""The figures and the page of a run, made from the run folder alone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from brainguided.__main__ import main
from brainguided.controllers.random_search import RandomSearch
from brainguided.journal.confirmed import find_winner
from brainguided.journal.journal import Journal, JournalError
from brainguided.reports.page import write_report
from brainguided.reports.summary import describe_winner
from brainguided.search.orders import Batch, Schedule
from brainguided.search.run import run_search
from brainguided.spaces import pnas_space, small_space
from neural_data.model.dissimilarities import save_dissimilarities

AREAS = ("V4", "IT")
FIGURES = ["search.png", "architecture.png", "correspondence.png", "rdms.png", "report.html"]


class Task:
    def __init__(
        self, source: str = "macaque <seed 0>", *, teacher: bool = True, simulated: bool = True
    ) -> None:
        self.source, self.teacher, self.simulated = source, teacher, simulated

    def describe(self) -> dict[str, Any]:
        flag = {"simulated": True} if self.simulated else {}
        areas = [{"area": area, "source": self.source, **flag} for area in AREAS]
        return {
            "images": {"source": "built-in objects", "image_size": 32},
            "teacher": areas if self.teacher else None,
            "alpha": 1.0,
        }


def matrices(layers: int, seed: int) -> np.ndarray:
    """RDMs of a teacher and of layers that resemble it the more the deeper they are."""
    rng = np.random.default_rng(seed)
    groups = np.arange(24) % 4
    patterns = [rng.normal(size=(4, 40))[groups] + rng.normal(size=(24, 40))]
    for layer in range(layers):
        share = (layer + 1) / (layers + 2)
        patterns.append(share * patterns[0] + (1 - share) * rng.normal(size=(24, 40)))
    out = np.stack([1 - np.corrcoef(p) for p in patterns])
    for matrix in out:
        np.fill_diagonal(matrix, 0)
    return (out + out.transpose(0, 2, 1)) / 2


def earn(architecture: Any, task: Task, *, seed: int) -> SimpleNamespace:
    """What an evaluation would hold; every fourth depth fails."""
    upper = np.triu_indices(24, 1)
    similarity = {}
    for number, area in enumerate(AREAS):
        rdms = matrices(architecture.depth, number)
        r = [float(np.corrcoef(rdms[0][upper], m[upper])[0, 1]) for m in rdms[1:]]
        similarity[area] = {f"layer{k + 1}": value for k, value in enumerate(r)}
    failed = architecture.depth == 4
    guidance = float(np.mean([max(values.values()) for values in similarity.values()]))
    performance = 0.1 + architecture.depth / 100
    return SimpleNamespace(
        outcome="failed" if failed else "done",
        reason="nan" if failed else "",
        performance=None if failed else performance,
        guidance=None if failed or not task.teacher else guidance,
        reward=None if failed else performance + guidance,
        similarity=similarity if task.teacher and not failed else {},
        history=(),
        n_parameters=1000,
        examples=2560,
    )


def save_winner_rdms(
    folder: Path, depth: int, *, shift: int = 0, note: dict[str, Any] | None = None
) -> None:
    labels = [f"im{k:02d}" for k in range(24)]
    for number, area in enumerate(AREAS):
        names = [f"{area} (teacher)", *(f"layer{k + 1}" for k in range(depth))]
        data = xr.Dataset(
            {
                "dissimilarity": (
                    ("area", "stimulus", "other_stimulus"),
                    matrices(depth, number + shift),
                    {"units": "1 - Pearson r"},
                )
            },
            coords={
                "area": names,
                "stimulus": labels,
                "other_stimulus": labels,
                "category": ("stimulus", [f"kind {k % 4}" for k in range(24)]),
            },
            attrs={"source": "a model", "simulated": 1, **(note or {})},
        )
        save_dissimilarities(data, folder / f"winner_rdms_{area}.nc")


def search(folder: Path, task: Task | None = None) -> int:
    """Run a search of invented candidates; returns the depth of the winner."""
    controller = RandomSearch(small_space(10), seed=2)
    run_search(
        controller,
        task or Task(),
        candidates=16,
        out=folder,
        schedule=Schedule(Batch(4)),
        evaluate=earn,
    )
    winner = json.loads((folder / "winner.json").read_text(encoding="utf-8"))
    return len(winner["architecture"]["layers"])


@pytest.fixture(autouse=True)
def fewer_files(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out SVG and PDF, which take seconds, where no test is of them."""
    if "vectors" not in request.fixturenames:
        monkeypatch.setattr("brainguided.reports.page.write_vectors", lambda *_: None)


@pytest.fixture
def vectors() -> None:
    """Files for papers are wanted."""


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "run & trial"
    save_winner_rdms(folder, search(folder))
    return folder


def test_a_finished_run_gives_four_figures_and_a_page(run_folder: Path, vectors: None) -> None:
    written = write_report(run_folder)
    assert sorted(path.name for path in written) == sorted(FIGURES)
    for path in written[:-1]:
        with Image.open(path) as image:
            assert min(image.size) >= 400
            assert image.info["dpi"][0] == pytest.approx(200, abs=1)
    assert not [path for path in run_folder.iterdir() if path.name.startswith(".")]
    names = [name.removesuffix(".png") for name in FIGURES if name.endswith(".png")]
    found = {path.name for path in (run_folder / "figures").iterdir()}
    assert found == {f"{name}.{kind}" for name in names for kind in ("svg", "pdf")}
    svg = (run_folder / "figures" / "search.svg").read_text(encoding="utf-8")
    assert "P (validation accuracy)</text>" in svg  # text that can be edited


def test_the_page_holds_its_images_and_needs_nothing_else(run_folder: Path) -> None:
    page = write_report(run_folder)[-1].read_text(encoding="utf-8")
    assert page.count('src="data:image/png;base64,') == 4
    assert re.findall("<script[^>]*>", page) == [
        '<script type="application/json" id="data">', "<script>"
    ]  # fmt: skip
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert "default-src 'none'" in page
    assert "connect-src 'none'" in page


def test_the_page_says_what_won_and_that_the_recordings_are_simulated(run_folder: Path) -> None:
    page = write_report(run_folder)[-1].read_text(encoding="utf-8")
    assert "<b>simulated</b>" in page
    assert re.search(r"IT: layer\d+, its best layer", page)
    assert "(best)" in page
    assert re.search(r'<th scope="row">nan</th><td>[123]</td>', page)
    assert "brainguided search RUN.toml --out" in page


def test_another_reward_is_reported_beside_that_of_the_search(run_folder: Path, capsys) -> None:
    first = write_report(run_folder)[-1].read_text(encoding="utf-8")
    assert main(["report", str(run_folder), "--reward", "P-2*V4"]) == 0
    said = capsys.readouterr().out
    assert "Rewards here are P-2*V4. The search itself was told" in said
    with Journal.read(run_folder) as journal:
        done = [r for r in journal.results() if r.outcome == "done"]
    best = max(done, key=lambda r: r.performance - 2 * r.measurement.value("V4"))
    assert f"winner: candidate {best.candidate}, reward" in said
    page = run_folder / "another_reward" / "report.html"
    assert "Rewards here are P-2*V4" in page.read_text(encoding="utf-8")
    assert (run_folder / "report.html").read_text(encoding="utf-8") == first
    assert main(["report", str(run_folder), "--reward", "P+V1"]) == 1
    assert "There is no 'V1' in what was measured" in capsys.readouterr().err


def test_text_from_files_is_escaped(run_folder: Path) -> None:
    page = write_report(run_folder)[-1].read_text(encoding="utf-8")
    assert "macaque &lt;seed 0&gt;" in page
    assert "run &amp; trial" in page


def test_a_run_on_real_recordings_is_not_called_simulated(tmp_path: Path) -> None:
    search(tmp_path, Task("Cowley et al. 2023, also simulated", simulated=False))
    page = write_report(tmp_path)[-1].read_text(encoding="utf-8")
    assert page.count("simulated") == page.count("also simulated")
    assert "Nothing here is a finding" not in page


def test_an_interrupted_run_is_reported_without_rdms_and_says_so(run_folder: Path) -> None:
    write_report(run_folder)
    (run_folder / "winner_rdms_IT.nc").unlink()
    written = write_report(run_folder)
    assert [path.name for path in written] == [name for name in FIGURES if name != "rdms.png"]
    assert not (run_folder / "rdms.png").exists()
    assert "were not saved for IT" in written[-1].read_text(encoding="utf-8")


def test_rdms_of_an_earlier_winner_are_not_shown(run_folder: Path) -> None:
    save_winner_rdms(run_folder, 10, shift=7)
    written = write_report(run_folder)
    assert "rdms.png" not in [path.name for path in written]
    assert "not those of candidate" in written[-1].read_text(encoding="utf-8")


def test_a_winner_of_cells_is_reported_cell_by_cell(tmp_path: Path) -> None:
    def earn_cells(architecture: Any, task: Any, *, seed: int) -> SimpleNamespace:
        names = architecture.to_blueprint(10).observed
        similarity = {"IT": {name: k / 10 for k, name in enumerate(names)}}
        return SimpleNamespace(
            **{**vars(earn(small_space(3).sample(0), task, seed=seed)), "similarity": similarity}
        )

    controller = RandomSearch(pnas_space(filters=4), seed=2)
    run_search(controller, Task(), candidates=4, out=tmp_path, evaluate=earn_cells)
    page = write_report(tmp_path)[-1].read_text(encoding="utf-8")
    assert '<th scope="row">cell8</th><td>0.700 (best)</td>' in page
    assert (tmp_path / "architecture.png").exists()


def test_a_run_without_teacher_is_reported(tmp_path: Path) -> None:
    search(tmp_path, Task(teacher=False))
    written = write_report(tmp_path)
    assert [path.name for path in written] == ["search.png", "architecture.png", "report.html"]
    assert "there was no teacher" in written[-1].read_text(encoding="utf-8")


def test_the_page_calls_p_what_the_file_of_a_task_calls_it(tmp_path: Path) -> None:
    class OwnTask(Task):
        def describe(self) -> dict[str, Any]:
            return {**super().describe(), "own": {"file": "a.py", "performance": "<IoU>"}}

    search(tmp_path, OwnTask(teacher=False))
    page = write_report(tmp_path)[-1].read_text(encoding="utf-8")
    assert "P (validation &lt;IoU&gt;)" in page
    assert "exceeds in &lt;IoU&gt; and similarity" in page
    assert "validation accuracy" not in page
    assert "<IoU>" not in page


def test_a_folder_without_journal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"journal\.db does not exist"):
        write_report(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_run_without_any_finished_candidate_is_refused(tmp_path: Path) -> None:
    with Journal.open(tmp_path) as journal:
        journal.begin({})
    with pytest.raises(JournalError, match="no finished candidate yet"):
        write_report(tmp_path)


def test_a_truncated_file_of_rdms_costs_their_figure_alone(run_folder: Path) -> None:
    path = run_folder / "winner_rdms_V4.nc"
    path.write_bytes(path.read_bytes()[:500])
    written = write_report(run_folder)
    assert [p.name for p in written] == [name for name in FIGURES if name != "rdms.png"]
    page = written[-1].read_text(encoding="utf-8")
    assert "The winner&#x27;s RDMs are not shown" in page
    assert "winner_rdms_V4" in page


def test_a_figure_that_cannot_be_drawn_costs_itself_alone(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(winner: Any) -> None:
        raise ZeroDivisionError("no layers \x1b[2J<b>")

    monkeypatch.setattr("brainguided.reports._figures._draw_architecture", fail)
    written = write_report(run_folder)
    assert [p.name for p in written] == [name for name in FIGURES if name != "architecture.png"]
    page = written[-1].read_text(encoding="utf-8")
    said = "architecture.png could not be drawn (ZeroDivisionError: no layers \\x1b[2J&lt;b&gt;)"
    assert said in page


def test_other_similarities_are_named_and_not_held_against_saved_rdms(run_folder, tmp_path) -> None:
    class Other(Task):
        def describe(self):
            said = super().describe()
            for one in said["teacher"]:
                one["similarity"] = "cka"
            return said

    folder = tmp_path / "cka"
    save_winner_rdms(folder, search(folder, Other()), shift=1)  # of other Pearson r
    written = {path.name: path for path in write_report(folder)}
    page = written["report.html"].read_text(encoding="utf-8")
    assert "not those of candidate" not in page
    with Journal.read(folder) as journal:
        winner = find_winner(journal.results())
    note = {name: getattr(winner, name) for name in ("candidate", "seed", "architecture")}
    other = {**note, "seed": note["seed"] + 1}
    save_winner_rdms(folder, len(winner.similarity["V4"]), note=other)  # of an earlier winner
    stale = {path.name: path for path in write_report(folder)}
    assert "rdms.png" not in stale
    assert "not those of candidate" in stale["report.html"].read_text(encoding="utf-8")
    save_winner_rdms(folder, len(winner.similarity["V4"]), shift=1, note=note)
    written = {path.name: path for path in write_report(folder)}
    assert "rdms.png" in written
    assert "linear CKA (debiased) of the winner" in page
    assert "Pearson" not in page
    said = describe_winner(folder)
    assert "TG (linear CKA (debiased) of simulated areas)" in said
