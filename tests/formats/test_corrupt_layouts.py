"""Damaged files of every layout that a description may name: refused, or read as they are."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from described_files import describe
from mutated_files import Case, count, read_damaged_files
from scipy.io import savemat
from scipy.spatial.distance import pdist, squareform

from neural_data import propose_description, read_described, read_images, read_rdm

FEW, MANY = 24, 1000
RNG = np.random.default_rng(0)
FULL = RNG.poisson(5, (6, 3, 4, 5)).astype(float)
NAMES = [f"im{k}" for k in range(6)]
CELLS = np.array(NAMES, dtype=object)
IT = {"area": "IT"}
FORM = {"separator": ";", "decimal": ",", "encoding": "latin-1", "comment": "#"}
SHOWN: dict[str, Any] = {"stimulus": list("abca"), "onset": [1.0, 2.0, 3.0, 4.0]}
RDM = {"area": "IT", "measure": "1 - Pearson r", "source": "made up"}
SPIKE_ROWS = ["ms;unit", *(f"{1000 + 37 * k},5;u{k % 3}" for k in range(80))]


def _from_toml(folder: Path) -> Any:
    return read_described(folder / "lab.toml")


def _write_sites(folder: Path) -> str:
    for k in range(2):
        content = {"r": FULL[..., k, 0], "names": CELLS}
        savemat(folder / f"u{k}.mat", content, do_compression=bool(k))
    describe(folder, file="u*.mat", variable="r", axes=["stimulus", "repetition"], site=IT,
             stimulus={"names": {"variable": "names"}})  # fmt: skip
    return "u1.mat"


def _write_sessions(folder: Path) -> str:
    for k in range(2):
        with h5py.File(folder / f"s{k}.h5", "w") as file:
            file.create_dataset("r", data=FULL[..., k], compression="gzip")
            file["names"] = NAMES
    describe(folder, file="s*.h5", variable="r", axes=["stimulus", "repetition", "site"], site=IT,
             stimulus={"names": {"variable": "names"}})  # fmt: skip
    return "s0.h5"


def _write_conditions(folder: Path) -> str:
    np.savez_compressed(folder / "r.npz", r=FULL)
    describe(folder, file="r.npz", axes=["object", "view", "site", "time_bin"], site=IT,
             conditions={"object": NAMES, "view": 3},
             time_bin={"start": 0, "width": 10, "number": 5})  # fmt: skip
    return "r.npz"


def _write_bins(folder: Path) -> str:
    lines = ["# made up", "stim;cell;trial;t0;t10;t20;t30;t40"]
    for i, r, u in product(range(6), range(3), range(4)):
        lines.append(f"{NAMES[i]};u{u};{r};{';'.join(map(str, FULL[i, r, u]))}".replace(".", ","))
    (folder / "r.csv").write_text("\n".join(lines), encoding="latin-1")
    columns = {"stimulus": "stim", "site": "cell", "repetition": "trial", "time_bins": "t*"}
    describe(folder, file="r.csv", columns=columns, site=IT, **FORM,
             time_bin={"edges": [0, 10, 20, 30, 40, 50]})  # fmt: skip
    return "r.csv"


def _write_spike_table(folder: Path) -> str:
    (folder / "s.csv").write_text("\n".join(SPIKE_ROWS))
    spikes = {
        "times": {"file": "s.csv", "variable": "ms"},
        "site": {"file": "s.csv", "variable": "unit"},
        "per_second": 1000,
    }
    onset = [1000 * moment for moment in SHOWN["onset"]]
    describe(folder, file=None, spikes=spikes, presentation={**SHOWN, "onset": onset}, site=IT,
             window=[70, 170], **FORM)  # fmt: skip
    return "s.csv"


def _write_spike_cells(folder: Path) -> str:
    cells = np.empty((1, 3), object)
    cells[0] = [np.sort(RNG.uniform(1, 5, 40 + k)) for k in range(3)]
    savemat(folder / "s.mat", {"spikes": cells})
    describe(folder, file="s.mat", spikes={"times": {"variable": "spikes"}, "per_second": 1},
             presentation=SHOWN, site=IT, window=[70, 170])  # fmt: skip
    return "s.mat"


def _write_spike_files(folder: Path) -> str:
    for k in range(3):
        (folder / f"u{k}.txt").write_text("\n".join(map(str, np.sort(RNG.uniform(1, 5, 40)))))
    describe(folder, file=None, spikes={"times": "u*.txt", "per_second": 1}, presentation=SHOWN,
             site=IT, time_bin={"start": 0, "width": 50, "number": 4})  # fmt: skip
    return "u1.txt"


def _write_description(folder: Path) -> str:
    _write_bins(folder)
    return "lab.toml"


def _write_rdm_table(folder: Path) -> str:
    matrix = squareform(pdist(FULL[:, 0, :, 0], "correlation"))
    rows = [
        ["", *NAMES],
        *([n, *map(repr, r)] for n, r in zip(NAMES, matrix.tolist(), strict=True)),
    ]
    (folder / "r.csv").write_text("\n".join(",".join(row) for row in rows))
    return "r.csv"


def _write_rdm_structs(folder: Path) -> str:
    rdms = np.zeros((1, 2), dtype=[("RDM", object), ("name", object)])
    for k in range(2):
        rdms[0, k] = (pdist(FULL[:, k, :, 0], "correlation"), f"subject {k}")
    savemat(folder / "r.mat", {"RDMs": rdms})
    (folder / "names.txt").write_text("\n".join(NAMES))
    return "r.mat"


def _write_images(folder: Path) -> str:
    savemat(folder / "i.mat", {"i": RNG.integers(0, 256, (8, 9, 6)).astype(np.uint8)})
    (folder / "names.txt").write_text("\n".join(NAMES))
    return "i.mat"


def _read_rdm_structs(folder: Path) -> Any:
    return read_rdm(folder / "r.mat", variable="RDMs(2).RDM", stimuli=folder / "names.txt", **RDM)


def _read_images(folder: Path) -> Any:
    axes, names = ("y", "x", "image"), folder / "names.txt"
    return read_images(folder / "i.mat", axes=axes, table=names, source="made up")


LAYOUTS: dict[str, tuple[Callable[[Path], str], Callable[[Path], Any]]] = {
    "array a site": (_write_sites, _from_toml),
    "array a session": (_write_sessions, _from_toml),
    "axes of conditions": (_write_conditions, _from_toml),
    "columns of time": (_write_bins, _from_toml),
    "table of spikes": (_write_spike_table, _from_toml),
    "cells of spikes": (_write_spike_cells, _from_toml),
    "spikes a file": (_write_spike_files, _from_toml),
    "description": (_write_description, _from_toml),
    "RDM in a table": (_write_rdm_table, lambda folder: read_rdm(folder / "r.csv", **RDM)),
    "RDM in structs": (_write_rdm_structs, _read_rdm_structs),
    "array of images": (_write_images, _read_images),
    "proposal for a table": (_write_bins, lambda f: propose_description(f / "r.csv")),
    "proposal for cells": (_write_spike_cells, lambda f: propose_description(f / "s.mat")),
    "proposal for HDF5": (_write_sessions, lambda f: propose_description(f / "s0.h5")),
}
CHECKED = {"axes of conditions"}  # a zip has checksums of its contents


def check(layout: str, folder: Path, n: int, seed: int) -> None:
    write, read = LAYOUTS[layout]
    (folder / "whole").mkdir()
    file = write(folder / "whole")
    files = {path.name: path.read_bytes() for path in (folder / "whole").iterdir()}
    case = Case(layout, read, files, file)
    outcomes = read_damaged_files(case, folder / "damaged", n=n, seed=seed)
    worse = [o for o in outcomes if o.what in ("foreign", "huge", "crash", "hang")]
    assert not worse, f"{len(worse)} of {n}: {worse[:3]}"
    assert count(outcomes)["refused"] > n // 20
    if layout in CHECKED:
        different = [o for o in outcomes if o.what == "different"]
        assert not different, f"{len(different)} of {n}: {different[:3]}"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_damaged_files_are_refused_by_our_errors(tmp_path: Path, layout: str) -> None:
    check(layout, tmp_path, FEW, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_thousand_damaged_files_of_each_layout_are_refused_by_our_errors(
    tmp_path: Path, layout: str
) -> None:
    check(layout, tmp_path, MANY, seed=1)
