"""What is done to images before a network sees them, explicitly and on record."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

_INTERPOLATIONS = ("bilinear", "bicubic")


@dataclass(frozen=True)
class Preprocessing:
    """Conversion of uint8 images to the input of a network.

    Images are resized (antialiased), then cropped in the centre, then scaled by
    ``(value - mean) / std`` in each channel.

    Attributes
    ----------
    size : int or None
        Pixels of the shorter side after resizing; None keeps the images' own size.
    crop : int or None
        Pixels of the square cut from the centre; None crops nothing of square images, and others
        to the largest square.
    mean, std : tuple of 3 float
        Of the red, green and blue channel, in units of 0 to 255. The default scales to -1..1, which
        is what networks built here are trained on.
    interpolation : {"bilinear", "bicubic"}
        Of resizing.

    Examples
    --------
    >>> imagenet = Preprocessing(
    ...     size=256, crop=224, mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)
    ... )
    >>> imagenet.describe()
    'resized to 256 px (bilinear), cropped to 224 px, (x - (123.675, 116.28, 103.53)) / (58.395, 57.12, 57.375)'
    """  # noqa: E501

    size: int | None = None
    crop: int | None = None
    mean: tuple[float, float, float] = (127.5, 127.5, 127.5)
    std: tuple[float, float, float] = (127.5, 127.5, 127.5)
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        problems = [
            f"{name} is {value!r}; expected a whole number of pixels, 1 or more"
            for name, value in (("size", self.size), ("crop", self.crop))
            if value is not None and (not isinstance(value, int) or value < 1)
        ]
        if not problems and self.crop is not None and (self.size or self.crop) < self.crop:
            problems.append(f"crop is {self.crop} px, more than the {self.size} px of the image")
        for name, numbers in (("mean", self.mean), ("std", self.std)):
            if len(numbers) != 3 or not np.isfinite(numbers).all():
                problems.append(f"{name} is {numbers}; expected three numbers, one a channel")
        if not problems and min(self.std) <= 0:
            problems.append(f"std is {self.std}; expected numbers above 0")
        if self.interpolation not in _INTERPOLATIONS:
            problems.append(
                f"interpolation is {self.interpolation!r}; it is one of 'bilinear', 'bicubic'"
            )
        if problems:
            raise ValueError("Not a preprocessing:" + "".join(f"\n  - {p}" for p in problems))

    def describe(self) -> str:
        """Say in one line what is done."""
        said = []
        if self.size is not None:
            said.append(f"resized to {self.size} px ({self.interpolation})")
        if self.crop is not None:
            said.append(f"cropped to {self.crop} px")
        return ", ".join([*said, f"(x - {_say(self.mean)}) / {_say(self.std)}"])


def images_to_tensor(images: np.ndarray, preprocessing: Preprocessing | None = None) -> Tensor:
    """Return uint8 images as the float32 tensor that a network is given.

    Parameters
    ----------
    images : ndarray (image, y, x, channel) of uint8
        RGB images.
    preprocessing : Preprocessing, optional
        By default images keep their size and are scaled to -1..1.

    Returns
    -------
    torch.Tensor (image, channel, y, x)
        float32.

    Raises
    ------
    ValueError
        If the images are smaller than the crop.
    """
    how = Preprocessing() if preprocessing is None else preprocessing
    tensor = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()
    height, width = tensor.shape[2:]
    short = min(height, width)
    if how.size is not None and short != how.size:
        size = (round(height * how.size / short), round(width * how.size / short))
        tensor = nn.functional.interpolate(
            tensor, size=size, mode=how.interpolation, antialias=True, align_corners=False
        )
        if how.interpolation == "bicubic":
            tensor = tensor.clamp_(0, 255)
    height, width = tensor.shape[2:]
    crop = min(height, width) if how.crop is None else how.crop
    if crop > min(height, width):
        raise ValueError(
            f"Images of {height} x {width} px cannot be cropped to {crop} px: give "
            f"Preprocessing(size={crop}, ...) to enlarge them first."
        )
    top, left = (height - crop) // 2, (width - crop) // 2
    tensor = tensor[:, :, top : top + crop, left : left + crop]
    if len(set(how.mean)) == 1 and len(set(how.std)) == 1:
        return tensor.div_(how.std[0]).sub_(how.mean[0] / how.std[0]).contiguous()
    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (how.mean, how.std))
    return tensor.sub_(mean).div_(std).contiguous()


def _say(numbers: tuple[float, float, float]) -> str:
    if len(set(numbers)) == 1:
        return f"{numbers[0]:g}"
    return "(" + ", ".join(f"{n:g}" for n in numbers) + ")"
