"""Small text files that stand for large ones which were not fetched with their repository."""

from __future__ import annotations

from pathlib import Path

from neural_data.errors import RecordingError

_POINTERS = {
    b"version https://git-lfs.github.com/spec/": ("Git LFS", "git lfs pull --include"),
    b"/annex/objects/": ("git-annex", "git annex get"),
}


def refuse_pointer(path: Path, content: bytes | None = None) -> None:
    """Raise RecordingError for a file, or its content, that only points to the data."""
    if content is None:
        with path.open("rb") as file:
            content = file.read(64)
    for start, (program, command) in _POINTERS.items():
        if content.startswith(start):
            raise RecordingError(
                f"{path.name} is a pointer of {program}, not the file itself, which was not "
                f"fetched: run '{command} {path.name}' in its folder."
            )
