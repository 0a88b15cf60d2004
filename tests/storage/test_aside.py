"""Files that are written aside, and what processes that were killed left of them."""

from __future__ import annotations

import subprocess
import sys

import pytest
import xarray as xr

from neural_data.storage import aside
from neural_data.storage.aside import write_aside, write_whole
from neural_data.storage.netcdf import write_netcdf

KILLED = """
import os, signal, sys
from pathlib import Path
from neural_data.storage.aside import write_aside
with write_aside(Path(sys.argv[1])) as part:
    part.write_text("half")
    print(part.name, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_removed_at_the_next_write(tmp_path):
    path = tmp_path / "run.csv"
    command = [sys.executable, "-c", KILLED, str(path)]
    left = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    assert (tmp_path / left).read_text() == "half"
    kept = [".run.csv.part", f".run.csv.{'0' * 8}-1.{'0' * 8}.part", ".mine.part"]
    for name in kept:  # of downloads, of another machine, of another program
        (tmp_path / name).touch()
    with write_aside(tmp_path / "other") as mine:
        aside.remove_orphans(tmp_path)
        mine.write_text("whole")
    write_whole(path, "whole")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*kept, "run.csv", "other"])


def test_a_block_that_fails_changes_nothing(tmp_path):
    path = write_whole(tmp_path / "a.txt", "before")

    def write():
        with write_aside(path) as part:
            part.write_text("half")
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        write()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_with_a_zero_byte_leaves_nothing_under_the_part_before_it(tmp_path):
    data = xr.Dataset({"x": ("y", [1.0])})
    with pytest.raises(OSError, match="A name cannot hold a zero byte"):
        write_netcdf(data, tmp_path / "a\0b.nc")
    assert list(tmp_path.iterdir()) == []
