"""A server of files that fails when and how a test asks for it, and a catalogue of one data set."""

from __future__ import annotations

import hashlib
import http.server
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from neural_data.catalog import _downloads as downloads, entries as catalog
from neural_data.catalog.entries import Dataset, PublishedFile
from neural_data.catalog.fetch import fetch_dataset

rng = np.random.default_rng(0)
CONTENT = {name: rng.bytes(3 * 2**20 + 17) for name in ("responses.nc", "stimuli.csv")}
HALF = 2**20 + 5


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` below /data/, with the faults that a test asks for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = dict(CONTENT)
        self.requests: list[tuple[str, str | None]] = []  # path and Range of each
        self.drop_after: int | None = None
        self.ranges = True
        self.if_range = True
        self.if_ranges: list[str | None] = []
        self.validators = True
        self.chunked = False
        self.status = 200
        self.redirect: str | None = None
        self.headers: dict[str, str] = {}
        self.wrong_start = False
        self.reset = False
        self.chunk_pause: float | None = None
        self.chunk = 2**19

    def handle_error(self, *_args: object) -> None:
        """Say nothing of clients that went away."""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/data"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args: object) -> None:
        pass

    def do_GET(self) -> None:
        server, asked = self.server, self.headers.get("Range")
        server.requests.append((self.path, asked))
        server.if_ranges.append(self.headers.get("If-Range"))
        self.close_connection = True
        name = self.path.partition("?")[0].removeprefix("/data/")
        if server.redirect and not self.path.startswith("/data/moved/"):
            self.send_response(302)
            self.send_header("Location", server.redirect)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = server.content.get(name.removeprefix("moved/"))
        if content is None or server.status != 200:
            self.send_error(404 if content is None else server.status)
            return
        etag = f'"{hashlib.md5(content).hexdigest()}"'
        start = 0
        match = re.fullmatch(r"bytes=(\d+)-", asked or "")
        same = not server.if_range or self.headers.get("If-Range", etag) == etag
        if match and server.ranges and same:
            start = int(match[1])
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            first = 0 if server.wrong_start else start
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        if server.validators:
            self.send_header("ETag", etag)
        for key, value in server.headers.items():
            self.send_header(key, value)
        body = content[start:]
        if server.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if server.drop_after is not None:
            body = body[: server.drop_after]
        if server.chunked:
            self.wfile.write(b"%x\r\n" % len(body) + body + b"\r\n")
            if server.drop_after is None:
                self.wfile.write(b"0\r\n\r\n")
        elif server.chunk_pause is not None:
            for start in range(0, len(body), server.chunk):
                self.wfile.write(body[start : start + server.chunk])
                time.sleep(server.chunk_pause)
        else:
            self.wfile.write(body)
        if server.reset:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()


def checksum(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def run_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Run a server, for a fixture; the environment's proxies are not asked."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(downloads, "TIMEOUT_S", 5.0)
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def make_publish(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that makes a catalogue of one data set, Made2024, of these files."""

    def put(*files: PublishedFile, sessions: dict | None = None) -> None:
        dataset = Dataset(
            name="Made2024", title="made up", reference="Made 2024", licence="none", bibtex="@misc",
            access="public", format="brainio", files=files, sessions=sessions or {},
        )  # fmt: skip
        monkeypatch.setattr(catalog, "read_catalog", lambda: {"Made2024": dataset})

    return put


def file_of(server: Server, name: str = "responses.nc", **changes) -> PublishedFile:
    fields = {
        "name": name,
        "kind": "responses" if name.endswith("nc") else "stimulus table",
        "addresses": (f"{server.address}/{name}?versionId=null",),
        "path": name,
        "checksum": checksum(CONTENT[name]),
    }
    return PublishedFile(**(fields | changes))


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def drop_once(server: Server, folder: Path, **options) -> None:
    server.drop_after = HALF
    with pytest.raises(OSError, match="connection was lost"):
        fetch_dataset("Made2024", to=folder, progress=False, **options)
    server.drop_after = None
