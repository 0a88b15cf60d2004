"""Workers of a folder of jobs, and what a journal holds of what they did."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

from brainguided.controllers import RandomSearch
from brainguided.spaces import small_space

HERE = Path(__file__).parent


SERVE = (
    "import signal, sys, fake_task; from brainguided.engines.folder.worker import serve_folder;"
    # tests that were started in the background of a shell ignore it, and so would this
    "signal.signal(signal.SIGINT, signal.default_int_handler);"
    "place, name, workers, marks, failing = sys.argv[1:];"
    "serve_folder(place, fake_task.FakeTask(marks=marks, failing=int(failing)),"
    " workers=int(workers), evaluate=getattr(fake_task, name), idle=60)"
)


def start_worker(folder, evaluate="evaluate", workers=2, marks="", failing=5):
    environment = os.environ | {"PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", SERVE, str(folder), evaluate, str(workers), str(marks),
         str(failing)],
        env=environment,
        start_new_session=True,
    )  # fmt: skip


def content(folder):
    file = sqlite3.connect(folder / "journal.db")
    found = [
        file.execute(f"SELECT * FROM {table}").fetchall()
        for table in ("search", "event", "evaluation")
    ]
    file.close()
    return found


def attempt(candidate, number=1, depth=1):
    from brainguided.journal.attempts import Attempt

    architectures = RandomSearch(small_space(3), seed=0).ask(200)
    found = next(
        a for a in architectures if a.depth == depth and int(a.key[:8], 16) % 5 not in (0, 1)
    )
    return Attempt(
        candidate=candidate, attempt=number, architecture=found.to_json(), key=found.key,
        seed=7, outcome="lost",
    )  # fmt: skip
