"""Spikes and trials of NWB files, as pynwb writes them."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from neural_data.errors import RecordingError
from neural_data.formats.nwb.images import read_nwb_images
from neural_data.formats.nwb.reader import read_nwb, read_nwb_spikes
from neural_data.model.recording import load_recording, save_recording
from neural_data.model.spikes import bin_spikes, load_spikes, save_spikes, spikes_from_arrays
from neural_data.model.stimuli import align_stimuli

pytest.importorskip("pynwb")

STIMULI = ["cow", "car", "cow", "face"]
ONSETS = [1.0, 2.0, 3.0, 4.0]
SPIKES = [[1.08, 1.169, 1.17, 3.1], [2.071, 4.1, 4.12, 4.3], []]


def write(path: Path, **choices: Any) -> Path:
    """Write three units at electrodes of V4, IT and IT, and trials; choices change one thing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pynwb import NWBHDF5IO, NWBFile
        from pynwb.epoch import TimeIntervals
        from pynwb.file import Subject

        file = NWBFile(
            session_description="fixation",
            identifier="s07",
            session_start_time=datetime(2026, 1, 2, tzinfo=UTC),
            lab="our lab",
            subject=Subject(subject_id="monkey N", species="Macaca mulatta", sex="M", age="P9Y"),
        )
        device = file.create_device("array")
        for area in ("V4", "IT"):
            group = file.create_electrode_group(
                f"array {area}", description="Utah", location=area, device=device
            )
            for _ in range(2):
                file.add_electrode(group=group, location=choices.get("location", area))
        electrodes = choices.get("electrodes", [[0, 1], [2], [3]])
        for name in choices.get("unit_columns", {"snr": 0}):
            file.add_unit_column(name, "of the unit")
        for k, times in enumerate(choices.get("spikes", SPIKES)):
            more = {
                n: v[k] for n, v in choices.get("unit_columns", {"snr": [1.5, 2.5, 3.5]}).items()
            }
            if "obs_intervals" in choices:
                more["obs_intervals"] = choices["obs_intervals"][k]
            if electrodes is not None:
                more["electrodes"] = electrodes[k]
            file.add_unit(spike_times=times, id=10 + k, **more)
        columns = choices.get("columns", {"stimulus_id": STIMULI, "block": [1, 1, 2, 2]})
        if choices.get("table") is None:
            for name in columns:
                file.add_trial_column(name, "of the trial")
            for k in range(4):
                row = {name: values[k] for name, values in columns.items()}
                file.add_trial(start_time=ONSETS[k], stop_time=ONSETS[k] + 0.5, **row)
        for name in choices.get("table") or []:
            intervals = TimeIntervals(name=name, description="presentations")
            for column in columns:
                intervals.add_column(column, "of the presentation")
            for k in range(4):
                row = {name: values[k] for name, values in columns.items()}
                intervals.add_interval(start_time=ONSETS[k], stop_time=ONSETS[k] + 0.5, **row)
            file.add_time_intervals(intervals)
        with NWBHDF5IO(str(path), "w") as io:
            io.write(file)
    return path


def test_units_and_trials_become_a_recording(tmp_path: Path) -> None:
    recording = read_nwb(write(tmp_path / "a.nwb"), bins=(70, 170))
    assert recording["stimulus"].values.tolist() == ["cow", "car", "face"]
    assert recording["site"].values.tolist() == ["unit10", "unit11", "unit12"]
    assert recording["area"].values.tolist() == ["V4", "IT", "IT"]
    assert recording["animal"].values.tolist() == ["monkey N"] * 3
    assert recording["array"].values.tolist() == ["array V4", "array IT", "array IT"]
    assert recording["snr"].values.tolist() == [1.5, 2.5, 3.5]
    assert recording["block"].sel(stimulus="cow").values.tolist() == [1, 2]
    response = recording["response"]
    assert response.sel(stimulus="cow").values.tolist() == [[20, 0, 0], [10, 0, 0]]
    assert response.sel(stimulus="face")[0].values.tolist() == [0, 20, 0]
    assert np.isnan(response.sel(stimulus="face")[1]).all()
    assert response.attrs == {"units": "spikes/s", "window": "70-170 ms"}
    assert recording.attrs["source"] == "NWB file a.nwb, our lab, session s07"
    assert recording.attrs["nwb_identifier"] == "s07"


