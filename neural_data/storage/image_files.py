"""Image files in a folder or a zip, found and read into memory without decoding."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections import Counter
from pathlib import Path, PurePosixPath

from neural_data.errors import RecordingError, format_names
from neural_data.storage.pointers import refuse_pointer

MAX_RATIO, FREE = 100, 2**30
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")


def read_image_files(images: str | os.PathLike[str]) -> dict[str, bytes]:
    """Read the image files in a folder or zip into memory, undecoded, sorted by path.

    Parameters
    ----------
    images : path
        A folder or a ``.zip``; hidden files and files of other kinds are passed over.

    Returns
    -------
    dict of str to bytes
        The contents by path relative to ``images``, with forward slashes.

    Raises
    ------
    FileNotFoundError
        There is no such folder or zip.
    RecordingError
        The zip is damaged, encrypted or has paths that climb out of it; or there are no images.
    """
    path = Path(images)
    if path.is_dir():
        found = {
            name: file
            for file in path.rglob("*")
            if _is_image(name := file.relative_to(path).as_posix()) and file.is_file()
        }
        encoded = {name: found[name].read_bytes() for name in sorted(found)}
    elif path.suffix.lower() in (".npy", ".npz", ".mat", ".h5", ".hdf5", ".csv"):
        raise RecordingError(
            f"{path.name} holds arrays, and what their axes are is not known; expected a folder or "
            "zip of images. Read it with neural_data.read_images, which takes the axes "
            "('brainguided import images --axes')."
        )
    elif path.exists():
        refuse_pointer(path)
        encoded = _read_zip(path)
    else:
        raise FileNotFoundError(f"There is no folder or zip file {path}. Check the path.")
    if not encoded:
        raise RecordingError(
            f"{path} has no images; expected files ending in {', '.join(SUFFIXES)}."
        )
    return encoded


def _read_zip(path: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(path) as archive:
            check_members(archive, path)
            members = {
                member.filename.replace("\\", "/"): member
                for member in archive.infolist()
                if not member.is_dir()
            }
            climbing = [name for name in members if not _stays_inside(name)]
            if climbing:
                raise RecordingError(
                    f"{path.name} has paths that lead out of it: {format_names(climbing)}. "
                    "Nothing was read; pack the images again with plain relative paths."
                )
            return {
                name: archive.read(members[name]) for name in sorted(members) if _is_image(name)
            }
    except RecordingError:
        raise
    except (
        zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, OverflowError,
        RuntimeError, ValueError,
    ) as cause:  # fmt: skip
        raise RecordingError(
            f"{path} cannot be read as a zip of images: {cause}. It is truncated, encrypted or "
            "of another format: copy or pack it again, or give a folder."
        ) from cause


def check_members(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse an archive before anything of it is unpacked.

    Raises
    ------
    RecordingError
        It has two members of one name, or unpacks to more than `MAX_RATIO` times its size.
    """
    members = archive.infolist()
    names = [member.filename.replace("\\", "/") for member in members]
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise RecordingError(
            f"{path.name} has several members of one name ({format_names(twice)}), of which only "
            "one would be read. Pack it again."
        )
    size, unpacked = path.stat().st_size, sum(member.file_size for member in members)
    if unpacked > MAX_RATIO * size + FREE:
        raise RecordingError(
            f"{path.name} is {size:,} bytes and would unpack to {unpacked:,}; expected at most "
            f"{MAX_RATIO} times as much and {FREE:,} bytes. Give a folder instead, if it is right."
        )


def strip_ending(name: str) -> str:
    """Return a name without the ending of an image file."""
    path = PurePosixPath(name)
    return str(path.with_suffix("")) if path.suffix.lower() in SUFFIXES else name


def _stays_inside(name: str) -> bool:
    parts = name.split("/")
    return ".." not in parts and not name.startswith("/") and ":" not in parts[0]


def _is_image(name: str) -> bool:
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return path.suffix.lower() in SUFFIXES and not hidden
