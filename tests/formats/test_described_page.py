"""The descriptions of the how-to page, word for word, with made-up files."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from neural_data import read_described

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "descriptions.md"
TEXTS = re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
RNG = np.random.default_rng(0)


def write_array(folder: Path) -> None:
    np.savez(folder / "psth.npz", rates=RNG.random((3, 4, 2, 5)), images=list("abcd"))


def write_conditions(folder: Path) -> None:
    np.save(folder / "views.npy", RNG.random((4, 3, 2)))


def write_sessions(folder: Path) -> None:
    for k in range(2):
        names = np.array(["a", "b", f"only{k}"], dtype=object)
        savemat(folder / f"session_{k}.mat", {"rates": RNG.random((3, 2, 4)), "images": names})


def write_spreadsheet(folder: Path) -> None:
    rows = [f"Kuh{i};u{u};{r};0,5;1,5;2" for i in range(3) for u in range(2) for r in range(2)]
    lines = ["# Größe", "image;unit;trial;t0;t50;t100", *rows]
    (folder / "psth.csv").write_text("\n".join(lines), encoding="latin-1")


def write_spikes(folder: Path) -> None:
    spikes = np.sort(RNG.integers(30_000, 150_000, 200))
    rows = [f"{sample},u{k % 3}" for k, sample in enumerate(spikes)]
    (folder / "spikes.csv").write_text("\n".join(["sample,cluster", *rows]))
    trials = [f"{name},{30_000 * (k + 1)}" for k, name in enumerate("abca")]
    (folder / "trials.csv").write_text("\n".join(["image,on_sample", *trials]))


WRITE: list[tuple[Callable[[Path], None], dict[str, int]]] = [
    (write_array, {"stimulus": 4, "repetition": 2, "site": 3, "time_bin": 5}),
    (write_conditions, {"stimulus": 6, "repetition": 1, "site": 4}),
    (write_sessions, {"stimulus": 2, "repetition": 2, "site": 8}),
    (write_spreadsheet, {"stimulus": 3, "repetition": 2, "site": 2, "time_bin": 3}),
    (write_spikes, {"stimulus": 3, "repetition": 2, "site": 3}),
]


@pytest.mark.parametrize("number", range(len(WRITE)))
def test_the_descriptions_of_the_page_load(tmp_path: Path, number: int) -> None:
    assert len(TEXTS) == len(WRITE)
    write, sizes = WRITE[number]
    write(tmp_path)
    (tmp_path / "lab.toml").write_text(TEXTS[number], encoding="utf-8")
    assert dict(read_described(tmp_path / "lab.toml")["response"].sizes) == sizes
