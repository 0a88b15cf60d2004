"""What is installed: a wheel, built from the sources without a network."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("brainguided", "neural_data")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of the files in the wheel."""
    source, out = (tmp_path_factory.mktemp(name) for name in ("source", "wheel"))
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("pyproject.toml", "setup.cfg", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--no-index", "--wheel-dir", str(out), str(source)],
        check=True,
    )  # fmt: skip
    (built,) = out.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        return set(archive.namelist())


def test_a_wheel_holds_every_file_of_both_packages(wheel: set[str]) -> None:
    files = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in wheel if name.split("/")[0] in PACKAGES} == files
    kinds = {Path(name).suffix or Path(name).name for name in files} | {
        Path(name).name for name in files
    }
    assert {"py.typed", "__init__.pyi", "catalog.toml", ".npz"} <= kinds


def test_a_wheel_holds_nothing_but_the_packages(wheel: set[str]) -> None:
    tops = {name.split("/")[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)


def test_the_conda_recipe_asks_for_what_the_package_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    recipe = (ROOT / "recipe" / "meta.yaml").read_text("utf-8")
    run = recipe.partition("  run:\n")[2].partition("\n\n")[0]
    other = {"torch": "pytorch", "matplotlib": "matplotlib-base"}  # names of conda-forge
    asked = [re.fullmatch(r"([\w-]+)(?:\[\w+\])?(>=.*)", text) for text in project["dependencies"]]
    wanted = [f"python {project['requires-python']}"]
    wanted += [f"{other.get(m[1], m[1]).lower()} {m[2]}" for m in asked]
    assert [line.strip(" -") for line in run.splitlines()] == wanted
    assert f'version = "{project["version"]}"' in recipe
