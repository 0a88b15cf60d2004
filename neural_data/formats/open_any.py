"""Opening data of any format that is read here, told apart by what is in the file."""

from __future__ import annotations

import os
import re
from pathlib import Path

import xarray as xr

from neural_data.errors import RecordingError, format_names
from neural_data.formats.brainio.reader import open_brainio, read_brainio_spikes
from neural_data.formats.cowley2023 import read_cowley2023
from neural_data.formats.described import read_described
from neural_data.formats.kriegeskorte2008 import FILE, read_kriegeskorte2008
from neural_data.formats.nwb.reader import read_nwb_spikes
from neural_data.model.dissimilarities import validate_dissimilarities
from neural_data.model.recording import open_recording
from neural_data.model.stimuli import validate_stimuli
from neural_data.storage.netcdf import open_netcdf, open_netcdf_lazily

_SESSION = re.compile(r"responses_(raw_)?(\d{6})")
_KNOWN = (
    "netCDF of this package or of BrainIO (.nc), NWB (.nwb), a description of arrays (.toml), "
    f"a session of cowley2023 (responses_SESSION.npy), or kriegeskorte2008 ({FILE})"
)


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
    if path.is_dir():
        return _open_folder(path)
    suffix = path.suffix.lower()
    session = _SESSION.fullmatch(path.stem)
    if suffix == ".npy" and session:
        inside = path.parent.name in ("responses_raw", "responses_repeat_averaged")
        raw = session[1] is not None or path.parent.name == "responses_raw"
        return _open_session(path.parent.parent if inside else path.parent, session[2], raw=raw)
    if suffix == ".toml":
        return "recording", read_described(path)
    if suffix == ".nwb":
        return "spikes", read_nwb_spikes(path)
    if path.name == FILE:
        return "dissimilarities", read_kriegeskorte2008(path)[0]
    if suffix in (".npy", ".npz", ".mat", ".csv"):
        raise RecordingError(
            f"{path.name} does not say what its axes are. Describe it in a small .toml file "
            "(see neural_data.read_described) and give that."
        )
    if suffix in (".nc", ".nc4", ".cdf", ".h5", ".hdf5", ""):
        return _open_netcdf(path)
    raise RecordingError(f"{path.name} is of no format that is read here; expected {_KNOWN}.")


def _open_session(folder: Path, session: str, *, raw: bool) -> tuple[str, xr.Dataset]:
    return "recording", read_cowley2023(folder, session, per_repetition=raw)[0]


def _open_folder(folder: Path) -> tuple[str, xr.Dataset]:
    if (folder / FILE).is_file():
        return "dissimilarities", read_kriegeskorte2008(folder)[0]
    found = [_SESSION.fullmatch(file.stem) for file in sorted(folder.rglob("responses_*.npy"))]
    sessions = sorted({match[2] for match in found if match})
    if len(sessions) == 1:
        only_raw = all(match[1] for match in found if match)
        return _open_session(folder, sessions[0], raw=only_raw)
    if sessions:
        raise RecordingError(
            f"{folder} has {len(sessions)} sessions of cowley2023: "
            f"{format_names(sessions, limit=60)}. Give one, as {folder}/responses_SESSION.npy."
        )
    raise RecordingError(
        f"{folder} is a folder with nothing in it that is read here; expected a file: {_KNOWN}."
    )


def _open_netcdf(path: Path) -> tuple[str, xr.Dataset]:
    with open_netcdf_lazily(path) as file:
        variables, dims = set(file.data_vars), set(file.dims)
    if "response" in variables:
        return "recording", open_recording(path)
    if "image" in variables:
        return "stimulus set", validate_stimuli(open_netcdf(path), name=path.name)
    if "dissimilarity" in variables:
        return "dissimilarities", validate_dissimilarities(open_netcdf(path), name=path.name)
    if "event" in dims:
        return "spikes", read_brainio_spikes(path)
    if dims & {"presentation", "neuroid"}:
        return "recording", open_brainio(path)
    raise RecordingError(
        f"{path.name} has the variables {format_names(variables)} over the dims "
        f"{format_names(dims)}; expected 'response', 'image' or 'dissimilarity', or the dims of "
        "BrainIO: presentation and neuroid, or event."
    )
