"""The command line, as a user meets it."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import brainguided.search.run
from brainguided.__main__ import build_parser, main
from brainguided.commands.options import Printable
from brainguided.journal.journal import Journal
from neural_data.model.dissimilarities import load_dissimilarities
from neural_data.model.recording import load_recording, recording_from_arrays, save_recording
from neural_data.model.stimuli import load_stimuli
from neural_data.reliability.estimates import compute_site_reliability

VERBS = (
    "demo", "search", "report", "import", "export", "datasets", "fetch", "cite", "inspect",
    "select", "rdms", "compare",
)  # fmt: skip
FORMATS = (
    "brainio",
    "nwb",
    "nwb-images",
    "arrays",
    "described",
    "cowley2023",
    "kriegeskorte2008",
    "images",
)
WORDS = [[v] for v in VERBS] + [["import", f] for f in FORMATS]
WORDS += [["export", f] for f in ("optuna", "tensorboard", "network", "brainscore", "brainio")]
RUN = (
    "candidates = 3\nround_size = 2\n[space]\nmax_depth = 2\n"
    "[task]\nn_train = 64\nn_validation = 64\nsteps = 2\nbatch_size = 16\n"
    '[[teacher]]\nsimulated = true\nby = "object_name"\n'
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a lab's arrays and a recording made of them."""
    monkeypatch.chdir(tmp_path)
    response = np.random.default_rng(0).normal(size=(6, 2, 5))
    np.save("r.npy", response)
    names = [f"im{k}" for k in range(6)]
    Path("stimuli.txt").write_text("\n".join(names), encoding="utf-8")
    Path("sites.txt").write_text("\n".join("abcde"), encoding="utf-8")
    recording = recording_from_arrays(
        response, stimulus=names, site=list("abcde"), area="IT", units="Hz", source="lab"
    )
    save_recording(recording, "r.nc")
    return tmp_path


def make_zip(path: str, names: list[str]) -> None:
    from io import BytesIO

    stream = BytesIO()
    Image.new("RGB", (8, 8), "red").save(stream, "PNG")
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, stream.getvalue())


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_every_verb_has_help_with_examples_that_are_understood(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*words, "--help"])
    assert stop.value.code == 0
    examples = capsys.readouterr().out.split("example:\n")[1].replace("\\\n", " ").splitlines()
    assert examples
    for example in examples:
        assert example.startswith("  brainguided " + " ".join(words))
        build_parser().parse_args(shlex.split(example.partition(" > ")[0])[1:])


def test_help_and_status_load_no_heavy_library(tmp_path: Path) -> None:
    with Journal.open(tmp_path) as journal:
        journal.begin({})
    code = (
        "import sys, brainguided.__main__ as m\n"
        "def loaded(): return [n for n in ('torch', 'xarray', 'numpy') if n in sys.modules]\n"
        "try: m.main(['--help'])\nexcept SystemExit: print(loaded(), 'matplotlib' in sys.modules)\n"
        f"print(m.main(['status', {str(tmp_path)!r}]), loaded())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-3:] == [
        "[] False",
        "asked for 0, running or waiting 0, done 0, failed 0, duplicates 0",
        "0 ['numpy']",
    ]


