"""The recording: its schema, its selection, its average, its file."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neural_data.errors import RecordingError
from neural_data.model.recording import (
    add_step,
    average_repetitions,
    check_structure,
    load_recording,
    recording_from_arrays,
    save_recording,
    select_recording,
    validate_recording,
)


def add_time_bins(recording: xr.Dataset, n: int = 4) -> xr.Dataset:
    """The same recording with time bins, each with an offset of its own."""
    offsets = xr.DataArray(10.0 * np.arange(n), dims="time_bin")
    attrs = recording["response"].attrs
    binned = recording.assign(response=(recording["response"] + offsets).assign_attrs(attrs))
    return binned.assign_coords(
        time_bin_start=("time_bin", 20 * np.arange(n)),
        time_bin_end=("time_bin", 20 * np.arange(n) + 20),
    )


@pytest.fixture
def recording() -> xr.Dataset:
    """Four stimuli, the third shown once only; three sites in two areas of two animals."""
    response = np.random.default_rng(0).poisson(5.0, size=(4, 3, 3)).astype(float)
    response[2, 1:] = np.nan
    made = recording_from_arrays(
        response,
        stimulus=["im10", "im2", "im1", "im3"],
        site=["s1", "s2", "s3"],
        area=["V4", "IT", "IT"],
        animal=["Chabo", "Chabo", "Tito"],
        units="spikes/s",
        source="made up",
    )
    return made.assign_coords(
        category=("stimulus", np.array(["face", "face", "car", ""], dtype=object)),
        object_name=("stimulus", pd.Series(["f1", "f2", "c1", "c2"])),
        variation=("stimulus", [0, 3, 6, 6]),
    )


def test_a_recording_survives_its_file_identically(recording, tmp_path):
    path = save_recording(recording, tmp_path / "made.nc")
    xr.testing.assert_identical(load_recording(path), recording)
    assert [file.name for file in tmp_path.iterdir()] == ["made.nc"]


def test_a_recording_with_time_bins_survives_its_file_identically(recording, tmp_path):
    binned = recording.copy()
    binned["response"] = binned["response"].expand_dims(time_bin=2, axis=-1)
    binned["response"].attrs["units"] = "milliseconds"  # not to be decoded as a duration
    binned = binned.assign_coords(
        time_bin_start=("time_bin", [70, 120]), time_bin_end=("time_bin", [120, 170])
    )
    loaded = load_recording(save_recording(binned, tmp_path / "binned.nc"))
    xr.testing.assert_identical(loaded, binned)
    assert loaded["time_bin_start"].dtype.kind == "i"
    assert average_repetitions(loaded).dims == ("stimulus", "site", "time_bin")
    validate_recording(loaded.isel(time_bin=0))


def test_text_of_every_kind_is_loaded_as_numpy_text(recording, tmp_path):
    loaded = load_recording(save_recording(recording, tmp_path / "made.nc"))
    for coord in ("stimulus", "site", "area", "animal", "category", "object_name"):
        assert loaded[coord].dtype.kind == "U"


def test_a_recording_can_be_saved_and_loaded_many_times(recording, tmp_path):
    path = tmp_path / "made.nc"
    for _ in range(3):
        save_recording(recording, path)
        recording = load_recording(path)
    selected = select_recording(recording, area="IT", stimulus=["im1"])
    xr.testing.assert_identical(load_recording(save_recording(selected, path)), selected)


def test_validate_recording_returns_the_same_object(recording):
    assert validate_recording(recording) is recording


def test_validate_recording_lists_every_problem_at_once():
    broken = xr.Dataset(
        {"response": (("stimulus", "repetition", "site"), np.ones((2, 1, 2)))},
        coords={"stimulus": ["a", "b"], "site": ["s", "s"]},
    )
    with pytest.raises(RecordingError) as error:
        validate_recording(broken, name="hvm.nc")
    assert str(error.value) == (
        "hvm.nc does not follow the recording schema:\n"
        "  - 'response' has no attrs['units'], e.g. 'spikes/s'\n"
        "  - no attrs['source'], which says where the data come from: lab, paper or file\n"
        "  - coordinate 'site' repeats 's'\n"
        "  - no coordinate 'area' over dim 'site', e.g. 'V4' or 'IT'"
    )


def drop(recording, name):
    return recording.drop_vars(name)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda r: r["response"], "is a DataArray; a recording is an xarray.Dataset"),
        (lambda r: r.rename(response="data"), r"no variable 'response' \(variables: 'data'\)"),
        (lambda r: r.isel(repetition=0), "expected .*'repetition'"),
        (lambda r: r.rename(repetition="trial"), "has dims .*'trial'"),
        (lambda r: r.transpose("site", "repetition", "stimulus"), "expected this order"),
        (lambda r: r.fillna(0).astype(int), "holds int64; expected floats"),
        (lambda r: r.isel(stimulus=[]), "'response' is empty"),
        (lambda r: r.fillna(np.inf), "infinite at 6 of 36 values"),
        (lambda r: r.astype("float16"), "holds float16.* expected float32 or float64"),
        (
            lambda r: r.where(r.site != "s2"),
            r"NaN in every stimulus and repetition of 1 sites \('s2'\).*select_complete",
        ),
        (
            lambda r: r.where(r.stimulus != "im2"),
            r"NaN in every repetition of 1 stimuli \('im2'\).*keep='sites'",
        ),
        (lambda r: drop(r, "stimulus"), "no coordinate 'stimulus'"),
        (lambda r: r.assign_coords(stimulus=[1, 2, 3, 4]), "'stimulus' holds int64; expected text"),
        (lambda r: r.assign_coords(stimulus=["a", "a", "b", "b"]), "repeats 'a', 'b'"),
        (lambda r: r.assign_coords(area="V4"), r"'area' has dims \(\); expected \('site',\)"),
        (lambda r: r.assign_coords(area=("site", ["V4", "", "IT"])), "'area' is empty at 1 places"),
        (
            lambda r: r.assign_coords(area=("site", np.array(["V4", np.nan, "IT"], object))),
            "'area' holds a mixture of types",
        ),
        (lambda r: r.assign_coords(animal=("stimulus", list("abcd"))), "'animal' has dims"),
        (lambda r: r.assign_coords(category=("site", list("abc"))), "'category' has dims"),
        (lambda r: r.assign_coords(time_bin_start=1.0), "without 'time_bin_end'"),
        (lambda r: r.set_index(stimulus=["category", "object_name"]), "has a MultiIndex"),
        (lambda r: r.assign_attrs(source=""), r"no attrs\['source'\]"),
    ],
)
def test_validate_recording_refuses(recording, spoil, message):
    with pytest.raises(RecordingError, match=message):
        validate_recording(spoil(recording))


def test_sites_may_differ_in_the_repetitions_and_stimuli_they_miss(recording):
    recording["response"][1, 2, 2] = np.nan  # a repetition of one site
    recording["response"][3, :, 0] = np.nan  # a stimulus never shown to one site
    assert validate_recording(recording) is recording


def test_nan_in_some_time_bins_of_a_presentation_is_named_by_its_place(recording):
    binned = add_time_bins(recording)
    validate_recording(binned)
    binned["response"][1, 2, 2, 1] = np.nan
    binned["response"][3, 0, 0, 0] = np.nan
    with pytest.raises(
        RecordingError,
        match=r"some time bins, but not all, of 2 .* stimulus 'im2', repetition 2, site 's3'",
    ):
        validate_recording(binned)


def test_check_structure_sees_labels_and_attributes_but_no_values(recording):
    assert check_structure(recording.fillna(np.inf)) is not None
    with pytest.raises(RecordingError, match=r"made\.nc .*\n  - coordinate 'site' repeats 's1'"):
        check_structure(recording.assign_coords(site=["s1", "s1", "s2"]), name="made.nc")


def test_an_invalid_recording_is_never_written(recording, tmp_path):
    recording["response"][0, 0, 0] = np.inf
    with pytest.raises(RecordingError):
        save_recording(recording, tmp_path / "made.nc")
    assert not list(tmp_path.iterdir())


def test_average_repetitions_is_the_mean_of_the_repetitions_shown(recording):
    mean = average_repetitions(recording)
    assert mean.dims == ("stimulus", "site")
    assert not np.isnan(mean).any()
    np.testing.assert_allclose(mean[0], recording["response"].values[0].mean(axis=0))
    np.testing.assert_array_equal(mean[2], recording["response"].values[2, 0])
    assert mean.attrs == {
        "units": "spikes/s",
        "source": "made up",
        "history": "average_repetitions: 1 to 3 repetitions of each of 4 stimuli at 3 sites",
    }
    assert set(mean.coords) == set(recording.coords)


def test_select_recording_keeps_the_order_asked_for(recording):
    selected = select_recording(recording, site=["s3", "s1"], stimulus=["im1", "im10"])
    assert selected["site"].values.tolist() == ["s3", "s1"]
    assert selected["stimulus"].values.tolist() == ["im1", "im10"]
    assert selected["response"].values[1, 0, 0] == recording["response"].values[0, 0, 2]


def test_select_recording_meets_every_condition(recording):
    selected = select_recording(recording, area=["IT", "V4"], animal="Chabo")
    assert selected["site"].values.tolist() == ["s1", "s2"]
    assert select_recording(recording, area="IT", animal="Tito").sizes["site"] == 1


def test_select_recording_lists_unknown_names_and_the_known_ones(recording):
    with pytest.raises(RecordingError) as error:
        select_recording(recording, area="V1", site="s9", stimulus=["im1", "im1"])
    message = str(error.value)
    assert "no area 'V1'; there are 'V4', 'IT'" in message
    assert "no site 's9'; there are 's1', 's2', 's3'" in message
    assert "stimulus 'im1' asked for more than once" in message


def test_select_recording_refuses_a_selection_of_nothing(recording):
    with pytest.raises(RecordingError, match="no site or no stimulus meets all conditions"):
        select_recording(recording, area="V4", animal="Tito")
    with pytest.raises(RecordingError, match="an empty list of site names"):
        select_recording(recording, site=[])
    with pytest.raises(RecordingError, match="no coordinate 'animal' to select by"):
        select_recording(recording.drop_vars("animal"), animal="Tito")


def test_recording_from_arrays_takes_averages_and_counts():
    made = recording_from_arrays(
        np.arange(6).reshape(3, 2),
        stimulus=["a", "b", "c"],
        site=["s1", "s2"],
        area="IT",
        units="spikes",
        source="made up",
    )
    assert made["response"].shape == (3, 1, 2)
    assert made["response"].dtype == np.float64
    assert made["area"].values.tolist() == ["IT", "IT"]


def test_recording_from_arrays_lists_every_shape_that_does_not_fit():
    with pytest.raises(RecordingError) as error:
        recording_from_arrays(
            np.ones((3, 2)),
            stimulus=["a", "b"],
            site=["s1", "s2", "s3"],
            area=["V4"],
            units="spikes/s",
            source="made up",
        )
    message = str(error.value)
    assert "2 labels for 'stimulus', but the response of shape (3, 2) has 3" in message
    assert "3 labels for 'site'" in message
    assert "1 labels for 'area'" in message


def test_recording_from_arrays_refuses_what_is_not_a_recording():
    labels = {"stimulus": ["a", "b"], "site": ["s1"], "area": "V4", "units": "Hz", "source": "me"}
    with pytest.raises(RecordingError, match=r"shape \(2,\); expected \(stimulus, site\)"):
        recording_from_arrays(np.ones(2), **labels)
    with pytest.raises(RecordingError, match="NaN in every repetition of 1 stimuli"):
        recording_from_arrays(np.array([[1.0], [np.nan]]), **labels)
    with pytest.raises(RecordingError, match="'site' holds int64; expected text"):
        recording_from_arrays(np.ones((2, 1)), **{**labels, "site": [1]})


def test_a_missing_label_is_refused_not_made_into_text():
    with pytest.raises(RecordingError, match="area"):
        recording_from_arrays(
            np.ones((4, 3)),
            stimulus=["a", "b", "c", "d"],
            site=["s1", "s2", "s3"],
            area=["V4", "V4", float("nan")],
            units="spikes/s",
            source="made up",
        )


def test_recording_from_arrays_takes_time_bins():
    made = recording_from_arrays(
        np.ones((2, 3, 1, 5), dtype=np.float32),
        stimulus=["a", "b"],
        site=["s1"],
        area="V4",
        units="spikes/s",
        source="made up",
    )
    assert made["response"].dims == ("stimulus", "repetition", "site", "time_bin")
    assert made["response"].dtype == np.float32


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


def test_each_site_is_averaged_over_its_own_repetitions(patchy):
    mean = average_repetitions(patchy)
    assert mean.dtype == np.float64
    oracle = np.nanmean(patchy["response"].values.astype(float), axis=1)
    np.testing.assert_allclose(mean.values, oracle, rtol=1e-12)


def test_averaging_and_selecting_commute(patchy):
    some = ["im3", "im29", "im0"]
    first = average_repetitions(select_recording(patchy, area="IT", stimulus=some))
    mean = average_repetitions(patchy)
    then = mean.isel(site=mean["area"].values == "IT")
    rows = [mean["stimulus"].values.tolist().index(name) for name in some]
    xr.testing.assert_equal(first, then.isel(stimulus=rows))


def test_a_site_that_lacks_a_stimulus_is_not_averaged_but_the_remedy_is_named(patchy):
    patchy["response"][7, :, [3, 5]] = np.nan
    with pytest.raises(
        RecordingError,
        match=r"2 of 40 sites \(.*\) have no response to some of 1 of 30 stimuli .*"
        r"select_complete\(recording\).*keep='sites'",
    ):
        average_repetitions(patchy)


def test_an_infinite_response_or_half_a_time_course_is_never_averaged(patchy):
    spoilt = patchy.copy(deep=True)
    spoilt["response"][3, 0, 0, 1] = np.nan
    spoilt["response"][3, 1, 0, 0] = np.inf
    with pytest.raises(RecordingError, match=r"infinite at 1 of(.|\n)*some time bins"):
        average_repetitions(spoilt)


@pytest.mark.parametrize(
    "names",
    [
        np.array(["s3", "s1"]),
        ("s3", "s1"),
        pd.Series(["s3", "s1"]),
        xr.DataArray(["s3", "s1"], dims="site"),
        (name for name in ("s3", "s1")),
        dict.fromkeys(["s3", "s1"]).keys(),
        np.array(["s3", "s1"], dtype=object),
    ],
)
def test_names_may_come_in_whatever_holds_them(recording, names):
    assert select_recording(recording, site=names)["site"].values.tolist() == ["s3", "s1"]


@pytest.mark.parametrize("name", ["s2", np.str_("s2"), np.array("s2"), {"s2"}, ["s2"]])
def test_one_name_may_come_alone(recording, name):
    assert select_recording(recording, site=name)["site"].values.tolist() == ["s2"]


def test_every_selection_is_recorded_with_how_many_of_how_many(recording):
    selected = select_recording(recording, area="IT", stimulus=["im1", "im2"])
    selected = select_recording(selected, site=["s3"])
    assert selected.attrs["history"].splitlines() == [
        "select_recording(area='IT', stimulus=['im1', 'im2']): 2 of 3 sites, 2 of 4 stimuli",
        "select_recording(site='s3'): 1 of 2 sites, 2 of 2 stimuli",
    ]
    assert "history" not in recording.attrs
    many = select_recording(recording, stimulus=recording["stimulus"])
    assert many.attrs["history"].startswith("select_recording(stimulus=4 names): 3 of 3 sites")
    mean = average_repetitions(selected)
    assert mean.attrs["history"].splitlines()[-1] == (
        "average_repetitions: 1 to 3 repetitions of each of 2 stimuli at 1 sites"
    )


def test_a_step_is_one_line_whatever_it_says():
    data = add_step(add_step(xr.Dataset(), "first\nhalf"), "second")
    assert data.attrs["history"] == "first half\nsecond"
