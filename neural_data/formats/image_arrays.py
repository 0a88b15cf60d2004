"""Reading images: an array that holds all of them, or a folder or zip of image files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from neural_data.errors import RecordingError, format_names, raise_problems
from neural_data.formats.array_files import load_array
from neural_data.formats.described_toml import read_names
from neural_data.model.schema import add_step
from neural_data.model.stimuli import DIMS, read_stimuli, validate_stimuli

AXES = ("image", "y", "x", "channel")
ARRAYS = (".npy", ".npz", ".mat", ".h5", ".hdf5")


def read_images(
    path: str | os.PathLike[str],
    *,
    table: str | os.PathLike[str] | None = None,
    size: int | None = None,
    subset: bool = False,
    axes: Sequence[str] | None = None,
    variable: str | None = None,
    source: str,
) -> xr.Dataset:
    """Read a stimulus set from a folder or zip of image files, or from an array.

    Parameters
    ----------
    path : path
        A folder or ``.zip``, see `neural_data.read_stimuli`; or a ``.npy``, ``.npz``, ``.mat`` or
        ``.h5`` that holds all images.
    table : path, optional
        Names of the images, see `neural_data.read_stimuli`; of an array in its order, a .csv with
        a column ``stimulus``, or a text file with one name a line.
    size, subset : optional
        Of image files, see `neural_data.read_stimuli`.
    axes : sequence of str, optional
        Of an array, see `read_image_array`.
    variable : str, optional
        Which array of the file, see `neural_data.load_array`.
    source : str
        Where the images come from.

    Returns
    -------
    xarray.Dataset
        A stimulus set, see `neural_data.validate_stimuli`.

    Raises
    ------
    FileNotFoundError, RecordingError
        As `read_image_array` and `neural_data.read_stimuli`; or what is given does not go with
        files, or with an array.
    """
    path = Path(path)
    array = path.is_file() and path.suffix.lower() in ARRAYS
    given = {"axes": axes, "variable": variable, "size": size, "subset": subset or None}
    unfit = [key for key in (("size", "subset") if array else ("axes", "variable")) if given[key]]
    if unfit:
        raise RecordingError(
            f"{path.name} is {'an array' if array else 'no array'}, and {format_names(unfit)} "
            f"goes only with {'image files' if array else 'an array of images'}: leave it out."
        )
    if not array:
        return read_stimuli(path, table=table, size=size, subset=subset, source=source)
    return read_image_array(path, axes=axes, names=table, variable=variable, source=source)


def read_image_array(
    path: str | os.PathLike[str],
    *,
    axes: Sequence[str] | None,
    names: str | os.PathLike[str] | None,
    variable: str | None = None,
    source: str,
) -> xr.Dataset:
    """Read a stimulus set from one array of images and a list of their names.

    Parameters
    ----------
    path : path
        A ``.npy``, ``.npz``, ``.mat`` or ``.h5``: whole numbers from 0 to 255.
    axes : sequence of str
        The axes of the array in its order: "image", "y" (rows, from the top), "x" and, for
        colours, "channel". Without channels images are grey.
    names : path
        In the order of the array: a text file with one name a line, or a .csv with a column
        ``stimulus``, whose other columns become coordinates.
    variable : str, optional
        Which array, where the file holds several.
    source : str
        Where the images come from.

    Returns
    -------
    xarray.Dataset
        A stimulus set, see `neural_data.validate_stimuli`; its history says what was read.

    Raises
    ------
    FileNotFoundError
        A file is missing.
    RecordingError
        The axes or names do not fit the array, or it holds other than whole numbers from 0 to 255.
    """
    path = Path(path)
    values = load_array(path, variable=variable)
    if axes is None or names is None:
        raise RecordingError(
            f"{path.name} holds an array of shape {values.shape}, which does not say what its axes "
            "and images are: give axes, in its order, such as --axes image y x channel, and a "
            "list of names, --table names.txt."
        )
    axes = tuple(axes)
    if path.suffix.lower() == ".mat" and values.ndim == len(axes) - 1 and axes[-1] != "x":
        values = values[..., np.newaxis]  # a last axis of length 1, which MATLAB leaves out
    problems = []
    if len(set(axes)) < len(axes) or set(axes) | {"channel"} != set(AXES):
        problems.append(f"axes are {axes}; expected 'image', 'y', 'x' and, if need be, 'channel'")
    elif len(axes) != values.ndim:
        problems.append(f"the array has shape {values.shape}; expected {len(axes)} axes: {axes}")
    problems += _check_pixels(values)
    raise_problems(f"{path.name} does not make a stimulus set", problems)
    labels = read_names(Path(names), "stimulus")
    pixels = values.astype(np.uint8)
    if "channel" not in axes:
        axes, pixels = (*axes, "channel"), pixels[..., np.newaxis]
    images = xr.Variable(axes, pixels).transpose(*AXES)
    grey = images.sizes["channel"] == 1
    pixels = np.repeat(images.values, 3, axis=-1) if grey else np.ascontiguousarray(images.values)
    if len(labels["stimulus"]) != len(pixels):
        raise RecordingError(
            f"{Path(names).name} has {len(labels['stimulus'])} names for the {len(pixels)} images "
            f"of {path.name}, whose shape is {values.shape} with the axes {axes}."
        )
    reserved = [name for name in labels if name in ("image", *DIMS[1:])]
    if reserved:
        raise RecordingError(
            f"{Path(names).name} has columns {format_names(reserved)}, the names of the image and "
            "its dims: rename them."
        )
    stimuli = xr.Dataset(
        {"image": (DIMS, pixels)},
        coords={key: ("stimulus", column) for key, column in labels.items()},
        attrs={"source": source},
    )
    said = ", ".join(f"{axis} {n}" for axis, n in zip(axes, values.shape, strict=False))
    step = f"read_image_array({path.name}): {values.dtype} ({said})"
    stimuli = add_step(stimuli, f"{step}; grey, as red, green and blue" if grey else step)
    return validate_stimuli(stimuli, name=path.name)


def _check_pixels(values: np.ndarray) -> list[str]:
    if values.dtype.kind not in "buif" or not values.size:
        return [f"the array holds {values.dtype} of shape {values.shape}; expected pixels"]
    low, high = float(values.min()), float(values.max())
    whole = values.dtype.kind != "f" or bool((values == np.floor(values)).all())
    if not (low >= 0 and high <= 255 and whole):
        hint = "; from 0 to 1, save uint8(round(255 * images))" if low >= 0 and high <= 1 else ""
        numbers = "whole numbers" if whole else "numbers"
        return [f"it holds {numbers} from {low:g} to {high:g}; expected whole ones, 0 to 255{hint}"]
    if high <= 1:
        return [f"it holds nothing but {low:g} and {high:g}; expected 0 to 255, not 0 to 1"]
    return []
