"""Stimulus sets written as BrainIO come back exactly, or are refused with all reasons."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from brainguided.__main__ import main
from neural_data import load_recording, save_recording, save_stimuli, simulate_macaque
from neural_data.errors import RecordingError
from neural_data.formats import read_brainio, read_brainio_stimuli, write_brainio_stimuli


def make_stimuli(**coords):
    rng = np.random.default_rng(0)
    values = {
        "stimulus": ("stimulus", ["b 1", "A/2", "a,3", 'é"4']),
        "category": ("stimulus", ["face", "", "car, red", "日本\nx"]),
        "variation": ("stimulus", np.array([0, 3, 6, 3])),
        "size": ("stimulus", np.array([0.1, 1 / 3, np.nan, -1e-300])),
    }
    return xr.Dataset(
        {"image": (("stimulus", "y", "x", "channel"),
                   rng.integers(0, 256, (4, 5, 5, 3), dtype=np.uint8))},
        coords=values | coords,
        attrs={"source": "made up"},
    )  # fmt: skip


def same(back, stimuli):
    xr.testing.assert_equal(back, stimuli)
    assert set(back.coords) == set(stimuli.coords)


def test_images_names_and_coordinates_come_back_exactly_and_the_same_bytes(tmp_path):
    stimuli = make_stimuli()
    table, images = write_brainio_stimuli(stimuli, tmp_path / "a.csv", tmp_path / "a.zip")
    same(read_brainio_stimuli(table, images), stimuli)
    assert "category_name" in table.read_text(encoding="utf-8").splitlines()[0]
    write_brainio_stimuli(stimuli, tmp_path / "b.csv", tmp_path / "b.zip")
    assert images.read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert table.read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert len(list(tmp_path.iterdir())) == 4


def test_what_would_come_back_otherwise_is_refused_and_nothing_is_written(tmp_path):
    changed = make_stimuli(
        code=("stimulus", ["001", "002", "003", "004"]),
        known=("stimulus", [True, False, True, True]),
        session=7,
    )
    paths = tmp_path / "a.csv", tmp_path / "a.zip"
    with pytest.raises(RecordingError, match="'session' is one value for all"):
        write_brainio_stimuli(changed, *paths)
    with pytest.raises(RecordingError) as refused:
        write_brainio_stimuli(changed.drop_vars("session"), *paths)
    assert "'code' holds <U3 and would be read back as int64" in str(refused.value)
    assert "'known' holds bool" in str(refused.value)
    clash = make_stimuli(filename=("stimulus", list("abcd")))
    with pytest.raises(RecordingError):
        write_brainio_stimuli(clash, *paths)
    assert not list(tmp_path.iterdir())


def test_the_command_writes_assembly_table_and_images_that_are_read_as_they_were(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    recording, stimuli = simulate_macaque(repetitions=2)
    save_recording(recording, "r.nc")
    save_stimuli(stimuli, "s.nc")
    words = ["export", "brainio", "r.nc", "--stimuli", "s.nc", "--identifier", "lab.One",
             "--stimulus-set", "lab.images", "--out", "out"]  # fmt: skip
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines() == [
        "out/stimulus_set.csv", "out/stimuli.zip", "out/assembly.nc",
    ]  # fmt: skip
    back = read_brainio("out/assembly.nc")
    xr.testing.assert_equal(back, load_recording("r.nc"))
    same(read_brainio_stimuli("out/stimulus_set.csv", "out/stimuli.zip"), stimuli)
    assert main(words) == 1
    assert "--overwrite" in capsys.readouterr().err
    save_stimuli(stimuli.isel(stimulus=slice(5)), "few.nc")
    words[4], words[-1] = "few.nc", "other"
    assert main(words) == 1
    assert "have no image" in capsys.readouterr().err
