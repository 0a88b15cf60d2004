"""Turning data of other formats into netCDF files of ours: import."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from brainguided.commands.options import (
    add_out,
    add_verb,
    refuse_existing,
    say,
)
from neural_data.formats.table import FORMATS, Format, find_format, find_function


def add_verbs(verbs: Any) -> None:
    """Add the verbs of this module to the command line."""
    about = "Turn data of a foreign format into netCDF files."
    first = FORMATS[0]
    example = f"brainguided import {first.name} {first.example}"
    one = add_verb(verbs, "import", None, example=example, about=about)
    formats = one.add_subparsers(metavar="FORMAT", required=True)
    for form in FORMATS:
        if form.read:
            _add_format(formats, form)


def _add_format(formats: Any, form: Format) -> None:
    """Add one format with its own options."""
    about = form.about
    if form.extra:
        about += f" Needs the extra: pip install 'brainguided[{form.extra}]'."
    example = f"brainguided import {form.name} {form.example}"
    more = find_function(form.more)() if form.more else ""
    one = add_verb(formats, form.name, import_data, example=example, about=about, more=more)
    one.set_defaults(format=form.name)
    one.add_argument("path", type=Path, help=form.path)
    options = [
        one.add_argument(flag, **settings).dest for flag, settings in (form.options or {}).items()
    ]
    one.set_defaults(options=options)
    add_out(one, form.gives[0], stimuli=len(form.gives) > 1)


def import_data(arguments: argparse.Namespace) -> None:
    """Read data by the function of their format, and save each of its parts."""
    from neural_data import save_dissimilarities, save_recording, save_stimuli

    save = {
        "recording": save_recording,
        "dissimilarities": save_dissimilarities,
        "stimulus set": save_stimuli,
    }
    form = find_format(arguments.format)
    assert form is not None
    paths = [arguments.out, getattr(arguments, "stimuli_out", None)]
    refuse_existing(arguments, *paths)
    chosen = {name: getattr(arguments, name) for name in arguments.options}
    read = find_function(form.read)(arguments.path, **chosen)
    parts = read if len(form.gives) > 1 else (read,)
    for kind, data, path in zip(form.gives, parts, paths, strict=False):
        say(str(data.attrs.get("history", "")))
        print(save[kind](data, path))
