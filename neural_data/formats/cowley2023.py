"""Macaque V4 responses to natural and synthetic images, of Cowley, Stan, Pillow & Smith 2023."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

import numpy as np
import xarray as xr

from neural_data.errors import RecordingError, format_names, raise_problems
from neural_data.formats.array_files import load_array
from neural_data.formats.table import Fetched
from neural_data.model.recording import recording_from_arrays
from neural_data.model.stimuli import decode_images, stimuli_from_arrays
from neural_data.storage.image_files import read_image_files

FILE = re.compile(r"responses_(raw_)?(\d{6})")
UNITS = "spikes per 100 ms"
# The animal of each month of recording (the first four digits of a session), from the table of
# sessions that comes with the data.
ANIMALS = {
    "1909": "WE",
    "2010": "PE",
    "2102": "PE",
    "2103": "PE",
    "2106": "RA",
    "2110": "RA",
    "2111": "RA",
}


def read_cowley2023(
    folder: str | os.PathLike[str], session: str, *, per_repetition: bool = False
) -> tuple[xr.Dataset, xr.Dataset]:
    """Read one session of V4 responses and the images shown in it.

    Spikes were counted in bins of 100 ms at the sites of a Utah array in V4, while the animal
    fixated and images were flashed [1]_.

    Parameters
    ----------
    folder : path
        Holds ``responses_SESSION.npy`` (averaged over repetitions) or
        ``responses_raw_SESSION.npy`` (every repetition), and ``images_SESSION.zip``; or these
        as the public repository has them, in ``responses_repeat_averaged/``,
        ``responses_raw/`` and ``images/``.
    session : str
        Six digits, year, month and day, such as "210325".
    per_repetition : bool
        Keep every repetition, NaN where an image was shown fewer times than another. Otherwise
        one repetition, the average.

    Returns
    -------
    recording : xarray.Dataset
        ``response (stimulus, repetition, site)``, spikes per 100 ms, area V4. Stimuli are
        named "SESSION_imageNNNN": each session has its own images.
    stimuli : xarray.Dataset
        The images, uint8, in the order of the recording.

    Raises
    ------
    FileNotFoundError
        A file is missing; all that were expected are listed.
    RecordingError
        A file is damaged, or the files do not belong together.

    References
    ----------
    .. [1] Cowley, Stan, Pillow & Smith (2023). Compact deep neural network models of visual
       cortex. bioRxiv 2023.11.22.568315. Data: cowleygroup/V4_compact_models.
    """
    folder = Path(folder)
    session = str(session)
    path, archive = _find_session(folder, session, per_repetition)
    values = _load_responses(path, per_repetition)
    encoded = read_image_files(archive)
    files = _sort_files(list(encoded), archive.name)
    if len(files) != values.shape[-1]:
        raise RecordingError(
            f"{path.name} has responses to {values.shape[-1]} images and {archive.name} has "
            f"{len(files)} images. They should be of the same session, unaltered."
        )
    names = [f"{session}_{PurePosixPath(file).stem}" for file in files]
    source = f"Cowley, Stan, Pillow & Smith 2023, session {session}"
    recording = recording_from_arrays(
        values.T,
        stimulus=names,
        site=[f"{session}_site{k:03d}" for k in range(1, values.shape[0] + 1)],
        area="V4",
        units=UNITS,
        source=source,
        animal=ANIMALS.get(session[:4]),
    )
    pixels = decode_images([encoded[file] for file in files], names=files)
    return recording, stimuli_from_arrays(pixels, stimulus=names, source=source)


def is_cowley2023(path: Path) -> bool:
    """Whether the path is a file of responses of a session, or a folder with some."""
    if path.is_dir():
        return bool(_list_sessions(path))
    return path.suffix.lower() == ".npy" and FILE.fullmatch(path.stem) is not None


def open_cowley2023(path: Path) -> tuple[str, xr.Dataset]:
    """Open a session by its file of responses, or the only one in a folder."""
    if path.is_dir():
        found = _list_sessions(path)
        sessions = sorted({match[2] for match in found})
        if len(sessions) > 1:
            raise RecordingError(
                f"{path} has {len(sessions)} sessions of cowley2023: "
                f"{format_names(sessions, limit=60)}. Give one, as {path}/responses_SESSION.npy."
            )
        folder, raw = path, all(match[1] for match in found)
    else:
        found = [match for match in [FILE.fullmatch(path.stem)] if match]
        inside = path.parent.name in ("responses_raw", "responses_repeat_averaged")
        raw = bool(found[0][1]) or path.parent.name == "responses_raw"
        folder = path.parent.parent if inside else path.parent
    return "recording", read_cowley2023(folder, found[0][2], per_repetition=raw)[0]


def load_cowley2023(fetched: Fetched) -> tuple[xr.Dataset, xr.Dataset]:
    """Load a session of the catalogue's data set."""
    return read_cowley2023(
        fetched.folder, str(fetched.session), per_repetition=fetched.per_repetition
    )


