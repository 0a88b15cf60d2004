"""The page of a run while it is being searched, for readers who have its address.

Whoever has an account on a machine can ask any port of it, so the page is for those alone who know
the token in its address. That also keeps out pages of other origins, whose scripts could ask a
port of this machine but cannot know the token, and lets a port be forwarded under any number.
"""

from __future__ import annotations

import hmac
import logging
import os
import re
import secrets
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from brainguided.engines.output import clean
from brainguided.journal.attempts import Attempt
from brainguided.journal.journal import Journal, JournalError
from brainguided.reports._details import describe_candidate, find_logs
from brainguided.reports._figures import Drawn, draw_figures
from brainguided.reports._markup import to_json
from brainguided.reports._rewarded import Run
from brainguided.reports.page import build_page, collect_data
from brainguided.search.status import describe_status

_ALL = ("0.0.0.0", "::", "")  # every address of this machine; none that can be opened
_PAUSE = 2.0  # s between two looks at the journal, however many read
_SHARE = 10.0  # times what the last look took
_LAST = 2**16 - 1  # port
_SILENT = 30.0  # s after which a reader who says nothing is hung up on
_log = logging.getLogger(__name__)


class Watched:
    """What is known of a run that may still be searched; read again now and then.

    Parameters
    ----------
    folder : Path
        The run folder; it is only read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._next = 0.0
        self._mark, self._number = secrets.token_hex(4), 0
        self._summaries: dict[int, Any] = {}
        self._results: dict[int, Attempt] = {}
        self._run: Run | None = None
        self._data: dict[str, Any] = {}
        self._text = b""
        self.status = ""
        self._drawn: tuple[int, Drawn] = (-1, Drawn())
        self._page: tuple[int, bytes] = (-1, b"")

    @property
    def version(self) -> str:
        """Text that is another one whenever there is something new."""
        return f"{self._mark}-{self._number}"

    def read_data(self) -> tuple[str, bytes]:
        """Return the version, and what the script of the page draws from, as JSON."""
        with self._lock:
            self._look()
            return self.version, self._text

    def read_page(self) -> bytes:
        """Return the page as HTML; figures are drawn once for each version."""
        with self._lock:
            self._look()
            run = self._run
            assert run is not None
            if self._page[0] != self._number:
                drawn = draw_figures(self.folder, run.dataset, run.winner, run.config)
                self._drawn = self._number, drawn
                self._update(run)
                page = build_page(run, self.folder, drawn, self._data)
                self._page = self._number, page.encode()
            return self._page[1]

    def read_candidate(self, candidate: int) -> bytes | None:
        """Return the details of one candidate as JSON; None if there is none."""
        with self._lock:
            self._look()
            result, run = self._results.get(candidate), self._run
        if result is None or run is None:
            return None
        logs = find_logs(self.folder / "logs", candidate)
        return to_json(describe_candidate(result, run.timings, logs)).encode()

    def _look(self) -> None:
        """Read what is new, unless that was done a moment ago."""
        began = time.monotonic()
        if began < self._next:
            return
        with Journal.read(self.folder, brief=True) as journal:
            summaries, again = journal.summaries(), journal.again()
            noted = journal.confirming()
            changed = sorted(
                k for k, summary in summaries.items() if self._summaries.get(k) != summary
            )
            known = () if self._run is None else self._run.again
            if self._run is None or changed or len(again) != len(known):
                for first, number in _find_ranges(changed):
                    for attempt in journal.iterate_attempts(first, number):
                        if attempt.outcome != "lost":
                            self._results[attempt.candidate] = attempt
                self._summaries = summaries
                self._run = Run(
                    [self._results[k] for k in sorted(summaries)],
                    journal.config or {},
                    journal.seconds(),
                    journal.timings_of_attempts(),
                    journal.sessions(),
                    journal.events(),
                    journal.n_examples,
                    again=again,
                    hindered="" if noted is None else noted.sentence,
                )
                self._number += 1
                self._update(self._run)
        self.status = describe_status(self.folder)
        ended = time.monotonic()
        self._next = ended + max(_PAUSE, _SHARE * (ended - began))

    def _update(self, run: Run) -> None:
        """Make what the page draws from; RDMs for levels of chance are those last drawn."""
        data = collect_data(run, self.folder, self._drawn[1], details={})
        self._data = {**data, "live": True, "version": self.version}
        self._text = to_json(self._data).encode()


def _find_ranges(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and the length of each run of consecutive numbers."""
    for _, part in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        own = [number for _, number in part]
        yield own[0], len(own)


@dataclass(frozen=True)
class Address:
    """Where a page is served.

    Attributes
    ----------
    host : str
        Address of this machine at which it is asked.
    port : int
        0 for any that is free.

    Raises
    ------
    ValueError
        There is no such port.
    """

    host: str = "127.0.0.1"
    port: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.port <= _LAST:
            raise ValueError(
                f"The port is {self.port}, expected 1 to {_LAST}, or 0 for any that is free."
            )


