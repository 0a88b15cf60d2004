"""Notebooks executed once, for the tests and for the documentation."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "docs" / "_build" / "executed"
PACKAGES = ("brainguided", "neural_data")
INLINE = "module://matplotlib_inline.backend_inline"


def execute(path: Path) -> Any:
    """Return a notebook with its outputs, executed now or, as it stands and with the same code, before.

    Executed notebooks are kept under docs/_build, so that tests and documentation share them.
    """
    kept = KEPT / f"{path.stem}-{_digest(path)}.ipynb"
    if kept.is_file():
        return nbformat.read(kept, as_version=4)
    notebook = run(nbformat.read(path, as_version=4), path.parent)
    KEPT.mkdir(parents=True, exist_ok=True)
    for old in KEPT.glob(f"{path.stem}-*.ipynb"):
        old.unlink(missing_ok=True)
    aside = kept.with_suffix(".part")
    nbformat.write(notebook, aside)
    aside.replace(kept)
    return notebook


def run(notebook: Any, folder: Path) -> Any:
    """Execute the cells of a notebook in a folder; an error of a cell is raised."""
    before = os.environ.get("MPLBACKEND")
    os.environ["MPLBACKEND"] = INLINE  # the kernel inherits it
    try:
        where = {"metadata": {"path": str(folder)}}
        NotebookClient(notebook, timeout=600, resources=where).execute()
    finally:
        if before is None:
            del os.environ["MPLBACKEND"]
        else:
            os.environ["MPLBACKEND"] = before
    return notebook


def _digest(path: Path) -> str:
    """Return what an executed notebook depends on in this checkout, as a number."""
    digest = hashlib.sha256(path.read_bytes())
    for package in PACKAGES:
        for source in sorted((ROOT / package).rglob("*")):  # tables that come with it, too
            if source.is_file() and source.suffix != ".pyc":
                digest.update(source.read_bytes())
    return digest.hexdigest()[:16]
