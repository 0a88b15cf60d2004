"""Descriptions that are proposed for foreign files; corrected, they load."""

from __future__ import annotations

import os
import tomllib
from itertools import product
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from brainguided.__main__ import main
from neural_data import RecordingError, read_described
from neural_data.formats.proposal import propose_description

RNG = np.random.default_rng(0)
FULL = RNG.poisson(5, (6, 3, 4, 5)).astype(float)  # (stimulus, repetition, site, time_bin)
NAMES = [f"im{k}" for k in range(6)]
UNITS = {"units": "spikes/s", "source": "our lab", "area": "IT", "window": [70, 170]}
SITES = [f"u{k}" for k in range(4)]


def correct(text: str, changes: dict[str, Any] = UNITS) -> str:
    """Answer the question marks of a proposal as a user would."""
    lines = []
    for line in text.splitlines():
        key = line.partition(" =")[0]
        if '= "?"' in line and key in changes:
            value = changes[key]
            line = f"{key} = {value!r}" if not isinstance(value, str) else f'{key} = "{value}"'
        lines.append(line)
    return "\n".join(lines)


def load(folder: Path, text: str) -> Any:
    (folder / "lab.toml").write_text(text, encoding="utf-8")
    return read_described(folder / "lab.toml")


def save(folder: Path, kind: str) -> Path:
    """An array (site, stimulus, repetition, time_bin) with its lists, in one of three formats."""
    values = FULL.transpose(2, 0, 1, 3)
    lists = {"stimNames": NAMES, "unit_id": SITES, "binEdges": [0.0, 10, 20, 30, 40, 50]}
    if kind == "mat":
        cells = {n: np.array(v, object if n != "binEdges" else float) for n, v in lists.items()}
        savemat(folder / "lab.mat", {"data": {"rates": values, **cells}, "note": "x"})
    elif kind == "npz":
        np.savez(folder / "lab.npz", rates=values, **lists)
    else:
        with h5py.File(folder / "lab.h5", "w") as file:
            file["data/rates"] = values
            for name, value in lists.items():
                file[f"data/{name}"] = value
    return folder / f"lab.{kind}"


@pytest.mark.parametrize("kind", ["mat", "npz", "h5"])
def test_axes_are_found_by_lists_of_their_length(tmp_path: Path, kind: str) -> None:
    text = propose_description(save(tmp_path, kind))
    assert 'axes = ["site", "stimulus", "repetition", "time_bin"]' in text
    with pytest.raises(RecordingError, match=r"units is still '\?'"):
        load(tmp_path, text)
    recording = load(tmp_path, correct(text))
    np.testing.assert_array_equal(recording["response"], FULL)
    assert recording["stimulus"].values.tolist() == NAMES
    assert recording["site"].values.tolist() == SITES
    assert recording["time_bin_end"].values.tolist() == [10, 20, 30, 40, 50]


def test_lists_in_other_files_of_the_folder_are_found(tmp_path: Path) -> None:
    np.save(tmp_path / "r.npy", FULL[:, 0, :, 0])
    (tmp_path / "images.txt").write_text("\n".join(NAMES))
    rows = [f"{site},IT,{k}" for k, site in enumerate(SITES)]
    (tmp_path / "cells.csv").write_text("\n".join(["unit,region,depth", *rows]))
    text = propose_description(tmp_path / "r.npy")
    assert 'axes = ["stimulus", "site"]' in text
    recording = load(tmp_path, correct(text).replace('area = "IT"', ""))
    assert recording["site"].values.tolist() == SITES


def test_what_cannot_be_told_is_left_to_the_user(tmp_path: Path) -> None:
    np.save(tmp_path / "r.npy", FULL[:4, 0, :, 0])
    text = propose_description(tmp_path / "r.npy")
    assert 'axes = ["?", "?"]' in text
    with pytest.raises(RecordingError, match=r"axes is still '\?'"):
        load(tmp_path, correct(text))
    answered = correct(text).replace('["?", "?"]', '["stimulus", "site"]')
    np.testing.assert_array_equal(load(tmp_path, answered)["response"][:, 0], FULL[:4, 0, :, 0])


def test_padding_with_nan_tells_the_axis_of_repetitions(tmp_path: Path) -> None:
    values = FULL[..., 0].transpose(2, 0, 1).copy()
    values[:, [1, 3], 2] = np.nan
    values[:, 1, 1] = np.nan
    np.save(tmp_path / "r.npy", values)
    assert 'axes = ["?", "?", "repetition"]' in propose_description(tmp_path / "r.npy")
    np.save(tmp_path / "i.npy", np.ones((3, 4, 4), np.uint8))
    assert "brainguided import images --axes" in propose_description(tmp_path / "i.npy")


