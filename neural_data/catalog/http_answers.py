"""Asking a server for a file, or for the rest of it."""

from __future__ import annotations

from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from urllib.error import HTTPError, URLError

TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Source:
    """What the data so far are the beginning of."""

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
        See `neural_data.catalog.downloads.download_part`.
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