def test_a_lab_can_import_its_arrays_and_look_at_them(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "import",
        "arrays",
        "r.npy",
        "--stimuli",
        "stimuli.txt",
        "--sites",
        "sites.txt",
        "--area",
        "IT",
    ]
    assert main([*words, "--units", "spikes/s", "--source", "our lab", "--out", "own.nc"]) == 0
    assert capsys.readouterr().out == "own.nc\n"
    assert load_recording("own.nc").attrs["source"] == "our lab"
    assert main(["inspect", "own.nc"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"sites +5\n", said)
    assert re.search(r"reliability IT +sites -?0\.\d\d \(median\), RDM", said)
    assert main(["rdms", "own.nc", "--out", "rdms.png", "--save", "rdms.nc"]) == 0
    with Image.open("rdms.png") as image:
        assert min(image.size) > 400
    assert load_dissimilarities("rdms.nc")["area"].values.tolist() == ["IT"]
    assert main(["rdms", "rdms.nc", "--out", "again.svg"]) == 0
    assert Path("again.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_images_are_imported_from_a_zip(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_zip("images.zip", ["a.png", "deep/b.png"])
    assert (
        main(["import", "images", "images.zip", "--size", "4", "--source", "lab", "--out", "s.nc"])
        == 0
    )
    assert load_stimuli("s.nc")["image"].shape == (2, 4, 4, 3)
    assert main(["inspect", "s.nc"]) == 0
    assert "2 of 4 x 4 px" in capsys.readouterr().out


def test_a_recording_goes_out_as_brainio_and_comes_back(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--identifier", "lab.One", "--stimulus-set", "lab.images", "--out", "assy"]
    assert main(["export", "brainio", "r.nc", *words]) == 0
    assert main(["import", "brainio", "assy/assembly.nc", "--out", "back.nc"]) == 0
    assert load_recording("back.nc").equals(load_recording("r.nc"))
    capsys.readouterr()
    assert main(["inspect", "assy/assembly.nc", "--plot", "assy.png"]) == 0
    assert re.search(r"sites +5\n", capsys.readouterr().out)
    with Image.open("assy.png") as image:
        assert min(image.size) > 400


def test_arrays_with_a_description_are_imported(folder: Path) -> None:
    np.save("cells.npy", np.random.default_rng(0).normal(size=(7, 3, 4)))
    Path("cells.toml").write_text(
        'file = "cells.npy"\naxes = ["site", "repetition", "stimulus"]\nunits = "dF/F"\n'
        'source = "lab"\n[site]\nprefix = "cell"\narea = "V1"\n[stimulus]\nprefix = "im"\n',
        encoding="utf-8",
    )
    assert main(["import", "described", "cells.toml", "--out", "cells.nc"]) == 0
    assert load_recording("cells.nc")["response"].shape == (4, 3, 7)


def test_sites_are_selected_and_the_file_says_how(folder: Path) -> None:
    reliability = compute_site_reliability(load_recording("r.nc"))
    threshold = float(reliability.median())
    assert main(["select", "r.nc", "--reliability", str(threshold), "--out", "best.nc"]) == 0
    best = load_recording("best.nc")
    kept = reliability["site"].values[reliability.values > threshold]
    assert set(kept) <= set(best["site"].values) < set("abcde")
    assert "select_reliable_sites" in best.attrs["history"]


def test_a_reliability_that_came_with_sites_selects_nothing_without_a_threshold(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["select", "r.nc", "--given", "snr", "--out", "all.nc"]) == 1
    assert "--given snr selects nothing by itself" in capsys.readouterr().err
    assert not Path("all.nc").exists()


def test_a_data_set_is_fetched_from_a_folder_with_its_checksums(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mirror").mkdir()
    Path("mirror/Kriegeskorte_Neuron2008_supplementalData.mat").write_bytes(b"not the data")
    assert main(["fetch", "kriegeskorte2008", "--from", "mirror", "--to", "got"]) == 1
    said = capsys.readouterr()
    assert "checksum" in said.err
    assert said.out == ""
    assert not list(folder.rglob("got/*.mat"))
    assert main(["datasets"]) == 0
    assert "MajajHong2015.public" in capsys.readouterr().out
    assert main(["cite", "MajajHong2015.public"]) == 0
    assert capsys.readouterr().out.startswith("@article{")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("inspect nope.nc", "nope.nc"),
        ("inspect damaged.nc", "damaged.nc"),
        ("inspect r.npy", "r.npy"),
        ("inspect it.nc --plot x.nonsense", "There is no file"),
        ("select r.nc --responsive 1 --out x.nc", "give all three"),
        ("select r.nc --area V4 --out x.nc", "no area 'V4'"),
        ("fetch nonsense", "There is no data set 'nonsense'"),
        ("cite nonsense", "There is no data set 'nonsense'"),
        ("import brainio r.npy --out x.nc", "r.npy"),
        ("import nwb r.npy --bins 0 100 --out x.nc", "r.npy"),
        ("import described nope.toml --out x.nc", "nope.toml"),
        ("rdms r.nc --area V4 --out x.png", "V4"),
        ("rdms r.nc --by object_name --out x.png", "No coordinate 'object_name'"),
        ("rdms r.nc --out x.nonsense", "nonsense"),
        ("rdms r.nc --out nowhere/x.png", "nowhere/x.png"),
        ("import images climb.zip --source lab --out x.nc", "climb"),
        ("import arrays r.npy --stimuli sites.txt --sites sites.txt --area IT "
         "--units Hz --source lab --out x.nc", "5 labels for 'stimulus'"),
        ("import cowley2023 . --session 201025 --out x.nc --stimuli-out y.nc", "201025"),
        ("import kriegeskorte2008 . --out x.nc --stimuli-out y.nc", "There is no file"),
        ("search nope.toml --out x", "no run file nope.toml"),
        ("search bad.toml --out x", "'stepz' is unknown; did you mean 'steps'?"),
        ("report .", "journal.db does not exist"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_readable_error_and_leaves_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str, message: str
) -> None:
    Path("damaged.nc").write_bytes(Path("r.nc").read_bytes()[:3000])
    Path("bad.toml").write_text(RUN.replace("steps", "stepz"), encoding="utf-8")
    make_zip("climb.zip", ["../climb.png"])
    before = sorted(folder.rglob("*"))
    assert main(command.split()) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("brainguided: error: ") == 1
    assert message in said.err
    assert "Traceback" not in said.err
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("command", "written"),
    [
        ("import arrays r.npy --stimuli stimuli.txt --sites sites.txt --area IT --units Hz "
         "--source us --out {}", "nc"),
        ("export brainio r.nc --identifier a --stimulus-set b --out {}/..", "nc"),
        ("select r.nc --area IT --out {}", "nc"),
        ("pool r.nc r2.nc --stimuli apart --out {}", "nc"),
        ("rdms r.nc --out {}", "png"),
        ("rdms r.nc --out new.png --save {}", "nc"),
        ("inspect r.nc --plot {}", "png"),
        ("correspond --model x.py:f --teacher t.toml --out {}/..", "png"),
        ("replay t.csv --reward r --budget 1 --controller random --out {}/..", "png"),
    ],
)  # fmt: skip
def test_no_verb_replaces_a_file_unasked(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str, written: str
) -> None:
    """That is refused before any work: nothing of what the command names has to be there."""
    names = {"correspond": "depth", "replay": "replay", "export": "assembly"}
    verb = command.split()[0]
    path = folder / f"{names.get(verb, 'mine')}.{written}"
    path.write_text("years of work")
    into = str(folder / "sub" if verb in names else path)
    (folder / "sub").mkdir()
    before = sorted(folder.rglob("*"))
    words = command.format(into).split()
    assert main(words) == 1
    assert "is there already. Give another name, or --overwrite." in capsys.readouterr().err
    assert path.read_text() == "years of work"
    assert sorted(folder.rglob("*")) == before
    if verb in ("select", "export", "rdms", "inspect"):
        assert main([*words, "--overwrite"]) == 0
        assert path.read_bytes() != b"years of work"


def test_the_demonstration_leaves_another_search_alone(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Journal.open("other") as journal:
        journal.begin({})
    before = sorted(folder.rglob("*"))
    assert main(["demo", "--out", "other"]) == 1
    assert "holds another search" in capsys.readouterr().err
    assert sorted(folder.rglob("*")) == before


def test_what_files_say_cannot_command_the_terminal(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = "\x1b]0;owned\x07 \u202e \ud800 V4\tIT"
    seen = "\\x1b]0;owned\\x07 \\u202e \\ud800 V4\tIT\n"
    monkeypatch.setattr("brainguided.search.status.describe_status", lambda out: evil)
    assert main(["status", "run"]) == 0
    assert capsys.readouterr().out == seen

    def fail(out: Path) -> str:
        raise ValueError(evil)

    monkeypatch.setattr("brainguided.search.status.describe_status", fail)
    assert main(["status", "run"]) == 1
    assert capsys.readouterr().err == f"brainguided: error: {seen}"
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    Printable(stream).write("é")  # a terminal that knows no accents
    stream.flush()
    assert stream.buffer.getvalue() == b"\\xe9"


def test_what_is_typed_cannot_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    for given in (["status", "run", "--no-such\x1b[31m"], ["status", "run", "more\x1b[31m"]):
        with pytest.raises(SystemExit):
            main(given)
        said = capsys.readouterr().err
        assert "\x1b" not in said
        assert "\\x1b[31m" in said


def test_what_a_damaged_file_holds_does_not_fill_the_terminal(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("table.csv").write_bytes(bytes(4096))
    arguments = ["--architecture", "arch", "--reward", "acc", "--cost", "cost", "--score", "score"]
    more = ["--space", "nasbench201", "--budget", "9", "--controller", "random", "--workers", "1"]
    assert main(["replay", "table.csv", *arguments, *more]) == 1
    said = capsys.readouterr().err
    assert "table.csv" in said
    assert "characters] ..." in said
    assert len(said) < 8000  # of 16,384 and more


@pytest.mark.skipif(os.name != "posix", reason="needs named pipes")
def test_a_journal_that_is_no_file_is_called_that(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("pipe").mkdir()
    os.mkfifo("pipe/journal.db")
    assert main(["status", "pipe"]) == 1
    assert "pipe/journal.db is no file" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_one_readable_error(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("locked").mkdir(mode=0o500)
    Path("RUN.toml").write_text(RUN, encoding="utf-8")
    assert main(["search", "RUN.toml", "--out", "locked/run", "--workers", "1"]) == 1
    assert "locked/run" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["", "nonsense", "demo --candidates 0", "report"])
def test_a_command_that_is_not_understood_exits_with_2(command: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main(command.split())
    assert stop.value.code == 2


def test_control_c_exits_with_130_and_says_how_to_go_on(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt("Stopped after 1 of 3 candidates.")

    Path("RUN.toml").write_text(RUN, encoding="utf-8")
    monkeypatch.setattr(brainguided.search.run, "run_search", stop)
    assert main(["search", "RUN.toml", "--out", "my run", "--workers", "1"]) == 130
    said = capsys.readouterr().err
    assert "Stopped after 1 of 3" in said
    assert "brainguided search RUN.toml --out 'my run' --workers 1" in said


def test_ctrl_c_before_anything_was_done_says_that_the_command_stopped(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    Path("RUN.toml").write_text(RUN, encoding="utf-8")
    monkeypatch.setattr(brainguided.search.run, "run_search", stop)
    assert main(["search", "RUN.toml", "--out", "run", "--workers", "1"]) == 130
    assert "\nStopped.\nThe same command goes on: brainguided" in capsys.readouterr().err


def test_a_search_runs_resumes_and_reports(
    folder: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    Path("RUN.toml").write_text(RUN, encoding="utf-8")
    command = ["search", "RUN.toml", "--out", "run", "--workers", "1"]
    assert main(command) == 0
    said = capsys.readouterr()
    assert said.out.startswith("winner: candidate ")
    assert "simulated areas" in said.out
    assert "candidate 2 (attempt 1) done" in caplog.text
    out = folder / "run"
    wanted = {"journal.db", "winner.json", "rdms.png", "correspondence.png", "search.png"}
    assert wanted <= {path.name for path in out.iterdir()}
    winner = (out / "winner.json").read_text(encoding="utf-8")
    assert winner.count("\n") == 1
    assert json.loads(winner)["architecture"]["layers"]
    assert f"candidate {json.loads(winner)['candidate']}," in said.out
    caplog.clear()
    assert main(command) == 0
    assert "candidate 2" not in caplog.text
    capsys.readouterr()
    assert (out / "winner.json").read_text(encoding="utf-8") == winner
    assert main(["report", "run"]) == 0
    assert "run/report.html" in capsys.readouterr().out


@pytest.mark.slow
def test_the_demonstration_leaves_a_run_with_its_figures(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "brainguided", "demo", "--out", str(tmp_path / "demo")]
    command += ["--candidates", "4", "--steps", "5", "--workers", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    assert "simulated macaque" in done.stderr
    assert "simulated areas" in done.stdout
    for name in ("rdms.png", "correspondence.png", "search.png", "report.html", "winner.json"):
        assert (tmp_path / "demo" / name).stat().st_size > 500


@pytest.mark.data
def test_the_real_recordings_are_imported_and_inspected(
    shared_data: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    v4, it = str(shared_data / "cowley2023"), str(shared_data / "kriegeskorte2008")
    words = ["--session", "210325", "--per-repetition", "--out", "v4.nc", "--stimuli-out", "s.nc"]
    assert main(["import", "cowley2023", v4, *words]) == 0
    assert main(["import", "kriegeskorte2008", it, "--out", "it.nc", "--stimuli-out", "t.nc"]) == 0
    capsys.readouterr()
    assert main(["inspect", "v4.nc"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"areas +V4 \(50 sites\)", said)
    assert re.search(r"stimuli +640\n", said)
    assert main(["inspect", "it.nc"]) == 0
    assert re.search(r"stimuli +92\n", capsys.readouterr().out)
    assert main(["rdms", "it.nc", "--out", "it.png"]) == 0
