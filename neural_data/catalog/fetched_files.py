"""The files that were fetched: compared with their checksums, recorded where none is published."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from neural_data.errors import RecordingError, raise_problems

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RECORD = "checksums.toml"


def check_present(path: Path, expected: str | None, *, progress: bool) -> None:
    """Check a file that is there already; it is never replaced.

    Parameters
    ----------
    path : pathlib.Path
    expected : str or None
        "sha256:..." or "sha1:..."; without one the file is taken as it is.
    progress : bool
        Say so on standard error.

    Raises
    ------
    RecordingError
        The checksum is another, or it is no file.
    """
    if not path.is_file():
        raise RecordingError(f"{path} is in the way: it is no file. Give another folder.")
    if expected is not None:
        algorithm = expected.partition(":")[0]
        found = f"{algorithm}:{hash_file(path, algorithm)}"
        if found != expected:
            raise RecordingError(
                f"{path} is there but does not have its checksum: {found}, expected {expected}. It "
                "was damaged or changed: delete it to download it again, or give another folder."
            )
    if progress:
        checked = "checked" if expected is not None else "taken as it is"
        size = path.stat().st_size
        print(f"{path.name}: here already ({size:,} bytes, {checked})", file=sys.stderr)


def read_record(folder: Path) -> dict[str, dict[str, str]]:
    """Read what earlier calls recorded: by name of file, ``checksum`` and ``address``.

    Raises
    ------
    RecordingError
        The record is damaged.
    """
    path = folder / RECORD
    try:
        contents = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as cause:
        raise RecordingError(f"{path} is damaged: {cause}. Delete it.") from cause
    problems = [
        f"{name!r} has no checksum 'sha256:' and 64 hexadecimal digits"
        for name, entry in contents.items()
        if not isinstance(entry, dict) or not _is_checksum(entry.get("checksum"))
    ]
    raise_problems(f"{path} is not as it was written (delete those entries)", problems)
    return contents


def write_record(folder: Path, recorded: dict[str, dict[str, str]]) -> None:
    """Write the record, old entries and new; what is there is always a complete one."""
    lines = ["# What the files without a published checksum were when they were fetched."]
    for name, entry in sorted(recorded.items()):
        lines += ["", f"[{json.dumps(name)}]"]
        lines += [f"{key} = {json.dumps(str(value))}" for key, value in entry.items()]
    aside = folder / f".{RECORD}.part"
    aside.write_text("\n".join(lines) + "\n", encoding="utf-8")
    os.replace(aside, folder / RECORD)


def hash_file(path: Path, algorithm: str) -> str:
    """Compute the checksum of a file, in hexadecimal digits; the algorithm as hashlib names it."""
    import pooch

    return str(pooch.file_hash(str(path), alg=algorithm))


def _is_checksum(text: Any) -> bool:
    return isinstance(text, str) and re.fullmatch("sha256:[0-9a-f]{64}", text) is not None
