"""BrainIO files of every vintage, read and written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from neural_data.errors import RecordingError
from neural_data.formats.brainio.reader import (
    open_brainio,
    read_brainio,
    read_brainio_events,
    read_brainio_spikes,
)
from neural_data.formats.brainio.writer import write_brainio
from neural_data.model.presentations import recording_from_presentations
from neural_data.model.recording import average_repetitions, load_recording, save_recording
from neural_data.simulation.macaque import Macaque
from neural_data.simulation.simulate import simulate_macaque
from neural_data.simulation.time_course import TimeCourse

NAMES = {"identifier": "lab.Test2026", "stimulus_set_identifier": "lab.images"}


def make_assembly() -> xr.DataArray:
    """Eighteen presentations of five stimuli, some more often than others, out of order."""
    rng = np.random.default_rng(0)
    stimulus = np.array(list("abcde") * 3 + ["a", "c", "a"])
    return xr.DataArray(
        rng.normal(size=(18, 4, 2)).astype(np.float32),
        dims=("presentation", "neuroid", "time_bin"),
        coords={
            "image_id": ("presentation", stimulus),
            "trial": ("presentation", np.arange(18)),
            "category_name": ("presentation", np.where(stimulus < "c", "car", "face")),
            "neuroid_id": ("neuroid", ["n1", "n2", "n3", "n4"]),
            "region": ("neuroid", ["V4", "V4", "IT", "IT"]),
            "monkey": ("neuroid", ["Chabo", "Tito", "Chabo", "Tito"]),
            "y": ("neuroid", [0.0, 0.4, np.nan, 1.2]),
            "time_bin_start": ("time_bin", [70, 80]),
            "time_bin_stop": ("time_bin", [80, 90]),
        },
        name="any.Name",
    )


def check_same(first: xr.Dataset, second: xr.Dataset) -> None:
    """Every value, label and attribute of the first is in the second, and no other label."""
    xr.testing.assert_equal(first, second)
    assert set(first.coords) == set(second.coords)
    for name in first.coords:
        assert first[name].dtype.kind == second[name].dtype.kind, name
    assert first["response"].dtype == second["response"].dtype
    assert first["response"].attrs == second["response"].attrs
    assert first.attrs.items() <= second.attrs.items()


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0)])
def test_presentations_become_repetitions_whatever_the_order_of_dims(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    assembly = make_assembly()
    turned = assembly.transpose(*(assembly.dims[k] for k in order))
    turned.to_netcdf(tmp_path / "a.nc")
    recording = read_brainio(tmp_path / "a.nc")
    assert dict(recording.sizes) == {"stimulus": 5, "repetition": 5, "site": 4, "time_bin": 2}
    assert recording["area"].values.tolist() == ["V4", "V4", "IT", "IT"]
    assert recording["animal"].values.tolist() == ["Chabo", "Tito", "Chabo", "Tito"]
    assert recording["category"].dims == ("stimulus",)
    for row, name in enumerate(recording["stimulus"].values):
        shown = assembly.values[assembly["image_id"].values == name]
        got = recording["response"].values[row]
        np.testing.assert_array_equal(got[: len(shown)], shown)
        assert np.isnan(got[len(shown) :]).all()


def test_a_file_opened_lazily_holds_the_same_and_averages_the_same(tmp_path: Path) -> None:
    make_assembly().to_netcdf(tmp_path / "a.nc")
    loaded = read_brainio(tmp_path / "a.nc")
    with open_brainio(tmp_path / "a.nc") as opened:
        picked = opened.isel(stimulus=[3, 0], site=slice(1, 3), time_bin=[1])
        xr.testing.assert_equal(
            picked.load(), loaded.isel(stimulus=[3, 0], site=slice(1, 3), time_bin=[1])
        )
        xr.testing.assert_equal(average_repetitions(opened), average_repetitions(loaded))


def test_the_table_of_stimuli_is_joined_by_name(tmp_path: Path) -> None:
    make_assembly().to_netcdf(tmp_path / "a.nc")
    table = tmp_path / "s.csv"
    table.write_text("image_id,size\nz,9\ne,5\nd,4\nc,3\nb,2\na,1\n", encoding="utf-8")
    recording = read_brainio(tmp_path / "a.nc", stimuli=table)
    assert recording["size"].values.tolist() == [1, 2, 3, 4, 5]
    table.write_text("image_id,size\ne,5\n", encoding="utf-8")
    with pytest.raises(RecordingError, match="4 "):
        read_brainio(tmp_path / "a.nc", stimuli=table)


def test_what_is_written_reads_back_the_same(tmp_path: Path) -> None:
    make_assembly().to_netcdf(tmp_path / "a.nc")
    first = read_brainio(tmp_path / "a.nc", units="spikes/s", source="lab")
    second = read_brainio(write_brainio(first, tmp_path / "b.nc", **NAMES))
    check_same(first, second)
    check_same(first, load_recording(save_recording(first, tmp_path / "own.nc")))


@pytest.mark.parametrize("timed", [False, True])
def test_simulated_recordings_read_back_the_same(tmp_path: Path, timed: bool) -> None:
    macaque = Macaque(time=TimeCourse(bin_width=50) if timed else None, sessions=2)
    first, _ = simulate_macaque(repetitions=(2, 4), n_v4=3, n_it=4, macaque=macaque)
    second = read_brainio(write_brainio(first, tmp_path / "b.nc", **NAMES))
    check_same(first, second)


def test_labels_of_repetitions_survive_the_round_trip(tmp_path: Path) -> None:
    assembly = (
        make_assembly()
        .isel(time_bin=0, drop=True)
        .drop_vars(["time_bin_start", "time_bin_stop"], errors="ignore")
    )
    assembly = assembly.rename(
        neuroid="site", image_id="stimulus", region="area", monkey="animal", neuroid_id="name"
    ).assign_coords(repetition=("presentation", np.arange(18) * 3))
    assembly = assembly.assign_coords(site=assembly["name"].values).drop_vars(
        ["name", "category_name"]
    )
    first = recording_from_presentations(assembly, units="Hz", source="lab")
    assert "repetition_label" in first.coords
    second = read_brainio(write_brainio(first, tmp_path / "b.nc", **NAMES))
    check_same(first, second)


def test_the_written_file_has_the_form_that_brainio_requires(tmp_path: Path) -> None:
    recording, _ = simulate_macaque(repetitions=2, n_v4=2, n_it=2)
    write_brainio(recording, tmp_path / "b.nc", **NAMES)
    with xr.open_dataset(tmp_path / "b.nc") as file:
        assert list(file.data_vars) == ["data"]
        assert file["data"].dims == ("presentation", "neuroid", "time_bin")
        assert not file.indexes
        assert {"stimulus_id", "repetition", "neuroid_id", "region"} <= set(file.coords)
        assert file.attrs["identifier"] == "lab.Test2026"
        assert file.attrs["stimulus_set_identifier"] == "lab.images"
        assert file["time_bin_start"].values.tolist() == [70]


def test_names_that_would_be_mixed_up_are_refused(tmp_path: Path) -> None:
    recording, _ = simulate_macaque(repetitions=2, n_v4=2, n_it=2)
    twice = recording.assign_coords(region=("site", ["a", "b", "c", "d"]))
    with pytest.raises(RecordingError, match="'region'"):
        write_brainio(twice, tmp_path / "b.nc", **NAMES)
    assert not list(tmp_path.iterdir())


def test_a_file_that_does_not_name_its_stimuli_is_refused(tmp_path: Path) -> None:
    assembly = make_assembly().drop_vars("image_id")
    assembly.to_netcdf(tmp_path / "a.nc")
    with pytest.raises(RecordingError, match="does not say which stimulus was shown"):
        read_brainio(tmp_path / "a.nc")


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("assy_test_TestMe", (4, 2, 3)),
        ("assy_test_package_assembly", (6, 1, 3)),
        ("brainio110_assy_single", (3, 1, 2)),
        ("brainio110_assy_test", (6, 3, 4)),
        ("brainio110_assy_test_nocomp", (6, 3, 4)),
    ],
)
def test_real_fixtures_are_read_in_one_call_and_read_back(
    shared_data: Path, tmp_path: Path, name: str, sizes: tuple[int, ...]
) -> None:
    first = read_brainio(shared_data / "brainio_fixtures" / f"{name}.nc")
    assert first["response"].shape == sizes
    again = {**NAMES, **{k: v for k, v in first.attrs.items() if k in NAMES}}
    check_same(first, read_brainio(write_brainio(first, tmp_path / "b.nc", **again)))


@pytest.mark.data
def test_the_real_spike_times_and_events_are_read(shared_data: Path) -> None:
    path = shared_data / "brainio_fixtures" / "assy_test_package_assembly_extras.nc"
    spikes = read_brainio_spikes(path)
    assert int(spikes["spike_count"].sum()) == 1000
    assert sorted(spikes["area"].values.tolist()) == ["IT", "V4"]
    assert read_brainio_events(path, group="test").sizes["event"] == 40
    with pytest.raises(RecordingError, match="read_brainio_spikes"):
        read_brainio(path)


@pytest.mark.data
def test_the_real_it_sites_are_those_of_the_file(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "hvm_it" / "assy_dicarlo_MajajHong2015_IT-V6-animals-boats.nc"
    table = shared_data / "hvm_it" / "stimulus_dicarlo_hvm_V6-animals-boats.csv"
    recording = read_brainio(path, stimuli=table)
    with xr.open_dataset(path) as file:
        np.testing.assert_array_equal(
            recording["response"].values[:, 0], file["data"].values[:, :, 0].T
        )
        assert recording["stimulus"].values.tolist() == file["image_id"].values.tolist()
    assert set(recording["category"].values.tolist()) == {"Animals", "Boats"}
    again = {name: recording.attrs[name] for name in NAMES}
    check_same(recording, read_brainio(write_brainio(recording, tmp_path / "b.nc", **again)))
