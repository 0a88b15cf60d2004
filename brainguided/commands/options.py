"""What the verbs share: how one is added to the command line, and the arguments many have."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from brainguided.engines.output import escape_controls

Verb = Callable[[argparse.Namespace], None]


class Printable:
    """A stream of text whose control characters are escaped: much of it comes from files.

    Parameters
    ----------
    stream : text file
        A terminal, or what a shell puts there.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text; it may begin with a carriage return, as bars of progress do."""
        start = len(text) - len(text.lstrip("\r"))
        safe = text[:start] + escape_controls(text[start:])
        encoding = self._stream.encoding or "utf-8"
        self._stream.write(safe.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Completion(argparse.Action):
    """Prints a script by which a shell completes this command line."""

    def __call__(
        self, parser: argparse.ArgumentParser, arguments: Any, shell: Any, option: Any = None
    ) -> None:
        """Print the script of a shell; files are completed where a path is wanted."""
        try:
            import shtab
        except ImportError:
            parser.error("completion needs shtab: pip install 'brainguided[completion]'")
        waiting = [parser]
        while waiting:
            for action in waiting.pop()._actions:
                if action.type is Path:
                    action.complete = shtab.FILE  # type: ignore[attr-defined]
                if isinstance(action, argparse._SubParsersAction):
                    waiting += dict.fromkeys(action.choices.values())
        print(shtab.complete(parser, shell))
        parser.exit()


def add_verb(
    verbs: Any, name: str, function: Verb | None, *, example: str, about: str = "", more: str = ""
) -> argparse.ArgumentParser:
    """Add a verb with its help: what it does (or its docstring), more, and an example."""
    about = about or function.__doc__ or ""
    parser: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=about,
        description=about,
        epilog=(f"{more}\n\n" if more else "") + f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if function is not None:
        said = parser.add_mutually_exclusive_group()
        said.add_argument("-q", "--quiet", action="store_true", help="say nothing of progress")
        said.add_argument("-v", "--verbose", action="store_true", help="say also what went wrong")
    parser.set_defaults(verb=function)
    return parser


def add_out(parser: argparse.ArgumentParser, what: str, *, stimuli: bool = False) -> None:
    """Add the netCDF files that are written."""
    parser.add_argument("--out", type=Path, required=True, help=f"netCDF file of the {what}")
    if stimuli:
        parser.add_argument(
            "--stimuli-out", type=Path, required=True, help="netCDF file of the images"
        )
    add_overwrite(parser)


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    """Add the permission to replace files."""
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there")


def refuse_existing(arguments: argparse.Namespace, *paths: Path | None) -> None:
    """Refuse to replace files that are there, before any work, unless that was asked for.

    Raises
    ------
    FileExistsError
        All of them are named.
    """
    if arguments.overwrite:
        return
    there = [str(path) for path in paths if path is not None and path.exists()]
    if there:
        raise FileExistsError(
            f"{' and '.join(there)} {'is' if len(there) == 1 else 'are'} there already. Give "
            "another name, or --overwrite."
        )


def refuse_foreign(*paths: Path) -> None:
    """Refuse files that are to be imported first, by their endings.

    Raises
    ------
    ValueError
        The verb that makes a recording of the first is named.
    """
    from neural_data.formats.table import FORMATS

    for path in paths:
        ending = path.suffix.lower()
        names = [one.name for one in FORMATS if ending in one.suffixes and one.name != "brainio"]
        if names and path.is_file():
            raise ValueError(
                f"{path} is no netCDF file of this package: make one of it with 'brainguided "
                f"import {names[0]}'."
            )


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Add the number of processes."""
    cores = min(os.cpu_count() or 1, 8)
    parser.add_argument(
        "--workers",
        type=whole,
        default=cores,
        help="processes, one thread each (%(default)s)",
    )


def whole(text: str) -> int:
    """Read a whole number of 1 or more."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def natural(text: str) -> int:
    """Read a whole number of 0 or more."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number} is less than 0")
    return number


def gibibytes(text: str) -> float:
    """Read a number of GiB above 0."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of GiB above 0")
    return number


def check_figure(path: Path | None) -> None:
    """Refuse a figure whose path has no ending, which would be written under another name.

    Raises
    ------
    ValueError
        It has none.
    """
    if path is not None and not path.suffix:
        raise ValueError(
            f"{path} has no ending of a figure: give .png, .pdf or .svg, such as {path}.png."
        )


def say(text: str) -> None:
    """Tell the user of progress, on stderr, unless that is not wanted."""
    if logging.getLogger("brainguided").isEnabledFor(logging.INFO):
        print(text, file=sys.stderr, flush=True)
