"""What an evaluation prints and logs, collected instead of shown somewhere."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout

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


def clean(text: str, longest: int = 2000) -> str:
    """Return a text in one line, printable, and not longer than that."""
    text = " ".join(text[: 2 * longest].split())[:longest]
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def shorten(text: str) -> str:
    """Return the end of a long text, with what files and terminals should not be given escaped."""
    return escape_controls(text if len(text) <= _LONGEST else f"[...]\n{text[-_LONGEST:]}")


def escape_controls(text: str) -> str:
    """Return a text in which all that is neither printable nor a line's end or tab is escaped.

    Escape sequences, with which a file could command the terminal that shows its text, marks that
    turn the direction of writing, and halves of surrogate pairs are then plain to see.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)
