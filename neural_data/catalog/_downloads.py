"""Downloading one file, so that an interrupted download goes on from where it stopped."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from neural_data.errors import RecordingError

TIMEOUT_S = 30.0  # without a byte
SLOWEST, WATCH_S = 1024.0, 60.0
"""A server that sends fewer bytes a second than this, over so many seconds, is given up."""


@dataclass(frozen=True)
class Source:
    """Identity of the file of which the data so far are the beginning."""

    address: str
    validator: str | None  # the ETag, or the time of the last change
    size: int | None


def request_file(address: str, already: int, source: Source | None) -> HTTPResponse:
    """Ask for a file, from byte ``already`` on if the server can do so and has the same file.

    Parameters
    ----------
    address : str
        http or https, and so is every redirection that is followed.
    already : int
        The number of bytes that are here.
    source : Source or None
        What they are of.

    Returns
    -------
    http.client.HTTPResponse
        To be closed: 206 with the rest, or 200 with all. See `continues`.

    Raises
    ------
    FileNotFoundError, PermissionError, OSError
        See `neural_data.catalog._downloads.download_part`.
    """
    from urllib import request as urllib_request

    opener = urllib_request.OpenerDirector()
    for handler in (
        urllib_request.ProxyHandler,
        urllib_request.HTTPHandler,
        urllib_request.HTTPSHandler,
        urllib_request.HTTPRedirectHandler,
        urllib_request.HTTPDefaultErrorHandler,
        urllib_request.HTTPErrorProcessor,
        urllib_request.UnknownHandler,
    ):
        opener.add_handler(handler())
    headers = {"Accept-Encoding": "identity", "User-Agent": "brainguided"}
    if already:
        headers["Range"] = f"bytes={already}-"
        if source is not None and source.validator and not source.validator.startswith("W/"):
            headers["If-Range"] = source.validator
    try:
        request = urllib_request.Request(address, headers=headers)
        response: HTTPResponse = opener.open(request, timeout=TIMEOUT_S)
    except HTTPError as cause:
        cause.close()
        if cause.code == 416 and already:
            return request_file(address, 0, None)
        raise _explain_status(cause, address) from cause
    except (URLError, HTTPException, OSError, ValueError) as cause:
        reason = getattr(cause, "reason", None) or cause
        raise OSError(
            f"{address} cannot be reached: {reason or type(cause).__name__}. Check the "
            "connection, or give a mirror that has the file."
        ) from cause
    return response


def _explain_status(cause: HTTPError, address: str) -> OSError:
    answer = f"{cause.code} {cause.reason}"
    if cause.code in (404, 410):
        return FileNotFoundError(f"{address} does not exist: the server answers {answer}.")
    if cause.code in (401, 403):
        return PermissionError(f"{address} is not given to everyone: the server answers {answer}.")
    return OSError(f"{address} cannot be had: the server answers {answer}. Try again later.")


def describe_answer(response: HTTPResponse, address: str) -> Source:
    """Say what the server is sending; ``size`` is that of the whole file."""
    headers = response.headers
    encoding = headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise OSError(
            f"{address} is sent in the encoding {encoding!r}, which was not asked for; "
            "expected the file as it is. Give a mirror."
        )
    size: int | None = None
    if response.status == 206:
        total = headers.get("Content-Range", "").rpartition("/")[2]
        size = int(total) if total.isdecimal() else None
    elif headers.get("Content-Length", "").isdecimal():
        size = int(headers["Content-Length"])
    return Source(address, headers.get("ETag") or headers.get("Last-Modified"), size)


def continues(response: HTTPResponse, already: int, source: Source | None, new: Source) -> bool:
    """Whether the answer is the rest of the same file."""
    start = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return (
        response.status == 206
        and source is not None
        and start == str(already)
        and new.validator == source.validator
        and (new.size == source.size or None in (new.size, source.size))
    )


CHUNK = 2**20


def download_part(
    address: str, part: Path, *, checked: bool, published: int | None = None, progress: bool = True
) -> None:
    """Complete a partial download, from its beginning or from where the last call stopped.

    Data that came from elsewhere, or from a file that has changed since (another ETag, time of
    change or size), are thrown away, and so are all if the server cannot send the rest alone.
    An incomplete download is left for the next call. What it is of is noted beside it, in
    ``PART.json``.

    Parameters
    ----------
    address : str
        http or https. Redirections are followed, to http and https only.
    part : pathlib.Path
        The file to write. Its folder must exist.
    checked : bool
        A checksum of the whole will be compared. Without one, data are only kept if the server
        says by ETag or time of change that it still has the same file.
    published : int or None
        The size of the file where it is known: not a byte more is kept.
    progress : bool
        Draw a bar on standard error.

    Raises
    ------
    RecordingError
        The server sends more than is published.
    FileNotFoundError
        The address does not exist (404, 410).
    PermissionError
        The server refuses to give the file (401, 403), or the folder may not be written.
    OSError
        The server cannot be reached, fails, or is slower than 1 KiB/s for a minute; the
        connection is lost; the disk is or would be full; another process is downloading the
        same file.
    """
    scheme = urlsplit(address).scheme
    if scheme not in ("http", "https"):
        raise OSError(f"{address} is no http or https address; nothing was downloaded.")
    with _open_locked(part) as file:
        already = _count_usable(file, part, address, checked=checked)
        source = _read_note(part)
        if already and source is not None and source.size == already:
            return
        response = request_file(address, already, source)
        with response:
            new = describe_answer(response, address)
            if already and not continues(response, already, source, new):
                already = 0
                if response.status == 206:
                    response.close()
                    response = request_file(address, 0, None)
                    new = describe_answer(response, address)
            with response:
                file.truncate(already)
                if not already:
                    _write_note(part, new)
                left = None if new.size is None else new.size - already
                check_room(part.parent, left, part.name)
                limit = sys.maxsize if published is None else published
                _receive(response, file, part, already, new, limit=limit, progress=progress)


def copy_part(source: Path, part: Path, *, progress: bool = True) -> None:
    """Copy a file of a mirror folder, from its beginning.

    Parameters
    ----------
    source, part : pathlib.Path
        The file to read, and the file to write.
    progress : bool
        Draw a bar on standard error.

    Raises
    ------
    OSError
        The file cannot be read, or the disk is or would be full.
    """
    with _open_locked(part) as file:
        file.truncate(0)
        _note_of(part).unlink(missing_ok=True)
        try:
            with open(source, "rb") as original:
                size = os.fstat(original.fileno()).st_size
                check_room(part.parent, size, part.name)
                with _bar(part, size, 0, progress) as bar:
                    while chunk := original.read(CHUNK):
                        _write(file, chunk, part)
                        bar.update(len(chunk))
        except PermissionError as cause:
            raise PermissionError(f"{source} may not be read: {cause.strerror}.") from cause


def check_room(folder: Path, n_bytes: int | None, name: str) -> None:
    """Raise OSError if the disk of a folder has no room for so many more bytes."""
    free = shutil.disk_usage(folder).free
    if n_bytes is not None and n_bytes > free:
        raise OSError(
            f"{name.removeprefix('.').removesuffix('.part')} needs {n_bytes:,} more bytes and the "
            f"disk of {folder} has {free:,}. Make room, or give another folder."
        )


def remove_part(part: Path) -> None:
    """Remove a partial download and the note beside it."""
    part.unlink(missing_ok=True)
    _note_of(part).unlink(missing_ok=True)


def _note_of(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _read_note(part: Path) -> Source | None:
    try:
        return Source(**json.loads(_note_of(part).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _write_note(part: Path, source: Source) -> None:
    with _explain_full_disk(part):
        _note_of(part).write_text(json.dumps(asdict(source)), encoding="utf-8")


def _open_part(part: Path) -> IO[bytes]:
    return open(part, "a+b", buffering=0)


@contextmanager
def _open_locked(part: Path) -> Iterator[IO[bytes]]:
    """Open for appending, by one process at a time where the system can lock files."""
    try:
        with _explain_full_disk(part):
            file = _open_part(part)
    except PermissionError as cause:
        raise PermissionError(f"The folder {part.parent} may not be written.") from cause
    with file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:
            pass
        except BlockingIOError as cause:
            raise OSError(
                f"{part.name} is being written by another process. Wait until that is done."
            ) from cause
        except OSError:  # a file system without locks
            pass
        yield file


def _count_usable(file: IO[bytes], part: Path, address: str, *, checked: bool) -> int:
    """Count the bytes that need not come again."""
    n_bytes = file.seek(0, os.SEEK_END)
    source = _read_note(part)
    if source is None or source.address != address:
        return 0
    if source.validator is None and not checked:
        return 0
    return n_bytes if source.size is None or n_bytes <= source.size else 0


def _receive(
    response: HTTPResponse,
    file: IO[bytes],
    part: Path,
    already: int,
    source: Source,
    *,
    limit: int,
    progress: bool,
) -> None:
    received = before = already
    since = time.monotonic()
    what, reason = "connection was lost", "it was closed"
    with _bar(part, source.size, already, progress) as bar:
        while True:
            try:
                chunk = response.read1(CHUNK)  # what has come, and no wait for a whole chunk
            except (HTTPException, OSError) as cause:
                reason, ended = str(cause) or type(cause).__name__, False
                break
            if not chunk:
                ended = source.size is None or received == source.size
                break
            received += len(chunk)
            if received > limit:
                remove_part(part)
                raise RecordingError(
                    f"{source.address} sends more than the {limit:,} bytes that are published: it "
                    "is another file. Nothing was kept; give a mirror."
                )
            _write(file, chunk, part)
            bar.update(len(chunk))
            if (seconds := time.monotonic() - since) >= WATCH_S:
                speed = (received - before) / seconds
                if speed < SLOWEST and received != source.size:
                    what, reason = "download was given up", f"{speed:.0f} bytes/s in the last while"
                    ended = False
                    break
                since, before = time.monotonic(), received
    if not ended:
        size = "an unknown number of" if source.size is None else f"{source.size:,}"
        raise OSError(
            f"The {what} after {received:,} of {size} bytes of {source.address} "
            f"({reason}). What came is kept as {part.name}: call again to go on from there."
        )


def _write(file: IO[bytes], chunk: bytes, part: Path) -> None:
    with _explain_full_disk(part):
        rest = memoryview(chunk)
        while rest:
            rest = rest[file.write(rest) :]


@contextmanager
def _explain_full_disk(part: Path) -> Iterator[None]:
    try:
        yield
    except OSError as cause:
        if cause.errno not in (errno.ENOSPC, getattr(errno, "EDQUOT", None)):
            raise
        raise OSError(
            f"The disk of {part.parent} is full. What came is kept as {part.name}: make room "
            "and call again to go on from there, or delete it."
        ) from cause


def _bar(part: Path, size: int | None, already: int, progress: bool) -> Any:
    from tqdm import tqdm

    return tqdm(
        total=size,
        initial=already,
        desc=part.name.removeprefix(".").removesuffix(".part"),
        unit="B",
        unit_scale=True,
        unit_divisor=1024,
        file=sys.stderr,
        disable=not progress,
    )
