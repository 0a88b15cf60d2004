"""Layouts of labs' files that a description names: several files, crossed conditions, spikes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from described_files import describe
from scipy.io import savemat

from neural_data import read_described
from neural_data.errors import RecordingError
from neural_data.formats._described_keys import list_keys

# (stimulus, repetition, site, time_bin)
FULL = np.random.default_rng(0).poisson(5, (4, 3, 2, 5)).astype(float)
NAMES = ["cow", "car", "face", "cup"]
IT = {"area": "IT"}
BINS = {"edges": [0, 10, 20, 30, 40, 50]}


def ordered(recording: xr.Dataset, stimuli: list[str] = NAMES) -> np.ndarray:
    response = recording["response"].sel(stimulus=stimuli).sortby("site")
    return response.transpose("stimulus", "repetition", "site", ...).values


@pytest.mark.parametrize("pattern", [True, False])
def test_one_array_a_site_is_named_by_its_file(tmp_path: Path, pattern: bool) -> None:
    """The second file has its stimuli in another order, and fewer repetitions."""
    savemat(tmp_path / "u10.mat", {"r": FULL[..., 0, :], "names": np.array(NAMES, dtype=object)})
    other = {"r": FULL[::-1, :2, 1], "names": np.array(NAMES[::-1], dtype=object)}
    savemat(tmp_path / "u9.mat", other)
    said: dict[str, Any] = {
        "file": "u*.mat" if pattern else ["u10.mat", "u9.mat"],
        "variable": "r",
        "axes": ["stimulus", "repetition", "time_bin"],
        "stimulus": {"names": {"variable": "names"}},
        "time_bin": BINS,
    }
    recording = read_described(describe(tmp_path, **said, site=IT))
    assert recording["site"].values.tolist() == ["u10", "u9"]
    assert "session" not in recording.coords
    expected = FULL.copy()
    expected[:, 2, 1] = np.nan
    np.testing.assert_array_equal(recording["response"].values, expected)
    (tmp_path / "units.csv").write_text("unit,area,depth\nu9,V4,2\nu10,IT,1\nu11,IT,3\n")
    recording = read_described(describe(tmp_path, **said, site={"names": "units.csv"}))
    assert recording["area"].values.tolist() == ["IT", "V4"]
    assert recording["depth"].values.tolist() == [1, 2]
    with pytest.raises(RecordingError, match=r"site.area has no order to follow"):
        read_described(describe(tmp_path, **said, site={"area": ["IT", "V4"]}))


def test_other_stimuli_of_single_sites_are_pooled_where_that_is_said(tmp_path: Path) -> None:
    for name, kept in (("a", slice(0, 3)), ("b", slice(1, 4))):
        content = {"r": FULL[kept, :, 0, 0], "names": np.array(NAMES[kept], dtype=object)}
        savemat(tmp_path / f"{name}.mat", content)
    said: dict[str, Any] = {
        "file": ["a.mat", "b.mat"], "variable": "r", "axes": ["stimulus", "repetition"],
        "stimulus": {"names": {"variable": "names"}}, "site": IT,
    }  # fmt: skip
    with pytest.raises(RecordingError, match=r"other stimuli: 'a', 'b' lack some.*pool = 'shared'"):
        read_described(describe(tmp_path, **said))
    shared = read_described(describe(tmp_path, **said, pool="shared"))
    assert shared["stimulus"].values.tolist() == NAMES[1:3]
    assert read_described(describe(tmp_path, **said, pool="all")).sizes["stimulus"] == 4


def test_one_array_a_session_is_pooled_by_the_names_of_stimuli(tmp_path: Path) -> None:
    for name, kept in (("monday", slice(0, 3)), ("friday", slice(1, 4))):
        content = {"r": FULL[kept, :, :, 0], "names": np.array(NAMES[kept], dtype=object)}
        savemat(tmp_path / f"{name}.mat", content)
    said: dict[str, Any] = {
        "file": "*day.mat", "variable": "r", "axes": ["stimulus", "repetition", "site"],
        "site": {"area": ["V4", "IT"], "animal": "M"}, "pool": "shared",
    }  # fmt: skip
    with pytest.raises(RecordingError, match=r"joined by name: give stimulus.names"):
        read_described(describe(tmp_path, **said))
    said["stimulus"] = {"names": {"variable": "names"}}
    recording = read_described(describe(tmp_path, **said))
    assert recording["session"].values.tolist() == ["friday"] * 2 + ["monday"] * 2
    assert recording["area"].values.tolist() == ["V4", "IT"] * 2
    np.testing.assert_array_equal(
        recording["response"].sel(stimulus=NAMES[1:3]).values,
        np.concatenate([FULL[1:3, :, :, 0]] * 2, axis=2),
    )


def test_one_table_a_site_or_a_session(tmp_path: Path) -> None:
    for u in range(2):
        rows = [f"{n},{FULL[i, 0, u, 0]}" for i, n in enumerate(NAMES)]
        (tmp_path / f"unit{u}.csv").write_text("\n".join(["image,rate", *rows]))
    columns = {"stimulus": "image", "response": "rate"}
    recording = read_described(
        describe(tmp_path, file="unit*.csv", columns=columns, site={"area": "IT"})
    )
    assert recording["site"].values.tolist() == ["unit0", "unit1"]
    np.testing.assert_array_equal(ordered(recording)[:, 0], FULL[:, 0, :, 0])
    with pytest.raises(RecordingError, match=r"no columns.site is given"):
        read_described(describe(tmp_path, file="unit0.csv", columns=columns, site=IT))
    (tmp_path / "unit1.csv").write_text("image,Rate\ncow,1\n")
    with pytest.raises(RecordingError, match=r"unit1.csv has no column 'rate'"):
        read_described(describe(tmp_path, file="unit*.csv", columns=columns, site=IT))
    for name in ("tue", "wed"):
        rows = [f"{n},{name}{u},{FULL[i, 0, u, 0]}" for i, n in enumerate(NAMES) for u in (0, 1)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["image,unit,rate", *rows]))
    named = {**columns, "site": "unit"}
    recording = read_described(
        describe(tmp_path, file=["tue.csv", "wed.csv"], columns=named, site=IT)
    )
    assert recording["session"].values.tolist() == ["tue", "tue", "wed", "wed"]
    np.testing.assert_array_equal(ordered(recording)[:, 0, 2:], FULL[:, 0, :, 0])


@pytest.mark.parametrize("pattern", ["t*", ["t0", "t10", "t20", "t30", "t40"]])
def test_columns_that_are_time_bins(tmp_path: Path, pattern: Any) -> None:
    rows = [
        f"{n},u{u},{r},{','.join(map(str, FULL[i, r, u]))}"
        for r in range(3) for i, n in enumerate(NAMES) for u in range(2)
    ]  # fmt: skip
    (tmp_path / "psth.csv").write_text("\n".join(["image,unit,trial,t0,t10,t20,t30,t40", *rows]))
    columns = {"stimulus": "image", "site": "unit", "repetition": "trial", "time_bins": pattern}
    said: dict[str, Any] = {"file": "psth.csv", "columns": columns, "site": IT}
    bins = {"start": 0, "width": 10, "number": 5}
    recording = read_described(describe(tmp_path, **said, time_bin=bins))
    np.testing.assert_array_equal(ordered(recording), FULL)
    assert recording["time_bin_end"].values.tolist() == [10, 20, 30, 40, 50]
    with pytest.raises(RecordingError, match=r"time_bin.number is 4; the responses have 5"):
        read_described(describe(tmp_path, **said, time_bin={**bins, "number": 4}))
    with pytest.raises(RecordingError, match=r"\[time_bin\] needs edges"):
        read_described(describe(tmp_path, **said))
    twice = {**columns, "time_bins": ["t0", "t0"]}
    with pytest.raises(RecordingError, match=r"listed twice"):
        read_described(describe(tmp_path, **{**said, "columns": twice}, time_bin=bins))


def test_rows_that_are_times_with_a_column_a_site(tmp_path: Path) -> None:
    rows = [
        f"{n},{r},{10 * t},{FULL[i, r, 0, t]},{FULL[i, r, 1, t]}"
        for i, n in enumerate(NAMES) for r in range(3) for t in range(5)
    ]  # fmt: skip
    (tmp_path / "long.csv").write_text("\n".join(["image,trial,ms,u0,u1", *rows]))
    columns = {"stimulus": "image", "repetition": "trial", "time_bin": "ms", "sites": "u*"}
    path = describe(tmp_path, file="long.csv", columns=columns, site=IT, time_bin={"width": 10})
    recording = read_described(path)
    np.testing.assert_array_equal(ordered(recording), FULL)
    assert recording["site"].values.tolist() == ["u0", "u1"]


def test_two_axes_of_conditions_are_crossed(tmp_path: Path) -> None:
    """An array (site, object, repetition, view): the stimuli are objects times views."""
    values = np.random.default_rng(1).normal(size=(2, 3, 4, 2))
    np.save(tmp_path / "r.npy", values)
    said: dict[str, Any] = {"axes": ["site", "object", "repetition", "view"], "site": IT}
    conditions = {"object": ["face", "car", "cup"], "view": ["left", "right"]}
    recording = read_described(describe(tmp_path, **said, conditions=conditions))
    assert recording["stimulus"].values.tolist()[:3] == ["face_left", "face_right", "car_left"]
    for k, name in enumerate(recording["stimulus"].values.tolist()):
        i, j = divmod(k, 2)
        assert name == f"{conditions['object'][i]}_{conditions['view'][j]}"
        np.testing.assert_array_equal(recording["response"].values[k], values[:, i, :, j].T)
    assert recording["object"].values.tolist() == ["face", "face", "car", "car", "cup", "cup"]
    counted = read_described(describe(tmp_path, **said, conditions={**conditions, "view": 2}))
    assert counted["view"].values.tolist() == [1, 2] * 3
    for wrong, message in (
        ({"object": ["face", "car"], "view": 2}, r"'conditions.object' has 2 values.*needs 3"),
        ({"object": ["face", "car", "cup"]}, r"axes is .*'view'.*names that \[conditions\] has"),
        ({**conditions, "pose": 3}, r"conditions.pose is no axis"),
    ):
        with pytest.raises(RecordingError, match=message):
            read_described(describe(tmp_path, **said, conditions=wrong))


def test_two_columns_of_conditions_are_joined(tmp_path: Path) -> None:
    rows = [f"{o},{v},{len(o) + v}" for o in ("face", "car") for v in (0, 90)]
    (tmp_path / "r.csv").write_text("\n".join(["object,view,u1", *rows]))
    columns = {"stimulus": ["object", "view"], "sites": ["u1"]}
    recording = read_described(describe(tmp_path, file="r.csv", columns=columns, site=IT))
    assert recording["stimulus"].values.tolist() == ["face_0", "face_90", "car_0", "car_90"]
    assert recording["view"].values.tolist() == [0, 90, 0, 90]
    (tmp_path / "r.csv").write_text("object,view,u1\na_b,c,1\na,b_c,2\n")
    with pytest.raises(RecordingError, match=r"name different stimuli alike"):
        read_described(describe(tmp_path, file="r.csv", columns=columns, site=IT))


# -- spikes -------------------------------------------------------------------------------------

SHOWN = ["cow", "car", "cow", "face"]
ONSETS = np.array([1.0, 2.0, 3.0, 4.0])
TIMES = {"u1": [1.08, 1.1, 2.5, 3.169], "u2": [2.1, 4.07, 4.17], "u3": []}
RATES = {"cow": [[20, 0, 0], [10, 0, 0]], "car": [[0, 10, 0]], "face": [[0, 10, 0]]}
SPIKES: dict[str, Any] = {
    "file": None,
    "site": IT,
    "presentation": {"stimulus": SHOWN, "onset": ONSETS.tolist()},
    "window": [70, 170],
}


def check_rates(recording: xr.Dataset, sites: list[str]) -> None:
    assert recording["site"].values.tolist() == sites
    for stimulus, expected in RATES.items():
        seen = recording["response"].sel(stimulus=stimulus).values
        np.testing.assert_allclose(seen[: len(expected)], np.array(expected)[:, : len(sites)])
    assert recording["response"].attrs["window"] == "70-170 ms"


def test_a_table_of_one_row_a_spike(tmp_path: Path) -> None:
    rows = [f"{1000 * t:g},{site}" for site, times in TIMES.items() for t in times]
    (tmp_path / "spikes.csv").write_text("\n".join(["ms,unit", *rows]))
    trials = [f"{n},{1000 * t:g}" for n, t in zip(SHOWN, ONSETS, strict=True)]
    (tmp_path / "trials.csv").write_text("\n".join(["image,on", *trials]))
    said = {**SPIKES, "presentation": {
        "stimulus": {"file": "trials.csv", "variable": "image"},
        "onset": {"file": "trials.csv", "variable": "on"},
    }}  # fmt: skip
    spikes = {
        "times": {"file": "spikes.csv", "variable": "ms"},
        "site": {"file": "spikes.csv", "variable": "unit"},
        "per_second": 1000,
    }
    check_rates(read_described(describe(tmp_path, **said, spikes=spikes)), ["u1", "u2"])
    site = {"area": "IT", "names": ["u1", "u2", "u3"]}
    recording = read_described(describe(tmp_path, **{**said, "site": site}, spikes=spikes))
    check_rates(recording, ["u1", "u2", "u3"])
    assert "clock of 1000 per s" in recording.attrs["history"]
    wrong = {**spikes, "per_second": 1_000_000}
    with pytest.raises(RecordingError, match=r"presentations follow each other after 1 ms"):
        read_described(describe(tmp_path, **said, spikes=wrong))


@pytest.mark.parametrize("form", ["cells", "columns", "files"])
def test_spikes_of_each_site_by_itself(tmp_path: Path, form: str) -> None:
    spikes: dict[str, Any] = {"per_second": 1}
    said = dict(SPIKES)
    if form == "cells":
        cells = np.empty((1, 3), dtype=object)
        cells[0] = [np.array(times)[:, np.newaxis] for times in TIMES.values()]
        savemat(tmp_path / "s.mat", {"spikes": cells})
        spikes["times"] = {"file": "s.mat", "variable": "spikes"}
        said["site"] = {"area": ["IT", "V4", "IT"], "names": list(TIMES)}
    elif form == "columns":
        longest = max(map(len, TIMES.values()))
        rows = [[*times, *[""] * (longest - len(times))] for times in TIMES.values()]
        lines = [";".join(map(str, row)).replace(".", ",") for row in zip(*rows, strict=True)]
        (tmp_path / "s.csv").write_text("\n".join([";".join(TIMES), *lines]))
        said |= {"file": "s.csv", "separator": ";", "decimal": ","}
        spikes["columns"] = "u*"
    else:
        for site, times in TIMES.items():
            (tmp_path / f"{site}.txt").write_text("\n".join(map(str, times)))
        spikes["times"] = "u*.txt"
    recording = read_described(describe(tmp_path, **said, spikes=spikes))
    check_rates(recording, ["u1", "u2", "u3"])
    assert recording["area"].values.tolist() == ["IT", "V4" if form == "cells" else "IT", "IT"]


def test_spikes_in_time_bins_by_start_width_and_number(tmp_path: Path) -> None:
    for site, times in TIMES.items():
        (tmp_path / f"{site}.txt").write_text("\n".join(map(str, times)))
    said = {key: value for key, value in SPIKES.items() if key != "window"}
    spikes = {"times": "u*.txt", "per_second": 1}
    bins = {"start": 0, "width": 50, "number": 4}
    recording = read_described(describe(tmp_path, **said, spikes=spikes, time_bin=bins))
    assert recording["time_bin_start"].values.tolist() == [0, 50, 100, 150]
    seen = recording["response"].sel(stimulus="cow", site="u1").values
    np.testing.assert_allclose(seen, [[0, 20, 20, 0], [0, 0, 0, 20]])
    for wrong, message in (
        ({"start": 0, "width": 50}, r"give time_bin.number as well"),
        ({"start": [0, 100], "width": 50}, r"overlap or leave gaps"),
    ):
        with pytest.raises(RecordingError, match=message):
            read_described(describe(tmp_path, **said, spikes=spikes, time_bin=wrong))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spikes": {"times": "u*.txt"}}, "no spikes.per_second"),
        ({"spikes": {"per_second": 1}}, "one of times and columns"),
        ({"spikes": {"times": "u1.txt", "per_second": 1}}, "give a pattern"),
        ({"spikes": {"times": "x*.txt", "per_second": 1}}, "fits the pattern 'x"),
        ({"spikes": {"times": "../*.txt", "per_second": 1}}, "leads out of the folder"),
        ({"window": None}, "what is to be counted"),
        ({"units": "Hz"}, "of spikes, 'spikes/s' or 'spikes'"),
        ({"axes": ["site"]}, r"axes does not go with \[spikes\]"),
        ({"presentation": {"stimulus": SHOWN}}, "no presentation.onset"),
        ({"presentation": {"stimulus": SHOWN, "onset": [1, 2]}}, "4 values; the array needs 2"),
        ({"presentation": {"stimulus": SHOWN, "onset": list("abcd")}}, "expected numbers"),
    ],
)
def test_spikes_that_do_not_fit_are_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    (tmp_path / "u1.txt").write_text("1.08\n2")
    said = {**SPIKES, "spikes": {"times": "u*.txt", "per_second": 1}, **change}
    with pytest.raises((RecordingError, FileNotFoundError), match=message):
        read_described(describe(tmp_path, **said))
    (tmp_path / "u1.txt").write_text("1.08\nnan")
    with pytest.raises(RecordingError, match="1 of 2 spike times are no finite numbers"):
        read_described(describe(tmp_path, **SPIKES, spikes={"times": "u*.txt", "per_second": 1}))


# -- tables as programs write them --------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_headers_with_blanks_or_hashes_and_lines_of_comments(tmp_path: Path, encoding: str) -> None:
    lines = ["% made by our rig", "#Bild ; Zelle 1;Größe", "a;1,5;0,25", "% noon", "b;2;3,5"]
    (tmp_path / "r.csv").write_bytes("\r\n".join(lines).encode(encoding))
    said = {
        "file": "r.csv", "site": IT, "separator": ";", "decimal": ",", "encoding": encoding,
        "columns": {"stimulus": "#Bild", "sites": "Zelle*"},
    }  # fmt: skip
    with pytest.raises(RecordingError, match=r"more or fewer|one column|no column"):
        read_described(describe(tmp_path, **said))
    recording = read_described(describe(tmp_path, **said, comment="%"))
    assert recording["site"].values.tolist() == ["Zelle 1"]
    assert recording["response"].values.ravel().tolist() == [1.5, 2]
    assert recording["Größe"].values.tolist() == [0.25, 3.5]


def test_lists_of_names_are_written_as_the_tables_are(tmp_path: Path) -> None:
    np.save(tmp_path / "r.npy", np.ones((2, 1)))
    (tmp_path / "s.csv").write_bytes("stimulus;Größe\n1,5;0,5\nKühe;1,5".encode("latin-1"))
    said: dict[str, Any] = {"axes": ["stimulus", "site"], "site": IT}
    said["stimulus"] = {"names": "s.csv"}
    form = {"separator": ";", "decimal": ",", "encoding": "latin-1"}
    recording = read_described(describe(tmp_path, **said, **form))
    assert recording["stimulus"].values.tolist() == ["1,5", "Kühe"]
    assert recording["Größe"].values.tolist() == [0.5, 1.5]
    said["stimulus"] = {"names": {"file": "s.csv", "variable": "Größe"}}
    assert read_described(describe(tmp_path, **said, **form))["stimulus"].values[1] == "1.5"


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"\xd0\xcf\x11\xe0"])
def test_workbooks_are_named(tmp_path: Path, start: bytes) -> None:
    (tmp_path / "r.xlsx").write_bytes(start + bytes(100))
    said = {"file": "r.xlsx", "columns": {"stimulus": "a", "sites": "b"}, "site": IT}
    with pytest.raises(RecordingError, match=r"workbook.*save the sheet as CSV"):
        read_described(describe(tmp_path, **said))


def test_files_outside_the_folder_are_told_and_patterns_stay_inside(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "r.npy", np.ones((2, 1)))
    said: dict[str, Any] = {"axes": ["stimulus", "site"], "site": IT, "stimulus": {"prefix": "i"}}
    recording = read_described(describe(tmp_path / "in", **said, file="../r.npy"))
    outside = f"files outside its folder: {tmp_path / 'r.npy'}"
    assert outside in recording.attrs["history"]
    np.save(tmp_path / "in" / "r.npy", np.ones((2, 1)))
    assert "outside" not in read_described(describe(tmp_path / "in", **said)).attrs["history"]
    with pytest.raises(RecordingError, match="leads out of the folder"):
        read_described(describe(tmp_path / "in", **said, file="../*.npy"))


def test_the_question_marks_of_a_proposal_are_to_be_answered(tmp_path: Path) -> None:
    np.save(tmp_path / "r.npy", np.ones((2, 1)))
    path = describe(tmp_path, axes=["stimulus", "?"], site={"area": "?"}, units="?")
    with pytest.raises(RecordingError) as told:
        read_described(path)
    for key in ("axes", "site.area", "units"):
        assert f"{key} is still '?'" in str(told.value)


def test_every_key_is_in_the_documentation_and_in_the_help_of_the_command_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from brainguided.__main__ import build_parser

    with pytest.raises(SystemExit):
        build_parser().parse_args(["import", "described", "--help"])
    for said in (read_described.__doc__ or "", capsys.readouterr().out):
        plain = " ".join(said.replace("``", "'").split())
        for name, meaning in list_keys():
            assert f"{name} {meaning}" in plain, name


def test_ways_to_pool_are_those_of_pool_recordings() -> None:
    from neural_data.formats import _described_keys
    from neural_data.model import pooling

    assert _described_keys.KEPT == pooling.KEPT
