"""Teachers of several animals, from files to a search and a correspondence."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from torch import nn

from brainguided import Inference, Teacher, compute_correspondence, compute_similarity
from brainguided.__main__ import main
from brainguided.rdms.compute import compute_rdms
from brainguided.settings.teacher_file import load_controlled_teacher, load_teacher
from brainguided.settings.toml import RunFileError
from neural_data import (
    Macaque,
    TimeCourse,
    average_window,
    load_recording,
    load_stimuli,
    pool_recordings,
    pool_stimuli,
    save_recording,
    save_stimuli,
    select_complete,
    simulate_macaque,
    simulate_objects,
)
from neural_data.errors import AlignmentError, RecordingError

RUN = (
    "candidates = 2\n[space]\nmax_depth = 2\n"
    "[task]\nn_train = 64\nn_validation = 64\nsteps = 2\nbatch_size = 16\n"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of two animals with three sessions each; animals and sessions saw other stimuli."""
    folder = tmp_path_factory.mktemp("lab")
    images = simulate_objects(3, size=32, seed=1)
    for k, (name, seen) in enumerate((("we", slice(0, 150)), ("pe", slice(40, None)))):
        setting = Macaque(animals=(name.upper(),), sessions=3, left_out=0.1)
        recording, _ = simulate_macaque(
            images, repetitions=(3, 5), n_v4=24, n_it=0, seed=k, macaque=setting
        )
        recording = select_complete(recording.isel(stimulus=seen), keep="sites")
        save_recording(recording, folder / f"{name}.nc")
        shown = images.sel(stimulus=recording["stimulus"].values)
        save_stimuli(shown, folder / f"{name}_images.nc")
    return folder


def write(folder, text: str):
    path = folder / "teacher.toml"
    path.write_text(text)
    return path


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 6, 5, stride=2), nn.ReLU(), nn.Conv2d(6, 6, 5, stride=2))


def test_two_animals_become_one_teacher_with_intervals_over_animals(folder) -> None:
    animals = [load_recording(folder / f"{name}.nc") for name in ("we", "pe")]
    v4 = pool_recordings(animals, stimuli="shared")
    images = pool_stimuli([load_stimuli(folder / f"{name}_images.nc") for name in ("we", "pe")])
    teacher = Teacher.from_recording(v4, images.sel(stimulus=v4["stimulus"].values))
    how = Inference(resample=("stimulus", "animal"), draws=50, permutations=20, splits=5)
    found = compute_correspondence(network(), teacher, inference=how)
    assert set(found["animal"].values) == {"WE", "PE"}
    assert found["ceiling_usable"].all()
    assert np.isfinite(found["similarity_interval"]).all()
    # a file says the same
    text = '[[teacher]]\nrecording = ["we.nc", "pe.nc"]\nstimuli = ["we_images.nc", '
    path = write(folder, text + '"pe_images.nc"]\npool = "shared"\n')
    (target,) = load_teacher(path)
    (pooled,) = teacher
    np.testing.assert_array_equal(target.rdm.dissimilarities, pooled.rdm.dissimilarities)
    assert target.recording["session"].values[0] == "WE_s1"


def test_animals_stand_side_by_side_under_names_of_their_own(folder) -> None:
    each = "".join(
        f'[[teacher]]\nrecording = "{n}.nc"\nstimuli = "{n}_images.nc"\nname = "V4 ({n.upper()})"\n'
        for n in ("we", "pe")
    )
    teacher = load_teacher(write(folder, each))
    assert teacher.areas == ("V4 (WE)", "V4 (PE)")
    sizes = [t.stimuli.sizes["stimulus"] for t in teacher]
    assert sizes[0] != sizes[1]
    assert teacher.targets[0].recording["area"].values[0] == "V4 (WE)"
    both = '[[teacher]]\nrecording = ["we.nc", "pe.nc"]\nstimuli = ["we_images.nc", '
    both += '"pe_images.nc"]\n'
    apart = load_teacher(write(folder, both + 'pool = "apart"\n'))
    assert apart.areas == ("V4 (we)", "V4 (pe)")
    for one, other in zip(teacher, apart, strict=True):
        assert set(one.stimuli["stimulus"].values) == set(other.stimuli["stimulus"].values)
        rdms = (np.sort(t.rdm.dissimilarities[0]) for t in (one, other))
        np.testing.assert_allclose(*rdms)
    split = load_teacher(write(folder, both + 'pool = "shared"\nsplit = "animal"\n'))
    assert split.areas == ("V4 (WE)", "V4 (PE)")
    from_animal = load_teacher(write(folder, both + 'pool = "shared"\narea_from = "animal"\n'))
    assert from_animal.areas == ("WE", "PE")
    few = Inference(draws=20, permutations=0, splits=4)
    found = compute_correspondence(network(), apart, inference=few)
    assert found["ceiling_usable"].all()
    nameless = each.replace('name = "V4 (WE)"\n', "").replace('name = "V4 (PE)"\n', "")
    with pytest.raises(ValueError, match=r"name = 'V4 \(WE\)'"):
        load_teacher(write(folder, nameless))


