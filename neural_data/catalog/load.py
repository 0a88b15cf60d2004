"""Reading the fetched files of a public data set as a recording and the images shown."""

from __future__ import annotations

import os
from pathlib import Path

import xarray as xr

from neural_data.catalog.entries import Dataset, find_dataset
from neural_data.errors import RecordingError, format_names
from neural_data.formats.brainio.reader import open_brainio, read_brainio
from neural_data.formats.brainio.stimuli import read_brainio_stimuli
from neural_data.formats.cowley2023 import read_cowley2023
from neural_data.formats.kriegeskorte2008 import read_kriegeskorte2008


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
    folder = Path(folder)
    if dataset.format == "cowley2023":
        chosen = _choose_session(dataset, folder, session)
        return read_cowley2023(folder, chosen, per_repetition=per_repetition)
    if session is not None:
        raise RecordingError(
            f"session is {session!r}, but {dataset.name} has no sessions. Leave it out."
        )
    if dataset.format == "kriegeskorte2008":
        return read_kriegeskorte2008(folder)
    responses, table, images = _find_brainio(dataset, folder)
    recording = read_brainio(
        responses, stimuli=table, units=dataset.units, source=_name_source(dataset)
    )
    if table is None or images is None:
        return recording, None
    stimuli = read_brainio_stimuli(
        table, images, only=recording["stimulus"], size=size, source=_name_source(dataset)
    )
    return recording, stimuli


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
    if dataset.format in ("cowley2023", "kriegeskorte2008"):
        raise RecordingError(f"{dataset.name} is small: read it with load_dataset.")
    responses, table, _ = _find_brainio(dataset, Path(folder))
    return open_brainio(responses, stimuli=table, units=dataset.units, source=_name_source(dataset))


def _name_source(dataset: Dataset) -> str:
    return f"{dataset.reference} ({dataset.name})"


def _find_brainio(dataset: Dataset, folder: Path) -> tuple[Path, Path | None, Path | None]:
    """Find the responses, and the table and the images of the stimuli if they are there."""
    if dataset.format != "brainio":
        raise RecordingError(f"{dataset.name} is no recording. {' '.join(dataset.oddities)}")
    paths = {file.kind: folder / file.name for file in dataset.files}
    responses = paths["responses"]
    if not responses.is_file():
        raise FileNotFoundError(
            f"There is no {responses.name} in {folder}. Fetch it first: "
            f"fetch_dataset({dataset.name!r}, to={os.fspath(folder)!r})."
        )
    table, images = paths.get("stimulus table"), paths.get("images")
    return (
        responses,
        table if table is not None and table.is_file() else None,
        images if images is not None and images.is_file() else None,
    )


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
