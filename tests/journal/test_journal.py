"""The journal keeps what it is given, refuses what it cannot trust, and can be read meanwhile."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import xarray as xr

from brainguided.journal import _journal_file
from brainguided.journal.attempts import Attempt, Timing
from brainguided.journal.confirmed import find_winner
from brainguided.journal.exports import build_run
from brainguided.journal.journal import APPLICATION_ID, Journal, JournalError
from brainguided.journal.measurement import Measurement, Rung
from brainguided.spaces import small_space

CONFIG = {
    "controller": {"name": "random"},
    "task": {"teacher": [{"area": "V4", "source": "a model", "simulated": True}]},
}
TIMING = Timing(1.5, 100.0, 101.5, "host", 7)


def attempt(candidate, *, reward=None, number=1, **fields):
    architecture = small_space(3).sample(candidate)
    outcome = "failed" if reward is None else "done"
    given = {"outcome": outcome, "reward": reward} | fields
    return Attempt(
        candidate=candidate,
        attempt=number,
        architecture=architecture.to_json(),
        key=architecture.key,
        seed=candidate,
        **given,
    )


FIRST = attempt(
    0,
    reward=0.7,
    performance=0.3,
    guidance=0.4,
    measurement=Measurement(
        ("V4", "IT"),
        (
            Rung(0, performance=0.1, similarity={"V4": {"layer2": 0.3}, "V4:pixels": {}}),
            Rung(
                5,
                performance=0.3,
                similarity={
                    "V4": {"layer2": 0.1, "layer10": 0.4},
                    "V4:pixels": {"layer2": 0.5, "layer10": None},
                    "IT": {"layer2": None, "layer10": 0.2},
                },
                committed={"V4": 0.35, "V4:pixels": 0.25, "IT": None},
                shuffles={"V4": {"best": [0.1, 0.2], "committed": [0.0, -0.1]}},
            ),
        ),
        {"parameters": 12.0, "depth": 2.0},
        (2.0, 1.0),
    ),
    n_parameters=12,
    examples=640,
)
BROKEN = attempt(1, reason="error: ValueError: no")
LAST = attempt(
    2,
    reward=0.7,
    measurement=Measurement(("IT",), (Rung(5, similarity={"IT": {"layer1": 0.25}}),)),
)


def fill(folder):
    """Write one finished round of four: done, failed, done after a lost attempt, duplicate."""
    journal = Journal.open(folder)
    journal.begin(CONFIG)
    journal.begin_session(workers="2")
    rows = [FIRST, BROKEN, LAST, attempt(0, reward=0.7)]
    journal.record_ask(0, 0, [row.architecture for row in rows])
    # In another order than that of candidates
    journal.record_attempt(replace(LAST, outcome="lost", reason="lost", reward=None), None)
    journal.record_attempt(BROKEN, TIMING)
    journal.record_attempt(replace(LAST, attempt=2), replace(TIMING, seconds=2.5))
    journal.record_attempt(FIRST, TIMING)
    duplicate = replace(FIRST, candidate=3, duplicate_of=0, examples=0)
    journal.record_tell(1, {0: 0.7, 1: 0.1, 2: 0.7, 3: 0.7}, [duplicate])
    return journal


def test_what_was_recorded_is_read_back(tmp_path):
    with fill(tmp_path) as journal:
        results = journal.results()
        assert journal.config == CONFIG
        assert journal._connection.execute("PRAGMA synchronous").fetchone() == (1,)  # NORMAL
        assert results[0] == FIRST
        assert results[1].reward == 0.1
        assert results[2].attempt == 2
        assert results[3].duplicate_of == 0
        assert [row.candidate for row in journal.attempts()] == [0, 1, 2, 2, 3]
        assert journal.seconds() == {0: 1.5, 1: 1.5, 2: 2.5}
        (_, asked), (_, told) = journal.events()
        assert asked["architectures"][:2] == [FIRST.architecture, BROKEN.architecture]
        assert told == {"candidates": [0, 1, 2, 3], "rewards": [0.7, 0.1, 0.7, 0.7]}
        assert journal.told() == [0, 1, 2, 3]


def test_a_plain_select_comes_in_the_order_of_candidates(tmp_path):
    fill(tmp_path).close()
    with sqlite3.connect(tmp_path / "journal.db") as file:
        rows = file.execute("SELECT candidate, attempt FROM evaluation").fetchall()
        assert rows == [(0, 1), (1, 1), (2, 1), (2, 2), (3, 1)]
        assert file.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert file.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert file.execute("PRAGMA user_version").fetchone() == (4,)
    file.close()


def test_the_run_is_a_dataset(tmp_path):
    with fill(tmp_path) as journal:
        run = journal.to_xarray()
    assert run.sizes == {
        "candidate": 4, "rung": 2, "layer": 3, "target": 3, "statistic": 2, "shuffle": 2,
        "shuffled_target": 1,
    }  # fmt: skip
    assert run["layer"].values.tolist() == ["layer1", "layer2", "layer10"]
    assert run["target"].values.tolist() == ["V4", "IT", "V4:pixels"]
    assert run["kind"].values.tolist() == ["area", "area", "control"]
    assert run["rung"].values.tolist() == [0, 5]
    np.testing.assert_allclose(run["reward"], [0.7, 0.1, 0.7, 0.7])
    np.testing.assert_allclose(run["best_so_far"], 0.7)
    assert run["duplicate_of"].values.tolist() == [-1, -1, -1, 0]
    assert run["n_parameters"].values.tolist() == [12, -1, -1, 12]
    assert run["seconds"].values.tolist() == [1.5, 1.5, 2.5, 0.0]
    np.testing.assert_array_equal(run["performance"][0], [0.1, 0.3])
    np.testing.assert_allclose(run["guidance"][0], [np.nan, 0.3])
    similarity = run["similarity"].sel(candidate=0)
    assert similarity.sel(target="V4", layer="layer10").values.tolist()[1] == 0.4
    assert float(similarity.sel(target="V4:pixels", layer="layer2", rung=5)) == 0.5
    assert np.isnan(run["similarity"].sel(target="IT", layer="layer2")).all()
    assert float(run["committed"].sel(candidate=0, rung=5, target="V4")) == 0.35
    found = run["shuffled_committed"].sel(candidate=0, rung=5, shuffled_target="V4")
    assert found.values.tolist() == pytest.approx([0.0, -0.1])
    assert float(run["statistics"].sel(candidate=0, statistic="depth")) == 2
    assert all({"units", "long_name"} <= set(run[name].attrs) for name in ("reward", "similarity"))
    assert run.attrs["simulated"] == 1
    assert run["similarity"].attrs["source"] == "a model"
    assert json.loads(run.attrs["config"]) == CONFIG


def test_shuffles_within_categories_and_copies_of_a_control_have_their_own_names(tmp_path):
    drawn = {
        "V4": {"best": (0.1, 0.2), "committed": (0.3, None)},
        "V4:shuffled-within-category": {"best": (0.4, 0.5, 0.6), "committed": (0.7, 0.8, 0.9)},
        "V4:pixels": {"best": (0.15, 0.25), "committed": (0.35, 0.45)},
    }
    similarity = {"V4": {"a": 0.2}, "V4:pixels": {"a": 0.2}}
    rung = Rung(5, similarity=similarity, shuffles=drawn)
    plain = Rung(5, similarity=similarity)
    results = [
        attempt(0, reward=1.0, measurement=Measurement(("V4",), (rung,))),
        attempt(1, reward=1.0, measurement=Measurement(("V4",), (plain,))),
    ]
    run = build_run(results, seconds={}, config={})
    assert run["shuffled_target"].values.tolist() == ["V4", "V4:shuffled-within-category"]
    assert run["copied_target"].values.tolist() == ["V4:pixels"]
    assert run["shuffled"].dims == ("candidate", "rung", "shuffled_target", "shuffle")
    assert run["copied"].sizes["copy"] == 2
    for kind, axis in (("shuffled", "shuffle"), ("copied", "copy")):
        for target in run[f"{kind}_target"].values.tolist():
            for name, key in ((kind, "best"), (f"{kind}_committed", "committed")):
                found = run[name].sel({f"{kind}_target": target, "rung": 5})
                expected = np.array(drawn[target][key], dtype=float)
                values = found.sel(candidate=0).dropna(axis).values
                np.testing.assert_allclose(values, expected[np.isfinite(expected)], rtol=1e-6)
                assert np.isnan(found.sel(candidate=1)).all()
    assert sum(int(run[name].count()) for name in ("shuffled", "copied")) == 7
    run.to_netcdf(tmp_path / "run.nc")
    xr.testing.assert_equal(xr.load_dataset(tmp_path / "run.nc"), run)


def test_simulated_images_do_not_make_a_recorded_teacher_simulated():
    task = {
        "images": {"source": "simulated objects"},
        "teacher": [{"source": "our lab, not simulated"}],
    }
    run = build_run([], seconds={}, config={"task": task})
    assert run.attrs["simulated"] == 0


def test_the_exports_hold_the_run(tmp_path):
    with fill(tmp_path) as journal:
        run = journal.to_xarray()
        xr.testing.assert_identical(journal.export(), run)
        journal.export()
    names = {path.name for path in tmp_path.iterdir()} - {"journal.db", "journal.lock"}
    assert names == {"run.csv", "run.jsonl", "run.nc", "winner.json"}
    with xr.open_dataset(tmp_path / "run.nc") as again:
        xr.testing.assert_equal(again.load(), run)
    lines = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert [line["candidate"] for line in lines] == [0, 1, 2, 3]
    assert Measurement.from_dict(lines[0]["measurement"]) == FIRST.measurement
    table = (tmp_path / "run.csv").read_text().splitlines()
    assert len(table) == 5
    assert table[0].startswith("candidate,reward,performance,guidance,best_so_far,outcome")
    assert table[1].endswith("layer10,0.4,layer10,0.2")


def test_the_winner_is_the_earliest_of_equals_on_one_line(tmp_path):
    with fill(tmp_path) as journal:
        journal.export()
    text = (tmp_path / "winner.json").read_text()
    assert text.count("\n") == 1
    winner = json.loads(text)
    assert winner["candidate"] == 0
    assert winner["best_layers"] == {"V4": "layer10", "IT": "layer10"}
    assert winner["architecture"] == json.loads(FIRST.architecture)
    assert find_winner([BROKEN]) is None


def test_an_empty_journal_exports_an_empty_run(tmp_path):
    with Journal.open(tmp_path) as journal:
        journal.begin(CONFIG)
        run = journal.to_xarray()
        assert run.sizes["candidate"] == run.sizes["layer"] == run.sizes["target"] == 0
        journal.export()
    assert not (tmp_path / "winner.json").exists()
    with xr.open_dataset(tmp_path / "run.nc") as again:
        assert again.sizes["candidate"] == 0


def test_a_second_driver_is_refused_and_a_reader_is_not(tmp_path):
    with fill(tmp_path):
        with pytest.raises(JournalError, match=rf"Another search .* \(process {os.getpid()} on"):
            Journal.open(tmp_path)
        with Journal.read(tmp_path) as reader:
            assert len(reader.results()) == 4
            with pytest.raises(JournalError, match="cannot be written"):
                reader.begin_session(workers="1")
    Journal.open(tmp_path).close()


def test_the_lock_holds_between_processes_and_ends_with_a_killed_one(tmp_path):
    code = (
        "import sys, time; from brainguided.journal.journal import Journal\n"
        "journal = Journal.open(sys.argv[1]); print('open', flush=True); time.sleep(60)"
    )
    driver = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert driver.stdout is not None
    with driver.stdout:
        assert driver.stdout.readline() == "open\n"
        with pytest.raises(JournalError, match="Another search is writing"):
            Journal.open(tmp_path)
        driver.kill()
        driver.wait()
    Journal.open(tmp_path).close()


def test_a_folder_without_journal_is_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"journal\.db does not exist\. Give the folder"):
        Journal.read(tmp_path)


def test_a_folder_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match=r"A run cannot be written into .*Choose a folder"):
        Journal.open(tmp_path / "file" / "run")
    with pytest.raises(JournalError, match="A run cannot be written into"):
        Journal.open(tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(JournalError, match="A run cannot be written into"):
            Journal.open(tmp_path)
    finally:
        tmp_path.chmod(0o700)


both = pytest.mark.parametrize("opening", [Journal.open, Journal.read], ids=["open", "read"])


def damage(path, *statements):
    file = sqlite3.connect(path)
    for statement in statements:
        file.execute(statement)
    file.commit()
    file.close()


@both
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path, opening):
    path = tmp_path / "journal.db"
    path.write_text("not a journal\n" * 100)
    with pytest.raises(JournalError, match="cannot be opened as a journal"):
        opening(tmp_path)
    assert path.read_text() == "not a journal\n" * 100


@both
def test_another_database_is_refused(tmp_path, opening):
    damage(tmp_path / "journal.db", "CREATE TABLE other (x)")
    with pytest.raises(JournalError, match="not the journal of a search but another"):
        opening(tmp_path)


@both
def test_a_newer_format_is_refused(tmp_path, opening):
    fill(tmp_path).close()
    damage(tmp_path / "journal.db", "PRAGMA user_version = 5")
    with pytest.raises(JournalError, match=r"has format 5, this version .* knows format 4 and"):
        opening(tmp_path)


@both
def test_a_journal_without_a_table_is_refused(tmp_path, opening):
    fill(tmp_path).close()
    damage(tmp_path / "journal.db", "DROP TABLE event")
    with pytest.raises(JournalError, match="missing tables: event"):
        opening(tmp_path)


@both
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_a_truncated_journal_is_refused(tmp_path, opening, kept):
    fill(tmp_path).close()
    path = tmp_path / "journal.db"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(JournalError, match="cannot be opened as a journal"):
        opening(tmp_path)


def test_an_empty_file_left_by_a_driver_killed_at_once_is_begun(tmp_path):
    (tmp_path / "journal.db").touch()
    with Journal.open(tmp_path) as journal:
        assert journal.config is None


def test_a_half_written_round_is_undone(tmp_path):
    with fill(tmp_path) as journal:
        before = journal.attempts()
        duplicate = replace(FIRST, candidate=9, duplicate_of=0)
        with pytest.raises(ValueError, match="not JSON compliant"):
            journal.record_tell(2, {9: float("nan")}, [duplicate])
        assert journal.attempts() == before
        with pytest.raises(JournalError, match="cannot be written"):
            journal.record_attempt(FIRST, TIMING)
        assert journal.attempts() == before


def test_a_search_waits_while_another_program_holds_its_journal(tmp_path, monkeypatch):
    """A database browser with an edit that is not saved."""
    with Journal.open(tmp_path) as journal:
        journal._connection.execute("PRAGMA busy_timeout = 10")
        browser = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
        browser.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr(
            _journal_file._log, "warning", lambda *said: browser.execute("ROLLBACK")
        )
        journal.begin_session(workers="1")
        assert journal.last_session() is not None
        browser.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr(_journal_file, "_PATIENCE", 0.0)
        monkeypatch.setattr(_journal_file._log, "warning", lambda *said: None)
        with pytest.raises(JournalError, match=r"Another program has held .*Close it"):
            journal.begin_session(workers="1")
        browser.close()


def test_tables_of_another_program_are_refused_with_the_remedy(tmp_path):
    with Journal.open(tmp_path):
        pass
    file = sqlite3.connect(tmp_path / "journal.db")
    file.execute("CREATE TABLE studies (id INTEGER)")
    file.close()
    with pytest.raises(JournalError, match=r"1 tables of another program: studies\..*DROP TABLE"):
        Journal.read(tmp_path)


def test_a_journal_that_another_program_locks_is_not_called_damaged(tmp_path, monkeypatch):
    with Journal.open(tmp_path) as journal:
        journal.begin({})
    connect = sqlite3.connect
    with closing(connect(tmp_path / "journal.db", isolation_level=None)) as browser:
        browser.execute("PRAGMA locking_mode = EXCLUSIVE")
        browser.execute("BEGIN EXCLUSIVE")
        monkeypatch.setattr(sqlite3, "connect", partial(connect, timeout=0.05))
        with pytest.raises(JournalError, match=r"journal\.db is held by another program"):
            Journal.read(tmp_path)
    with Journal.read(tmp_path) as journal:
        assert journal.config == {}
