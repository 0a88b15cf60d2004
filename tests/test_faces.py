"""The public names as users meet them: at run time, in editors and for type checkers."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import brainguided
import neural_data

ROOT = Path(__file__).resolve().parents[1]
FACES = {"brainguided": brainguided, "neural_data": neural_data}
SCRIPT = """
import brainguided.plot
from brainguided import compare_rdms, compute_rdms, plot_rdms
from neural_data import load_recording, simulate_macaque

recording, stimuli = simulate_macaque(seed=0)
rdms = compute_rdms(recording, by="object_name")
matrix = compare_rdms(rdms, rdms)
plot_rdms(rdms)[0].figure
brainguided.plot.plot_anytime
load_recording("it.nc").attrs
"""
MISTAKES = {
    "compute_rdms(1, 2, nonsense=3)": "argument",
    "brainguided.comptue_rdms": "comptue_rdms",
    "from neural_data import load_recordings": "load_recordings",
}


def names_of_stub(package: str) -> set[str]:
    tree = ast.parse((ROOT / package / "__init__.pyi").read_text())
    return {a.name for node in tree.body if isinstance(node, ast.ImportFrom) for a in node.names}


@pytest.fixture(scope="module")
def script(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("user") / "script.py"
    wrong = "\n".join(MISTAKES)
    path.write_text(f"import brainguided\n{SCRIPT}{wrong}\n", encoding="utf-8")
    return path


def check(lines: dict[int, str], script: Path) -> None:
    """Assert that exactly the mistakes of the script were found."""
    text = script.read_text().splitlines()
    assert [text[line - 1] for line in sorted(lines)] == list(MISTAKES)
    for line, message in lines.items():
        assert MISTAKES[text[line - 1]] in message


def test_mypy_finds_the_mistakes_of_a_user_and_nothing_else(script, tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path), "--config-file=",
         "--ignore-missing-imports", "--follow-imports=silent", "--output=json", str(script)],
        capture_output=True, text=True, cwd=script.parent,
        env=os.environ | {"MYPYPATH": str(ROOT)},  # an editable install shows itself to no checker
    )  # fmt: skip
    found: dict[int, str] = {}
    for line in done.stdout.splitlines():
        said = json.loads(line)
        found[said["line"]] = found.get(said["line"], "") + said["message"]
    check(found, script)


def test_pyright_finds_the_mistakes_of_a_user_and_nothing_else(script) -> None:
    settings = {"include": [script.name], "typeCheckingMode": "basic", "extraPaths": [str(ROOT)]}
    (script.parent / "pyrightconfig.json").write_text(json.dumps(settings))
    done = subprocess.run(
        [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable,
         "--project", str(script.parent)],
        capture_output=True, text=True, cwd=script.parent,
    )  # fmt: skip
    found: dict[int, str] = {}
    for said in json.loads(done.stdout)["generalDiagnostics"]:
        line = said["range"]["start"]["line"] + 1
        if said["severity"] == "error":
            found[line] = found.get(line, "") + said["message"]
    check(found, script)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import neural_data\nneural_data.load_", {"load_recording", "load_stimuli"}),
        ("import brainguided\nbrainguided.compute_", {"compute_rdms", "compute_correspondence"}),
        ("import brainguided.plot\nbrainguided.plot.plot_a", {"plot_anytime"}),
        ("from brainguided.correspondence import compute_l", {"compute_layer_cka"}),
    ],
)
def test_editors_complete_names(text, expected) -> None:
    jedi = pytest.importorskip("jedi")
    script = jedi.Script(text, project=jedi.Project(ROOT))
    assert expected <= {completion.name for completion in script.complete()}


@pytest.mark.parametrize("package", FACES)
def test_the_everyday_face_is_small_and_every_public_name_can_be_imported(package) -> None:
    face = FACES[package]
    assert len(face.__all__) <= {"brainguided": 45, "neural_data": 35}[package]
    assert len(set(face.__all__)) == len(face.__all__)
    assert dir(face) == sorted(face.__all__)
    names = names_of_stub(package)
    assert set(face.__all__) <= names
    for name in names:
        assert getattr(face, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        face.nonsense  # noqa: B018


@pytest.mark.parametrize("package", FACES)
def test_every_room_says_what_it_is_for_and_hands_on_its_names(package) -> None:
    import importlib

    for room in sorted((ROOT / package).glob("*/__init__.py")):
        module = importlib.import_module(f"{package}.{room.parent.name}")
        assert module.__doc__, f"{module.__name__} does not say what it is for"
        for name in getattr(module, "__all__", ()):
            assert getattr(module, name) is not None


def test_excerpts_in_the_documentation_import_what_they_use_of_ours() -> None:
    ours = names_of_stub("brainguided") | names_of_stub("neural_data")
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    text = "\n".join(page.read_text("utf-8") for page in pages)
    excerpts = re.findall(r"```py\n(.*?)```", text, re.DOTALL)
    assert excerpts
    for excerpt in excerpts:
        nodes = list(ast.walk(ast.parse(excerpt)))
        imported = {a.name for n in nodes if isinstance(n, ast.ImportFrom) for a in n.names}
        used = {node.id for node in nodes if isinstance(node, ast.Name)}
        assert not used & ours - imported, excerpt
