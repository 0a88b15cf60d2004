"""What BrainIO files hold that other writers made: names, dims, groups, events, damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import neural_data.formats.brainio.files
import neural_data.formats.brainio.reader
from neural_data.errors import RecordingError
from neural_data.formats.brainio.events import read_brainio_events, read_brainio_spikes
from neural_data.formats.brainio.reader import open_brainio, read_brainio
from neural_data.model.recording import recording_from_arrays, save_recording

N_PRESENTATIONS, N_SITES = 30, 5


def make_file(
    path: Path, *, chunks: tuple[int, ...] | None = None, **coords: object
) -> xr.DataArray:
    """A file of presentation x neuroid with a stimulus id, whose further coordinates are given."""
    rng = np.random.default_rng(0)
    assembly = xr.DataArray(
        rng.normal(size=(N_PRESENTATIONS, N_SITES)).astype(np.float32),
        dims=("presentation", "neuroid"),
        coords={"stimulus_id": ("presentation", rng.choice(list("abcdef"), N_PRESENTATIONS))},
        name="data",
    ).assign_coords(coords)
    encoding = {} if chunks is None else {"data": {"chunksizes": chunks, "zlib": True}}
    assembly.to_netcdf(path, encoding=encoding)
    return assembly


def over_sites(*values: object) -> tuple[str, list[object]]:
    return ("neuroid", list(values))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.nc"


def test_a_name_that_is_another_thing_here_is_kept_with_a_prefix(path):
    make_file(
        path,
        neuroid_id=over_sites(*"ABCDE"),
        region=over_sites(*["V4"] * 5),
        area=over_sites(1, 2, 3, 4, 5),
        site=over_sites(*"vwxyz"),
        x=over_sites(*np.arange(5.0)),
        stimulus=("presentation", np.arange(N_PRESENTATIONS)),
        subject=over_sites(*["Tito"] * 5),
        arr=over_sites(*"MMPPP"),
    )
    recording = read_brainio(path)
    assert recording["site"].values.tolist() == list("ABCDE")
    assert recording["brainio_site"].values.tolist() == list("vwxyz")
    assert set(recording["area"].values) == {"V4"}
    assert recording["brainio_area"].values.tolist() == [1, 2, 3, 4, 5]
    assert recording["x"].values.tolist() == [0, 1, 2, 3, 4]
    assert recording["brainio_stimulus"].dims == ("stimulus", "repetition")
    assert set(recording["animal"].values) == {"Tito"}
    assert recording["array"].values.tolist() == list("MMPPP")


def test_sites_without_a_name_are_numbered_and_a_single_coordinate_names_them(path):
    make_file(path)
    assert read_brainio(path)["site"].values.tolist() == [f"site{k}" for k in range(1, 6)]
    make_file(path, electrode=over_sites(11, 12, 13, 14, 15))
    assert read_brainio(path)["site"].values.tolist() == ["11", "12", "13", "14", "15"]


def test_sites_of_one_name_in_two_animals_are_told_apart_by_the_animal(path):
    make_file(path, neuroid_id=over_sites(1, 2, 3, 1, 2), animal=over_sites(*"FFFNN"))
    recording = read_brainio(path)
    assert recording["site"].values.tolist() == ["F_1", "F_2", "F_3", "N_1", "N_2"]
    assert recording["brainio_neuroid_id"].values.tolist() == ["1", "2", "3", "1", "2"]
    assert "not unique" in recording.attrs["history"]
    make_file(path, neuroid_id=over_sites(1, 2, 3, 1, 2))
    assert read_brainio(path)["site"].values.tolist() == ["1#1", "2#1", "3#1", "1#2", "2#2"]


def test_labels_that_are_empty_at_some_sites_are_unknown_there(path):
    make_file(
        path,
        neuroid_id=over_sites(*"ABCDE"),
        region=over_sites("V4", "", "IT", "IT", "IT"),
        hemisphere=over_sites(1.0, np.nan, 2.0, 2.0, 2.0),
    )
    recording = read_brainio(path)
    assert recording["area"].values.tolist() == ["V4", "unknown", "IT", "IT", "IT"]
    assert recording["hemisphere"].values.tolist() == ["1", "unknown", "2", "2", "2"]
    assert "area empty at 1 sites" in recording.attrs["history"]


def test_what_nobody_states_is_unknown_and_what_the_caller_states_holds(path):
    make_file(path, neuroid_id=over_sites(*"ABCDE"))
    recording = read_brainio(path)
    assert set(recording["area"].values) == {"unknown"}
    assert recording["response"].attrs["units"].startswith("unknown")
    assert "states no units" in recording.attrs["history"]
    assert "states no area" in recording.attrs["history"]
    assert recording.attrs["source"] == "file.nc"
    stated = read_brainio(path, area=["V4"] * 4 + ["IT"], units="spikes/s", source="our lab")
    assert stated["area"].values.tolist() == ["V4"] * 4 + ["IT"]
    assert stated["response"].attrs["units"] == "spikes/s"
    assert stated.attrs["source"] == "our lab"
    with pytest.raises(RecordingError, match="2 labels for 5 sites"):
        read_brainio(path, area=["V4", "IT"])
    make_file(path, region=over_sites(*["pIT"] * 5))
    changed = read_brainio(path, area="IT")
    assert set(changed["area"].values) == {"IT"}
    assert set(changed["brainio_area"].values) == {"pIT"}


def test_a_single_time_bin_is_a_window_and_several_without_bounds_stay(path):
    assembly = make_file(path)
    single = assembly.expand_dims("time_bin", 2)
    bounds = {"time_bin_start": ("time_bin", [70]), "time_bin_stop": ("time_bin", [170.5])}
    single.assign_coords(bounds).to_netcdf(path)
    recording = read_brainio(path)
    assert recording["response"].dims == ("stimulus", "repetition", "site")
    assert recording["response"].attrs["window"] == "70-170.5 ms"
    xr.concat([assembly, assembly + 1], "time_bin").to_netcdf(path)
    several = read_brainio(path)
    assert several["response"].dims[-1] == "time_bin"
    np.testing.assert_allclose(np.diff(several["response"].values)[:, 0], 1, atol=1e-5)


def test_numbers_as_ids_become_text_and_dates_become_text(path):
    make_file(
        path,
        image_id=("presentation", np.arange(N_PRESENTATIONS) % 4),
        day=("presentation", np.full(N_PRESENTATIONS, np.datetime64("2020-02-03", "ns"))),
    )
    with xr.open_dataset(path) as file:
        changed = file.load().drop_vars("stimulus_id")
    changed.to_netcdf(path)
    recording = read_brainio(path)
    assert recording["stimulus"].values.tolist() == ["0", "1", "2", "3"]
    assert recording["day"].values[0].startswith("2020-02-03T")


def test_labels_that_the_file_does_not_list_as_coordinates_are_labels_all_the_same(path):
    make_file(path, neuroid_id=over_sites(*"ABCDE"))
    expected = read_brainio(path)
    with xr.open_dataset(path) as file:
        bare = file.load().reset_coords()
    bare.to_netcdf(path)
    xr.testing.assert_identical(read_brainio(path), expected)


def test_columns_of_the_table_overrule_those_of_the_file_but_the_key(path, tmp_path):
    make_file(
        path,
        neuroid_id=over_sites(*"ABCDE"),
        x=over_sites(*np.arange(5)),
        size=("presentation", np.arange(N_PRESENTATIONS)),
    )
    table = tmp_path / "stimuli.csv"
    rows = "".join(f"{name},{k},{k + 10},cat\n" for k, name in enumerate("zfedcba"))
    table.write_text("stimulus_id,size,x,category_name\n" + rows, encoding="utf-8")
    recording = read_brainio(path, stimuli=table)
    assert recording["size"].dims == ("stimulus",)
    expected = ["zfedcba".index(name) for name in recording["stimulus"].values]
    assert recording["size"].values.tolist() == expected
    assert recording["x"].dims == ("site",)
    assert (recording["brainio_x"].values - recording["size"].values == 10).all()
    assert set(recording["category"].values) == {"cat"}
    assert "1 of its 7 rows not shown" in recording.attrs["history"]
    table.write_text("stimulus_id,size\n" + "a,1\n" * 2 + "b,1\n", encoding="utf-8")
    with pytest.raises(RecordingError, match="names stimuli twice: 'a'") as caught:
        read_brainio(path, stimuli=table)
    assert "4 of the 6 stimuli shown have no row" in str(caught.value)


def test_a_table_tells_which_nameless_column_is_the_stimulus(path, tmp_path):
    assembly = make_file(path, kind=("presentation", ["dog"] * N_PRESENTATIONS))
    assembly.rename(stimulus_id="level_0", kind="level_1").to_netcdf(path)
    with pytest.raises(RecordingError, match=r"'level_0', 'level_1'"):
        read_brainio(path)
    table = tmp_path / "stimuli.csv"
    table.write_text("image_id,size\n" + "".join(f"{n},1\n" for n in "abcdef"), encoding="utf-8")
    recording = read_brainio(path, stimuli=table)
    assert sorted(recording["stimulus"].values) == list("abcdef")
    assert set(recording["level_1"].values) == {"dog"}


def test_a_group_is_read_and_an_unknown_one_refused_with_those_there(path):
    assembly = make_file(path)
    assembly.to_netcdf(path, group="sessions/one", mode="w")
    assert read_brainio(path, group="sessions/one").sizes["site"] == N_SITES
    with pytest.raises(RecordingError, match="no group 'two'; it has 'sessions', 'sessions/one'"):
        read_brainio(path, group="two")
    with pytest.raises(RecordingError, match=r"no data variable .groups: 'sessions'"):
        read_brainio(path)


def test_what_is_no_assembly_is_refused(path, tmp_path):
    recording = recording_from_arrays(
        np.ones((2, 2)), stimulus=["a", "b"], site=["s", "t"], area="V4", units="Hz", source="us"
    )
    save_recording(recording, path)
    with pytest.raises(RecordingError, match="use load_recording"):
        read_brainio(path)
    two = xr.Dataset({name: (("presentation", "neuroid"), np.ones((2, 2))) for name in ("a", "b")})
    two.to_netcdf(path)
    with pytest.raises(RecordingError, match="several data variables, 'a', 'b'"):
        read_brainio(path)
    two[["a"]].rename(neuroid="voxel").to_netcdf(path)
    with pytest.raises(RecordingError, match="expected presentation and neuroid"):
        read_brainio(path)
    with pytest.raises(FileNotFoundError, match=r"The folder has 'file.nc'"):
        read_brainio(tmp_path / "other.nc")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(RecordingError):
        read_brainio(path)


def test_a_presentation_without_a_stimulus_is_refused_and_values_are_checked(path):
    names = ["a"] * (N_PRESENTATIONS - 1) + [""]
    make_file(path, stimulus_id=("presentation", names))
    with pytest.raises(RecordingError, match="empty at 1 of 30"):
        read_brainio(path)
    assembly = make_file(path)
    assembly[3, 2] = np.inf
    assembly.to_netcdf(path)
    with pytest.raises(RecordingError, match="infinite at 1"):
        read_brainio(path)
    open_brainio(path).close()


@pytest.mark.parametrize("first", ["presentation", "neuroid"])
@pytest.mark.parametrize("chunked", [False, True])
def test_indexing_a_lazy_file_is_indexing_the_loaded_one(path, monkeypatch, first, chunked):
    monkeypatch.setattr(neural_data.formats.brainio.files, "TILE_BYTES", 100)
    rng = np.random.default_rng(1)
    second = "neuroid" if first == "presentation" else "presentation"
    assembly = make_file(path)
    timed = xr.concat([assembly, assembly * 2, assembly * 3], "time_bin")
    timed = timed.transpose(first, second, "time_bin")
    encoding = {"data": {"chunksizes": (3, 2, 2), "zlib": True}} if chunked else {}
    timed.to_netcdf(path, encoding=encoding)
    loaded = read_brainio(path)["response"]
    keys = [slice(None), slice(None, None, -1), slice(1, 4, 2), slice(2, 2), 1, -1]
    with open_brainio(path) as opened:
        for _ in range(60):
            chosen = {}
            for dim, size in loaded.sizes.items():
                pick = rng.integers(len(keys) + 1)
                chosen[dim] = keys[pick] if pick < len(keys) else rng.integers(0, size, 4)
            got, expected = opened["response"].isel(chosen), loaded.isel(chosen)
            xr.testing.assert_identical(got.load(), expected)
        twice = {"site": [1, 1, 4], "stimulus": [2, 2]}
        xr.testing.assert_identical(opened["response"].isel(twice).load(), loaded.isel(twice))


def test_a_file_that_was_closed_or_is_damaged_inside_says_so_when_read(path):
    make_file(path, chunks=(10, 5), neuroid_id=over_sites(*"ABCDE"))
    opened = open_brainio(path)
    opened.close()
    content = bytearray(path.read_bytes())
    with xr.open_dataset(path) as file:
        assert file["data"].encoding["zlib"]
    place = content.rindex(b"\x78")
    content[place : place + 40] = bytes(40)
    path.write_bytes(bytes(content))
    with pytest.raises(RecordingError, match=r"file\.nc"):
        read_brainio(path)


def test_damage_found_while_labels_are_read_is_told_as_damage(path, monkeypatch):
    make_file(path)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("NetCDF: HDF error")

    monkeypatch.setattr(neural_data.formats.brainio.reader, "name_coordinates", fail)
    with pytest.raises(RecordingError, match=r"HDF error.*truncated, damaged"):
        open_brainio(path)


def make_events(path: Path, **coords: object) -> None:
    spikes = xr.DataArray(
        [0.5, 0.1, 0.3, 0.2],
        dims="event",
        coords={"neuroid_id": ("event", ["b", "a", "b", "a"])},
        name="data",
    )
    spikes.assign_coords(coords).to_netcdf(path)


def test_spikes_are_sorted_by_site_and_time_in_ms(path):
    make_events(path, region=("event", ["IT", "V4", "IT", "V4"]), trial=("event", [1, 2, 3, 4]))
    spikes = read_brainio_spikes(path)
    assert spikes["site"].values.tolist() == ["a", "b"]
    assert spikes["area"].values.tolist() == ["V4", "IT"]
    np.testing.assert_allclose(spikes["spike_time"], [100, 200, 300, 500])
    assert "trial" not in spikes.variables
    assert "left out, for they differ within a site: 'trial'" in spikes.attrs["history"]
    in_ms = read_brainio_spikes(path, time_units="ms", area="IT")
    np.testing.assert_allclose(in_ms["spike_time"] * 1000, spikes["spike_time"])
    with pytest.raises(RecordingError, match="time_units is 'h'"):
        read_brainio_spikes(path, time_units="h")


def test_spikes_of_one_name_in_two_animals_are_of_two_sites(path):
    make_events(path, animal=("event", ["F", "F", "N", "F"]))
    spikes = read_brainio_spikes(path)
    assert spikes["site"].values.tolist() == ["F_a", "F_b", "N_b"]
    assert spikes["animal"].values.tolist() == ["F", "F", "N"]
    assert spikes["spike_count"].values.tolist() == [2, 1, 1]


def test_events_and_presentations_name_the_function_to_use(path):
    make_events(path)
    with pytest.raises(RecordingError, match="read_brainio_spikes"):
        read_brainio(path)
    assert read_brainio_events(path)["data"].values.tolist() == [0.5, 0.1, 0.3, 0.2]
    assert read_brainio_events(path)["site"].values.tolist() == ["b", "a", "b", "a"]
    make_file(path)
    for function in (read_brainio_spikes, read_brainio_events):
        with pytest.raises(RecordingError, match=r"read it with read_brainio\("):
            function(path)
