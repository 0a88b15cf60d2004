"""What an evaluation said: kept for the log of its attempt, instead of being shown somewhere."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from brainguided.journal.attempts import Attempt, Timing

_LONGEST = 2**16  # characters, the last ones
_logger = logging.getLogger("brainguided")


@contextmanager
def capture_output(wanted: bool) -> Iterator[io.StringIO]:
    """Collect what is printed and logged meanwhile.

    Output is redirected only in the main thread of a process, and only where `wanted`, as it
    belongs to all threads. What is logged is collected in any case.
    """
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
    mine = threading.get_ident()
    handler.addFilter(lambda record: record.thread == mine)
    level = _logger.level
    with ExitStack() as stack:
        if wanted and threading.current_thread() is threading.main_thread():
            stack.enter_context(redirect_stdout(text))
            stack.enter_context(redirect_stderr(text))
            _logger.setLevel(logging.DEBUG)
            stack.callback(_logger.setLevel, level)
        _logger.addHandler(handler)
        stack.callback(_logger.removeHandler, handler)
        yield text


def shorten(text: str) -> str:
    """Return the end of a long text."""
    return text if len(text) <= _LONGEST else f"[...]\n{text[-_LONGEST:]}"


def write_log(folder: Path, attempt: Attempt, timing: Timing | None, text: str) -> Path | None:
    """Write the log of an attempt that said something or failed.

    Parameters
    ----------
    folder : Path
        Made if it is missing.

    Returns
    -------
    Path or None
        ``candidate_0000012_attempt_1.log``; None where there is nothing to say.
    """
    if not text and attempt.outcome == "done":
        return None
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"candidate_{attempt.candidate:07d}_attempt_{attempt.attempt}.log"
    head = f"outcome: {attempt.outcome} {attempt.reason}".rstrip()
    if timing is not None:
        head += f"\nhost: {timing.host} (process {timing.pid})\nseconds: {timing.seconds:.3f}"
    path.write_text(f"{head}\nseed: {attempt.seed}\n\n{text}", encoding="utf-8")
    return path
