"""What a file holds, said in a few lines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from neural_data.errors import RecordingError
from neural_data.inspection import describe_file
from neural_data.netcdf import write_netcdf
from neural_data.recording import recording_from_arrays, save_recording
from neural_data.simulate import simulate_macaque
from neural_data.stimuli import save_stimuli


def test_a_recording_is_described_with_its_reliability(tmp_path: Path) -> None:
    recording, stimuli = simulate_macaque(repetitions=4, n_v4=6, n_it=5)
    said = describe_file(save_recording(recording, tmp_path / "macaque.nc"))
    assert said["file"] == "macaque.nc, recording"
    assert said["areas"] == "IT (5 sites), V4 (6 sites)"
    assert said["repetitions"] == "4 to 4 (median 4)"
    assert said["units"] == "spikes/s"
    assert "simulated" in said["source"]
    assert "median" in said["reliability V4"]
    assert "object_name" in describe_file(save_stimuli(stimuli, tmp_path / "s.nc"))["labels"]


def test_repetitions_that_were_not_shown_are_counted(tmp_path: Path) -> None:
    response = np.random.default_rng(0).normal(size=(4, 3, 2))
    response[0, 2] = np.nan
    recording = recording_from_arrays(
        response, stimulus=list("abcd"), site=["x", "y"], area="IT", units="Hz", source="lab"
    )
    said = describe_file(save_recording(recording, tmp_path / "r.nc"))
    assert said["repetitions"] == "2 to 3 (median 3)"
    assert said["not shown"].startswith("1 of 12")


def test_another_netcdf_file_is_refused(tmp_path: Path) -> None:
    path = write_netcdf(xr.Dataset({"lfp": ("time", np.zeros(3))}), tmp_path / "other.nc")
    with pytest.raises(RecordingError, match=r"other\.nc has the variables 'lfp'"):
        describe_file(path)
