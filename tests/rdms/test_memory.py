"""RDMs of many conditions: what they take is bounded, said beforehand, and refused without room."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from brainguided import compute_rdms, plot_rdms
from brainguided.__main__ import main
from brainguided.plot import rdm_figure
from brainguided.rdms import memory
from brainguided.rdms.compute import dissimilarities_from_rdms
from brainguided.rdms.distances import read_row, square_matrix
from neural_data.errors import RecordingError
from neural_data.model.dissimilarities import validate_dissimilarities
from neural_data.simulation.simulate import simulate_macaque

rng = np.random.default_rng(0)


def make_responses(number, units=20):
    labels = [f"s{k}" for k in range(number)]
    coords = {"stimulus": labels, "category": ("stimulus", [f"c{k % 8}" for k in range(number)])}
    values = rng.normal(size=(number, units))
    return xr.DataArray(values, dims=("stimulus", "unit"), coords=coords, name="IT")


def measure_peak(function, *arguments):
    tracemalloc.start()
    found = function(*arguments)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return found, peak


def test_an_rdm_is_made_and_drawn_with_less_than_two_matrices_of_memory(monkeypatch):
    monkeypatch.setattr(rdm_figure, "_LARGEST", 200)
    plot_rdms(compute_rdms(make_responses(8)))  # imports are not counted
    number = 1000
    matrix = 8 * number**2
    rdms, peak = measure_peak(compute_rdms, make_responses(number))
    assert peak < 1.7 * matrix
    figure, peak = measure_peak(plot_rdms, rdms)
    assert peak < 0.9 * matrix  # of blocks, not of another matrix
    figure[0].figure.clear()
    data, peak = measure_peak(dissimilarities_from_rdms, rdms)
    assert peak < 1.1 * matrix
    _, peak = measure_peak(validate_dissimilarities, data)
    assert peak < 0.8 * matrix  # of some rows, whatever the size: no copy


def test_one_row_is_that_of_the_matrix():
    for number in (2, 3, 10):
        vector = rng.normal(size=number * (number - 1) // 2)
        rows = [read_row(vector, k, number) for k in range(number)]
        np.testing.assert_array_equal(rows, square_matrix(vector))


def test_a_large_rdm_is_drawn_as_means_of_blocks(monkeypatch):
    vector, order = rng.normal(size=12 * 11 // 2), rng.permutation(12)
    whole = rdm_figure._lay_out(vector, order)
    np.testing.assert_array_equal(whole, square_matrix(vector)[order][:, order])
    monkeypatch.setattr(rdm_figure, "_LARGEST", 4)
    means = whole.reshape(4, 3, 4, 3).mean((1, 3))
    np.testing.assert_allclose(rdm_figure._lay_out(vector, order), means)
    monkeypatch.setattr(rdm_figure, "_LARGEST", 5)  # which does not divide 12
    edges = [0, 2, 4, 7, 9, 12]
    parts = [whole[a:b] for a, b in pairwise(edges)]
    means = [[p[:, a:b].mean() for a, b in pairwise(edges)] for p in parts]
    np.testing.assert_allclose(rdm_figure._lay_out(vector, order), means)


def test_an_rdm_without_room_is_refused_with_two_ways_out(monkeypatch):
    monkeypatch.setattr(memory, "find_free_memory", lambda: 100_000)
    assert compute_rdms(make_responses(400)).n_cond == 400  # less than 1 GiB is never refused
    monkeypatch.setattr(memory, "_SMALL", 1)
    with pytest.raises(
        RecordingError,
        match=r"RDM of IT over 400 conditions takes 0.6 MiB, and 2.0 MiB while .*; "
        r"0.1 MiB are free\. .*"
        r"by='...' \(coordinates: 'category'\), or "
        r"take blocks of at most 88 stimuli, select_recording",
    ):
        compute_rdms(make_responses(400))
    assert compute_rdms(make_responses(400), by="category").n_cond == 8
    assert compute_rdms(make_responses(88)).n_cond == 88


def test_what_is_free_is_known_where_the_system_says_it():
    free = memory.find_free_memory()
    if not Path("/proc/meminfo").is_file():
        assert free is None
    else:
        assert free is not None
        assert 2**20 < free < 2**50


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("nested", [False, True])
def test_files_that_were_read_take_no_room_from_a_container(tmp_path, monkeypatch, version, nested):
    group = tmp_path if version == 2 else tmp_path / "memory"
    own = Path("/proc/self/cgroup").read_text().splitlines() if nested else []
    controller = "" if version == 2 else "memory"
    paths = {one.split(":", 2)[1]: one.split(":", 2)[2] for one in own}
    if controller not in paths and nested:
        pytest.skip("no such control groups here")
    group = group / paths.get(controller, "").strip("/")
    group.mkdir(parents=True, exist_ok=True)
    most, used = (
        ("max", "current") if version == 2 else ("limit_in_bytes", "usage_in_bytes")
    )  # fmt: skip
    (group / f"memory.{most}").write_text(f"{2**20}\n")
    (group / f"memory.{used}").write_text(f"{2**20 - 100}\n")
    total = "" if version == 2 else "total_"
    counts = f"file 999999\n{total}active_file 3000\n{total}inactive_file 40000\nanon 7\n"
    (group / "memory.stat").write_text(counts)
    monkeypatch.setattr(memory, "_GROUPS", tmp_path)
    if not Path("/proc/meminfo").is_file():
        pytest.skip("this system does not say what is free")
    assert memory.find_free_memory() == 43_100
    (group / f"memory.{most}").write_text("max\n")
    assert memory.find_free_memory() > 2**20


def test_large_rdms_are_announced(monkeypatch, tmp_path, capsys):
    from neural_data import save_recording

    monkeypatch.setattr(memory, "find_free_memory", lambda: 2**36)
    assert memory.say_room(1, 1000) == ""
    said = memory.say_room(2, 20_000)
    assert "2 RDMs of 20,000 conditions: 3.0 GiB of memory, 6.3 GiB while" in said
    assert "10.4 GiB while" in memory.say_room(2, 20_000, save=True)
    monkeypatch.setattr(memory, "find_free_memory", lambda: 9 * 2**30)
    with pytest.raises(RecordingError, match=r"to save them takes 10\.4 GiB, .* most 18,577 stim"):
        memory.say_room(2, 20_000, save=True)
    assert memory.say_room(2, 18_577, save=True)
    recording, _ = simulate_macaque(seed=1)
    save_recording(recording, tmp_path / "r.nc")
    monkeypatch.setattr(memory, "_SMALL", 1)
    assert main(["rdms", str(tmp_path / "r.nc"), "--out", str(tmp_path / "r.png")]) == 0
    assert "RDMs of " in capsys.readouterr().err
    monkeypatch.setattr(memory, "find_free_memory", lambda: 1000)
    assert main(["rdms", str(tmp_path / "r.nc"), "--out", str(tmp_path / "x.png")]) == 1
    said = capsys.readouterr().err
    assert "together, --by (coordinates:" in said
    assert "'brainguided select --stimuli NAMES.txt'" in said
