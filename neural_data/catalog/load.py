"""Reading the fetched files of a public data set as a recording and the images shown."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import xarray as xr

from neural_data.catalog.entries import Dataset, find_dataset, say_elsewhere
from neural_data.errors import RecordingError, format_names
from neural_data.formats.table import Fetched, Format, find_format, find_function


def load_dataset(
    name: str,
    folder: str | os.PathLike[str],
    *,
    session: str | None = None,
    per_repetition: bool = False,
    size: int | None = None,
) -> tuple[xr.Dataset, xr.Dataset | None]:
    """Load a data set of the catalogue from the folder that its files were fetched to.

    Parameters
    ----------
    name : str
        Such as "MajajHong2015.public".
    folder : path
        See `neural_data.catalog.fetch.fetch_dataset`. Files of other data sets may be in it.
    session : str, optional
        Of cowley2023, such as "210325"; needed where the folder has several.
    per_repetition : bool
        Of cowley2023: every repetition instead of their average. The other recordings always
        have every repetition.
    size : int, optional
        Height and width in pixels to which images in BrainIO form are scaled; needed where they
        differ in size.

    Returns
    -------
    recording : xarray.Dataset
        See `validate_recording`; in memory. Of kriegeskorte2008, dissimilarities.
    stimuli : xarray.Dataset or None
        The images in the order of the recording; None where their files are not in the folder.

    Raises
    ------
    FileNotFoundError
        The files are not in the folder.
    RecordingError
        The name is unknown or is of no recording; a file is damaged.
    """
    dataset = find_dataset(name)
    form = _find_format(dataset)
    fetched = _find_files(dataset, Path(folder), session)
    asked = replace(fetched, per_repetition=per_repetition, size=size)
    data, stimuli = find_function(form.load)(asked)
    return data, stimuli


def open_dataset(name: str, folder: str | os.PathLike[str]) -> xr.Dataset:
    """Open a data set of the catalogue that is larger than memory; responses are read when used.

    Parameters
    ----------
    name : str
        One in BrainIO form, such as "MajajHong2015.temporal.public".
    folder : path
        See `neural_data.catalog.fetch.fetch_dataset`.

    Returns
    -------
    xarray.Dataset
        A recording backed by the open file: close it, or use it in a ``with`` statement.

    Raises
    ------
    FileNotFoundError
        The files are not in the folder.
    RecordingError
        The name is unknown or of a set in another form; a file is damaged.
    """
    dataset = find_dataset(name)
    form = _find_format(dataset)
    if not form.open_large:
        raise RecordingError(f"{dataset.name} is small: read it with load_dataset.")
    recording: xr.Dataset = find_function(form.open_large)(_find_files(dataset, Path(folder), None))
    return recording


def _find_format(dataset: Dataset) -> Format:
    if dataset.page:
        raise RecordingError(f"{dataset.name} has no reader. {say_elsewhere(dataset)}")
    form = find_format(dataset.format)
    if form is None or not form.load:
        raise RecordingError(f"{dataset.name} is no recording. {' '.join(dataset.oddities)}")
    return form


def _find_files(dataset: Dataset, folder: Path, session: str | None) -> Fetched:
    """Find which files are there, the responses among them."""
    if dataset.sessions:
        session = _choose_session(dataset, folder, session)
    elif session is not None:
        raise RecordingError(
            f"session is {session!r}, but {dataset.name} has no sessions. Leave it out."
        )
    paths = {f.kind: folder / f.name for f in dataset.files if f.session in (None, session)}
    first = next(iter(paths.values()))
    if not dataset.sessions and not first.is_file():
        raise FileNotFoundError(
            f"There is no {first.name} in {folder}. Fetch it first: "
            f"fetch_dataset({dataset.name!r}, to={os.fspath(folder)!r})."
        )
    present = {kind: path for kind, path in paths.items() if path.is_file()}
    source = f"{dataset.reference} ({dataset.name})"
    return Fetched(folder, present, source, dataset.units, session)


def _choose_session(dataset: Dataset, folder: Path, session: str | None) -> str:
    if session is not None:
        if str(session) not in dataset.sessions:
            raise RecordingError(
                f"{dataset.name} has no session {str(session)!r}; it has "
                f"{', '.join(dataset.sessions)}."
            )
        return str(session)
    present = dict.fromkeys(
        file.session
        for file in dataset.files
        if (folder / file.name).is_file() or (folder / file.path).is_file()
    )
    if not present:
        raise FileNotFoundError(
            f"There is no file of {dataset.name} in {folder}. Fetch some first: "
            f"fetch_dataset({dataset.name!r}, to={os.fspath(folder)!r}, files=...)."
        )
    if len(present) > 1:
        raise RecordingError(
            f"{folder} has {len(present)} sessions of {dataset.name}: "
            f"{format_names(present, limit=50)}. Choose one with session=."
        )
    return str(next(iter(present)))
