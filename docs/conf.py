"""Settings of the documentation, and the pages that are written from the code itself."""

from __future__ import annotations

import ast
import importlib
import inspect
import shutil
import sys
from pathlib import Path
from types import ModuleType

import nbformat

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path[:0] = [str(DOCS), str(ROOT)]

import executed  # noqa: E402
import gallery  # noqa: E402
import journal_tables  # noqa: E402

project = "brainguided"
author = "The brainguided developers"
project_copyright = author
version = release = importlib.import_module("brainguided").__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "numpydoc"]
exclude_patterns = ["_build"]
html_theme = "pydata_sphinx_theme"
html_title = "brainguided"
html_theme_options = {"show_prev_next": False, "secondary_sidebar_items": ["page-toc"]}
html_static_path = ["_static"]
html_css_files = ["page.css"]  # wider, for code and tables
html_sidebars = {
    "index": [],
    "installation": [],
    "gallery": [],
    "inference": [],
    "changelog": [],
    "contributing": [],
}
html_copy_source = False

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # they come executed, see executed.py
nb_output_stderr = "remove"  # bars of progress
autodoc_typehints = "none"  # numpydoc says more: dims, shapes and units
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
suppress_warnings = ["myst.xref_missing"]  # links of the README's kind, to files of the checkout

PACKAGES = ("brainguided", "neural_data")


def names_by_group(package: str) -> dict[str, list[str]]:
    """Return the everyday names of a package, as comments in its ``__all__`` group them."""
    groups: dict[str, list[str]] = {}
    source = (ROOT / package / "__init__.py").read_text(encoding="utf-8")
    for line in source.partition("__all__ = [")[2].partition("]")[0].splitlines():
        line = line.strip()
        if line.startswith("#"):
            groups[line.lstrip("# ")] = []
        elif line:
            list(groups.values())[-1].append(ast.literal_eval(line.rstrip(",")))
    return groups


def public_rooms(package: str) -> dict[str, list[str]]:
    """Return the public names of every room, those of the stub of the whole package included."""
    rooms: dict[str, list[str]] = {}
    for init in sorted((ROOT / package).glob("*/__init__.py")):
        names = getattr(importlib.import_module(f"{package}.{init.parent.name}"), "__all__", ())
        rooms[init.parent.name] = list(names)
    for module in sorted((ROOT / package).glob("[!_]*.py")):
        loaded = importlib.import_module(f"{package}.{module.stem}")
        rooms[module.stem] = [
            name
            for name, value in vars(loaded).items()
            if not name.startswith("_") and getattr(value, "__module__", "") == loaded.__name__
        ]
    stub = ast.parse((ROOT / package / "__init__.pyi").read_text(encoding="utf-8"))
    for node in stub.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            room = rooms[node.module.partition(".")[0]]
            room += [alias.name for alias in node.names if alias.name not in room]
    return {room: sorted(names, key=str.lower) for room, names in rooms.items() if names}


def first_line(value: object) -> str:
    return (inspect.getdoc(value) or "").split("\n\n")[0].replace("\n", " ")


def directive_of(target: str, value: object) -> str:
    """Return the directive that documents a public name."""
    if isinstance(value, ModuleType):
        kind, options = "automodule", ":no-members:"
    elif inspect.isclass(value):
        kind, options = "autoclass", ":members:"
    elif callable(value):
        kind, options = "autofunction", ""
    else:
        kind, options = "autodata", ":no-value:"
    indented = f"   {options}\n" if options else ""
    return f"```{{eval-rst}}\n.. {kind}:: {target}\n{indented}```\n"


def write_reference(folder: Path) -> None:
    """Write a page for every room, and one for each package with its everyday names by group."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for package in PACKAGES:
        face, rooms = importlib.import_module(package), public_rooms(package)
        home = {name: room for room, names in rooms.items() for name in names}
        page = [f"# {package}\n", f"{first_line(face)}\n"]
        for group, names in names_by_group(package).items():
            page += [f"## {group}\n", "| name | |", "|---|---|"]
            for name in names:
                said = first_line(getattr(face, name)).replace("|", "\\|")
                page.append(f"| {{py:obj}}`{name} <{package}.{home[name]}.{name}>` | {said} |")
            page.append("")
        page += ["## All rooms\n", "```{toctree}", ":maxdepth: 1\n"]
        page += [f"{package}.{room}" for room in rooms] + ["```\n"]
        (folder / f"{package}.md").write_text("\n".join(page), encoding="utf-8")
        for room, names in rooms.items():
            module = importlib.import_module(f"{package}.{room}")
            parts = [f"# {package}.{room}\n", f"{first_line(module)}\n"]
            for name in names:
                target = f"{package}.{room}.{name}"
                parts += [f"## {name}\n", directive_of(target, getattr(module, name))]
            (folder / f"{package}.{room}.md").write_text("\n".join(parts), encoding="utf-8")


def write_run_file(path: Path) -> None:
    """Write the keys of a run file: the table that checks them, and the text that explains them."""
    from brainguided.settings import list_keys, load_run

    text = inspect.getdoc(load_run) or ""
    example = text.partition("A TOML file::\n")[2].partition("\nseed : int, optional")[0]
    page = [
        "# Keys of a run file\n",
        "Every key with what it takes; unknown keys are refused. What each means is said beside it",
        "below. `brainguided search RUN.toml --check` says all that is wrong with a file.\n",
        "`brainguided schema > run_file.schema.json` writes the same as a JSON Schema; editors of",
        "TOML (Even Better TOML, Taplo) complete and check a file that begins with the line",
        "`#:schema ./run_file.schema.json`.\n",
        f"```toml\n{inspect.cleandoc(example)}\n```\n",
    ]
    for table, keys in list_keys().items():
        page += [f"## {table}\n", "| key | takes |", "|---|---|"]
        page += [f"| `{key}` | {takes} |" for key, takes in keys.items()] + [""]
    path.write_text("\n".join(page), encoding="utf-8")


def write_notebooks(folder: Path) -> None:
    """Write the notebooks, executed, beside the page that lists them."""
    for old in folder.glob("*.ipynb"):
        old.unlink()
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        notebook = executed.execute(path)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":  # links that lead from the folder of the notebooks
                cell.source = cell.source.replace("](../docs/", "](../")
                cell.source = cell.source.replace("](../CONTRIBUTING.md)", "](../contributing.md)")
        nbformat.write(notebook, folder / path.name)


write_reference(DOCS / "reference")
write_run_file(DOCS / "reference" / "run_file.md")
journal_tables.write_journal(DOCS / "reference" / "journal.md")
write_notebooks(DOCS / "tutorials")
gallery.write_gallery(DOCS / "gallery.md", DOCS / "gallery")
