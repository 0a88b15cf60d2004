"""Writing a stimulus set as BrainIO has it: a CSV table and a zip of images."""

from __future__ import annotations

import csv
import io
import os
import re
import zipfile
from pathlib import Path

import numpy as np
import xarray as xr
from PIL import Image

from neural_data.errors import format_names, raise_problems
from neural_data.formats.brainio.stimuli import read_brainio_stimuli
from neural_data.formats.brainio.writer import FILE_NAMES
from neural_data.model.stimuli import validate_stimuli
from neural_data.storage.aside import write_aside

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_DATE = (1980, 1, 1, 0, 0, 0)  # the same images give the same bytes


def write_brainio_stimuli(
    stimuli: xr.Dataset, table: str | os.PathLike[str], images: str | os.PathLike[str]
) -> list[Path]:
    """Write a stimulus set as a BrainIO table and images; `read_brainio_stimuli` restores it.

    Parameters
    ----------
    stimuli : xarray.Dataset
        A stimulus set, see `validate_stimuli`.
    table : path
        The CSV to write: a row for each image with ``stimulus_id``, ``filename`` and a column for
        each coordinate; ``category`` becomes ``category_name``.
    images : path
        The zip to write: a PNG for each image, without loss, named by its stimulus where all of
        these can be file names, and else by number.

    Returns
    -------
    list of pathlib.Path
        Table and images. They were read back and compared: images, names and coordinates are the
        same. Where images are from (``attrs``) a table cannot say.

    Raises
    ------
    RecordingError
        The set does not follow the schema, or has coordinates that a table cannot hold as they
        are: all of them are named, and nothing is written.
    OSError
        A folder is missing or cannot be written.
    """
    table, images = Path(table), Path(images)
    validate_stimuli(stimuli)
    names = stimuli["stimulus"].values.astype(str).tolist()
    distinct = len({name.lower() for name in names}) == len(names)  # on any file system
    safe = distinct and all(_SAFE.fullmatch(name) for name in names)
    width = len(str(len(names)))
    files = [f"{n if safe else f'image_{k:0{width}d}'}.png" for k, n in enumerate(names, start=1)]
    columns = [str(name) for name in stimuli.coords if name != "stimulus"]
    raise_problems(
        "The stimuli cannot be written as BrainIO",
        [
            f"coordinate {name!r} is one value for all, which a table cannot hold: leave it out"
            for name in columns
            if stimuli[name].dims != ("stimulus",)
        ],
    )
    text = _write_table(stimuli, names, files, columns)
    with write_aside(images) as aside:
        with zipfile.ZipFile(aside, "w", zipfile.ZIP_STORED) as archive:
            for file, pixels in zip(files, stimuli["image"].values, strict=True):
                archive.writestr(zipfile.ZipInfo(file, _DATE), _encode(pixels))
        with write_aside(table) as aside_table:
            aside_table.write_text(text, encoding="utf-8", newline="")
            _check(stimuli, aside_table, aside)
    return [table, images]


def _write_table(
    stimuli: xr.Dataset, names: list[str], files: list[str], columns: list[str]
) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["stimulus_id", "filename", *(FILE_NAMES.get(n, n) for n in columns)])
    values = [[_say(value) for value in stimuli[name].values.tolist()] for name in columns]
    writer.writerows(zip(names, files, *values, strict=True))
    return stream.getvalue()


def _say(value: object) -> str:
    return "" if isinstance(value, float) and value != value else str(value)


def _encode(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "PNG")
    return stream.getvalue()


def _check(stimuli: xr.Dataset, table: Path, images: Path) -> None:
    """Refuse what does not come back as it was."""
    back = read_brainio_stimuli(table, images)
    problems = []
    if set(back.coords) != set(stimuli.coords):
        changed = set(map(str, back.coords)) ^ set(map(str, stimuli.coords))
        problems.append(f"coordinates would come back under other names: {format_names(changed)}")
    for name in [str(n) for n in stimuli.coords if n in back.coords]:
        before, after = stimuli[name].values, back[name].values
        if _kind(before) != _kind(after):
            problems.append(
                f"coordinate {name!r} holds {before.dtype} and would be read back as "
                f"{after.dtype}: make it plain numbers, or text that is no number"
            )
        elif not _same(before, after):
            problems.append(f"coordinate {name!r} would be read back with other values")
    if not problems and not np.array_equal(back["image"].values, stimuli["image"].values):
        problems.append("the images would be read back with other pixels")
    raise_problems("The stimuli cannot be written as BrainIO", problems)


def _kind(values: np.ndarray) -> str:
    return {"u": "i", "U": "text", "O": "text", "T": "text"}.get(
        values.dtype.kind, values.dtype.kind
    )


def _same(before: np.ndarray, after: np.ndarray) -> bool:
    if _kind(before) == "text":
        return bool((before.astype(str) == after.astype(str)).all())
    return bool(np.array_equal(before, after, equal_nan=_kind(before) == "f"))