class Server(ThreadingHTTPServer):
    """Server of one run folder, which it only reads.

    Parameters
    ----------
    folder : Path
        The run folder.
    address : Address
        Everybody needs the token that `url` ends with.
    """

    daemon_threads = True

    def __init__(self, folder: Path, address: Address) -> None:
        self.token = secrets.token_urlsafe(24)
        if ":" in address.host:
            self.address_family = socket.AF_INET6
        self.watched = Watched(folder)
        self._logged = ""
        try:
            super().__init__((address.host, address.port), _Handler)
        except OSError as error:
            raise OSError(
                f"The page cannot be served at {address.host}, port {address.port}: "
                f"{error.strerror or error}. Give an address of this machine and a port above "
                "1023 that is free, or none for any that is."
            ) from error

    @property
    def url(self) -> str:
        """Address to open in a browser."""
        host, port = str(self.server_address[0]), self.server_address[1]
        name = socket.gethostname() if host in _ALL else f"[{host}]" if ":" in host else host
        return f"http://{name}:{port}/?token={self.token}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what went wrong with a reader; say nothing of those that hang up."""
        error = sys.exception()
        if error is not None and not isinstance(error, ConnectionError | TimeoutError):
            self.log_fault(error)

    def log_fault(self, error: BaseException) -> None:
        """Log an error as one line, once where readers ask again and again."""
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}, line {place.lineno}"
        line = clean(f"{type(error).__name__}: {error} ({where})")
        if line != self._logged:
            self._logged = line
            _log.error("The page of %s was not sent: %s", self.watched.folder, line)


class _Handler(BaseHTTPRequestHandler):
    """Answers to one reader."""

    server: Server
    server_version, sys_version = "brainguided", ""
    protocol_version = "HTTP/1.1"
    timeout = _SILENT

    def do_GET(self) -> None:
        """Send what was asked for."""
        try:
            self._answer()
        except (ConnectionError, TimeoutError):  # the reader is gone
            self.close_connection = True
        except (JournalError, OSError) as error:
            self._send(503, f"The run cannot be read now: {error}\n".encode())
        except Exception as error:  # a bug here costs one answer, never the server
            self.server.log_fault(error)
            said = f"The page could not be made ({type(error).__name__}); see where watch runs."
            self._send(500, f"{said}\n".encode())

    do_HEAD = do_GET

    def log_message(self, format: str, *arguments: Any) -> None:
        """Write no line for each request."""

    def _answer(self) -> None:
        try:
            parts = urlsplit(self.path)
            query = parse_qs(parts.query)
        except ValueError:
            self._send(400, b"That is no address of this page.\n")
            return
        given = query.get("token", [""])[0]
        if not hmac.compare_digest(given.encode(), self.server.token.encode()):
            self._send(403, b"The token is missing or wrong: open the address as it was printed.\n")
            return
        watched = self.server.watched
        found = re.fullmatch(r"/candidate/(\d{1,15})\.json", parts.path)
        if parts.path == "/":
            self._send(200, watched.read_page(), kind="text/html; charset=utf-8")
        elif parts.path == "/data.json":
            version, text = watched.read_data()
            said = {"X-Version": version, "X-Status": quote(watched.status)}
            if query.get("known", [""])[0] == version:
                self._send(204, b"", more=said)
            else:
                self._send(200, text, kind="application/json", more=said)
        elif found and (detail := watched.read_candidate(int(found[1]))) is not None:
            self._send(200, detail, kind="application/json")
        else:
            self._send(404, b"There is no such page.\n")

    def _send(
        self, code: int, content: bytes, *, kind: str = "text/plain; charset=utf-8",
        more: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.send_response(code)
        headers = {
            "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
            "Content-Security-Policy": "frame-ancestors 'none'", **(more or {}),
        }  # fmt: skip
        if code != 204:
            headers |= {"Content-Type": kind, "Content-Length": str(len(content))}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD" and code != 204:
            self.wfile.write(content)


def open_server(out: str | os.PathLike[str], address: Address | None = None) -> Server:
    """Return a server of the page of a run; ``serve_forever()`` answers until it is stopped.

    Parameters
    ----------
    out : path
        A run folder, of a search that is running or has ended.
    address : Address, optional
        By default reached from this machine alone, at a port that is free.

    Returns
    -------
    Server
        Its ``url``, which holds the token, is to be opened in a browser.

    Raises
    ------
    FileNotFoundError
        The folder has no journal.
    JournalError
        The journal is damaged.
    OSError
        The address cannot be listened at.
    """
    folder = Path(out)
    with Journal.read(folder, brief=True):
        pass
    return Server(folder, Address() if address is None else address)