def test_counts_equal_a_naive_loop_over_all_spikes(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    spikes = [np.sort(rng.uniform(0, 6, 400)) for _ in range(3)]
    recording = read_nwb(write(tmp_path / "a.nwb", spikes=spikes), bins=(0, 50, 200))
    seen = {"cow": 0, "car": 0, "face": 0}
    for stimulus, onset in zip(STIMULI, ONSETS, strict=True):
        for site in range(3):
            for k, (a, b) in enumerate([(0, 50), (50, 200)]):
                naive = sum(onset * 1000 + a <= t * 1000 < onset * 1000 + b for t in spikes[site])
                value = recording["response"].sel(stimulus=stimulus)[seen[stimulus], site, k]
                assert float(value) == pytest.approx(1000 * naive / (b - a))
        seen[stimulus] += 1


def test_spikes_alone_keep_times_in_ms_and_all_units(tmp_path: Path) -> None:
    spikes = read_nwb_spikes(write(tmp_path / "a.nwb"))
    np.testing.assert_allclose(spikes["spike_time"], 1000 * np.concatenate(SPIKES))
    assert spikes["spike_count"].values.tolist() == [4, 4, 0]
    assert spikes["area"].values.tolist() == ["V4", "IT", "IT"]


def test_presentations_outside_the_observation_of_a_unit_are_missing(tmp_path: Path) -> None:
    # unit 11 was lost at 3.1 s, within the window of the third; unit 12 came with the second
    intervals = [[[0.0, 9.0]], [[0.0, 3.1]], [[1.5, 2.5], [2.9, 3.5], [3.9, 4.5]]]
    recording = read_nwb(write(tmp_path / "a.nwb", obs_intervals=intervals), bins=(70, 170))
    missing = np.isnan(recording["response"])
    assert missing.sel(stimulus="cow").values.tolist() == [[0, 0, 1], [0, 1, 0]]
    assert missing.sel(stimulus="car")[0].values.tolist() == [0, 0, 0]
    assert missing.sel(stimulus="face")[0].values.tolist() == [0, 1, 0]


def test_units_and_rows_that_were_never_observed_are_left_out_and_counted(tmp_path: Path) -> None:
    intervals = [[[0.0, 3.5]], [[0.0, 3.5]], [[8.0, 9.0]]]
    recording = read_nwb(write(tmp_path / "a.nwb", obs_intervals=intervals), bins=(70, 170))
    assert recording["stimulus"].values.tolist() == ["cow", "car"]
    assert recording["site"].values.tolist() == ["unit10", "unit11"]
    history = recording.attrs["history"]
    assert "1 rows in which no unit was observed" in history
    assert "units observed in no row: 'unit12'" in history


def test_rows_without_onset_or_stimulus_are_left_out_and_counted(tmp_path: Path) -> None:
    columns = {"image": ["a", "", "a", "b"], "stim_onset": [1.1, 2.1, 3.1, np.nan]}
    path = write(tmp_path / "a.nwb", columns=columns)
    recording = read_nwb(path, bins=(0, 100), onset_column="stim_onset")
    assert recording["stimulus"].values.tolist() == ["a"]
    assert recording["response"][0, :, 0].values.tolist() == [20, 10]
    assert "2 of 4 rows without onset or stimulus" in recording.attrs["history"]


def test_a_table_of_presentations_is_found_beside_trials_without_stimuli(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nwb", table=["images"], columns={"image_id": [3.0, 1.0, 3.0, 2.0]})
    recording = read_nwb(path, bins=(70, 170))
    assert recording["stimulus"].values.tolist() == ["3", "1", "2"]


def test_bools_and_columns_with_names_of_ours_are_kept_under_another_name(tmp_path: Path) -> None:
    columns = {"stimulus": STIMULI, "response": [0.1, 0.2, 0.3, 0.4], "correct": [True] * 4}
    recording = read_nwb(write(tmp_path / "a.nwb", columns=columns), bins=(70, 170))
    assert recording["presentation_response"].dims == ("stimulus", "repetition")
    assert recording["correct"].values.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("choices", "area"),
    [
        ({"unit_columns": {"brain_area": ["V4", "pIT", "unknown"]}}, ["V4", "pIT", "unknown"]),
        ({"electrodes": None}, ["unknown"] * 3),
        ({"location": "unknown"}, ["unknown"] * 3),
    ],
)
def test_the_area_comes_from_what_the_file_says_or_is_unknown(
    tmp_path: Path, choices: dict, area: list[str]
) -> None:
    recording = read_nwb(write(tmp_path / "a.nwb", **choices), bins=(70, 170))
    assert recording["area"].values.tolist() == area
    stated = "area unknown (the file states none)" not in recording.attrs["history"]
    assert stated == ("unknown" not in area)


def test_an_area_that_is_given_overrules_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nwb", electrodes=[[0, 2], [2], [3]])
    with pytest.raises(RecordingError, match=r"1 units lie in several areas.*'V4', 'IT'"):
        read_nwb(path, bins=(70, 170))
    recording = read_nwb(path, bins=(70, 170), area="TEO")
    assert recording["area"].values.tolist() == ["TEO"] * 3


@pytest.mark.parametrize(
    ("choices", "arguments", "message"),
    [
        ({"columns": {"block": [1, 1, 2, 2]}}, {}, "No table of the file.*'trials' with.*'block'"),
        ({"table": ["a", "b"]}, {}, r"More than one table \('a', 'b'\)"),
        ({}, {"table": "images"}, "no table 'images' of intervals; there are 'trials'"),
        ({}, {"stimulus_column": "nr", "table": "trials"}, "no column 'nr'; there are"),
        ({}, {"onset_column": "on"}, "no column 'on'; there are"),
        ({"columns": {"image": STIMULI, "stimulus": STIMULI}}, {}, "has 2 columns that may name"),
        ({"columns": {"image": STIMULI, "stim_on_time": ONSETS}}, {}, "give onset_column, also if"),
        (
            {"columns": {"image": STIMULI, "stim_on": [0.1, 0.1, 0.1, 0.1]}},
            {"onset_column": "stim_on"},
            "outside start_time and stop_time of its own row in 4 of 4",
        ),
        ({"spikes": [], "electrodes": None, "unit_columns": {}}, {}, "no units with spike times"),
        ({}, {"bins": (170, 70)}, "ascending edges"),
        ({"obs_intervals": [[[8.0, 9.0]]] * 3}, {}, "no unit was observed in the window of any"),
    ],
)
def test_what_is_not_clear_is_refused_with_what_there_is(
    tmp_path: Path, choices: dict, arguments: dict, message: str
) -> None:
    with pytest.raises(RecordingError, match=message):
        read_nwb(write(tmp_path / "a.nwb", **choices), **{"bins": (70, 170), **arguments})


def test_files_that_are_missing_damaged_or_something_else_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is not there"):
        read_nwb_spikes(tmp_path / "none.nwb")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        read_nwb_spikes(tmp_path)
    (tmp_path / "text.nwb").write_text("this is no NWB file, by a long way", encoding="utf-8")
    with pytest.raises(RecordingError, match="cannot be read as NWB"):
        read_nwb_spikes(tmp_path / "text.nwb")
    whole = write(tmp_path / "a.nwb").read_bytes()
    (tmp_path / "half.nwb").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RecordingError, match="cannot be read as NWB"):
        read_nwb(tmp_path / "half.nwb", bins=(0, 1))
    xr.Dataset({"a": ("x", [1.0])}).to_netcdf(tmp_path / "other.nwb", engine="netcdf4")
    with pytest.raises(RecordingError, match="cannot be read as NWB"):
        read_nwb_spikes(tmp_path / "other.nwb")


