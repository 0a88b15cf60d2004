"""Stimulus sets: the images shown and what is known of each, joined to recordings by name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import xarray as xr

from neural_data.errors import AlignmentError, RecordingError, format_names, raise_problems
from neural_data.labels import as_labels
from neural_data.model._name_differences import advise, explain_differences
from neural_data.model.image_decoding import decode, history_of
from neural_data.model.schema import check_labels, check_savable, check_source, describe_wrong_dims
from neural_data.storage.csv_tables import read_table
from neural_data.storage.image_files import read_image_files
from neural_data.storage.netcdf import open_netcdf, write_netcdf

DIMS = ("stimulus", "y", "x", "channel")
NAME_COLUMNS = ("stimulus", "stimulus_id", "image_id")


def validate_stimuli(stimuli: xr.Dataset, *, name: str = "stimuli") -> xr.Dataset:
    """Return the stimulus set itself if it follows the schema; otherwise say all that is wrong.

    Parameters
    ----------
    stimuli : xarray.Dataset
        ``image (stimulus, y, x, channel)`` : uint8 with three channels (red, green, blue).
        ``stimulus`` : unique text. Further coordinates, such as ``object_name``, ``category``
        and ``variation``, lie over stimulus. ``attrs["source"]`` says where the images are from.
    name : str
        What to call the set in the message, for instance its file name.

    Returns
    -------
    xarray.Dataset
        The same object.

    Raises
    ------
    RecordingError
        One message with a line for every problem found.
    """
    if not isinstance(stimuli, xr.Dataset):
        raise RecordingError(
            f"{name} is a {type(stimuli).__name__}; a stimulus set is an xarray.Dataset. "
            "From arrays, make one with stimuli_from_arrays(...)."
        )
    problems = []
    if "image" not in stimuli.data_vars:
        seen = format_names(stimuli.data_vars) or "none"
        problems.append(f"no variable 'image' (variables: {seen})")
    else:
        image = stimuli["image"]
        if image.dims != DIMS:
            problems.append(f"'image' has dims {image.dims}; expected {DIMS}")
        elif image.sizes["channel"] != 3:
            problems.append(
                f"'image' has {image.sizes['channel']} channels; expected 3 (red, green, blue): "
                "repeat a grey image three times"
            )
        if image.dtype != np.uint8:
            problems.append(f"'image' holds {image.dtype}; expected uint8, 0 to 255")
        if image.size == 0:
            problems.append(f"'image' is empty: its shape is {image.shape}")
    problems += check_source(stimuli)
    problems += check_labels(stimuli, "stimulus", unique=True)
    for coord in stimuli.coords:
        if coord != "stimulus" and stimuli[coord].dims not in (("stimulus",), ()):
            problems.append(describe_wrong_dims(stimuli, str(coord), "stimulus"))
        elif coord in DIMS[1:]:
            problems.append(f"coordinate {coord!r} has the name of a dim of the images: rename it")
    problems += check_savable(stimuli)
    raise_problems(f"{name} does not follow the stimulus-set schema", problems)
    return stimuli


def load_stimuli(path: str | os.PathLike[str]) -> xr.Dataset:
    """Load a stimulus set from its netCDF file into memory and check it.

    Parameters
    ----------
    path : str or path
        A file written by `save_stimuli`.

    Returns
    -------
    xarray.Dataset
        As `validate_stimuli` wants it.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    RecordingError
        The file is damaged, is no netCDF, or does not follow the schema.
    """
    return validate_stimuli(open_netcdf(path), name=Path(path).name)


def save_stimuli(stimuli: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Save a stimulus set as netCDF4; the file is complete or not there.

    Parameters
    ----------
    stimuli : xarray.Dataset
        Checked by `validate_stimuli` before anything is written.
    path : str or path
        The file to write, usually ``*.nc``. An existing file is replaced in one step.

    Returns
    -------
    pathlib.Path
        The file written.

    Raises
    ------
    RecordingError
        The stimulus set does not follow the schema.
    OSError
        The folder is missing or cannot be written, or the disk is full.
    """
    validate_stimuli(stimuli)
    return write_netcdf(stimuli, path)


