"""Files written by version 0.1.0 before the packages had rooms still open.

``tests/earlier`` was made with ``simulate_macaque``, ``compute_rdms`` and ``brainguided search`` of
that version.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from brainguided import Journal, compute_rdms, dissimilarities_from_rdms, load_run, write_report
from brainguided.__main__ import main
from neural_data import load_dissimilarities, load_recording, load_stimuli

EARLIER = Path(__file__).parent / "earlier"


@pytest.fixture
def earlier(tmp_path) -> Path:
    """Return a copy that a test may change."""
    return Path(shutil.copytree(EARLIER, tmp_path / "earlier"))


def test_an_earlier_recording_its_stimuli_and_its_rdms_open() -> None:
    recording = load_recording(EARLIER / "recording.nc")
    stimuli = load_stimuli(EARLIER / "stimuli.nc")
    published = load_dissimilarities(EARLIER / "rdm.nc")
    assert recording.sizes == {"stimulus": 16, "repetition": 4, "site": 8}
    assert stimuli["image"].shape == (16, 32, 32, 3)
    again = dissimilarities_from_rdms(compute_rdms(recording))
    xr.testing.assert_allclose(again["dissimilarity"], published["dissimilarity"])


def test_an_earlier_run_is_told_reported_and_gone_on_with(earlier, capsys) -> None:
    with Journal.read(earlier / "run") as journal:
        before = journal.to_xarray()
    exported = xr.load_dataset(earlier / "run" / "run.nc")
    np.testing.assert_array_equal(before["reward"], exported["reward"])
    assert main(["status", str(earlier / "run")]) == 0
    assert "3" in capsys.readouterr().out
    assert all(Path(file).is_file() for file in write_report(earlier / "run"))
    run_file = earlier / "run.toml"
    run_file.write_text(run_file.read_text().replace("candidates = 3", "candidates = 4"))
    assert main(["search", str(run_file), "--out", str(earlier / "run"), "--workers", "1"]) == 0
    with Journal.read(earlier / "run") as journal:
        after = journal.to_xarray()
    assert after.sizes["candidate"] == 4
    np.testing.assert_array_equal(after["reward"][:3], before["reward"])


def test_an_earlier_run_file_and_teacher_file_are_read(earlier) -> None:
    run = load_run(earlier / "run.toml")
    assert run.candidates == 3
    assert main(
        ["correspond", "--teacher", str(earlier / "teacher.toml"), "--architecture",
         str(earlier / "run" / "winner.json"), "--out", str(earlier / "winner")]
    ) == 0  # fmt: skip
    assert list((earlier).glob("winner*"))