def test_the_recording_comes_back_from_a_file(tmp_path: Path) -> None:
    recording = read_nwb(write(tmp_path / "a.nwb"), bins=(0, 50, 100))
    saved = load_recording(save_recording(recording, tmp_path / "r.nc"))
    xr.testing.assert_identical(saved, recording)


def session(path: Path, onsets: np.ndarray, rates: tuple[float, ...], **choices: Any) -> Path:
    """A file with Poisson responses of 50 to 250 ms to each row of a table, and its faults."""
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pynwb import NWBHDF5IO, NWBFile

        file = NWBFile("made up", "id1", datetime(2026, 1, 1, tzinfo=UTC))
        shown = choices.get("shown", onsets)
        lost = choices.get("lost")
        for rate in rates:
            drawn = [o + rng.uniform(0.05, 0.25, rng.poisson(0.2 * rate)) for o in shown]
            times = np.sort(np.concatenate(drawn))
            if lost:
                times = times[(times < lost[0]) | (times > lost[1])]
            more = {"obs_intervals": choices["observed"]} if "observed" in choices else {}
            file.add_unit(spike_times=times, **more)
        columns = choices.get("columns", {"stimulus": [f"im{k % 4}" for k in range(len(onsets))]})
        for name, values in columns.items():
            ragged = isinstance(values[0], list)
            file.add_trial_column(name, "made up", index=ragged)
        for k, onset in enumerate(onsets):
            row = {name: values[k] for name, values in columns.items()}
            file.add_trial(start_time=onset, stop_time=onset + choices.get("lasts", 0.3), **row)
        if lost:
            file.add_invalid_time_interval(start_time=lost[0], stop_time=lost[1], tags=["off"])
        with NWBHDF5IO(str(path), "w") as io:
            io.write(file)
    return path


