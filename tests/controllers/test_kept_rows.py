"""What the benchmark of controllers keeps: rows of one table, and none that was cut."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run(module, monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["controllers.py", *map(str, words)])
    made = []
    search = module.run_rounds

    def count(*given):
        made.append(given)
        return search(*given)

    monkeypatch.setattr(module, "run_rounds", count)
    module.main()
    monkeypatch.undo()
    return len(made)


def test_rows_of_another_table_are_not_taken_and_a_cut_line_is_measured_again(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import controllers

    monkeypatch.undo()
    digits = ["".join(f"{k // 5**place % 5}" for place in range(6)) for k in range(5**6)]
    for name, scale in (("a.csv", 1), ("b.csv", 2)):
        rows = [f"{ops},{scale * k % 97}" for k, ops in enumerate(digits)]
        (tmp_path / name).write_text("\n".join(["ops,r", *rows]))
    keep = tmp_path / "kept.jsonl"
    more = ["--reward", "r", "--seeds", 2, "--marks", 8, "--controller", "random", "--keep", keep]
    assert run(controllers, monkeypatch, "table", tmp_path / "a.csv", *more) == 2
    said = capsys.readouterr().out
    assert run(controllers, monkeypatch, "table", tmp_path / "a.csv", *more) == 0
    assert capsys.readouterr().out == said
    assert run(controllers, monkeypatch, "table", tmp_path / "b.csv", *more) == 2
    assert capsys.readouterr().out != said
    whole = keep.read_text()
    keep.write_text(whole[:-9])  # killed while it was written
    assert run(controllers, monkeypatch, "table", tmp_path / "b.csv", *more) == 1
    assert len(keep.read_text().splitlines()) == 4
    assert keep.read_text().startswith(whole[: whole.rindex("\n", 0, -1) + 1])
    keep.write_text("nothing\n" + whole)
    with pytest.raises(SystemExit, match=r"kept\.jsonl, line 1 is no row"):
        run(controllers, monkeypatch, "table", tmp_path / "b.csv", *more)
