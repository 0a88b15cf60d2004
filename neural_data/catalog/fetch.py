"""Fetching the files of a public data set, checked before they get their name."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neural_data.catalog._downloads import check_room, copy_part, download_part, remove_part
from neural_data.catalog.entries import Dataset, PublishedFile, find_dataset, say_elsewhere
from neural_data.errors import RecordingError, format_names, raise_problems
from neural_data.storage.aside import write_whole

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
    write_whole(folder / RECORD, "\n".join(lines) + "\n")


def hash_file(path: Path, algorithm: str) -> str:
    """Compute the checksum of a file, in hexadecimal digits; the algorithm as hashlib names it."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _is_checksum(text: Any) -> bool:
    return isinstance(text, str) and re.fullmatch("sha256:[0-9a-f]{64}", text) is not None


def fetch_dataset(
    name: str,
    *,
    to: str | os.PathLike[str] | None = None,
    mirror: str | os.PathLike[str] | None = None,
    files: str | Sequence[str] | None = None,
    unverified: bool = False,
    progress: bool = True,
) -> list[Path]:
    """Fetch the files of a data set of the catalogue; those that are there are only checked.

    A file is downloaded as ``.FILE.part``, compared with its checksum, and only then gets its
    name. A download that was interrupted goes on from where it stopped at the next call.

    Parameters
    ----------
    name : str
        Such as "MajajHong2015.public"; see `describe_datasets`.
    to : path, optional
        The folder for the files, made if need be. The default is a folder of the name of the
        data set in the current one.
    mirror : path or str, optional
        A folder, or an http or https address, that has the files below it by the same names,
        or in the same folders as where they were published. Checksums are compared all the same.
    files : str or sequence of str, optional
        Only these: names of files, kinds ("responses", "images", ...) or sessions ("210325").
        The default is all.
    unverified : bool
        Also take files of which no checksum is published. The SHA-256 of what came is written
        to ``checksums.toml`` beside them, and later calls compare with that.
    progress : bool
        Draw bars and say what is there already, on standard error.

    Returns
    -------
    list of pathlib.Path
        The files, in the order of the catalogue.

    Raises
    ------
    RecordingError
        The name is unknown; files without a checksum were asked for; a file that came or that
        was there does not have its checksum.
    FileNotFoundError
        An address or a file of the mirror does not exist.
    PermissionError
        The file is not public, or the folder may not be written.
    OSError
        The server cannot be reached or the connection is lost; the disk is or would be full.
    """
    dataset = find_dataset(name)
    if dataset.page:
        raise RecordingError(f"{dataset.name} is not fetched. {say_elsewhere(dataset)}")
    wanted = _select_files(dataset, files)
    folder = Path.cwd() / dataset.name if to is None else Path(to)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; expected a folder, or one to be made.")
    recorded = read_record(folder)
    if not unverified:
        _refuse_unverified(dataset, wanted, recorded)
    places = {file.name: _list_places(file, mirror) for file in wanted}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise OSError(
            f"The folder {folder} cannot be made: {cause.strerror}. Give another."
        ) from cause
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"The folder {folder} may not be written. Give another.")
    missing = [file for file in wanted if not (folder / file.name).exists()]
    needed = sum(file.size or 0 for file in missing)
    done = sum(_measure(folder / f".{file.name}.part") for file in missing if file.size)
    check_room(folder, max(0, needed - done), dataset.name)
    for file in wanted:
        expected = file.checksum or recorded.get(file.name, {}).get("checksum")
        path = folder / file.name
        if path.exists():
            check_present(path, expected, progress=progress)
            address = "found in the folder"
        else:
            address = _fetch_file(file, folder, places[file.name], expected, progress=progress)
        if expected is None:
            found = "sha256:" + hash_file(path, "sha256")
            recorded[file.name] = {"checksum": found, "address": address}
            write_record(folder, recorded)
    return [folder / file.name for file in wanted]