def test_presentations_in_invalid_times_are_missing_and_counted(tmp_path: Path) -> None:
    onsets, lost = np.arange(40) * 0.5 + 1.0, (6.0, 14.0)
    path = session(tmp_path / "a.nwb", onsets, (40.0, 50.0), lost=lost)
    recording = read_nwb(path, bins=(50, 250), area="IT")
    inside = (onsets + 0.05 < lost[1]) & (onsets + 0.25 > lost[0])
    response = recording["response"].values
    assert np.isfinite(response).sum() == 2 * (~inside).sum()
    assert np.nanmean(response) == pytest.approx(45, rel=0.1)
    assert "1 invalid intervals of 8 s" in recording.attrs["history"]
    assert f"{inside.sum()} rows in which no unit was observed" in recording.attrs["history"]


def test_spikes_keep_when_they_were_observed_through_a_file(tmp_path: Path) -> None:
    onsets = np.arange(20) * 0.5 + 1
    path = session(tmp_path / "a.nwb", onsets, (40.0,) * 3, observed=[[0.0, 5.0]], lost=(2.0, 3.0))
    spikes = load_spikes(save_spikes(read_nwb_spikes(path, area="IT"), tmp_path / "spikes.nc"))
    assert spikes["observed_start"].values.tolist() == [0, 3000] * 3
    assert spikes["observed_end"].values.tolist() == [2000, 5000] * 3
    names = [f"im{k % 4}" for k in range(20)]
    binned = bin_spikes(spikes, stimulus=names, onset=onsets * 1000, bins=(50, 250))
    whole = read_nwb(path, bins=(50, 250), area="IT")
    assert float(binned["response"].mean()) == pytest.approx(float(whole["response"].mean()))
    seen = (onsets + 0.25 <= 2) | ((onsets + 0.05 >= 3) & (onsets + 0.25 <= 5))
    assert int(np.isfinite(binned["response"]).sum()) == 3 * seen.sum()
    broken = spikes.drop_vars("observed_end")
    with pytest.raises(RecordingError, match="when sites were observed takes 'observed_start"):
        save_spikes(broken, tmp_path / "broken.nc")


def test_a_column_that_may_be_onsets_by_its_values_is_not_passed_over(tmp_path: Path) -> None:
    starts = 1.0 + np.arange(24)
    photodiode = starts + np.random.default_rng(1).uniform(0.3, 0.5, 24)
    columns = {
        "cond_ID": [k % 4 for k in range(24)],
        "pdOnTS": photodiode.tolist(),
        "rotation": [45.0 * (k % 8) for k in range(24)],
    }
    path = session(
        tmp_path / "a.nwb", starts, (40.0,), shown=photodiode, columns=columns, lasts=0.9
    )
    with pytest.raises(RecordingError, match=r"may be onsets \('pdOnTS'\) beside 'start_time'"):
        read_nwb(path, bins=(50, 250), stimulus_column="cond_ID")
    named = {"stimulus_column": "cond_ID", "area": "V4"}
    right = read_nwb(path, bins=(50, 250), onset_column="pdOnTS", **named)
    wrong = read_nwb(path, bins=(50, 250), onset_column="start_time", **named)
    assert float(right["response"].mean()) == pytest.approx(40, rel=0.2)
    assert float(wrong["response"].mean()) < 10


