"""What the verbs share: how one is added to the command line, and the arguments many have."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Verb = Callable[[argparse.Namespace], None]


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
    parser.set_defaults(verb=function)
    return parser


def add_out(parser: argparse.ArgumentParser, what: str, *, stimuli: bool = False) -> None:
    """Add the netCDF files that are written."""
    parser.add_argument("--out", type=Path, required=True, help=f"netCDF file of the {what}")
    if stimuli:
        parser.add_argument(
            "--stimuli-out", type=Path, required=True, help="netCDF file of the images"
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


def say(text: str) -> None:
    """Tell the user of progress, on stderr."""
    print(text, file=sys.stderr, flush=True)
