"""The documentation shows every plot, every public name, every key and every table."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

import brainguided.plot
from brainguided.settings import list_keys

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


def load(name: str) -> ModuleType:
    """Return a module of the documentation."""
    found = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module  # dataclasses look for it there
    found.loader.exec_module(module)
    return module


def test_every_plot_is_in_the_gallery_and_drawn_by_its_own_lines() -> None:
    gallery = load("gallery")
    examples = [example for _, group in gallery.EXAMPLES for example in group]
    assert sorted(example.plot for example in examples) == sorted(brainguided.plot.__all__)
    for example in examples:
        calls = [node for node in ast.walk(ast.parse(example.code)) if isinstance(node, ast.Call)]
        names = [call.func.id for call in calls if isinstance(call.func, ast.Name)]
        assert example.plot in names, example.plot


@pytest.mark.slow
def test_the_lines_of_the_gallery_draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gallery = load("gallery")
    monkeypatch.chdir(tmp_path)
    assert gallery.draw_examples(gallery.EXAMPLES, tmp_path) == []
    for name in brainguided.plot.__all__:
        assert (tmp_path / f"{name}.png").stat().st_size > 5_000, name


def test_what_was_drawn_or_executed_is_made_anew_with_other_tables_or_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery, executed = load("gallery"), load("executed")
    package = tmp_path / "brainguided"
    package.mkdir()
    (tmp_path / "neural_data").mkdir()
    table, notebook = package / "benchmark.nc", tmp_path / "a.ipynb"
    notebook.write_text("{}")

    def digest() -> tuple[str, str]:
        return gallery._digest(gallery.EXAMPLES), executed._digest(notebook)

    for module in (gallery, executed):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    table.write_bytes(b"1")
    before = digest()
    (package / "a.pyc").write_bytes(b"compiled")
    assert digest() == before
    table.write_bytes(b"2")
    after = digest()
    assert not set(after) & set(before)
    monkeypatch.setattr(gallery, "find_spec", lambda name: None)
    assert digest()[0] != after[0]


def test_every_table_of_a_journal_and_every_column_is_explained() -> None:
    tables = load("journal_tables")
    found = {name: [column for column, _ in rows] for name, rows in tables.read_tables().items()}
    assert found == {name: list(columns) for name, (_, columns) in tables.TABLES.items()}


def test_every_key_of_a_run_file_is_in_the_reference(tmp_path: Path) -> None:
    (write_run_file,) = load_writers("write_run_file")
    write_run_file(tmp_path / "run_file.md")
    text = (tmp_path / "run_file.md").read_text("utf-8")
    for table, keys in list_keys().items():
        rows = text.partition(f"## {table}\n")[2].partition("\n## ")[0]
        assert re.findall(r"^\| `([^`]+)` \|", rows, re.MULTILINE) == list(keys), table


@pytest.mark.parametrize("package", ["brainguided", "neural_data"])
def test_every_public_name_is_in_the_reference(package: str, tmp_path: Path) -> None:
    (write_reference,) = load_writers("write_reference")
    write_reference(tmp_path / "reference")
    pages = (tmp_path / "reference").glob(f"{package}.*.md")
    documented = set(re.findall(r"^## (\w+)$", "\n".join(p.read_text() for p in pages), re.M))
    stub = ast.parse((ROOT / package / "__init__.pyi").read_text(encoding="utf-8"))
    names = {a.name for node in stub.body if isinstance(node, ast.ImportFrom) for a in node.names}
    for room in (ROOT / package).glob("*/__init__.py"):
        module = importlib.import_module(f"{package}.{room.parent.name}")
        names |= set(getattr(module, "__all__", ()))
    assert names
    assert names <= documented


def load_writers(*names: str) -> list:
    """Return functions of conf.py without what it writes when Sphinx reads it."""
    tree = ast.parse((DOCS / "conf.py").read_text(encoding="utf-8"))
    keep = (ast.Import, ast.ImportFrom, ast.FunctionDef)
    wanted = [node for node in tree.body if isinstance(node, keep)]
    wanted += [n for n in tree.body if isinstance(n, ast.Assign) and "PACKAGES" in ast.unparse(n)]
    own = {"executed", "gallery", "journal_tables"}
    wanted = [
        n for n in wanted if not (isinstance(n, ast.Import) and {a.name for a in n.names} & own)
    ]
    space: dict = {"ROOT": ROOT, "DOCS": DOCS}
    exec(compile(ast.Module(body=wanted, type_ignores=[]), "conf.py", "exec"), space)
    return [space[name] for name in names]


def test_the_paper_beside_this_package_does_not_claim_what_is_not_reproduced() -> None:
    text = (DOCS / "explanation" / "paper.md").read_text(encoding="utf-8")
    for table in (2, 3, 4):
        (said,) = re.findall(rf"^.*\(table {table}\b[\s\S]*?(?:\n\n|\Z)", text, re.MULTILINE)
        assert "not reproduced" in said, f"table {table}"


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
PAGES += [
    page
    for page in sorted(DOCS.rglob("*.md"))
    if not {"_build", "reference"} & set(page.relative_to(DOCS).parts) and page.name != "gallery.md"
]
GENERATED = re.compile(r"docs/(reference/(run_file|journal|brainguided|neural_data)|gallery)\.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_and_names_of_pages_lead_somewhere(page: Path) -> None:
    """Sphinx is silent on links to files of the checkout and on roles that find nothing."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link, anchor in re.findall(r"\]\((?!https?:|mailto:)([^)#\s]*)(#[^)]*)?\)", text):
        target = (page.parent / link).resolve() if link else page
        if target.parent == DOCS / "tutorials":  # where the notebooks are written, executed
            target = ROOT / "notebooks" / target.name if target.suffix == ".ipynb" else target
        where = target.relative_to(ROOT).as_posix()
        assert target.exists() or GENERATED.fullmatch(where), f"{page.name}: {link}"
        if anchor and target.suffix == ".md" and target.exists():
            heads = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
            assert anchor[1:] in slugs, f"{page.name}: {link}{anchor}"
    for name in re.findall(
        r"\{(?:py:)?\w+\}`(?:[^`<]*<)?((?:brainguided|neural_data)[\w.]*)>?`", text
    ):
        module, _, last = name.rpartition(".")
        found = importlib.import_module(module) if module else importlib.import_module(name)
        assert not module or hasattr(found, last), f"{page.name}: {name}"
