"""Opening data of any format that is read here, told apart by what is in the file."""

from __future__ import annotations

import os
from pathlib import Path

import xarray as xr

from neural_data.errors import RecordingError
from neural_data.formats.table import FORMATS, find_function
from neural_data.storage.image_files import SUFFIXES


def open_source(path: str | os.PathLike[str]) -> tuple[str, xr.Dataset]:
    """Open data of any format that is read here, and say what they are.

    Parameters
    ----------
    path : path
        A netCDF file of this package or of BrainIO (recordings stay in their file until they
        are used); an NWB file (its spikes); a TOML file as `read_described` takes;
        ``responses_SESSION.npy`` of cowley2023, or a folder with one session of it;
        the supplementary ``.mat`` file of kriegeskorte2008, or its folder.

    Returns
    -------
    kind : {"recording", "spikes", "stimulus set", "dissimilarities"}
        What the data are.
    data : xarray.Dataset
        Checked, of the schema of its kind. Close it, or use it in a ``with`` statement.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    RecordingError
        The file is damaged, or of no format that is known here.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no file or folder {path}. Check the path.")
    for one in FORMATS:
        if one.open and one.matches(path):
            kind, data = find_function(one.open)(path)
            return kind, data
    files = path.rglob("*") if path.is_dir() else ()
    if any(file.suffix.lower() in SUFFIXES for file in files):
        raise RecordingError(
            f"{path.name} is a folder with images: make a stimulus set of it with 'brainguided "
            "import images' (neural_data.read_stimuli), and give that."
        )
    what = "is a folder with nothing in it" if path.is_dir() else "is of no format"
    known = ", ".join(one.files for one in FORMATS if one.files)
    raise RecordingError(f"{path.name} {what} that is read here; expected {known}.")
