"""The verb validity, from a search over random finalists to figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from brainguided.__main__ import main

RUN = """
seed = 1
candidates = 12
[space]
preset = "small"
max_depth = 4
[controller]
name = "random"
[task]
n_train = 64
n_validation = 64
batch_size = 16
steps = 2
[[teacher]]
simulated = true
areas = ["V4", "IT"]
by = "object_name"
"""


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("validity")
    (folder / "RUN.toml").write_text(RUN, encoding="utf-8")
    out = folder / "run"
    common = ["--workers", "1"]
    assert main(["search", str(folder / "RUN.toml"), "--out", str(out), *common]) == 0
    assert main(["finalists", str(out), "--random", "11", "--steps", "3", *common]) == 0
    return out


@pytest.mark.slow
def test_from_a_search_to_figures(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = json.loads((out / "finalists" / "settings.json").read_text())
    assert settings["random"] == {"number": 11, "seed": 0}
    capsys.readouterr()
    call = ["validity", str(out), "--mature", "finalists", "--draws", "20"]
    assert main([*call, "--out", str(tmp_path / "v")]) == 0
    text = capsys.readouterr().out
    assert "11 candidates; mature accuracy: finalists of" in text
    assert all(f"\n{score} " in text for score in ("P", "TG", "V4", "IT", "committed V4"))
    assert "no shuffled teachers" in text
    for name in ("validity", "validity_alpha", "validity_scores"):
        for kind in ("png", "pdf", "svg"):
            assert (tmp_path / "v" / f"{name}.{kind}").stat().st_size > 1000
    assert main([*call, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["attrs"]["candidates"] == 11
    assert content["variables"]["value"]["dims"] == ["score", "rung", "statistic"]


def test_top_and_random_finalists_exclude_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["finalists", str(tmp_path), "--steps", "3", "--top", "5", "--random", "5"]
    assert main(call) == 1
    assert "--top chooses and --random does not" in capsys.readouterr().err
