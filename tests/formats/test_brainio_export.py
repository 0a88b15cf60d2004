"""Recordings written as BrainIO: nothing is lost, and what would be is refused."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import neural_data.formats.brainio.writer
from neural_data.errors import RecordingError
from neural_data.formats.brainio.reader import open_brainio, read_brainio
from neural_data.formats.brainio.writer import write_brainio

NAMES = {"identifier": "lab.Test2026", "stimulus_set_identifier": "lab.images"}


def make_recording(*, timed: bool = True) -> xr.Dataset:
    """Four stimuli, three repetitions, two sites: with gaps of all sites and of one."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4, 3, 2, 5)).astype(np.float32)
    values[0, 1] = np.nan
    values[2, :2] = np.nan
    values[1, :, 1] = np.nan
    recording = xr.Dataset(
        {
            "response": (
                ("stimulus", "repetition", "site", "time_bin"),
                values,
                {"units": "spikes/s", "filter": [300, 6000]},
            )
        },
        coords={
            "stimulus": ["b", "a", "d", "c"],
            "site": ["s1", "s2"],
            "area": ("site", ["V4", "IT"]),
            "depth": (("site", "time_bin"), rng.normal(size=(2, 5)), {"units": "um"}),
            "animal": ("site", ["Tito", "Chabo"]),
            "time_bin_start": ("time_bin", np.arange(5) * 10.0),
            "time_bin_end": ("time_bin", np.arange(5) * 10.0 + 10),
            "category": ("stimulus", ["é", "", "z ", "日本"]),
            "known": ("stimulus", [True, False, True, True]),
            "count": ("stimulus", np.array([1, 2, 3, 200], dtype=np.uint8)),
            "session": 7,
        },
        attrs={"source": "made up", "history": "made\nup", "year": 2026},
    )
    return recording if timed else recording.isel(time_bin=0)


def read_back(recording: xr.Dataset, path: Path) -> None:
    """What is written is what is read: values, types, labels, attributes."""
    expected = recording.assign_attrs(NAMES)
    got = read_brainio(write_brainio(recording, path, **NAMES))
    xr.testing.assert_identical(got, expected)
    for name in expected.variables:
        kinds = got[name].dtype, expected[name].dtype
        assert kinds[0] == kinds[1] or kinds[0].kind == kinds[1].kind == "U", name


@pytest.mark.parametrize("timed", [False, True])
def test_what_is_written_is_read_back_identical(tmp_path, timed):
    read_back(make_recording(timed=timed), tmp_path / "a.nc")


def test_a_window_becomes_a_time_bin_and_a_window_again(tmp_path):
    recording = make_recording(timed=False).drop_vars(["time_bin_start", "time_bin_end"])
    for window in ("70-170 ms", "-50-0.5 ms"):
        recording["response"].attrs["window"] = window
        read_back(recording, tmp_path / "a.nc")
    with xr.open_dataset(tmp_path / "a.nc") as file:
        assert file["data"].dims == ("presentation", "neuroid", "time_bin")
        assert file["time_bin_start"].values.tolist() == [-50]
        assert file["time_bin_end"].values.tolist() == [0.5]


def test_only_repetitions_that_were_shown_are_written(tmp_path):
    recording = make_recording()
    write_brainio(recording, tmp_path / "a.nc", **NAMES)
    with xr.open_dataset(tmp_path / "a.nc") as file:
        assert file.sizes["presentation"] == 9
        assert np.isfinite(file["data"]).any(("neuroid", "time_bin")).all()
        assert file["repetition"].values.tolist() == [0, 2, 0, 1, 2, 2, 0, 1, 2]


def test_repetitions_with_labels_but_no_response_and_empty_ones_survive(tmp_path):
    recording = make_recording()
    day = np.array([[1, 2, np.nan], [np.nan, 5, 6], [7, np.nan, 9], [3, 3, 3]])
    run = np.array([["x", "", ""], ["", "y", "z"], ["", "", "q"], ["", "", ""]])
    both = ("stimulus", "repetition")
    read_back(recording.assign_coords(day=(both, day), run=(both, run)), tmp_path / "a.nc")
    labelled = recording.assign_coords(repetition_label=(both, day), code=(both, day.round(-1)))
    read_back(labelled, tmp_path / "a.nc")
    constant = np.repeat(day[:, 2:], 3, axis=1)
    read_back(recording.assign_coords(day=(both, constant)), tmp_path / "a.nc")
    nobody = recording.isel(stimulus=[0])
    read_back(nobody.isel(repetition=[1, 0, 1, 1]), tmp_path / "a.nc")
    read_back(nobody.assign_coords(day=(both, day[:1])), tmp_path / "a.nc")