def test_onsets_that_are_all_the_same_and_times_in_seconds_are_refused(tmp_path: Path) -> None:
    path = session(tmp_path / "a.nwb", np.zeros(20), (40.0,), shown=np.arange(20.0))
    with pytest.raises(RecordingError, match="all 20 onsets are 0 ms"):
        read_nwb(path, bins=(50, 250), area="IT")
    times = np.sort(np.random.default_rng(0).uniform(0, 30, 900))
    seconds = spikes_from_arrays(times, ["s1"] * 900, area="IT", source="made up")
    with pytest.raises(RecordingError, match=r"are the spikes in s\?"):
        bin_spikes(seconds, stimulus=["a", "b"], onset=[2.0, 9.0], bins=(70, 170))
    ms = spikes_from_arrays(times * 1000, ["s1"] * 900, area="IT", source="made up")
    with pytest.raises(RecordingError, match=r"after 0\.5 ms \(median\).*are they in s\?"):
        bin_spikes(ms, stimulus=list("abcd"), onset=[2.0, 2.5, 3.0, 3.5], bins=(70, 170))


def test_rows_are_kept_where_a_column_says_so(tmp_path: Path) -> None:
    onsets = 1.0 + np.arange(12)
    columns = {
        "stimulus": [f"im{k % 3}" for k in range(12)],
        "fixation_correct": [k % 4 > 0 for k in range(12)],
        "outcome": ["hit" if k < 6 else "miss" for k in range(12)],
        "effort": [float(k) for k in range(12)],
    }
    path = session(tmp_path / "a.nwb", onsets, (40.0,), columns=columns)
    kept = read_nwb(path, bins=(50, 250), area="IT", where="fixation_correct")
    assert int(np.isfinite(kept["response"]).sum()) == 9
    assert "3 of 12 rows without fixation_correct" in kept.attrs["history"]
    hits = read_nwb(path, bins=(50, 250), area="IT", where="outcome=hit")
    assert int(np.isfinite(hits["response"]).sum()) == 6
    for where, message in {
        "effort": "not of true and false",
        "fixed": "no column 'fixed'",
        "outcome=Hit": "No row of 'trials' has 'Hit' in column 'outcome'; there are 'hit', 'miss'",
        "fixation_correct=1": "there are 'False', 'True'",
    }.items():
        with pytest.raises(RecordingError, match=message):
            read_nwb(path, bins=(50, 250), area="IT", where=where)


def test_a_stimulus_column_that_is_constant_is_refused_with_those_that_vary(tmp_path: Path) -> None:
    columns = {"stimulus_name": ["scenes"] * 12, "frame": [float(k % 3) for k in range(12)]}
    path = session(tmp_path / "a.nwb", 1.0 + np.arange(12), (40.0,), columns=columns)
    with pytest.raises(RecordingError, match=r"same stimulus, 'scenes', in all 12.*'frame'"):
        read_nwb(path, bins=(50, 250), area="IT")
    recording = read_nwb(path, bins=(50, 250), area="IT", stimulus_column="frame")
    assert recording["stimulus"].values.tolist() == ["0", "1", "2"]


def test_several_images_in_one_trial_are_presentations_each(tmp_path: Path) -> None:
    starts = 1.0 + 2 * np.arange(5)
    on = [[float(start + 0.1 + 0.4 * k) for k in range(4)] for start in starts]
    images = [[int((trial + k) % 3) for k in range(4)] for trial in range(5)]
    columns = {"image_id": images, "image_on": on, "block": [0, 0, 1, 1, 1]}
    shown = np.concatenate(on)
    path = session(tmp_path / "a.nwb", starts, (40.0,), shown=shown, columns=columns, lasts=1.9)
    recording = read_nwb(path, bins=(50, 250), area="IT", onset_column="image_on")
    assert recording.sizes["stimulus"] == 3
    assert int(np.isfinite(recording["response"]).sum()) == 20
    assert float(recording["response"].mean()) == pytest.approx(40, rel=0.25)
    assert "block" in recording.coords
    with pytest.raises(RecordingError, match="'image_id' of 'trials' has several values a row"):
        read_nwb(path, bins=(50, 250), area="IT", onset_column="image_on", where="image_id=1")
    with pytest.raises(RecordingError, match=r"one onset for each stimulus \(20 .* 5 onsets\)"):
        read_nwb(path, bins=(50, 250), area="IT", onset_column="start_time")


