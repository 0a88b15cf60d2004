"""What makes searches and verbs pleasant to use: bars, quiet, JSON, and the right verb named."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys

import pytest
import xarray as xr
from fake_task import FakeTask, controller, evaluate, run_eight

from brainguided.__main__ import main
from brainguided.search.orders import Schedule
from brainguided.search.run import run_search
from brainguided.search.status import gather_status
from brainguided.settings.run_file import load_run, write_demo
from neural_data import save_recording, simulate_macaque


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "run"
    run_eight(folder)
    return folder


def test_the_status_as_json_holds_what_the_journal_does(run, capsys):
    assert main(["status", str(run), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["asked"] == found["ended"] == found["candidates"] == 8
    assert found["done"] + found["failed"] == 8
    assert sum(found["failures"].values()) == found["failed"] > 0
    assert found["searching"] is False
    rows = [json.loads(line) for line in (run / "run.jsonl").read_text().splitlines()]
    best = max((row for row in rows if row["outcome"] == "done"), key=lambda row: row["reward"])
    assert found["best"]["candidate"] == best["candidate"]
    assert found["best"]["reward"] == best["reward"]
    assert "asked for 8 of 8" in found["said"][0]
    assert gather_status(run)["examples"] == sum(row["examples"] or 0 for row in rows)


@pytest.mark.parametrize("name", ["", "run.nc", "journal.db", "run.csv"])
def test_inspect_of_a_search_names_the_verbs_for_it(run, name, capsys):
    assert main(["inspect", str(run / name)]) == 1
    said = capsys.readouterr().err
    assert f"'brainguided status {run}'" in said
    assert f"'brainguided report {run}'" in said


def test_everything_in_a_run_has_a_name_for_figures_and_tables(run):
    with xr.open_dataset(run / "run.nc") as data:
        assert [str(n) for n in data.variables if "long_name" not in data[n].attrs] == []
        assert data["seconds"].attrs["units"] == "s"


def test_inspect_knows_a_run_that_was_moved(run, tmp_path, capsys):
    shutil.copy(run / "run.nc", tmp_path / "mine.nc")
    assert main(["inspect", str(tmp_path / "mine.nc")]) == 1
    assert "is of a search, not a recording" in capsys.readouterr().err


def test_inspect_prints_json(tmp_path, capsys):
    recording, _ = simulate_macaque(repetitions=1, n_v4=2, n_it=2, seed=0)
    save_recording(recording, tmp_path / "v4.nc")
    assert main(["inspect", str(tmp_path / "v4.nc"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sites"] == "4"


def test_a_run_folder_stands_for_its_run_file(tmp_path, capsys):
    write_demo(tmp_path / "demo" / "RUN.toml", candidates=5)
    assert load_run(tmp_path / "demo").candidates == 5
    (tmp_path / "none").mkdir()
    with pytest.raises(FileNotFoundError, match="does not say where the run file is"):
        load_run(tmp_path / "none")
    assert main(["finalists", str(tmp_path / "gone"), "--steps", "3"]) == 1
    assert f"There is no folder {tmp_path / 'gone'}; expected" in capsys.readouterr().err


def test_quiet_says_nothing_of_progress(tmp_path, capsys):
    demo = ["demo", "--out", str(tmp_path / "demo"), "--candidates", "1", "--workers", "1"]
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "journal.db").touch()  # refused before any work
    assert main([*demo, "--quiet"]) == 1
    assert "simulated macaque" not in capsys.readouterr().err
    assert main(demo) == 1
    assert "simulated macaque" in capsys.readouterr().err


def search(out, **settings):
    run_search(controller(), FakeTask(), candidates=8, out=out, evaluate=evaluate, **settings)


def test_a_search_shows_a_bar_where_nobody_listens(tmp_path, capsys, monkeypatch):
    log = logging.getLogger("brainguided")
    monkeypatch.setattr(log, "level", logging.WARNING)
    log.manager._clear_cache()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    search(tmp_path / "bar")
    said = capsys.readouterr().err
    assert "8/8" in said
    assert "best " in said
    search(tmp_path / "none", schedule=Schedule(progress=False))
    assert capsys.readouterr().err == ""


def test_a_function_hears_of_every_attempt(tmp_path):
    heard = []
    schedule = Schedule(progress=lambda attempt, ended, n: heard.append((attempt, ended, n)))
    search(tmp_path, schedule=schedule)
    assert [ended for _, ended, _ in heard][-1] == 8
    assert {n for _, _, n in heard} == {8}
    assert all(attempt.outcome in ("done", "failed") for attempt, _, _ in heard)
    with pytest.raises(ValueError, match="progress is 'yes'; expected True, False or a function"):
        Schedule(progress="yes")


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_a_script_completes_verbs_options_and_files(shell, capsys):
    pytest.importorskip("shtab")
    with pytest.raises(SystemExit) as ended:
        main(["--print-completion", shell])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    for part in ("brainguided", "correspond", "teacher", "check"):
        assert part in said
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=said, text=True, check=True)
        assert "_shtab_compgen_files" in said.partition("inspect_pos_0_COMPGEN=")[2][:40]


def test_completion_says_what_it_needs(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    with pytest.raises(SystemExit):
        main(["--print-completion", "bash"])
    assert "pip install 'brainguided[completion]'" in capsys.readouterr().err


@pytest.mark.parametrize("verb", [["rdms", "it.nc", "--out"], ["inspect", "it.nc", "--plot"]])
def test_a_figure_without_an_ending_is_refused_before_it_is_drawn(verb, capsys):
    assert main([*verb, "it"]) == 1
    assert "it has no ending of a figure: give .png, .pdf or .svg" in capsys.readouterr().err