def _select_files(dataset: Dataset, files: str | Sequence[str] | None) -> list[PublishedFile]:
    if files is None:
        return list(dataset.files)
    asked = [files] if isinstance(files, str) else [str(item) for item in files]
    chosen: set[str] = set()
    problems = []
    for item in asked:
        matching = {f.name for f in dataset.files if item in (f.name, f.kind, f.session)}
        if not matching:
            problems.append(f"no file, kind of file or session {item!r}")
        chosen |= matching
    if not asked:
        problems.append("an empty list; leave it out to fetch all")
    if problems:
        kinds = dict.fromkeys(file.kind for file in dataset.files)
        problems.append(f"kinds: {format_names(kinds)}")
        if dataset.sessions:
            problems.append(f"sessions: {', '.join(dataset.sessions)}")
        else:
            problems.append(f"files: {format_names(file.name for file in dataset.files)}")
    raise_problems(f"These files of {dataset.name} cannot be chosen", problems)
    return [file for file in dataset.files if file.name in chosen]


def _refuse_unverified(
    dataset: Dataset, wanted: list[PublishedFile], recorded: dict[str, dict[str, str]]
) -> None:
    unchecked = [f.name for f in wanted if f.checksum is None and f.name not in recorded]
    if not unchecked:
        return
    checked = [file for file in dataset.files if file.checksum is not None]
    sessions = dict.fromkeys(file.session for file in checked if file.session)
    hint = f" Some files of the sessions {', '.join(sessions)} have one." if sessions else ""
    raise RecordingError(
        f"No checksum is published for {len(unchecked)} of the {len(wanted)} files of "
        f"{dataset.name} ({format_names(unchecked, limit=3)}), so that damage could not be seen."
        f"{hint} Choose other files=, or accept this with unverified=True (--unverified): what "
        f"comes is then recorded in {RECORD} and compared at later calls."
    )


def _list_places(
    file: PublishedFile, mirror: str | os.PathLike[str] | None
) -> list[str] | list[Path]:
    """List where to look for a file: addresses, or paths in a folder."""
    if mirror is None:
        return list(file.addresses)
    names = list(dict.fromkeys((file.name, file.path)))
    text = os.fspath(mirror)
    if "://" not in text:
        folder = Path(text)
        if not folder.is_dir():
            raise FileNotFoundError(
                f"The mirror {folder} is no folder. Give a folder, or an http(s) address."
            )
        return [folder / name for name in names]
    if not text.lower().startswith(("http://", "https://")):
        raise RecordingError(
            f"The mirror {text!r} is neither a folder nor an http or https address."
        )
    return [text.rstrip("/") + "/" + name for name in names]


def _fetch_file(
    file: PublishedFile,
    folder: Path,
    places: list[str] | list[Path],
    expected: str | None,
    *,
    progress: bool,
) -> str:
    """Bring a file under its name, checked; return the place it came from."""
    part = folder / f".{file.name}.part"
    place = _download_first(file, part, places, checked=expected is not None, progress=progress)
    if expected is not None:
        algorithm = expected.partition(":")[0]
        found = f"{algorithm}:{hash_file(part, algorithm)}"
        if found != expected:
            size = _measure(part)
            remove_part(part)
            known = f" (expected {file.size:,})" if file.size is not None else ""
            raise RecordingError(
                f"{file.name} does not have its checksum: {found}, expected {expected}. {place} "
                f"gave {size:,} bytes{known}: another file, a changed or a truncated one. Nothing "
                "was kept; try again, or give a mirror."
            )
    os.replace(part, folder / file.name)
    remove_part(part)
    return place


def _download_first(
    file: PublishedFile,
    part: Path,
    places: list[str] | list[Path],
    *,
    checked: bool,
    progress: bool,
) -> str:
    """Download from the first place that has the file; return the place."""
    absent = []
    for place in places:
        try:
            if isinstance(place, Path):
                if not place.is_file():
                    raise FileNotFoundError(f"There is no file {place}.")
                copy_part(place, part, progress=progress)
            else:
                download_part(place, part, checked=checked, published=file.size, progress=progress)
        except FileNotFoundError as cause:
            absent.append(str(cause))
            continue
        except PermissionError as cause:
            reason = "Give a mirror that has it."
            if file.access != "public":
                reason = (
                    f"{file.name} is given only to those with credentials for Brain-Score's "
                    "storage. Where you have it, give its folder as mirror= (--from)."
                )
            raise PermissionError(f"{cause} {reason}") from cause
        return str(place)
    _remove_empty(part)
    raise FileNotFoundError(
        f"{file.name} was not found. {' '.join(absent)} Check the address, or give a mirror that "
        "has the file."
    )


def _measure(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _remove_empty(part: Path) -> None:
    if part.exists() and not _measure(part):
        remove_part(part)
