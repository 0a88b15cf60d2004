"""Small images of stimuli inside figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from brainguided.rdms.labels import condition_labels
from neural_data.model.stimuli import validate_stimuli

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

PIXELS = 64


def find_thumbnails(rdms: RDMs, stimuli: xr.Dataset) -> np.ndarray:
    """Return an image (condition, y, x, channel) for each condition of RDMs.

    Raises
    ------
    ValueError
        If a condition has no image, or the stimuli lack the coordinate that the RDMs are over.
    """
    validate_stimuli(stimuli)
    by = str(rdms.descriptors.get("conditions", "stimulus"))
    if by not in stimuli.coords:
        raise ValueError(
            f"The RDMs are over {by!r}, and the stimuli have no such coordinate, only "
            f"{sorted(map(str, stimuli.coords))}."
        )
    first: dict[str, int] = {}
    for k, value in enumerate(stimuli[by].values.astype(str).tolist()):
        first.setdefault(value, k)
    labels = condition_labels(rdms)
    missing = [label for label in labels if label not in first]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(labels)} conditions have no image, e.g. {missing[:3]}: give "
            "the stimulus set that was shown."
        )
    images = stimuli["image"].isel(stimulus=[first[label] for label in labels]).values
    step = max(1, min(images.shape[1:3]) // PIXELS)
    return np.asarray(images[:, ::step, ::step])


def add_thumbnail(
    axes: Axes,
    place: Any,
    image: np.ndarray,
    *,
    side: float,
    frame: str | None = None,
) -> None:
    """Draw an image centred at a place in data coordinates; `side` in inches."""
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    zoom = side * 72 / max(image.shape[:2])
    box = AnnotationBbox(
        OffsetImage(image, zoom=zoom, interpolation="bilinear"),
        tuple(place),
        frameon=frame is not None,
        pad=0.08,
        bboxprops={"edgecolor": frame or "black", "linewidth": 0.8},
    )
    axes.add_artist(box)


def edge_thumbnails(axes: Axes, images: np.ndarray, positions: np.ndarray, size: float) -> None:
    """Draw images along the lower edge of an RDM.

    Parameters
    ----------
    axes : Axes
        With the RDM drawn by ``imshow``.
    images : ndarray (image, y, x, channel)
    positions : ndarray (image,)
        Middle of each image, in conditions.
    size : float
        Width of an image, in conditions.
    """
    number = axes.get_images()[0].get_array().shape[0]  # type: ignore[union-attr]
    height = size / number
    for image, position in zip(images, positions, strict=True):
        left = (position + 0.5 - size / 2) / number
        inset = axes.inset_axes((left, -height - 0.01, height, height))
        inset.imshow(image, aspect="auto")
        inset.set_axis_off()
