"""Made-up runs on disk that grow, and their pages served on this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from made_runs import make_run

from brainguided.journal.journal import Journal
from brainguided.reports.live import Address, Server, open_server


@contextmanager
def serving(folder: Path, address: Address | None = None) -> Iterator[Server]:
    with open_server(folder, address) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def record(folder: Path, first: int, last: int) -> None:
    """Record made-up candidates in the journal of a folder, with its settings before the first."""
    run = make_run(last)
    with Journal.open(folder) as journal:
        if first == 0:
            journal.begin(run.config)
            journal.begin_session(workers="one")
        for result in run.results[first:]:
            journal.record_attempt(result, run.timings[result.candidate, 1])
