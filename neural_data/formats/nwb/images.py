"""Images that an NWB file holds as stimuli."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import xarray as xr

from neural_data.errors import RecordingError, format_names, raise_problems
from neural_data.formats.nwb._opening import open_file
from neural_data.model.stimuli import stimuli_from_arrays


def read_nwb_images(
    path: str | os.PathLike[str], *, axes: str, container: str | None = None
) -> xr.Dataset:
    """Read the images in an NWB file as a stimulus set.

    Parameters
    ----------
    path : path
        An ``.nwb`` file with a container ``Images`` among its stimuli or their templates.
    axes : {"yx", "xy"}
        How the arrays lie: rows first, as most programs write images, or columns first, as the
        schema of NWB says. Files do not tell.
    container : str, optional
        The name of the container, if there are several.

    Returns
    -------
    xarray.Dataset
        A stimulus set, see `neural_data.validate_stimuli`; stimuli have the names of the images,
        as `read_nwb` gives them where an ``IndexSeries`` says their order.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    RecordingError
        The file is damaged or no NWB file, or holds no images or several containers (they are
        listed); images are not 8 bits grey or RGB, are transparent, or differ in size.
    """
    path = Path(path)
    if axes not in ("yx", "xy"):
        raise RecordingError(f"axes are {axes!r}; expected 'yx', rows first, or 'xy'.")
    with open_file(path) as file:
        found = {
            str(name): one
            for group in (file.stimulus_template, file.stimulus)
            for name, one in (group or {}).items()
            if type(one).__name__ == "Images"
        }
        if container is None and len(found) == 1:
            container = next(iter(found))
        if container not in found:
            raise RecordingError(
                f"{path.name} has {len(found)} containers of images "
                f"({format_names(found) or 'none'}); name one as container."
            )
        images = {
            str(name): np.asarray(one.data[:]) for name, one in found[container].images.items()
        }
        source = ", ".join(filter(None, (f"NWB file {path.name}", file.lab, file.institution)))
    problems: list[str] = []
    pixels = [_as_rgb(name, values, axes, problems) for name, values in images.items()]
    sizes = {one.shape for one in pixels}
    if len(sizes) > 1 and not problems:
        problems.append(f"they differ in size: {', '.join(map(str, sorted(sizes)))}")
    raise_problems(f"The images in {path.name} do not make a stimulus set", problems)
    return stimuli_from_arrays(np.stack(pixels), stimulus=list(images), source=source)


def _as_rgb(name: str, values: np.ndarray, axes: str, problems: list[str]) -> np.ndarray:
    """Return an image as (y, x, 3)."""
    if values.dtype != np.uint8 or values.ndim not in (2, 3) or values.shape[2:] not in (
        (), (3,), (4,),
    ):  # fmt: skip
        problems.append(
            f"{name!r} is {values.dtype} of shape {values.shape}; expected 8 bits, grey or RGB"
        )
        return values
    if values.shape[2:] == (4,) and (values[..., 3] < 255).any():
        problems.append(f"{name!r} is transparent")
    rgb = np.repeat(values[..., np.newaxis], 3, axis=2) if values.ndim == 2 else values[..., :3]
    return rgb if axes == "yx" else np.swapaxes(rgb, 0, 1)
