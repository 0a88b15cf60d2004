"""Files of weights that are damaged."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from brainguided.candidates.weight_files import pack_arrays, unpack_arrays


def test_whatever_bit_is_turned_is_an_error_of_one_kind() -> None:
    arrays = {"a": np.arange(5, dtype=np.float32), "b": np.ones((2, 2), np.float16)}
    content = pack_arrays(arrays, {"seed": 1})
    refused = 0
    for place in range(len(content)):
        for bit in range(8):
            damaged = bytearray(content)
            damaged[place] ^= 1 << bit
            try:
                unpack_arrays(bytes(damaged))
            except ValueError:
                refused += 1
    assert refused > len(content)


def test_an_archive_of_other_files_is_refused() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.npy", b"no array at all")
    with pytest.raises(ValueError, match="some are no numbers"):
        unpack_arrays(stream.getvalue())
