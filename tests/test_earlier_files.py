"""Files written by version 0.1.0 before the packages had rooms still open.

``tests/earlier`` was made with ``simulate_macaque``, ``compute_rdms`` and ``brainguided search`` of
that version.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from brainguided import Journal, compute_rdms, dissimilarities_from_rdms, load_run, write_report
from brainguided.__main__ import main
from brainguided.journal.exports import export_run
from brainguided.replays.table import table_from_run
from brainguided.spaces import SearchSpace
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


@pytest.mark.parametrize("name", ["run", "paper/run"])  # formats 2 and 3
def test_an_earlier_run_is_told_reported_and_exported(name, earlier, tmp_path, capsys) -> None:
    folder = earlier / name
    with Journal.read(folder) as journal:
        number, run = journal.n_results, journal.to_xarray()
        export_run(journal.results(), run, tmp_path)
    if (folder / "run.nc").exists():
        exported = xr.load_dataset(folder / "run.nc")
        np.testing.assert_array_equal(run["reward"], exported["reward"])
        np.testing.assert_array_equal(run["guidance"][:, -1], exported["guidance"])
        similarity = run["similarity"].isel(rung=-1).rename(target="area").drop_vars("kind")
        np.testing.assert_array_equal(similarity, exported["similarity"])
    assert xr.load_dataset(tmp_path / "run.nc").sizes["candidate"] == number
    assert main(["status", str(folder)]) == 0
    assert f"done {number}" in capsys.readouterr().out
    assert all(Path(file).is_file() for file in write_report(folder))


def test_an_earlier_run_is_replayed_also_by_its_checkpoints(earlier) -> None:
    folder = earlier / "paper" / "run"
    before = json.loads((earlier / "paper" / "expected.json").read_text())["reinforce"]["attempts"]
    with Journal.read(folder) as journal:
        space = SearchSpace.from_description(journal.config["space"])
        assert journal.config["task"]["training"]["rungs"] == [0, 2, 4]
        assert journal.config["task"]["reward"] == {"preset": "paper", "alpha": 1.0}
    late = table_from_run(folder, space, score="guidance")
    early = table_from_run(folder, space, reward="P+0.5*TG", step=2, score="guidance")
    assert late.reward.tolist() == [one["reward"] for one in before]
    history = [one["history"][1] for one in before]
    assert early.reward.tolist() == [h["performance"] + 0.5 * h["guidance"] for h in history]
    assert set(early.cost) == {2 * 32}
    assert set(late.cost) == {4 * 32}


@pytest.mark.parametrize("name", ["run", "paper/run"])
def test_an_earlier_run_is_not_gone_on_with_and_says_what_to_do(name, earlier, capsys) -> None:
    run_file = earlier / "run.toml"
    assert main(["search", str(run_file), "--out", str(earlier / name), "--workers", "1"]) == 1
    said = capsys.readouterr().err
    assert "which holds less of each candidate than a search records today" in said
    assert "warm_start = " in said


def test_an_earlier_run_file_and_teacher_file_are_read(earlier) -> None:
    run = load_run(earlier / "run.toml")
    assert run.candidates == 3
    assert main(
        ["correspond", "--teacher", str(earlier / "teacher.toml"), "--architecture",
         str(earlier / "run" / "winner.json"), "--out", str(earlier / "winner")]
    ) == 0  # fmt: skip
    assert list((earlier).glob("winner*"))
