"""Every notebook is executed on the simulated macaque, made smaller by asserted replacements."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
SMALLER = {
    "01_load_a_recording.ipynb": {"macaque(seed=0)": "macaque(repetitions=4, seed=0)"},
    "02_layers_and_areas.ipynb": {
        "steps=300": "steps=5",
        "simulate_objects(60, seed=1)": "simulate_objects(4, seed=1)",
        "range(10)": "range(2)",
    },
    "03_brain_guided_search.ipynb": {
        "steps=60": "steps=3",
        "candidates=24": "candidates=4",
        "simulate_objects(60, seed=1)": "simulate_objects(4, seed=1)",
    },
    "04_correspondence.ipynb": {
        "macaque(repetitions=6": "macaque(simulate_objects(2, seed=0), repetitions=4",
        "import simulate_macaque": "import simulate_macaque, simulate_objects",
        "draws=500, permutations=500, splits=50": "draws=50, permutations=50, splits=5",
        "size=96": "size=64",
    },
    "09_the_study.ipynb": {"draws=200": "draws=20", "seeds=100": "seeds=10"},
}  # fmt: skip
OF_A_TABLE = {"09_the_study.ipynb"}  # these read no recording


def test_every_notebook_is_tested() -> None:
    assert {p.name for p in FOLDER.glob("*.ipynb")} == set(SMALLER)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", sorted(SMALLER))
def test_notebook_runs(name, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = nbformat.read(FOLDER / name, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs for cell in code), "notebooks are kept without outputs"
    for before, after in SMALLER[name].items():
        assert any(before in cell.source for cell in code), f"{name} has no {before}"
        for cell in code:
            cell.source = cell.source.replace(before, after)
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path}})
    client.execute()
    shown = [o for cell in code for o in cell.outputs if "image/png" in o.get("data", {})]
    assert shown, "a notebook without a figure"


@pytest.mark.parametrize("name", sorted(set(SMALLER) - OF_A_TABLE))
def test_notebook_reads_real_data_by_changing_one_line(name) -> None:
    notebook = nbformat.read(FOLDER / name, as_version=4)
    source = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    line = 'recording, stimuli = load_recording("my_recording.nc"), load_stimuli("my_images.nc")'
    assert f"# {line}" in source