def stimuli_from_arrays(
    images: Any,
    *,
    stimulus: Sequence[str],
    source: str,
    category: Sequence[str] | None = None,
    object_name: Sequence[str] | None = None,
) -> xr.Dataset:
    """Make a stimulus set from an array of images and their names.

    Parameters
    ----------
    images : uint8 array (stimulus, y, x, 3)
        RGB, 0 to 255.
    stimulus : sequence of str
        The unique name of each image, by which recordings refer to it.
    source : str
        Where the images come from.
    category, object_name : sequence of str, optional
        One for each image.

    Returns
    -------
    xarray.Dataset
        ``image (stimulus, y, x, channel)``, see `validate_stimuli`.

    Raises
    ------
    RecordingError
        One message with a line for every problem found.

    Examples
    --------
    >>> import numpy as np
    >>> from neural_data.model.stimuli import stimuli_from_arrays
    >>> stimuli = stimuli_from_arrays(np.zeros((2, 8, 8, 3), np.uint8), stimulus=["a", "b"],
    ...     source="black squares")
    >>> dict(stimuli.sizes)
    {'stimulus': 2, 'y': 8, 'x': 8, 'channel': 3}
    """
    values = np.asarray(images)
    problems = []
    if values.ndim != 4:
        problems.append(
            f"the images have shape {values.shape}; expected (stimulus, y, x, 3). A grey set: "
            "np.repeat(images[..., np.newaxis], 3, axis=-1)"
        )
    given = {"stimulus": stimulus, "category": category, "object_name": object_name}
    labels = {key: as_labels(names) for key, names in given.items() if names is not None}
    expected = values.shape[0] if values.ndim else 0
    for coord, names in labels.items():
        if names.shape != (expected,):
            problems.append(f"{coord!r} has shape {names.shape} for {expected} images")
    raise_problems("The arrays do not make a stimulus set", problems)
    stimuli = xr.Dataset(
        {"image": (DIMS, values)},
        coords={key: ("stimulus", names) for key, names in labels.items()},
        attrs={"source": source},
    )
    return validate_stimuli(stimuli, name="the stimulus set from these arrays")


def read_stimuli(
    images: str | os.PathLike[str],
    *,
    table: str | os.PathLike[str] | None = None,
    size: int | None = None,
    subset: bool = False,
    source: str,
) -> xr.Dataset:
    """Read a stimulus set from a folder or a zip file of images, with or without a table.

    Parameters
    ----------
    images : path
        A folder or a ``.zip`` of image files, searched with its subfolders. A zip is read in
        place and never unpacked.
    table : path, optional
        A CSV file with a row for each image: a column ``stimulus`` (or ``stimulus_id`` or
        ``image_id``, as BrainIO writes), if need be a column ``filename`` (the path inside
        ``images``; otherwise the file whose name without ending is the stimulus), and any
        further columns, which become coordinates over stimulus. Its order is kept. Without a
        table the stimuli are the file names without ending, sorted.
    size : int, optional
        Height and width in pixels to which every image is scaled. One that is not square is
        squashed: crop or pad it first to avoid that. Without it all images must have one size.
    subset : bool
        Pass over images without a row in the table, which otherwise are refused.
    source : str
        Where the images come from.

    Returns
    -------
    xarray.Dataset
        A stimulus set, see `validate_stimuli`. Images are turned as EXIF says; this, which were
        squashed, and colour profiles and gammas other than sRGB's, not applied, are told in
        ``attrs["history"]``.

    Raises
    ------
    FileNotFoundError
        There is no such folder, zip or table.
    RecordingError
        Images without a row, rows without an image, names used twice, images that `decode_images`
        refuses, a zip whose paths climb out of it or that unpacks to far more than it is.
    """
    encoded = read_image_files(images)
    where = Path(images).name
    stems: dict[str, list[str]] = {}
    for file in encoded:
        stems.setdefault(PurePosixPath(file).stem, []).append(file)
    coords: dict[str, np.ndarray]
    problems: list[str] = []
    if table is None:
        twice = [file for files in stems.values() if len(files) > 1 for file in files]
        if twice:
            problems.append(
                f"several files share one name without folder and ending: {format_names(twice)}; "
                "give a table with the columns stimulus and filename"
            )
        files = sorted(encoded, key=lambda file: PurePosixPath(file).stem)
        coords = {"stimulus": np.array([PurePosixPath(file).stem for file in files])}
    else:
        coords = read_table(table, key="stimulus", aliases=NAME_COLUMNS)
        files = _find_files(coords, encoded, stems, problems, subset=subset)
        reserved = [column for column in coords if column in ("image", *DIMS[1:])]
        if reserved:
            problems.append(
                f"the table has columns {format_names(reserved)}, the names of the image and its "
                "dims: rename them, for instance to 'x_position'"
            )
    raise_problems(f"The images in {where} do not make a stimulus set", problems)
    pixels, notes = decode([encoded[file] for file in files], files, size)
    stimuli = xr.Dataset(
        {"image": (DIMS, pixels)},
        coords={key: ("stimulus", values) for key, values in coords.items()},
        attrs={"source": source, **history_of(f"read_stimuli({where})", notes)},
    )
    return validate_stimuli(stimuli, name=where)


