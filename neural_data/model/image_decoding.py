"""Decoding image files held in memory, and saying what was done to get at their pixels."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neural_data.errors import RecordingError, format_names, raise_problems
from neural_data.storage.pointers import refuse_pointer

# Others, such as PostScript, would be handed to programs of their own.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
MAX_PIXELS = 2**26
ORIENTATION = 0x0112  # of EXIF


def decode(
    encoded: Sequence[bytes], names: Sequence[str], size: int | None
) -> tuple[np.ndarray, list[str]]:
    """Decode images into uint8 (image, y, x, 3), and list what else is to be known of them."""
    from PIL import Image, UnidentifiedImageError

    problems = []
    if size is not None and size < 1:
        raise RecordingError(f"size is {size}; expected a number of pixels, at least 1.")
    pixels: list[np.ndarray] = []
    said: dict[str, list[str]] = {}
    for content, name in zip(encoded, names, strict=True):
        refuse_pointer(Path(name), content)
        try:
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                if problem := _find_problem(image):
                    problems.append(f"{name} {problem}")
                    continue
                upright = _turn(image, name, said)
                if size is not None and upright.size != (size, size):
                    if upright.width != upright.height:
                        said.setdefault("squashed to a square", []).append(name)
                    upright = upright.resize((size, size), Image.Resampling.BICUBIC)
                pixels.append(np.asarray(upright, dtype=np.uint8))
        except UnidentifiedImageError:
            problems.append(f"{name} cannot be read as an image of {', '.join(FORMATS)}")
        except Exception as cause:  # a damaged file makes Pillow raise whatever it meets
            problems.append(f"{name} cannot be read as an image: {cause}")
    shapes: dict[tuple[int, ...], int] = {}
    for array in pixels:
        shapes[array.shape[:2]] = shapes.get(array.shape[:2], 0) + 1
    if len(shapes) > 1:
        sizes = ", ".join(f"{n} of {w} x {h}" for (h, w), n in shapes.items())
        problems.append(f"the images differ in size (width x height: {sizes}): give size=")
    if len(problems) > 8:
        problems = [*problems[:8], f"and {len(problems) - 8} more"]
    raise_problems("The images cannot be used as they are", problems)
    if not pixels:
        raise RecordingError("There are no images to decode: the list is empty.")
    return np.stack(pixels), [
        f"{what}: {len(of)} of {len(names)} images ({format_names(of, 3)})"
        for what, of in said.items()
    ]


def history_of(step: str, notes: Sequence[str]) -> dict[str, str]:
    """Return the attribute that tells of images what `decode` did to them, if anything."""
    return {"history": f"{step}: {'; '.join(notes)}"} if notes else {}


def _find_problem(image: Any) -> str | None:
    """Say why an image cannot be used, None if it can; nothing is decoded before it is bounded."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        return f"has {width} x {height} pixels; expected at most {MAX_PIXELS:,}: scale it first"
    if image.mode.startswith(("I", "F")) or _is_cut(image):
        return "has more than 8 bits a channel: save it with 8"
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        return f"holds {frames} pages or frames: save the one that was shown by itself"
    if image.has_transparency_data:
        alpha = np.asarray(image.convert("RGBA"))[..., 3]
        if (alpha < 255).any():
            return "is transparent: save it on its background"
    return None


def _is_cut(image: Any) -> bool:
    """Whether Pillow would keep but the upper 8 bits of each channel, as it does without a word."""
    for _, _, _, how in image.tile:
        layout, *rest = (how,) if isinstance(how, str) else how
        if isinstance(layout, str) and re.search(r";(16[BLNS]|12|32|48)", layout):
            return True
        if image.format == "PPM" and rest and rest[0] > 255:
            return True
    return False


def _name_profile(image: Any) -> str | None:
    """Return the name of the colour profile, None where there is none."""
    from PIL import ImageCms

    stored = image.info.get("icc_profile")
    if not stored:
        return None
    try:
        return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(stored))).strip()
    except (ImageCms.PyCMSError, OSError):
        return "unreadable"


def _turn(image: Any, name: str, said: dict[str, list[str]]) -> Any:
    """Return the image in RGB as EXIF says it is to be seen, noting this and its colours."""
    from PIL import ImageOps

    if image.getexif().get(ORIENTATION) in range(2, 9):  # 1 is upright, others mean nothing
        said.setdefault("turned as EXIF says", []).append(name)
        image = ImageOps.exif_transpose(image)
    profile = _name_profile(image)
    if profile is not None and "srgb" not in profile.lower():
        text = f"colour profile {profile!r} not applied, values as stored"
        said.setdefault(text, []).append(name)
    gamma = image.info.get("gamma")  # of a PNG, which sRGB and profiles overrule
    if gamma and profile is None and "srgb" not in image.info and abs(gamma - 1 / 2.2) > 0.01:
        said.setdefault(f"gamma {gamma:g} not applied, values as stored", []).append(name)
    if image.mode in ("CMYK", "LAB", "HSV"):
        said.setdefault(f"{image.mode} converted to RGB without a profile", []).append(name)
    return image.convert("RGB")
