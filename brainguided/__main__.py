"""The command line. Results go to stdout, progress to stderr."""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress

from brainguided import __version__
from brainguided.commands import (
    comparisons,
    correspondences,
    exports,
    imports,
    recordings,
    replays,
    searches,
    selections,
    simulations,
    validity,
)
from brainguided.commands.options import Completion, Printable
from brainguided.commands.wording import say_as_options

_LONGEST = 1000  # characters of a line that says what is wrong


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code: 0, 1 for what the user can mend, 130 for Ctrl-C."""
    given = list(sys.argv[1:] if argv is None else argv)
    out, err = Printable(sys.stdout), Printable(sys.stderr)
    with redirect_stdout(out), redirect_stderr(err):
        arguments = build_parser().parse_args(given)
        return _run(arguments, given)


def _run(arguments: argparse.Namespace, given: Sequence[str]) -> int:
    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.WARNING)
    level = logging.WARNING if getattr(arguments, "quiet", False) else logging.INFO
    level = logging.DEBUG if getattr(arguments, "verbose", False) else level
    logging.getLogger("brainguided").setLevel(level)
    with suppress(ValueError):  # outside the main thread
        # What a cluster sends before it takes the machine away ends as Ctrl-C does
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        arguments.verb(arguments)
    except KeyboardInterrupt as stop:
        again = shlex.join(["brainguided", *given])
        print(f"{str(stop) or 'Stopped.'}\nThe same command goes on: {again}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, OSError, RuntimeError, ImportError, MemoryError) as error:
        print(f"brainguided: error: {_describe(error)}", file=sys.stderr)
        return 1
    return 0


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs, in the order in which a lab meets them."""
    parser = argparse.ArgumentParser(
        prog="brainguided",
        description="Search for network architectures whose representations resemble the brain's.",
        epilog="example:\n  brainguided demo --out demo",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"brainguided {__version__}")
    parser.add_argument(
        "--print-completion",
        action=Completion,
        choices=("bash", "zsh", "tcsh"),
        help="print what lets a shell complete verbs, options and files, and stop",
    )
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    searches.add_verbs(verbs)
    simulations.add_verbs(verbs)
    comparisons.add_verbs(verbs)
    replays.add_verbs(verbs)
    validity.add_verbs(verbs)
    imports.add_verbs(verbs)
    exports.add_verbs(verbs)
    recordings.add_verbs(verbs)
    selections.add_verbs(verbs)
    correspondences.add_verbs(verbs)
    return parser


def _describe(error: Exception) -> str:
    """Return the message of an error in words of the command line, with the file it is about."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}."
    if isinstance(error, MemoryError):
        what = f" ({error})" if str(error) else ""
        return f"there is not enough memory{what}. Give less data at a time, or more memory."
    said = say_as_options(str(error)) or type(error).__name__
    return "\n".join(_shorten(line) for line in said.splitlines())


def _shorten(line: str) -> str:
    """Leave out the middle of a long line: names and cells of a damaged file have no end."""
    if len(line) <= _LONGEST:
        return line
    left = len(line) - _LONGEST
    return f"{line[: _LONGEST // 2]} ... [{left:,} characters] ... {line[-_LONGEST // 2 :]}"


if __name__ == "__main__":
    sys.exit(main())
