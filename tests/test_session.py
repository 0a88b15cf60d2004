"""The README, word for word: a user with nothing else must get through."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
SESSION, OWN_DATA, SPACES, RECORDINGS, LAYERS = re.findall(
    r"```python\n(.*?)```", README, re.DOTALL
)
RUN_FILE = re.search(r"```toml\n(.*?)```", README, re.DOTALL).group(1)


def run(arguments: list[str], folder: Path) -> str:
    environment = {**os.environ, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        arguments, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def smaller(text: str, changes: dict[str, str]) -> str:
    for before, after in changes.items():
        assert before in text, f"the README has no {before!r}"
        text = text.replace(before, after)
    return text


def test_the_session_of_the_readme_runs(tmp_path) -> None:
    changes = {
        "simulate_objects(100, seed=1)": "simulate_objects(4, seed=1)",
        "steps=100": "steps=3",
        "candidates=24": "candidates=3",
    }
    (tmp_path / "session.py").write_text(smaller(SESSION, changes), encoding="utf-8")
    printed = run([sys.executable, "session.py"], tmp_path)
    assert "report.html" in printed
    assert (tmp_path / "areas.png").stat().st_size > 10_000
    for name in ("journal.db", "winner.json", "winner.pt", "rdms.png", "report.html"):
        assert (tmp_path / "first_run" / name).is_file()


def test_the_recordings_of_the_readme_are_selected_and_saved(tmp_path) -> None:
    (tmp_path / "recordings.py").write_text(RECORDINGS, encoding="utf-8")
    printed = run([sys.executable, "recordings.py"], tmp_path)
    assert "select_reliable_sites(above=0.3" in printed
    assert (tmp_path / "assembly.nc").is_file()


def test_the_spaces_of_the_readme_are_sampled_drawn_and_searched(tmp_path) -> None:
    (tmp_path / "spaces.py").write_text(SPACES, encoding="utf-8")
    printed = run([sys.executable, "spaces.py"], tmp_path)
    assert "('cell1', 'cell2', 'cell3', 'cell4', 'cell5')" in printed
    assert (tmp_path / "cell.png").stat().st_size > 10_000


def test_the_layers_of_the_readme_are_mapped_to_areas(tmp_path) -> None:
    changes = {"draws=200": "draws=50, permutations=50, splits=10"}
    (tmp_path / "layers.py").write_text(smaller(LAYERS, changes), encoding="utf-8")
    printed = run([sys.executable, "layers.py"], tmp_path)
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


def search_small(folder: Path) -> None:
    changes = {
        "candidates = 60": "candidates = 2",
        "steps = 200": "steps = 2\nn_train = 256\nn_validation = 64",
        "max_depth = 10": "max_depth = 2",
    }
    (folder / "RUN.toml").write_text(smaller(RUN_FILE, changes), encoding="utf-8")
    command = [sys.executable, "-m", "brainguided"]
    printed = run([*command, "search", "RUN.toml", "--out", "run", "--workers", "2"], folder)
    assert "winner" in printed
    assert (folder / "run" / "rdms.png").is_file()


def test_own_arrays_become_a_recording_an_rdm_and_a_search(own_data) -> None:
    (own_data / "own.py").write_text(OWN_DATA, encoding="utf-8")
    run([sys.executable, "own.py"], own_data)
    assert (own_data / "it_rdm.png").stat().st_size > 10_000
    search_small(own_data)


def test_own_arrays_on_the_command_line(own_data) -> None:
    blocks = re.findall(r"```\n(brainguided import.*?)```", README, re.DOTALL)
    (block,) = blocks
    commands = block.replace("\\\n", " ").strip().splitlines()
    assert len(commands) == 4
    for command in commands:
        run(["bash", "-c", command.replace("brainguided", f"{sys.executable} -m brainguided", 1)],
            own_data)  # fmt: skip
    assert (own_data / "it_rdm.png").is_file()
    search_small(own_data)
