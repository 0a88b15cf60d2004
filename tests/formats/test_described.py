"""A recording that a lab keeps as .npy and lists of names."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from described_files import describe
from scipy.io import savemat

from neural_data.errors import RecordingError
from neural_data.formats.described import read_arrays, read_described
from neural_data.model.recording import load_recording, save_recording

WHAT = {"units": "spikes/s", "source": "our lab"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "r.npy", np.arange(6).reshape(3, 2))
    (tmp_path / "stimuli.txt").write_text("b\na\n001\n", encoding="utf-8")
    (tmp_path / "sites.txt").write_text("s1\ns2\n", encoding="utf-8")
    (tmp_path / "sites.csv").write_text("site,area,animal\ns1,V4,m\ns2,IT,n\n", encoding="utf-8")
    return tmp_path


def test_an_array_and_two_lists_of_names_become_a_recording(folder: Path) -> None:
    recording = read_arrays(
        folder / "r.npy",
        stimuli=folder / "stimuli.txt",
        sites=folder / "sites.txt",
        area="IT",
        **WHAT,
    )
    assert recording["stimulus"].values.tolist() == ["b", "a", "001"]
    assert recording["response"].values[:, 0].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert recording["area"].values.tolist() == ["IT", "IT"]
    assert recording["response"].attrs["units"] == "spikes/s"


def test_columns_of_a_table_become_coordinates(folder: Path) -> None:
    (folder / "stimuli.csv").write_text(
        "stimulus,category\nb,car\na,car\n001,face\n", encoding="utf-8"
    )
    recording = read_arrays(
        folder / "r.npy", stimuli=folder / "stimuli.csv", sites=folder / "sites.csv", **WHAT
    )
    assert recording["stimulus"].values.tolist() == ["b", "a", "001"]
    assert recording["category"].values.tolist() == ["car", "car", "face"]
    assert recording["area"].values.tolist() == ["V4", "IT"]
    assert recording["animal"].values.tolist() == ["m", "n"]


@pytest.mark.parametrize(
    ("sites", "area", "message"),
    [
        ("sites.txt", None, "area of the sites is not known"),
        ("sites.csv", "IT", "has a column 'area' as well"),
    ],
)
def test_an_area_given_twice_or_never_is_refused(
    folder: Path, sites: str, area: str | None, message: str
) -> None:
    with pytest.raises(RecordingError, match=message):
        read_arrays(
            folder / "r.npy",
            stimuli=folder / "stimuli.txt",
            sites=folder / sites,
            area=area,
            **WHAT,
        )


def test_areas_are_read_from_a_list_with_one_a_line(folder: Path) -> None:
    what = {"stimuli": folder / "stimuli.txt", "sites": folder / "sites.txt", **WHAT}
    (folder / "areas.txt").write_text("V4\nIT\n", encoding="utf-8")
    recording = read_arrays(folder / "r.npy", area=str(folder / "areas.txt"), **what)
    assert recording["area"].values.tolist() == ["V4", "IT"]
    (folder / "areas.txt").write_text("V4\n", encoding="utf-8")
    with pytest.raises(RecordingError, match="1 labels for 'area'"):
        read_arrays(folder / "r.npy", area=str(folder / "areas.txt"), **what)


@pytest.mark.parametrize("area", ["areas.csv", "sites.csv", "r.npy"])
def test_a_file_of_another_kind_is_not_taken_for_the_name_of_an_area(folder: Path, area) -> None:
    what = {"stimuli": folder / "stimuli.txt", "sites": folder / "sites.txt", **WHAT}
    with pytest.raises(RecordingError, match=r"given as the file .*a \.txt with one area a line"):
        read_arrays(folder / "r.npy", area=str(folder / area), **what)


def test_names_that_do_not_fit_the_array_are_refused(folder: Path) -> None:
    with pytest.raises(RecordingError, match="2 labels for 'stimulus'"):
        read_arrays(
            folder / "r.npy",
            stimuli=folder / "sites.txt",
            sites=folder / "sites.txt",
            area="IT",
            **WHAT,
        )


@pytest.mark.parametrize(("separator", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_tables_without_commas_are_said_to_be_so(folder: Path, separator: str, name: str) -> None:
    text = f"site{separator}area{separator}depth\n"
    (folder / "sites.csv").write_text(text + text.replace("depth", "0,5"))
    with pytest.raises(RecordingError, match=rf"sites\.csv has its columns between {name}"):
        read_arrays(
            folder / "r.npy", stimuli=folder / "stimuli.txt", sites=folder / "sites.csv", **WHAT
        )


@pytest.mark.parametrize("shape", [(3,), (3, 1, 2, 5)])
def test_arrays_of_other_axes_are_to_be_described(folder: Path, shape: tuple[int, ...]) -> None:
    np.save(folder / "r.npy", np.ones(shape))
    with pytest.raises(RecordingError, match=r"r\.npy has shape \(3.*import described"):
        read_arrays(
            folder / "r.npy", stimuli=folder / "stimuli.txt", sites=folder / "sites.csv", **WHAT
        )


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00v\x00{'descr'"])
def test_a_damaged_array_is_refused(folder: Path, content: bytes) -> None:
    (folder / "r.npy").write_bytes(content)
    with pytest.raises(RecordingError, match="cannot be read as an array of numbers"):
        read_arrays(
            folder / "r.npy", stimuli=folder / "stimuli.txt", sites=folder / "sites.csv", **WHAT
        )


@pytest.mark.parametrize("name", ["r.npy", "stimuli.txt", "sites.txt"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        read_arrays(
            folder / "r.npy",
            stimuli=folder / "stimuli.txt",
            sites=folder / "sites.txt",
            area="IT",
            **WHAT,
        )


def test_arrays_of_matlab_are_read_by_the_name_of_their_variable(folder: Path) -> None:
    savemat(folder / "r.mat", {"a": np.zeros((3, 2)), "rates": np.arange(6.0).reshape(3, 2)})
    recording = read_arrays(
        folder / "r.mat",
        stimuli=folder / "stimuli.txt",
        sites=folder / "sites.csv",
        variable="rates",
        **WHAT,
    )
    assert recording["response"].values[:, 0].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert "read_arrays(r.mat): float64 of shape (3, 2)" in recording.attrs["history"]


# (stimulus, repetition, site, time_bin)
FULL = np.random.default_rng(0).poisson(5, (4, 3, 2, 5)).astype(float)


@pytest.mark.parametrize("axes", list(permutations(["stimulus", "repetition", "site", "time_bin"])))
def test_axes_in_any_order_give_the_same_recording(tmp_path: Path, axes: tuple[str, ...]) -> None:
    order = ["stimulus", "repetition", "site", "time_bin"]
    np.save(tmp_path / "r.npy", FULL.transpose([order.index(axis) for axis in axes]))
    recording = read_described(
        describe(
            tmp_path, axes=axes, site={"area": "IT"}, time_bin={"edges": [0, 10, 20, 30, 40, 50]}
        )
    )
    assert recording["response"].dims == tuple(order)
    np.testing.assert_array_equal(recording["response"], FULL)
    assert recording["response"].values.flags.c_contiguous
    assert recording["time_bin_start"].values.tolist() == [0, 10, 20, 30, 40]
    assert recording["stimulus"].values.tolist() == [f"stimulus{k}" for k in range(1, 5)]


def test_without_an_axis_of_repetitions_there_is_one(tmp_path: Path) -> None:
    np.save(tmp_path / "r.npy", FULL[:, 0, :, 0].T.astype(np.float32))
    recording = read_described(
        describe(tmp_path, axes=["site", "stimulus"], site={"area": "IT"}, window=[70, 170])
    )
    assert recording["response"].shape == (4, 1, 2)
    assert recording["response"].dtype == np.float32
    assert recording["response"].attrs == {"units": "spikes/s", "window": "70-170 ms"}
    np.testing.assert_array_equal(recording["response"][:, 0], FULL[:, 0, :, 0])


@pytest.mark.parametrize("counts_from", [None, 0, 1])
def test_presentations_become_repetitions_in_the_order_shown(
    tmp_path: Path, counts_from: int | None
) -> None:
    shown = [2, 0, 2, 1]
    np.save(tmp_path / "r.npy", FULL[:, 0, :, 0])
    names = ["cow", "car", "face"]
    listed = [names[k] for k in shown] if counts_from is None else [k + counts_from for k in shown]
    presentation: dict[str, Any] = {"stimulus": listed, "coordinates": {"reward": [1, 2, 3, 4]}}
    if counts_from is not None:
        presentation["counts_from"] = counts_from
    recording = read_described(
        describe(
            tmp_path,
            axes=["presentation", "site"],
            site={"names": ["a", "b"], "area": ["V4", "IT"]},
            stimulus={"names": names},
            presentation=presentation,
        )
    )
    assert recording["stimulus"].values.tolist() == ["face", "cow", "car"]
    np.testing.assert_array_equal(recording["response"][0], FULL[[0, 2], 0, :, 0])
    assert np.isnan(recording["response"][1, 1]).all()
    assert recording["reward"].values[0].tolist() == [1, 3]
    assert recording["area"].values.tolist() == ["V4", "IT"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("stimulus,category\nb,car,\na,car,\n001,face,\n", "3 lines with more or fewer than its 2"),
        ("stimulus,category\nb,car\na\n001,face\n", "1 lines with more or fewer than its 2"),
        ("stimulus,kind,kind\nb,x,y\na,x,y\n001,x,y\n", "several columns of the name 'kind'"),
    ],
)
def test_a_table_of_stimuli_that_would_be_read_askew_is_refused(
    folder: Path, table: str, message: str
) -> None:
    """A comma too many at the end of each line shifts the columns of pandas by one."""
    (folder / "stimuli.csv").write_text(table, encoding="utf-8")
    with pytest.raises(RecordingError, match=message):
        read_arrays(
            folder / "r.npy", stimuli=folder / "stimuli.csv", sites=folder / "sites.csv", **WHAT
        )


def test_dates_and_codes_with_underscores_stay_text(folder: Path) -> None:
    """Python reads "2014_07_21" as the number 20140721."""
    days = ["2014_07_21", "2014_07_22"]
    (folder / "sites.csv").write_text(
        f"site,area,day,depth\ns1,V4,{days[0]},1.5\ns2,IT,{days[1]},\n", encoding="utf-8"
    )
    recording = read_arrays(
        folder / "r.npy", stimuli=folder / "stimuli.txt", sites=folder / "sites.csv", **WHAT
    )
    assert recording["day"].values.tolist() == days
    np.testing.assert_array_equal(recording["depth"], [1.5, np.nan])
    rows = [f"im{k},u1,{k},{days[k]}" for k in range(2)]
    (folder / "long.csv").write_text("\n".join(["image,unit,rate,day", *rows]), encoding="utf-8")
    named = {"stimulus": "image", "site": "unit", "response": "rate"}
    path = describe(folder, file="long.csv", site={"area": "IT"}, columns=named)
    assert read_described(path)["day"].values.tolist() == days


def test_a_table_of_stimuli_is_joined_to_presentations_by_name(tmp_path: Path) -> None:
    np.save(tmp_path / "r.npy", FULL[:, 0, :, 0])
    (tmp_path / "images.csv").write_text(
        "image_id,category\n1,animal\n2,vehicle\n3,face\n", encoding="utf-8"
    )
    given = dict(axes=["presentation", "site"], site={"area": "IT"})
    path = describe(
        tmp_path,
        **given,
        stimulus={"names": "images.csv"},
        presentation={"stimulus": [2.0, 1.0, 2.0, 2.0]},
    )
    recording = read_described(path)
    assert recording["stimulus"].values.tolist() == ["2", "1"]
    assert recording["category"].values.tolist() == ["vehicle", "animal"]
    path = describe(
        tmp_path,
        **given,
        stimulus={"names": "images.csv"},
        presentation={"stimulus": ["2", "9", "8", "2"]},
    )
    with pytest.raises(RecordingError, match=r"2 of the stimulus names.*not in.*'9', '8'"):
        read_described(path)


def test_names_areas_and_lists_may_all_stand_in_the_matlab_file(tmp_path: Path) -> None:
    contents = {
        "data": {"r": FULL[..., 0], "shown": np.array([["c"], ["b"], ["a"], ["d"]], dtype=object)},
        "site": {
            "name": np.array(["s1", "s2"], dtype=object),
            "area": np.array(["V4", "IT"], dtype=object),
            "depth": np.array([[0.5], [1.5]]),
            "monkey": np.array([1.0, 2.0]),
        },
    }
    savemat(tmp_path / "lab.mat", contents)
    recording = read_described(
        describe(
            tmp_path,
            file="lab.mat",
            variable="data.r",
            axes=["stimulus", "repetition", "site"],
            stimulus={"names": {"variable": "data.shown"}},
            site={
                "names": {"variable": "site.name"},
                "area": {"file": "lab.mat", "variable": "site.area"},
                "animal": {"variable": "site.monkey"},
                "coordinates": {"depth": {"variable": "site.depth"}},
            },
        )
    )
    np.testing.assert_array_equal(recording["response"], FULL[..., 0])
    assert recording["stimulus"].values.tolist() == ["c", "b", "a", "d"]
    assert recording["area"].values.tolist() == ["V4", "IT"]
    assert recording["animal"].values.tolist() == ["1", "2"]
    assert recording["depth"].values.tolist() == [0.5, 1.5]


def test_the_last_axis_that_matlab_leaves_out_has_length_one(tmp_path: Path) -> None:
    savemat(tmp_path / "lab.mat", {"r": FULL[:, :1, :, 0].transpose(0, 2, 1)})
    recording = read_described(
        describe(
            tmp_path,
            file="lab.mat",
            axes=["stimulus", "site", "repetition"],
            site={"area": "IT"},
        )
    )
    np.testing.assert_array_equal(recording["response"], FULL[:, :1, :, 0])


def test_numbers_that_mean_missing_become_nan_and_are_counted(tmp_path: Path) -> None:
    values = FULL[..., 0].astype(int)
    values[1, 2], values[0, 1, 1] = -1, -9
    np.save(tmp_path / "r.npy", values)
    given = dict(axes=["stimulus", "repetition", "site"], site={"area": "IT"})
    recording = read_described(describe(tmp_path, **given, missing=[-1, -9]))
    missing = np.isnan(recording["response"].values)
    assert missing[1, 2].all()
    assert missing[0, 1].tolist() == [False, True]
    assert missing.sum() == 3
    assert "3 values of [-1, -9] taken as missing" in recording.attrs["history"]
    assert not np.isnan(read_described(describe(tmp_path, **given))["response"]).any()


LONG = """image,unit,trial,rate,category,depth,reward
cow,u2,12,1,animal,0.5,3
cow,u1,12,2,animal,1.5,3
car,u1,30,3,vehicle,1.5,4
cow,u1,7,4,animal,1.5,5
car,u2,31,,vehicle,0.5,6
"""
NAMED = {"stimulus": "image", "site": "unit", "response": "rate"}


def test_a_long_table_is_arranged_by_its_columns(tmp_path: Path) -> None:
    (tmp_path / "long.csv").write_text(LONG, encoding="utf-8")
    recording = read_described(
        describe(
            tmp_path,
            file="long.csv",
            site={"area": "IT"},
            columns={**NAMED, "repetition": "trial"},
        )
    )
    assert recording["stimulus"].values.tolist() == ["cow", "car"]
    assert recording["site"].values.tolist() == ["u2", "u1"]
    # repetitions of a stimulus are ordered by trial: cow 7 and 12, car 30 and 31
    np.testing.assert_array_equal(
        recording["response"],
        [[[np.nan, 4], [1, 2]], [[np.nan, 3], [np.nan, np.nan]]],
    )
    assert recording["repetition_label"].values.tolist() == [[7, 12], [30, 31]]
    assert recording["category"].values.tolist() == ["animal", "vehicle"]
    assert recording["depth"].values.tolist() == [0.5, 1.5]
    assert recording["reward"].values.tolist() == [[5, 3], [4, 6]]


def test_a_long_table_whose_columns_or_names_are_doubtful_is_refused(tmp_path: Path) -> None:
    for text, message in (
        ("image,unit,rate,rate\na,u,1,2\nb,u,3,4\n", "several columns of the name 'rate'"),
        ("image,unit,rate\na,u,1\n a,u,2\nb,u,3\n", "blanks only, such as ' a' and 'a'"),
    ):
        (tmp_path / "long.csv").write_text(text, encoding="utf-8")
        with pytest.raises(RecordingError, match=message):
            read_described(describe(tmp_path, file="long.csv", site={"area": "IT"}, columns=NAMED))


def test_without_repetitions_the_rows_of_a_long_table_count_up(tmp_path: Path) -> None:
    (tmp_path / "long.csv").write_text(LONG, encoding="utf-8")
    recording = read_described(
        describe(tmp_path, file="long.csv", site={"area": "IT"}, columns=NAMED)
    )
    np.testing.assert_array_equal(recording["response"].sel(stimulus="cow", site="u1"), [2, 4])
    left_out = "columns left out, which no axis explains: 'trial', 'reward'"
    assert left_out in recording.attrs["history"]


def test_a_long_table_equals_the_array_it_was_written_from(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    rows = [
        f"i{s:02d},u{u},{r},{FULL[s, r, u, 0]}"
        for s in range(4)
        for r in range(3)
        for u in range(2)
        if (s, r) != (2, 1)
    ]
    order = rng.permutation(len(rows))
    (tmp_path / "long.csv").write_text(
        "\n".join(["stimulus,site,repetition,response", *(rows[k] for k in order)]),
        encoding="utf-8",
    )
    columns = {name: name for name in ("stimulus", "site", "repetition", "response")}
    recording = read_described(
        describe(tmp_path, file="long.csv", site={"area": "IT"}, columns=columns)
    ).sortby(["stimulus", "site"])
    expected = FULL[..., 0].copy()
    expected[2, 1:] = [expected[2, 2], [np.nan, np.nan]]
    np.testing.assert_array_equal(recording["response"], expected)


@pytest.mark.parametrize("sites", ["unit_*", ["unit_a", "unit_b"]])
def test_a_wide_table_has_a_column_a_site(tmp_path: Path, sites: Any) -> None:
    (tmp_path / "wide.csv").write_text(
        "image,unit_a,unit_b,day\ncow,1,2,1\ncar,3,4,1\ncow,5,NA,2\n", encoding="utf-8"
    )
    recording = read_described(
        describe(
            tmp_path,
            file="wide.csv",
            site={"area": "IT", "animal": "M"},
            columns={"stimulus": "image", "sites": sites},
        )
    )
    assert recording["site"].values.tolist() == ["unit_a", "unit_b"]
    np.testing.assert_array_equal(recording["response"].sel(stimulus="cow"), [[1, 2], [5, np.nan]])
    assert recording["day"].sel(stimulus="cow").values.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LONG + "cow,u1,7,9,animal,1.5,3\n", "1 rows too many.*first for 'cow' at 'u1'"),
        (LONG + "cow,u1,8\n", "1 lines with more or fewer than its 7 cells"),
        (LONG.replace("1.5,5", "1.5,5,6"), "read as a table|more or fewer"),
        (LONG.replace("u2,12", ",12"), "column 'unit' is empty in 1 rows"),
        (LONG.replace("car,u1,30,3", "car,u1,30,x"), "with numbers in 'rate'"),
        (LONG.replace("unit", "cell"), "no column 'unit'; there are 'image', 'cell'"),
        ("image,unit,trial,rate\n", "a header and no rows"),
        ("", "cannot be read as a CSV table"),
    ],
)
def test_long_tables_that_cannot_be_arranged_are_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "long.csv").write_text(text, encoding="utf-8")
    path = describe(
        tmp_path, file="long.csv", site={"area": "IT"}, columns={**NAMED, "repetition": "trial"}
    )
    with pytest.raises(RecordingError, match=message):
        read_described(path)


def test_all_wrong_keys_are_told_at_once_with_those_that_are_known(tmp_path: Path) -> None:
    path = describe(
        tmp_path, axes=["site", "trial"], unit="Hz", units=None, site={"areas": "IT"}, missing="x"
    )
    with pytest.raises(RecordingError) as told:
        read_described(path)
    for expected in (
        "axes is ['site', 'trial']; expected a list of 'stimulus'",
        "no key 'unit' is known; there are 'file'",
        "no key 'site.areas' is known; there are 'names'",
        "missing is x; expected a number",
        "no units is given",
    ):
        assert expected in str(told.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"axes": ["stimulus", "site"], "site": {}}, "area of the sites is not known"),
        ({"axes": ["stimulus", "repetition"]}, "expected 'site' and one of"),
        ({"axes": ["stimulus", "presentation", "site"]}, "expected 'site' and one of"),
        ({"axes": ["presentation", "site"]}, "no presentation.stimulus is given"),
        ({"axes": ["stimulus", "site", "time_bin"]}, r"\[time_bin\] needs edges, start and"),
        ({"axes": ["stimulus", "site"], "time_bin": {"edges": [0, 1]}}, "no axis is 'time_bin'"),
        ({}, "no axes are given"),
        ({"axes": ["stimulus", "site"], "columns": NAMED}, "axes does not go with"),
        ({"columns": {"stimulus": "a", "site": "b"}}, "no columns.response is given"),
        ({"axes": ["stimulus", "repetition", "site"]}, r"shape \(4, 2\); expected 3 axes"),
        ({"axes": ["stimulus", "site"], "stimulus": {"names": ["a"]}}, "'stimulus' has 1 values"),
        ({"axes": ["stimulus", "site"], "site": {"area": ["IT"]}}, "'area' has 1 values; the arr"),
        ({"axes": ["stimulus", "site"], "file": "none.npy"}, "none.npy: it is not there"),
        ({"axes": ["stimulus", "site"], "site": {"names": "no.txt", "area": "IT"}}, "no.txt"),
        (
            {"axes": ["stimulus", "site"], "stimulus": {"coordinates": {"site": [1, 2, 3, 4]}}},
            "a name of ours: rename it",
        ),
        ({"axes": ["stimulus", "site"], "stimulus": {"names": list("aabc")}}, "repeats 'a'"),
        ({"axes": ["stimulus", "site"], "site": {"area": ["IT", 4]}}, "mixes text and numbers"),
    ],
)
def test_descriptions_that_do_not_fit_are_refused(
    tmp_path: Path, content: dict[str, Any], message: str
) -> None:
    np.save(tmp_path / "r.npy", FULL[:, 0, :, 0])
    content = {"site": {"area": "IT"}, **content}
    with pytest.raises((RecordingError, FileNotFoundError), match=message):
        read_described(describe(tmp_path, **content))


def test_problems_of_several_files_are_told_together(tmp_path: Path) -> None:
    np.save(tmp_path / "r.npy", FULL[:, 0, :, 0])
    path = describe(
        tmp_path,
        axes=["stimulus", "site"],
        stimulus={"names": "missing.txt"},
        site={"names": ["a"], "area": {"file": "other.npy"}},
    )
    with pytest.raises(RecordingError, match=r"(?s)'site' has 1.*other.npy.*missing.txt"):
        read_described(path)


@pytest.mark.parametrize("content", [b"units = ", b"\xff\xfe", b"a = 1\na = 2"])
def test_what_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "lab.toml").write_bytes(content)
    with pytest.raises(RecordingError, match="cannot be read as TOML"):
        read_described(tmp_path / "lab.toml")
    with pytest.raises(FileNotFoundError, match="no description"):
        read_described(tmp_path / "none.toml")


def test_what_was_described_comes_back_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "long.csv").write_text(LONG, encoding="utf-8")
    recording = read_described(
        describe(tmp_path, file="long.csv", site={"area": "IT"}, columns=NAMED)
    )
    saved = load_recording(save_recording(recording, tmp_path / "r.nc"))
    xr.testing.assert_identical(saved, recording)


@pytest.mark.data
def test_a_real_session_is_described_in_six_lines(shared_data: Path, tmp_path: Path) -> None:
    raw = shared_data / "cowley2023" / "responses_raw_210325.npy"
    recording = read_described(
        describe(
            tmp_path,
            file=str(raw),
            axes=["site", "stimulus", "repetition"],
            units="spikes per 100 ms",
            site={"area": "V4"},
        )
    )
    expected = np.load(raw).transpose(1, 2, 0)
    np.testing.assert_array_equal(recording["response"], expected)


def tidy(folder: Path, *, repetitions: int = 1) -> np.ndarray:
    """A table of one row a stimulus, unit, time and repetition; returns its rates."""
    rng = np.random.default_rng(0)
    rates = rng.uniform(0, 50, (4, repetitions, 3, 5)).round(2)
    rows = [
        f"im{i},u{u},{50 * t - 50},{r + 1},{rates[i, r, u, t]}"
        for i in range(4) for r in range(repetitions) for u in range(3) for t in range(5)
    ]  # fmt: skip
    rng.shuffle(rows)
    rows.sort(key=lambda row: row.split(",")[:2])
    (folder / "long.csv").write_text("\n".join(["image,unit,time_ms,trial,rate", *rows]))
    return rates


TIDY = {"stimulus": "image", "site": "unit", "response": "rate"}


@pytest.mark.parametrize("repetitions", [1, 3])
def test_a_column_of_times_is_an_axis_where_the_description_says_so(
    tmp_path: Path, repetitions: int
) -> None:
    rates = tidy(tmp_path, repetitions=repetitions)
    site = {"area": "IT"}
    with pytest.raises(RecordingError, match=r"'time_ms'.*look like an axis that is not named"):
        read_described(describe(tmp_path, file="long.csv", site=site, columns=TIDY))
    named = {**TIDY, "time_bin": "time_ms", "repetition": "trial"}
    path = describe(tmp_path, file="long.csv", site=site, columns=named, time_bin={"width": 50})
    recording = read_described(path)
    assert recording["time_bin_start"].values.tolist() == [-50, 0, 50, 100, 150]
    assert recording["time_bin_end"].values.tolist() == [0, 50, 100, 150, 200]
    ordered = recording["response"].sel(
        stimulus=[f"im{k}" for k in range(4)], site=["u0", "u1", "u2"]
    )
    np.testing.assert_allclose(
        ordered.transpose("stimulus", "repetition", "site", "time_bin"), rates
    )
    for wrong in ({"columns": named}, {"columns": TIDY, "time_bin": {"width": 50}}):
        with pytest.raises(RecordingError, match="go together"):
            read_described(describe(tmp_path, file="long.csv", site=site, **wrong))


def test_columns_that_are_said_to_be_no_axes_leave_repetitions(tmp_path: Path) -> None:
    rates = tidy(tmp_path)
    columns = {**TIDY, "no_axes": ["time_ms"]}
    path = describe(tmp_path, file="long.csv", site={"area": "IT"}, columns=columns)
    recording = read_described(path)
    assert recording.sizes["repetition"] == 5
    assert float(recording["response"].mean()) == pytest.approx(rates.mean(), rel=1e-6)


def test_times_of_a_table_with_one_column_a_site_are_no_repetitions(tmp_path: Path) -> None:
    rows = [f"im{i},{t},{i + t},{i * t}" for i in range(4) for t in (0, 50, 100)]
    (tmp_path / "wide.csv").write_text("\n".join(["image,time_ms,u1,u2", *rows]))
    columns = {"stimulus": "image", "sites": "u*"}
    with pytest.raises(RecordingError, match=r"'time_ms'.*look like an axis that is not named"):
        read_described(describe(tmp_path, file="wide.csv", site={"area": "IT"}, columns=columns))
    free = {**columns, "no_axes": "time_ms"}
    path = describe(tmp_path, file="wide.csv", site={"area": "IT"}, columns=free)
    assert read_described(path).sizes["repetition"] == 3


def test_time_bins_by_start_and_width(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(3, 2, 4)))
    axes = ["stimulus", "site", "time_bin"]
    fields = {"file": "a.npy", "axes": axes, "site": {"area": "IT", "prefix": "u"}}
    fields["stimulus"] = {"prefix": "im"}
    for start in (-50, [-50, -40, -30, -20]):
        bins = {"start": start, "width": 10}
        recording = read_described(describe(tmp_path, **fields, time_bin=bins))
        assert recording["time_bin_start"].values.tolist() == [-50, -40, -30, -20]
        assert recording["time_bin_end"].values.tolist() == [-40, -30, -20, -10]
    with pytest.raises(RecordingError, match=r"one number: give time_bin\.width"):
        read_described(describe(tmp_path, **fields, time_bin={"start": -50, "end": [1, 2, 3, 4]}))


def test_spreadsheets_with_semicolons_decimal_commas_and_latin_letters_are_read(
    tmp_path: Path,
) -> None:
    rows = ["Bild;Zelle;Rate;Größe", "Kühe;u1;1,5;0,25", "Kühe;u2;-2;0,25", "Auto;u1;1e2;3,5",
            "Auto;u2;;3,5"]  # fmt: skip
    (tmp_path / "long.csv").write_bytes("\r\n".join(rows).encode("latin-1"))
    columns = {"stimulus": "Bild", "site": "Zelle", "response": "Rate"}
    said = {"file": "long.csv", "site": {"area": "IT"}, "columns": columns}
    with pytest.raises(RecordingError, match="encoding = 'latin-1'"):
        read_described(describe(tmp_path, **said))
    with pytest.raises(RecordingError, match=r"one column.*separator = ';'"):
        read_described(describe(tmp_path, **said, encoding="latin-1"))
    form = {"separator": ";", "decimal": ",", "encoding": "latin-1"}
    recording = read_described(describe(tmp_path, **said, **form))
    assert recording["stimulus"].values.tolist() == ["Kühe", "Auto"]
    np.testing.assert_array_equal(recording["response"].values[:, 0], [[1.5, -2], [100, np.nan]])
    assert recording["Größe"].values.tolist() == [0.25, 3.5]
    wrong = {"separator": ";;", "decimal": "-", "encoding": "klingon"}
    with pytest.raises(RecordingError) as told:
        read_described(describe(tmp_path, **said, **wrong))
    for part in ("separator is ;;", "decimal is -", "encoding is klingon"):
        assert part in str(told.value)
    with pytest.raises(RecordingError, match=r"decimal is given, but no \[columns\]"):
        read_described(describe(tmp_path, axes=["stimulus", "site"], decimal=","))
