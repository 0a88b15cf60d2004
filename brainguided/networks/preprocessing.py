"""What is done to images before a network sees them, explicitly and on record."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from neural_data.errors import raise_problems

_INTERPOLATIONS = ("bilinear", "bicubic")
_UNITS = ("0..255", "0..1")
_NESTED = ("pretrained_cfg", "image_processor")  # in files with more than the preprocessing


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
        Of the red, green and blue channel, in the units that `unit` says. The default scales to
        -1..1, which is what networks built here are trained on.
    interpolation : {"bilinear", "bicubic"}
        Of resizing.
    unit : {"0..255", "0..1"} or None
        Of `mean` and `std`: that of the values in the images, or values divided by 255 first, as
        torchvision, timm and Hugging Face state them. None is "0..255", and refuses numbers that
        are all at most 1, which are hardly meant so.

    Examples
    --------
    >>> imagenet = Preprocessing(
    ...     size=256, crop=224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), unit="0..1"
    ... )
    >>> imagenet.describe()
    'resized to 256 px (bilinear), cropped to 224 px, (x / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)'
    """  # noqa: E501

    size: int | None = None
    crop: int | None = None
    mean: tuple[float, float, float] = (127.5, 127.5, 127.5)
    std: tuple[float, float, float] = (127.5, 127.5, 127.5)
    interpolation: str = "bilinear"
    unit: str | None = None

    def __post_init__(self) -> None:
        problems = [
            f"{name} is {value!r}; expected a whole number of pixels, 1 or more"
            for name, value in (("size", self.size), ("crop", self.crop))
            if value is not None and (not isinstance(value, int) or value < 1)
        ]
        if not problems and self.crop is not None and (self.size or self.crop) < self.crop:
            problems.append(f"crop is {self.crop} px, more than the {self.size} px of the image")
        problems += self._check_scale()
        if self.interpolation not in _INTERPOLATIONS:
            problems.append(
                f"interpolation is {self.interpolation!r}; it is one of 'bilinear', 'bicubic'"
            )
        raise_problems("Not a preprocessing", problems, ValueError)

    def _check_scale(self) -> list[str]:
        """Return what is wrong with the means, the deviations and their unit."""
        problems = []
        for name, numbers in (("mean", self.mean), ("std", self.std)):
            if not _are_three_numbers(numbers):
                problems.append(f"{name} is {numbers!r}; expected three numbers, one a channel")
        if self.unit not in (None, *_UNITS):
            problems.append(f"unit is {self.unit!r}; it is one of '0..255', '0..1'")
        if problems:
            return problems
        if min(self.std) <= 0:
            problems.append(f"std is {self.std}; expected numbers above 0")
        largest = max(map(abs, (*self.mean, *self.std)))
        if self.unit is None and largest <= 1:
            problems.append(
                f"mean is {self.mean} and std {self.std}, in units of 0..255; numbers that are all "
                "at most 1 are usually those of images in 0..1: say unit='0..1' (or unit='0..255' "
                "if they are meant so)"
            )
        if self.unit == "0..1" and largest > 2:
            problems.append(
                f"mean is {self.mean} and std {self.std}, in units of 0..1; expected numbers of "
                "about 0 to 1, e.g. mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5) for -1..1"
            )
        return problems

    def describe(self) -> str:
        """Say in one line what is done."""
        said = []
        if self.size is not None:
            said.append(f"resized to {self.size} px ({self.interpolation})")
        if self.crop is not None:
            said.append(f"cropped to {self.crop} px")
        value = "x / 255" if self.unit == "0..1" else "x"
        return ", ".join([*said, f"({value} - {_say(self.mean)}) / {_say(self.std)}"])