def test_a_file_asks_for_z_scored_sites(folder) -> None:
    text = '[[teacher]]\nrecording = "we.nc"\nstimuli = "we_images.nc"\n'
    (bare,), (scored,) = (
        load_teacher(write(folder, text + more)) for more in ("", "zscore = true\n")
    )
    expected = compute_rdms(load_recording(folder / "we.nc"), zscore=True)
    np.testing.assert_allclose(scored.rdm.dissimilarities, expected.dissimilarities)
    assert not np.allclose(bare.rdm.dissimilarities, expected.dissimilarities)


def test_files_that_do_not_fit_are_refused_with_the_way_out(folder) -> None:
    both = '[[teacher]]\nrecording = ["we.nc", "pe.nc"]\nstimuli = "we_images.nc"\n'
    with pytest.raises(RecordingError, match="not in all recordings: we lacks") as told:
        load_teacher(write(folder, both))
    for kept in ("shared", "all", "apart"):
        assert f"pool = '{kept}'" in str(told.value)
    assert "stimuli='" not in str(told.value)
    with pytest.raises(AlignmentError, match="have no image"):
        load_teacher(write(folder, both + 'pool = "all"\n'))
    wrong = (
        '[[teacher]]\nrecording = "we.nc"\nstimuli = ["we_images.nc", "we_images.nc"]\n'
        'pool = "any"\nname = 3\n[[teacher]]\nsimulated = true\nsplit = "animal"\narea_from = "x"\n'
    )
    with pytest.raises(RunFileError) as refusal:
        load_teacher(write(folder, wrong))
    said = (
        "pool is 'any'; it is one of 'same'",
        "no list of several recordings",
        "stimuli names a file twice",
        "name is 3, expected text",
        "split is given",
        "area_from is given, but only a recording has sites",
    )
    for part in said:
        assert part in str(refusal.value)
    with pytest.raises(RecordingError, match=r"name = 'V4' is for one area, but there are"):
        load_teacher(write(folder, '[[teacher]]\nsimulated = true\nname = "V4"\n'))


def test_data_given_for_what_they_are_not_are_named(folder, monkeypatch, capsys) -> None:
    with pytest.raises(RunFileError, match=r"we\.nc holds data.*recording = 'we\.nc'"):
        load_teacher(folder / "we.nc")
    monkeypatch.chdir(folder)
    assert main(["rdms", "we_images.nc", "--out", "x.png"]) != 0
    assert "we_images.nc holds images" in capsys.readouterr().err


