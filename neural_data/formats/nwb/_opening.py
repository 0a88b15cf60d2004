"""Opening NWB files, whatever is wrong with them told as one of our errors."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from neural_data.errors import RecordingError
from neural_data.storage.hdf5_checks import check_hdf5
from neural_data.storage.pointers import refuse_pointer


@contextmanager
def open_file(path: Path) -> Iterator[Any]:
    """Open a file; whatever goes wrong while it is read is told as one of our errors."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is not there"
        raise FileNotFoundError(f"There is no NWB file {path}: it {what}. Check the path.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of older versions and of cached schemas
        try:
            from pynwb import NWBHDF5IO
        except ImportError as cause:
            raise RecordingError(
                f"{path.name} takes the package pynwb to be read: pip install pynwb."
            ) from cause
        try:
            refuse_pointer(path)
            check_hdf5(path)
            with NWBHDF5IO(str(path), mode="r", load_namespaces=True) as io:
                yield io.read()
        except RecordingError:
            raise
        except PermissionError as cause:
            raise PermissionError(f"{path} may not be read: {cause.strerror}.") from cause
        except Exception as cause:
            raise RecordingError(
                f"{path} cannot be read as NWB ({path.stat().st_size} bytes; "
                f"{type(cause).__name__}: {cause}). It is truncated, damaged or of another "
                "format: copy or write it again."
            ) from cause
