"""The README and the how-to pages, word for word: with nothing else a user must get through."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr
from made_runs import make_run
from PIL import Image

from brainguided.__main__ import main
from brainguided.journal.journal import Journal
from brainguided.settings.run_file import load_run

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", *(f"docs/howto/{n}.md" for n in ("own_data", "searches", "layers_and_areas")))
TEXT = "\n".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES)
README = (ROOT / "README.md").read_text(encoding="utf-8")
SESSION, OWN_DATA, RECORDINGS, SPACES, CHOICES, LAYERS = re.findall(
    r"```python\n(.*?)```", TEXT, re.DOTALL
)
RUN_FILE = re.search(r"```toml\n(.*?)```", README, re.DOTALL).group(1)


@pytest.fixture
def run_here(tmp_path, monkeypatch, capsys):
    """Run lines of the documentation in this process, which has loaded all libraries already."""
    monkeypatch.chdir(tmp_path)

    def run_here(text: str) -> str:
        (tmp_path / "script.py").write_text(text, encoding="utf-8")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            runpy.run_path("script.py", run_name="__main__")
        return capsys.readouterr().out

    return run_here


def smaller(text: str, changes: dict[str, str]) -> str:
    for before, after in changes.items():
        assert before in text, f"the text has no {before!r}"
        text = text.replace(before, after)
    return text


def test_the_session_of_the_readme_runs(tmp_path) -> None:
    changes = {
        "simulate_objects(100, seed=1)": "simulate_objects(4, seed=1)",
        "steps=100": "steps=3",
        "candidates=24": "candidates=3",
        "local_pool(2)": "local_pool(1)",
    }
    (tmp_path / "session.py").write_text(smaller(SESSION, changes), encoding="utf-8")
    done = subprocess.run(  # a script of its own, as its workers import it
        [sys.executable, "session.py"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "report.html" in done.stdout
    assert (tmp_path / "areas.png").stat().st_size > 10_000
    for name in ("journal.db", "winner.json", "winner.pt", "rdms.png", "report.html"):
        assert (tmp_path / "first_run" / name).is_file()


def test_the_recordings_of_the_pages_are_selected_and_saved(run_here, tmp_path) -> None:
    printed = run_here(RECORDINGS)
    assert "select_reliable_sites(above=0.3" in printed
    assert (tmp_path / "assembly.nc").is_file()


def test_the_spaces_of_the_pages_are_sampled_drawn_and_searched(run_here, tmp_path) -> None:
    printed = run_here(SPACES)
    assert "('cell1', 'cell2', 'cell3', 'cell4', 'cell5')" in printed
    assert (tmp_path / "cell.png").stat().st_size > 10_000


def test_the_choices_of_a_run_are_weighed_as_the_pages_show(run_here, monkeypatch) -> None:
    run = make_run(40)
    journal = SimpleNamespace(results=lambda: run.results, config=run.config)
    monkeypatch.setattr(Journal, "read", lambda folder: nullcontext(journal))
    assert "depth" in run_here(
        CHOICES.replace('"IT"', '"IT:pixels"') + "\nprint(*found.choice.values)"
    )


def test_the_layers_of_the_pages_are_mapped_to_areas(run_here, tmp_path) -> None:
    changes = {"draws=200": "draws=50, permutations=50, splits=10"}
    printed = run_here(smaller(LAYERS, changes))
    assert "committed_layer" in printed
    assert (tmp_path / "correspondence.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "depth.pdf").is_file()


@pytest.fixture
def own_data(tmp_path) -> Path:
    generator = np.random.default_rng(0)
    np.save(tmp_path / "responses.npy", generator.gamma(2, 5, (12, 3, 20)))
    (tmp_path / "images").mkdir()
    for k in range(12):
        pixels = generator.integers(0, 256, (70, 70, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"image{k:03d}.png")
    names = {"stimuli": [f"image{k:03d}" for k in range(12)], "sites": [f"s{k}" for k in range(20)]}
    for kind, lines in names.items():
        (tmp_path / f"{kind}.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def write_run_file(folder: Path) -> None:
    changes = {
        "candidates = 60": "candidates = 2",
        "steps = 200": "steps = 2\nn_train = 256\nn_validation = 64",
        "max_depth = 10": "max_depth = 2",
    }
    (folder / "RUN.toml").write_text(smaller(RUN_FILE, changes), encoding="utf-8")


def test_own_arrays_become_a_recording_an_rdm_and_a_search(own_data, run_here, capsys) -> None:
    run_here(OWN_DATA)
    assert (own_data / "it_rdm.png").stat().st_size > 10_000
    write_run_file(own_data)
    assert main(["search", "RUN.toml", "--out", "run", "--workers", "1"]) == 0
    assert "winner" in capsys.readouterr().out
    assert (own_data / "run" / "rdms.png").is_file()


def test_own_arrays_on_the_command_line(own_data, monkeypatch) -> None:
    monkeypatch.chdir(own_data)
    blocks = re.findall(r"```\n(brainguided import.*?)```", README, re.DOTALL)
    (block,) = blocks
    commands = block.replace("\\\n", " ").strip().splitlines()
    assert len(commands) == 4
    for command in commands:
        program, *words = shlex.split(command)
        assert program == "brainguided"
        assert main(words) == 0
    assert (own_data / "it_rdm.png").is_file()
    write_run_file(own_data)
    assert load_run("RUN.toml").task.teacher.areas == ("IT",)
    (command,) = re.findall(r"```\nbrainguided (correspond .*)\n```", README)
    (own_data / "my_models.py").write_text(
        "from torch import nn\n\ndef network(): return nn.Sequential(nn.Conv2d(3, 4, 3))\n"
    )
    assert main([*shlex.split(command), "--splits", "5", "--draws", "20"]) == 0
    assert (own_data / "map" / "correspondence.png").is_file()


def test_sites_in_two_areas_and_a_network_of_ones_own_on_the_command_line(
    own_data, monkeypatch
) -> None:
    monkeypatch.chdir(own_data)
    (own_data / "areas.txt").write_text("V4\n" * 8 + "IT\n" * 12)
    (block,) = re.findall(r"```\n(brainguided import.*?)```", README, re.DOTALL)
    for command in (
        block.replace("\\\n", " ").replace("--area IT", "--area areas.txt").splitlines()[:2]
    ):
        assert main(shlex.split(command)[1:]) == 0
    page = (ROOT / "docs" / "howto" / "layers_and_areas.md").read_text(encoding="utf-8")
    (teacher,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (model,) = re.findall(r"```py\n(.*?)```", page, re.DOTALL)
    (own_data / "TEACHER.toml").write_text(teacher)
    (own_data / "my_models.py").write_text(model)
    command = next(
        c for c in re.findall(r"^brainguided (correspond .*)$", page, re.M) if "vgg" in c
    )
    assert main([*shlex.split(command), "--splits", "5", "--draws", "20"]) == 0
    with xr.open_dataset(own_data / "vgg" / "correspondence.nc") as found:
        assert found["area"].values.tolist() == ["V4", "IT"]