def test_the_command_line_pools_searches_and_maps(folder, monkeypatch, capsys) -> None:
    monkeypatch.chdir(folder)
    assert main(["pool", "we.nc", "pe.nc", "--stimuli", "shared", "--out", "v4.nc"]) == 0
    assert main(["pool", "we_images.nc", "pe_images.nc", "--out", "all_images.nc"]) == 0
    pooled = load_recording("v4.nc")
    sessions = {f"{animal}_s{k}" for animal in ("WE", "PE") for k in (1, 2, 3)}
    assert set(pooled["session"].values) == sessions
    assert isinstance(load_stimuli("all_images.nc"), xr.Dataset)
    text = '[[teacher]]\nrecording = ["we.nc", "pe.nc"]\nstimuli = "all_images.nc"\n'
    (folder / "run.toml").write_text(RUN + text + 'pool = "shared"\n')
    done = subprocess.run(
        [sys.executable, "-m", "brainguided", "search", "run.toml", "--out", "run"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    capsys.readouterr()
    assert main(["pool", "we.nc", "we_images.nc", "--out", "x.nc"]) != 0
    assert "pool each kind by itself" in capsys.readouterr().err
    assert main(["pool", "we.nc", "pe.nc", "--out", "x.nc"]) != 0
    assert not (folder / "x.nc").exists()


def test_teachers_of_one_recording_may_have_a_window_of_time_each(tmp_path) -> None:
    images = simulate_objects(1, size=32, seed=1)
    setting = Macaque(time=TimeCourse(start=0, end=200, bin_width=50))
    recording, _ = simulate_macaque(images, repetitions=3, n_v4=0, n_it=12, seed=0, macaque=setting)
    save_recording(recording, tmp_path / "it.nc")
    save_stimuli(images, tmp_path / "images.nc")
    table = '[[teacher]]\nrecording = "it.nc"\nstimuli = "images.nc"\nby = "object_name"\n'
    text = "".join(
        f'{table}window = [{start}, {end}]\nname = "IT {start}-{end} ms"\n'
        for start, end in ((50, 100), (100, 200))
    )
    teacher = load_teacher(write(tmp_path, text))
    assert teacher.areas == ("IT 50-100 ms", "IT 100-200 ms")
    for target, window in zip(teacher, ((50, 100), (100, 200)), strict=True):
        alone = compute_rdms(average_window(recording, *window), by="object_name")
        np.testing.assert_allclose(target.rdm.dissimilarities, alone.dissimilarities)
    with pytest.raises(RunFileError, match=r"window is \[50\], expected \[start, end\] in ms"):
        load_teacher(write(tmp_path, f"{table}window = [50]\n"))
    with pytest.raises(RunFileError, match="only a recording has time bins"):
        load_teacher(write(tmp_path, "[[teacher]]\nsimulated = true\nwindow = [0, 50]\n"))


LAB = '[[teacher]]\nrecording = "we.nc"\nstimuli = "we_images.nc"\nby = "object_name"\n'


@pytest.mark.parametrize(
    ("kind", "area"),
    [
        ('"categories"', "V4:categories"),
        ('"shuffled"', "V4:shuffled"),
        ('{name = "sites", number = 8}', "V4:sites-8"),
        ('{name = "partial", of = ["categories", "pixels"]}', "V4:partial-categories+pixels"),
    ],
)
def test_a_control_takes_the_place_of_the_areas(folder, kind, area) -> None:
    teacher = load_teacher(write(folder, LAB + f"kind = {kind}\n"))
    assert teacher.areas == (area,)


def test_controls_are_further_areas_of_a_correspondence(folder) -> None:
    tables = '[[control]]\nkind = "pixels"\n[[control]]\nkind = "partial"\nof = ["categories"]\n'
    teacher = load_controlled_teacher(write(folder, LAB + tables))
    assert teacher.areas == ("V4", "V4:pixels", "V4:partial-categories")
    network = nn.Sequential(nn.Conv2d(3, 4, 5, stride=4), nn.ReLU(), nn.Conv2d(4, 4, 3)).eval()
    few = Inference(draws=4, permutations=4, splits=4)
    found = compute_correspondence(network, teacher, inference=few)
    table = compute_similarity(network, teacher)
    np.testing.assert_allclose(
        found["similarity"].sel(area=list(teacher.areas)).values, table.values, atol=1e-5
    )
    assert np.isfinite(found["committed_similarity"].values).all()
    with pytest.raises(ValueError, match="there it is 'pearson'"):
        compute_correspondence(network, teacher, inference=few, method="spearman")


def test_another_similarity_is_named_in_the_file(folder) -> None:
    teacher = load_teacher(write(folder, LAB + 'similarity = "cka"\n'))
    assert teacher.targets[0].similarity == "cka"
    assert teacher.describe()[0]["similarity"] == "cka"


def test_all_that_is_wrong_with_controls_of_a_file_is_said(folder) -> None:
    bad = 'kind = {name = "sites", numbers = 3, area = "V4"}\nsimilarity = "cca"\n'
    with pytest.raises(RunFileError) as caught:
        load_teacher(write(folder, LAB + bad))
    for part in ("'numbers' is unknown", "area is no setting of a teacher", "similarity is 'cca'"):
        assert part in str(caught.value)
    with pytest.raises(RunFileError, match="did you mean 'pixels'"):
        load_controlled_teacher(write(folder, LAB + '[[control]]\nkind = "pixel"\n'))
