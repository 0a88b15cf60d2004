#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox>=2024.4.15"]
# ///
"""Tasks of development: ``nox -l`` lists them, ``nox`` runs what a change has to pass."""

from __future__ import annotations

import nox

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "venv"

TESTED = ("-c", "constraints.txt")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests with the tested versions; arguments go to pytest, such as ``-m slow``."""
    session.install(*TESTED, "-e", ".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, spelling and the contracts between rooms."""
    session.install(*TESTED, "-e", ".[test]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("codespell")
    session.run("lint-imports")


@nox.session
def typing(session: nox.Session) -> None:
    """Check the types of both packages, mypy --strict."""
    session.install(*TESTED, "-e", ".[test]")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; warnings are errors."""
    session.install(*TESTED, "-e", ".[docs]")
    session.run("sphinx-build", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html")


@nox.session(default=False)
def lower_bounds(session: nox.Session) -> None:
    """Run the tests with the lowest versions that pyproject.toml declares, torch excepted."""
    project = nox.project.load_toml("pyproject.toml")["project"]
    optional = project["optional-dependencies"]
    declared = [*project["dependencies"], *optional["dask"], *optional["nwb"], *optional["optuna"]]
    lowest = [need.replace(">=", "==") for need in declared if not need.startswith("torch")]
    # Releases of matplotlib of that time use names of pyparsing that are deprecated since
    session.install("-e", ".[test]", *lowest, "pyparsing<3.2")
    harmless = ("ignore::DeprecationWarning", "ignore:numpy.ndarray size changed:RuntimeWarning")
    session.run("pytest", *(f"-W{one}" for one in harmless), *session.posargs)


if __name__ == "__main__":
    nox.main()