def test_repeated_names_of_stimuli_make_presentations(tmp_path: Path) -> None:
    shown = [NAMES[k % 3] for k in range(9)]
    savemat(tmp_path / "lab.mat", {"r": RNG.random((9, 4)), "stim": np.array(shown, object)})
    text = propose_description(tmp_path / "lab.mat")
    assert 'axes = ["presentation", "?"]' in text
    recording = load(tmp_path, correct(text).replace('"?"', '"site"'))
    assert dict(recording["response"].sizes) == {"stimulus": 3, "repetition": 3, "site": 4}


@pytest.mark.parametrize("kind", ["tidy", "wide", "bins", "spreadsheet"])
def test_columns_are_found_by_their_names(tmp_path: Path, kind: str) -> None:
    path, expected = tmp_path / "lab.csv", FULL
    if kind in ("tidy", "spreadsheet"):
        lines = ["image,unit,trial,time_ms,rate"]
        for i, r, u, t in product(*map(range, FULL.shape)):
            lines.append(f"{NAMES[i]},{SITES[u]},{r},{10 * t},{FULL[i, r, u, t]}")
    elif kind == "wide":
        expected = FULL[..., 0]
        lines = ["stim,rep,unit_0,unit_1,unit_2,unit_3"]
        for i, r in product(range(6), range(3)):
            lines.append(f"{NAMES[i]},{r},{','.join(map(str, FULL[i, r, :, 0]))}")
    else:
        lines = ["stim,cell,trial,t0,t10,t20,t30,t40"]
        for i, r, u in product(range(6), range(3), range(4)):
            lines.append(f"{NAMES[i]},{SITES[u]},{r},{','.join(map(str, FULL[i, r, u]))}")
    text = "\n".join(lines)
    if kind == "spreadsheet":
        text = "# Größe\n" + text.replace(",", ";").replace(".", ",").replace("image", "Größe_img")
    path.write_bytes(text.encode("latin-1" if kind == "spreadsheet" else "utf-8"))
    recording = load(tmp_path, correct(propose_description(path)))
    response = recording["response"].sel(stimulus=NAMES).sortby("site")
    np.testing.assert_array_equal(response, expected)


def test_cells_of_times_are_proposed_as_spikes(tmp_path: Path) -> None:
    cells = np.empty((1, 3), object)
    cells[0] = [np.sort(RNG.uniform(0, 5, (40 + k, 1)), axis=0) for k in range(3)]
    content = {"spikes": cells, "onset": np.arange(4.0), "stim": np.array(list("abca"), object)}
    savemat(tmp_path / "lab.mat", content)
    text = correct(propose_description(tmp_path / "lab.mat"), {**UNITS, "per_second": 1})
    recording = load(tmp_path, text)
    assert recording["stimulus"].values.tolist() == ["a", "b", "c"]
    assert recording.sizes["site"] == 3


def test_a_folder_of_files_is_proposed_as_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "units").mkdir()
    for u, site in enumerate(SITES):
        rows = [f"{name},{FULL[i, 0, u, 0]}" for i, name in enumerate(NAMES)]
        (tmp_path / "units" / f"{site}.csv").write_text("\n".join(["image,rate", *rows]))
    text = correct(propose_description(tmp_path / "units"))
    assert 'file = "u*.csv"' in text
    recording = load(tmp_path / "units", text)
    np.testing.assert_array_equal(recording["response"].sel(stimulus=NAMES)[:, 0], FULL[:, 0, :, 0])


def test_names_that_would_break_out_of_a_comment_or_a_text_do_not(tmp_path: Path) -> None:
    lines = ['"image\nsource = 1",unit,"ra""te\x7f"', "a,u,1", "b,u,2"]
    (tmp_path / "lab.csv").write_text("\n".join(lines))
    content = tomllib.loads(propose_description(tmp_path / "lab.csv"))
    assert content["source"] == "?"
    assert content["columns"]["response"] == 'ra"te\x7f'


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.npy", b"\x93NUMPY", "cannot be read"),
        ("a.mat", b"x" * 500, "holds no arrays|cannot be read"),
        ("a.csv", b"", "is empty"),
        ("a.csv", b"a\0b", "no text"),
        ("a.csv", b"a,b\n", "0 rows"),
        ("a.docx", b"PK\x03\x04", "no arrays that are read here"),
    ],
)
def test_files_that_hold_nothing_are_refused(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecordingError, match=message):
        propose_description(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        propose_description(tmp_path / "nothing.mat")


def test_the_command_line_prints_a_proposal_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save(tmp_path, "mat")
    assert main(["inspect", str(path), "--toml"]) == 0
    assert capsys.readouterr().out == propose_description(path)
    assert main(["inspect", str(path)]) == 1
    assert f"brainguided inspect {path.name} --toml" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="needs named pipes")
def test_a_named_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "rates.mat")
    with pytest.raises(RecordingError, match=r"rates\.mat is neither a file nor a folder"):
        propose_description(tmp_path / "rates.mat")
    with pytest.raises(RecordingError, match="a folder without arrays or tables"):
        propose_description(tmp_path)
