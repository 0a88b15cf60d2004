"""Animals that were pooled side by side stay usable on the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from brainguided import compute_rdms
from brainguided.__main__ import main
from neural_data import (
    describe_file,
    group_areas,
    load_dissimilarities,
    load_recording,
    recording_from_arrays,
    save_recording,
    select_shown,
)
from neural_data.errors import RecordingError


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for animal, first in (("A", 0), ("B", 4)):
        recording = recording_from_arrays(
            rng.random((12, 2, 6)),
            stimulus=[f"im{k:02d}" for k in range(first, first + 12)],
            site=[f"{animal}{k}" for k in range(6)],
            area="V4", units="spikes/s", source="made up", animal=animal,
        )  # fmt: skip
        save_recording(recording, tmp_path / f"{animal}.nc")
    for way in ("all", "apart"):
        files = [str(tmp_path / f"{animal}.nc") for animal in "AB"]
        assert main(["pool", *files, "--stimuli", way, "--out", str(tmp_path / f"{way}.nc")]) == 0
    return tmp_path


def run(*words: object) -> int:
    return main([*(str(word) for word in words), "--overwrite"])


def test_areas_apart_have_rdms_of_their_own_stimuli(
    animals: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apart, saved = animals / "apart.nc", animals / "r.nc"
    assert run("rdms", apart, "--out", animals / "r.png") == 0
    assert (animals / "r.png").stat().st_size > 1000
    assert run("rdms", apart, "--out", animals / "r.png", "--save", saved) == 1
    assert "save each with --area" in capsys.readouterr().err
    only = ("rdms", apart, "--area", "V4 (B)", "--out", animals / "r.png")
    assert run(*only, "--save", saved) == 0
    expected = compute_rdms(load_recording(animals / "B.nc")).get_matrices()[0]
    np.testing.assert_allclose(load_dissimilarities(saved)["dissimilarity"][0], expected)
    said = describe_file(apart)
    assert "RDM not defined" not in "".join(said.values())


def test_a_file_of_dissimilarities_has_areas_too(
    animals: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved, figure = animals / "r.nc", animals / "r.png"
    words = ("rdms", animals / "A.nc", "--out", figure, "--save", saved)
    assert run(*words) == 0
    assert run("rdms", saved, "--area", "V4", "--out", figure) == 0
    assert run("rdms", saved, "--area", "IT", "--out", figure) == 1
    assert "has no area IT; it has V4" in capsys.readouterr().err
    assert run("rdms", saved, "--by", "object_name", "--out", figure) == 1
    assert "leave out --by and --zscore" in capsys.readouterr().err


def test_stimuli_that_all_sites_saw_or_those_of_one_animal_are_selected(
    animals: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, out = animals / "all.nc", animals / "s.nc"
    assert run("rdms", whole, "--out", animals / "r.png") == 1
    assert "'brainguided select --shared'" in capsys.readouterr().err
    assert run("select", whole, "--shared", "--out", out) == 0
    assert load_recording(out).sizes["stimulus"] == 8
    assert run("rdms", out, "--out", animals / "r.png") == 0
    assert run("select", whole, "--animal", "B", "--out", out) == 0
    selected = load_recording(out)
    np.testing.assert_array_equal(
        selected["response"], load_recording(animals / "B.nc")["response"]
    )
    assert "select_shown(): 6 of 6 sites, 12 of 16 stimuli" in selected.attrs["history"]


def test_sites_and_stimuli_are_selected_by_lists(animals: Path) -> None:
    (animals / "sites.txt").write_text("A3\nA1\n\n")
    (animals / "stimuli.txt").write_text("im05\nim01")
    out = animals / "s.nc"
    lists = ("--sites", animals / "sites.txt", "--stimuli", animals / "stimuli.txt")
    assert run("select", animals / "A.nc", *lists, "--drop", "animal", "--out", out) == 0
    selected = load_recording(out)
    assert selected["site"].values.tolist() == ["A3", "A1"]
    assert selected["stimulus"].values.tolist() == ["im05", "im01"]
    assert "animal" not in selected.coords


def test_animals_are_named_where_the_files_do_not(
    animals: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = animals / "c.nc"
    bare = []
    for name in "AB":
        bare.append(animals / f"{name}_bare.nc")
        assert run("select", animals / f"{name}.nc", "--drop", "animal", "--out", bare[-1]) == 0
    assert run("pool", *bare, "--stimuli", "shared", "--animals", "WE", "PE", "--out", out) == 0
    assert load_recording(out)["animal"].values.tolist() == ["WE"] * 6 + ["PE"] * 6
    assert run("pool", *bare, "--animals", "WE", "--out", out) == 1
    assert "--animals names 1 animals for 2 recordings" in capsys.readouterr().err


def test_areas_are_grouped_by_what_they_were_shown(animals: Path) -> None:
    whole = group_areas(load_recording(animals / "A.nc"))
    assert [dict(part.sizes)["stimulus"] for part in whole] == [12]
    parts = group_areas(load_recording(animals / "apart.nc"), ["V4 (B)", "V4 (A)"])
    assert [part["area"].values[0] for part in parts] == ["V4 (B)", "V4 (A)"]
    shown = load_recording(animals / "A.nc")
    assert select_shown(shown) is shown
    with pytest.raises(RecordingError, match="No stimulus was shown"):
        select_shown(shown.assign(response=shown["response"] * np.nan))
