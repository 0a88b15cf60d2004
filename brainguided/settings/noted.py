"""Where the run file of a folder lies, as the driver of its search noted it there."""

from __future__ import annotations

import os
from pathlib import Path

from neural_data.storage.text_files import read_text

_FILE_NAME = "run_file.txt"


def note_run_file(run_file: Path, folder: Path) -> None:
    """Write down where the run file is, seen from a folder.

    Raises
    ------
    OSError
        The note cannot be written.
    """
    note_path(folder / _FILE_NAME, run_file)


def note_path(note: Path, target: Path) -> None:
    """Write down where something is, seen from the folder of the note, which is made.

    Raises
    ------
    OSError
        The note cannot be written.
    """
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(f"{os.path.relpath(target, note.parent)}\n", encoding="utf-8")


def find_run_file(folder: Path) -> Path:
    """Return the run file that was noted in a folder, or lies in it as RUN.toml.

    Raises
    ------
    FileNotFoundError
        There is no such folder, or nothing was noted there.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}; expected that of a search.")
    note = folder / _FILE_NAME
    if not note.is_file() and (folder / "RUN.toml").is_file():  # of a demonstration
        return folder / "RUN.toml"
    if not note.is_file():
        raise FileNotFoundError(
            f"{note} does not say where the run file is (has the search begun, or for finalists "
            "ended?); give it with --run RUN.toml."
        )
    return folder / read_text(note).strip()