def test_a_lazy_recording_is_written_in_blocks_as_the_loaded_one(tmp_path, monkeypatch):
    recording = make_recording()
    write_brainio(recording, tmp_path / "a.nc", **NAMES)
    monkeypatch.setattr(neural_data.formats.brainio.writer, "BLOCK_BYTES", 200)
    monkeypatch.setattr(neural_data.formats.brainio.writer, "CHUNK_BYTES", 100)
    with open_brainio(tmp_path / "a.nc") as opened:
        write_brainio(opened, tmp_path / "b.nc")
    xr.testing.assert_identical(read_brainio(tmp_path / "b.nc"), read_brainio(tmp_path / "a.nc"))


def test_brainio_finds_one_variable_and_an_index_of_all_labels(tmp_path):
    write_brainio(make_recording(), tmp_path / "a.nc", **NAMES)
    with xr.open_dataarray(tmp_path / "a.nc") as data:
        assert data.attrs["identifier"] == "lab.Test2026"
        indexed = data.drop_vars("depth").set_index(
            presentation=["stimulus_id", "repetition", "category_name"],
            neuroid=["neuroid_id", "region", "animal"],
        )
        mean = indexed.groupby("stimulus_id").mean()
        assert mean.sizes["stimulus_id"] == 4


def test_an_identifier_of_the_recording_is_used_and_one_must_be_there(tmp_path):
    recording = make_recording()
    with pytest.raises(RecordingError, match="no identifier: give identifier=") as caught:
        write_brainio(recording, tmp_path / "a.nc")
    assert "no stimulus_set_identifier" in str(caught.value)
    write_brainio(recording.assign_attrs(NAMES), tmp_path / "a.nc")
    assert read_brainio(tmp_path / "a.nc").attrs["identifier"] == "lab.Test2026"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda r: r.drop_vars("animal").assign_coords(monkey=r["animal"].variable),
            "read back as 'animal'",
        ),
        (lambda r: r.assign_coords(region=r["area"].variable), "'region'"),
        (lambda r: r.assign_coords(data=r["area"].variable), "would be written as 'data'"),
        (lambda r: r.assign_coords(word=("stimulus", ["a\0b"] * 4)), "NUL"),
        (lambda r: r.assign_coords(half=("site", np.zeros(2, np.float16))), "float16"),
        (lambda r: r.assign_coords(mixed=("site", np.array([1, "a"], object))), "holds object"),
        (lambda r: r.assign_coords(odd=("repetition", [1, 2, 3])), "has dims .'repetition',."),
        (lambda r: r.assign_attrs(extra={"a": 1}), "attrs.'extra'. is"),
        (lambda r: r.where(r["stimulus"] != "a"), "NaN in every repetition of 1 stimuli"),
        (lambda r: r.drop_vars("area"), "no coordinate 'area'"),
    ],
)
def test_what_would_be_lost_or_mixed_up_is_refused_and_nothing_written(tmp_path, change, message):
    with pytest.raises(RecordingError, match=message):
        write_brainio(change(make_recording()), tmp_path / "a.nc", **NAMES)
    assert not list(tmp_path.iterdir())


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    recording, path = make_recording(), tmp_path / "a.nc"
    write_brainio(recording, path, **NAMES)
    before = path.read_bytes()

    def fill_the_disk(aside: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(neural_data.formats.brainio.writer, "append_checksum", fill_the_disk)
    with pytest.raises(OSError, match="No space left"):
        write_brainio(recording.isel(stimulus=[0]), path, **NAMES)
    assert [file.name for file in tmp_path.iterdir()] == ["a.nc"]
    assert path.read_bytes() == before
    with pytest.raises(FileNotFoundError, match="no folder"):
        write_brainio(recording, tmp_path / "none" / "a.nc", **NAMES)
    with pytest.raises(IsADirectoryError, match="is a folder"):
        write_brainio(recording, tmp_path, **NAMES)


def test_one_flipped_byte_anywhere_is_noticed(tmp_path):
    path = write_brainio(make_recording(), tmp_path / "a.nc", **NAMES)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(content), 40).tolist():
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(damaged))
        with pytest.raises(RecordingError):
            read_brainio(path)


def test_an_edited_note_of_the_writer_is_refused(tmp_path):
    write_brainio(make_recording(), tmp_path / "a.nc", **NAMES)
    with xr.open_dataset(tmp_path / "a.nc") as file:
        edited = file.load().assign_attrs(recording_layout="{")
    edited.to_netcdf(tmp_path / "b.nc")
    with pytest.raises(RecordingError, match="recording_layout"):
        read_brainio(tmp_path / "b.nc")
