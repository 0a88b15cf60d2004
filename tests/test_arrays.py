"""A recording that a lab keeps as .npy and lists of names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neural_data.arrays import read_arrays
from neural_data.errors import RecordingError

WHAT = {"units": "spikes/s", "source": "our lab"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "r.npy", np.arange(6).reshape(3, 2))
    (tmp_path / "stimuli.txt").write_text("b\na\n001\n", encoding="utf-8")
    (tmp_path / "sites.txt").write_text("s1\ns2\n", encoding="utf-8")
    (tmp_path / "sites.csv").write_text("site,area,animal\ns1,V4,m\ns2,IT,n\n", encoding="utf-8")
    return tmp_path


def test_an_array_and_two_lists_of_names_become_a_recording(folder: Path) -> None:
    recording = read_arrays(
        folder / "r.npy",
        stimuli=folder / "stimuli.txt",
        sites=folder / "sites.txt",
        area="IT",
        **WHAT,
    )
    assert recording["stimulus"].values.tolist() == ["b", "a", "001"]
    assert recording["response"].values[:, 0].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert recording["area"].values.tolist() == ["IT", "IT"]
    assert recording["response"].attrs["units"] == "spikes/s"


def test_columns_of_a_table_become_coordinates(folder: Path) -> None:
    (folder / "stimuli.csv").write_text(
        "stimulus,category\nb,car\na,car\n001,face\n", encoding="utf-8"
    )
    recording = read_arrays(
        folder / "r.npy", stimuli=folder / "stimuli.csv", sites=folder / "sites.csv", **WHAT
    )
    assert recording["stimulus"].values.tolist() == ["b", "a", "001"]
    assert recording["category"].values.tolist() == ["car", "car", "face"]
    assert recording["area"].values.tolist() == ["V4", "IT"]
    assert recording["animal"].values.tolist() == ["m", "n"]


@pytest.mark.parametrize(
    ("sites", "area", "message"),
    [
        ("sites.txt", None, "area of the sites is not known"),
        ("sites.csv", "IT", "has a column 'area' as well"),
    ],
)
def test_an_area_given_twice_or_never_is_refused(
    folder: Path, sites: str, area: str | None, message: str
) -> None:
    with pytest.raises(RecordingError, match=message):
        read_arrays(
            folder / "r.npy",
            stimuli=folder / "stimuli.txt",
            sites=folder / sites,
            area=area,
            **WHAT,
        )


def test_names_that_do_not_fit_the_array_are_refused(folder: Path) -> None:
    with pytest.raises(RecordingError, match="2 labels for 'stimulus'"):
        read_arrays(
            folder / "r.npy",
            stimuli=folder / "sites.txt",
            sites=folder / "sites.txt",
            area="IT",
            **WHAT,
        )


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00v\x00{'descr'"])
def test_a_damaged_array_is_refused(folder: Path, content: bytes) -> None:
    (folder / "r.npy").write_bytes(content)
    with pytest.raises(RecordingError, match="cannot be read as an array of numbers"):
        read_arrays(
            folder / "r.npy", stimuli=folder / "stimuli.txt", sites=folder / "sites.csv", **WHAT
        )


@pytest.mark.parametrize("name", ["r.npy", "stimuli.txt", "sites.txt"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        read_arrays(
            folder / "r.npy",
            stimuli=folder / "stimuli.txt",
            sites=folder / "sites.txt",
            area="IT",
            **WHAT,
        )
