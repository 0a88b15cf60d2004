"""The order of imports, with the standard library alone."""

from __future__ import annotations

import ast
import configparser
import io
import subprocess
import sys
import tokenize
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


# -- a house that one can hold in mind ----------------------------------------------------------

LINES, CODE, PARAMETERS = 400, 60, 7  # of a module, of a function, of a function
ROOMS = {
    "brainguided": {
        "architectures", "candidates", "commands", "controllers", "correspondence", "engines",
        "guidance", "journal", "networks", "plot", "rdms", "replays", "reports", "search",
        "settings", "spaces", "__init__", "__main__", "pretrained", "testing",
    },
    "neural_data": {
        "catalog", "formats", "model", "reliability", "simulation", "storage", "__init__", "errors",
        "inspection", "labels", "rounding",
    },
}  # fmt: skip


def code_lines(text: str) -> set[int]:
    """Return the numbers of all lines that hold code: no comment, docstring or blank line."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        documented = isinstance(
            node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        )
        if documented and ast.get_docstring(node) is not None:
            lines.difference_update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return lines


_NO_CODE = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
    tokenize.ENDMARKER,
}  # fmt: skip


def count_parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    given = function.args
    names = [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    names += [a.arg for a in (given.vararg, given.kwarg) if a is not None]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def count_settings(node: ast.ClassDef) -> int:
    """Return the fields of a dataclass of settings: one that can be made with none of them."""
    if not any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        return 0
    fields = [
        line
        for line in node.body
        if isinstance(line, ast.AnnAssign) and "ClassVar" not in ast.unparse(line.annotation)
    ]
    return len(fields) if all(field.value is not None for field in fields) else 0


def find_larger(text: str, name: str) -> set[str]:
    """Return what of a module is larger than the house allows."""
    found = {name} if text.count("\n") > LINES else set()
    code = code_lines(text)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef) and count_settings(node) > PARAMETERS:
            found.add(f"{name}: {node.name}")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = code.intersection(range(node.lineno, node.end_lineno + 1))
            if len(lines) > CODE or count_parameters(node) > PARAMETERS:
                found.add(f"{name}: {node.name}")
    return found


@pytest.mark.parametrize("package", ROOMS)
def test_nothing_stands_at_the_first_level_but_the_rooms(package) -> None:
    found = {path.name.removesuffix(".py") for path in (ROOT / package).iterdir() if is_code(path)}
    assert found <= ROOMS[package]
    assert ROOMS[package] - found <= {"testing"}


def is_code(path: Path) -> bool:
    return path.suffix == ".py" or (path / "__init__.py").is_file()


def test_modules_functions_and_settings_stay_small() -> None:
    found = {
        one
        for package in ROOMS
        for path in modules(package)
        for one in find_larger(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix())
    }
    assert not found


def test_what_is_too_large_is_found() -> None:
    body = "    x = 1  # why\n\n" * 59
    many = ", ".join("abcdefgh")
    fields = "".join(f"    {name}: int = 0\n" for name in "abcdefgh")
    text = (
        f'def fits(a):\n    """Say\n    what."""\n{body}def long(a):\n{body}    y = 2\n'
        f"class A:\n    def __init__(self, {many}): ...\n    def seven(self, {many[:-3]}): ...\n"
        f"@dataclass(frozen=True)\nclass Settings:\n{fields}"
        f"@dataclass\nclass Record:\n    z: int\n{fields}"
    )
    assert find_larger(text, "m") == {"m: long", "m: __init__", "m: Settings"}
    assert find_larger("x = 1\n" * 401, "m") == {"m"}
    assert not find_larger("x = 1\n" * 400, "m")
