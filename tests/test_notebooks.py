"""Every notebook is executed as it stands, and on files of a user, by changing its one line."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import numpy as np
import pytest

from brainguided import nasbench201_space
from neural_data import recording_from_arrays, save_recording, save_stimuli, stimuli_from_arrays

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "notebooks"
NAMES = sorted(path.name for path in FOLDER.glob("*.ipynb"))
ONE_LINE = re.compile(r"^([\w, ]+) = .+\n(?:(?: .*|\))\n)*# (\1 = .+)$", re.MULTILINE)
"""What loads the data, and below it the comment that takes its place."""
SMALLER = {  # what the tests of the one line need not do again at full size
    "candidates=12": "candidates=10",
    "steps=60": "steps=2",
    "steps=10": "steps=2",
    "seeds=50": "seeds=3",
    "draws=50, seed=0": "draws=10, seed=0",
    "simulate_objects(8, seed=1)": "simulate_objects(2, seed=1)",
    "simulate_objects(12, seed=1)": "simulate_objects(2, seed=1)",
}
STUDY = "09_the_study.ipynb"  # of the table that comes with the package, and nobody's recording
STUDY_SMALLER = {"draws=200": "draws=20", "seeds=100": "seeds=10"}


def load_builder() -> ModuleType:
    """Return the module of the documentation that executes notebooks."""
    found = importlib.util.spec_from_file_location("executed", ROOT / "docs" / "executed.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


BUILDER = load_builder()


def test_the_notebooks_are_numbered_and_kept_without_outputs() -> None:
    assert [name[:2] for name in NAMES] == [f"{k + 1:02}" for k in range(len(NAMES))]
    for name in NAMES:
        cells = nbformat.read(FOLDER / name, as_version=4).cells
        assert not any(cell.get("outputs") for cell in cells), name
        assert cells[0].source.startswith(f"# {int(name[:2])}. "), name


def test_every_notebook_says_what_its_figures_show_and_cannot_say() -> None:
    for name in NAMES:
        cells = nbformat.read(FOLDER / name, as_version=4).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        assert re.search(r"\bshows\b", text), name
        assert re.search(r"cannot\s+say", text), name


def test_links_of_notebooks_lead_somewhere() -> None:
    for name in NAMES:
        for cell in nbformat.read(FOLDER / name, as_version=4).cells:
            for link in re.findall(r"\]\((?!http)([^)#]+)", cell.source):
                assert (FOLDER / link).is_file(), f"{name}: {link}"


def make_smaller(notebook: Any, changes: dict[str, str], *, asserted: bool = True) -> None:
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for before, after in changes.items():
        assert not asserted or any(before in cell.source for cell in code), before
        for cell in code:
            cell.source = cell.source.replace(before, after)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", NAMES)
def test_notebook_runs(name: str) -> None:
    """The documentation shows what was executed here, the study apart, which is made smaller."""
    if name == STUDY:
        notebook = nbformat.read(FOLDER / name, as_version=4)
        make_smaller(notebook, STUDY_SMALLER)
        BUILDER.run(notebook, FOLDER)
    else:
        notebook = BUILDER.execute(FOLDER / name)
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    assert [out for out in outputs if "image/png" in out.get("data", {})], "without a figure"


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """Files as the one line of every notebook names them: no categories, other sizes, a gap."""
    generator = np.random.default_rng(0)
    names = [f"picture {k}" for k in range(24)]
    response = generator.gamma(2, 5, (24, 1, 14)) + generator.normal(size=(24, 5, 14))
    response[3, 4] = np.nan
    recording = recording_from_arrays(
        response,
        stimulus=names,
        site=[f"unit{k}" for k in range(14)],
        area=["V4"] * 6 + ["IT"] * 8,
        units="spikes/s",
        source="our lab",
    )
    save_recording(recording, tmp_path / "my_recording.nc")
    pixels = generator.integers(0, 256, (24, 40, 40, 3), dtype=np.uint8)
    stimuli = stimuli_from_arrays(pixels, stimulus=names[::-1], source="our lab")
    save_stimuli(stimuli, tmp_path / "my_images.nc")
    space, rows = nasbench201_space(), ["arch,early,seconds,accuracy"]
    for k in range(30):
        architecture = space.sample(generator).to_json().replace('"', '""')
        rows.append(f'"{architecture}",{generator.random()},1,{50 + k}')
    (tmp_path / "my_table.csv").write_text("\n".join(dict.fromkeys(rows)), encoding="utf-8")
    return tmp_path


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", [name for name in NAMES if name != STUDY])
def test_the_one_line_to_change_works_as_written(name: str, lab: Path) -> None:
    notebook = nbformat.read(FOLDER / name, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    (cell,) = [cell for cell in code if ONE_LINE.search(cell.source)]
    cell.source = ONE_LINE.sub(r"\2", cell.source)
    make_smaller(notebook, SMALLER, asserted=False)
    BUILDER.run(notebook, lab)
