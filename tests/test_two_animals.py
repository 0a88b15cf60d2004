"""From sessions of two animals to a teacher of all sites, a search, and intervals over animals."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from brainguided.__main__ import main
from neural_data import (
    Macaque,
    load_recording,
    pool_recordings,
    save_recording,
    save_stimuli,
    select_recording,
    select_shown,
    simulate_macaque,
    simulate_objects,
)

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "howto" / "animals.md").read_text("utf-8")
[SCRIPT] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
[RUN] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
[COMMANDS] = re.findall(r"```\n(brainguided.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six sessions of two animals, each without a part of the stimuli, and the images."""
    folder = tmp_path_factory.mktemp("lab")
    macaque = Macaque(animals=("WE", "PE"), sessions=3, left_out=0.12)
    objects = simulate_objects(2, seed=0)
    whole, stimuli = simulate_macaque(objects, repetitions=(4, 6), seed=0, macaque=macaque)
    (folder / "sessions").mkdir()
    labels = whole["session"].values.astype(str)
    for name in np.unique(labels).tolist():
        sites = whole["site"].values[labels == name].tolist()
        part = select_shown(select_recording(whole, site=sites))
        save_recording(part, folder / "sessions" / f"{name}.nc")
    save_stimuli(stimuli, folder / "images.nc")
    return folder


def shrink(text: str, changes: dict[str, str]) -> str:
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    return text


def check(found: xr.Dataset) -> None:
    """Similarities of both areas have intervals over stimuli and animals, and ceilings."""
    assert set(found["area"].values.tolist()) == {"IT", "V4"}
    assert "animal" in str(found.attrs["resampled"])
    low, high = (found["similarity_interval"].sel(bound=b) for b in ("lower", "upper"))
    assert bool(((low < found["similarity"]) & (found["similarity"] < high)).all())
    assert np.isfinite(found["animal_ceiling"]).all()


def test_sessions_are_pooled_by_the_stimuli_that_all_showed(lab: Path) -> None:
    named = {path.stem: load_recording(path) for path in sorted((lab / "sessions").glob("*.nc"))}
    assert len(named) == 6
    shown = [set(one["stimulus"].values.tolist()) for one in named.values()]
    assert len({frozenset(some) for some in shown}) == 6
    pooled = pool_recordings(named, stimuli="shared")
    assert pooled.sizes["site"] == 296
    assert set(pooled["stimulus"].values.tolist()) == set.intersection(*shown)
    assert dict(zip(*np.unique(pooled["animal"], return_counts=True), strict=True)) == {
        "PE": 148, "WE": 148,
    }  # fmt: skip
    for name, one in named.items():
        sites = pooled["session"].values == name
        part = pooled["response"].isel(site=sites).mean("repetition")
        own = one["response"].sel(stimulus=pooled["stimulus"].values).mean("repetition")
        np.testing.assert_allclose(part.sortby("site").values, own.sortby("site").values, rtol=1e-5)


@pytest.mark.slow
def test_the_lines_of_python_give_a_search_and_intervals_over_animals(
    lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(lab)
    fewer = {
        "steps=100": "steps=2",
        "candidates=24": "candidates=2",
        "simulate_objects(20, seed=1)": "simulate_objects(2, seed=1)",
        '("stimulus", "animal"))': '("stimulus", "animal"), draws=20, permutations=20, splits=4)',
    }
    (lab / "script.py").write_text(shrink(SCRIPT, fewer))
    with torch.random.fork_rng(devices=[]):
        left = runpy.run_path("script.py", run_name="__main__")
    assert left["pooled"].sizes["site"] == 296
    check(left["found"])


@pytest.mark.slow
def test_the_commands_and_the_run_file_do_the_same(
    lab: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(lab)
    fewer = {"steps = 100": "steps = 2", "candidates = 24": "candidates = 2"}
    (lab / "RUN.toml").write_text(shrink(RUN, fewer))
    text = COMMANDS.replace("\\\n", " ")
    sessions = " ".join(str(path) for path in sorted((lab / "sessions").glob("*.nc")))
    for line in text.splitlines():
        words = shlex.split(line.replace("sessions/*.nc", sessions))[1:]
        if words[0] == "correspond":
            words += ["--draws", "20", "--permutations", "20", "--splits", "4"]
        assert main(words) == 0, capsys.readouterr().err
    assert load_recording(lab / "pooled.nc").sizes["site"] == 296
    with xr.open_dataset(lab / "correspondence" / "correspondence.nc") as found:
        check(found)
