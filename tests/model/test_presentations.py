"""Presentations, in the order of an experiment, as repetitions of stimuli."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neural_data.errors import RecordingError
from neural_data.model.presentations import (
    arrange_presentations,
    recording_from_presentations,
    stack_presentations,
)

N_SITES, N_BINS = 3, 2
GIVEN = {"units": "spikes/s", "source": "made up"}


def make_presentations(
    n: int = 40, *, seed: int = 0, timed: bool = False, dtype: str = "float32"
) -> xr.DataArray:
    """Presentations of up to eight stimuli, unequally often, in random order."""
    rng = np.random.default_rng(seed)
    shape = (n, N_SITES, N_BINS) if timed else (n, N_SITES)
    stimulus = np.array([f"im{k}" for k in rng.integers(0, 8, n)])
    return xr.DataArray(
        rng.normal(size=shape).astype(dtype),
        dims=("presentation", "site", "time_bin")[: len(shape)],
        coords={
            "stimulus": ("presentation", stimulus),
            "site": [f"s{k}" for k in range(N_SITES)],
            "area": ("site", ["V4", "IT", "IT"]),
        },
    )


def stack_naively(response: xr.DataArray) -> dict[str, list[np.ndarray]]:
    """The responses to each stimulus as they appear."""
    found: dict[str, list[np.ndarray]] = {}
    for k, name in enumerate(response["stimulus"].values.tolist()):
        found.setdefault(name, []).append(response.isel(presentation=k).values)
    return found


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_every_response_lies_at_its_stimulus_and_the_rest_is_nan(timed, reverse):
    response = make_presentations(timed=timed)
    turned = response.transpose(*response.dims[::-1]) if reverse else response
    recording = recording_from_presentations(turned, **GIVEN)
    naive = stack_naively(response)
    assert recording["stimulus"].values.tolist() == list(naive)
    for row, shown in zip(recording["response"].values, naive.values()):
        np.testing.assert_array_equal(row[: len(shown)], shown)
        assert np.isnan(row[len(shown) :]).all()
    assert recording["response"].dtype == np.float32
    assert recording["response"].attrs["units"] == "spikes/s"
    assert "40 presentations stacked into" in recording.attrs["history"]


def test_the_order_of_presentations_does_not_matter_where_repetitions_are_numbered():
    response = make_presentations()
    number = pd.Series(response["stimulus"].values).groupby(response["stimulus"].values).cumcount()
    response = response.assign_coords(repetition=("presentation", number.to_numpy() + 1))
    expected = recording_from_presentations(response, **GIVEN)
    assert "repetition_label" not in expected.coords
    shuffled = response.isel(presentation=np.random.default_rng(3).permutation(40))
    got = recording_from_presentations(shuffled, **GIVEN).sel(stimulus=expected["stimulus"])
    xr.testing.assert_identical(got, expected)


@pytest.mark.parametrize(
    ("repetition", "order"),
    [
        ([30, 10, 20], [1, 2, 0]),
        (["10", "9", "8"], [2, 1, 0]),
        (["late", "early", "never"], [0, 1, 2]),
        ([2, 2, 1], [0, 1, 2]),
        ([2.0, np.nan, 1.0], [0, 1, 2]),
        ([2, 3, 4], [0, 1, 2]),
    ],
    ids=["numbers", "numbers as text", "words", "not unique", "NaN", "from 2"],
)
def test_repetitions_are_ordered_by_number_or_as_they_appear(repetition, order):
    response = make_presentations(3).assign_coords(
        stimulus=("presentation", ["a"] * 3), repetition=("presentation", repetition)
    )
    recording = recording_from_presentations(response, **GIVEN)
    np.testing.assert_array_equal(recording["response"].values[0], response.values[order])
    labels = recording["repetition_label"].values[0]
    np.testing.assert_array_equal(labels, np.asarray(repetition)[order])


def test_coordinates_constant_for_every_stimulus_lie_over_stimulus_and_others_over_both():
    response = make_presentations(4).assign_coords(
        stimulus=("presentation", ["a", "b", "a", "a"]),
        category=("presentation", ["face", "car", "face", "face"]),
        size=("presentation", [1.0, np.nan, 1.0, 1.0]),
        day=("presentation", [5, 6, 7, 5]),
        run=("presentation", np.array(["x", "y", "z", None], dtype=object)),
        start=("presentation", np.array(["2020-01-01"] * 3 + ["2020-01-02T10:00:01"], "M8[ns]")),
    )
    recording = recording_from_presentations(response, **GIVEN)
    assert recording["category"].dims == ("stimulus",)
    np.testing.assert_array_equal(recording["size"], [1.0, np.nan])
    np.testing.assert_array_equal(recording["day"], [[5, 7, 5], [6, np.nan, np.nan]])
    assert recording["run"].values.tolist() == [["x", "z", ""], ["y", "", ""]]
    assert recording["start"].values[0, 2].startswith("2020-01-02T10:00:01")
    assert recording["start"].values[1].tolist()[1:] == ["", ""]


def test_large_whole_numbers_stay_exact_as_text_where_nan_is_needed():
    stamp = 2**60 + 1
    response = make_presentations(3).assign_coords(
        stimulus=("presentation", ["a", "b", "a"]),
        stamp=("presentation", [stamp, stamp + 1, stamp + 2]),
    )
    recording = recording_from_presentations(response, **GIVEN)
    assert recording["stamp"].values.tolist() == [
        [str(stamp), str(stamp + 2)],
        [str(stamp + 1), ""],
    ]
    equal = recording_from_presentations(response.isel(presentation=[0, 1]), **GIVEN)
    assert equal["stamp"].values.tolist() == [stamp, stamp + 1]


@pytest.mark.parametrize(
    ("given", "stored"), [("int32", "float64"), ("bool", "float64"), ("float16", "float32")]
)
def test_other_numbers_are_stored_as_floats_and_the_history_says_so(given, stored):
    response = make_presentations(dtype="float64").round().astype(given)
    recording = recording_from_presentations(response, **GIVEN)
    assert recording["response"].dtype == stored
    assert f"{given} stored as {stored}" in recording.attrs["history"]
    assert np.nansum(recording["response"]) == response.astype(float).sum()


def test_a_multiindex_as_brainio_builds_it_is_taken_apart():
    response = make_presentations().assign_coords(n=("presentation", np.arange(40)))
    indexed = response.set_index(presentation=["stimulus", "n"])
    xr.testing.assert_identical(
        recording_from_presentations(indexed, **GIVEN),
        recording_from_presentations(response, **GIVEN),
    )


def test_positions_leave_repetitions_empty_where_asked():
    names, rows = arrange_presentations(["a", "b", "a"], position=[2, 0, 0])
    assert names.tolist() == ["a", "b"]
    assert rows.tolist() == [[2, -1, 0], [1, -1, -1]]
    stacked = stack_presentations(np.arange(3.0), rows)
    np.testing.assert_array_equal(stacked, [[2, np.nan, 0], [1, np.nan, np.nan]])
    with pytest.raises(RecordingError, match="taken twice"):
        arrange_presentations(["a", "a"], position=[1, 1])


def test_all_that_is_wrong_is_said_at_once():
    response = make_presentations().drop_vars("stimulus").astype(complex)
    response = response.assign_coords(two=(("presentation", "site"), np.zeros((40, N_SITES))))
    with pytest.raises(RecordingError) as caught:
        recording_from_presentations(response, **GIVEN)
    for part in ("no coordinate 'stimulus'", "complex128", "'two' has dims"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.values, "xarray.DataArray"),
        (lambda r: r.rename(site="neuroid"), "expected 'presentation' and 'site'"),
        (lambda r: r.isel(presentation=slice(0)), "no responses"),
        (lambda r: r.assign_coords(stimulus=("presentation", np.arange(40))), "not text"),
        (lambda r: r.assign_coords(stimulus=("presentation", [""] * 40)), "empty"),
        (lambda r: r.assign_coords(response=("presentation", np.arange(40))), "rename it"),
        (lambda r: r.drop_vars("area"), "no coordinate 'area'"),
        (lambda r: r.where(False), "NaN in every"),
    ],
)
def test_what_cannot_be_a_recording_is_refused(change, message):
    with pytest.raises(RecordingError, match=message):
        recording_from_presentations(change(make_presentations()), **GIVEN)
