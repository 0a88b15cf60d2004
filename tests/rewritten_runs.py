"""A run written as a new journal, with something changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from brainguided.journal.attempts import Attempt
from brainguided.journal.journal import Journal


def rewrite_run(
    run: Path,
    out: Path,
    *,
    config: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda config: None,
    attempt: Callable[[Attempt], Attempt | None] = lambda attempt: attempt,
) -> Path:
    """Write a run into another folder, which is returned.

    `config` changes the settings in place or returns others; of an attempt for which `attempt`
    returns None nothing is written.
    """
    with Journal.read(run) as journal:
        settings, attempts = journal.config, journal.attempts()
        timings = journal.timings_of_attempts()
    settings = config(settings) or settings
    with Journal.open(out) as journal:
        journal.begin(settings)
        for one in attempts:
            if (changed := attempt(one)) is not None:
                journal.record_attempt(changed, timings.get((one.candidate, one.attempt)))
    return out
