"""Files that are whole or not there."""

from __future__ import annotations

import os

import numpy as np
import pytest
import xarray as xr

from neural_data.errors import RecordingError
from neural_data.model.recording import load_recording
from neural_data.storage.netcdf import open_netcdf, open_netcdf_lazily, write_netcdf


@pytest.fixture
def dataset() -> xr.Dataset:
    return xr.Dataset(
        {"value": (("row", "column"), np.random.default_rng(0).normal(size=(50, 40)))},
        coords={
            "row": [f"r{k}" for k in range(50)],
            "shown": ("row", np.arange(50) % 2 == 0),
            "count": ("row", np.arange(50)),
        },
        attrs={"source": "made up", "n": 3},
    )


def test_a_dataset_survives_its_file_identically(dataset, tmp_path):
    loaded = open_netcdf(write_netcdf(dataset, tmp_path / "a.nc"))
    xr.testing.assert_identical(loaded, dataset)
    assert {name: v.dtype.kind for name, v in loaded.variables.items()} == {
        name: v.dtype.kind for name, v in dataset.variables.items()
    }


def test_numbers_are_compressed_at_level_one(dataset, tmp_path):
    path = write_netcdf(dataset, tmp_path / "a.nc")
    with xr.open_dataset(path) as file:
        assert file["value"].encoding["zlib"]
        assert file["value"].encoding["complevel"] == 1


def test_a_file_that_is_open_elsewhere_is_replaced(dataset, tmp_path):
    path = write_netcdf(dataset, tmp_path / "a.nc")
    with xr.open_dataset(path) as lazy:
        write_netcdf(dataset + 1, path)
        xr.testing.assert_identical(lazy.load(), dataset)
    xr.testing.assert_allclose(open_netcdf(path), dataset + 1)


def test_a_lazily_open_file_can_be_written_over_itself(dataset, tmp_path):
    path = write_netcdf(dataset, tmp_path / "a.nc")
    with xr.open_dataset(path) as lazy:
        write_netcdf(lazy.isel(row=slice(5)), path)
    assert open_netcdf(path).sizes["row"] == 5


def test_an_open_file_is_closed_after_reading(dataset, tmp_path):
    path = write_netcdf(dataset, tmp_path / "a.nc")
    loaded = open_netcdf(path)
    path.unlink()
    assert float(loaded["value"].sum()) == pytest.approx(float(dataset["value"].sum()))


@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 0.95])
def test_a_truncated_file_is_refused_in_one_clear_error(dataset, tmp_path, part):
    path = write_netcdf(dataset, tmp_path / "a.nc")
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(
        RecordingError, match=r"a.nc cannot be read as netCDF .* truncated, damaged"
    ):
        load_recording(path)


def test_a_file_with_damaged_data_is_refused(dataset, tmp_path):
    path = write_netcdf(dataset, tmp_path / "a.nc")
    content = bytearray(path.read_bytes())
    content[len(content) // 4 :] = bytes(len(content) - len(content) // 4)
    path.write_bytes(content)
    with pytest.raises(RecordingError, match="is damaged"):
        open_netcdf(path)


def test_a_file_of_another_format_is_refused(tmp_path):
    (tmp_path / "a.nc").write_text("stimulus,site,response\n")
    with pytest.raises(RecordingError, match=r"a.nc cannot be read as netCDF"):
        open_netcdf(tmp_path / "a.nc")


def test_a_missing_file_names_the_files_beside_it(dataset, tmp_path):
    write_netcdf(dataset, tmp_path / "there.nc")
    with pytest.raises(FileNotFoundError, match=r"no file .*absent.nc. The folder has 'there.nc'"):
        open_netcdf(tmp_path / "absent.nc")
    with pytest.raises(FileNotFoundError, match="Check the path"):
        open_netcdf(tmp_path / "no folder" / "absent.nc")
    with pytest.raises(RecordingError, match="is a folder"):
        open_netcdf(tmp_path)


def test_a_missing_folder_is_refused_by_name(dataset, tmp_path):
    with pytest.raises(OSError, match=r"the folder .*absent does not exist"):
        write_netcdf(dataset, tmp_path / "absent" / "a.nc")
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"the folder .*file is not a folder"):
        write_netcdf(dataset, tmp_path / "file" / "a.nc")
    with pytest.raises(OSError, match=r"is a folder. Give the name of a file in it"):
        write_netcdf(dataset, tmp_path)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write in every folder"
)
def test_a_folder_that_may_not_be_written_is_refused_by_name(dataset, tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OSError, match=f"cannot be written in the folder {tmp_path}"):
            write_netcdf(dataset, tmp_path / "a.nc")
    finally:
        tmp_path.chmod(0o700)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(dataset, tmp_path, monkeypatch):
    path = write_netcdf(dataset, tmp_path / "a.nc")

    def fail(*paths):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", fail)
        with pytest.raises(OSError, match=f"cannot be written in the folder {tmp_path}"):
            write_netcdf(dataset + 1, path)
    assert list(tmp_path.iterdir()) == [path]
    xr.testing.assert_identical(open_netcdf(path), dataset)


def test_attributes_that_netcdf_cannot_hold_are_refused_and_nothing_is_left(dataset, tmp_path):
    with pytest.raises(RecordingError, match=r"netCDF cannot hold .*settings"):
        write_netcdf(dataset.assign_attrs(settings={"a": 1}), tmp_path / "a.nc")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="needs named pipes")
def test_a_named_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.nc")
    for read in (open_netcdf, open_netcdf_lazily):
        with pytest.raises(RecordingError, match=r"a\.nc is no regular file"):
            read(tmp_path / "a.nc")
