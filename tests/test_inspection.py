"""What a file or a recording holds, said in a few lines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from neural_data.errors import RecordingError
from neural_data.inspection import describe_file, describe_recording, describe_spikes
from neural_data.model.recording import (
    add_step,
    average_repetitions,
    open_recording,
    recording_from_arrays,
    save_recording,
)
from neural_data.model.spikes import spikes_from_arrays
from neural_data.model.stimuli import save_stimuli
from neural_data.reliability import facts as recording_facts
from neural_data.reliability.estimates import compute_rdm_reliability, compute_site_reliability
from neural_data.reliability.facts import gather_facts
from neural_data.simulation.simulate import simulate_macaque
from neural_data.storage.netcdf import write_netcdf


def make_recording(response: np.ndarray, area: str | list[str] = "IT") -> xr.Dataset:
    return recording_from_arrays(
        response,
        stimulus=[f"im{k}" for k in range(response.shape[0])],
        site=[f"s{k}" for k in range(response.shape[2])],
        area=area,
        units="Hz",
        source="lab",
    )


def draw_responses(*shape: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=shape) + 2 * rng.normal(size=(shape[0], 1, *shape[2:]))


def add_time(recording: xr.Dataset, values: np.ndarray) -> xr.Dataset:
    dims = ("stimulus", "repetition", "site", "time_bin")
    starts = 20.0 * np.arange(values.shape[3]) - 20
    return recording.assign(response=(dims, values, {"units": "Hz"})).assign_coords(
        time_bin_start=("time_bin", starts), time_bin_end=("time_bin", starts + 20)
    )


def test_a_recording_is_described_with_its_reliability(tmp_path: Path) -> None:
    recording, stimuli = simulate_macaque(repetitions=4, n_v4=6, n_it=5)
    said = describe_file(save_recording(recording, tmp_path / "macaque.nc"))
    assert said["file"] == "macaque.nc, recording"
    assert said["areas"] == "IT (5 sites), V4 (6 sites)"
    assert said["repetitions"] == "4 to 4 (median 4)"
    assert said["units"] == "spikes/s"
    assert "simulated" in said["source"]
    assert said["reliability from"].startswith("20 random splits; intervals: 95%, 200 draws")
    for area in ("V4", "IT"):
        mine = recording.isel(site=np.flatnonzero(recording["area"] == area))
        sites = float(compute_site_reliability(mine, splits=20).median())
        rdm = float(compute_rdm_reliability(mine, splits=20)[0])
        assert said[f"reliability {area}"] == f"sites {sites:.2f} (median), RDM {rdm:.2f}"
        words = said[f"interval {area}"].replace(",", "").split()
        assert words[0::4] == ["sites", "RDM"]
        low, high, rdm_low, rdm_high = (float(words[k]) for k in (1, 3, 5, 7))
        assert low <= sites <= high
        assert rdm_low <= rdm <= rdm_high
    assert "object_name" in describe_file(save_stimuli(stimuli, tmp_path / "s.nc"))["labels"]


def test_repetitions_that_were_not_shown_are_counted(tmp_path: Path) -> None:
    response = np.random.default_rng(0).normal(size=(4, 3, 2))
    response[0, 2] = np.nan
    said = describe_file(save_recording(make_recording(response), tmp_path / "r.nc"))
    assert said["repetitions"] == "2 to 3 (median 3)"
    assert said["not shown"].startswith("1 of 12")
    assert said["memory"] == "0.0 MiB of float64 when loaded"
    assert "missing" not in said
    assert "interval IT" not in said


def test_what_single_sites_miss_is_counted_and_their_rdm_not_defined() -> None:
    response = draw_responses(20, 4, 6)
    response[3, 2:, 1] = np.nan
    response[4, :, 2] = np.nan
    said = describe_recording(make_recording(response, ["V4"] * 3 + ["IT"] * 3))
    assert said["missing"] == (
        "6 responses of single sites (NaN); 1 of 6 sites lack 1 of 20 stimuli wholly"
    )
    assert "RDM not defined: 1 of 3 sites ('s2') did not see every" in said["reliability V4"]
    assert "RDM 0." in said["reliability IT"]
    assert said["interval V4"].startswith("sites 0.")


def test_an_area_of_two_sites_has_no_rdm() -> None:
    said = describe_recording(make_recording(draw_responses(20, 4, 2)))
    assert said["reliability IT"].endswith(
        "(median); RDM not defined: Fewer than 3 sites in 'IT'; "
        "the patterns of an RDM need at least 3. Select the other areas: "
        "select_recording(recording, area=...)."
    )


def test_reliability_without_repetitions_is_not_defined() -> None:
    said = describe_recording(make_recording(draw_responses(20, 1, 4)))
    assert said["reliability"] == "not defined: no stimulus was shown twice"
    few = draw_responses(20, 3, 4)
    few[2:, 1:] = np.nan
    said = describe_recording(make_recording(few))
    assert said["reliability"] == "not defined: 2 of 20 stimuli were shown twice to all sites"


def test_stimuli_shown_once_are_left_out_of_the_reliability() -> None:
    response = draw_responses(20, 3, 4)
    response[15:, 1:] = np.nan
    said = describe_recording(make_recording(response))
    alone = describe_recording(make_recording(response[:15]))
    assert said["reliability IT"] == alone["reliability IT"]
    assert said["interval IT"] == alone["interval IT"]
    assert said["reliability from"].endswith("; 15 of 20 stimuli, shown repeatedly")
    assert said["repetitions"] == "1 to 3 (median 3)"


def test_time_bins_are_described_and_averaged() -> None:
    values = draw_responses(20, 4, 4, 5).astype(np.float32)
    values[2, 3] = np.nan
    said = describe_recording(add_time(make_recording(values[..., 0]), values))
    assert said["time bins"] == "5 of 20 ms"
    assert said["time"] == "-20 to 80 ms"
    assert said["reliability from"].endswith("; mean over 5 time bins")
    assert said["memory"].endswith("float32 when loaded")
    alone = describe_recording(make_recording(values.mean(axis=3)))
    assert said["reliability IT"] == alone["reliability IT"]
    assert "time" not in alone


def test_a_file_is_described_as_the_recording_in_memory(tmp_path: Path, monkeypatch) -> None:
    response = draw_responses(20, 4, 6).astype(np.float32)
    response[2, 3] = np.nan
    recording = add_step(make_recording(response, ["V4", "IT"] * 3), "made up")
    said = describe_recording(recording)
    assert said["history"] == "made up"
    path = save_recording(recording, tmp_path / "r.nc")
    with open_recording(path) as lazy:
        assert describe_recording(lazy) == said
        monkeypatch.setattr(recording_facts, "MEMORY_BYTES", 1)
        assert describe_recording(lazy) == said  # stays in its file
    binned = add_time(recording, np.repeat(response[..., np.newaxis], 2, axis=3))
    assert describe_recording(binned)["reliability"].startswith("not defined: its time bins")


def test_facts_are_those_of_the_whole_recording() -> None:
    response = draw_responses(30, 5, 7)
    response[np.random.default_rng(1).random(response.shape) < 0.1] = np.nan
    recording = make_recording(response)
    facts = gather_facts(recording)
    shown = ~np.isnan(response)
    np.testing.assert_array_equal(facts.counts, shown.sum(axis=1))
    np.testing.assert_array_equal(facts.shown, shown.any(axis=2))
    values = response[..., np.newaxis] + np.array([-1.0, 1.0])
    averaged = gather_facts(add_time(recording, values)).averaged
    np.testing.assert_allclose(averaged["response"], response)
    xr.testing.assert_allclose(
        average_repetitions(averaged).drop_attrs(), average_repetitions(recording).drop_attrs()
    )


def test_spikes_are_described() -> None:
    spikes = spikes_from_arrays([1.0, 2.0, 5.0, 3.0], ["a", "a", "a", "b"], area="IT", source="lab")
    said = describe_spikes(spikes)
    assert said["areas"] == "IT (2 sites)"
    assert said["spikes"] == "4, 1 to 3 (median 2) a site"
    assert said["times"] == "1 to 5 ms"


def test_what_is_no_recording_is_refused() -> None:
    recording = make_recording(draw_responses(20, 4, 3))
    recording["response"][1, 2, 0] = np.inf
    with pytest.raises(RecordingError, match="infinite at 1 of 240 values"):
        describe_recording(recording)
    with pytest.raises(RecordingError, match="no variable 'response'"):
        describe_recording(recording.rename(response="rate"))


def test_another_netcdf_file_is_refused(tmp_path: Path) -> None:
    path = write_netcdf(xr.Dataset({"lfp": ("time", np.zeros(3))}), tmp_path / "other.nc")
    with pytest.raises(RecordingError, match=r"other\.nc has the variables 'lfp'"):
        describe_file(path)