def with_images(path: Path, *, ordered: bool, pixels: list[np.ndarray]) -> Path:
    """A file whose stimuli are images in it, and a series of which was shown when."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pynwb import NWBHDF5IO, NWBFile
        from pynwb.base import ImageReferences, Images
        from pynwb.image import GrayscaleImage, IndexSeries, RGBImage

        file = NWBFile("made up", "id1", datetime(2026, 1, 1, tzinfo=UTC))
        kinds = (RGBImage if one.ndim == 3 else GrayscaleImage for one in pixels)
        names = ["zebra", "ant", "cow"]
        images = [k(n, one) for k, n, one in zip(kinds, names, pixels, strict=True)]
        order = ImageReferences("order_of_images", images) if ordered else None
        stored = Images("objects", images=images, description="x", order_of_images=order)
        file.add_stimulus_template(stored)
        onsets = 1.0 + np.arange(9)
        shown = (np.arange(9) % 3).astype(np.uint64)
        file.add_stimulus(
            IndexSeries("shown", data=shown, indexed_images=stored, unit="N/A", timestamps=onsets)
        )
        # Only the zebra, the first, drives the unit
        file.add_unit(spike_times=np.sort([o + 0.1 for o, k in zip(onsets, shown, strict=True)
                                           if k == 0]))  # fmt: skip
        with NWBHDF5IO(str(path), "w") as io:
            io.write(file)
    return path


def test_a_series_of_images_in_the_file_gives_recording_and_stimuli(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = [rng.integers(0, 255, (6, 8), dtype=np.uint8) for _ in range(2)]
    pixels.append(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8))
    path = with_images(tmp_path / "a.nwb", ordered=True, pixels=pixels)
    recording = read_nwb(path, bins=(50, 150), area="IT")
    assert recording["stimulus"].values.tolist() == ["zebra", "ant", "cow"]
    assert recording["response"].values[..., 0].tolist() == [[10] * 3, [0] * 3, [0] * 3]
    stimuli = read_nwb_images(path, axes="yx")
    aligned = align_stimuli(stimuli, recording["stimulus"])
    np.testing.assert_array_equal(aligned["image"].values[2], pixels[2])
    np.testing.assert_array_equal(aligned["image"].values[0, ..., 1], pixels[0])
    turned = align_stimuli(read_nwb_images(path, axes="xy"), recording["stimulus"])
    np.testing.assert_array_equal(turned["image"].values[0, ..., 1], pixels[0].T)


def test_images_whose_order_is_not_stated_are_named_by_index(tmp_path: Path) -> None:
    pixels = [np.zeros((6, 8), np.uint8), np.zeros((6, 8), np.uint8), np.zeros((4, 8), np.uint8)]
    path = with_images(tmp_path / "a.nwb", ordered=False, pixels=pixels)
    recording = read_nwb(path, bins=(50, 150), area="IT", table="shown")
    assert recording["stimulus"].values.tolist() == ["0", "1", "2"]
    assert "image indices of series 'shown'" in recording.attrs["history"]
    columns = {"where": "correct", "onset_column": "on"}
    with pytest.raises(RecordingError, match="leave out 'onset_column', 'where'"):
        read_nwb(path, bins=(50, 150), area="IT", table="shown", **columns)
    with pytest.raises(RecordingError, match="No table of the file has a column of stimuli"):
        read_nwb(path, bins=(50, 150), area="IT", where="correct")
    with pytest.raises(RecordingError, match="they differ in size"):
        read_nwb_images(path, axes="yx")
    with pytest.raises(RecordingError, match=r"has 1 containers of images \('objects'\)"):
        read_nwb_images(path, axes="yx", container="faces")
    with pytest.raises(RecordingError, match="expected 'yx'"):
        read_nwb_images(path, axes="zx")
    pixels = [np.zeros((6, 8), np.uint16)] * 3
    path = with_images(tmp_path / "b.nwb", ordered=False, pixels=pixels)
    with pytest.raises(RecordingError, match=r"'ant' is uint16 of shape"):
        read_nwb_images(path, axes="yx")