def read_preprocessing(config: Mapping[str, Any]) -> Preprocessing:
    """Return the preprocessing that the published configuration of a model states.

    Understands what three libraries write, without needing any of them: timm
    (``model.pretrained_cfg`` or ``timm.data.resolve_data_config``), torchvision
    (``vars(weights.transforms())``) and Hugging Face (``preprocessor_config.json``).

    Parameters
    ----------
    config : mapping
        Of timm: ``input_size``, ``crop_pct``, ``interpolation``, ``mean``, ``std``. Of torchvision:
        ``resize_size``, ``crop_size``, ``interpolation``, ``mean``, ``std``. Of Hugging Face:
        ``size``, ``crop_size``, ``resample``, ``image_mean``, ``image_std`` and the switches
        ``do_resize``, ``do_center_crop``, ``do_rescale``, ``do_normalize``. Files that hold it as
        ``pretrained_cfg`` (timm's config.json) or ``image_processor`` are understood, too.

    Returns
    -------
    Preprocessing
        Images that are not square are cropped where the library squashes them.

    Raises
    ------
    ValueError
        If the configuration is of none of these kinds, or asks for what `Preprocessing` cannot do.

    Examples
    --------
    >>> config = {"input_size": (3, 224, 224), "crop_pct": 0.875, "interpolation": "bicubic",
    ...           "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    >>> how = read_preprocessing(config)
    >>> how.size, how.crop, how.unit
    (256, 224, '0..1')
    """
    for name in _NESTED:
        if isinstance(config.get(name), Mapping):
            config = config[name]
    known = {key: value for key, value in config.items() if value is not None}
    if "image_mean" in known or "do_rescale" in known or "do_normalize" in known:
        return _read_hugging_face(known)
    if "mean" in known and "std" in known and "input_size" in known:
        crop = _read_side("input_size", known["input_size"][-2:])
        if known.get("crop_mode", "center") not in ("center", "squash"):
            raise ValueError(
                f"crop_mode is {known['crop_mode']!r}; 'center' is what Preprocessing does."
            )
        size = math.floor(crop / known.get("crop_pct", 0.875))
    elif "mean" in known and "std" in known and "crop_size" in known:
        crop = _read_side("crop_size", known["crop_size"])
        size = _read_side("resize_size", known.get("resize_size", crop))
    else:
        raise ValueError(
            f"The configuration has the keys {sorted(map(str, known))}; expected mean and std with "
            "input_size (timm) or crop_size (torchvision), or image_mean and image_std (Hugging "
            "Face). Otherwise state it: Preprocessing(size=..., mean=..., std=..., unit='0..1')."
        )
    how = _read_interpolation(known.get("interpolation", "bilinear"))
    return Preprocessing(size, crop, tuple(known["mean"]), tuple(known["std"]), how, "0..1")


def _read_hugging_face(config: Mapping[str, Any]) -> Preprocessing:
    size = crop = None
    if config.get("do_resize", True) and "size" in config:
        size = _read_side("size", config["size"])
    if config.get("do_center_crop", False):
        crop = _read_side("crop_size", config.get("crop_size", size))
    elif size is not None and "crop_pct" in config and size < 384:  # as ConvNeXT's processor does
        size, crop = int(size / config["crop_pct"]), size
    rescaled = config.get("do_rescale", True)
    factor = config.get("rescale_factor", 1 / 255)
    if rescaled and (abs(factor * 255 - 1) > 1e-3 or config.get("rescale_offset", False)):
        raise ValueError(
            f"rescale_factor is {factor:g}{' with an offset' * bool(config.get('rescale_offset'))};"
            " expected 1 / 255 = 0.00392157. State the scale: Preprocessing(mean=..., std=...)."
        )
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if config.get("do_normalize", True):
        mean, std = tuple(config["image_mean"]), tuple(config["image_std"])
    how = _read_interpolation(config.get("resample", 2))
    unit = "0..1" if rescaled else "0..255"
    return Preprocessing(size, crop, mean, std, how, unit)


def _read_side(name: str, value: Any) -> int:
    """Return the pixels of a square side, or of the shorter one, from the ways they are written."""
    if isinstance(value, Mapping) and set(value) == {"longest_edge"}:
        raise ValueError(
            f"{name} is {dict(value)}; Preprocessing sets the shorter side: state it as "
            "{'shortest_edge': ...}, which is the same for square images."
        )
    sides = list(value.values()) if isinstance(value, Mapping) else value
    sides = list(sides) if isinstance(sides, (list, tuple)) else [sides]
    if len(set(sides)) != 1 or not isinstance(sides[0], int):
        raise ValueError(f"{name} is {value!r}; expected a square, or one number of pixels.")
    return sides[0]


def _read_interpolation(value: Any) -> str:
    """Return the name of an interpolation, also of Pillow's numbers and torchvision's members."""
    name = {2: "bilinear", 3: "bicubic"}.get(value, getattr(value, "value", value))
    if name not in _INTERPOLATIONS:
        raise ValueError(
            f"The configuration resizes by {value!r}; expected 'bilinear' or 'bicubic' (Pillow's 2 "
            "or 3). If one of these is near enough, set it in the configuration."
        )
    return str(name)


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
    scale = 255.0 if how.unit == "0..1" else 1.0
    means, deviations = ([scale * v for v in numbers] for numbers in (how.mean, how.std))
    if len(set(means)) == 1 and len(set(deviations)) == 1:
        return tensor.div_(deviations[0]).sub_(means[0] / deviations[0]).contiguous()
    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (means, deviations))
    return tensor.sub_(mean).div_(std).contiguous()


def _are_three_numbers(values: object) -> bool:
    if not isinstance(values, (tuple, list, np.ndarray)) or len(values) != 3:
        return False
    real = all(isinstance(v, (int, float, np.number)) for v in values)
    return real and bool(np.isfinite(np.array(values, dtype=float)).all())


def _say(numbers: tuple[float, float, float]) -> str:
    if len(set(numbers)) == 1:
        return f"{numbers[0]:g}"
    return "(" + ", ".join(f"{n:g}" for n in numbers) + ")"
