"""Reading parts of a chunked file without reading any chunk twice or more than is asked for."""

from __future__ import annotations

import os
from itertools import product
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

Piece = tuple[Any, slice, Any]  # places in the result, positions in the file, of these which


def read_by_chunks(variable: xr.Variable, chunks: tuple[int, ...]) -> xr.Variable:
    """Return a lazy variable that reads scattered positions chunk by chunk.

    The netCDF library reads a list of positions, or every second one, one by one, and
    decompresses a chunk again for each. Here each chunk that holds any of them is read once.

    Parameters
    ----------
    variable : xarray.Variable
        Lazily backed by an open file.
    chunks : tuple of int
        Size of the file's chunks along each dim.

    Returns
    -------
    xarray.Variable
        Lazy, with the same values; ``encoding["preferred_chunks"]`` has the chunks by dim.
    """
    wrapped = xr.Variable(
        variable.dims,
        indexing.LazilyIndexedArray(_ChunkReader(variable, chunks)),
        variable.attrs,
    )
    wrapped.encoding = {
        **variable.encoding,
        "preferred_chunks": {str(d): n for d, n in zip(variable.dims, chunks, strict=True)},
    }
    return wrapped


def find_chunks(path: str | os.PathLike[str], name: str) -> tuple[int, ...] | None:
    """Return the size of the chunks of a variable of a netCDF file along each dim.

    None where the variable lies in one piece.
    """
    import netCDF4

    with netCDF4.Dataset(os.fspath(path)) as file:
        chunks = file[name].chunking()
    return None if isinstance(chunks, str) or chunks is None else tuple(chunks)


class _ChunkReader(BackendArray):
    def __init__(self, variable: xr.Variable, chunks: tuple[int, ...]) -> None:
        self.variable = variable
        self.shape = variable.shape
        self.dtype = variable.dtype
        self.chunks = chunks

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER, self._read
        )

    def _read(self, key: tuple[Any, ...]) -> np.ndarray:
        axes = [
            _divide(k, size, chunk)
            for k, size, chunk in zip(key, self.shape, self.chunks, strict=True)
        ]
        if all(len(pieces) == 1 for pieces, _ in axes):
            values = self._read_pieces([pieces[0] for pieces, _ in axes])
        else:
            values = np.empty([length for _, length in axes], dtype=self.dtype)
            for combination in product(*(pieces for pieces, _ in axes)):
                places = [
                    np.arange(length)[piece[0]]
                    for piece, (_, length) in zip(combination, axes, strict=True)
                ]
                values[np.ix_(*places)] = self._read_pieces(list(combination))
        single = tuple(axis for axis, k in enumerate(key) if isinstance(k, int | np.integer))
        return values.squeeze(axis=single)

    def _read_pieces(self, pieces: list[Piece]) -> np.ndarray:
        values = np.asarray(self.variable[tuple(piece[1] for piece in pieces)].values)
        for axis, piece in enumerate(pieces):
            if piece[2] is not None:
                values = np.take(values, piece[2], axis=axis)
        return values


def _divide(key: Any, size: int, chunk: int) -> tuple[list[Piece], int]:
    """Divide what is asked for along one dim into pieces, one a chunk; return their length too.

    xarray hands on positions that rise and are not negative, and slices with a positive step.
    """
    if isinstance(key, slice):
        start, stop, step = key.indices(size)
        if step == 1:
            length = max(0, stop - start)
            return [(slice(0, length), slice(start, start + length), None)], length
        key = np.arange(start, stop, step)
    positions = np.atleast_1d(np.asarray(key, dtype=np.int64))
    pieces: list[Piece] = []
    numbers = positions // max(1, chunk)
    for number in np.unique(numbers):
        places = np.flatnonzero(numbers == number)
        wanted = positions[places]
        first, last = int(wanted[0]), int(wanted[-1])
        pieces.append((places, slice(first, last + 1), wanted - first))
    return pieces or [(slice(0, 0), slice(0, 0), None)], len(positions)
