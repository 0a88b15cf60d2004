"""The order of imports, with the standard library alone."""

from __future__ import annotations

import ast
import configparser
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OWNERS = {  # rooms that may know a library
    "torch": {
        "candidates", "controllers", "correspondence", "engines", "guidance", "networks",
        "pretrained", "search", "settings",
    },
    "matplotlib": {"plot", "reports", "commands"},
    "ray": {"engines"},
    "sqlite3": {"journal"},
}  # fmt: skip
CONTRACTS = {"brainguided": "rooms", "neural_data": "recordings"}


def imported(path: Path) -> set[str]:
    """Names of all modules that a file imports, anywhere in it, type checking aside."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def levels(package: str) -> dict[str, int]:
    """Level of each room, the lowest 1, as the contract for import-linter has it."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    rows = config[f"importlinter:contract:{CONTRACTS[package]}"]["layers"].split("\n")
    rows = [row for row in rows if row.strip()]
    return {
        name.strip(): len(rows) - level for level, row in enumerate(rows) for name in row.split("|")
    }


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", CONTRACTS)
def test_every_room_has_a_level_and_imports_only_from_lower_ones(package) -> None:
    level = levels(package)
    wrong = []
    for path in modules(package):
        own = path.relative_to(ROOT / package).parts[0].removesuffix(".py")
        if own == "__init__":
            continue
        assert own in level, f"{own} has no level in setup.cfg"
        for name in imported(path):
            other = name.split(".")[1] if name.startswith(f"{package}.") else None
            if other in level and other != own and level[other] >= level[own]:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong


def test_recordings_know_nothing_of_networks() -> None:
    foreign = {"torch", "matplotlib", "rsatoolbox", "brainguided"}
    wrong = [
        f"{path.name} imports {name}"
        for path in modules("neural_data")
        for name in imported(path)
        if name.split(".")[0] in foreign
    ]
    assert not wrong


@pytest.mark.parametrize("library", sorted(OWNERS))
def test_heavy_libraries_are_imported_only_by_their_owners(library) -> None:
    wrong = []
    for path in modules("brainguided"):
        own = path.relative_to(ROOT / "brainguided").parts[0].removesuffix(".py")
        if any(n.split(".")[0] == library for n in imported(path)) and own not in OWNERS[library]:
            wrong.append(path.name)
    assert not wrong


def test_importing_the_packages_loads_no_heavy_library() -> None:
    code = (
        "import sys, brainguided, neural_data;"
        "print([m for m in ('torch', 'rsatoolbox', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"
