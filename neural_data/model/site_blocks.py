"""The responses of a recording in blocks of sites, so that a large file never fills the memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from neural_data.errors import RecordingError

DIMS = ("stimulus", "repetition", "site")
ROWS_BYTES = 4 * 2**20


def iterate_sites(
    recording: xr.Dataset, *, megabytes: int = 256
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the responses in blocks of sites, in the order of the sites.

    Parameters
    ----------
    recording : xarray.Dataset
        In memory, or lazily backed by a file or by dask; a block is read when it is its turn.
    megabytes : int
        Upper size of a block in MiB. A single site is never divided.

    Yields
    ------
    slice
        The sites of the block, for use along dim ``site``.
    numpy.ndarray
        ``(stimulus, repetition, site[, time_bin])``, read-only, in the type of the recording.

    Raises
    ------
    ValueError
        `megabytes` is less than 1.
    RecordingError
        The file behind the recording cannot be read (any more).

    Examples
    --------
    >>> import numpy as np
    >>> from neural_data.model.recording import iterate_sites, recording_from_arrays
    >>> recording = recording_from_arrays(np.ones((3, 2)), stimulus=["a", "b", "c"],
    ...     site=["s1", "s2"], area="V4", units="spikes/s", source="made up")
    >>> [(sites, block.shape) for sites, block in iterate_sites(recording)]
    [(slice(0, 2, None), (3, 1, 2))]
    """
    if megabytes < 1:
        raise ValueError(f"megabytes is {megabytes}; expected at least 1.")
    response = recording["response"]
    ordered = response.transpose(*DIMS, *(d for d in response.dims if d not in DIMS))
    n_sites = ordered.sizes["site"]
    step = _count_sites(response, megabytes * 2**20)
    for start in range(0, n_sites, step):
        sites = slice(start, min(start + step, n_sites))
        try:
            block = ordered.isel(site=sites).values.view()
        except RecordingError:
            raise
        except (OSError, RuntimeError, ValueError, IndexError) as cause:
            where = response.encoding.get("source") or recording.encoding.get("source")
            raise RecordingError(
                f"The responses of sites {sites.start} to {sites.stop - 1} cannot be read from "
                f"{where or 'the file'} ({type(cause).__name__}: {cause}). The file was closed, "
                "changed or damaged: open it again, or get a sound copy."
            ) from cause
        block.flags.writeable = False
        yield sites, block


def iterate_rows(block: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield a block in pieces of stimuli that fit into the cache of a processor."""
    step = max(1, ROWS_BYTES // max(1, block[:1].nbytes))
    for start in range(0, len(block), step):
        rows = slice(start, min(start + step, len(block)))
        yield rows, block[rows]


def average_block(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average a block over the repetitions shown.

    Parameters
    ----------
    block : float array (stimulus, repetition, site[, time_bin])
        As `iterate_sites` yields it.

    Returns
    -------
    mean : numpy.ndarray
        float64 (stimulus, site[, time_bin]); NaN where nothing was shown.
    counts : numpy.ndarray
        int64 (stimulus, site), the number of repetitions averaged.
    """
    mean = np.empty((block.shape[0], *block.shape[2:]))
    counts = np.empty((block.shape[0], block.shape[2]), dtype=np.int64)
    for rows, values in iterate_rows(block):
        missing = np.isnan(values)
        shown = (~missing).sum(axis=1)
        present = np.where(missing, 0, values) if missing.any() else values
        with np.errstate(invalid="ignore"):  # infinities of both signs have no mean
            sums = present.sum(axis=1, dtype=np.float64)
        mean[rows] = np.where(shown > 0, sums / np.maximum(shown, 1), np.nan)
        counts[rows] = shown if shown.ndim == 2 else shown.min(axis=2)
    return mean, counts


def as_slice(positions: np.ndarray) -> np.ndarray | slice:
    """Return positions in an unbroken row as a slice, which files read much faster."""
    if len(positions) and (np.diff(positions) == 1).all():
        return slice(int(positions[0]), int(positions[-1]) + 1)
    return positions


def _count_sites(response: xr.DataArray, limit: int) -> int:
    """Count the sites of a block: whole chunks of the file wherever they fit into the limit."""
    others = response.size // max(1, response.sizes["site"])
    count = max(1, limit // max(1, others * response.dtype.itemsize))
    preferred = response.encoding.get("preferred_chunks") or {}
    chunk = preferred.get("site")
    if chunk is None and (sizes := response.encoding.get("chunksizes")):
        chunk = sizes[response.dims.index("site")] if len(sizes) == response.ndim else None
    if isinstance(chunk, int | np.integer) and 1 < chunk <= count:
        count -= count % int(chunk)
    return count
