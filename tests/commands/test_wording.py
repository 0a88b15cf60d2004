"""Errors of the command line speak of its options, not of arguments of functions."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from brainguided.__main__ import main
from brainguided.commands.wording import OPTIONS, say_as_options

ROOT = Path(__file__).resolve().parents[2]
CALL = re.compile(
    r"\b[a-z_.]+\((?:[^()]*\w=[^()]*|\.\.\.|recording[^()]*)\)|(?<![\[(\w])[a-z_]+=(?:'[^']*'|True|False)"
)
# Said of what only Python can do or reach: code of the user, results, spaces, plots.
PYTHON_ALONE = {
    # where there is no verb
    "neural_data.assign_time_bins(recording, edges)",
    "read_brainio_spikes(...)", "read_brainio_events(...)",
    "read_brainio(...)", "recording_from_arrays(...)", "spikes_from_arrays(...)",
    "stimuli_from_arrays(...)", "np.repeat(images[..., np.newaxis], 3, axis=-1)",
    # of arguments that the command line does not take
    "noise='identity'", "corrected=True", "within=True", "unique=False", "missing='pairwise'",
    "compare_rdms(..., missing='pairwise')", "compute_layer_rdms(...)", "recording.transpose(...)",
    "rdms.sel(stimulus=...)", ".sel(stimulus=...)", "responses.sel(stimulus=...)",
    "bootstrap_site_reliability(recording)", "compute_noise_precision(recording)",
    "compute_rdms(recording)", "average_repetitions(recording)", "compute_ceiling(recording)",
    "Teacher.from_recording(recording, stimuli)", ".from_recording(recording, stimuli)",
    "select_complete(recording, X)",
    "recording.isel(time_bin=[k])", "read_stimuli(..., size=64)", "simulate_macaque(seed=X)",
    "fetch_dataset(X, to=X)", "fetch_dataset(X, to=X, files=...)", "rdms.sel(candidate=3)",
    # of the Preprocessing that a model's own function returns, and of engines
    "unit='0..1'", "unit='0..255'", "mean=(0.5, 0.5, 0.5)", "schedule=Schedule(...)",
}  # fmt: skip


def texts_of(path: Path) -> set[str]:
    """Texts of a module that are neither docstrings nor steps of a history."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        steps = isinstance(node, ast.keyword) and node.arg == "step"
        steps |= isinstance(node, ast.Assign) and "step" in ast.unparse(node.targets[0])
        steps |= isinstance(node, ast.Call) and ast.unparse(node.func).endswith("add_step")
        if steps:
            skipped |= {id(inner) for inner in ast.walk(node)}
    found = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(inner) for inner in ast.walk(node)}
            parts = [v.value if isinstance(v, ast.Constant) else "X" for v in node.values]
            found.add("".join(str(part) for part in parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return {text for text in found if " " in text}


def modules() -> list[Path]:
    rooms = [
        *(ROOT / "neural_data" / room for room in ("catalog", "formats", "model", "reliability")),
        *(ROOT / "brainguided" / room for room in ("correspondence", "guidance", "rdms")),
    ]
    return [path for room in rooms for path in sorted(room.rglob("*.py"))]


def test_advice_about_arguments_is_about_options_on_the_command_line() -> None:
    left = {
        f"{path.relative_to(ROOT)}: {found.group()}"
        for path in modules()
        for text in texts_of(path)
        for found in CALL.finditer(say_as_options(text))
        if found.group() not in PYTHON_ALONE
    }
    assert not left


def test_every_wording_is_of_a_message_that_there_is() -> None:
    every = [text for root in ("neural_data", "brainguided") for path in (ROOT / root).rglob("*.py")
             if path.name != "wording.py" for text in texts_of(path)]  # fmt: skip
    built = " ".join(every)
    unused = [python for python, _ in OPTIONS if python not in built]
    # put together from parts where they are raised
    assert set(unused) <= {
        "Use keep='sites'", "Use keep='stimuli'", "select_complete(recording, keep='stimuli')",
        "with assign_coords(stimulus=...)",
    }  # fmt: skip


def test_options_of_import_are_not_named_as_arguments() -> None:
    from neural_data.formats.table import FORMATS

    flags = {flag for form in FORMATS for flag in (form.options or {}) if flag.count("-") > 2}
    names = "|".join(flag.strip("-").replace("-", "_") for flag in flags)
    assert "onset_column" in names
    left = {
        text
        for path in modules()
        for text in texts_of(path)
        if re.search(rf"(?<!['\w.])({names})\b(?!['\w(])", say_as_options(text))
    }
    assert not left


def test_names_of_coordinates_are_kept() -> None:
    assert say_as_options("correct it, or leave it out with drop_vars('day')") == (
        "correct it, or leave it out with 'brainguided select --drop day'"
    )


@pytest.mark.parametrize(("words", "said"), [(["--stimuli", "same"], "--stimuli shared")])
def test_an_error_of_a_verb_names_its_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    from neural_data import recording_from_arrays, save_recording

    for name in "ab":
        recording = recording_from_arrays(
            [[1.0], [2.0]], stimulus=["x", name], site=[name], area="IT", units="spikes/s",
            source="made up",
        )  # fmt: skip
        save_recording(recording, tmp_path / f"{name}.nc")
    files = [str(tmp_path / f"{name}.nc") for name in "ab"]
    assert main(["pool", *files, *words, "--out", str(tmp_path / "c.nc")]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert "stimuli=" not in error


@pytest.mark.parametrize(
    ("name", "verb"), [("a.nwb", "nwb"), ("a.mat", "arrays"), ("a.toml", "described")]
)
def test_files_that_are_to_be_imported_first_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, verb: str
) -> None:
    (tmp_path / name).write_bytes(b"")
    for words in (["select"], ["rdms"], ["pool"]):
        assert main([*words, str(tmp_path / name), "--out", str(tmp_path / "c.nc")]) == 1
        assert f"with 'brainguided import {verb}'" in capsys.readouterr().err