def align_stimuli(
    stimuli: xr.Dataset, names: Iterable[str] | xr.DataArray, *, name: str = "recording"
) -> xr.Dataset:
    """Put the images in the order of the given stimulus names; both must name the same stimuli.

    Parameters
    ----------
    stimuli : xarray.Dataset
        A stimulus set.
    names : sequence of str
        Stimulus names, such as ``recording["stimulus"]``.
    name : str
        What the names belong to, for the message.

    Returns
    -------
    xarray.Dataset
        The stimulus set in that order.

    Raises
    ------
    AlignmentError
        Names without image, images without name, or a name given twice: all of them at once.
    RecordingError
        The stimulus set does not follow the schema, e.g. names a stimulus twice.
    """
    validate_stimuli(stimuli, name="the images")
    have = stimuli["stimulus"].values.astype(str).tolist()
    values = names.values if isinstance(names, xr.DataArray) else list(names)
    wanted = [str(value) for value in values]
    position = {stimulus: i for i, stimulus in enumerate(have)}
    known = set(wanted)
    imageless = [stimulus for stimulus in wanted if stimulus not in position]
    unused = [stimulus for stimulus in have if stimulus not in known]
    problems = []
    if imageless:
        problems.append(
            f"{len(imageless)} of the {len(wanted)} stimuli of the {name} have no image: "
            + format_names(imageless)
        )
    if unused:
        problems.append(
            f"{len(unused)} of the {len(have)} images have no response in the {name}: "
            + format_names(unused)
        )
    explained = explain_differences(imageless, unused)
    problems += explained
    if len(known) < len(wanted):
        seen: set[str] = set()
        twice = dict.fromkeys(n for n in wanted if n in seen or seen.add(n))  # type: ignore[func-returns-value]
        problems.append(f"the {name} names stimuli twice: {format_names(twice)}")
    if problems:
        common = len(known & position.keys())
        raise AlignmentError(
            f"The {name} and the images are not about the same stimuli ({common} in common):"
            + "".join(f"\n  - {problem}" for problem in problems)
            + f"\n{advise(common, bool(explained))}"
        )
    return stimuli.isel(stimulus=[position[stimulus] for stimulus in wanted])


def decode_images(
    encoded: Sequence[bytes], *, size: int | None = None, names: Sequence[str] | None = None
) -> np.ndarray:
    """Decode image files held in memory, as JPEG or PNG, into one array.

    Parameters
    ----------
    encoded : sequence of bytes
        The contents of the image files.
    size : int, optional
        Height and width in pixels to which every image is scaled. Without it all images must
        have one size.
    names : sequence of str, optional
        What the images are called in errors, such as their paths.

    Returns
    -------
    numpy.ndarray
        uint8 (image, y, x, 3), turned as EXIF says.

    Raises
    ------
    RecordingError
        Images that cannot be read, are transparent, have more than 8 bits a channel, several
        pages or frames, or more than 67 million pixels, or differ in size.
    """
    called = [f"image {i}" for i in range(len(encoded))] if names is None else names
    return decode(encoded, called, size)[0]


def _find_files(
    coords: dict[str, np.ndarray],
    encoded: dict[str, bytes],
    stems: dict[str, list[str]],
    problems: list[str],
    *,
    subset: bool,
) -> list[str]:
    """Find the file of every row of the table; report rows without file and files without row."""
    basenames: dict[str, list[str]] = {}
    for file in encoded:
        basenames.setdefault(PurePosixPath(file).name, []).append(file)
    wanted = coords.pop("filename", coords["stimulus"]).astype(str).tolist()
    files, rowless = [], []
    for stimulus, name in zip(coords["stimulus"].tolist(), wanted, strict=True):
        candidates = [name] if name in encoded else basenames.get(name) or stems.get(name) or []
        if len(candidates) == 1:
            files.append(candidates[0])
        else:
            rowless.append(stimulus if name == stimulus else f"{stimulus} ({name})")
    unused = sorted(set(encoded) - set(files))
    if rowless:
        problems.append(
            f"{len(rowless)} of the {len(wanted)} stimuli in the table have no image of that "
            f"name, or several: {format_names(rowless)}"
        )
    if unused and not subset:
        problems.append(
            f"{len(unused)} of the {len(encoded)} images have no row in the table "
            f"({format_names(unused)}): give subset=True (--subset) to leave them out"
        )
    if len(set(files)) < len(files):
        twice = sorted({file for file in files if files.count(file) > 1})
        problems.append(f"several rows of the table name one image: {format_names(twice)}")
    return files
