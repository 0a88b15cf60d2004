"""Recordings larger than memory: blocks of sites, and reading from the file only what is asked."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neural_data.errors import RecordingError
from neural_data.model.recording import (
    average_repetitions,
    iterate_sites,
    load_recording,
    open_recording,
    recording_from_arrays,
    save_recording,
    select_recording,
    validate_recording,
)
from neural_data.storage.chunked_reads import read_by_chunks
from neural_data.storage.netcdf import open_netcdf_lazily, write_netcdf


@pytest.fixture
def patchy() -> xr.Dataset:
    """Time bins, and presentations missing at random, other ones at each site."""
    rng = np.random.default_rng(5)
    response = rng.gamma(2.0, 3.0, size=(30, 6, 40, 3)).astype(np.float32)
    response[rng.random(response.shape[:3]) < 0.3] = np.nan
    response[:, 0] = 4.0  # no stimulus is missed wholly
    made = recording_from_arrays(
        response,
        stimulus=[f"im{i}" for i in rng.permutation(30)],
        site=[f"s{i}" for i in rng.permutation(40)],
        area=rng.choice(["V4", "IT"], 40),
        units="spikes/s",
        source="made up",
    )
    return made.assign_coords(
        time_bin_start=("time_bin", [0, 50, 100]), time_bin_end=("time_bin", [50, 100, 150])
    )


@pytest.mark.parametrize("order", [None, ("site", "time_bin", "stimulus", "repetition")])
def test_blocks_of_sites_put_together_are_the_response(patchy, order, monkeypatch):
    recording = patchy.transpose(*order) if order else patchy
    monkeypatch.setattr("neural_data.model.site_blocks._count_sites", lambda *_: 7)
    slices, blocks = zip(*iterate_sites(recording), strict=True)
    assert [s.start for s in slices] == [0, 7, 14, 21, 28, 35]
    np.testing.assert_array_equal(np.concatenate(blocks, axis=2), patchy["response"].values)
    with pytest.raises(ValueError, match="read-only"):
        blocks[0][0, 0, 0] = 1.0


def test_blocks_keep_to_the_size_asked_for_and_to_whole_chunks():
    response = xr.DataArray(
        np.zeros((64, 8, 512), dtype=np.float64), dims=("stimulus", "repetition", "site")
    )
    recording = xr.Dataset({"response": response})
    assert {b.nbytes for _, b in iterate_sites(recording, megabytes=1)} == {2**20}
    recording["response"].encoding["preferred_chunks"] = {"site": 100}
    sizes = [b.shape[2] for _, b in iterate_sites(recording, megabytes=1)]
    assert sizes == [200, 200, 112]
    with pytest.raises(ValueError, match="megabytes is 0"):
        next(iterate_sites(recording, megabytes=0))


def test_a_half_missing_time_course_is_named_by_its_place_in_any_block(patchy, monkeypatch):
    monkeypatch.setattr("neural_data.model.site_blocks._count_sites", lambda *_: 7)
    monkeypatch.setattr("neural_data.model.site_blocks.ROWS_BYTES", 2000)
    patchy["response"][25, 0, 2, 2] = np.nan  # in the first block, but a later stimulus
    patchy["response"][23, 0, 31, 2] = np.nan
    names = {dim: str(patchy[dim].values[i]) for dim, i in (("stimulus", 23), ("site", 31))}
    with pytest.raises(
        RecordingError,
        match=f"stimulus '{names['stimulus']}', repetition 0, site '{names['site']}'",
    ):
        validate_recording(patchy)


def test_lazily_opened_and_loaded_recordings_give_the_same(patchy, tmp_path, monkeypatch):
    path = save_recording(patchy, tmp_path / "patchy.nc")
    loaded = load_recording(path)
    monkeypatch.setattr("neural_data.model.site_blocks._count_sites", lambda *_: 7)
    with open_recording(path) as lazy:
        assert not lazy["response"].variable._in_memory
        assert validate_recording(lazy) is lazy
        xr.testing.assert_identical(average_repetitions(lazy), average_repetitions(loaded))
        for choice in ({"area": "IT"}, {"site": ["s9", "s1"], "stimulus": ["im2", "im28"]}):
            a, b = select_recording(lazy, **choice), select_recording(loaded, **choice)
            assert not a["response"].variable._in_memory
            xr.testing.assert_identical(a.load(), b)
        saved = save_recording(select_recording(lazy, area="IT"), tmp_path / "it.nc")
        assert not lazy["response"].variable._in_memory
    xr.testing.assert_identical(load_recording(saved), select_recording(loaded, area="IT"))


def test_open_recording_leaves_no_file_open_that_is_no_recording(tmp_path):
    path = tmp_path / "other.nc"
    xr.Dataset({"data": ("x", [1.0])}).to_netcdf(path)
    with pytest.raises(RecordingError, match=r"other\.nc does not follow .*\n.*no variable"):
        open_recording(path)
    with pytest.raises(FileNotFoundError, match="There is no file"):
        open_recording(tmp_path / "none.nc")


def test_the_file_is_closed_with_the_recording_and_also_if_it_is_no_recording(
    patchy, tmp_path, monkeypatch
):
    closed = []

    def open_and_tell(path):
        dataset = open_netcdf_lazily(path)
        same = dataset.assign_attrs()
        same.set_close(lambda: (dataset.close(), closed.append(path.name)))
        return same

    monkeypatch.setattr("neural_data.model.recording.open_netcdf_lazily", open_and_tell)
    with open_recording(save_recording(patchy, tmp_path / "patchy.nc")):
        assert not closed
    assert closed == ["patchy.nc"]
    with pytest.raises(RecordingError):
        open_recording(write_netcdf(patchy.drop_vars("area"), tmp_path / "areas.nc"))
    assert closed == ["patchy.nc", "areas.nc"]


def test_a_file_that_is_damaged_while_open_is_refused_by_name_of_the_sites(patchy, tmp_path):
    path = save_recording(patchy, tmp_path / "patchy.nc")
    with open_recording(path) as lazy:
        content = bytearray(path.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 2000] = bytes(2000)
        path.write_bytes(content)
        with pytest.raises(RecordingError, match="responses of sites 0 to 39 cannot be read"):
            average_repetitions(lazy)


@pytest.mark.parametrize("seed", range(6))
def test_reading_by_chunks_equals_numpy_for_every_kind_of_index(seed):
    rng = np.random.default_rng(seed)
    values = rng.random((13, 7, 29))
    lazy = read_by_chunks(xr.Variable(("a", "b", "c"), values), (5, 7, 4))
    for _ in range(40):
        key, oracle = {}, values
        for axis, dim in reversed(list(enumerate("abc"))):
            n = values.shape[axis]
            index = [
                int(rng.integers(-n, n)),
                slice(*sorted(rng.integers(-n, n, 2).tolist())),
                slice(None, None, int(rng.choice([-3, -1, 2, 5]))),
                rng.integers(-n, n, int(rng.integers(1, 9))),
                slice(None),
            ][rng.integers(5)]
            key[dim] = index
            oracle = oracle[(slice(None),) * axis + (index,)]
        np.testing.assert_array_equal(lazy.isel(key).values, oracle)
        first, second = {"a": key["a"]}, {d: key[d] for d in "bc"}
        np.testing.assert_array_equal(lazy.isel(first).isel(second).values, oracle)


def test_a_recording_backed_by_dask_is_read_block_by_block(patchy):
    pytest.importorskip("dask")
    chunked = patchy.chunk(site=7)
    xr.testing.assert_identical(average_repetitions(chunked), average_repetitions(patchy))
    assert validate_recording(chunked)["response"].chunks is not None
