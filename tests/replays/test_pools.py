"""Pools of a run: which candidates have a mature accuracy, and which accuracies are refused."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from brainguided import NASBench201Architecture, RandomSearch, nasbench201_space, run_search
from brainguided.candidates.evaluation import Evaluation
from brainguided.journal.journal import Journal
from brainguided.journal.measurement import Measurement, Rung
from brainguided.replays.pools import load_pool

SPACE = nasbench201_space(n_cells=1, filters=4)
TASK = SimpleNamespace(teacher=None, describe=lambda: {"images": {"classes": 10, "image_size": 32}})


def _evaluate(architecture, task, *, seed):  # type: ignore[no-untyped-def]
    generator = np.random.default_rng(seed)
    rung = Rung(10, performance=float(generator.random()), examples=100)
    return Evaluation(
        architecture,
        seed,
        "done",
        performance=rung.performance,
        reward=rung.performance,
        measurement=Measurement((), (rung,)),
    )


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "run"
    run_search(RandomSearch(SPACE, seed=0), TASK, candidates=16, out=folder, evaluate=_evaluate)
    return folder


def _cells(out: Path) -> list[NASBench201Architecture]:
    with Journal.read(out) as journal:
        texts = [result.architecture for result in journal.results()]
    return [NASBench201Architecture.from_json(text) for text in texts]  # type: ignore[misc]


def _write(path: Path, rows: list[str]) -> str:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return f"{path}:test"


def test_a_table_of_candidates_is_read(out: Path, tmp_path: Path) -> None:
    rows = ["candidate,test", *(f"{k},{90 + k}" for k in range(12))]
    pool = load_pool(out, _write(tmp_path / "t.csv", rows))
    assert pool.candidates == tuple(range(12))
    assert pool.mature.tolist() == [90 + k for k in range(12)]
    assert pool.rungs == (10,)
    assert pool.statistics["parameters"][0] == _cells(out)[0].to_blueprint(10).n_parameters
    assert pool.neighbours.shape == (12, 12)


def test_isomorphic_rows_of_a_table_count_as_one_with_their_mean(out: Path, tmp_path: Path) -> None:
    cells = _cells(out)
    rows = ["cell,test", *(f"{cell.to_text()},{90 + k}" for k, cell in enumerate(cells))]
    rows.append(f"{cells[3].to_text()},95")
    pool = load_pool(out, _write(tmp_path / "t.csv", rows), architecture="cell")
    assert pool.mature[pool.candidates.index(3)] == (93 + 95) / 2


def test_finalists_that_a_score_chose_are_refused(out: Path) -> None:
    folder = out / "finalists"
    with pytest.raises(FileNotFoundError, match=r"finalists .* --random 100"):
        load_pool(out, "finalists")
    folder.mkdir()
    finalists = [
        {"candidate": k, "seed": k, "architecture": "", "performance": 0.5 + k / 100}
        for k in range(10)
    ]
    record = {"finalists": finalists, "winner": 9}
    (folder / "finalists.json").write_text(json.dumps(record))
    settings = {"steps": 5, "candidates": list(range(10))}
    (folder / "settings.json").write_text(json.dumps(settings))
    with pytest.raises(ValueError, match=r"highest rewards(.|\n)*Draw without choosing"):
        load_pool(out, "finalists")
    drawn = {**settings, "random": {"number": 10, "seed": 0}}
    (folder / "settings.json").write_text(json.dumps(drawn))
    assert load_pool(out, "finalists").mature[-1] == 0.59
    # Where all were trained, none was chosen
    everybody = {"steps": 5, "candidates": list(range(16))}
    (folder / "settings.json").write_text(json.dumps(everybody))
    pool = load_pool(out, "finalists")
    assert len(pool.candidates) == 10
    assert pool.source == f"finalists of {out}"
    settings = json.loads((folder / "settings.json").read_text()) | {"continued": True}
    (folder / "settings.json").write_text(json.dumps(settings))
    assert load_pool(out, "finalists").source.endswith("which went on from its weights")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["candidate,acc", "0,1"], r"no column 'test'; it has 'candidate', 'acc'"),
        (["name,test", "0,1"], r"no column 'architecture'.*--architecture"),
        (["candidate,test", "0,high", "1,"], r"'test' is no number in 2 rows, the first \[0, 1\]"),
        (["candidate,test", "99,1", "0,1", "0,2"], r"(?s)'99'.*no candidates.*'0'.*more than one"),
        (["candidate,test", "0,1", "1,2"], r"2 candidates have a mature accuracy; at least 10"),
        (["candidate,test", *(f"{k},90" for k in range(12))], r"all mature accuracies are 90"),
    ],
)
def test_unusable_tables_are_refused(
    out: Path, tmp_path: Path, rows: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        load_pool(out, _write(tmp_path / "t.csv", rows))


def test_what_is_no_table_is_refused(out: Path) -> None:
    with pytest.raises(ValueError, match=r"expected finalists, or TABLE.csv:COLUMN"):
        load_pool(out, "mature")
