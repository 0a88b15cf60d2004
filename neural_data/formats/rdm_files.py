"""Reading RDMs that a lab or a paper keeps as a matrix, several, or a list of pairs."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from neural_data.errors import RecordingError, format_names
from neural_data.formats.array_files import load_array, parse_numbers
from neural_data.formats.described_toml import is_table, read_names
from neural_data.model.dissimilarities import validate_dissimilarities
from neural_data.model.schema import add_step
from neural_data.storage.csv_tables import Form, read_header

FEWEST = 3  # stimuli of an RDM


def read_rdm(
    path: str | os.PathLike[str],
    *,
    area: str | Sequence[str],
    measure: str,
    source: str,
    stimuli: str | os.PathLike[str] | None = None,
    variable: str | None = None,
) -> xr.Dataset:
    r"""Read the RDM of an area, or those of several, from an array and the names of the stimuli.

    Parameters
    ----------
    path : path
        A ``.npy``, ``.npz``, ``.mat``, ``.h5``, ``.csv`` or ``.tsv`` with a square matrix; with
        several, (area, stimulus, stimulus) or (stimulus, stimulus, area); or with all pairs in the
        order of MATLAB's ``squareform`` and SciPy's: (1, 2), (1, 3), ..., (2, 3), ...
    area : str or sequence of str
        The area, or one for each matrix.
    measure : str
        What the dissimilarities are, such as "1 - Pearson r".
    source : str
        Where the data come from.
    stimuli : path, optional
        Names in the order of the matrix: a text file with one a line, or a .csv with a column
        ``stimulus``, whose other columns become coordinates. Not for a .csv whose first row and
        column are names.
    variable : str, optional
        Which array, where the file holds several; of an array of structs "RDMs(1).RDM".

    Returns
    -------
    xarray.Dataset
        Dissimilarities, see `neural_data.validate_dissimilarities`.

    Raises
    ------
    FileNotFoundError
        A file is missing.
    RecordingError
        The file is damaged, holds no square matrices (or as many for areas as there are stimuli,
        so that the axes cannot be told apart), other numbers of areas or stimuli; matrices are not
        symmetric, or not 0 on the diagonal.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from pathlib import Path
    >>> from neural_data.formats.rdm_files import read_rdm
    >>> folder = Path(tempfile.mkdtemp())
    >>> np.save(folder / "it.npy", [[0, 0.5, 1], [0.5, 0, 0.2], [1, 0.2, 0]])
    >>> _ = (folder / "names.txt").write_text("face\ncar\ncup")
    >>> rdm = read_rdm(folder / "it.npy", area="IT", measure="1 - Pearson r", source="made up",
    ...     stimuli=folder / "names.txt")
    >>> float(rdm["dissimilarity"].sel(area="IT", stimulus="car", other_stimulus="cup"))
    0.2
    """
    path = Path(path)
    areas = [area] if isinstance(area, str) else list(area)
    labels: dict[str, np.ndarray] | None
    values, labels = _read_labelled(path) if is_table(path) and variable is None else (None, None)
    if values is None:
        values = load_array(path, variable=variable)
    if values.dtype.kind not in "iuf":
        raise RecordingError(f"{path.name} holds {values.dtype}; expected dissimilarities.")
    if labels is not None and stimuli is not None:
        raise RecordingError(
            f"{path.name} names the stimuli in its first row and column: leave out the list of "
            "names."
        )
    if stimuli is not None:
        labels = read_names(Path(stimuli), "stimulus")
    if labels is None:
        raise RecordingError(
            f"{path.name} has shape {values.shape} and no names: give the names of the stimuli in "
            "its order, --stimuli names.txt."
        )
    matrices, said = _as_matrices(path, values, len(areas))
    n = matrices.shape[1]
    if len(labels["stimulus"]) != n:
        raise RecordingError(
            f"There are {len(labels['stimulus'])} names for the {n} stimuli of {path.name}."
        )
    names = labels.pop("stimulus")
    reserved = [name for name in labels if name in ("area", "other_stimulus", "dissimilarity")]
    if reserved:
        raise RecordingError(
            f"The list of stimuli has columns {format_names(reserved)}, names of ours: rename them."
        )
    dissimilarities = xr.Dataset(
        {"dissimilarity": (("area", "stimulus", "other_stimulus"), matrices, {"units": measure})},
        coords={
            "area": areas,
            "stimulus": names,
            "other_stimulus": names,
            **{key: ("stimulus", column) for key, column in labels.items()},
        },
        attrs={"source": source},
    )
    return validate_dissimilarities(
        add_step(dissimilarities, f"read_rdm({path.name}): {said}"), name=path.name
    )


def _read_labelled(path: Path) -> tuple[np.ndarray | None, dict[str, np.ndarray] | None]:
    """Read a table whose first row and column are the names; (None, None) of one without."""
    form = Form().of(path)
    header = read_header(path, form, remedy="save it with commas (and decimal points).")
    if parse_numbers(header[1:]) is not None and parse_numbers(header[:1]) is not None:
        return None, None
    with path.open(encoding=form.encoding, newline="") as file:
        _, *rows = [row for row in csv.reader(file, delimiter=form.separator) if row]
    names = [row[0].strip() for row in rows]
    if names != header[1:] or {len(row) for row in rows} != {len(header)}:
        raise RecordingError(
            f"{path.name} has a header of {len(header)} cells and {len(rows)} rows; expected "
            "numbers alone, or a square table whose first row and first column hold the same "
            f"names in the same order (found {format_names(header[1:], 3)} and "
            f"{format_names(names, 3)})."
        )
    numbers = parse_numbers([row[1:] for row in rows])
    if numbers is None:
        raise RecordingError(f"{path.name} has a cell that is no number beside its names.")
    return numbers, {"stimulus": np.array(names, dtype=str)}


def _as_matrices(path: Path, values: np.ndarray, n_areas: int) -> tuple[np.ndarray, str]:
    """Return matrices (area, stimulus, stimulus), and what they were in the file."""
    from scipy.spatial.distance import squareform

    values = values.astype(np.float64)
    flat = values.ravel() if values.size == max(values.shape, default=0) else None
    if flat is not None and n_areas == 1:
        n = round((1 + (1 + 8 * flat.size) ** 0.5) / 2)
        if n * (n - 1) // 2 == flat.size and n >= FEWEST:
            return squareform(flat)[np.newaxis], f"{flat.size} pairs of {n} stimuli"
    shape = values.shape
    if values.ndim == 2 and n_areas == 1 and shape[0] == shape[1] >= FEWEST:
        return values[np.newaxis], f"a matrix of {shape[0]} stimuli"
    if values.ndim == 3:
        first, last = shape[1] == shape[2], shape[0] == shape[1]
        if first and last:
            raise RecordingError(
                f"{path.name} has shape {shape}, as many matrices as stimuli: which axis is that "
                "of the areas cannot be told. Save one matrix a file."
            )
        if first or last:
            matrices = values if first else np.moveaxis(values, 2, 0)
            if len(matrices) == n_areas:
                return matrices, f"{n_areas} matrices of {matrices.shape[1]} stimuli"
            raise RecordingError(
                f"{path.name} has {len(matrices)} matrices; expected one for each of the {n_areas} "
                "areas named: name an area for each."
            )
    raise RecordingError(
        f"{path.name} has shape {shape}; expected {n_areas} square "
        f"{'matrix' if n_areas == 1 else 'matrices'} of {FEWEST} stimuli or more, or all pairs of "
        "them."
    )
