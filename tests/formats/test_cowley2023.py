"""Reading V4 sessions of Cowley et al. 2023, and made-up sessions in the same format."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from neural_data.errors import RecordingError
from neural_data.formats.cowley2023 import read_cowley2023
from neural_data.model.recording import average_repetitions, load_recording, save_recording

N_SITES, N_IMAGES, N_REPETITIONS = 3, 12, 4


@pytest.fixture
def session(tmp_path):
    """Session 190923 as files: numbered images of grey level 10 k, packed in no order."""
    rng = np.random.default_rng(0)
    raw = rng.poisson(4.0, (N_SITES, N_IMAGES, N_REPETITIONS)).astype(float)
    raw[:, ::3, 2:] = np.nan
    np.save(tmp_path / "responses_190923.npy", np.nanmean(raw, axis=2))
    np.save(tmp_path / "responses_raw_190923.npy", raw)
    with zipfile.ZipFile(tmp_path / "images_190923.zip", "w") as archive:
        archive.writestr("images_190923/", b"")
        for k in rng.permutation(N_IMAGES) + 1:
            buffer = io.BytesIO()
            Image.new("RGB", (8, 8), (10 * int(k),) * 3).save(buffer, format="PNG")
            archive.writestr(f"images_190923/image{k:04d}.png", buffer.getvalue())
    return tmp_path, raw


def test_image_k_belongs_to_column_k_minus_one_whatever_the_order_in_the_zip(session):
    folder, raw = session
    recording, stimuli = read_cowley2023(folder, "190923")
    assert stimuli["image"].values[:, 0, 0, 0].tolist() == [10 * k for k in range(1, 13)]
    assert stimuli["stimulus"].values[1] == "190923_image0002"
    np.testing.assert_array_equal(stimuli["stimulus"], recording["stimulus"])
    np.testing.assert_allclose(recording["response"].values[:, 0], np.nanmean(raw, axis=2).T)
    assert recording["response"].attrs["units"] == "spikes per 100 ms"
    assert set(recording["area"].values) == {"V4"}
    assert set(recording["animal"].values) == {"WE"}


def test_numbers_without_leading_zeros_are_sorted_as_numbers(session):
    folder, _ = session
    with zipfile.ZipFile(folder / "images_190923.zip") as archive:
        content = {int(n[-8:-4]): archive.read(n) for n in archive.namelist() if n[-1] != "/"}
    with zipfile.ZipFile(folder / "images_190923.zip", "w") as archive:
        for k, image in content.items():
            archive.writestr(f"image{k}.png", image)
    _, stimuli = read_cowley2023(folder, "190923")
    assert stimuli["image"].values[:, 0, 0, 0].tolist() == [10 * k for k in range(1, 13)]


def test_repetitions_average_to_the_averaged_file(session):
    folder, raw = session
    every, _ = read_cowley2023(folder, "190923", per_repetition=True)
    averaged, _ = read_cowley2023(folder, "190923")
    assert every["response"].shape == (N_IMAGES, N_REPETITIONS, N_SITES)
    np.testing.assert_array_equal(every["response"].values[5, 3], raw[:, 5, 3])
    xr.testing.assert_allclose(average_repetitions(every), average_repetitions(averaged))


def test_a_session_with_only_raw_responses_is_averaged(session):
    folder, _ = session
    expected, _ = read_cowley2023(folder, "190923")
    (folder / "responses_190923.npy").unlink()
    averaged, _ = read_cowley2023(folder, "190923")
    xr.testing.assert_allclose(averaged, expected)


def test_the_folders_of_the_public_repository_are_read_too(session):
    folder, _ = session
    expected, _ = read_cowley2023(folder, "190923", per_repetition=True)
    for old, new in (
        ("responses_190923.npy", "responses_repeat_averaged/responses_190923.npy"),
        ("responses_raw_190923.npy", "responses_raw/responses_190923.npy"),
        ("images_190923.zip", "images/images_190923.zip"),
    ):
        (folder / new).parent.mkdir()
        (folder / old).rename(folder / new)
    every, _ = read_cowley2023(folder, "190923", per_repetition=True)
    xr.testing.assert_identical(every, expected)
    assert read_cowley2023(folder, "190923")[0].sizes["repetition"] == 1


def test_a_missing_file_names_all_that_were_expected(session):
    folder, _ = session
    (folder / "images_190923.zip").unlink()
    (folder / "responses_raw_190923.npy").unlink()
    with pytest.raises(FileNotFoundError) as error:
        read_cowley2023(folder, "190923", per_repetition=True)
    message = str(error.value)
    assert "no responses_raw_190923.npy" in message
    assert "and no images_190923.zip" in message
    assert "per_repetition=False reads them" in message
    with pytest.raises(FileNotFoundError, match=r"no responses_210325.npy .* there: '190923'"):
        read_cowley2023(folder, "210325")
    with pytest.raises(
        FileNotFoundError, match=r"no folder .*absent. Expected one with responses_"
    ):
        read_cowley2023(folder / "absent", "190923")


def test_files_that_do_not_belong_together_are_refused(session):
    folder, raw = session
    np.save(folder / "responses_190923.npy", np.ones((N_SITES, 11)))
    with pytest.raises(
        RecordingError, match=r"responses to 11 images and images_190923.zip has 12"
    ):
        read_cowley2023(folder, "190923")
    np.save(folder / "responses_raw_190923.npy", np.nanmean(raw, axis=2))
    with pytest.raises(RecordingError, match="which are averages"):
        read_cowley2023(folder, "190923", per_repetition=True)


def test_damaged_responses_are_refused(session):
    folder, _ = session
    path = folder / "responses_190923.npy"
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(
        RecordingError, match=r"responses_190923.npy cannot be read as a numpy array"
    ):
        read_cowley2023(folder, "190923")
    np.save(path, np.ones(4))
    with pytest.raises(RecordingError, match=r"shape \(4,\); expected \(sites, images\)"):
        read_cowley2023(folder, "190923")
    np.save(path, np.full((N_SITES, N_IMAGES), np.nan))
    with pytest.raises(RecordingError, match="NaN in every repetition of 12 stimuli"):
        read_cowley2023(folder, "190923")


def test_a_gap_in_the_numbers_of_the_images_is_refused(session):
    folder, _ = session
    with zipfile.ZipFile(folder / "images_190923.zip") as archive:
        content = {n: archive.read(n) for n in archive.namelist() if "0007" not in n}
    with zipfile.ZipFile(folder / "images_190923.zip", "w") as archive:
        for name, image in content.items():
            archive.writestr(name, image)
        archive.writestr("cover.png", content["images_190923/image0001.png"])
    with pytest.raises(RecordingError) as error:
        read_cowley2023(folder, "190923")
    assert "no image of number '7'" in str(error.value)
    assert "no number at the end of the name: 'cover.png'" in str(error.value)


@pytest.mark.data
@pytest.mark.parametrize(
    ("session_name", "n_sites", "n_images"),
    [("201025", 89, 1200), ("210322", 59, 1200), ("210325", 50, 640)],
)
def test_the_sessions_of_the_paper_open(shared_data, session_name, n_sites, n_images):
    recording, stimuli = read_cowley2023(shared_data / "cowley2023", session_name)
    assert dict(recording.sizes) == {"stimulus": n_images, "repetition": 1, "site": n_sites}
    assert stimuli["image"].shape == (n_images, 112, 112, 3)
    assert set(recording["animal"].values) == {"PE"}


@pytest.mark.data
def test_the_repetitions_of_the_paper_average_to_its_averages(shared_data, tmp_path):
    every, _ = read_cowley2023(shared_data / "cowley2023", "210325", per_repetition=True)
    averaged, _ = read_cowley2023(shared_data / "cowley2023", "210325")
    np.testing.assert_allclose(average_repetitions(every), average_repetitions(averaged))
    xr.testing.assert_identical(load_recording(save_recording(every, tmp_path / "a.nc")), every)
