"""Damaged files of every format: refused with one of our errors, or read as they are.

What a format cannot show is not demanded: a flipped bit in uncompressed numbers without a checksum
looks like any other number. Files that this package saves have a checksum, so there nothing may
be read that differs from what was saved.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from mutated_files import Case, count, read_damaged_files
from PIL import Image

from neural_data.formats.array_files import load_array
from neural_data.formats.brainio.reader import read_brainio
from neural_data.formats.brainio.writer import write_brainio
from neural_data.formats.kriegeskorte2008 import FILE, read_kriegeskorte2008
from neural_data.model.recording import load_recording, recording_from_arrays, save_recording
from neural_data.model.stimuli import read_stimuli
from neural_data.storage.csv_tables import read_table

FEW, MANY = 30, 1000
CHECKED = {"own netCDF", "npz"}  # the names in a zip have no checksum, its contents do


def make_recording() -> xr.Dataset:
    rng = np.random.default_rng(0)
    response = rng.poisson(5, (40, 6, 12)).astype("f4")
    response[::3, 4:] = np.nan
    recording = recording_from_arrays(
        response,
        stimulus=[f"stimulus{k}" for k in range(40)],
        site=[f"site{k}" for k in range(12)],
        area=["V4"] * 6 + ["IT"] * 6,
        units="spikes/s",
        source="made up",
    )
    return recording.assign_coords(object_name=("stimulus", [f"object{k % 5}" for k in range(40)]))


def make_zip(path: Path) -> Path:
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for k in range(4):
            stream = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(stream, "PNG")
            archive.writestr(f"image{k}.png", stream.getvalue())
    return path


def make_cases(folder: Path) -> dict[str, Case]:
    """One valid file of every format, and how it is read."""
    from scipy.io import savemat

    recording = make_recording()
    values = np.nan_to_num(recording["response"].values)
    save_recording(recording, folder / "own.nc")
    write_brainio(recording, folder / "a.nc", identifier="a", stimulus_set_identifier="b")
    flat = {"image_id": ("presentation", [f"i{k % 20}" for k in range(40)])}
    flat |= {"neuroid_id": ("neuroid", [f"n{k}" for k in range(12)])}
    plain = xr.Dataset({"x": (("presentation", "neuroid"), values[:, 0])}, coords=flat)
    plain.to_netcdf(folder / "plain.nc")
    np.save(folder / "r.npy", values)
    np.savez_compressed(folder / "r.npz", response=values)
    savemat(folder / "v6.mat", {"response": values, "info": {"animal": "M", "n": 3.0}})
    savemat(folder / "v7.mat", {"response": values}, do_compression=True)
    rows = "\n".join(f"im{k},{k % 3},o{k % 7}" for k in range(60))
    (folder / "t.csv").write_text("stimulus,variation,object_name\n" + rows, encoding="utf-8")
    make_zip(folder / "images.zip")
    named: dict[str, tuple[str, Callable[[Path], Any]]] = {
        "own netCDF": ("own.nc", load_recording),
        "BrainIO": ("a.nc", read_brainio),
        "BrainIO, uncompressed": ("plain.nc", read_brainio),
        "npy": ("r.npy", load_array),
        "npz": ("r.npz", load_array),
        "mat, uncompressed": ("v6.mat", lambda path: load_array(path, variable="response")),
        "mat, compressed": ("v7.mat", load_array),
        "csv": ("t.csv", lambda path: read_table(path, key="stimulus", aliases=["stimulus"])),
        "image zip": ("images.zip", lambda path: read_stimuli(path, source="made up")),
    }
    return {
        name: Case(
            name,
            lambda root, file=file, read=read: read(root / file),  # type: ignore[misc]
            {file: (folder / file).read_bytes()},
            file,
        )
        for name, (file, read) in named.items()
    }


NAMES = [
    "own netCDF", "BrainIO", "BrainIO, uncompressed", "npy", "npz", "mat, uncompressed",
    "mat, compressed", "csv", "image zip",
]  # fmt: skip


def check(name: str, folder: Path, n: int, seed: int) -> None:
    outcomes = read_damaged_files(make_cases(folder)[name], folder / "damaged", n=n, seed=seed)
    worse = [o for o in outcomes if o.what in ("foreign", "huge", "crash", "hang")]
    assert not worse, f"{len(worse)} of {n}: {worse[:3]}"
    assert count(outcomes)["refused"] > n // 10
    if name in CHECKED:
        different = [o for o in outcomes if o.what == "different"]
        assert not different, f"{len(different)} of {n}: {different[:3]}"


@pytest.mark.parametrize("name", NAMES)
def test_damaged_files_are_refused_by_our_errors(tmp_path: Path, name: str) -> None:
    check(name, tmp_path, FEW, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_thousand_damaged_files_of_each_format_are_refused_by_our_errors(
    tmp_path: Path, name: str
) -> None:
    check(name, tmp_path, MANY, seed=1)


@pytest.mark.data
def test_the_real_supplement_damaged_is_refused_by_our_errors(
    shared_data: Path, tmp_path: Path
) -> None:
    content = (shared_data / "kriegeskorte2008" / FILE).read_bytes()
    case = Case("it", lambda root: read_kriegeskorte2008(root)[0], {FILE: content}, FILE)
    outcomes = read_damaged_files(case, tmp_path, n=60, seed=3)
    assert set(count(outcomes)) <= {"refused", "same"}
