"""The images of a BrainIO stimulus set: a CSV table, and a folder or zip of files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import xarray as xr

from neural_data.errors import format_names, raise_problems
from neural_data.formats.brainio.files import PREFIX, translate_names
from neural_data.model.image_decoding import decode, history_of
from neural_data.model.stimuli import DIMS, validate_stimuli
from neural_data.storage.csv_tables import read_table
from neural_data.storage.image_files import read_image_files

IDS = ("stimulus_id", "image_id", "stimulus")


def read_brainio_stimuli(
    table: str | os.PathLike[str],
    images: str | os.PathLike[str],
    *,
    only: Iterable[str] | xr.DataArray | None = None,
    size: int | None = None,
    source: str | None = None,
) -> xr.Dataset:
    """Read the images of a BrainIO stimulus set, all of them or those of a recording.

    Parameters
    ----------
    table : path
        The CSV: a row for each image with ``stimulus_id`` or ``image_id``, ``filename`` (the path
        inside `images`; otherwise the file whose name without ending is the id), and further
        columns, which become coordinates. ``category_name`` becomes ``category``; a column with
        the name of a dim of the images, such as ``x``, gets ``brainio_`` in front.
    images : path
        A folder or zip. Files in it that the table does not name are passed over.
    only : sequence of str, optional
        The stimuli wanted, in this order, such as ``recording["stimulus"]``. Otherwise all of
        the table, in its order.
    size : int, optional
        Height and width in pixels to which every image is scaled.
    source : str, optional
        Where the images come from; otherwise the names of the two files.

    Returns
    -------
    xarray.Dataset
        A stimulus set, see `validate_stimuli`.

    Raises
    ------
    FileNotFoundError
        There is no such table, folder or zip.
    RecordingError
        Stimuli without a row or an image, or with several; images that cannot be read or differ
        in size.
    """
    columns = read_table(table, key="stimulus", aliases=IDS)
    encoded = read_image_files(images)
    listed = columns["stimulus"].tolist()
    row = {name: k for k, name in enumerate(listed)}
    problems = []
    if len(row) < len(listed):
        twice = dict.fromkeys(name for k, name in enumerate(listed) if row[name] != k)
        problems.append(f"the table names stimuli twice: {format_names(twice)}")
    wanted = listed if only is None else [str(name) for name in np.asarray(only).ravel()]
    rowless = [name for name in wanted if name not in row]
    if rowless:
        problems.append(
            f"{len(rowless)} of the {len(wanted)} stimuli wanted have no row in the table: "
            + format_names(rowless)
        )
    picks = [row[name] for name in wanted if name in row]
    filenames = columns.pop("filename", columns["stimulus"]).astype(str)[picks].tolist()
    files = _find_files(filenames, encoded, problems)
    raise_problems(
        f"{Path(table).name} and {Path(images).name} do not make a stimulus set", problems
    )
    pixels, notes = decode([encoded[file] for file in files], files, size)
    ours = translate_names({name: ("presentation",) for name in columns if name != "stimulus"})
    coords: dict[str, Any] = {"stimulus": ("stimulus", columns["stimulus"][picks])}
    for name, new in ours.items():
        clash = new in ("image", *DIMS[1:])
        coords[PREFIX + new if clash else new] = ("stimulus", columns[name][picks])
    stimuli = xr.Dataset(
        {"image": (DIMS, pixels)},
        coords=coords,
        attrs={
            "source": source or f"{Path(table).name} and {Path(images).name}",
            **history_of(f"read_brainio_stimuli({Path(images).name})", notes),
        },
    )
    return validate_stimuli(stimuli, name=Path(table).name)


def _find_files(names: list[str], encoded: dict[str, bytes], problems: list[str]) -> list[str]:
    """Find the one file of each name: by its path, by its name, or by its name without ending."""
    by_name: dict[str, list[str]] = {}
    by_stem: dict[str, list[str]] = {}
    for file in encoded:
        by_name.setdefault(PurePosixPath(file).name, []).append(file)
        by_stem.setdefault(PurePosixPath(file).stem, []).append(file)
    files: list[str] = []
    absent: list[str] = []
    several: list[str] = []
    for name in names:
        found = [name] if name in encoded else by_name.get(name) or by_stem.get(name) or []
        if len(found) == 1:
            files.append(found[0])
        else:
            (several if found else absent).append(name)
    if absent:
        problems.append(
            f"{len(absent)} of {len(names)} images are not there: {format_names(absent)}"
        )
    if several:
        problems.append(f"{len(several)} names fit several images: {format_names(several)}")
    return files
