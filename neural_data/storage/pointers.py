"""Files that stand for others which were not fetched: pointers of a repository, web pages."""

from __future__ import annotations

from pathlib import Path

from neural_data.errors import RecordingError

_POINTERS = {
    b"version https://git-lfs.github.com/spec/": ("Git LFS", "git lfs pull --include"),
    b"/annex/objects/": ("git-annex", "git annex get"),
}
_PAGES = (b"<!doctype html", b"<html")


def refuse_pointer(path: Path, content: bytes | None = None) -> None:
    """Raise RecordingError for a file, or its content, that only stands for the data."""
    if content is None:
        with path.open("rb") as file:
            content = file.read(64)
    if content.lstrip().lower().startswith(_PAGES):
        raise RecordingError(
            f"{path.name} is a web page, not the data: where it was fetched from asks to log in, "
            "or has moved it. Open it in a browser to see, and fetch the file again."
        )
    for start, (program, command) in _POINTERS.items():
        if content.startswith(start):
            raise RecordingError(
                f"{path.name} is a pointer of {program}, not the file itself, which was not "
                f"fetched: run '{command} {path.name}' in its folder."
            )
