"""The page of the journal: its tables as a new journal has them, with what every column holds."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

TABLES = {
    "search": (
        "One row: the settings of the search.",
        {
            "id": "1",
            "config": "JSON: space, controller, task (images, teacher, training, reward), order, versions",
        },
    ),
    "event": (
        "What the controller was asked and told, in order: asking and telling it the same again makes it what it was.",
        {
            "seq": "number, from 1",
            "kind": "`earlier` (what it learned of another search first), `ask`, `tell`, `correct` (a failure made "
            "good), `frozen` (numbers that a reward standardises by)",
            "payload": "JSON: candidates with their architectures, or with their rewards",
        },
    ),
    "evaluation": (
        "One row for each attempt at a candidate.",
        {
            "candidate": "number, from 0",
            "attempt": "number, from 1; from 1001 for evaluations with other seeds that confirm a winner",
            "architecture": "canonical JSON",
            "key": "SHA-256 of the architecture",
            "seed": "of weights and training",
            "outcome": "`done`, `failed`, or `lost` (its worker died; it was tried again)",
            "reason": "why it failed",
            "performance": "P at the last rung, 0 to 1",
            "guidance": "TG at the last rung",
            "reward": "what the controller was told",
            "n_parameters": "of the network",
            "examples": "training images processed",
            "duplicate_of": "the earlier candidate whose results these are",
            "measurement": "JSON: for each rung P, cross-entropy, similarity of every layer to every area and "
            "control, committed similarities, shuffles",
        },
    ),
    "timing": (
        "When and where each attempt ran; apart from the results, which do not depend on it.",
        {
            "candidate": "number, from 0",
            "attempt": "number",
            "seconds": "s that it took",
            "started": "s since 1970",
            "finished": "s since 1970",
            "host": "name of the machine",
            "pid": "number of the process",
        },
    ),
    "snapshot": (
        "One row: a state of the controller, so that a search goes on without being replayed from its beginning.",
        {"id": "1", "seq": "the last event in it", "state": "JSON"},
    ),
    "session": (
        "One row for each start of the search.",
        {
            "id": "number, from 1",
            "started": "s since 1970",
            "workers": "the engine",
            "host": "name of the machine",
            "pid": "number of the process",
            "versions": "JSON: of Python and of the packages that results depend on",
        },
    ),
    "chain": (
        "One row for each change of the tables above, which binds it to all before: damage is found and named.",
        {
            "seq": "number, from 1",
            "place": "table and key of the row",
            "row": "digest of the row (BLAKE2b, 16 bytes)",
            "link": "digest of the link before, the place and the row",
        },
    ),
    "progress": (
        "One row, of no other use than to say how far a search is.",
        {
            "id": "1",
            "at": "s since 1970",
            "candidates": "that are to be evaluated",
            "running": "evaluations that run",
            "waiting": "evaluations that wait",
            "workers": "evaluations at a time",
            "digest": "of the row",
        },
    ),
    "confirming": (
        "One row, made when a search confirms its winner: how many are evaluated again.",
        {
            "id": "1",
            "number": "candidates",
            "evaluations": "of each",
            "hindered": "why no more were, where a limit was reached",
            "digest": "of the row",
        },
    ),
}


def read_tables() -> dict[str, list[tuple[str, str]]]:
    """Return the columns of every table of a journal, each with its type, as SQLite has them."""
    from brainguided.journal import Journal
    from brainguided.journal._journal_file import CONFIRMING

    with tempfile.TemporaryDirectory() as folder:
        with Journal.open(folder) as journal:
            journal.begin({})
        with closing(sqlite3.connect(Path(folder) / "journal.db")) as connection:
            connection.executescript(CONFIRMING)
            master = (
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
            )
            names = [name for (name,) in connection.execute(master)]
            return {
                name: [
                    (column, kind)
                    for _, column, kind, *_ in connection.execute(f"PRAGMA table_info({name})")
                ]
                for name in names
            }


def write_journal(path: Path) -> None:
    """Write the page of the journal's tables."""
    from brainguided.journal._journal_file import FORMAT

    page = [
        "# Tables of a journal\n",
        "`journal.db` in a run folder is an SQLite file and the record of a search: everything else in the folder",
        "is made from it. `Journal.read(folder)` opens it, also while the search runs; results are read with",
        "`journal.results()`, and as a whole with `xarray.open_dataset(folder / 'run.nc')`. This is format",
        f"{FORMAT}; earlier ones are read. Never change a row: `brainguided repair` recovers the beginning of a",
        "damaged journal.\n",
    ]
    tables = read_tables()
    for name, (said, columns) in TABLES.items():
        page += [f"## {name}\n", f"{said}\n", "| column | type | holds |", "|---|---|---|"]
        page += [f"| `{column}` | {kind} | {columns[column]} |" for column, kind in tables[name]]
        page.append("")
    path.write_text("\n".join(page), encoding="utf-8")
