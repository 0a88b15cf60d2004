"""Sites chosen, and ceilings taken, by a reliability that came with the data."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from brainguided.correspondence import compute_predictivity
from neural_data import describe_recording, recording_from_arrays, select_reliable_sites
from neural_data.errors import RecordingError

NAMES = [f"im{k}" for k in range(60)]


def make_recording(repetitions: int = 1) -> xr.Dataset:
    rng = np.random.default_rng(0)
    response = rng.normal(size=(60, 1, 4)) + 0.5 * rng.normal(size=(60, repetitions, 4))
    recording = recording_from_arrays(
        response, stimulus=NAMES, site=list("abcd"), area="IT", units="z", source="published"
    )
    return recording.assign_coords(reliability=("site", [0.9, 0.2, np.nan, 0.6]))


def test_sites_without_repetitions_are_chosen_by_the_reliability_that_was_given() -> None:
    chosen = select_reliable_sites(make_recording(), above=0.3)
    assert chosen["site"].values.tolist() == ["a", "d"]
    assert chosen["reliability"].values.tolist() == [0.9, 0.6]
    assert "given='reliability'" in chosen.attrs["history"]
    # where there are repetitions they are split, unless what was given is asked for
    repeated = make_recording(4)
    split = select_reliable_sites(repeated, above=0.3)
    assert split["site"].values.tolist() == list("abcd")
    assert "splits=100" in split.attrs["history"]
    given = select_reliable_sites(repeated, above=0.3, given="reliability")
    assert given["site"].values.tolist() == ["a", "d"]
    hidden = repeated["response"].where(np.arange(4)[:, None] == np.arange(60)[:, None, None] % 4)
    assert select_reliable_sites(repeated.assign(response=hidden), above=0.3).sizes["site"] == 2


def test_a_given_reliability_that_is_none_is_refused() -> None:
    recording = make_recording()
    with pytest.raises(RecordingError, match=r"No coordinate 'ceiling' .* 'area', 'reliability'"):
        select_reliable_sites(recording, above=0.3, given="ceiling")
    percent = recording.assign_coords(reliability=("site", [90.0, 20.0, 10.0, 60.0]))
    with pytest.raises(RecordingError, match=r"values from 10 to 90; .* divide by 100"):
        select_reliable_sites(percent, above=30)
    with pytest.raises(RecordingError, match="'area' holds <U2; expected numbers"):
        select_reliable_sites(recording, above=0.3, given="area")
    with pytest.raises(RecordingError, match="shown only once"):
        select_reliable_sites(recording.drop_vars("reliability"), above=0.3)


def test_predictions_are_divided_by_the_root_of_a_given_reliability() -> None:
    recording = make_recording()
    values = recording["response"].values[:, 0]
    features = xr.DataArray(values, dims=("stimulus", "unit"), coords={"stimulus": NAMES})
    found = compute_predictivity(features, recording, folds=5)
    assert found.attrs["ceiling_from"] == "given reliability"
    assert found["ceiling_usable"].values.tolist() == [True, True, False, True]
    np.testing.assert_allclose(found["ceiling"], np.sqrt([0.9, 0.2, np.nan, 0.6]))
    np.testing.assert_allclose(found["corrected"], found["correlation"] / found["ceiling"])
    split = compute_predictivity(features, make_recording(4), folds=5)
    assert split.attrs["ceiling_from"] == "repetitions"
    none = compute_predictivity(features, recording.drop_vars("reliability"), folds=5)
    assert none.attrs["ceiling_from"].startswith("none")
    assert np.isnan(none["ceiling"]).all()


def test_what_was_given_is_described_as_given() -> None:
    said = describe_recording(make_recording().isel(site=[0, 1, 3]))
    assert said["reliability IT"] == "sites 0.60 (median), as given"
    said = describe_recording(make_recording().drop_vars("reliability"))
    assert said["reliability"] == "not defined: no stimulus was shown twice"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([90.0, 20.0, 10.0, 60.0], "not defined: The given reliability 'reliability' holds values"),
        (["high", "low", "low", "high"], "not defined: The given reliability 'reliability' holds"),
        ([np.nan] * 4, None),
    ],
)
def test_a_recording_is_described_whatever_reliability_was_given(given, expected) -> None:
    said = describe_recording(make_recording().assign_coords(reliability=("site", given)))
    assert said["sites"] == "4"
    if expected is None:
        assert said["reliability IT"] == "sites 0.00 (median), as given"
    else:
        assert said["reliability"].startswith(expected)
