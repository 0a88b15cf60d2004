"""Reading arrays of HDF5 files, those of MATLAB (save -v7.3) among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neural_data.formats.matlab import fill_sparse, join_text, refuse_class
from neural_data.storage.hdf5_checks import check_hdf5, refuse_outside

if TYPE_CHECKING:
    import h5py

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MAX_DEPTH = 20
# A dataset may say that it is this many times larger than what is stored of it.
MAX_RATIO = 2000
FREE = 2**26
MAX_CELLS = 10**6


def is_hdf5(path: Path) -> bool:
    """Whether the file begins as HDF5 files do, or as MATLAB's do."""
    with path.open("rb") as file:
        if file.read(len(SIGNATURE)) == SIGNATURE:
            return True
        file.seek(512)
        return file.read(len(SIGNATURE)) == SIGNATURE


def list_hdf5(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """List the datasets of an HDF5 file, those in groups as "group.dataset".

    Returns
    -------
    dict of str to (str, tuple of int)
        Type and shape, the shape in MATLAB's order if MATLAB wrote the dataset.

    Raises
    ------
    OSError, RuntimeError, ValueError
        The file is damaged.
    """
    import h5py

    found: dict[str, tuple[str, tuple[int, ...]]] = {}

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith(("#refs#", "#subsystem#")):
            matlab = _matlab_class(item)
            shape = tuple(item.shape or ())
            kind = matlab or str(item.dtype)
            found[name.replace("/", ".")] = (kind, shape[::-1] if matlab else shape)

    check_hdf5(path)
    with h5py.File(path, "r") as file:
        file.visititems(note)
    return found


def read_hdf5(path: Path, name: str, *, fields: Sequence[str] = ()) -> Any:
    """Read a dataset, or a group as a dict, of an HDF5 file.

    Parameters
    ----------
    path : pathlib.Path
    name : str
        The dataset or group at the top of the file.
    fields : sequence of str
        The dataset or group within that group, and so on.

    Returns
    -------
    object
        As of `neural_data.formats.matlab.read_mat`. An array that MATLAB wrote has the axes in
        MATLAB's order, which on disk are reversed; any other as h5py has it.

    Raises
    ------
    KeyError
        There is no such dataset; the argument lists what is there.
    OSError, RuntimeError, ValueError
        The file is damaged; the dataset is of a kind that cannot be read, or says that it is
        larger than it can be.
    """
    import h5py

    check_hdf5(path)
    with h5py.File(path, "r") as file:
        item: Any = file
        for part in (name, *fields):
            if not isinstance(item, h5py.Group) or part not in item:
                names = list(item) if isinstance(item, h5py.Group) else []
                raise KeyError([key for key in names if not key.startswith("#")])
            item = item[part]
        return _read(item, file, 0, _Taken())


@dataclass
class _Taken:
    """What was read of a file so far, by address, and how much of it, in sum."""

    known: dict[int, Any] = field(default_factory=dict)
    cells: int = 0
    claimed: int = 0
    stored: int = 0

    def check_size(self, item: h5py.Dataset) -> None:
        """Refuse datasets that say they are far larger, in sum, than what is stored of them."""
        stored = item.id.get_storage_size()
        self.stored += stored
        self.claimed += item.nbytes
        if self.claimed > MAX_RATIO * self.stored + (FREE if stored else 0):
            raise ValueError(
                f"its shape is {item.shape}, {item.nbytes} bytes, of which {stored} are stored "
                f"(with what it refers to {self.claimed} and {self.stored})"
            )

    def check_cells(self, item: h5py.Dataset) -> None:
        """Refuse more cells, in sum, than any laboratory has."""
        self.cells += item.size
        if self.cells > MAX_CELLS:
            raise ValueError(f"it holds {self.cells} cells; expected at most {MAX_CELLS}")


def _read(item: h5py.Group | h5py.Dataset, file: h5py.File, depth: int, taken: _Taken) -> Any:
    """Read what is not yet known by its address: many links may lead to one group."""
    import h5py

    if depth > MAX_DEPTH:
        raise ValueError(f"groups or cells are nested more than {MAX_DEPTH} deep")
    address = h5py.h5o.get_info(item.id).addr
    if address not in taken.known:
        taken.known[address] = _read_anew(item, file, depth, taken)
    return taken.known[address]


def _read_anew(item: h5py.Group | h5py.Dataset, file: h5py.File, depth: int, taken: _Taken) -> Any:
    import h5py

    matlab = _matlab_class(item)
    if matlab:
        refuse_class(matlab)
    if isinstance(item, h5py.Group) and "MATLAB_sparse" in item.attrs:
        return _read_sparse(item, taken)
    if isinstance(item, h5py.Group):
        return {key: _read(item[key], file, depth + 1, taken) for key in item}
    if not isinstance(item, h5py.Dataset):
        raise ValueError(f"it holds a {type(item).__name__}; expected an array")
    refuse_outside(item)
    if item.shape is None or "MATLAB_empty" in item.attrs:
        return np.array([""]) if matlab == "char" else np.empty((0, 0))
    taken.check_size(item)
    if item.dtype.kind == "O" and h5py.check_ref_dtype(item.dtype) is not None:
        return _read_cells(item, file, depth, taken)
    if h5py.check_string_dtype(item.dtype) is not None:
        texts = np.asarray(item.asstr()[()], dtype=object)
        return np.array([str(text) for text in texts.flat]).reshape(texts.shape)
    if item.dtype.kind not in "biuf":
        raise ValueError(f"it holds {matlab or item.dtype}; expected numbers or text")
    values = np.asarray(item[()])
    if not matlab:
        return values
    values = values.T
    if matlab == "char":
        return _read_text(values)
    return values.astype(bool) if matlab == "logical" else values


def _read_cells(item: h5py.Dataset, file: h5py.File, depth: int, taken: _Taken) -> np.ndarray:
    taken.check_cells(item)
    references = np.asarray(item[()]).reshape(item.shape)
    cells = np.empty(references.shape, dtype=object)
    for k, reference in enumerate(references.flat):
        if not reference:
            raise ValueError(f"cell {k} points nowhere")
        cells.flat[k] = _read(file[reference], file, depth + 1, taken)
    return cells.T if _matlab_class(item) else cells


def _read_sparse(group: h5py.Group, taken: _Taken) -> np.ndarray:
    from scipy.sparse import csc_array

    rows = int(group.attrs["MATLAB_sparse"])
    starts = np.asarray(group["jc"])
    if "data" not in group:
        return np.zeros((rows, len(starts) - 1))
    for part in group.values():
        taken.check_size(part)
    parts = (np.asarray(group["data"]), np.asarray(group["ir"]), starts)
    return fill_sparse(csc_array(parts, shape=(rows, len(starts) - 1)))


def _read_text(codes: np.ndarray) -> np.ndarray:
    if codes.dtype.kind != "u" or codes.size == 0:
        return np.array([""])
    rows = np.ascontiguousarray(codes.reshape(-1, codes.shape[-1]), dtype="<u2")
    return join_text([row.tobytes().decode("utf-16-le") for row in rows])


def _matlab_class(item: h5py.Dataset | h5py.Group) -> str | None:
    given = item.attrs.get("MATLAB_class")
    if given is None:
        return None
    return given.decode("ascii") if isinstance(given, bytes) else str(given)