def _list_sessions(folder: Path) -> list[re.Match[str]]:
    matches = (FILE.fullmatch(file.stem) for file in sorted(folder.rglob("responses_*.npy")))
    return [match for match in matches if match]


def _find_session(folder: Path, session: str, per_repetition: bool) -> tuple[Path, Path]:
    if not folder.is_dir():
        raise FileNotFoundError(
            f"There is no folder {folder}. Expected one with responses_{session}.npy or "
            f"responses_raw_{session}.npy, and images_{session}.zip."
        )
    raw = [f"responses_raw_{session}.npy", f"responses_raw/responses_{session}.npy"]
    averaged = [
        f"responses_{session}.npy",
        f"responses_repeat_averaged/responses_{session}.npy",
    ]
    accepted = raw if per_repetition else averaged + raw
    archives = [f"images_{session}.zip", f"images/images_{session}.zip"]
    found = [
        next((folder / name for name in names if (folder / name).is_file()), None)
        for names in (accepted, archives)
    ]
    missing = [
        " or ".join(names)
        for names, path in zip((accepted, archives), found, strict=True)
        if path is None
    ]
    if missing:
        present = {
            match.group(1)
            for file in folder.rglob("*_??????.*")
            if (match := re.fullmatch(r"(?:responses|responses_raw|images)_(\d{6})", file.stem))
        }
        have = format_names(sorted(present), limit=10) or "none"
        hint = ""
        if per_repetition and any((folder / name).is_file() for name in averaged):
            hint = " Only averages are here for this session: per_repetition=False reads them."
        raise FileNotFoundError(
            f"Session {session!r} is not complete in {folder}: there is no "
            f"{', and no '.join(missing)}. Sessions with any file there: {have}.{hint}"
        )
    path, archive = found
    assert path is not None
    assert archive is not None
    return path, archive


def _load_responses(path: Path, per_repetition: bool) -> np.ndarray:
    """Load (site, image) or, where asked, (site, repetition, image)."""
    try:
        values = load_array(path)
    except (ValueError, OSError, EOFError) as cause:
        raise RecordingError(
            f"{path} cannot be read as a numpy array: {cause}. It is truncated or of another "
            "format: copy it again."
        ) from cause
    if not isinstance(values, np.ndarray) or values.ndim not in (2, 3) or 0 in values.shape:
        raise RecordingError(
            f"{path.name} has shape {getattr(values, 'shape', None)}; expected (sites, images) "
            "or (sites, images, repetitions)."
        )
    if values.dtype.kind not in "fiu":
        raise RecordingError(f"{path.name} holds {values.dtype}; expected numbers.")
    if values.ndim == 3:
        values = np.swapaxes(values, 1, 2).astype(np.float64)
        if not per_repetition:
            shown = ~np.isnan(values)
            counts = shown.sum(axis=1)
            total = np.where(shown, values, 0.0).sum(axis=1)
            values = np.divide(total, counts, out=np.full(total.shape, np.nan), where=counts > 0)
    elif per_repetition:
        raise RecordingError(
            f"{path.name} has shape {values.shape}, which are averages; expected every "
            "repetition as (sites, images, repetitions). Use per_repetition=False."
        )
    return values


def _sort_files(files: list[str], archive: str) -> list[str]:
    """Sort image files by the number in their name, which must run from 1 without a gap."""
    numbers: dict[int, list[str]] = {}
    unnumbered = []
    for file in files:
        match = re.search(r"(\d+)$", PurePosixPath(file).stem)
        if match is None:
            unnumbered.append(file)
        else:
            numbers.setdefault(int(match.group(1)), []).append(file)
    problems = []
    if unnumbered:
        problems.append(f"no number at the end of the name: {format_names(unnumbered)}")
    twice = [file for names in numbers.values() if len(names) > 1 for file in names]
    if twice:
        problems.append(f"one number more than once: {format_names(twice)}")
    absent = [n for n in range(1, max(numbers, default=0) + 1) if n not in numbers]
    if absent:
        problems.append(f"no image of number {format_names(absent)}")
    if 0 in numbers:
        problems.append(f"a number 0, where 1 should be the first: {numbers[0][0]!r}")
    raise_problems(f"The images in {archive} cannot be matched with responses by number", problems)
    return [numbers[n][0] for n in sorted(numbers)]
